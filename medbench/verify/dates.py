"""Calendar dates and spans of weeks and days: what a short piece of text says.

Numeric dates are month first, as MedCalc-Bench writes them. A missing part is never filled in.
"""

import re
from datetime import date

from medbench.verify.page import AMBIGUOUS, OUTSIDE, Choices, Found
from medbench.verify.text import unmarked

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_MONTH = (
    r"(jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_DAY = r"(\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(\d{4})(?![\d/])"
_DATE = re.compile(
    rf"(?<![\d/.-])(?:(?P<american>(\d{{1,2}})([/-])(\d{{1,2}})\3{_YEAR})"
    r"|(?P<iso>(\d{4})([-/])(\d{1,2})\8(\d{1,2})(?![\d/-]))"
    r"|(?P<chinese>(\d{4})\s?年\s?(\d{1,2})\s?月\s?(\d{1,2})\s?[日号])"
    rf"|(?P<named>{_MONTH}\s?{_DAY},?\s{{1,2}}{_YEAR})"
    rf"|(?P<dayfirst>{_DAY}(?:\sof)?[\s-]{_MONTH},?[\s-]{_YEAR}))",
    re.I,
)
_WEEKS = re.compile(
    r"(?<![\d.])(\d{1,3})\s{0,2}(?:-?(?:weeks?|wks?|w)\b|周|w(?=\d))"
    r"[\s,'\"&+]{0,6}(?:and\b|零)?[\s,'\"&+]{0,4}(\d{1,2})\s{0,2}(?:-?(?:days?|d)\b|天)"
    r"|(?<![\d.])(\d{1,3})\s?\+\s?(\d)\s?(?:-?(?:weeks?|wks?|w)\b|周)"
    r"|(?<![\d.])(\d{1,3})\s(\d)/7\s?(?:-?(?:weeks?|wks?|w)\b|周)",
    re.I,
)
_PAIR = re.compile(r"[(\[]?\s?['\"]?(\d{1,3})['\"]?\s?[,+]\s?['\"]?(\d)['\"]?\s?[)\]]?")
_OR = re.compile(r"[\s*,]{0,4}(?:or|to|and|-|/|&)\W")


def iso(text: str) -> str | None:
    """The one date in `text` as year-month-day, None if there is none, an impossible one, or several.

    >>> iso("03/15/2024"), iso("March 15th, 2024"), iso("2024年3月15日"), iso("02/30/2024"), iso("03/15/24")
    ('2024-03-15', '2024-03-15', '2024-03-15', None, None)
    """
    return _date(text).answer


def weeks_and_days(text: str) -> str | None:
    """The one span of weeks and days in `text`.

    >>> weeks_and_days("('12 weeks', '3 days')"), weeks_and_days("12w3d"), weeks_and_days("12 weeks")
    ('12 weeks, 3 days', '12 weeks, 3 days', None)
    """
    return _span(text).answer


def after(text: str, choices: Choices) -> Found | None:
    """The date or span that `text` begins with, as after "the answer is"."""
    line = unmarked(text[:300]).lstrip(" \n\t:\"'").split("\n", 1)[0]
    pattern = _DATE if choices.form == "date" else _WEEKS
    first = pattern.search(line)
    if first is None or first.start() > 12 or _OR.match(line, first.end()):
        return inside(line, choices)
    return inside(first.group(), choices)


def inside(text: str, choices: Choices) -> Found:
    """The date or span that `text` as a whole gives."""
    text = unmarked(text[:500])
    return _date(text) if choices.form == "date" else _span(text)


def _date(text: str) -> Found:
    return _only({_calendar(match) for match in _DATE.finditer(text)})


def _only(found: set[str | None]) -> Found:
    if not found or None in found:
        return OUTSIDE
    return Found(found.pop()) if len(found) == 1 else AMBIGUOUS


def _calendar(match: re.Match[str]) -> str | None:
    """The date that was matched, None if there is no such day."""
    parts = [part for part in match.groups()[1:] if part and part not in "-/" and part != match.group()]
    if match["american"]:
        month, day, year = parts
    elif match["iso"] or match["chinese"]:
        year, month, day = parts
    elif match["named"]:
        month, day, year = parts
    else:
        day, month, year = parts
    if not month.isdigit():
        month = str(_MONTHS.index(month[:3].lower()) + 1)
    try:
        return date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        return None


def _span(text: str) -> Found:
    found = {
        tuple(int(number) for number in match.groups() if number is not None)
        for match in _WEEKS.finditer(text)
    }
    if not found and (pair := _PAIR.fullmatch(text.strip(" .$"))):
        found = {(int(pair[1]), int(pair[2]))}
    return _only({f"{weeks} weeks, {days} days" for weeks, days in found})
