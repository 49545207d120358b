"""Rules for replies in whole sentences to questions without options.

"Is there an effusion?" - "There is no effusion." The question's own words come back, said to be so or not;
or a sentence ends on the number or the phrase that was asked for.
"""

import re

from medbench.verify import phrases
from medbench.verify.choose import tail
from medbench.verify.page import WORDS, Found, Page
from medbench.verify.sentences import SENTENCE, in_order, telling
from medbench.verify.text import plain

# --- yes or no ------------------------------------------------------------------------------------

_QUESTION_PART = re.compile(r"[,.:]\s|\n")
_ASKS = re.compile(r"^\s*(is|are|was|were|does|do|did|has|have|can|could|will|would|should)\b", re.I)
_OPEN = re.compile(r"\b(?:or|not|no|n't|less|more|rather|than)\b", re.I)
_NEGATION = re.compile(r"\b(?:no|not|never|without|none|neither|cannot|absent|absence|lacks?)\b|n't\b", re.I)
_CONTRAST = re.compile(r"\b(?:but|however|although|except|whereas|though|doubt)\b", re.I)
_CLAUSE = re.compile(r"[,;]\s|\s(?:with|while)\s")
_HEDGED = re.compile(
    r"\b(?:may|might|could|possib\w+|perhaps|maybe|unclear|uncertain|difficult|cannot|can't|unable|if|whether|less|"
    r"unlikely|hardly|rather|than|too|only|suggest\w*|likely|would|should|however|ruled? out|excluded|"
    r"denie[ds]|fail\w*|myth|misconception|false|untrue|incorrect|wrong|believe[ds]?|claim\w*|says?|said|"
    r"thinks?|thought|argu\w+|little|aim(?:s|ed)?|purpose|objective|goal|"
    r"to (?:determine|evaluate|explore|investigate|assess|examine|measure|test|study|compare)|"
    r"free of|negative for|history of|previous\w*)\b",
    re.I,
)


def word(page: Page) -> Found | None:
    """A sentence says the question's own words, and says them to be so or not to be so."""
    question = _QUESTION_PART.split(page.question.strip())[-1]
    if "吗" in question or "是否" in question or "有没有" in question:
        return _word_in_chinese(page, question)
    asks = _ASKS.match(question)
    if _THERE.match(question):
        question = question.replace(" or ", " ")  # "no cups or plates" answers for both
    if len(page.text) > 800 or asks is None or _OPEN.search(question) or _CONTRAST.search(page.text):
        return None
    question = _MODALITY.sub("", question)
    asked = telling(question)
    order = in_order(question) if _RELATION.search(question) and not _THERE.match(question) else []
    said = {_polarity(sentence, asked, asks[1].lower(), order) for sentence in SENTENCE.split(page.text)} - {
        None
    }
    only = said.pop() if len(said) == 1 else ""
    return Found(only) if only and only in page.choices.texts else None


def word_early(page: Page) -> Found | None:
    """The same in the sentences that were finished before a reply was cut off."""
    end = max(page.text.rfind(mark) for mark in (". ", ".\n", "! "))
    return word(Page.of(page.text[: end + 1], page.choices, page.question)) if end > 0 else None


def _polarity(sentence: str, asked: set[str], verb: str, order: list[str]) -> str | None:
    """Whether `sentence` says the `asked` words to be so; "" if that is open, None if it is on others."""
    if spoken := _SAID.match(sentence):
        return spoken[1].lower()
    if not asked or not asked <= telling(sentence) or _ASKS.match(sentence) or "?" in sentence:
        return None
    clauses = _CLAUSE.split(sentence)
    reached = (n for n in range(1, len(clauses) + 1) if asked <= telling(" ".join(clauses[:n])))
    needed = next(reached, len(clauses))
    said = _EVIDENCE.sub("evidence", " ".join(clauses[:needed]))
    if verb in ("can", "could", "would", "should"):  # the question's own word leaves nothing open
        said = re.sub(rf"\b{verb}\b", "", _CANNOT.sub("not", said) if verb in ("can", "could") else said)
    if order and [word for word in in_order(said) if word in asked] != order:
        return ""  # "the kidney is above the liver" where the liver was asked about
    negations = len(_NEGATION.findall(said))
    if _HEDGED.search(said) or negations > 1 or (len(asked) == 1 and not _EXISTS.search(said)):
        return ""
    return "no" if negations else "yes"


_MODALITY = re.compile(
    r"\b(?:chest )?(?:x-?rays?|radiographs?|films?|ct(?: scans?)?|mri(?: scans?)?|scans?|imag(?:es?|ing))\b",
    re.I,
)
_RELATION = re.compile(
    r"\b(?:above|below|under|over|behind|beside|front|anterior|posterior|superior|inferior|medial|lateral|"
    r"proximal|distal|left of|right of|inside|within|before|after)\b"
    r"|\A\s*(?:is|are|was|were) (?:the|a) [\w ]{1,30} (?:on|in) (?:the|a) \w+\W*\Z",
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
_EXISTS = re.compile(
    r"\b(?:there (?:is|are|was|were)|shows?|demonstrates?|seen|present|visible|identified|noted|found|"
    r"evidence|signs?|"
    r"appears?|contains?|is|are)\b",
    re.I,
)


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


# --- phrases --------------------------------------------------------------------------------------

_SAYS = re.compile(
    r"\b(?:(?:is|are|was|were|lies|lie)"
    r"(?: (?:most )?(?:typically|usually|normally|generally|likely|probably))?"
    r"(?: (?:located|positioned|found|seen|situated|visible))?(?: (?:on|in|at|within|to)(?= the\b))?"
    r"|(?:typically |usually |normally )?lies (?:on|in|at)"
    r"|shows?|contains?|has|have|belongs? to|appears? to be|seems? to be) "
)
_CUT = re.compile(r"[.;\n]|, (?:which|as|specifically|with|and|an?|the|indicat\w+|suggest\w+)\b|\s\(")
_GENERIC = frozenset(
    ("diagnosi", "description", "answer", "finding", "abnormality", "condition", "likely", "best")
)


def phrase(page: Page) -> Found | None:
    """The first sentence repeats the question up to "is", and what follows is the answer."""
    sentence = SENTENCE.split(page.text, maxsplit=1)[0][:400]
    says = _SAYS.search(sentence)
    if says is None or len(page.text) > 800:
        return None
    subject, asked = telling(sentence[: says.start()]), telling(page.question)
    said = _CUT.split(sentence[says.end() :], maxsplit=1)[0].strip(" *_\"'")
    if not subject or not subject <= asked | _GENERIC or not said or len(said.split()) > 8:
        return None
    return phrases.inside(said, page.choices)


def option(page: Page) -> Found | None:
    """The first sentence repeats the question up to "is", and goes on with one option's text.

    Where the options are yes and no, a sentence says the question's own words to be so or not.
    """
    if page.choices.texts.keys() <= set(WORDS):
        said = word(page)
        letter = page.choices.texts.get(said.answer) if said and said.answer else None
        return Found(letter) if letter else None
    asked = telling(page.question)
    if len(page.text) > 800 or not asked:
        return None
    found = {
        found for sentence in SENTENCE.split(page.text)[:3] if (found := _equated(sentence, asked, page))
    }
    return found.pop() if len(found) == 1 else None


def _equated(sentence: str, asked: set[str], page: Page) -> Found | None:
    """The option that `sentence` equates with what was asked, whichever of the two comes first."""
    says = _SAYS.search(sentence[:600])
    if says is None or _HEDGED.search(sentence[: says.end()]) or "?" in sentence:
        return None
    before, after = sentence[: says.start()], sentence[says.end() :]
    if letter := page.choices.texts.get(plain(before)):
        said = telling(_CUT.split(after, maxsplit=1)[0])
        return Found(letter) if said and said <= asked and not _NEGATION.search(after) else None
    subject = telling(before)
    if not subject or not subject <= asked:
        return None
    letter = page.choices.texts.get(plain(after))
    return Found(letter) if letter else tail(after, page.choices) if len(subject) > 1 else None
