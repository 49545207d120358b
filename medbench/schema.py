"""The vocabulary every floor speaks: questions, verdicts and results, and the tables they become.

| record  | one per             | table                            |
|---------|---------------------|----------------------------------|
| Example | question            | `EXAMPLE`                        |
| Verdict | reply graded        | `VERDICT` (with the reply in it) |
| –       | benchmark x metric  | `RESULT`                         |

A null `correct` means nobody could tell (a server or a judge failed). It is never read as False.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import polars as pl

Kind = Literal["mcq", "multi", "yesno", "closed", "number", "open", "free"]
Finish = Literal["stop", "length", "refused", "error"]
Status = Literal["scored", "no_answer", "ambiguous", "truncated", "refused", "unjudged", "error"]
STATUSES: tuple[Status, ...] = (
    "scored",
    "no_answer",
    "ambiguous",
    "truncated",
    "refused",
    "unjudged",
    "error",
)

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Criterion(NamedTuple):
    """One line of a rubric: what a reply may do, and what that is worth; negative points are for harm."""

    criterion: str
    points: float


@dataclass(frozen=True, slots=True)
class Example:
    """A question and its gold.

    `gold` lists every accepted answer, and any one is right: a letter for kind `mcq`, the letters in
    alphabetical order for `multi` ("ACD" means all three and no other), words otherwise. `labels` are
    what the options were called if not A, B, C …: digits, Roman numerals, 甲乙丙丁.
    `cluster` names what rows have in common when they are not independent (the same question in
    several option orders), null when each row stands alone. `tags` hold the subgroups that results
    are broken down by, e.g. `{"subject": "Anatomy"}`. `images` are names in the image store (SHA-256), in
    the order they are shown; `<image 1>` in a text says where the first belongs. `fault` says why the
    question can't be asked (an image is missing or unreadable). `rubric` is for judges of criteria.
    """

    id: str
    kind: Kind
    question: str
    gold: tuple[str, ...]
    options: tuple[str, ...] = ()
    context: str | None = None
    lang: str = "en"
    source: str = ""
    split: str = ""
    cluster: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    fault: str | None = None
    rubric: tuple[Criterion, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reply is worth.

    `answer` is the option letter (mcq) or the normalised words read from the reply, None if none was
    found. `rule` names the rule that decided. `correct` is None when nobody could tell.
    """

    answer: str | None
    rule: str
    status: Status
    correct: bool | None


EXAMPLE = pl.Schema(
    {  # type: ignore[arg-type]
        "id": pl.String,
        "kind": pl.String,
        "question": pl.String,
        "gold": pl.List(pl.String),
        "options": pl.List(pl.String),
        "context": pl.String,
        "lang": pl.String,
        "source": pl.String,
        "split": pl.String,
        "cluster": pl.String,
        "tags": pl.List(pl.Struct({"name": pl.String, "value": pl.String})),
        "labels": pl.List(pl.String),
        "images": pl.List(pl.String),
        "fault": pl.String,
        "rubric": pl.List(pl.Struct({"criterion": pl.String, "points": pl.Float64})),
    }
)

VERDICT = pl.Schema(
    {
        "benchmark": pl.String,
        "example": pl.String,
        "cluster": pl.String,
        "sample": pl.Int32,
        "reply": pl.String,
        "finish": pl.String,
        "error": pl.String,
        "tokens_in": pl.Int32,
        "tokens_out": pl.Int32,
        "answer": pl.String,
        "rule": pl.String,
        "status": pl.String,
        "correct": pl.Boolean,
    }
)

RESULT = pl.Schema(
    {
        "benchmark": pl.String,
        "metric": pl.String,
        "group": pl.String,
        "value": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "n": pl.Int64,
        "unanswered": pl.Int64,
        "unscored": pl.Int64,
    }
)


LISTS = ("gold", "options", "labels", "images")


def frame(examples: Iterable[Example]) -> pl.DataFrame:
    """The Example table of some examples, in their order."""
    return pl.DataFrame([as_row(example) for example in examples], schema=EXAMPLE)


def as_row(example: Example) -> dict[str, Any]:
    """An example as a row of the Example table."""
    row: dict[str, Any] = {name: getattr(example, name) for name in EXAMPLE}
    row["tags"] = [{"name": name, "value": value} for name, value in sorted(example.tags.items())]
    row["rubric"] = [item._asdict() for item in example.rubric]
    return row | {name: list(getattr(example, name)) for name in LISTS}


def records(table: pl.DataFrame) -> list[Example]:
    """The examples of an Example table, in its order; extra columns are ignored."""
    fields = [name for name in EXAMPLE if name in table.columns]
    examples = []
    for row in table.select(fields).iter_rows(named=True):
        row["tags"] = {tag["name"]: tag["value"] for tag in row["tags"] or ()}
        row |= {name: tuple(row.get(name) or ()) for name in LISTS}
        row["rubric"] = tuple(Criterion(**item) for item in row.get("rubric") or ())
        examples.append(Example(**row))
    return examples
