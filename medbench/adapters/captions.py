"""Images with captions, one function per layout. A caption is the gold of a question that asks for it."""

import re
from typing import Any

from medbench.adapters import BadRow, Raw, tagged
from medbench.adapters.vqa import named, numbered
from medbench.schema import Example

ASK = "Describe this image."
"""The question of every caption."""

FEWEST = 3
"""Words of a caption below which nothing can be asked about it."""

MARK = re.compile(r"<image>\s*", re.IGNORECASE)
"""Where PubMedVision's texts say that an image belongs."""

FOLDER = "images/"
"""What PubMedVision's image names begin with; its archives have other folders, or none."""

WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
"""A word, or a character of a script that puts no spaces between words."""


def pubmedvision(row: Raw) -> Example:
    """PubMedVision: id, image (names), conversations of a human and gpt turn, modality, body_part.

    The human's turn is one of many ways to ask for a description, and left out.
    """
    said = [turn["value"] for turn in row.get("conversations") or () if turn["from"] == "gpt"]
    if len(said) > 1:
        raise BadRow("more than one caption")
    gold = told(MARK.sub("", said[0]) if said and isinstance(said[0], str) else None)
    images = row.get("image") or ()
    return Example(
        str(row.get("id") or numbered(row)),
        "free",
        ASK,
        (gold,),
        images=tuple(i.removeprefix(FOLDER) for i in named([images] if isinstance(images, str) else images)),
        tags=tagged(modality=row.get("modality"), body_part=row.get("body_part")),
    )


def pairs(row: Raw) -> Example:
    """A folder of yours: file_name (or image; a list for several), text (or caption).

    And where they are there: id, modality, body_part, licence, lang.
    """
    images = row.get("file_name") or row.get("image") or ()
    return Example(
        str(given(row, "id") or numbered(row)),
        "free",
        ASK,
        (told(row.get("text") or row.get("caption")),),
        lang=str(given(row, "lang") or "en"),
        images=named([images] if isinstance(images, str) else images),
        tags=tagged(**{name: given(row, name) for name in ("modality", "body_part", "licence")}),
    )


def given(row: Raw, column: str) -> object:
    """What a column that may be missing says, without blanks around it."""
    value = row.get(column)
    return value.strip() if isinstance(value, str) else value


def told(caption: Any) -> str:
    """A caption that says something."""
    if not isinstance(caption, str) or not caption.strip():
        raise BadRow("no caption")
    if len(WORD.findall(caption)) < FEWEST:
        raise BadRow("caption too short")
    return caption.strip()
