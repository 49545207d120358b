"""Numbers that sentences give: "Hence the BMI is 31.4 kg/m2", "You need 3 tablets a day. Each holds 500 mg."

Which of several numbers is the answer is told by where it stands: in the sentence that concludes, else in
the one that repeats what was asked. Numbers that the question holds itself are not what it asks for.
"""

import re

from medbench.verify import numbers
from medbench.verify.numerals import SMALL, TENS, spoken
from medbench.verify.page import Found, Page
from medbench.verify.sentences import SENTENCE, telling

_GIVES = re.compile(
    r"(?:\b(?:is|are|was|be|been|equals|has|have|takes?|needs?|reads?|gives?)\b|[=≈]|"
    r"\b(?:total|score|result|value|sum)(?: [a-z]{1,15}){0,3}:)[\s*$]{0,4}"
    r"(?:(?:therefore|thus|now|approximately|about|roughly|around|also|only|equal to|"
    r"estimated (?:at|to be))\s{1,2}){0,3}"
    r"(?=[-+(*$~]{0,4}\d)",
    re.I,
)
_OPEN = re.compile(
    r"\b(?:if|would|could|may|might|note|example|step|not|cannot|can't|missing|unknown|however|unless|assum\w+)\b"
    r"|n't\b",
    re.I,
)
_OTHER_VALUE = re.compile(
    r"\b(?:normal|maxim\w+|minim\w+|ranges?|reference|cut-?off|threshold|previous\w*|target|average|usual|"
    r"uncorrected|avoid\w*|contraindicated|never|exceed(?:s|ed|ing)?|too (?:high|low|much|little)|"
    r"nowhere|far from|wrong|incorrect|excluded|half of|twice|double|triple)\b",
    re.I,
)


def other_value(text: str, question: str) -> bool:
    """Whether `text` speaks of a value other than the one asked for: a limit, a former one, a refused one."""
    said = {match.group().lower() for match in _OTHER_VALUE.finditer(text)}
    return bool(said) and not all(word in question.lower() for word in said)


_CONCLUDES = re.compile(r"\b(?:therefore|thus|hence|final(?:ly)?|so)\b|[=≈]", re.I)
_GENERIC = re.compile(r"\b(?:result|answer|total|score|estimate)\b", re.I)
_DISPLAYED = re.compile(r"\\[()\[\]]\s?")
_ASIDE = re.compile(r"\([^()\d][^()]{0,80}\)")
UNWORKED = re.compile(r"\d\)*\s?[×*x/^+]\s?\(*\d|\d\s[-–]\s\d")
_EQUATIONS = re.compile(r"(?:^|[,;]|\band\b)[^,;=≈]{1,40}[=≈][^,;]*")
_MORE_VALUES = re.compile(r"\s?(?:to|or|and|[-–]|,)\s?\d")


_THUS = re.compile(
    r"\W{0,6}(?:so|thus|therefore|hence|in total|altogether|in conclusion|finally|overall|consequently|"
    r"as a result)\b",
    re.I,
)
_GIVES_UP = re.compile(
    r"\b(?:cannot|can't|unable to|impossible to|not possible to) (?:\w+ ){0,2}?(?:provide|determine|"
    r"calculate|compute|"
    r"give|answer|say|tell|know)\b|\bnot enough information\b|\binsufficient (?:data|information)\b",
    re.I,
)
_WORKING = re.compile(r"\W{0,6}(?:to|first|let|we|given|using|step|calculat\w+|formula)\b", re.I)
SHORT = 400
"""Characters up to which a reply may give its answer first and speak of other numbers after it."""


def number(page: Page) -> Found | None:
    """The sentence that concludes, or that repeats the question, gives the one number that is new in it."""
    sentences = [part for part in SENTENCE.split(page.text) if part.strip("` ")]
    given = [part for part in sentences[-4:] if _has_digit(part)]
    if sentences and _GIVES_UP.search(sentences[-1]):
        return None
    if not given:
        return _in_words(page)
    if page.choices.form != "number":
        return _dated(given[-1], page)
    if _THUS.match(sentences[-1]) and not _has_digit(sentences[-1]):
        return _counted(sentences[-1], page)
    last = _given(given[-1], page) or _of_its_unit(given[-1], page)
    if last is None and _EXISTS.match(given[-1]) and not _CONTRAST.search(given[-1]):
        last = _concluded(given[-1], page)
    concluding = next((part for part in reversed(given) if _THUS.match(part)), None)
    if concluding and (said := _given(concluding, page) or _concluded(concluding, page)):
        if concluding == given[-1] or said == last:
            return said
        heavier = _weight(concluding, page) > _weight(given[-1], page)
        return said if heavier and last is None else None
    first = sentences[0]
    if len(page.text) > SHORT or _WORKING.match(first) or not _has_digit(first):
        return last
    said, weight = _new(first, page), _weight(first, page)
    if said is None or said == last or weight < min(2, len(telling(page.question))):
        return last
    if first == given[-1]:
        return last or said
    return said if last is None or weight > _weight(given[-1], page) else None


def _has_digit(text: str) -> bool:
    return any(char.isdigit() for char in text)


def _weight(sentence: str, page: Page) -> int:
    """How many of the question's telling words `sentence` repeats."""
    return len(telling(page.question) & telling(sentence))


def _concluded(sentence: str, page: Page) -> Found | None:
    """What is new in a sentence that concludes and speaks of what was asked."""
    return _new(sentence, page) if _weight(sentence, page) or _GENERIC.search(sentence) else None


_NAMES = re.compile(
    r"\b(?:stage|step|type|grade|class|group|figure|table|equation|part|option|line|case|day|phase|level|"
    r"category|chapter|number|no\.?|question|section|version|#)\s?$",
    re.I,
)
_LEFT_OPEN = re.compile(
    r"\b(?:if|unless|assum\w+|may|might|cannot|not|normal|ranges?|example|say)\b|n't\b", re.I
)


_SIGN = re.compile(r"^\s*([-+])\s+(?=[\d.])")


def new(sentence: str, question: str, *, besides: bool = False) -> Found | None:
    """The one number in `sentence` that the question does not hold.

    `besides`: the sentence must also hold one that the question holds.
    """
    text = numbers.tidy(_BRACKETS.sub("", sentence))
    worked = re.split("[=≈]", text)
    text = _SIGN.sub(r"\1", worked[-1]) if len(worked) > 1 and _has_digit(worked[-1]) else text
    found = numbers.listed(text)
    if "?" in sentence or not found or len(_EQUATIONS.findall(sentence)) > 1 or _MORE_OF.search(text):
        return None
    if other_value(sentence, question):
        return None
    named = [(at, quantity) for at, quantity in found if not _NAMES.search(text, max(0, at - 12), at)]
    known = {quantity.number for _, quantity in numbers.listed(numbers.tidy(question), also_bounds=True)}
    fresh = [pair for pair in named if pair[1].number not in known]
    if len({quantity.number for _, quantity in fresh}) != 1 or (besides and len(fresh) == len(named)):
        return None
    at, quantity = max(fresh, key=lambda pair: len(pair[1].unit))
    return None if _LEFT_OPEN.search(text[:at]) else Found(str(quantity))


def _new(sentence: str, page: Page) -> Found | None:
    return new(sentence, page.question)


_BRACKETS = re.compile(r"\([^()]{0,120}\)")
_MORE_OF = re.compile(
    r"\d\)*\s?(?:[*/^+]|to|[-–])\s?\(*[$]?\d|\b(?:divided by|multiplied by|times)\s[$]?\d", re.I
)
_COUNT = re.compile(r"\b(?:" + "|".join(word for word, n in (SMALL | TENS).items() if n) + r")\b", re.I)
_NONE = re.compile(r"\b(?:there (?:are|is)|shows?|contains?|has|have|i (?:can )?see) (?:no|zero)\b", re.I)
_EXISTS = re.compile(
    r"\W{0,3}(?:there (?:are|is)|the (?:image|picture|scan|photo) (?:shows|contains)|i (?:can )?see)\b", re.I
)
_CONTRAST = re.compile(r"\b(?:but|however|although)\b", re.I)
_NO_COUNT = re.compile(
    r"\bone (?:of|can|could|may|might|is|has|must|should|would|another)\b"
    r"|\b(?:at least|at most|more than|less than|fewer than|over|under|up to|almost|nearly|times|"
    r"hundreds?|thousands?|dozens?|pairs?)\b",
    re.I,
)


def _in_words(page: Page) -> Found | None:
    """The one count in a short reply to "how many": "There are two nodules."."""
    if len(page.text) > 300 or "?" in page.text or _CONTRAST.search(page.text):
        return None
    first, *later = SENTENCE.split(page.text)
    counts = {spoken(word) for word in _COUNT.findall(first)}
    if any(
        {spoken(word) for word in _COUNT.findall(part)} - counts for part in later if _EXISTS.search(part)
    ):
        return None
    return _counted(first, page) if not later or not counts or _EXISTS.match(first) else None


def _counted(sentence: str, page: Page) -> Found | None:
    """The one count that a sentence gives in words to "how many"."""
    speaks_of_other = telling(_COUNT.sub("", sentence)) and not _weight(sentence, page)
    open_ended = _NO_COUNT.search(sentence) or _OPEN.search(sentence) or other_value(sentence, page.question)
    if open_ended or speaks_of_other or "-" in sentence or "how many" not in page.question.lower():
        return None
    counts = {spoken(word) for word in _COUNT.findall(sentence)}
    none = list(_NONE.finditer(sentence))
    if not counts and len(none) == 1:
        named = telling(" ".join(sentence[none[0].end() :].split()[:4]))
        return Found("0") if named & telling(page.question) else None
    return Found(str(numbers.Quantity(counts.pop() or 0.0))) if len(counts) == 1 else None


_BOUND = re.compile(
    r"\b(?:at least|at most|(?:more|less|fewer) than|over|under|up to|between|almost|nearly)\b"
    r"|\d ?(?:hundred|thousand|million|billion|dozen)",
    re.I,
)
_UNIT_ASKED = re.compile(r"\bhow (?:many|much) ([a-z/]{1,15}(?: per [a-z]{1,10})?)\b", re.I)


def _of_its_unit(sentence: str, page: Page) -> Found | None:
    """The one number in `sentence` that stands before what is counted: "17 mL per hour"."""
    unit = _UNIT_ASKED.search(page.question)
    left_open = _OPEN.search(sentence) or _BOUND.search(sentence) or other_value(sentence, page.question)
    if unit is None or left_open or "?" in sentence:
        return None
    found = re.findall(rf"(?<![\w.,^*/+-])(\d[\d.,]*) ?{re.escape(unit[1])}\b", sentence, re.I)
    known = numbers.listed(numbers.tidy(page.question), also_bounds=True)
    values = {value.replace(",", "") for value in found} - {str(quantity.number) for _, quantity in known}
    read = numbers.inside(values.pop(), page.choices) if len(values) == 1 else None
    return read if read and read.answer else None


def counted_early(page: Page) -> Found | None:
    """The one number before what is counted, in a reply that goes on after it."""
    body = page.text[:-20]  # a number at the very end may go on
    return _of_its_unit(body, page) if not _WORKING.match(page.text) else None


_BETWEEN_EQUATIONS = re.compile(r"[;,]\s")


def _last_equation(sentence: str) -> str:
    """The last of several equations, if it goes on with an earlier one or works one out; else ""."""
    parts = [part for part in _BETWEEN_EQUATIONS.split(sentence) if "=" in part]
    names = [part.partition("=")[0].strip().lower() for part in parts]
    worked = len(parts) > 1 and UNWORKED.search(names[-1]) and ":" in names[-1]
    return parts[-1] if worked or (names and names[-1] in names[:-1]) else ""


def _given(sentence: str, page: Page) -> Found | None:
    """The value that `sentence` gives: after its last "=", else after its first "is"."""
    left_open = _OPEN.search(sentence) or other_value(sentence, page.question)
    sentence = _ASIDE.sub("", _DISPLAYED.sub("", sentence))
    chained = len(_EQUATIONS.findall(sentence)) > 1
    sentence = _last_equation(sentence) if chained else sentence
    name = sentence.partition("=")[0].strip() if sentence.count("=") == 1 else ""
    chained = chained or (len(name) > 1 and page.text.count(f"{name} =") > 1)
    given = list(_GIVES.finditer(sentence))
    if not given or left_open:
        return None
    worked = given[-1].group().strip()[:1] in ("=", "≈")
    at = given[-1] if worked else given[0]
    asked = telling(page.question)
    named = (
        chained
        or ":" in at.group()
        or _GENERIC.search(sentence, 0, at.start())
        or (worked and _CONCLUDES.search(sentence, 0, at.start()))
    )
    if asked and not named and not asked & telling(sentence[: at.start()]):
        return None
    value = sentence[at.end() :].strip("*$ ")
    first = re.match(r"[-+(~]{0,2}(?:[\d.,]*\d|[\d.,]+)", value)
    if first is None or UNWORKED.match(value) or _MORE_VALUES.match(value, first.end()):
        return None
    found = numbers.after(_OUT_OF.split(value, maxsplit=1)[0], page.choices)
    return found if found and found.answer else None


def _dated(sentence: str, page: Page) -> Found | None:
    """The one date, or weeks and days, of a sentence that speaks of nothing else of that form."""
    if _OPEN.search(sentence) or other_value(sentence, page.question):
        return None
    found = numbers.inside(sentence, page.choices)
    return found if found and found.answer else None


_OUT_OF = re.compile(r"\s(?:points? )?(?:out )?of\s(?=\d|a )|, ")
