"""What images look like, small enough to hold hundreds of thousands: for finding the same picture twice.

Each stored image is decoded once; what was found is one JSON line in the store's folder
(`prints-1.jsonl`), by the image's name, which is its content.
"""

import base64
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from medbench import files
from medbench.images import BOX, Store
from medbench.images.limits import BadImage

log = logging.getLogger(__name__)

CACHE = "prints-1.jsonl"
"""The number is that of the layout below: another layout is another file."""
SIDE = 32
"""Cells of the small grey picture, across and down."""
AT_ONCE = 16
"""Images in memory at a time."""
NAMED = 5
"""Images named of those that could not be looked at."""


@dataclass(frozen=True, slots=True)
class Print:
    """What is kept of an image's looks."""

    sha256: str
    """Its name in the store."""
    size: tuple[int, int]
    """Pixels across and down."""
    grey: bytes
    """32 x 32 grey cells, each the mean of what it covers, row by row."""


def prints(store: Store, sha256s: Iterable[str]) -> dict[str, Print]:
    """The prints of images in a store; those missing or damaged are left out, and a warning names them."""
    wanted = dict.fromkeys(sha256s)
    found = {one.sha256: one for one in noted(store.folder / CACHE) if one.sha256 in wanted}
    new = [sha256 for sha256 in wanted if sha256 not in found]
    faults: list[str] = []
    for one in taken(store, new) if new else ():
        if isinstance(one, Print):
            found[one.sha256] = one
        else:
            faults.append(one.reason)
    if faults:
        more = f" and {len(faults) - NAMED:,} more" if len(faults) > NAMED else ""
        log.warning("not compared by its looks: %s%s", "; ".join(faults[:NAMED]), more)
    return {sha256: found[sha256] for sha256 in wanted if sha256 in found}


def print_of(sha256: str, picture: Any) -> Print:
    """The print of a decoded RGB picture. Its pixels are hashed only where another looks the same."""
    return Print(
        sha256, picture.size, picture.convert("L").resize((SIDE, SIDE), BOX, reducing_gap=3.0).tobytes()
    )


def pixels_of(store: Store) -> Callable[[str], str]:
    """A function from an image's name to what identifies its pixels; the name itself if it is not there."""

    @cache
    def pixels(sha256: str) -> str:
        from medbench.images.decode import pixel_hash

        try:
            return pixel_hash(store.picture(sha256))
        except BadImage:
            return sha256

    return pixels


def taken(store: Store, sha256s: Sequence[str]) -> Iterator[Print | BadImage]:
    """Prints made anew, a few images at a time, and noted; why not where an image can't be shown."""

    def look(sha256: str) -> Print | BadImage:
        try:
            return print_of(sha256, store.picture(sha256))
        except BadImage as problem:
            return problem

    path = files.private(store.folder) / CACHE
    with path.open("ab", buffering=0) as stream, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for start in range(0, len(sha256s), AT_ONCE):
            made = list(pool.map(look, sha256s[start : start + AT_ONCE]))
            lines = [line(one) for one in made if isinstance(one, Print)]
            if lines:
                stream.write(("\n" + "\n".join(lines) + "\n").encode())  # a torn line before ends here
            yield from made


def line(one: Print) -> str:
    """A print as a line of the cache."""
    grey = base64.b64encode(one.grey).decode("ascii")
    return json.dumps({"sha256": one.sha256, "size": one.size, "grey": grey})


def noted(path: Path) -> Iterator[Print]:
    """The prints in a cache; torn lines are left out."""
    if not path.is_file():
        return
    with path.open("rb") as stream:
        for text in stream:
            try:
                row = json.loads(text)
                width, height = map(int, row["size"])
                one = Print(row["sha256"], (width, height), base64.b64decode(row["grey"], validate=True))
            except (ValueError, KeyError, TypeError):
                continue
            if len(one.grey) == SIDE * SIDE and isinstance(one.sha256, str):
                yield one
