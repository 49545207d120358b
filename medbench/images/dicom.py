"""DICOM through pydicom (extra `dicom`): one frame, windowed as the file says, its metadata left behind."""

import io
from typing import Any

from PIL import Image

from medbench.errors import PrerequisiteError
from medbench.images.decode import DAMAGED
from medbench.images.limits import MAX_PIXELS, BadImage


def dicom_frame(content: bytes, frame: int) -> tuple[Any, str, str, int]:
    """The picture, what it was, and how many frames there are."""
    try:
        import pydicom
    except ImportError:
        raise PrerequisiteError("DICOM images need pydicom", "pip install 'medbench[dicom]'") from None
    try:
        data = pydicom.dcmread(io.BytesIO(content))
        frames = int(data.get("NumberOfFrames") or 1)
        if int(data.Rows) * int(data.Columns) > MAX_PIXELS:
            raise BadImage(f"the image has more than {MAX_PIXELS:,} pixels")
        if frame >= frames:
            raise BadImage(f"the image has {frames} frames, frame {frame} was asked for")
        kind = str(data.PhotometricInterpretation)
        return (
            Image.fromarray(shown(data, frame, kind)).convert("RGB"),
            f"DICOM {kind}",
            "DICOM",
            frames,
        )
    except (*DAMAGED, pydicom.errors.InvalidDicomError) as problem:
        why = f"the DICOM file is damaged, or of a kind not decoded here ({type(problem).__name__})"
        raise BadImage(why) from None


def shown(data: Any, frame: int, kind: str) -> Any:
    """The frame as 8-bit grey or colour.

    Grey goes through the modality's rescaling, then the file's first window (a table or centre and width;
    without one, its own range). MONOCHROME1 is inverted, so that more is brighter.
    """
    import numpy as np
    from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi, pixel_array

    values = pixel_array(data, index=frame)
    if kind == "PALETTE COLOR":
        values = apply_color_lut(values, data)
    if values.ndim == 3:
        return values if values.dtype == np.uint8 else spread(values, values.min(), values.max())
    values = apply_modality_lut(values, data)
    if "VOILUTSequence" in data:
        values = apply_voi(values, data)
    low, high = window(data) or (values.min(), values.max())
    grey = spread(values, low, high)
    return 255 - grey if kind == "MONOCHROME1" else grey


def window(data: Any) -> tuple[float, float] | None:
    """The least and the greatest value of the file's first window (PS3.3 C.11.2.1.2)."""
    if "VOILUTSequence" in data or data.get("WindowCenter") is None or data.get("WindowWidth") is None:
        return None
    centre, width = (
        float(value[0] if isinstance(value, list | tuple) or hasattr(value, "append") else value)
        for value in (data.WindowCenter, data.WindowWidth)
    )
    return centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2


def spread(values: Any, low: float, high: float) -> Any:
    """Values from `low` to `high` as 0 to 255; what lies outside is cut off."""
    import numpy as np

    scale = 255.0 / (float(high) - float(low)) if high > low else 0.0
    return np.clip((values.astype(np.float64) - float(low)) * scale + 0.5, 0, 255).astype(np.uint8)
