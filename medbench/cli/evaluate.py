"""`medbench eval`."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medbench.cli import options as o
from medbench.errors import UsageError

if TYPE_CHECKING:
    from medbench.evaluators import EvalConfig, Evaluated, Task


def evaluate(
    model: Annotated[str, typer.Option("--model", "-m", help="Whom to ask: openai:NAME@URL, local:PATH, …")],
    suite: Annotated[str | None, typer.Option("--suite", "-s", help="A suite of the catalog.")] = None,
    benchmark: Annotated[
        list[str] | None, typer.Option("--benchmark", "-b", help="A benchmark (repeatable).")
    ] = None,
    samples: Annotated[int | None, typer.Option("--samples", min=1, help="Replies per question.")] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Questions per benchmark at most.")
    ] = None,
    prompt: Annotated[str | None, typer.Option("--prompt", help="A prompt for all benchmarks.")] = None,
    protocol: Annotated[str | None, typer.Option("--protocol", help="generate or loglikelihood.")] = None,
    settings: o.Set = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", min=0.0, max=1.0, help="Exit 1 when a greater share is unscored.")
    ] = 0.01,
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
    """Measure a model on benchmarks, with 95 % intervals.

    Killed or failed halfway? The same command goes on and asks nothing twice.

    Example: medbench eval --suite qa6 --model openai:my-7b@http://localhost:8000/v1
    """
    from medbench import evaluators
    from medbench.cli import render
    from medbench.inference import Options
    from medbench.solve import estimate

    config = config_of(model, suite, benchmark, samples, limit, prompt, protocol, settings)
    paying = o.purse_of(price, max_cost)
    place = o.place_of(home, mirror, lock, None if dry_run else update_lock)
    asked = o.model_of(model, place.home, Options(concurrency, timeout, retries, batch_size))
    tasks = evaluators.prepare(config, o.catalog_of(catalog), place)
    if dry_run:
        render.estimates(
            {task.name: estimate(task.examples, task.asking) for task in tasks}, paying, json_out
        )
        return
    with render.progress() as progress:
        done = evaluators.evaluate(
            config, asked, tasks=tasks, home=place.home, fresh=fresh, purse=paying, progress=progress
        )
    report(done, tasks, json_out, o.home_flag(home))
    render.hint(f"medbench show {done.run}{o.home_flag(home)}")
    refuse(done, tolerance)


def config_of(
    model: str,
    suite: str | None,
    benchmark: list[str] | None,
    samples: int | None,
    limit: int | None,
    prompt: str | None,
    protocol: str | None,
    settings: list[str] | None,
) -> "EvalConfig":
    """The command's options and `--set` values as one checked config."""
    from medbench.config import override, parse
    from medbench.evaluators import EvalConfig

    given: dict[str, Any] = {
        "suite": suite,
        "benchmarks": tuple(benchmark or ()),
        "samples": samples,
        "limit": limit,
        "prompt": prompt,
        "protocol": protocol,
    }
    tree = {key: value for key, value in given.items() if value not in (None, ())}
    if samples is not None and samples > 1 and not any("temperature" in s for s in settings or ()):
        tree["sampling"] = {"temperature": 0.7}
    config = parse(EvalConfig, override(tree, settings or ()), "eval")
    if config.protocol == "loglikelihood" and not model.startswith(("local:", "lm-eval:")):
        raise UsageError(f"{model} gives no log-likelihoods", "use --model local:… or lm-eval:…")
    return config


def report(done: "Evaluated", tasks: "list[Task]", json_out: bool, flag: str) -> None:
    """Print the results and what they took, and which source rows were no questions."""
    from medbench.cli import render, scorecard

    for task in tasks:
        if lost := len(task.loaded.dropped):
            render.say(f"{task.name}: {lost:,} source rows dropped; 'medbench check {task.name}' says why")

    if json_out:
        typer.echo(json.dumps(done.json()))
    else:
        render.results(done.results, done.run)
    if done.reading and not json_out:
        scorecard.reading(done.reading, f"{done.run} --sensitivity{flag}")
    render.spent(done.tally)


def refuse(done: "Evaluated", tolerance: float) -> None:
    """End with exit 1 when too much is unscored."""
    if done.unscored_share > tolerance:
        typer.echo(
            f"error: {done.unscored_share:.1%} of the rows are unscored (tolerance {tolerance:.1%})\n"
            "  fix: mend the server or the budget and repeat the command: it asks only for these",
            err=True,
        )
        raise typer.Exit(1)
