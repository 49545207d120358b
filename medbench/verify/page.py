"""A reply made ready for the rules, the choices it may name, and what a rule can find."""

import re
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

from medbench.schema import LETTERS, Kind, Status
from medbench.verify.text import plain, without_asides
from medbench.verify.wording import wording


class Found(NamedTuple):
    """What a rule found: an answer, or the reason why there is none."""

    answer: str | None
    status: Status = "scored"


Form = Literal["number", "date", "weeks"]
"""What a number looks like: a plain one, a calendar date, or weeks and days."""

AMBIGUOUS = Found(None, "ambiguous")
OUTSIDE = Found(None, "no_answer")
"""A form that holds none of the choices: other explicit rules are still asked."""

NOTHING = Found(None, "no_answer")
"""The reply says that it gives no answer: no rule is asked any more. Told from OUTSIDE by identity."""


_CLOSED_UP = re.compile(r"(?<=\d) (?=[a-zμ%°])")
_AMOUNT = re.compile(r"([-+]?\d[\d.]*) ?([a-zμ%°/][a-z0-9μ%°/^. ]*)")
WORDS = ("yes", "no", "maybe")


@dataclass(frozen=True)
class Choices:
    """What may be answered: option texts with their letters, or yes, no and maybe."""

    kind: Kind
    labels: str
    options: tuple[str, ...]
    form: Form = "number"

    @cached_property
    def texts(self) -> dict[str, str]:
        """From plain option texts to letters, "" where two share one; for yes and no the words."""
        if self.kind == "yesno":
            words = [plain(option) for option in self.options]
            return {word: word for word in words if word in WORDS} or {word: word for word in WORDS}
        texts: dict[str, str] = {}
        for letter, option in zip(self.labels, self.options, strict=False):
            whole = plain(option)
            for spelling in {whole, plain(without_asides(option)), _CLOSED_UP.sub("", whole)} - {""}:
                texts[spelling] = "" if texts.get(spelling, letter) != letter else letter
        return texts

    @cached_property
    def worded(self) -> dict[str, str]:
        """From the one spelling of phrases ("ct", however written) to letters, where no two share it."""
        spelled = [wording(option) for option in self.options]
        return {
            text: letter
            for text, letter in zip(spelled, self.labels, strict=False)
            if spelled.count(text) == 1 and len(text) > 1
        }

    @cached_property
    def amounts(self) -> dict[str, str]:
        """From bare numbers to letters, where all options are amounts of one unit and no two are the same."""
        amounts = [_AMOUNT.fullmatch(plain(option)) for option in self.options]
        if not amounts or not all(amounts) or len({amount[2] for amount in amounts if amount}) > 1:
            return {}
        numbers = [amount[1] for amount in amounts if amount]
        unique = len(set(numbers)) == len(numbers)
        return dict(zip(numbers, self.labels, strict=False)) if unique else {}

    @cached_property
    def lettered(self) -> bool:
        """Whether some option's text is itself a letter (parts of a figure), so that it may mean either."""
        return any(
            len(text) == 1 and text.isalpha() and text.upper() != own for text, own in self.texts.items()
        )


@lru_cache(maxsize=8192)
def choices(kind: Kind, options: tuple[str, ...], form: Form = "number") -> Choices:
    """The choices of an example, prepared once and only as far as they are needed."""
    return Choices(kind, "" if kind == "yesno" else LETTERS[: len(options)], options, form)


@dataclass(frozen=True, slots=True)
class Page:
    """A reply made ready for the rules: its text, the same in lower case, and what was asked.

    `statements` keeps the last statement after a place once it has been looked for.
    """

    text: str
    low: str
    choices: Choices
    question: str = ""
    statements: dict[int, tuple[int, Found] | None] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, text: str, choices: Choices, question: str = "") -> "Page":
        """A page of `text`."""
        low = text.lower()
        if len(low) != len(text):  # a few capitals have two-letter lower cases; positions must agree
            low = "".join(char.lower() if len(char.lower()) == 1 else char for char in text)
        return cls(text, low, choices, question)
