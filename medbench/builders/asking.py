"""Calls to a builder's helpers (teacher, checker, tagger, auditor), counted and shown as they come."""

from collections import Counter
from collections.abc import Sequence

from medbench.builders.context import Context
from medbench.errors import MedbenchError
from medbench.inference.types import Model, Reply, Request
from medbench.schema import Verdict
from medbench.solve import Tally


class Counting:
    """The tally of one role at work, shown to the user after each reply."""

    def __init__(self, context: Context, stage: str, total: int) -> None:
        self.context = context
        self.tally = Tally(stage, total)

    def __call__(self, request: Request, reply: Reply, new: bool) -> None:
        """Count one reply; it is neither right nor wrong."""
        cost = self.context.purse.paid(request, reply)
        nothing = Verdict(None, "", "error" if reply.error else "scored", None)
        self.tally = self.tally.plus(reply, nothing, cost=cost, new=new)
        self.context.progress(self.tally)


def ask(context: Context, role: str, model: Model, requests: Sequence[Request]) -> list[Reply]:
    """Replies in the order of `requests`; each is asked once in the life of the run."""
    counter = Counting(context, f"{context.name} {role}", len(requests))
    return context.run.ask(role, model, requests=requests, purse=context.purse, on_reply=counter)


def refuse_failures(role: str, errors: Sequence[str | None], most: float) -> None:
    """Raise MedbenchError where more than the share `most` of calls failed: null is a call that did not."""
    failed = [error for error in errors if error is not None]
    if len(failed) > most * len(errors):
        [(why, _)] = Counter(failed).most_common(1)
        raise MedbenchError(
            f"{len(failed):,} of {len(errors):,} calls of the {role} failed, most often: {why}; "
            "nothing was published",
            "repeat the command: it asks only for these again (not asked: the server was down, or --max-cost "
            "was reached)",
        )
