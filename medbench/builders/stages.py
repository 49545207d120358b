"""Stages of a curriculum: which question comes when, how often, and the table that says so.

A stage lists question ids in the order they are seen, repeats included. Every draw is by a seeded hash of
the id, so a question keeps its place when others come or go.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import polars as pl

from medbench.builders import cards
from medbench.config import digest

ADDED = ("stage", "stage_name", "place", "weight", "pass_rate", "repeats")
"""Columns that a curriculum has besides those of the rows it is cut from."""


@dataclass(frozen=True)
class Stage:
    """One stretch of training. `ids` are in the order they are seen."""

    name: str
    ids: tuple[str, ...]
    weight: float = 1.0
    condition: str = ""
    """Which rows are in it, for the card."""


def shuffled(ids: Iterable[str], *salt: object) -> list[str]:
    """Ids in a seeded order, which is another for another salt."""
    return sorted(ids, key=lambda one: (digest([*map(str, salt), one]), one))


def half_up(number: float) -> int:
    """The nearest whole number; halves go up.

    >>> half_up(2.5), half_up(0.49)
    (3, 0)
    """
    return math.floor(number + 0.5)


def weighted(stage: Stage, *salt: object, keep_order: bool = False) -> Stage:
    """A stage whose questions are seen `weight` times: whole passes one after another, then a seeded part.

    Each pass is in another seeded order, or in the order the ids have. Of n questions a weight of 0.5 leaves
    n / 2, halves rounded up.

    >>> weighted(Stage("s", ("a", "b"), 1.5), 0, keep_order=True).ids[:2]
    ('a', 'b')
    """
    whole = math.floor(stage.weight)
    seen: list[str] = []
    for number in range(whole + 1):
        order = shuffled(stage.ids, *salt, stage.name, number)
        if number == whole:
            order = order[: half_up((stage.weight - whole) * len(stage.ids))]
        taken = set(order)
        seen += [one for one in stage.ids if one in taken] if keep_order else order
    return replace(stage, ids=tuple(seen))


def with_replay(stage: Stage, earlier: Sequence[str], share: float, *salt: object) -> Stage:
    """A stage with questions of an earlier one mixed in, at `share` first and ever fewer to its end.

    Of the L rows it has then, the row at place t is of the earlier stage with share · (1 - t / L): `share` at
    the start, 0 at the end, half of it on average. So n rows are joined by r = n · share / (2 - share),
    rounded, the k-th at place L · (1 - √(1 - (k + ½) / r)). They are seeded draws without return; when all
    have come, they start again in another order.

    >>> with_replay(Stage("open", tuple("abcdefgh")), ("x", "y"), 0.4).ids.index("b")
    2
    """
    extra = half_up(len(stage.ids) * share / (2 - share)) if earlier else 0
    length = len(stage.ids) + extra
    drawn: list[str] = []
    while len(drawn) < extra:
        drawn += shuffled(earlier, *salt, "replay", len(drawn))
    places = {math.floor(length * (1 - math.sqrt(1 - (number + 0.5) / extra))) for number in range(extra)}
    own, old = iter(stage.ids), iter(drawn)
    return replace(stage, ids=tuple(next(old if place in places else own) for place in range(length)))


def parts(ids: Sequence[str], number: int) -> list[tuple[str, ...]]:
    """Ids cut into `number` parts in their order, the first ones longer by one where they don't divide.

    >>> parts(["a", "b", "c"], 2)
    [('a', 'b'), ('c',)]
    """
    size, more = divmod(len(ids), number)
    cuts = [place * size + min(place, more) for place in range(number + 1)]
    return [tuple(ids[start:end]) for start, end in pairwise(cuts)]


def table(rows: pl.DataFrame, stages: Sequence[Stage]) -> pl.DataFrame:
    """The rows in the order of the stages, each as often as it is seen, with the columns `ADDED`.

    A question that comes again gets `~2`, `~3` … after its id, and all its rows are one cluster; `repeats`
    says how many they are. `rows` have a column `pass_rate`.
    """
    taken = set(rows["id"])
    count: Counter[str] = Counter()
    lines = []
    for number, stage in enumerate(stages, 1):
        for one in stage.ids:
            count[one] += 1
            name = one if count[one] == 1 else free(one, count[one], taken)
            lines.append((one, name, number, stage.name, stage.weight))
    kinds = {
        "#of": pl.String,
        "#id": pl.String,
        "stage": pl.Int32,
        "stage_name": pl.String,
        "weight": pl.Float64,
    }
    order = pl.DataFrame(lines, schema=kinds, orient="row").with_columns(
        place=pl.int_range(pl.len(), dtype=pl.Int64),
        repeats=pl.len().over("#of").cast(pl.Int32),
    )
    held = rows.drop([name for name in ADDED if name != "pass_rate"], strict=False)
    joined = order.join(held, left_on="#of", right_on="id", how="left", maintain_order="left")
    together = pl.when(pl.col("repeats") > 1).then(pl.coalesce("cluster", "#of")).otherwise("cluster")
    whole = joined.with_columns(id=pl.col("#id"), cluster=together)
    return whole.select([name for name in held.columns if name != "pass_rate"] + list(ADDED))


def free(one: str, number: int, taken: set[str]) -> str:
    """An id that no row has, for a question seen for the `number`-th time; it is taken from here on."""
    while (name := f"{one}~{number}") in taken:
        number += 1
    taken.add(name)
    return name


def chapter(stages: Sequence[Stage], rates: Mapping[str, float | None]) -> str:
    """The stages as a table for the card; `rates` are the pass rates by id."""
    lines = []
    for number, stage in enumerate(stages, 1):
        known = [rate for one in stage.ids if (rate := rates[one]) is not None]
        lines.append(
            {
                "stage": str(number),
                "name": stage.name,
                "rows": f"{len(stage.ids):,}",
                "distinct questions": f"{len(set(stage.ids)):,}",
                "weight": f"{stage.weight:g}",
                "mean pass rate": f"{math.fsum(known) / len(known):.3f}" if known else "unknown",
                "condition": stage.condition or "all",
            }
        )
    return cards.markdown(pl.DataFrame(lines))
