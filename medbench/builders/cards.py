"""The dataset card: what is in it, what fell out and why, who judged it, under which licences."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

import medbench
from medbench.builders.context import Outcome
from medbench.builders.steps import funnel
from medbench.catalog import Dataset, Source
from medbench.prompts import fill

TABLES = {
    "samples": "every solver reply",
    "difficulty": "pass counts with their intervals",
    "drafts": "every reply of the teacher",
    "checks": "every second opinion",
    "audits": "every reply of the auditor",
    "cells": "counts by source, modality, task and level",
}
"""What the card calls further tables."""

CARD = """---
license: other
license_name: see-sources
language: [en]
tags: [medical, reinforcement-learning, medbench]
pretty_name: {title}
size_categories: [{size}]
---

# {title}

Built by medbench {version}. {rows} questions; {dropped} dropped, each with its reason in `dropped.parquet`;
{tables}.

## Funnel

{funnel}

## Counts

{counts}

{models}

{chapters}

## Sources and licences

{sources}

## Notes

{notes}

## How to rebuild

```yaml
{config}
```

## Citation

{cite}
"""


def card(
    row: Dataset,
    outcome: Outcome,
    *,
    sources: Mapping[str, Source],
    models: Mapping[str, str],
    config: Mapping[str, Any],
) -> str:
    """The README of a dataset version; `models` are by role."""
    every = pl.concat([outcome.rows, outcome.dropped], how="diagonal")
    notes = [*outcome.notes, row.license]
    values = {
        "title": row.title,
        "version": medbench.__version__,
        "rows": f"{outcome.rows.height:,}",
        "dropped": f"{outcome.dropped.height:,}",
        "size": size_category(outcome.rows.height),
        "funnel": markdown(funnel(every), {"dropped_by": "step", "rows": "rows"}),
        "counts": markdown(counts(outcome.rows)),
        "tables": "; ".join(f"{TABLES.get(name, name)} in `{name}.parquet`" for name in outcome.more),
        "models": "\n".join(asked(role, model) for role, model in models.items()),
        "chapters": "\n\n".join(f"## {heading}\n\n{text}" for heading, text in outcome.chapters.items()),
        "sources": markdown(licences(sources)),
        "notes": "\n".join(f"- {note}" for note in notes if note),
        "config": "\n".join(f"{key}: {json.dumps(value)}" for key, value in sorted(config.items())),
        "cite": "\n".join(f"- {c}" for c in [row.cite, *(s.cite for s in sources.values())] if c),
    }
    return fill(CARD, values)


def asked(role: str, model: str) -> str:
    """What the card says of a model in its role."""
    if role == "solver":
        return (
            f"## Difficulty\n\nSolver `{model}`; `n_correct` of `n_scored` samples, 95 % Wilson interval in "
            "`pass_low`, `pass_high`."
        )
    return f"The {role} was `{model}`."


def counts(rows: pl.DataFrame) -> pl.DataFrame:
    """Questions per source and level."""
    by = [name for name in ("source", "level") if name in rows.columns]
    return rows.group_by(by).len("questions").sort(by)


def licences(sources: Mapping[str, Source]) -> pl.DataFrame:
    """One row per source: its licence, and whether it may be passed on."""
    rows = [
        {"source": name, "licence": s.license, "may be redistributed": "yes" if s.redistribute else "no"}
        for name, s in sorted(sources.items())
    ]
    return pl.DataFrame(rows)


def markdown(table: pl.DataFrame, names: Mapping[str, str] | None = None) -> str:
    """A table in Markdown; bars and line breaks in cells are made harmless."""
    renamed = table.rename(dict(names or {}))
    lines = [
        list(renamed.columns),
        ["---"] * renamed.width,
        *([str(v) for v in row] for row in renamed.rows()),
    ]
    safe = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in safe)


def size_category(n: int) -> str:
    """The Hub's size bucket for n rows."""
    bounds = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")]
    return next((name for bound, name in bounds if n < bound), "100K<n<1M")


def cleaning(done: bool) -> list[str]:
    """The sentence that says so when nothing was cleaned."""
    return (
        []
        if done
        else ["Not cleaned: defective, repeated and contradictory questions may be among the rows."]
    )


def decontamination(done: bool, against: Sequence[str]) -> list[str]:
    """The sentence that says whether test questions were taken out."""
    if done and against:
        return [f"Decontaminated against {', '.join(against)}."]
    return ["Not decontaminated: test questions may be among the rows."]
