"""Images by content: a store of plain pictures named by the hash of their bytes.

    <home>/images/ab/ab12…            a picture, named by the SHA-256 of its bytes
    <home>/images/smaller/…           the same picture within a pixel budget, made once, when first sent
    <home>/images/thumbnails/…        for people, made when first looked at

What is stored is a JPEG, PNG, WebP or GIF that any server and browser shows, without metadata: a
published file that is one already keeps its bytes, less the metadata; any other (TIFF, DICOM, 16 bit grey,
CMYK, see-through, turned by EXIF, a frame of a series, a slice of a volume) is decoded once and stored as
PNG. Rows hold hashes; bytes are read when a request is sent, and are held against their hash.
"""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medbench import files
from medbench.images.limits import MAX_BYTES, BadImage, kind_of

BOX = 4
"""Pillow's number for a resampling that takes the mean of each cell."""

__all__ = ["MAX_BYTES", "BadImage", "Facts", "Store", "kind_of"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an image that was put in the store."""

    sha256: str
    """Of the bytes in the store, which name it."""
    origin: str
    """SHA-256 of the bytes as they were published."""
    pixels: str
    """First 32 hex digits of the SHA-256 of the size and the decoded 8-bit RGB pixels."""
    dhash: str
    """64-bit difference hash of the picture in grey, in hex: close for copies that were resized."""
    width: int
    height: int
    mode: str
    """Pillow's name of the published pixel layout, or `DICOM …`, `volume`."""
    format: str
    """The published format."""
    frames: int
    """How many the file holds; the one that was asked for (by default the first) is stored."""
    bytes: int
    """Size of the picture in the store."""


class Store:
    """The images below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Where an image is, whether or not it is there."""
        return self.folder / sha256[:2] / sha256

    def holds(self, sha256: str, size: int) -> bool:
        """Whether an image is there, with so many bytes."""
        try:
            return self.path(sha256).stat().st_size == size
        except OSError:
            return False

    def has(self, sha256: str, content: bytes) -> bool:
        """Whether an image is there, undamaged."""
        try:
            return self.path(sha256).read_bytes() == content
        except OSError:
            return False

    def put(self, content: bytes, frame: int = 0) -> Facts:
        """Store the picture (`frame` of it) that a published file holds.

        Raises BadImage when it holds none that can be shown.
        """
        from medbench.images.decode import examine, pixel_hash

        seen = examine(content, frame)
        name = hashlib.sha256(seen.stored).hexdigest()
        if not self.has(name, seen.stored):
            files.write_whole(self.path(name), lambda part: part.write_bytes(seen.stored), sync=False)
        return Facts(
            sha256=name,
            origin=name if seen.stored is content else hashlib.sha256(content).hexdigest(),
            pixels=pixel_hash(seen.picture),
            dhash=difference_hash(seen.picture),
            width=seen.picture.width,
            height=seen.picture.height,
            mode=seen.mode,
            format=seen.format,
            frames=seen.frames,
            bytes=len(seen.stored),
        )

    def read(self, sha256: str) -> bytes:
        """The bytes of an image, sure to be those of its name. Raises BadImage when they are not there."""
        try:
            content = self.path(sha256).read_bytes()
        except OSError:
            raise BadImage(f"image {sha256[:12]} is not in the store {self.folder}") from None
        if hashlib.sha256(content).hexdigest() != sha256:
            raise BadImage(f"image {sha256[:12]} in the store {self.folder} is damaged: delete it")
        return content

    def sendable(self, sha256: str, max_pixels: int | None = None) -> Path:
        """The file to send: the image itself, or a smaller copy where it has more than `max_pixels`."""
        if max_pixels is None:
            return self.path(sha256)
        smaller = self.folder / "smaller" / str(max_pixels) / sha256[:2] / sha256
        if smaller.is_file():
            return smaller
        from medbench.images.decode import scaled

        content = self.read(sha256)
        reduced = scaled(content, max_pixels)
        if reduced is None:
            return self.path(sha256)
        return files.write_whole(smaller, lambda part: part.write_bytes(reduced))

    def shown(self, sha256: str, max_pixels: int | None = None) -> bytes:
        """The bytes to send."""
        path = self.sendable(sha256, max_pixels)
        return self.read(sha256) if path == self.path(sha256) else path.read_bytes()

    def uri(self, sha256: str, max_pixels: int | None = None) -> str:
        """The image as a `data:` address; its bytes are not encoded anew unless they exceed `max_pixels`."""
        content = self.shown(sha256, max_pixels)
        return f"data:{kind_of(content)};base64,{base64.b64encode(content).decode('ascii')}"

    def picture(self, sha256: str, max_pixels: int | None = None) -> Any:
        """The image decoded: a Pillow image in mode RGB."""
        from medbench.images.decode import examine

        return examine(self.shown(sha256, max_pixels)).picture

    def thumbnail(self, sha256: str, side: int = 256) -> Path:
        """A JPEG of the image that fits a square of `side` pixels."""
        from medbench.images.decode import jpeg

        path = self.folder / "thumbnails" / str(side) / sha256[:2] / f"{sha256}.jpg"
        if not path.is_file():
            picture = self.picture(sha256)
            picture.thumbnail((side, side))
            files.write_whole(path, lambda part: part.write_bytes(jpeg(picture)))
        return path


def difference_hash(picture: Any) -> str:
    """Sixty-four bits: whether grey grows from each of 9 x 8 cells to its right neighbour."""
    cells = picture.convert("L").resize((9, 8), BOX).tobytes()
    bits = [cells[9 * row + column] < cells[9 * row + column + 1] for row in range(8) for column in range(8)]
    return f"{sum(bit << place for place, bit in enumerate(reversed(bits))):016x}"
