"""How well verdicts agree with labels: agreement, kappa, weighted kappa, balanced F1, with intervals.

All are functions of the confusion matrix, so they are computed for all bootstrap draws at once. They equal
scikit-learn's `accuracy_score`, `cohen_kappa_score` (plain and `weights="quadratic"`) and macro `f1_score`.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from medbench.stats import Interval, widened, wilson

DRAWS = 2_000
"""Bootstrap draws."""

Matrix = NDArray[np.float64]
"""Confusion matrices: [..., label, verdict], counts."""


def confusion(labels: Sequence[int], verdicts: Sequence[int], k: int) -> Matrix:
    """Counts by label (rows) and verdict (columns), both numbered from 0 to k - 1."""
    found = np.zeros((k, k))
    np.add.at(found, (np.asarray(labels, int), np.asarray(verdicts, int)), 1)
    return found


def agreement(matrix: Matrix) -> Matrix:
    """Share of rows on which label and verdict are the same."""
    return np.asarray(np.trace(matrix, axis1=-2, axis2=-1) / matrix.sum(axis=(-2, -1)))


def kappa(matrix: Matrix) -> Matrix:
    """Cohen's kappa (1960); not a number where label and verdict are one and the same constant."""
    return weighted(matrix, 1 - np.eye(matrix.shape[-1]))


def quadratic_kappa(matrix: Matrix) -> Matrix:
    """Kappa with disagreements weighted by the square of their distance (Cohen 1968)."""
    places = np.arange(matrix.shape[-1], dtype=float)
    return weighted(matrix, (places[:, None] - places[None, :]) ** 2)


def weighted(matrix: Matrix, cost: Matrix) -> Matrix:
    """1 minus the cost of the disagreements over that expected of independent raters."""
    total = matrix.sum(axis=(-2, -1))
    expected = matrix.sum(axis=-1)[..., :, None] * matrix.sum(axis=-2)[..., None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = (cost * expected).sum(axis=(-2, -1)) / total
        return np.asarray(1 - (cost * matrix).sum(axis=(-2, -1)) / chance)


def balanced_f1(matrix: Matrix) -> Matrix:
    """The mean over labels of F1 per label; labels that neither side uses are left out."""
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    used = matrix.sum(axis=-1) + matrix.sum(axis=-2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.nanmean(np.where(used > 0, 2 * hits / used, np.nan), axis=-1))


FIGURES: dict[str, Callable[[Matrix], Matrix]] = {
    "agreement": agreement,
    "kappa": kappa,
    "weighted_kappa": quadratic_kappa,
    "balanced_f1": balanced_f1,
}


def figures(
    labels: Sequence[int], verdicts: Sequence[int], clusters: Sequence[str], k: int, *, seed: int = 0
) -> dict[str, Interval]:
    """Each of `FIGURES` with its 95 % interval: percentiles of a bootstrap over clusters of rows.

    Few clusters make it as much wider as Student's t is than the normal; one makes it the widest there is.
    Where all rows agree every draw is alike and the bootstrap says nothing, so the lower end is then what
    the figure would be if the share that disagrees were Wilson's upper bound on it. A figure that is not
    defined is NaN with the widest interval.
    """
    if not labels:
        return {name: Interval(float("nan"), *bounds(name)) for name in FIGURES}
    matrix = confusion(labels, verdicts, k)
    drawn = draws(labels, verdicts, clusters, k, seed)
    found = {}
    for name, figure in FIGURES.items():
        value, spread = float(figure(matrix)), figure(drawn)
        if np.isnan(value):
            found[name] = Interval(value, *bounds(name))
            continue
        low, high = (float(end) for end in np.nanpercentile(spread, (2.5, 97.5)))
        m = len(set(clusters))
        if agreement(matrix) == 1:
            low = min(low, float(figure(spoilt(matrix, m))))
        if agreement(matrix) == 0 and name == "agreement":
            high = wilson(0, m).high
        found[name] = widened(Interval(value, min(low, value), max(high, value)), m, bounds(name)[0])
    return found


def bounds(name: str) -> tuple[float, float]:
    """The least and the greatest a figure can be."""
    return (-1.0, 1.0) if "kappa" in name else (0.0, 1.0)


def draws(
    labels: Sequence[int], verdicts: Sequence[int], clusters: Sequence[str], k: int, seed: int
) -> Matrix:
    """Confusion matrices of bootstrap samples of whole clusters, [draw, label, verdict]."""
    names = {name: place for place, name in enumerate(dict.fromkeys(clusters))}
    cells = np.zeros((len(names), k * k))
    places = np.asarray([names[name] for name in clusters])
    np.add.at(cells, (places, np.asarray(labels, int) * k + np.asarray(verdicts, int)), 1)
    generator = np.random.default_rng(seed)
    times = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=DRAWS)
    return np.asarray(times @ cells).reshape(DRAWS, k, k)


def spoilt(matrix: Matrix, units: int) -> Matrix:
    """A matrix without disagreement, with as much of it as `units` rows cannot rule out.

    What each label loses goes to the others evenly.
    """
    share = 1 - wilson(units, units).low
    k = matrix.shape[-1]
    held = np.diagonal(matrix)
    return np.asarray(np.diag(held * (1 - share)) + (1 - np.eye(k)) * (held * share / max(k - 1, 1))[:, None])


def constant(labels: Sequence[int], k: int) -> dict[str, float]:
    """The figures of a judge that always says the most frequent label; the lower of two wins a tie."""
    counts = np.bincount(np.asarray(labels, int), minlength=k)
    matrix = confusion(labels, [int(counts.argmax())] * len(labels), k)
    return {name: float(figure(matrix)) for name, figure in FIGURES.items()}
