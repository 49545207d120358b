"""`medbench build`."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli import options as o

if TYPE_CHECKING:
    from medbench.builders import Job
    from medbench.inference.purse import Purse


def build(
    dataset: Annotated[str, typer.Argument(help="A dataset of the catalog; see 'medbench list datasets'.")],
    solver: Annotated[str, typer.Option("--solver", help="The model that measures difficulty.")],
    settings: o.Set = None,
    json_out: o.Json = False,
    dry_run: o.DryRun = False,
    fresh: o.Fresh = False,
    concurrency: o.Concurrency = 32,
    timeout: o.Timeout = 600.0,
    retries: o.Retries = 5,
    batch_size: o.BatchSize = 16,
    price: o.PriceOption = None,
    max_cost: o.MaxCost = None,
    home: o.Home = None,
    mirror: o.Mirror = None,
    catalog: o.CatalogFiles = None,
    lock: o.Lock = None,
    update_lock: o.UpdateLock = None,
) -> None:
    """Build a training set: clean, decontaminate, measure difficulty, select, publish.

    Killed halfway? The same command goes on and asks the solver nothing twice.

    Example: medbench build alphamed-19k --solver openai:llama-3.1-8b@http://localhost:8000/v1
    """
    from medbench import builders
    from medbench.cli import render
    from medbench.inference import Options

    paying = o.purse_of(price, max_cost)
    place = o.place_of(home, mirror, lock, None if dry_run else update_lock)
    rows = o.catalog_of(catalog)
    asked = o.model_of(solver, place.home, Options(concurrency, timeout, retries, batch_size))
    job = builders.prepare(dataset, settings or (), rows, place)
    if dry_run:
        typer.echo(
            json.dumps(
                {"dry_run": {**job.identity, "read": job.inputs.sizes, "asks": asks(job, paying)}}, indent=1
            )
        )
        return
    with render.progress() as progress:
        built = builders.build(
            job, asked, catalog=rows, place=place, fresh=fresh, purse=paying, progress=progress
        )
    if json_out:
        typer.echo(json.dumps({"dataset": f"{built.name}@{built.version}", "rows": built.manifest["rows"]}))
    else:
        render.built(built)
    for note in built.manifest["notes"]:
        render.say(f"note: {note}")
    render.hint(f"medbench show {dataset}{o.home_flag(home)}")


def asks(job: "Job", purse: "Purse") -> dict[str, float]:
    """What building would ask the solver, at most, and what that would cost."""
    estimate = job.estimate
    return {**asdict(estimate), "cost_at_most": purse.cost(estimate.tokens_in, estimate.tokens_out_at_most)}
