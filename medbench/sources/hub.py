"""Splits in the layout of the Hub: fetched at a locked commit, or copied by hand.

Parquet, JSON lines, tab-separated tables and JSON in zip archives are read where they lie; JSON and CSV
are turned into a Parquet table once. A pattern `some.zip!*/part/*.json` names files in an archive.
"""

import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path

import polars as pl

from medbench import files
from medbench.config import digest
from medbench.errors import SourceError
from medbench.sources.albums import Album, Later, Tables, gathered, parquet_cells, tsv_cells
from medbench.sources.lock import Pin, pinned, relock, verify
from medbench.sources.originals import json_lines
from medbench.sources.tables import archived_rows, parquet_rows, separated_rows
from medbench.sources.types import Fetched, Malformed, Place, Row, Source

log = logging.getLogger(__name__)

TABLE = "medbench-"
"""How the names of tables begin that are made from fetched files and lie beside them."""

LARGE = 10 << 20
"""Before more bytes of a file are fetched, their number is told."""


def from_hub(name: str, source: Source, split: str, place: Place) -> Fetched:
    """Rows from the Hub at the locked commit; the first fetch locks the newest one."""
    pin = pinned(name, source, place)
    if pin:
        folder = snapshot(name, pin.revision, place)
        known = known_files(pin, source, split)
        if ready(folder, {path: pin.files[path] for path in known}, split):
            return fetched(Copy(name, source, folder, pin.revision), split, known, place)
    for word in cautions(name, source, split):
        log.warning(word)
    with explained(name, source, pin, place):
        revision, paths = resolve(source, source.splits[split], pin.revision if pin else "main")
        folder = snapshot(name, revision, place)
        found = download(source, paths, revision, folder)
    splits = {split: tuple(found)}
    verify(name, source, Pin(hub=source.hub or "", revision=revision, files=found, splits=splits), place)
    return fetched(Copy(name, source, folder, revision), split, list(found), place)


def known_files(pin: Pin, source: Source, split: str) -> list[str]:
    """The locked files of a split; a lock that does not say which splits it has, has what matches."""
    if not pin.splits:
        return matching(pin.files, source.splits[split])
    return [path for path in pin.splits.get(split, ()) if path in pin.files]


def cautions(name: str, source: Source, split: str) -> list[str]:
    """What a user should know before anything is fetched."""
    said = [f"{name}: {source.caution}"] if source.caution else []
    if source.gated:
        said.append(f"{name} is gated: its terms must be accepted on its page first ({source.license})")
    patterns = [pattern.partition("!")[0] for pattern in source.splits[split]]
    pictures = source.pictures
    if pictures.size and (not pictures.files or set(pictures.files) & set(patterns)):
        said.append(f"{name}: fetching its images from {source.hub}: {', '.join(patterns)} ({pictures.size})")
    return said


def snapshot(name: str, revision: str, place: Place) -> Path:
    """The folder of a source at a revision."""
    digits = revision.removeprefix("sha256:")[:12]
    return place.home / "sources" / f"{name}@{'sha256-' if digits != revision[:12] else ''}{digits}"


def matching(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The names that any pattern matches, sorted; of a pattern into an archive, the archive's part counts."""
    outer = [pattern.partition("!")[0] for pattern in patterns]
    return sorted(name for name in names if any(fnmatch(name, pattern) for pattern in outer))


def resolve(source: Source, patterns: Sequence[str], revision: str, get: str = "") -> tuple[str, list[str]]:
    """The commit that a revision names, sure to exist, and its files that match; at least one does.

    `get` says what to do where none does.
    """
    from huggingface_hub import HfApi

    info = HfApi().dataset_info(source.hub or "", revision=revision)
    present = [sibling.rfilename for sibling in info.siblings or ()]
    found = matching(present, patterns)
    if not found:
        raise SourceError(
            f"{source.hub} at {str(info.sha)[:12]} has no file like {' or '.join(patterns)}",
            get or f"it has: {', '.join(present[:20])}; describe its new layout in your own --catalog FILE",
        )
    return str(info.sha), found


def download(source: Source, paths: Iterable[str], revision: str, folder: Path) -> dict[str, str]:
    """Bring files of a commit into `folder`; gives their hashes by path."""
    found = {}
    for path in paths:
        try:
            target = files.inside(folder, path)
        except ValueError as problem:
            raise SourceError(f"{source.hub}: {problem}", "do not use this repository") from None
        found[path] = files.sha256(target) if target.is_file() else bring(source, path, revision, target)
    return found


def bring(source: Source, path: str, revision: str, target: Path) -> str:
    """Fetch one file, going on where an earlier run was broken off or killed; its hash.

    The Hub's own `hf_hub_download` begins a file anew in every process.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    url = hf_hub_url(source.hub or "", path, repo_type="dataset", revision=revision)
    told = get_hf_file_metadata(url)
    part = files.private(target.parent) / f".{target.name}.part"
    with part.open("ab") as stream:
        with suppress(OSError):  # some file systems have no locks; the hash tells what came of it
            fcntl.flock(stream, fcntl.LOCK_EX)
        if target.is_file():  # another process fetched it meanwhile
            part.unlink(missing_ok=True)
            return files.sha256(target)
        if stream.tell() > (told.size or 0):
            stream.truncate(0)
        if (missing := (told.size or 0) - stream.tell()) > LARGE:
            log.warning("%s of %s: %s MB to fetch", path, source.hub, f"{missing / 1e6:,.0f}")
        http_get(
            url,
            stream,
            resume_size=stream.tell(),
            headers=build_hf_headers(),
            expected_size=told.size,
            displayed_filename=path,
        )
        stream.flush()
        os.fsync(stream.fileno())
        sha256 = files.sha256(part)
        if len(told.etag or "") == len(sha256) and told.etag != sha256:  # of large files the Hub tells it
            part.unlink()
            raise SourceError(f"{path} of {source.hub} came damaged", "repeat the command to fetch it again")
        part.replace(target)
    return sha256


def listed(folder: Path, patterns: Sequence[str]) -> list[str]:
    """Paths below `folder` that match; hidden ones and our own tables are left out."""
    names = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return matching((name for name in names if not name.startswith((".", TABLE))), patterns)


@contextmanager
def explained(name: str, source: Source, pin: Pin | None, place: Place) -> Iterator[None]:
    """Turn what the Hub's client raises into a `SourceError` that says what to do."""
    from huggingface_hub.errors import (  # type: ignore[attr-defined]
        GatedRepoError,
        HfHubHTTPError,
        HTTPError,  # of the client beneath, whichever it is
        LocalEntryNotFoundError,
        RevisionNotFoundError,
    )

    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    page = f"{hub}/datasets/{source.hub}"
    try:
        yield
    except RevisionNotFoundError as problem:
        wanted = pin.revision if pin else "main"
        raise SourceError(
            f"{name}: {source.hub} has no revision {wanted} any more", relock(name, place)
        ) from problem
    except HfHubHTTPError as problem:
        status = problem.response.status_code if problem.response is not None else 0
        if isinstance(problem, GatedRepoError) or status in (401, 403):
            raise SourceError(
                f"{name}: {source.hub} is gated, private or does not exist (HTTP {status})",
                f"accept its terms at {page}, then log in with `hf auth login` or set HF_TOKEN",
            ) from problem
        raise SourceError(
            f"{name}: {page} answered HTTP {status}", "see whether that page exists; else retry"
        ) from problem
    except (ConnectionError, TimeoutError, LocalEntryNotFoundError, HTTPError) as problem:
        raise SourceError(
            f"{name}: cannot reach {page}: {type(problem).__name__}",
            "go online (HF_HUB_OFFLINE unset, HF_ENDPOINT right) and repeat: a download goes on; "
            "or pass --mirror DIR with its files",
        ) from problem
    except OSError as problem:
        raise SourceError(
            f"{name}: cannot fetch {page}: {problem}", "mend that and repeat: a download goes on"
        ) from problem


@dataclass(frozen=True, slots=True)
class Copy:
    """The files of a source at one revision, in a folder of ours or a mirror's."""

    name: str
    source: Source
    folder: Path
    revision: str
    """A commit of the Hub, or `sha256:` and a digest of a mirror's files."""

    @property
    def mirrored(self) -> bool:
        """Whether somebody else put the files there."""
        return self.revision.startswith("sha256:")

    def beside(self, place: Place) -> Path:
        """Where what is made of the files is kept."""
        return snapshot(self.name, self.revision, place)


def from_folder(name: str, source: Source, split: str, folder: Path, place: Place) -> Fetched:
    """Rows of a folder laid out like the Hub repository."""
    found = listed(folder, source.splits[split])
    if not found:
        raise SourceError(
            f"{folder} has no file like {' or '.join(source.splits[split])}",
            "copy that file of the Hub repository there",
        )
    version = digest([fingerprint(folder / path) for path in found])
    return fetched(Copy(name, source, folder, f"sha256:{version}"), split, found, place)


def fingerprint(path: Path) -> str:
    """What a file of a mirror is: its hash, or size and time of an archive of many gigabytes."""
    if path.suffix == ".zip":
        told = path.stat()
        return f"{path.name}:{told.st_size}:{told.st_mtime_ns}"
    return files.sha256(path)


def ready(folder: Path, pins: Mapping[str, str], split: str) -> bool:
    """Whether a split is there to be read without the Hub's client: its files, or the table made of them."""
    paths = {folder / path: sha256 for path, sha256 in pins.items()}
    if not paths or converted(list(paths)):
        return bool(paths) and (folder / f"{TABLE}{split}.parquet").is_file()
    unchanged = (path.suffix != ".jsonl" or files.sha256(path) == paths[path] for path in paths)
    return all(path.is_file() for path in paths) and all(unchanged)


def converted(paths: Sequence[Path]) -> bool:
    """Whether files are read through a table that is made of them.

    JSON lines are not: Arrow's reader lets bytes through that are no UTF-8, and refuses a whole file for
    one bad line.
    """
    return any(path.suffix not in (".jsonl", ".parquet", ".tsv", ".zip") for path in paths)


def opened(copy: Copy, split: str, paths: Mapping[str, Path], into: Path) -> Iterator[Row | Malformed]:
    """The rows of a split's files, numbered; a table made to read them is kept in `into`."""
    if converted(list(paths.values())):
        table = convert(copy.name, list(paths.values()), split, into)
        return placed(parquet_rows(table, table.name), split)
    inside = [pattern.partition("!")[2] for pattern in copy.source.splits[split] if "!" in pattern]
    readers: dict[str, Callable[[Path, str], Iterator[Row | Malformed]]] = {
        ".jsonl": lambda path, name: json_lines(path, split),
        ".parquet": parquet_rows,
        ".tsv": separated_rows,
        ".zip": lambda path, name: archived_rows(path, inside),
    }
    rows = chain.from_iterable(readers[path.suffix](path, name) for name, path in paths.items())
    return placed(rows, split)


def placed(rows: Iterable[Row | Malformed], split: str) -> Iterator[Row | Malformed]:
    """Rows with their position in the split; those of JSON lines have theirs in the file."""
    for number, row in enumerate(rows):
        yield row if isinstance(row, Malformed) else {"_row": number, "_split": split, **row}


def fetched(copy: Copy, split: str, found: Sequence[str], place: Place) -> Fetched:
    """Rows in the Hub's layout, with what the catalog says of them and where their images are."""
    paths = {path: copy.folder / path for path in found}
    source, into = copy.source, copy.beside(place)
    rows = opened(copy, split, paths, into)
    expected = source.rows.get(split)
    return Fetched(
        rows, source.adapter, source.args, copy.revision, expected, "", album_of(copy, paths, place), into
    )


def album_of(copy: Copy, paths: Mapping[str, Path], place: Place) -> Album:
    """Where the images are: in the split's own tables, or in files beside them, fetched if need be."""
    if copy.source.pictures.files:
        return Later(lambda: pictures_of(copy, place), pinned=not copy.mirrored)
    tabbed = any(path.suffix == ".tsv" for path in paths.values())
    return Tables(paths, tsv_cells if tabbed else parquet_cells)


def pictures_of(copy: Copy, place: Place) -> Album:
    """The album of files apart from the rows: those here (also unpacked), else fetched from the Hub."""
    pictures = copy.source.pictures
    here = pictures_here(copy)
    what = f"{', '.join(pictures.files)} ({pictures.size or 'size unknown'})"
    if copy.mirrored and not here:
        raise SourceError(
            f"{copy.name}: its images are not in {copy.folder}: {what}",
            f"copy that file of {copy.source.hub} there; zip archives are read as they are",
        )
    if not copy.mirrored:
        fetch_pictures(copy, place, what)
        here = pictures_here(copy)
    loose = {path for path in here if path.is_file() and path.suffix != ".zip"}
    return gathered([path for path in here if path not in loose] + [copy.folder] * bool(loose))


def pictures_here(copy: Copy) -> list[Path]:
    """The image files and archives of a copy that are there, and folders of that name or an archive's."""
    patterns = copy.source.pictures.files
    folders = (copy.folder / pattern.removesuffix(".zip") for pattern in patterns)
    return [copy.folder / path for path in listed(copy.folder, patterns)] + [p for p in folders if p.is_dir()]


def fetch_pictures(copy: Copy, place: Place, what: str) -> None:
    """Bring the image files of a copy from the Hub, unless the lock knows them and they are here."""
    name, source, patterns = copy.name, copy.source, copy.source.pictures.files
    pin = pinned(name, source, place)
    known = matching(pin.files, patterns) if pin else []
    if known and all((copy.folder / path).is_file() for path in known):
        return
    log.warning("%s: fetching its images from %s: %s", name, source.hub, what)
    with explained(name, source, pin, place):
        revision, paths = resolve(source, patterns, copy.revision, source.pictures.get)
        found = download(source, paths, revision, copy.folder)
    verify(name, source, Pin(hub=source.hub or "", revision=copy.revision, files=found), place)


def convert(name: str, paths: Sequence[Path], split: str, into: Path) -> Path:
    """The Parquet table of JSON and CSV files, made by `datasets` the first time."""
    table = into / f"{TABLE}{split}.parquet"
    if table.is_file():
        return table
    from datasets import disable_progress_bars, load_dataset
    from datasets.exceptions import DatasetGenerationError

    disable_progress_bars()

    suffix = paths[0].suffix.lstrip(".")
    if suffix not in ("json", "csv"):
        raise SourceError(
            f"{name}: cannot read {paths[0].name}", "known: .parquet, .jsonl, .json, .csv, .tsv, .zip"
        )
    verbatim = {"keep_default_na": False} if suffix == "csv" else {}  # an option may read "None"
    cache = files.private(into / ".arrow")
    try:
        rows = load_dataset(
            suffix, data_files=[str(path) for path in paths], split="train", cache_dir=str(cache), **verbatim
        )
        return files.write_whole(table, lambda part: (rows.to_parquet(part), pl.read_parquet(part)))
    except (DatasetGenerationError, ValueError, pl.exceptions.PolarsError) as problem:
        why = problem.__cause__ or problem
        raise SourceError(
            f"{name}: cannot read {paths[0]}: {type(why).__name__}", "get the file again"
        ) from problem
    finally:
        shutil.rmtree(cache, ignore_errors=True)
