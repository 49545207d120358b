"""The MMMU family: look for the options in one form after another, take the last, else draw one."""

from collections.abc import Callable

from medbench.parity.marking import chosen, drawn, latest, letters
from medbench.parity.types import NOTHING, Mark, Profile, Reader
from medbench.schema import Example

Form = Callable[[str], str]
BRACKETED: Form = "({})".format
SPACED: Form = " {} ".format
BEFORE_SPACE: Form = "{} ".format
BEFORE_DOT: Form = "{}.".format


def stripped(reply: str) -> str:
    """`reply` with outer punctuation taken off, in the peers' order, and a space on both sides."""
    for mark in ",.!?;:'":
        reply = reply.strip(mark)
    return f" {reply} "


def by_form(text: str, example: Example, forms: tuple[Form, ...], placed_by_form: bool = True) -> str | None:
    """The option letter that the first form that occurs at all shows last.

    A bracketed letter is placed by its brackets, any other by blanks on both sides: letters never set
    off by blanks are not placed at all, and then the first of them in option order wins.
    """
    for form in forms:
        found = [letter for letter in letters(example) if form(letter) in text]
        if found:
            place = BRACKETED if form is BRACKETED and placed_by_form else SPACED
            return latest((letter, text.rfind(place(letter))) for letter in found)
    return None


def by_text(text: str, example: Example) -> str | None:
    """The option whose text occurs last in a reply of more than five words."""
    if len(text.split()) <= 5:
        return None
    text = text.lower()
    options = zip(letters(example), example.options, strict=False)
    found = [(letter, text.rfind(option.lower())) for letter, option in options if option.lower() in text]
    return latest(found) if found else None


def after_marker(reply: str, example: Example) -> str | None:
    """The only option letter that occurs, even inside a word, after the last "Answer:"."""
    _, marker, rest = reply.rpartition("Answer:")
    found = [letter for letter in letters(example) if letter in rest] if marker else []
    return found[0] if len(found) == 1 else None


def reader(
    forms: tuple[Form, ...], *, marker: bool = False, text: bool = True, fixed: bool = False
) -> Reader:
    """One member of the family; `fixed` gives no answer where the peer draws."""

    def read(reply: str, example: Example) -> Mark:
        letter = after_marker(reply, example) if marker else None
        body = stripped(reply if text else reply.strip())
        letter = letter or by_form(body, example, forms, placed_by_form=text)
        if letter is None and text:
            letter = by_text(body, example)
        if letter is not None:
            return chosen(letter, example)
        return NOTHING if fixed else drawn(reply, example)

    return read


_OFFICIAL = (BRACKETED, SPACED)
_PRO = (BRACKETED, BEFORE_SPACE, BEFORE_DOT)
_MEDQA = (BRACKETED, SPACED, BEFORE_DOT)
_DRAWS = "what cannot be read is drawn at random from the options"
_MMMU = "github MMMU-Benchmark/MMMU, eval/eval_utils.py (44b45b5), read 2026-11; multiple choice only"
_PRO_ORIGIN = "github MMMU-Benchmark/MMMU, mmmu-pro/evaluate.py (56eede8), read 2026-11"
_LMMS = "github EvolvingLMMs-Lab/lmms-eval, tasks/_task_utils/mmmu_mcq_utils.py (afa400a)"

PROFILES = (
    Profile(
        "mmmu",
        "MMMU official",
        "the last (X), else the last X between blanks, else the last option text, else a random option",
        _MMMU,
        {"mcq": reader(_OFFICIAL)},
        flaw=_DRAWS,
    ),
    Profile(
        "mmmu-fixed",
        "MMMU official",
        "as mmmu, but what cannot be read is no answer",
        _MMMU,
        {"mcq": reader(_OFFICIAL, fixed=True)},
    ),
    Profile(
        "mmmu-pro",
        "MMMU-Pro official",
        "the only option letter after the last 'Answer:', else (X), else 'X ', else 'X.', else option text, "
        "else a random option",
        _PRO_ORIGIN,
        {"mcq": reader(_PRO, marker=True)},
        flaw=f"letters are found inside words; {_DRAWS}",
    ),
    Profile(
        "mmmu-pro-fixed",
        "MMMU-Pro official",
        "as mmmu-pro, but what cannot be read is no answer",
        _PRO_ORIGIN,
        {"mcq": reader(_PRO, marker=True, fixed=True)},
        flaw="letters are found inside words",
    ),
    Profile(
        "lmms-eval-mmmu",
        "lmms-eval, MMMU tasks",
        "(X), else 'X ', else 'X.', else option text, the last of them, else a random option",
        f"{_LMMS}; from 00fa502 on, 'Answer: X' goes first and nothing is drawn",
        {"mcq": reader(_PRO)},
        flaw=f"letters are found inside words; {_DRAWS}",
    ),
    Profile(
        "lmms-eval-mmmu-fixed",
        "lmms-eval, MMMU tasks",
        "as lmms-eval-mmmu, but what cannot be read is no answer",
        _LMMS,
        {"mcq": reader(_PRO, fixed=True)},
        flaw="letters are found inside words",
    ),
    Profile(
        "lmms-eval-medqa",
        "lmms-eval, MedQA task",
        "(X), else X between blanks, else 'X.'; of several the one last between blanks, else a random option",
        "github EvolvingLMMs-Lab/lmms-eval, tasks/medqa/utils.py (1ad3206), read 2026-11",
        {"mcq": reader(_MEDQA, text=False)},
        flaw=f"of several bracketed letters it takes the first in option order; {_DRAWS}",
    ),
)
