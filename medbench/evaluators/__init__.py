"""Measure a model: benchmarks -> ask -> read -> match -> results with their intervals."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from medbench import prompts
from medbench.catalog import Catalog, Loaded, Place
from medbench.config import Config, digest
from medbench.errors import UsageError
from medbench.evaluators.metrics import macro, summarise
from medbench.files import write_text
from medbench.inference.types import Model, Sampling
from medbench.runs import Run, open_run
from medbench.schema import Example, frame
from medbench.solve import FREE, Asking, Price, Progress, Protocol, Tally, requests_for, silent, solve


class EvalConfig(Config):
    """What is measured, and how. Every field can change a result."""

    suite: str | None = None
    """A suite of the catalog; its macro average is reported too."""
    benchmarks: tuple[str, ...] = ()
    """Benchmarks of the catalog, beside or instead of a suite."""
    prompt: str | None = None
    """A prompt of prompts.yaml for all of them; default: each benchmark's own."""
    sampling: Sampling = Sampling()
    samples: int = 1
    """Replies per question; more than one reports mean@k, pass@k and majority@k."""
    limit: int | None = None
    """Questions per benchmark at most, chosen by a hash of their ids (a fair sample, the same each time)."""
    protocol: Protocol = "generate"

    def model_post_init(self, context: Any) -> None:
        """Check what the types cannot."""
        if self.samples < 1 or (self.limit is not None and self.limit < 1):
            raise UsageError("samples and limit must be at least 1")
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


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation gave. `results` is table RESULT."""

    run: str
    folder: Path
    results: pl.DataFrame
    tally: Tally

    @property
    def unscored_share(self) -> float:
        """Unscored rows among all asked."""
        whole = self.results.filter((pl.col("group") == "") & ~pl.col("metric").str.starts_with("macro"))
        first = whole.unique("benchmark", keep="first")
        total = int(first["n"].sum()) + int(first["unscored"].sum())
        return int(first["unscored"].sum()) / total if total else 0.0

    def json(self) -> dict[str, Any]:
        """The one object that `--json` prints; values are in [0, 1], null where nothing was scored."""
        return {"run": self.run, "results": plain(self.results)}


def plain(results: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table for JSON: NaN becomes null, an empty group is left out."""
    rows = []
    for row in results.iter_rows(named=True):
        clean = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
        rows.append({k: v for k, v in clean.items() if k != "group" or v})
    return rows


def prepare(config: EvalConfig, catalog: Catalog, place: Place) -> list[Task]:
    """The benchmarks a config names, loaded. Raises UsageError or SourceError before anything is asked."""
    names = list(dict.fromkeys([*(catalog.suite(config.suite) if config.suite else ()), *config.benchmarks]))
    if not names:
        raise UsageError("nothing to evaluate", "give --suite or --benchmark; see 'medbench list'")
    rows = {name: catalog.benchmark(name) for name in names}
    wordings = {name: prompts.named(config.prompt or row.prompt) for name, row in rows.items()}
    tasks = []
    for name, wording in wordings.items():
        loaded = catalog.examples(name, place)
        asking = Asking(wording, config.sampling, samples=config.samples, protocol=config.protocol)
        tasks.append(Task(name, chosen(loaded.examples, config.limit), asking, loaded))
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
        "data": {task.name: {"revision": task.loaded.revision, "n": len(task.examples)} for task in tasks},
        "prompts": {task.name: task.asking.prompt.hash for task in tasks},
    }


@dataclass
class Totals:
    """Adds the tallies of the benchmarks up, and keeps the spending limit over all of them."""

    progress: Progress
    price: Price
    finished: list[Tally] = field(default_factory=list)

    def left(self) -> Price:
        """The price with what is left to spend."""
        if self.price.most is None:
            return self.price
        spent = sum(tally.cost for tally in self.finished)
        return Price(self.price.per_million_in, self.price.per_million_out, max(self.price.most - spent, 0.0))

    def sum(self) -> Tally:
        """One tally over all benchmarks."""
        names = ("total", "done", "scored", "correct", "failed", "tokens_in", "tokens_out", "cost")
        return Tally("all", **{name: sum(getattr(t, name) for t in self.finished) for name in names})


def evaluate(
    config: EvalConfig,
    model: Model,
    *,
    tasks: Sequence[Task],
    home: Path,
    fresh: bool = False,
    price: Price = FREE,
    progress: Progress = silent,
) -> Evaluated:
    """Run an evaluation, or go on with one: the run is named by what decides its result."""
    settings = identity(config, model, tasks)
    name = config.suite or "+".join(config.benchmarks)
    totals = Totals(progress, price)
    with open_run(home, name[:60], config=settings, fresh=fresh) as run:
        parts = [measure(run, model, task=task, totals=totals) for task in tasks]
        results = pl.concat([result for _, result in parts])
        if config.suite and len(tasks) > 1:
            results = pl.concat([results, macro(config.suite, results)])
        verdicts = pl.concat([verdict for verdict, _ in parts])
        done = Evaluated(run.name, run.folder, results, totals.sum())
        seal(run, done, verdicts)
    return done


def measure(run: Run, model: Model, *, task: Task, totals: Totals) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Verdicts and results of one benchmark."""
    last = [Tally(task.name, 0)]

    def watch(tally: Tally) -> None:
        last[0] = tally
        totals.progress(tally)

    verdicts = solve(
        run,
        model,
        examples=task.examples,
        asking=task.asking,
        stage=task.name,
        price=totals.left(),
        progress=watch,
    )
    totals.finished.append(last[0])
    return verdicts, summarise(verdicts, frame(task.examples), task.asking.samples)


def seal(run: Run, done: Evaluated, verdicts: pl.DataFrame) -> None:
    """Put the tables and the result object beside the journal."""
    write_text(run.folder / "results.json", json.dumps(done.json(), indent=1) + "\n")
    unscored = int(verdicts["correct"].null_count())
    run.seal(
        {"verdicts": verdicts, "results": done.results},
        {"kind": "eval", "model": run.config["model"], "asked": verdicts.height, "unscored": unscored},
    )


@dataclass(frozen=True)
class Estimate:
    """What an evaluation would ask. Tokens are estimated at four characters each."""

    benchmark: str
    requests: int
    tokens_in: int
    tokens_out_at_most: int

    @property
    def row(self) -> Mapping[str, Any]:
        """For printing."""
        return {
            "benchmark": self.benchmark,
            "requests": self.requests,
            "tokens_in": self.tokens_in,
            "tokens_out_at_most": self.tokens_out_at_most,
        }


def estimate(task: Task) -> Estimate:
    """What `task` would ask, without asking."""
    requests = requests_for(task.examples, task.asking)
    characters = sum(len(str(m["content"])) for request in requests for m in request.messages)
    most = task.asking.sampling.max_tokens * len(requests)
    return Estimate(task.name, len(requests), characters // 4, most)
