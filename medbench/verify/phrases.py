"""Closed phrases, short answers and free text: what a short piece of text says."""

import re
from functools import lru_cache
from itertools import product

from medbench.verify.page import OUTSIDE, Choices, Found, Page
from medbench.verify.sentences import RELATION, in_order, telling
from medbench.verify.wording import key, wording

LONGEST = 1000
"""Characters of a phrase that are read."""

_END = re.compile(
    r"\n|[.;](?=\s|$|[\u4e00-\u9fff])|,? ?(?:because|since|as it|which)\b|,?(?:因为|由于|所以|因此)"
)
# What may lead up to a phrase without being part of it.
_LEAD = re.compile(
    r"(?:[\s*_:\"'#]|-(?=\s)){0,8}(?:[a-e][.)]\s(?=[a-z]{3}))?(?:(?:"
    r"(?:it|this|that|there|these|they|he|she)(?: is|'s| are| was)(?: (?:most )?(?:likely|probably))?"
    r"|(?:the|this|that) (?:(?:most )?(?:likely|probable) )?(?:image|picture|scan|figure|photo|slide|"
    r"abnormality|organ|modality|lesion|plane|diagnosis|finding|condition|answer)(?: (?:shown|here))?"
    r"(?: (?:is|shows|depicts|displays))"
    r"|(?:most )?(?:likely|probably)|i (?:think|believe)(?: that)?(?: it(?: is|'s))?"
    r"|(?:这|这张|该|此|图中|图像|这张图|这张图像|该图像|这幅图|图片)?(?:的?(?:图像|图片|器官|部位|异常))?(?:显示的?)?(?:是|为)(?:一张|一幅)?"
    r"|(?:该|此)?(?:图像|图片|图中)显示了?"
    r")(?![a-z'])[\s:]*)?",
    re.I,
)


def after(text: str, choices: Choices) -> Found | None:
    """The phrase that `text` begins with, as after "the answer is"."""
    if choices.kind == "free":
        return None
    text = text.lstrip(" \n\t*_:\"'")
    return inside(_END.split(text[:500], maxsplit=1)[0], choices)


def inside(text: str, choices: Choices) -> Found | None:
    """The phrase that `text` as a whole is; free text comes back as it stands, in one line."""
    if choices.kind == "free":
        return Found(" ".join(text.split()))
    text = text[:LONGEST]
    said = wording(_bare(text)) or wording(text)
    return Found(said) if said else OUTSIDE


def _bare(text: str) -> str:
    """`text` without what leads up to it."""
    lead = _LEAD.match(text)
    if lead is None or not lead.group().strip(" *_:"):
        return text
    said, *aside = _ASIDE.split(text[lead.end() :], maxsplit=1)
    return text if aside and _REFUSED.search(aside[0]) else said


_REFUSED = re.compile(r"\b(?:not|never|ruled out|excluded|incorrect|wrong|unlikely|rejected)\b", re.I)
_ASIDE = re.compile(r",? ?(?:which|because|since)\b")


def same(answer: str, gold: str, question: str = "") -> bool:
    """Whether `answer`, as it is read, is the phrase `gold`; the order of a list does not count.

    Words that end one of them and only repeat the question do not count either: "left" is "left lung" where
    the question asks for a lung. Of a whole sentence counts what it adds to the question: "the man is wearing
    a blue hat" is "blue" where the colour of his hat was asked for.
    """
    if key(answer) in _keys(gold) or _repeats(wording(answer), wording(gold), question):
        return True
    added = _core(answer, question)
    return bool(added) and (added == _core(gold, "", whole=True) or _repeats(added, wording(gold), question))


def _repeats(answer: str, gold: str, question: str) -> bool:
    """Whether one is the other and then words that only repeat the question."""
    asked = frozenset(wording(question).split()) - _offered(question)
    if not asked:
        return False
    shorter, longer = sorted((answer.split(), gold.split()), key=len)
    surplus = longer[len(shorter) :]
    return (
        bool(shorter and surplus)
        and longer[: len(shorter)] == shorter
        and all((word in asked and not _TELLS.fullmatch(word)) or word in _OF for word in surplus)
    )


@lru_cache(maxsize=16384)
def _keys(gold: str) -> frozenset[tuple[str, ...]]:
    return frozenset({key(gold), key(_bare(gold))} - {("",)})


# What makes words a sentence, what leaves it open, where the part of it that answers ends.
_VERB = re.compile(
    r"\b(?:is|are|was|were|shows?|has|have|contains?|represents?|appears?|depicts?|displays?|indicates?|lies|"
    r"wearing|located|seen|found|visible)\b"
)
_LEFT_OPEN = re.compile(
    r"\b(?:no|not|nor|or|neither|either|without|may|might|could|possibl[ey]|perhaps|cannot|unlikely|if|but|however)\b"
)
_ENDS = re.compile(r"\b(?:than|which|because|while|whereas|since)\b")
_SAYS_LITTLE = frozenset((
    "the", "a", "an", "is", "are", "was", "were", "be", "been", "being", "there", "it", "its", "this", "that",
    "these", "image", "images", "picture", "photo", "figure", "slide", "shows", "show", "shown", "showing",
    "seen", "see", "visible", "present", "located", "positioned", "found", "can", "appears", "represents",
    "contains", "has", "have", "depicts", "displays", "indicates", "called", "known", "as", "to", "by",
    "used", "wearing", "in", "on", "of", "at", "from", "for", "here", "lies", "clearly", "mainly",
))  # fmt: skip
_CHOICE = re.compile(r"((?:\w+, (?:the |an? )?)*)(\w+),? or (?:the |an? )?(\w+)")


@lru_cache(maxsize=4096)
def _offered(question: str) -> frozenset[str]:
    """The words next to "or" in a question, between which it lets choose."""
    return frozenset(
        word
        for choice in _CHOICE.findall(wording(question))
        for part in choice
        for word in re.findall(r"\w+", part)
    )


@lru_cache(maxsize=16384)
def _core(text: str, question: str, *, whole: bool = False) -> str:
    """What a sentence adds to the question, in one spelling; "" if it is none or says nothing firm."""
    spelled, *rest = _ENDS.split(wording(text), maxsplit=1)
    if rest and _REFUSED.search(rest[0]):
        return ""
    if not whole and (not _VERB.search(spelled) or _LEFT_OPEN.search(spelled)):
        return ""
    offered, asked = _offered(question), telling(question)
    if question and RELATION.search(question) and not _in_its_order(spelled, question, offered):
        return ""  # "the mass is above the kidney" where the kidney was asked about
    kept = [
        word
        for word in re.split(r"[\s,]+", spelled)
        if word in offered
        or (word != "a" and _TELLS.fullmatch(word))
        or not (word in _SAYS_LITTLE or telling(word) & asked)
    ]
    return " ".join(word for word in kept if word)


def _in_its_order(text: str, question: str, offered: frozenset[str]) -> bool:
    """Whether the words of `question` that `text` repeats come in the question's order."""
    asked = [word for word in in_order(question) if word not in offered]
    said = [word for word in in_order(text) if word in asked]
    return said == [word for word in asked if word in said]


_OF = frozenset(("of", "the", "in", "this", "image", "side"))
# Words that tell one answer from another even where the question has them.
_TELLS = re.compile(
    r"left|right|bilateral|upper|lower|no|not|non|without|with|.|\d.*|.*\d|i{1,3}|iv|v|benign|malignant"
)


_OPENS = re.compile(r"[\s*_\"']{0,6}([^\n.;:?#*]{1,60})[*\"]{0,3}(?:\.(?=\s|\*)[*_]{0,3}|(?=\n))\s{0,4}")
_TALKS = re.compile(
    r"(?:let|sure|okay|ok|certainly|of course|hello|hi|here|i|i'm|we|as|to|thank|first|well|sorry|step|"
    r"question)\b",
    re.I,
)
_APPOSED = re.compile(r", (?:the|an?|which|also)\b")
_SENTENCE = re.compile(r"(?!or\b|and\b|[-*•\d])[^.\n]{25}", re.I)


def first(page: Page) -> Found | None:
    """The reply begins with a few words on their own, and goes on in whole sentences."""
    opens = _OPENS.match(page.text)
    if opens is None or not _SENTENCE.match(page.text, opens.end()) or _TALKS.match(opens[1]):
        return None
    if len(opens[1]) < 2 or len(opens[1].split()) > 6:
        return None
    return inside(_APPOSED.split(opens[1], maxsplit=1)[0], page.choices)


# What stands in brackets may be left out, unless it tells one answer from another.
_SIDES = re.compile(r"\b(?:left|right|bilateral|upper|lower|no|not|without|non)\b|\d")
_OPTIONAL = re.compile(r"\(([^()]*)\)")


@lru_cache(maxsize=16384)
def alternatives(reference: str) -> tuple[str, ...]:
    """The answers a VQA-Med-2019 reference accepts: `#` separates them, `( )` holds what may be left out.

    >>> alternatives("lung, mediastinum, pleura#spine and contents")
    ('lung, mediastinum, pleura', 'spine and contents')
    >>> alternatives("ct w/contrast (iv)")
    ('ct w/contrast iv', 'ct w/contrast')
    """
    found: dict[str, None] = {}
    for part in reference.split("#"):
        pieces = _OPTIONAL.split(part)[:9]  # four optional parts at most, sixteen wordings
        optional = [
            (piece, "") if place % 2 and not _SIDES.search(piece.lower()) else (piece,)
            for place, piece in enumerate(pieces)
        ]
        for chosen in product(*optional):
            if phrase := " ".join("".join(chosen).split()):
                found[phrase] = None
    return tuple(found)
