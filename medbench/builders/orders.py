"""The orders of curricula: rows with their pass counts in, stages out, and why a row is in none."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import polars as pl
import pydantic

from medbench import store
from medbench.builders import audit, passes, stages
from medbench.builders.stages import Stage, shuffled
from medbench.config import Config

CLOSED = ("mcq", "multi", "yesno", "closed", "number")
OPEN = audit.OPEN

Weight = Annotated[float, pydantic.Field(gt=0, le=1000, allow_inf_nan=False)]
Lost = dict[str, tuple[str, str | None]]
"""Why rows are left out: reason and detail by id."""


class Part(Config):
    """A stage of a mix."""

    name: str = pydantic.Field(min_length=1, max_length=60)
    where: str = ""
    """Condition in SQL on the rows' columns and their pass counts; empty takes all."""
    rows: int | None = pydantic.Field(None, ge=1)
    """Questions of it, drawn by a seeded hash; null takes all."""
    weight: Weight = 1.0
    """How often its questions are seen; `weights` goes before it."""


@dataclass(frozen=True)
class Made:
    """Stages, each question once; why other rows are in none; which stages lack how many questions."""

    stages: list[Stage]
    lost: Lost = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)


def closed_open(view: pl.DataFrame, mode: str) -> Made:
    """Closed questions, then open ones; or all in one stage."""
    if mode == "joint":
        return Made([Stage("joint", tuple(view["id"]), condition="closed and open alike")])
    made = []
    for name, kinds in (("closed", CLOSED), ("open", OPEN)):
        ids = view.filter(pl.col("kind").is_in(kinds))["id"]
        made.append(Stage(name, tuple(ids), condition=f"kind is {' or '.join(kinds)}"))
    return Made(made)


def easy_hard(view: pl.DataFrame, steps: int, seed: int) -> Made:
    """All questions by pass rate, the highest first, ties by a seeded hash, in equal stages."""
    rates = dict(view.select("id", "pass_rate").iter_rows())
    ids = sorted(shuffled(rates, seed, "ties"), key=lambda one: -rates[one])
    made = []
    for number, part in enumerate(stages.parts(ids, steps), 1):
        span = f"pass rate {rates[part[0]]:.2f} to {rates[part[-1]]:.2f}" if part else "nothing left for it"
        made.append(Stage(f"step-{number}", part, condition=span))
    return Made(made)


def levels(view: pl.DataFrame, wanted: Sequence[int] | None, most: int | None, seed: int) -> Made:
    """A stage per level, in the order they are named in, at most `most` questions each."""
    levelled = view.with_columns(level=pl.col("n_samples") + 1 - pl.col("n_correct"))
    wanted = wanted or sorted(levelled["level"].unique())
    made = Made([])
    for level in wanted:
        ids = shuffled(levelled.filter(pl.col("level") == level)["id"], seed, "level")
        add(made, Stage(f"level-{level}", tuple(ids), condition=f"level {level}"), most)
    others = levelled.filter(~pl.col("level").is_in(list(wanted)))
    for one, level in others.select("id", "level").iter_rows():
        made.lost[one] = ("level not wanted", f"level {level}")
    return made


def mix(view: pl.DataFrame, wanted: Sequence[Part], seed: int) -> Made:
    """The stages as they are given; a question may be in several."""
    rated = any(passes.mentioned(part.where) for part in wanted)
    made = Made([])
    for one, rate in view.select("id", "pass_rate").iter_rows():
        made.lost[one] = ("not measured" if rated and rate is None else "in no stage", None)
    for part in wanted:
        found = store.select(view, part.where) if part.where else view
        ids = shuffled(found["id"], seed, "mix", part.name)
        add(made, Stage(part.name, tuple(ids), part.weight, part.where), part.rows)
    return made


def add(made: Made, stage: Stage, most: int | None) -> None:
    """Add a stage with the first `most` of its questions; note those over it, or how many are lacking."""
    have = len(stage.ids)
    if most is not None and have > most:
        made.lost.update(dict.fromkeys(stage.ids[most:], ("quota", f"over {most} of {stage.name}")))
    if most is not None and 0 < have < most:
        made.lacking.append(f"stage '{stage.name}' has {have:,} of {most:,} ({most - have:,} short)")
    made.stages.append(Stage(stage.name, stage.ids[:most], stage.weight, stage.condition))
