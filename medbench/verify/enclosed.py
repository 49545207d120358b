"""Rules for answers inside a form meant to hold one: boxes, tags and JSON fields."""

import re
from collections.abc import Iterator

from medbench.verify import prose
from medbench.verify.choose import span
from medbench.verify.page import AMBIGUOUS, OUTSIDE, Found, Page
from medbench.verify.statement import statement
from medbench.verify.text import backwards


def _boxes(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and inside of the `\\boxed{}` of a text, last first."""
    inner = end = len(text)
    for _ in range(30):
        at = max(text.rfind("oxed{", 0, end), text.rfind("oxed {", 0, end))
        if at < 0:
            return
        stop, inside = _braced(text, text.index("{", at) + 1)
        if stop <= inner:  # a box around a box says what the inner one says
            yield at, stop, inside
        inner = end = at


def _braced(text: str, start: int) -> tuple[int, str]:
    depth = 1
    for brace in re.finditer(r"[{}]", text[start : start + 2000]):
        depth += 1 if brace.group() == "{" else -1
        if depth == 0:
            return start + brace.end(), text[start : start + brace.start()]
    rest = text[start : start + 200].split("\n", 1)[0]
    return start + len(rest), rest


_BETWEEN = re.compile(r"[\s$,;/&.\\()\[\]*fb|+-]*(?:\b(?:and|or)\b[\s$\\()\[\]*fb]*)?")
_OR_LETTER = re.compile(
    r"[\s$*\\)\]]{0,6}\(?(?:or|and|/|,)\s{1,3}(?:option |choice )?[(*$]{0,4}([A-Z])\b(?!['\w])"
)


_DENIED_BEFORE = re.compile(
    r"(?:\bnot|n't)\b[\s:$*\\(]{0,6}(?:\\?b)?$|(?:不是|不选|非)[\s:$\\]{0,4}(?:\\?b)?$"
)
_DENIED_AFTER = re.compile(
    r"[\s$*)\\]{0,4}(?:,| is| was| would be|\.?\s{1,3}(?:that|this|it|which) (?:is|was))? ?\b"
    r"(?:wrong|incorrect|not (?:right|correct))\b"
)
_SHAPE = re.compile(
    r"(?:\bthe format (?:is|should be|must be)|\buse the format|\bfor (?:example|instance),?|\be\.g\.,?|"
    r"\bsuch as|\battempt(?: \d)?:?|\bsuppose|\bsample (?:solution|answer),?|"
    r"\bwould have (?:put|written|answered))[\s:$\\]{0,4}(?:\\?b)?$"
)
_OR = re.compile(r"\bor\b|或")


def _last_inside(page: Page, insides: Iterator[tuple[int, int, str]]) -> Found | None:
    """The last inside that says anything; neighbours that say different things are a list."""
    decided: Found | None = None
    left = 0
    for start, end, inside in insides:
        if decided is not None and not _BETWEEN.fullmatch(page.text[end:left][:60]):
            break
        before = page.low[max(0, start - 40) : start]
        if _DENIED_BEFORE.search(before[-16:]) or _SHAPE.search(before) or _DENIED_AFTER.match(page.low, end):
            continue
        found = span(inside, page.choices)
        if found is OUTSIDE and page.choices.kind == "mcq" and len(inside) > 20:
            within = Page.of(inside, page.choices, page.question)
            found = statement(within) or prose.conclusion(within) or prose.named(within) or OUTSIDE
        if decided is not None and found is not None and found != decided:
            joint = page.low[end:left]
            if page.choices.kind != "multi" or not (decided.answer and found.answer) or _OR.search(joint):
                return AMBIGUOUS
            found = decided = Found("".join(sorted({*decided.answer, *found.answer})))
        single = decided is None and page.choices.kind != "multi"
        if single and found is not None and found.answer and _joined(page, end, found.answer):
            return AMBIGUOUS
        decided, left = decided or found, start
    return decided


def _joined(page: Page, end: int, answer: str) -> bool:
    more = _OR_LETTER.match(page.text[end : end + 40])
    return bool(more and more[1] in page.choices.labels and more[1] != answer)


def boxed(page: Page) -> Found | None:
    """The inside of the last `\\boxed{}`."""
    return _last_inside(page, _boxes(page.text)) if "oxed" in page.text else None


_TAG = re.compile(
    r"<(?P<a>/?)(?:final[_ ]?answer|answer|ans|choice|solution|final|response|result|output)>"
    r"|\[(?P<b>/?)answer\]|<\|(?P<c>begin|end)_of_box\|>"
)
_ANSWER_TAG = re.compile(r"<(?P<a>/?)(?:final[_ ]?)?answer>")
_TAGGED = (
    "answer>",
    "_of_box|>",
    "answer]",
    "solution>",
    "<ans>",
    "choice>",
    "final>",
    "response>",
    "result>",
    "output>",
)


def _tags(page: Page) -> Iterator[tuple[int, int, str]]:
    """Start, end and inside of the answer tags of a page, last first; one may lack its closing tag."""
    stop = end = len(page.text)
    tags = _ANSWER_TAG if "answer>" in page.low else _TAG
    closed = True  # the last may lack its closing tag
    for mark in backwards(tags, page.low, 60):
        closing = mark[mark.lastgroup or 0] in ("/", "end")
        if closing:
            stop, end = mark.span()
        elif closed:
            yield mark.start(), end, page.text[mark.end() : stop][:2000]
            stop = end = mark.start()
            if not any(tag in page.low[max(0, end - 80) : end] for tag in _TAGGED):
                return  # an earlier one is no neighbour
        closed = closing


def _tagged(low: str) -> bool:
    return ("<" in low or "[" in low) and any(mark in low for mark in _TAGGED)


def tag(page: Page) -> Found | None:
    """The inside of the last pair of answer tags."""
    return _last_inside(page, _tags(page)) if _tagged(page.low) else None


_FIELD = re.compile(
    r"[\"'](?:(?:final|correct|predicted|selected|chosen|my|your|model|best|revised)[_ -]?)?"
    r"(?P<name>answer|choice|option|prediction|letter|label|response)"
    r"(?:[_ ](?:choice|idx|letter|option|index))?[\"']\s{0,4}:\s{0,4}"
    r"(?:\"((?:[^\"\\]|\\.){0,500})\"|'([^'\n]{0,500})'|\[([^\]\n]{0,200})\]|([^\s,}\"'\[]{1,40}))",
    re.I,
)


_SURE_NAMES = ("answer", "prediction")
_KEYWORD = re.compile(r"\b(?:answer|choice|option)\s?=\s?\"([^\"\n]{1,200})\"", re.I)


def field(page: Page) -> Found | None:
    """The value of the last JSON field that is named answer, else of the last that is named like one."""
    low = page.low
    if '":' not in low and '" :' not in low and "':" not in low and '="' not in low:
        return None
    if '="' in page.text and (given := next(iter(backwards(_KEYWORD, page.text, 1)), None)):
        return span(given[1], page.choices)
    fields = list(backwards(_FIELD, page.text, 60))
    if len({field.group().lower() for field in fields}) > 1:
        fields = [field for field in fields if field["name"].lower() in _SURE_NAMES] or []
    for field in sorted(fields, key=lambda field: field["name"].lower() not in _SURE_NAMES):
        inside = next((group for group in field.groups()[1:] if group is not None), "")
        if inside.lower() not in ("null", "none", "") and (found := span(inside, page.choices)):
            return found
    return None
