"""What every part of the image room agrees on, without a decoder."""

MAX_BYTES = 256 << 20
MAX_PIXELS = 80_000_000
"""A frame with more is refused before it is decoded: about 240 MB of memory."""
MAX_FRAMES = 10_000


class BadImage(Exception):
    """Bytes or a reference that give no picture to be shown; the reason quotes nothing of them."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def kind_of(content: bytes) -> str:
    """The media type of a stored image, by its first bytes."""
    if content.startswith(b"\xff\xd8"):
        return "image/jpeg"
    if content.startswith(b"\x89PNG"):
        return "image/png"
    return "image/gif" if content.startswith(b"GIF8") else "image/webp"
