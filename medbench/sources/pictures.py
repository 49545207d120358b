"""References to images become hashes: each image is read, looked into and stored once.

What was found is kept beside the source, one JSON line an image (`medbench-images.jsonl`), so that a
killed run goes on and a later one opens no archive. An image that can't be shown is its row's fault,
with the reason.
"""

import json
import logging
import os
import time
from collections.abc import Iterable, Iterator, Sequence
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
        cluster=example.cluster or (f"image:{found[0].pixels[:16]}" if found[0].pixels else None),
    )


def looked_at(references: Iterable[str], album: Album, store: Store, journal: Path) -> dict[str, Seen]:
    """What each reference stands for; only those not known from the journal are read."""
    wanted = dict.fromkeys(references)
    known = {reference: seen for reference, seen in noted(journal) if reference in wanted}
    found: dict[str, Seen] = {}
    new: list[tuple[str, str]] = []
    for reference in wanted:
        try:
            stamp = album.stamp(path_of(reference)[0])
        except BadImage as problem:
            found[reference] = Seen("", fault=problem.reason)
            continue
        seen = known.get(reference)
        if seen and seen.stamp == stamp and (seen.fault or store.holds(seen.sha256, seen.size)):
            found[reference] = seen
        else:
            new.append((reference, stamp))
    if new:
        found |= taken_in(new, album, store, journal)
    return found


def taken_in(new: Sequence[tuple[str, str]], album: Album, store: Store, journal: Path) -> dict[str, Seen]:
    """Read, store and note images, a few at a time; decoding shares the processors."""
    found: dict[str, Seen] = {}
    files.private(journal.parent)
    torn = torn_at_end(journal)
    told = time.monotonic()
    with journal.open("a", encoding="utf-8") as stream, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        stream.write("\n" if torn else "")
        for start in range(0, len(new), AT_ONCE):
            some = new[start : start + AT_ONCE]
            contents = [fetched(album, reference) for reference, _ in some]
            references = [reference for reference, _ in some]
            for (reference, stamp), facts in zip(
                some, pool.map(store_one(store), references, contents), strict=True
            ):
                found[reference] = seen_of(stamp, facts)
                stream.write(line(reference, stamp, facts) + "\n")
            stream.flush()
            if time.monotonic() - told > EVERY:
                told = time.monotonic()
                log.warning("%s: %d of %d images taken in", journal.parent.name, len(found), len(new))
    return found


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


def fetched(album: Album, reference: str) -> bytes | BadImage:
    """The bytes of a reference, or why there are none."""
    try:
        return album.read(path_of(reference)[0])
    except BadImage as problem:
        return problem


def store_one(store: Store) -> Any:
    """A function that stores one image and gives its facts, or why it can't be shown."""

    def put(reference: str, content: bytes | BadImage) -> Facts | BadImage:
        if isinstance(content, BadImage):
            return content
        try:
            return store.put(content, path_of(reference)[1])
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
    return json.dumps({"reference": reference, "stamp": stamp, **told}, ensure_ascii=False)


def noted(journal: Path) -> Iterator[tuple[str, Seen]]:
    """The journal's references with what became of them; torn lines are left out."""
    for row in rows(journal):
        fault = row.get("fault") or ""
        try:
            seen = Seen(
                row["stamp"], *(("", "", 0, fault) if fault else (row["sha256"], row["pixels"], row["bytes"]))
            )
            yield row["reference"], seen
        except (KeyError, TypeError):
            continue


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
