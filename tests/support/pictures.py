"""Pictures made for tests: a scene in any format, with a secret in each place that metadata can be in."""

import io
import json
import os
import random
import resource
import struct
import time
import zlib
from collections.abc import Iterable
from typing import Any

from PIL import Image

SECRET = b"DOE^JANE 1957-03-04"


def scene(width: int = 90, height: int = 60, seed: int = 0) -> Any:
    """A smooth coloured picture without symmetry, another for each seed."""
    coarse = Image.frombytes("RGB", (7, 5), random.Random(seed).randbytes(105))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def saved(image: Any, format: str, **options: Any) -> bytes:
    """An image as a file."""
    buffer = io.BytesIO()
    if "append_images" in options:
        options["append_images"] = [more.copy() for more in options["append_images"]]
    image.copy().save(buffer, format, **options)  # a copy: Pillow keeps a JPEG's settings for the next save
    return buffer.getvalue()


def decoded(content: bytes) -> Any:
    """What Pillow makes of a file, without our code."""
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def exif(orientation: int = 1) -> bytes:
    """EXIF that names a patient, with a thumbnail's worth of further bytes behind its directory."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010E] = SECRET.decode()
    tags.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + SECRET
    return bytes(tags.tobytes()).removeprefix(b"Exif\0\0")


def segment(marker: int, data: bytes) -> bytes:
    """A JPEG segment."""
    return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2) + data


def chunk(name: bytes, data: bytes) -> bytes:
    """A PNG chunk."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP of chunks."""
    body = b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2) for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def riff_chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a WebP."""
    found, at = [], 12
    while at + 8 <= len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        found.append((content[at : at + 4], content[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    return found


def noted_jpeg(content: bytes, orientation: int = 1) -> bytes:
    """A JPEG with the secret in EXIF, XMP, IPTC, comments, both JFIF thumbnails, and behind its end."""
    has_jfif = content[2:4] == b"\xff\xe0"
    body = content[20:] if has_jfif else content[2:]
    thumbnail = b"JFIF\0\x01\x01\0\0\x01\0\x01\x07\x01" + SECRET[:18] + b"\0\0\0"
    extension = b"JFXX\0\x13\x02\x02" + (SECRET * 2)[:12]
    notes = [
        *([segment(0xE0, thumbnail)] if has_jfif else []),
        segment(0xE0, extension),
        segment(0xE1, b"Exif\0\0" + exif(orientation)),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>" + SECRET + b"</x:xmpmeta>"),
        segment(0xE2, b"FPXR\0" + SECRET),
        segment(0xE5, SECRET),
        segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x18\x1c\x02\x78\0\x13" + SECRET),
        segment(0xFE, SECRET),
        SECRET,
        segment(0xFE, SECRET),
    ]
    return content[:2] + b"".join(notes) + body + b"\0\0" + SECRET


def noted_png(content: bytes, orientation: int = 1) -> bytes:
    """A PNG with the secret in all chunks for text, in a private one, one too long, and behind its end."""
    packed = zlib.compress(SECRET)
    notes = [
        chunk(b"tEXt", b"Comment\0" + SECRET),
        chunk(b"zTXt", b"Author\0\0" + packed),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + SECRET),
        chunk(b"iTXt", b"Description\0\x01\0en\0\0" + packed),
        chunk(b"tIME", b"\x07\xa5\x03\x04\x0b\x0c\x0d"),
        chunk(b"prVt", SECRET),
        chunk(b"gAMA", b"\0\0\xb1\x8f" + SECRET),
        chunk(b"eXIf", exif(orientation)),
    ]
    return content[:33] + b"".join(notes) + content[33:-12] + notes[0] + content[-12:] + SECRET


def noted_gif(content: bytes) -> bytes:
    """A GIF with the secret in a comment, a text, applications' notes, and behind its end."""
    at = 13 + (3 << (content[10] & 7) + 1 if content[10] & 0x80 else 0)
    block = bytes([len(SECRET)]) + SECRET + b"\0"
    notes = [
        *(b"!\xfe" + block, b"!\x01\x0c" + bytes(12) + block),
        *(b"!\xff\x0bXMP DataXMP" + block, b"!\xff\x0bABCDEFGHIJK" + block),
    ]
    return content[:at] + b"".join(notes) + content[at:-1] + notes[0] + content[-1:] + SECRET


def noted_webp(content: bytes, orientation: int = 1) -> bytes:
    """A WebP with the secret in EXIF, XMP, a chunk nobody knows, and behind its end."""
    size = decoded(content).size
    sides = b"".join(struct.pack("<I", side - 1)[:3] for side in size)
    picture = [(name, data) for name, data in riff_chunks(content) if name != b"VP8X"]
    alpha = 0x10 if any(name in (b"ALPH", b"VP8L") for name, _ in picture) else 0
    profile = 0x20 if any(name == b"ICCP" for name, _ in picture) else 0
    head = (b"VP8X", bytes([0x0C | alpha | profile, 0, 0, 0]) + sides)
    notes = [(b"EXIF", exif(orientation)), (b"XMP ", b"<x>" + SECRET + b"</x>"), (b"PRVT", SECRET)]
    return riff(head, *picture, *notes) + SECRET


def tiff(tags: Iterable[tuple[int, int, int, int]], body: bytes = b"", after: int = 0) -> bytes:
    """A little-endian TIFF: tags as (name, type, count, value or place), then other bytes."""
    entries = b"".join(struct.pack("<HHLL", *tag) for tag in tags)
    count = struct.pack("<H", len(entries) // 12)
    return b"II*\0\x08\0\0\0" + count + entries + struct.pack("<L", after) + body


def cmyk_jpeg(image: Any) -> bytes:
    """A CMYK JPEG as Adobe writes them: inverted, with its mark."""
    return saved(image.convert("CMYK"), "JPEG", quality=95)


def npy(array: Any, **options: Any) -> bytes:
    """An array as a .npy file."""
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def dicom(pixels: bytes, syntax: str = "1.2.840.10008.1.2.1", **fields: Any) -> bytes:
    """A DICOM file of 8-bit grey, 10 x 10, unless told otherwise; its patient is the secret."""
    import pydicom

    uid = pydicom.uid.UID(syntax)
    plain = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0}
    shape = {"Rows": 10, "Columns": 10, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2"}
    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = uid
    data.file_meta.MediaStorageSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    data.PatientName = SECRET.decode()
    for name, value in {**plain, **shape, **fields}.items():
        setattr(data, name, value)
    data.PixelData = pixels
    data["PixelData"].VR = "OB" if uid.is_encapsulated else "OW"
    data["PixelData"].is_undefined_length = uid.is_encapsulated
    buffer = io.BytesIO()
    data.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def files() -> dict[str, bytes]:
    """A file of each kind that the store takes, some with notes."""
    import numpy as np

    colour, other, third = scene(), scene(seed=1), scene(seed=2)
    grey = colour.convert("L")
    more: dict[str, Any] = {"save_all": True, "append_images": [other, third]}
    kinds = {
        "jpeg": noted_jpeg(saved(colour, "JPEG")),
        "jpeg grey": saved(grey, "JPEG"),
        "jpeg progressive": saved(colour, "JPEG", progressive=True),
        "jpeg restarts": saved(colour, "JPEG", restart_marker_blocks=2),
        "jpeg turned": noted_jpeg(saved(colour, "JPEG"), 6),
        "jpeg cmyk": cmyk_jpeg(colour),
        "mpo": saved(colour, "MPO", **more),
        "apng": saved(colour, "PNG", **more),
        "png deep": saved(grey.convert("I;16"), "PNG"),
        "gif": noted_gif(saved(colour, "GIF")),
        "gif moving": saved(colour, "GIF", **more),
        "webp": noted_webp(saved(colour, "WEBP")),
        "webp lossless": saved(colour, "WEBP", lossless=True),
        "webp alpha": saved(colour.convert("RGBA").rotate(20), "WEBP"),
        "webp moving": saved(colour, "WEBP", **more),
        "tiff pages": saved(colour, "TIFF", **more),
        "tiff big": saved(colour, "TIFF", big_tiff=True),
        "tiff fax": saved(colour.convert("1"), "TIFF", compression="group4"),
        "npy": npy(np.arange(2400, dtype="<i2").reshape(4, 20, 30)),
        "npy columns": npy(np.asfortranarray(np.arange(600, dtype=">f4").reshape(1, 4, 10, 15))),
        "dicom": dicom(grey.tobytes(), Rows=60, Columns=90, WindowCenter=120, WindowWidth=99),
    }
    for mode in ("1", "L", "P", "RGB", "LA", "RGBA"):
        kinds[f"png {mode}"] = noted_png(saved(colour.convert(mode), "PNG"))
    for mode in ("1", "L", "P", "RGB"):
        kinds[f"bmp {mode}"] = saved(colour.convert(mode), "BMP")
    for mode in ("1", "L", "I", "RGB"):
        kinds[f"ppm {mode}"] = saved(grey.convert(mode), "PPM")
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits", "zstd"):
        kinds[f"tiff {compression}"] = saved(colour, "TIFF", compression=compression)
    for mode in ("F", "I", "I;16", "P"):
        kinds[f"tiff {mode}"] = saved(grey.convert(mode), "TIFF")
    return kinds


def damaged(content: bytes, chance: random.Random, others: list[bytes]) -> bytes:
    """A file cut off, with bits turned over, numbers blown up, parts repeated, or another's head."""
    torn = bytearray(content)
    place = chance.randrange(len(torn))
    match chance.randrange(6):
        case 0:
            del torn[place:]
        case 1:
            for _ in range(chance.choice((1, 1, 2, 5, 20))):
                torn[chance.randrange(len(torn))] ^= 1 << chance.randrange(8)
        case 2:
            for _ in range(chance.choice((1, 1, 2, 5))):
                torn[chance.randrange(min(len(torn), 400))] = chance.choice((0, 1, 127, 128, 255))
        case 3:
            huge = chance.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", chance.randbytes(4)))
            torn[place : place + chance.randrange(1, 9)] = huge
        case 4:
            torn[place:place] = torn[: chance.randrange(1, 200)]
        case _:
            head = chance.choice(others)
            torn[: chance.randrange(len(head))] = head[: chance.randrange(1, 200)]
    return bytes(torn) or b"\0"


def png(width: int, height: int, packed: bytes, before: bytes = b"") -> bytes:
    """A colour PNG of the pixels packed, whatever they are."""
    head = chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + before + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def resized_header(jpeg: bytes, width: int, height: int) -> bytes:
    """A JPEG whose header claims another size."""
    at = max(jpeg.find(b"\xff\xc0"), jpeg.find(b"\xff\xc2")) + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


def bombs() -> dict[str, bytes]:
    """Small files made to take much memory or time."""
    black = zlib.compress(bytes(310))
    flood = zlib.compress(bytes(100_000_000), 1)
    small, slow = saved(scene(64, 64), "JPEG"), saved(scene(64, 64), "JPEG", progressive=True)
    scan = slow[slow.rindex(b"\xff\xda") : -2]
    gif = saved(scene(8, 8), "GIF")
    frame = gif[gif.index(b",\0\0\0\0\x08") : -1]
    sides = [(256, 4, 1, 100), (257, 4, 1, 100), (258, 3, 1, 8), (262, 3, 1, 1)]
    overlapping = b"".join(struct.pack("<HHLL", 1000 + tag, 7, 60_000, 8) for tag in range(5000))
    greedy = b"II*\0\x08\0\0\0" + struct.pack("<H", 5000) + overlapping + bytes(4)
    return {
        "png, sides": png(100_000, 100_000, b""),
        "png, 64 million pixels in no byte": png(8000, 8000, black),
        "png, pixels without end": png(10, 10, flood),
        "png, text without end": png(10, 10, black, chunk(b"zTXt", b"a\0\0" + flood) * 3),
        "png, profile without end": png(10, 10, black, chunk(b"iCCP", b"a\0\0" + flood)),
        "png, chunks": png(10, 10, black, chunk(b"tEXt", b"a\0b") * 500_000),
        "png, exif": png(10, 10, black, chunk(b"eXIf", greedy)),
        "png, frames": png(10, 10, black, chunk(b"acTL", b"\x7f\xff\xff\xff\0\0\0\0")),
        "gif, sides": gif[:6] + b"\xff" * 4 + gif[10:],
        "gif, frames": gif[:-1] + frame * 100_000 + b";",
        "gif, blocks": gif[:-1] + b"!\xfe" + b"\1a" * 10_000_000 + b"\0;",
        "webp, sides": riff((b"VP8L", b"\x2f" + struct.pack("<L", 16382 | 16382 << 14) + bytes(20))),
        "webp, canvas": riff((b"VP8X", b"\2\0\0\0" + b"\xff" * 6), (b"ANIM", bytes(6)), (b"ANMF", bytes(16))),
        "webp, frames": riff(
            *((b"VP8X", b"\2\0\0\0\7\0\0\7\0\0"), (b"ANIM", bytes(6))), *((b"ANMF", bytes(16)),) * 50_000
        ),
        "tiff, sides": tiff([(256, 4, 1, 2**31 - 1), (257, 4, 1, 2**31 - 1), *sides[2:], (273, 4, 1, 8)]),
        "tiff, tiles": tiff(
            [*sides[:3], (259, 3, 1, 5), sides[3], (322, 4, 1, 32_000), (323, 4, 1, 32_000), (324, 4, 1, 8)]
        ),
        "tiff, strips": tiff([*sides, (273, 4, 500_000, 200), (278, 4, 1, 1)], bytes(2_000_200)),
        "tiff, tags": tiff(
            [*sides[:2], *((1000 + tag, 7, 1_000_000, 8) for tag in range(4000))], bytes(1_000_000)
        ),
        "tiff, pages": b"II*\0\x08\0\0\0"
        + b"".join(struct.pack("<HL", 0, 14 + 6 * n) for n in range(300_000)),
        "tiff, circle": tiff(sides[:1], after=8),
        "jpeg, sides": resized_header(small, 65_500, 65_500),
        "jpeg, 64 million pixels in no byte": resized_header(small, 8000, 8000),
        "jpeg, scans": resized_header(slow, 8000, 8000)[:-2] + scan * 500 + b"\xff\xd9",
        "jpeg, segments": small[:2] + segment(0xFE, b"") * 500_000 + small[2:],
        "jpeg, fill": small[:-2] + b"\xff" * 4_000_000 + b"\0\xff\xd9",
        "jpeg, exif": small[:2] + segment(0xE1, b"Exif\0\0" + greedy[:60_000]) * 50 + small[2:],
        "bmp, sides": bmp(60_000, 60_000, 24, 0, b""),
        "bmp, rows of one run": bmp(8000, 8000, 8, 1, b"\1\7\0\0" * 8000),
        "bmp, runs": bmp(3000, 3000, 8, 1, b"\1\7" * 2_000_000),
        "ppm, sides": b"P6 100000 100000 255\n",
        "ppm, remarks": b"P3 1000 1000 255\n" + b"#\n" * 1_000_000,
        "npy, sides": npy_head("(1000000, 1000000, 1000000)"),
        "npy, nested head": npy_head("(" * 60_000),
    }


def bmp(width: int, height: int, bits: int, coding: int, body: bytes) -> bytes:
    """A BMP with a palette of black."""
    fields = (0, 0, 54 + 1024, 40, width, height, 1, bits, coding, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<LLLLLLHHLLLLLL", *fields) + bytes(1024) + body


def npy_head(shape: str) -> bytes:
    """A .npy file that claims a shape and holds nothing."""
    head = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head


def dicom_bombs() -> dict[str, bytes]:
    """Small DICOM files made to take much memory or time."""
    import pydicom
    from pydicom.encaps import encapsulate

    plain = dicom(bytes(100))
    head, tail = plain[:-112], plain[-112:]
    sequence = b"\x09\0\x10\0SQ\0\0\xff\xff\xff\xff"
    item, end = b"\xfe\xff\0\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
    open_item = b"\xfe\xff\0\xe0\xff\xff\xff\xff"
    packing = zlib.compressobj(1, zlib.DEFLATED, -15)
    flood = packing.compress(bytes(100_000_000)) + packing.flush()
    deflated = dicom(bytes(100), "1.2.840.10008.1.2.1.99")
    meta = 144 + int.from_bytes(deflated[140:144], "little")
    runs = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\0" * 2_000_000
    huge = resized_header(saved(scene(64, 64), "JPEG"), 8000, 8000)
    huge = huge[:-2] + bytes(9000) + huge[-2:]
    coded = saved(scene(1000, 1000).convert("L"), "JPEG2000", no_jp2=True)
    tiled = coded[:24] + struct.pack(">LL", 4, 4) + coded[32:]
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n"
    baseline, lossless = pydicom.uid.JPEGBaseline8Bit, pydicom.uid.JPEG2000Lossless
    return {
        "dicom, sides": dicom(bytes(100), Rows=65_535, Columns=65_535),
        "dicom, 64 million pixels in no byte": dicom(bytes(100), Rows=8000, Columns=8000),
        "dicom, frames": dicom(bytes(100), NumberOfFrames=2**31 - 1),
        "dicom, unpacked": deflated[:meta] + flood,
        "dicom, runs": dicom(encapsulate([runs]), pydicom.uid.RLELossless),
        "dicom, elements": head + b"\x09\0\x10\0LO\0\0" * 500_000 + tail,
        "dicom, nested": head + (sequence + open_item) * 50_000 + tail,
        "dicom, items": head + sequence + item * 1_000_000 + end + tail,
        "dicom, table": head + b"\x28\0\x10\x30" + sequence[4:] + item * 200_000 + end + tail,
        "dicom, fragments": dicom(item * 500_000 + end, baseline),
        "dicom, jpeg": dicom(encapsulate([huge]), baseline),
        "dicom, tiles": dicom(encapsulate([tiled]), lossless, Rows=1000, Columns=1000),
        "dicom, script": dicom(encapsulate([script]), baseline),
    }


def main() -> None:
    """Look into each bomb in a process of its own.

    Prints JSON: all names, then a line for each with its name, what came of it, seconds and MB.
    """
    from medbench.images import BadImage
    from medbench.images.decode import examine

    for content in (dicom(bytes(100)), *files().values()):
        examine(content)  # everything is loaded before the count begins
    every = {**bombs(), **dicom_bombs()}
    print(json.dumps([*every]), flush=True)
    for name, content in every.items():
        if child := os.fork():
            os.waitpid(child, 0)
            continue
        before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        try:
            outcome = str(examine(content).picture.size)
        except BadImage as bad:
            outcome = bad.reason
        except BaseException as other:  # noqa: BLE001 - that none escapes is what is tested
            outcome = f"raised {type(other).__name__}"
        spent = time.process_time() - began
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(json.dumps([name, outcome, spent, grown]), flush=True)
        os._exit(0)


if __name__ == "__main__":
    main()
