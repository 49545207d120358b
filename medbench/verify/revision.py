"""Changes of mind after an answer was given: "The answer is C. Wait, actually B."."""

import re

from medbench.verify import declared, implicit, prose
from medbench.verify.choose import tail
from medbench.verify.letters import letter_at
from medbench.verify.page import AMBIGUOUS, Found, Page
from medbench.verify.stance import SENTENCE, denied, taken_back
from medbench.verify.statement import last_statement
from medbench.verify.text import backwards

_CUE = re.compile(
    r"\b(?:wait|hold on|actually|correction|on second thought|let me (?:re\w+|correct)|"
    r"i (?:made|was) (?:a mistake|wrong)|scratch that|no,|sorry,|i meant?|hmm|"
    r"reconsider\w*|rather,|change my|edit:|revised:|update:|kidding|apolog\w+|oops|misread)(?:\b|(?<=:))",
)
# Right after an answer these turn on it; further on they turn on something else.
_AT_ONCE = re.compile(
    r"\b(?:wait|hold on|oops|apolog\w+|misread|on review|after review|re-?reading|critique|then again|"
    r"(?:that|this) is wrong)\b"
)
_SO = re.compile(r"\b(?:but|however)\b[^\n]{1,300}\b(?P<so>so|therefore|thus|hence)\b(?=[^.\n]{1,120}\W*$)")
_INSTEAD = re.compile(
    r"(?:(?:\bno,? )?\b(?:wait|actually|correction|sorry|thought|meant?|hmm|reconsidering|rather|"
    r"scratch that|mistake|mind to|edit|revised|update|kidding)"
    r"[,.:;!\s*—–-]{1,6}|\bno\s?[,.:;!—-]\s{0,3})"
    r"(?:(?:it(?:'s| is| should be| must be)|that(?:'s| is)|"
    r"i(?:'d| would|'ll)? (?:mean|meant|choose|pick|say|think it's|go with)|"
    r"should be|make that|make it|option|choice|i think|now|no,|actually,?)\s){0,3}[(*\"']{0,4}"
    r"(?P<answer>[a-z](?![\w'-])|yes\b|no\b|maybe\b)"
    r"(?=[)*\"'.,;!]*(?:\s*$|\s*\n|[.;!]|\s(?:is (?:correct|right|better|the)(?! (?:only|for|in|if|"
    r"when)\b)|instead|fits|because|since)\b))"
)


_FINAL = re.compile(
    r"\n[\s*_#]{0,6}(?:(?:so|thus|therefore|hence|after review),? )?(?:the |my )?(?:final |correct |"
    r"best )?answer"
    r"(?: is|[*_ ]{0,3}:)[^\n]{1,100}\s*$"
)
_PLAIN_NO = re.compile(r"no[,.:;!—-]\s{0,3}(?:yes|no|maybe)")


def _turns(low: str) -> bool:
    """Whether anything could be a change of mind; written out because it is asked of every reply."""
    return (
        "wait" in low or "hold on" in low or "actually" in low or "no," in low or "correction" in low
        or "sorry," in low or "hmm" in low or "i mean" in low or "thought" in low or "let me" in low
        or "mistake" in low or "wrong" in low or "scratch" in low or "reconsider" in low
        or "rather," in low or "change my" in low or "no." in low or "no—" in low or "no-" in low
        or "no —" in low or "edit:" in low or "revised:" in low or "update:" in low or "kidding" in low
        or "apolog" in low or "oops" in low or "review" in low or "reading" in low or "critique" in low
        or "misread" in low or "again" in low or "however" in low or "but " in low
    )  # fmt: skip


def correction(page: Page) -> Found | None:
    """What a change of mind settles on, if it comes after every box, tag, field and statement."""
    if not page.choices.texts.keys() & {"no", "false"} and taken_back(page.text):
        return AMBIGUOUS  # where "false" may be the answer, "this is false" gives it
    inside = max(page.text.rfind("oxed{"), page.low.rfind("answer>"), page.low.rfind('":'), 0)
    stated = None if inside else last_statement(page)
    start = stated[0] if stated else inside
    if inside and (final := _FINAL.search(page.low, max(inside, len(page.low) - 150))):
        said = last_statement(page, final.start())
        return said[1] if said else None
    if not _turns(page.low[start:]):
        return None
    if page.choices.kind not in ("mcq", "yesno"):
        return _reworded(page, start)
    instead = _last_instead(page, start)
    cue = _CUE.search(page.low, start)
    if inside and cue:
        stated = last_statement(page, cue.start())
    if instead and (stated is None or instead[0] > stated[0]):
        return instead[1]
    at_once = _AT_ONCE.search(page.low, start, start + 100) if stated or inside else None
    if at_once and len(SENTENCE.split(page.text[start : at_once.start() + 1])) > 2:
        at_once = None
    cue = at_once or cue
    if cue and page.choices.kind == "mcq" and len(page.text) > cue.end():
        rest = Page.of(page.text[cue.end() :].lstrip(" .,:;!—-\n"), page.choices, page.question)
        rules = (*_SETTLES, prose.mention) if at_once else _SETTLES
        ends = next((found for rule in rules if rest.text and (found := rule(rest)) and found.answer), None)
        if ends:
            return ends
    if page.choices.kind == "mcq" and (so := _SO.search(page.low, max(start, len(page.low) - 600))):
        rest = Page.of(page.text[so.start("so") :], page.choices, page.question)
        ends = declared.declared(rest) or prose.conclusion(rest)
        if ends and ends.answer:
            return ends
    return stated[1] if stated and inside else None


_SETTLES = (implicit.alone, implicit.closing, prose.conclusion, declared.declared)
_MIND = re.compile(
    r"\b(?:wait|actually|correction|scratch that|i meant?|sorry|no)[,.:;!—–-]{1,2}\s{0,3}(?=\S)"
)


def _reworded(page: Page, start: int) -> Found | None:
    """What follows a change of mind where answers are words or numbers: a new answer, or no single one."""
    mind = next(iter(backwards(_MIND, page.low, 1)), None)
    if page.choices.kind == "free" or mind is None or mind.start() < start:
        return None
    given = page.choices.kind == "number" and any(map(str.isdigit, page.text[: mind.start()]))
    given = given and not mind.group().startswith("no")  # "No. 2"
    if not (given or start or last_statement(page)):
        return None
    said = _IT_IS.sub("", page.text[mind.end() :], count=1)
    found = tail(said, page.choices) if page.choices.kind in ("number", "multi") else None
    return found if found and found.answer else AMBIGUOUS


_IT_IS = re.compile(
    r"(?:(?:actually|it(?:'s| is| should be)|that(?:'s| is)|the answer is|make (?:it|that)),?\s)*", re.I
)


def _last_instead(page: Page, start: int) -> tuple[int, Found] | None:
    for match in backwards(_INSTEAD, page.low):
        at = match.start("answer")
        if at < start:
            break
        if page.choices.kind == "yesno" and _PLAIN_NO.fullmatch(match.group()):
            continue  # there "no" is an answer, not a change of mind
        found = _named(page, at)
        if found is not None and not denied(page.low, match.start(), at + 1):
            return at, found
    return None


def _named(page: Page, at: int) -> Found | None:
    if page.choices.kind == "mcq":
        return letter_at(page.text, at, page.choices) if page.text[at].isupper() else None
    return tail(page.text[at : at + 40], page.choices) if page.choices.kind == "yesno" else None
