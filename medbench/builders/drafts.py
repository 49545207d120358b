"""Questions a teacher writes from images with captions: asked for, taken at their word, and looked through.

A reply is a question only if it is the JSON that was asked for and passes every check here; nothing is
mended. What is dropped keeps its first reason.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import polars as pl

from medbench import prompts, taxonomy
from medbench.adapters import defects
from medbench.adapters.orders import lettered, turned
from medbench.builders import strict
from medbench.builders.leaks import within, words
from medbench.builders.strict import Unusable
from medbench.config import Config
from medbench.inference.types import Reply, Request, Sampling, kind_of_fault
from medbench.prompts import messages
from medbench.schema import LETTERS, Example

COPIED = 8
"""Words of the caption in a row that a question must not repeat."""

LONGER = 2.0
"""The right option must not be so many times as long as the longest wrong one, from `WORDY` words on."""

WORDY = 5

GIVEAWAY = re.compile(
    r"\b(?:sub-?)?fig(?:ure)?s?\b|\b(?:sub-?)?fig(?:ure)?s?\.? ?\d|\b(?:sub-?)?panels?\b"
    r"|\bcaptions?\b|\blegend\b|\([a-h]\)|\b(?:image|part|picture)s? [b-h]\b"
    r"|\b(?:according to|as|described in|mentioned in|stated in|based on) the "
    r"(?:text|description|report|article|study|passage|paper)\b",
    re.IGNORECASE,
)
"""What only a reader of the article has: figures, panels, the caption itself."""

MARKS = re.compile(r"<image|<\||\|>|<(?:im|vision|img)", re.IGNORECASE)
"""What models and trainers take for a place of an image or the end of a turn."""

PROOF = 3
"""Words that evidence must have, unless they are the answer's."""

OTHERS = re.compile(r"\b(?:all|none|both|any|neither|two) of (?:the|these)\b|\bthe above\b", re.IGNORECASE)

DRAFT = pl.Schema(
    {
        "id": pl.String,
        "source_row": pl.String,
        "caption": pl.String,
        "level": pl.Int32,
        "task": pl.String,
        "teacher": pl.String,
        "prompt": pl.String,
        "reply": pl.String,
        "finish": pl.String,
        "error": pl.String,
        "tokens_in": pl.Int32,
        "tokens_out": pl.Int32,
        "letter": pl.String,
        "dropped_by": pl.String,
    }
)
"""One row per draft: what was asked for, what came back, the teacher's right letter, why it was dropped."""


class Skip(Config):
    """The teacher says that the caption does not support such a question."""

    skip: str


class Draft(Config):
    """A question as the teacher must write it."""

    question: str
    options: dict[str, str]
    answer: str
    level: int
    task: str
    modality: str
    evidence: str


@dataclass(frozen=True)
class Wish:
    """What is asked of the teacher about one image."""

    id: str
    row: Example
    level: int
    task: str

    @property
    def caption(self) -> str:
        """The caption of the image."""
        return self.row.gold[0]


def wishes(rows: Sequence[Example], per_image: int, seed: int) -> list[Wish]:
    """`per_image` wishes for each image, for tasks drawn by a seeded hash: every level equally often."""
    by_level: dict[int, list[str]] = {}
    for name, row in taxonomy.TASKS.items():
        by_level.setdefault(row.level, []).append(name)
    levels = sorted(by_level)
    found = []
    for image in rows:
        chance = Random(f"wish:{seed}:{image.id}")
        first, taken = chance.randrange(len(levels)), set[str]()
        for number in range(per_image):
            level = levels[(first + number) % len(levels)]
            task = chance.choice([t for t in by_level[level] if t not in taken] or by_level[level])
            taken.add(task)
            found.append(Wish(f"{image.id}/q{number + 1}", image, level, task))
    return found


def request(wish: Wish, prompt: str, options: int, sampling: Sampling) -> Request:
    """The request that puts a wish to the teacher, with the image."""
    letters = LETTERS[:options]
    values = {
        "caption": prompts.inert(wish.caption),
        "level": f"{wish.level}, {taxonomy.LEVELS[wish.level]}",
        "number": str(wish.level),
        "task": wish.task,
        "about": taxonomy.TASKS[wish.task].about,
        "modality": taxonomy.modality(wish.row).value or "not labelled",
        "body_part": wish.row.tags.get("body_part", "not labelled"),
        "letters": ", ".join(letters),
        "form": ", ".join(f'"{letter}": "…"' for letter in letters),
    }
    shown = messages(prompts.named(prompt, "teacher"), values, wish.row.images)
    return Request(wish.id, shown, sampling)


def taken(wish: Wish, reply: Reply, options: int, seed: int) -> tuple[Example, str]:
    """The question a reply is, with the teacher's own right letter; its options in a seeded order.

    Raises Unusable with the reason for which it is none.
    """
    if reply.error is not None:
        raise Unusable("the teacher's call failed")
    draft = parsed(reply.text)
    example = question(wish, draft, options)
    if fault := next(faults(wish, draft, example), None):
        raise Unusable(fault)
    if lettered(example):
        raise Unusable("an option speaks of the others")
    order = Random(f"order:{seed}:{wish.id}").sample(range(options), options)
    return turned(example, order), draft.answer


def parsed(text: str) -> Draft:
    """The teacher's reply as a draft. Raises Unusable; also where the teacher declined."""
    try:
        strict.read(Skip, text)
    except Unusable as problem:
        if problem.reason.startswith("not of the form"):
            return strict.read(Draft, text)
        raise
    raise Unusable("the teacher declined")


def question(wish: Wish, draft: Draft, options: int) -> Example:
    """A draft as a multiple-choice question. Raises Unusable where its options or its answer are none."""
    letters = LETTERS[:options]
    if sorted(draft.options) != list(letters):
        raise Unusable(f"the options are not {letters[0]} to {letters[-1]}")
    if draft.answer not in letters or len(draft.answer) != 1:
        raise Unusable("not exactly one right option")
    if not draft.question.strip():
        raise Unusable("no question")
    if any("\n" in option for option in draft.options.values()):
        raise Unusable("an option of several lines")
    if MARKS.search("\n".join([draft.question, *draft.options.values()])):
        raise Unusable("holds a model's own marks")
    return replace(
        wish.row,
        id=wish.id,
        kind="mcq",
        question=draft.question.strip(),
        gold=(draft.answer,),
        options=tuple(draft.options[letter].strip() for letter in letters),
    )


def faults(wish: Wish, draft: Draft, example: Example) -> Iterator[str]:
    """What is wrong with a draft, the plainest first."""
    if draft.task != wish.task or draft.level != wish.level:
        yield "not the task and level asked for"
    if defects(example) or len({same(option) for option in example.options}) < len(example.options):
        yield "options that are alike or empty"
    if any(OTHERS.search(option) for option in example.options):
        yield "an option speaks of the others"
    if GIVEAWAY.search("\n".join([example.question, *example.options])):
        yield "speaks of a figure, panel or caption"
    caption, asked = words(wish.caption), words(example.question)
    if any(within(asked[at : at + COPIED], caption) for at in range(len(asked) - COPIED + 1)):
        yield "the question repeats the caption"
    right = words(example.options[LETTERS.index(draft.answer)])
    wrong = [
        words(option)
        for letter, option in zip(LETTERS, example.options, strict=False)
        if letter != draft.answer
    ]
    if within(right, asked) and not all(within(other, asked) for other in wrong):
        yield "the answer stands in the question"
    if len(right) >= WORDY and len(right) > LONGER * max(map(len, wrong)):
        yield "the right option stands out by its length"
    evidence = spoken(draft.evidence)
    if not evidence or (len(evidence) < PROOF and not set(right) <= set(words(draft.evidence))):
        yield "no evidence"
    elif not within(evidence, spoken(wish.caption)):
        yield "the evidence is not in the caption"


def spoken(text: str) -> tuple[str, ...]:
    """The words of a text as they are copied: case and marks around a word left out, "3.5" kept whole."""
    bare = (word.strip(".,;:!?()[]\"'`*") for word in text.casefold().split())
    return tuple(word for word in bare if word)


def same(option: str) -> object:
    """Equal for options that say the same: other case and marks, "3.50" for 3.5, two names of a modality."""
    return taxonomy.known_modality(option) or words(re.sub(r"(\d\.\d*?)0+\b", r"\1", option))


def drafted(
    asked: Sequence[tuple[Wish, Reply]], teacher: str, prompt: str, options: int, seed: int
) -> tuple[list[Example], pl.DataFrame]:
    """The questions among the teacher's replies, and all replies as table DRAFT."""
    examples, rows = [], []
    known = prompts.named(prompt, "teacher").label
    for wish, reply in asked:
        letter, reason = None, None
        try:
            example, letter = taken(wish, reply, options, seed)
            examples.append(example)
        except Unusable as problem:
            reason = problem.reason
        said: dict[str, Any] = {
            "id": wish.id,
            "source_row": wish.row.id,
            "caption": wish.caption,
            "level": wish.level,
            "task": wish.task,
            "teacher": teacher,
            "prompt": known,
            "reply": reply.text,
            "finish": reply.finish,
            "error": kind_of_fault(reply.error),
            "tokens_in": reply.tokens_in,
            "tokens_out": reply.tokens_out,
            "letter": letter,
            "dropped_by": reason,
        }
        rows.append(said)
    return examples, pl.DataFrame(rows, schema=DRAFT)


def spoiled(drafts: pl.DataFrame) -> Counter[str]:
    """How many replies are failed calls or no JSON as asked for, by reason: what a working teacher avoids."""
    reasons = drafts["dropped_by"].drop_nulls().to_list()
    return Counter(
        r
        for r in reasons
        if r.startswith(
            ("not JSON", "not a JSON", "not of the form", "far too", "a key", "the teacher's call")
        )
    )


def support(example: Example, caption: str, sampling: Sampling) -> Request:
    """The request for a second opinion on a drafted question, which is not told the answer."""
    letters = LETTERS[: len(example.options)]
    values = {
        "caption": prompts.inert(caption),
        "question": example.question,
        "options": "\n".join(
            f"{letter}. {text}" for letter, text in zip(letters, example.options, strict=True)
        ),
        "letters": ", ".join(letters),
    }
    return Request(example.id, messages(prompts.named("check-support", "checker"), values), sampling)


class Opinion(Config):
    """What the checker says the caption supports."""

    answer: str


def opinion(example: Example, reply: Reply) -> str | None:
    """Why a second opinion speaks against a question; None where it names the same option."""
    if reply.error is not None:
        return "no second opinion"
    try:
        said = strict.read(Opinion, reply.text).answer.strip()
    except Unusable:
        return "no second opinion"
    if said == example.gold[0]:
        return None
    return (
        "the caption does not support one answer"
        if said.casefold() == "none"
        else "the second opinion differs"
    )


CHECK = pl.Schema(
    {
        "id": pl.String,
        "checker": pl.String,
        "prompt": pl.String,
        "gold": pl.String,
        "reply": pl.String,
        "error": pl.String,
        "tokens_in": pl.Int32,
        "tokens_out": pl.Int32,
        "dropped_by": pl.String,
    }
)
"""One row per second opinion."""


def opinions(examples: Sequence[Example], replies: Sequence[Reply], checker: str) -> pl.DataFrame:
    """All second opinions as table CHECK."""
    known = prompts.named("check-support", "checker").label
    rows = [
        (
            e.id,
            checker,
            known,
            e.gold[0],
            r.text,
            kind_of_fault(r.error),
            r.tokens_in,
            r.tokens_out,
            opinion(e, r),
        )
        for e, r in zip(examples, replies, strict=True)
    ]
    return pl.DataFrame(rows, schema=CHECK, orient="row")


def letters(drafts: pl.DataFrame) -> str:
    """How often the teacher made each letter the right one, with the chi-square of an even spread."""
    counts = Counter(drafts["letter"].drop_nulls().to_list())
    if not counts:
        return "The teacher wrote no question that could be used."
    most = max(4, *(LETTERS.index(letter) + 1 for letter in counts))
    even = sum(counts.values()) / most
    square = sum((counts[letter] - even) ** 2 / even for letter in LETTERS[:most])
    told = ", ".join(f"{letter} {counts[letter]:,}" for letter in LETTERS[:most])
    return (
        f"The teacher's own right letters: {told} (chi-square {square:.1f} with {most - 1} degrees of "
        "freedom); options were then put in a seeded order."
    )
