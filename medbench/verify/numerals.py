"""Numbers written as words, in English and Chinese."""

import re

SMALL = {
    word: number
    for number, word in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
TENS = {
    word: 10 * number
    for number, word in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2
    )
}
_SCALES = {"thousand": 1_000, "million": 1_000_000}
_PARTS = {"half": 0.5, "quarter": 0.25}
_UNITS = SMALL | TENS
_WORD = re.compile(r"[a-z]+")
_WRITTEN = re.compile(r"[a-z -]{3,80}")

DIGITS = {char: number for number, char in enumerate("零一二三四五六七八九")} | {"两": 2, "〇": 0}
_CHINESE_SCALES = {"十": 10, "百": 100, "千": 1_000}
_CHINESE = re.compile(r"[零〇一二两三四五六七八九十百千]{1,12}(?:点[零〇一二三四五六七八九]{1,9}|半)?")


def spoken(text: str) -> float | None:
    """The number that `text` says in words, None if it says anything else.

    >>> spoken("twelve"), spoken("two and a half"), spoken("one hundred and five"), spoken("zero point five")
    (12.0, 2.5, 105.0, 0.5)
    >>> spoken("十二"), spoken("一百零五"), spoken("two three"), spoken("one of them")
    (12.0, 105.0, None, None)
    """
    text = text.strip().lower()
    if _CHINESE.fullmatch(text):
        return _chinese(text)
    if not _WRITTEN.fullmatch(text):
        return None
    words = _WORD.findall(text)
    whole, point, digits = words, [], []
    if "point" in words:
        at = words.index("point")
        whole, point, digits = words[:at], words[at:], words[at + 1 :]
    part = 0.0
    if len(whole) >= 2 and whole[-1] in _PARTS and whole[-2] == "a":
        part, whole = _PARTS[whole[-1]], whole[:-2]
        if whole and whole.pop() != "and":
            return None
        if not whole and not point:
            return part
    elif whole in (["half"], ["quarter"]):
        return _PARTS[whole[0]]
    number = _whole(whole)
    if number is None or (point and (part or not digits or any(SMALL.get(word, 10) > 9 for word in digits))):
        return None
    return float(f"{number}.{''.join(str(SMALL[word]) for word in digits)}") if point else number + part


def _whole(words: list[str]) -> int | None:
    """The whole number in `words`."""
    total, group, filled, largest = 0, 0, False, 10**9
    for place, word in enumerate(words):
        following = words[place + 1] if place + 1 < len(words) else ""
        if word in _UNITS and _fits(group, _UNITS[word], filled):
            group, filled = group + _UNITS[word], True
        elif word == "a" and not filled and (following == "hundred" or following in _SCALES):
            group, filled = 1, True
        elif word == "hundred" and 0 < group < 10:
            group *= 100
        elif word in _SCALES and 0 < group < 1000 and _SCALES[word] < largest:
            largest = _SCALES[word]
            total, group, filled = total + group * largest, 0, False
        elif word != "and" or following not in _UNITS or not (total or group >= 100):
            return None
    return total + group if words else None


def _fits(group: int, number: int, filled: bool) -> bool:
    if not filled:
        return True
    low = group % 100
    return number > 0 and ((low == 0 and group > 0) or (low >= 20 and low % 10 == 0 and number < 10))


def _chinese(text: str) -> float | None:
    whole, _, digits = text.removesuffix("半").partition("点")
    total, digit, last = 0, None, 10**4
    for char in whole:
        if char in DIGITS:
            if digit:
                return None
            digit = DIGITS[char]
            continue
        scale = _CHINESE_SCALES[char]
        if scale >= last or (digit == 0 and scale > 10):
            return None
        total, digit, last = total + (1 if digit is None or digit == 0 else digit) * scale, None, scale
    number = total + (digit or 0)
    if digits:
        return float(f"{number}." + "".join(str(DIGITS[char]) for char in digits))
    return number + (0.5 if text.endswith("半") else 0.0)
