"""Rules for answers that are plain from where they stand: alone, first, last, or the only one named.

They never count in a reply that was cut off, except a reply that is nothing but its answer.
"""

import re
from collections import Counter

from medbench.verify.choose import (
    AMBIGUOUS,
    WORDS,
    Choices,
    Found,
    Page,
    letter_at,
    only_letters,
    span,
    tail,
    written_out,
)
from medbench.verify.text import backwards, denied, lines, plain

# --- multiple choice ------------------------------------------------------------------------------

_LINE_LABEL = re.compile(
    r"[\s*_#>(\[\"'$-]{0,10}(?:(?:option|choice) )?([A-Z])(?=[)\]*_\"'$]{0,4}(?:[.):\]]|\s*$|\*|\s[-–—]\s))"
)


def alone(page: Page) -> Found | None:
    """The whole reply is a letter or letters, or one option's text."""
    text = page.text
    found = only_letters(text.strip("*_`\"'$ \n"), page.choices) if len(text) < 60 else None
    if found is not None or len(text) > 2000:
        return found
    letter = page.choices.texts.get(plain(text))
    if letter is None:
        label = _LINE_LABEL.match(text) if "\n" not in text else None
        return written_out(text, label.start(1), page.choices) if label else None
    return Found(letter) if letter else AMBIGUOUS


def _labels(rows: list[str], choices: Choices) -> list[tuple[str, bool]]:
    """For each line its letter ("" if none) and whether it is just that option, written out."""
    result = []
    for row in rows:
        label = _LINE_LABEL.match(row)
        letter = label[1] if label and label[1] in choices.labels else ""
        result.append((letter, bool(label and letter and written_out(row, label.start(1), choices))))
    return result


_SHORT = re.compile(
    r"(?:^|[.!?\n]\s{0,3})"
    r"(?:therefore|thus|so|hence|it is|it's|it must be|i(?:'d)? say|i think it's|this is|clearly)"
    r"[,:]?\s[(*]{0,3}([a-z])[)*.!]{0,4}$"
)


def closing(page: Page) -> Found | None:
    """The last line is one option: its letter, letter and text, or text; or the reply ends "so, C."."""
    if (short := _SHORT.search(page.low, max(0, len(page.low) - 40))) and page.text[short.start(1)].isupper():
        return letter_at(page.text, short.start(1), page.choices)
    rows = lines(page.text)
    last = rows[-1].strip()
    if len(last) > 600:
        return None
    letter = page.choices.texts.get(plain(last))
    if letter is not None and len(rows) > 1 and not _echoed(rows, page.choices):
        return Found(letter) if letter else AMBIGUOUS
    return _edge(rows, -1, page.choices)


def _echoed(rows: list[str], choices: Choices) -> bool:
    """Whether the lines before the last are option texts as well."""
    return len(rows) > 1 and (plain(rows[-2]) in choices.texts or bool(_labels(rows[-2:-1], choices)[0][1]))


def _edge(rows: list[str], edge: int, choices: Choices) -> Found | None:
    """The option on the first or last line, unless the lines merely list the options."""
    line = rows[edge]
    label = _LINE_LABEL.match(line)
    if label is None or not written_out(line, label.start(1), choices):
        listed = only_letters(line.strip("*_`\"'$ "), choices) if len(line) < 40 and label else None
        return listed if listed is AMBIGUOUS else None
    letters = _labels(rows[-400:] if edge else rows[:400], choices)
    times = Counter(letter for letter, own in letters if own)
    most = times.pop(label[1], 1)
    if times and most <= max(times.values()):
        return None
    return letter_at(line, label.start(1), choices)


def opening(page: Page) -> Found | None:
    """The first line is one option, or begins with its letter as a label."""
    if page.choices.texts.keys() <= set(WORDS) and (word := _FIRST_WORD.match(page.text)):
        return Found(page.choices.texts[word[1].lower()]) if word[1].lower() in page.choices.texts else None
    rows = lines(page.text)
    if found := _edge(rows, 0, page.choices):
        return found
    label = _LINE_LABEL.match(rows[0])
    if label is None or label[1] not in page.choices.labels:
        return None
    others = {letter for letter, _ in _labels(rows[1:400], page.choices)} - {"", label[1]}
    named = {match[1] for match in _NAMED.finditer(page.text[:4000])} & set(page.choices.labels) - {label[1]}
    if others or (named and len(rows) == 1):
        return None
    found = letter_at(rows[0], label.start(1), page.choices)
    return None if found and found.answer and denied(rows[0], label.end(1), label.end(1)) else found


LONG = 800
"""Characters from which on a reply reasons, and to be the only option it names is no commitment."""

# Each alternative begins with a literal, which lets the search skip quickly.
_NAMED = re.compile(
    r"[(\[](?P<a>[A-Z])[)\]]|(?:ption|hoice|nswer)\s{1,2}[(*\"']{0,3}(?P<b>[A-Z])(?![\w'+-])|\*\*\(?(?P<c>[A-Z])[.):*]"
)


def _names(text: str) -> list[tuple[int, int, int]]:
    """Start, end and place of the letter, wherever an option is named by its letter."""
    found = []
    for match in _NAMED.finditer(text):
        if match.lastgroup == "b" or not text[match.start() - 1 : match.start()].isalnum():
            found.append((match.start(), match.end(), match.start(match.lastgroup or 0)))
    return found


_CALLED = re.compile(
    r"(?:is|are|would be|seems|fits|remains)(?: (?:both|all))?"
    r"(?: (?:the|most|clearly|therefore|likely|thus))* "
    r"(?:correct|right|best|most (?:likely|appropriate|accurate|consistent))\b"
)
_BEFORE_CALLED = re.compile(
    r"(?:^|[\n.;:(*]\s{0,3}|\b(?:options?|choices?|answers?|that|so|thus|hence|therefore|both|and|only|but)\s)"
    r"[(*\"']{0,3}(?P<first>[A-Z])[)*\"'.]{0,3}(?:\s{0,2}\([^()\n]{0,80}\))?\s$"
)


_SEVERAL = re.compile(r"\b[A-Z][)*]{0,3},? (?:and|or) (?:option )?[(*]{0,3}[A-Z][)*]{0,3}\s$")


def declared(page: Page) -> Found | None:
    """One option, and no other, is called correct or best."""
    if page.choices.lettered or not any(word in page.low for word in ("correct", "right", "best", "most ")):
        return None
    letters: set[str] = set()
    for called in _CALLED.finditer(page.text):
        before = page.text[max(0, called.start() - 130) : called.start()]
        if _SEVERAL.search(before):
            return AMBIGUOUS
        said = _BEFORE_CALLED.search(before)
        if said is None or denied(before, said.start("first"), said.start("first")):
            continue
        letters.add(said["first"])
    letters &= set(page.choices.labels)
    return Found(letters.pop()) if len(letters) == 1 else None


_CONCLUDES = re.compile(
    r"\b(?:therefore|thus|hence|so|conclusion|in summary|overall|consequently|given|based on)\b",
    re.I,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z*(\"])|\n+")


def conclusion(page: Page) -> Found | None:
    """The last sentence that concludes names one option by its letter."""
    for sentence in reversed(_SENTENCE.split(page.text[-1500:])[-4:]):
        if _CONCLUDES.search(sentence):
            return _only_named(sentence, page.choices)
    return None


_IS = re.compile(
    r"\b(?:is|are|be|was|of|suggests?|indicates?)(?: (?:most likely|likely|probably))?:?[\s*_]{1,4}$"
)
_MOST = re.compile(
    r"(?:most (?:likely|appropriate|probable|suitable|consistent|accurate)|best|correct|likely)\b"
)
_THEN_IS = re.compile(r"[^.;\n]{0,180}?\b(?:is|are|be)\b:?(?=\s)")


def asserted(page: Page) -> Found | None:
    """One option, and no other, is what something "is": "is (C)", "the most likely cause is aspirin"."""
    letters = set()
    if page.choices.lettered:
        return None
    places = [start for start, _, _ in _names(page.text) if _IS.search(page.text, max(0, start - 30), start)]
    for most in backwards(_MOST, page.low):
        then = _THEN_IS.match(page.text, most.end())
        start = most.start()
        if then and not page.low[max(0, start - 1) : start].isalnum() and not denied(page.low, start, start):
            places.append(then.end())
    for place in places:
        found = tail(page.text[place : place + 300], page.choices)
        if found and found.answer and not _called_wrong(page.text, place):
            letters.add(found.answer)
    return Found(letters.pop()) if len(letters) == 1 else None


def named(page: Page) -> Found | None:
    """One option, and no other, is named by its letter: "option C", "(C)", "**C.**"."""
    return _only_named(page.text, page.choices) if len(page.text) < LONG else None


def _only_named(text: str, choices: Choices) -> Found | None:
    letters = set()
    for start, end, at in _names(text) if not choices.lettered else ():
        if text[at] in choices.labels and not denied(text, start, end) and not _called_wrong(text, end):
            found = letter_at(text, at, choices)
            letters.add(text[at] if found and found.answer else "")
    return Found(letters.pop()) if len(letters) == 1 and "" not in letters else None


_WRONG = re.compile(
    r"\b(?:incorrect|wrong|ruled out|eliminated|excluded|not (?:correct|right|the|consistent))\b"
)


def _called_wrong(text: str, at: int) -> bool:
    """Whether the sentence that goes on at `at` calls something wrong."""
    wrong = _WRONG.search(text, at, at + 240)
    return wrong is not None and not _SENTENCE.search(text, at, wrong.start())


_WORD = re.compile(r"[a-z]{4}|\d[\d.,/%]{2}", re.I)
_ABOUT_OTHERS = re.compile(r"(?:both|all|none|neither|either|any)\b(?: of| the|$)")
_HYPHEN = re.compile(r"(?<=[a-z])-(?=[a-z])")


def mention(page: Page) -> Found | None:
    """The text of one option, and of no other, occurs without being denied."""
    if len(page.text) >= LONG or any(_ABOUT_OTHERS.match(text) for text in page.choices.texts):
        return None
    text = _HYPHEN.sub(" ", plain(page.text.replace(";", ". ").replace("n't", " not")))
    letters: set[str] = set()
    taken: list[tuple[int, int]] = []
    texts = {_HYPHEN.sub(" ", text): letter for text, letter in page.choices.texts.items()}
    for option in sorted(texts, key=len, reverse=True):
        places = _occurrences(text, option, taken)
        taken += places
        if any(not denied(text, start, end) for start, end in places):
            telling = _WORD.search(option) and option not in _HYPHEN.sub(" ", plain(page.question))
            letters.add(texts[option] if telling else "")
    return Found(letters.pop()) if len(letters) == 1 and "" not in letters else None


def _occurrences(text: str, option: str, taken: list[tuple[int, int]]) -> list[tuple[int, int]]:
    places: list[tuple[int, int]] = []
    at = text.find(option)
    while at >= 0 and len(places) < 20:
        end = at + len(option)
        whole = not text[max(0, at - 1) : at].isalnum() and not text[end : end + 1].isalnum()
        if whole and not any(start < end and at < stop for start, stop in taken):
            places.append((at, end))
        at = text.find(option, end)
    return places


# --- yes, no, maybe -------------------------------------------------------------------------------

_FIRST_WORD = re.compile(
    r"[\s*_\"'(#]{0,6}(yes|no|maybe)\b(?=[*_\"')]{0,4}(?:[.,;:!\n]|\s*$|\s[-–—(]|\s(?:because|since|as|it|there|the|this)\b))",
    re.I,
)
_NO_SIGN = re.compile(r"\W{0,3}no (?:evidence|signs?|significant|definite|obvious|visible|acute)\b", re.I)
_LAST_WORD = re.compile(
    r"(?:^|[.!?:\n]|\b(?:so|thus|therefore|hence|overall|conclusion)\b[,:]?)[\s*_\"'(]{0,6}(yes|no|maybe)[*_\"').!\s]{0,6}$",
    re.I,
)


_ONLY_WORDS = frozenset((*WORDS, "and", "or"))


def word_alone(page: Page) -> Found | None:
    """The whole reply is yes, no or maybe."""
    words = re.findall(r"\w+", page.low) if len(page.text) < 40 else []
    return span(page.text, page.choices) if words and set(words) <= _ONLY_WORDS else None


def word_last(page: Page) -> Found | None:
    """The reply ends in a sentence that is yes, no or maybe."""
    last = _LAST_WORD.search(page.text, max(0, len(page.text) - 40))
    return tail(last[1], page.choices) if last else None


def word_first(page: Page) -> Found | None:
    """The reply begins with yes, no or maybe as its answer."""
    first = _FIRST_WORD.match(page.text)
    if first:
        return tail(page.text[first.start(1) :][:80], page.choices)
    return tail("no", page.choices) if _NO_SIGN.match(page.text) else None


# --- phrases and numbers --------------------------------------------------------------------------


def whole(page: Page) -> Found | None:
    """The whole reply, when it is short enough to be nothing but the answer."""
    if page.choices.kind == "number" and len(page.text) > 80:
        return None
    return span(page.text, page.choices)


# --- refusals -------------------------------------------------------------------------------------

_REFUSES = re.compile(
    r"\b(?:i(?:'m| am)? (?:sorry,? (?:but )?i )?(?:really )?"
    r"(?:can't|can not|cannot|won't|will not|(?:am )?unable to|(?:am )?not able to|must decline to)"
    r"|sorry,? (?:but )?(?:can't|cannot)|as an? (?:ai|language model)[^.\n]{0,80}?(?:can't|cannot|unable to))"
    r" (?:\w+ ){0,3}?(?:answer|provide|assist|help|determine|diagnose|give|choose|select|pick|view|see|"
    r"interpret|analy[sz]e|identify|offer|make|respond|comply|fulfill|recommend)",
    re.I,
)
_REFUSAL_GATES = ("can't", "cannot", "can not", "won't", "will not", "unable", "not able", "decline")


def refuses(page: Page) -> Found | None:
    """The reply declines to answer."""
    if any(gate in page.low for gate in _REFUSAL_GATES) and _REFUSES.search(page.text[:3000]):
        return Found(None, "refused")
    return None
