"""`medbench difficulty`."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medbench.cli import options as o
from medbench.errors import UsageError, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import polars as pl

    from medbench.catalog import Catalog, Place
    from medbench.difficulty import Measured, Rollouts, Share, Spread
    from medbench.inference.types import Model, Sampling
    from medbench.prompts import Prompt
    from medbench.runs import Run
    from medbench.schema import Example

Measures = Annotated[str, typer.Option("--solver", help="Whose difficulty is measured.")]
Times = Annotated[int, typer.Option("--samples", min=1, help="Replies per question.")]
Temperature = Annotated[float, typer.Option("--temperature", min=0.0, help="How freely replies are drawn.")]
TopP = Annotated[float, typer.Option("--top-p", help="Share of the likeliest tokens they are drawn from.")]
MaxTokens = Annotated[int, typer.Option("--max-tokens", min=1, help="Longest reply.")]
Seed = Annotated[int, typer.Option("--seed", help="Sample k is drawn with seed + k.")]
Wording = Annotated[
    str | None, typer.Option("--prompt", help="Default: the one it was built with, or the benchmark's.")
]
Band = Annotated[
    str | None,
    typer.Option("--band", help="LOW,HIGH right samples. Default: not never, not always."),
]
Early = Annotated[
    bool, typer.Option("--early", help="Stop asking once a question is sure to be in the band or out of it.")
]
Most = Annotated[int | None, typer.Option("--limit", min=1, help="Questions at most, a fair sample.")]


@dataclass(frozen=True)
class Subject:
    """The questions that are measured."""

    name: str
    """NAME@VERSION of a dataset, or a benchmark's name."""
    examples: "list[Example]"
    data: dict[str, Any]
    """What identifies them."""
    prompt: str | None
    """How they are asked, as far as is known."""

    @property
    def bare(self) -> str:
        """The name without its version."""
        return self.name.partition("@")[0]


def difficulty(
    dataset: Annotated[str, typer.Argument(help="A built dataset (NAME or NAME@VERSION), or a benchmark.")],
    solver: Measures,
    samples: Times = 10,
    temperature: Temperature = 0.9,
    top_p: TopP = 1.0,
    prompt: Wording = None,
    max_tokens: MaxTokens = 2048,
    seed: Seed = 0,
    band: Band = None,
    early: Early = False,
    limit: Most = None,
    max_pixels: o.MaxPixels = None,
    image_paths: o.ImagePaths = False,
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
) -> None:
    """Measure how hard questions are for a model: every sample kept, pass counts with intervals.

    Adds a solver to any dataset; `medbench show DATASET` sets solvers side by side. Killed halfway, or more
    samples wanted? The command goes on and asks nothing twice.

    Example: medbench difficulty alphamed-19k --solver openai:my-7b@http://localhost:8000/v1 --samples 10
    """
    from medbench.cli import render
    from medbench.difficulty import Rollouts
    from medbench.inference import Options
    from medbench.inference.names import public_name
    from medbench.solve import Asking, estimate

    within = limits(band, samples)
    sampling = drawn(samples, temperature=temperature, top_p=top_p, max_tokens=max_tokens, seed=seed)
    paying, place = o.purse_of(price, max_cost), o.place_of(home, mirror, lock)
    wished = worded(prompt)
    found = subject(dataset, o.catalog_of(catalog), place, limit, pictures=not dry_run)
    asking = Asking(wished or fitting(found), sampling, samples, role="solver", max_pixels=max_pixels)
    if dry_run:
        return render.estimates({found.name: estimate(found.examples, asking)}, paying, json_out)
    running = Options(concurrency, timeout, retries, batch_size, images=place.images, image_paths=image_paths)
    model = o.model_of(solver, place.home, running)
    rollouts = Rollouts(found.name, public_name(model.name), asking, within if early else None)
    with opened(place.home, found, model, asking, limit, fresh) as run, render.progress() as tell:
        measured = survey(run, model, found, rollouts, purse=paying, progress=tell)
    report(run.name, found, measured, within, json_out)
    spent(measured, paying.spent)
    render.hint(f"medbench show {found.name if '@' in found.name else run.name}{o.home_flag(home)}")
    return refuse(measured, tolerance)


def limits(band: str | None, samples: int) -> tuple[int, int]:
    """`--band LOW,HIGH` as two counts; by default neither never nor always right."""
    if band is None:
        return 1, max(samples - 1, 1)
    try:
        low, high = (int(part) for part in band.split(","))
    except ValueError:
        raise UsageError(f"--band '{band}' is not two counts", "for example --band 1,9") from None
    if not 0 <= low <= high <= samples:
        raise UsageError(
            f"--band '{band}' does not lie within 0 and {samples} samples", "the lower count comes first"
        )
    return low, high


def drawn(samples: int, **how: float) -> "Sampling":
    """How replies are drawn, checked."""
    from medbench.config import parse
    from medbench.inference.types import Sampling

    if samples > 1 and how["temperature"] == 0:
        raise UsageError("several samples at temperature 0 are all alike", "--temperature 0.9")
    return parse(Sampling, how, "difficulty")


def worded(name: str | None) -> "Prompt | None":
    """The prompt called `name`, if there is to be one of that name."""
    from medbench import prompts

    return prompts.named(name) if name else None


def subject(name: str, known: "Catalog", place: "Place", limit: int | None, *, pictures: bool) -> Subject:
    """The questions of a dataset built here, or of a benchmark.

    Raises MedbenchError when the dataset has not been built, UsageError for a name nobody knows.
    """
    from medbench import store
    from medbench.catalog import chosen, fingerprint
    from medbench.config import digest
    from medbench.errors import SourceError
    from medbench.schema import records

    bare = name.partition("@")[0]
    if bare in known.datasets or bare in built(place.home):
        made = store.dataset(place.home, name)
        config = made.manifest["identity"].get("config", {})
        examples = chosen(records(made.table()), limit)
        found = Subject(
            f"{made.name}@{made.version}",
            examples,
            {"manifest": digest(made.manifest)},
            config.get("prompt"),
        )
    elif name in known.benchmarks:
        loaded = known.examples(name, place, limit=limit, pictures=pictures)
        data = {"revision": loaded.revision, "examples": fingerprint(loaded.examples)}
        found = Subject(name, loaded.examples, data, known.benchmark(name).prompt)
    else:
        names = {*built(place.home), *known.datasets, *known.benchmarks}
        raise unknown("dataset or benchmark", name, names)
    if not found.examples:
        raise SourceError(f"'{name}' has no questions", "there is nothing to measure")
    return found


def built(home: "Path") -> list[str]:
    """The datasets that were built in a home."""
    from medbench import store

    return [path.name for path in (home / "datasets").glob("*") if store.versions(home, path.name)]


def fitting(found: Subject) -> "Prompt":
    """The prompt the questions come with, else one that suits them."""
    from medbench import prompts

    known = prompts.of("policy")
    if found.prompt and found.prompt in known:
        return known[found.prompt]
    plain = all(example.options and not example.images for example in found.examples)
    return known["mcq-boxed" if plain else "vqa-reason"]


def opened(home: "Path", found: Subject, model: "Model", asking: Any, limit: int | None, fresh: bool) -> Any:
    """The run of a measurement, open.

    Neither the number of samples nor a band is part of its name, so that more of them, or another band, use
    what is on record.
    """
    from medbench.runs import open_run

    config = {
        "kind": "difficulty",
        "dataset": found.name,
        "data": found.data,
        "solver": model.name,
        "prompt": asking.prompt.hash,
        "sampling": asking.sampling.model_dump(),
        **{key: value for key, value in {"limit": limit, "max_pixels": asking.max_pixels}.items() if value},
    }
    return open_run(home, f"difficulty-{found.bare}"[:60], config=config, fresh=fresh)


def survey(run: "Run", model: "Model", found: Subject, rollouts: "Rollouts", **how: Any) -> "Measured":
    """Ask, and seal the run with the samples and counts of this command.

    A fuller measurement that is sealed there stays: more samples, or as many without stopping early.
    """
    import polars as pl

    from medbench.cli import render
    from medbench.difficulty import measure, spreads

    measured = measure(run, model, found.examples, rollouts, **how)
    (spread,) = spreads(measured.table.with_columns(run=pl.lit(run.name)))
    summary = {
        "kind": "difficulty",
        "dataset": found.name,
        "solver": rollouts.solver,
        "n": spread.n,
        "samples": spread.samples,
        "band": rollouts.band,
        "stopped": spread.stopped,
        "unscored": spread.unscored,
    }
    if fuller(run.folder, spread):
        render.say(f"run {run.name} keeps the fuller measurement it has; this one is shown only")
    else:
        run.seal({"samples": measured.samples, "difficulty": measured.table}, summary)
    return measured


def fuller(folder: "Path", spread: "Spread") -> bool:
    """Whether a run has more samples of its questions on record than were asked for now."""
    from medbench.runs import read_manifest

    if not (folder / "manifest.json").exists():
        return False
    held = read_manifest(folder)
    if held["unscored"] > spread.unscored:
        return False
    return bool(
        held["samples"] > spread.samples
        or (held["samples"] == spread.samples and held["stopped"] < spread.stopped)
    )


def report(run: str, found: Subject, measured: "Measured", band: tuple[int, int], json_out: bool) -> None:
    """How many questions are never, sometimes and always right, and the histogram."""
    import polars as pl

    from medbench import difficulty as d
    from medbench.cli import hardness, render

    (spread,) = d.spreads(measured.table.with_columns(run=pl.lit(run)))
    shares = dict(told(measured.table, band, spread))
    if faulty := sum(bool(example.fault) for example in found.examples):
        render.say(f"{found.name}: {faulty:,} questions not asked, an image is missing or unreadable")
    if json_out:
        figures = {name: {"questions": item.inside, **item.figures()} for name, item in shares.items()}
        about = {"dataset": found.name, "band": list(band), "shares": figures}
        typer.echo(json.dumps({**d.described(spread), **about}))
        return
    parts = ranges(band, spread.samples)
    rows = [
        [PARTS[name], "–".join(map(str, dict.fromkeys(parts[name]))), *item.cells()]
        for name, item in shares.items()
    ]
    title = f"{found.name}, {spread.n:,} questions, for {spread.solver}"
    render.table(["", "samples right", "questions", "share", "95% CI"], rows, title=title)
    hardness.spreads([spread])
    if spread.unscored:
        typer.echo(f"{spread.unscored:,} questions have failed calls and are in no share")
    if spread.stopped:
        typer.echo(
            f"{spread.stopped:,} questions were decided before all {spread.samples} samples were asked: "
            "their counts tell the band, not the pass rate"
        )


PARTS = {
    "never": "never right",
    "below": "below the band",
    "in": "in the band",
    "above": "above the band",
    "always": "always right",
}


def ranges(band: tuple[int, int], samples: int) -> dict[str, tuple[int, int]]:
    """Parts of the questions by how many samples are right; what is empty or said before is left out."""
    low, high = band
    parts = {
        "never": (0, 0),
        "below": (0, low - 1),
        "in": (low, high),
        "above": (high + 1, samples),
        "always": (samples, samples),
    }
    same = {"below": "never", "above": "always"}
    return {
        name: (first, last)
        for name, (first, last) in parts.items()
        if first <= last
        and (name == "in" or (first, last) != band)
        and parts.get(same.get(name, "")) != (first, last)
    }


def told(table: "pl.DataFrame", band: tuple[int, int], spread: "Spread") -> "Iterator[tuple[str, Share]]":
    """The share of each part; one that early stopping leaves open is not told."""
    from medbench.difficulty import share

    for name, span in ranges(band, spread.samples).items():
        found = share(table, span)
        if found.open <= spread.unscored:
            yield name, found


def spent(measured: "Measured", cost: float) -> None:
    """One line on what was used."""
    from medbench.cli import render
    from medbench.solve import Tally

    n, used = measured.samples.height, measured.samples.select("tokens_in", "tokens_out").sum().row(0)
    render.spent(Tally("all", n, n, tokens_in=used[0], tokens_out=used[1], cost=cost))


def refuse(measured: "Measured", tolerance: float) -> None:
    """End with exit 1 when too many samples are unscored."""
    asked, lost = measured.samples.height, measured.samples["correct"].null_count()
    if lost > tolerance * asked:
        typer.echo(
            f"error: {lost:,} of {asked:,} samples are unscored (tolerance {tolerance:.1%})\n"
            "  fix: mend the server, the images or the budget and repeat the command: it asks only for these",
            err=True,
        )
        raise typer.Exit(1)
