"""Intervals and exact tests for counts, in closed form: importing scipy would cost every start a second."""

from math import comb, sqrt
from typing import NamedTuple

Z = 1.959963984540054
"""97.5 % point of the standard normal."""

TINY = 1e-9
"""A standard error below this is rounding: the values are all alike."""


class Interval(NamedTuple):
    """A value and its 95 % interval, all in [0, 1]."""

    value: float
    low: float
    high: float


def wilson(correct: int, n: int) -> Interval:
    """A proportion with its 95 % Wilson score interval, no continuity correction (Wilson 1927).

    `n = 0` gives NaN with (0, 1).

    >>> [round(x, 3) for x in wilson(8, 10)]
    [0.8, 0.49, 0.943]
    """
    if n == 0:
        return Interval(float("nan"), 0.0, 1.0)
    p = correct / n
    centre = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return Interval(p, max(min(centre - half, p), 0.0), min(max(centre + half, p), 1.0))


def clustered(values: list[float], clusters: list[str]) -> Interval:
    """A mean whose rows are dependent within clusters, with its 95 % cluster-robust interval.

    Where every value is alike the variance says nothing, so the Wilson interval over the number of
    clusters stands in.
    """
    if not values:
        return wilson(0, 0)
    mean = sum(values) / len(values)
    error = robust_error(values, clusters)
    if error < TINY:
        m = len(set(clusters))
        _, low, high = wilson(round(mean * m), m)
        return Interval(mean, min(low, mean), max(high, mean))
    return Interval(mean, max(mean - Z * error, 0.0), min(mean + Z * error, 1.0))


def robust_error(values: list[float], clusters: list[str]) -> float:
    """Cluster-robust standard error of a mean; 0 for one cluster, or where every value is alike."""
    mean = sum(values) / len(values)
    sums: dict[str, float] = {}
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + value - mean
    m = len(sums)
    spread = sum(total * total for total in sums.values())
    return sqrt(spread * m / (m - 1)) / len(values) if m > 1 else 0.0


def around(gaps: list[float], units: list[str]) -> tuple[float, float]:
    """95 % interval for a mean of gaps that depend on each other within units.

    Where all units agree their spread says nothing; one more unit at each end, +1 and -1, then stands for
    what was not seen (as Bonett and Price do).
    """
    error = robust_error(gaps, units)
    if error < TINY:
        m = len(set(units))
        gaps = [sum(gaps) / len(gaps)] * m + [1.0, -1.0]
        error = robust_error(gaps, [str(i) for i in range(m + 2)])
    centre = sum(gaps) / len(gaps)
    return centre - Z * error, centre + Z * error


def difference(
    values: list[float], clusters: list[str], others: list[float], other_clusters: list[str]
) -> Interval:
    """The mean of some values minus that of others, with its 95 % cluster-robust interval in [-1, 1]."""
    centre = sum(values) / len(values) - sum(others) / len(others)
    ends = around(values, clusters), around(others, other_clusters)
    error = sqrt(sum(((high - low) / 2) ** 2 for low, high in ends))
    return Interval(centre, max(centre - error, -1.0), min(centre + error, 1.0))


STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""97.5 % points of Student's t for 1 to 10 degrees of freedom."""


def student(freedom: int) -> float:
    """97.5 % point of Student's t; past the table by Cornish and Fisher's expansion.

    >>> round(student(3), 3), round(student(20), 3), round(student(1000), 3)
    (3.182, 2.086, 1.962)
    """
    if freedom < 1:
        return float("inf")
    if freedom <= len(STUDENT):
        return STUDENT[freedom - 1]
    return Z + (Z**3 + Z) / (4 * freedom) + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * freedom**2)


def widened(interval: Interval, clusters: int, least: float = 0.0) -> Interval:
    """An interval as wide as so few clusters ask for (Student's t instead of the normal), in [least, 1]."""
    factor = student(clusters - 1) / Z
    if factor == float("inf"):
        return Interval(interval.value, least, 1.0)
    low = interval.value - (interval.value - interval.low) * factor
    high = interval.value + (interval.high - interval.value) * factor
    return Interval(interval.value, max(low, least), min(high, 1.0))


def pass_at(k: int, correct: int, n: int) -> float:
    """Unbiased chance that one of k samples is right, from n with `correct` right (Chen et al. 2021).

    >>> round(pass_at(1, 3, 10), 6), pass_at(10, 1, 10)
    (0.3, 1.0)
    """
    return 1.0 - comb(n - correct, k) / comb(n, k)


def sign_test(up: int, down: int) -> float:
    """Exact two-sided binomial p that `up` of `up + down` is a fair split.

    >>> sign_test(0, 0), round(sign_test(9, 1), 4)
    (1.0, 0.0215)
    """
    n = up + down
    tail = sum(comb(n, i) for i in range(min(up, down) + 1))
    return float(min(1.0, 2 * tail / 2**n))
