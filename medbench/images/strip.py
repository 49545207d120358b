"""Metadata out of a picture file, its pixels untouched: a scanner's notes can name a patient."""

import re

MARKER = re.compile(rb"\xff+([^\x00\xd0-\xd7\xff])", re.S)
"""The next marker of a JPEG; FF00 and FFD0-FFD7 belong to the scan data."""

COLOUR = {
    b"IHDR",
    b"PLTE",
    b"IDAT",
    b"IEND",
    b"tRNS",
    b"gAMA",
    b"cHRM",
    b"sRGB",
    b"sBIT",
    b"iCCP",
    b"bKGD",
    b"pHYs",
}
"""PNG chunks that say how the pixels look."""


def without_metadata(content: bytes, format: str) -> bytes | None:
    """The file without text, EXIF, comments and what follows its end; None if it must be written anew."""
    if format == "JPEG":
        return jpeg_stripped(content)
    if format == "PNG":
        return png_stripped(content)
    noted = (b"EXIF", b"XMP ") if format == "WEBP" else (b"\x21\xfe", b"\x21\xff\x0bXMP")
    return None if any(mark in content for mark in noted) else content


def jpeg_stripped(content: bytes) -> bytes | None:
    """A JPEG with APP0 (JFIF), the colour profile and Adobe's colour mark as its only extras."""
    kept, at = [content[:2]], 2
    while found := MARKER.search(content, at):
        kept.append(content[at : found.start()])
        marker, begin = found[1][0], found.end() - 2
        if marker == 0xD9:
            return b"".join([*kept, content[begin : begin + 2]])
        end = begin + 2 + int.from_bytes(content[begin + 2 : begin + 4])
        if end <= begin + 3 or end > len(content):
            return None
        if wanted(marker, content[begin + 4 : begin + 16]):
            kept.append(content[begin:end])
        at = end
    return None


def wanted(marker: int, head: bytes) -> bool:
    """Whether a JPEG segment decides how the pixels look."""
    if marker == 0xE0:
        return head.startswith(b"JFIF\x00")
    if marker == 0xE2:
        return head.startswith(b"ICC_PROFILE")
    if marker == 0xEE:
        return head.startswith(b"Adobe")
    return not (0xE1 <= marker <= 0xEF or marker == 0xFE)


def png_stripped(content: bytes) -> bytes | None:
    """A PNG with its picture's chunks alone."""
    kept, at = [content[:8]], 8
    while at + 12 <= len(content):
        end = at + 12 + int.from_bytes(content[at : at + 4])
        name = content[at + 4 : at + 8]
        if end > len(content):
            return None
        if name in COLOUR:
            kept.append(content[at:end])
        if name == b"IEND":
            return b"".join(kept)
        at = end
    return None
