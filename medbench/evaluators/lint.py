"""Checks of a benchmark that need no model: does every gold pass its own scorer, are its options sound?"""

from collections import Counter
from dataclasses import dataclass

from medbench import verify
from medbench.adapters import Drop, defects
from medbench.catalog import Loaded
from medbench.schema import Example


@dataclass(frozen=True)
class Lint:
    """What was found. `failed` and `defective` map an example's id to the reason."""

    benchmark: str
    rows: int
    failed: dict[str, str]
    defective: dict[str, str]
    dropped: list[Drop]
    golds: dict[str, int]


def lint(name: str, loaded: Loaded) -> Lint:
    """The findings on one benchmark."""
    failed, defective = {}, {}
    for example in loaded.examples:
        if reason := gold_fault(example):
            failed[example.id] = reason
        if found := defects(example):
            defective[example.id] = "; ".join(found)
    golds = Counter(gold for example in loaded.examples for gold in example.gold[:1])
    common = dict(sorted(golds.items())) if len(golds) <= 26 else {}
    return Lint(name, len(loaded.examples), failed, defective, loaded.dropped, common)


def gold_fault(example: Example) -> str | None:
    """Why the gold, phrased as a reply, does not pass; None when it does."""
    verdict = verify.grade(verify.gold_reply(example), example)
    if verdict.correct:
        return None
    return f"gold {example.gold[0]!r} is read as {verdict.answer!r} ({verdict.rule or verdict.status})"
