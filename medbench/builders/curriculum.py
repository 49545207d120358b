"""Curricula: the questions of a dataset in stages, written in the order they are to be trained in.

    closed-open   closed questions, then open ones (MedCCO, arXiv 2505.19213)
    easy-hard     by pass rate, the easiest first
    levels        by AlphaMed's levels (arXiv 2505.17952): level = samples + 1 - right ones
    mix           stages of one's own, each a condition on the rows and their pass counts

That MedCCO trains on closed questions first and then, "progressively adapted", on open ones is stated, and
that this beats training on both at once; that AlphaMed mixes levels is. All numbers are reconstructions.
A trainer only has to read the rows in their order (column `place`); weights and replays are written out.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import polars as pl
import pydantic

from medbench import prompts, store
from medbench.builders import audit, cards, orders, passes, stages
from medbench.builders.context import Context, Outcome
from medbench.builders.orders import Lost, Made, Part, Weight
from medbench.builders.passes import Counts
from medbench.builders.stages import Stage, weighted, with_replay
from medbench.catalog import Catalog, Place
from medbench.config import Config
from medbench.errors import MedbenchError, UsageError, unknown
from medbench.inference.types import Sampling
from medbench.solve import Estimate
from medbench.store import Built

ORDERS = ("closed-open", "easy-hard", "levels", "mix")


class Curriculum(Config):
    """What is put in which order, and what that order is judged by."""

    SELECTS: ClassVar[frozenset[str]] = frozenset(
        {
            *("order", "solver", "where", "mode", "replay", "steps", "levels", "per_level", "stages"),
            *("weights", "max_failed", "seed"),
        }
    )
    dataset: str = pydantic.Field("", pattern=r"^([A-Za-z0-9_-][A-Za-z0-9._-]*(@[0-9]+)?)?$")
    """The dataset it is cut from, `name` (the newest version) or `name@version`."""
    order: Literal["", "closed-open", "easy-hard", "levels", "mix"] = ""
    solver: str = ""
    """Whose pass counts it goes by: a solver's name or the run that measured it; empty where there is one."""
    where: str = ""
    """Condition in SQL that rows must fulfil at all, on their columns and pass counts."""
    mode: Literal["hard", "replay", "joint"] = "hard"
    """Closed-open: one stage after the other; with closed questions mixed into the open ones; or all at once,
    the ablation. Reconstruction: MedCCO's reviews speak of two consecutive stages."""
    replay: float = pydantic.Field(0.2, ge=0, le=1)
    """Share of closed questions where the open stage of mode `replay` begins; from there it falls in a
    straight line to 0 at its end. Reconstruction."""
    steps: int = pydantic.Field(1, ge=1)
    """Easy-hard: stages of equal size; 1 is one stage in one continuous order. Reconstruction."""
    levels: tuple[int, ...] | None = pydantic.Field(None, min_length=1)
    """Levels: which, in this order; null takes those there are, the easiest first. Reconstruction."""
    per_level: int | None = pydantic.Field(None, ge=1)
    """Questions per level, drawn by a seeded hash; null takes all. Reconstruction."""
    stages: tuple[Part, ...] = ()
    """The stages of a mix; a question may be in several."""
    weights: dict[str, Weight] = pydantic.Field(default_factory=dict)
    """How often the questions of a stage are seen, by its name: 2 is twice, in different seeded orders, 0.5 a
    seeded half; 1 where nothing is said. Reconstruction."""
    auditing: Sampling = Sampling(max_tokens=512)
    """How the auditor replies, where there is one. Reconstruction."""
    max_failed: float = pydantic.Field(0.01, ge=0, le=1)
    """Share of the auditor's calls that may fail for good before nothing is published."""
    seed: int = 0

    @pydantic.model_validator(mode="after")
    def sensible(self) -> "Curriculum":
        """Refuse settings of another order, which would have no effect, and stages of one name."""
        owners = {
            "mode": "closed-open",
            "replay": "closed-open",
            "steps": "easy-hard",
            "levels": "levels",
            "per_level": "levels",
            "stages": "mix",
        }
        for name, owner in owners.items():
            changed = getattr(self, name) != type(self).model_fields[name].default
            if self.order and changed and self.order != owner:
                raise ValueError(f"{name} belongs to order {owner}, not to {self.order}")
        if self.replay != type(self).model_fields["replay"].default and self.mode != "replay":
            raise ValueError("replay belongs to mode=replay")
        if self.levels and len(set(self.levels)) < len(self.levels):
            raise ValueError("levels has one twice")
        if len({part.name for part in self.stages}) < len(self.stages):
            raise ValueError("two stages have the same name")
        return self

    @property
    def rated(self) -> bool:
        """Whether the order itself is by pass counts."""
        return self.order in ("easy-hard", "levels")

    @property
    def conditions(self) -> list[str]:
        """Every condition there is."""
        return [self.where, *(part.where for part in self.stages)]


@dataclass(frozen=True)
class Inputs:
    """The dataset a curriculum is cut from, and the pass counts it goes by."""

    built: Built
    rows: pl.DataFrame
    counts: Counts | None

    @property
    def revisions(self) -> dict[str, str]:
        """The dataset's version and what its difficulty is."""
        ref = f"{self.built.name}@{self.built.version}"
        found = {"dataset": f"{ref}:{self.built.manifest['digest']}"}
        return found | (self.counts.revisions if self.counts else {})

    @property
    def sizes(self) -> dict[str, int]:
        """Rows per source."""
        return dict(self.rows.group_by("source").len().sort("source").drop_nulls().iter_rows())


def roles(config: Curriculum) -> dict[str, bool]:
    """An auditor of open questions, if wished."""
    return {"auditor": False}


def naming(config: Curriculum) -> str:
    """The name a curriculum gets: its dataset's with the order."""
    return f"{config.dataset.partition('@')[0]}-{config.order}"


def gather(config: Curriculum, catalog: Catalog, place: Place) -> Inputs:
    """Read the dataset and the pass counts of its rows."""
    if not config.dataset:
        raise UsageError("a curriculum is cut from a dataset", "--from NAME or NAME@VERSION")
    if not config.order:
        raise UsageError("a curriculum has an order", f"--order {'|'.join(ORDERS)}")
    if config.order == "mix" and not config.stages:
        raise UsageError(
            "a mix has stages", "--set 'stages=[{name: easy, where: n_correct > 5}, {name: all}]'"
        )
    built = store.dataset(place.home, config.dataset)
    rows = built.table()
    if rows.is_empty():
        raise MedbenchError(f"dataset '{built.name}@{built.version}' is empty", f"medbench show {built.name}")
    if rows["id"].n_unique() < rows.height:
        raise MedbenchError(f"dataset '{built.name}@{built.version}' has ids twice", "build it anew")
    needed = config.rated or any(map(passes.mentioned, config.conditions))
    return Inputs(built, rows, passes.of(place.home, built, rows, config.solver, needed=needed))


def estimate(config: Curriculum, inputs: Inputs, roles: Collection[str]) -> Estimate:
    """What an auditor would be asked; nothing is asked without one."""
    within, _ = filtered(config, passes.beside(inputs.rows, inputs.counts))
    asked = audit.audited(within) if "auditor" in roles else []
    read = sum(len(audit.request(example, config.auditing).text) for example in asked)
    images = sum(len(example.images) for example in asked)
    return Estimate(len(asked), read // 4, len(asked) * config.auditing.max_tokens, images)


def build(config: Curriculum, inputs: Inputs, context: Context) -> Outcome:
    """Audit if there is an auditor, put into stages, and write the order out."""
    rows, notes, more = inputs.rows, told(inputs), {}
    view, outside = filtered(config, passes.beside(rows, inputs.counts))
    made = plan(config, view, inputs)  # before anything is asked, so that it fails early
    if "auditor" in context.models:
        asked = rows.filter(pl.col("id").is_in(list(view["id"])))
        found = audit.audit(context, asked, config.auditing, config.max_failed)
        rows, view = audit.beside(rows, found.rows), unrated(audit.beside(view, found.rows))
        view = view.filter(~pl.col("id").is_in(list(found.dropped)))
        outside |= {one: (reason, None) for one, reason in found.dropped.items()}
        made, more = plan(config, view, inputs), {"audits": found.replies}
        notes += found.notes
    if made.lacking and not context.short:
        raise MedbenchError(
            f"not enough questions: {'; '.join(made.lacking)}",
            "--accept-short publishes what there is; or ask for fewer",
        )
    rates: dict[str, float | None] = dict(view.select("id", "pass_rate").iter_rows())
    rated = rows.with_columns(pass_rate=pl.Series([rates.get(one) for one in rows["id"]], dtype=pl.Float64))
    return Outcome(
        rows=stages.table(rated, made.stages),
        dropped=left_out(rows, made.stages, {**made.lost, **outside}),
        notes=[*notes, *(f"Short: {lack}." for lack in made.lacking)],
        more=more,
        read={"prompt": prompts.named(audit.PROMPT, "auditor").label} if more else {},
        chapters={"Stages": f"{explained(config)}\n\n{stages.chapter(made.stages, rates)}", **licences(rows)},
    )


def unrated(view: pl.DataFrame) -> pl.DataFrame:
    """The rows with the counts of edited questions set to null: they are of other words."""
    edited = pl.col("question_before").is_not_null() | pl.col("gold_before").is_not_null()
    counts = [name for name in passes.COLUMNS if name in view.columns]
    return view.with_columns(pl.when(~edited).then(pl.col(name)).alias(name) for name in counts)


def filtered(config: Curriculum, view: pl.DataFrame) -> tuple[pl.DataFrame, Lost]:
    """The rows that fulfil `where`, and why the others are left out."""
    if not config.where:
        return view, {}
    within = store.select(view, config.where)
    kept = set(within["id"])
    return within, {one: ("not in `where`", config.where) for one in view["id"] if one not in kept}


def plan(config: Curriculum, view: pl.DataFrame, inputs: Inputs) -> Made:
    """The stages as they are seen, weights and replays written out. Refuses an empty one."""
    lost: Lost = {}
    if config.rated:
        view, lost = measured(config, view, inputs)
    made = arranged(config, view)
    names = [stage.name for stage in made.stages]
    if strange := sorted(set(config.weights) - set(names)):
        raise unknown("stage", strange[0], names)
    seen, lighter = [], Lost()
    for stage in made.stages:
        heavy = replace(stage, weight=config.weights.get(stage.name, stage.weight))
        whole = weighted(heavy, config.seed, keep_order=config.order == "easy-hard")
        if not whole.ids:
            raise MedbenchError(
                f"stage '{stage.name}' is empty ({stage.condition or 'all'}; weight {heavy.weight:g})",
                f"see what there is: medbench show {inputs.built.name}; or leave the stage out",
            )
        lighter |= dict.fromkeys(set(stage.ids) - set(whole.ids), ("left out by weight", stage.name))
        seen.append(whole)
    if config.order == "closed-open" and config.mode == "replay":
        seen[1] = with_replay(seen[1], made.stages[0].ids, config.replay, config.seed)
    return Made(seen, {**lost, **made.lost, **lighter}, made.lacking)


def arranged(config: Curriculum, view: pl.DataFrame) -> Made:
    """The stages of the order asked for, each question once."""
    match config.order:
        case "closed-open":
            return orders.closed_open(view, config.mode)
        case "easy-hard":
            return orders.easy_hard(view, config.steps, config.seed)
        case "levels":
            return orders.levels(view, config.levels, config.per_level, config.seed)
        case _:
            return orders.mix(view, config.stages, config.seed)


def measured(config: Curriculum, view: pl.DataFrame, inputs: Inputs) -> tuple[pl.DataFrame, Lost]:
    """The rows whose pass counts give them a place, and why others have none.

    Raises MedbenchError where asking ended early, because such counts tell a band and no rate.
    """
    if early := view.filter(pl.col("stopped")).height:
        raise MedbenchError(
            f"{early:,} of {view.height:,} questions were asked only until their band was decided, so their "
            f"counts give no order {config.order}",
            f"measure without --early: medbench difficulty {inputs.built.name}@{inputs.built.version} "
            "--solver MODEL, then --set solver=RUN; or use order mix with conditions on the band",
        )
    enough = pl.col("n_scored") > 0
    if config.order == "levels":
        enough = pl.col("n_scored") == pl.col("n_samples")
        if view["n_samples"].drop_nulls().n_unique() > 1:
            raise MedbenchError(
                "questions were asked different numbers of times, so their levels don't compare",
                "measure all alike, or use order easy-hard",
            )
    rest = view.filter(~enough.fill_null(value=False))
    lost: Lost = {
        one: ("not measured", None if scored is None else f"{scored} of {asked} samples scored")
        for one, scored, asked in rest.select("id", "n_scored", "n_samples").iter_rows()
    }
    return view.filter(enough), lost


def left_out(
    rows: pl.DataFrame, planned: Iterable[Stage], reasons: Mapping[str, tuple[str, str | None]]
) -> pl.DataFrame:
    """The rows of the dataset that no stage has, each with the reason."""
    taken = {one for stage in planned for one in stage.ids}
    rest = rows.filter(~pl.col("id").is_in(list(taken)))
    why = [reasons[one] for one in rest["id"]]
    return rest.with_columns(
        dropped_by=pl.Series([reason for reason, _ in why], dtype=pl.String),
        detail=pl.Series([detail for _, detail in why], dtype=pl.String),
    )


def told(inputs: Inputs) -> list[str]:
    """Sentences on what it is cut from and whose pass counts it goes by."""
    notes = [f"Cut from {inputs.built.name}@{inputs.built.version}, {inputs.rows.height:,} questions."]
    if inputs.counts is None:
        return [*notes, "No pass counts, or several to choose from and none was named: `pass_rate` is empty."]
    notes.append(f"`pass_rate` is that of {inputs.counts.solver}; other counts in the rows are as they were.")
    if inputs.counts.table["stopped"].any():
        notes.append(
            "Some questions were asked only until their band was decided: their `pass_rate` is rough."
        )
    return notes


def explained(config: Curriculum) -> str:
    """How the order came about, in a sentence or two."""
    said = {
        "closed-open": {
            "hard": "Closed questions first, then open ones.",
            "replay": "Closed questions first, then open ones with closed ones mixed in: a share of "
            f"{config.replay:g} where that stage begins, falling in a straight line to 0 at its end.",
            "joint": "Closed and open questions together, the ablation.",
        }[config.mode],
        "easy-hard": "By pass rate, the easiest first.",
        "levels": "By level (samples + 1 - right ones).",
        "mix": "Stages by condition.",
    }[config.order]
    order = "kept where the order is by pass rate" if config.order == "easy-hard" else "seeded"
    return f"{said} Within a stage the order is {order}. Rows stand in the order they are to be trained in."


def licences(rows: pl.DataFrame) -> dict[str, str]:
    """A chapter on the rows' licences, where they name them."""
    if "licence" not in rows.columns:
        return {}
    return {"Licences of the rows": cards.markdown(rows.group_by("licence").len("rows").sort("licence"))}
