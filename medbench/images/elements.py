"""DICOM files taken apart: the elements of their outermost level, and among them those that make the picture.

pydicom builds an object for every element of every sequence before it looks which are wanted; a small file
can so fill the memory. Here a file is walked over, and what is not wanted is not even read.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from medbench.images.limits import MAX_PARTS, BadImage
from medbench.images.plain import cut_off

LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
SHORT = {
    *(b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH"),
    *(b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"),
}
"""Value representations with lengths of four bytes, and of two."""
ITEM_END, SEQUENCE_END, PIXELS = 0xFFFEE00D, 0xFFFEE0DD, 0x7FE00010
UNDEFINED = 0xFFFFFFFF
IMPLICIT, BIG_ENDIAN, DEFLATED = (f"1.2.840.10008.1.2{end}" for end in ("", ".2", ".1.99"))
MAX_INFLATED = 64 << 20
MAX_VALUE = 256 << 10
"""Bytes of an element that is not the pixels; the longest that decide a look are tables of 65,536 numbers."""


@dataclass(frozen=True, slots=True)
class Element:
    """An element of a data set: where it begins, where its value does and ends, and where the next begins."""

    tag: int
    vr: bytes
    """Empty where the file does not say."""
    begin: int
    start: int
    end: int
    after: int


@dataclass(frozen=True, slots=True)
class Body:
    """A file's data set."""

    block: bytes
    at: int
    syntax: str
    """The transfer syntax, by its number."""

    @property
    def implicit(self) -> bool:
        """Whether value representations are left out."""
        told = self.block[self.at + 4 : self.at + 6] in LONG | SHORT
        return self.syntax in (IMPLICIT, "") and not told

    @property
    def order(self) -> str:
        """The byte order."""
        return ">" if self.syntax == BIG_ENDIAN else "<"


def body(content: bytes) -> Body:
    """What follows the file's head, unpacked if it is compressed as a whole."""
    at, syntax = 132, ""
    while content[at : at + 2] == b"\x02\0":
        tag, _, start, length = header(content, at, False, "<")
        if tag == 0x00020010:
            syntax = content[start : start + length].rstrip(b"\0 ").decode("ascii")
        at = start + length
    if syntax != DEFLATED:
        return Body(content, at, syntax)
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content[at:], MAX_INFLATED)
    if len(inflated) == MAX_INFLATED:
        raise BadImage(f"the DICOM file unpacks to more than {MAX_INFLATED >> 20} MB")
    return Body(inflated, 0, syntax)


def header(block: bytes, at: int, implicit: bool, order: str) -> tuple[int, bytes, int, int]:
    """Tag, value representation, where the value starts and how long it is."""
    group, element = struct.unpack_from(order + "HH", block, at)
    vr = block[at + 4 : at + 6]
    if group == 0xFFFE or implicit or not (vr.isalpha() and vr.isupper()):
        return group << 16 | element, b"", at + 8, struct.unpack_from(order + "L", block, at + 4)[0]
    if vr in LONG:
        return group << 16 | element, vr, at + 12, struct.unpack_from(order + "L", block, at + 8)[0]
    return group << 16 | element, vr, at + 8, struct.unpack_from(order + "H", block, at + 6)[0]


def elements(found: Body) -> Iterator[Element]:
    """The elements of a data set; what is nested in them is passed over."""
    block, at, order, implicit = found.block, found.at, found.order, found.implicit
    outer, nested = (0, b"", 0, 0), list[bool]()
    for _ in range(MAX_PARTS):
        if at + 8 > len(block):
            break
        tag, vr, start, length = header(block, at, nested[-1] if nested else implicit, order)
        if tag in (ITEM_END, SEQUENCE_END):
            nested.pop()
            if not nested:
                yield Element(*outer, at, start)
            at = start
        elif length == UNDEFINED:
            outer = outer if nested else (tag, vr, at, start)
            nested.append(vr == b"UN" or (nested[-1] if nested else implicit))
            at = start
        elif start + length > len(block):
            raise cut_off()
        else:
            if not nested:
                yield Element(tag, vr, at, start, start + length, start + length)
            at = start + length
    else:
        raise BadImage("the DICOM file has too many elements")
    if nested:
        raise cut_off()


def wanted(found: Body, tags: set[int]) -> Iterator[Element]:
    """The elements of some tags, up to the pixels."""
    for element in elements(found):
        if element.tag in tags and element.tag != PIXELS and element.end - element.start > MAX_VALUE:
            raise BadImage(f"the DICOM file has a table of more than {MAX_VALUE >> 10} KB")
        if element.tag in tags:
            yield element
        if element.tag >= PIXELS:
            return
