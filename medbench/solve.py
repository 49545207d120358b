"""Ask each question some times and grade the replies: how hard is it, how good is the model?

Builders (difficulty) and evaluators (accuracy) both stand on this. Verdicts are joined from the
questions, so a question without an answer is a row with status `error`, never a missing row.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Literal

import polars as pl

from medbench import prompts, verify
from medbench.errors import MedbenchError
from medbench.inference.purse import Purse, tokens_in
from medbench.inference.types import Message, Model, Reply, Request, Sampling, image_parts
from medbench.prompts import Prompt
from medbench.runs import Run
from medbench.schema import LETTERS, VERDICT, Example, Verdict

Protocol = Literal["generate", "loglikelihood"]


@dataclass(frozen=True)
class Asking:
    """How a set of questions is put to a model."""

    prompt: Prompt
    sampling: Sampling = field(default_factory=Sampling)
    samples: int = 1
    protocol: Protocol = "generate"
    role: str = "policy"
    max_pixels: int | None = None
    """Images with more are sent smaller."""
    first: int = 0
    """Number of the first sample, where some were asked before."""


@dataclass(frozen=True)
class Tally:
    """Where the asking stands; `cost` is in US dollars."""

    stage: str
    total: int
    done: int = 0
    resumed: int = 0
    scored: int = 0
    correct: int = 0
    failed: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    rate: str = "accuracy"
    """What the share of right among scored is called."""

    def plus(self, reply: Reply, verdict: Verdict, *, cost: float, new: bool) -> "Tally":
        """The tally after one more reply."""
        return replace(
            self,
            done=self.done + 1,
            resumed=self.resumed + (not new),
            scored=self.scored + (verdict.correct is not None),
            correct=self.correct + bool(verdict.correct),
            failed=self.failed + (reply.error is not None),
            tokens_in=self.tokens_in + reply.tokens_in,
            tokens_out=self.tokens_out + reply.tokens_out,
            cost=self.cost + cost,
        )


def summed(name: str, tallies: Iterable[Tally]) -> Tally:
    """Several tallies as one under a name."""
    names = ("total", "done", "resumed", "scored", "correct", "failed", "tokens_in", "tokens_out", "cost")
    every = list(tallies)
    return Tally(name, **{one: sum(getattr(tally, one) for tally in every) for one in names})


Progress = Callable[[Tally], None]


class Requests(Sequence[Request]):
    """One request per example and sample, examples outermost; each is made when it is looked at."""

    def __init__(self, examples: Sequence[Example], asking: Asking) -> None:
        self._examples = examples
        self._asking = asking

    def __len__(self) -> int:
        return len(self._examples) * self._asking.samples

    def __getitem__(self, place: Any) -> Any:
        places = range(len(self))[place]
        if isinstance(places, range):
            return [self[one] for one in places]
        number, sample = divmod(places, self._asking.samples)
        asking, example = self._asking, self._examples[number]
        return Request(
            example=example.id,
            messages=budgeted(prompts.render(asking.prompt, example), asking.max_pixels),
            sampling=asking.sampling,
            sample=asking.first + sample,
            choices=offered(asking, example),
            protocol=compared(asking, example),
        )


def budgeted(messages: tuple[Message, ...], max_pixels: int | None) -> tuple[Message, ...]:
    """Messages whose image parts say how many pixels may be sent."""
    if max_pixels is not None:
        for message in messages:
            for part in image_parts(message):
                part["max_pixels"] = max_pixels
    return messages


def compared(asking: Asking, example: Example) -> Literal["generate", "loglikelihood", "loglikelihood-norm"]:
    """The protocol of one request: option texts differ in length, so they are compared per character."""
    by_text = bool(example.options) and asking.prompt.choices == "text"
    return "loglikelihood-norm" if asking.protocol == "loglikelihood" and by_text else asking.protocol


@dataclass(frozen=True)
class Estimate:
    """What would be asked. `tokens_in` is about right: four characters a token."""

    requests: int
    tokens_in: int
    tokens_out_at_most: int
    images: int = 0
    """Images sent; models differ much in how many tokens one takes."""


def estimate(examples: Sequence[Example], asking: Asking) -> Estimate:
    """What asking `examples` would take, without asking."""
    once = Requests(examples, replace(asking, samples=1))
    n = len(once) * asking.samples
    images = asking.samples * sum(len(example.images) for example in examples)
    return Estimate(n, asking.samples * tokens_in(once), n * asking.sampling.max_tokens, images)


def offered(asking: Asking, example: Example) -> tuple[str, ...]:
    """The answers a question offers: option letters or texts, else yes and no, else none."""
    if example.options:
        return prompts.choices(asking.prompt, example)
    return ("yes", "no") if example.kind == "yesno" else ()


def gold_choice(asking: Asking, example: Example) -> str:
    """The gold as one of the answers on offer."""
    gold = example.gold[0]
    if example.kind == "mcq" and asking.prompt.choices == "text":
        return example.options[LETTERS.index(gold)]
    return gold


class Grader:
    """Grades replies as they arrive, and keeps the tally."""

    def __init__(self, examples: Sequence[Example], tally: Tally, purse: Purse, progress: Progress) -> None:
        self.examples = {example.id: example for example in examples}
        self.verdicts: dict[tuple[str, int], tuple[Reply, Verdict]] = {}
        self.tally = tally
        self.purse = purse
        self.progress = progress

    def __call__(self, request: Request, reply: Reply, new: bool) -> None:
        """Grade one reply."""
        verdict = verify.grade(reply.text, self.examples[request.example], reply.finish)
        self.verdicts[request.example, request.sample] = (reply, verdict)
        self.tally = self.tally.plus(reply, verdict, cost=self.purse.paid(request, reply), new=new)
        self.progress(self.tally)

    def leave_out(self) -> None:
        """Count the questions that can't be asked as failed, each with its reason."""
        faulty = [example for example in self.examples.values() if example.fault]
        samples = self.tally.total // max(len(self.examples), 1)
        lost = len(faulty) * samples
        self.tally = replace(self.tally, done=self.tally.done + lost, failed=self.tally.failed + lost)


def silent(tally: Tally) -> None:
    """Progress that tells nobody."""


def solve(
    run: Run,
    model: Model,
    *,
    examples: Sequence[Example],
    asking: Asking,
    stage: str = "",
    purse: Purse | None = None,
    progress: Progress = silent,
) -> pl.DataFrame:
    """Verdicts on `asking.samples` replies to each example: table VERDICT, one row per example and sample.

    `stage` fills the column `benchmark`. Everything answered before in this run is read from its
    journal.
    """
    if len({example.id for example in examples}) < len(examples):
        raise MedbenchError(f"{stage}: two questions share an id")
    if study := getattr(model, "study", None):
        study(gold_choice(asking, example) for example in examples)
    purse = purse or Purse()
    grader = Grader(examples, Tally(stage, len(examples) * asking.samples), purse, progress)
    grader.leave_out()
    asked = [example for example in examples if not example.fault]
    run.ask(asking.role, model, requests=Requests(asked, asking), purse=purse, on_reply=grader)
    return table(stage, examples, range(asking.first, asking.first + asking.samples), grader)


def table(stage: str, examples: Sequence[Example], samples: range, grader: Grader) -> pl.DataFrame:
    """The graded replies, a row for each example and sample whether or not there is one."""
    nobody = Verdict(None, "", "error", None)
    columns: dict[str, list[Any]] = {name: [] for name in VERDICT}
    for example, sample in product(examples, samples):
        never = Reply.failed(example.fault or "not asked")
        reply, verdict = grader.verdicts.get((example.id, sample), (never, nobody))
        row = (
            *(stage, example.id, example.cluster, sample),
            *(reply.text, reply.finish, reply.error, reply.tokens_in, reply.tokens_out),
            *(verdict.answer, verdict.rule, verdict.status, verdict.correct),
        )
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    return pl.DataFrame(columns, schema=VERDICT)
