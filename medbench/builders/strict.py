"""A model's JSON taken at its word: all of it as asked for, or not at all."""

import json
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import pydantic

from medbench.config import Config

C = TypeVar("C", bound=Config)
FENCE = "```"
LONGEST = 20_000
"""Characters of a reply that are looked at; nothing that is asked for here is longer."""


class Unusable(Exception):
    """A reply that is not what was asked for; the reason never quotes it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def read(model: type[C], text: str) -> C:
    """The object a reply consists of, as a `model`. Raises Unusable.

    One code fence around it is allowed, anything else before or after is not; nor is a key written twice, or
    a value of another type than asked for.

    >>> class Verdict(Config):
    ...     answer: str
    >>> read(Verdict, '```json\\n{"answer": "A"}\\n```').answer
    'A'
    """
    try:
        tree = json.loads(unfenced(text), object_pairs_hook=once, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise Unusable("not JSON") from None
    if not isinstance(tree, dict):
        raise Unusable("not a JSON object")
    if not all(map(sayable, said(tree))):
        raise Unusable("not JSON: characters that no text has")
    try:
        return model.model_validate(tree, strict=True)
    except pydantic.ValidationError as problem:
        places = {str(error["loc"][0]) for error in problem.errors() if error["loc"]}
        known = sorted(place if place in model.model_fields else "a strange key" for place in places)
        raise Unusable(f"not of the form asked for ({', '.join(dict.fromkeys(known))})") from None


def said(tree: Any) -> Iterator[str]:
    """Every text in a tree, keys too."""
    if isinstance(tree, str):
        yield tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield key
            yield from said(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from said(value)


def sayable(text: str) -> bool:
    """Whether a text has no half characters, control characters or invisible ones."""
    return not any(
        unicodedata.category(sign) in ("Cs", "Cc", "Cf", "Co", "Cn") for sign in text if sign not in "\n\t"
    )


def unfenced(text: str) -> str:
    """A reply without the one code fence around all of it."""
    bare = text.strip()
    if len(bare) > LONGEST:
        raise Unusable("far too long")
    if bare.startswith(FENCE) and bare.endswith(FENCE) and bare.count(FENCE) == 2:
        head, _, body = bare[len(FENCE) : -len(FENCE)].partition("\n")
        return body if head.strip().casefold() in ("", "json") else bare
    return bare


def once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Pairs as a mapping, refused where a key comes twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Unusable("a key is there twice")
    return found


def refuse(name: str) -> None:
    """Refuse numbers that JSON does not have."""
    raise ValueError(name)
