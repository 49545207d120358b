"""Rules for options that are called right: "(C) is correct", or a line with its verdict for every option."""

import re

from medbench.verify.letters import own_text_end
from medbench.verify.named import OPTION_LINE, single
from medbench.verify.page import AMBIGUOUS, Found, Page
from medbench.verify.sentences import wants_false
from medbench.verify.stance import SENTENCE, denied, unsure

_CALLED = re.compile(
    r"(?:is|are|would be|seems?|appears?|fits|remains|looks)(?: to be)?(?: (?:both|all))?"
    r"(?: (?:the|clearly|therefore|likely|thus))* "
    r"(?:correct|right|best|better(?! \w)|closest|most (?:likely|appropriate|accurate|consistent|suitable|"
    r"fitting|plausible|probable))\b"
    r"|(?:best|most closely) \w{2,12}s\b|is the (?:exception|odd one out)\b"
    r"|is the only (?:viable|possible|remaining|plausible|suitable)\b"
    r"|(?:fits|matches)(?: the \w+)? (?:best|perfectly)\b|remains(?=[.,;]?\s*$|\.\s)"
)
_BEFORE_CALLED = re.compile(
    r"(?:^|[\n.;:(*]\s{0,3}|"
    r"\b(?:[Oo]ptions?|[Cc]hoices?|[Aa]nswers?|that|so|[Tt]hus|[Hh]ence|[Tt]herefore|both|and|only|but)\s|, )"
    r"[(*\"']{0,3}(?P<first>[A-Z])[)*\"'.]{0,3}(?:\s{0,2}\([^()\n]{0,80}\))?,?\s$"
)
_SEVERAL = re.compile(r"\b[A-Z][)*]{0,3},? (?:and|or) (?:option )?[(*]{0,3}[A-Z][)*]{0,3},?\s$")
_LEAVES = re.compile(
    r"\b(?:leav(?:es|ing)|left with)(?: us with)?(?: only)?(?: (?:option|choice|answer))? "
    r"[(*\"']{0,3}(?P<letter>[A-Z])(?=[)*\"']|[.,;:]|\s*$|\s\(| as\b)(?!.{0,3},? (?:and|or) )(?!.{0,2}, )"
)


_NOT_BUT = re.compile(
    r"\b(?:not|n't) (?:option |choice )?[(*]{0,3}[A-Z][)*]{0,3},? but (?:rather |instead )?"
    r"(?:option |choice )?[(*]{0,3}([A-Z])(?=[)*]{0,3}(?:[.,;]|\s*$|\s\())"
)
_TAKEN_BACK = re.compile(
    r" (?:answer |option |choice )?(?:that|when|if|only|in (?:patients|cases|children|adults|an?\b))"
    r"|[^.;\n]{0,60}\b(?:but (?:it|this|that|does|do|is|not)\b|in (?:(?:an?|some|most|many|"
    r"all) )?(?:other|different|another)\b)"
)
_CALLS = (
    "correct", "right", "best", "better", "most ", "fits", "remains", "left", "leav", "closest", " but ",
    "true",
    "✅", "✓", "✔", "[x]",
    "正确", "仅", "只有", "符合",
)  # fmt: skip


def declared(page: Page) -> Found | None:
    """One option, and no other, is called correct or best, or is what is left."""
    if page.choices.lettered or not any(word in page.low for word in _CALLS):
        return None
    letters: set[str] = set()
    for called in _CALLED.finditer(page.text):
        before = page.text[max(0, called.start() - 130) : called.start()]
        if unsure(page.text, called.start(), called.end()) or _TAKEN_BACK.match(page.text, called.end()):
            continue
        if _SEVERAL.search(before):
            return AMBIGUOUS
        said = _BEFORE_CALLED.search(before)
        left = called.group() == "remains"
        if said is not None and (left or not denied(before, said.start("first"), said.start("first"))):
            letters.add(said["first"])
        elif said is None and (letter := _written_before(page, called.start()) or _text_before(page, called)):
            letters.add(letter)
    letters |= {left["letter"] for left in _LEAVES.finditer(page.text)}
    letters |= {instead[1] for instead in _NOT_BUT.finditer(page.text)}
    if not page.text.isascii():
        letters |= _called_right_in_chinese(page.text)
    return single(letters & set(page.choices.labels)) or _odd_one(page)


def declared_first(page: Page) -> Found | None:
    """The first sentence, finished, calls one option correct."""
    first, *later = SENTENCE.split(page.text, maxsplit=1)
    found = declared(Page.of(first, page.choices, page.question)) if later else None
    return found if found and found.answer else None


_CHINESE_RIGHT = re.compile(
    r"(?<![A-Za-z])(?<![A-Z][和及与或、,])([A-Z])\)?\s?(?:选?项)?(?:的说法|的叙述)?(?:是|最|完全)?"
    r"(?:正确(?!的是|率|吗|与否|\?|？)|符合题意|合适|恰当)"
    r"|(?:仅有?|只有)[^,.\n]{0,12}?(?<![A-Za-z])([A-Z])(?![A-Za-z]|选?项?(?:是)?(?:错|不|有误))"
)


def _called_right_in_chinese(text: str) -> set[str]:
    return {match[1] or match[2] for match in _CHINESE_RIGHT.finditer(text)}


_RIGHT = re.compile(r"\bcorrect\b|\btrue\b|[-–—:] yes\W*$|✅|✓|✔|(?<![不])正确")
_FALSE = re.compile(
    r"\b(?:incorrect|wrong|false|not correct|not true)\b|[-–—:] no\W*$|❌|✗|✘|错误|不正确|有误"
)


_TICK = re.compile(r"(?:\(correct\)|✓|✔|✅|☑|(?:←|<-+) ?correct)\W*$", re.I)
_TICKED = re.compile(r"(?<![\w])([A-Z])[).:]?\s?(✓|✔|✅|✗|✘|❌)")
_BOX = re.compile(r"(?m)^\s*(?:[-*] )?\[x\] [*(]{0,3}([A-Z])(?:[).:]|\s*$)", re.I)


def _odd_one(page: Page) -> Found | None:
    """The option whose line is called correct where the lines of all others are called wrong.

    Or the reverse, when the question asks for the wrong one; or the only one ticked among all options.
    """
    judged = each_judged(page)
    if judged and judged.answer and len(judged.answer) == 1:
        return judged
    lines = [line for line in OPTION_LINE.finditer(page.text) if line[1] in page.choices.labels]
    ticked = {line[1] for line in lines if _TICK.search(line.group())}
    if len(ticked) == 1 and {line[1] for line in lines} == set(page.choices.labels):
        return Found(ticked.pop())
    boxes = {box[1] for box in _BOX.finditer(page.text)}
    marks = dict(_TICKED.findall(page.text))
    if set(marks) == set(page.choices.labels):
        boxes |= {letter for letter, mark in marks.items() if mark in "✓✔✅"}
    return Found(boxes.pop()) if len(boxes) == 1 and boxes <= set(page.choices.labels) else None


_VERDICTS_IN_CHINESE = re.compile(
    r"((?<![A-Za-z])(?:选项)?[A-Z](?:选?项)?(?:[、,和及与]{1,2}(?:选项)?[A-Z](?:选?项)?){0,8})"
    r"(?:都|均|也|全){0,2}(?:是|说法)?(不符合题意|符合题意|不正确|正确|错误)"
)
_CAPITALS = re.compile("[A-Z]")


def each_judged(page: Page) -> Found | None:
    """The set of options called correct, where every option has its line or clause and its verdict."""
    called: dict[str, set[bool]] = {}
    for line in OPTION_LINE.finditer(page.text):
        false = _FALSE.search(line.group().lower())
        if line[1] in page.choices.labels and (false or _RIGHT.search(line.group().lower())):
            called.setdefault(line[1], set()).add(not false)
    for verdict in _VERDICTS_IN_CHINESE.finditer(page.text) if not page.text.isascii() else ():
        for letter in set(_CAPITALS.findall(verdict[1])) & set(page.choices.labels):
            called.setdefault(letter, set()).add(verdict[2] in ("正确", "符合题意"))
    if set(called) != set(page.choices.labels) or any(len(said) > 1 for said in called.values()):
        return None
    wanted = not wants_false(page.question)
    letters = sorted(letter for letter, said in called.items() if said == {wanted})
    return Found("".join(letters)) if letters else None


def _written_before(page: Page, end: int) -> str:
    """The option that stands before `end` with its label: "C. Aspirin is correct"; "" if none does."""
    start = max(page.text.rfind("\n", 0, end), page.text.rfind(". ", 0, max(0, end - 3)), end - 400) + 1
    for label in _LABEL_BEFORE.finditer(page.text, max(0, start - 4), end):
        at = label.start(1)
        own = own_text_end(page.text, at, page.choices)
        if (
            label[1] in page.choices.labels
            and at + 1 < own <= end
            and not page.text[own:end].strip(" ,.\"'*")
        ):
            return label[1] if not denied(page.low, at, at) else ""
    return ""


def _text_before(page: Page, called: re.Match[str]) -> str:
    """The option whose text alone stands right before what is called best: "Aspirin is the most likely …"."""
    if called.group().startswith(("fits", "best", "most", "remains")):
        return ""
    before = page.low[max(0, called.start() - 300) : called.start()].rstrip(" *_")
    texts = (text for text in page.choices.texts if len(text) > 3 and before.endswith(text))
    longest = max(texts, key=len, default="")
    at = len(before) - len(longest)
    if not longest or before[at - 1 : at].isalnum() or denied(before, at, at):
        return ""
    return page.choices.texts[longest]


_LABEL_BEFORE = re.compile(r"(?<![\w'-])([A-Z])(?=[.):]|\*\*)")
