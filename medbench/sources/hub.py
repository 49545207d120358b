"""Splits in the layout of the Hub: fetched at a locked commit or copied by hand, then kept as Parquet."""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path

import polars as pl

from medbench import files
from medbench.config import digest
from medbench.errors import SourceError
from medbench.sources.lock import Pin, pinned, relock, verify
from medbench.sources.originals import json_lines
from medbench.sources.types import Fetched, Malformed, Place, Row, Source

TABLE = "medbench-"
"""How the names of tables begin that are made from fetched files and lie beside them."""


def from_hub(name: str, source: Source, split: str, place: Place) -> Fetched:
    """Rows from the Hub at the locked commit; the first fetch locks the newest one."""
    pin = pinned(name, source, place)
    if pin:
        folder = snapshot(name, pin.revision, place)
        known = matching(pin.files, source.splits[split])
        if ready(folder, {path: pin.files[path] for path in known}, split):
            rows = opened(name, split, [folder / path for path in known], folder)
            return fetched(source, split, rows, pin.revision)
    with explained(name, source, pin, place):
        revision = resolve(source, split, pin)
        folder = snapshot(name, revision, place)
        found = download_split(source, split, revision, folder)
    verify(name, source, Pin(hub=source.hub or "", revision=revision, files=found), place)
    rows = opened(name, split, [folder / path for path in found], folder)
    return fetched(source, split, rows, revision)


def snapshot(name: str, revision: str, place: Place) -> Path:
    """The folder of a source at a commit."""
    return place.home / "sources" / f"{name}@{revision[:12]}"


def matching(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The names that any pattern matches, sorted."""
    return sorted(name for name in names if any(fnmatch(name, pattern) for pattern in patterns))


def resolve(source: Source, split: str, pin: Pin | None) -> str:
    """The commit to fetch, sure to exist and to hold files of the split."""
    from huggingface_hub import HfApi

    info = HfApi().dataset_info(source.hub or "", revision=pin.revision if pin else "main")
    present = [sibling.rfilename for sibling in info.siblings or ()]
    if not matching(present, source.splits[split]):
        raise SourceError(
            f"{source.hub} at {str(info.sha)[:12]} has no file like {' or '.join(source.splits[split])}",
            f"it has: {', '.join(present[:20])}; describe its new layout in your own --catalog FILE",
        )
    return str(info.sha)


def download_split(source: Source, split: str, revision: str, folder: Path) -> dict[str, str]:
    """Bring the split's files of a commit into `folder`; their hashes by path."""
    from huggingface_hub import snapshot_download

    patterns = list(source.splits[split])
    snapshot_download(
        source.hub or "",
        repo_type="dataset",
        revision=revision,
        allow_patterns=patterns,
        local_dir=files.private(folder),
    )
    return {path: files.sha256(files.inside(folder, path)) for path in listed(folder, patterns)}


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
            "go online (HF_HUB_OFFLINE unset, HF_ENDPOINT right), or pass --mirror DIR with its files",
        ) from problem


def from_folder(name: str, source: Source, split: str, folder: Path, home: Path) -> Fetched:
    """Rows of a folder laid out like the Hub repository."""
    paths = [folder / path for path in listed(folder, source.splits[split])]
    if not paths:
        raise SourceError(
            f"{folder} has no file like {' or '.join(source.splits[split])}",
            "copy that file of the Hub repository there",
        )
    version = digest([files.sha256(path) for path in paths])
    into = home / "sources" / f"{name}@sha256-{version[:12]}"
    return fetched(source, split, opened(name, split, paths, into), f"sha256:{version}")


def plain(paths: Sequence[Path]) -> bool:
    """Whether files are JSON lines, which we read ourselves, row by row.

    Arrow's reader lets bytes through that are no UTF-8, and refuses a whole file for one bad line.
    """
    return all(path.suffix == ".jsonl" for path in paths)


def ready(folder: Path, pins: Mapping[str, str], split: str) -> bool:
    """Whether a split is there to be read without the Hub's client: its table, or its unchanged lines."""
    paths = {folder / path: sha256 for path, sha256 in pins.items()}
    if not plain(list(paths)):
        return (folder / f"{TABLE}{split}.parquet").is_file()
    return bool(paths) and all(path.is_file() and files.sha256(path) == paths[path] for path in paths)


def opened(name: str, split: str, paths: Sequence[Path], into: Path) -> Iterator[Row | Malformed]:
    """The rows of a split's files; a table made to read them is kept in `into`."""
    if plain(paths):
        return chain.from_iterable(json_lines(path, split) for path in paths)
    return read(convert(name, paths, split, into), split)


def fetched(source: Source, split: str, rows: Iterable[Row | Malformed], revision: str) -> Fetched:
    """Rows in the Hub's layout, with what the catalog says of it."""
    return Fetched(rows, source.adapter, source.args, revision, source.rows.get(split))


def convert(name: str, paths: Sequence[Path], split: str, into: Path) -> Path:
    """The Parquet table of files that aren't JSON lines, made by `datasets` the first time."""
    table = into / f"{TABLE}{split}.parquet"
    if table.is_file():
        return table
    from datasets import disable_progress_bars, load_dataset
    from datasets.exceptions import DatasetGenerationError

    disable_progress_bars()

    suffix = paths[0].suffix.lstrip(".")
    if suffix not in ("json", "csv", "parquet"):
        raise SourceError(f"{name}: cannot read {paths[0].name}", "known: .parquet, .jsonl, .json, .csv")
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


def read(table: Path, split: str) -> Iterator[Row]:
    """Each row of a Parquet table with its position."""
    for number, row in enumerate(pl.read_parquet(table).iter_rows(named=True)):
        yield {**row, "_row": number, "_split": split}
