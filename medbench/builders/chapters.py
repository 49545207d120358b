"""Chapters of a data set's card: pass counts, what is in it, how the teacher wrote, what it took."""

from collections.abc import Mapping, Sequence

import polars as pl

from medbench.builders import cards, drafts
from medbench.inference.purse import Purse

BAR = 40
"""Characters of the longest bar."""

UNCOUNTED = dict.fromkeys(("tokens in", "tokens out"), "not counted by the server")

CELLS = 30
"""Cells that the card shows; all are in `cells.parquet`."""


def pass_counts(table: pl.DataFrame, samples: int) -> str:
    """How many questions had how many samples right, before and after selection."""
    if "n_correct" not in table.columns or not table["n_correct"].count():
        return "No question was put to the solver."
    whole = table.filter(pl.col("n_scored") == samples)
    kept_all = table.filter(pl.col("dropped_by").is_null())
    kept = whole.filter(pl.col("dropped_by").is_null())
    counts = [
        (n, whole.filter(pl.col("n_correct") == n).height, kept.filter(pl.col("n_correct") == n).height)
        for n in range(samples + 1)
    ]
    top = max(measured for _, measured, _ in counts) or 1
    rows = [(n, measured, stay, "█" * round(BAR * measured / top)) for n, measured, stay in counts]
    drawn = pl.DataFrame(rows, schema=["right", "measured", "kept", "share"], orient="row")
    told = cards.markdown(drawn, {"right": f"right of {samples}"})
    if failed := kept_all.filter(pl.col("n_scored") < pl.col("n_samples")).height:
        told += f"\n\n{failed:,} more were kept though calls for them failed; they are not in the table."
    if stopped := table.filter(pl.col("stopped")).height:
        told += (
            f"\n\n{stopped:,} questions were sure to be in or out of the band before all {samples} samples "
            "were asked; their counts tell the band, not the pass rate, and are not in the table."
        )
    return told


def cells(rows: pl.DataFrame) -> pl.DataFrame:
    """Questions per source, modality, task and level, most first."""
    by = ["source", "modality", "task", "level"]
    return rows.group_by(by).len("questions").sort(["questions", *by], descending=[True, *[False] * 4])


def contents(rows: pl.DataFrame) -> str:
    """Counts by modality, task, level and form, and where the tags came from."""
    if not rows.height:
        return "Nothing."
    parts = []
    for column in ("modality", "task", "level", "form"):
        counts = rows.group_by(column).len("questions").sort(["questions", column], descending=[True, False])
        parts.append(cards.markdown(counts))
    told = [
        f"{column}: "
        + ", ".join(f"{origin or 'nobody'} {count:,}" for origin, count in origins(rows, column))
        for column in ("modality_origin", "task_origin")
    ]
    known = {
        column: rows.filter(pl.col(column) != "unknown")[column].n_unique() for column in ("modality", "task")
    }
    largest = cards.markdown(cells(rows).head(CELLS))
    head = f"{known['modality']} modalities, {known['task']} tasks. Who says so: {'; '.join(told)}."
    return "\n\n".join([head, *parts, f"The largest cells (all are in `cells.parquet`):\n\n{largest}"])


def origins(rows: pl.DataFrame, column: str) -> list[tuple[str | None, int]]:
    """How often each origin of a tag occurs."""
    return list(rows.group_by(column).len("n").sort(["n", column], descending=[True, False]).iter_rows())


def teaching(said: pl.DataFrame, checks: pl.DataFrame) -> str:
    """What became of the teacher's replies and of the second opinions."""
    if not said.height:
        return "None: no source is drafted from."
    return "\n\n".join(
        [
            f"{said.height:,} asked for.",
            cards.markdown(reasons(said, "a question")),
            f"{checks.height:,} second opinions.",
            cards.markdown(reasons(checks, "agrees")),
            drafts.letters(said),
        ]
    )


def reasons(table: pl.DataFrame, good: str) -> pl.DataFrame:
    """How often each reason occurs; `good` where there is none."""
    named = table.select(pl.col("dropped_by").fill_null(good).alias("outcome"))
    return named.group_by("outcome").len("replies").sort(["replies", "outcome"], descending=[True, False])


def spent(tables: Mapping[str, pl.DataFrame], tagging: Sequence[tuple[int, int]], purse: Purse) -> str:
    """Calls and tokens by role, and US dollars where a price was given."""
    counts = {
        role: (table.height, *(int(table[name].sum()) for name in ("tokens_in", "tokens_out")))
        for role, table in tables.items()
    }
    counts["tagger"] = (len(tagging), sum(t for t, _ in tagging), sum(t for _, t in tagging))
    priced = purse.per_million_in or purse.per_million_out
    rows = [
        {"role": role, "calls": calls}
        | ({"tokens in": f"{read:,}", "tokens out": f"{written:,}"} if read or written else UNCOUNTED)
        | ({"US$": f"{purse.cost(read, written):.2f}" if read or written else "not known"} if priced else {})
        for role, (calls, read, written) in counts.items()
        if calls
    ]
    return cards.markdown(pl.DataFrame(rows)) if rows else "Nothing was asked."
