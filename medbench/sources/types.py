"""What a source is, where things are looked for, and what reading one yields."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pydantic

from medbench import files
from medbench.config import Config
from medbench.images import Store
from medbench.sources.albums import Album

Row = dict[str, Any]


class Original(Config):
    """A split in the file layout its authors published, which a mirror or an address may hold."""

    files: dict[str, str | None]
    """Path relative to a mirror → SHA-256, null when it isn't known."""
    format: Literal["jsonl", "json", "csv"]
    """`json` is a mapping of row ids to rows, or a list of rows."""
    adapter: str
    args: dict[str, int | str] = pydantic.Field(default_factory=dict)
    """Arguments of the adapter, e.g. from which number an answer index counts."""
    at: str | None = None
    """Key under which a JSON file holds this split."""
    columns: tuple[str, ...] = ()
    """Column names of a CSV file without a header."""
    separator: str = ","
    """What separates the columns of a CSV file."""
    images: tuple[str, ...] = ()
    """Folders and zip archives below a mirror that hold the images its rows name."""
    url: str | None = None
    """Where the only file is published, pinned to a commit."""
    note: str = ""
    """What is special about these files; shown when the row count is not the expected one."""

    @pydantic.model_validator(mode="after")
    def pinned(self) -> "Original":
        """Refuse an address that could serve anything."""
        if self.url and (len(self.files) != 1 or None in self.files.values()):
            raise ValueError("a url needs exactly one file, with its sha256")
        return self


class Pictures(Config):
    """Where the images of a source are, apart from its rows."""

    files: tuple[str, ...] = ()
    """Patterns of the files in the Hub repository: zip archives, or the images themselves."""
    size: str = ""
    """How much that is to fetch, for people."""
    get: str = ""
    """Which files to get from where, when they are not here."""


class Source(Config):
    """Where a data set comes from, and under which terms."""

    title: str
    license: str
    hub: str | None = pydantic.Field(default=None, pattern=r"^\w[\w.-]*/\w[\w.-]*$")
    """Id of the dataset repository on the Hub."""
    config: str | None = None
    """Its configuration there; for the record, since `splits` names the files."""
    splits: dict[str, tuple[str, ...]] = pydantic.Field(default_factory=dict)
    """Split → patterns of its files in the Hub repository."""
    rows: dict[str, int] = pydantic.Field(default_factory=dict)
    """Split → how many rows it must hold, where no benchmark says so by its size."""
    adapter: str = ""
    """Adapter of the Hub's columns."""
    args: dict[str, int | str] = pydantic.Field(default_factory=dict)
    pictures: Pictures = Pictures()
    caution: str = ""
    """Said before anything of it is fetched: an unclear licence, a great size."""
    gated: bool = False
    """Terms must be accepted first; rows never go to logs or fixtures."""
    redistribute: bool = True
    """Whether the terms let rows be passed on."""
    homepage: str = ""
    cite: str = ""
    original: dict[str, Original] = pydantic.Field(default_factory=dict)
    packaged: str | None = None
    """A file shipped in `medbench/data`."""
    folder: Path | None = None
    """A folder on this machine that holds images with captions."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where sources are kept and looked for."""

    home: Path
    mirror: Path | None
    lock: Path

    @classmethod
    def of(cls, home: Path | None = None, mirror: Path | None = None, lock: Path | None = None) -> "Place":
        """A place from what is given, else `MEDBENCH_MIRROR`, `MEDBENCH_LOCK` and the default home."""
        home = home or files.default_home()
        named, pinned = os.environ.get("MEDBENCH_MIRROR"), os.environ.get("MEDBENCH_LOCK")
        mirror = mirror or (Path(named).expanduser() if named else None)
        return cls(home, mirror, lock or (Path(pinned).expanduser() if pinned else home / "medbench.lock"))

    @property
    def images(self) -> Store:
        """The image store."""
        return Store(self.home / "images")


@dataclass(frozen=True, slots=True)
class Malformed:
    """A row that could not even be read."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """The rows of one split, the adapter that understands their layout, and what they are a version of."""

    rows: Iterable[Row | Malformed]
    adapter: str
    args: dict[str, int | str]
    revision: str
    expected: int | None = None
    """How many rows there must be, if that is known."""
    note: str = ""
    album: Album | None = None
    """Where the images are that the rows name."""
    folder: Path | None = None
    """Where what was found out about these images is kept."""
