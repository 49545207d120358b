"""Rewards: plain functions of a reply and its example.

`(reply, example, finish) -> float | None`, None meaning "no opinion". They read an answer with
`verify`, so a reward and the metric can never disagree. `for_trl` is the one place that knows how TRL
calls a reward; nothing else here depends on a trainer.
"""

import asyncio
import functools
import json
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict
from importlib import import_module
from typing import Any

from medbench import verify
from medbench.errors import UsageError, unknown
from medbench.schema import LISTS, Criterion, Example, Finish

Reward = Callable[[str, Example, Finish], float | None]


def mcq_exact(reply: str, example: Example, finish: Finish) -> float | None:
    """1 when the option the reply commits to is gold, else 0; None for a question without options."""
    if not example.options:
        return None
    return correct(reply, example, finish)


def correct(reply: str, example: Example, finish: Finish) -> float | None:
    """1 when the answer is right, else 0, for any kind of question that rules can grade.

    A reply that did not end by itself is not paid, whatever it says by then: a model paid for half a
    reply learns to ramble up to the limit.
    """
    if finish in ("length", "refused"):
        return 0.0
    verdict = verify.grade(reply, example, finish)
    return None if verdict.correct is None else float(verdict.correct)


def format_boxed(reply: str, example: Example, finish: Finish) -> float | None:
    r"""1 when the reply ends by itself and its one answer, right or wrong, stands in `\boxed{…}`."""
    if finish == "error":
        return None
    reading = verify.read(reply, example, finish)
    return float(finish == "stop" and reading.status == "scored" and reading.rule == "boxed")


NAMED: dict[str, Reward] = {"mcq_exact": mcq_exact, "correct": correct, "format_boxed": format_boxed}


JUDGE = "judge:"
"""Begins the name of a reward that a judge of the catalog gives."""

Batch = Sequence[tuple[str, Example, Finish]]
"""Replies of one step with their examples."""


def resolve(name: str) -> Reward | None:
    """The reward called `name`; `package.module:function` finds anyone's. None for a judge's."""
    if name.startswith(JUDGE):
        return None
    module, colon, function = name.rpartition(":")
    if not colon:
        if name not in NAMED:
            raise unknown("reward", name, NAMED)
        return NAMED[name]
    try:
        found = getattr(import_module(module), function)
    except (ImportError, AttributeError) as problem:
        raise UsageError(f"reward '{name}' cannot be imported: {problem}") from problem
    if not callable(found):
        raise UsageError(f"reward '{name}' is not a function")
    return found  # type: ignore[no-any-return]


def packed(example: Example) -> str:
    """An example as one JSON string, the form in which it travels through a trainer's table."""
    return json.dumps(asdict(example), ensure_ascii=False, sort_keys=True, default=dict)


@functools.lru_cache(maxsize=65536)
def unpacked(text: str) -> Example:
    """The example of a packed string."""
    row = json.loads(text)
    row["rubric"] = tuple(Criterion(*item) for item in row.get("rubric", ()))
    return Example(**row | {name: tuple(row.get(name, ())) for name in LISTS})


def for_trl(
    name: str,
    *,
    ends: Collection[int],
    shuffle: int | None = None,
    judge: Callable[[Batch], list[float | None]] | None = None,
) -> Callable[..., Any]:
    """The reward called `name` in TRL's calling convention.

    `ends` holds the token ids that end a reply; a reply that stops on another one was cut off. With
    `shuffle`, a seed, rewards are dealt out at random among the replies of a batch that give an answer:
    a control run is still paid for answering at all, and differs in nothing but which answer pays.
    `judge` gives the rewards of a whole batch where a judge is named; TRL then awaits it beside the others.
    """
    reward = resolve(name)

    def batch(completions: Sequence[Any], ids: Sequence[Sequence[int]], examples: Sequence[str]) -> Batch:
        return [
            (said(completion), unpacked(text), "stop" if tokens and tokens[-1] in ends else "length")
            for completion, tokens, text in zip(completions, ids, examples, strict=True)
        ]

    def settled(replies: Batch, values: list[float | None], examples: Sequence[str], **rest: Any) -> Any:
        silent = sum(value is None for value in values)
        if judge is not None and (log := rest.get("log_metric")):
            log("no_opinion", silent / max(len(values), 1))
        values = neutral(values, examples)
        if shuffle is None:
            return values
        answered = [reply[2] == "stop" and verify.read(*reply).status == "scored" for reply in replies]
        given = dealt(values, answered, f"shuffle:{shuffle}:{rest['trainer_state'].global_step}")
        return neutral(given, examples)  # a group without opinions may have been dealt out to others

    def paid(completions: Any, completion_ids: Any, example: Sequence[str], **rest: Any) -> Any:
        replies = batch(completions, completion_ids, example)
        assert reward is not None
        return settled(replies, [reward(*reply) for reply in replies], example, **rest)

    async def awaited(completions: Any, completion_ids: Any, example: Sequence[str], **rest: Any) -> Any:
        replies = batch(completions, completion_ids, example)
        assert judge is not None
        return settled(replies, await asyncio.to_thread(judge, replies), example, **rest)

    made = paid if judge is None else awaited
    made.__name__ = name
    return made


def neutral(values: Sequence[float | None], groups: Sequence[str]) -> list[float | None]:
    """`values` with None as the mean of the opinions on the same group, and None where there is none.

    A trainer adds rewards up and takes one that is missing for 0, which would punish a reply for a judge's
    silence. At the group's mean it neither gains nor loses.

    >>> neutral([1.0, None, 0.0, None], ["a", "a", "a", "b"])
    [1.0, 0.5, 0.0, None]
    """
    held: dict[str, list[float]] = {}
    for value, group in zip(values, groups, strict=True):
        if value is not None:
            held.setdefault(group, []).append(value)
    means = {group: sum(known) / len(known) for group, known in held.items()}
    return [means.get(group) if v is None else v for v, group in zip(values, groups, strict=True)]


def dealt(values: Sequence[float | None], answered: Sequence[bool], seed: str) -> list[float | None]:
    """`values` with those of answered replies permuted among themselves, by `seed`."""
    places = [place for place, given in enumerate(answered) if given]
    result = list(values)
    for place, other in zip(places, random.Random(seed).sample(places, len(places)), strict=True):
        result[place] = values[other]
    return result


def said(completion: str | Sequence[dict[str, Any]]) -> str:
    """The text of a completion, conversational or plain."""
    if isinstance(completion, str):
        return completion
    content = completion[-1].get("content") if completion else None
    return content if isinstance(content, str) else ""
