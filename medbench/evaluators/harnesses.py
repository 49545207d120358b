"""How each harness writes down what was asked and answered; see `logs` for the table of them.

A harness that failed to get a reply says so in its own way; such a row is a failed call here.
"""

import ast
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from medbench.errors import PrerequisiteError, UsageError
from medbench.evaluators import archives
from medbench.evaluators.replies import FINISHES, Given, text_of
from medbench.rows import ZIP, Row, json_lines, parsed, start, tree
from medbench.runs import readable
from medbench.schema import LETTERS, Finish

OWN_IDS = ("id", "_id", "qid", "question_id")
QUESTIONS = ("question", "Question", "query", "stem", "sent1", "problem", "prompt")
OPTIONS = ("options", "choices", "endings", "index2ans")
SPREAD = (tuple(LETTERS), tuple(f"op{side}" for side in "abcdef"), tuple(f"ending{n}" for n in range(10)))
"""Options in columns of their own: A, B, …; opa, opb, …; ending0, ending1, …"""
LABELLED = re.compile(r"\s*\(?([A-Z])\s?[).:：、]\s*(.*)", re.DOTALL)
FAILED = "Failed to obtain answer"
"""What VLMEvalKit writes in place of a reply that never came."""


@dataclass(frozen=True)
class Entry:
    """One row of a log: its name, its replies, and its question as a row of `items`, if the log has it."""

    name: str
    replies: Sequence[Given]
    item: Row | None = None


def lm_eval(path: Path) -> Iterator[Entry]:
    """Samples of lm-evaluation-harness; a document is there once per filter, and is taken once."""
    kept: dict[int, Any] = {}
    for place, row in json_lines(path):
        where = f"{path}, {place}"
        number = whole(row.get("doc_id"), "doc_id", where)
        if kept.setdefault(number, row.get("filter")) == row.get("filter"):
            doc = row["doc"] if isinstance(row.get("doc"), dict) else {}
            yield sample_of(row, doc, number, place, where)


def lmms_eval(path: Path) -> Iterator[Entry]:
    """Samples of lmms-eval: without their documents, so that only the prompt tells what was asked."""
    if start(path).startswith(b"{") and path.suffix == ".json":
        placed = numbered(listed(tree(path).get("logs"), path), path)
    else:
        placed = json_lines(path)
    for place, row in placed:
        where = f"{path}, {place}"
        doc = row["doc"] if isinstance(row.get("doc"), dict) else {}
        yield sample_of(row, doc, whole(row.get("doc_id"), "doc_id", where), place, where)


def sample_of(row: Row, doc: Row, number: int, place: str, where: str) -> Entry:
    """The entry of one sample of lm-eval or of its relative lmms-eval."""
    answers = row.get("resps", row.get("filtered_resps"))
    compared = likelihoods(answers)
    item = item_of(doc, row.get("target"), compared is not None)
    finish: Finish = "stop"
    if compared is not None:
        failed = any(math.isnan(value) for value in compared)
        texts, finish = [likeliest(compared, item, where)], "error" if failed else "stop"
    else:
        texts = [text_of(text, "a reply", where) for text in flat(answers)]
    if not texts:
        raise UsageError(f"{where}: no resps")
    ids = [str(doc[key]) for key in OWN_IDS if doc.get(key) not in (None, "")]
    name = str(item.get("id", number)) if item else str(number)
    asked = str(item["question"] if item else row.get("input") or first_argument(row))
    return Entry(
        name,
        [
            Given(place, (*ids, name), text, sample, finish, row=number, question=asked)
            for sample, text in enumerate(texts)
        ],
        item,
    )


def flat(value: Any) -> list[Any]:
    """The replies in nested lists, in order."""
    if isinstance(value, list):
        return [text for part in value for text in flat(part)]
    return [value]


def likelihoods(answers: Any) -> list[float] | None:
    """The log-likelihood of each choice, where these were compared instead of text being written."""
    if not isinstance(answers, list) or not answers:
        return None
    found = []
    for answer in answers:
        pair = answer[0] if isinstance(answer, list) and len(answer) == 1 else answer
        if not (isinstance(pair, list) and len(pair) == 2 and str(pair[1]) in ("True", "False")):
            return None
        try:
            found.append(float(pair[0]))
        except (TypeError, ValueError):
            return None
    return found


def likeliest(compared: Sequence[float], item: Row | None, where: str) -> str:
    """The label of the choice that the model found most likely; of equals the first, as lm-eval has it."""
    labels = list(item["options"]) if item and isinstance(item.get("options"), Mapping) else list(LETTERS)
    count = len(item["options"]) if item and item.get("options") else len(compared)
    if len(compared) % count or count > len(labels):
        raise UsageError(f"{where}: {len(compared)} log-likelihoods for {count} options")
    return str(labels[max(range(count), key=lambda place: compared[place])])


def first_argument(row: Row) -> str:
    """The prompt of a sample of lm-eval."""
    arguments = row.get("arguments")
    while isinstance(arguments, Mapping | list) and arguments:
        arguments = next(iter(arguments.values())) if isinstance(arguments, Mapping) else arguments[0]
    return arguments if isinstance(arguments, str) else ""


def item_of(doc: Row, target: Any, compared: bool) -> Row | None:
    """The question in a document as a row of `items`, None if it holds none.

    An export of our own holds the whole Example. `compared`: the target is a place, not an answer.
    """
    own = doc.get("example")
    if isinstance(own, dict) and {"id", "question", "gold", "kind"} <= own.keys():
        return own
    question = next(
        (doc[key] for key in QUESTIONS if isinstance(doc.get(key), str) and doc[key].strip()), None
    )
    options = options_of(doc)
    if question is None or target is None:
        return None
    gold = untangled(target)
    if options and compared and str(gold).isdigit() and int(gold) < len(options):
        gold = f"({list(options)[int(gold)]})"
    return asked(question, gold, options)


def untangled(target: Any) -> Any:
    """A target as lm-eval writes it: lists and numbers have become text."""
    if isinstance(target, str) and target[:1] == "[" and target[-1:] == "]":
        try:
            return ast.literal_eval(target)  # builds values only, runs nothing
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return target
    return target


def asked(question: str, gold: Any, options: Mapping[str, Any], **more: Any) -> Row:
    """A row of `items`; without options its kind is told by the gold."""
    row: Row = {"question": question, "gold": gold, **more}
    if options:
        row["options"] = dict(options)
        return row
    words = {str(one).strip().casefold() for one in (gold if isinstance(gold, list) else [gold])}
    row["kind"] = "yesno" if words and words <= {"yes", "no", "maybe"} else more.get("kind", "open")
    return row


def options_of(doc: Row) -> dict[str, Any]:
    """The options of a document by label, in whichever of the common ways they are written."""
    for key in OPTIONS:
        value = doc.get(key)
        if isinstance(value, Mapping) and isinstance(value.get("text"), list):
            labels = value.get("label") or list(LETTERS)
            return dict(zip(map(str, labels), value["text"], strict=False))
        if isinstance(value, Mapping) and value:
            return {str(label): text for label, text in value.items() if text is not None}
        if isinstance(value, list) and len(value) > 1:
            return unlabelled(value)
    for names in SPREAD:
        texts = [doc.get(name) for name in names]
        count = next((n for n, text in enumerate(texts) if text in (None, "")), len(texts))
        if count > 1:
            return dict(zip(LETTERS, texts[:count], strict=False))
    return {}


def unlabelled(texts: Sequence[Any]) -> dict[str, Any]:
    """Options by letter; "A. heart", "B. liver" … lose the letters they begin with."""
    matches = [LABELLED.fullmatch(text) if isinstance(text, str) else None for text in texts]
    if all(match and match[1] == LETTERS[place] for place, match in enumerate(matches)):
        return {match[1]: match[2] for match in matches if match}
    return dict(zip(LETTERS, texts, strict=False))


def inspect(path: Path) -> Iterator[Entry]:
    """Samples of Inspect, from its archive or its JSON; each epoch is a sample."""
    if start(path).startswith(ZIP):
        found = (
            (name, parsed(content, f"{path}, {name}")) for name, content in archives.members(path, "samples/")
        )
    else:
        whole_log = tree(path)
        samples = whole_log.get("samples") if isinstance(whole_log, dict) else None
        found = ((place, row) for place, row in numbered(listed(samples, path), path))
    for place, row in found:
        if not isinstance(row, dict):
            raise UsageError(f"{path}, {place}: not a sample")
        yield inspected(row, place, f"{path}, {place}")


def inspected(row: Row, place: str, where: str) -> Entry:
    """One sample of Inspect. A letter as target means a choice where there are choices."""
    output = row["output"] if isinstance(row.get("output"), dict) else {}
    text = text_of(output.get("completion"), "completion", where)
    finish: Finish = "error" if row.get("error") and not text else stopped(output)
    question = last_user(row.get("input"))
    options = unlabelled(row["choices"]) if isinstance(row.get("choices"), list) else {}
    target = row.get("target")
    if options and isinstance(target, list) and len(target) > 1:
        item = asked(question, target, options, kind="multi")
    else:
        item = asked(question, target, options)
    name = str(row.get("id"))
    sample = whole(row.get("epoch", 1), "epoch", where) - 1
    reply = Given(place, (name,), text, max(sample, 0), finish, question=question)
    return Entry(name, [reply], item if question and target not in (None, "", []) else None)


def stopped(output: Row) -> Finish:
    """How a reply ended, as far as Inspect says; what it calls otherwise ended by itself."""
    choices = output.get("choices")
    reason = choices[0].get("stop_reason") if isinstance(choices, list) and choices else None
    return "length" if reason == "model_length" else FINISHES.get(reason, "stop")


def last_user(messages: Any) -> str:
    """The question in an input that is text or a list of messages."""
    if isinstance(messages, str):
        return messages
    said = [m.get("content") for m in messages or () if isinstance(m, dict) and m.get("role") == "user"]
    parts = said[-1] if said else ""
    if isinstance(parts, list):
        parts = "\n".join(str(part["text"]) for part in parts if isinstance(part, dict) and part.get("text"))
    return readable(str(parts))


def vlmevalkit(path: Path) -> Iterator[Entry]:
    """Predictions of VLMEvalKit, from its sheet, its table or its JSON."""
    for place, row in sheet(path):
        where = f"{path}, {place}"
        if "index" not in row or "prediction" not in row:
            raise UsageError(
                f"{where}: no columns index and prediction", "is it a result file of VLMEvalKit?"
            )
        text = text_of(row["prediction"], "prediction", where)
        finish: Finish = "error" if text.startswith(FAILED) else "stop"
        name, question = str(row["index"]), str(row.get("question") or "")
        gold = row.get("answer")
        more = {"context": row["hint"]} if row.get("hint") else {}
        item = asked(question, gold, options_of(row), **more) if question and gold not in (None, "") else None
        yield Entry(name, [Given(place, (name,), text, 0, finish, question=question)], item)


def sheet(path: Path) -> Iterator[tuple[str, Row]]:
    """The rows of a sheet, a table or a list of objects; every value of a table is text."""
    begins = start(path)
    if begins[:1] in (b"[", b"{"):
        yield from numbered(listed(tree(path), path), path)
        return
    try:
        if begins.startswith(ZIP):
            table = workbook(path)
        else:
            separator = "," if path.suffix == ".csv" else "\t"
            table = pl.read_csv(path, separator=separator, infer_schema_length=0)
    except ModuleNotFoundError:
        raise PrerequisiteError(
            "an .xlsx file needs the package fastexcel",
            "pip install fastexcel, or have VLMEvalKit write a table: PRED_FORMAT=tsv",
        ) from None
    except (pl.exceptions.PolarsError, OSError, ValueError) as problem:
        raise UsageError(f"cannot read {path} as a table: {problem}") from None
    for number, row in enumerate(table.iter_rows(named=True), 1):
        yield f"row {number}", row


def workbook(path: Path) -> pl.DataFrame:
    """The first sheet of an .xlsx file; every value is text."""
    import fastexcel

    try:
        return pl.read_excel(archives.sane(path), engine="calamine", infer_schema_length=0)
    except fastexcel.FastExcelError as problem:
        raise UsageError(f"cannot read {path} as a workbook: {problem}") from None


def medevalkit(path: Path) -> Iterator[Entry]:
    """The results.json of MedEvalKit: rows have no ids, so their place in the file names them."""
    for number, (place, row) in enumerate(numbered(listed(tree(path), path), path)):
        where = f"{path}, {place}"
        if "response" not in row:
            raise UsageError(f"{where}: no column response", "is it a results.json of MedEvalKit?")
        question = next((str(row[key]) for key in ("question", "Question", "prompt") if row.get(key)), "")
        options = options_of(row)
        gold = row.get("answer")
        if options and isinstance(gold, str) and (match := LABELLED.fullmatch(gold)):
            gold = match[1] if str(options.get(match[1], "")).strip() == match[2].strip() else gold
        kind = "closed" if str(row.get("answer_type", "")).strip().upper() == "CLOSED" else "open"
        told = question or f"question {number}, which the log does not tell"
        item = asked(told, gold, options, **({} if options else {"kind": kind}))
        ids = tuple(str(row[key]) for key in OWN_IDS if row.get(key) not in (None, ""))
        text = text_of(row["response"], "response", where)
        reply = Given(place, (*ids, str(number)), text, row=number, question=question)
        yield Entry(str(number), [reply], item if gold not in (None, "") else None)


def numbered(values: Sequence[Any], path: Path) -> Iterator[tuple[str, Row]]:
    """The objects of a list with their places, from 0."""
    for number, value in enumerate(values):
        if not isinstance(value, dict):
            raise UsageError(f"{path}, entry {number}: not a JSON object")
        yield f"entry {number}", value


def listed(value: Any, path: Path) -> list[Any]:
    """A value that must be a list of samples."""
    if not isinstance(value, list):
        raise UsageError(f"{path} holds no list of samples")
    return value


def whole(value: Any, key: str, where: str) -> int:
    """A whole number that a row must have."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"{where}: no {key}")
    if abs(value) >= 1 << 31:
        raise UsageError(f"{where}: {key} {value} is out of range")
    return value
