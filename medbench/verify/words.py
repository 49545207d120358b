"""Yes, no or maybe: which of them a piece of text says, in English or Chinese.

Words count, never parts of words: "normal", "not", "none", "nodule" and "know" say nothing. Text that says
two of them is no answer.
"""

import re
from functools import lru_cache

from medbench.verify.letters import LEAD
from medbench.verify.page import AMBIGUOUS, OUTSIDE, WORDS, Choices, Found, Page
from medbench.verify.sentences import telling
from medbench.verify.text import backwards, plain

# What counts wherever an answer is expected. "positive", "correct" and the like mean other things there.
_ENGLISH = {
    "yes": "yes", "yeah": "yes", "yep": "yes", "yup": "yes",
    "no": "no", "nope": "no",
    "maybe": "maybe", "uncertain": "maybe",
}  # fmt: skip
_CHINESE = {
    word: meaning
    for meaning, words in {
        "yes": "是的 是 对的 对 有的 有 可以 正确 包含 存在 肯定 是有的 会",
        "no": "不是 不是的 不对 否 否定 没有 没 无 不可以 不能 错误 不正确 不包含 没有包含 不存在 不会 不 非",
        "maybe": "可能 也许 不确定 不一定",
    }.items()
    for word in words.split()
}
# What counts when it is the whole of an answer: a JSON `true`, a box around "False".
_WHOLE = {"true": "yes", "correct": "yes", "false": "no", "incorrect": "no"}
_MEANING = _ENGLISH | _CHINESE | _WHOLE

_EN = "|".join(_ENGLISH)
_ZH = "|".join(sorted(_CHINESE, key=len, reverse=True))
_WORD = rf"(?:(?:{_EN})\b(?!['-]\w)|(?:{_ZH})(?:的|啊|呀|哦|呢)?(?!\w))"
_AT = re.compile(rf"({_WORD})(?:[ \t]+(?!or\b|and\b|/)([a-z']+))?", re.I)
_LABEL = re.compile(r"(?:\(?[A-C][).:] ?)?[*_]{0,2}")
_MORE = re.compile(
    rf"[\s*\"')]{{0,4}}(?:,?\s?\b(?:or|and|but)\b|/|,|或者?|和|还是)[\s*\"'(]{{0,4}}"
    rf"(?:possibly |maybe )?({_WORD})",
    re.I,
)
_BY_CASE = re.compile(
    r"[^.;\n]{1,80}(?:\b(?:and|but|or)|[,;]) (yes|no|maybe)(?= (?:for|on|in|if|when|at|otherwise)\b|[.,;]|"
    r"\s*$)",
    re.I,
)
_FREE = frozenset((
    "because", "since", "as", "there", "it", "the", "this", "based", "given", "but", "due", "although",
    "while", "for", "if", "with", "according", "we", "they", "he", "she",
))  # fmt: skip
_ANY = re.compile(rf"(?<!\w){_WORD}", re.I)
_TRUTH = re.compile(r"(true|false)[*_\"')]{0,4}\s{0,3}(?:$|[.,;\n])", re.I)


def meaning(word: str) -> str:
    """The one of yes, no and maybe that `word` stands for."""
    word = word.lower()
    return _MEANING.get(word) or _MEANING[word[:-1]]


@lru_cache(maxsize=4096)
def canonical(gold: str) -> str:
    """A gold as yes, no or maybe; one that is none of them as it is spelled.

    >>> canonical("Yes"), canonical("不包含"), canonical("没有"), canonical("False"), canonical("normal")
    ('yes', 'no', 'no', 'no', 'normal')
    """
    word = plain(gold)
    whole = re.fullmatch(_WORD, word)
    return meaning(word) if whole or word in _WHOLE else word


@lru_cache(maxsize=4096)
def polar(golds: tuple[str, ...]) -> bool:
    """Whether all golds say yes, no or maybe."""
    return bool(golds) and all(canonical(gold) in WORDS for gold in golds)


def after(text: str, choices: Choices) -> Found | None:
    """The word that `text` begins with, as after "the answer is"."""
    lead = LEAD.match(text)
    label = _LABEL.match(text, lead.end() if lead else 0)
    start = label.end() if label else 0
    word = _AT.match(text, start)
    if word is None:
        truth = _TRUTH.match(text, start)
        return _found(truth[1], choices) if truth else None
    if word[2] and word[2].lower() not in _FREE:
        return None
    more = _MORE.match(text, word.end(1)) or _BY_CASE.match(text, word.end(1))
    if more and meaning(more[1]) != meaning(word[1]):
        return AMBIGUOUS
    if text[word.end(1) : word.end(1) + 3].lstrip(' )*"').startswith("?"):
        return None
    return _found(word[1], choices)


def inside(text: str, choices: Choices) -> Found | None:
    """The word that `text` as a whole names."""
    words = {meaning(word) for word in _ANY.findall(text[:200])}
    if len(words) > 1:
        return AMBIGUOUS
    if (whole := plain(text[:40])) in _WHOLE:
        return _found(whole, choices)
    return after(text, choices) or OUTSIDE


def _found(word: str, choices: Choices) -> Found:
    said = meaning(word)
    return Found(said) if said in choices.texts else OUTSIDE


# --- rules for a reply as a whole ------------------------------------------------------------------

_JOINED = frozenset(("and", "or", "或", "和", "或者"))
_FIRST = re.compile(
    rf"[\s*_\"'(#]{{0,6}}(?:(?:most |very )?(?:likely|probably),? )?({_WORD})"
    r"(?=[*_\"')]{0,4}(?:[.,;:!\n]|\s*$|\s[-–—(]|\s(?:because|since|as|it|there|the|this)\b))",
    re.I,
)
_LAST = re.compile(
    rf"(?:^|[.!?:]|\n|(?:\b(?:so|thus|therefore|hence|overall|conclusion)\b|所以|因此|总之)[,:]?)"
    rf"[\s*_\"'(]{{0,6}}({_WORD})[*_\"').!\s]{{0,6}}$",
    re.I,
)


_CONCLUDED = re.compile(
    rf"(?:^|[.!?:\n])[\s*_#]{{0,6}}(?:(?:so|thus|therefore|hence|overall|(?:in )?conclusion|"
    rf"in (?:summary|short)|(?:so,? )?to (?:directly )?answer (?:your|the) question|verdict)"
    rf"[,:*]{{0,3}}\s{{0,3}})[*_]{{0,2}}({_WORD})(?=[*_]{{0,2}}[,.;:!—-]|\s(?:because|since|as|there|it)\b)",
    re.I,
)


_NOT = re.compile(r"\bnot\b|n't\b", re.I)
_SHORT = re.compile(
    r"[\s*_\"']{0,4}(?:(?:absolutely|definitely|certainly)(?: not)?|not at all|"
    r"(?:it|they|he|she|there) (?:is|are|does|do|did|was|were|has|have|can|will)(?: not|"
    r"n't)?)[\s*_.!\"']{0,4}",
    re.I,
)


def alone(page: Page) -> Found | None:
    """The whole reply is yes, no or maybe."""
    if len(page.text) >= 40:
        return None
    if _SHORT.fullmatch(page.text):
        return _found("no" if _NOT.search(page.text) else "yes", page.choices)
    rest, count = _ANY.subn(" ", page.low)
    others = set(re.findall(r"\w+", rest)) - _JOINED
    if (count and not others) or plain(page.text) in _WHOLE:
        return inside(page.text, page.choices)
    return None


def last(page: Page) -> Found | None:
    """The reply ends in a sentence that is yes, no or maybe, or concludes with one: "So no, it does not."."""
    match = _LAST.search(page.text, max(0, len(page.text) - 40))
    if match and not _about_other(page, match.start()):
        return after(match[1], page.choices)
    concluded = next(iter(backwards(_CONCLUDED, page.text, 1)), None)
    if concluded is None and (word := _paragraph(page)):
        return after(word, page.choices)
    if concluded is None or _INSTEAD.search(page.text, concluded.end()):
        return None
    return after(page.text[concluded.start(1) :][:80], page.choices)


def _paragraph(page: Page) -> str | None:
    """The beginning of the last paragraph, if it is yes or no and the one before asks nothing."""
    before, gap, last = page.text.rpartition("\n\n")
    word = _FIRST.match(last)
    if not gap or word is None or before.rstrip(" *_").endswith(("?", ":")):
        return None
    said = {meaning(other[1]) for part in before.split("\n\n") if (other := _FIRST.match(part))}
    return last[word.start(1) :][:80] if said <= {meaning(word[1])} else None


_ANSWERS = re.compile(
    r"(?:answer|conclusion|verdict|decision|result|response|summary|short|so|thus|therefore|final)[*_\s]{0,4}$",
    re.I,
)
_INSTEAD = re.compile(r"\b(?:or|alternatively|otherwise|instead)\b,?\s(?:yes|no|maybe)\b", re.I)


def _about_other(page: Page, at: int) -> bool:
    """Whether the word after `at` answers something else: "Midline shift: no", "Any other finding? No"."""
    mark = page.text[at : at + 1]
    if mark not in (":", "?") and page.text[at - 1 : at] != "?":
        return False
    line = re.split(r"[.!]\s", page.text[:at].rpartition("\n")[2])[-1]
    if mark == ":":
        return _ANSWERS.search(line) is None
    asked = telling(page.question)
    return not asked or not asked <= telling(line)


_WEIGHED = re.compile(r"\b(yes|no|maybe)\b(?=\s?[:(]\s?\d)", re.I)


def first(page: Page) -> Found | None:
    """The reply begins with yes, no or maybe as its answer."""
    if bare := _BARE_FIRST.match(page.text):
        return after(bare[1], page.choices)
    match = _FIRST.match(page.text)
    if match and _WEIGHED.match(page.text, match.start(1)) and len(set(_WEIGHED.findall(page.low))) > 1:
        return AMBIGUOUS
    if match and not COURTESY.match(page.text, match.end(1)):
        return after(page.text[match.start(1) :][:80], page.choices)
    return None


_BARE_FIRST = re.compile(r"(yes|no|maybe) (?=[A-Z])")  # "no The vaccine had no effect"
COURTESY = re.compile(
    r",? (?:of course|sure|certainly|i(?:'ll| will| can| see|'d| have| understand)|let me|let's|that(?:'s|"
    r" is) an? (?:good|"
    r"great)|"
    r"people|some)\b",
    re.I,
)
