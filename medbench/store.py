"""Datasets that were built, and SQL over everything kept. Parquet is the truth; DuckDB only views it.

    <home>/datasets/<name>/<version>/
        rows.parquet   dropped.parquet   samples.parquet   README.md   manifest.json (last)

One process holding a DuckDB file for writing locks out even readers, so views are made in memory
over the Parquet files each time.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from medbench.config import digest
from medbench.errors import MedbenchError, UsageError, unknown
from medbench.files import private, write_text, write_whole


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
    """Write a dataset version: tables, card, and the manifest last, so that its presence means complete.

    Tables with a column `id` are sorted by it. The same `identity` (config and data revisions) gives
    the same version again, with the same bytes.
    """
    mark = digest(identity)
    existing = [built for built in versions(home, name) if built.manifest.get("digest") == mark]
    number = existing[0].version if existing else next_version(home, name)
    folder = private(home / "datasets" / name / str(number))
    for table_name, table in tables.items():
        ordered = table.sort("id") if "id" in table.columns else table
        write_whole(folder / f"{table_name}.parquet", ordered.write_parquet)
    write_text(folder / "README.md", card)
    manifest = {
        "name": name,
        "version": number,
        "digest": mark,
        "identity": dict(identity),
        "rows": {table_name: table.height for table_name, table in tables.items()},
        "notes": list(notes),
    }
    write_text(folder / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return Built(name, number, folder, manifest)


def next_version(home: Path, name: str) -> int:
    """One more than the newest complete version."""
    found = versions(home, name)
    return found[-1].version + 1 if found else 1


def views(home: Path) -> dict[str, list[Path]]:
    """The views there would be, with the Parquet files behind each.

    `verdicts` and `results` over all sealed runs (with a column `run`), `training` over training
    metrics, and `<dataset>`, `<dataset>_dropped`, `<dataset>_samples` for the newest version of each.
    """
    found: dict[str, list[Path]] = {}
    for view, pattern in {
        "verdicts": "*/verdicts.parquet",
        "results": "*/results.parquet",
        "training": "*/metrics.parquet",
    }.items():
        if files := sorted((home / "runs").glob(pattern)):
            found[view] = files
    for folder in sorted((home / "datasets").glob("*")):
        if built := versions(home, folder.name):
            stem = folder.name.replace("-", "_")
            for path in sorted(built[-1].folder.glob("*.parquet")):
                found[stem if path.stem == "rows" else f"{stem}_{path.stem}"] = [path]
    return found


def sql(home: Path, query: str) -> pl.DataFrame:
    """The answer to a query over `views`. Raises UsageError with DuckDB's own words.

    The connection can read the home folder's Parquet and nothing else on the machine or the network.
    """
    import duckdb

    connection = duckdb.connect()
    names = views(home)
    connection.execute("SET allowed_directories = [?]", [str(home.resolve()) + os.sep])
    connection.execute("SET enable_external_access = false")
    for view, files in names.items():
        listed = ", ".join(quoted(str(path.resolve())) for path in files)
        run = "string_split(filename, '/')[-2] AS run, * EXCLUDE (filename)"
        many = view in {"verdicts", "results", "training"}
        columns, options = (run, ", filename = true, union_by_name = true") if many else ("*", "")
        source = f"read_parquet([{listed}]{options})"
        connection.execute(f'CREATE VIEW "{view}" AS SELECT {columns} FROM {source}')  # noqa: S608
    try:
        return pl.DataFrame(connection.sql(query).pl())
    except duckdb.Error as problem:
        known = ", ".join(names) or "none yet"
        raise UsageError(f"SQL: {problem}", f"views: {known}") from None
    except AttributeError:
        raise UsageError("SQL: the statement gives no table", "use a SELECT") from None


def quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"
