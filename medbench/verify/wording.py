"""The one spelling under which two phrases are the same phrase, in English and Chinese.

Only spellings and names of the same thing meet: case, punctuation, hyphens, articles, number words, British
and American, imaging modalities, the order of a list. Nothing is looked up in a thesaurus, plurals stay, and
left, right and bilateral are never touched.
"""

import re
import unicodedata
from functools import lru_cache

from medbench.verify.numerals import DIGITS, SMALL, TENS
from medbench.verify.text import unmarked

_SIGNS = str.maketrans({
    "–": "-", "—": "-", "‐": "-", "‑": "-", "‒": "-", "−": "-", "’": "'", "‘": "'", "“": '"', "”": '"',
    "。": ".", "、": ",", "「": '"', "」": '"', "《": '"', "》": '"', "·": " ", "•": " ",
    "\u200b": "", "\u200c": "", "\u200d": "", "\ufeff": "",
})  # fmt: skip

# British -> American, as parts of words.
_AMERICAN = {
    "haem": "hem", "aemi": "emi", "oedem": "edem", "oesoph": "esoph", "oestr": "estr", "tumour": "tumor",
    "colour": "color", "paed": "ped", "gynaec": "gynec", "foetu": "fetu", "foeta": "feta",
    "rrhoea": "rrhea", "pnoea": "pnea", "caec": "cec", "faec": "fec", "anaesth": "anesth", "aetiol": "etiol",
    "leucocyt": "leukocyt", "coeliac": "celiac", "sulph": "sulf", "behaviour": "behavior", "fibre": "fiber",
    "localis": "localiz", "generalis": "generaliz", "visualis": "visualiz", "mineralis": "mineraliz",
}  # fmt: skip
_BRITISH = re.compile("|".join(_AMERICAN))

# Words for the same thing. MR, CT, XR and US are DICOM's modality codes (PS3.3 C.7.3.1.1.1); "us" is left
# out, being a word. SLAKE's own golds use MRI and 核磁共振, and X-Ray and X光, for the same answer.
_WORDS = {
    "centre": "center", "grey": "gray", "mr": "mri", "xray": "x ray", "xrays": "x ray",
    "roentgenogram": "x ray", "radiograph": "x ray", "ultrasonography": "ultrasound",
    "sonography": "ultrasound", "ultrasonogram": "ultrasound", "sonogram": "ultrasound",
    "noncontrast": "non contrast", "t1w": "t1 weighted", "t2w": "t2 weighted", "t1wi": "t1 weighted",
    "t2wi": "t2 weighted", "t1weighted": "t1 weighted", "t2weighted": "t2 weighted", "&": "and",
} | {word: str(number) for word, number in (SMALL | TENS).items()}  # fmt: skip
_SAME = re.compile(
    r"\b(?:(?P<mri>(?:nuclear )?magnetic resonance(?: imag(?:e|es|ing))?|mri (?:scans?|imag(?:es?|ing))\b)"
    r"|(?P<ct>comput(?:eri[sz])?ed (?:axial )?tomograph(?:y|ic)(?: (?:scans?|imag(?:es?|ing)))?"
    r"|cat scans?|ct (?:scans?|imag(?:es?|ing))\b)"
    r"|(?P<x>x rays?(?: (?:imag(?:es?|ing)|films?|pictures?))?)"
    r"|(?P<us>ultrasound (?:scans?|imag(?:es?|ing)))"
    r"|(?P<tens>[2-9]0) (?P<ones>[1-9])"
    r"|(?P<weight>t[12] weighted) (?:imag(?:es?|ing)|mri|sequences?|scans?)"
    r"|non ?(?P<non>[a-z]{4,30}))\b"
)
_TWICE = re.compile(r"\b(mri|ct|x ray|ultrasound)(?: \1\b)+")  # "computed tomography (CT)"
_NAMES = {"mri": "mri", "ct": "ct", "x": "x ray", "us": "ultrasound"}
_CHINESE_NAMES = {
    "核磁共振成像": "mri", "磁共振成像": "mri", "核磁共振": "mri", "磁共振": "mri",
    "电子计算机断层扫描": "ct", "计算机断层扫描": "ct", "ct扫描": "ct", "ct图像": "ct", "mri图像": "mri",
    "x光片": "x ray", "x线片": "x ray", "x射线": "x ray", "x光": "x ray", "x线": "x ray", "超声波": "超声",
    "左边": "左侧", "右边": "右侧",
}  # fmt: skip
_CHINESE = re.compile("|".join(sorted(_CHINESE_NAMES, key=len, reverse=True)))
_HAN = "\u4e00-\u9fff"
_GAPS = re.compile(rf"(?<=[{_HAN}]) (?=[{_HAN}a-z0-9])|(?<=[a-z0-9]) (?=[{_HAN}])")
_OF_CHINESE = re.compile(rf"(?<=[{_HAN}]{{2}})的+$")
_COUNTED = re.compile(rf"([0-9]+|[{''.join(DIGITS)}十]) ?[个处颗根]?")

_POSSESSIVE = re.compile(r"(?<=\w)['’]s\b", re.I)
_WITH = re.compile(r"\bw/(o\b)?\s?")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
# A hyphen joins words; before a number it is a sign, after a word ("HER2-") as well.
_JOINS = re.compile(r"(?<=\w)(?<!\ba)-(?=[^\W\d])|(?<=[^\W\d])-(?=\d)|(?<!\w)-(?!\d)|(?<=\w)-(?=-)")
_SLASH = re.compile(r"(?<!\d)/|/(?!\d)")
_POINT = re.compile(r"(?<!\d)\.(?!\d)|(?<=\d)\.(?!\d)|(?<=[^\W\d])\.(?=\d)")
_OTHER = re.compile(r"[^\w\s,.%+<>=≤≥°/±-]|_")
_COMPARES = re.compile(r"[<>=](?!\s?[\d.=])")
_THE = re.compile(r"\bthe\b")
_ARTICLE = re.compile(r"\A(?:an? (?=\w\w))+")
_AND = re.compile(r"\s*(?:[,;]|\band\b|[和及与]|以及)\s*")


@lru_cache(maxsize=8192)
def wording(text: str) -> str:
    """The spelling of a phrase; the parts of a list are kept in their order, between commas.

    >>> wording("The X-Ray"), wording("Lung and heart"), wording("T2-weighted MR image"), wording("两个")
    ('x ray', 'lung, heart', 't2 weighted', '2')
    >>> wording("Left lung") == wording("right lung")
    False
    """
    text = unmarked(_POSSESSIVE.sub("", text)).strip().replace("\n", ",")
    for _ in range(8):
        text, before = _step(text), text
        if text == before:
            break
    return text


@lru_cache(maxsize=16384)
def key(text: str) -> tuple[str, ...]:
    """What two phrases share when they are the same: their parts in any order."""
    parts = [_WEIGHTED.get(part, part) for part in wording(text).split(", ")]
    return tuple(sorted(parts))


# As a whole answer "T2" and "T2-weighted" are one, as in SLAKE ("T2") and VQA-Med ("mr - t2 weighted").
_WEIGHTED = {"t1 weighted": "t1", "t2 weighted": "t2", "t1 weighted mri": "t1", "t2 weighted mri": "t2"}


def _step(text: str) -> str:
    han = not text.isascii()
    if han:
        text = unicodedata.normalize("NFKC", text.translate(_SIGNS)).translate(_SIGNS)
    text = text.casefold()
    if not text.replace(" ", "").isalnum() or han:
        text = _unpunctuated(text)
    words = [_WORDS.get(word, word) for word in text.split()]
    text = " ".join(words)
    text = _BRITISH.sub(lambda match: _AMERICAN[match.group()], text)
    text = _TWICE.sub(r"\1", _SAME.sub(_same, text))
    if han:
        text = _CHINESE.sub(lambda match: _CHINESE_NAMES[match.group()], _GAPS.sub("", text))
    parts = [_part(part, han) for part in _AND.split(_THE.sub(" ", text))]
    return ", ".join(part for part in parts if part)


def _unpunctuated(text: str) -> str:
    if "w/" in text:
        text = _WITH.sub(lambda match: "without " if match[1] else "with ", text)
    text = _THOUSANDS.sub(lambda match: match.group().replace(",", ""), text)
    text = _POINT.sub(" ", _SLASH.sub(" ", text.replace("&", " and ").replace(";", ",")))
    return _COMPARES.sub(" ", _JOINS.sub(" ", _OTHER.sub(" ", text)))


def _part(text: str, han: bool) -> str:
    text = _ARTICLE.sub("", " ".join(text.split())) if text.lstrip().startswith("a") else text
    text = " ".join(text.split())
    if not han:
        return text
    if counted := _COUNTED.fullmatch(text):
        number = counted[1]
        return number if number.isascii() else str(DIGITS.get(number, 10))
    return _OF_CHINESE.sub("", text)


def _same(match: re.Match[str]) -> str:
    if match["non"]:
        return "non " + match["non"]
    if match["tens"]:
        return str(int(match["tens"]) + int(match["ones"]))
    return match["weight"] or _NAMES[match.lastgroup or ""]
