"""Where the images of a source are: a folder, zip archives read in place, or columns of its tables.

An album gives the bytes that a row's reference stands for, and a stamp that changes with them. It
unpacks nothing, follows no link, fetches no address and never leaves its folder; what can't be had is
`BadImage`.
"""

import base64
import binascii
import csv
import re
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from medbench.errors import SourceError
from medbench.images import MAX_BYTES, BadImage

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:(?://|[^/\\])", re.IGNORECASE)
DRIVE = re.compile(r"[A-Za-z]:[\\/]")
AT_ONCE = 8
"""Rows of a table whose images are in memory at a time."""

DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, MemoryError),
    *(ValueError, LookupError, TypeError, ArithmeticError, AssertionError, RuntimeError),
)
"""What reading a damaged zip archive raises."""


UNPACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Methods that zipfile unpacks no further than it is asked to; the rarer ones it unpacks without bound."""


class Album(Protocol):
    """Bytes by reference."""

    pinned: bool
    """Whether the same reference always means the same bytes, so that what is noted of it stays true."""

    def stamp(self, reference: str) -> str:
        """What changes when the bytes behind a reference do. Raises BadImage when there are none."""

    def read(self, reference: str) -> bytes:
        """The bytes behind a reference. Raises BadImage when there are none."""


def inner(reference: str) -> str:
    """A reference as a path that stays inside. Raises BadImage for an address or a path that leaves."""
    if DRIVE.match(reference) or reference.startswith(("/", "\\", "~")):
        raise BadImage("the image path is absolute")
    if ADDRESS.match(reference):
        raise BadImage("the image is named by an address, which is not fetched")
    path = PurePosixPath(reference.replace("\\", "/"))
    if ".." in path.parts:
        raise BadImage("the image path climbs out of its folder")
    if not path.parts or "\0" in reference:
        raise BadImage("the image path is empty or not a path")
    return path.as_posix()


class Folder:
    """Image files below a folder.

    They are named by their path there, below a folder of the folder's own name, or from the folder's own
    name on.
    """

    pinned = False

    def __init__(self, root: Path) -> None:
        self.root = root

    def locate(self, reference: str) -> Path:
        """The file of a reference."""
        parts, name = PurePosixPath(inner(reference)).parts, self.root.name
        ways = [parts, (name, *parts), *([parts[1:]] if parts[0] == name else ())]
        for way in ways:
            found = self.root
            for part in way:
                found /= part
                if found.is_symlink():
                    raise BadImage("the image path is a link")
            if found.is_file():
                return found
        raise BadImage("the image file is missing")

    def stamp(self, reference: str) -> str:
        """Size and time of the file."""
        with unreadable():
            told = self.locate(reference).stat()
        return f"{told.st_size}-{told.st_mtime_ns}"

    def read(self, reference: str) -> bytes:
        """The file's bytes."""
        with unreadable():
            path = self.locate(reference)
            if path.stat().st_size > MAX_BYTES:
                raise too_big()
            return path.read_bytes()


@contextmanager
def unreadable() -> Iterator[None]:
    """Turn what the system says of a file that can't be had into BadImage."""
    try:
        yield
    except OSError as problem:
        raise BadImage(f"the image file cannot be read ({type(problem).__name__})") from None


def too_big() -> BadImage:
    """What is raised for a file that is larger than any image."""
    return BadImage(f"the image file has more than {MAX_BYTES >> 20} MB")


class Archives:
    """Image files in zip archives. A member is found by its path or by the end of it, if only one ends so."""

    pinned = False

    def __init__(self, paths: Sequence[Path]) -> None:
        self.members: dict[str, tuple[zipfile.ZipFile, zipfile.ZipInfo]] = {}
        self.ends: dict[str, list[str]] = {}
        for path in paths:
            archive = opened_zip(path)
            for info in archive.infolist():
                name = info.filename.replace("\\", "/")
                if name and not name.endswith("/"):
                    self.add(name, archive, info)

    def add(self, name: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
        """Take note of a member; an equal one of the same name is the same image."""
        ends = self.ends.setdefault(name.rpartition("/")[2], [])
        if name not in self.members or content_of(self.members[name][1]) != content_of(info):
            ends.append(name)
        self.members[name] = (archive, info)

    def locate(self, reference: str) -> tuple[zipfile.ZipFile, zipfile.ZipInfo]:
        """The member of a reference."""
        path = inner(reference)
        ends = self.ends.get(path.rpartition("/")[2], ())
        names = [name for name in ends if name == path] or [n for n in ends if n.endswith(f"/{path}")]
        if not names:
            raise BadImage("the image is missing from its archive")
        if len(names) > 1:
            raise BadImage("several files of the archive have the image's name")
        archive, info = self.members[names[0]]
        if stat.S_ISLNK(info.external_attr >> 16):
            raise BadImage("the image path is a link")
        if info.flag_bits & 1:
            raise BadImage("the image is encrypted")
        if info.compress_type not in UNPACKED:
            raise BadImage("the image is compressed in a way that is not unpacked here")
        return archive, info

    def stamp(self, reference: str) -> str:
        """Checksum and size of the member."""
        return content_of(self.locate(reference)[1])

    def read(self, reference: str) -> bytes:
        """The member's bytes."""
        archive, info = self.locate(reference)
        if info.file_size > MAX_BYTES:
            raise too_big()
        try:
            return unpacked(archive, info)
        except DAMAGED as problem:
            raise BadImage(f"the image is damaged in its archive ({type(problem).__name__})") from None


def content_of(info: zipfile.ZipInfo) -> str:
    """What tells the content of a member from another's: checksum and size."""
    return f"{info.CRC:08x}-{info.file_size}"


def opened_zip(path: Path) -> zipfile.ZipFile:
    """A zip archive. Raises SourceError for a file that is none, or was not fetched whole."""
    try:
        return zipfile.ZipFile(path)
    except DAMAGED as problem:
        raise SourceError(
            f"{path} is no zip archive, or not whole ({problem})", "delete it and get it again"
        ) from None


def unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A member's bytes, their checksum verified; whatever it holds, no more than its head declares.

    Raises what `DAMAGED` lists.
    """
    if info.compress_type not in UNPACKED:
        raise zipfile.BadZipFile("neither stored nor deflated")
    with archive.open(info) as stream:
        return stream.read(info.file_size + 1)


Cells = Callable[[Path, str], Iterator[bytes | None]]
"""The images in a column of a table, in the order of its rows."""


class Tables:
    """Images in columns of tables, by `file:row:column`; read in the order of the rows they cost least.

    A table is pinned, or what is noted of it is kept under its hash.
    """

    pinned = True

    def __init__(self, paths: Mapping[str, Path], cells: Cells) -> None:
        self.paths = paths
        self.cells = cells
        self.cursors: dict[tuple[str, str], tuple[int, Iterator[bytes | None]]] = {}

    def stamp(self, reference: str) -> str:
        """Size of the table."""
        name, _, _ = split(reference)
        if name not in self.paths:
            raise BadImage("the image's table is not there")
        return str(self.paths[name].stat().st_size)

    def read(self, reference: str) -> bytes:
        """The cell's bytes."""
        name, row, column = split(reference)
        if name not in self.paths:
            raise BadImage("the image's table is not there")
        at, cells = self.cursors.get((name, column), (0, None))
        if cells is None or row < at:
            at, cells = 0, self.cells(self.paths[name], column)
        content = next(cells, None)
        while at < row:
            content, at = next(cells, None), at + 1
        self.cursors[name, column] = (at + 1, cells)
        if not content:
            raise BadImage("the image file is empty")
        return content


def split(reference: str) -> tuple[str, int, str]:
    """File, row and column of a reference made by `cell`."""
    name, row, column = reference.rsplit(":", 2)
    return name, int(row), column


def cell(name: str, row: int, column: str) -> str:
    """The reference of an image in a table."""
    return f"{name}:{row}:{column}"


def parquet_cells(path: Path, column: str) -> Iterator[bytes | None]:
    """The images in a Parquet column: bytes, or a struct with a field `bytes`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False) as table:
            for batch in table.iter_batches(batch_size=AT_ONCE, columns=[column]):
                for value in batch.column(0):
                    content: Any = value.as_py()
                    yield content.get("bytes") if isinstance(content, dict) else content
    except (pa.ArrowException, OSError, ValueError) as problem:
        raise SourceError(f"cannot read {path}: {type(problem).__name__}", "get the file again") from problem


def tsv_cells(path: Path, column: str) -> Iterator[bytes | None]:
    """The images in a column of base64 text."""
    for row in tsv_rows(path):
        try:
            yield base64.b64decode(row.get(column) or "", validate=True)
        except binascii.Error:
            yield b"not base64"


def tsv_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a table separated by tabs, as they come. Raises SourceError where it can't be read."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            yield from csv.DictReader(stream, delimiter="\t")
    except (UnicodeDecodeError, csv.Error, OSError) as problem:
        raise SourceError(f"cannot read {path}: {type(problem).__name__}", "get the file again") from problem


class Later:
    """An album that is opened, and fetched if need be, when its first image is wanted."""

    def __init__(self, opener: Callable[[], Album], *, pinned: bool = False) -> None:
        self.opener = opener
        self.pinned = pinned
        self.album: Album | None = None

    def opened(self) -> Album:
        """The album itself."""
        if self.album is None:
            self.album = self.opener()
        return self.album

    def stamp(self, reference: str) -> str:
        """As the album's."""
        return self.opened().stamp(reference)

    def read(self, reference: str) -> bytes:
        """As the album's."""
        return self.opened().read(reference)


class Either:
    """The first of several albums that has an image."""

    pinned = False

    def __init__(self, albums: Sequence[Album]) -> None:
        self.albums = albums

    def having(self, reference: str) -> Album:
        """The album that has it."""
        reason = BadImage("the image file is missing")
        for album in self.albums:
            try:
                album.stamp(reference)
                return album
            except BadImage as problem:
                reason = problem
        raise reason

    def stamp(self, reference: str) -> str:
        """As that album's."""
        return self.having(reference).stamp(reference)

    def read(self, reference: str) -> bytes:
        """As that album's."""
        return self.having(reference).read(reference)


def gathered(paths: Sequence[Path]) -> Album:
    """One album of some folders and archives."""
    archives = [path for path in paths if path.is_file()]
    albums: list[Album] = [Folder(path) for path in paths if path.is_dir()]
    if archives:
        albums.append(Archives(archives))
    return albums[0] if len(albums) == 1 else Either(albums)
