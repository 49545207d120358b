"""One training from recipe to sealed run: what it trains on, and the run folder it lives in."""

import os
from collections.abc import Mapping
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


def training_examples(name: str, catalog: Catalog, place: Place) -> tuple[list[Example], str]:
    """The examples of a built dataset (`name` or `name@version`), or of a packaged training split.

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
        return loaded.examples, f"{name}:{loaded.revision}"
    built = store.dataset(place.home, name)
    examples = records(built.table())
    if any(example.images for example in examples):
        raise UsageError(f"dataset '{name}' has images", "training on images is not there yet")
    if not examples:
        raise MedbenchError(f"dataset '{built.name}@{built.version}' is empty", f"see medbench show {name}")
    return examples, f"{built.name}@{built.version}:{built.manifest['digest']}"


def identity(recipe: Sft | Grpo, revision: str) -> dict[str, Any]:
    """Everything that decides the result of a training."""
    return {"kind": "train", "data": revision, **recipe.deciding()}


def train(
    recipe: Sft | Grpo,
    examples: list[Example],
    *,
    home: Path,
    config: Mapping[str, Any],
    fresh: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Train, or go on training, in a run of its own; gives the run's folder."""
    from medbench.trainers import plan

    with open_run(home, recipe.name, config=config, fresh=fresh) as run:
        launch(plan(recipe, examples, run.folder, processes=max(1, gpus(os.environ))), progress)
        metrics = run.folder / "metrics.parquet"
        last = pl.read_parquet(metrics).tail(1).to_dicts()[0] if metrics.exists() else {}
        run.seal({}, {"kind": "train", "recipe": recipe.name, "examples": len(examples), "last": last})
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
