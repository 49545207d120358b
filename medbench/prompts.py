"""Wording sent to models: reads `prompts.yaml`, turns an Example into chat messages."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

from medbench.config import Config, digest, parse, read_yaml
from medbench.errors import unknown
from medbench.schema import LETTERS, Example

PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Prompt(Config):
    """One wording. Placeholders are listed at the top of `prompts.yaml`."""

    origin: str
    """Who wrote it, after what."""
    user: str
    system: str | None = None
    options: str = "{letter}. {text}"
    """How one option is written, a line each."""
    context: str = "{context}\n\n"
    """How an abstract or case note is put before the question."""
    choices: Literal["letter", "text"] = "letter"
    """What the log-likelihood protocol compares."""

    @property
    def hash(self) -> str:
        """Identity of the wording; the origin note is not part of it."""
        return digest(self.model_dump(exclude={"origin"}))


@cache
def load() -> Mapping[str, Prompt]:
    """Every packaged prompt by name."""
    tree = read_yaml(Path(str(files("medbench") / "prompts.yaml")))
    return {name: parse(Prompt, row, f"prompts.yaml: {name}") for name, row in tree.items()}


def named(name: str) -> Prompt:
    """The prompt called `name`; an unknown name offers the nearest."""
    try:
        return load()[name]
    except KeyError:
        raise unknown("prompt", name, load()) from None


def fill(template: str, values: Mapping[str, str]) -> str:
    """`template` with its placeholders replaced in one pass.

    What a value contains is never looked at again, so a question with `{options}` in it is inert;
    braces that name no value stay as they are.

    >>> fill("{a} {b} {}", {"a": "{b}", "b": "2"})
    '{b} 2 {}'
    """
    return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template)


def render(prompt: Prompt, example: Example) -> tuple[dict[str, str], ...]:
    """The chat messages that ask `example` in the words of `prompt`."""
    lines = [
        fill(prompt.options, {"letter": letter, "text": text})
        for letter, text in zip(example.labels or LETTERS, example.options, strict=False)
    ]
    values = {
        "question": example.question,
        "options": "\n".join(lines),
        "letters": ", ".join((example.labels or LETTERS)[: len(lines)]),
        "context": fill(prompt.context, {"context": example.context}) if example.context else "",
    }
    user = {"role": "user", "content": fill(prompt.user, values).strip()}
    if prompt.system is None:
        return (user,)
    return ({"role": "system", "content": prompt.system}, user)


def choices(prompt: Prompt, example: Example) -> tuple[str, ...]:
    """What the log-likelihood protocol compares for `example`: letters or option texts."""
    if prompt.choices == "text":
        return example.options
    return tuple((example.labels or LETTERS)[: len(example.options)])
