"""What every part of the image room agrees on, without a decoder."""

MAX_BYTES = 256 << 20
MAX_PIXELS = 80_000_000
"""A frame with more is refused before it is decoded: 320 MB of memory in colour, thrice that for a WebP."""
MAX_FRAMES = 10_000
MAX_PARTS = 300_000
"""Segments, chunks, blocks or fragments of a file; the largest real ones have some thousands."""
MAX_WORK = 1 << 30
"""Pixels decoded on the way to one frame of an animation, or through the scans of one JPEG."""
SPARSE = 16_000_000
DENSEST = 10_000
"""Above `SPARSE` pixels, more than so many to a byte are a header's lie: blank pages pack less densely."""


class BadImage(Exception):
    """Bytes or a reference that give no picture to be shown; the reason quotes nothing of them."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def check_size(width: int, height: int, held: int) -> None:
    """Refuse a declared size, before memory is taken for it, that `held` bytes cannot or must not fill."""
    pixels = width * height
    if width < 1 or height < 1:
        raise BadImage("the image has no pixels")
    if pixels > MAX_PIXELS:
        raise BadImage(f"the image has more than {MAX_PIXELS:,} pixels")
    if pixels > SPARSE and pixels > DENSEST * held:
        raise BadImage("the image declares more pixels than its bytes can hold")


def check_frame(frame: int, frames: int) -> None:
    """Refuse a frame that is not there, and files with more than anyone looks at."""
    if frames > MAX_FRAMES:
        raise BadImage(f"the image has more than {MAX_FRAMES:,} frames")
    if not 0 <= frame < frames:
        raise BadImage(f"frame {frame} was asked for, counted from 0, of an image with {max(frames, 0)}")


def kind_of(content: bytes) -> str:
    """The media type of a stored image, by its first bytes."""
    if content.startswith(b"\xff\xd8"):
        return "image/jpeg"
    if content.startswith(b"\x89PNG"):
        return "image/png"
    return "image/gif" if content.startswith(b"GIF8") else "image/webp"
