"""Statements of the answer in words, "the answer is C", and changes of mind, "wait, actually B".

Anchor words are found first, from the end of the reply; only around them is anything else looked at.
"""

import re

from medbench.verify.choose import Found, Page, letter_at, span, tail
from medbench.verify.text import backwards, denied

_ANCHOR = re.compile(
    r"answer|ans\b|option|choice|choose|select|pick|go with|going with|opt for|conclude|say\b|答案|选"
)
_ANCHORS = (
    "answer",
    "ans",
    "option",
    "choice",
    "choose",
    "select",
    "pick",
    "go with",
    "going with",
    "opt for",
    "say",
    "conclude",
    "选",
    "答案",
)

_NOUNS = ("answer", "ans", "option", "choice")
_BECOMES = r"(?:is|are|would be|should be|must be|will be|has to be|remains|seems to be|appears to be)\b"
_FORWARD = re.compile(
    r"s?\b(?:\s(?:choice|option|letter|key)\b)?"
    r"(?:\s(?:to|for|here|among|from|of|in|that|based|according|given|i)\b[^.:\n?]{0,80}?)?"
    rf"[*_\"'`)\]}}\s]{{0,6}}(?:\b{_BECOMES}\s?:?|:|=|->|→|\s?[-–—]\s)"
)
_QUALITY = (
    r"(?:correct|best|right|final|appropriate|likely|accurate|suitable|preferred|chosen|selected|only|single|"
    r"my|our|true|fitting|reasonable|plausible|consistent|probable|optimal)"
)
_QUALIFIED = re.compile(rf"\b{_QUALITY} (?:answer )?$|\banswer $")
_I = re.compile(r"\b(?:i(?: would|'d| will|'ll|'m| am)?|we(?: would)?|let's) (?:therefore |thus )?$")
_I_DO = re.compile(r"(?: that)?(?: the answer is)?\b:?")
_BACKWARD = re.compile(
    rf"\b{_BECOMES} (?:therefore |thus |indeed |also |clearly |probably |likely )?(?:the|my|our) "
    rf"(?:(?:most|more|\w{{1,14}}ly|{_QUALITY})[ ,]{{1,2}}){{0,4}}$"
)
_CHINESE = re.compile(r"项?\s{0,3}(?:应该)?[是为选]?择?\s{0,3}:?")
_CONDITION = re.compile(r"s?\s(?:only|if|when|unless|in case)\b")
_NOT_MINE = re.compile(
    r"\b(?:incorrect|wrong|possible|other|another|false|initial|initially|previous|first|tempting|common|if|whether|"
    r"suppose|might|may|could|not|assuming|than|unless|student|distractor|doubt)\s(?:[a-z']+\s){0,3}$|n't $"
)
_NOT = re.compile(
    r"[\s*_\"'(:]{0,6}(?:not|never|neither|n't|none of these)\b"
    r"(?:\s+(?:be|option|choice|answer))?\W{0,4}([a-z]|yes|no|maybe)?\b"
)


def statement(page: Page) -> Found | None:
    """The last statement of the answer that was not taken back by a later one."""
    last = page.text.rpartition("\n")[2].lstrip()
    if last.startswith("####") and (found := span(last, page.choices)) and found.answer:
        return found
    stated = last_statement(page, 0)
    return stated[1] if stated else None


def last_statement(page: Page, start: int) -> tuple[int, Found] | None:
    """Where the last statement after `start` is, and what it says."""
    if not any(anchor in page.low for anchor in _ANCHORS):
        return None
    taken_back: set[str] = set()
    for anchor in backwards(_ANCHOR, page.low):
        if anchor.start() < start:
            break
        if anchor.group().isascii() and page.low[anchor.start() - 1 : anchor.start()].isalnum():
            continue
        found, retracted = _around(page, anchor)
        taken_back.add(retracted)
        if found is not None and found.answer not in taken_back:
            return anchor.start(), found
    return None


def _around(page: Page, anchor: re.Match[str]) -> tuple[Found | None, str]:
    """What the statement around an anchor says, and which answer it takes back ("" if none)."""
    start, low = anchor.start(), page.low
    before = low[max(0, start - 90) : start].rpartition("\n")[2]
    if anchor.group() in _NOUNS and (ahead := _BACKWARD.search(before)):
        conditional = _CONDITION.match(low, anchor.end())
        return None if conditional else _head(page, start - len(before) + ahead.start()), ""
    end = _end_of_phrase(low, anchor, before)
    if end is None or _NOT_MINE.search(re.split(r"[.;:!?]\s", before[-40:])[-1]):
        return None, ""
    if refused := _NOT.match(low, end):
        answer = refused[1] or ""
        return None, answer.upper() if len(answer) == 1 else answer
    return tail(page.text[end : end + 700].lstrip("\n \t*:_"), page.choices), ""


def _end_of_phrase(low: str, anchor: re.Match[str], before: str) -> int | None:
    """Where "the answer is" ends and the answer should begin, if the anchor belongs to such a phrase."""
    word, end = anchor.group(), anchor.end()
    if word in _NOUNS:
        phrase = _FORWARD.match(low, end)
        if word in ("option", "choice") and not _QUALIFIED.search(before):
            return None
        if low.startswith("s", end) and before.endswith("answer "):  # a heading over the options
            return None
        if phrase is None and word == "answer" and _I.search(before):
            return end
        return phrase.end() if phrase else None
    phrase = _I_DO.match(low, end) if word.isascii() else _CHINESE.match(low, end)
    return phrase.end() if phrase and (not word.isascii() or _I.search(before)) else None


_HEAD_BREAK = re.compile(
    r"[.!?;:](?=\s)|,\s|\b(?:that|so|thus|hence|therefore|and|means|option|choice|answer)\b:?\s"
)
_HEAD_OPEN = re.compile(r"\b(?:or|nor|neither|both|not|if|whether|why)\s+\S{1,20}\s*$")


def _head(page: Page, end: int) -> Found | None:
    """The answer named just before `end`, as in "option C is the best choice"."""
    head = page.text[max(0, end - 200) : end].rpartition("\n")[2]
    low = page.low[end - len(head) : end]
    if _HEAD_OPEN.search(low):
        return None
    for piece in [0, *(match.end() for match in _HEAD_BREAK.finditer(low))][-6:]:
        part = head[piece:].strip()
        if part and len(part) < 180 and (found := span(part, page.choices)) and found.answer:
            return None if denied(low, piece, piece) else found
    return None


# --- correction: "wait, actually B" --------------------------------------------------------------

_CUE = re.compile(
    r"\b(?:wait|actually|correction|on second thought|let me (?:re\w+|correct)|"
    r"i (?:made|was) (?:a mistake|wrong)|scratch that|no,|sorry,|i meant?|hmm|"
    r"reconsider\w*|rather,|change my)\b",
)
_CUES = (
    "wait", "actually", "correction", "thought", "let me", "mistake", "wrong", "scratch", "no,", "sorry",
    "i mean", "hmm", "reconsider", "rather,", "change my",
)  # fmt: skip
_INSTEAD = re.compile(
    r"(?:(?:\bno,? )?\b(?:wait|actually|correction|sorry|thought|meant?|hmm|reconsidering|rather|"
    r"scratch that|mistake|mind to)"
    r"[,.:;!\s*—–-]{1,6}|\bno[,.:;!—-]\s{0,3})"
    r"(?:(?:it(?:'s| is| should be| must be)|that(?:'s| is)|"
    r"i(?:'d| would|'ll)? (?:mean|meant|choose|pick|say|think it's|go with)|"
    r"should be|make that|make it|option|choice|i think|now|no,|actually,?)\s){0,3}[(*\"']{0,4}"
    r"(?P<answer>[a-z](?![\w'-])|yes\b|no\b|maybe\b)"
    r"(?=[)*\"'.,;!]*(?:\s*$|\s*\n|[.;!]|\s(?:is (?:correct|right|better|the)|instead|fits|because|since)\b))"
)


def correction(page: Page) -> Found | None:
    """What a change of mind settles on, if it comes after every box, tag and field."""
    if not any(cue in page.low for cue in _CUES):
        return None
    inside = max(page.text.rfind("oxed{"), page.low.rfind("answer>"), page.low.rfind('":'), 0)
    instead = _last_instead(page, inside)
    stated = None
    if instead or (inside and _CUE.search(page.low, inside)):
        cue = _CUE.search(page.low, inside) if inside else None
        stated = last_statement(page, cue.start() if cue else 0)
    if instead and (stated is None or instead[0] > stated[0]):
        return instead[1]
    return stated[1] if stated and inside else None


def _last_instead(page: Page, start: int) -> tuple[int, Found] | None:
    for match in backwards(_INSTEAD, page.low):
        at = match.start("answer")
        if at < start:
            break
        found = _named(page, at)
        if found is not None and not denied(page.low, match.start(), at + 1):
            return at, found
    return None


def _named(page: Page, at: int) -> Found | None:
    if page.choices.kind == "mcq":
        return letter_at(page.text, at, page.choices) if page.text[at].isupper() else None
    return tail(page.text[at : at + 40], page.choices) if page.choices.kind == "yesno" else None
