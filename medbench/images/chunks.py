"""PNG, WebP and GIF: files of chunks, of which those stay that are known to make the picture."""

import zlib
from collections.abc import Iterator

from medbench.images.limits import MAX_BYTES, MAX_PARTS, check_frame, check_size
from medbench.images.plain import Plain, cut_off, too_many, whole
from medbench.images.tags import orientation

PNG_PARTS = dict(
    [
        *[(b"IHDR", 13), (b"PLTE", 768), (b"IDAT", MAX_BYTES), (b"IEND", 0), (b"tRNS", 256)],
        *[(b"gAMA", 4), (b"cHRM", 32), (b"sRGB", 1), (b"sBIT", 4), (b"iCCP", MAX_BYTES), (b"bKGD", 6)],
        *[(b"pHYs", 9), (b"cICP", 4), (b"mDCV", 24), (b"cLLI", 8)],
    ]
)
"""PNG chunks that say how the pixels look, and the most bytes they have."""
PNG_MOTION = {b"acTL": 8, b"fcTL": 26, b"fdAT": MAX_BYTES}
WEBP_PARTS = (b"VP8X", b"ICCP", b"ALPH", b"VP8 ", b"VP8L", b"ANIM", b"ANMF")

Part = tuple[bytes, int, int]
"""A chunk's name, and where it begins and ends."""


def plain_png(content: bytes, frame: int) -> Plain:
    """A PNG with its picture's chunks alone; its animation's too where it moves."""
    found = list(png_chunks(content))
    name, begin, end = found[0]
    if name != b"IHDR" or end - begin != 25:
        raise cut_off()
    check_size(int.from_bytes(content[16:20]), int.from_bytes(content[20:24]), len(content))
    frames = png_frames(content, found)
    check_frame(frame, frames)
    wanted = PNG_PARTS | PNG_MOTION if frames > 1 else PNG_PARTS
    parts = [part for part in found if part[2] - part[1] - 12 <= wanted.get(part[0], -1)]
    if not all(intact(content, part) for part in parts):
        raise cut_off()
    turned = turn(content, found, b"eXIf")
    stripped = whole(content, content[:8], *(content[begin:end] for _, begin, end in parts))
    return Plain(stripped, "PNG", turned, frames, frame, frames == 1)


def png_chunks(content: bytes) -> Iterator[Part]:
    """The chunks up to the last, IEND."""
    at = 8
    for _ in range(MAX_PARTS):
        end = at + 12 + int.from_bytes(content[at : at + 4])
        name = content[at + 4 : at + 8]
        if end > len(content):
            raise cut_off()
        yield name, at, end
        if name == b"IEND":
            return
        at = end
    raise too_many()


def intact(content: bytes, part: Part) -> bool:
    """Whether a chunk has the checksum it is given."""
    _, begin, end = part
    return zlib.crc32(memoryview(content)[begin + 4 : end - 4]) == int.from_bytes(content[end - 4 : end])


def png_frames(content: bytes, found: list[Part]) -> int:
    """How many frames an animated PNG tells of, with the still picture where that is not one of them."""
    names = [name for name, _, _ in found]
    if b"acTL" not in names or b"IDAT" not in names:
        return 1
    begin = found[names.index(b"acTL")][1]
    told = int.from_bytes(content[begin + 8 : begin + 12])
    return told + (b"fcTL" not in names[: names.index(b"IDAT")]) if told > 1 else 1


def turn(content: bytes, found: list[Part], name: bytes) -> int:
    """The orientation that the first EXIF chunk of that name gives."""
    exif = next((content[begin + 8 : end] for part, begin, end in found if part == name), b"")
    return orientation(exif.removeprefix(b"Exif\0\0"))


def plain_webp(content: bytes, frame: int) -> Plain:
    """A WebP without EXIF, XMP and chunks nobody knows."""
    found = list(webp_chunks(content))
    check_size(*webp_size(content, found[0]), len(content))
    moving = any(name == b"ANIM" for name, _, _ in found)
    frames = sum(name == b"ANMF" for name, _, _ in found) if moving else 1
    check_frame(frame, frames)
    turned = turn(content, found, b"EXIF")
    parts = [webp_part(content, part) for part in found if part[0] in WEBP_PARTS]
    size = (4 + sum(map(len, parts))).to_bytes(4, "little")
    stripped = whole(content, b"RIFF", size, b"WEBP", *parts)
    return Plain(stripped, "WEBP", turned, frames, frame, not moving)


def webp_chunks(content: bytes) -> Iterator[Part]:
    """The chunks up to the size the file's head tells."""
    at, last = 12, 8 + int.from_bytes(content[4:8], "little")
    if last > len(content):
        raise cut_off()
    for _ in range(MAX_PARTS):
        if at + 8 > last:
            return
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        end = at + 8 + size
        if end > last:
            raise cut_off()
        yield content[at : at + 4], at, end
        at = end + size % 2
    raise too_many()


def webp_size(content: bytes, first: Part) -> tuple[int, int]:
    """Width and height that the first chunk tells."""
    name, begin, end = first
    data = content[begin + 8 : min(end, begin + 18)]
    if name == b"VP8X":
        return 1 + int.from_bytes(data[4:7], "little"), 1 + int.from_bytes(data[7:10], "little")
    if name == b"VP8 ":
        return int.from_bytes(data[6:8], "little") & 0x3FFF, int.from_bytes(data[8:10], "little") & 0x3FFF
    if name == b"VP8L":
        bits = int.from_bytes(data[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    raise cut_off()


def webp_part(content: bytes, part: Part) -> bytes:
    """A chunk, padded; the head no longer announces EXIF and XMP."""
    name, begin, end = part
    data = content[begin:end] + b"\0" * ((end - begin) % 2)
    return data[:8] + bytes([data[8] & ~0x0C]) + data[9:18] if name == b"VP8X" and len(data) >= 18 else data


def plain_gif(content: bytes, frame: int) -> Plain:
    """A GIF without comments, texts and applications' notes."""
    size = int.from_bytes(content[6:8], "little"), int.from_bytes(content[8:10], "little")
    check_size(*size, len(content))
    found = list(gif_blocks(content))
    frames = sum(name == b"," for name, _, _ in found)
    check_frame(frame, frames)
    parts = [
        content[begin:end] for name, begin, end in found if name != b"!" or is_control(content, begin, end)
    ]
    covers = all(content[b + 1 : b + 9] == b"\0\0\0\0" + content[6:10] for n, b, _ in found if n == b",")
    stripped = whole(content, *parts)
    return Plain(stripped, "GIF", 1, frames, frame, frames == 1 and covers and stripped.endswith(b";"))


def is_control(content: bytes, begin: int, end: int) -> bool:
    """Whether an extension is the graphic control that goes before a frame."""
    return end - begin == 8 and content[begin : begin + 3] == b"!\xf9\x04"


def gif_blocks(content: bytes) -> Iterator[Part]:
    """The head, the frames (`,`), the extensions (`!`) and the end (`;`), which may be missing."""
    at, left = colours_end(content, 13, 10), MAX_PARTS
    yield b"", 0, at
    while at < len(content):
        begin, name = at, content[at : at + 1]
        if name == b",":
            at = colours_end(content, at + 10, at + 9) + 1
        elif name == b"!":
            at += 2
        elif name in b";\0":
            at += 1
        else:
            raise cut_off()
        while name in b",!" and left and (size := content[at]):
            at, left = at + 1 + size, left - 1
        at, left = at + (name in b",!"), left - 1
        if left <= 0:
            raise too_many()
        if at > len(content):
            raise cut_off()
        if name != b"\0":
            yield name, begin, at
        if name == b";":
            return


def colours_end(content: bytes, at: int, flags: int) -> int:
    """Where the colour table that begins at `at` ends, if the byte of flags tells of one."""
    return at + (3 << (content[flags] & 7) + 1 if content[flags] & 0x80 else 0)
