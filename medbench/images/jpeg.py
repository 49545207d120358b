"""JPEG segments: what makes the picture, how it is to be turned, and the further pictures of an MPO."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from medbench.images.limits import MAX_PARTS, MAX_WORK, BadImage, check_frame, check_size
from medbench.images.plain import Plain, cut_off, too_many, whole
from medbench.images.tags import orientation, pictures

MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""The next marker; FF00 and FFD0-FFD7 belong to the scan data."""
HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of a frame header, by the kind of coding."""
TABLES = {0xC4, 0xCC, 0xDA, 0xDB, 0xDC, 0xDD}
SCAN, END = 0xDA, 0xD9
SPARE = 1 << 20
"""Bytes of scans that any picture may have; beyond them it is 16 to a pixel."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A marker with its fields, and the scan data behind them."""

    marker: int
    begin: int
    data: bytes
    """The fields, without marker and length."""
    raw: bytes
    """Everything, as it lies in the file."""


def plain_jpeg(content: bytes, frame: int) -> Plain:
    """A JPEG with JFIF's first fields, the colour profile and Adobe's colour mark as its only extras.

    Of a file of several pictures it is the first, unless another is asked for.
    """
    found = list(segments(content))
    others = further_pictures(found)
    frames = 1 + len(others)
    check_frame(frame, frames)
    if frame:
        start, length = others[frame - 1]
        return replace(plain_jpeg(content[start : start + length], 0), frames=frames, format="MPO")
    shown = check_header(found, len(content))
    turned = next((orientation(part.data[6:]) for part in found if is_exif(part)), 1)
    stripped = whole(content, content[:2], *map(kept, found))
    return Plain(stripped, "MPO" if others else "JPEG", turned, frames, 0, shown)


def segments(content: bytes) -> Iterator[Segment]:
    """The segments from the first to the end mark; what lies between them is left out."""
    at = 2 if content.startswith(b"\xff\xd8") else len(content)
    for _ in range(MAX_PARTS):
        found = MARKER.search(content, at)
        if found is None:
            raise cut_off()
        begin, marker = found.start(), content[found.end() - 1]
        if marker == END:
            yield Segment(marker, begin, b"", content[begin : begin + 2])
            return
        at = end = begin + 2 + int.from_bytes(content[begin + 2 : begin + 4])
        if marker in (0x01, 0xD8) or end < begin + 4 or end > len(content):
            raise cut_off()
        if marker == SCAN:
            after = MARKER.search(content, end)
            at = after.start() if after else len(content)
        yield Segment(marker, begin, content[begin + 4 : end], content[begin:at])
    raise too_many()


def check_header(found: list[Segment], held: int) -> bool:
    """Refuse sizes and numbers of scans nobody needs; whether browsers know this kind of coding."""
    headers = [part for part in found if part.marker in HEADERS]
    if len(headers) != 1 or len(headers[0].data) < 6:
        raise cut_off()
    height, width = int.from_bytes(headers[0].data[1:3]), int.from_bytes(headers[0].data[3:5])
    check_size(width, height, held)
    scans = [len(part.raw) for part in found if part.marker == SCAN]
    if width * height * len(scans) > MAX_WORK or sum(scans) > SPARE + 16 * width * height:
        raise BadImage("the image has more scans than its pixels need")
    return headers[0].marker in (0xC0, 0xC1, 0xC2) and headers[0].data[0] == 8


def kept(part: Segment) -> bytes:
    """What stays of a segment: all of what decides the picture, the fixed fields of JFIF and Adobe."""
    if part.marker in TABLES or part.marker in HEADERS or part.marker == END:
        return part.raw
    if part.marker == 0xE0 and part.data.startswith(b"JFIF\0") and len(part.data) >= 14:
        return b"\xff\xe0\x00\x10" + part.data[:12] + b"\0\0"
    if part.marker == 0xEE and part.data.startswith(b"Adobe") and len(part.data) >= 12:
        return b"\xff\xee\x00\x0e" + part.data[:12]
    return part.raw if part.marker == 0xE2 and part.data.startswith(b"ICC_PROFILE\0") else b""


def is_exif(part: Segment) -> bool:
    """Whether a segment is EXIF's."""
    return part.marker == 0xE1 and part.data.startswith(b"Exif\0\0")


def further_pictures(found: list[Segment]) -> list[tuple[int, int]]:
    """Where the second and later pictures of the file are, and their sizes."""
    for part in found:
        if part.marker == 0xE2 and part.data.startswith(b"MPF\0"):
            index = pictures(part.data[4:])
            return [(part.begin + 8 + place, size) for place, size in index[1:]]
    return []
