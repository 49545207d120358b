"""Trainers: a recipe and examples in, a plan as data out, and one way to launch it.

    recipe = load("alphamed", ["steps=10"])
    model = launch(plan(recipe, examples, folder))

A recipe is one YAML file (`recipe.py`), a reward one function (`rewards.py`), a trainer one module with
a pure `plan` (`trl.py`).
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from medbench.errors import UsageError
from medbench.schema import Example
from medbench.trainers.launch import Plan, Progress, launch
from medbench.trainers.recipe import Expected, Grpo, Recipe, Sft, Value, load, names, with_judges

__all__ = [
    "Expected",
    "Grpo",
    "Plan",
    "Progress",
    "Recipe",
    "Sft",
    "Value",
    "launch",
    "load",
    "names",
    "plan",
    "with_judges",
]


def plan(
    recipe: Sft | Grpo,
    examples: Sequence[Example],
    folder: Path,
    *,
    python: str = sys.executable,
    processes: int = 1,
    stages: Sequence[int] | None = None,
) -> Plan:
    """What training `recipe` on `examples` in `folder` takes, as data. Nothing is written or run.

    `processes` is how many work together, one a GPU; it is no part of the training's identity. `stages` is
    the stage of each example of a curriculum, whose order is kept; without, examples are shuffled.
    """
    if isinstance(recipe, Grpo) and any(judge.row is None for judge in recipe.judges.values()):
        raise UsageError(
            f"recipe '{recipe.name}' names judges without their rows", "with_judges(recipe, catalog)"
        )
    trainer = import_module(f"medbench.trainers.{recipe.trainer}")
    planned: Plan = trainer.plan(recipe, examples, folder, python=python, processes=processes, stages=stages)
    return planned
