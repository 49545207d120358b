"""Whether an answer is one of the golds, and the gold as a reply that a model might have written."""

import re

from medbench.schema import LETTERS, Example, Finish, Verdict
from medbench.verify import numbers, phrases, words
from medbench.verify.extract import kind_of, read
from medbench.verify.numbers import limits

__all__ = ["gold_reply", "grade", "limits", "matches"]


def grade(reply: str, example: Example, finish: Finish = "stop") -> Verdict:
    """What `reply` is worth as an answer to `example`.

    Metric, difficulty filter and reward all call this. A reply without a readable answer is wrong;
    a failed call (`finish` "error") is neither right nor wrong, nor is free text, which needs a judge.
    """
    reading = read(reply, example, finish)
    if reading.status == "error":
        return Verdict(None, reading.rule, "error", None)
    if example.kind == "free":
        status = "unjudged" if reading.answer is not None else reading.status
        return Verdict(reading.answer, reading.rule, status, None)
    correct = reading.answer is not None and matches(reading.answer, example)
    return Verdict(reading.answer, reading.rule, reading.status, correct)


def matches(answer: str, example: Example) -> bool:
    """Whether `answer`, as `read` returns it, is an accepted one; never so for free text."""
    kind, gold = kind_of(example), example.gold
    if kind in ("mcq", "multi"):
        return answer in gold
    if kind == "yesno":
        return any(answer == words.canonical(text) for text in gold)
    if kind == "number":
        shape = numbers.form(gold)
        return any(numbers.accepts(text, answer, shape) for text in gold)
    accepted = [phrase for text in gold for phrase in (text, *phrases.alternatives(text))]
    return kind != "free" and any(phrases.same(answer, phrase, example.question) for phrase in accepted)


_CUTS = re.compile(r"[.;:\n]|\b(?:because|since|as it|which)\b|因为|由于|所以|因此")


def gold_reply(example: Example) -> str:
    """The first gold as a plain reply, which its own scorer must accept."""
    gold = example.gold[0]
    if example.kind == "free":
        return gold
    if example.kind == "number":
        gold = numbers.wording(gold, numbers.form(example.gold))
    elif example.kind in ("closed", "open") and _CUTS.search(gold):  # a sentence would end early
        return f"<answer>{gold}</answer>"
    elif example.kind in ("mcq", "multi"):
        called = example.labels or LETTERS
        gold = ", ".join(called[LETTERS.index(letter)] for letter in gold)
    return f"The answer is {gold}."
