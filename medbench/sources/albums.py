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
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from medbench.errors import SourceError
from medbench.images import MAX_BYTES, BadImage

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*:(?://|[^/\\])", re.IGNORECASE)
DRIVE = re.compile(r"[A-Za-z]:[\\/]")
AT_ONCE = 8
"""Rows of a table whose images are in memory at a time."""

DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError)
"""What reading a member of a damaged zip archive raises."""


class Album(Protocol):
    """Bytes by reference."""

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
    """Image files below a folder, named by their path there or below a folder of the folder's own name."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def locate(self, reference: str) -> Path:
        """The file of a reference."""
        path = inner(reference)
        for start in (self.root, self.root / self.root.name):
            found = start
            for part in PurePosixPath(path).parts:
                found /= part
                if found.is_symlink():
                    raise BadImage("the image path is a link")
            if found.is_file():
                return found
        raise BadImage("the image file is missing")

    def stamp(self, reference: str) -> str:
        """Size and time of the file."""
        told = self.locate(reference).stat()
        return f"{told.st_size}-{told.st_mtime_ns}"

    def read(self, reference: str) -> bytes:
        """The file's bytes."""
        path = self.locate(reference)
        if path.stat().st_size > MAX_BYTES:
            raise BadImage(f"the image file has more than {MAX_BYTES >> 20} MB")
        return path.read_bytes()


class Archives:
    """Image files in zip archives. A member is found by its path or by the end of it, if only one ends so."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.members: dict[str, tuple[zipfile.ZipFile, zipfile.ZipInfo]] = {}
        self.ends: dict[str, list[str]] = {}
        for path in paths:
            archive = opened_zip(path)
            for info in archive.infolist():
                if not info.is_dir():
                    name = info.filename.replace("\\", "/")
                    self.members[name] = (archive, info)
                    self.ends.setdefault(name.rpartition("/")[2], []).append(name)

    def locate(self, reference: str) -> tuple[zipfile.ZipFile, zipfile.ZipInfo]:
        """The member of a reference."""
        path = inner(reference)
        name = path
        if path not in self.members:
            names = [name for name in self.ends.get(path.rpartition("/")[2], ()) if name.endswith(f"/{path}")]
            if not names:
                raise BadImage("the image is missing from its archive")
            if len(names) > 1:
                raise BadImage("several files of the archive have the image's name")
            name = names[0]
        archive, info = self.members[name]
        if stat.S_ISLNK(info.external_attr >> 16):
            raise BadImage("the image path is a link")
        if info.flag_bits & 1:
            raise BadImage("the image is encrypted")
        return archive, info

    def stamp(self, reference: str) -> str:
        """Checksum and size of the member."""
        _, info = self.locate(reference)
        return f"{info.CRC:08x}-{info.file_size}"

    def read(self, reference: str) -> bytes:
        """The member's bytes, its checksum verified."""
        archive, info = self.locate(reference)
        try:
            with archive.open(info) as stream:
                content = stream.read(MAX_BYTES + 1)
                if len(content) <= MAX_BYTES:
                    stream.read()  # to the end, where the checksum is verified
        except DAMAGED as problem:
            raise BadImage(f"the image is damaged in its archive ({type(problem).__name__})") from None
        if len(content) > MAX_BYTES:
            raise BadImage(f"the image file has more than {MAX_BYTES >> 20} MB")
        return content


def opened_zip(path: Path) -> zipfile.ZipFile:
    """A zip archive. Raises SourceError for a file that is none, or was not fetched whole."""
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as problem:
        raise SourceError(
            f"{path} is no zip archive, or not whole ({problem})", "get the file again; a download goes on"
        ) from None


Cells = Callable[[Path, str], Iterator[bytes | None]]
"""The images in a column of a table, in the order of its rows."""


class Tables:
    """Images in columns of tables, by `file:row:column`; read in the order of the rows they cost least."""

    def __init__(self, paths: Mapping[str, Path], cells: Cells) -> None:
        self.paths = paths
        self.cells = cells
        self.cursors: dict[tuple[str, str], tuple[int, Iterator[bytes | None]]] = {}

    def stamp(self, reference: str) -> str:
        """Size of the table: it is pinned, or named by its hash."""
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
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False) as table:
        for batch in table.iter_batches(batch_size=AT_ONCE, columns=[column]):
            for value in batch.column(0):
                content: Any = value.as_py()
                yield content.get("bytes") if isinstance(content, dict) else content


def tsv_cells(path: Path, column: str) -> Iterator[bytes | None]:
    """The images in a column of base64 text."""
    for row in tsv_rows(path):
        try:
            yield base64.b64decode(row.get(column) or "", validate=True)
        except binascii.Error:
            yield b"not base64"


def tsv_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a table separated by tabs, as they come."""
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with path.open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream, delimiter="\t")


class Later:
    """An album that is opened, and fetched if need be, when its first image is wanted."""

    def __init__(self, opener: Callable[[], Album]) -> None:
        self.opener = opener
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
