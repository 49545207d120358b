"""Datasets that were built, and SQL over everything kept. Parquet is the truth; DuckDB only views it.

    <home>/datasets/<name>/<version>/
        rows.parquet   dropped.parquet   samples.parquet   README.md   manifest.json

A version appears whole, by renaming a folder, and is never written to again.

One process holding a DuckDB file for writing locks out even readers, so views are made in memory
over the Parquet files each time.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from medbench.config import digest
from medbench.errors import MedbenchError, UsageError, unknown
from medbench.files import private, sha256, write_text, write_whole
from medbench.sources.pictures import JOURNAL


@dataclass(frozen=True)
class Built:
    """A published dataset version."""

    name: str
    version: int
    folder: Path
    manifest: Mapping[str, Any]

    def table(self, name: str = "rows") -> pl.DataFrame:
        """One of its tables: rows, dropped or samples."""
        return pl.read_parquet(self.folder / f"{name}.parquet")


def versions(home: Path, name: str) -> list[Built]:
    """Every complete version of a dataset, oldest first."""
    found = []
    for path in (home / "datasets" / name).glob("*/manifest.json"):
        if path.parent.name.isdigit():
            manifest = json.loads(path.read_text())
            found.append(Built(name, int(path.parent.name), path.parent, manifest))
    return sorted(found, key=lambda built: built.version)


def dataset(home: Path, ref: str) -> Built:
    """A dataset by `name` (its newest version) or `name@version`.

    Raises MedbenchError saying what builds it.
    """
    name, at, number = ref.partition("@")
    found = versions(home, name)
    if not found:
        what = f"dataset '{name}' has not been built here"
        raise MedbenchError(what, f"medbench build {name} --solver MODEL")
    if not at:
        return found[-1]
    for built in found:
        if str(built.version) == number:
            return built
    raise unknown("version of " + name, number, (str(built.version) for built in found))


def publish(
    home: Path,
    name: str,
    *,
    tables: Mapping[str, pl.DataFrame],
    card: str,
    identity: Mapping[str, Any],
    notes: Sequence[str] = (),
) -> Built:
    """A new version of a dataset, or the one there is with the same `identity` and the same bytes.

    `identity` says what it was made from, in words that may be published. Tables with a column `id` are
    sorted by it. A model that answers otherwise to the same questions makes another version.
    """
    mark = digest(identity)
    place = private(home / "datasets" / name)
    with alone(place):
        number = next_number(place)
        folder = private(place / f".{number}.tmp")
        write_tables(folder, tables)
        write_text(folder / "README.md", card)
        files = hashes(folder, sorted(path.name for path in folder.iterdir()))
        for built in versions(home, name):
            if built.manifest.get("digest") == mark and hashes(built.folder, files) == files:
                shutil.rmtree(folder)
                return built
        manifest = {
            "name": name,
            "version": number,
            "digest": mark,
            "identity": dict(identity),
            "files": files,
            "rows": {table_name: table.height for table_name, table in tables.items()},
            "notes": list(notes),
        }
        write_text(folder / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True) + "\n")
        return Built(name, number, folder.rename(place / str(number)), manifest)


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Be the only one who publishes here, and clear away what a publisher that died left behind."""
    with (place / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in place.glob(".*.tmp"):
            shutil.rmtree(left)
        yield


def next_number(place: Path) -> int:
    """One more than the highest numbered folder, complete or not."""
    return 1 + max((int(path.name) for path in place.iterdir() if path.name.isdigit()), default=0)


def write_tables(folder: Path, tables: Mapping[str, pl.DataFrame]) -> None:
    """Each table as a Parquet file."""
    for name, table in tables.items():
        ordered = table.sort("id") if "id" in table.columns else table
        write_whole(folder / f"{name}.parquet", ordered.write_parquet)


def hashes(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of those of the named files that are there, as they are on disk."""
    return {name: sha256(folder / name) for name in names if (folder / name).is_file()}


def views(home: Path) -> dict[str, list[Path]]:
    """The views there would be, with the Parquet files behind each.

    `verdicts` and `results` over all sealed runs (with a column `run`), `training` over training
    metrics, `images` over the images taken in (with the `source` that named them), and `<dataset>`,
    `<dataset>_dropped`, `<dataset>_samples` for the newest version of each.
    """
    found: dict[str, list[Path]] = {}
    for view, pattern in {
        "verdicts": "*/verdicts.parquet",
        "results": "*/results.parquet",
        "training": "*/metrics.parquet",
    }.items():
        if files := sorted((home / "runs").glob(pattern)):
            found[view] = files
    if files := sorted((home / "sources").glob(f"*/{JOURNAL}")):
        found["images"] = files
    for folder in sorted((home / "datasets").glob("*")):
        if built := versions(home, folder.name):
            stem = folder.name.replace("-", "_")
            for path in sorted(built[-1].folder.glob("*.parquet")):
                found[stem if path.stem == "rows" else f"{stem}_{path.stem}"] = [path]
    return found


def sql(home: Path, query: str) -> pl.DataFrame:
    """The answer to one SELECT over `views`. Raises UsageError with DuckDB's own words.

    The connection can read the home folder's Parquet and nothing else on the machine or the network, and
    it can write nothing.
    """
    import duckdb

    names = views(home)
    known = f"views: {', '.join(names) or 'none yet'}"
    connection = duckdb.connect()
    try:
        statements = connection.extract_statements(query)
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise UsageError("SQL: only one statement that reads is run", f"write one SELECT; {known}")
        confine(connection, home, names)
        return pl.DataFrame(connection.sql(query).pl())
    except (duckdb.Error, pl.exceptions.PolarsError) as problem:
        raise UsageError(f"SQL: {problem}", known) from None


def confine(connection: Any, home: Path, names: Mapping[str, list[Path]]) -> None:
    """Give a connection its views, and take every other file from it."""
    connection.execute("SET allowed_directories = [?]", [str(home.resolve()) + os.sep])
    connection.execute("SET enable_external_access = false")
    for view, files in names.items():
        listed = ", ".join(quoted(str(path.resolve())) for path in files)
        if view == "images":
            connection.execute(IMAGES.format(files=listed))
            continue
        run = "string_split(filename, '/')[-2] AS run, * EXCLUDE (filename)"
        many = view in {"verdicts", "results", "training"}
        columns, options = (run, ", filename = true, union_by_name = true") if many else ("*", "")
        source = f"read_parquet([{listed}]{options})"
        connection.execute(f'CREATE VIEW "{view}" AS SELECT {columns} FROM {source}')  # noqa: S608


IMAGES = """
CREATE VIEW images AS SELECT string_split(filename, '/')[-2] AS source, * EXCLUDE (filename)
FROM read_json([{files}], format = 'newline_delimited', ignore_errors = true, filename = true, columns = {{
    reference: 'VARCHAR', sha256: 'VARCHAR', origin: 'VARCHAR', pixels: 'VARCHAR', dhash: 'VARCHAR',
    width: 'INT', height: 'INT', mode: 'VARCHAR', format: 'VARCHAR', frames: 'INT', bytes: 'BIGINT',
    fault: 'VARCHAR'}})
"""


def quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
