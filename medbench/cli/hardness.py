"""How hard questions are, on the screen and as JSON: the histogram of each measurement, side by side."""

import re
from typing import TYPE_CHECKING, Any

import typer

from medbench.cli import render

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import polars as pl

    from medbench.difficulty import Spread
    from medbench.store import Built


def of(made: "Built", rows: "pl.DataFrame") -> "list[Spread]":
    """The measurements of a dataset's own rows, by its builder and by others.

    A builder also measures questions that it then drops; they are not among these.
    """
    import polars as pl

    from medbench import difficulty, store

    home = made.folder.parents[2]
    measured = store.measured(home, made)
    if measured is None:
        return []
    return difficulty.spreads(measured.filter(pl.col("example").is_in(rows["id"].implode())))


def told(found: "Sequence[Spread]") -> list[dict[str, Any]]:
    """Measurements as JSON."""
    from medbench import difficulty

    return [difficulty.described(item) for item in found]


def run(folder: "Path", manifest: "Mapping[str, Any]", json_out: bool) -> None:
    """A run of `medbench difficulty`: what it was, and its histogram."""
    import polars as pl

    from medbench import difficulty

    table = pl.read_parquet(folder / "difficulty.parquet")
    found = difficulty.spreads(table.with_columns(run=pl.lit(folder.name)))
    what = {"run": folder.name, **manifest}
    if json_out:
        render.record({**what, "difficulty": told(found)}, json_out)
        return
    render.record(what, json_out)
    spreads(found)


def spreads(found: "Sequence[Spread]") -> None:
    """How many questions had how many samples right, a column of figures and bars per measurement."""
    wide = max(6, 32 // len(found))
    columns = ["samples right"]
    rows: list[list[Any]] = [[number] for number in range(1 + max(item.samples for item in found))]
    for item in found:
        columns += [f"{item.solver}\n{item.asked}\n{short(item.run)}", ""]
        top = max(item.histogram) or 1
        bars = [[count, "█" * round(wide * count / top)] for count in item.histogram]
        for number, row in enumerate(rows):
            row += bars[number] if number <= item.samples else ["", ""]
    render.table(columns, rows)
    for item in found:
        if item.stopped or item.unscored:
            apart = f"{item.stopped_in:,} stopped in the band, {item.stopped_out:,} stopped out of it"
            typer.echo(f"not in the column {short(item.run)}: {apart}, {item.unscored:,} with failed calls")


def short(name: str) -> str:
    """A run's name as a column has room for it: its digest, and the number of a fresh attempt.

    >>> short("difficulty-alphamed-19k-64ba9724-2"), short("alphamed-19k@1")
    ('run 64ba9724-2', 'alphamed-19k@1')
    """
    found = re.fullmatch(r"difficulty-.*-([0-9a-f]{8}(-\d+)?)", name)
    return f"run {found[1]}" if found else name
