"""MedEvalKit, as its tables were made, and mended."""

import re
from collections.abc import Callable, Mapping, Sequence

from medbench.parity.marking import chosen, last_box, letters, likeness, tagged
from medbench.parity.types import NOTHING, Mark, Profile, mean
from medbench.schema import Example

PHRASES = (
    "**answer**:",
    "**answer**",
    "*answer*:",
    "**answer:**",
    "answer is",
    "answer:",
    "答案:",
    "final answer",
    "final answer is",
)
"""What announces an answer, in the order in which the peer cuts at them."""


def announced(reply: str) -> str:
    """The lower-cased box or tags of a reply, cut to what follows each phrase's last occurrence in turn.

    A reply that says "boxed" without a box that closes becomes the word "None", as in the peer.
    """
    text = reply.lower()
    if "boxed" in text:
        box = last_box(text)
        text = "None" if box is None else box
    elif tags := " ".join(tagged(text)).strip():
        text = tags
    for phrase in PHRASES:
        text = text.rpartition(phrase)[2]
    return text


def opened(reply: str) -> str:
    """The box, else the joined tags, else the whole reply, which VQA tasks take before anything else."""
    box = last_box(reply)
    return box if box is not None else " ".join(tagged(reply)).strip() or reply


def lettered(reply: str, example: Example) -> str:
    """The first or last block of a reply when that is a bare letter, else the reply."""
    reply = reply.lower()
    blocks = reply.split("\n\n")
    for block in (blocks[0], blocks[-1].split(".")[0]):
        if len(block) == 1 and block in letters(example).lower():
            return block
    return reply


def multiple_choice(reply: str, example: Example) -> Mark:
    """A letter or an option text by itself, else the option most like the whole reply."""
    if not example.options:
        return NOTHING
    reply = " ".join(tagged(reply)).strip() or reply
    text = announced(lettered(reply, example)).strip().replace("\n", "").lower()
    short = text.split(".")[0].split(":")[-1]
    mark = _stated(short, example)
    if mark.how == "read":
        return mark
    ratios = likeness(example.options, text)
    return chosen(letters(example)[ratios.index(max(ratios))], example, "guessed")


def multiple_choice_fixed(reply: str, example: Example) -> Mark:
    """The same, with blanks around a letter allowed, and no answer where the peer takes the most alike."""
    reply = " ".join(tagged(reply)).strip() or reply
    text = announced(lettered(reply, example)).strip().replace("\n", "").lower()
    return _stated(text.split(".")[0].split(":")[-1].strip(" *()"), example)


def _stated(short: str, example: Example) -> Mark:
    if len(short) == 1 and short.upper() in letters(example):
        return chosen(short.upper(), example)
    options = zip(letters(example), example.options, strict=False)
    same = [letter for letter, option in options if option.lower() == short]
    if not same:
        return NOTHING
    return chosen(next((letter for letter in same if letter in example.gold), same[0]), example)


def _cleaned(reply: str) -> str:
    return announced(opened(reply).lower().strip()).replace("\n", "").replace(".", "")


def yes_no(reply: str, example: Example) -> Mark:
    """Right if exactly one of "yes" and "no" occurs, as letters in any word, and it is the gold."""
    text = _cleaned(reply)
    held = [word for word in ("yes", "no") if word in text]
    if len(held) != 1:
        return NOTHING
    return Mark(held[0], any(gold.lower() in text for gold in example.gold), "read")


def yes_no_fixed(reply: str, example: Example) -> Mark:
    """The same on whole words."""
    held = set(re.findall(r"\b(?:yes|no|maybe)\b", _cleaned(reply)))
    if len(held) != 1:
        return NOTHING
    word = held.pop()
    return Mark(word, any(gold.lower() == word for gold in example.gold), "read")


def closed(reply: str, example: Example) -> Mark:
    """Equality with the gold; the reply has lost its full stops and line breaks, the gold has not."""
    text = _cleaned(reply)
    return Mark(text or None, any(gold.lower() == text for gold in example.gold), "read" if text else "none")


def closed_fixed(reply: str, example: Example) -> Mark:
    """The same with both sides cleaned alike."""
    text = _cleaned(reply).strip()
    golds = [gold.lower().replace("\n", "").replace(".", "").strip() for gold in example.gold]
    return Mark(text or None, text in golds, "read" if text else "none")


def overlap(text: str, gold: str) -> tuple[float, float, float]:
    """Precision, recall and F1 of two sets of words."""
    said, wanted = set(text.split()), set(gold.split())
    common = len(said & wanted)
    if not common:
        return 0.0, 0.0, 0.0
    precision, recall = common / len(said), common / len(wanted)
    return precision, recall, 2 * precision * recall / (precision + recall)


def _open(reply: str, example: Example, name_parts: Callable[..., Mapping[str, float]]) -> Mark:
    text = announced(opened(reply).lower().strip())
    golds = [gold.lower().strip() for gold in example.gold]
    best = max((overlap(text, gold) for gold in golds), key=lambda triple: triple[2], default=(0.0, 0.0, 0.0))
    return Mark(text or None, text in golds, "read" if text else "none", name_parts(*best))


def open_ended(reply: str, example: Example) -> Mark:
    """Exact match; the columns for precision, recall and F1 hold F1, precision and recall."""
    return _open(reply, example, lambda p, r, f: {"precision": f, "recall": p, "f1": r})


def open_ended_fixed(reply: str, example: Example) -> Mark:
    """Exact match, with each column under its own name."""
    return _open(reply, example, lambda p, r, f: {"precision": p, "recall": r, "f1": f})


def figures(marks: Sequence[Mark], examples: Sequence[Example]) -> dict[str, float]:
    """Accuracy of all, of closed and of open questions, and the open ones' overlap."""
    pairs = list(zip(marks, examples, strict=True))
    shut = [mark for mark, example in pairs if example.kind in ("yesno", "closed")]
    free = [mark for mark, example in pairs if example.kind == "open"]
    found = {"score": mean(mark.correct for mark in marks)}
    if shut:
        found["closed_accuracy"] = mean(mark.correct for mark in shut)
    if free:
        found["open_accuracy"] = found["open_em"] = mean(mark.correct for mark in free)
        found |= {f"open_{part}": mean(mark.parts[part] for mark in free) for part in free[0].parts}
    return found


def figures_as_published(marks: Sequence[Mark], examples: Sequence[Example]) -> dict[str, float]:
    """The same with the open accuracy divided by the number of open questions twice."""
    found = figures(marks, examples)
    if "open_accuracy" in found:
        found["open_accuracy"] /= sum(example.kind == "open" for example in examples)
    return found


_ORIGIN = (
    "github alibaba-damo-academy/MedEvalKit, copy of 2026-02-24; SLAKE.py and VQA_RAD.py read again 2026-11, "
    "utils.py in a third party's copy; no LLM judge"
)

PROFILES = (
    Profile(
        "medevalkit",
        "MedEvalKit",
        "a bare letter or option text after the last announcement, else the option most like the reply; "
        "yes/no as substrings; equality for the rest",
        _ORIGIN,
        {"mcq": multiple_choice, "yesno": yes_no, "closed": closed, "open": open_ended},
        figures_as_published,
        "every unread choice is a guess by likeness; a blank after 'answer is:' makes a letter unread; "
        "'no' is found in 'normal'; open accuracy is divided twice; precision, recall and F1 swap columns",
    ),
    Profile(
        "medevalkit-fixed",
        "MedEvalKit",
        "as medevalkit, with blanks, asterisks and brackets around a letter allowed, no guess, yes/no as "
        "words, one division, columns under their names",
        _ORIGIN,
        {
            "mcq": multiple_choice_fixed,
            "yesno": yes_no_fixed,
            "closed": closed_fixed,
            "open": open_ended_fixed,
        },
        figures,
    ),
)
