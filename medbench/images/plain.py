"""What is left of a picture file when its metadata is gone, and how the parts left are put together."""

from dataclasses import dataclass

from medbench.images.limits import BadImage


@dataclass(frozen=True, slots=True)
class Plain:
    """A file without metadata."""

    content: bytes
    format: str
    """Pillow's name of the published format."""
    orientation: int = 1
    """How EXIF says it is to be turned, 1 to 8."""
    frames: int = 1
    """How many the published file holds."""
    at: int = 0
    """Which frame of `content` is the one asked for."""
    shown: bool = False
    """Whether every browser shows these very bytes as that frame, as far as the file's build tells."""


def cut_off() -> BadImage:
    """What is raised where a file ends too early or is not built as its format says."""
    return BadImage("the image is damaged or cut off")


def too_many() -> BadImage:
    """What is raised where a file is in more parts than any picture needs."""
    return BadImage("the image is in too many parts")


def whole(content: bytes, *parts: bytes) -> bytes:
    """The parts as one; the file itself where nothing was left out."""
    joined = b"".join(parts)
    return content if joined == content else joined
