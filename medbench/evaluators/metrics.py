"""Numbers with their company: value, 95 % interval, n, unanswered, unscored.

A verdict whose `correct` is null is unscored: left out of the value, never counted as wrong, and
shown. A reply from which no answer could be read is wrong, and counted as unanswered too.

Answers in words also get the measures of `verify.overlap`; there an unanswered reply counts 0, and only a
failed call is unscored. Free text that no judge has read has these alone: it is in no accuracy, and not
unscored either.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import sqrt
from typing import NamedTuple

import polars as pl

from medbench.schema import RESULT, Example
from medbench.stats import TINY, Interval, Z, around, clustered, pass_at, sign_test, wilson
from medbench.verify.overlap import MEASURES, overlaps

WORDED = ("closed", "open", "free")
"""Kinds whose answers are words, so that they share some with the gold."""

OVERLAP = pl.Struct(dict.fromkeys(MEASURES, pl.Float64))


def majority(answers: list[str | None], correct: list[bool]) -> bool:
    """Whether the most frequent answer is right; the earliest wins a tie, and no answer is no vote."""
    votes = Counter(answer for answer in answers if answer is not None)
    if not votes:
        return False
    winner = votes.most_common(1)[0][0]
    return correct[answers.index(winner)]


def summarise(verdicts: pl.DataFrame, examples: Sequence[Example], samples: int) -> pl.DataFrame:
    """Results of one benchmark: the whole, then one row per kind if there are several, and per subgroup tag.

    `verdicts` is table VERDICT, `examples` are the questions; the result is table RESULT. With one sample the
    first metric is `accuracy`; with k > 1 it is `mean@k` (accuracy of one draw), `pass@k` and `majority@k`.
    Kinds in `WORDED` add the measures of `verify.overlap`, means over all samples. A subgroup has its first
    metric only.
    """
    about = pl.DataFrame(
        {
            "example": [example.id for example in examples],
            "kind": [example.kind for example in examples],
            "lang": [example.lang for example in examples],
        }
    )
    graded = verdicts.drop("reply", "error", "finish", "rule")
    joined = graded.join(about, on="example", how="left", maintain_order="left")
    joined = compared(joined, {example.id: example.gold for example in examples})
    rows = measures(joined, samples)
    narrow = joined.drop("overlap") if joined["graded"].all() else joined
    for group, part in groups(narrow, examples):
        rows += headline(part, samples, group)
    return pl.DataFrame(rows, schema=RESULT)


def compared(joined: pl.DataFrame, golds: Mapping[str, tuple[str, ...]]) -> pl.DataFrame:
    """`joined` with `overlap` (null for other kinds and failed calls), `worded`, and `graded`.

    Free text is graded once a judge has spoken on any of it.
    """
    free = pl.col("kind").eq_missing("free")
    judged = not joined.filter(free & (pl.col("status") == "scored")).is_empty()
    worded = pl.col("kind").is_in(WORDED) & pl.col("example").is_in([name for name in golds if golds[name]])
    joined = joined.with_columns(worded=worded, graded=~free | judged)
    if not joined["worded"].any():
        return joined.with_columns(overlap=pl.lit(None, OVERLAP))
    nothing = dict.fromkeys(MEASURES, 0.0)
    seen: dict[tuple[str, tuple[str, ...], str], dict[str, float]] = {}
    found: list[dict[str, float] | None] = []
    for worded, status, answer, example, lang in joined.select(
        "worded", "status", "answer", "example", "lang"
    ).iter_rows():
        if not worded or status == "error":
            found.append(None)
        elif answer is None:
            found.append(nothing)
        else:
            key = (answer, golds[example], lang)
            if key not in seen:
                seen[key] = overlaps(*key)
            found.append(seen[key])
    return joined.with_columns(overlap=pl.Series(found, dtype=OVERLAP))


def groups(joined: pl.DataFrame, examples: Sequence[Example]) -> Iterator[tuple[str, pl.DataFrame]]:
    """The subgroups by kind and language, if there are several, and by tag, as `name=value` with verdicts."""
    for column in ("kind", "lang"):
        if joined[column].n_unique() > 1:
            yield from parts(joined, column, column)
    for tag in tag_names(examples):
        tagged = {example.id: example.tags[tag] for example in examples if tag in example.tags}
        values = pl.DataFrame({"example": list(tagged), "group": list(tagged.values())})
        yield from parts(joined.join(values, on="example", how="inner", maintain_order="left"), "group", tag)


def parts(table: pl.DataFrame, column: str, name: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of each value in a column, as `name=value` in the order of the values."""
    for value in sorted(table[column].drop_nulls().unique()):
        yield f"{name}={value}", table.filter(pl.col(column) == value)


def tag_names(examples: Sequence[Example]) -> list[str]:
    """Names of the tags that split the examples into at least two and at most sixty groups."""
    values: dict[str, set[str]] = defaultdict(set)
    for example in examples:
        for name, value in example.tags.items():
            values[name].add(value)
    return sorted(name for name, found in values.items() if 2 <= len(found) <= 60)


def measures(joined: pl.DataFrame, samples: int) -> list[dict[str, object]]:
    """The metrics of all verdicts as rows of table RESULT: correctness, then shared words."""
    company = {"benchmark": joined["benchmark"][0], "group": ""}
    rows = correctness(joined.filter("graded"), samples) + shared_words(joined.filter("worded"))
    return [{**company, **row} for row in rows]


def headline(joined: pl.DataFrame, samples: int, group: str) -> list[dict[str, object]]:
    """The first metric of a subgroup: its accuracy, or the first of shared words where there is none."""
    rows = correctness(joined.filter("graded"), samples) or shared_words(joined.filter("worded"))
    return [{"benchmark": joined["benchmark"][0], "group": group, **row} for row in rows[:1]]


def correctness(graded: pl.DataFrame, samples: int) -> list[dict[str, object]]:
    """Accuracy over verdicts that are right, wrong or unscored; none of nothing."""
    if graded.is_empty():
        return []
    scored = graded.filter(pl.col("correct").is_not_null())
    unscored = graded.height - scored.height
    right = [float(value) for value in scored["correct"]]
    if samples == 1 and len(set(units(scored))) == scored.height:
        name, interval = "accuracy", wilson(int(sum(right)), len(right))
    else:
        name = "accuracy" if samples == 1 else f"mean@{samples}"
        interval = clustered(right, units(scored))
    unanswered = scored.filter(pl.col("status") != "scored").height
    rows: list[dict[str, object]] = [
        {"metric": name, **interval._asdict(), "n": len(right), "unanswered": unanswered}
    ]
    if samples > 1:
        rows += per_question(scored, samples)
    return [{**row, "unscored": unscored} for row in rows]


def shared_words(worded: pl.DataFrame) -> list[dict[str, object]]:
    """The measures of `verify.overlap`, each as the mean over replies."""
    if worded.is_empty():
        return []
    known = worded.filter(pl.col("overlap").is_not_null())
    company = {
        "n": known.height,
        "unanswered": known["answer"].null_count(),
        "unscored": worded.height - known.height,
    }
    clusters, scores = units(known), known["overlap"].struct
    return [
        {"metric": name, **clustered(scores.field(name).to_list(), clusters)._asdict(), **company}
        for name in MEASURES
    ]


def units(verdicts: pl.DataFrame) -> list[str]:
    """What each verdict depends on others by: its cluster, else its question."""
    return verdicts.select(pl.coalesce("cluster", "example"))["cluster"].to_list()


def per_question(scored: pl.DataFrame, samples: int) -> list[dict[str, object]]:
    """pass@k and majority@k over the questions whose k samples were all scored.

    Here `n` and `unanswered` count questions; a question is unanswered when none of its samples answers.
    """
    passed, voted, clusters, silent = [], [], [], 0
    for (example,), part in scored.group_by("example", maintain_order=True):
        if part.height == samples:
            correct = part["correct"].to_list()
            passed.append(pass_at(samples, sum(correct), samples))
            voted.append(float(majority(part["answer"].to_list(), correct)))
            clusters.append(part["cluster"][0] or str(example))
            silent += part.filter(pl.col("status") == "scored").is_empty()
    figures = {f"pass@{samples}": passed, f"majority@{samples}": voted}
    return [
        {"metric": name, **clustered(values, clusters)._asdict(), "n": len(values), "unanswered": silent}
        for name, values in figures.items()
    ]


def macro(name: str, verdicts: pl.DataFrame) -> pl.DataFrame:
    """The unweighted mean of a suite's accuracies, as one row of table RESULT.

    `verdicts` is table VERDICT over the benchmarks of the suite. Questions that benchmarks share, by id or
    by cluster, count as one when it comes to the interval. Free text without a judge is in no part of it.
    """
    scored = verdicts.filter(pl.col("correct").is_not_null()).with_columns(
        right=pl.col("correct").cast(pl.Float64), unit=pl.coalesce("cluster", "example")
    )
    means = scored.group_by("benchmark").agg(mean=pl.col("right").mean(), n=pl.len()).sort("benchmark")
    m = means.height
    value = float(means["mean"].sum()) / m if m else float("nan")
    share = (pl.col("right") - pl.col("mean")) / (pl.col("n") * m)
    joined = scored.join(means, on="benchmark", maintain_order="left")
    parts = joined.group_by("unit", maintain_order=True).agg(part=share.sum())
    u = parts.height
    error = sqrt(float((parts["part"] ** 2).sum()) * u / (u - 1)) if u > 1 else 0.0
    interval = Interval(value, max(value - Z * error, 0.0), min(value + Z * error, 1.0))
    if error < TINY:
        interval = Interval(value, *wilson(round(value * u) if m else 0, u)[1:])
    row = {
        "benchmark": name,
        "metric": "macro_accuracy",
        "group": "",
        **interval._asdict(),
        "n": scored.height,
        "unanswered": scored.filter(pl.col("status") != "scored").height,
        "unscored": verdicts.filter(pl.col("status") == "error").height,
    }
    return pl.DataFrame([row], schema=RESULT)


class Paired(NamedTuple):
    """Two runs on the same questions: `difference` is second minus first, in [-1, 1].

    `gained` and `lost` count units: questions, or clusters of questions that depend on each other.
    """

    n: int
    units: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    gained: int
    lost: int
    p: float


def compare(first: pl.DataFrame, second: pl.DataFrame) -> Paired:
    """Paired comparison of two VERDICT tables on the questions scored in both.

    The interval is Bonett and Price's (2012) adjusted Wald for independent questions with one sample, else
    the cluster-robust normal one; `p` is the exact two-sided sign test over units that differ (McNemar's
    exact test for one sample).
    """
    both = per_example(first).join(
        per_example(second), on=["benchmark", "example"], how="inner", suffix="_b", maintain_order="left"
    )
    n = both.height
    if n == 0:
        nan = float("nan")
        return Paired(0, 0, nan, nan, nan, -1.0, 1.0, 0, 0, 1.0)
    both = both.with_columns(gap=pl.col("mean_b") - pl.col("mean"), unit=pl.coalesce("cluster", "example"))
    units = both.group_by("unit").agg(pl.col("gap").mean())["gap"].to_list()
    gained, lost = sum(gap > 1e-9 for gap in units), sum(gap < -1e-9 for gap in units)
    gaps = both["gap"].to_list()
    if len(units) == n and all(gap in (-1.0, 0.0, 1.0) for gap in gaps):
        low, high = bonett_price(gained, lost, n)
    else:
        low, high = around(gaps, both["unit"].to_list())
    means = (float(both["mean"].sum()) / n, float(both["mean_b"].sum()) / n, sum(gaps) / n)
    bounds = (max(low, -1.0), min(high, 1.0))
    return Paired(n, len(units), *means, *bounds, gained, lost, sign_test(gained, lost))


def bonett_price(gained: int, lost: int, n: int) -> tuple[float, float]:
    """95 % interval for the difference of paired proportions (Bonett and Price 2012, adjusted Wald)."""
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    error = Z * sqrt((up + down - (up - down) ** 2) / (n + 2))
    return up - down - error, up - down + error


def per_example(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Share of right samples per question, over the scored ones."""
    scored = verdicts.filter(pl.col("correct").is_not_null())
    by = ["benchmark", "example"]
    return scored.group_by(by, maintain_order=True).agg(
        mean=pl.col("correct").mean(), cluster=pl.first("cluster")
    )
