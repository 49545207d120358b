"""Raw rows of a source, wherever it is: a local mirror, the Hub, a pinned address, or the package.

    --mirror DIR   the source's original files where the catalog names them, else the Hub's layout
    Hub            at the commit in `medbench.lock`, every file's hash verified, kept as Parquet
    url            a file pinned to a commit, with its hash
    packaged       shipped with medbench
    folder         images with captions on this machine

A row is the mapping the publisher wrote, plus what only its place tells: `_row` (position in its
file), `_split`, and where there is one `_key` (its name in a JSON mapping) and `_file` (stem of its
file). Only a first fetch imports `datasets` and `huggingface_hub`; later ones read the Parquet.
"""

from dataclasses import replace
from importlib.resources import files as resources
from pathlib import Path

from medbench import files
from medbench.errors import SourceError
from medbench.sources.albums import Album, Later, gathered
from medbench.sources.captioned import from_captions
from medbench.sources.hub import from_folder, from_hub, snapshot
from medbench.sources.lock import pins, unlock
from medbench.sources.originals import from_url, read_original
from medbench.sources.types import Fetched, Malformed, Original, Place, Row, Source

__all__ = ["Fetched", "Malformed", "Original", "Place", "Row", "Source", "pins", "raw_rows", "unlock"]


def raw_rows(name: str, source: Source, split: str, place: Place) -> Fetched:
    """The rows of `split`, from the packaged file or folder, the mirror, the Hub or the pinned address."""
    original = source.original.get(split)
    if source.folder:
        return from_captions(name, source, split, place)
    if source.packaged:
        return from_package(source, source.packaged, split)
    if place.mirror is not None:
        return from_mirror(name, source, split, place)
    if source.hub and split in source.splits:
        return from_hub(name, source, split, place)
    if original and original.url:
        return from_url(name, source, split, place)
    known = sorted({*source.splits, *(key for key, value in source.original.items() if value.url)})
    raise SourceError(
        f"source {name} has no split '{split}' that could be fetched",
        f"splits to be had: {', '.join(known) or 'none'}; its original files can be read with --mirror DIR",
    )


def from_package(source: Source, filename: str, split: str) -> Fetched:
    """Rows shipped inside medbench; each says which split it is of."""
    original = Original(files={filename: None}, format="jsonl", adapter=source.adapter)
    path = within(Path(str(resources("medbench") / "data")), filename)
    if not path.is_file():
        raise SourceError(f"medbench ships no file '{filename}'", "name files of your own under `original`")
    fetched = read_original(original, [path], split)
    rows = [row for row in fetched.rows if not isinstance(row, Malformed) and row["split"] == split]
    if not rows:
        raise SourceError(f"{filename} has no split '{split}'", "see medbench/data/README.md")
    return replace(fetched, rows=rows)


def from_mirror(name: str, source: Source, split: str, place: Place) -> Fetched:
    """Rows from a local mirror: the original files if the catalog names them, else the Hub's layout."""
    mirror = place.mirror
    assert mirror is not None
    looked: list[Path] = []
    if original := source.original.get(split):
        paths = [within(mirror, path) for path in original.files]
        if all(path.is_file() for path in paths):
            fetched = read_original(original, paths, split)
            folder = snapshot(name, fetched.revision, place)
            return replace(
                fetched, album=Later(lambda: mirrored(name, source, original, mirror)), folder=folder
            )
        looked += [path for path in paths if not path.is_file()]
    if source.hub and split in source.splits:
        for folder in (within(mirror, f"datasets/{source.hub}"), within(mirror, source.hub)):
            if folder.is_dir():
                return from_folder(name, source, split, folder, place)
            looked.append(folder)
    what = f" ({', '.join(source.splits[split])})" if split in source.splits else ""
    size = f"; its images take {source.pictures.size}" if source.pictures.size else ""
    raise SourceError(
        f"{name} ({split}){what} is not in the mirror {mirror}{size}",
        f"looked for: {', '.join(map(str, looked)) or 'nothing, the catalog names no file of it'}"
        "; put it there, or leave --mirror out to fetch it",
    )


def mirrored(name: str, source: Source, original: Original, mirror: Path) -> Album:
    """The images of original files, below the mirror."""
    places = [within(mirror, path) for path in original.images]
    here = [place for place in places if place.exists()]
    if not here:
        what = " or ".join(original.images) or "no place that the catalog names"
        size = f" ({source.pictures.size})" if source.pictures.size else ""
        raise SourceError(
            f"{name}: its images are not in the mirror {mirror}: looked for {what}{size}",
            f"get {source.pictures.get}"
            if source.pictures.get
            else f"see {source.homepage or 'its authors'}",
        )
    return gathered(here)


def within(mirror: Path, relative: str) -> Path:
    """A path in the mirror, refused if it leaves it."""
    try:
        return files.inside(mirror, relative)
    except ValueError as problem:
        raise SourceError(f"mirror {mirror}: {problem}", "name files by a path below the mirror") from None
