"""Files as their authors published them: JSON lines, JSON and CSV, from a mirror or an address."""

import csv
import hashlib
import http.client
import io
import json
import urllib.request
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from medbench import files
from medbench.config import digest
from medbench.errors import SourceError
from medbench.sources.albums import Album, Later
from medbench.sources.types import Fetched, Malformed, Original, Place, Row, Source


def read_original(original: Original, paths: Sequence[Path], split: str) -> Fetched:
    """Rows of original files, each verified against the catalog's hash."""
    parts: list[Iterator[Row | Malformed]] = []
    found: list[str] = []
    for path, expected in zip(paths, original.files.values(), strict=True):
        shared = original.at is not None  # several splits in one file: read it once
        content = kept(path, path.stat().st_mtime_ns) if shared else Content.of(path.read_bytes())
        if expected and content.sha256 != expected:
            raise SourceError(
                f"{path} is not the file the catalog names: "
                f"SHA-256 {content.sha256[:12]}…, expected {expected[:12]}…",
                "get the published file again, or describe yours as a source of its own (--catalog FILE)",
            )
        parts.append(parse(original, content, split, path))
        found.append(content.sha256)
    version = found[0] if len(found) == 1 else digest(found)
    rows = chain.from_iterable(parts)
    return Fetched(rows, original.adapter, original.args, f"sha256:{version[:16]}", note=original.note)


@dataclass(slots=True)
class Content:
    """A text file, its hash, and (once asked for) the JSON it holds."""

    text: str
    sha256: str
    clean: bool
    """Whether all of it is UTF-8; where it is not, stray bytes are surrogates."""
    tree: Any = None

    @classmethod
    def of(cls, content: bytes) -> "Content":
        """The bytes of a file as text."""
        sha256 = hashlib.sha256(content).hexdigest()
        try:
            return cls(content.decode("utf-8-sig"), sha256, clean=True)
        except UnicodeDecodeError:
            return cls(content.decode("utf-8-sig", "surrogateescape"), sha256, clean=False)


@lru_cache(maxsize=1)
def kept(path: Path, modified: int) -> Content:
    """The content of a file, kept until another is read; `modified` makes a changed file be read again."""
    return Content.of(path.read_bytes())


def parse(original: Original, content: Content, split: str, path: Path) -> Iterator[Row | Malformed]:
    """The rows in a file of any of the three formats."""
    if original.format == "json":
        rows = mapping(content, original.at, path)
    elif original.format == "csv":
        rows = separated(content, original, path.stem)
    else:
        rows = jsonl(content)
    return placed(rows, content.clean, split)


def json_lines(path: Path, split: str) -> Iterator[Row | Malformed]:
    """The rows in a file of JSON lines."""
    content = Content.of(path.read_bytes())
    return placed(jsonl(content), content.clean, split)


def placed(rows: Iterable[tuple[int, Row | str]], clean: bool, split: str) -> Iterator[Row | Malformed]:
    """Numbered rows with their place written in, and those that can't be used told apart."""
    for number, row in rows:
        if isinstance(row, str):
            yield Malformed(row)
        elif not (clean or encodable(row)):
            yield Malformed("not UTF-8")
        else:
            yield {**row, "_row": number, "_split": split}


def encodable(row: Row) -> bool:
    """Whether a row is free of bytes that were no UTF-8."""
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def jsonl(content: Content) -> Iterator[tuple[int, Row | str]]:
    """The number and the object of each line, or what is wrong with it."""
    for number, line in enumerate(filter(str.strip, content.text.split("\n"))):
        try:
            row = json.loads(line)
        except ValueError as problem:
            yield number, f"not JSON: {getattr(problem, 'msg', 'unreadable')}"
            continue
        yield number, row if isinstance(row, dict) else "not a JSON object"


def mapping(content: Content, at: str | None, path: Path) -> Iterator[tuple[int, Row | str]]:
    """The number and value of each entry of a JSON mapping, its name as `_key`; or of a list."""
    if content.tree is None:
        try:
            content.tree = json.loads(content.text)
        except ValueError as problem:
            raise SourceError(f"{path} is not JSON: {problem}", "get the published file again") from None
    rows = content.tree.get(at) if at is not None and isinstance(content.tree, dict) else content.tree
    if isinstance(rows, list):
        for number, row in enumerate(rows):
            yield number, row if isinstance(row, dict) else "not a JSON object"
        return
    if not isinstance(rows, dict):
        raise SourceError(f"{path} holds no mapping of rows{f' at {at!r}' if at else ''}", "see its source")
    for number, (key, value) in enumerate(rows.items()):
        yield number, {**(value if isinstance(value, dict) else {"value": value}), "_key": key}


def separated(content: Content, original: Original, stem: str) -> Iterator[tuple[int, Row | str]]:
    """The number and values of each record of a CSV file, the file's stem as `_file`."""
    lines = io.StringIO(content.text, newline="")
    if original.separator == ",":
        records = csv.reader(lines)
    else:
        records = csv.reader(lines, delimiter=original.separator, quoting=csv.QUOTE_NONE)
    header = list(original.columns) or next(records, [])
    for number, record in enumerate(records):
        if len(record) == len(header):
            yield number, {**dict(zip(header, record, strict=True)), "_file": stem}
        else:
            yield number, f"{len(record)} columns instead of {len(header)}"


def from_url(name: str, source: Source, split: str, place: Place) -> Fetched:
    """Rows of a file published at an address, fetched once and verified."""
    original = source.original[split]
    [(relative, expected)] = original.files.items()
    assert original.url and expected
    path = place.home / "sources" / f"{name}@{expected[:12]}" / Path(relative).name
    if not path.is_file():
        files.write_whole(
            path, lambda part: part.write_bytes(download(name, relative, original.url or "", expected))
        )
    fetched = read_original(original, [path], split)
    album = Later(lambda: not_here(name, source, f"copy {path} to DIR/{relative}"))
    return replace(fetched, album=album, folder=path.parent)


def not_here(name: str, source: Source, also: str) -> Album:
    """The album of a source whose images no address serves; `also` is what its mirror needs besides."""
    size = f" ({source.pictures.size})" if source.pictures.size else ""
    raise SourceError(
        f"{name}: its images{size} cannot be fetched by medbench",
        f"get {source.pictures.get or 'them from its authors'} below a folder DIR; {also}; "
        "then pass --mirror DIR",
    )


def download(name: str, relative: str, url: str, expected: str) -> bytes:
    """What an address serves, if its hash is the expected one."""
    try:
        with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310  a pinned address and hash
            content: bytes = response.read()
    except (OSError, ValueError, http.client.HTTPException) as problem:
        raise SourceError(
            f"{name}: cannot fetch {url}: {problem}",
            f"save that file as {relative} below a folder and pass the folder as --mirror",
        ) from problem
    if (found := hashlib.sha256(content).hexdigest()) != expected:
        raise SourceError(
            f"{name}: {url} serves another file: SHA-256 {found[:12]}…, expected {expected[:12]}…",
            "the address no longer holds what the catalog was written for; use a --mirror with the old file",
        )
    return content
