"""Numbers of any size to 8-bit grey, a band of rows at a time so that wide types do not fill the memory."""

from collections.abc import Callable, Iterator
from typing import Any

BAND = 1 << 20
"""Values worked on at once."""


def bands(values: Any) -> Iterator[Any]:
    """An array, some rows at a time."""
    step = max(BAND * len(values) // max(values.size, 1), 1)
    return (values[top : top + step] for top in range(0, len(values), step))


def ends(values: Any, real: Callable[[Any], Any]) -> tuple[float, float]:
    """The least and the greatest of what `real` makes of an array."""
    found = [(float(part.min()), float(part.max())) for part in map(real, bands(values))]
    low, high = min(low for low, _ in found), max(high for _, high in found)
    if not abs(low) + abs(high) < float("inf"):
        raise ValueError("values that are no numbers")
    return low, high


def same(part: Any) -> Any:
    """Values as they are."""
    return part


def spread(values: Any, low: float, high: float, real: Callable[[Any], Any] = same, channels: int = 0) -> Any:
    """What `real` makes of an array, from `low` to `high` as 0 to 255; what lies outside is cut off.

    With `channels`, `real` makes so many numbers of each.
    """
    import numpy as np

    grey = np.empty((*values.shape, channels) if channels else values.shape, np.uint8)
    scale = 255.0 / (high - low) if high > low else 0.0
    top = 0
    for part in bands(values):
        shade = (real(part).astype(np.float64) - low) * scale + 0.5
        grey[top : top + len(part)] = np.clip(shade, 0, 255)
        top += len(part)
    return grey
