"""Steps from table to table. A row is never lost: it is marked `dropped_by`, with the first reason.

Every step takes and gives an Example table with two more columns: `dropped_by` (null while the row is
kept) and `detail` (what it collided with, say). No step reads, asks, prints or draws at random
without a seed.
"""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from medbench.adapters import Drop, defects
from medbench.builders.leaks import Leaks, gold_words, item_key
from medbench.config import digest
from medbench.schema import Example, frame

COUNTS = ("n_samples", "n_scored", "n_correct", "pass_rate", "pass_low", "pass_high", "stopped")
"""What rows tell of their difficulty."""

MARKS = {"dropped_by": pl.String, "detail": pl.String}


def begin(examples: Sequence[Example], dropped: Iterable[Drop]) -> pl.DataFrame:
    """Examples, and the source rows that were no examples, as one marked table."""
    kept = frame(examples).with_columns(pl.lit(None, kind).alias(name) for name, kind in MARKS.items())
    lost = [{"id": drop.id, "dropped_by": drop.reason} for drop in dropped]
    return pl.concat([kept, pl.DataFrame(lost, schema=kept.schema)])


def drop(table: pl.DataFrame, reasons: Mapping[str, str], because: str) -> pl.DataFrame:
    """`table` with the kept rows named in `reasons` (id -> detail) dropped."""
    hit = pl.col("id").is_in(list(reasons)) & pl.col("dropped_by").is_null()
    detail = pl.col("id").replace_strict(reasons, default=None, return_dtype=pl.String)
    return table.with_columns(
        dropped_by=pl.when(hit).then(pl.lit(because)).otherwise("dropped_by"),
        detail=pl.when(hit).then(detail).otherwise("detail"),
    )


def kept(table: pl.DataFrame) -> pl.DataFrame:
    """The rows still in."""
    return table.filter(pl.col("dropped_by").is_null())


def sound(table: pl.DataFrame, examples: Sequence[Example]) -> pl.DataFrame:
    """Drops rows with defects: duplicated or empty options."""
    faults = {example.id: "; ".join(found) for example in examples if (found := defects(example))}
    return drop(table, faults, "defective options")


def counted(table: pl.DataFrame, examples: Sequence[Example], options: int | None) -> pl.DataFrame:
    """Drops rows with another number of options than `options`; None keeps all."""
    if options is None:
        return table
    counts = {e.id: f"{len(e.options)} options" for e in examples if len(e.options) != options}
    return drop(table, counts, f"not {options} options")


def dedupe(table: pl.DataFrame, examples: Sequence[Example]) -> pl.DataFrame:
    """Drops rows that repeat an earlier one in any option order; all of them when their golds differ.

    Rows dropped before are not looked at: a defective row does not take its repaired twin with it.
    """
    alive = set(kept(table)["id"])
    groups: dict[tuple[object, ...], list[Example]] = {}
    for example in examples:
        if example.id in alive:
            groups.setdefault(item_key(example), []).append(example)
    again: dict[str, str] = {}
    contradictory: dict[str, str] = {}
    for first, *rest in groups.values():
        if len({gold_words(example) for example in (first, *rest)}) > 1:
            contradictory |= dict.fromkeys((e.id for e in rest), first.id) | {first.id: rest[0].id}
        else:
            again |= dict.fromkeys((e.id for e in rest), first.id)
    return drop(drop(table, again, "duplicate"), contradictory, "contradictory golds")


def decontaminate(table: pl.DataFrame, examples: Sequence[Example], tests: Iterable[Example]) -> pl.DataFrame:
    """Drops training rows that leak a test question; `detail` names it."""
    leaks = Leaks(tests)
    found = {example.id: hit for example in examples if (hit := leaks.find(example))}
    return drop(table, found, "leaks a test question")


def rated(table: pl.DataFrame, counts: pl.DataFrame) -> pl.DataFrame:
    """`table` with the pass counts of one solver's table DIFFICULTY; null where there are none."""
    columns = counts.rename({"example": "id", "low": "pass_low", "high": "pass_high"}).select("id", *COUNTS)
    return table.join(columns, on="id", how="left", maintain_order="left")


def quota(table: pl.DataFrame, by: Sequence[str], most: int, *, seed: int) -> pl.DataFrame:
    """Drops what exceeds `most` kept rows per cell of `by`; a seeded hash of the id decides who stays."""
    rows = kept(table).select("id", *by)
    order = rows.with_columns(lot=pl.Series([digest([seed, i]) for i in rows["id"]], dtype=pl.String)).sort(
        "lot"
    )
    spare = order.filter(pl.int_range(pl.len()).over(by) >= most)
    return drop(table, dict.fromkeys(spare["id"], f"over {most}"), "quota")


def funnel(table: pl.DataFrame) -> pl.DataFrame:
    """How many rows each reason dropped, most first, then how many are kept."""
    lost = (
        table.drop_nulls("dropped_by")
        .group_by("dropped_by")
        .len("rows")
        .sort("rows", "dropped_by", descending=[True, False])
    )
    return pl.concat(
        [lost, pl.DataFrame({"dropped_by": ["(kept)"], "rows": [kept(table).height]}, schema=lost.schema)]
    )
