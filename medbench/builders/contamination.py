"""Which training items give a test away, by words or by images; every benchmark that is here is looked at.

Benchmarks of one split of a source are read once. What could not be looked at is named, with the reason.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import polars as pl

from medbench.builders import steps
from medbench.builders.leaks import Leaks
from medbench.builders.lookalikes import Alike, alike
from medbench.catalog import Benchmark, Catalog, Loaded, Place
from medbench.errors import SourceError
from medbench.images import Store
from medbench.images.prints import Print, pixels_of, prints
from medbench.schema import Example
from medbench.sources import Source
from medbench.sources.hub import known_files, ready, snapshot
from medbench.sources.lock import pinned
from medbench.sources.pictures import JOURNAL, noted, there

LEAK = pl.Schema(
    {
        "example": pl.String,
        "test": pl.String,
        "benchmark": pl.String,
        "how": pl.String,
        "score": pl.Float64,
        "image": pl.String,
    }
)
"""A row per training example and test question; `image` is the training image that looks like the test's."""
MOST = 100
"""Pairs told of one training example."""


UNSEEN = "not in the store"
"""Stands for an image that could not be looked at."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A test question that is given away, by words (equal, near, contains) or image (pixels, look-alike)."""

    test: str
    benchmark: str
    how: str
    score: float
    image: str | None = None


@dataclass(frozen=True)
class Tests:
    """The test questions of all benchmarks that were looked at."""

    examples: Mapping[str, Sequence[Example]]
    """By benchmark; their images are names in the store."""
    revisions: Mapping[str, str]
    absent: Mapping[str, str] = field(default_factory=dict)
    """Benchmark → why it was not looked at, or not all of its images. May name folders of this machine."""

    @property
    def notes(self) -> list[str]:
        """What was compared and what was not, in sentences that may be published."""
        questions, names = sum(map(len, self.examples.values())), ", ".join(self.examples) or "no benchmark"
        looked = f"{questions:,} test questions and {len(self.shown):,} test images of {names}"
        missing = f"Not compared, or not with all images: {', '.join(self.absent)}."
        return [f"Compared with {looked}.", *([missing] if self.absent else [])]

    @cached_property
    def benchmark(self) -> dict[str, str]:
        """The benchmark of each test question."""
        return {example.id: name for name, rows in self.examples.items() for example in rows}

    @cached_property
    def words(self) -> Leaks:
        """The index of their words."""
        return Leaks(example for rows in self.examples.values() for example in rows)

    @cached_property
    def shown(self) -> dict[str, list[str]]:
        """Image → the test questions that show it."""
        found: dict[str, list[str]] = {}
        for rows in self.examples.values():
            for example in rows:
                for image in set(example.images) - {UNSEEN}:
                    found.setdefault(image, []).append(example.id)
        return found

    @cached_property
    def looks(self) -> dict[str, Print]:
        """What `seen` keeps of the images."""
        return {}

    def seen(self, store: Store) -> list[Print]:
        """The prints of the images, made once."""
        if not self.looks and self.shown:
            self.looks.update(prints(store, self.shown))
        return list(self.looks.values())


def tests(
    catalog: Catalog,
    place: Place,
    required: Sequence[str] = (),  # noqa: PT028  no test function
    also_here: bool = True,  # noqa: PT028
    own: Collection[tuple[str, str]] = (),  # noqa: PT028
) -> Tests:
    """The test questions of `required` benchmarks and suites and, `also_here`, of all that need no download.

    Splits in `own` (source, split) that may be trained on are left out. Raises SourceError for a required
    benchmark that can't be read; of others `absent` says why.
    """
    needed = [name for one in required for name in (catalog.suite(one) if one in catalog.suites else [one])]
    groups: dict[tuple[str, str], list[str]] = {}
    trained = {(row.source, row.split) for row in catalog.benchmarks.values() if row.trainable} & set(own)
    for name in dict.fromkeys([*needed, *(catalog.benchmarks if also_here else ())]):
        row = catalog.benchmark(name)
        if (row.source, row.split) not in trained:
            groups.setdefault((row.source, row.split), []).append(name)
    examples: dict[str, list[Example]] = {}
    revisions: dict[str, str] = {}
    absent: dict[str, str] = {}
    for names in groups.values():
        seen: set[str] = set()
        asked = [name for name in names if name in needed]
        for name in different(names, catalog):
            try:
                loaded, lacking = read(name, catalog, place, bool(asked))
            except SourceError as problem:
                if asked:
                    raise needs(asked[0], needed, problem) from problem
                absent[name] = problem.what
                continue
            examples[name] = [example for example in loaded.examples if example.id not in seen]
            seen.update(example.id for example in loaded.examples)
            revisions[name] = loaded.revision
            absent |= {name: lacking} if lacking else {}
            if is_whole(name, catalog):
                break
    return Tests(examples, revisions, absent)


def needs(name: str, required: Sequence[str], problem: SourceError) -> SourceError:
    """The error for a required benchmark that can't be read."""
    rest = ",".join(other for other in dict.fromkeys(required) if other != name)
    fix = f"{problem.fix}; or leave it out: --set 'against=[{rest}]'"
    return SourceError(f"decontamination needs {name}: {problem.what}", fix)


def different(names: Sequence[str], catalog: Catalog) -> list[str]:
    """Of benchmarks on one split those that ask different rows of it, one that asks all of them first."""
    chosen: dict[object, str] = {}
    for name in names:
        chosen.setdefault(selection(catalog.benchmark(name)), name)
    return sorted(chosen.values(), key=lambda name: not is_whole(name, catalog))


def is_whole(name: str, catalog: Catalog) -> bool:
    """Whether a benchmark asks every row of its split."""
    row = catalog.benchmark(name)
    return not (row.where or row.ids or row.sample)


def selection(row: Benchmark) -> tuple[object, ...]:
    """Which rows of its split a benchmark asks."""
    where = tuple(sorted((tag, str(value)) for tag, value in row.where.items()))
    return where, row.ids and (row.ids.source, row.ids.split), row.sample, row.seed if row.sample else 0


def read(name: str, catalog: Catalog, place: Place, needed: bool) -> tuple[Loaded, str]:
    """A benchmark's questions, with the images that need no download, and what is lacking of these."""
    row = catalog.benchmark(name)
    splits = [(row.source, row.split), *([(row.ids.source, row.ids.split)] if row.ids else [])]
    if not needed:
        for source, split in splits:
            if not is_here(source, catalog.source(source), split, place):
                raise SourceError(f"{source} ({split}) has not been fetched", f"medbench check {name}")
    if needed or place.mirror:
        try:
            loaded = catalog.examples(name, place)
            lost = sum(bool(example.fault) for example in loaded.examples)
            return loaded, f"{lost:,} questions with an image that can't be shown" if lost else ""
        except SourceError as problem:
            if needed:
                raise
            loaded = catalog.examples(name, place, pictures=False)
            return replace(loaded, examples=named(loaded.examples, {})), f"only words: {problem.what}"
    return from_journal(row.source, catalog.examples(name, place, pictures=False), place)


def is_here(name: str, source: Source, split: str, place: Place) -> bool:
    """Whether a split can be read, or refused, without fetching anything."""
    if place.mirror or source.packaged:
        return True
    if source.hub and split in source.splits:
        pin = pinned(name, source, place)
        paths = known_files(pin, source, split) if pin else []
        return pin is not None and ready(
            snapshot(name, pin.revision, place), {path: pin.files[path] for path in paths}, split
        )
    original = source.original.get(split)
    if original is None or not original.url:
        return False
    [(path, digest)] = original.files.items()
    return (place.home / "sources" / f"{name}@{str(digest)[:12]}" / Path(path).name).is_file()


def from_journal(source: str, loaded: Loaded, place: Place) -> tuple[Loaded, str]:
    """Questions with those of their images that were taken in before, and how many were not."""
    references = {reference for example in loaded.examples for reference in example.images}
    if not references:
        return loaded, ""
    journal = snapshot(source, loaded.revision, place) / JOURNAL
    names = {
        reference: seen.sha256
        for reference, seen in noted(journal)
        if reference in references and seen.sha256 and there(seen, place.images)
    }
    lost = len(references - names.keys())
    return replace(loaded, examples=named(loaded.examples, names)), (
        f"{lost:,} of {len(references):,} images were not taken in yet" if lost else ""
    )


def named(examples: Iterable[Example], names: Mapping[str, str]) -> list[Example]:
    """Examples with their images by their names in the store; one without a name is still an image."""
    return [replace(e, images=tuple(names.get(r, UNSEEN) for r in e.images)) for e in examples]


def images(sha256s: Iterable[str], against: Tests, store: Store) -> dict[str, list[Hit]]:
    """Training image → the test questions that show the same, best first."""
    pairs: dict[str, list[Alike]] = {}
    for pair in alike(prints(store, sha256s).values(), against.seen(store), pixels_of(store)):
        pairs.setdefault(pair.image, []).append(pair)
    return {
        image: [
            Hit(test, against.benchmark[test], pair.how, pair.score, image)
            for pair in sorted(found, key=lambda pair: (pair.how != "pixels", -pair.score, pair.test))
            for test in against.shown[pair.test]
        ]
        for image, found in pairs.items()
    }


def words(examples: Iterable[Example], against: Tests) -> dict[str, list[Hit]]:
    """Training example → the test questions that its words give away, best first."""
    found = {}
    for example in examples:
        hits = [
            Hit(leak.test, against.benchmark[leak.test], leak.how, leak.score)
            for leak in against.words.hits(example)
        ]
        if hits:
            found[example.id] = hits
    return found


def find(examples: Sequence[Example], against: Tests, store: Store) -> pl.DataFrame:
    """Every pair of a training example and a test question that it gives away, as a `LEAK` table.

    At most 100 of one example, words before images; a pair is told once, by what shows it best.
    """
    shown = images(dict.fromkeys(i for example in examples for i in example.images), against, store)
    said = words(examples, against)
    rows = []
    for example in examples:
        best: dict[str, Hit] = {}
        for hit in (*said.get(example.id, ()), *(h for i in example.images for h in shown.get(i, ()))):
            best.setdefault(hit.test, hit)
        rows += [
            (example.id, hit.test, hit.benchmark, hit.how, hit.score, hit.image)
            for hit in list(best.values())[:MOST]
        ]
    return pl.DataFrame(rows, schema=LEAK, orient="row")


def drop_images(
    table: pl.DataFrame, examples: Sequence[Example], against: Tests, store: Store
) -> pl.DataFrame:
    """Drops rows with an image that a test shows; `detail` names the test."""
    shown = images(dict.fromkeys(i for example in examples for i in example.images), against, store)
    first = {e.id: shown[i][0] for e in examples for i in reversed(e.images) if i in shown}
    return steps.drop(table, details(first), "shows a test image")


def drop_words(table: pl.DataFrame, examples: Sequence[Example], against: Tests) -> pl.DataFrame:
    """Drops rows whose words give a test question away; `detail` names it."""
    first = {name: hits[0] for name, hits in words(examples, against).items()}
    return steps.drop(table, details(first), "leaks a test question")


def details(first: Mapping[str, Hit]) -> dict[str, str]:
    """What a dropped row says of its test."""
    return {name: f"{hit.test} ({hit.how} {hit.score:.3f})" for name, hit in first.items()}
