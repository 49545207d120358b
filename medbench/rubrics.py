"""How a model is asked to judge: a row of the catalog.

A verdict is one of the labels the row offers, each worth something in [0, 1]; 1 is always right, whatever the
judge calls it. `judges.rulings` reads it.
"""

from functools import cached_property
from typing import Any, Literal, Self

import pydantic

from medbench import prompts
from medbench.config import Config, digest
from medbench.errors import MedbenchError
from medbench.inference.types import Sampling
from medbench.prompts import PLACEHOLDER, Prompt
from medbench.schema import Kind

Form = Literal["word", "boxed", "answer", "json"]
Rule = Literal["match", "span", "none"]

SHOWN = (
    "gold",
    "criterion",
    "question",
    "listed",
    "context",
    "reply",
    "whole",
    "reasoning",
    "answer",
    "other",
    "labels",
    "levels",
)
"""Placeholders of a judge's prompt."""


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
    def kind(self) -> tuple[Any, ...]:
        """What judges on one panel must have in common: what they see, offer and are asked about."""
        seen = tuple(name for name in SHOWN if self.sees(name) and name not in ("labels", "levels"))
        return self.worth, self.aspect, self.measure, self.rule, self.kinds, seen

    @property
    def hash(self) -> str:
        """Identity of all that decides a verdict besides the model."""
        names = {"labels", "scale", "form", "key", "sampling", "protocol"}
        return digest([self.wording.hash, self.model_dump(mode="json", include=names)])
