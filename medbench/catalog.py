"""What there is to measure and to build: rows of `catalog.yaml`, and the Examples behind them.

A user's own rows (`--catalog FILE`) are merged by name; a name twice is an error, so a packaged row
never changes its meaning.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, Literal, TypeVar

import pydantic

from medbench import adapters
from medbench.adapters import Drop
from medbench.adapters.orders import reordered
from medbench.config import Config, digest, digest_of_rows, parse, read_yaml
from medbench.errors import SourceError, UsageError, unknown
from medbench.rubrics import Judge
from medbench.schema import EXAMPLE, Example, as_row
from medbench.sources import Fetched, Malformed, Place, Source, raw_rows
from medbench.sources.pictures import JOURNAL, pictured

__all__ = ["Benchmark", "Catalog", "Dataset", "Drop", "Judge", "Loaded", "Place", "Source", "Suite"]

MAX_BAD = 0.02
"""Share of unusable rows above which a split is refused."""

MAX_BAD_OWN = 0.5
"""The same for a folder of the user's own, whose rows nobody has looked through before."""


class Ids(Config):
    """A split that lists ids."""

    source: str
    split: str


class Benchmark(Config):
    """Questions as they are put to a model and scored."""

    source: str
    split: str
    where: dict[str, str | tuple[str, ...]] = pydantic.Field(default_factory=dict)
    """Tag (or `kind`, `split`, `lang`) → the value a row must have, or one of several."""
    ids: Ids | None = None
    """Only rows whose own id is listed there."""
    sample: int | None = pydantic.Field(None, ge=1)
    """Only so many of the questions, chosen by a hash of their ids and `seed`."""
    size: int | None = None
    """Rows that must result."""
    prompt: str = "mcq-boxed"
    scorer: Literal["match"] = "match"
    """How a reply is graded; `match` compares it with the gold, by the kind of the question."""
    context: bool = True
    """Whether the abstract or case note is shown."""
    option_order: Literal["source", "shuffled"] = "source"
    """`shuffled` asks each question in seeded orders, never the source's and never one twice.

    Questions whose options name letters ("both A and C") keep their order.
    """
    repeats: int = pydantic.Field(1, ge=1)
    """In how many option orders each question is asked."""
    seed: int = 0
    trainable: bool = False
    """Whether these questions are also there to be trained on; a row must say so itself."""
    cite: str = ""
    """Whom to cite; the source's authors if empty."""
    notes: str = ""
    defects: str = ""
    """What is known to be wrong with it."""


class Suite(Config):
    """Benchmarks that are run together."""

    title: str
    benchmarks: tuple[str, ...]
    parts: dict[str, tuple[str, ...]] = pydantic.Field(default_factory=dict)
    """Part → its benchmarks, e.g. in and out of the domain of training; each part gets its own average."""
    provenance: Literal["", "stated", "secondary", "reconstruction"] = ""
    """Whether a paper says that these are its benchmarks, someone else does, or we infer it."""
    notes: str = ""


class Dataset(Config):
    """A dataset medbench can build."""

    builder: str
    title: str
    license: str
    cite: str
    config: dict[str, Any] = pydantic.Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Loaded:
    """Examples, the rows left out with reasons, and the version of the data they came from."""

    examples: list[Example]
    dropped: list[Drop]
    revision: str
    journal: Path | None = None
    """Where the facts of its images are, if it has any."""


C = TypeVar("C", bound=Config)
Tables = dict[str, dict[str, dict[str, Any]]]
TABLES = ("sources", "benchmarks", "suites", "datasets", "judges")


@dataclass(frozen=True, slots=True)
class Catalog:
    """All rows, typed."""

    sources: dict[str, Source]
    benchmarks: dict[str, Benchmark]
    suites: dict[str, Suite]
    datasets: dict[str, Dataset]
    judges: dict[str, Judge] = field(default_factory=dict)

    @classmethod
    def load(cls, extra: Sequence[Path] = ()) -> "Catalog":
        """The packaged catalog, with the rows of the user's own files."""
        packaged = Path(str(resources("medbench") / "catalog.yaml"))
        tables = merge([packaged, *extra])
        benchmarks = {name: inherited(name, tables["benchmarks"]) for name in tables["benchmarks"]}
        catalog = cls(
            typed(Source, "source", tables["sources"]),
            typed(Benchmark, "benchmark", benchmarks),
            typed(Suite, "suite", tables["suites"]),
            typed(Dataset, "dataset", tables["datasets"]),
            typed(Judge, "judge", tables["judges"]),
        )
        catalog.check_names()
        return catalog

    def check_names(self) -> None:
        """Refuse rows that name a source or benchmark there isn't."""
        for row in self.benchmarks.values():
            for source in {row.source, row.ids.source if row.ids else row.source}:
                named(self.sources, "source", source)
        for title, suite in self.suites.items():
            if title in self.benchmarks or not suite.benchmarks:
                raise UsageError(
                    f"suite '{title}' is empty, or has a benchmark's name", "give it another name"
                )
            for name in suite.benchmarks:
                self.benchmark(name)
            for part, names in suite.parts.items():
                if strange := set(names) - set(suite.benchmarks):
                    raise UsageError(f"suite '{title}': part '{part}' has {min(strange)}, the suite has not")

    def source(self, name: str) -> Source:
        """The source called `name`."""
        return named(self.sources, "source", name)

    def benchmark(self, name: str) -> Benchmark:
        """The benchmark called `name`."""
        return named(self.benchmarks, "benchmark", name)

    def suite(self, name: str) -> list[str]:
        """The benchmarks of the suite called `name`."""
        return list(named(self.suites, "suite", name).benchmarks)

    def dataset(self, name: str) -> Dataset:
        """The dataset called `name`."""
        return named(self.datasets, "dataset", name)

    def judge(self, name: str) -> Judge:
        """The judge called `name`."""
        return named(self.judges, "judge", name)

    def examples(self, name: str, place: Place, *, limit: int | None = None, pictures: bool = True) -> Loaded:
        """The questions of a benchmark, exactly as many as the catalog says, or a fair sample of `limit`.

        Without `pictures` the images stay references of the source, and none is opened.
        """
        row = self.benchmark(name)
        fetched, loaded = self.split(row.source, row.split, place)
        kept = [example for example in loaded.examples if fits(example, row.where)]
        if row.ids:
            kept = self.only(kept, row.ids, place)
        if not row.context:
            kept = [replace(example, context=None) for example in kept]
        if row.option_order == "shuffled":
            kept = [turn for example in kept for turn in reordered(example, row.repeats, row.seed)]
        kept = chosen(kept, row.sample, f"sample:{row.seed}")
        if row.size is not None and len(kept) != row.size:
            raise short(name, row.size, len(kept), loaded.dropped, fetched.note)
        loaded = replace(loaded, examples=chosen(kept, limit))
        return settled(fetched, loaded, place) if pictures else referring(loaded)

    def training_rows(self, source: str, split: str, place: Place, *, pictures: bool = True) -> Loaded:
        """Every usable row of a split, for builders."""
        fetched, loaded = self.split(source, split, place)
        return settled(fetched, loaded, place) if pictures else loaded

    def split(self, name: str, split: str, place: Place) -> tuple[Fetched, Loaded]:
        """A split of a source as Examples; refused when too many of its rows can't be used."""
        source = self.source(name)
        fetched = raw_rows(name, source, split, place)
        adapter = adapters.resolve(fetched.adapter, **fetched.args)
        examples, drops = adapters.adapt(fetched.rows, adapter, source=name, split=split)
        total = len(examples) + len(drops)
        most = MAX_BAD if source.folder is None else MAX_BAD_OWN
        if len(drops) > most * total:
            raise SourceError(
                f"{name} ({split}): {len(drops):,} of {total:,} rows cannot be used: {reasons(drops)}",
                f"more than {most:.0%} is taken for a wrong layout or a damaged file: get it again",
            )
        if fetched.expected is not None and total != fetched.expected:
            raise short(f"{name} ({split})", fetched.expected, total, drops, fetched.note)
        return fetched, Loaded(examples, drops, fetched.revision)

    def only(self, examples: Iterable[Example], ids: Ids, place: Place) -> list[Example]:
        """The examples whose own id a split lists."""
        fetched = raw_rows(ids.source, self.source(ids.source), ids.split, place)
        wanted = {row.get("_key") for row in fetched.rows if not isinstance(row, Malformed)}
        return [example for example in examples if example.id.rpartition("/")[2] in wanted]


def referring(loaded: Loaded) -> Loaded:
    """Examples that name their images as their source does, clustered by the first."""
    examples = [
        replace(e, cluster=e.cluster or f"image:{e.images[0]}") if e.images else e for e in loaded.examples
    ]
    return replace(loaded, examples=examples)


def settled(fetched: Fetched, loaded: Loaded, place: Place) -> Loaded:
    """Examples with their images in the store; one that can't be shown is its question's fault."""
    if not any(example.images for example in loaded.examples):
        return loaded
    assert fetched.album is not None and fetched.folder is not None
    journal = fetched.folder / JOURNAL
    examples = pictured(loaded.examples, fetched.album, place.images, journal)
    return replace(loaded, examples=examples, journal=journal)


def fingerprint(examples: Iterable[Example], leaving: Collection[str] = ()) -> str:
    """A digest of the words of examples, fields in `leaving` left out.

    Which images they show is not in it: every request says so itself, and an image that is mended changes
    the requests that show it alone.
    """
    examples = list(examples)
    later = () if any(example.rubric for example in examples) else ("rubric",)  # so that older runs go on
    kept = [name for name in EXAMPLE if name not in ("images", "fault", *later, *leaving)]
    rows = (as_row(replace(e, cluster=None) if derived(e) else e) for e in examples)
    return digest_of_rows([row[name] for name in kept] for row in rows)


def derived(example: Example) -> bool:
    """Whether an example is clustered by its image."""
    return (example.cluster or "").startswith("image:")


def chosen(examples: Sequence[Example], limit: int | None, salt: str = "limit") -> list[Example]:
    """At most `limit` examples, picked by the hash of their ids, in their own order."""
    if limit is None or limit >= len(examples):
        return list(examples)
    picked = set(sorted((example.id for example in examples), key=lambda i: digest(f"{salt}:{i}"))[:limit])
    return [example for example in examples if example.id in picked]


def merge(paths: Sequence[Path]) -> Tables:
    """The tables of several catalog files as one."""
    merged: Tables = {table: {} for table in TABLES}
    for path in paths:
        for table, rows in read_yaml(path).items():
            if table not in merged:
                near = unknown("table", table, TABLES)
                raise UsageError(f"{path}: {near.what}", near.fix)
            if not isinstance(rows, dict) or not all(isinstance(row, dict) for row in rows.values()):
                raise UsageError(f"{path}: '{table}' must map names to rows")
            if twice := merged[table].keys() & rows.keys():
                raise UsageError(
                    f"{path}: {table} already has a row '{min(twice)}'", "give yours another name"
                )
            merged[table] |= rows
    return merged


def inherited(name: str, rows: Mapping[str, dict[str, Any]], seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """A row with what it takes over from the one it is `like`."""
    row = dict(rows[name])
    parent = row.pop("like", None)
    if parent is None:
        return row
    if parent in seen or parent == name:
        raise UsageError(f"benchmark {name}: '{parent}' is like itself", "break the circle")
    if not isinstance(parent, str) or parent not in rows:
        raise unknown("benchmark", str(parent), rows)
    taken = inherited(parent, rows, (*seen, name))
    taken.pop("trainable", None)  # a held-out twin of a training set is not one
    return {**taken, **row}


def typed(model: type[C], kind: str, rows: Mapping[str, dict[str, Any]]) -> dict[str, C]:
    """Rows as typed objects; names become folder names, so they must be plain."""
    for name in rows:
        if not isinstance(name, str):
            raise UsageError(f"{kind} {name!r}: a name must be text", f"write '{name}' in quotes")
        if not name.replace("-", "").replace("_", "").replace(".", "").isalnum() or name[0] == ".":
            raise UsageError(f"{kind} '{name}': a name has letters, digits, '-', '_' and '.' only")
    return {name: parse(model, row, f"{kind} {name}") for name, row in rows.items()}


def named(rows: Mapping[str, C], kind: str, name: str) -> C:
    """A row by name; an unknown one offers the nearest."""
    try:
        return rows[name]
    except KeyError:
        raise unknown(kind, name, rows) from None


def fits(example: Example, where: Mapping[str, str | tuple[str, ...]]) -> bool:
    """Whether an example has the wanted tags."""
    has = {"kind": example.kind, "split": example.split, "lang": example.lang, **example.tags}
    return all(
        has.get(tag) in ((wanted,) if isinstance(wanted, str) else wanted) for tag, wanted in where.items()
    )


def reasons(drops: Iterable[Drop]) -> str:
    """The reasons of some drops with their counts, most frequent first."""
    counts = Counter(drop.reason for drop in drops).most_common(5)
    return ", ".join(f"{reason} ({count:,})" for reason, count in counts)


def short(name: str, expected: int, found: int, drops: Sequence[Drop], note: str) -> SourceError:
    """The error for a split that does not hold what the catalog says."""
    dropped = f" ({len(drops):,} dropped: {reasons(drops)})" if drops else ""
    return SourceError(
        f"{name}: {found:,} rows result, the catalog says {expected:,}{dropped}",
        note
        or "the data changed or is incomplete: get it again, or describe this version in a catalog of "
        "your own (--catalog FILE) with its own size",
    )
