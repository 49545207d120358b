"""The rows of a user's file, one at a time: JSON lines or Parquet, told apart by their first bytes.

Nothing in a file is executed or unpickled, and every complaint names the file and the place in it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from medbench.errors import UsageError
from medbench.runs import readable

Row = dict[str, Any]

PARQUET = b"PAR1"
ZIP = b"PK\x03\x04"
GZIP = b"\x1f\x8b"
CHUNK = 20_000
"""Rows of a Parquet file that are in memory at a time."""

MAX_TREE = 2 << 30
"""Bytes of a file that has to be read as one JSON value."""


def checked(path: Path) -> Path:
    """`path`, which must be a file with something in it."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder", "name a file")
    if not path.is_file():
        raise UsageError(f"there is no file {path}")
    if path.stat().st_size == 0:
        raise UsageError(f"{path} is empty")
    return path


def start(path: Path, length: int = 64) -> bytes:
    """The first bytes of a file, after a byte-order mark and blanks."""
    with checked(path).open("rb") as stream:
        begins = stream.read(length).removeprefix(b"\xef\xbb\xbf").lstrip()
    if begins.startswith(GZIP):
        raise UsageError(f"{path} is compressed", f"unpack it first: gunzip -k {path}")
    return begins


def rows(path: Path) -> Iterator[tuple[str, Row]]:
    """Each row with its place ("line 3"), in the file's order."""
    begins = start(path)
    if begins.startswith(ZIP):
        raise UsageError(f"{path} is an archive, not JSON lines or Parquet")
    found = parquet(path) if begins.startswith(PARQUET) else json_lines(path)
    first = next(found, None)
    if first is None:
        raise UsageError(f"{path} holds no rows")
    yield first
    yield from found


def parquet(path: Path) -> Iterator[tuple[str, Row]]:
    """The rows of a Parquet file, without columns of bytes (images)."""
    try:
        table = pl.scan_parquet(path)
        table = table.select(
            name for name, kind in table.collect_schema().items() if "Binary" not in str(kind)
        )
        total = int(table.select(pl.len()).collect().item())
        for offset in range(0, total, CHUNK):
            part = table.slice(offset, CHUNK).collect()
            for number, row in enumerate(part.iter_rows(named=True), offset + 1):
                yield f"row {number}", row
    except (pl.exceptions.PolarsError, OSError) as problem:
        raise UsageError(f"cannot read {path} as Parquet: {problem}") from None


def json_lines(path: Path) -> Iterator[tuple[str, Row]]:
    """The objects of a file of JSON lines; blank lines are skipped."""
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
            if not text.strip():
                continue
            row = parsed(text, f"{path}, line {number}")
            if not isinstance(row, dict):
                raise UsageError(f"{path}, line {number}: not a JSON object", "one object per line")
            yield f"line {number}", row


def parsed(text: bytes, where: str) -> Any:
    """The JSON value that `text` is."""
    try:
        return json.loads(text.decode("utf-8"))
    except UnicodeDecodeError as problem:
        raise UsageError(f"{where}: not UTF-8 (byte {problem.start})") from None
    except ValueError as problem:
        what = f"{where}: not JSON: {getattr(problem, 'msg', 'unreadable')}"
        raise UsageError(what, "a file is JSON lines, one object a line, or Parquet") from None
    except RecursionError:
        raise UsageError(f"{where}: nested too deep") from None


def tree(path: Path) -> Any:
    """The one JSON value a file holds."""
    if checked(path).stat().st_size > MAX_TREE:
        raise UsageError(f"{path} is larger than 2 GiB", "split it, or turn it into JSON lines")
    return parsed(path.read_bytes().removeprefix(b"\xef\xbb\xbf"), str(path))


def name_of(row: Row, key: str, where: str) -> str:
    """An id, which may be written as a whole number."""
    value = row.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{where}: no {key}" if value in (None, "") else f"{where}: {key} is not text")
    return readable(value.strip())
