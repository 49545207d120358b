"""`medbench.lock`: which commit of the Hub each source was taken from, and the hash of every file."""

import json
from collections.abc import Iterable, Mapping

import pydantic

from medbench import files
from medbench.config import Config
from medbench.errors import SourceError
from medbench.sources.types import Place, Source


class Pin(Config):
    """What `medbench.lock` says of a source: the commit used, and the hash of every file taken from it."""

    hub: str
    revision: str = pydantic.Field(pattern="^[0-9a-f]{12,64}$")
    files: dict[str, str] = pydantic.Field(default_factory=dict)
    splits: dict[str, tuple[str, ...]] = pydantic.Field(default_factory=dict)
    """Split → its files, of those that were fetched; patterns of two splits may match the same files."""


def pinned(name: str, source: Source, place: Place) -> Pin | None:
    """What the lock says of a source."""
    row = pins(place).get(name)
    if row and row.hub != source.hub:
        raise SourceError(
            f"{place.lock} pins {name} to {row.hub}, the catalog says {source.hub}", relock(name, place)
        )
    return row


def pins(place: Place) -> dict[str, Pin]:
    """The lock file; an absent one pins nothing."""
    if not place.lock.is_file():
        return {}
    try:
        tree = json.loads(place.lock.read_text(encoding="utf-8"))
        return {name: Pin.model_validate(row) for name, row in tree.items()}
    except (ValueError, AttributeError) as problem:
        raise SourceError(
            f"{place.lock} is not a lock file: {problem}", "restore it, or delete it to pin anew"
        ) from None


def relock(name: str, place: Place) -> str:
    """How to accept another revision than the locked one."""
    return (
        f"delete the entry '{name}' in {place.lock} (or pass --update-lock {name}) to pin what is there now"
    )


def verify(name: str, source: Source, found: Pin, place: Place) -> None:
    """Hold fetched files against the lock, and add those it has not seen."""
    pin = pinned(name, source, place)
    for path, sha256 in found.files.items():
        if pin and pin.files.get(path, sha256) != sha256:
            raise SourceError(
                f"{name}: {path} of {source.hub} at {found.revision[:12]} differs from the locked file: "
                f"SHA-256 {sha256[:12]}…, expected {pin.files[path][:12]}…",
                f"delete {place.home / 'sources'}/{name}@{found.revision[:12]} to fetch it again, or "
                + relock(name, place),
            )
    merged = {
        "files": {**(pin.files if pin else {}), **found.files},
        "splits": {**(pin.splits if pin else {}), **found.splits},
    }
    write_pins({**pins(place), name: found.model_copy(update=merged)}, place)


def write_pins(rows: Mapping[str, Pin], place: Place) -> None:
    """Replace the lock file."""
    tree = {name: row.model_dump(exclude_unset=True) for name, row in sorted(rows.items())}
    files.write_text(place.lock, json.dumps(tree, indent=1) + "\n")


def unlock(names: Iterable[str], place: Place) -> None:
    """Forget the pins of some sources, so that their next fetch pins the newest commit.

    A name without a pin has nothing to forget; a lock file that needs no change is not touched.
    """
    held, gone = pins(place), set(names)
    if held.keys() & gone:
        write_pins({name: row for name, row in held.items() if name not in gone}, place)
