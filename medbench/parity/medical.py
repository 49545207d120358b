"""The scorers that came with one medical benchmark or one medical model."""

import re
import unicodedata
from collections import deque

from medbench.parity.marking import chosen, first, labelled_text, last, last_box, letters, tagged, untexted
from medbench.parity.types import NOTHING, Mark, Profile, Reader
from medbench.schema import LETTERS, Example

# MIRAGE ------------------------------------------------------------------------------------------

_FIELD = '"answer_choice": "'


def _mirage_patterns(options: str) -> tuple[re.Pattern[str], ...]:
    start = rf"^\s*([{options}])"
    return (
        re.compile(rf"{start}(?:$| or| and|/|,)"),
        re.compile(rf"[Oo]ption ([{options}])"),
        re.compile(rf":\s*([{options}])"),
        re.compile(rf'{start}[.":]'),
    )


_FOUR = _mirage_patterns("ABCD")
_ALL = _mirage_patterns(LETTERS)


def mirage(patterns: tuple[re.Pattern[str], ...], default: str | None) -> Reader:
    """A reader of MIRAGE's JSON field, else of the whole reply."""

    def read(reply: str, example: Example) -> Mark:
        text = reply.rpartition(_FIELD)[2].strip()
        for pattern in patterns:
            letter = first(pattern, text)
            if letter:
                return chosen(letter, example)
        return chosen(default, example, "guessed") if default else NOTHING

    return read


# MedXpertQA --------------------------------------------------------------------------------------

_TRIGGER = re.compile(r"Therefore, among A through [A-Z], the answer is")
_BOILERPLATE = re.compile(r"I understand|A through [JED]")
_WORD = re.compile(r"\b([A-Z])\b")
_NO_ARTICLE = re.compile(r"\b([A-Z])\b(?! [a-z])")


def _first_of(pattern: re.Pattern[str], text: str, allowed: str) -> str | None:
    found = (match.group(1) for match in pattern.finditer(_BOILERPLATE.sub("", text)))
    return next((letter for letter in found if letter in allowed), None)


def medxpertqa(reply: str, example: Example) -> Mark:
    """The first lone letter A to J of what follows the trigger of the second turn, if it is there."""
    return chosen(_first_of(_WORD, _TRIGGER.split(reply)[-1], "ABCDEFGHIJ"), example)


def opencompass_medxpertqa(pattern: re.Pattern[str]) -> Reader:
    """The same on the whole single-turn reply, for the letters of the question."""

    def read(reply: str, example: Example) -> Mark:
        return chosen(_first_of(pattern, reply, letters(example)), example)

    return read


# MedVLThinker, AlphaMed --------------------------------------------------------------------------


def medvlthinker(reply: str, example: Example) -> Mark:
    """The last answer tag, else the whole reply, as letter, "L. text" or text."""
    tags = tagged(reply)
    return chosen(labelled_text(tags[-1] if tags else reply, example), example)


_STATED = re.compile(r"(?i:answer is|final answer)\W{0,10}([A-Z])\b")


def alphamed(reply: str, example: Example) -> Mark:
    """The last box, else the last tag, else the last "answer is X", else the last lone letter."""
    box, tags = last_box(reply), tagged(reply)
    for part in (box, tags[-1] if tags else None):
        inside = first(_WORD, untexted(part)) if part else None
        if inside:
            return chosen(inside, example)
    stated = last(_STATED, reply)
    return chosen(stated or last(_WORD, reply), example)


# medmarks ----------------------------------------------------------------------------------------

_ANCHORED = re.compile(
    r"(?:answer|ans|choice|option|selected|i choose|i pick|therefore|thus|so)"
    r"\s*+[:–—-]?+\s*+(?:is\s*+)?+\(?+\s*+([a-z]|\d{1,2})(?:\s*+[).:](?!\w)|\s*(?!\w))"
)
_TOKEN = re.compile(r"(?<!\w)([a-z]|\d{1,2})(?:\s*+[).:](?!\w)|\s*(?!\w))")
_SENTENCE = re.compile(r"[.!?]\s+|\n+")
_NEGATION = re.compile(r"\b(?:not|isn't|no|incorrect|wrong|eliminat\w+|except|rather\s+than)\b")
_LATEX = re.compile(r"\\(?:boxed|text|mathrm|mathbf|textbf)\{([^{}]*)\}|[$]|\\[()\[\]]")


def _negated(text: str, match: re.Match[str]) -> bool:
    # The peer's tokens hold the bracket and the blanks around them, line breaks too, so that a sentence
    # that starts or ends with the token reaches into its neighbour.
    begin = len(text[: match.start()].rstrip().removesuffix("("))
    begin += 0 < begin < match.start() and text[begin - 1].isalnum()
    start = max((m.end() for m in _SENTENCE.finditer(text, 0, begin)), default=0)
    after = _SENTENCE.search(text, match.end())
    return bool(_NEGATION.search(text, start, after.start() if after else len(text)))


def medmarks(reply: str, example: Example) -> Mark:
    """Right if the whole reply, the last anchored token, the last token or the option text is the gold."""
    text = _LATEX.sub(r"\1", reply)
    text = unicodedata.normalize("NFKC", text).casefold().strip()
    if len(text) == 1 and text.upper() in letters(example):
        return chosen(text.upper(), example)
    said: list[str] = []
    for pattern in (_ANCHORED, _TOKEN):
        for match in deque(pattern.finditer(text), maxlen=1):
            said += [] if _negated(text, match) else [match.group(1).upper()]
    right = next((letter for letter in said if letter in example.gold), None) or _gold_text(text, example)
    return chosen(right or next(iter(said), None), example)


def _gold_text(text: str, example: Example) -> str | None:
    for letter, option in zip(letters(example), example.options, strict=False):
        words = [re.escape(word) for word in unicodedata.normalize("NFKC", option).casefold().split()]
        if letter in example.gold and words:
            match = re.search(r"(?<!\w)" + r"\s+".join(words) + r"(?!\w)", text)
            if match and not _negated(text, match):
                return letter
    return None


_MIRAGE = "github Teddy-XiongGZ/MIRAGE, src/utils.py (224ebe9), read 2026-11"
_OPENCOMPASS = "github open-compass/opencompass, opencompass/datasets/MedXpertQA.py (194a505), read 2026-11"

PROFILES = (
    Profile(
        "mirage",
        "MIRAGE",
        "after '\"answer_choice\": \"': a leading letter A to D, 'option X', ': X', else A",
        _MIRAGE,
        {"mcq": mirage(_FOUR, "A")},
        flaw="what cannot be read is A; ': Acute' reads A; options from E on cannot be given",
    ),
    Profile(
        "mirage-fixed",
        "MIRAGE",
        "as mirage, for all letters, and no answer instead of A",
        _MIRAGE,
        {"mcq": mirage(_ALL, None)},
        flaw="': Acute' reads A",
    ),
    Profile(
        "medxpertqa",
        "MedXpertQA official",
        "the first lone letter A to J after 'Therefore, among A through J, the answer is'",
        "github TsinghuaC3I/MedXpertQA, by description",
        {"mcq": medxpertqa},
        flaw="meant for a second turn; without it, the article A is an answer",
    ),
    Profile(
        "opencompass-medxpertqa",
        "OpenCompass, MedXpertQA",
        "the first lone option letter anywhere in the reply",
        _OPENCOMPASS,
        {"mcq": opencompass_medxpertqa(_WORD)},
        flaw="the article A and the pronoun I are answers; a reply without a letter ends the peer's run",
    ),
    Profile(
        "opencompass-medxpertqa-fixed",
        "OpenCompass, MedXpertQA",
        "the first lone option letter that no lower-case word follows",
        _OPENCOMPASS,
        {"mcq": opencompass_medxpertqa(_NO_ARTICLE)},
        flaw="a letter that is ruled out first is taken",
    ),
    Profile(
        "medvlthinker",
        "MedVLThinker",
        "the answer tag, else the whole reply, must be the letter, 'L. text' or the text",
        "github UCSC-VLAA/MedVLThinker, copy of 2025-08-17, by description",
        {"mcq": medvlthinker},
    ),
    Profile(
        "alphamed",
        "AlphaMed, user script",
        "the last box, else the answer tag, else the last 'answer is X', else the last lone letter",
        "AlphaMed's published user script, by description",
        {"mcq": alphamed},
        flaw="without a statement the last lone capital counts, an article or an initial included",
    ),
    Profile(
        "medmarks",
        "medmarks (med-lm-envs)",
        "the reply is the letter, else the last 'answer X', else the last lone letter or number, else the "
        "gold's text; each unless its sentence holds a negation",
        "github MedARC-AI/med-lm-envs, medarc_verifiers/rewards/mcq_accuracy.py (387a2b6), read 2026-11; "
        "later versions are stricter; LaTeX is unwrapped here without its library",
        {"mcq": medmarks},
        flaw="any lone 'a' is option A; after a wrong letter the gold's text still pays; 'no' vetoes",
    ),
)
