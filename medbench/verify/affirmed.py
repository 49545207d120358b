"""Yes or no given in sentences: "Is there an effusion?" - "There is no effusion."

The question's own words come back in one clause, said to be so or not to be so. Hopes, aims, hearsay, shares
of patients and things that are gone say nothing; a reply whose sentences disagree neither.
"""

import re
from typing import NamedTuple

from medbench.verify.page import Found, Page
from medbench.verify.sentences import RELATION, SENTENCE, in_order, telling
from medbench.verify.words import COURTESY

_QUESTION_PART = re.compile(r"[,.:]\s|\n")
_ASKS = re.compile(r"^\s*(is|are|was|were|does|do|did|has|have|can|could|will|would|should)\b", re.I)
_OPEN = re.compile(r"\b(?:or|not|no|n't|less|more|rather|than)\b", re.I)
NEGATION = re.compile(r"\b(?:no|not|never|without|none|neither|cannot|absent|absence|lacks?)\b|n't\b", re.I)
_CONTRAST = re.compile(r"\b(?:but|however|although|except|whereas|though|doubt)\b", re.I)
HEDGED = re.compile(
    r"\b(?:may|might|could|possib\w+|perhaps|maybe|unclear|uncertain|difficult|cannot|can't|unable|if|whether|"
    r"less|unlikely|hardly|rather|than|too|only|suggest\w*|likely|would|should|however|little|partly|"
    r"ruled? out|excluded|denie[ds]|fail\w*|free of|negative for|history of|previous\w*|gone|resol\w+|zero|"
    r"insufficient|against|instead|nothing|nobody|lacking|underpowered|"
    r"myth|misconception|false|untrue|incorrect|wrong|believe[ds]?|claim\w*|says?|said|thinks?|thought|argu\w+|"
    r"aim(?:s|ed)?|purpose|objective|goal|hope[ds]?|hypothes\w+|needed|remains? to|question|"
    r"to (?:determine|evaluate|explore|investigate|assess|examine|measure|test|study|compare))\b|\d ?%",
    re.I,
)


class Asked(NamedTuple):
    """What a yes/no question asks: its telling words, its verb, and how an answer must put them.

    `ordered`: in this order, or another thing is said. `clauses`: where a sentence's clauses part.
    """

    words: list[str]
    verb: str
    ordered: bool
    clauses: re.Pattern[str]
    exists: bool


_JOINTS = ("with", "while", "which", "and", "where")


def asked_in(question: str) -> Asked | None:
    """What `question` asks; None if it is no plain yes/no question."""
    question = _QUESTION_PART.split(question.strip())[-1]
    asks = _ASKS.match(question)
    exists = _THERE.match(question) is not None
    if exists:
        question = question.replace(" or ", " ")  # "no cups or plates" answers for both
    if asks is None or _OPEN.search(question):
        return None
    verb = asks[1].lower()
    acts = verb in ("does", "do", "did", "can", "could", "will", "would")
    ordered = not exists and (acts or RELATION.search(question) is not None)
    words = in_order(_MODALITY.sub("", question))
    joints = "|".join(joint for joint in _JOINTS if f" {joint} " not in question)
    return Asked(words, verb, ordered, re.compile(rf"[,;]\s|\s(?:{joints})\s"), exists) if words else None


def word(page: Page) -> Found | None:
    """A sentence says the question's own words, and says them to be so or not to be so."""
    if any(mark in page.question for mark in ("吗", "是否", "有没有")):
        return _word_in_chinese(page, _QUESTION_PART.split(page.question.strip())[-1])
    if len(page.text) > 800 or _CONTRAST.search(page.text):
        return None
    asked = asked_in(page.question)
    if asked is None:
        return None
    if _ONE.search(page.text):
        return None
    said = {_polarity(sentence, asked) for sentence in SENTENCE.split(page.text)} - {None}
    only = said.pop() if len(said) == 1 else ""
    return Found(only) if only and only in page.choices.texts else None


def word_early(page: Page) -> Found | None:
    """The same in the sentences that were finished before a reply was cut off."""
    end = max(page.text.rfind(mark) for mark in (". ", ".\n", "! "))
    return word(Page.of(page.text[: end + 1], page.choices, page.question)) if end > 0 else None


def _polarity(sentence: str, asked: Asked) -> str | None:
    """Whether `sentence` says the asked words to be so; "" if that is open, None if it is on others."""
    if spoken := _SAID.match(sentence):
        return None if COURTESY.match(sentence, spoken.end(1)) else spoken[1].lower()
    words = set(asked.words)
    if not words <= telling(sentence) or _ASKS.match(sentence) or "?" in sentence:
        return None
    clauses = asked.clauses.split(_NO_MATTER.sub("", sentence))
    place = next((n for n, clause in enumerate(clauses) if words <= telling(clause)), None)
    if place is None:
        return None
    for later in clauses[place + 1 :]:
        if _DENIES.match(later) or (NEGATION.search(later) and telling(later) & words):
            return ""
    return _plainly(clauses[place], asked)


def _plainly(clause: str, asked: Asked) -> str:
    """Yes or no by a clause that holds all that was asked; "" where it leaves that open."""
    said = _EVIDENCE.sub("evidence", clause)
    if asked.verb in ("can", "could"):  # the question's own word leaves nothing open
        said = _CANNOT.sub("not", said)
    if asked.verb in ("can", "could", "would", "should"):
        said = re.sub(rf"\b{asked.verb}\b", "", said)
    order = [word for word in in_order(said) if word in asked.words]
    if asked.ordered and order != asked.words:
        return ""  # "the kidney is above the liver" where the liver was asked about
    negations = len(NEGATION.findall(said))
    shown = _SHOWN if asked.exists else _EXISTS
    if HEDGED.search(said) or negations > 1 or (asked.exists and _OTHERWISE.search(said)):
        return ""
    if (len(asked.words) == 1 or asked.exists) and not shown.search(said):
        return ""
    return "no" if negations else "yes"


_NO_MATTER = re.compile(r"\bno matter\b", re.I)
_ONE = re.compile(r"\bthere (?:is|are) (?:one|some)\b|\bonly (?:an?|one|some)\b", re.I)
_OTHERWISE = re.compile(
    r"\bthere (?:was|were|had been)\b|\b(?:is|are) (?:seen|shown|defined|characteri[sz]ed|"
    r"recogni[sz]ed) (?:as|by)\b"
    r"|\bno (?:\w+ )?(?:large|significant|big|major|massive|new|acute|further|additional)\b|^\W*in an? ",
    re.I,
)
_DENIES = re.compile(r"\s*(?:not|no longer|if|unless)\b", re.I)
_MODALITY = re.compile(
    r"\b(?:chest )?(?:x-?rays?|radiographs?|films?|ct(?: scans?)?|mri(?: scans?)?|scans?|imag(?:es?|ing))\b",
    re.I,
)
_THERE = re.compile(r"\s*(?:is|are|was|were) there\b", re.I)
_EVIDENCE = re.compile(
    r"\b(?:evidence|data|proof|reason)(?: to (?:suggest|support|indicate|believe)"
    r"(?: the (?:claim|idea|notion|theory))?| suggesting)\b",
    re.I,
)
_CANNOT = re.compile(r"\b(?:cannot|can't|can not|couldn't)\b", re.I)
_SAID = re.compile(r"[\s*_]{0,3}(yes|no),\s", re.I)
_SHOWN = re.compile(
    r"\b(?:there (?:is|are|was|were|appears?|seems?)|shows?|showed|demonstrates?|reveals?|seen|present|"
    r"visible|identified|noted|found|evidence|signs?|contains?|has|have|had|with)\b",
    re.I,
)
_EXISTS = re.compile(_SHOWN.pattern[:-3] + r"|appears?|is|are)\b", re.I)


# --- Chinese --------------------------------------------------------------------------------------

_THING = re.compile(
    r"(?:有没有|是否(?:存在|包含|有|可见)|存在|包含|有)(?:任何)?(?P<thing>[^吗?？,，。的]{1,12})"
)
_CHINESE_OPEN = re.compile(r"没有证据|不能|无法|可能|看不出|是否|不确定|疑似|排除|但|不过|未必|不一定")


def _word_in_chinese(page: Page, question: str) -> Found | None:
    """ "图中有肺部吗?" - "图中没有肺部。" """
    asked = _THING.search(question)
    if asked is None or len(page.text) > 200 or _CHINESE_OPEN.search(page.text):
        return None
    thing = re.escape(asked["thing"].strip())
    said = re.findall(
        rf"(没有|未见|不存在|不包含|无|有|存在|可见|包含)(?:明显|任何|明确)?(?:的)?{thing}", page.text
    )
    words = {"no" if word[0] in "没未不无" else "yes" for word in said}
    return Found(words.pop()) if len(words) == 1 else None
