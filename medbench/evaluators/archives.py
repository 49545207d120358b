"""Zip archives of other programs, read with care: sizes are limited and nothing is written to disk."""

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from medbench.errors import UsageError
from medbench.rows import checked

MAX_MEMBER = 256 << 20
"""Bytes of one member, once unpacked."""
MAX_MEMBERS = 2_000_000
ZSTANDARD = 93
"""The zip method that Inspect writes, and that zipfile reads from Python 3.14 on only."""
LOCAL = struct.Struct("<4s22xHH")
"""A member's header before its bytes: mark, …, length of the name, length of the extra field."""

BROKEN = (zipfile.BadZipFile, OSError, EOFError, zlib.error, lzma.LZMAError)


def form(path: Path) -> str | None:
    """The log format of an archive, None if it is none that is known."""
    names = set(opened(path).namelist())
    if "header.json" in names or any(name.startswith("samples/") for name in names):
        return "inspect"
    return "vlmevalkit" if "xl/workbook.xml" in names else None


def opened(path: Path) -> zipfile.ZipFile:
    """The archive at `path`."""
    try:
        archive = zipfile.ZipFile(checked(path))
    except (zipfile.BadZipFile, NotImplementedError) as problem:
        raise UsageError(f"{path} is not a whole zip archive: {problem}") from None
    if len(archive.infolist()) > MAX_MEMBERS:
        raise UsageError(f"{path} has more than {MAX_MEMBERS:,} members")
    return archive


def sane(path: Path) -> Path:
    """`path`, an archive none of whose members is larger than the limit."""
    for info in opened(path).infolist():
        if info.file_size > MAX_MEMBER:
            raise UsageError(f"{path}, {info.filename} is larger than {MAX_MEMBER >> 20} MiB")
    return path


def members(path: Path, folder: str) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file in a folder of the archive."""
    with opened(path) as archive, path.open("rb") as stream:
        for info in archive.infolist():
            if not info.filename.startswith(folder) or info.is_dir():
                continue
            where = f"{path}, {info.filename}"
            if info.file_size > MAX_MEMBER:
                raise UsageError(f"{where} is larger than {MAX_MEMBER >> 20} MiB")
            try:
                if info.compress_type == ZSTANDARD:
                    yield info.filename, unpacked(packed(stream, info), where)
                else:
                    with archive.open(info) as member:
                        yield info.filename, limited(member.read(MAX_MEMBER + 1), where)
            except (*BROKEN, struct.error, RuntimeError) as problem:
                raise UsageError(f"{where}: cannot be unpacked: {problem}") from None


def packed(stream: BinaryIO, info: zipfile.ZipInfo) -> bytes:
    """The bytes of a member as they are stored."""
    stream.seek(info.header_offset)
    mark, name, extra = LOCAL.unpack(stream.read(LOCAL.size))
    if mark != b"PK\x03\x04":
        raise zipfile.BadZipFile("a member is not where the index says")
    stream.seek(name + extra, 1)
    return stream.read(info.compress_size)


def unpacked(content: bytes, where: str) -> bytes:
    """Zstandard-compressed bytes, unpacked no further than the limit."""
    import pyarrow

    with pyarrow.CompressedInputStream(pyarrow.BufferReader(content), "zstd") as stream:
        return limited(stream.read(MAX_MEMBER + 1), where)


def limited(content: bytes, where: str) -> bytes:
    """`content`, refused when it is longer than its header admitted."""
    if len(content) > MAX_MEMBER:
        raise UsageError(f"{where} is larger than {MAX_MEMBER >> 20} MiB")
    return content
