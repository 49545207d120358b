"""Who stays: so many questions of each source, cell and kind as are wanted, drawn by a seeded hash."""

from collections import Counter
from collections.abc import Iterable, Mapping

import polars as pl

from medbench import difficulty, store
from medbench.builders import bands, steps, tagging
from medbench.config import digest

CELL = ("modality", "task", "level")
"""What makes a cell."""

OVER = "cell limit"
"""Why rows are dropped that a cell has no room for."""


def balanced(
    table: pl.DataFrame, quotas: Mapping[str, int], most: int, cells: Mapping[str, int], seed: int
) -> pl.DataFrame:
    """`table` with the kept rows dropped for which their source or their cell has no room.

    `quotas` are rows per source (column `pool`), `most` rows per cell, `cells` a condition in SQL → how many
    rows should fulfil it. In a seeded order each condition takes its rows first, then all take what is left.
    """
    rows = steps.kept(table)
    order = sorted(rows.select("id", "pool", *CELL).iter_rows(), key=lambda row: digest([seed, row[0]]))
    taken: dict[str, str] = {}
    sizes: Counter[object] = Counter()

    def full(row: tuple[str, ...]) -> str | None:
        if sizes[row[1]] >= quotas[row[1]]:
            return "quota"
        return OVER if sizes[row[2:]] >= most else None

    def take(some: Iterable[tuple[str, ...]]) -> None:
        for row in some:
            if row[0] not in taken and not full(row):
                taken[row[0]] = row[1]
                sizes.update((row[1], row[2:]))

    for condition, least in cells.items():
        wanted = set(store.select(rows, condition)["id"])
        for row in order:
            if row[0] in wanted and len(wanted & taken.keys()) < least:
                take([row])
    take(order)
    left = {row[0]: full(row) or "quota" for row in order if row[0] not in taken}
    return bands.drop_each(table, left)


def checked(conditions: Iterable[str]) -> None:
    """Refuse conditions that no table of rows understands, before anything is asked."""
    empty = steps.begin([], []).with_columns(pool=pl.lit(None, pl.String))
    empty = bands.beside(empty, tagging.columns([], {}))
    empty = steps.rated(empty, difficulty.DIFFICULTY.to_frame())
    for condition in conditions:
        store.select(empty, condition)


def shortages(
    table: pl.DataFrame, quotas: Mapping[str, int], most: int, cells: Mapping[str, int]
) -> list[str]:
    """A phrase for each quota and condition that is not filled: by how much, and what the cells cost."""
    kept = steps.kept(table)
    found = []
    for name, quota in quotas.items():
        lack = quota - kept.filter(pl.col("pool") == name).height
        over = table.filter((pl.col("pool") == name) & (pl.col("dropped_by") == OVER)).height
        cost = f"; {over:,} more were over the {most:,} of a cell, see max_cell" if over else ""
        if lack > 0:
            found.append(f"{name} has {quota - lack:,} of {quota:,} ({lack:,} short{cost})")
    for condition, least in cells.items():
        have = store.select(kept, condition).height
        if have < least:
            found.append(f"{condition} has {have:,} of {least:,} ({least - have:,} short)")
    return found
