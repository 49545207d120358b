"""Replies put to a panel of judges: what it is asked, and the figures that come of it.

The rules speak first, and the judge is asked about what they leave; or about everything. A reply on which
there is no verdict is unscored, never wrong: it widens the interval from all such replies wrong to all right.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from medbench.errors import UsageError
from medbench.evaluators.metrics import groups, macro, units
from medbench.inference.purse import Purse, tokens_in
from medbench.judges import Finding, Hearing, Panel
from medbench.judges import certificate as certificates
from medbench.judges.docket import Given, Item, docket, least, valued
from medbench.judges.hearing import asked
from medbench.rubrics import Judge
from medbench.runs import Run
from medbench.schema import RESULT, Example
from medbench.solve import Estimate, Progress, Tally, silent
from medbench.stats import Interval, clustered, wilson

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
        "least": pl.Float64,
        "said": pl.List(pl.String),
        "error": pl.String,
        "split": pl.Boolean,
    }
)
"""One row per reply that counts in a judged figure. `by` is `rules`, `judge`, or `nobody` (the reply's own
call failed); `value` is null where nobody could tell and `error` says why, and `least` is the lowest it can
be; `said` holds the labels, one per seat."""


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
        judge = self.panel.judge
        asked = {"all": self.everything, "rule": judge.rule, "kinds": judge.kinds, "measure": judge.measure}
        return {**self.panel.identity, **asked}


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
        judge, everything = self.judged.judging.panel.judge, self.judged.judging.everything
        items = []
        for row in verdicts.iter_rows(named=True):
            given = Given(
                row["reply"], "error" if row["status"] == "error" else row["finish"], row["correct"]
            )
            if item := docket(judge, examples[row["example"]], given, everything=everything):
                items.append((row, item))
        found = iter(self.hearing.hear(f"{name} judge", [case for _, item in items for case in item.cases]))
        rows = [self.row(name, examples[row["example"]], row, item, found) for row, item in items]
        judgements = pl.DataFrame(rows, schema=JUDGEMENT, orient="row")
        made = figures(name, judgements, list(examples.values()), judge, samples)
        self.judged.judgements = pl.concat([self.judged.judgements, judgements])
        self.judged.results = pl.concat([self.judged.results, made])
        self.judged.tally, self.judged.borrowed = self.hearing.tally, self.hearing.borrowed

    def row(
        self, name: str, example: Example, row: Mapping[str, Any], item: Item, found: Iterator[Finding]
    ) -> tuple[Any, ...]:
        """One row of table JUDGEMENT."""
        findings = [next(found) for _ in item.cases]
        judge = self.judged.judging.panel.judge
        value, error = valued(judge, example, findings) if findings else (item.value, None)
        by = "judge" if findings else "nobody" if value is None else "rules"
        said = [ruling.label for finding in findings for ruling in finding.rulings]
        split = [finding.split for finding in findings if finding.split is not None]
        answered = by == "judge" or row["status"] == "scored"
        about = (name, row["example"], row["cluster"], row["sample"], example.kind, example.lang)
        return (
            *about,
            by,
            answered,
            value,
            least(judge, example),
            said,
            error,
            any(split) if split else None,
        )


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
    worth the least (0, less for a rubric with negative points) to all worth 1. Without any verdict there is
    no value.
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
        spread(judgements.with_columns(value=pl.when(missing).then(end).otherwise("value")))
        for end in (pl.col("least"), pl.lit(1.0))
    ]
    value = float("nan")
    if usual is not None:
        lost = judgements.filter(missing).height
        value = (float(known["value"].sum()) + lost * usual) / (known.height + lost)
        value = min(max(value, 0.0), 1.0)
    return {"value": value, "low": ends[0].low, "high": ends[1].high, **company}


def spread(judgements: pl.DataFrame) -> Interval:
    """The mean of the values there are, with its interval; clipped to [0, 1]."""
    known = judgements.filter(pl.col("value").is_not_null())
    values, clusters = known["value"].to_list(), units(known)
    if set(values) <= {0.0, 1.0} and len(set(clusters)) == len(values):
        return wilson(int(sum(values)), len(values))
    if len(set(values)) == 1:
        values = [min(max(value, 0.0), 1.0) for value in values]
    value, low, high = clustered(values, clusters)
    return Interval(min(max(value, 0.0), 1.0), min(low, 1.0), max(high, 0.0))


def average(name: str, judgements: pl.DataFrame, measure: str) -> pl.DataFrame:
    """The unweighted mean of the judged figures of several benchmarks, as one row of table RESULT.

    Replies without a verdict count as the judged ones of their benchmark, and widen the interval to both
    ends; there is no value where a benchmark has no verdict at all.
    """
    missing = pl.col("value").is_null() & (pl.col("by") == "judge")
    heard = pl.col("value").filter(pl.col("by") == "judge").mean().over("benchmark")
    status = pl.when("answered").then(pl.lit("scored")).otherwise(pl.lit("no_answer"))
    table = judgements.with_columns(
        status=pl.when(pl.col("by") == "nobody").then(pl.lit("error")).otherwise(status), usual=heard
    )
    ends = {}
    for end, value in {"value": pl.col("usual"), "low": pl.col("least"), "high": pl.lit(1.0)}.items():
        filled = table.with_columns(correct=pl.when(missing).then(value).otherwise("value"))
        harmful = pl.col("correct").mean().over("benchmark") < 0
        ends[end] = macro(name, filled.with_columns(correct=pl.when(harmful).then(0.0).otherwise("correct")))
    unheard = table.filter(missing)
    known = unheard["usual"].null_count() == 0
    return ends["value"].with_columns(
        metric=pl.lit(f"judged_macro_{measure}"),
        value=pl.col("value") if known else pl.lit(float("nan")),
        low=ends["low"]["low"],
        high=ends["high"]["high"],
        n=pl.lit(judgements["value"].count(), pl.Int64),
        unscored=pl.lit(judgements["value"].null_count(), pl.Int64),
    )


def estimated(judging: Judging, examples: Sequence[Example], samples: int) -> Estimate:
    """What a judge would be asked at most: about each question of its kinds, replies as long as golds."""
    judge = judging.panel.judge
    put = []
    for example in examples:
        given = Given(" / ".join(example.gold) or "nothing", "stop", False)
        item = docket(judge, example, given, everything=judging.everything)
        put += [asked(seat, case, 0) for case in (item.cases if item else ()) for seat in judging.panel.seats]
    n = samples * len(put)
    most = max((seat.judge.sampling.max_tokens for seat in judging.panel.seats), default=0)
    return Estimate(n, samples * tokens_in(put), n * most)


def refuse_idle(judging: Judging | None, examples: Sequence[Example]) -> None:
    """Refuse a judge that has nothing to judge among some questions. Raises UsageError."""
    if judging is None:
        return
    judge, name = judging.panel.judge, judging.panel.seats[0].name
    if judge.sees("criterion") and not any(example.rubric for example in examples):
        raise UsageError(f"judge '{name}' judges by rubrics, which no question here has", "another judge")
    if judge.sees("gold") and not any(example.gold for example in examples):
        raise UsageError(f"judge '{name}' compares with a gold, which no question here has", "another judge")
    if not judging.everything and not any(example.kind in judge.kinds for example in examples):
        kinds = ", ".join(judge.kinds)
        raise UsageError(
            f"judge '{name}' is for questions of kind {kinds}, of which there are none", "--judge-all"
        )
