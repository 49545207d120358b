"""Checks of a benchmark that need no model.

Does every gold pass its own scorer, are its options sound, can its images be shown, does it repeat
itself, and does the training split of its source hold the same images and questions?
"""

from collections import Counter
from dataclasses import dataclass, field, replace

from medbench import verify
from medbench.adapters import Drop, defects
from medbench.catalog import Catalog, Loaded, Place
from medbench.errors import SourceError
from medbench.evaluators.splits import Pictures, Shared, blanks, pictures, repeated, shared, training
from medbench.schema import LETTERS, Example


@dataclass(frozen=True)
class Lint:
    """What was found. `failed`, `worded` and `defective` map an example's id to the reason."""

    benchmark: str
    rows: int
    failed: dict[str, str]
    """The gold, stated by its letter or word, does not pass."""
    worded: dict[str, str]
    """The gold option's words, boxed, do not pass: only its letter can answer this question."""
    defective: dict[str, str]
    dropped: list[Drop]
    golds: dict[str, int]
    faulty: dict[str, str] = field(default_factory=dict)
    """An image is missing or can't be shown."""
    again: dict[str, str] = field(default_factory=dict)
    """The question repeats an earlier one, images, options and gold included."""
    pictures: Pictures | None = None
    shared: Shared | None = None
    labels: list[str] = field(default_factory=list)
    """Labels with outer blanks."""
    notes: list[str] = field(default_factory=list)
    """What could not be looked at, and why."""


def check(name: str, catalog: Catalog, place: Place) -> Lint:
    """The findings on one benchmark; without its images where they are not here, which is noted.

    Raises SourceError when its questions are not here.
    """
    found = catalog.examples(name, place, pictures=False)
    if not any(example.images for example in found.examples):
        return lint(name, found)
    notes = []
    try:
        found = catalog.examples(name, place)
    except SourceError as problem:
        notes.append(f"images not looked at: {problem.what}")
        return replace(lint(name, found), notes=notes)
    row, common = catalog.benchmark(name), None
    other = training(name, catalog, place)
    if isinstance(other, SourceError):
        notes.append(f"training split not looked at: {other.what}")
    elif other:
        common = shared(found, other[1], other[0])
    splits = [row.split, *([common.split] if common else [])]
    labels = blanks(name, catalog, place, splits)
    return replace(lint(name, found), shared=common, labels=labels, notes=notes)


def lint(name: str, loaded: Loaded) -> Lint:
    """The findings on one benchmark as it was loaded."""
    failed, worded, defective = {}, {}, {}
    for example in loaded.examples:
        if reason := fault(verify.gold_reply(example), example):
            failed[example.id] = reason
        if example.kind == "mcq" and (reason := fault(in_words(example), example)):
            worded[example.id] = f"by its words, {reason}"
        if found := defects(replace(example, fault=None)):
            defective[example.id] = "; ".join(found)
    golds = Counter(gold for example in loaded.examples for gold in example.gold[:1])
    common = dict(sorted(golds.items())) if len(golds) <= 26 else {}
    return Lint(
        name,
        len(loaded.examples),
        failed,
        worded,
        defective,
        loaded.dropped,
        common,
        faulty={example.id: example.fault for example in loaded.examples if example.fault},
        again=repeated(loaded.examples, loaded.journal),
        pictures=pictures(loaded),
    )


def in_words(example: Example) -> str:
    """The gold option's text as a boxed answer."""
    return f"\\boxed{{{example.options[LETTERS.index(example.gold[0])]}}}"


def fault(reply: str, example: Example) -> str | None:
    """Why `reply`, which says the gold, does not pass; None when it does."""
    verdict = verify.grade(reply, example)
    if verdict.correct:
        return None
    read = f"read as {verdict.answer}" if verdict.answer else verdict.status
    return f"gold {example.gold[0]} is {read} (rule {verdict.rule})"
