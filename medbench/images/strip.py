"""Picture files without metadata, the picture's own bytes untouched: a scanner's notes can name a patient.

Files are taken apart here before a decoder sees them, and only the parts that make the picture are passed
on. That keeps decoders from all that can be hidden elsewhere, and decides what is stored: a part is kept
because it is known to make the look, not left out because it is known to be text.
"""

import re
import struct

from medbench.images.chunks import plain_gif, plain_png, plain_webp
from medbench.images.jpeg import plain_jpeg
from medbench.images.limits import BadImage, check_frame, check_size
from medbench.images.plain import Plain
from medbench.images.tags import page

MAX_SLOW = 2 << 20
"""Bytes and pixels of a BMP in runs: Pillow decodes them in Python."""


def plain(content: bytes, frame: int) -> Plain:
    """A file of a known format without its metadata. Raises what is in `decode.DAMAGED`, or BadImage."""
    if content.startswith(b"\xff\xd8\xff"):
        return plain_jpeg(content, frame)
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return plain_png(content, frame)
    if content.startswith((b"GIF87a", b"GIF89a")):
        return plain_gif(content, frame)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return plain_webp(content, frame)
    if content.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        body, turned, frames = page(content, frame)
        return Plain(body, "TIFF", turned, frames)
    if content.startswith(b"BM") or re.match(rb"P[4-6f]\s", content):
        return plain_bitmap(content, frame)
    raise BadImage(unidentified(content))


def plain_bitmap(content: bytes, frame: int) -> Plain:
    """A BMP or PPM, which is always written anew; digits and large runs, decoded slowly, are refused."""
    check_frame(frame, 1)
    if content.startswith(b"P"):
        return Plain(content, "PPM")
    if content[14] == 12:  # OS/2's short head
        return Plain(content, "BMP")
    width, height = struct.unpack_from("<ll", content, 18)
    check_size(width, abs(height), len(content))
    if content[30] in (1, 2) and (abs(width * height) > MAX_SLOW or len(content) > MAX_SLOW):
        raise BadImage("the image is a large BMP in runs, which is not decoded here")
    return Plain(content, "BMP")


def unidentified(content: bytes) -> str:
    """What a file is that is no image."""
    head = content[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b"<svg")):
        return "the file is a web page or SVG, not an image"
    if head.startswith(b"version https://git-lfs"):
        return "the file is a Git LFS pointer: its content was not fetched"
    return "the file is not an image of a known format"
