"""Rules for replies in whole sentences to questions without options.

"Is there an effusion?" - "There is no effusion." The question's own words come back, said to be so or not;
or a sentence ends on the number or the phrase that was asked for.
"""

import re

from medbench.verify import numbers, phrases
from medbench.verify.choose import tail
from medbench.verify.page import WORDS, Found, Page
from medbench.verify.text import plain

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z*\"(])|\n+|;\s")
_WORD = re.compile(r"[a-z]{3,}|\d+")
_FILLERS = frozenset((
    "the", "most", "people", "patients", "usually", "normally", "typically", "generally", "they",
    "them", "this", "that", "these", "are", "was", "were", "does", "did", "has", "have", "had", "any",
    "there", "its", "image", "images", "picture", "scan", "photo", "figure", "slide", "evidence",
    "sign", "signs", "and", "for", "with", "you", "see", "seen", "shown", "show", "shows", "look",
    "looks", "appear", "appears", "present", "some", "what", "which", "where", "who", "how", "when",
    "following", "patient", "being", "been", "from", "into", "can",
))  # fmt: skip
_ENDING = re.compile(r"(?:es|s|ing|ed)$")


def _words(text: str) -> set[str]:
    """The telling words of `text`, without their endings."""
    return {
        re.sub(r"(?:es|s|ing|ed)$", "", word) for word in _WORD.findall(text.lower()) if word not in _FILLERS
    }


# --- yes or no ------------------------------------------------------------------------------------

_QUESTION_PART = re.compile(r"[,.:]\s|\n")
_ASKS = re.compile(r"^\s*(?:is|are|was|were|does|do|did|has|have)\b", re.I)
_OPEN = re.compile(r"\b(?:or|not|no|n't|less|more|rather|than)\b", re.I)
_NEGATION = re.compile(r"\b(?:no|not|never|without|none|neither|cannot|absent|absence|lacks?)\b|n't\b", re.I)
_CONTRAST = re.compile(r"\b(?:but|however|although|except|whereas|though|doubt)\b", re.I)
_CLAUSE = re.compile(r"[,;]\s|\s(?:with|while)\s")
_HEDGED = re.compile(
    r"\b(?:may|might|could|possib\w+|perhaps|maybe|unclear|uncertain|difficult|cannot|can't|unable|if|whether|less|"
    r"hardly|rather|than|too|only|suggest\w*|likely|would|should|however|ruled? out|excluded|"
    r"denie[ds]|fail\w*|"
    r"free of|negative for|history of|previous\w*)\b",
    re.I,
)


def word(page: Page) -> Found | None:
    """A sentence says the question's own words, and says them to be so or not to be so."""
    question = _QUESTION_PART.split(page.question.strip())[-1]
    if "吗" in question or "是否" in question or "有没有" in question:
        return _word_in_chinese(page, question)
    if (
        len(page.text) > 800
        or not _ASKS.match(question)
        or _OPEN.search(question)
        or _CONTRAST.search(page.text)
    ):
        return None
    asked = _words(question)
    said = {_polarity(sentence, asked) for sentence in _SENTENCE.split(page.text)} - {None}
    only = said.pop() if len(said) == 1 else ""
    return Found(only) if only and only in page.choices.texts else None


def _polarity(sentence: str, asked: set[str]) -> str | None:
    """Whether `sentence` says the `asked` words to be so; "" if that is open, None if it is on others."""
    if spoken := _SAID.match(sentence):
        return spoken[1].lower()
    if not asked or not asked <= _words(sentence) or _ASKS.match(sentence) or "?" in sentence:
        return None
    clauses = _CLAUSE.split(sentence)
    reached = (n for n in range(1, len(clauses) + 1) if asked <= _words(" ".join(clauses[:n])))
    needed = next(reached, len(clauses))
    said = " ".join(clauses[:needed])
    negations = len(_NEGATION.findall(said))
    if _HEDGED.search(said) or negations > 1 or (len(asked) == 1 and not _EXISTS.search(said)):
        return ""
    return "no" if negations else "yes"


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


# --- numbers --------------------------------------------------------------------------------------

_GIVES = re.compile(
    r"(?:\b(?:is|are|was|be|equals)\b|[=≈]|\b(?:total|score|result|value|sum):)[\s*$]{0,4}"
    r"(?:(?:therefore|thus|now|approximately|about|roughly|around|also|only|equal to|"
    r"estimated (?:at|to be))\s{1,2}){0,3}"
    r"(?=[-+(*$~]{0,4}\d)",
    re.I,
)
_OTHER_VALUE = re.compile(
    r"\b(?:normal|maxim\w+|minim\w+|ranges?|reference|cut-?off|threshold|if|would|could|may|might|note|example|step|"
    r"not|cannot|can't|missing|unknown|however|unless|assum\w+)\b|n't\b",
    re.I,
)
_CONCLUDES = re.compile(r"\b(?:therefore|thus|hence|final(?:ly)?|so)\b|[=≈]", re.I)
_GENERIC = re.compile(r"\b(?:result|answer|total|score|estimate)\b", re.I)
_ASIDE = re.compile(r"\([^()\d][^()]{0,80}\)")
UNWORKED = re.compile(r"\d\)*\s?[×*x/^+]\s?\(*\d|\d\s[-–]\s\d")
_EQUATIONS = re.compile(r"(?:^|[,;]|\band\b)[^,;=≈]{1,40}[=≈][^,;]*")
_MORE_VALUES = re.compile(r"\s?(?:to|or|and|[-–])\s?\d")


def number(page: Page) -> Found | None:
    """The last sentence with a number says what was asked for: "Hence the BMI is 31.4 kg/m2"."""
    for sentence in reversed([part for part in _SENTENCE.split(page.text[-1500:]) if part.strip("` ")][-4:]):
        if any(char.isdigit() for char in sentence):
            return _given(sentence, page) if page.choices.form == "number" else _dated(sentence, page)
    return None


def _given(sentence: str, page: Page) -> Found | None:
    """The value that `sentence` gives: after its last "=", else after its first "is"."""
    sentence = _ASIDE.sub("", sentence)
    given = list(_GIVES.finditer(sentence))
    if not given or _OTHER_VALUE.search(sentence) or len(_EQUATIONS.findall(sentence)) > 1:
        return None
    worked = given[-1].group().strip()[:1] in ("=", "≈")
    at = given[-1] if worked else given[0]
    asked = _words(page.question)
    named = (
        ":" in at.group()
        or _GENERIC.search(sentence, 0, at.start())
        or (worked and _CONCLUDES.search(sentence, 0, at.start()))
    )
    if asked and not named and not asked & _words(sentence[: at.start()]):
        return None
    value = sentence[at.end() :].strip("*$ ")
    first = re.match(r"[-+(~]{0,2}[\d.,]+", value)
    if first is None or UNWORKED.match(value) or _MORE_VALUES.match(value, first.end()):
        return None
    found = numbers.after(_OUT_OF.split(value, maxsplit=1)[0], page.choices)
    return found if found and found.answer else None


def _dated(sentence: str, page: Page) -> Found | None:
    """The one date, or weeks and days, of a sentence that speaks of nothing else of that form."""
    found = numbers.inside(sentence, page.choices) if not _OTHER_VALUE.search(sentence) else None
    return found if found and found.answer else None


_OUT_OF = re.compile(r"\s(?:points? )?(?:out )?of\s(?=\d|a )|, ")


# --- phrases --------------------------------------------------------------------------------------

_SAYS = re.compile(
    r"\b(?:(?:is|are|was|were|lies|lie)"
    r"(?: (?:most )?(?:typically|usually|normally|generally|likely|probably))?"
    r"(?: (?:located|found|seen|situated|visible))?(?: (?:on|in|at|within)(?= the\b))?"
    r"|(?:typically |usually |normally )?lies (?:on|in|at)"
    r"|shows?|contains?|has|have|belongs? to|appears? to be|seems? to be) "
)
_CUT = re.compile(r"[.;\n]|, (?:which|as|specifically|with|and|indicat\w+|suggest\w+)\b|\s\(")


def phrase(page: Page) -> Found | None:
    """The first sentence repeats the question up to "is", and what follows is the answer."""
    sentence = _SENTENCE.split(page.text, maxsplit=1)[0][:400]
    says = _SAYS.search(sentence)
    if says is None or len(page.text) > 800:
        return None
    subject, asked = _words(sentence[: says.start()]), _words(page.question)
    said = _CUT.split(sentence[says.end() :], maxsplit=1)[0].strip(" *_\"'")
    if not subject or not subject <= asked or not said or len(said.split()) > 8:
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
    asked = _words(page.question)
    if len(page.text) > 800 or not asked:
        return None
    found = {
        found for sentence in _SENTENCE.split(page.text)[:3] if (found := _equated(sentence, asked, page))
    }
    return found.pop() if len(found) == 1 else None


def _equated(sentence: str, asked: set[str], page: Page) -> Found | None:
    """The option that `sentence` equates with what was asked, whichever of the two comes first."""
    says = _SAYS.search(sentence[:600])
    if says is None or _HEDGED.search(sentence[: says.end()]) or "?" in sentence:
        return None
    before, after = sentence[: says.start()], sentence[says.end() :]
    if letter := page.choices.texts.get(plain(before)):
        said = _words(_CUT.split(after, maxsplit=1)[0])
        return Found(letter) if said and said <= asked and not _NEGATION.search(after) else None
    subject = _words(before)
    return tail(after, page.choices) if len(subject) > 1 and subject <= asked else None
