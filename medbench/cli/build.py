"""`medbench build`."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli import options as o
from medbench.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from medbench.builders import Job
    from medbench.inference import Options
    from medbench.inference.purse import Purse
    from medbench.inference.types import Model


def build(
    dataset: Annotated[str, typer.Argument(help="A dataset of the catalog; see 'medbench list datasets'.")],
    solver: o.Solver = None,
    teacher: o.Teacher = None,
    checker: o.Checker = None,
    auditor: o.Auditor = None,
    parent: o.Parent = None,
    order: o.Order = None,
    name: o.Called = None,
    accept_short: o.AcceptShort = False,
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
    """Build a training set: collect, draft, verify, measure difficulty, select, publish.

    Killed halfway? The same command goes on and asks no model twice.

    Example: medbench build med-zero-17k --teacher http://gpu1:8000/v1 --solver openai:qwen2.5-vl-7b@http://gpu2:8000/v1
    """
    from medbench import builders
    from medbench.cli import render
    from medbench.inference import Options

    paying, rows = o.purse_of(price, max_cost), o.catalog_of(catalog)
    place = o.place_of(home, mirror, lock, None if dry_run else update_lock)
    specs = {"solver": solver, "teacher": taught_by(teacher), "checker": checker, "auditor": auditor}
    options = Options(concurrency, timeout, retries, batch_size, images=place.images)
    models = opened(specs, place.home, options)
    roles = None if dry_run and not models else models
    job = builders.prepare(
        dataset, cut(dataset, parent, order, settings), rows, place, roles=roles, title=name
    )
    if dry_run:
        foretold(job, paying)
        return
    with render.progress() as shown:
        built = builders.build(job, models, fresh=fresh, short=accept_short, purse=paying, progress=shown)
    render.built(built, json_out)
    render.hint(f"medbench show {built.name}{o.home_flag(home)}")


def taught_by(specs: list[str] | None) -> str | None:
    """The teacher's spec: a whole one, or addresses of servers that all have the preset model."""
    if not specs:
        return None
    if all(spec.startswith(("http://", "https://")) for spec in specs):
        from medbench.builders.med_zero import TEACHER

        return f"openai:{TEACHER}@{','.join(specs)}"
    if len(specs) > 1:
        raise UsageError(
            "several --teacher that are not addresses", "one model: openai:NAME@URL,URL, or only addresses"
        )
    return specs[0]


def cut(dataset: str, parent: str | None, order: str | None, settings: list[str] | None) -> list[str]:
    """The settings with `--from` and `--order`, which only curricula have."""
    if dataset != "curriculum":
        if parent or order:
            raise UsageError(f"{dataset} takes no --from or --order", "medbench build curriculum --from …")
        return settings or []
    flags = {"dataset": parent, "order": order}
    return [*(f"{key}={value}" for key, value in flags.items() if value), *(settings or ())]


def opened(specs: "dict[str, str | None]", home: "Path", options: "Options") -> "dict[str, Model]":
    """The models by role; equal specs are one model, so a local one is loaded once."""
    given = {role: spec for role, spec in specs.items() if spec}
    models = {spec: o.model_of(spec, home, options) for spec in dict.fromkeys(given.values())}
    return {role: models[spec] for role, spec in given.items()}


def foretold(job: "Job", purse: "Purse") -> None:
    """Print what building would read and ask at most, and what that would cost."""
    estimate = job.estimate
    most = purse.at_most(estimate.tokens_in, estimate.images, estimate.tokens_out_at_most)
    told = {"read": job.inputs.sizes, "asks": {**asdict(estimate), "cost_at_most": most}}
    typer.echo(json.dumps({"dry_run": {**job.identity, **told}}, indent=1))
