"""What other harnesses would have made of the same replies, and how far their scores lie apart.

Only replies that medbench itself could score are compared: failed calls and text that waits for a judge
are left out on both sides. A profile is asked about the kinds of question it has a rule for.
"""

import logging
import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import polars as pl

from medbench import parity
from medbench.config import digest
from medbench.errors import UsageError
from medbench.parity import Mark, Profile
from medbench.schema import Example

log = logging.getLogger(__name__)

MOST = 1_500
"""Replies that an evaluation looks at for its one line, at most."""

BUDGET = 1_800_000
"""Characters of replies that it looks at, at most."""

BROKEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError, re.error)


class Read(NamedTuple):
    """A reply that medbench scored."""

    reply: str
    example: Example
    answered: bool
    correct: bool


@dataclass(frozen=True)
class Peer:
    """A profile's number. `right`, `guessed` and `unparsed` count replies, of `n` that it has a rule for.

    `score` is what the peer would print; `here` is medbench's accuracy on the same replies. `figures` are
    the peer's other numbers.
    """

    profile: str
    score: float
    n: int
    right: int
    guessed: int
    unparsed: int
    here: float
    figures: Mapping[str, float]

    @property
    def difference(self) -> float:
        """The peer's score minus medbench's."""
        return self.score - self.here

    def json(self) -> dict[str, Any]:
        """The row for JSON; null in place of NaN."""
        row = {name: getattr(self, name) for name in (*self.__dataclass_fields__, "difference")}
        row["figures"] = {name: known(value) for name, value in self.figures.items()}
        return {name: known(value) if isinstance(value, float) else value for name, value in row.items()}


def known(value: float) -> float | None:
    """`value`, or None where it is not a number."""
    return None if math.isnan(value) else value


@dataclass(frozen=True)
class Report:
    """Every applicable profile on the same replies. `n` of `total` replies were looked at."""

    here: float
    unanswered: int
    n: int
    total: int
    peers: Sequence[Peer]

    @property
    def comparable(self) -> list[Peer]:
        """The peers with a number for the most replies (as a rule, all), lowest score first."""
        most = max((peer.n for peer in self.peers), default=0)
        return sorted((peer for peer in self.peers if peer.n == most), key=lambda peer: peer.score)

    @property
    def median(self) -> float:
        """The middle score of the comparable peers."""
        return statistics.median(peer.score for peer in self.comparable)

    def json(self) -> dict[str, Any]:
        """The object for JSON; `spread` is over the comparable peers and medbench."""
        ordered = self.comparable
        scores = [peer.score for peer in ordered] + [ordered[0].here]
        return {
            "here": self.here,
            "unanswered": self.unanswered,
            "n": self.n,
            "of": self.total,
            "profiles": [peer.json() for peer in self.peers],
            "lowest": ordered[0].profile,
            "highest": ordered[-1].profile,
            "median": self.median,
            "spread": max(scores) - min(scores),
        }


def reads(verdicts: pl.DataFrame, examples: Mapping[str, Example]) -> list[Read]:
    """The scored replies of a table VERDICT."""
    scored = verdicts.filter(pl.col("correct").is_not_null())
    columns = scored.select("reply", "example", "status", "correct").iter_rows()
    return [Read(reply, examples[name], status == "scored", right) for reply, name, status, right in columns]


def report(replies: Sequence[Read], total: int | None = None, *, careful: bool = False) -> Report | None:
    """All applicable profiles on these replies, None when there is none.

    `careful` leaves a profile out, with a warning, that fails on a reply.
    """
    peers = []
    for profile in parity.PROFILES.values():
        try:
            found = peer(profile, replies)
        except BROKEN as problem:
            if not careful:
                raise
            log.warning("profile %s failed on these replies: %r", profile.name, problem)
            continue
        if found and not math.isnan(found.score):
            peers.append(found)
    if not peers:
        return None
    silent = sum(not read.answered for read in replies)
    here = share(read.correct for read in replies)
    return Report(here, silent, len(replies), len(replies) if total is None else total, peers)


def share(flags: Iterable[bool]) -> float:
    """How many of some flags are set; NaN of none."""
    listed = list(flags)
    return sum(listed) / len(listed) if listed else math.nan


def peer(profile: Profile, replies: Sequence[Read]) -> Peer | None:
    """A profile's number on the replies it has a rule for, None when there are none."""
    fit = [read for read in replies if read.example.kind in profile.kinds]
    if not fit:
        return None
    marks = [profile.grade(read.reply, read.example) for read in fit]
    figures = profile.total(marks, [read.example for read in fit])
    return Peer(
        profile.name,
        figures["score"],
        len(fit),
        sum(mark.correct for mark in marks),
        sum(mark.how == "guessed" for mark in marks),
        sum(mark.how == "none" for mark in marks),
        share(read.correct for read in fit),
        {name: value for name, value in figures.items() if name != "score"},
    )


def applicable(profile: Profile, examples: Iterable[Example]) -> None:
    """Raise UsageError when a profile has a rule for none of these questions."""
    kinds = {example.kind for example in examples}
    if not kinds & profile.kinds:
        others = [name for name, other in parity.PROFILES.items() if other.kinds & kinds]
        raise UsageError(
            f"profile '{profile.name}' has no rule for questions of kind {', '.join(sorted(kinds))}, "
            f"only for {', '.join(sorted(profile.kinds))}",
            f"those that do: {', '.join(others) or 'none'}",
        )


def columns(profile: Profile, verdicts: pl.DataFrame, examples: Mapping[str, Example]) -> pl.DataFrame:
    """What a profile makes of each row of a table VERDICT: peer_answer, peer_how, peer_correct.

    Null where the call failed or the profile has no rule.
    """
    marks: list[Mark | None] = []
    for name, reply, status in verdicts.select("example", "reply", "status").iter_rows():
        fits = status != "error" and examples[name].kind in profile.kinds
        marks.append(profile.grade(reply, examples[name]) if fits else None)
    return pl.DataFrame(
        {
            "peer_answer": [mark.answer if mark else None for mark in marks],
            "peer_how": [mark.how if mark else None for mark in marks],
            "peer_correct": [mark.correct if mark else None for mark in marks],
        },
        schema={"peer_answer": pl.String, "peer_how": pl.String, "peer_correct": pl.Boolean},
    )


def glance(parts: Iterable[tuple[pl.DataFrame, Mapping[str, Example]]]) -> Report | None:
    """The report on all replies of an evaluation, or on a fair sample of them if there are very many.

    Quick, the same each time, and never an error: it accompanies a result that stands without it.
    """
    tables = [(verdicts.filter(pl.col("correct").is_not_null()), examples) for verdicts, examples in parts]
    total = sum(table.height for table, _ in tables)
    picked: list[Read] = []
    limit = threshold([table for table, _ in tables], total)
    for table, examples in tables:
        keep = pl.Series([mark <= limit for mark in hashes(table)], dtype=pl.Boolean) if limit else True
        picked += reads(table.filter(keep), examples)
    return report(picked, total, careful=True) if picked else None


def hashes(table: pl.DataFrame) -> list[str]:
    """A fixed hash of each reply's place."""
    return [digest(["reading", *row]) for row in table.select("benchmark", "example", "sample").iter_rows()]


def threshold(tables: Sequence[pl.DataFrame], total: int) -> str:
    """The hash up to which `MOST` replies of at most `BUDGET` characters lie, "" when all may be taken."""
    characters = sum(int(table["reply"].str.len_chars().sum() or 0) for table in tables)
    most = min(MOST, max(total * BUDGET // max(characters, 1), 1))
    if total <= most:
        return ""
    return sorted(mark for table in tables for mark in hashes(table))[most - 1]
