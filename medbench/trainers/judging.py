"""A judge of the catalog as a reward: all replies of a step in flight together, within a limit of time.

What the judge said is on record in the training's folder, so a training that goes on, or meets the same reply
again, asks nothing twice. A verdict that did not come in time, or at all, is no opinion, never 0.
"""

import logging
import os
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from medbench import verify
from medbench.inference import Options, open_model
from medbench.inference.openai import OpenAIModel
from medbench.inference.types import Request, Sink
from medbench.judges import Hearing, Panel
from medbench.judges.docket import Given, docket, valued
from medbench.judges.panel import Seat
from medbench.runs import Run
from medbench.schema import Example, Finish
from medbench.trainers.recipe import RewardJudge
from medbench.trainers.rewards import Batch

log = logging.getLogger(__name__)


class Punctual:
    """A model that is asked until a moment, `ends`, and no longer; one in this process is waited for."""

    def __init__(self, spec: str, options: Options) -> None:
        self.model = open_model(spec, options)
        self.name = self.model.name
        self.ends = 0.0

    def answer(self, requests: Collection[Request], sink: Sink) -> None:
        """Answer what can be answered in the time that is left."""
        if isinstance(self.model, OpenAIModel):
            left = max(self.ends - time.monotonic(), 0.01)
            self.model.options = replace(self.model.options, timeout=left, deadline=left)
        self.model.answer(requests, sink)


def reward(name: str, seat: RewardJudge, folder: Path) -> Callable[[Batch], list[float | None]]:
    """The judge called `name` as a function of a batch: one value per reply, None for no opinion.

    Raises ModelError, when it is called, where a server refuses the key or does not know the model.
    """
    assert seat.row is not None
    row = seat.row
    models = [Punctual(spec, Options(seat.concurrency, seat.timeout, seat.retries)) for spec in seat.models]
    panel = Panel(tuple(Seat(name, row, model) for model in models), seat.panel)
    role = f"judge-{os.environ.get('RANK', '0')}"  # each process has a journal of its own
    hearing = Hearing(Run(folder, {}), panel, role=role)

    def judged(batch: Batch) -> list[float | None]:
        for model in models:
            model.ends = time.monotonic() + seat.timeout
        items = [docket(row, example, given(reply, example, finish)) for reply, example, finish in batch]
        put = [case for item in items if item for case in item.cases]
        found = iter(hearing.hear(f"reward {name}", put))
        values: list[float | None] = []
        for item, (_, example, _) in zip(items, batch, strict=True):
            findings = [next(found) for _ in item.cases] if item else []
            settled = item.value if item else None
            values.append(valued(row, example, findings)[0] if findings else settled)
        if silent := sum(value is None for value in values):
            log.warning("judge %s has no opinion on %d of %d replies", name, silent, len(values))
        return values

    return judged


def given(reply: str, example: Example, finish: Finish) -> Given:
    """A reply with what the rules say; one that did not end by itself is worth 0, as to other rewards."""
    if finish in ("length", "refused"):
        return Given("", "refused", None)
    return Given(reply, finish, verify.grade(reply, example, finish).correct)
