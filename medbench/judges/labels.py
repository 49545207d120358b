"""Replies with a person's label: what a judge is certified against.

A file of JSON lines or Parquet. A row has `question`, `reply` and `label`; `gold` and `options` where the
judge is to see them, `kind`, `context`, `criterion`, `other` (the second reply of a pair), and `id`,
`cluster` (rows that depend on each other, such as replies to one question), `slice` (what the row tests) and
`aspect` (what the label is about: rows of other aspects are left out). The packaged set has all aspects.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

from medbench import verify
from medbench.config import digest_of_rows
from medbench.errors import UsageError
from medbench.judges.cases import Case, cases
from medbench.judges.docket import Given, docket
from medbench.judges.rulings import offered
from medbench.rows import name_of, rows
from medbench.rubrics import Judge
from medbench.runs import readable
from medbench.schema import LETTERS, Criterion, Example, Kind

PACKAGED = "packaged"
"""What the packaged set is called in place of a file."""

SHOWN = 5
RIGHT = {"1", "true", "yes", "right", "correct"}
WRONG = {"0", "false", "no", "wrong", "incorrect"}
TEXTS = (
    "id",
    "aspect",
    "kind",
    "slice",
    "cluster",
    "lang",
    "context",
    "question",
    "reply",
    "other",
    "criterion",
)


class BadLabel(ValueError):
    """A row that cannot be used, and why."""


@dataclass(frozen=True)
class Labelled:
    """One row: what the judge is shown, and the label, one of the judge's own.

    There is no case where the judge sees the answer apart and none can be read in the reply.
    """

    id: str
    case: Case | None
    label: str
    cluster: str
    slice: str = ""
    settled: float | None = None
    """What the rules make of the reply, where an evaluation would not ask the judge."""


@dataclass(frozen=True)
class LabelledSet:
    """The rows of a file that are of a judge's aspect, in their order. `hash` identifies them."""

    name: str
    hash: str
    rows: tuple[Labelled, ...]


def load(source: str | Path, judge: Judge) -> LabelledSet:
    """The rows of a file, or of the packaged set, that a judge can be held against.

    Raises UsageError naming the rows that cannot be used; none is left out silently.
    """
    path = packaged() if str(source) == PACKAGED else Path(source)
    found: dict[str, Labelled] = {}
    used, bad = [], []
    for place, raw in rows(path):
        if raw.get("aspect") not in (None, judge.aspect):
            continue
        name = name_of(raw, "id", f"{path}, {place}") if raw.get("id") is not None else place
        try:
            if name in found:
                raise BadLabel("its id is there twice")
            found[name] = labelled(name, raw, judge)
        except BadLabel as problem:
            bad.append(f"{place} ({name}): {problem}")
        used.append(raw)
    if bad:
        more = f"; and {len(bad) - SHOWN:,} more" if len(bad) > SHOWN else ""
        raise UsageError(f"{path}: {'; '.join(bad[:SHOWN])}{more}", "mend or remove these rows")
    if not found:
        raise UsageError(f"{path} has no row for aspect '{judge.aspect}'", "name another judge or file")
    return LabelledSet(path.stem, digest_of_rows(used), tuple(found.values()))


def packaged() -> Path:
    """The file of the packaged set."""
    return Path(str(files("medbench") / "data" / "judge-labels.jsonl"))


def labelled(name: str, raw: Mapping[str, Any], judge: Judge) -> Labelled:
    """One row. Raises BadLabel."""
    texts = {key: text_of(raw, key) for key in TEXTS}
    for key in ("question", "reply", *(("other",) if judge.sees("other") else ())):
        if not texts[key].strip():
            raise BadLabel(f"no {key}")
    example = example_of(name, raw, texts, judge)
    made = cases(judge, example, texts["reply"], other=texts["other"])
    label, settled = label_of(raw.get("label"), judge), by_rules(judge, example, texts["reply"])
    return Labelled(name, made[0] if made else None, label, texts["cluster"] or name, texts["slice"], settled)


def by_rules(judge: Judge, example: Example, reply: str) -> float | None:
    """What an evaluation would make of a reply without asking this judge."""
    if judge.rule == "none":
        return None
    item = docket(judge, example, Given(reply, "stop", verify.grade(reply, example).correct))
    return item.value if item else None


def example_of(name: str, raw: Mapping[str, Any], texts: Mapping[str, str], judge: Judge) -> Example:
    """The question of a row. Raises BadLabel."""
    options = tuple(map(str, raw.get("options") or ()))
    kind = texts["kind"] or ("mcq" if options else "open")
    if kind not in get_args(Kind):
        raise BadLabel(f"kind '{kind}' is none of {', '.join(get_args(Kind))}")
    given = raw.get("gold")
    gold = tuple(
        readable(str(one)) for one in (given if isinstance(given, list) else [given]) if one is not None
    )
    if judge.sees("gold") and not any(one.strip() for one in gold):
        raise BadLabel("no gold")
    if kind in ("mcq", "multi"):
        gold = tuple(lettered(one, options) for one in gold)
    if judge.sees("criterion") and not texts["criterion"].strip():
        raise BadLabel("no criterion")
    return Example(
        name,
        kind,  # type: ignore[arg-type]
        texts["question"],
        gold,
        options,
        context=texts["context"] or None,
        lang=texts["lang"] or "en",
        rubric=(Criterion(texts["criterion"], 1.0),),
    )


def text_of(raw: Mapping[str, Any], key: str) -> str:
    """A text column; absent and null are empty."""
    value = raw.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) and (key != "id" or not isinstance(value, int)):
        raise BadLabel(f"{key} is not text")
    return readable(str(value))


def lettered(gold: str, options: tuple[str, ...]) -> str:
    """A gold as letters: as it is, or that of the option with its words. Raises BadLabel."""
    letters = LETTERS[: len(options)]
    if gold and all(letter in letters for letter in gold):
        return gold
    if gold in options:
        return letters[options.index(gold)]
    raise BadLabel(f"gold '{gold}' is no option")


def label_of(value: Any, judge: Judge) -> str:
    """A label as one of the judge's.

    A judge with two labels also takes 1, true, yes, right, correct and their opposites: 1 is right, whatever
    the judge calls it. Raises BadLabel.
    """
    plain = str(value).strip().casefold().removesuffix(".0")
    if len(judge.worth) == 2:
        ends = list(judge.worth)
        called = {label.casefold(): label for label in ends} if not plain.isdecimal() else {}
        if plain in called:
            return called[plain]
        if plain in RIGHT | WRONG:
            return ends[plain in RIGHT]
    found = offered(plain, judge)
    if found is None:
        raise BadLabel(f"label {value!r} is none of {', '.join(judge.worth)}")
    return found
