"""Raw rows to Examples: looks adapters up by name, applies them, counts what had to be dropped.

An adapter is a function of one raw row that returns an Example with the row's own id, or raises
`BadRow`. It knows one layout and nothing of prompts, scoring or splits. A function `x_whole(rows)`
beside adapter `x` sees the whole split first and raises `SourceError` when the split as such can't
be trusted.
"""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

from medbench.errors import UsageError, unknown
from medbench.schema import LETTERS, Example
from medbench.sources import Malformed

Raw = Mapping[str, Any]


class BadRow(Exception):
    """A row that cannot become an Example; the reason never quotes the row."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Drop:
    """A row left out, and why."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Adapter:
    """A row function with its arguments, and the check of a whole split beside it, if there is one."""

    row: Callable[..., Example]
    whole: Callable[..., None] | None
    args: Mapping[str, int | str]

    def __call__(self, raw: Raw) -> Example:
        """The Example of one raw row."""
        return self.row(raw, **self.args)


def resolve(ref: str, **args: int | str) -> Adapter:
    """The adapter called `qa:medqa` (in this package) or `some.module:function` (anyone's)."""
    module_name, colon, name = ref.partition(":")
    path = module_name if "." in module_name else f"{__name__}.{module_name}"
    if not colon:
        raise UsageError(f"adapter '{ref}' is not of the form module:function", "for example qa:medqa")
    try:
        module = import_module(path)
    except ModuleNotFoundError as problem:
        raise UsageError(
            f"adapter '{ref}': no module {problem.name}", "install it, or mend the name"
        ) from None
    function = getattr(module, name, None)
    if not callable(function):
        raise unknown("adapter", ref, (f"{module_name}:{known}" for known in public(module)))
    return Adapter(function, getattr(module, f"{name}_whole", None), args)


def public(module: Any) -> list[str]:
    """Names of the functions a module defines."""
    return [
        name
        for name, value in vars(module).items()
        if callable(value)
        and not name.startswith("_")
        and getattr(value, "__module__", "") == module.__name__
    ]


def adapt(
    rows: Iterable[Raw | Malformed], adapter: Callable[[Raw], Example], *, source: str = "", split: str = ""
) -> tuple[list[Example], list[Drop]]:
    """The Examples of raw rows, `source/` put before their ids, and what was dropped for which reason."""
    if isinstance(adapter, Adapter) and adapter.whole:
        rows = list(rows)
        adapter.whole([row for row in rows if not isinstance(row, Malformed)], **adapter.args)
    examples: dict[str, Example] = {}
    drops: list[Drop] = []
    for number, row in enumerate(rows):
        try:
            example = one(row, adapter)
            name = f"{source}/{example.id}" if source else example.id
            if name in examples:
                raise BadRow("duplicate id")
            examples[name] = replace(example, id=name, source=source, split=example.split or split)
        except BadRow as problem:
            drops.append(Drop(f"{source}/{split} row {number}", problem.reason))
    return list(examples.values()), drops


def one(row: Raw | Malformed, adapter: Callable[[Raw], Example]) -> Example:
    """The Example of a row, whatever is wrong with it told as `BadRow`."""
    if isinstance(row, Malformed):
        raise BadRow(row.reason)
    try:
        example = adapter(row)
        "".join([example.question, *example.options, *example.gold, example.context or ""]).encode()
        return example
    except UnicodeEncodeError:
        raise BadRow("bad UTF-8") from None
    except (LookupError, TypeError, ValueError, AttributeError) as problem:
        raise BadRow(f"not in the expected layout ({type(problem).__name__})") from problem


def defects(example: Example) -> list[str]:
    """What is wrong with a question that a benchmark keeps, for its official count, and a builder drops."""
    found: list[str] = [example.fault] if example.fault else []
    texts = [" ".join(option.split()).casefold() for option in example.options]
    if any(not text for text in texts):
        found.append("empty option")
    if len(set(texts)) < len(texts):
        found.append("duplicated options")
    golds = {texts[LETTERS.index(letter)] for letter in example.gold} if example.kind == "mcq" else set()
    if sum(text in golds for text in texts) > len(golds):
        found.append("gold text duplicated at another letter")
    return found


def tagged(**tags: object) -> dict[str, str]:
    """Tags with those left out that have no value."""
    return {name: sys.intern(str(value)) for name, value in tags.items() if value not in (None, "")}


def text(row: Raw, column: str) -> str:
    """A column that must hold words."""
    value = row.get(column)
    if not isinstance(value, str) or not value.strip():
        raise BadRow(f"no {column}")
    return value.strip()


def choices(options: Mapping[str, Any] | Sequence[Any] | None) -> tuple[str, ...]:
    """Option texts in letter order; a mapping must be lettered from A without a gap."""
    if isinstance(options, Mapping):
        given = {letter: option for letter, option in options.items() if option is not None}
        if sorted(given) != list(LETTERS[: len(given)]):
            raise BadRow("options are not lettered from A without a gap")
        options = [given[letter] for letter in sorted(given)]
    if isinstance(options, str) or not options or len(options) < 2:
        raise BadRow("fewer than two options")
    if not all(isinstance(option, str) for option in options):
        raise BadRow("an option is not text")
    return tuple(option.strip() for option in options)


def letter(gold: object, options: Sequence[str]) -> str:
    """The gold letter, which must name one of the options."""
    if gold is None or gold == "":
        raise BadRow("no gold")
    if not isinstance(gold, str) or len(gold.strip()) != 1 or gold.strip() not in LETTERS[: len(options)]:
        raise BadRow("gold is outside the options")
    return gold.strip()


def nth(gold: object, options: Sequence[str], base: int = 0) -> str:
    """The letter of a gold given as a number that counts from `base`."""
    if gold is None:
        raise BadRow("no gold")
    if not isinstance(gold, int) or isinstance(gold, bool) or not 0 <= gold - base < len(options):
        raise BadRow("gold is outside the options")
    return LETTERS[gold - base]
