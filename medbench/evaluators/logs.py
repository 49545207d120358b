"""Logs of other harnesses as replies, and as questions where a log holds them.

| format     | file                               | replies            | questions           |
|------------|------------------------------------|--------------------|---------------------|
| lm-eval    | samples_*.jsonl (--log_samples)    | resps, all repeats | doc and target      |
| lmms-eval  | *_samples_*.jsonl                  | resps              | none: no options    |
| inspect    | *.eval, *.json                     | output.completion  | input, choices      |
| vlmevalkit | MODEL_DATASET.xlsx, .tsv, .json    | prediction         | question, A, B, C … |
| medevalkit | results.json                       | response           | question, choices   |

Where a log compares log-likelihoods, the likeliest option is its reply.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from medbench.errors import UsageError, unknown
from medbench.evaluators import archives, harnesses, items
from medbench.evaluators.harnesses import Entry
from medbench.evaluators.replies import Given
from medbench.rows import PARQUET, ZIP, Row, json_lines, start, tree
from medbench.schema import Example

FORMATS: dict[str, Callable[[Path], Iterator[Entry]]] = {
    "lm-eval": harnesses.lm_eval,
    "lmms-eval": harnesses.lmms_eval,
    "inspect": harnesses.inspect,
    "vlmevalkit": harnesses.vlmevalkit,
    "medevalkit": harnesses.medevalkit,
}


def load(path: Path, form: str) -> list[Entry]:
    """The entries of a log. Raises UsageError when it is not of this format."""
    try:
        entries = list(FORMATS[form](path))
    except (LookupError, TypeError, AttributeError, ValueError) as problem:
        raise UsageError(f"{path} is not as {form} writes it ({type(problem).__name__}: {problem})") from None
    if not entries:
        raise UsageError(f"{path} holds no samples")
    return entries


def replies(entries: Sequence[Entry]) -> Iterator[Given]:
    """The replies of a log, to be joined with questions from elsewhere."""
    for entry in entries:
        yield from entry.replies


def alone(entries: Sequence[Entry], path: Path) -> tuple[list[Example], list[Given]]:
    """The questions that a log itself holds, and its replies to them."""
    placed: dict[str, tuple[str, Row]] = {}
    given = []
    for entry in entries:
        place = entry.replies[0].place
        if entry.item is None:
            raise UsageError(
                f"{path}, {place}: the log does not hold the question with what is right",
                "name the questions: --benchmark NAME or --items FILE",
            )
        placed.setdefault(entry.name, (place, {**entry.item, "id": entry.name}))
        given += [replace(reply, names=(entry.name,)) for reply in entry.replies]
    return items.collect(placed.values(), path), given


def form_of(path: Path, named: str | None = None) -> str | None:
    """The format of a file: the named one, else what it unmistakably is, else None (rows of id and reply)."""
    if named is not None:
        if named not in FORMATS:
            raise unknown("format", named, FORMATS)
        return named
    begins = start(path)
    if begins.startswith(ZIP):
        return archives.form(path)
    if begins.startswith(PARQUET):
        return None
    if path.suffix in (".tsv", ".csv"):
        return "vlmevalkit"
    if begins.startswith(b"[") or path.suffix == ".json":
        return form_of_tree(first_value(path))
    return form_of_row(next(json_lines(path), ("", {}))[1])


def first_value(path: Path) -> Any:
    """The JSON value of a file, or of its first line where each line is one."""
    with path.open("rb") as stream:
        line = next((line for line in stream if line.strip()), b"")
    try:
        return json.loads(line.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        return tree(path)


def form_of_tree(value: Any) -> str | None:
    """The format of a log that is one JSON value."""
    if isinstance(value, dict):
        if isinstance(value.get("samples"), list) and "eval" in value:
            return "inspect"
        return "lmms-eval" if isinstance(value.get("logs"), list) else form_of_row(value)
    row = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else {}
    if "response" in row and "answer" in row:
        return "medevalkit"
    return "vlmevalkit" if "prediction" in row and "index" in row else None


def form_of_row(row: Row) -> str | None:
    """The format of a log of JSON lines by one of them."""
    if "doc_id" in row and ("resps" in row or "filtered_resps" in row):
        return "lm-eval" if "doc" in row or "arguments" in row else "lmms-eval"
    return None
