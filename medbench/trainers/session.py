"""One training from recipe to sealed run: what it trains on, and the run folder it lives in."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from medbench import store
from medbench.catalog import Catalog, Place
from medbench.errors import MedbenchError, UsageError
from medbench.files import write_text
from medbench.runs import open_run
from medbench.schema import Example, records
from medbench.trainers.launch import Progress, gpus, launch
from medbench.trainers.recipe import Grpo, Sft


@dataclass(frozen=True)
class Material:
    """What is trained on: examples, the revision they are of, and their stages if they have an order to keep.

    `stages` is one number per example, ascending; None where the order means nothing.
    """

    examples: list[Example]
    revision: str
    stages: tuple[int, ...] | None = None


def training_examples(name: str, catalog: Catalog, place: Place) -> Material:
    """The examples of a built dataset (`name` or `name@version`), or of a packaged training split.

    Rows with a column `place` (curricula have it) come in its order, which training keeps.

    Every benchmark not marked `trainable` is refused: nobody trains on test questions by a slip of the
    pen. Raises MedbenchError saying which build makes a dataset that is not there.
    """
    row = catalog.benchmarks.get(name)
    if row is not None:
        if not row.trainable:
            raise UsageError(
                f"'{name}' is a benchmark, not training data",
                "train on a dataset; see 'medbench list datasets'",
            )
        loaded = catalog.examples(name, place)
        return Material(loaded.examples, f"{name}:{loaded.revision}")
    built = store.dataset(place.home, name)
    rows = built.table()
    if "place" in rows.columns:
        rows = rows.sort("place", maintain_order=True)
    examples = records(rows)
    if any(example.images for example in examples):
        raise UsageError(f"dataset '{name}' has images", "training on images is not there yet")
    if not examples:
        raise MedbenchError(f"dataset '{built.name}@{built.version}' is empty", f"see medbench show {name}")
    return Material(examples, f"{built.name}@{built.version}:{built.manifest['digest']}", stages_of(rows))


def stages_of(rows: pl.DataFrame) -> tuple[int, ...] | None:
    """The stage of each row of a curriculum, all one where it names none; None for rows without an order.

    Raises MedbenchError where a stage comes back after another one.
    """
    if "place" not in rows.columns:
        return None
    stages = tuple(rows["stage"].fill_null(1)) if "stage" in rows.columns else (1,) * rows.height
    if list(stages) != sorted(stages):
        raise MedbenchError(
            "the rows' `place` and `stage` contradict each other", "build the curriculum anew"
        )
    return stages


def identity(recipe: Sft | Grpo, material: Material) -> dict[str, Any]:
    """Everything that decides the result of a training; `order` only where there is one to keep."""
    order = {} if material.stages is None else {"order": "kept"}
    return {"kind": "train", "data": material.revision, **order, **recipe.deciding()}


def train(
    recipe: Sft | Grpo,
    material: Material,
    *,
    home: Path,
    config: Mapping[str, Any],
    fresh: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Train, or go on training, in a run of its own; gives the run's folder."""
    from medbench.trainers import plan

    with open_run(home, recipe.name, config=config, fresh=fresh) as run:
        processes = max(1, gpus(os.environ))
        planned = plan(recipe, material.examples, run.folder, processes=processes, stages=material.stages)
        launch(planned, progress)
        metrics = run.folder / "metrics.parquet"
        last = pl.read_parquet(metrics).tail(1).to_dicts()[0] if metrics.exists() else {}
        summary = {"kind": "train", "recipe": recipe.name, "examples": len(material.examples), "last": last}
        run.seal({}, summary)
        write_text(run.folder / "README.md", about(recipe))
    return run.folder


def about(recipe: Sft | Grpo) -> str:
    """What a trained model's folder says of its recipe: every value with its provenance."""
    lines = [
        f"# {recipe.name}",
        "",
        recipe.about,
        "",
        "| value | | provenance | source |",
        "|---|---|---|---|",
    ]
    for name, value in recipe.plain().items():
        held = getattr(recipe, name)
        lines.append(f"| {name} | {value} | {held.provenance} | {held.source or ''} |")
    return "\n".join(lines) + "\n"
