"""What is put to a judge: a question, its gold, and what was replied, as inert text."""

import re
from dataclasses import dataclass, replace
from functools import cached_property

from medbench import prompts, verify
from medbench.config import digest
from medbench.inference.types import Message
from medbench.rubrics import Judge
from medbench.schema import LETTERS, Example, Finish
from medbench.verify.text import visible

TAGS = re.compile(
    r"</?(?:think|thinking|reasoning|answer)>|◁/?think▷|\[/?THINK\]|<\|[a-z_]{1,30}\|>|[\u200b-\u200d\u2060\ufeff]",
    re.IGNORECASE,
)
NOTHING = "(nothing)"


@dataclass(frozen=True)
class Case:
    """One thing to be judged.

    `reply` is what a reader sees, `whole` the same with its thoughts; `reasoning` and `answer` are its
    parts, and `other` is a second reply.
    """

    question: str
    reply: str
    gold: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    context: str = ""
    whole: str = ""
    reasoning: str = ""
    answer: str = ""
    other: str = ""
    criterion: str = ""

    @cached_property
    def name(self) -> str:
        """A name that equal cases share: what was judged once needs no second verdict."""
        return f"case/{digest(list(vars(self).items()))}"


def cases(
    judge: Judge, example: Example, reply: str, finish: Finish = "stop", *, other: str = ""
) -> list[Case]:
    """What a judge must be asked about a reply: one case, or one for each criterion of the example.

    A judge that sees reasoning and answer apart is asked nothing where no answer can be read. `other` is the
    second reply, for a judge of pairs.
    """
    answer = ""
    if judge.sees("answer"):
        answer = answered(example, reply, finish)
        if not answer:
            return []
    case = Case(
        question=example.question,
        reply=seen(reply),
        gold=golds(example) if judge.sees("gold") else (),
        options=listed(example),
        context=example.context or "",
        whole=reply if judge.sees("whole") else "",
        reasoning=reasoned(reply) if judge.sees("reasoning") else "",
        answer=answer,
        other=seen(other),
    )
    if not judge.sees("criterion"):
        return [case]
    return [replace(case, criterion=item.criterion) for item in example.rubric]


def seen(reply: str) -> str:
    """The part of a reply meant for its reader; all of it where there is only thought."""
    shown, thought = visible(reply)
    return reply if thought or not shown else shown


def bare(reply: str) -> str:
    """A reply without the tags around its parts; empty where there is nothing else."""
    return TAGS.sub("", reply).strip()


def listed(example: Example) -> tuple[str, ...]:
    """The options with their letters."""
    called = example.labels or LETTERS
    return tuple(f"{label}. {text}" for label, text in zip(called, example.options, strict=False))


def golds(example: Example) -> tuple[str, ...]:
    """The accepted answers, a letter with the words of its option."""
    return tuple(spelt(example, gold) for gold in example.gold)


def spelt(example: Example, answer: str) -> str:
    """An answer as it reads, letters with their options' words."""
    if example.kind not in ("mcq", "multi") or not example.options:
        return answer
    options = listed(example)
    return "; ".join(options[LETTERS.index(letter)] for letter in answer)


def answered(example: Example, reply: str, finish: Finish) -> str:
    """The final answer as medbench reads it; empty where there is none."""
    found = verify.read(reply, example, finish).answer
    return spelt(example, found) if found else ""


def reasoned(reply: str) -> str:
    """The thought of a reply: what precedes its visible part, else all of it but the tags."""
    shown, thought = visible(reply)
    place = -1 if thought else reply.rfind(shown[:200])
    before = reply[:place] if place > 0 and shown else reply
    return TAGS.sub(" ", before).strip() or NOTHING


def messages(judge: Judge, case: Case, *, reverse: bool = False) -> tuple[Message, ...]:
    """The chat messages that put a case to a judge; `reverse` names its labels in the other order."""
    labels = list(judge.worth)[::-1]
    levels = [f"{level}: {judge.scale[level]}" for level in sorted(judge.scale)]
    if reverse:
        labels, levels = labels[::-1], levels[::-1]
    said = {
        "question": case.question,
        "gold": " / ".join(case.gold),
        "context": case.context,
        "reply": case.reply,
        "whole": case.whole,
        "reasoning": case.reasoning,
        "answer": case.answer,
        "other": case.other,
        "criterion": case.criterion,
    }
    values = {name: prompts.inert(text).strip() or NOTHING for name, text in said.items()}
    values["context"] = f"{values['context']}\n\n" if case.context else ""
    values["listed"] = prompts.inert("\n".join(["", *case.options])) if case.options else ""
    values |= {"labels": spoken(labels), "levels": "\n".join(levels)}
    return prompts.messages(judge.wording, values)


def spoken(labels: list[str]) -> str:
    """Labels as a list in words.

    >>> spoken(["A", "B", "TIE"]), spoken(["1", "0"])
    ('A, B or TIE', '1 or 0')
    """
    return " or ".join([", ".join(labels[:-1]), labels[-1]])
