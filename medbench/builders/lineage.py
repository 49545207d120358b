"""What an attempt at a data set came to, and where each of its rows is from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from medbench import difficulty
from medbench.adapters import Drop
from medbench.builders import drafts, intake
from medbench.builders.intake import Pool
from medbench.schema import Example
from medbench.taxonomy import Tag


@dataclass
class Made:
    """What the attempts so far came to."""

    examples: list[Example] = field(default_factory=list)
    """Every question, dropped ones too."""
    tables: list[pl.DataFrame] = field(default_factory=list)
    """Marked rows, one table per attempt."""
    drafts: list[pl.DataFrame] = field(default_factory=lambda: [pl.DataFrame(schema=drafts.DRAFT)])
    checks: list[pl.DataFrame] = field(default_factory=lambda: [pl.DataFrame(schema=drafts.CHECK)])
    samples: list[pl.DataFrame] = field(default_factory=lambda: [pl.DataFrame(schema=difficulty.SAMPLE)])
    counts: list[pl.DataFrame] = field(default_factory=lambda: [pl.DataFrame(schema=difficulty.DIFFICULTY)])
    tagging: list[tuple[int, int]] = field(default_factory=list)
    """Tokens in and out of each call for tags."""
    tried: dict[str, int] = field(default_factory=dict)
    """Rows of each source taken so far."""
    modalities: dict[str, Tag] = field(default_factory=dict)
    """Modality of each published question, told also by what else is asked of its image."""


def traced(pools: Mapping[str, Pool], made: Made, chosen: pl.DataFrame) -> pl.DataFrame:
    """Rows with where each came from: source row, form, licence, teacher and the hash of its prompt."""
    said = pl.concat(made.drafts).select("id", "source_row", "teacher", teacher_prompt="prompt")
    said = said.with_columns(drafted=pl.lit(value=True))
    licences: Mapping[str, str] = {name: pool.source.license for name, pool in pools.items()}
    tags = chosen.select("id", pl.col("tags")).explode("tags").unnest("tags")
    own = dict(tags.filter(pl.col("name") == "licence").select("id", "value").iter_rows())
    chosen_from = {e.id for e in made.examples if e.kind == "mcq"} - {
        e.id for pool in pools.values() for e in pool.loaded.examples if e.kind == "mcq"
    }
    joined = chosen.join(said, on="id", how="left", maintain_order="left")
    form = (
        pl.when(pl.col("drafted"))
        .then(pl.lit("written by the teacher"))
        .when(pl.col("id").is_in(chosen_from))
        .then(pl.lit("options from answers"))
        .otherwise(pl.lit("as published"))
    )
    return joined.with_columns(
        source_row=pl.coalesce("source_row", "id"),
        form=form,
        licence=pl.coalesce(
            pl.col("id").replace_strict(own, default=None, return_dtype=pl.String),
            pl.col("pool").replace_strict(licences, return_dtype=pl.String),
        ),
    ).drop("drafted", "pool")


def not_tried(pools: Mapping[str, Pool], made: Made) -> list[Drop]:
    """The rows of the sources that no attempt took, each with the reason."""
    found = []
    for name, pool in pools.items():
        found += pool.loaded.dropped
        tried = {row for table in made.tables for row in table.filter(pl.col("pool") == name)["id"]}
        parents = {row for said in made.drafts for row in said["source_row"]}
        for example in pool.loaded.examples:
            if example.id not in tried and example.id not in parents:
                why = intake.misfit(example, pool.intake) or "not needed"
                found.append(Drop(example.id, why))
    return found
