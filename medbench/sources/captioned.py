"""A folder of images with captions: a table that names them, or a text beside each image.

The table is `metadata.jsonl`, `metadata.csv`, `metadata.parquet` (the Hub's "imagefolder") or
`captions.jsonl`. Without one, `x.txt` is the caption of `x.jpg`. Links are not followed.
"""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from medbench import files
from medbench.config import digest
from medbench.errors import SourceError
from medbench.sources.albums import Album, Folder, Later, Tables, parquet_cells
from medbench.sources.hub import placed, snapshot
from medbench.sources.originals import Content, json_lines
from medbench.sources.tables import is_image, parquet_rows
from medbench.sources.types import Fetched, Malformed, Place, Row, Source

TABLES = ("metadata.jsonl", "metadata.csv", "metadata.parquet", "captions.jsonl")

IMAGES = frozenset(
    (*(".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"), *(".dcm", ".dicom", ".npy"))
)
"""How the names of images end."""

PAPERS = ("readme", "licen", "notice", "citation", "copying")
"""How the names of texts begin that are nobody's caption."""

MAX_CAPTION = 1 << 20
"""Bytes of a text that can be a caption."""


def from_captions(name: str, source: Source, split: str, place: Place) -> Fetched:
    """The images and captions in the folder of a source; every split is the whole of it.

    Which version it is, its captions say.
    """
    folder = source.folder
    assert folder is not None
    folder = folder.expanduser().absolute()
    if not folder.is_dir():
        raise SourceError(f"{name}: {folder} is not a folder", "name a folder of images with their captions")
    album: Album = Folder(folder)
    table = table_in(name, folder)
    if table is None:
        pairs = list(beside(name, folder))
        rows, version = placed(pairs, split), digest([p if isinstance(p, dict) else p.reason for p in pairs])
    else:
        rows, version = listed(table, split), files.sha256(table)[:16]
        if table.suffix == ".parquet" and holds_images(table):
            album = Tables({table.name: table}, parquet_cells)
    revision = f"sha256:{version}"
    kept = snapshot(name, revision, place)
    return Fetched(rows, source.adapter, source.args, revision, album=Later(lambda: album), folder=kept)


def table_in(name: str, folder: Path) -> Path | None:
    """The table of a folder, if it has one. Raises SourceError where it has several, or a link."""
    found = [folder / table for table in TABLES if (folder / table).is_file()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise SourceError(f"{name}: {folder} has {names}", "keep the one that is right")
    if found and found[0].is_symlink():
        raise SourceError(f"{name}: {found[0]} is a link, which is not followed", "copy the file there")
    return found[0] if found else None


def listed(table: Path, split: str) -> Iterator[Row | Malformed]:
    """The rows of a table."""
    if table.suffix == ".jsonl":
        return json_lines(table, split)
    if table.suffix == ".csv":
        return placed(separated(table), split)
    return placed(parquet_rows(table, table.name), split)


def separated(table: Path) -> Iterator[Row | Malformed]:
    """The rows of a CSV file with a header."""
    content = Content.of(table.read_bytes())
    csv.field_size_limit(2**31 - 1)  # as for tables of images, which may be open beside
    records = csv.reader(io.StringIO(content.text, newline=""), strict=True)
    try:
        header = next(records, [])
        for record in records:
            row = dict(zip(header, record, strict=False))
            if len(record) != len(header):
                yield Malformed(f"{len(record)} columns instead of {len(header)}")
            elif not content.clean and not all(map(utf8, record)):
                yield Malformed("not UTF-8")
            else:
                yield row
    except csv.Error as problem:
        raise SourceError(f"cannot read {table}: {problem}", "save it as CSV with quotes closed") from None


def utf8(text: str) -> bool:
    """Whether a text is free of bytes that were no UTF-8."""
    return not any("\udc80" <= character <= "\udcff" for character in text)


def holds_images(table: Path) -> bool:
    """Whether a Parquet table has the images in itself."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return any(is_image(column.type) for column in pq.read_schema(table))
    except (pa.ArrowException, OSError) as problem:
        raise SourceError(f"cannot read {table}: {type(problem).__name__}", "get the file again") from None


def beside(name: str, folder: Path) -> Iterator[Row | Malformed]:
    """A row per image below a folder, in the order of their names; its caption is the text of its name."""
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir())
    seen = [path for path in names if not any(part.startswith(".") for part in path.parts)]
    images = [path for path in seen if path.suffix.lower() in IMAGES]
    texts = {path for path in seen if path.suffix == ".txt"}
    if not images or not texts:
        raise SourceError(
            f"{name}: {folder} has neither {', '.join(TABLES)} nor images with a text beside each",
            "write metadata.jsonl with a line for each image: "
            '{"file_name": "images/1.jpg", "text": "what is seen"}',
        )
    for image in images:
        yield {"file_name": image.as_posix(), **written(folder, image.with_suffix(".txt"))}
    owned = {image.with_suffix(".txt") for image in images}
    for path in sorted(texts - owned):
        if not path.name.casefold().startswith(PAPERS):
            yield Malformed("a text without its image")


def written(folder: Path, path: Path) -> Row:
    """The caption in a text, or nothing where there is none that can be read."""
    text = folder / path
    if not text.is_file() or text.is_symlink() or text.stat().st_size > MAX_CAPTION:
        return {}
    try:
        return {"text": text.read_text(encoding="utf-8-sig")}
    except (UnicodeDecodeError, OSError):
        return {}
