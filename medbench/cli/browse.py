"""`medbench list`, `show`, `diff`, `check`, `sql`: look, change nothing."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli import leaks
from medbench.cli import options as o
from medbench.errors import SourceError, UsageError, unknown

if TYPE_CHECKING:
    from medbench.catalog import Catalog, Place


def list_things(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="benchmarks, suites, datasets, sources, prompts, profiles, judges, recipes, runs."
        ),
    ] = None,
    json_out: o.Json = False,
    home: o.Home = None,
    catalog: o.CatalogFiles = None,
) -> None:
    """List what there is: benchmarks, suites, datasets, sources, prompts, profiles, judges, recipes, runs.

    Example: medbench list benchmarks
    """
    from medbench.cli import listing, render

    tables = listing.tables(o.catalog_of(catalog), o.home_of(home))
    if kind is not None and kind not in tables:
        raise unknown("kind of thing", kind, tables)
    wanted = {kind: tables[kind]} if kind else tables
    if json_out:
        typer.echo(
            json.dumps(
                {name: [dict(zip(c, row, strict=True)) for row in rows] for name, (c, rows) in wanted.items()}
            )
        )
        return
    for name, (columns, rows) in wanted.items():
        render.table(columns, rows, title=name)


def show(
    name: Annotated[str, typer.Argument(help="A run, a dataset (NAME or NAME@VERSION) or a benchmark.")],
    rows: Annotated[int, typer.Option("--rows", min=0, help="Also show so many graded replies.")] = 0,
    home: o.Home = None,
    catalog: o.CatalogFiles = None,
    json_out: o.Json = False,
) -> None:
    """Show a run's results, a dataset's funnel and difficulty, or a benchmark's row.

    Example: medbench show medqa
    """
    from medbench import runs, store
    from medbench.cli import listing, render

    folder, known = o.home_of(home), o.catalog_of(catalog)
    if name in known.benchmarks:
        render.record(listing.benchmark(known, name), json_out)
        if not json_out:
            (columns, figures), legend = listing.published(name)
            render.published(columns, figures, legend)
    elif name.partition("@")[0] in known.datasets or store.versions(folder, name.partition("@")[0]):
        render.dataset(store.dataset(folder, name), json_out)
    else:
        render.run(runs.find_run(folder, name), json_out, rows, listing.gated(known))


def diff(
    first: Annotated[str, typer.Argument(help="A run.")],
    second: Annotated[str, typer.Argument(help="Another run.")],
    judge: o.Judges = None,
    panel: o.PanelVerdict = "majority",
    reuse_verdicts: o.ReuseVerdicts = False,
    settings: o.JudgeSet = None,
    tolerance: o.Tolerance = 0.01,
    fresh: o.Fresh = False,
    concurrency: o.Concurrency = 32,
    timeout: o.Timeout = 600.0,
    retries: o.Retries = 5,
    price: o.PriceOption = None,
    max_cost: o.MaxCost = None,
    home: o.Home = None,
    mirror: o.Mirror = None,
    catalog: o.CatalogFiles = None,
    lock: o.Lock = None,
    json_out: o.Json = False,
) -> None:
    """Compare two evaluation runs, paired on the same questions, with an exact test.

    With --judge preference=MODEL a judge says instead which replies are better, each pair in both orders.

    Example: medbench diff qa6-1a2b qa6-3c4d
    """
    if judge or reuse_verdicts or settings or panel != "majority":
        from medbench.cli import preference
        from medbench.config import override
        from medbench.inference import Options

        known, place = o.catalog_of(catalog), o.place_of(home, mirror, lock)
        running, drawn = Options(concurrency, timeout, retries), override({}, settings or ())
        by = o.judging_of(judge, panel, False, reuse_verdicts, known, place.home, running, drawn, pairs=True)
        assert by is not None  # without a judge the options are refused
        paying = o.purse_of(price, max_cost)
        return preference.of(first, second, by, known, place, paying, fresh, tolerance, json_out)
    return compared(first, second, home, json_out)


def compared(first: str, second: str, home: Path | None, json_out: bool) -> None:
    """Print two runs paired on the same questions."""
    import polars as pl

    from medbench import runs
    from medbench.cli import render
    from medbench.evaluators import finite
    from medbench.evaluators.metrics import Paired, compare

    folders = [runs.find_run(o.home_of(home), name) for name in (first, second)]
    tables = []
    for folder in folders:
        if runs.read_manifest(folder).get("kind") != "eval":
            raise UsageError(f"run {folder.name} is not an evaluation")
        tables.append(pl.read_parquet(folder / "verdicts.parquet"))
    shared = [
        b for b in tables[0]["benchmark"].unique(maintain_order=True) if b in set(tables[1]["benchmark"])
    ]
    if not shared:
        raise UsageError("the two runs share no benchmark")
    compared: dict[str, Paired] = {}
    for name in shared:
        compared[name] = compare(*[table.filter(pl.col("benchmark") == name) for table in tables])
    plain = [name for name in shared if ":" not in name]  # a control is not more of the same
    if len(plain) > 1:
        compared["all"] = compare(*[table.filter(pl.col("benchmark").is_in(plain)) for table in tables])
    names = (folders[0].name, folders[1].name)
    asked = [table.filter(~pl.col("benchmark").str.contains(":", literal=True)) for table in tables]
    render.left_out(asked, sum(compared[name].n for name in plain))
    if json_out:
        typer.echo(
            json.dumps(
                {
                    "first": names[0],
                    "second": names[1],
                    "pairs": {n: finite(p._asdict()) for n, p in compared.items()},
                }
            )
        )
    else:
        render.pairs(compared, names)


def check(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Benchmarks or suites; default: all that are here. Or: leaks DATASET."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="With leaks: a .parquet or .jsonl file for all pairs.")
    ] = None,
    json_out: o.Json = False,
    home: o.Home = None,
    mirror: o.Mirror = None,
    catalog: o.CatalogFiles = None,
    lock: o.Lock = None,
    update_lock: o.UpdateLock = None,
) -> None:
    """Check benchmarks without a model.

    Counts, bad rows, unreadable images, repeated questions, what the training split holds too, and that every
    gold passes its own scorer.

    `check leaks DATASET` looks instead for test questions and test images in training data: a built dataset,
    or a split of a source (vqa-rad:train). It exits 1 when it finds any.

    Example: medbench check medqa --mirror DIR
    """
    from medbench.cli import findings
    from medbench.evaluators import lint

    if names and names[0] == "leaks":
        leaks.of(names[1:], json_out, out, o.catalog_of(catalog), o.place_of(home, mirror, lock, update_lock))
        return
    if out is not None:
        raise UsageError("--out is for leaks", "medbench check leaks DATASET --out FILE.parquet")
    known, place = o.catalog_of(catalog), o.place_of(home, mirror, lock, update_lock)
    found: list[lint.Lint] = []
    absent: dict[str, SourceError] = {}
    for name in expanded(known, names or here(known, place)):
        try:
            found.append(lint.check(name, known, place))
        except SourceError as problem:
            absent[name] = problem
    findings.lints(found, {name: problem.what for name, problem in absent.items()}, json_out)
    if any(item.failed for item in found):
        raise typer.Exit(1)
    if absent and (names or not found):
        raise next(iter(absent.values()))


def here(known: "Catalog", place: "Place") -> list[str]:
    """All benchmarks, or without a mirror those whose source was fetched before: looking fetches nothing."""
    from medbench.sources import pins

    held = pins(place)
    return [
        name
        for name, row in known.benchmarks.items()
        if place.mirror or known.sources[row.source].packaged or row.source in held
    ]


def expanded(known: "Catalog", names: list[str]) -> list[str]:
    """Benchmark names, suites replaced by theirs."""
    wanted: list[str] = []
    for name in names:
        wanted += known.suite(name) if name in known.suites else [name]
    for name in wanted:
        known.benchmark(name)
    return list(dict.fromkeys(wanted))


def sql(
    query: Annotated[
        str,
        typer.Argument(
            help="A SELECT over verdicts, results, training, difficulty, samples, images, the datasets."
        ),
    ],
    home: o.Home = None,
    json_out: o.Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
) -> None:
    """Ask the tables of all runs and datasets in SQL (DuckDB).

    Example: medbench sql "select run, benchmark, value from results order by value desc"
    """
    from medbench import store
    from medbench.cli import render

    answer = store.sql(o.home_of(home), query)
    if csv:
        typer.echo(answer.write_csv(), nl=False)
    elif json_out:
        typer.echo(f'{{"rows": {answer.write_json()}}}')
    else:
        render.table(answer.columns, answer.rows())
