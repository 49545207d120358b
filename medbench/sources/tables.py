"""Rows of tables and archives as they come, images left where they are: a row names them by place."""

import fnmatch
import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from medbench.errors import SourceError
from medbench.sources.albums import DAMAGED, cell, opened_zip, tsv_rows, unpacked
from medbench.sources.types import Malformed, Row

AT_ONCE = 256
"""Rows of a table in memory at a time."""

MAX_JSON = 1 << 30
"""Bytes of a JSON file in an archive, unpacked."""

IMAGE_COLUMNS = ("image",)
"""Columns of tables separated by tabs that hold images as base64 text (VLMEvalKit's layout)."""


def parquet_rows(path: Path, name: str) -> Iterator[Row]:
    """The rows of a Parquet file; a column of images gives the place of each instead."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False) as table:
            schema = table.schema_arrow
            pictures = {field.name for field in schema if is_image(field.type)}
            leaves = {
                field.name: f"{field.name}.path" if pa.types.is_struct(field.type) else field.name
                for field in schema
                if field.name in pictures
            }
            wanted = [leaves.get(column, column) for column in schema.names]
            number = 0
            for batch in table.iter_batches(batch_size=AT_ONCE, columns=wanted):
                for row in batch.to_pylist():
                    for column in pictures:
                        row[column] = None if row[column] is None else cell(name, number, column)
                    yield row
                    number += 1
    except (pa.ArrowException, OSError, ValueError) as problem:
        raise SourceError(f"cannot read {path}: {type(problem).__name__}", "get the file again") from problem


def is_image(kind: Any) -> bool:
    """Whether a column of this Arrow type holds images: bytes, or `datasets`' struct of bytes and path."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return {field.name for field in kind} == {"bytes", "path"}
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def separated_rows(path: Path, name: str) -> Iterator[Row | Malformed]:
    """The rows of a table separated by tabs, images as their places."""
    for number, row in enumerate(tsv_rows(path)):
        if None in row or None in row.values():
            yield Malformed("another number of columns than the header's")
            continue
        pictures = {c: cell(name, number, c) for c in IMAGE_COLUMNS if row.get(c)}
        yield {**row, **pictures}


def archived_rows(path: Path, patterns: Sequence[str]) -> Iterator[Row | Malformed]:
    """The rows of the JSON files in a zip archive whose path matches, the file's stem as `_file`."""
    archive = opened_zip(path)
    names = {
        info.filename: info
        for info in archive.infolist()
        if any(fnmatch.fnmatch(info.filename, pattern) for pattern in patterns)
    }
    if not names:
        raise SourceError(
            f"{path} has no file like {' or '.join(patterns)}", "see whether its layout changed"
        )
    for name, info in sorted(names.items()):
        if info.file_size > MAX_JSON:
            raise SourceError(f"{name} in {path} is larger than 1 GiB", "its layout is another one")
        try:
            found = json.loads(unpacked(archive, info))
        except DAMAGED as problem:
            raise SourceError(
                f"cannot read {name} in {path}: {type(problem).__name__}", "get it again"
            ) from None
        for row in found if isinstance(found, list) else [found]:
            stem = PurePosixPath(name).stem
            yield {**row, "_file": stem} if isinstance(row, dict) else Malformed("not a JSON object")
