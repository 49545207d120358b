"""Replies put to a panel of judges: what it is asked, and the figures that come of it.

The rules speak first, and the judge is asked about what they leave; or about everything. A reply on which
there is no verdict is unscored, never wrong: it widens the interval from all such replies wrong to all right.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from medbench.evaluators.metrics import groups, units
from medbench.inference.purse import Purse
from medbench.judges import Case, Finding, Hearing, Panel, cases
from medbench.judges import certificate as certificates
from medbench.rubrics import Judge
from medbench.runs import Run
from medbench.schema import RESULT, Example
from medbench.solve import Progress, Tally, silent
from medbench.stats import Interval, clustered, wilson
from medbench.verify.overlap import telling, words

JUDGEMENT = pl.Schema(
    {  # type: ignore[arg-type]
        "benchmark": pl.String,
        "example": pl.String,
        "cluster": pl.String,
        "sample": pl.Int32,
        "kind": pl.String,
        "lang": pl.String,
        "by": pl.String,
        "answered": pl.Boolean,
        "value": pl.Float64,
        "said": pl.List(pl.String),
        "error": pl.String,
        "split": pl.Boolean,
    }
)
"""One row per reply that counts in a judged figure. `by` is `rules`, `judge`, or `nobody` (the reply's own
call failed); `value` is null where nobody could tell and `error` says why; `said` holds the labels, one per
seat."""


@dataclass(frozen=True)
class Judging:
    """Who judges, and what: with `everything` also what the rules could decide.

    `borrow` is a home folder whose other runs may have verdicts to use again.
    """

    panel: Panel
    everything: bool = False
    borrow: Path | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What of it decides a result."""
        return {**self.panel.identity, "all": self.everything}


@dataclass
class Judged:
    """What a panel made of the replies of one or several benchmarks."""

    judging: Judging
    judgements: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=JUDGEMENT))
    results: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=RESULT))
    tally: Tally = field(default_factory=lambda: Tally("judge", 0))
    borrowed: int = 0

    @property
    def unscored(self) -> int:
        """Replies that the judge was asked about in vain."""
        put = self.judgements.filter(pl.col("by") == "judge")
        return int(put["value"].null_count())

    def json(self, home: Path) -> dict[str, Any]:
        """Who judged and how, with the certificates that `home` has of this panel."""
        put = self.judgements.filter(pl.col("by") == "judge")
        split = put["split"].drop_nulls()
        return {
            "judge": self.judging.panel.label,
            "hash": self.judging.panel.hash,
            **self.judging.identity,
            "prompts": [seat.judge.wording.label for seat in self.judging.panel.seats],
            "put": put.height,
            "unscored": self.unscored,
            "borrowed": self.borrowed,
            "disagreement": disagreed(split.to_list()),
            "certificates": certified(home, self.judging.panel.hash),
        }


def disagreed(split: list[bool]) -> dict[str, Any] | None:
    """The share of replies on which the seats of a panel disagree; None for a single judge."""
    if not split:
        return None
    return {**wilson(sum(split), len(split))._asdict(), "n": len(split)}


def certified(home: Path, panel: str) -> list[dict[str, Any]]:
    """The certificates that a home has of a panel, as plain objects."""
    return [one.model_dump(mode="json") for one in certificates.held(home, panel)]


@dataclass(frozen=True)
class Item:
    """A reply before the judge: what the rules or the lack of a reply settle, else its cases."""

    row: Mapping[str, Any]
    by: str
    settled: float | None = None
    cases: tuple[Case, ...] = ()


class Bench:
    """A panel that hears the replies of one benchmark after another, in one run."""

    def __init__(
        self, run: Run, judging: Judging, *, purse: Purse | None = None, progress: Progress = silent
    ) -> None:
        panel = judging.panel
        self.hearing = Hearing(run, panel, purse=purse, progress=progress, borrow=judging.borrow)
        self.judged = Judged(judging)

    def judge(self, name: str, examples: Mapping[str, Example], verdicts: pl.DataFrame, samples: int) -> None:
        """Judge the replies in table VERDICT; figures and judgements add up in `judged`."""
        items = list(docket(self.judged.judging, examples, verdicts))
        every = [case for item in items for case in item.cases]
        found = iter(self.hearing.hear(f"{name} judge", every))
        rows = [self.row(name, examples[item.row["example"]], item, found) for item in items]
        judgements = pl.DataFrame(rows, schema=JUDGEMENT, orient="row")
        shown = list(examples.values())
        made = figures(name, judgements, shown, self.judged.judging.panel.judge, samples)
        self.judged.judgements = pl.concat([self.judged.judgements, judgements])
        self.judged.results = pl.concat([self.judged.results, made])
        self.judged.tally, self.judged.borrowed = self.hearing.tally, self.hearing.borrowed

    def row(self, name: str, example: Example, item: Item, found: Iterator[Finding]) -> tuple[Any, ...]:
        """One row of table JUDGEMENT."""
        findings = [next(found) for _ in item.cases]
        value, error = item.settled, None
        if findings:
            value, error = valued(example, findings)
        said = [ruling.label for finding in findings for ruling in finding.rulings]
        split = [finding.split for finding in findings if finding.split is not None]
        row = item.row
        answered = item.by == "judge" or row["status"] == "scored"
        about = (name, row["example"], row["cluster"], row["sample"], example.kind, example.lang)
        return (*about, item.by, answered, value, said, error, any(split) if split else None)


def docket(judging: Judging, examples: Mapping[str, Example], verdicts: pl.DataFrame) -> Iterator[Item]:
    """Every reply that counts, with what settles it or what the judge is asked."""
    judge = judging.panel.judge
    for row in verdicts.iter_rows(named=True):
        example = examples[row["example"]]
        if judge.sees("criterion") and not example.rubric:
            continue
        if row["status"] == "error":
            yield Item(row, "nobody")
        elif row["status"] == "refused" or not row["reply"].strip():
            yield Item(row, "rules", 0.0)
        elif judging.everything or example.kind in judge.kinds:
            if not judging.everything and right(judge, example, row):
                yield Item(row, "rules", 1.0)
            else:
                put = cases(judge, example, row["reply"], row["finish"])
                yield Item(row, "judge", cases=tuple(put)) if put else Item(row, "rules", 0.0)
        elif judge.rule == "match" and row["correct"] is not None:
            yield Item(row, "rules", float(row["correct"]))


def right(judge: Judge, example: Example, row: Mapping[str, Any]) -> bool:
    """Whether the judge's rule already calls a reply right."""
    if judge.rule == "match":
        return bool(row["correct"])
    return judge.rule == "span" and spans(row["reply"], example.gold, example.lang)


def spans(reply: str, golds: Sequence[str], lang: str = "en") -> bool:
    """Whether the words of a gold stand in the reply, one after the other.

    >>> spans("It is the left lung, I think.", ["The left lung"]), spans("normality", ["normal"])
    (True, False)
    """
    said = telling(words(reply), lang)
    for gold in golds:
        wanted = telling(words(gold), lang)
        n = len(wanted)
        if n and any(said[place : place + n] == wanted for place in range(len(said) - n + 1)):
            return True
    return False


def valued(example: Example, findings: Sequence[Finding]) -> tuple[float | None, str | None]:
    """The value of a reply: the finding's, or for a rubric the points it earned over the positive ones.

    One criterion without a verdict leaves the reply unscored, whatever its points.
    """
    for finding in findings:
        if finding.value is None:
            return None, finding.problem
    values = [finding.value or 0.0 for finding in findings]
    if not example.rubric or len(values) != len(example.rubric):
        return values[0], None
    return points(example, values), None


def points(example: Example, met: Sequence[float]) -> float:
    """Points earned over the positive points of a rubric; negative where harm outweighs."""
    most = sum(max(item.points, 0.0) for item in example.rubric)
    earned = sum(item.points * value for item, value in zip(example.rubric, met, strict=True))
    return earned / most if most else 0.0


def figures(
    name: str, judgements: pl.DataFrame, examples: Sequence[Example], judge: Judge, samples: int
) -> pl.DataFrame:
    """The judged figure of a benchmark and of its subgroups, as table RESULT."""
    if judgements.is_empty():
        return pl.DataFrame(schema=RESULT)
    metric = f"judged_{judge.measure}"
    if judge.measure == "accuracy" and samples > 1:
        metric = f"judged_mean@{samples}"
    heard = judgements.filter(pl.col("by") == "judge")["value"].mean()
    usual = float(heard) if isinstance(heard, float) else None
    parts = [("", judgements), *groups(judgements, examples)]
    rows = [
        {"benchmark": name, "metric": metric, "group": group, **figure(part, usual)} for group, part in parts
    ]
    return pl.DataFrame(rows, schema=RESULT)


def figure(judgements: pl.DataFrame, usual: float | None) -> dict[str, Any]:
    """The mean of the values with its interval, n, unanswered and unscored.

    Only some replies are put to the judge, so leaving out those without a verdict would flatter: the value
    takes them to be worth what judged replies are usually worth, and the interval reaches from all of them
    worth 0 to all worth 1. Without any verdict there is no value.
    """
    known = judgements.filter(pl.col("value").is_not_null())
    missing = pl.col("value").is_null() & (pl.col("by") == "judge")
    company = {
        "n": known.height,
        "unanswered": known.filter(~pl.col("answered")).height,
        "unscored": judgements.height - known.height,
    }
    if judgements.filter(missing).is_empty():
        return {**spread(known)._asdict(), **company}
    ends = [
        spread(judgements.with_columns(value=pl.when(missing).then(pl.lit(end)).otherwise("value")))
        for end in (0.0, 1.0)
    ]
    value = float("nan")
    if usual is not None:
        lost = judgements.filter(missing).height
        value = (float(known["value"].sum()) + lost * usual) / (known.height + lost)
    return {"value": value, "low": ends[0].low, "high": ends[1].high, **company}


def spread(judgements: pl.DataFrame) -> Interval:
    """The mean of the values there are, with its interval; clipped to [0, 1]."""
    known = judgements.filter(pl.col("value").is_not_null())
    values, clusters = known["value"].to_list(), units(known)
    if set(values) <= {0.0, 1.0} and len(set(clusters)) == len(values):
        return wilson(int(sum(values)), len(values))
    value, low, high = clustered(values, clusters)
    return Interval(min(max(value, 0.0), 1.0), min(low, 1.0), max(high, 0.0))
