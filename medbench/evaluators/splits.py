"""What a benchmark's questions share with each other and with the training split of their own source."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from medbench.catalog import Catalog, Loaded, Place
from medbench.errors import SourceError
from medbench.schema import Example
from medbench.sources import Malformed, Row, raw_rows
from medbench.sources.pictures import path_of, rows

LABELS = 30
"""A column with at most so many values, blanks aside, each found twice on average, holds labels."""

SUFFIXES = {"JPEG": (".jpg", ".jpeg", ".jpe"), "PNG": (".png",), "GIF": (".gif",), "WEBP": (".webp",)}


@dataclass(frozen=True)
class Pictures:
    """The images of a benchmark: how many are different to the eye, and which files are odd."""

    different: int
    frames: dict[str, int]
    """File → its number of frames, where that is more than one and none was chosen."""
    mislabelled: dict[str, str]
    """File → its true format, where its name says another."""


@dataclass(frozen=True)
class Shared:
    """What a benchmark and the training split have in common."""

    split: str
    rows: int
    images: int
    """Images of the benchmark whose pixels are in that split too."""
    questions: dict[str, str]
    """Question of the benchmark → one of that split with the same images, words and gold."""


def pictures(loaded: Loaded) -> Pictures | None:
    """What is known of a benchmark's images."""
    if loaded.journal is None:
        return None
    wanted = {sha256 for example in loaded.examples for sha256 in example.images}
    pixels, frames, mislabelled = set(), {}, {}
    for row in rows(loaded.journal):
        if row.get("sha256") not in wanted:
            continue
        pixels.add(row["pixels"])
        path, _ = path_of(row["reference"])
        if row["frames"] > 1 and path == row["reference"]:
            frames[path] = row["frames"]
        suffix = PurePosixPath(path).suffix.lower()
        known = {end for ends in SUFFIXES.values() for end in ends}
        if suffix in known and suffix not in SUFFIXES.get(row["format"], ()):
            mislabelled[path] = row["format"]
    return Pictures(len(pixels), frames, mislabelled)


def seen(journals: Iterable[Path | None]) -> dict[str, str]:
    """Image in the store → what identifies its pixels."""
    return {
        row["sha256"]: row["pixels"] for path in journals if path for row in rows(path) if "pixels" in row
    }


def item(example: Example, pixels: Mapping[str, str]) -> tuple[object, ...]:
    """What makes two questions the same: images, words, options and gold."""
    images = tuple(pixels.get(sha256, sha256) for sha256 in example.images)
    words = " ".join(example.question.casefold().split())
    return images, words, example.options, tuple(gold.casefold() for gold in example.gold)


def shared(loaded: Loaded, other: Loaded, split: str) -> Shared:
    """What the questions of a benchmark share with those of a split."""
    pixels = seen((loaded.journal, other.journal))
    theirs = {item(example, pixels): example.id for example in other.examples}
    images = {pixels.get(sha256, sha256) for example in other.examples for sha256 in example.images}
    own = {pixels.get(sha256, sha256) for example in loaded.examples for sha256 in example.images}
    same = {e.id: theirs[key] for e in loaded.examples if (key := item(e, pixels)) in theirs}
    return Shared(split, len(other.examples), len(own & images), same)


def training(name: str, catalog: Catalog, place: Place) -> tuple[str, Loaded] | SourceError | None:
    """The training split of a benchmark's source; an error where it is not here, None where there is none."""
    row = catalog.benchmark(name)
    source = catalog.source(row.source)
    if row.split == "train" or "train" not in {*source.splits, *source.original}:
        return None
    try:
        return "train", catalog.training_rows(row.source, "train", place)
    except SourceError as problem:
        return problem


def repeated(examples: Sequence[Example], journal: Path | None) -> dict[str, str]:
    """Question → the earlier one that it repeats."""
    pixels = seen((journal,))
    first: dict[tuple[object, ...], str] = {}
    again = {}
    for example in examples:
        key = item(example, pixels)
        if key in first:
            again[example.id] = first[key]
        first.setdefault(key, example.id)
    return again


def blanks(name: str, catalog: Catalog, place: Place, splits: Iterable[str]) -> list[str]:
    """Labels that begin or end in a blank, by split and column."""
    source = catalog.benchmark(name).source
    found = []
    for split in splits:
        try:
            table = raw_rows(source, catalog.source(source), split, place).rows
        except SourceError:
            continue
        for (column, value), count in sorted(outer_blanks(table).items()):
            found.append(f"{column} {value!r} begins or ends in a blank ({count:,} in split {split})")
    return found


def outer_blanks(table: Iterable[Row | Malformed]) -> Counter[tuple[str, str]]:
    """How often each label with outer blanks occurs, by column."""
    values: dict[str, Counter[str]] = defaultdict(Counter)
    for row in table:
        for column, value in () if isinstance(row, Malformed) else row.items():
            if isinstance(value, str) and len(values[column]) <= 4 * LABELS and not column.startswith("_"):
                values[column][value] += 1
    return Counter(
        {
            (column, value): count
            for column, counts in values.items()
            if 2 * len({value.strip() for value in counts}) <= min(counts.total(), 2 * LABELS)
            for value, count in counts.items()
            if value != value.strip()
        }
    )
