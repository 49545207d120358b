"""General evaluation harnesses for vision-language models."""

import re
from collections.abc import Iterator

from medbench.parity.marking import chosen, first, letters
from medbench.parity.types import NOTHING, Mark, Profile
from medbench.parity.vqa import equal, lmms_spelling, short_answers
from medbench.schema import Example

# VLMEvalKit --------------------------------------------------------------------------------------

_REFUSALS = (
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_VERBOSE = re.compile(r"answer\s+is\s+\**([A-D])", re.IGNORECASE)
_SEPARATORS = str.maketrans(dict.fromkeys(".()[],:;!*#{}", " "))


def vlmevalkit(reply: str, example: Example) -> Mark:
    """The only option letter among the words if near the end, else "answer is X", else the only text."""
    if any(refusal in reply for refusal in _REFUSALS):
        return NOTHING
    words = reply.translate(_SEPARATORS).split()
    seen = [letter for letter in letters(example) if letter in words]
    if len(seen) == 1 and words.index(seen[0]) > len(words) - 5:
        return chosen(seen[0], example)
    if not seen and "Z" in words:
        return NOTHING
    verbose = first(_VERBOSE, reply)
    if verbose and verbose.upper() in letters(example):
        return chosen(verbose.upper(), example)
    return _only_text(reply.lower(), example)


def _only_text(text: str, example: Example) -> Mark:
    if len(text) > 2 * sum(map(len, example.options)):
        return NOTHING
    options = zip(letters(example), example.options, strict=False)
    held = [letter for letter, option in options if option.lower() in text]
    return chosen(held[0] if len(held) == 1 else None, example)


# lmms-eval ---------------------------------------------------------------------------------------

_NAMES = (
    "answer",
    "correct answer",
    "best answer",
    "correct option",
    "best option",
    "choice",
    "correct choice",
)
_PHRASES = (
    *(f"{article}{name} is" for article in ("", "the ") for name in _NAMES),
    *("my answer is", "my choice is", "i choose", "i select", "i pick"),
    *("옵션", "정답은", "답은", "답:", "答案是", "答案为", "选", "答えは"),
)


def _lmms_candidates(text: str, allowed: str) -> Iterator[tuple[int, int, str]]:
    """Each reading as (priority, position, letter); the highest wins, the first named of equals."""
    forms = ((6, "({})"), (5, "{}."), (4, "{}:"), (3, "{})"), (2, "{} "))
    for priority, form in forms:
        for letter in allowed:
            place = text.rfind(form.format(letter))
            if place >= 0:
                yield priority, place, letter
    lowered = text.lower()
    for phrase in _PHRASES:
        start = lowered.find(phrase)
        if start >= 0:
            yield from ((7, text.find(letter, start + len(phrase)), letter) for letter in allowed)
    bare = text.strip()
    for letter in allowed:
        if bare.startswith(letter) and not bare[1:2].isalpha():
            yield 10, 0, letter
        if bare.endswith(letter) and not bare[-2:-1].isalpha():
            yield 9, len(text), letter
    yield from ((0, text.rfind(letter), letter) for letter in allowed)


def lmms_eval(reply: str, example: Example) -> Mark:
    """The option letter in the best-ranked form, the last of it, down to a letter inside any word."""
    text = reply.strip()
    for mark in ",.!?;:'\"":
        text = text.strip(mark)
    found = [best for best in _lmms_candidates(f" {text} ", letters(example)) if best[1] >= 0]
    if not found:
        return NOTHING
    best = max(found, key=lambda candidate: candidate[:2])
    return chosen(best[2], example, "read" if best[0] else "guessed")


PROFILES = (
    Profile(
        "vlmevalkit",
        "VLMEvalKit, exact_matching",
        "the only option letter among the words, near the end; else 'answer is X'; else the only text",
        "github open-compass/VLMEvalKit, utils/matching_util.py, copy of 2026-08-18, by description",
        {"mcq": vlmevalkit},
        flaw="'answer is bacterial' reads B; without its judge the rest is no answer",
    ),
    Profile(
        "lmms-eval",
        "lmms-eval",
        "the option letter in the best-ranked form: at the start, at the end, after a phrase, (X), 'X.', "
        "'X:', 'X)', 'X ', anywhere; short answers by SLAKE's rule",
        "github EvolvingLMMs-Lab/lmms-eval, _task_utils/mcq_extract.py (c228e27), slake/utils.py (65ef07d), "
        "read 2026-11; from 00a12d4 on a stricter parser",
        {"mcq": lmms_eval, **short_answers(equal(lmms_spelling))},
        flaw="'X.' and 'X ' are found inside words; after a phrase any later capital counts",
    ),
)
