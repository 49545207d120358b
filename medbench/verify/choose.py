"""Which answer a short piece of text gives: the inside of a box or tag, or what follows "answer is".

A rule (see extract.py) finds such a piece; here it is weighed against the choices. The outcome is a
`Found`, or None when the piece commits to nothing.
"""

from medbench.verify import letters, numbers, phrases, several, words
from medbench.verify.page import Choices, Found
from medbench.verify.text import EDGE, unmarked


def tail(text: str, choices: Choices) -> Found | None:
    """The answer that `text` begins with; `text` is what follows a statement like "the answer is"."""
    if "\\" in text and choices.kind != "number":  # a number's fractions and signs are LaTeX commands
        text = unmarked(text)
    return _TAILS[choices.kind](text, choices)


def span(text: str, choices: Choices) -> Found | None:
    """The answer that `text` as a whole is; `text` is the inside of a box, a tag or a field."""
    if "\\" in text and choices.kind != "number":  # a number's fractions and signs are LaTeX commands
        text = unmarked(text)
    text = text.strip()
    return _SPANS[choices.kind](text, choices) if text.strip(EDGE) else None


_TAILS = {
    "mcq": letters.after,
    "multi": several.after,
    "yesno": words.after,
    "closed": phrases.after,
    "number": numbers.after,
    "open": phrases.after,
    "free": phrases.after,
}
_SPANS = {
    "mcq": letters.inside,
    "multi": several.inside,
    "yesno": words.inside,
    "closed": phrases.inside,
    "number": numbers.inside,
    "open": phrases.inside,
    "free": phrases.inside,
}
