"""References to images become hashes: each image is read, looked into and stored once.

What was found is kept beside the source, one JSON line an image (`medbench-images.jsonl`), so that a
killed run goes on and a later one opens no archive. An image that can't be shown is its row's fault,
with the reason.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from medbench import files
from medbench.images import BadImage, Facts, Store
from medbench.schema import Example
from medbench.sources.albums import Album

log = logging.getLogger(__name__)

JOURNAL = "medbench-images.jsonl"
AT_ONCE = 16
"""Images in memory at a time."""

BYTES_AT_ONCE = 64 << 20
"""As published; fewer images are taken at a time where they have more together."""

EVERY = 10.0
"""Seconds between two words about how far it is."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a reference: the image's name in the store, or why there is none."""

    stamp: str
    sha256: str = ""
    pixels: str = ""
    size: int = 0
    fault: str = ""


def pictured(examples: Sequence[Example], album: Album, store: Store, journal: Path) -> list[Example]:
    """Examples whose references are replaced by names in the store.

    `cluster` becomes the first image's where it was null. A reference may name a frame: `scan.npy#12`.
    """
    seen = looked_at(dict.fromkeys(r for example in examples for r in example.images), album, store, journal)
    return [settled(example, [seen[reference] for reference in example.images]) for example in examples]


def settled(example: Example, found: Sequence[Seen]) -> Example:
    """An example with what its references became."""
    if not found:
        return example
    faults = [f"image {number}: {one.fault}" for number, one in enumerate(found, 1) if one.fault]
    return replace(
        example,
        images=tuple(one.sha256 for one in found if not one.fault),
        fault="; ".join(faults) or example.fault,
        cluster=example.cluster or sys.intern(f"image:{found[0].pixels[:16] or example.images[0]}"),
    )


def looked_at(references: Iterable[str], album: Album, store: Store, journal: Path) -> dict[str, Seen]:
    """What each reference stands for; only those not known from the journal are read."""
    wanted = dict.fromkeys(references)
    known = {reference: seen for reference, seen in noted(journal) if reference in wanted}
    found = {r: seen for r, seen in known.items() if there(seen, store) and unchanged(album, r, seen)}
    new = [reference for reference in wanted if reference not in found]
    return found | (taken_in(new, album, store, journal) if new else {})


def there(seen: Seen, store: Store) -> bool:
    """Whether the store has what was seen; of a fault it has nothing."""
    return bool(seen.fault) or store.holds(seen.sha256, seen.size)


def unchanged(album: Album, reference: str, seen: Seen) -> bool:
    """Whether a reference still stands for what was seen; a pinned album is not opened to know it."""
    if album.pinned:
        return True
    try:
        return album.stamp(path_of(reference)[0]) == seen.stamp
    except BadImage as problem:
        return problem.reason == seen.fault


def taken_in(new: Sequence[str], album: Album, store: Store, journal: Path) -> dict[str, Seen]:
    """Read, store and note images, a few at a time; decoding shares the processors."""
    found: dict[str, Seen] = {}
    files.private(journal.parent)
    told = time.monotonic()
    with journal.open("ab", buffering=0) as stream, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        if torn_at_end(journal):
            stream.write(b"\n")
        for some in handfuls(new, album):
            facts = list(pool.map(store_one(store), some))
            found |= {one.reference: seen_of(one.stamp, f) for one, f in zip(some, facts, strict=True)}
            lines = (line(one.reference, one.stamp, f) for one, f in zip(some, facts, strict=True))
            stream.write("".join(lines).encode())  # whole lines at once: another process may add its own
            if time.monotonic() - told > EVERY:
                told = time.monotonic()
                log.warning("%s: %d of %d images taken in", journal.parent.name, len(found), len(new))
    return found


@dataclass(frozen=True, slots=True)
class Read:
    """The bytes of a reference and their stamp, or why there are none."""

    reference: str
    stamp: str
    content: bytes | BadImage


def handfuls(references: Iterable[str], album: Album) -> Iterator[list[Read]]:
    """References with their bytes, a few at a time."""
    some: list[Read] = []
    held = 0
    for reference in references:
        one = fetched(album, reference)
        some.append(one)
        held += len(one.content) if isinstance(one.content, bytes) else 0
        if len(some) == AT_ONCE or held > BYTES_AT_ONCE:
            yield some
            some, held = [], 0
    if some:
        yield some


def torn_at_end(journal: Path) -> bool:
    """Whether a journal ends in the middle of a line."""
    if not journal.is_file() or not journal.stat().st_size:
        return False
    with journal.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read() != b"\n"


def path_of(reference: str) -> tuple[str, int]:
    """The file and the frame that a reference names."""
    path, mark, frame = reference.rpartition("#")
    return (path, int(frame)) if mark and frame.isdecimal() and len(frame) < 6 else (reference, 0)


def fetched(album: Album, reference: str) -> Read:
    """A reference read. What can't be had has no stamp, so that it is tried again."""
    path, _ = path_of(reference)
    try:
        return Read(reference, album.stamp(path), album.read(path))
    except BadImage as problem:
        return Read(reference, "", problem)


def store_one(store: Store) -> Callable[[Read], Facts | BadImage]:
    """A function that stores one image and gives its facts, or why it can't be shown."""

    def put(one: Read) -> Facts | BadImage:
        if isinstance(one.content, BadImage):
            return one.content
        try:
            return store.put(one.content, path_of(one.reference)[1])
        except BadImage as problem:
            return problem

    return put


def seen_of(stamp: str, facts: Facts | BadImage) -> Seen:
    """The part of an image's facts that rows need."""
    if isinstance(facts, BadImage):
        return Seen(stamp, fault=facts.reason)
    return Seen(stamp, facts.sha256, facts.pixels, facts.bytes)


def line(reference: str, stamp: str, facts: Facts | BadImage) -> str:
    """One line of the journal."""
    told = {"fault": facts.reason} if isinstance(facts, BadImage) else asdict(facts)
    return json.dumps({"reference": reference, "stamp": stamp, **told}) + "\n"


def noted(journal: Path) -> Iterator[tuple[str, Seen]]:
    """The journal's references with what became of them; torn lines are left out."""
    for row in rows(journal):
        reference, stamp, fault = row.get("reference"), row.get("stamp"), row.get("fault")
        sha256, pixels, size = row.get("sha256"), row.get("pixels"), row.get("bytes")
        if not isinstance(reference, str) or not isinstance(stamp, str):
            continue
        if isinstance(fault, str):
            yield reference, Seen(stamp, fault=fault)
        elif isinstance(sha256, str) and isinstance(pixels, str) and isinstance(size, int):
            yield reference, Seen(stamp, sha256, pixels, size)


def rows(journal: Path) -> Iterator[dict[str, Any]]:
    """The lines of a journal as they come."""
    if not journal.is_file():
        return
    with journal.open(encoding="utf-8", errors="replace") as stream:
        for text in stream:
            try:
                row = json.loads(text)
            except ValueError:
                continue
            if isinstance(row, dict):
                yield row
