"""Numbers with their units: what a short piece of text says, and what a gold accepts.

An answer reads "7.2" or "7.2 mg/dL". Two different numbers are no answer. Calculations are worked out by
`arithmetic`, dates and weeks read by `dates`.
"""

import math
import re
from functools import lru_cache
from typing import NamedTuple

from medbench.verify import arithmetic, dates, units
from medbench.verify.numerals import spoken
from medbench.verify.page import AMBIGUOUS, OUTSIDE, Choices, Form, Found
from medbench.verify.text import unmarked


class Quantity(NamedTuple):
    """A number and its unit ("" if it has none), as `units.canonical` spells it."""

    number: float
    unit: str = ""

    def __str__(self) -> str:
        whole = self.number == int(self.number) and abs(self.number) < 1e15
        number = str(int(self.number)) if whole else repr(self.number)
        return f"{number} {self.unit}".strip()


# --- one spelling for signs, fractions and LaTeX ---------------------------------------------------

_SIGNS = str.maketrans({
    "−": "-", "–": "-", "—": "-", "×": "*", "·": "*", "⋅": "*", "∙": "*", "÷": "/", "⁄": "/", "µ": "μ",
    "＝": "=", "％": "%", "≃": "≈", "≅": "≈", "℃": "°C", "℉": "°F",
    "½": " 1/2", "⅓": " 1/3", "⅔": " 2/3", "¼": " 1/4", "¾": " 3/4", "⅛": " 1/8",
})  # fmt: skip
_SUPERSCRIPT = re.compile("[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_TO_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_FRACTION = re.compile(r"(\d{0,6}) {0,2}\\[dt]?frac {0,2}\{([^{}]{1,60})\} {0,2}\{([^{}]{1,60})\}")
_COMMANDS = {
    "times": "*", "cdot": "*", "ast": "*", "div": "/", "approx": "≈", "simeq": "≈", "sim": "~", "pm": "±",
    "leq": "<", "le": "<", "lt": "<", "geq": ">", "ge": ">", "gt": ">", "left": "", "right": "", "circ": "°",
    "mu": "μ", "quad": " ", "equiv": "=", "rightarrow": "=", "to": "=", "Rightarrow": "=",
}  # fmt: skip
_COMMAND = re.compile(r"\\(" + "|".join(sorted(_COMMANDS, key=len, reverse=True)) + r")(?![a-zA-Z])")
_BOLD = re.compile(r"\*\*(?![\d(.])|(?<![\d)])\*\*|__|[`$]")
_SIGNED = re.compile(r"\b(?:minus|negative) (?=[\d.])", re.I)
_MULTIPLES = {
    "hundred": 100, "thousand": 1e3, "million": 1e6, "billion": 1e9, "k": 1e3, "dozen": 12,
    "万": 1e4, "亿": 1e8,
}  # fmt: skip
_MULTIPLE = re.compile(r"(?:\s?(thousand|million|billion|hundred|dozen|万|亿)|(k))(?![\w/])")
_TIMES_TEN = re.compile(r"(\d) ?[*xX] ?10 ?(?:\^|\*\*) ?\(?([-+]?\d{1,3})\)?(?![\d.])")
_TIMES = re.compile(r"(?<=\d) ?x ?(?=\d)")
_MIXED = re.compile(r"(?<![\d.)/*+-])(\d{1,4}) (\d{1,2})/(\d{1,2})(?![\d/])")


def tidy(text: str) -> str:
    """`text` with one spelling for signs, powers, fractions and LaTeX."""
    if not text.isascii():
        text = _SUPERSCRIPT.sub(lambda match: "^" + match.group().translate(_TO_DIGITS), text)
        text = text.translate(_SIGNS)
    if "\\" in text or "{" in text:
        text = _untexed(text)
    if "*" in text or "`" in text or "$" in text or "__" in text:
        text = _BOLD.sub("", text)
    if "10" in text:
        text = _TIMES_TEN.sub(r"\1e\2", text)
    if "minus" in text or "egative" in text:
        text = _SIGNED.sub("-", text)
    if "/" in text:
        text = _MIXED.sub(r"(\1+\2/\3)", text)
    return _TIMES.sub("*", text) if "x" in text else text


def _untexed(text: str) -> str:
    for _ in range(3):
        if "frac" not in text:
            break
        text = _FRACTION.sub(_divided, text)
    text = text.replace("^\\circ", "°").replace("^{\\circ}", "°")
    text = _COMMAND.sub(lambda match: _COMMANDS[match[1]], text)
    product = text.replace("*", "\0")  # `unmarked` takes a star for emphasis
    return unmarked(product).replace("\0", "*")


def _divided(match: re.Match[str]) -> str:
    whole, above, below = match.groups()
    return f"({whole}+({above})/({below}))" if whole else f"(({above})/({below}))"


# --- reading ---------------------------------------------------------------------------------------

_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.^])[-+]?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)?(?:\.\d+|(?<=\d))(?:e[-+]?\d{1,3})?(?![\d^]|\.\d)",
    re.I | re.A,
)
_GAP = re.compile(r"[ *-]{0,2}")
_END = re.compile(
    r"\n|[.;](?=\s|$)|,? (?:because|since|as it|which)\b"
    r"|, (?:as|using|with|given|based|indicating|where|suggesting|meaning|so)\b"
)
_HEDGE = re.compile(
    r"[\s*_:\"'=]*(?:(?:approximately|approx\.?|about|around|roughly|nearly|exactly|estimated at|equal to|"
    r"equals|is|was|will be|would be|likely|probably|a (?:score|total|value) of|大约|大概|约|为|是)\s*"
    r"|[~≈]\s*)*",
    re.I,
)
_OPEN = re.compile(
    r"[\s*_:]*(?:unknown|unclear|uncertain|undetermined|impossible|cannot|not (?:given|known|clear))\b", re.I
)
_COMPARED = re.compile(
    r"(?:[<>≤≥]|(?:less|more|greater|fewer|higher|lower|larger|smaller) than\b|(?:over|under|above|below|"
    r"at least|at most|up to|not|小于|大于|少于|多于|超过|不)(?![a-z]))",
    re.I,
)
_DASHED = re.compile(r"[\d.,]+(?: ?- ?[\d.,]+)+")
_LIKE_A_DATE = re.compile(r"\d{1,4}[/-]\d{1,2}[/-]\d{1,4}")
_OUT_OF = re.compile(r"\b(\d{1,3}) out of (?:a (?:total|maximum) of )?\d{1,3}\b")
_SEVERAL = re.compile(r";|,\s|\bor\b|\band\b")
_ASIDE = re.compile(r"\((?!\s?or\b)[^()]{0,200}\)")
_OPERATOR = re.compile(r"\d\)* ?[-+*/^]|\(")


@lru_cache(maxsize=8192)
def form(gold: tuple[str, ...]) -> Form:
    """What form the answer has; says nothing of its value."""
    if gold and all(dates.iso(text) for text in gold):
        return "date"
    return "weeks" if gold and all(dates.weeks_and_days(text) for text in gold) else "number"


def after(text: str, choices: Choices) -> Found | None:
    """The number that `text` begins with, as after "the answer is"."""
    if choices.form != "number":
        return dates.after(text, choices)
    clause = _END.split(tidy(text[:500]).lstrip(" \n\t*_:\"'"), maxsplit=1)[0]
    if _OPEN.match(clause):
        return OUTSIDE
    lead = _HEDGE.match(clause)
    start = lead.end() if lead else 0
    first = _quantity_at(clause, start)
    if first is not None:
        quantity, end = first
        rest = _ASIDE.sub("", clause[end:])
        if rest.lstrip().startswith(("or ", "+")) and "=" not in rest:
            return AMBIGUOUS
        if not any(char.isdigit() or char in "=≈" for char in rest):
            return Found(str(quantity))
    bare = _ASIDE.sub("", clause)
    return _read(bare if any(char.isdigit() for char in bare) and not _calculated(clause) else clause)


def inside(text: str, choices: Choices) -> Found | None:
    """The number that `text` as a whole gives."""
    if choices.form != "number":
        return dates.inside(text, choices)
    return _read(tidy(text[:500]))


def _read(text: str) -> Found:
    """The one number in `text`."""
    chains = [part for part in _SEVERAL.split(text) if "=" in part or "≈" in part]
    if len(chains) > 1:
        found = {_read(part) for part in chains}
        return found.pop() if len(found) == 1 else AMBIGUOUS
    text = _last_of_chain(text)
    lead = _HEDGE.match(text)
    text = text[lead.end() if lead else 0 :].lstrip(" ,:*_\"'[]").rstrip(" .,:*_\"'[]")
    if _COMPARED.match(text) or _LIKE_A_DATE.fullmatch(text):
        return OUTSIDE
    if _DASHED.fullmatch(text):
        return AMBIGUOUS
    if (result := _calculated(text)) is not None:
        return Found(str(result))
    return _one_of(_OUT_OF.sub(r"\1", text))


def _last_of_chain(text: str) -> str:
    """What stands last in "x = 14/2 = 7", if a number does."""
    parts = re.split("[=≈]", text)
    while len(parts) > 1 and not any(char.isdigit() for char in parts[-1]):
        parts.pop()
    last = parts[-1].strip()
    return re.sub(r"^([-+])\s+(?=\d)", r"\1", last) if len(parts) > 1 else last


def _calculated(text: str) -> Quantity | None:
    """The value of `text` when it is a calculation, in digits or in words, with or without a unit."""
    if not any(char.isdigit() for char in text):
        number, rest = _spoken(text)
        unit = units.canonical(rest) if rest else ""
        return Quantity(number, unit or "") if number is not None else None
    if not _OPERATOR.search(text):
        return None
    cut = max(text.rfind(char) for char in "0123456789).") + 1
    for end in {len(text), cut, *(match.start() for match in units.WRITTEN.finditer(text, 1))}:
        unit = units.canonical(text[end:]) if text[end:].strip() else ""
        if unit is not None and (number := arithmetic.value(text[:end])) is not None:
            return Quantity(number, unit)
    return None


def _spoken(text: str) -> tuple[float | None, str]:
    """The number that `text` begins with in words, and the rest, which is a unit or nothing."""
    words = text.strip().split(" ")
    for end in range(min(len(words), 10), max(len(words) - 5, 0), -1):
        rest = " ".join(words[end:])
        if (not rest or units.canonical(rest)) and (number := spoken(" ".join(words[:end]))) is not None:
            return number, rest
    return None, ""


def _one_of(text: str) -> Found:
    found: list[Quantity] = []
    at = 0
    while (match := _NUMBER.search(text, at)) is not None:
        read = _quantity_at(text, match.start())
        if read is None:
            return OUTSIDE
        found.append(read[0])
        at = read[1]
        if len(found) > 20:
            break
    if not found:
        return OUTSIDE
    numbers = {quantity.number for quantity in found}
    return Found(str(max(found, key=lambda quantity: len(quantity.unit)))) if len(numbers) == 1 else AMBIGUOUS


def listed(text: str, *, also_bounds: bool = False) -> list[tuple[int, Quantity]]:
    """Every number in tidy text, and where it stands; none if there are very many or strange ones.

    Nor if one is a mere bound ("over 5"), unless `also_bounds`.
    """
    found: list[tuple[int, Quantity]] = []
    at = 0
    while (match := _NUMBER.search(text, at)) is not None:
        start = match.start()
        read = _quantity_at(text, start)
        bound = not also_bounds and _COMPARED_BEFORE.search(text, max(0, start - 16), start)
        if read is None or len(found) > 40 or bound:
            return []
        found.append((start, read[0]))
        at = read[1]
    return found


_COMPARED_BEFORE = re.compile(
    r"(?:[<>≤≥]|\b(?:than|least|most|over|under|above|below|up to))[\s$*]{0,3}$", re.I
)


def _quantity_at(text: str, at: int) -> tuple[Quantity, int] | None:
    """The number and unit that stand at `at`, and where they end."""
    match = _NUMBER.match(text, at)
    if match is None:
        return None
    number = float(match.group().replace(",", ""))
    if not math.isfinite(number):
        return None
    if times := _MULTIPLE.match(text, match.end()):
        return Quantity(number * _MULTIPLES[times[1] or times[2]]), times.end()
    gap = _GAP.match(text, match.end())
    written = units.WRITTEN.match(text, gap.end() if gap else match.end())
    if written is None or (written.group().lower() == "in" and text[written.end() :][:2].strip().isalpha()):
        return Quantity(number), match.end()
    return Quantity(number, units.canonical(written.group()) or ""), written.end()


# --- what a gold accepts ---------------------------------------------------------------------------

_WIDTH = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*(%?)(.*)")


def limits(gold: str) -> tuple[float, float]:
    """The lowest and highest number a gold accepts; an unreadable gold accepts none.

    >>> limits("7"), limits("6.5..7.5"), limits("10+-5%"), limits("7.2+-0.2 mg/dL")
    ((7.0, 7.0), (6.5, 7.5), (9.5, 10.5), (7.0, 7.4))
    """
    low, high, _ = bounds(gold)
    return low, high


@lru_cache(maxsize=16384)
def bounds(gold: str) -> tuple[float, float, str]:
    """The lowest and highest number a gold accepts, and their unit ("" if none is given)."""
    gold = gold.replace("±", "+-")
    unit = ""
    if ".." in gold:
        low, high = (_single(part) for part in gold.split("..", 1))
        if low and high:
            return low.number, high.number, high.unit or low.unit
    elif "+-" in gold:
        before, behind = gold.split("+-", 1)
        middle, width = _single(before), _WIDTH.fullmatch(behind)
        if middle and width:
            unit = middle.unit or units.canonical(width[3]) or ""
            reach = abs(middle.number) * float(width[1]) / 100 if width[2] else float(width[1])
            return middle.number - reach, middle.number + reach, unit
    elif single := _single(gold):
        return single.number, single.number, single.unit
    return math.inf, -math.inf, ""


def _single(text: str) -> Quantity | None:
    found = _read(tidy(text)).answer
    return split(found) if found else None


def split(answer: str) -> Quantity:
    """The number and unit of an answer, as they are read."""
    number, _, unit = answer.partition(" ")
    return Quantity(float(number), unit)


def accepts(gold: str, answer: str, shape: Form) -> bool:
    """Whether `gold` accepts `answer`; units count when both have one."""
    if shape != "number":
        return answer == (dates.iso(gold) if shape == "date" else dates.weeks_and_days(gold))
    low, high, unit = bounds(gold)
    number, own = split(answer)
    if unit and own:
        changed = units.converted(number, own, unit)
        if changed is None:
            return False
        number = changed
    slack = 1e-9 * max(1.0, abs(low), abs(high))
    return low - slack <= number <= high + slack


def wording(gold: str, shape: Form) -> str:
    """A gold as a model might write it: the middle of a range, a date or a span as it is read."""
    if shape != "number":
        return (dates.iso(gold) if shape == "date" else dates.weeks_and_days(gold)) or gold
    low, high, unit = bounds(gold)
    return gold if low > high else str(Quantity((low + high) / 2, unit))
