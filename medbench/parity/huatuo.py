"""HuatuoGPT-o1's scorer, and m1's, which builds on it."""

import re
from collections.abc import Sequence

from medbench.parity.marking import chosen, labelled_text, last_box, letters, likeness, untexted
from medbench.parity.types import NOTHING, Mark, Profile, mean
from medbench.schema import Example

_HEADING = "## Final Response\n\n"
_STRICT = re.compile(r"answer is\s*([A-N])")
_LOOSE = {
    n: re.compile(rf"(?:^|\W|[\u4e00-\u9fff])(?!A )([{'ABCDEFGHIJKLMN'[:n]}])(?:\W|[\u4e00-\u9fff]|$)")
    for n in range(1, 15)
}


def _ends(pattern: re.Pattern[str], text: str) -> tuple[str, str] | None:
    found = pattern.findall(text)
    return (found[0], found[-1]) if found else None


def first_and_last(reply: str, example: Example) -> tuple[str, str] | None:
    """The first and the last answer by the first rule that finds any; None when none does."""
    text = reply.rpartition(_HEADING)[2]
    found = _ends(_STRICT, text)
    if found is None and example.options:
        found = _ends(_LOOSE[min(len(example.options), 14)], text)
    return found or _by_text(text.lower(), example)


def _by_text(text: str, example: Example) -> tuple[str, str] | None:
    named = [
        (letter, option.lower())
        for letter, option in zip(letters(example), example.options, strict=False)
        if option.lower() in text
    ]
    if not named:
        return None
    # "First" is the option whose first occurrence stands furthest on: the peer sorts both lists alike.
    first = max(named, key=lambda pair: text.index(pair[1]))[0]
    return first, max(named, key=lambda pair: text.rindex(pair[1]))[0]


def _most_like(reply: str, example: Example) -> str:
    ratios = likeness(example.options, reply.rpartition(_HEADING)[2].lower())
    return letters(example)[max(range(len(ratios)), key=lambda i: (ratios[i], i))]


def read_ends(reply: str, example: Example) -> Mark:
    """The last answer; parts say whether the first and the last are right."""
    if not example.options:
        return NOTHING
    found = first_and_last(reply, example)
    first, last = found or (_most_like(reply, example),) * 2
    right = {"first": float(first in example.gold), "last": float(last in example.gold)}
    return chosen(last, example, "read" if found else "guessed", **right)


def read_last(reply: str, example: Example) -> Mark:
    """The last answer, none where the peer takes the most alike option."""
    found = first_and_last(reply, example)
    return chosen(found[1], example) if found else NOTHING


def best_of_ends(marks: Sequence[Mark], examples: Sequence[Example]) -> dict[str, float]:
    """The larger of the accuracies by first and by last answer."""
    first = mean(mark.parts.get("first", 0.0) for mark in marks)
    last = mean(mark.parts.get("last", 0.0) for mark in marks)
    return {"score": max(first, last), "first": first, "last": last}


def read_m1(reply: str, example: Example) -> Mark:
    """The last box as letter, "L. text" or text, after its last "="; else as HuatuoGPT, last answer."""
    box = last_box(reply)
    if box is not None:
        letter = labelled_text(untexted(box).rpartition("=")[2], example)
        if letter:
            return chosen(letter, example)
    mark = read_ends(reply, example)
    return Mark(mark.answer, mark.correct, mark.how)


_RULE = "after '## Final Response': 'answer is X', else any X set off, else option text, else the most alike"
_ORIGIN = "github FreedomIntelligence/HuatuoGPT-o1, evaluation/scorer.py; read in a copy of it, 2026-11"
_LOOSENESS = "'answer is Acute' reads A; a letter that no option has ends the search"

PROFILES = (
    Profile(
        "huatuo",
        "HuatuoGPT-o1",
        f"{_RULE}; the larger of the accuracies by first and by last answer",
        _ORIGIN,
        {"mcq": read_ends},
        best_of_ends,
        f"it reports the better of two readings, and guesses by likeness; {_LOOSENESS}",
    ),
    Profile(
        "huatuo-fixed",
        "HuatuoGPT-o1",
        "as huatuo, last answer only, and no answer instead of the most alike",
        _ORIGIN,
        {"mcq": read_last},
        flaw=_LOOSENESS,
    ),
    Profile(
        "m1",
        "m1",
        "the last \\boxed{} as letter, 'L. text' or text; else as huatuo, last answer",
        "github UCSC-VLAA/m1, eval/score.py, copy of 2025-04-13, by description",
        {"mcq": read_m1},
        flaw=f"what is in no box falls back to a guess by likeness; {_LOOSENESS}",
    ),
)
