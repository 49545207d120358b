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
from medbench.runs import readable
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
        raise MedbenchError(
            what, f"medbench build {name} …; see 'medbench list datasets' for what can be built"
        )
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

    `identity` says what it was made from, in words that may be published. Tables are sorted by their column
    `place`, else by `id`, where they have one. A model that answers otherwise to the same questions makes
    another version.
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
        by = next((column for column in ("place", "id") if column in table.columns), None)
        ordered = table.sort(by, maintain_order=True) if by else table
        write_whole(folder / f"{name}.parquet", ordered.write_parquet)


def hashes(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of those of the named files that are there, as they are on disk."""
    return {name: sha256(folder / name) for name in names if (folder / name).is_file()}


UNIONS = ("verdicts", "results", "training", "difficulty", "samples")
"""Views over many files, with a column `run` that says which."""


def views(home: Path) -> dict[str, list[Path]]:
    """The views there would be, with the Parquet files behind each.

    `verdicts` and `results` over all sealed runs (with a column `run`), `training` over training
    metrics, `images` over the images taken in (with the `source` that named them), `<dataset>`,
    `<dataset>_dropped`, `<dataset>_samples` … for the newest version of each dataset, and `difficulty` and
    `samples` over these (`run` is then `<dataset>@<version>`) and the sealed runs of `medbench difficulty`.
    Of two with one name the first is there, and none takes the name of a view of all.
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
    taken = {*UNIONS, "images"}
    folders = sorted((home / "datasets").glob("*"))
    newest = [numbered[-1] for folder in folders if (numbered := versions(home, folder.name))]
    for built in newest:
        stem = built.name.replace("-", "_")
        for path in sorted(built.folder.glob("*.parquet")):
            view = stem if path.stem == "rows" else f"{stem}_{path.stem}"
            if view.lower() not in taken:
                taken.add(view.lower())
                found[view] = [path]
    measured = [folder for folder, _ in measurements(home)]
    for view in ("difficulty", "samples"):
        places = [built.folder / f"{view}.parquet" for built in newest]
        places += [folder / f"{view}.parquet" for folder in measured]
        if files := [path for path in places if path.is_file()]:
            found[view] = files
    return found


def measurements(home: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The sealed runs of `medbench difficulty` with their manifests, in the order of their names."""
    for path in sorted((home / "runs").glob("difficulty-*/manifest.json")):
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest.get("kind") == "difficulty" and (path.parent / "difficulty.parquet").is_file():
            yield path.parent, manifest


def measured(home: Path, built: Built) -> pl.DataFrame | None:
    """How hard the questions of a dataset version are, whoever measured it: table DIFFICULTY and `run`.

    From its own table, and from the sealed runs of `medbench difficulty` on that version; None without any.
    """
    ref = f"{built.name}@{built.version}"
    folders = {ref: built.folder}
    folders |= {folder.name: folder for folder, told in measurements(home) if told.get("dataset") == ref}
    tables = [
        pl.read_parquet(path).with_columns(run=pl.lit(name))
        for name, folder in folders.items()
        if (path := folder / "difficulty.parquet").is_file()
    ]
    return pl.concat(tables, how="diagonal") if tables else None


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


def select(rows: pl.DataFrame, where: str) -> pl.DataFrame:
    """The rows for which `where` holds, in their order; null is no.

    `where` is one SQL expression over the columns (DuckDB's): true or false for each row. It reads these
    rows and nothing else; `random()` gives the same each time. Raises UsageError with DuckDB's own words.
    """
    import duckdb

    known = f"a condition in SQL over: {', '.join(rows.columns)}"
    place = "#" + max(rows.columns, key=len, default="")  # no column's name
    settings: dict[str, Any] = {
        "enable_external_access": False,
        "python_enable_replacements": False,
        "allow_persistent_secrets": False,
        "threads": 1,
    }
    connection = duckdb.connect(config=settings)
    try:
        connection.execute("SELECT setseed(0)")
        connection.execute("SET lock_configuration = true")
        condition = duckdb.SQLExpression(readable(where))
        view = connection.register("rows", rows.with_row_index(place)).view("rows")
        kinds = [str(kind) for kind in view.select(condition).types]
        if strange := [kind for kind in kinds if kind not in ("BOOLEAN", '"NULL"')]:
            raise UsageError(f"'{where}' is no condition: it gives {strange[0]}", known)
        found = view.filter(condition).select(duckdb.ColumnExpression(place)).fetchall()
    except duckdb.Error as problem:
        raise UsageError(f"'{where}': {problem}", known) from None
    finally:
        connection.close()
    return rows[sorted(number for (number,) in found)]


def confine(connection: Any, home: Path, names: Mapping[str, list[Path]]) -> None:
    """Give a connection its views, and take every other file from it."""
    connection.execute("SET allowed_directories = [?]", [str(home.resolve()) + os.sep])
    connection.execute("SET enable_external_access = false")
    runs = quoted(str((home / "runs").resolve()) + os.sep)
    dataset = (
        f"CASE WHEN starts_with(filename, {runs}) THEN '' ELSE string_split(filename, '/')[-3] || '@' END"
    )
    run = f"{dataset} || string_split(filename, '/')[-2] AS run, * EXCLUDE (filename)"
    for view, files in names.items():
        listed = ", ".join(quoted(str(path.resolve())) for path in files)
        if view == "images":
            connection.execute(IMAGES.format(files=listed))
            continue
        columns, options = (run, ", filename = true, union_by_name = true") if view in UNIONS else ("*", "")
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
