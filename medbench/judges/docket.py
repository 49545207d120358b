"""What a reply is worth before a judge is asked, what it must be asked, and what its findings make of it.

Evaluators and rewards both stand on this: the rules speak first, and the judge is asked about the rest.
"""

from collections.abc import Sequence
from typing import NamedTuple

from medbench.judges.cases import Case, bare, cases, seen
from medbench.judges.panel import Finding
from medbench.rubrics import Judge
from medbench.schema import Example, Finish
from medbench.verify.overlap import telling, words


class Item(NamedTuple):
    """A reply: its value where the rules settle it, else the cases to be heard."""

    value: float | None
    cases: tuple[Case, ...] = ()


class Given(NamedTuple):
    """A reply with what the rules say of it; `correct` is None where they can't tell."""

    reply: str
    finish: Finish
    correct: bool | None


def docket(judge: Judge, example: Example, given: Given, *, everything: bool = False) -> Item | None:
    """A reply as an item; None where this judge has nothing to say of such a question.

    With `everything` the judge is asked about any kind, and about what the rules call right. A refusal or an
    empty reply is worth 0, and so is one that was cut off, unless the rules call it right, and one without an
    answer to a judge that is to see the answer. A failed call has neither value nor cases.
    """
    if (judge.sees("criterion") and not example.rubric) or (judge.sees("gold") and not example.gold):
        return None
    if not everything and example.kind not in judge.kinds and judge.rule != "match":
        return None
    if given.finish == "error":
        return Item(None)
    if given.finish == "refused" or not bare(given.reply):
        return Item(0.0)
    if given.finish == "length":
        return Item(float(right(judge, example, given)))
    if not everything:
        if example.kind not in judge.kinds:
            return None if given.correct is None else Item(float(given.correct))
        if right(judge, example, given):
            return Item(1.0)
    put = cases(judge, example, given.reply, given.finish)
    return Item(None, tuple(put)) if put else Item(0.0)


def right(judge: Judge, example: Example, given: Given) -> bool:
    """Whether the judge's rule already calls a reply right."""
    if judge.rule == "match":
        return bool(given.correct)
    return judge.rule == "span" and spans(given.reply, example.gold, example.lang)


def spans(reply: str, golds: Sequence[str], lang: str = "en") -> bool:
    """Whether the words of a gold stand in the reply, one after the other.

    Case and articles do not count, nor do thoughts, nor a gold of yes or no, which any sentence may hold.

    >>> spans("It is the left lung, I think.", ["The left lung"]), spans("normality", ["normal"])
    (True, False)
    """
    said = telling(words(seen(reply)), lang)
    for gold in golds:
        wanted = telling(words(gold), lang)
        n = len(wanted)
        if (
            n
            and wanted not in (["yes"], ["no"])
            and any(said[place : place + n] == wanted for place in range(len(said) - n + 1))
        ):
            return True
    return False


def valued(judge: Judge, example: Example, findings: Sequence[Finding]) -> tuple[float | None, str | None]:
    """The value of a reply, or None and the problem.

    It is the finding's; for a rubric, the points earned over the positive ones, negative where harm
    outweighs. One criterion without a verdict leaves the reply unscored: taken as not met it would lower
    the value or, where its points are negative, raise it.
    """
    values = []
    for finding in findings:
        if finding.value is None:
            return None, finding.problem
        values.append(finding.value)
    if not judge.sees("criterion"):
        return values[0], None
    most = sum(max(item.points, 0.0) for item in example.rubric)
    earned = sum(item.points * value for item, value in zip(example.rubric, values, strict=True))
    return (earned / most if most else 0.0), None


def least(judge: Judge, example: Example) -> float:
    """The lowest value a reply can have: 0, or by a rubric what doing all harm and no good earns."""
    if not judge.sees("criterion"):
        return 0.0
    most = sum(max(item.points, 0.0) for item in example.rubric)
    return sum(min(item.points, 0.0) for item in example.rubric) / most if most else 0.0
