"""Where things are kept, and writing so that a file is whole or not there.

$MEDBENCH_HOME (default: the platform's data folder) is private to the user:

    sources/    raw splits as fetched, by source and revision      datasets/   what was built
    runs/       one folder per run                                 medbench.lock   revisions seen
    images/     pictures by the hash of their bytes
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path


def default_home() -> Path:
    """`$MEDBENCH_HOME`, else the platform's folder for application data."""
    if chosen := os.environ.get("MEDBENCH_HOME"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/medbench"
    return Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local/share")) / "medbench"


def private(folder: Path) -> Path:
    """`folder`, made if need be, with every parent that is made readable by its owner only.

    Replies are clinical text.
    """
    if not folder.is_dir():
        private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def write_whole(path: Path, write: Callable[[Path], object], *, sync: bool = True) -> Path:
    """Let `write` fill a temporary sibling, sync it, then rename it to `path`.

    A crash at any moment leaves the old file or the new one, never part of one. Without `sync` that holds
    for a crash of the process, not of the machine: for files that are checked when they are read.
    """
    private(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        if sync:
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_text(path: Path, text: str) -> Path:
    """`text` as the whole content of `path`."""
    return write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def inside(folder: Path, relative: str) -> Path:
    """`folder / relative`, refused with ValueError if it would leave `folder`."""
    path = (folder / relative).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError(f"'{relative}' leaves its folder")
    return path
