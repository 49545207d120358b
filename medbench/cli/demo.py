"""`medbench demo`: the whole loop on the packaged starter questions, by the commands a user would type."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medbench.cli import options as o
from medbench.errors import MedbenchError

if TYPE_CHECKING:
    import polars as pl

SAMPLES = ["--samples", "4", "--set", "sampling.max_tokens=16", "--set", "sampling.temperature=1.0"]
# Small models spend a third of their time giving memory back to the system and taking it again.
MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1000000000", "MALLOC_TRIM_THRESHOLD_": "1000000000"}
HELD_OUT = "starter-heldout"
REORDERED = "starter-reordered"


def demo(
    control: Annotated[
        bool, typer.Option("--control", help="Also train with shuffled rewards, which must not gain.")
    ] = False,
    home: o.Home = None,
) -> None:
    """Run the whole loop on the packaged starter questions: check, teach, build, eval, train, eval, diff.

    Example: medbench demo --control
    """
    from medbench.cli import render

    loop = Loop(o.home_of(home))
    began = time.monotonic()
    render.say("A model of 0.2 M parameters, questions written for medbench, nothing from the network.\n")
    loop.run("check", "starter")
    start = loop.train("sft", "starter-sft")
    loop.run("build", "starter-rl", "--solver", f"local:{start}", "--batch-size", "64")
    before = loop.evaluate(start)
    trained = loop.train("grpo", "alphamed-tiny", "--model", f"local:{start}", "--dataset", "starter-rl")
    after = loop.evaluate(trained)
    loop.run("diff", before, after)
    summary(loop, before, after, "GRPO")
    if control:
        shuffled = loop.train(
            "grpo", "alphamed-tiny", "--model", f"local:{start}", "--dataset", "starter-rl",
            "--set", "shuffle_rewards=true",
        )  # fmt: skip
        summary(loop, before, loop.evaluate(shuffled), "control: shuffled rewards")
    closing(loop.home, trained, time.monotonic() - began)


@dataclass
class Loop:
    """Runs commands one after the other, showing each as it would be typed."""

    home: Path
    names: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str) -> dict[str, Any]:
        """Run one command; gives the object it prints with --json, if that is asked for."""
        typer.echo(f"\n$ medbench {' '.join(arguments)}", err=True)
        wants_json = "--json" in arguments
        command = [sys.executable, "-P", "-m", "medbench", *arguments, "--home", str(self.home)]
        environment = {**os.environ, "MEDBENCH_HOME": str(self.home), **MEMORY}
        out = subprocess.PIPE if wants_json else None
        done = subprocess.run(command, stdout=out, text=True, env=environment)
        if done.returncode:
            raise MedbenchError(f"'medbench {arguments[0]}' ended with exit code {done.returncode}")
        return dict(json.loads(done.stdout)) if wants_json else {}

    def train(self, algorithm: str, recipe: str, *more: str) -> str:
        """Train; gives the run's name."""
        return str(self.run("train", algorithm, "--recipe", recipe, *more, "--json")["run"])

    def evaluate(self, run: str) -> str:
        """Evaluate a training run's model on the starter suite; gives the evaluation's name."""
        command = ["eval", "--suite", "starter", "--model", f"local:{run}", *SAMPLES, "--batch-size", "128"]
        return str(self.run(*command, "--json")["run"])


def summary(loop: Loop, before: str, after: str, what: str) -> None:
    """Before against after, by what was taught, only rewarded, or asked in wordings never seen."""
    import polars as pl

    from medbench.cli import render
    from medbench.evaluators.metrics import compare

    tables = [pl.read_parquet(loop.home / "runs" / name / "verdicts.parquet") for name in (before, after)]
    facts = known_facts()
    rows = []
    for label, benchmark, taught in GROUPS:
        chosen = [part(table, facts, benchmark, taught) for table in tables]
        pair = compare(*chosen)
        interval = f"{pair.low:+.3f} to {pair.high:+.3f}"
        p = f"{pair.p:.3f}" if pair.p >= 0.001 else "<0.001"
        rows.append([label, pair.n, pair.units, pair.first, pair.second, interval, p])
    columns = ["questions", "n", "facts", "before", "after", "gain, 95% CI", "p (exact)"]
    render.table(columns, rows, title=f"{what}: sampled accuracy, 4 replies per question, paired")


GROUPS = [
    ("facts taught by SFT, other option order", REORDERED, True),
    ("facts only rewarded, other option order", REORDERED, False),
    ("facts taught by SFT, wording never seen", HELD_OUT, True),
    ("facts only rewarded, wording never seen", HELD_OUT, False),
    ("facts never trained on (extra)", "starter-extra", None),
]


def known_facts() -> "dict[str, bool]":
    """Question id -> whether the warm start was taught its fact."""
    from medbench import trainers
    from medbench.catalog import Catalog, Place
    from medbench.files import default_home
    from medbench.trainers.rows import taught

    recipe = trainers.load("starter-sft")
    catalog, place = Catalog.load(), Place.of(default_home())
    share, seed = recipe.plain()["teach_share"], recipe.seed.value
    return {
        example.id: taught(example, share=share, seed=seed)
        for name in (REORDERED, HELD_OUT)
        for example in catalog.examples(name, place).examples
    }


def part(
    table: "pl.DataFrame", facts: dict[str, bool], benchmark: str, taught: bool | None
) -> "pl.DataFrame":
    """The verdicts of one group of questions."""
    import polars as pl

    mine = table.filter(pl.col("benchmark") == benchmark)
    if taught is None:
        return mine
    return mine.filter(pl.col("example").is_in([name for name, known in facts.items() if known == taught]))


def closing(home: Path, trained: str, seconds: float) -> None:
    """What it means, where it is, and what to try next."""
    typer.echo(
        f"""
How to read it: guessing among the options gives about 0.25. The warm start taught half of the facts, and
for the other half only how to answer (its labels were drawn evenly from all answers of the category, hence
less than 0.25). GRPO then saw right-or-wrong rewards for all of these facts, in the training wordings. So the
gain is on facts that were rewarded, in other option orders and in wordings never seen. It shows that the
loop works; it says nothing about facts outside it or about medical ability.

Everything is in {home}/runs ({seconds / 60:.1f} min). Next:

  {sys.argv[0]} show {trained} --home {home}
  {sys.argv[0]} eval --suite mirage5 --model openai:NAME@http://localhost:8000/v1    (a real model)"""
    )
