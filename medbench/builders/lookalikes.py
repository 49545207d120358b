"""Which images show the same picture: equal pixels, or the same but for compression, size or cropped edges.

Pictures are compared as small grey squares, by the correlation of their cells (contrast and brightness do
not count). One is held against every crop of the other that takes up to 5 % off each side: a few crops at
8 x 8 cells say which pairs are worth it, all crops at 24 x 24 decide. Turned or mirrored copies are not
found, nor pictures without any contrast.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any, Literal

from medbench.images.prints import SIDE, Print

Array = Any
"""Of numpy, which is imported when there is something to compare."""

Look = tuple[tuple[int, int], bytes]
"""An image's size and its grey cells."""

COARSE, FINE = 8, 24
"""Cells across and down."""
CUT = 0.04
ROUGH_CUTS = (
    (0, 0, 0, 0),
    (CUT, CUT, CUT, CUT),
    (CUT, CUT, 0, 0),
    (CUT, 0, 0, CUT),
    (0, CUT, CUT, 0),
    (0, 0, CUT, CUT),
)
"""Shares taken off left, top, right, bottom."""
CUTS = (0.0, 0.017, 0.034, 0.05)
WORTH_IT, ALIKE = 0.94, 0.96
"""Correlations from which a pair is looked at closely, and is the same picture."""
AT_ONCE, TILE = 64, 4096
"""Squares compared at a time, with so many: what is in work fits a processor's cache."""


@dataclass(frozen=True, slots=True)
class Alike:
    """A training image that shows a test image."""

    image: str
    test: str
    how: Literal["pixels", "look-alike"]
    score: float
    """Correlation of the two."""


def alike(training: Iterable[Print], tests: Iterable[Print], pixels: Callable[[str], str]) -> list[Alike]:
    """Every pair of a training and a test image that show the same, in the order of their names.

    `pixels` gives what identifies an image's pixels; it is asked of those alone that look the same cell by
    cell, for it takes as long as decoding.
    """
    ours, theirs = by_look(training), by_look(tests)
    found = []
    for look in ours.keys() & theirs.keys():
        for one, other in product(ours[look], theirs[look]):
            if one.sha256 == other.sha256 or pixels(one.sha256) == pixels(other.sha256):
                found.append(Alike(one.sha256, other.sha256, "pixels", 1.0))
            elif len(set(one.grey)) > 1:
                found.append(Alike(one.sha256, other.sha256, "look-alike", 1.0))
    for first, second, score in look_alikes(list(ours), list(theirs)):
        found += [
            Alike(one.sha256, copy.sha256, "look-alike", score)
            for one, copy in product(ours[first], theirs[second])
        ]
    return sorted(found, key=lambda pair: (pair.image, pair.test))


def by_look(images: Iterable[Print]) -> dict[Look, list[Print]]:
    """Images by their size and their cells."""
    found: dict[Look, list[Print]] = {}
    for one in images:
        found.setdefault((one.size, one.grey), []).append(one)
    return found


def look_alikes(ours: Sequence[Look], theirs: Sequence[Look]) -> Iterator[tuple[Look, Look, float]]:
    """Pairs of unequal looks that show the same, with the better score of both ways."""
    best: dict[tuple[int, int], float] = {}
    if ours and theirs:
        first, second = squares(ours), squares(theirs)
        for i, j, score in shown_in(first, second):
            best[i, j] = score
        for j, i, score in shown_in(second, first):
            best[i, j] = max(score, best.get((i, j), 0.0))
    for (i, j), score in best.items():
        if ours[i] != theirs[j]:
            yield ours[i], theirs[j], round(score, 3)


def squares(looks: Sequence[Look]) -> Array:
    """The grey squares of images."""
    import numpy as np

    cells = np.frombuffer(b"".join(grey for _, grey in looks), np.uint8)
    return cells.reshape(-1, SIDE, SIDE).astype(np.float32)


def shown_in(wholes: Array, parts: Array) -> Iterator[tuple[int, int, float]]:
    """Which parts show a whole or a crop of it: their numbers, and how well they agree."""
    import numpy as np

    rough = [unit(shrunk(parts[i : i + TILE], COARSE)).T for i in range(0, len(parts), TILE)]
    for start in range(0, len(wholes), AT_ONCE):
        some = wholes[start : start + AT_ONCE]
        cut = np.concatenate([unit(shrunk(some, COARSE, shares)) for shares in ROUGH_CUTS])
        near = np.concatenate([worth_it(cut @ tile, len(some)) for tile in rough], axis=1)
        for i in map(int, np.flatnonzero(near.any(axis=1))):
            numbers = np.flatnonzero(near[i])
            scores = (crops(some[i]) @ unit(shrunk(parts[numbers], FINE)).T).max(axis=0)
            for j, score in zip(numbers, scores, strict=True):
                if score >= ALIKE:
                    yield start + i, int(j), float(score)


def worth_it(products: Array, count: int) -> Array:
    """Which of `count` squares any of its crops brings near which part."""
    return (products.reshape(-1, count, products.shape[1]) >= WORTH_IT).any(axis=0)


def shrunk(pictures: Array, cells: int, cut: Sequence[float] = (0, 0, 0, 0)) -> Array:
    """Squares cropped by shares of their sides, as squares of fewer cells."""
    left, top, right, bottom = cut
    return stretch(cells, top, bottom) @ pictures @ stretch(cells, left, right).T


def crops(picture: Array) -> Array:
    """Every crop of a square, one a row."""
    import numpy as np

    ends = np.concatenate([stretch(FINE, before, after) for before, after in product(CUTS, CUTS)])
    every = (ends @ picture @ ends.T).reshape(len(CUTS) ** 2, FINE, len(CUTS) ** 2, FINE)
    return unit(every.transpose(0, 2, 1, 3).reshape(-1, FINE * FINE))


@cache
def stretch(cells: int, before: float, after: float) -> Array:
    """The matrix that takes the means of so many equal cells of a row, its ends cut off."""
    import numpy as np

    edges = np.linspace(before * SIDE, (1 - after) * SIDE, cells + 1)
    inner = np.arange(SIDE)
    shares = np.minimum(edges[1:, None], inner + 1) - np.maximum(edges[:-1, None], inner)
    shares = shares.clip(0)
    return (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)


def unit(pictures: Array) -> Array:
    """Pictures as rows whose products are correlations; one without contrast agrees with none."""
    import numpy as np

    rows = pictures.reshape(len(pictures), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.maximum(length, 1.0)
