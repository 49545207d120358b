"""The same question with its options in another order, where another order says the same."""

import math
import random
import re
from collections.abc import Sequence
from dataclasses import replace

from medbench.errors import UsageError
from medbench.schema import LETTERS, Example


def reordered(example: Example, repeats: int, seed: int) -> list[Example]:
    """A multiple-choice question in `repeats` seeded option orders, none the source's or used before.

    One whose options name letters keeps its order in all of them.
    """
    source = tuple(range(len(example.options)))
    if math.factorial(len(source)) <= repeats:
        raise UsageError(
            f"{example.id} has too few options for {repeats} other orders",
            "lower `repeats`, or leave such questions out with `where`",
        )
    chance = random.Random(f"{seed}/{example.id}")
    orders = [source]
    while len(orders) <= repeats:
        order = tuple(chance.sample(source, len(source)))
        if order not in orders:
            orders.append(order)
    if repeats == 1:
        return [turned(example, orders[1])]
    return [
        replace(turned(example, order), id=f"{example.id}#{number}", cluster=example.cluster or example.id)
        for number, order in enumerate(orders[1:], start=1)
    ]


def turned(example: Example, order: Sequence[int]) -> Example:
    """The example with its options in another order and its gold letters moved along.

    As it is when its options name letters, which another order would make untrue.
    """
    if lettered(example):
        return example
    moved = {LETTERS[old]: LETTERS[new] for new, old in enumerate(order)}
    return replace(
        example,
        options=tuple(example.options[old] for old in order),
        gold=tuple(moved[letter] for letter in example.gold),
    )


LISTED = re.compile(r"[\sa-z(),;&+/>.\[\]]+")
LOGIC = re.compile(
    "both|either|neither|only|alone|all|none|except|and|or|nor|but|not|then|is|are|true|false|correct|"
    "incorrect|right|wrong|of|the|above|options?|choices?|answers?|statements?"
)
NAMED_OPTION = re.compile(r"(?:[Oo]ption|[Cc]hoice|[Aa]nswer)s? \(?[A-HJ-Z]\)?(?![\w'-])")
"""An option named inside a longer text; capitals only, for "a" is an article, and "I" a number."""


def lettered(example: Example) -> bool:
    """Whether options name options by letter ("A,C", "both a and b", "ac"), or carry their own ("a) …").

    Letters that are part of a name ("vitamin A", "hepatitis B and C") do not count.
    """
    letters = {letter.casefold() for letter in LETTERS[: len(example.options)]} - {"i"}
    bare = [is_bare(option, letters) for option in example.options]
    own = [
        re.match(rf"\(?{letter}[).]\s*\w", option, re.IGNORECASE) is not None
        for letter, option in zip(LETTERS, example.options, strict=False)
    ]
    lists = any(is_list(option, letters) or NAMED_OPTION.search(option) for option in example.options)
    return lists or sum(bare) > 1 or sum(own) > 1


def is_bare(option: str, letters: set[str]) -> bool:
    """Whether an option is one letter or several run together, each once: "a", "bd", "DCBA"."""
    found = option.casefold().strip(" .()")
    return bool(found) and set(found) <= letters and len(set(found)) == len(found)


def is_list(option: str, letters: set[str]) -> bool:
    """Whether an option says nothing but letters, and how they go together: "b,c true", "B>A>D>C"."""
    text = option.casefold().strip()
    words = re.findall("[a-z]+", text)
    if not LISTED.fullmatch(text) or not all(word in letters or LOGIC.fullmatch(word) for word in words):
        return False
    listed = sum(word in letters for word in words)
    return 0 < listed < len(words) or (listed > 1 and re.search("[,;&+/>]", text) is not None)
