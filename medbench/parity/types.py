"""What a profile is, and what it says of one reply."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from medbench.schema import Example, Kind

How = Literal["read", "guessed", "none"]


@dataclass(frozen=True, slots=True)
class Mark:
    """What a peer makes of one reply.

    `answer` is one of the option letters (mcq), the words the peer compares (other kinds), or None.
    `how` is "read" when its rule found the answer, "guessed" when a fallback chose one (at random, by
    likeness, by default), "none" when it found nothing. `parts` holds further per-reply figures that
    the peer's total needs, such as whether the first and the last match is right.
    """

    answer: str | None
    correct: bool
    how: How
    parts: Mapping[str, float] = field(default_factory=dict)


NOTHING = Mark(None, False, "none")

Reader = Callable[[str, Example], Mark]
Total = Callable[[Sequence[Mark], Sequence[Example]], dict[str, float]]


def mean(values: Iterable[float]) -> float:
    """The mean; not a number when there is nothing to average."""
    listed = list(values)
    return sum(listed) / len(listed) if listed else math.nan


def accuracy(marks: Sequence[Mark], examples: Sequence[Example]) -> dict[str, float]:
    """The share of right replies, the usual aggregation."""
    return {"score": mean(mark.correct for mark in marks)}


@dataclass(frozen=True, slots=True)
class Profile:
    """One peer's way from replies to a number.

    `readers` says how a question of each kind is read. `total` gives the number the peer would print
    under "score" (a share of 1, or more where the peer's arithmetic allows it), and its other figures
    under their own names; it takes marks and their examples in the same order. `origin` says where the
    description comes from; `flaw` says what is wrong with it, "" when nothing is known to be.
    """

    name: str
    peer: str
    rule: str
    origin: str
    readers: Mapping[Kind, Reader]
    total: Total = accuracy
    flaw: str = ""

    @property
    def kinds(self) -> frozenset[Kind]:
        """The kinds of question the peer's rule is for."""
        return frozenset(self.readers)

    def grade(self, reply: str, example: Example) -> Mark:
        """What the peer makes of `reply`; nothing at all for a kind it has no rule for."""
        reader = self.readers.get(example.kind)
        return reader(reply, example) if reader else NOTHING
