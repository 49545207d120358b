"""Wording sent to models: reads `prompts.yaml`, turns an Example into chat messages."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import pydantic

from medbench.config import Config, digest, parse, read_yaml
from medbench.errors import unknown
from medbench.schema import LETTERS, Example, Kind

PLACEHOLDER = re.compile(r"\{(\w+)\}")
MARK = re.compile(r"<image (\d)>")
"""Where a question or an option says that one of its images belongs (MMMU)."""


Role = Literal["policy", "judge", "teacher", "checker", "tagger", "auditor"]


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
    ask: dict[str, str] = pydantic.Field(default_factory=dict)
    """What is asked for at `{ask}`, by kind or `kind.lang` (`yesno.zh`); `other` is for all the rest."""
    role: Role = "policy"
    """Whom it is for; each role has placeholders of its own."""
    choices: Literal["letter", "text"] = "letter"
    """What the log-likelihood protocol compares."""

    @property
    def hash(self) -> str:
        """Identity of the wording; the origin note is not part of it."""
        unused = {name for name, new in (("ask", not self.ask), ("role", self.role == "policy")) if new}
        return digest(self.model_dump(exclude={"origin"} | unused))

    @property
    def label(self) -> str:
        """What tables call it: the name of a packaged prompt with its hash, the hash alone of another."""
        name = next((name for name, known in load().items() if known.hash == self.hash), "")
        return f"{name}@{self.hash}"


@cache
def load() -> Mapping[str, Prompt]:
    """Every packaged prompt by name."""
    tree = read_yaml(Path(str(files("medbench") / "prompts.yaml")))
    return {name: parse(Prompt, row, f"prompts.yaml: {name}") for name, row in tree.items()}


def named(name: str, role: Role = "policy") -> Prompt:
    """The prompt of a role called `name`; an unknown name offers the nearest."""
    known = of(role)
    if name not in known:
        raise unknown("prompt", name, known)
    return known[name]


def of(role: Role) -> Mapping[str, Prompt]:
    """The prompts of a role by name."""
    return {name: prompt for name, prompt in load().items() if prompt.role == role}


def fill(template: str, values: Mapping[str, str]) -> str:
    """`template` with its placeholders replaced in one pass.

    What a value contains is never looked at again, so a question with `{options}` in it is inert;
    braces that name no value stay as they are.

    >>> fill("{a} {b} {}", {"a": "{b}", "b": "2"})
    '{b} 2 {}'
    """
    return PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), template)


CONTROL = re.compile(
    r"[\u00ad\u034f\u200b-\u200f\u2060-\u2064\ufeff]|[<＜‹〈《«❮⟨]{3,}|[>＞›〉》»❯⟩]{3,}|<[|｜]|[|｜]>|<</?SYS>>|</?s>|<(?:bos|eos|pad|(?:start|end|begin)_of_\w{1,20})>"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS)\]",
    re.IGNORECASE,
)
"""Marks that texts are put between, and what chat templates take for the end of a turn."""


def inert(text: str) -> str:
    """Text from outside that can neither close the marks it is put between nor end a chat turn.

    >>> inert("a CAPTION>>> b"), inert("<|im_end|>"), inert("<<<s>")
    ('a CAPTION> > > b', '< |im_end| >', '< < < s>')
    """
    while CONTROL.search(text):
        text = CONTROL.sub(apart, text)
    return text


def apart(mark: re.Match[str]) -> str:
    """A mark with blanks in it, so that it is none."""
    sign, rest = mark[0][0], mark[0][1:]
    if not rest:  # a character that nobody sees
        return ""
    return (
        f"{sign} {rest}"
        if rest[-1].isalnum() or rest[0].isalnum() or rest[0] in "/|｜"
        else " ".join(mark[0])
    )


def messages(
    prompt: Prompt, values: Mapping[str, str], images: Sequence[str] = ()
) -> tuple[dict[str, Any], ...]:
    """The chat messages of a prompt with its placeholders filled, the images before the text."""
    text = fill(prompt.user, values).strip()
    shown = [{"type": "image", "sha256": image} for image in images]
    return worded(prompt, [*shown, {"type": "text", "text": text}] if shown else text)


def worded(prompt: Prompt, content: Any) -> tuple[dict[str, Any], ...]:
    """What the user says, after what the prompt tells the system, if it does."""
    user = {"role": "user", "content": content}
    return (user,) if prompt.system is None else ({"role": "system", "content": prompt.system}, user)


def asked(prompt: Prompt, kind: Kind, lang: str) -> str:
    """What a prompt asks for in a question of some kind and language."""
    for name in (f"{kind}.{lang}", kind, f"other.{lang}", "other"):
        if name in prompt.ask:
            return prompt.ask[name]
    return ""


def render(prompt: Prompt, example: Example) -> tuple[dict[str, Any], ...]:
    """The chat messages that ask `example` in the words of `prompt`.

    With images the user's content is a list of parts, `{"type": "image", "sha256": …}` and
    `{"type": "text", "text": …}`, else a text.
    """
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
    ask = fill(asked(prompt, example.kind, example.lang), values)
    listed = f"\n\n{values['options']}" if lines else ""
    text = fill(prompt.user, {**values, "ask": ask, "listed": listed}).strip()
    return worded(prompt, list(parts(text, example.images)) if example.images else text)


def parts(text: str, images: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The parts of a message: images that the text names at their first mark, the others before it all."""
    marked = {int(number) for number in MARK.findall(text)}
    for number, image in enumerate(images, 1):
        if number not in marked:
            yield {"type": "image", "sha256": image}
    at = 0
    placed: set[int] = set()
    for mark in MARK.finditer(text):
        number = int(mark[1])
        if not 1 <= number <= len(images) or number in placed:
            continue
        placed.add(number)
        if (before := text[at : mark.start()]).strip():
            yield {"type": "text", "text": before}
        yield {"type": "image", "sha256": images[number - 1]}
        at = mark.end()
    if (rest := text[at:]).strip():
        yield {"type": "text", "text": rest}


def choices(prompt: Prompt, example: Example) -> tuple[str, ...]:
    """What the log-likelihood protocol compares for `example`: letters or option texts."""
    if prompt.choices == "text":
        return example.options
    return tuple((example.labels or LETTERS)[: len(example.options)])
