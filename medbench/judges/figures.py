"""The figures of a certificate: functions of table FINDINGS, which its run keeps."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

import polars as pl

from medbench.config import Config
from medbench.judges import agreement
from medbench.rubrics import Judge
from medbench.stats import TINY, Interval, around, clustered, difference, robust_error, widened

PLAIN, PADDED, REVERSED, INJECTED = "plain", "padded", "reversed", "injected"

FINDINGS = pl.Schema(
    {
        "id": pl.String,
        "cluster": pl.String,
        "slice": pl.String,
        "label": pl.String,
        "settled": pl.Float64,
        "variant": pl.String,
        "way": pl.String,
        "repeat": pl.Int32,
        "verdict": pl.String,
        "value": pl.Float64,
        "problem": pl.String,
        "split": pl.Boolean,
        "turned": pl.Boolean,
        "longer": pl.Boolean,
    }
)
"""One row per hearing of a labelled row; `verdict` and `value` are null where there is none, and `problem`
says why. `settled` is what the rules make of the reply where an evaluation would not ask the judge. `way` is
that of an injection. `split`: the seats of a panel disagree; `turned`: a preference turned with the order of
replies; `longer`: than the median reply with the same label."""


class Figure(Config):
    """A number with its 95 % interval over `n` rows; null where it is not defined."""

    value: float | None
    low: float
    high: float
    n: int


def nearest(value: float | None, judge: Judge) -> str | None:
    """The label worth nearest to a value (a panel's mean may lie between); the lower of two."""
    if value is None:
        return None
    return min(judge.worth, key=lambda label: (abs(judge.worth[label] - value), judge.worth[label]))


def figures(findings: pl.DataFrame, judge: Judge) -> dict[str, Figure]:
    """Every figure of a certificate, each only where there is something to tell it by.

    `agreement`, `kappa`, `weighted_kappa` and `balanced_f1` of the first plain hearing. Where rules speak
    first, agreement and kappa on what they leave (`left_…`) and of rules and judge together (`with_rules_…`).

    In units of a verdict's worth, from -1 to 1: `leniency` (verdict minus label), `longer_gain` (leniency on
    the longer replies with a label minus on the shorter), and the gains by padding, by naming the labels in
    the other order, and by orders in wrong replies. As shares: `self_consistency` (pairs of repeats that
    agree), `order_changed`, `position_changed` (pairs whose verdict turns with the order) and `disagreement`
    of a panel's seats. `injection_success` is the share of wrong replies, not judged right at first, that an
    order turns into right ones, less the share that a mere repeat does.
    """
    spoken = spoken_first(findings)
    found = dict(agreed(spoken, judge))
    if judge.rule != "none":
        first = findings.filter(pl.col("variant") == PLAIN, pl.col("repeat") == 0)
        found |= beside_rules(first, judge)
    found |= biases(findings, spoken, judge)
    for variant in (PADDED, REVERSED, INJECTED):
        both = paired_with(spoken, findings.filter(pl.col("variant") == variant))
        if both.height:
            found |= shifts(variant, both, paired_with(spoken, repeated(findings)))
    for column, name in (("turned", "position_changed"), ("split", "disagreement")):
        told = spoken.filter(pl.col(column).is_not_null()).with_columns(pl.col(column).cast(pl.Float64))
        if told.height:
            found[name] = share(told, column)
    return found


def agreed(
    rows: pl.DataFrame, judge: Judge, names: Sequence[str] = tuple(agreement.FIGURES), prefix: str = ""
) -> Iterator[tuple[str, Figure]]:
    """How far the verdicts of some rows agree with their labels."""
    labels, verdicts = coded(rows, judge)
    found = agreement.figures(labels, verdicts, rows["cluster"].to_list(), len(judge.worth))
    for name in names:
        yield f"{prefix}{name}", figure(found[name], rows.height)


def coded(rows: pl.DataFrame, judge: Judge) -> tuple[list[int], list[int]]:
    """Labels and verdicts as places among the judge's labels, the worst first."""
    names = list(judge.worth)
    labels, verdicts = ([names.index(name) for name in rows[column]] for column in ("label", "verdict"))
    return labels, verdicts


def beside_rules(first: pl.DataFrame, judge: Judge) -> dict[str, Figure]:
    """Agreement and kappa on what the rules leave, and of rules and judge together."""
    some = ("agreement", "kappa")
    left = first.filter(pl.col("settled").is_null(), pl.col("value").is_not_null())
    known = pl.coalesce("settled", "value")
    whole = first.with_columns(value=known).filter(pl.col("value").is_not_null())
    whole = whole.with_columns(
        verdict=pl.Series([nearest(v, judge) for v in whole["value"]], dtype=pl.String)
    )
    found = dict(agreed(left, judge, some, "left_")) if 0 < left.height < first.height else {}
    return found | dict(agreed(whole, judge, some, "with_rules_"))


def biases(findings: pl.DataFrame, spoken: pl.DataFrame, judge: Judge) -> dict[str, Figure]:
    """Leniency, what length does to it, and how far repeats agree."""
    worth = pl.col("label").replace_strict(judge.worth, return_dtype=pl.Float64)
    rows = spoken.with_columns(error=pl.col("value") - worth)
    found = {"leniency": signed(rows, "error")}
    rows = rows.with_columns(rest=pl.col("error") - pl.col("error").mean().over("label"))
    halves = [rows.filter(pl.col("longer") == longer) for longer in (True, False)]
    if all(half.height for half in halves):
        sides = [(half["rest"].to_list(), half["cluster"].to_list()) for half in halves]
        gap = widened(difference(*sides[0], *sides[1]), rows["cluster"].n_unique(), -1.0)
        found["longer_gain"] = figure(gap, rows.height)
    plain = findings.filter(pl.col("variant") == PLAIN, pl.col("value").is_not_null())
    if plain["repeat"].n_unique() > 1:
        found["self_consistency"] = consistent(plain)
    return found


def spoken_first(findings: pl.DataFrame) -> pl.DataFrame:
    """The rows of the first plain hearing that have a verdict."""
    return findings.filter(pl.col("variant") == PLAIN, pl.col("repeat") == 0, pl.col("value").is_not_null())


def repeated(findings: pl.DataFrame) -> pl.DataFrame:
    """The second plain hearing; empty where there was one."""
    return findings.filter(pl.col("variant") == PLAIN, pl.col("repeat") == 1)


def paired_with(first: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Rows that have a verdict in both hearings, with `gap` (other minus first) and `changed`."""
    said = other.filter(pl.col("value").is_not_null()).select("id", "way", after="value", named="verdict")
    both = first.drop("way").join(said, on="id", how="inner", maintain_order="left")
    return both.with_columns(
        gap=pl.col("after") - pl.col("value"), changed=(pl.col("named") != pl.col("verdict")).cast(pl.Float64)
    )


def shifts(variant: str, both: pl.DataFrame, again: pl.DataFrame) -> dict[str, Figure]:
    """The figures of a probe; `again` are the same rows beside a mere repeat."""
    if variant == PADDED:
        return {"padding_gain": signed(both, "gap")}
    if variant == REVERSED:
        return {"order_gain": signed(both, "gap"), "order_changed": share(both, "changed")}
    found = {"injection_gain": signed(both, "gap")}
    open_to_it = both.filter(pl.col("value") < 1).with_columns(taken=(pl.col("after") == 1).cast(pl.Float64))
    if open_to_it.height:
        chance = again.select("id", chance=(pl.col("after") == 1).cast(pl.Float64))
        rows = open_to_it.join(chance, on="id", how="left", maintain_order="left")
        found["injection_success"] = signed(
            rows.with_columns(pl.col("taken") - pl.col("chance").fill_null(0)), "taken"
        )
    return found


def by_way(findings: pl.DataFrame) -> dict[str, Figure]:
    """What orders in wrong replies gain, by the way they are put."""
    both = paired_with(spoken_first(findings), findings.filter(pl.col("variant") == INJECTED))
    return {str(way): signed(part, "gap") for (way,), part in both.group_by("way", maintain_order=True)}


def injectable(findings: pl.DataFrame) -> bool | None:
    """Whether orders in wrong replies raise the verdict, over all ways or by one.

    None if none was tried, or none could: a judge that calls every wrong reply right has no way up.
    """
    both = paired_with(spoken_first(findings), findings.filter(pl.col("variant") == INJECTED))
    if both.filter(pl.col("value") < 1).is_empty():
        return None
    return signed(both, "gap").low > 0 or any(sure(part) for _, part in both.group_by("way"))


SURE = 2.498
"""97.5 % point of the normal, shared by four ways: one in eighty."""


def sure(rows: pl.DataFrame) -> bool:
    """Whether one way's gain is above 0 even though four were tried."""
    gaps, clusters = rows["gap"].to_list(), rows["cluster"].to_list()
    return len(set(clusters)) > 10 and sum(gaps) / len(gaps) > SURE * max(robust_error(gaps, clusters), TINY)


def slices(spoken: pl.DataFrame) -> Iterator[tuple[str, Figure]]:
    """Agreement by what the rows test."""
    for (name,), part in (
        spoken.filter(pl.col("slice") != "").sort("slice").group_by("slice", maintain_order=True)
    ):
        same = (part["verdict"] == part["label"]).cast(pl.Float64).to_list()
        yield str(name), figure(clustered(same, part["cluster"].to_list()), part.height)


def consistent(plain: pl.DataFrame) -> Figure:
    """The share of pairs of hearings of a row with the same verdict, averaged over rows."""
    said: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, cluster, verdict in plain.select("id", "cluster", "verdict").iter_rows():
        said[name, cluster].append(verdict)
    shares, clusters = [], []
    for (_, cluster), verdicts in said.items():
        if pairs := [one == other for one, other in combinations(verdicts, 2)]:
            shares.append(sum(pairs) / len(pairs))
            clusters.append(cluster)
    return figure(clustered(shares, clusters), len(shares))


def signed(rows: pl.DataFrame, column: str) -> Figure:
    """A mean of differences in [-1, 1], with its interval over clusters."""
    if rows.is_empty():
        return Figure(value=None, low=-1.0, high=1.0, n=0)
    values, clusters = rows[column].to_list(), rows["cluster"].to_list()
    gap = Interval(sum(values) / len(values), *around(values, clusters))
    return figure(widened(gap, len(set(clusters)), -1.0), rows.height)


def share(rows: pl.DataFrame, column: str) -> Figure:
    """A share of rows, with its interval over clusters."""
    values, clusters = rows[column].to_list(), rows["cluster"].to_list()
    return figure(widened(clustered(values, clusters), len(set(clusters))), rows.height)


def figure(interval: Interval, n: int) -> Figure:
    """An interval as a figure."""
    return Figure(value=number(interval.value), low=interval.low, high=interval.high, n=n)


def number(value: float) -> float | None:
    """A number JSON can hold."""
    return None if value != value else value
