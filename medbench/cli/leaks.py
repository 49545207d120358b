"""`medbench check leaks`: which training items give a test question away, and what could not be looked at."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from medbench.cli import render
from medbench.errors import UsageError

if TYPE_CHECKING:
    import polars as pl

    from medbench.builders.contamination import Tests
    from medbench.catalog import Catalog, Place
    from medbench.schema import Example

SHOWN = 10
"""Pairs printed; --out writes all."""


def of(names: Sequence[str], json_out: bool, out: Path | None, known: "Catalog", place: "Place") -> None:
    """Print which items of a dataset, or of a split of a source (`vqa-rad:train`), leak which test questions.

    Leaves with 1 where there are any. Of no question the words are shown, only names.
    """
    from medbench.builders import contamination

    if len(names) != 1:
        raise UsageError("leaks are looked for in one dataset", "medbench check leaks DATASET")
    if out is not None and out.suffix not in (".parquet", ".jsonl"):
        raise UsageError(f"--out {out}: pairs are written as .parquet or .jsonl", f"--out {out.stem}.parquet")
    examples = training(names[0], known, place)
    own = {(example.source, example.split) for example in examples}
    tests = contamination.tests(known, place, own=own)
    leaks = contamination.find(examples, tests, place.images)
    if out is not None:
        write(leaks, out)
    show(names[0], examples, tests, leaks, json_out)
    if leaks.height:
        raise typer.Exit(1)


def training(name: str, known: "Catalog", place: "Place") -> Sequence["Example"]:
    """The items of a dataset, or of a source's split."""
    from medbench import store
    from medbench.schema import records

    source, colon, split = name.partition(":")
    if colon:
        known.source(source)
        return known.training_rows(source, split, place).examples
    return records(store.dataset(place.home, name).table())


def write(leaks: "pl.DataFrame", out: Path) -> None:
    """All pairs as a file."""
    from medbench.files import write_whole

    write_whole(out, leaks.write_parquet if out.suffix == ".parquet" else leaks.write_ndjson)


def show(
    name: str, examples: Sequence["Example"], tests: "Tests", leaks: "pl.DataFrame", json_out: bool
) -> None:
    """Print what was found, what it was held against, and what it was not."""
    import polars as pl

    counts = (
        leaks.group_by("benchmark", "how")
        .agg(pl.col("example").n_unique().alias("training"), pl.col("test").n_unique().alias("tests"))
        .sort("benchmark", "how")
    )
    if json_out:
        typer.echo(json.dumps(as_object(name, examples, tests, leaks, counts)))
        return
    said = f"{leaks['example'].n_unique():,} of {len(examples):,} training items give a test question away"
    typer.echo(f"{name}: {said}")
    if leaks.height:
        render.table(["benchmark", "how", "training items", "test items"], counts.rows())
        shown = leaks.head(SHOWN).select("example", "test", "how", "score")
        render.table(shown.columns, shown.rows(), title=f"first {shown.height} of {leaks.height:,} pairs")
    for note in tests.notes:
        typer.echo(note)
    for benchmark, reason in tests.absent.items():
        render.say(f"not looked at: {benchmark}: {reason}")


def as_object(
    name: str,
    examples: Sequence["Example"],
    tests: "Tests",
    leaks: "pl.DataFrame",
    counts: "pl.DataFrame",
) -> dict[str, Any]:
    """The findings for JSON."""
    return {
        "checked": name,
        "items": len(examples),
        "leaking": leaks["example"].n_unique(),
        "found": counts.to_dicts(),
        "pairs": leaks.to_dicts(),
        "against": {
            benchmark: {"questions": len(rows), "revision": tests.revisions[benchmark]}
            for benchmark, rows in tests.examples.items()
        },
        "images": len(tests.shown),
        "absent": dict(tests.absent),
    }
