"""How hard questions are for a model: every sample kept, pass counts with their intervals.

Difficulty is data: `SAMPLE` holds one row per reply, `DIFFICULTY` one per question and solver, made from it
alone. Several solvers stand side by side; bands, mixes and quotas are conditions on these tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars as pl

from medbench.config import digest
from medbench.inference.purse import Purse
from medbench.inference.types import Model, kind_of_fault
from medbench.runs import Run
from medbench.schema import VERDICT, Example, as_row
from medbench.solve import Asking, Progress, silent, solve
from medbench.stats import Interval, wilson

ASKED = {
    "dataset": pl.String,
    "example": pl.String,
    "content": pl.String,
    "solver": pl.String,
    "revision": pl.String,
    "prompt": pl.String,
    "temperature": pl.Float64,
    "top_p": pl.Float64,
    "max_tokens": pl.Int32,
    "seed": pl.Int64,
    "wanted": pl.Int32,
    "band_low": pl.Int32,
    "band_high": pl.Int32,
}
"""Who was asked what, and how: the same for all samples of a question.

`content` is a digest of the question as it was put; `solver` a name that may be published; `revision` the
hash of a local model's files, null where a server does not tell; `prompt` its name and hash; `wanted` how
many samples there were to be, and the band those that ended the asking early if it was decided, else null.
"""

GRADED = [name for name in VERDICT if name not in ("benchmark", "example", "cluster", "sample")]

SAMPLE = pl.Schema([*ASKED.items(), ("sample", pl.Int32), *((name, VERDICT[name]) for name in GRADED)])
"""One row per reply asked for; `correct` is null where the call failed."""

DIFFICULTY = pl.Schema(
    {
        **ASKED,
        "n_samples": pl.Int32,
        "n_scored": pl.Int32,
        "n_correct": pl.Int32,
        "pass_rate": pl.Float64,
        "low": pl.Float64,
        "high": pl.Float64,
        "stopped": pl.Boolean,
        "in_band": pl.Boolean,
    }
)
"""One row per question and solver.

`pass_rate` is over the scored samples (null without any) with its 95 % Wilson interval; `stopped` says that
asking ended early because the band was decided, so the counts tell the band and not the rate. `in_band` is
null where no band was set, or where calls failed that could still decide.
"""

MEASUREMENT = tuple(name for name in ASKED if name not in ("example", "content"))
"""The columns that tell one measurement from another."""

COUNTS = ("n_samples", "n_scored", "n_correct", "pass_rate", "low", "high")
"""Columns that say too little where asking stopped early."""


@dataclass(frozen=True)
class Rollouts:
    """Samples to be drawn: for which dataset, by which solver (as it may be published), and how.

    With a `band` of fewest and most right samples, a question is asked no further once it is sure to be in
    it or out of it. The requests are the same either way, so a later run without a band reuses them.
    """

    dataset: str
    solver: str
    asking: Asking
    band: tuple[int, int] | None = None

    @property
    def rounds(self) -> list[int]:
        """Samples asked at a time: as many as could decide a question at the earliest, then one by one."""
        samples = self.asking.samples
        if self.band is None:
            return [samples]
        low, high = self.band
        least = min(low + samples - high, high + 1, samples - low + 1)
        first = min(max(least, 1), samples)
        return [first, *[1] * (samples - first)]


@dataclass(frozen=True)
class Measured:
    """What a solver's replies came to: tables SAMPLE and DIFFICULTY."""

    samples: pl.DataFrame
    table: pl.DataFrame


def content(example: Example) -> str:
    """A digest of what a question asks and what answers it; its id, tags and origin are left out."""
    row = as_row(example)
    return digest([row[name] for name in ("kind", "question", "context", "options", "gold", "images")])


def measure(
    run: Run,
    model: Model,
    examples: Sequence[Example],
    rollouts: Rollouts,
    *,
    purse: Purse | None = None,
    progress: Progress = silent,
) -> Measured:
    """Replies of `model` to each example and the pass counts. A failed call is unscored, never wrong."""
    open_to, first, parts = list(examples), 0, []
    for number in rollouts.rounds:
        if not open_to:
            break
        verdicts = solve(
            run,
            model,
            examples=open_to,
            asking=replace(rollouts.asking, first=first, samples=number),
            stage=rollouts.dataset,
            purse=purse,
            progress=progress,
        )
        parts.append(verdicts)
        first += number
        if rollouts.band is not None:
            sure = decided(pl.concat(parts), rollouts.band, rollouts.asking.samples)
            open_to = [example for example in open_to if example.id not in sure]
    samples = tabled(pl.concat(parts), examples, rollouts) if parts else SAMPLE.to_frame()
    return Measured(samples, table(samples))


def within(low: pl.Expr, high: pl.Expr, wanted: pl.Expr) -> pl.Expr:
    """Whether `n_correct` of `wanted` is in a band, going by `n_scored` so far; null while it is open.

    A sample that is not scored could still be right or wrong.
    """
    right = pl.col("n_correct").cast(pl.Int64)
    most = right + wanted - pl.col("n_scored").cast(pl.Int64)
    return pl.when((right >= low) & (most <= high)).then(True).when((right > high) | (most < low)).then(False)


def decided(verdicts: pl.DataFrame, band: tuple[int, int], samples: int) -> set[str]:
    """The questions that are sure to be in the band, or out of it."""
    counts = verdicts.group_by("example").agg(
        n_correct=pl.col("correct").sum(), n_scored=pl.col("correct").count()
    )
    low, high = pl.lit(band[0]), pl.lit(band[1])
    return set(counts.filter(within(low, high, pl.lit(samples)).is_not_null())["example"])


def tabled(verdicts: pl.DataFrame, examples: Sequence[Example], rollouts: Rollouts) -> pl.DataFrame:
    """Verdicts as table SAMPLE, in the order of the examples and their samples."""
    asking, (low, high) = rollouts.asking, rollouts.band or (None, None)
    asked: dict[str, Any] = {
        "dataset": rollouts.dataset,
        "solver": rollouts.solver,
        "revision": rollouts.solver.rpartition("#")[2] if "#" in rollouts.solver else None,
        "prompt": asking.prompt.label,
        **{name: getattr(asking.sampling, name) for name in ("temperature", "top_p", "max_tokens", "seed")},
        "wanted": asking.samples,
        "band_low": low,
        "band_high": high,
    }
    same = {name: pl.lit(value, SAMPLE[name]) for name, value in asked.items()}
    ids = [example.id for example in examples]
    known = pl.DataFrame(
        {"example": ids, "content": [content(example) for example in examples], "place": range(len(ids))},
        schema_overrides={"example": pl.String, "content": pl.String},
    )
    ordered = verdicts.join(known, on="example").sort("place", "sample")
    errors = pl.col("error").map_elements(kind_of_fault, return_dtype=pl.String)
    return ordered.with_columns(**same, error=errors).select(list(SAMPLE)).cast(dict(SAMPLE))  # type: ignore[arg-type]


def table(samples: pl.DataFrame) -> pl.DataFrame:
    """Table DIFFICULTY of the samples in table SAMPLE."""
    counts = samples.group_by(list(ASKED), maintain_order=True).agg(
        n_samples=pl.len(), n_scored=pl.col("correct").count(), n_correct=pl.col("correct").sum()
    )
    bounds = [wilson(int(c), int(n)) for c, n in counts.select("n_correct", "n_scored").iter_rows()]
    rated = counts.with_columns(
        pass_rate=pl.when(pl.col("n_scored") > 0).then(pl.col("n_correct") / pl.col("n_scored")),
        low=pl.Series([b.low for b in bounds], dtype=pl.Float64),
        high=pl.Series([b.high for b in bounds], dtype=pl.Float64),
        stopped=pl.col("n_samples") < pl.col("wanted"),
        in_band=within(pl.col("band_low"), pl.col("band_high"), pl.col("wanted")),
    )
    return rated.select(list(DIFFICULTY)).cast(dict(DIFFICULTY))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Spread:
    """How one measurement's questions fall: how many had how many samples right.

    Questions whose asking stopped early, and those with samples that nobody scored, are counted apart.
    """

    solver: str
    run: str
    samples: int
    temperature: float
    prompt: str
    histogram: list[int]
    """At place k, the questions with k samples right."""
    stopped_in: int
    stopped_out: int
    unscored: int
    """Questions with a failed call."""

    @property
    def n(self) -> int:
        """All questions."""
        return sum(self.histogram) + self.stopped + self.unscored

    @property
    def stopped(self) -> int:
        """Questions whose counts tell the band, not the rate."""
        return self.stopped_in + self.stopped_out

    @property
    def asked(self) -> str:
        """Samples, temperature and prompt in a few words."""
        return f"{self.samples} at T {self.temperature:g}" + (f", {self.prompt}" if self.prompt else "")


def spreads(table: pl.DataFrame) -> list[Spread]:
    """The histogram of each measurement in a table DIFFICULTY with the column `run`."""
    groups = table.partition_by("run", *MEASUREMENT, maintain_order=True)
    return [spread(part.row(0, named=True), part) for part in groups]


def spread(named: Mapping[str, Any], part: pl.DataFrame) -> Spread:
    """The histogram of one measurement, whose name and ways are in `named`."""
    whole = part.filter(pl.col("n_scored") == pl.col("n_samples"))
    stopped, full = whole.filter("stopped"), whole.filter(~pl.col("stopped"))
    counts = dict(full.group_by("n_correct").len().iter_rows())
    return Spread(
        solver=named["solver"],
        run=named["run"],
        samples=named["wanted"],
        temperature=named["temperature"],
        prompt=str(named["prompt"]).partition("@")[0],
        histogram=[counts.get(n, 0) for n in range(named["wanted"] + 1)],
        stopped_in=stopped.filter(pl.col("in_band")).height,
        stopped_out=stopped.filter(~pl.col("in_band")).height,
        unscored=part.height - whole.height,
    )


def described(item: Spread) -> dict[str, Any]:
    """A spread as JSON."""
    return {**asdict(item), "n": item.n, "stopped": item.stopped}


@dataclass(frozen=True)
class Share:
    """How many questions are in a band: `share` of those of which it can be told, with its interval."""

    inside: int
    outside: int
    open: int
    """Questions with failed calls, or stopped before this could be told."""
    share: Interval

    def cells(self) -> list[Any]:
        """The count, the share and its interval as a table shows them."""
        return [self.inside, self.share.value, f"{self.share.low:.3f}–{self.share.high:.3f}"]

    def figures(self) -> dict[str, float | None]:
        """The share and its interval as JSON; null where nothing can be told."""
        known = self.inside + self.outside
        return {name: value if known else None for name, value in self.share._asdict().items()}


def share(table: pl.DataFrame, band: tuple[int, int]) -> Share:
    """The share of a measurement's questions (table DIFFICULTY) with a number of right samples in `band`.

    A question with a failed call is left out even where the others decide: a right and a wrong reply decide
    sooner than ten alike, so taking it would favour the middle.
    """
    low, high = pl.lit(band[0]), pl.lit(band[1])
    whole = table.filter(pl.col("n_scored") == pl.col("n_samples"))
    told = whole.select(within(low, high, pl.col("wanted")).alias("told"))["told"]
    inside, known = int(told.sum() or 0), int(told.count())
    return Share(inside, known - inside, table.height - known, wilson(inside, known))
