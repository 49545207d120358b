"""Questions of the user's own, beside the catalog: a row of a file becomes an Example, or an error.

A row has `id`, `question`, `gold`, and `kind` (mcq where there are `options`), and may have `context`,
`lang`, `cluster` and `tags`. `options` is a list, or a mapping of labels to texts; `gold` is a label, else an
option's text, or a list of what is accepted (kind multi: the letters that are right together). `rubric` is
a list of criteria with points, for a judge (then `gold` may be absent); rows of HealthBench's own file are
understood too. Further columns are ignored.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple, get_args

from medbench import verify
from medbench.adapters import BadRow
from medbench.errors import UsageError
from medbench.rows import Row, name_of, rows
from medbench.schema import LETTERS, Criterion, Example, Kind
from medbench.verify.words import canonical

log = logging.getLogger(__name__)

YES_NO_MAYBE = ("yes", "no", "maybe")
SHOWN = 5
"""Bad rows told of by name; the rest are counted."""

LIST = re.compile(r"[\s,;/&+，、]+")
MARKED = re.compile(r"\(([^\s()]+)\)|([^\s().:]+)[).:]")
KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}


class Options(NamedTuple):
    """The options of a question, and what they are called where that is not A, B, C …"""

    texts: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()

    @property
    def called(self) -> Sequence[str]:
        """The label of each option."""
        return self.labels or LETTERS[: len(self.texts)]


def load(path: Path) -> list[Example]:
    """The questions of a file of JSON lines or Parquet; every bad row is told of, none is left out."""
    return collect(rows(path), path)


def collect(placed: Any, path: Path) -> list[Example]:
    """Examples from rows with their places. Raises UsageError naming each bad row and what is wrong."""
    found: dict[str, Example] = {}
    bad: list[str] = []
    for place, row in placed:
        name = name_of(row, "prompt_id" if conversed(row) else "id", f"{path}, {place}")
        try:
            if name in found:
                raise BadRow("its id is there twice")
            found[name] = example(name, healthbench(row) if conversed(row) else row)
        except BadRow as problem:
            bad.append(f"{place} ({name}): {problem.reason}")
    if bad:
        more = f"; and {len(bad) - SHOWN:,} more" if len(bad) > SHOWN else ""
        count = "1 bad item" if len(bad) == 1 else f"{len(bad):,} bad items"
        raise UsageError(f"{path}: {count}: {'; '.join(bad[:SHOWN])}{more}", "mend or remove them")
    return list(found.values())


def example(name: str, row: Row) -> Example:
    """The Example of one row. Raises BadRow saying what is wrong with it."""
    options = options_of(row)
    kind = kind_of(row, options)
    made = Example(
        name,
        kind,
        words(row, "question") or "",
        golds(kind, row.get("gold"), options) if row.get("gold") or not row.get("rubric") else (),
        options.texts,
        context=words(row, "context"),
        lang=words(row, "lang") or "en",
        cluster=words(row, "cluster"),
        tags=tags(row.get("tags")),
        labels=options.labels,
        rubric=rubric_of(row),
    )
    if not made.question:
        raise BadRow("no question")
    encodable(made)
    if kind in ("number", "yesno") and not verify.grade(verify.gold_reply(made), made).correct:
        raise BadRow(f"gold '{made.gold[0]}' cannot be read as an answer of kind {kind}")
    return made


def encodable(made: Example) -> None:
    """Refuse text that no file can hold."""
    try:
        "".join([made.question, *made.options, *made.gold, made.context or ""]).encode()
    except UnicodeEncodeError:
        raise BadRow("bad UTF-8") from None


def words(row: Row, key: str) -> str | None:
    """A text column, None where it is absent or empty."""
    value = row.get(key)
    if value is not None and not isinstance(value, str):
        raise BadRow(f"{key} is not text")
    return value.strip() or None if value else None


def tags(value: Any) -> dict[str, str]:
    """Subgroups by name; those without a value are left out."""
    if value is not None and not isinstance(value, Mapping):
        raise BadRow("tags is not a mapping of names to values")
    return {str(name): str(tag) for name, tag in (value or {}).items() if tag not in (None, "")}


def rubric_of(row: Row) -> tuple[Criterion, ...]:
    """The criteria of a row, each with its points. Raises BadRow."""
    given = row.get("rubric") or []
    if not isinstance(given, list):
        raise BadRow("rubric is not a list")
    found = []
    for item in given:
        said, points = (
            item.get(key) if isinstance(item, Mapping) else None for key in ("criterion", "points")
        )
        if not isinstance(said, str) or not said.strip():
            raise BadRow("a criterion of the rubric is not text")
        if isinstance(points, bool) or not isinstance(points, int | float) or not isfinite(points):
            raise BadRow("the points of a criterion are no number")
        found.append(Criterion(said.strip(), float(points)))
    if found and not any(item.points > 0 for item in found):
        raise BadRow("no criterion of the rubric has positive points")
    return tuple(found)


def conversed(row: Row) -> bool:
    """Whether a row is one of HealthBench's own file."""
    return "rubrics" in row and "prompt" in row


def healthbench(row: Row) -> Row:
    """A row of HealthBench's own file: the last message is the question, what was said before its context.

    Raises BadRow.
    """
    turns, themes = row["prompt"], row.get("example_tags") or []
    if not isinstance(turns, list) or not turns or not all(map(spoken, turns)):
        raise BadRow("prompt is no list of messages with role and content")
    if turns[-1]["role"] != "user":
        raise BadRow("the last message of prompt is not the user's")
    if not isinstance(themes, list):
        raise BadRow("example_tags is not a list")
    said = [f"{turn['role']}: {turn['content']}" for turn in turns[:-1]]
    return {
        "kind": "free",
        "question": turns[-1]["content"],
        "context": "\n\n".join(said) or None,
        "rubric": row["rubrics"],
        "tags": {"theme": next((str(tag) for tag in themes if str(tag).startswith("theme:")), None)},
    }


def spoken(turn: Any) -> bool:
    """Whether a message has a role and a text."""
    return isinstance(turn, Mapping) and all(isinstance(turn.get(key), str) for key in ("role", "content"))


def kind_of(row: Row, options: Options) -> Kind:
    """The kind a row names; mcq where it names none and has options."""
    named = row.get("kind") or ("mcq" if options.texts else "free" if row.get("rubric") else None)
    if named is None:
        raise BadRow("neither kind nor options")
    if not isinstance(named, str) or named not in KINDS:
        raise BadRow(f"kind {named!r} is none of {', '.join(KINDS)}")
    kind = KINDS[named]
    if kind in ("mcq", "multi") and not 2 <= len(options.texts) <= len(LETTERS):
        raise BadRow(f"{len(options.texts)} options; kind {kind} takes 2 to {len(LETTERS)}")
    if kind == "yesno" and any(text.casefold() not in YES_NO_MAYBE for text in options.texts):
        raise BadRow("options other than yes, no and maybe; such a question is of kind mcq")
    if kind not in ("mcq", "multi", "yesno") and options.texts:
        raise BadRow(f"kind {kind} takes no options")
    return kind


def options_of(row: Row) -> Options:
    """The options of a row. A mapping lettered A, B, C … (in any order) has no labels of its own."""
    given = row.get("options")
    named = row.get("labels") or ()
    if not isinstance(named, list | tuple):
        raise BadRow("labels is not a list")
    labels = [str(label).strip() for label in named]
    if not given:
        return Options()
    if isinstance(given, Mapping):
        given = {str(label).strip(): text for label, text in given.items() if text is not None}
        if sorted(map(str.upper, given)) == list(LETTERS[: len(given)]):
            given = {label: given[label] for label in sorted(given, key=str.upper)}
        elif all(label.upper() in LETTERS for label in given):
            raise BadRow(f"options are called {', '.join(given)}, not A, B, C … without a gap")
        labels, given = list(given), list(given.values())
    if not isinstance(given, list):
        raise BadRow("options is neither a list nor a mapping of labels to texts")
    texts = tuple(map(texted, given))
    if not labels or list(map(str.upper, labels)) == list(LETTERS[: len(texts)]):
        return Options(texts)
    if len(labels) != len(texts) or len({label.casefold() for label in labels} - {""}) < len(texts):
        raise BadRow("labels are not one for each option, all different")
    return Options(texts, tuple(labels))


def texted(value: Any) -> str:
    """An option or a gold as text; a number is written out."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadRow(f"{value!r} is not text")
    return str(value).strip()


def golds(kind: Kind, value: Any, options: Options) -> tuple[str, ...]:
    """The accepted answers as an Example holds them."""
    given = value if isinstance(value, list) else [value]
    if kind == "yesno":
        given = [{True: "yes", False: "no"}[one] if isinstance(one, bool) else one for one in given]
    if not given or any(one is None or one == "" for one in given):
        raise BadRow("no gold")
    texts = [texted(one) for one in given]
    if kind == "mcq":
        return tuple(dict.fromkeys(letter(text, options) for text in texts))
    if kind == "multi":
        return ("".join(sorted({found for text in texts for found in letters_in(text, options)})),)
    if kind == "yesno":
        return tuple(dict.fromkeys(yes_no(text, options) for text in texts))
    if not all(texts):
        raise BadRow("no gold")
    return tuple(dict.fromkeys(texts))


def yes_no(text: str, options: Options) -> str:
    """Yes, no or maybe, given as the word or as the label of the option that says it."""
    word = canonical(text)
    if options.texts and word not in YES_NO_MAYBE:
        word = options.texts[LETTERS.index(letter(text, options))].casefold()
    if word not in YES_NO_MAYBE:
        raise BadRow(f"gold '{text}' is none of {', '.join(YES_NO_MAYBE)}")
    return word


def letter(text: str, options: Options) -> str:
    """The letter of the option that `text` means: by its label ("A", "(A)", "A."), else by its words."""
    called = [label.casefold() for label in options.called]
    marked = MARKED.fullmatch(text)
    label = next(filter(None, marked.groups()), "") if marked else text
    by_words = places(text, options.texts)
    if label.casefold() in called:
        by_label = called.index(label.casefold())
        if by_words and by_label not in by_words:
            log.info("gold '%s' is taken as a label; it is another option's text too", text)
        return LETTERS[by_label]
    if len(by_words) > 1:
        shared = ", ".join(options.called[place] for place in by_words)
        raise BadRow(f"gold '{text}' is the text of the options {shared}: give the letter")
    if not by_words:
        raise BadRow(f"gold '{text}' is not among the options")
    return LETTERS[by_words[0]]


def places(text: str, texts: Sequence[str]) -> list[int]:
    """Where `text` stands among `texts`: as it is, else without regard to case and blanks."""
    for same in (str.strip, folded):
        if found := [place for place, other in enumerate(texts) if same(other) == same(text)]:
            return found
    return []


def folded(text: str) -> str:
    """`text` in lower case, its blanks single."""
    return " ".join(text.split()).casefold()


def letters_in(text: str, options: Options) -> list[str]:
    """The letters of a gold of kind multi: one label or text, "A,C", or "AC"."""
    try:
        return [letter(text, options)]
    except BadRow:
        parts = [part for part in LIST.split(text) if part]
        if len(parts) == 1 and parts[0].isupper():
            parts = list(parts[0])
        return [letter(part, options) for part in parts]
