"""Numbers with their company: value, 95 % interval, n, unanswered, unscored.

A verdict whose `correct` is null is unscored: left out of the value, never counted as wrong, and
shown. A reply from which no answer could be read is wrong, and counted as unanswered too.
"""

from collections import Counter
from math import sqrt
from typing import NamedTuple

import polars as pl

from medbench.schema import RESULT
from medbench.stats import Interval, Z, clustered, pass_at, sign_test, wilson


def majority(answers: list[str | None], correct: list[bool]) -> bool:
    """Whether the most frequent answer is right; the earliest wins a tie, and no answer is no vote."""
    votes = Counter(answer for answer in answers if answer is not None)
    if not votes:
        return False
    winner = votes.most_common(1)[0][0]
    return correct[answers.index(winner)]


def summarise(verdicts: pl.DataFrame, examples: pl.DataFrame, samples: int) -> pl.DataFrame:
    """Results of one benchmark: the whole, then one row per subgroup tag. Table RESULT.

    `verdicts` is table VERDICT, `examples` table EXAMPLE. With one sample the metric is `accuracy`; with
    k > 1 it is `mean@k` (accuracy of one draw), `pass@k` and `majority@k`.
    """
    about = examples.select(pl.col("id").alias("example"), "cluster", "tags")
    joined = verdicts.join(about, on="example", how="left", maintain_order="left")
    rows = measures(joined, samples)
    for tag in tag_names(examples):
        value = pl.col("tags").list.eval(
            pl.element().struct.field("value").filter(pl.element().struct.field("name") == tag)
        )
        grouped = joined.with_columns(group=value.list.first()).drop_nulls("group")
        for (group,), part in sorted(grouped.group_by("group", maintain_order=True)):
            rows += measures(part, samples, group=f"{tag}={group}")[:1]
    return pl.DataFrame(rows, schema=RESULT)


def tag_names(examples: pl.DataFrame) -> list[str]:
    """Names of the tags that split the examples into at least two and at most sixty groups."""
    tags = examples.select(pl.col("tags").explode()).drop_nulls().unnest("tags").unique()
    counts = tags.group_by("name").len().filter(pl.col("len").is_between(2, 60))
    return sorted(counts["name"])


def measures(joined: pl.DataFrame, samples: int, group: str = "") -> list[dict[str, object]]:
    """The metrics of one group of verdicts as rows of table RESULT."""
    scored = joined.filter(pl.col("correct").is_not_null())
    company = {
        "benchmark": joined["benchmark"][0] if joined.height else "",
        "group": group,
        "unanswered": scored.filter(pl.col("status") != "scored").height,
        "unscored": joined.height - scored.height,
    }
    right = [float(value) for value in scored["correct"]]
    if samples == 1 and scored["cluster"].null_count() == scored.height:
        figures = {"accuracy": (wilson(int(sum(right)), len(right)), len(right))}
    else:
        clusters = scored.select(pl.coalesce("cluster", "example"))["cluster"].to_list()
        name = "accuracy" if samples == 1 else f"mean@{samples}"
        figures = {name: (clustered(right, clusters), len(right))}
    if samples > 1:
        figures |= per_question(scored, samples)
    return [{**company, "metric": m, **i._asdict(), "n": n} for m, (i, n) in figures.items()]


def per_question(scored: pl.DataFrame, samples: int) -> dict[str, tuple[Interval, int]]:
    """pass@k and majority@k over the questions whose k samples were all scored."""
    passed, voted, clusters = [], [], []
    for (example,), part in scored.group_by("example", maintain_order=True):
        if part.height == samples:
            correct = part["correct"].to_list()
            passed.append(pass_at(samples, sum(correct), samples))
            voted.append(float(majority(part["answer"].to_list(), correct)))
            clusters.append(part["cluster"][0] or str(example))
    n = len(clusters)
    return {
        f"pass@{samples}": (clustered(passed, clusters), n),
        f"majority@{samples}": (clustered(voted, clusters), n),
    }


def macro(name: str, results: pl.DataFrame) -> pl.DataFrame:
    """The unweighted mean of a suite's headline figures; benchmarks are taken as independent."""
    whole = results.filter(pl.col("group") == "").unique("benchmark", keep="first", maintain_order=True)
    m = whole.height
    halves = ((whole["high"] - whole["low"]) / 2).to_list()
    value = float(whole["value"].mean() or 0.0) if m else float("nan")  # type: ignore[arg-type]
    half = sqrt(sum(h * h for h in halves)) / m if m else 0.0
    row = {
        "benchmark": name,
        "metric": "macro_" + str(whole["metric"][0]) if m else "macro",
        "group": "",
        "value": value,
        "low": max(value - half, 0.0),
        "high": min(value + half, 1.0),
        "n": int(whole["n"].sum()),
        "unanswered": int(whole["unanswered"].sum()),
        "unscored": int(whole["unscored"].sum()),
    }
    return pl.DataFrame([row], schema=RESULT)


class Paired(NamedTuple):
    """Two runs on the same questions: `difference` is second minus first, in [-1, 1]."""

    n: int
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

    The interval is Bonett and Price's (2012) adjusted Wald for paired proportions, or the normal one
    over per-question differences when there are several samples; `p` is the exact two-sided sign
    test over questions that differ (McNemar's exact test for one sample).
    """
    a, b = per_example(first), per_example(second)
    both = a.join(b, on=["benchmark", "example"], how="inner", suffix="_b", maintain_order="left")
    gaps = (both["mean_b"] - both["mean"]).to_list()
    n, gained, lost = len(gaps), sum(g > 0 for g in gaps), sum(g < 0 for g in gaps)
    if n == 0:
        return Paired(0, float("nan"), float("nan"), float("nan"), -1.0, 1.0, 0, 0, 1.0)
    difference = sum(gaps) / n
    if all(gap in (-1.0, 0.0, 1.0) for gap in gaps):
        up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
        centre, error = up - down, sqrt((up + down - (up - down) ** 2) / (n + 2))
    else:
        centre = difference
        error = sqrt(sum((g - difference) ** 2 for g in gaps) / max(n - 1, 1) / n)
    low, high = max(centre - Z * error, -1.0), min(centre + Z * error, 1.0)
    means = (float(both["mean"].sum()) / n, float(both["mean_b"].sum()) / n)
    return Paired(n, *means, difference, low, high, gained, lost, sign_test(gained, lost))


def per_example(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Share of right samples per question, over the scored ones."""
    scored = verdicts.filter(pl.col("correct").is_not_null())
    return scored.group_by(["benchmark", "example"], maintain_order=True).agg(mean=pl.col("correct").mean())
