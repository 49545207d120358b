"""DICOM through pydicom (extra `dicom`): one frame, windowed as the file says, its metadata left behind."""

import io
import math
import struct
import warnings
from itertools import pairwise
from typing import Any

from PIL import Image

from medbench.errors import PrerequisiteError
from medbench.images.decode import DAMAGED
from medbench.images.elements import DEFLATED, PIXELS, body, wanted
from medbench.images.grey import ends, spread
from medbench.images.jpeg import plain_jpeg
from medbench.images.limits import BadImage, check_frame, check_size

MAX_TILES = 1024
WANTED = [
    *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "NumberOfFrames", "Rows"),
    *("Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData"),
    *("FloatPixelData", "DoubleFloatPixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"),
    *("WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence", "RescaleSlope", "RescaleIntercept"),
    "ModalityLUTSequence",
    *(f"{colour}PaletteColorLookupTableDescriptor" for colour in ("Red", "Green", "Blue")),
    *(f"{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
]
"""What decides the look; who the patient is, is not even read. No palettes in segments: they are bombs."""
KINDS = {
    *("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB"),
    *("YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"),
}
RUNS = "1.2.840.10008.1.2.5"
JPEG = [f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 57, 70)]
JPEG_2000 = [f"1.2.840.10008.1.2.4.{number}" for number in (90, 91)]


def dicom_frame(content: bytes, frame: int) -> tuple[Any, str, str, int]:
    """The picture, what it was, and how many frames there are."""
    try:
        import pydicom
    except ImportError:
        raise PrerequisiteError("DICOM images need pydicom", "pip install 'medbench[dicom]'") from None
    warnings.filterwarnings("ignore", module="pydicom")  # they quote values
    try:
        data = dataset(content)
        frames, kind = int(data.get("NumberOfFrames") or 1), str(data.PhotometricInterpretation)
        check_size(int(data.Columns), int(data.Rows), len(content))
        check_frame(frame, frames)
        if kind not in KINDS:
            raise BadImage("the DICOM file has pixels of a kind not decoded here")
        picture = Image.fromarray(shown(data, values(data, frame, frames), kind)).convert("RGB")
    except (*DAMAGED, pydicom.errors.InvalidDicomError, pydicom.errors.BytesLengthException) as problem:
        why = f"the DICOM file is damaged, or of a kind not decoded here ({type(problem).__name__})"
        raise BadImage(why) from None
    return picture, f"DICOM {kind}", "DICOM", frames


def dataset(content: bytes) -> Any:
    """The elements wanted of a file, as pydicom has them."""
    from pydicom.datadict import tag_for_keyword
    from pydicom.dataelem import DataElement
    from pydicom.dataset import FileMetaDataset
    from pydicom.filereader import read_dataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    found = body(content)
    tags = {tag for keyword in WANTED if (tag := tag_for_keyword(keyword)) is not None}
    parts = list(wanted(found, tags))
    pixels = [part for part in parts if part.tag == PIXELS]
    rest = b"".join(found.block[part.begin : part.after] for part in parts if part.tag != PIXELS)
    data = read_dataset(io.BytesIO(rest), found.implicit, found.order == "<")
    data.set_original_encoding(found.implicit, found.order == "<")
    for part in pixels:
        kind = "OB" if part.vr == b"OB" else "OW"
        data[PIXELS] = DataElement(PIXELS, kind, found.block[part.start : part.end])
    data.file_meta = FileMetaDataset()
    plain = found.syntax in (DEFLATED, "")
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if plain else UID(found.syntax)
    return data


def values(data: Any, frame: int, frames: int) -> Any:
    """The frame's stored values as an array, YCbCr made RGB."""
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder, pixel_array
    from pydicom.uid import ExplicitVRLittleEndian

    syntax = data.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return pixel_array(data, index=frame)
    if not get_decoder(syntax).is_available:
        raise BadImage(f"the DICOM file is compressed in a way that is not decoded here: {syntax.name}")
    coded = fragments(data, frame, frames)
    if syntax == RUNS:
        data.PixelData, data.PlanarConfiguration = unpacked(data, coded), 1
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    else:
        data.PixelData = encapsulate([checked(data, coded, syntax)])
    data.NumberOfFrames = 1
    data.pop("ExtendedOffsetTable", None)
    return pixel_array(data, index=0)


def fragments(data: Any, frame: int, frames: int) -> bytes:
    """The compressed bytes of a frame."""
    from pydicom.encaps import get_frame

    table = data.get("ExtendedOffsetTable"), data.get("ExtendedOffsetTableLengths")
    offsets = table if all(table) else None
    return bytes(get_frame(data.PixelData, frame, extended_offsets=offsets, number_of_frames=frames))


def checked(data: Any, coded: bytes, syntax: str) -> bytes:
    """A frame in code; a JPEG of another size than the file tells, or of much work, is refused."""
    if syntax in JPEG_2000:
        if not coded.startswith(b"\xff\x4f\xff\x51"):
            raise ValueError("no codestream")
        across, down, left, top, wide, high = struct.unpack_from(">6L", coded, 8)
        if -(-across // wide) * -(-down // high) > MAX_TILES:
            raise BadImage("the image has too many tiles")
        size = across - left, down - top
    elif syntax in JPEG:
        coded = plain_jpeg(coded, 0).content
        size = Image.open(io.BytesIO(coded), formats=("JPEG",)).size
    else:
        return coded  # for a decoder that the user installed beside pydicom
    if size != (data.Columns, data.Rows):
        raise ValueError("sizes differ")
    return coded


def unpacked(data: Any, coded: bytes) -> bytes:
    """A frame out of its run-length code, plane by plane.

    pydicom does this byte by byte, and for as long as the code goes on; Pillow's runs end with the frame.
    """
    size, wide = data.Rows * data.Columns, data.BitsAllocated // 8
    count, *starts = struct.unpack_from("<16L", coded)
    if not wide or count != wide * data.SamplesPerPixel or count > 15:
        raise ValueError("not so many segments")
    raw = bytearray(size * count)
    for number, (start, end) in enumerate(pairwise([*starts[:count], len(coded)])):
        sample, place = divmod(number, wide)  # the highest byte comes first
        plane = memoryview(raw)[sample * size * wide : (sample + 1) * size * wide]
        plane[wide - 1 - place :: wide] = Image.frombytes(
            "L", (size, 1), coded[start:end], "packbits", "L"
        ).tobytes()
    return bytes(raw) + b"\0" * (len(raw) % 2)


def shown(data: Any, stored: Any, kind: str) -> Any:
    """The frame as 8-bit grey or colour.

    Grey goes through the modality's rescaling, then the file's first window (a table or centre and width;
    without one, its own range). MONOCHROME1 is inverted, so that more is brighter.
    """
    from pydicom.pixels import apply_color_lut

    if kind == "PALETTE COLOR":
        bits = data.RedPaletteColorLookupTableDescriptor[2]
        return spread(stored, 0, 2**bits - 1, lambda part: apply_color_lut(part, data), channels=3)
    if stored.ndim == 3:
        return stored if stored.dtype.name == "uint8" else spread(stored, 0, 2**data.BitsStored - 1)
    grey = windowed(data, stored)
    return 255 - grey if kind == "MONOCHROME1" else grey


def windowed(data: Any, stored: Any) -> Any:
    """Stored values as the grey that the file wants them to be shown in."""
    from pydicom.pixels import apply_modality_lut, apply_voi

    if "VOILUTSequence" in data and len(data.VOILUTSequence):
        bits = data.VOILUTSequence[0].LUTDescriptor[2]
        return spread(stored, 0, 2**bits - 1, lambda part: apply_voi(apply_modality_lut(part, data), data))
    found = window(data)
    if found and data.get("VOILUTFunction") == "SIGMOID":
        return spread(stored, 0, 1, lambda part: sigmoid(apply_modality_lut(part, data), *found))
    low, high = found or ends(stored, lambda part: apply_modality_lut(part, data))
    return spread(stored, low, high, lambda part: apply_modality_lut(part, data))


def sigmoid(part: Any, low: float, high: float) -> Any:
    """Values on the soft window between two ends (PS3.3 C.11.2.1.3.1)."""
    import numpy as np

    return 1 / (1 + np.exp(-4 * (part - (low + high) / 2) / (high - low)))


def window(data: Any) -> tuple[float, float] | None:
    """The least and the greatest value of the file's first window (PS3.3 C.11.2.1.2)."""
    if data.get("WindowCenter") is None or data.get("WindowWidth") is None:
        return None
    centre, width = (
        float(value[0] if hasattr(value, "append") else value)
        for value in (data.WindowCenter, data.WindowWidth)
    )
    if not math.isfinite(centre) or not 0 < width < math.inf:
        return None
    exact = width < 1 or data.get("VOILUTFunction") in ("LINEAR_EXACT", "SIGMOID")
    low, high = centre - width / 2, centre + width / 2 - (0 if exact else 1)
    return low, max(high, low + 1e-6)
