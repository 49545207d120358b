"""Checks of a benchmark that need no model: does every gold pass its own scorer, are its options sound?"""

from collections import Counter
from dataclasses import dataclass

from medbench import verify
from medbench.adapters import Drop, defects
from medbench.catalog import Loaded
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


def lint(name: str, loaded: Loaded) -> Lint:
    """The findings on one benchmark."""
    failed, worded, defective = {}, {}, {}
    for example in loaded.examples:
        if reason := fault(verify.gold_reply(example), example):
            failed[example.id] = reason
        if example.kind == "mcq" and (reason := fault(in_words(example), example)):
            worded[example.id] = f"by its words, {reason}"
        if found := defects(example):
            defective[example.id] = "; ".join(found)
    golds = Counter(gold for example in loaded.examples for gold in example.gold[:1])
    common = dict(sorted(golds.items())) if len(golds) <= 26 else {}
    return Lint(name, len(loaded.examples), failed, worded, defective, loaded.dropped, common)


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
