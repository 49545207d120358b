"""Labels that are not A, B, C …: written as the letters that the rules know, where they stand as labels."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from medbench.schema import LETTERS

# Circled, bracketed, squared and mathematical letters and digits, and Roman numerals of one character.
_RANGES = (
    (0x2460, 0x249B), (0x249C, 0x24E9), (0x24F5, 0x24FE), (0x2776, 0x2793), (0x1F110, 0x1F189),
    (0x2160, 0x217F), (0x1D400, 0x1D7FF),
)  # fmt: skip


def _spelt(char: str) -> str:
    name = unicodedata.name(char, "")
    plain = unicodedata.normalize("NFKC", char)
    if "MATHEMATICAL" in name or "ROMAN NUMERAL" in name:
        return plain
    if plain == char and "DINGBAT" in name:
        plain = str(unicodedata.digit(char, "")) if unicodedata.digit(char, None) is not None else ""
    if plain == char and name.rpartition(" ")[2] in LETTERS:
        plain = name.rpartition(" ")[2]
    return f"({plain.strip('().').upper()})" if plain else char


STYLED: dict[int, str] = {
    code: _spelt(chr(code)) for first, last in _RANGES for code in range(first, last + 1)
}
"""Ⓒ, ⒞ and 🅲 read as "(C)", ③ as "(3)", 𝐂 as "C", Ⅲ as "III"."""

ALIKE = {"А": "A", "С": "C", "Α": "A", "Β": "B", "Ε": "E"}
"""Cyrillic and Greek capitals that look like a Latin one and label no other place in their own alphabet."""
_ALONE = re.compile(r"(?<!\w)\w(?=[)\].:}*,]|\s*$|\s*\n)")


def alone(text: str, at: int) -> bool:
    """Whether the character at `at` stands where a label would."""
    return _ALONE.match(text, at) is not None


_BEFORE = (
    r"(?P<before>(?:^|[\n(\[{>\"'*:=（：])[ \t]{0,4}|"
    r"\b(?:options?|choices?|answers?|number|no\.|is|are|be|choose|select|pick|or|and)\s[(\[*\"']{0,3}|"
    r"[.;,]\s(?=[^\s()]{1,4}\))|"
    r"(?:选项?|答案[是为]?|和|或|、|,|/)\s?)"
)
_AFTER = (
    r"(?=\s*(?:$|[)\]}<>*\"'：:;,、!?）/。]|\.(?!\d)|\n|"
    r"\s(?:is|are|because|since|as|or|and|which|due|seems)\b|[-–—]\s|是|和|或))"
)


@lru_cache(maxsize=256)
def _label(labels: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(labels, key=len, reverse=True)
    return re.compile(_BEFORE + f"(?P<label>{'|'.join(map(re.escape, longest_first))})" + _AFTER, re.I)


def _usual(label: str) -> str:
    """A label as it stands in a reply made plain: ③ and ３ are 3."""
    return unicodedata.normalize("NFKC", label.translate(STYLED)).strip(" ().")


def lettered(text: str, labels: tuple[str, ...]) -> str:
    """`text` with labels in label position written as A, B, C …, in the order of `labels`.

    >>> lettered("Stage 2 tumours need 3 mg. The answer is 3.", ("1", "2", "3"))
    'Stage 2 tumours need 3 mg. The answer is C.'
    >>> lettered("故选丙", ("甲", "乙", "丙"))
    '故选C'
    """
    labels = tuple(_usual(label) for label in labels)
    places = {label.casefold(): LETTERS[place] for place, label in enumerate(labels)}
    return _label(labels).sub(
        lambda match: match["before"] + places.get(match["label"].casefold(), match["label"]), text
    )
