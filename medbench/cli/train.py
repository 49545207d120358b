"""`medbench train`."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medbench.cli import options as o
from medbench.errors import UsageError

if TYPE_CHECKING:
    from medbench.trainers import Grpo, Sft


def train(
    algorithm: Annotated[str, typer.Argument(help="grpo or sft; must be the recipe's own.")],
    recipe: Annotated[str, typer.Option("--recipe", "-r", help="A packaged recipe, or a YAML file.")],
    model: Annotated[str | None, typer.Option("--model", "-m", help="Start from this model instead.")] = None,
    dataset: Annotated[
        str | None, typer.Option("--dataset", "-d", help="Train on this dataset instead.")
    ] = None,
    settings: o.Set = None,
    json_out: o.Json = False,
    dry_run: o.DryRun = False,
    fresh: o.Fresh = False,
    home: o.Home = None,
    mirror: o.Mirror = None,
    catalog: o.CatalogFiles = None,
    lock: o.Lock = None,
) -> None:
    """Train a model by a recipe, on a dataset that was built here.

    Killed halfway? The same command goes on from the last checkpoint.

    Example: medbench train grpo --recipe alphamed --model Qwen/Qwen2.5-7B-Instruct
    """
    from medbench import trainers
    from medbench.cli import render
    from medbench.trainers import session
    from medbench.trainers.launch import gpus

    folder_home = o.home_of(home)
    overrides = [*(settings or ())]
    overrides += [f"model={json.dumps(starting(model, folder_home))}"] if model else []
    overrides += [f"dataset={json.dumps(dataset)}"] if dataset else []
    chosen = trainers.load(recipe, overrides)
    if chosen.algorithm != algorithm:
        raise UsageError(f"recipe '{recipe}' is for {chosen.algorithm}, not {algorithm}")
    place, known = o.place_of(folder_home, mirror, lock), o.catalog_of(catalog)
    chosen = trainers.with_judges(chosen, known)
    material = session.training_examples(chosen.dataset, known, place)
    config = session.identity(chosen, material)
    if dry_run:
        folder = folder_home / "runs" / "dry-run"
        examples, stages = material.examples, material.stages
        planned = trainers.plan(chosen, examples, folder, processes=max(1, gpus(os.environ)), stages=stages)
        typer.echo(json.dumps(described(config, planned, len(examples)), indent=1, default=str))
        return
    with render.training() as progress:
        trained = session.train(
            chosen, material, home=folder_home, config=config, fresh=fresh, progress=progress
        )
    finish(trained, chosen, json_out)
    where = f"medbench eval --model local:{trained.name} --benchmark {chosen.expect[0].benchmark}"
    render.hint(where + o.home_flag(home))


def finish(folder: Path, recipe: "Sft | Grpo", json_out: bool) -> None:
    """Say where the model is, what was expected of the recipe, and what to do next."""
    from medbench.cli import render

    if json_out:
        typer.echo(json.dumps({"run": folder.name, "model": str(folder / "model")}))
    else:
        for label, name in {"model": "model", "curves": "curve.png", "metrics": "metrics.parquet"}.items():
            typer.echo(f"{label:8} {folder / name}")
        render.expected(recipe)


def starting(model: str, home: Path) -> str:
    """A starting model: `local:` is optional, and a training run's name means its model."""
    spec = o.trained(model if model.startswith("local:") else f"local:{model}", home)
    return model if model.startswith("tiny:") else spec.removeprefix("local:")


def described(config: dict[str, Any], planned: Any, n: int) -> dict[str, Any]:
    """A plan for printing: the recipe's values, the command, the files and tables it would write."""
    return {
        "recipe": config,
        "examples": n,
        "command": list(planned.command),
        "environment": planned.environment,
        "tables": {
            path.name: f"{table.height} rows: {', '.join(table.columns)}"
            for path, table in planned.tables.items()
        },
        "files": {path.name: text for path, text in planned.files.items()},
    }
