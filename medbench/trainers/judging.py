"""A judge of the catalog as a reward: all replies of a step in flight together, within a limit of time.

What the judge said is on record in the training's folder, so a training that goes on, or meets the same reply
again, asks nothing twice. A verdict that did not come in time, or at all, is no opinion, never 0.
"""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from medbench import verify
from medbench.inference import Options, open_model
from medbench.inference.openai import OpenAIModel
from medbench.judges import Hearing, Panel
from medbench.judges.docket import Given, docket, valued
from medbench.judges.panel import Seat
from medbench.runs import Run
from medbench.schema import Example, Finish
from medbench.trainers.recipe import RewardJudge
from medbench.trainers.rewards import Batch

log = logging.getLogger(__name__)


def reward(name: str, seat: RewardJudge, folder: Path) -> Callable[[Batch], list[float | None]]:
    """The judge called `name` as a function of a batch: one value per reply, None for no opinion.

    Raises ModelError, when it is called, where a server refuses the key or does not know the model.
    """
    assert seat.row is not None
    row = seat.row
    options = Options(seat.concurrency, seat.timeout, seat.retries)
    panel = Panel(tuple(Seat(name, row, open_model(model, options)) for model in seat.models), seat.panel)
    ends = 0.0

    def ready(asked: Seat) -> None:
        left = max(ends - time.monotonic(), 0.01)
        if isinstance(asked.model, OpenAIModel):
            asked.model.options = replace(options, timeout=left, deadline=left)

    role = f"judge-{os.environ.get('RANK', '0')}"  # each process has a journal of its own
    hearing = Hearing(Run(folder, {}), panel, role=role)
    hearing.ready = ready

    def judged(batch: Batch) -> list[float | None]:
        nonlocal ends
        ends = time.monotonic() + seat.timeout
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
