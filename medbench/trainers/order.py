"""The order rows are trained in: shuffled each time round, or kept as a curriculum has it.

A kept order stands in the training's folder as order.json, for any trainer to read.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from medbench.config import canonical
from medbench.trainers.recipe import Grpo, Sft

FILE = "order.json"

KEPT = {"order": "kept", "when_all_have_been_seen": "again from the first"}


def files(recipe: Sft | Grpo, table: pl.DataFrame, folder: Path) -> dict[Path, str]:
    """The file that says the order is kept, and how many rows of each stage the steps reach.

    `rows_reached` counts rows with a long prompt too, which the worker leaves out.
    """
    wanted, start = rows_wanted(recipe), 0
    stages: list[dict[str, int]] = []
    for stage, rows in table.group_by("stage", maintain_order=True).len().iter_rows():
        stages.append({"stage": stage, "rows": rows, "rows_reached": min(max(wanted - start, 0), rows)})
        start += rows
    told: dict[str, Any] = {**KEPT, "rows": table.height, "rows_wanted": wanted, "stages": stages}
    return {folder / FILE: canonical(told)}


def keeps(folder: Path) -> bool:
    """Whether the training in `folder` keeps its rows' order."""
    return (folder / FILE).exists()


def rows_wanted(recipe: Sft | Grpo) -> int:
    """How many rows all steps take, repeats included."""
    batch = recipe.prompts_per_step if isinstance(recipe, Grpo) else recipe.rows_per_step
    return recipe.steps.value * batch.value


def reached(rows: Sequence[Any], wanted: int) -> str:
    """A line for the log on how far the steps get through rows whose order is kept."""
    far = f"the steps take {wanted} of {len(rows)}: the order is not seen to its end"
    times = f"{wanted / len(rows):.2f} times"
    return f"rows are seen in their order; {far if wanted < len(rows) else times}\n"


def in_order(rows: int, wanted: int, *, seed: int | None) -> list[int]:
    """Places of `wanted` rows out of `rows`, shuffled anew each time round; as they are without a seed."""
    if seed is None:
        return [place % rows for place in range(wanted)]
    order: list[int] = []
    while len(order) < wanted:
        places = list(range(rows))
        random.Random(f"order:{seed}:{len(order)}").shuffle(places)
        order += places
    return order[:wanted]
