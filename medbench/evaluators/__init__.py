"""Measure a model: benchmarks -> ask -> read -> match -> results with their intervals."""

import json
import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl
import pydantic

from medbench import prompts
from medbench.catalog import Catalog, Loaded, Place, fingerprint
from medbench.config import Config
from medbench.errors import SourceError, UsageError
from medbench.evaluators.controls import Control, beside, controlled
from medbench.evaluators.judging import Bench, Judged, Judging, average, refuse_idle
from medbench.evaluators.metrics import macro, summarise
from medbench.evaluators.sensitivity import Report, glance
from medbench.inference.purse import Purse
from medbench.inference.types import Model, Sampling
from medbench.judges.certificate import enough
from medbench.runs import Run, open_run
from medbench.schema import Example
from medbench.solve import Asking, Progress, Protocol, Tally, silent, solve, summed

log = logging.getLogger(__name__)


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
    controls: tuple[Control, ...] = ()
    """Also ask without the images (`blind`), or with those of another question (`swap`)."""
    judge_sampling: dict[str, Any] = pydantic.Field(default_factory=dict)
    """What a judge's replies are drawn with instead of its own row's settings (`max_tokens`, …)."""
    max_pixels: int | None = pydantic.Field(None, ge=28 * 28)
    """Images with more pixels are shrunk to this before they are sent."""

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
    parts: tuple[str, ...] = ()
    """The parts of the suite it is in, which have averages of their own."""
    judging: Judging | None = None
    """Who judges its replies."""
    control: Control | None = None
    """Set where this is the control of a benchmark; its verdicts are filed under `name:control`."""

    @property
    def stage(self) -> str:
        """Under which name its verdicts are filed."""
        return f"{self.name}:{self.control}" if self.control else self.name


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
    judged: dict[str, Any] | None = None
    """Who judged and how, with the judge's certificates."""

    def json(self) -> dict[str, Any]:
        """The one object that `--json` prints; values are in [0, 1], null where nothing was scored."""
        reading = self.reading.json() if self.reading else None
        told = {"run": self.run, "results": plain(self.results), "sensitivity": reading}
        return told if self.judged is None else with_judge(told, self.judged)


def with_judge(told: Mapping[str, Any], judged: Mapping[str, Any]) -> dict[str, Any]:
    """The object of a run with who judged; each judged figure says whether the judge has a certificate."""
    mark = {"judge": judged["judge"], "calibrated": enough(judged["certificates"])}
    rows = [row | mark if row["metric"].startswith("judged_") else row for row in told["results"]]
    return {**told, "results": rows, "judge": dict(judged)}


def plain(results: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows of a table for JSON: NaN becomes null, an empty group is left out."""
    rows = []
    for row in results.iter_rows(named=True):
        rows.append({k: v for k, v in finite(row).items() if k != "group" or v})
    return rows


def finite(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with null in place of NaN, which JSON does not have."""
    return {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}


def prepare(
    config: EvalConfig,
    catalog: Catalog,
    place: Place,
    *,
    pictures: bool = True,
    judging: Judging | None = None,
) -> list[Task]:
    """The benchmarks a config names, loaded, and their controls.

    Raises UsageError or SourceError before anything is asked. Without `pictures` no image is opened, which
    is enough to count.
    """
    members = catalog.suite(config.suite) if config.suite else []
    names = list(dict.fromkeys([*members, *config.benchmarks]))
    if not names:
        raise UsageError("nothing to evaluate", "give --suite or --benchmark; see 'medbench list'")
    rows = {name: catalog.benchmark(name) for name in names}
    default = "mcq-cloze" if config.protocol == "loglikelihood" else None
    wordings = {name: prompts.named(config.prompt or default or row.prompt) for name, row in rows.items()}
    tasks: list[Task] = []
    parts = catalog.suites[config.suite].parts if config.suite else {}
    for name, wording in wordings.items():
        try:
            loaded = catalog.examples(name, place, limit=config.limit, pictures=pictures)
        except SourceError as problem:
            others = " ".join(f"-b {other}" for other in names if other != name)
            rest = (
                f"; without it: {others} instead of --suite {config.suite}" if config.suite and others else ""
            )
            raise SourceError(problem.what, problem.fix + rest) from problem
        if not loaded.examples:
            raise SourceError(f"benchmark '{name}' has no questions", "look at its where, ids and repeats")
        asking = Asking(
            wording, config.sampling, config.samples, config.protocol, max_pixels=config.max_pixels
        )
        belongs = tuple(part for part, listed in parts.items() if name in listed)
        task = Task(name, loaded.examples, asking, loaded, name in members, belongs, judging)
        tasks += [task, *controls_of(task, config)]
    check_images(config, tasks)
    refuse_idle(judging, [example for task in tasks for example in task.examples])
    return tasks


def check_images(config: EvalConfig, tasks: Sequence[Task]) -> None:
    """Refuse controls that nothing can be controlled by, and log-likelihoods of what is seen."""
    shown = [task for task in tasks if not task.control and any(e.images or e.fault for e in task.examples)]
    if config.controls and not shown:
        raise UsageError("none of these benchmarks shows images", "leave --blind and --swap out")
    if "swap" in config.controls and not any(task.control == "swap" for task in tasks):
        raise UsageError("no two questions here show different images", "leave --swap out")
    if shown and config.protocol == "loglikelihood":
        raise UsageError(
            f"'{shown[0].name}' shows images, and log-likelihoods are for text alone", "--protocol generate"
        )
    for task in tasks:
        prompt = task.asking.prompt
        without = sum(not example.options for example in task.examples)
        if without and not task.control and not prompt.ask and "{options}" in prompt.user and shown:
            log.warning("%s: %d questions have no options, which this prompt asks for", task.name, without)


def controls_of(task: Task, config: EvalConfig) -> list[Task]:
    """The control tasks of a benchmark that shows images."""
    asked = {control: controlled(task.examples, control) for control in config.controls}
    return [replace(task, examples=shown, control=control) for control, shown in asked.items() if shown]


def identity(config: EvalConfig, model: Model, tasks: Sequence[Task]) -> dict[str, Any]:
    """Everything that decides the result of an evaluation."""
    later = ("controls", "max_pixels")  # named only where used, so that older runs go on
    settings = {k: v for k, v in config.model_dump(mode="json").items() if v or k not in later}
    settings.pop("judge_sampling", None)  # part of the judge's own identity
    asked = [task for task in tasks if not task.control]
    judging = asked[0].judging if asked else None
    return {
        "kind": "eval",
        "model": model.name,
        **settings,
        "data": {
            task.name: {"revision": task.loaded.revision, "examples": fingerprint(task.examples)}
            for task in asked
        },
        "prompts": {task.name: task.asking.prompt.hash for task in asked},
        **({"judge": judging.identity} if judging else {}),
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
        verdicts = {task.stage: graded for task, (graded, _) in zip(tasks, parts, strict=True)}
        judged = judging_of(run, tasks, verdicts, purse, progress)
        results = [*figures(tasks, verdicts), *averages(config, tasks, verdicts)]
        results += [judged.results, *judged_averages(config, tasks, judged)] if judged else []
        tally = summed("all", [*(tally for _, tally in parts), *([judged.tally] if judged else [])])
        plainly = [task for task in tasks if not task.control]
        asked = ((verdicts[task.stage], by_id(task)) for task in plainly)
        reading = glance(asked) if written(config) else None
        everything = pl.concat(verdicts.values())
        lost = judged.unscored if judged else 0
        share = (unscored(everything) + lost) / max(everything.height, 1)
        told = judged.json(home) if judged else None
        done = Evaluated(run.name, run.folder, pl.concat(results), tally, share, reading, told)
        extra = {"judgements": judged.judgements} if judged else {}
        seal(run, done, {"verdicts": everything, **extra}, dropped_of(tasks))
    return done


def judging_of(
    run: Run, tasks: Sequence[Task], verdicts: Mapping[str, pl.DataFrame], purse: Purse, progress: Progress
) -> Judged | None:
    """What the judge says of all replies, controls aside; None where nobody judges."""
    heard = [task for task in tasks if task.judging and not task.control]
    if not heard or heard[0].judging is None:
        return None
    bench = Bench(run, heard[0].judging, purse=purse, progress=progress)
    for task in heard:
        bench.judge(task.name, by_id(task), verdicts[task.name], task.asking.samples)
    return bench.judged


def figures(tasks: Sequence[Task], verdicts: Mapping[str, pl.DataFrame]) -> list[pl.DataFrame]:
    """The results of each benchmark, those of its controls beside them."""
    found = []
    for task in tasks:
        graded, samples = verdicts[task.stage], task.asking.samples
        if task.control:
            main = verdicts[task.name]
            found.append(beside(task.name, task.control, main=main, verdicts=graded, samples=samples))
        else:
            found.append(summarise(graded, task.examples, samples))
    return found


def members_of(config: EvalConfig, tasks: Sequence[Task]) -> dict[str, list[Task]]:
    """What averages are taken over: a suite, its parts, and its controls; only several make an average."""
    members = [task for task in tasks if task.in_suite]
    found = {config.suite or "": [task for task in members if not task.control]}
    for part in dict.fromkeys(part for task in members for part in task.parts):
        found[f"{config.suite}:{part}"] = [t for t in members if part in t.parts and not t.control]
    for control in config.controls:
        found[f"{config.suite}:{control}"] = [task for task in members if task.control == control]
    return {name: group for name, group in found.items() if name and len(group) > 1}


def averages(
    config: EvalConfig, tasks: Sequence[Task], verdicts: Mapping[str, pl.DataFrame]
) -> list[pl.DataFrame]:
    """The macro averages of a suite, of its parts, and of its controls."""
    groups = members_of(config, tasks)
    return [macro(name, pl.concat([verdicts[t.stage] for t in group])) for name, group in groups.items()]


def judged_averages(config: EvalConfig, tasks: Sequence[Task], judged: Judged) -> list[pl.DataFrame]:
    """The macro averages of judged figures."""
    found = []
    for name, group in members_of(config, tasks).items():
        names = [task.name for task in group if not task.control]
        part = judged.judgements.filter(pl.col("benchmark").is_in(names))
        if part["benchmark"].n_unique() > 1:
            found.append(average(name, part, judged.judging.panel.judge.measure))
    return found


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
    last = Tally(task.stage, 0)

    def watch(tally: Tally) -> None:
        nonlocal last
        last = tally
        progress(tally)

    asking, examples = task.asking, task.examples
    verdicts = solve(
        run, model, examples=examples, asking=asking, stage=task.stage, purse=purse, progress=watch
    )
    return verdicts, last


def dropped_of(tasks: Sequence[Task]) -> dict[str, dict[str, int]]:
    """Source rows that were no questions, counted by reason, per benchmark that has any."""
    counts = {task.name: Counter(drop.reason for drop in task.loaded.dropped) for task in tasks}
    return {name: dict(sorted(count.items())) for name, count in counts.items() if count}


def seal(run: Run, done: Evaluated, tables: Mapping[str, pl.DataFrame], dropped: Mapping[str, Any]) -> None:
    """Put the tables and the result object beside the journal."""
    run.seal(
        {**tables, "results": done.results},
        {
            "kind": "eval",
            "model": run.config["model"],
            "asked": tables["verdicts"].height,
            "unscored": unscored(tables["verdicts"]) + (done.judged["unscored"] if done.judged else 0),
            "dropped": dropped,
        },
        {"results.json": json.dumps(done.json(), indent=1) + "\n"},
    )
