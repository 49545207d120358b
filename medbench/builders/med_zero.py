"""Med-Zero-17K: public sources and a teacher's questions, those a policy finds neither trivial nor hopeless.

Source: CAPO (arXiv 2506.12849). Stated: about 17,000 questions from several public sources and from questions
that a Qwen-VL-72B wrote on PubMedVision's images and captions; ten replies of the policy at temperature 0.9,
kept where at least one is right and not all are; more than 30 modalities, 24 clinical tasks, three levels;
OmniMedVQA and MMMU are evaluated on and not trained on. Which sources, how many of each, the prompts, the
lists and every other number here are our reconstruction. docs/med-zero.md walks through it.

    collect → drop leaked images → draft (teacher) → drop leaked words → verify (second opinion) → tag
            → roll out (solver) → band → balance → publish

Leaks go before anything is asked about them, so that the quotas are filled by what stays.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Annotated, ClassVar

import polars as pl
import pydantic

from medbench import difficulty, prompts, taxonomy
from medbench.adapters import Drop
from medbench.builders import asking, balance, bands, chapters, contamination, drafts, intake, steps, tagging
from medbench.builders.contamination import Tests
from medbench.builders.context import Context, Outcome
from medbench.builders.intake import Intake, Pool
from medbench.builders.lineage import Made, not_tried, traced
from medbench.catalog import Catalog, Place, Source
from medbench.config import Config
from medbench.difficulty import Rollouts
from medbench.errors import MedbenchError
from medbench.inference.types import Model, Sampling
from medbench.schema import Example
from medbench.solve import Asking, Estimate
from medbench.solve import estimate as estimate_of

TEACHER = "Qwen/Qwen2.5-VL-72B-Instruct"
"""The teacher where only a server is named. The paper says "Qwen-VL-72B"; which release is inferred."""

PROVENANCE = (
    "Stated by the paper: the size, PubMedVision with a Qwen-VL-72B as teacher, ten replies at temperature "
    "0.9 of which one to nine are right, 24 tasks, over 30 modalities, three levels, no OmniMedVQA and no "
    "MMMU. The sources besides, quotas, prompts, checks and the lists of tasks and modalities are our "
    "reconstruction."
)
"""What the card says of where the recipe is from."""

ENOUGH = 20
"""Replies of the teacher before their quality can stop a build."""


class MedZero(Config):
    """What goes in, how it is made and measured, and what stays."""

    SELECTS: ClassVar[frozenset[str]] = frozenset(
        {
            *("sources", "quotas", "accept", "tries", "chunk", "per_image", "options", "teaching", "check"),
            *("checking", "prompt", "samples", "sampling", "band", "early", "max_cell", "cells", "against"),
            *("also_here", "max_spoiled", "max_failed"),
        }
    )
    sources: dict[str, Intake]
    """What is taken from where. Reconstruction."""
    quotas: dict[str, Annotated[int, pydantic.Field(ge=0)]]
    """Questions that each source has in the end; none or 0 leaves it out. Reconstruction."""
    accept: tuple[str, ...] = ()
    """Sources to be taken in though their terms are unclear or forbid passing rows on."""
    tries: int = pydantic.Field(6, ge=1)
    """At most so many rows of a source are tried per question of its quota. Ours."""
    chunk: int = pydantic.Field(2000, ge=1)
    """Rows of a source that are tried before looking whether its quota is filled. Ours."""
    per_image: int = pydantic.Field(1, ge=1, le=24)
    """Questions asked of the teacher per image. Reconstruction."""
    options: int = pydantic.Field(4, ge=2, le=10)
    """Options of a drafted question. Reconstruction."""
    teaching: Sampling = Sampling(temperature=0.7, max_tokens=1024)
    """How the teacher writes. Reconstruction."""
    check: bool = True
    """Whether a second opinion must name the same option from the caption alone. Reconstruction."""
    checking: Sampling = Sampling(max_tokens=256)
    prompt: str = "vqa-reason"
    """How the policy is asked. Reconstruction."""
    samples: int = pydantic.Field(10, ge=1)
    """Replies of the policy per question. Stated."""
    sampling: Sampling = Sampling(temperature=0.9, max_tokens=2048)
    """Temperature 0.9 is stated, the length is ours."""
    band: tuple[int, int] = (1, 9)
    """Fewest and most right replies of a question that stays. Stated for ten samples."""
    early: bool = False
    """Stop asking about a question once it is sure to be in the band, or out of it."""
    max_cell: float = pydantic.Field(0.1, gt=0, le=1)
    """Largest share of all quotas that one modality, task and level may have together. Reconstruction."""
    cells: dict[str, int] = pydantic.Field(default_factory=dict)
    """Condition on the rows' columns in SQL → how many of the questions must fulfil it."""
    against: tuple[str, ...] = ("vqa8",)
    """Benchmarks and suites that must be there to be compared with. Ours."""
    also_here: bool = True
    """Compare with every other benchmark of the catalog too that is here already."""
    max_spoiled: float = pydantic.Field(0.2, ge=0, le=1)
    """Share of the teacher's replies that may be failed calls or no JSON as asked for; with more it stops."""
    max_failed: float = pydantic.Field(0.01, ge=0, le=1)
    """Share of the policy's calls that may fail for good before nothing is published."""
    seed: int = 0

    @pydantic.model_validator(mode="after")
    def sensible(self) -> "MedZero":
        """Refuse names that are none, samples that are all alike, and a band that no count can be in."""
        for field in ("quotas", "accept"):
            if strange := sorted(set(getattr(self, field)) - set(self.sources)):
                raise ValueError(f"{field} names '{strange[0]}', sources does not")
        if odd := [name for name in self.sources if not re.fullmatch(r"[A-Za-z0-9_][\w.-]{0,80}", name)]:
            raise ValueError(f"'{odd[0]}' is no name for a source")
        if self.samples > 1 and not self.sampling.temperature:
            raise ValueError("at temperature 0 all samples are alike: set sampling.temperature")
        if not 0 <= self.band[0] <= self.band[1] <= self.samples:
            raise ValueError(f"band must lie within 0 and {self.samples} samples, the lower first")
        return self

    @property
    def most(self) -> int:
        """Questions that one cell may have."""
        return max(int(self.max_cell * sum(self.quotas.values())), 1)


@dataclass(frozen=True)
class Inputs:
    """The rows of the sources; images and test questions are read when the build begins."""

    pools: dict[str, Pool]
    shut: list[str]
    catalog: Catalog
    place: Place
    wordings: dict[str, str]

    @property
    def revisions(self) -> dict[str, str]:
        """What the result rests on, test questions aside."""
        return {**self.wordings, **{f"source {n}": p.loaded.revision for n, p in sorted(self.pools.items())}}

    @property
    def sizes(self) -> dict[str, int]:
        """Usable rows per source."""
        return {name: len(pool.loaded.examples) for name, pool in self.pools.items()}

    @property
    def folders(self) -> dict[str, Source]:
        """The sources that are folders of the user's own."""
        return {name: pool.source for name, pool in self.pools.items() if pool.intake.folder is not None}


def roles(config: MedZero) -> dict[str, bool]:
    """A teacher where captions are drafted from, a checker of its own if wished, a solver always."""
    drafting = any(config.sources[name].draft for name, quota in config.quotas.items() if quota)
    return {"teacher": drafting, "checker": False, "solver": True}


def gather(config: MedZero, catalog: Catalog, place: Place) -> Inputs:
    """Read the wordings and the rows of the sources."""
    pools, shut = intake.opened(config.sources, config.quotas, config.accept, catalog, place)
    wordings = {
        "prompt": prompts.named(config.prompt).hash,
        "prompt draft-question": prompts.named("draft-question", "teacher").hash,
        "prompt check-support": prompts.named("check-support", "checker").hash,
        "prompt tag-question": prompts.named("tag-question", "tagger").hash,
    }
    return Inputs(pools, shut, catalog, place, wordings)


def estimate(config: MedZero, inputs: Inputs, roles: Collection[str]) -> Estimate:
    """What is asked at most: as if no quota filled before the last row that may be tried."""
    parts = []
    for name, pool in inputs.pools.items():
        rows = pool.candidates(config.seed, config.tries * config.quotas[name])
        solving = estimate_of(rows, asking_of(config))
        if "teacher" in roles:
            parts.append(
                Estimate(len(rows), 250 * len(rows), len(rows) * config.checking.max_tokens, len(rows))
            )
        if not pool.intake.draft:
            parts.append(solving)
            continue
        calls = [
            drafts.request(wish, "draft-question", config.options, config.teaching)
            for wish in drafts.wishes(rows, config.per_image, config.seed)
        ]
        n, read = len(calls), sum(len(call.text) for call in calls) // 4
        parts.append(Estimate(n, read, n * config.teaching.max_tokens, n))
        parts.append(Estimate(n, read // 2, n * config.checking.max_tokens))
        parts += [solving] * config.per_image
    return Estimate(*(sum(values) for values in zip(*map(astuple, parts), strict=True)))


def asking_of(config: MedZero) -> Asking:
    """How the policy is asked."""
    return Asking(prompts.named(config.prompt), config.sampling, samples=config.samples, role="solver")


def build(config: MedZero, inputs: Inputs, context: Context) -> Outcome:
    """Try rows of every source, a chunk at a time, until each has its quota; keep what is balanced."""
    tests = contamination.tests(inputs.catalog, inputs.place, config.against, also_here=config.also_here)
    queues = {
        name: pool.candidates(config.seed, config.tries * config.quotas[name])
        for name, pool in inputs.pools.items()
    }
    if not any(queues.values()):
        raise MedbenchError("no row of any source can be tried", "see the kinds and lang of `sources`")
    balance.checked(config.cells)
    made = Made(tried=dict.fromkeys(queues, 0))
    for name in (name for name, pool in inputs.pools.items() if not pool.intake.draft):
        made.modalities |= taxonomy.modalities(queues[name])
    due = [name for name, queue in queues.items() if queue]
    while due:
        for name in due:
            step = min(config.chunk, max(2 * config.quotas[name], 32))
            part = queues[name][made.tried[name] : made.tried[name] + step]
            made.tried[name] += len(part)
            attempt(config, inputs, context, inputs.pools[name], part, tests, made)
        chosen = chosen_of(config, made)
        due = [name for name in lacking(config, queues, chosen) if made.tried[name] < len(queues[name])]
    short = balance.shortages(chosen, {n: config.quotas[n] for n in queues}, config.most, config.cells)
    if short and not context.short:
        raise MedbenchError(
            f"not enough questions: {'; '.join(short)}",
            "--accept-short publishes what there is; or lower quotas, or raise tries; nothing is asked again",
        )
    return published(config, inputs, context, made, chosen, tests, short)


def lacking(config: MedZero, names: Iterable[str], chosen: pl.DataFrame) -> list[str]:
    """The sources of which more may be tried: those short of their quota, or all if a condition is."""
    if balance.shortages(chosen, {}, config.most, config.cells):
        return list(names)
    return [name for name in names if balance.shortages(chosen, {name: config.quotas[name]}, config.most, {})]


def attempt(
    config: MedZero,
    inputs: Inputs,
    context: Context,
    pool: Pool,
    part: Sequence[Example],
    tests: Tests,
    made: Made,
) -> None:
    """Take some rows of a source from collecting to pass counts."""
    rows = pool.pictured(part, inputs.place)
    faulty = {row.id: row.fault for row in rows if row.fault}
    table = steps.drop(steps.begin(rows, []), faulty, "its image cannot be shown")
    table = steps.sound(table, rows)
    table = contamination.drop_images(table, alive(table, rows), tests, inputs.place.images)
    rows = alive(table, rows)
    if pool.intake.draft:
        table, rows = teach(config, context, table, rows, made)
    elif pool.intake.choices_by:
        rows, left = intake.with_choices(rows, pool.fit, pool.intake.choices_by, config.seed)
        table = bands.restated(bands.drop_each(table, left), rows)
    table = contamination.drop_words(table, alive(table, rows), tests)
    if pool.intake.draft and config.check:
        table = check(config, context, table, alive(table, rows), made)
    table = bands.beside(table, tagged(config, context, alive(table, rows), made))
    table = steps.rated(table, rolled(config, context, alive(table, rows), made))
    made.examples += rows
    made.tables.append(table.with_columns(pool=pl.lit(pool.name)))


def alive(table: pl.DataFrame, rows: Sequence[Example]) -> list[Example]:
    """The examples whose rows are still in."""
    ids = set(steps.kept(table)["id"])
    return [row for row in rows if row.id in ids]


def teach(
    config: MedZero, context: Context, table: pl.DataFrame, rows: Sequence[Example], made: Made
) -> tuple[pl.DataFrame, list[Example]]:
    """The questions the teacher writes from captions, in place of these.

    Raises MedbenchError when too many of its replies cannot be used; the journal keeps them all.
    """
    wished = drafts.wishes(rows, config.per_image, config.seed)
    requests = [drafts.request(wish, "draft-question", config.options, config.teaching) for wish in wished]
    replies = asking.ask(context, "teacher", context.models["teacher"], requests)
    asked = list(zip(wished, replies, strict=True))
    questions, said = drafts.drafted(
        asked, context.shown("teacher"), "draft-question", config.options, config.seed
    )
    made.drafts.append(said)
    asking.refuse_failures("teacher", [reply.error for reply in replies], config.max_failed)
    every = pl.concat(made.drafts)
    spoiled = drafts.spoiled(every)
    if every.height >= ENOUGH and spoiled.total() > config.max_spoiled * every.height:
        told = ", ".join(f"{reason} ({count:,})" for reason, count in spoiled.most_common(4))
        raise MedbenchError(
            f"{spoiled.total():,} of {every.height:,} replies of the teacher cannot be used: {told}; "
            "nothing was published",
            "they are on record in teacher.jsonl; try another teacher, or allow more with "
            "--set max_spoiled=0.5",
        )
    lost = said.drop_nulls("dropped_by")
    dropped = [Drop(i, reason) for i, reason in lost.select("id", "dropped_by").iter_rows()]
    gone = table.drop_nulls("dropped_by")
    return pl.concat([gone, steps.begin(questions, dropped)]), questions


def check(
    config: MedZero, context: Context, table: pl.DataFrame, rows: Sequence[Example], made: Made
) -> pl.DataFrame:
    """Drops drafted questions that a second opinion, told only the caption, does not answer alike."""
    captions = dict(made.drafts[-1].select("id", "caption").iter_rows())
    role = "checker" if "checker" in context.models else "teacher"
    requests = [drafts.support(row, captions[row.id], config.checking) for row in rows]
    replies = asking.ask(context, "checker", context.models[role], requests)
    asking.refuse_failures("checker", [reply.error for reply in replies], config.max_failed)
    found = drafts.opinions(rows, replies, context.shown(role))
    made.checks.append(found)
    return bands.drop_each(table, dict(found.drop_nulls("dropped_by").select("id", "dropped_by").iter_rows()))


def tagged(config: MedZero, context: Context, rows: Sequence[Example], made: Made) -> pl.DataFrame:
    """Modality, task and level of each row: labels and words first, the teacher for the rest."""
    said = made.drafts[-1].drop_nulls("letter")
    wished = dict(said.select("id", "task").iter_rows())
    told = {i: drafts.parsed(reply).modality for i, reply in said.select("id", "reply").iter_rows()}
    tags = {row.id: tagging.by_rule(row, wished, told, made.modalities) for row in rows}
    teacher: Model | None = context.models.get("teacher")
    if teacher is not None:
        open_to_it = [row for row in rows if not tags[row.id].whole]
        requests = [tagging.request(row, config.checking) for row in open_to_it]
        replies = asking.ask(context, "tagger", teacher, requests)
        asking.refuse_failures("tagger", [reply.error for reply in replies], config.max_failed)
        for row, reply in zip(open_to_it, replies, strict=True):
            tags[row.id] = tagging.by_model(tags[row.id], reply)
            made.tagging.append((reply.tokens_in, reply.tokens_out))
    return tagging.columns(rows, tags)


def rolled(config: MedZero, context: Context, rows: Sequence[Example], made: Made) -> pl.DataFrame:
    """Pass counts of the policy. Raises MedbenchError when too many of its calls fail."""
    measured = difficulty.measure(
        context.run,
        context.solver,
        rows,
        Rollouts(
            context.name, context.shown("solver"), asking_of(config), config.band if config.early else None
        ),
        purse=context.purse,
        progress=context.progress,
    )
    asking.refuse_failures("solver", measured.samples["error"].to_list(), config.max_failed)
    made.samples.append(measured.samples)
    made.counts.append(measured.table)
    return measured.table


def chosen_of(config: MedZero, made: Made) -> pl.DataFrame:
    """All rows so far, less those out of the band, repeated, or over what a cell or a quota takes."""
    table = steps.dedupe(pl.concat(made.tables), made.examples)
    table = bands.banded(table, config.band, config.samples)
    return balance.balanced(table, config.quotas, config.most, config.cells, config.seed)


def published(
    config: MedZero,
    inputs: Inputs,
    context: Context,
    made: Made,
    chosen: pl.DataFrame,
    tests: Tests,
    short: Sequence[str],
) -> Outcome:
    """The tables and the card's chapters."""
    every = traced(inputs.pools, made, chosen)
    rows = steps.kept(every).drop("dropped_by", "detail")
    untried = steps.begin([], not_tried(inputs.pools, made))
    said, checks = pl.concat(made.drafts), pl.concat(made.checks)
    spent = chapters.spent(
        {"teacher": said, "checker": checks, "solver": pl.concat(made.samples)}, made.tagging, context.purse
    )
    return Outcome(
        rows=rows,
        dropped=pl.concat([every.drop_nulls("dropped_by"), untried], how="diagonal"),
        notes=[PROVENANCE, *inputs.shut, *(f"Short: {lack}." for lack in short), *tests.notes],
        more={
            "samples": pl.concat(made.samples),
            "difficulty": pl.concat(made.counts),
            **{name: table for name, table in {"drafts": said, "checks": checks}.items() if table.height},
            "cells": chapters.cells(rows),
        },
        chapters={
            "Pass counts": chapters.pass_counts(every, config.samples),
            "What is in it": chapters.contents(rows),
            "Questions by the teacher": chapters.teaching(said, checks),
            "Cost": spent,
        },
        read=tests.revisions,
    )
