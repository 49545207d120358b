"""Answers in whole sentences that repeat the question: "The drug that was given is aspirin"."""

import re

from medbench.verify import phrases
from medbench.verify.affirmed import HEDGED, NEGATION, word
from medbench.verify.choose import tail
from medbench.verify.page import WORDS, Found, Page
from medbench.verify.sentences import RELATION, SENTENCE, in_order, telling, wants_false
from medbench.verify.text import plain

_SAYS = re.compile(
    r"\b(?:(?:is|are|was|were|lies|lie)"
    r"(?: (?:most )?(?:typically|usually|normally|generally|likely|probably|indeed|clearly))?"
    r"(?: (?:located|positioned|found|seen|situated|visible))?(?: (?:on|in|at|within|to)(?= the\b))?"
    r"|(?:typically |usually |normally )?lies (?:on|in|at)"
    r"|shows?|contains?|has|have|belongs? to|appears? to be|seems? to be) "
)
_CUT = re.compile(
    r"[.;\n]|, (?:which|as|behind|near|just|between|below|above|specifically|with|and|an?|the|indicat\w+|"
    r"suggest\w+)\b|\s\("
)
_TAKES_BACK = re.compile(
    r"\b(?:not?|never|without|ruled out|excluded|another|incorrect|wrong|unlikely|rejected|false|if|unless|"
    r"or|as well|also|but)\b|\?",
    re.I,
)
_NEXT_TAKES_BACK = re.compile(
    r"\W{0,4}(?:no|not|actually|wait|sorry|correction|or|alternatively|however|but|rather|instead|edit)\b",
    re.I,
)
_GENERIC = frozenset(
    ("diagnosi", "description", "answer", "finding", "abnormality", "condition", "likely", "best")
)


def stated(said: str, page: Page) -> Found | None:
    """The answer in a sentence after "the answer is": "Final answer: The mass is in the left lung."."""
    sentence = SENTENCE.split(said, maxsplit=1)[0]
    return phrase(Page.of(sentence, page.choices, page.question)) if _SAYS.search(sentence) else None


def phrase(page: Page) -> Found | None:
    """The first sentence repeats the question up to "is", and what follows is the answer."""
    sentence, *later = SENTENCE.split(page.text[:800])
    sentence = sentence[:400]
    says = _SAYS.search(sentence)
    if says is None or len(page.text) > 800 or any(map(_NEXT_TAKES_BACK.match, later)):
        return None
    subject, asked = in_order(sentence[: says.start()]), in_order(page.question)
    said, *rest = _CUT.split(sentence[says.end() :], maxsplit=1)
    said = said.strip(" *_\"'")
    if not subject or not set(subject) <= {*asked, *_GENERIC} or not said or len(said.split()) > 8:
        return None
    if (RELATION.search(page.question) and subject[0] != asked[0]) or any(map(_TAKES_BACK.search, rest)):
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
    if len(page.text) > 800 or not asked or wants_false(page.question):
        return None
    found = {
        found for sentence in SENTENCE.split(page.text)[:3] if (found := _equated(sentence, asked, page))
    }
    return found.pop() if len(found) == 1 else None


def _equated(sentence: str, asked: set[str], page: Page) -> Found | None:
    """The option that `sentence` equates with what was asked, whichever of the two comes first."""
    says = _SAYS.search(sentence[:600])
    if says is None or HEDGED.search(sentence[: says.end()]) or "?" in sentence:
        return None
    before, after = sentence[: says.start()], sentence[says.end() :]
    if letter := page.choices.texts.get(plain(before)):
        said = telling(_CUT.split(after, maxsplit=1)[0])
        told = len(said) > 1 or (said and after.startswith("the "))
        return Found(letter) if told and said <= asked and not NEGATION.search(after) else None
    subject = telling(before)
    if not subject or not subject <= asked:
        return None
    letter = page.choices.texts.get(plain(after))
    return Found(letter) if letter else tail(after, page.choices) if len(subject) > 1 else None
