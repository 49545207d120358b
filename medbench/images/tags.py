"""The tag directories of TIFF, which EXIF and multi-picture JPEGs have too.

They are read by hand, because a decoder that reads all tags can be made to copy a file many times over,
and because only the tags that say how pixels lie may reach it.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from medbench.images.limits import MAX_FRAMES, BadImage, check_frame, check_size

SIZES = dict(zip([*range(1, 14), 16, 17, 18], [1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 8, 8, 8], strict=True))
"""Bytes of one value of each type."""
ORIENTATION = 0x0112
MAX_TAGS = 4096
MAX_TILE = 1 << 24
MAX_STRIPS = 100_000

LOOK = {
    *(256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 332),
    *(338, 339, 347, 529, 530, 531, 532, 34675),
}
"""Tags that say how the pixels lie and look."""
SINGLE = {256, 257, 259, 262, 266, 277, 278, 284, 317, 322, 323}
"""Those of them that have one value."""
COMPRESSIONS = {1, 2, 3, 4, 5, 7, 8, 32773, 32946, 50000, 50001}
"""Not the old JPEG, which nobody decodes safely, nor LZMA, whose files say how much memory to take."""


@dataclass(frozen=True, slots=True)
class Tag:
    """An entry of a directory."""

    name: int
    kind: int
    count: int
    entry: bytes
    """As it lies in the file."""
    start: int
    """Where its values lie."""


class Directories:
    """A block of bytes with a TIFF header. Raises ValueError or struct.error where it is none."""

    def __init__(self, block: bytes | memoryview) -> None:
        self.block = block
        self.order = {b"II": "<", b"MM": ">"}.get(bytes(block[:2]), "")
        version = self.unpack("H", 2)[0] if self.order else 0
        if version not in (42, 43):
            raise ValueError("no TIFF header")
        big = version == 43
        self.root = 8 if big else 4
        self.counted, self.entry, self.pointer = ("Q", "HHQ", "Q") if big else ("H", "HHL", "L")
        self.head, self.step = (8, 20) if big else (2, 12)
        self.first: int = self.unpack(self.pointer, self.root)[0]

    def unpack(self, form: str, at: int) -> tuple[int, ...]:
        """Numbers in the block's byte order."""
        return struct.unpack_from(self.order + form, self.block, at)

    def count(self, at: int) -> int:
        """How many tags the directory at `at` has."""
        (found,) = self.unpack(self.counted, at)
        if found > MAX_TAGS:
            raise ValueError("too many tags")
        return found

    def after(self, at: int) -> int:
        """Where the next directory is; 0 after the last one."""
        return self.unpack(self.pointer, at + self.head + self.step * self.count(at))[0]

    def tags(self, at: int) -> Iterator[Tag]:
        """The tags of a directory whose values are within the block."""
        for number in range(self.count(at)):
            begin = at + self.head + self.step * number
            name, kind, count = self.unpack(self.entry, begin)
            start = begin + struct.calcsize(self.order + self.entry)
            size = SIZES.get(kind, 0) * count
            if size > begin + self.step - start:
                (start,) = self.unpack(self.pointer, start)
            if 0 < size <= len(self.block) - start:
                yield Tag(name, kind, count, bytes(self.block[begin : begin + self.step]), start)

    def number(self, tag: Tag) -> int:
        """The first value of a tag of whole numbers."""
        return self.unpack({1: "B", 3: "H", 4: "L", 16: "Q"}.get(tag.kind, "B"), tag.start)[0]


def orientation(block: bytes | memoryview) -> int:
    """How EXIF says a picture is to be turned, 1 to 8; 1 where it says nothing readable."""
    try:
        exif = Directories(block)
        found = next((exif.number(tag) for tag in exif.tags(exif.first) if tag.name == ORIENTATION), 1)
    except (ValueError, struct.error):
        return 1
    return found if 1 <= found <= 8 else 1


def pictures(block: bytes | memoryview) -> list[tuple[int, int]]:
    """Where a multi-picture JPEG's index says its pictures are, and their sizes; none if it is unreadable."""
    try:
        index = Directories(block)
        entries = next((tag for tag in index.tags(index.first) if tag.name == 0xB002), None)
        if entries is None:
            return []
        return [
            (place, size)
            for size, place in (
                index.unpack("LL", entries.start + at + 4) for at in range(0, entries.count, 16)
            )
        ]
    except (ValueError, struct.error):
        return []


def pages(found: Directories) -> list[int]:
    """Where the directories of a TIFF's pages are, to the last or to the first that came before."""
    places: dict[int, None] = {}
    at = found.first
    while at and at not in places:
        places[at] = None
        if len(places) > MAX_FRAMES:
            break
        at = found.after(at)
    return list(places)


def page(content: bytes, frame: int) -> tuple[bytes, int, int]:
    """A TIFF of one page of another, how it is to be turned, and how many pages there are.

    It has the tags that decide the page's look and no others, in a directory written anew behind the file.
    """
    found = Directories(content)
    places = pages(found)
    check_frame(frame, len(places))
    kept: dict[int, Tag] = {}
    for tag in found.tags(places[frame]):
        if tag.name in LOOK or tag.name == ORIENTATION:
            kept.setdefault(tag.name, tag)
    turned = found.number(kept.pop(ORIENTATION)) if ORIENTATION in kept else 1
    check_page(found, kept)
    place = len(content) + len(content) % 2
    pointer = struct.Struct(found.order + found.pointer)
    parts = [
        *(content[: found.root], pointer.pack(place), content[found.root + pointer.size :]),
        b"\0" * (place - len(content)),
        struct.pack(found.order + found.counted, len(kept)),
        *(kept[name].entry for name in sorted(kept)),
        pointer.pack(0),
    ]
    return b"".join(parts), turned if 1 <= turned <= 8 else 1, len(places)


def check_page(found: Directories, kept: dict[int, Tag]) -> None:
    """Refuse a page that asks for more than its file holds."""
    numbers = {name: found.number(tag) for name, tag in kept.items()}
    check_size(numbers.get(256, 0), numbers.get(257, 0), len(found.block))
    if any(kept[name].count != 1 for name in SINGLE & kept.keys()):
        raise BadImage("the image is damaged (a tag has too many values)")
    if sum(SIZES[tag.kind] * tag.count for tag in kept.values()) > len(found.block):
        raise BadImage("the image is damaged (its tags overlap)")
    width, height = numbers[256], numbers[257]
    most = min(6 * max(height, (width // 16 + 1) * (height // 16 + 1)), MAX_STRIPS)
    if any(kept[name].count > most for name in (273, 279, 324, 325) if name in kept):
        raise BadImage("the image is damaged (it is in too many strips)")
    if numbers.get(322, 0) * numbers.get(323, 0) > MAX_TILE:
        raise BadImage(f"the image has tiles of more than {MAX_TILE:,} pixels")
    if numbers.get(259, 1) not in COMPRESSIONS:
        raise BadImage("the image is a TIFF of a compression that is not decoded here")
