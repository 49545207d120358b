"""Where a question belongs: modality, clinical task and level, by its source's labels, else by its words.

The names, the sources' labels and the patterns are `taxonomy.yaml`, all of them our reconstruction.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import pydantic

from medbench.config import Config, parse, read_yaml
from medbench.schema import LETTERS, Example

LONGEST = 40
"""Words of a question beyond which it is a case note: its last sentence asks, and many images are named."""

MOST = 2_000
"""Characters of a text that are looked at."""

APART = re.compile(r"[\s_-]+")
HYPOTHETICAL = re.compile(
    r"\b(?:would|should|recommend\w*|next|first imaging|best (?:seen|evaluated|imaging)|confirm)\b"
    r"|\b(?:compared (?:to|with)|than|previous|prior|unlike) (?:an? |the )?",
    re.IGNORECASE,
)
"""What speaks of imaging that is not shown."""

SENTENCE = re.compile(r"(?<=[.!?]) +(?=\S)")
DENIED = re.compile(r"\bnot\b|n't\b", re.IGNORECASE)
POINTED = re.compile(r"\b(?:the|this|that|these|above)(?: (?!an?\b)\w+)?\s*$", re.IGNORECASE)
"""What comes before a modality that is taken for granted: "in this chest CT"."""

EITHER = re.compile(r"^\s*(?:is|was) this (?:a |an )?.*\bor\b", re.IGNORECASE)
"""A question that takes its modality for granted: "is this a contrast or noncontrast ct?"."""


def plain(text: str) -> str:
    """A label without regard to case, hyphens and underscores, or quotes and a full stop around it.

    >>> plain(" CT_Scan. "), plain("X-Ray")
    ('ct scan', 'x ray')
    """
    return APART.sub(" ", text.casefold().strip(" \t\r\n.\"'`*")).strip()


def spelled(table: object) -> object:
    """A table whose labels are written as `plain` writes them."""
    return {plain(str(name)): value for name, value in table.items()} if isinstance(table, dict) else table


class Modality(Config):
    """An imaging technique, what else it is called, and how texts mention it."""

    aliases: tuple[str, ...] = ()
    words: str


class Task(Config):
    """A clinical task, its level, and what it asks."""

    level: int
    about: str
    aliases: tuple[str, ...] = ()


class Labels(Config):
    """What the labels in a column of some sources are here."""

    sources: tuple[str, ...]
    column: str
    values: dict[str, str | None] = pydantic.Field(default_factory=dict)
    """Label → name, null where it can mean several."""
    among: dict[str, tuple[str, ...]] = pydantic.Field(default_factory=dict)
    """Label → names between which the words decide; the first if they don't."""

    @pydantic.field_validator("values", "among", mode="before")
    @classmethod
    def spelt(cls, table: object) -> object:
        """Labels as they are looked up."""
        return spelled(table)


class Bare(Config):
    """A question that says nothing of its task, and the answer that gives it away."""

    question: str
    answer: str
    task: str


class Taxonomy(Config):
    """The whole file."""

    provenance: Literal["reconstruction"]
    levels: dict[int, str]
    modalities: dict[str, Modality]
    mixed: tuple[str, ...]
    """Sources whose questions answered "no" may speak of other images."""
    answers: dict[str, str]
    """Modality → what only an answer says of it."""
    tasks: dict[str, Task]
    rules: tuple[tuple[str, str], ...]
    """Task and pattern; the first that fits counts."""
    bare: Bare
    modality_labels: tuple[Labels, ...]
    classes: dict[str, str | None]
    """VQA-Med-2019's classes of modality, which are answers and not labels."""
    task_labels: tuple[Labels, ...]

    @pydantic.field_validator("classes", mode="before")
    @classmethod
    def spelt(cls, table: object) -> object:
        """Labels as they are looked up."""
        return spelled(table)

    @pydantic.model_validator(mode="after")
    def closed(self) -> "Taxonomy":
        """Refuse a name that is on no list."""
        told = {name for labels in self.task_labels for name in named(labels)} | {
            name for name, _ in self.rules
        }
        shown = {name for labels in self.modality_labels for name in named(labels)}
        shown |= {name for name in self.classes.values() if name} | self.answers.keys()
        if strange := (told - self.tasks.keys()) | (shown - self.modalities.keys()):
            raise ValueError(f"{min(strange)} is on no list")
        if {task.level for task in self.tasks.values()} != set(self.levels):
            raise ValueError("tasks and levels differ")
        return self


def named(labels: Labels) -> set[str]:
    """The names that labels stand for."""
    return {name for name in labels.values.values() if name} | {
        n for names in labels.among.values() for n in names
    }


@dataclass(frozen=True, slots=True)
class Tag:
    """A name, None if unknown, and who said so: `source:<column>`, `words`, `image` (other questions on it).

    Builders add `model` and `teacher`.
    """

    value: str | None
    origin: str


NOTHING = Tag(None, "")

TABLE = parse(Taxonomy, read_yaml(Path(str(files("medbench") / "taxonomy.yaml"))), "taxonomy.yaml")
MODALITIES: Mapping[str, Modality] = TABLE.modalities
TASKS: Mapping[str, Task] = TABLE.tasks
LEVELS: Mapping[int, str] = TABLE.levels


def level(task: str) -> int:
    """The level of a task."""
    return TASKS[task].level


@cache
def names(kind: Literal["modality", "task"]) -> Mapping[str, str]:
    """Every name and alias as `plain` writes it → the name."""
    table: Mapping[str, Modality | Task] = MODALITIES if kind == "modality" else TASKS
    found = {plain(alias): name for name, row in table.items() for alias in row.aliases}
    return found | {plain(name): name for name in table}


def known_modality(text: str) -> str | None:
    """The modality that a text names and says nothing else; None if it is none of ours.

    >>> known_modality("computed tomography"), known_modality("a CT of the chest")
    ('CT', None)
    """
    return names("modality").get(plain(text))


def known_task(text: str) -> str | None:
    """The task that a text names and says nothing else; None if it is none of ours."""
    return names("task").get(plain(text))


def modality(example: Example) -> Tag:
    """What made the image: as the source's label says, else the question, or the answer to one that asks."""
    for labels in TABLE.modality_labels:
        if example.source in labels.sources and (found := labels.values.get(label(example, labels))):
            return Tag(found, f"source:{labels.column}")
    if found := known_modality(example.tags.get("modality", "")):
        return Tag(found, "source:modality")
    found = shown_by(example)
    return Tag(found, "words") if found else NOTHING


def modalities(examples: Iterable[Example]) -> dict[str, Tag]:
    """The modality of each example by id, told also by what other questions say of the same image.

    The origin is then `image`. Where questions contradict each other or show several images, nothing is.
    """
    rows = list(examples)
    tags = {row.id: modality(row) for row in rows}
    told: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        if len(row.images) == 1 and (value := tags[row.id].value):
            told.setdefault(row.images, set()).add(value)
    alone = {images: values.pop() for images, values in told.items() if len(values) == 1}
    return {
        row.id: tags[row.id]
        if tags[row.id].value or row.images not in alone
        else Tag(alone[row.images], "image")
        for row in rows
    }


def task(example: Example) -> Tag:
    """What is asked: as the source's label says, else as the first rule that fits the question says."""
    if example.kind == "free":
        return NOTHING
    said = asked(example.question, answer(example))
    for labels in TABLE.task_labels:
        if example.source not in labels.sources:
            continue
        mark = label(example, labels)
        if found := labels.values.get(mark):
            return Tag(found, f"source:{labels.column}")
        if among := labels.among.get(mark):
            return Tag(said, "words") if said in among else Tag(among[0], f"source:{labels.column}")
    return Tag(said, "words") if said else NOTHING


def label(example: Example, labels: Labels) -> str:
    """The label of an example in a column, as `plain` writes it."""
    return plain(example.tags.get(labels.column, ""))


@cache
def rules() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """The rules of the tasks, compiled."""
    return tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in TABLE.rules)


def asking(question: str) -> str:
    """The words of a question; of a long one those of its last sentence."""
    words = question.split()
    text = " ".join(words)
    return (SENTENCE.split(text.strip())[-1] if len(words) > LONGEST else text)[-MOST:]


def asked(question: str, gold: str = "") -> str | None:
    """The task of a question by its words; one that asks no more than "what is this" by its answer's."""
    words = asking(question)
    if re.search(TABLE.bare.question, words, re.IGNORECASE):
        return TABLE.bare.task if re.search(TABLE.bare.answer, gold, re.IGNORECASE) else None
    return next((name for name, rule in rules() if rule.search(words)), None)


@cache
def mentions() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """How texts mention the modalities, compiled; folded lines of the file are one pattern."""
    rows = ((name, row.words.replace("\n", "").replace(" |", "|")) for name, row in MODALITIES.items())
    return tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in rows)


def mentioned(text: str) -> dict[str, int]:
    """The modalities in a text and where each is first; one inside the name of another is none."""
    found = [(m.start(), m.end(), name) for name, rule in mentions() for m in rule.finditer(text[:MOST])]
    places: dict[str, int] = {}
    for start, end, name in sorted(found):
        inside = any(a <= start and end <= b and (a, b) != (start, end) for a, b, _ in found)
        if not inside:
            places.setdefault(name, start)
    return places


def shown_by(example: Example) -> str | None:
    """The modality that a question takes for granted, that its answer gives, or that a caption names."""
    gold = answer(example)
    if example.kind == "free":
        return sole(mentioned(gold))
    question = " ".join(example.question.split())[-MOST:]
    places = mentioned(question)
    kind = asked(question)
    if HYPOTHETICAL.search(question) or (gold == "no" and example.source in TABLE.mixed):
        return None
    if kind in ("modality recognition", "sequence and stain recognition") and not DENIED.search(question):
        if found := answered(gold):
            return found
        if gold == "yes" and (found := sole(places)):
            return found
    if len(places) != 1 or len(question.split()) > LONGEST:
        return None
    [(name, at)] = places.items()
    granted = POINTED.search(question[:at]) or EITHER.search(question)
    return name if gold != "no" or (granted and kind != "modality recognition") else None


def sole(places: Mapping[str, int]) -> str | None:
    """The modality that is mentioned, if it is the only one."""
    return next(iter(places)) if len(places) == 1 else None


def answer(example: Example) -> str:
    """The first gold in words, in lower case; nothing for several letters."""
    if example.kind == "mcq":
        return " ".join(example.options[LETTERS.index(example.gold[0])].split()).casefold()
    return " ".join(example.gold[0].split()).casefold() if example.gold and example.kind != "multi" else ""


def answered(gold: str) -> str | None:
    """The modality that the answer to a question about it gives."""
    if found := known_modality(gold) or TABLE.classes.get(plain(gold)):
        return found
    if found := sole(places := mentioned(gold)):
        return found
    told = {name for name, pattern in TABLE.answers.items() if re.search(pattern, gold, re.IGNORECASE)}
    return told.pop() if len(told) == 1 and not places else None
