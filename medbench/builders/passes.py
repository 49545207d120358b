"""The pass counts a curriculum goes by: those of one solver, beside the rows of a dataset."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from medbench import difficulty, store
from medbench.config import digest_of_rows
from medbench.errors import MedbenchError, UsageError
from medbench.schema import records
from medbench.stats import wilson
from medbench.store import Built

COLUMNS = (*difficulty.COUNTS, "stopped", "in_band")
"""What conditions can speak of besides the columns of the rows."""

LITERAL = re.compile(r"'[^']*'")
NAMED = re.compile(rf"\b({'|'.join(COLUMNS)})\b", re.IGNORECASE)


@dataclass(frozen=True)
class Counts:
    """Pass counts of one solver by question (`id` and `COLUMNS`), and whose they are."""

    solver: str
    run: str
    table: pl.DataFrame

    @property
    def revisions(self) -> dict[str, str]:
        """A digest of the counts, by whose they are."""
        return {f"difficulty {self.solver}": digest_of_rows(self.table.rows())}


def mentioned(condition: str) -> bool:
    """Whether a condition speaks of pass counts.

    >>> mentioned("n_correct > 3"), mentioned("level = 'low'")
    (True, False)
    """
    return NAMED.search(LITERAL.sub("", condition)) is not None


def of(home: Path, built: Built, rows: pl.DataFrame, solver: str, *, needed: bool) -> Counts | None:
    """The counts of `solver`, named as in the table or by its run; of the only one where none is named.

    Counts of a question that reads otherwise now are left out. Raises UsageError where there are several to
    choose from, MedbenchError where there are none; both only if they are `needed` or `solver` is set.
    """
    found = [
        counts for counts in (*measured(home, built, rows), *own(built, rows)) if counts.table.height > 0
    ]
    found = [counts for counts in found if counts.run] or found
    chosen = [counts for counts in found if solver in ("", counts.solver, counts.run)]
    if len(chosen) == 1:
        return chosen[0]
    if not needed and not solver:
        return None
    ref = f"{built.name}@{built.version}"
    if not found:
        raise MedbenchError(
            f"there are no pass counts for the rows of {ref}", f"medbench difficulty {ref} --solver MODEL"
        )
    raise choice(ref, solver, found, len(chosen))


def choice(ref: str, solver: str, found: Sequence[Counts], fitting: int) -> UsageError:
    """The error for no solver, or none in particular, among several."""
    listed = "; ".join(f"{counts.solver} (in {counts.run or 'the rows'})" for counts in found)
    what = (
        f"solver '{solver}' fits {fitting} of the {len(found)} measurements of {ref}"
        if solver
        else f"{len(found)} measurements of {ref} to go by"
    )
    return UsageError(what, f"--set solver=NAME, a solver or the place it is in: {listed}")


def measured(home: Path, built: Built, rows: pl.DataFrame) -> list[Counts]:
    """The counts of each measurement of a dataset version, its own first."""
    every = store.measured(home, built)
    if every is None:
        return []
    asked = pl.DataFrame(
        {"id": rows["id"], "content": [difficulty.content(example) for example in records(rows)]},
        schema={"id": pl.String, "content": pl.String},
    )
    found = []
    for part in every.partition_by("run", *difficulty.MEASUREMENT, maintain_order=True):
        same = asked.join(
            part.rename({"example": "id"}), on=["id", "content"], how="inner", maintain_order="left"
        )
        table = same.unique("id", keep="first", maintain_order=True).select("id", *COLUMNS)
        found.append(Counts(part["solver"][0] or "", part["run"][0], table))
    return found


def own(built: Built, rows: pl.DataFrame) -> list[Counts]:
    """The counts that rows carry themselves, for datasets without a table of their own."""
    if not {"n_correct", "n_scored"} <= set(rows.columns):
        return []
    identity = built.manifest.get("identity", {})
    known = rows.drop_nulls(["n_correct", "n_scored"])
    samples = identity.get("config", {}).get("samples") or known["n_scored"].max() or 0
    bounds = [wilson(int(c), int(n)) for c, n in known.select("n_correct", "n_scored").iter_rows()]
    stopped = pl.col("stopped") if "stopped" in rows.columns else pl.lit(value=False)
    table = known.select(
        "id",
        n_samples=pl.lit(samples, pl.Int32),
        n_scored=pl.col("n_scored").cast(pl.Int32),
        n_correct=pl.col("n_correct").cast(pl.Int32),
        pass_rate=pl.when(pl.col("n_scored") > 0).then(pl.col("n_correct") / pl.col("n_scored")),
        low=pl.Series([b.low for b in bounds], dtype=pl.Float64),
        high=pl.Series([b.high for b in bounds], dtype=pl.Float64),
        stopped=stopped,
        in_band=pl.lit(None, pl.Boolean),
    )
    return [Counts(str(identity.get("solver", "the rows")), "", table)]


def beside(rows: pl.DataFrame, counts: Counts | None) -> pl.DataFrame:
    """The rows with the counts in place of columns of the same names; only a null `pass_rate` without."""
    if counts is None:
        return rows.with_columns(pass_rate=pl.lit(None, pl.Float64))
    bare = rows.drop(COLUMNS, strict=False)
    return bare.join(counts.table, on="id", how="left", maintain_order="left")
