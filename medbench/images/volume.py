"""Volumes kept as NumPy arrays (M3D): slices along the first of three axes. Nothing is unpickled."""

import math
import re
from typing import Any

from PIL import Image

from medbench.images.decode import DAMAGED
from medbench.images.grey import ends, same, spread
from medbench.images.limits import BadImage, check_frame, check_size

MAX_HEAD = 1000
FIELDS = (
    re.compile(rb"'descr': *'([<>|=]?[biuf][0-9]{1,2})'"),
    re.compile(rb"'fortran_order': *(True|False)"),
    re.compile(rb"'shape': *\(([0-9]{1,12}(?:, *[0-9]{1,12}){2,3}),? *\)"),
)
"""What a .npy file's head tells, written as Python; matched, not evaluated. Objects are no numbers."""


def volume_slice(content: bytes, index: int) -> tuple[Any, str, str, int]:
    """Slice `index` of a (depth, height, width) or (1, depth, height, width) array, and how many there are.

    The grey values of the whole volume, least to greatest, become 0 to 255.
    """
    try:
        volume = array(content)
        volume = volume[0] if volume.ndim == 4 and len(volume) == 1 else volume
        depth, height, width = volume.shape
        check_size(width, height, len(content))
        check_frame(index, depth)
        grey = spread(volume[index], *ends(volume, same))
    except DAMAGED as problem:
        raise BadImage(f"the volume is damaged ({type(problem).__name__})") from None
    return Image.fromarray(grey).convert("RGB"), "volume", "NPY", depth


def array(content: bytes) -> Any:
    """The numbers of a .npy file, where they lie in it: nothing is made as large as its head claims."""
    import numpy as np

    begin = 10 if content[6] == 1 else 12
    start = begin + int.from_bytes(content[8:begin], "little")
    head = content[begin : min(start, begin + MAX_HEAD)]
    kind, order, shape = (found[1].decode() if (found := field.search(head)) else "" for field in FIELDS)
    sizes = [int(size) for size in shape.replace(",", " ").split()]
    flat = np.frombuffer(content, kind, math.prod(sizes), start)
    return flat.reshape(sizes, order="F" if order == "True" else "C")
