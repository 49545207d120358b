"""The only file that knows rich: tables on stdout, progress on stderr."""

import json
import logging
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import polars as pl

    from medbench.evaluators.metrics import Paired
    from medbench.inference.purse import Purse
    from medbench.solve import Estimate, Progress, Tally


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> None:
    """A table on stdout; figures are set right."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else 150, highlight=False)
    drawn = Table(box=SIMPLE, title=Text(title) if title else None, title_justify="left")
    for i, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[i], int | float) or row[i] == "" for row in rows)
        drawn.add_column(Text(name), justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*[Text(cell(value)) for value in row])
    console.print(drawn)


def cell(value: Any) -> str:
    """A value as a table shows it."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def results(found: "pl.DataFrame", run: str, judged: Mapping[str, Any] | None = None) -> None:
    """The result table of a run: the whole figures, without subgroups; judged ones say how calibrated."""
    import polars as pl

    from medbench.cli.certificates import mark

    columns = ["benchmark", "metric", "value", "95% CI", "n", "unanswered", "unscored"]
    whole = found.filter(pl.col("group") == "").to_dicts()
    rows = [result_row(row) for row in whole]
    if judged:
        columns.append("judge")
        told = [mark(judged) if row["metric"].startswith("judged_") else "" for row in whole]
        rows = [[*row, said] for row, said in zip(rows, told, strict=True)]
    table(columns, rows, title=f"run {run}")


def published(columns: Sequence[str], rows: Sequence[Sequence[Any]], legend: Sequence[str]) -> None:
    """The published numbers of a benchmark, if there are any, and what their protocols are."""
    if rows:
        table(columns, rows, title="published numbers: compare within one protocol only")
    for line in legend:
        typer.echo(f"  {line}")


def groups(found: "pl.DataFrame") -> None:
    """The subgroup figures of a run."""
    import polars as pl

    parts = found.filter(pl.col("group") != "")
    rows = [[r["benchmark"], r["group"], *result_row(r)[2:]] for r in parts.iter_rows(named=True)]
    if rows:
        table(["benchmark", "group", "value", "95% CI", "n", "unanswered", "unscored"], rows)


def result_row(row: Mapping[str, Any]) -> list[Any]:
    """A Result as a table row."""
    interval = f"{row['low']:.3f}–{row['high']:.3f}"
    return [
        row["benchmark"],
        row["metric"],
        row["value"],
        interval,
        row["n"],
        row["unanswered"],
        row["unscored"],
    ]


def pairs(compared: Mapping[str, "Paired"], names: tuple[str, str]) -> None:
    """A paired comparison: a row per benchmark."""
    columns = [
        "benchmark",
        "n",
        "units",
        "first",
        "second",
        "difference",
        "95% CI",
        "gained",
        "lost",
        "p (exact)",
    ]
    rows = []
    for name, pair in compared.items():
        p = f"{pair.p:.3f}" if pair.p >= 0.001 else "<0.001"
        interval = f"{pair.low:+.3f} to {pair.high:+.3f}"
        figures = [pair.first, pair.second, f"{pair.difference:+.3f}", interval, pair.gained, pair.lost, p]
        rows.append([name, pair.n, pair.units, *figures])
    table(columns, rows, title=f"first: {names[0]}   second: {names[1]}")


def left_out(tables: Sequence["pl.DataFrame"], compared: int) -> None:
    """Say how many questions of two runs have no scored partner in the other."""
    counts = [table.select("benchmark", "example").unique().height for table in tables]
    if rest := sum(counts) - 2 * compared:
        say(f"{rest:,} questions that only one of the runs scored are left out")


def estimates(found: Mapping[str, "Estimate"], purse: "Purse", json_out: bool) -> None:
    """What a dry run says, a row per benchmark."""
    rows = [
        {
            "benchmark": name,
            **asdict(item),
            "cost_at_most": purse.at_most(item.tokens_in, item.images, item.tokens_out_at_most),
        }
        for name, item in found.items()
    ]
    if json_out:
        typer.echo(json.dumps({"dry_run": rows}))
        return
    columns = [
        "benchmark",
        "requests",
        "tokens in (about)",
        "tokens out (at most)",
        "images",
        "US$ (at most)",
    ]
    table(columns, [list(row.values()) for row in rows])


def spent(tally: "Tally") -> None:
    """One line on what was used."""
    cost = f", US$ {tally.cost:.2f}" if tally.cost else ""
    say(f"{tally.done:,} replies, {tally.tokens_in:,} tokens in, {tally.tokens_out:,} out{cost}")


def hint(command: str) -> None:
    """The next command to try."""
    say(f"next: {command}")


def say(line: str) -> None:
    """A line of talk, on stderr; --quiet silences it."""
    if logging.getLogger().isEnabledFor(logging.WARNING):
        typer.echo(line, err=True)


class Lines:
    """Progress for a stream that is no terminal: a line every ten seconds and at each end."""

    def __init__(self, every: float = 10.0) -> None:
        self.every = every
        self.shown = time.monotonic()
        self.ended = ("", 0)
        self.pace = Pace()

    def __call__(self, tally: "Tally") -> None:
        """Say where the asking stands, if it is time."""
        rate = self.pace(tally)
        now = time.monotonic()
        ends = tally.done == tally.total and self.ended != (tally.stage, tally.total)
        if now - self.shown >= self.every or ends:
            self.shown = now
            self.ended = (tally.stage, tally.total) if ends else self.ended
            say(f"{tally.stage}  {standing(tally, rate)}")


class Pace:
    """New replies per second in the current stage; replies read back from a journal do not count."""

    def __init__(self) -> None:
        self.stage = ""
        self.began = self.last = time.monotonic()

    def __call__(self, tally: "Tally") -> float:
        """The rate at this tally."""
        if tally.stage != self.stage:
            self.stage, self.began = tally.stage, self.last
        self.last = time.monotonic()
        elapsed = self.last - self.began
        return (tally.done - tally.resumed) / elapsed if elapsed > 0 else 0.0


def standing(tally: "Tally", rate: float) -> str:
    """done/total, rate, time left, tokens, running accuracy, failures and cost in one line."""
    left = (tally.total - tally.done) / rate if rate else 0.0
    accuracy = f"{tally.correct / tally.scored:.3f}" if tally.scored else "–"
    parts = [
        f"{tally.done:,}/{tally.total:,}",
        f"{rate:,.1f}/s",
        f"{clock(left)} left",
        f"{tally.tokens_in + tally.tokens_out:,} tokens",
        f"{tally.rate} {accuracy}",
    ]
    if tally.failed:
        parts.append(f"{tally.failed:,} failed")
    if tally.cost:
        parts.append(f"US$ {tally.cost:.2f}")
    return "  ".join(parts)


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def progress() -> Iterator["Progress"]:
    """A progress callback: a live line on a terminal, now and then a line elsewhere."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    pace = Pace()
    with Live(console=Console(stderr=True), refresh_per_second=8, transient=False) as live:
        shown = 0.0

        def update(tally: "Tally") -> None:
            nonlocal shown
            rate, now = pace(tally), time.monotonic()
            if now - shown >= 0.1 or tally.done == tally.total:
                shown = now
                live.update(Text(f"{tally.stage}  {standing(tally, rate)}"))

        yield update


@contextmanager
def training() -> Iterator[Any]:
    """A callback for training steps: reward, KL, length, share of groups without signal, time left."""
    began = last = time.monotonic()

    def update(step: int, total: int, metrics: Mapping[str, Any]) -> None:
        nonlocal last
        now = time.monotonic()
        if step < total and (step == 1 or now - last < 5.0):
            return
        last = now
        left = (now - began) / max(step, 1) * (total - step)
        shown = [f"{name} {value:.3g}" for name, value in metrics.items() if isinstance(value, int | float)]
        say(f"step {step:,}/{total:,}  {clock(left)} left  " + "  ".join(shown))

    yield update


def expected(recipe: Any) -> None:
    """The numbers a recipe is known by, with where they come from."""
    rows = [[e.benchmark, e.metric, e.value, e.model, e.provenance, e.source] for e in recipe.expect]
    table(["benchmark", "metric", "value", "model", "provenance", "source"], rows, title="expected")


def record(row: Mapping[str, Any], json_out: bool) -> None:
    """One row, a line per field."""
    if json_out:
        typer.echo(json.dumps(row))
        return
    table(["", ""], [[name, json.dumps(v) if isinstance(v, dict | list) else v] for name, v in row.items()])


def built(made: Any, json_out: bool) -> None:
    """A dataset just built, and what its card notes."""
    if json_out:
        typer.echo(json.dumps({"dataset": f"{made.name}@{made.version}", "rows": made.manifest["rows"]}))
    else:
        counts = sorted(
            made.manifest["rows"].items(), key=lambda one: (one[0] not in ("rows", "dropped"), one)
        )
        figures = ", ".join(f"{count:,} {name}" for name, count in counts)
        typer.echo(f"{made.name}@{made.version}  {figures}\n{made.folder}")
    for note in made.manifest["notes"]:
        say(f"note: {note}")


def dataset(made: Any, json_out: bool) -> None:
    """A dataset: its funnel, its questions by source and level, and how hard they are for each solver."""
    import polars as pl

    from medbench.builders import cards, steps
    from medbench.cli import hardness

    rows, dropped = made.table(), made.table("dropped")
    funnel = steps.funnel(pl.concat([rows, dropped], how="diagonal"))
    counts = cards.counts(rows)
    found = hardness.of(made, rows)
    if json_out:
        parts = {"funnel": funnel.to_dicts(), "counts": counts.to_dicts()}
        parts["difficulty"] = hardness.told(found)
        typer.echo(
            json.dumps({"dataset": f"{made.name}@{made.version}", **parts, "notes": made.manifest["notes"]})
        )
        return
    table(["dropped by", "rows"], funnel.rows(), title=f"{made.name}@{made.version}")
    table(counts.columns, counts.rows())
    if found:
        hardness.spreads(found)
    elif "n_correct" in rows.columns:
        histogram(rows["n_correct"].drop_nulls().to_list(), "samples right")
    for note in made.manifest["notes"]:
        typer.echo(f"note: {note}")
    typer.echo(str(made.folder))


def histogram(values: Sequence[int], title: str) -> None:
    """How often each value occurs, as bars."""
    top = max((values.count(v) for v in set(values)), default=1)
    rows = [[v, values.count(v), "█" * round(40 * values.count(v) / top)] for v in sorted(set(values))]
    table([title, "questions", ""], rows)


def run(folder: Any, json_out: bool, rows: int, gated: set[str]) -> None:
    """A run: what it was, its results and subgroups, how replies were read, some replies if asked."""
    import polars as pl

    from medbench.cli import certificates, hardness
    from medbench.evaluators import with_judge
    from medbench.runs import read_manifest

    manifest = read_manifest(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if manifest["kind"] == "difficulty":
        hardness.run(folder, manifest, json_out)
        return
    if manifest["kind"] in certificates.RUNS:
        certificates.run(folder, manifest["kind"], json_out)
        return
    if manifest["kind"] != "eval":
        record({"run": folder.name, **manifest}, json_out)
        return
    told = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    judged = certificates.renewed(folder, told.get("judge"))
    if json_out:
        typer.echo(json.dumps(with_judge(told, judged) if judged else told))
        return
    found, verdicts = (pl.read_parquet(folder / f"{name}.parquet") for name in ("results", "verdicts"))
    typer.echo(f"model  {config['model']}")
    results(found, folder.name, judged)
    if judged:
        certificates.beside(judged)
    groups(found)
    ways = (
        verdicts.group_by("benchmark", "status", "rule")
        .len("replies")
        .sort("benchmark", "replies", "rule", descending=[False, True, False])
    )
    table(ways.columns, ways.rows(), title="how replies were read")
    failures = verdicts.drop_nulls("error").group_by("error").len("calls").sort("calls", descending=True)
    if failures.height:
        table(failures.columns, failures.head(5).rows(), title="why calls failed")
    if rows:
        some_replies(verdicts.filter(~pl.col("benchmark").is_in(sorted(gated))), rows)


def some_replies(verdicts: "pl.DataFrame", n: int) -> None:
    """The first graded replies, cut to 300 characters. Gated benchmarks are never shown."""
    shown = [
        [r["example"], r["sample"], r["answer"], r["rule"], r["status"], r["correct"], r["reply"][-300:]]
        for r in verdicts.head(n).iter_rows(named=True)
    ]
    table(["example", "sample", "answer", "rule", "status", "correct", "reply (end)"], shown)
