"""What several peers do alike: letters, boxes, tags, a draw, the likeness of two strings."""

import difflib
import hashlib
import re
from collections.abc import Iterable, Sequence

from medbench.parity.types import NOTHING, How, Mark
from medbench.schema import LETTERS, Example

COMPARED = 20_000
"""Characters of a reply that likeness looks at. The peers look at all of them, in quadratic time."""


def letters(example: Example) -> str:
    """The letters of the options, in order."""
    return LETTERS[: len(example.options)]


def chosen(letter: str | None, example: Example, how: How = "read", **parts: float) -> Mark:
    """The mark for a letter; one that no option has is no answer, whatever the peer calls it."""
    if not letter or letter not in letters(example):
        return Mark(None, False, "none", parts)
    return Mark(letter, letter in example.gold, how, parts)


def drawn(reply: str, example: Example) -> Mark:
    """A random option. Seeded by the reply, so that the same reply always draws the same."""
    if not example.options:
        return NOTHING
    seed = hashlib.sha256(reply.encode("utf-8", "surrogatepass")).digest()
    return chosen(
        letters(example)[int.from_bytes(seed[:8], "big") % len(example.options)], example, "guessed"
    )


def likeness(options: Sequence[str], text: str) -> list[float]:
    """difflib's ratio of each option, lower-cased, to the first `COMPARED` characters of `text`."""
    matcher = difflib.SequenceMatcher(None, "", text[:COMPARED])
    ratios = []
    for option in options:
        matcher.set_seq1(option.lower()[:COMPARED])
        ratios.append(matcher.ratio())
    return ratios


def last_box(text: str) -> str | None:
    r"""What stands in the last `\boxed{}`, braces balanced; None without one or when it never closes.

    >>> last_box(r"\boxed{A} then \boxed{\text{C}}")
    '\\text{C}'
    """
    start = text.rfind("\\boxed{")
    if start < 0:
        return None
    start += len("\\boxed{")
    depth = 1
    for brace in re.finditer(r"[{}]", text[start:]):
        depth += 1 if brace.group() == "{" else -1
        if not depth:
            return text[start : start + brace.start()].strip()
    return None


_TEXT = re.compile(r"\\(?:text|mathrm|mathbf|textbf)\{([^{}]*)\}")


def untexted(text: str) -> str:
    r"""`text` with the LaTeX text wrappers that hold no braces taken off."""
    return _TEXT.sub(r"\1", text)


def tagged(text: str) -> list[str]:
    """What stands in each closed `<answer>` tag."""
    found, start = [], text.find("<answer>")
    while start >= 0:
        end = text.find("</answer>", start)
        if end < 0:
            break
        found.append(text[start + len("<answer>") : end])
        start = text.find("<answer>", end)
    return found


def same_text(text: str, example: Example) -> str | None:
    """The letter of the first option that reads `text`, case aside."""
    wanted = " ".join(text.lower().split())
    for letter, option in zip(letters(example), example.options, strict=False):
        if " ".join(option.lower().split()) == wanted:
            return letter
    return None


def labelled_text(text: str, example: Example) -> str | None:
    """The letter that `text` is, or states as "C. its text", or whose text it is, case aside."""
    text = text.strip()
    if len(text) == 1:
        return text.upper() if text.upper() in letters(example) else same_text(text, example)
    for letter, option in zip(letters(example), example.options, strict=False):
        if text.lower() == f"{letter}. {option}".lower():
            return letter
    return same_text(text, example)


def last(pattern: re.Pattern[str], text: str) -> str | None:
    """The first group of the last match."""
    found = None
    for match in pattern.finditer(text):
        found = match
    return found.group(1) if found else None


def first(pattern: re.Pattern[str], text: str) -> str | None:
    """The first group of the first match."""
    found = pattern.search(text)
    return found.group(1) if found else None


def latest(candidates: Iterable[tuple[str, int]]) -> str:
    """The candidate that stands last; of equals, the one named first."""
    return max(candidates, key=lambda candidate: candidate[1])[0]
