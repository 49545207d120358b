"""Volumes kept as NumPy arrays (M3D): slices along the first of three axes. Nothing is unpickled."""

import io
from typing import Any

from PIL import Image

from medbench.images.decode import DAMAGED
from medbench.images.limits import MAX_PIXELS, BadImage


def volume_slice(content: bytes, index: int) -> tuple[Any, str, str, int]:
    """Slice `index` of a (depth, height, width) or (1, depth, height, width) array, and how many there are.

    The grey values of the whole volume, least to greatest, become 0 to 255.
    """
    import numpy as np

    try:
        volume = np.load(io.BytesIO(content), allow_pickle=False)
        volume = volume[0] if volume.ndim == 4 and len(volume) == 1 else volume
        depth, height, width = volume.shape
        low, high = float(volume.min()), float(volume.max())
        if not abs(low) + abs(high) < float("inf") or height * width > MAX_PIXELS:
            raise ValueError("values that are no numbers")
        if index >= depth:
            raise BadImage(f"the volume has {depth} slices, slice {index} was asked for")
        scale = 255.0 / (high - low) if high > low else 0.0
        grey = ((volume[index].astype(np.float64) - low) * scale + 0.5).astype(np.uint8)
    except DAMAGED as problem:
        raise BadImage(f"the volume is damaged ({type(problem).__name__})") from None
    return Image.fromarray(grey).convert("RGB"), "volume", "NPY", depth
