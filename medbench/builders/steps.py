"""Steps from table to table. A row is never lost: it is marked `dropped_by`, with the first reason.

Every step takes and gives an Example table with two more columns: `dropped_by` (null while the row is
kept) and `detail` (what it collided with, say). No step reads, asks, prints or draws at random
without a seed.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from medbench.adapters import Drop, defects
from medbench.config import digest
from medbench.schema import Example, frame
from medbench.stats import wilson

WORD = re.compile(r"[^\W_]+")
MARKS = {"dropped_by": pl.String, "detail": pl.String}


def begin(examples: Sequence[Example], dropped: Iterable[Drop]) -> pl.DataFrame:
    """Examples, and the source rows that were no examples, as one marked table."""
    kept = frame(examples).with_columns(pl.lit(None, kind).alias(name) for name, kind in MARKS.items())
    lost = [{"id": drop.id, "dropped_by": drop.reason} for drop in dropped]
    return pl.concat([kept, pl.DataFrame(lost, schema=kept.schema)])


def drop(table: pl.DataFrame, reasons: Mapping[str, str], because: str) -> pl.DataFrame:
    """`table` with the kept rows named in `reasons` (id -> detail) dropped."""
    hit = pl.col("id").is_in(list(reasons)) & pl.col("dropped_by").is_null()
    detail = pl.col("id").replace_strict(reasons, default=None, return_dtype=pl.String)
    return table.with_columns(
        dropped_by=pl.when(hit).then(pl.lit(because)).otherwise("dropped_by"),
        detail=pl.when(hit).then(detail).otherwise("detail"),
    )


def kept(table: pl.DataFrame) -> pl.DataFrame:
    """The rows still in."""
    return table.filter(pl.col("dropped_by").is_null())


def sound(table: pl.DataFrame, examples: Sequence[Example], options: int | None) -> pl.DataFrame:
    """Drops rows with defects (duplicated or empty options) or another number of options than `options`."""
    faults = {example.id: "; ".join(found) for example in examples if (found := defects(example))}
    table = drop(table, faults, "defective options")
    if options is None:
        return table
    counts = {e.id: f"{len(e.options)} options" for e in examples if len(e.options) != options}
    return drop(table, counts, f"not {options} options")


def words(text: str) -> tuple[str, ...]:
    """The words of a text, case, accents and punctuation removed."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode() or text
    return tuple(WORD.findall(plain.lower()))


def item_key(example: Example) -> tuple[object, ...]:
    """Equal for the same question with the same options in any order."""
    return words(example.question), frozenset(words(option) for option in example.options)


def dedupe(table: pl.DataFrame, examples: Sequence[Example]) -> pl.DataFrame:
    """Drops every row that repeats an earlier one, whatever the order of its options."""
    first: dict[tuple[object, ...], str] = {}
    again = {}
    for example in examples:
        seen = first.setdefault(item_key(example), example.id)
        if seen != example.id:
            again[example.id] = seen
    return drop(table, again, "duplicate")


class Leaks:
    """An index of test questions that finds the training questions which leak them.

    A question leaks when its words equal a test question's (and, for stems under 8 words, which are
    often generic, at least half of the options agree), or when at least half of its 8-word sequences
    occur in test questions.
    """

    GRAM = 8

    def __init__(self, tests: Iterable[Example]) -> None:
        self.stems: dict[tuple[str, ...], list[tuple[str, frozenset[object]]]] = {}
        self.grams: dict[tuple[str, ...], str] = {}
        for test in tests:
            stem = words(test.question)
            options = frozenset(words(option) for option in test.options)
            self.stems.setdefault(stem, []).append((test.id, options))
            for gram in self.sequences(stem):
                self.grams.setdefault(gram, test.id)

    def sequences(self, stem: tuple[str, ...]) -> list[tuple[str, ...]]:
        """The runs of 8 words in a stem."""
        return [stem[i : i + self.GRAM] for i in range(len(stem) - self.GRAM + 1)]

    def find(self, example: Example) -> str | None:
        """The id of a test question that `example` leaks, None if there is none."""
        stem = words(example.question)
        options = frozenset(words(option) for option in example.options)
        for test, theirs in self.stems.get(stem, ()):
            if len(stem) >= self.GRAM or 2 * len(options & theirs) >= max(len(theirs), 1):
                return test
        grams = self.sequences(stem)
        hits = [self.grams[gram] for gram in grams if gram in self.grams]
        return (
            max(set(hits), key=lambda i: (hits.count(i), i)) if hits and 2 * len(hits) >= len(grams) else None
        )


def decontaminate(table: pl.DataFrame, examples: Sequence[Example], tests: Iterable[Example]) -> pl.DataFrame:
    """Drops training rows that leak a test question; `detail` names it."""
    leaks = Leaks(tests)
    found = {example.id: hit for example in examples if (hit := leaks.find(example))}
    return drop(table, found, "leaks a test question")


def rated(table: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """`table` with `n_correct`, `n_scored`, `pass_low` and `pass_high` (95 % Wilson) from its samples."""
    counts = verdicts.group_by(pl.col("example").alias("id")).agg(
        n_correct=pl.col("correct").sum().cast(pl.Int32),
        n_scored=pl.col("correct").count().cast(pl.Int32),
    )
    bounds = [wilson(c, n) for c, n in zip(counts["n_correct"], counts["n_scored"], strict=True)]
    counts = counts.with_columns(
        pass_low=pl.Series([b.low for b in bounds], dtype=pl.Float64),
        pass_high=pl.Series([b.high for b in bounds], dtype=pl.Float64),
    )
    return table.join(counts, on="id", how="left", maintain_order="left")


def quota(table: pl.DataFrame, by: Sequence[str], most: int, *, seed: int) -> pl.DataFrame:
    """Drops what exceeds `most` kept rows per cell of `by`; a seeded hash of the id decides who stays."""
    rows = kept(table).select("id", *by)
    order = rows.with_columns(lot=pl.Series([digest([seed, i]) for i in rows["id"]], dtype=pl.String)).sort(
        "lot"
    )
    spare = order.filter(pl.int_range(pl.len()).over(by) >= most)
    return drop(table, dict.fromkeys(spare["id"], f"over {most}"), "quota")


def funnel(table: pl.DataFrame) -> pl.DataFrame:
    """How many rows each reason dropped, most first, then how many are kept."""
    lost = (
        table.drop_nulls("dropped_by")
        .group_by("dropped_by")
        .len("rows")
        .sort("rows", "dropped_by", descending=[True, False])
    )
    return pl.concat(
        [lost, pl.DataFrame({"dropped_by": ["(kept)"], "rows": [kept(table).height]}, schema=lost.schema)]
    )
