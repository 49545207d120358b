"""What of which source goes into a data set: the terms it may be used under, and the rows to be tried."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from random import Random

import pydantic

from medbench import catalog as catalogs
from medbench.builders.leaks import within, words
from medbench.catalog import Catalog, Loaded, Place, Source
from medbench.config import Config, digest
from medbench.errors import SourceError, UsageError
from medbench.schema import LETTERS, Example, Kind
from medbench.sources import Fetched

NEVER = {
    "omnimedvqa": "the paper evaluates on it without training data that overlaps",
    "mmmu": "the paper evaluates on it without training data that overlaps",
}
"""Sources that must not be trained on, and why."""

OFFERED = 4
"""Options of a question that is made from one answered in words."""

LONGEST = 6
"""Words of an answer that can become an option."""


NOT_STATED = "not stated"

TWINS = 0.85
"""Likeness in spelling from which two answers are one, misspelt."""

SAME = (
    frozenset({"mri", "mr", "t1", "t2", "flair", "t1wi", "t2wi"}),
    frozenset({"black", "dark", "hypodense", "hypointense", "hypodensity"}),
    frozenset({"white", "bright", "hyperdense", "hyperintense", "hyperdensity"}),
    frozenset({"head", "brain", "skull"}),
    frozenset({"axial", "transverse", "transversal", "transection"}),
    frozenset({"coronal", "frontal"}),
)
"""Words of which several can be right at once: a kind and what it is part of, or two names of one thing."""

Said = tuple[str, ...]
"""The words of an answer."""


class Intake(Config):
    """How one source is taken in."""

    split: str = "train"
    draft: bool = False
    """Its rows are images with captions, which the teacher writes questions from."""
    kinds: tuple[Kind, ...] = ()
    """Kinds of questions that are taken; all if empty."""
    lang: str = "en"
    choices_by: str | None = None
    """A tag: open and closed answers become four options, the wrong ones other answers with the same tag."""
    folder: Path | None = pydantic.Field(None, exclude=True)
    """Images with captions of your own instead of a source of the catalog. Never published."""
    licence: str = NOT_STATED
    """Terms of that folder."""


@dataclass(frozen=True)
class Pool:
    """The rows of a source, their images not yet looked at."""

    name: str
    intake: Intake
    source: Source
    fetched: Fetched
    loaded: Loaded

    @property
    def fit(self) -> list[Example]:
        """Its rows that are of the kinds and the language taken."""
        return [e for e in self.loaded.examples if misfit(e, self.intake) is None]

    def candidates(self, seed: int, most: int) -> list[Example]:
        """At most so many of its usable rows, in a seeded order, so that stopping early is fair to all."""
        return sorted(self.fit, key=lambda e: digest([seed, e.id]))[:most]

    def pictured(self, examples: Sequence[Example], place: Place) -> list[Example]:
        """Some of its rows with their images in the store."""
        return catalogs.settled(self.fetched, replace(self.loaded, examples=list(examples)), place).examples


def misfit(example: Example, intake: Intake) -> str | None:
    """Why a row is not taken; None if it is."""
    if intake.lang and example.lang != intake.lang:
        return "another language"
    if intake.kinds and example.kind not in intake.kinds:
        return "kind not taken"
    if intake.draft != (example.kind == "free"):
        return "no caption" if intake.draft else "no question"
    return None


def opened(
    intakes: Mapping[str, Intake],
    quotas: Mapping[str, int],
    accept: Sequence[str],
    catalog: Catalog,
    place: Place,
) -> tuple[dict[str, Pool], list[str]]:
    """The pools of the sources that have a quota, and a sentence for each that stays shut.

    A source whose terms forbid or leave unclear whether rows may be passed on stays shut unless it is in
    `accept`.
    """
    pools, notes = {}, []
    for name, intake in intakes.items():
        if not quotas.get(name):
            continue
        source = described(name, intake, catalog)
        if not source.redistribute and name not in accept and intake.folder is None:
            notes.append(
                f"{name} is left out ({quotas[name]:,} questions): {source.license}. "
                f"--set 'accept=[{name}]' takes it in."
            )
            continue
        try:
            fetched, loaded = sole(name, intake, source, catalog).split(name, intake.split, place)
        except SourceError as problem:
            fix = f"{problem.fix}; or leave it out: --set quotas.{name}=0"
            raise SourceError(problem.what, fix) from problem
        pools[name] = Pool(name, intake, source, fetched, loaded)
    if not pools:
        raise UsageError(
            "no source is left to build from", "; ".join(notes) or "give one a quota: --set quotas.NAME=100"
        )
    return pools, notes


def described(name: str, intake: Intake, catalog: Catalog) -> Source:
    """The source of an intake. Raises UsageError for one that must not be trained on."""
    if intake.folder is not None:
        folder = intake.folder.expanduser()
        if name in catalog.sources:
            raise UsageError(f"'{name}' is a source of the catalog", "give your folder another name")
        if not folder.is_dir():
            raise UsageError(f"{name}: {folder} is not a folder")
        return Source(
            title=f"Images and captions in {folder.name}",
            license=intake.licence,
            folder=folder,
            adapter="captions:pairs",
            redistribute=intake.licence != NOT_STATED,
        )
    source = catalog.source(name)
    if why := NEVER.get(name) or next(
        (w for n, w in NEVER.items() if source.hub == catalog.sources[n].hub), None
    ):
        raise UsageError(f"'{name}' cannot be a source: {why}", "take it out of sources")
    for bench, row in catalog.benchmarks.items():
        if (row.source, row.split) == (name, intake.split) and not row.trainable:
            raise UsageError(
                f"split '{intake.split}' of {name} is the benchmark {bench}, not training data",
                f"--set sources.{name}.split=train",
            )
    return source


def sole(name: str, intake: Intake, source: Source, catalog: Catalog) -> Catalog:
    """The catalog that has the source: the one there is, or that with a folder put in."""
    return (
        replace(catalog, sources={**catalog.sources, name: source}) if intake.folder is not None else catalog
    )


def with_choices(
    examples: Sequence[Example], among: Sequence[Example], tag: str, seed: int
) -> tuple[list[Example], dict[str, str]]:
    """Questions whose short answers became one of four options, and why others could not.

    Wrong options are answers to those questions of `among` that have the same value of `tag`, drawn by a
    seeded hash: none that may be right too, nor one that another question on the same image has. Other kinds
    of questions stay as they are, and closed ones for which there are no options.
    """
    answers: dict[str, dict[Said, str]] = {}
    shown: dict[tuple[object, ...], set[Said]] = {}
    for example in among:
        if example.kind in ("open", "closed"):
            said, value = words(example.gold[0]), example.tags.get(tag, "")
            shown.setdefault((example.images, value), set()).add(said)
            if said and len(said) <= LONGEST:
                answers.setdefault(value, {}).setdefault(said, example.gold[0])
    made, left = [], {}
    for example in examples:
        if example.kind not in ("open", "closed"):
            made.append(example)
            continue
        value = example.tags.get(tag, "")
        group, right = answers.get(value, {}), {words(gold) for gold in example.gold}
        seen = shown.get((example.images, value), set()) | right
        others = [text for said, text in sorted(group.items()) if not any(alike(said, one) for one in seen)]
        told = within(words(example.gold[0]), words(example.question))
        if words(example.gold[0]) in group and value and len(others) >= OFFERED - 1 and not told:
            made.append(offering(example, others, seed))
        elif example.kind == "closed":
            made.append(example)
        else:
            left[example.id] = "no options for its answer"
    return made, left


@cache
def alike(said: Said, right: Said) -> bool:
    """Whether an answer may be right where another is.

    It holds the other or is held in it, is spelt nearly like it, or stands beside it in `SAME`.
    """
    if set(said) <= set(right) or set(right) <= set(said):
        return True
    if any(group & set(said) and group & set(right) for group in SAME):
        return True
    return SequenceMatcher(None, " ".join(said), " ".join(right)).ratio() >= TWINS


def offering(example: Example, others: Sequence[str], seed: int) -> Example:
    """A question answered in words as one with four options."""
    chance = Random(f"options:{seed}:{example.id}")
    options = [example.gold[0], *chance.sample(others, OFFERED - 1)]
    chance.shuffle(options)
    gold = LETTERS[options.index(example.gold[0])]
    return replace(example, kind="mcq", options=tuple(options), gold=(gold,))
