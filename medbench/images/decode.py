"""Bytes from anywhere to a picture, or to the reason why not. Nothing here trusts a file's name.

Only formats on a list are tried, on files taken apart beforehand; sizes are looked at before pixels are
made, and whatever a damaged file makes a decoder raise becomes `BadImage`.
"""

import hashlib
import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageChops, ImageCms, TiffImagePlugin, WebPImagePlugin

from medbench.images.limits import MAX_BYTES, MAX_PIXELS, MAX_WORK, BadImage, check_size, kind_of
from medbench.images.strip import plain

__all__ = ["TiffImagePlugin", "WebPImagePlugin"]  # imported so that Pillow need not look through all it has

SHOWN = {
    "JPEG": ("L", "RGB"),
    "MPO": ("L", "RGB"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA"),
    "WEBP": ("RGB", "RGBA"),
    "GIF": ("L", "P", "RGB"),
}
"""Formats and pixel layouts that every server and browser shows alike where nothing is see-through."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each of EXIF's orientations."""

DAMAGED = (
    *(OSError, EOFError, SyntaxError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError),
    *(MemoryError, RuntimeError, AssertionError, SystemError, Warning, struct.error, zlib.error),
    *(Image.DecompressionBombError, ImageCms.PyCMSError),
)
"""What Pillow and its plug-ins raise on damaged files."""


@dataclass(frozen=True, slots=True)
class Examined:
    """A file looked into: the bytes to store and the picture they show, in mode RGB."""

    stored: bytes
    picture: Any
    mode: str
    format: str
    frames: int


def examine(content: bytes, frame: int = 0) -> Examined:
    """The picture in a file (`frame` counts from 0). Raises BadImage."""
    if not content:
        raise BadImage("the image file is empty")
    if len(content) > MAX_BYTES:
        raise BadImage(f"the image file has more than {MAX_BYTES >> 20} MB")
    if content[128:132] == b"DICM":
        from medbench.images.dicom import dicom_frame

        return encoded(*dicom_frame(content, frame))
    if content.startswith(b"\x93NUMPY"):
        from medbench.images.volume import volume_slice

        return encoded(*volume_slice(content, frame))
    return pillow_frame(content, frame)


def pillow_frame(content: bytes, frame: int) -> Examined:
    """A frame of a file in one of Pillow's formats."""
    try:
        bare = plain(content, frame)
        image = opened(bare.content, bare.format, bare.at)
        shown = bare.shown and bare.orientation == 1 and not is_transparent(image)
        shown = shown and image.mode in SHOWN[bare.format]
        picture = rgb(image)
        if bare.orientation != 1:
            picture = picture.transpose(TURNS[bare.orientation])
        stored = bare.content if shown else png(picture)
    except Image.DecompressionBombError:
        raise BadImage(f"the image has more than {MAX_PIXELS:,} pixels") from None
    except DAMAGED as problem:
        raise BadImage(f"the image is damaged or cut off ({type(problem).__name__})") from None
    return Examined(stored, picture, image.mode, bare.format, bare.frames)


def opened(content: bytes, format: str, frame: int) -> Any:
    """Pillow's image of a file without metadata, decoded."""
    image: Any = Image.open(io.BytesIO(content), formats=("JPEG" if format == "MPO" else format,))
    check_size(image.width, image.height, len(content))
    if image.width * image.height * frame > MAX_WORK:
        raise BadImage(f"frame {frame} of the image is too far from its first")
    if frame:
        image.seek(frame)
        check_size(image.width, image.height, len(content))
    image.load()
    return image


def encoded(picture: Any, mode: str, format: str, frames: int) -> Examined:
    """An RGB picture that was made here, stored as PNG."""
    return Examined(png(picture), picture, mode, format, frames)


def is_transparent(image: Any) -> bool:
    """Whether any of an image is see-through."""
    if not image.has_transparency_data:
        return False
    return bool(image.convert("RGBA").getchannel("A").getextrema()[0] < 255)


def rgb(image: Any) -> Any:
    """An image as 8-bit RGB: deep grey stretched to its own range, transparency laid on white.

    Of what else the image says of itself only its colour profile stays.
    """
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I;16"):
        image = image.convert("I")
    if image.mode in ("I", "F"):
        image, profile = stretched(image), None
    if is_transparent(image):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    picture = image if image.mode == "RGB" else image.convert("RGB")
    picture.info = {"icc_profile": profile}
    return picture


def stretched(image: Any) -> Any:
    """Grey of 16 or 32 bits as 8 bits: as it is where it fits, else from its least to its greatest value."""
    low, high = image.getextrema()
    if not (abs(low) < float("inf") and abs(high) < float("inf")):
        raise ValueError("values that are no numbers")
    if low >= 0 and high <= 255 and (image.mode == "I" or high > 1):
        return image.convert("L")
    scale = 255.0 / (high - low) if high > low else 0.0
    return image.convert("F").point(lambda value: value * scale + (0.5 - low * scale)).convert("L")


def lean(picture: Any) -> tuple[Any, bytes | None]:
    """An RGB picture in one channel if it is grey, and its colour profile if that is of such pictures."""
    profile = picture.info.get("icc_profile") or b""
    if profile[16:20] == b"RGB ":
        return picture, profile
    red, green, blue = picture.split()
    grey = not ImageChops.difference(red, green).getbbox() and not ImageChops.difference(red, blue).getbbox()
    return red if grey else picture, profile if grey and profile[16:20] == b"GRAY" else None


def png(picture: Any) -> bytes:
    """A picture as PNG; grey ones in one channel."""
    image, profile = lean(picture)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", icc_profile=profile)
    return buffer.getvalue()


def jpeg(picture: Any, quality: int = 90) -> bytes:
    """A picture as JPEG; grey ones in one channel."""
    image, profile = lean(picture)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, icc_profile=profile)
    return buffer.getvalue()


def scaled(content: bytes, max_pixels: int) -> bytes | None:
    """A stored image shrunk to at most `max_pixels`, in its own family of formats; None if it fits."""
    width, height = Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "GIF", "WEBP")).size
    if width * height <= max_pixels:
        return None
    share = (max_pixels / (width * height)) ** 0.5
    across, down = max(int(width * share), 1), max(int(height * share), 1)
    across = min(across, max(max_pixels // down, 1))
    down = min(down, max(max_pixels // across, 1))
    small = examine(content).picture.resize((across, down), Image.Resampling.LANCZOS)
    return jpeg(small, 95) if kind_of(content) == "image/jpeg" else png(small)


def pixel_hash(picture: Any) -> str:
    """Identity of what is seen, whatever the file: size and RGB pixels."""
    found = hashlib.sha256(b"%d x %d\n" % picture.size)
    width, height = picture.size
    rows = max((4 << 20) // width, 1)
    for top in range(0, height, rows):
        band = picture if rows >= height else picture.crop((0, top, width, min(top + rows, height)))
        found.update(band.tobytes())
    return found.hexdigest()[:32]
