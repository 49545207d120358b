"""`medbench eval`."""

import json
from typing import TYPE_CHECKING, Any

import typer

from medbench.cli import options as o
from medbench.cli import render
from medbench.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from medbench.evaluators import EvalConfig, Evaluated, Task
    from medbench.solve import Estimate


def evaluate(
    model: o.ModelSpec,
    suite: o.SuiteName = None,
    benchmark: o.Benchmarks = None,
    samples: o.Samples = None,
    limit: o.Limit = None,
    prompt: o.PromptName = None,
    protocol: o.ProtocolName = None,
    blind: o.Blind = False,
    swap: o.Swap = False,
    judge: o.Judges = None,
    judge_all: o.JudgeAll = False,
    panel: o.PanelVerdict = "majority",
    reuse_verdicts: o.ReuseVerdicts = False,
    max_pixels: o.MaxPixels = None,
    image_paths: o.ImagePaths = False,
    settings: o.Set = None,
    tolerance: o.Tolerance = 0.01,
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

    Killed or failed halfway? The same command goes on and asks nothing twice. For questions on images,
    --blind and --swap measure how much of the score needs the image.

    Example: medbench eval --suite qa6 --model openai:my-7b@http://localhost:8000/v1
    """
    from medbench import evaluators
    from medbench.inference import Options

    what = {"suite": suite, "benchmarks": tuple(benchmark or ()), "samples": samples, "limit": limit}
    how: dict[str, Any] = {"prompt": prompt, "protocol": protocol, "max_pixels": max_pixels}
    config = config_of(model, what | how | {"controls": ("blind",) * blind + ("swap",) * swap}, settings)
    relock = None if dry_run else update_lock
    paying, place = o.purse_of(price, max_cost), o.place_of(home, mirror, lock, relock)
    running = Options(concurrency, timeout, retries, batch_size, images=place.images, image_paths=image_paths)
    asked, known, drawn = o.model_of(model, place.home, running), o.catalog_of(catalog), config.judge_sampling
    by = o.judging_of(judge, panel, judge_all, reuse_verdicts, known, place.home, running, drawn)
    tasks = evaluators.prepare(config, known, place, pictures=not dry_run, judging=by)
    if dry_run:
        return render.estimates(dict(estimates(tasks)), paying, json_out)
    with render.progress() as tell:
        done = evaluators.evaluate(
            config, asked, tasks=tasks, home=place.home, fresh=fresh, purse=paying, progress=tell
        )
    return report(done, tasks, json_out, o.home_flag(home), tolerance)


def estimates(tasks: "list[Task]") -> "Iterator[tuple[str, Estimate]]":
    """What would be asked of the policy, and of a judge at most, by benchmark."""
    from medbench.evaluators.judging import estimated
    from medbench.solve import estimate

    for task in tasks:
        yield task.stage, estimate(task.examples, task.asking)
        if task.judging and not task.control:
            yield f"{task.stage} judge", estimated(task.judging, task.examples, task.asking.samples)


def config_of(model: str, given: dict[str, Any], settings: list[str] | None) -> "EvalConfig":
    """The command's options and `--set` values as one checked config."""
    from medbench.config import override, parse
    from medbench.evaluators import EvalConfig

    samples = given["samples"]
    tree = {key: value for key, value in given.items() if value not in (None, ())}
    if samples is not None and samples > 1 and not any("temperature" in s for s in settings or ()):
        tree["sampling"] = {"temperature": 0.7}
    config = parse(EvalConfig, override(tree, settings or ()), "eval")
    if config.protocol == "loglikelihood" and not model.startswith(("local:", "lm-eval:")):
        raise UsageError(f"{model} gives no log-likelihoods", "use --model local:… or lm-eval:…")
    return config


def report(done: "Evaluated", tasks: "list[Task]", json_out: bool, flag: str, tolerance: float) -> None:
    """Print the results, what they took, and which source rows were no questions; then `refuse`."""
    from medbench.cli import certificates, scorecard

    for line in alone(tasks):
        render.say(line)
    for task in tasks:
        if (lost := len(task.loaded.dropped)) and not task.control:
            render.say(f"{task.name}: {lost:,} source rows dropped; 'medbench check {task.name}' says why")
        if faulty := sum(bool(example.fault) for example in task.examples):
            render.say(
                f"{task.stage}: {faulty:,} questions not asked, an image is missing or unreadable; "
                f"'medbench check {task.name}' names them"
            )

    if json_out:
        typer.echo(json.dumps(done.json()))
    else:
        render.results(done.results, done.run, done.judged)
    if done.reading and not json_out:
        scorecard.reading(done.reading, f"{done.run} --sensitivity{flag}")
    if done.judged and not json_out:
        certificates.beside(done.judged)
    render.spent(done.tally)
    render.hint(f"medbench show {done.run}{flag}")
    refuse(done, tolerance)


def alone(tasks: "list[Task]") -> "Iterator[str]":
    """A line for each benchmark with questions whose images cannot be swapped."""
    mains = {task.name: task for task in tasks if not task.control}
    for task in tasks:
        if task.control == "swap":
            shown = sum(bool(e.images) and not e.fault for e in mains[task.name].examples)
            if rest := shown - len(task.examples):
                yield f"{task.stage}: {rest:,} questions have no partner with other images and are left out"


def refuse(done: "Evaluated", tolerance: float) -> None:
    """End with exit 1 when too much is unscored."""
    if done.unscored_share > tolerance:
        typer.echo(
            f"error: {done.unscored_share:.1%} of the rows are unscored (tolerance {tolerance:.1%})\n"
            "  fix: mend the server, the images or the budget and repeat the command: it asks only for these",
            err=True,
        )
        raise typer.Exit(1)
