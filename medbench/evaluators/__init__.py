"""Measure a model: benchmarks -> ask -> read -> match -> results with their intervals."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pydantic

from medbench import prompts
from medbench.catalog import Catalog, Loaded, Place
from medbench.config import Config, digest
from medbench.errors import SourceError, UsageError
from medbench.evaluators.metrics import macro, summarise
from medbench.evaluators.sensitivity import Report, glance
from medbench.inference.purse import Purse
from medbench.inference.types import Model, Sampling
from medbench.runs import Run, open_run
from medbench.schema import Example, frame
from medbench.solve import Asking, Progress, Protocol, Tally, silent, solve


class EvalConfig(Config):
    """What is measured, and how. Every field can change a result."""

    suite: str | None = None
    """A suite of the catalog; its macro average is reported too."""
    benchmarks: tuple[str, ...] = ()
    """Benchmarks of the catalog, beside or instead of a suite."""
    prompt: str | None = None
    """A prompt of prompts.yaml for all; default: each benchmark's own, `mcq-cloze` for log-likelihoods."""
    sampling: Sampling = Sampling()
    samples: int = pydantic.Field(1, ge=1)
    """Replies per question; more than one reports mean@k, pass@k and majority@k."""
    limit: int | None = pydantic.Field(None, ge=1)
    """Questions per benchmark at most, chosen by a hash of their ids (a fair sample, the same each time)."""
    protocol: Protocol = "generate"

    def model_post_init(self, context: Any) -> None:
        """Check what the types cannot."""
        if self.samples > 1 and self.sampling.temperature == 0:
            raise UsageError(
                "several samples at temperature 0 are all alike", "--set sampling.temperature=0.7"
            )


@dataclass(frozen=True)
class Task:
    """One benchmark made ready: its questions and how they are asked."""

    name: str
    examples: list[Example]
    asking: Asking
    loaded: Loaded
    in_suite: bool
    """Whether it counts into the suite's macro average."""


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation gave. `results` is table RESULT; `reading` what other readers say of the replies."""

    run: str
    folder: Path
    results: pl.DataFrame
    tally: Tally
    unscored_share: float
    """Replies that nobody could score (their call failed) among all asked."""
    reading: Report | None = None

    def json(self) -> dict[str, Any]:
        """The one object that `--json` prints; values are in [0, 1], null where nothing was scored."""
        reading = self.reading.json() if self.reading else None
        return {"run": self.run, "results": plain(self.results), "sensitivity": reading}


def plain(results: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table for JSON: NaN becomes null, an empty group is left out."""
    rows = []
    for row in results.iter_rows(named=True):
        rows.append({k: v for k, v in finite(row).items() if k != "group" or v})
    return rows


def finite(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with null in place of NaN, which JSON does not have."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}


def prepare(config: EvalConfig, catalog: Catalog, place: Place) -> list[Task]:
    """The benchmarks a config names, loaded. Raises UsageError or SourceError before anything is asked."""
    members = catalog.suite(config.suite) if config.suite else []
    names = list(dict.fromkeys([*members, *config.benchmarks]))
    if not names:
        raise UsageError("nothing to evaluate", "give --suite or --benchmark; see 'medbench list'")
    rows = {name: catalog.benchmark(name) for name in names}
    default = "mcq-cloze" if config.protocol == "loglikelihood" else None
    wordings = {name: prompts.named(config.prompt or default or row.prompt) for name, row in rows.items()}
    tasks = []
    for name, wording in wordings.items():
        try:
            loaded = catalog.examples(name, place)
        except SourceError as problem:
            others = " ".join(f"-b {other}" for other in names if other != name)
            rest = (
                f"; without it: {others} instead of --suite {config.suite}" if config.suite and others else ""
            )
            raise SourceError(problem.what, problem.fix + rest) from problem
        if not loaded.examples:
            raise SourceError(f"benchmark '{name}' has no questions", "look at its where, ids and repeats")
        asking = Asking(wording, config.sampling, samples=config.samples, protocol=config.protocol)
        tasks.append(Task(name, chosen(loaded.examples, config.limit), asking, loaded, name in members))
    return tasks


def chosen(examples: Sequence[Example], limit: int | None) -> list[Example]:
    """At most `limit` examples, picked by the hash of their ids, in their own order."""
    if limit is None or limit >= len(examples):
        return list(examples)
    picked = set(sorted((example.id for example in examples), key=lambda i: digest(f"limit:{i}"))[:limit])
    return [example for example in examples if example.id in picked]


def identity(config: EvalConfig, model: Model, tasks: Sequence[Task]) -> dict[str, Any]:
    """Everything that decides the result of an evaluation."""
    return {
        "kind": "eval",
        "model": model.name,
        **config.model_dump(mode="json"),
        "data": {
            task.name: {"revision": task.loaded.revision, "examples": digest(frame(task.examples).rows())}
            for task in tasks
        },
        "prompts": {task.name: task.asking.prompt.hash for task in tasks},
    }


def evaluate(
    config: EvalConfig,
    model: Model,
    *,
    tasks: Sequence[Task],
    home: Path,
    fresh: bool = False,
    purse: Purse | None = None,
    progress: Progress = silent,
) -> Evaluated:
    """Run an evaluation, or go on with one: the run is named by what decides its result."""
    purse = purse or Purse()
    name = config.suite or "+".join(dict.fromkeys(config.benchmarks))
    with open_run(home, name[:60], config=identity(config, model, tasks), fresh=fresh) as run:
        parts = [measure(run, model, task=task, purse=purse, progress=progress) for task in tasks]
        verdicts = [graded for graded, _ in parts]
        results = [
            summarise(graded, frame(task.examples), task.asking.samples)
            for graded, task in zip(verdicts, tasks, strict=True)
        ]
        members = [graded for graded, task in zip(verdicts, tasks, strict=True) if task.in_suite]
        if config.suite and len(members) > 1:
            results.append(macro(config.suite, pl.concat(members)))
        tally = summed([tally for _, tally in parts])
        reading = glance(zip(verdicts, map(by_id, tasks), strict=True)) if written(config) else None
        everything = pl.concat(verdicts)
        share = unscored(everything) / max(everything.height, 1)
        done = Evaluated(run.name, run.folder, pl.concat(results), tally, share, reading)
        seal(run, done, everything, dropped_of(tasks))
    return done


def unscored(verdicts: pl.DataFrame) -> int:
    """How many replies nobody could score; free text that waits for a judge is not among them."""
    return int((verdicts["status"] == "error").sum())


def by_id(task: Task) -> dict[str, Example]:
    """The questions of a task by their ids."""
    return {example.id: example for example in task.examples}


def written(config: EvalConfig) -> bool:
    """Whether the model wrote text, which can be read in several ways."""
    return config.protocol == "generate"


def measure(
    run: Run, model: Model, *, task: Task, purse: Purse, progress: Progress
) -> tuple[pl.DataFrame, Tally]:
    """Verdicts on one benchmark, and what they took."""
    last = Tally(task.name, 0)

    def watch(tally: Tally) -> None:
        nonlocal last
        last = tally
        progress(tally)

    asking, examples = task.asking, task.examples
    verdicts = solve(
        run, model, examples=examples, asking=asking, stage=task.name, purse=purse, progress=watch
    )
    return verdicts, last


def summed(tallies: Sequence[Tally]) -> Tally:
    """One tally over all benchmarks."""
    names = ("total", "done", "resumed", "scored", "correct", "failed", "tokens_in", "tokens_out", "cost")
    return Tally("all", **{name: sum(getattr(tally, name) for tally in tallies) for name in names})


def dropped_of(tasks: Sequence[Task]) -> dict[str, dict[str, int]]:
    """Source rows that were no questions, counted by reason, per benchmark that has any."""
    counts = {task.name: Counter(drop.reason for drop in task.loaded.dropped) for task in tasks}
    return {name: dict(sorted(count.items())) for name, count in counts.items() if count}


def seal(run: Run, done: Evaluated, verdicts: pl.DataFrame, dropped: Mapping[str, Any]) -> None:
    """Put the tables and the result object beside the journal."""
    run.seal(
        {"verdicts": verdicts, "results": done.results},
        {
            "kind": "eval",
            "model": run.config["model"],
            "asked": verdicts.height,
            "unscored": unscored(verdicts),
            "dropped": dropped,
        },
        {"results.json": json.dumps(done.json(), indent=1) + "\n"},
    )
