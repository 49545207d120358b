"""Replies that already exist: the rows of a file, joined with the questions they answer."""

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import polars as pl

from medbench.errors import UsageError
from medbench.rows import Row, name_of, rows
from medbench.runs import readable
from medbench.schema import Example, Finish

GIVEN = pl.Schema(
    {"example": pl.String, "sample": pl.Int32, "reply": pl.String, "finish": pl.String, "error": pl.String}
)
FINISHES: dict[Any, Finish] = {
    **{name: name for name in get_args(Finish)},
    None: "stop",
    "": "stop",
    "max_tokens": "length",
    "content_filter": "refused",
}
"""What other programs call the ways a reply can end."""

CHUNK = 50_000
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Given:
    """One reply, and the names its question may go by, the surest first.

    `row` is the number of the question's row in its split (from 0), where a log counts rows. `question` is
    what was asked, "" if the file does not say; it guards a match by number.
    """

    place: str
    names: tuple[str, ...]
    reply: str
    sample: int = 0
    finish: Finish = "stop"
    row: int | None = None
    question: str = ""


def load(path: Path) -> Iterator[Given]:
    """The replies of a file of JSON lines or Parquet: `id`, `reply` and, if there, `sample` and `finish`."""
    for place, row in rows(path):
        yield given(row, place, f"{path}, {place}")


def given(row: Row, place: str, where: str) -> Given:
    """One reply; null counts as an empty one."""
    for column in ("id", "reply"):
        if column not in row:
            raise UsageError(
                f"{where}: no column {column}; there are {', '.join(sorted(row)[:12]) or 'none'}",
                "each row needs id and reply; the log of another harness is read with --format",
            )
    sample = row.get("sample")
    sample = 0 if sample is None else sample
    if isinstance(sample, bool) or sample != int_of(sample) or not 0 <= sample < 2**31:
        raise UsageError(f"{where}: sample {sample!r} is not a whole number from 0")
    return Given(
        place,
        (name_of(row, "id", where),),
        text_of(row["reply"], "reply", where),
        int(sample),
        finish_of(row.get("finish"), where),
    )


def int_of(value: Any) -> int | None:
    """`value` as a whole number, None if it is none."""
    return int(value) if isinstance(value, int | float) and value == value and abs(value) < 2**63 else None


def text_of(value: Any, key: str, where: str) -> str:
    """A reply's text."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UsageError(f"{where}: {key} is not text but {type(value).__name__}")
    return readable(value)


def finish_of(value: Any, where: str) -> Finish:
    """How a reply ended."""
    try:
        return FINISHES[value]
    except (KeyError, TypeError):
        raise UsageError(f"{where}: finish {value!r} is none of {', '.join(get_args(Finish))}") from None


class Names:
    """What the questions may be called: their ids, and these without `source/` where that is unambiguous."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = {example.id: example for example in examples}
        self.short: dict[str, list[str]] = {}
        self.numbered: dict[int, list[str]] = {}
        for name in self.examples:
            own = name.partition("/")[2]
            if own:
                self.short.setdefault(own, []).append(name)
            if number := re.search(r"-(\d+)$", name):
                self.numbered.setdefault(int(number[1]), []).append(name)

    def find(self, reply: Given) -> str | None:
        """The id of the question that was answered, None if there is none."""
        for name in reply.names:
            if name in self.examples:
                return name
            if len(found := self.short.get(name, [])) == 1:
                return found[0]
        if reply.row is not None and len(found := self.numbered.get(reply.row, [])) == 1:
            return found[0] if alike(reply.question, self.examples[found[0]].question) else None
        return None

    def nearest(self, name: str) -> str:
        """`name` with the most similar id there is."""
        pool = [*self.short, *self.examples] if "/" not in name else list(self.examples)
        near = difflib.get_close_matches(name, pool, n=1, cutoff=0.5)
        return f"'{name}' (nearest: '{near[0]}')" if near else f"'{name}'"


def alike(said: str, asked: str) -> bool:
    """Whether one text holds the other, blanks and case aside; an empty one agrees with nothing."""
    one, other = ("".join(text.split()).casefold() for text in (said, asked))
    return bool(one and other) and (one in other or other in one)


def join(replies: Iterable[Given], examples: Sequence[Example], origin: str) -> pl.DataFrame:
    """Replies with the full id of their question, in their order: example, sample, reply, finish, error.

    Raises UsageError for ids that no question has, and for two replies to one question and sample.
    """
    names = Names(examples)
    seen: dict[tuple[str, int], str] = {}
    strange: list[str] = []
    parts, part = [pl.DataFrame(schema=GIVEN)], []
    for reply in replies:
        name = names.find(reply)
        if name is None:
            strange.append(reply.names[0])
            continue
        if first := seen.get((name, reply.sample)):
            raise twice(origin, name, reply, first)
        seen[name, reply.sample] = reply.place
        error = "failed when it was asked" if reply.finish == "error" else None
        part.append((name, reply.sample, reply.reply, reply.finish, error))
        if len(part) == CHUNK:
            parts.append(pl.DataFrame(part, schema=GIVEN, orient="row"))
            part = []
    if strange:
        raise nobody(origin, strange, names)
    return pl.concat([*parts, pl.DataFrame(part, schema=GIVEN, orient="row")])


def twice(origin: str, name: str, reply: Given, first: str) -> UsageError:
    """The error for two replies to one question and sample."""
    return UsageError(
        f"{origin}: {first} and {reply.place} both answer '{name}', sample {reply.sample}",
        "number several replies to one question in a column sample: 0, 1, 2 …",
    )


def nobody(origin: str, strange: Sequence[str], names: Names) -> UsageError:
    """The error for replies to questions that are not there."""
    distinct = list(dict.fromkeys(strange))
    shown = ", ".join(names.nearest(name) for name in distinct[:SHOWN])
    more = f" and {len(distinct) - SHOWN:,} more" if len(distinct) > SHOWN else ""
    some = next(iter(names.examples), "none")
    count = "1 id names" if len(distinct) == 1 else f"{len(distinct):,} ids name"
    return UsageError(
        f"{origin}: {count} no question: {shown}{more}",
        f"ids look like '{some}' here; take replies to other questions out of the file",
    )
