"""Marked tables and pass counts: what a policy finds neither trivial nor hopeless stays."""

from collections.abc import Mapping, Sequence

import polars as pl

from medbench.builders import steps
from medbench.schema import Example


def drop_each(table: pl.DataFrame, reasons: Mapping[str, str]) -> pl.DataFrame:
    """`table` with the kept rows named in `reasons` (id → reason) dropped."""
    for reason in dict.fromkeys(reasons.values()):
        table = steps.drop(table, {i: "" for i, why in reasons.items() if why == reason}, reason)
    return table


def restated(table: pl.DataFrame, examples: Sequence[Example]) -> pl.DataFrame:
    """`table` with its kept rows as `examples` now has them."""
    ids = {example.id for example in examples}
    return pl.concat([table.filter(~pl.col("id").is_in(ids)), steps.begin(examples, [])])


def beside(table: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """`table` with further columns by id; null where there are none."""
    return table.join(more, on="id", how="left", maintain_order="left")


def banded(table: pl.DataFrame, band: tuple[int, int], samples: int) -> pl.DataFrame:
    """Drops rows with fewer or more right samples than the band has, and those it cannot be told of.

    A question whose asking was stopped early is in the band if it can no longer leave it.
    """
    low, high = band
    right, open_to = pl.col("n_correct").fill_null(0), samples - pl.col("n_scored").fill_null(0)
    never = right + open_to < low
    always = right > high
    unsure = ~((right >= low) & (right + open_to <= high))
    for condition, reason in (
        (never, f"fewer than {low} of {samples} right" if low > 1 else "never right"),
        (always, f"more than {high} of {samples} right" if high < samples - 1 else "always right"),
        (unsure, "too few scored samples"),
    ):
        table = steps.drop(table, dict.fromkeys(steps.kept(table).filter(condition)["id"], ""), reason)
    return table
