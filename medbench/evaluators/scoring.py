"""Grade replies that already exist: those of a run, or of a file. Nobody is asked anything.

regrade(folder, catalog, place)      the replies of a finished run, its questions loaded again
score(name, examples, replies)       the replies of a file to the questions of a benchmark or a file
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from medbench import verify
from medbench.catalog import Catalog, Place, fingerprint
from medbench.errors import MedbenchError, SourceError, UsageError
from medbench.evaluators.metrics import macro, summarise
from medbench.evaluators.replies import Given, join
from medbench.evaluators.sensitivity import Peer, Read, Report, columns, reads, report
from medbench.evaluators.sensitivity import peer as peer_of
from medbench.files import write_whole
from medbench.parity import Profile
from medbench.runs import read_manifest
from medbench.schema import LETTERS, VERDICT, Example

SUFFIXES = (".jsonl", ".parquet")
OUT = ("example", "sample", "answer", "rule", "status", "correct")


@dataclass(frozen=True)
class Graded:
    """The graded replies to one set of questions. `verdicts` is table VERDICT, in the replies' order."""

    name: str
    examples: Mapping[str, Example]
    verdicts: pl.DataFrame
    in_suite: bool = False

    @property
    def missing(self) -> int:
        """Questions without any reply."""
        return len(self.examples) - self.verdicts["example"].n_unique()

    @property
    def samples(self) -> int:
        """The most replies that any question has."""
        return int(self.verdicts.group_by("example").len()["len"].max() or 1)  # type: ignore[arg-type]

    def reads(self) -> list[Read]:
        """The replies that could be scored."""
        return reads(self.verdicts, self.examples)

    def results(self) -> pl.DataFrame:
        """Table RESULT over the replies that are there."""
        ordered = self.verdicts.sort("sample", maintain_order=True)
        return summarise(ordered, list(self.examples.values()), self.samples)


@dataclass(frozen=True)
class Scored:
    """What grading gave. `source` says what was graded, `results` is table RESULT."""

    source: Mapping[str, str]
    parts: Sequence[Graded]
    results: pl.DataFrame

    @classmethod
    def of(cls, source: Mapping[str, str], parts: Sequence[Graded], suite: str | None = None) -> "Scored":
        """The figures of some graded sets, and the macro average of a suite's."""
        results = [part.results() for part in parts]
        members = [part.verdicts for part in parts if part.in_suite]
        if suite and len(members) > 1:
            results.append(macro(suite, pl.concat(members)))
        return cls(source, parts, pl.concat(results))

    @property
    def verdicts(self) -> pl.DataFrame:
        """All graded replies as one table VERDICT."""
        return pl.concat([part.verdicts for part in self.parts])

    @property
    def missing(self) -> int:
        """Questions without a reply."""
        return sum(part.missing for part in self.parts)

    def peers(self, profile: Profile) -> dict[str, Peer]:
        """What a profile says, by the name of the part."""
        found = {part.name: peer_of(profile, part.reads()) for part in self.parts}
        return {name: peer for name, peer in found.items() if peer}

    def reports(self) -> dict[str, Report]:
        """What all profiles say, by the name of the part."""
        found = {part.name: report(part.reads()) for part in self.parts}
        return {name: report for name, report in found.items() if report}

    def counts(self, column: str) -> dict[str, int]:
        """How many replies have each value of a column, most frequent first."""
        counted = self.verdicts.group_by(column).len().sort("len", column, descending=[True, False])
        return dict(counted.iter_rows())


def score(
    name: str, examples: Sequence[Example], replies: Iterable[Given], *, source: Mapping[str, str]
) -> Scored:
    """The replies of a file, graded. Raises UsageError when they do not fit the questions."""
    given = join(replies, examples, source["replies"])
    known = {example.id: example for example in examples}
    extra = given.with_columns(
        pl.lit(name).alias("benchmark"), tokens_in=pl.lit(0, pl.Int32), tokens_out=pl.lit(0, pl.Int32)
    )
    return Scored.of(source, [Graded(name, known, judged(extra, known))])


def judged(given: pl.DataFrame, examples: Mapping[str, Example]) -> pl.DataFrame:
    """Table VERDICT of replies: `given` with what today's reader makes of each."""
    rows = []
    clusters = []
    for name, reply, finish in given.select("example", "reply", "finish").iter_rows():
        verdict = verify.grade(reply, examples[name], finish)
        rows.append((verdict.answer, verdict.rule, verdict.status, verdict.correct))
        clusters.append(examples[name].cluster)
    columns = ("answer", "rule", "status", "correct")
    read = pl.DataFrame(rows, schema={column: VERDICT[column] for column in columns}, orient="row")
    about = pl.Series("cluster", clusters, VERDICT["cluster"])
    return given.drop(columns, strict=False).with_columns(about, *read).select(VERDICT.names())


def regrade(folder: Path, catalog: Catalog, place: Place) -> Scored:
    """The replies of a finished run, graded by today's reader; its folder is only read.

    Raises MedbenchError when the run is not finished, UsageError when it is no evaluation, and SourceError
    when the catalog's questions are not those the run asked.
    """
    if read_manifest(folder).get("kind") != "eval":
        raise UsageError(f"run {folder.name} is not an evaluation", "see 'medbench list runs'")
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        verdicts = pl.read_parquet(folder / "verdicts.parquet")
    except (OSError, ValueError, pl.exceptions.PolarsError) as problem:
        raise MedbenchError(
            f"run {folder.name} is damaged: {problem}", "repeat its command with --fresh"
        ) from None
    members = catalog.suites[config["suite"]].benchmarks if config.get("suite") in catalog.suites else ()
    parts = []
    for name in config["data"]:
        known = asked(folder.name, name, config, catalog, place)
        part = verdicts.filter(pl.col("benchmark") == name)
        parts.append(Graded(name, known, judged(part, known), name in members))
    return Scored.of({"run": folder.name}, parts, config.get("suite"))


def asked(
    run: str, name: str, config: Mapping[str, Any], catalog: Catalog, place: Place
) -> dict[str, Example]:
    """The questions of one benchmark that a run asked, by id, loaded again and compared by their digest."""
    if name not in catalog.benchmarks:
        raise UsageError(
            f"run {run} asked benchmark '{name}', which the catalog does not have", "give --catalog"
        )
    loaded = catalog.examples(name, place, limit=config.get("limit"))
    examples = loaded.examples
    about = config["data"][name]
    if about.get("examples") not in digests(examples):
        raise SourceError(
            f"the questions of '{name}' are not those that run {run} asked: "
            f"they come from {loaded.revision} now, and from {about['revision']} then",
            "give the mirror, catalog and lock of then, or repeat the evaluation",
        )
    return {example.id: example for example in examples}


def digests(examples: Sequence[Example]) -> set[str]:
    """What a run's config may call these questions: runs of 0.1 knew no labels."""
    found = {fingerprint(examples)}
    if not any(example.labels for example in examples):
        found.add(fingerprint(examples, ("labels",)))
    return found


def writable(out: Path, inputs: Iterable[Path | None] = ()) -> Path:
    """`out`, refused where no result can or should be written."""
    if out.suffix not in SUFFIXES:
        raise UsageError(f"--out {out}: a file ends in {' or '.join(SUFFIXES)}")
    if out.is_dir():
        raise UsageError(f"--out {out} is a folder", "name a file in it")
    for path in inputs:
        if path and (out.resolve() == path.resolve() or out.resolve().is_relative_to(path.resolve())):
            raise UsageError(f"--out {out} would change what is read", "write to another file")
    return out


def rows(scored: Scored, peer: Profile | None = None) -> pl.DataFrame:
    """One row per reply: id, sample, answer, rule, status, correct, as the user's items call the answers.

    A run adds the column `benchmark`, and a profile those of `sensitivity.columns`.
    """
    parts = []
    for part in scored.parts:
        called = [shown(part, *row) for row in part.verdicts.select("example", "answer").iter_rows()]
        table = part.verdicts.select(OUT).with_columns(pl.Series("answer", called, pl.String))
        table = table.rename({"example": "id"})
        if "run" in scored.source:
            table = table.with_columns(pl.lit(part.name).alias("benchmark"))
        if peer:
            table = table.with_columns(*columns(peer, part.verdicts, part.examples))
        parts.append(table)
    return pl.concat(parts)


def shown(part: Graded, name: str, answer: str | None) -> str | None:
    """An answer in the item's own labels, where it has some."""
    example = part.examples[name]
    if answer is None or not example.labels or example.kind not in ("mcq", "multi"):
        return answer
    labels = [example.labels[LETTERS.index(letter)] for letter in answer]
    return ("" if all(len(label) == 1 for label in labels) else ",").join(labels)


def write(table: pl.DataFrame, out: Path) -> Path:
    """`table` as JSON lines or Parquet, by the suffix of `out`; the file is whole or not there."""
    return write_whole(out, table.write_parquet if out.suffix == ".parquet" else table.write_ndjson)
