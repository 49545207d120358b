"""Putting cases to a panel: each once, a retry where no verdict came, and then unscored."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from medbench.inference.purse import Purse
from medbench.inference.types import Reply, Request, kind_of_fault
from medbench.judges.cases import Case, messages
from medbench.judges.panel import Finding, Panel, Seat
from medbench.judges.rulings import Ruling, ruling
from medbench.runs import Run
from medbench.schema import Status, Verdict
from medbench.solve import Progress, Tally, silent, summed

ROLE = "judge"
TRIES = 2
"""A reply without a verdict is asked for once more."""


class Hearing:
    """A panel at work in a run; `tally` counts what it took, over all that was heard.

    With `borrow`, a home folder, verdicts on equal cases that are on record in its other runs are used again.
    """

    def __init__(
        self,
        run: Run,
        panel: Panel,
        *,
        purse: Purse | None = None,
        progress: Progress = silent,
        borrow: Path | None = None,
        role: str = ROLE,
    ) -> None:
        self.run = run
        self.role = role
        self.panel = panel
        self.purse = purse or Purse()
        self.progress = progress
        self.borrow = borrow
        self.borrowed = 0
        self.tally = Tally("", 0)
        self._shown = Tally("", 0)

    def hear(
        self, stage: str, cases: Sequence[Case], *, repeat: int = 0, reverse: bool = False
    ) -> list[Finding]:
        """One finding per case, in their order; equal cases are asked about once.

        `repeat` numbers further hearings of the same cases, `reverse` names the labels in the other order.
        """
        distinct = list({case.name: case for case in cases}.values())
        self._shown = Tally(stage, len(distinct) * len(self.panel.seats), rate="judged right")
        said = [self.rulings(seat, distinct, repeat, reverse) for seat in self.panel.seats]
        found = {case.name: self.panel.find(rulings) for case, *rulings in zip(distinct, *said, strict=True)}
        self.tally = summed(stage, (self.tally, self._shown))
        return [found[case.name] for case in cases]

    def rulings(self, seat: Seat, cases: Sequence[Case], repeat: int, reverse: bool) -> list[Ruling]:
        """What one judge says of each case."""
        tries = [
            [asked(seat, case, repeat * TRIES + attempt, reverse=reverse) for case in cases]
            for attempt in range(TRIES)
        ]
        said = [self.recalled(seat, requests) for requests in zip(*tries, strict=True)]
        for attempt, requests in enumerate(tries):
            owed = [place for place, held in enumerate(said) if held.value is None]
            wanted = [requests[place] for place in owed]
            for place, reply in zip(owed, self.replies(seat, wanted, first=attempt == 0), strict=True):
                said[place] = ruled(seat, reply)
        return said

    def recalled(self, seat: Seat, tries: Sequence[Request]) -> Ruling:
        """The verdict that one of the tries has on record, whichever came first."""
        replies = self.run.journal(self.role).replies
        for request in tries:
            reply = replies.get(request.key(self.role, seat.player.name))
            if reply is not None and (found := ruled(seat, reply)).value is not None:
                self.count(seat, request, reply, new=False, first=True)
                return found
        return Ruling(None, None, "not asked")

    def replies(self, seat: Seat, requests: Sequence[Request], *, first: bool) -> list[Reply]:
        """The replies of a seat's model, counted as they come; a second try is counted by its cost alone."""

        def heard(request: Request, reply: Reply, new: bool) -> None:
            self.count(seat, request, reply, new=new, first=first)

        if self.borrow is not None:
            self.run.borrow(self.role, seat.player, requests, self.borrow)
        return self.run.ask(self.role, seat.player, requests=requests, purse=self.purse, on_reply=heard)

    def count(self, seat: Seat, request: Request, reply: Reply, *, new: bool, first: bool) -> None:
        """Count one reply; a borrowed one cost nothing."""
        value = ruled(seat, reply).value
        status: Status = "error" if value is None else "scored"
        verdict = Verdict(None, "judge", status, None if value is None else value == 1)
        estimated = self.run.journal(self.role).estimated.get(request.key(self.role, seat.player.name))
        self.borrowed += estimated == (0, 0)
        cost = self.purse.cost(*estimated) if estimated else self.purse.paid(request, reply)
        self._shown = counted(self._shown, reply, verdict, cost=cost, new=new, first=first)
        self.progress(self._shown)


def asked(seat: Seat, case: Case, number: int, *, reverse: bool = False) -> Request:
    """The request that puts a case to a judge for the `number`th time."""
    judge = seat.judge
    choices = tuple(judge.worth)[::-1] if judge.protocol == "loglikelihood" else ()
    shown = messages(judge, case, reverse=reverse)
    return Request(case.name, shown, judge.sampling, number, choices, judge.protocol)


def ruled(seat: Seat, reply: Reply) -> Ruling:
    """The ruling in a judge's reply; of a failed call its kind, which may be published."""
    if reply.error is not None:
        return Ruling(None, None, kind_of_fault(reply.error))
    if seat.judge.protocol == "loglikelihood" and reply.text in seat.judge.worth:
        return Ruling(reply.text, seat.judge.worth[reply.text])
    return ruling(seat.judge, reply.text, reply.finish)


def counted(tally: Tally, reply: Reply, verdict: Verdict, *, cost: float, new: bool, first: bool) -> Tally:
    """A tally after one more reply; what a second try took is added, but it is not one more reply."""
    after = tally.plus(reply, verdict, cost=cost, new=new)
    if first:
        return after
    return replace(after, done=tally.done, resumed=tally.resumed, failed=tally.failed)
