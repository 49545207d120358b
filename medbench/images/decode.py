"""Bytes from anywhere to a picture, or to the reason why not. Nothing here trusts a file's name.

Only formats on a list are tried, sizes are looked at before pixels are made, and whatever a damaged
file makes a decoder raise becomes `BadImage`.
"""

import hashlib
import io
import struct
import zlib
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from medbench.images.limits import MAX_BYTES, MAX_FRAMES, MAX_PIXELS, BadImage, kind_of
from medbench.images.strip import without_metadata

FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM")
SHOWN = {"JPEG": ("L", "RGB"), "PNG": ("1", "L", "P", "RGB"), "WEBP": ("RGB",), "GIF": ("L", "P", "RGB")}
"""Formats and pixel layouts that every server and browser shows alike."""

DAMAGED = (
    *(OSError, EOFError, SyntaxError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError),
    *(MemoryError, RuntimeError, NotImplementedError, struct.error, zlib.error),
    Image.DecompressionBombError,
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
        image: Any = Image.open(io.BytesIO(content), formats=FORMATS)
    except Image.DecompressionBombError:
        raise BadImage(f"the image has more than {MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        raise BadImage(unidentified(content)) from None
    except DAMAGED as problem:
        raise BadImage(f"the image is damaged ({type(problem).__name__})") from None
    if image.width * image.height > MAX_PIXELS:
        raise BadImage(f"the image has more than {MAX_PIXELS:,} pixels")
    try:
        frames = min(int(getattr(image, "n_frames", 1)), MAX_FRAMES)
        if frame >= frames:
            raise BadImage(f"the image has {frames} frames, frame {frame} was asked for")
        image.seek(frame)
        if image.width * image.height > MAX_PIXELS:
            raise BadImage(f"the image has more than {MAX_PIXELS:,} pixels")
        image.load()
        mode, turned = image.mode, image.getexif().get(0x0112, 1) not in (0, 1)
        picture = rgb(ImageOps.exif_transpose(image) if turned else image)
    except DAMAGED as problem:
        raise BadImage(f"the image is damaged or cut off ({type(problem).__name__})") from None
    as_it_is = (
        frames == 1 and not turned and not is_transparent(image) and mode in SHOWN.get(image.format, ())
    )
    stored = without_metadata(content, image.format) if as_it_is else None
    return Examined(png(picture) if stored is None else stored, picture, mode, image.format, frames)


def unidentified(content: bytes) -> str:
    """What a file is that is no image."""
    head = content[:256].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b"<svg")):
        return "the file is a web page or SVG, not an image"
    if head.startswith(b"version https://git-lfs"):
        return "the file is a Git LFS pointer: its content was not fetched"
    return "the file is not an image of a known format"


def encoded(picture: Any, mode: str, format: str, frames: int) -> Examined:
    """An RGB picture that was made here, stored as PNG."""
    return Examined(png(picture), picture, mode, format, frames)


def is_transparent(image: Any) -> bool:
    """Whether any of an image is see-through."""
    if "transparency" in image.info:
        return True
    return (
        image.mode in ("LA", "PA", "RGBA", "La", "RGBa")
        and image.getchannel(image.getbands()[-1]).getextrema()[0] < 255
    )


def rgb(image: Any) -> Any:
    """An image as 8-bit RGB: deep grey stretched to its own range, transparency laid on white."""
    if image.mode.startswith("I;16"):
        image = image.convert("I")
    if image.mode in ("I", "F"):
        image = stretched(image)
    if is_transparent(image):
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(ground, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def stretched(image: Any) -> Any:
    """Grey of 16 or 32 bits as 8 bits: as it is where it fits, else from its least to its greatest value."""
    low, high = image.getextrema()
    if not (abs(low) < float("inf") and abs(high) < float("inf")):
        raise ValueError("values that are no numbers")
    if low >= 0 and high <= 255 and (image.mode == "I" or high > 1):
        return image.convert("L")
    scale = 255.0 / (high - low) if high > low else 0.0
    return image.convert("F").point(lambda value: value * scale + (0.5 - low * scale)).convert("L")


def png(picture: Any) -> bytes:
    """A picture as PNG; grey ones in one channel."""
    red, green, blue = picture.split()
    grey = red.tobytes() == green.tobytes() == blue.tobytes()
    buffer = io.BytesIO()
    (red if grey else picture).save(buffer, "PNG")
    return buffer.getvalue()


def jpeg(picture: Any, quality: int = 90) -> bytes:
    """A picture as JPEG."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def scaled(content: bytes, max_pixels: int) -> bytes | None:
    """A stored image shrunk to at most `max_pixels`, in its own family of formats; None if it fits."""
    picture = examine(content).picture
    share = (max_pixels / (picture.width * picture.height)) ** 0.5
    if share >= 1:
        return None
    size = (max(int(picture.width * share), 1), max(int(picture.height * share), 1))
    small = picture.resize(size, Image.Resampling.LANCZOS)
    return jpeg(small, 95) if kind_of(content) == "image/jpeg" else png(small)


def pixel_hash(picture: Any) -> str:
    """Identity of what is seen, whatever the file: size and RGB pixels."""
    found = hashlib.sha256(b"%d x %d\n" % picture.size)
    found.update(picture.tobytes())
    return found.hexdigest()[:32]
