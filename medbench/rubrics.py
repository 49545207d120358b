"""How a model is asked to judge: a row of the catalog, and the verdict in what the judge says.

A verdict is one of the labels the row offers, each worth something in [0, 1]; 1 is always right, whatever the
judge calls it. It counts where it is said last, in the form that was asked for, and in no other way: a
reply that was cut off, names no label, or names several without choosing holds no verdict.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, Literal, NamedTuple, Self

import pydantic

from medbench import prompts
from medbench.config import Config, digest
from medbench.errors import MedbenchError
from medbench.inference.types import Sampling
from medbench.prompts import PLACEHOLDER, Prompt
from medbench.schema import Finish, Kind
from medbench.verify.text import visible

Form = Literal["word", "boxed", "answer", "json"]
Rule = Literal["match", "span", "none"]

GOLDS = ("gold", "criterion")
"""Placeholders that tell what is right."""
SHOWN = (*GOLDS, "question", "listed", "context", "reply", "reasoning", "answer", "other", "labels", "levels")


class Judge(Config):
    """One way to judge replies."""

    title: str
    aspect: str
    """What is judged; the rows of a labelled set say which aspect their label is of."""
    prompt: str | Prompt
    """A prompt of role `judge`, by name or written out."""
    labels: dict[str, float] = pydantic.Field(default_factory=dict)
    """Label → what it is worth, from 0 to 1; 1 is right."""
    scale: dict[int, str] = pydantic.Field(default_factory=dict)
    """Instead of labels: level → what it means; the highest is worth 1, the lowest 0, the others between."""
    form: Form = "word"
    """Where the verdict stands: the last label said, in the last box, answer tag or JSON object."""
    key: str = "verdict"
    """The key of a JSON verdict."""
    measure: str = "accuracy"
    """What the figure is called, after `judged_`."""
    rule: Rule = "none"
    """What already decides that a reply is right: `match` is medbench's reading, `span` a gold said in it."""
    kinds: tuple[Kind, ...] = ("open", "free")
    """Kinds of questions it is asked about; the rules alone decide others."""
    sampling: Sampling = Sampling(max_tokens=512)
    protocol: Literal["generate", "loglikelihood"] = "generate"
    """`loglikelihood` takes the label the model finds likeliest as the next words."""
    model: str | None = None
    """Who judges where the command names nobody: `openai:NAME@URL`, …"""
    published: str = ""
    """Who judged in the paper."""
    provenance: Literal["stated", "code", "reconstruction", "ours", "user"] = "user"
    """Where its levels, form and sampling come from; a wording tells its own origin."""
    cite: str = ""
    notes: str = ""

    @pydantic.model_validator(mode="after")
    def _complete(self) -> Self:
        if bool(self.labels) == bool(self.scale):
            raise ValueError("a judge has either labels or a scale")
        if len(self.worth) < 2 or max(self.worth.values()) != 1 or min(self.worth.values()) < 0:
            raise ValueError("at least two labels, worth 0 to 1, and one of them worth 1 (right)")
        if len({label.casefold() for label in self.worth}) < len(self.worth):
            raise ValueError("two labels differ in upper and lower case only")
        try:
            named = set(PLACEHOLDER.findall(self.wording.user))
        except MedbenchError as problem:
            raise ValueError(f"{problem.what}; {problem.fix}") from None
        if strange := {name for name in named if not name.isdigit()} - set(SHOWN):
            raise ValueError(f"prompt: no placeholder {{{min(strange)}}}; there are {', '.join(SHOWN)}")
        return self

    @cached_property
    def wording(self) -> Prompt:
        """The prompt."""
        return prompts.named(self.prompt, "judge") if isinstance(self.prompt, str) else self.prompt

    @cached_property
    def worth(self) -> dict[str, float]:
        """Every label with what it is worth, the worst first."""
        if self.labels:
            return dict(sorted(self.labels.items(), key=lambda item: item[1]))
        low, high = min(self.scale), max(self.scale)
        return {str(level): (level - low) / max(high - low, 1) for level in sorted(self.scale)}

    @property
    def best(self) -> str:
        """The label that is worth 1."""
        return list(self.worth)[-1]

    def sees(self, name: str) -> bool:
        """Whether the prompt has a placeholder."""
        return f"{{{name}}}" in self.wording.user

    @property
    def hash(self) -> str:
        """Identity of all that decides a verdict besides the model."""
        names = {"labels", "scale", "form", "key", "sampling", "protocol"}
        return digest([self.wording.hash, self.model_dump(mode="json", include=names)])


class Ruling(NamedTuple):
    """What a judge said of one case: a label and its worth, or neither and the reason."""

    label: str | None
    value: float | None
    problem: str | None = None


def ruling(judge: Judge, text: str, finish: Finish = "stop") -> Ruling:
    """The verdict in a judge's reply.

    >>> binary = Judge(title="", aspect="", prompt="judge-equivalence", labels={"CORRECT": 1, "INCORRECT": 0})
    >>> ruling(binary, "Not the same side, so INCORRECT."), ruling(binary, "CORRECT or INCORRECT")[2]
    (Ruling(label='INCORRECT', value=0.0, problem=None), 'no verdict')
    """
    if finish in ("length", "refused", "error"):
        return Ruling(None, None, {"length": "cut off", "refused": "refused"}.get(finish, "call failed"))
    shown, thought = visible(text)
    found = None if thought else FORMS[judge.form](shown, judge)
    if found is None:
        return Ruling(None, None, "no verdict")
    return Ruling(found, judge.worth[found])


def offered(text: Any, judge: Judge) -> str | None:
    """`text` as one of the labels, whatever its case and marks around it; None if it is none."""
    if isinstance(text, bool | int | float):
        text = json.dumps(int(text) if isinstance(text, float) and text.is_integer() else text)
    if not isinstance(text, str):
        return None
    plain = text.strip().strip("*_`\"'$.。:!()[]{} \n").casefold()
    return next((label for label in judge.worth if label.casefold() == plain), None)


def last_word(text: str, judge: Judge) -> str | None:
    """The last label said in the text, or the last line if that is a label in any case and no more.

    A label after "not", or one of several that are only listed ("A or B"), is no verdict. Labels of one
    character occur in any prose, so they count as the last line alone; and plain words (yes, no) where a
    line or a sentence begins with them and a stop, or ends in them after a colon.
    """
    last_line = text.strip().rpartition("\n")[2].rpartition(":")[2]
    if min(map(len, judge.worth)) < 2:
        return offered(last_line, judge)
    names = "|".join(re.escape(label) for label in sorted(judge.worth, key=len, reverse=True))
    if all(label.islower() for label in judge.worth):
        said = re.findall(
            rf"(?:^|[\n.!?:])[\s*_\"'`]{{0,9}}({names})(?=[*_\"'`]{{0,3}}\s?(?:[,.;:!\n]|$))", text, re.I
        )
        return offered(said[-1], judge) if said else None
    found = list(re.finditer(rf"(?<![\w./-])(?:{names})(?![\w/-]|\.\d)", text))
    if not found:
        return offered(last_line, judge)
    last = found[-1]
    if NEGATED.search(text[max(last.start() - 40, 0) : last.start()]):
        return None
    between = text[found[-2].end() : last.start()] if len(found) > 1 else ""
    return None if len(between) < 40 and LISTED.fullmatch(between) else last[0]


NEGATED = re.compile(
    r"(?:\b(?:not|cannot|neither|nor|never|hardly|partially|partly|almost|nearly)|n['’]t)"
    r"(?: be| quite| entirely| fully)?[ \"'*`]+$",
    re.I,
)
LISTED = re.compile(r"[\s\"'*`.]*(?:,|/|\||or|and|vs\.?|versus)(?:[\s\"'*`.,/|]|or\b|and\b)*", re.I)


def last_box(text: str, judge: Judge) -> str | None:
    r"""What stands in the last `\boxed{…}`; nothing where that is broken or holds more than a label."""
    box = re.match(r"\s*\{\s*(?:\\text\s*\{([^{}]*)\}|([^{}]*))\s*\}", text.rpartition(r"\boxed")[2])
    return offered(box[1] or box[2], judge) if box and r"\boxed" in text else None


def last_tag(text: str, judge: Judge) -> str | None:
    """What stands in the last `<answer>…</answer>`; nothing where that is not closed."""
    lower = text.lower()
    opened = lower.rfind("<answer>")
    closed = lower.find("</answer>", opened)
    return offered(text[opened + len("<answer>") : closed], judge) if 0 <= opened < closed else None


def last_object(text: str, judge: Judge) -> str | None:
    """The value of the judge's key in the last JSON object that has one."""
    text = text[-LONGEST_JSON:]
    verdict, place = None, text.find("{")
    while place >= 0:
        try:
            found, place = DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            place += 1
            found = None
        if isinstance(found, dict) and judge.key in found:
            verdict = offered(found[judge.key], judge)
        place = text.find("{", place)
    return verdict


LONGEST_JSON = 20_000
"""Characters of a reply, counted from its end, in which objects are looked for."""
DECODER = json.JSONDecoder(strict=False)

FORMS: Mapping[Form, Callable[[str, Judge], str | None]] = {
    "word": last_word,
    "boxed": last_box,
    "answer": last_tag,
    "json": last_object,
}
