"""AlphaMed's training sets: MedQA whole, MedMCQA levelled by a solver, in equal parts per level.

Source: AlphaMed (arXiv 2505.17952). The released set holds 19,178 questions = MedQA train 10,178 + 9,000;
six levels by five samples of Llama-3.1-8B-Instruct and 1,500 MedMCQA questions per level are our
reconstruction (the arithmetic closes; the paper's body is not public). `level = 6 - correct` of 5, so
level 1 is always answered right and level 6 never.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import polars as pl
import pydantic

from medbench import difficulty, prompts
from medbench.builders import asking, cards, steps
from medbench.builders.context import Context, Outcome
from medbench.catalog import Catalog, Loaded, Place
from medbench.config import Config, digest
from medbench.difficulty import Measured, Rollouts
from medbench.errors import SourceError
from medbench.inference.types import Sampling
from medbench.schema import Example
from medbench.solve import Asking, Estimate
from medbench.solve import estimate as estimate_of

UNSCORED = "too few scored samples"


class AlphaMed(Config):
    """What goes in, how hard it is judged to be, and how much of each stays."""

    whole: tuple[str, ...] = ("medqa",)
    """Sources kept whole; their level is measured too."""
    levelled: tuple[str, ...] = ("medmcqa",)
    """Sources of which `per_level` questions of each level are kept."""
    split: str = "train"
    per_level: int = pydantic.Field(1500, ge=0)
    """Questions per level and levelled source."""
    samples: int = pydantic.Field(5, ge=1)
    """Replies per question; level = samples + 1 - correct."""
    sampling: Sampling = Sampling(temperature=1.0, max_tokens=1024)
    prompt: str = "mcq-boxed"
    options: int | None = 4
    """Questions with another number of options are dropped; null keeps all."""
    clean: bool = True
    """Drop defective options, duplicates and contradictory golds. The paper does not say it did."""
    decontaminate: bool = True
    """Drop what leaks a test question. The paper does not say it did."""
    against: tuple[str, ...] = ("medqa", "medmcqa", "pubmedqa", "mmlu-prom", "gpqa-m", "medxpertqa-text")
    """Benchmarks whose questions must not be in the training set."""
    candidates: int | None = pydantic.Field(None, ge=1)
    """At most so many questions per levelled source are tried, in a seeded order; null tries all."""
    chunk: int = pydantic.Field(2000, ge=1)
    """Questions of a levelled source that are tried before looking whether every level is full."""
    max_failed: float = pydantic.Field(0.01, ge=0, le=1)
    """Share of solver calls that may fail for good before nothing is published."""
    seed: int = 0


@dataclass(frozen=True)
class Inputs:
    """Everything read before the first question is asked."""

    sources: dict[str, Loaded]
    tests: dict[str, Loaded]
    prompt: str
    """Hash of the wording."""

    @property
    def revisions(self) -> dict[str, str]:
        """What the result rests on."""
        sources = {f"source {name}": loaded.revision for name, loaded in sorted(self.sources.items())}
        tests = {f"test {name}": loaded.revision for name, loaded in sorted(self.tests.items())}
        return {"prompt": self.prompt, **sources, **tests}

    @property
    def sizes(self) -> dict[str, int]:
        """Usable questions per source."""
        return {name: len(loaded.examples) for name, loaded in self.sources.items()}


def roles(config: AlphaMed) -> dict[str, bool]:
    """Only a solver is asked."""
    return {"solver": True}


def gather(config: AlphaMed, catalog: Catalog, place: Place) -> Inputs:
    """Read the wording, sources and test sets."""
    prompt = prompts.named(config.prompt).hash
    sources = {
        name: catalog.training_rows(name, config.split, place) for name in (*config.whole, *config.levelled)
    }
    tests = {}
    for name in config.against if config.decontaminate else ():
        try:
            tests[name] = catalog.examples(name, place, pictures=False)
        except SourceError as problem:
            rest = ",".join(other for other in config.against if other != name)
            fix = f"{problem.fix}; or leave it out: --set 'against=[{rest}]'"
            raise SourceError(f"decontamination needs {name}: {problem.what}", fix) from problem
    return Inputs(sources, tests, prompt)


def asking_of(config: AlphaMed) -> Asking:
    """How the solver is asked."""
    return Asking(prompts.named(config.prompt), config.sampling, samples=config.samples, role="solver")


def estimate(config: AlphaMed, inputs: Inputs, roles: Collection[str]) -> Estimate:
    """What is asked at most: for levelled sources as if no level filled before the last candidate."""
    examples = []
    for name, table in cleaned_sources(config, inputs).items():
        wanted = set(steps.kept(table)["id"] if name in config.whole else candidates(config, table))
        examples += [example for example in inputs.sources[name].examples if example.id in wanted]
    return estimate_of(examples, asking_of(config))


def build(config: AlphaMed, inputs: Inputs, context: Context) -> Outcome:
    """Clean, decontaminate, level, and keep `per_level` of each level."""
    marked, measured = [], []
    for name, table in cleaned_sources(config, inputs).items():
        examples = inputs.sources[name].examples
        if name in config.whole:
            tried = level(config, table, examples, context)
        else:
            table, tried = fill_levels(config, table, examples, context)
        table = levels(config, table, tried)
        if name in config.levelled:
            table = steps.quota(table, ["level"], config.per_level, seed=config.seed)
        marked.append(table)
        measured.append(tried)
    whole = pl.concat(marked)
    return Outcome(
        rows=steps.kept(whole).drop("dropped_by", "detail"),
        dropped=whole.drop_nulls("dropped_by"),
        more={
            "samples": pl.concat([part.samples for part in measured]),
            "difficulty": pl.concat([part.table for part in measured]),
        },
        notes=losses(config, whole)
        + shortages(config, whole)
        + cards.cleaning(config.clean)
        + cards.decontamination(config.decontaminate, config.against),
    )


def cleaned_sources(config: AlphaMed, inputs: Inputs) -> dict[str, pl.DataFrame]:
    """The marked table of each source after every step that needs no model."""
    tests = [example for loaded in inputs.tests.values() for example in loaded.examples]
    tables = {}
    for name, loaded in inputs.sources.items():
        table = steps.begin(loaded.examples, loaded.dropped)
        if config.clean:
            table = steps.sound(table, loaded.examples)
        table = steps.counted(table, loaded.examples, config.options)
        if config.clean:
            table = steps.dedupe(table, loaded.examples)
        tables[name] = steps.decontaminate(table, loaded.examples, tests)
    return tables


def level(config: AlphaMed, table: pl.DataFrame, examples: Sequence[Example], context: Context) -> Measured:
    """The solver's replies to each kept row of `table`, and their counts."""
    wanted = set(steps.kept(table)["id"])
    measured = difficulty.measure(
        context.run,
        context.solver,
        [example for example in examples if example.id in wanted],
        Rollouts(context.name, context.shown("solver"), asking_of(config)),
        purse=context.purse,
        progress=context.progress,
    )
    asking.refuse_failures("solver", measured.samples["error"].to_list(), config.max_failed)
    return measured


def candidates(config: AlphaMed, table: pl.DataFrame) -> list[str]:
    """The ids of the kept rows that may be tried, in the order of a seeded hash.

    So stopping early is fair to every question.
    """
    if not config.per_level:
        return []
    return sorted(steps.kept(table)["id"], key=lambda i: digest([config.seed, i]))[: config.candidates]


def fill_levels(
    config: AlphaMed, table: pl.DataFrame, examples: Sequence[Example], context: Context
) -> tuple[pl.DataFrame, Measured]:
    """Try candidates a chunk at a time until every level has its quota; what was never tried is dropped."""
    order = candidates(config, table)
    tried = [level(config, table.clear(), examples, context)]
    done = 0
    while done < len(order) and not full(config, pl.concat(part.table for part in tried)):
        chunk = order[done : done + config.chunk]
        tried.append(level(config, table.filter(pl.col("id").is_in(chunk)), examples, context))
        done += len(chunk)
    whole = Measured(pl.concat(part.samples for part in tried), pl.concat(part.table for part in tried))
    untried = set(steps.kept(table)["id"]) - set(order[:done])
    because = "not needed" if full(config, whole.table) else "over the candidates cap"
    return steps.drop(table, dict.fromkeys(untried, "never tried"), because), whole


def full(config: AlphaMed, counts: pl.DataFrame) -> bool:
    """Whether the pass counts so far (table DIFFICULTY) give every level its quota."""
    sizes = counts.filter(pl.col("n_scored") == config.samples).group_by("n_correct").len("size")["size"]
    return config.per_level == 0 or (sizes >= config.per_level).sum() == config.samples + 1


def levels(config: AlphaMed, table: pl.DataFrame, measured: Measured) -> pl.DataFrame:
    """`table` with pass counts and `level`; kept rows with an unscored sample are dropped."""
    rated = steps.rated(table, measured.table)
    rated = rated.with_columns(level=(config.samples + 1 - pl.col("n_correct")).cast(pl.Int32))
    few = steps.kept(rated).filter(pl.col("n_scored").fill_null(0) < config.samples)
    return steps.drop(rated, dict.fromkeys(few["id"], "a solver call failed"), UNSCORED)


def losses(config: AlphaMed, table: pl.DataFrame) -> list[str]:
    """A sentence for each source kept whole that is not, because solver calls failed."""
    notes = []
    for source in config.whole:
        rows = table.filter(pl.col("source") == source)
        if lost := rows.filter(pl.col("dropped_by") == UNSCORED).height:
            notes.append(
                f"{source}: {lost} of {rows.height} questions lost to failed solver calls, "
                "though the source is kept whole."
            )
    return notes


def shortages(config: AlphaMed, table: pl.DataFrame) -> list[str]:
    """A sentence for each level of a levelled source that has less than its quota."""
    notes = []
    for source in config.levelled:
        rows = steps.kept(table).filter(pl.col("source") == source)
        for wanted in range(1, config.samples + 2):
            have = rows.filter(pl.col("level") == wanted).height
            if have < config.per_level:
                notes.append(f"{source}, level {wanted}: {have} of {config.per_level} questions.")
    return notes
