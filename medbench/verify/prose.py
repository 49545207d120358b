"""Rules for prose: an option concluded on, asserted, or the only one named.

They never count in a reply that was cut off, and the weaker ones not in a long one.
"""

import re

from medbench.verify import foreign, implicit
from medbench.verify.choose import tail
from medbench.verify.letters import exactly, letter_at
from medbench.verify.named import (
    OPTION_LINE,
    SHORT,
    letters_named,
    names,
    other_label,
    single,
    texts_named,
)
from medbench.verify.page import NOTHING, Found, Page
from medbench.verify.sentences import wants_false
from medbench.verify.stance import SENTENCE, called_wrong, denied, false_heading, left_open, unsure
from medbench.verify.text import backwards, plain

LONG = 800
"""Characters from which on a reply reasons, and to be the only option it names is no commitment."""


def _last(pattern: re.Pattern[str], text: str, within: int) -> re.Match[str] | None:
    """The last match among the last `within` characters."""
    last = None
    for match in pattern.finditer(text, max(0, len(text) - within)):
        last = match
    return last


# --- none of them ---------------------------------------------------------------------------------

_NONE = re.compile(
    r"\bnone of (?:the|these)\b(?: \w+){0,2}? ?(?:options|choices|answers|above)\b"
    r"|\b(?:not|isn't) (?:\w+ ){0,2}?(?:among|in|one of|within|part of) (?:the|these)(?: \w+){0,2} "
    r"(?:options|choices|answers)\b"
)
_NONE_SAID = re.compile(
    r"(?:^|[.!?\n]\s{0,3})[\s*_]{0,3}none of (?:the above|these|them|the options)\b(?! other)"
)
_STILL = re.compile(r"\b(?:but|however|closest|best|nearest|choose|pick|select|most|would be|so)\b")


def nothing(page: Page) -> Found | None:
    """The reply ends by saying that none of the options is right."""
    none_of_them = [letter for text, letter in page.choices.texts.items() if text.startswith("none of")]
    if none_of_them and (said := _NONE_SAID.search(page.low)) and not _STILL.search(page.low, said.end()):
        return Found(none_of_them[0]) if none_of_them[0] else None
    last = _last(_NONE, page.low, 300)
    if (
        last is None
        or _STILL.search(page.low, last.end())
        or any("none of" in text for text in page.choices.texts)
    ):
        return None
    return NOTHING


# --- conclusions ---

_CONCLUDES = re.compile(
    r"\b(?:therefore|thus|hence|so|conclusion|conclude|in summary|overall|consequently|given|considering|"
    r"based on|left with|leav(?:es|ing))\b|因此|所以|综上|故",
)
_FIRMLY = re.compile(
    r"\b(?:therefore|thus|hence|consequently|in conclusion|conclude|so,? (?:the|it|this)|most likely|"
    r"the best|"
    r"final(?:ly)?|correct)\b",
)
_EQUALS = re.compile(r"\s(?:is|are|was|be|=|≈|equals|remains?|contains?|has|have)(?::| the| an?)*\s|:\s")


_ROUGHLY = re.compile(r"\A(?:approximately|about|around|roughly|nearly|closest to)\s")
_MARKED = re.compile(
    r"\b(?:indicated|shown|marked|labell?ed|denoted|represented|designated) (?:by|as|with)(?: the letter)?\s"
    r"[*_(\"']{0,3}([A-Z])[*_)\"']{0,3}\.?\s*$"
)
_IT = re.compile(r"\bit$")
_LETTER = re.compile(r"[*_(]{0,3}([A-Z])[*_)]{0,3}(?=[.,]|$)")
_OPTION_NUMBER = re.compile(r"\W{0,6}option\s?\d")


def conclusion(page: Page) -> Found | None:
    """A sentence near the end that concludes names one option, or the last sentence ends on one."""
    if page.choices.lettered:
        return None
    sentences = [part for part in SENTENCE.split(page.text[-1500:])[-6:] if part.strip("*_ `")]
    for place, sentence in enumerate(reversed(sentences)):
        low = sentence.lower()
        if place == 0 and (found := _ends_on(sentence, low, page)):
            return (
                found
                if "=" in low or _CONCLUDES.search(low) or not _one_of_several(sentences[:-1], found, page)
                else None
            )
        letters = letters_named(sentence, page.choices)
        if place < 2 and len(letters) > 1:
            return None
        marker = _CONCLUDES.search(low) or (_FIRMLY.search(low) if place == 0 else None)
        if marker and (said := _concluded(sentence, low, marker, letters, page)):
            return single(said)
    return None


def concluded_early(page: Page) -> Found | None:
    """A finished sentence concludes on one option with its label and text, and no later one on another."""
    if page.choices.lettered:
        return None
    found = set()
    for sentence in SENTENCE.split(page.text)[:-1]:
        low = sentence.lower()
        says = _last(_EQUALS, low, 300) if _FIRMLY.search(low) and not left_open(low) else None
        if says and not denied(low, says.start(), says.end()):
            said = exactly(sentence[says.end() :].strip(" .*_"), page.choices)
            found.add(said.answer if said else None)
    answers = {answer for answer in found if answer}
    return single(answers)


def _one_of_several(sentences: list[str], found: Found, page: Page) -> bool:
    """Whether earlier sentences end on other options in the same way: "This is B. That is C."."""
    ends = {_ends_on(sentence, sentence.lower(), page) for sentence in sentences}
    return bool(ends - {None, found})


def _concluded(sentence: str, low: str, marker: re.Match[str], letters: set[str], page: Page) -> set[str]:
    """The options that a concluding sentence names by letter, else by text."""
    if marker.group() == "so" and marker.start() > 0:
        open_end = left_open(low, marker.start())
        letters = set() if open_end else letters_named(sentence[marker.start() :], page.choices)
    if letters or OPTION_LINE.match(sentence) or not _FIRMLY.search(low) or left_open(low):
        return letters
    return texts_named(sentence, page, SHORT)


def _ends_on(sentence: str, low: str, page: Page) -> Found | None:
    """The option that ends `sentence` after "is": "the stage is T2", "x = 10"."""
    if (marked := _MARKED.search(sentence, max(0, len(sentence) - 60))) and not left_open(low):
        return (
            None
            if denied(low, marked.start(), marked.start())
            else letter_at(sentence, marked.start(1), page.choices)
        )
    last = _last(_EQUALS, low, 300)
    if last is None or left_open(low) or denied(low, last.end(), last.end()):
        return None
    if OPTION_LINE.match(sentence) or _OPTION_NUMBER.match(low):
        return None
    said = sentence[last.end() :]
    if _IT.search(low[: last.start()]) and (label := _LETTER.match(said)):
        return letter_at(said, label.start(1), page.choices)
    rest = plain(_ROUGHLY.sub("", said.strip(" .*_$\\()[]")))
    letter = page.choices.texts.get(rest)
    if not letter or (rest in plain(page.question) and not _CONCLUDES.search(low)):
        return None
    return Found(letter)


# --- asserted -------------------------------------------------------------------------------------

_IS = re.compile(
    r"\b(?:is|are|be|was|(?:diagnosis|choice|answer|favou?r|support|case) of|suggests?|indicates?|"
    r"associated with|indicated by|shown by)"
    r"(?: (?:most likely|likely|probably))?:?[\s*_]{1,4}$"
)
_POINTS = re.compile(
    r"\b(?:(?:most )?consistent with|suggestive of|indicative of|characteristic of|diagnostic of|"
    r"points? to(?:wards?)?)\s"
)
_MOST = re.compile(
    r"(?:most (?:likely|appropriate|probable|suitable|consistent|accurate)|best|correct|likely)\b"
)
_THEN_IS = re.compile(r"[^.;\n]{0,180}?\b(?:is|are|be)\b:?(?=\s)")


def asserted(page: Page) -> Found | None:
    """One option, and no other, is what something "is": "is (C)", "the most likely cause is aspirin"."""
    letters = set()
    if page.choices.lettered or wants_false(page.question):
        return None
    places = [
        start
        for start, _, _ in names(page.text)[:400]
        if _IS.search(page.text, max(0, start - 30), start)
        and page.low[max(0, start - 7) : start] != " as is "
    ]
    for most in backwards(_MOST, page.low):
        then = _THEN_IS.match(page.text, most.end())
        start = most.start()
        if then and not page.low[max(0, start - 1) : start].isalnum() and not denied(page.low, start, start):
            places.append(then.end())
    places += [
        points.end()
        for points in _POINTS.finditer(page.low)
        if not denied(page.low, points.start(), points.start())
    ]
    for place in places:
        if unsure(page.text, place, place):
            continue
        found = tail(page.text[place : place + 300], page.choices)
        if found and found.answer and not called_wrong(page.text, place):
            letters.add(found.answer)
    return single(letters)


def named(page: Page) -> Found | None:
    """One option, and no other, is named by its letter: "option C", "(C)", "**C.**"."""
    short = len(page.text) < LONG and not foreign.spoken(page.low)
    found = single(letters_named(page.text, page.choices)) if short else None
    return found if found and not other_label(page, found.answer) else None


def mention(page: Page) -> Found | None:
    """The text of one option, and of no other, occurs without being denied."""
    if len(page.text) >= LONG or foreign.spoken(page.low) or wants_false(page.question):
        return None
    asks = page.text.endswith("?") and page.text.count(".") == 0
    if asks or any(map(false_heading, page.text.split("\n"))) or implicit.declines(page):
        return None
    found = single(texts_named(page.text, page))
    letters = letters_named(page.text, page.choices)
    if not found or other_label(page, found.answer):
        return None
    return found if letters <= {found.answer} and not _alluded(page, found) else None


def _alluded(page: Page, found: Found) -> bool:
    """Whether all telling words of another option occur too, in whatever form."""
    text = plain(page.text)
    own = {
        word.rstrip("s")
        for text, letter in page.choices.texts.items()
        if letter == found.answer
        for word in _TELLING.findall(text)
    }
    for option, letter in page.choices.texts.items():
        words = {word.rstrip("s") for word in _TELLING.findall(option)}
        if (
            letter != found.answer
            and words
            and not words <= own
            and all(_undenied(text, word) for word in words)
        ):
            return True
    return False


_TELLING = re.compile(r"[a-z]{4,}|\d[\d.]*")


def _undenied(text: str, word: str) -> bool:
    at = text.find(word)
    while at >= 0:
        if not denied(text, at, at + len(word)) and not called_wrong(text, at):
            return True
        at = text.find(word, at + len(word))
    return False
