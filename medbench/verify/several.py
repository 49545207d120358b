"""Questions that want every right option: which set of options a short piece of text names.

A set is written as its letters in alphabetical order, "ACD". "A or C" is no set.
"""

import re

from medbench.verify.letters import LEAD, own_text_end, stands_alone
from medbench.verify.page import AMBIGUOUS, OUTSIDE, Choices, Found, Page
from medbench.verify.stance import false_heading
from medbench.verify.text import EDGE, plain

_CHOICE = re.compile(r"[)\]}*_\"'.]{0,4}\s{0,3}(?:or\b|或|/)")
_RUN = re.compile(r"[A-Z]{2,26}(?![\w'-])")
_ITEM = re.compile(
    r"[ \t*_`\"'$({\[•-]{0,8}(?:(?:options?|choices?|选项)[ :]{1,2})?"
    r"[(\[*\"']{0,3}(?P<letter>[A-Za-z])(?![A-Za-z0-9_+])"
)
_JOINT = re.compile(
    r"[)\]}*_\"'.:]{0,4}[ \t]{0,3}(?:(?P<or>\bor\b|或)|"
    r"(?:[,;/&+|、]|\band\b|\bas well as\b|和|及|以及|与)(?:\s{0,2}(?:and\b|(?P<last>or\b)))?\s{0,3}"
    r"|\n(?=[ \t*•-]{0,4}\(?[A-Z](?:[.):]|\s*$|\s*\n))|(?=\([A-Z]\))|(?<=\.)\s?(?=[A-Z]\.))"
)
_WRONG = re.compile(
    r"[)*]{0,3}项?(?:错误|不对|不正确|不符合|有误|不选)"
    r"|[)*]{0,3} (?:is|are) (?:\w+ )?(?:wrong|incorrect|not|false)\b"
)
_OWN_CLAUSE = re.compile(r"[)*]{0,3} (?:is|are|was|were|has|does|can|could|would|may)\b")
_PARTS = re.compile(r"\s*(?:[,;、\n]|\band\b|和|及|以及|与)\s*(?:and\s)?")


def after(text: str, choices: Choices) -> Found | None:
    """The options that `text` begins with, as after "the answers are"."""
    lead = LEAD.match(text)
    at = lead.end() if lead else 0
    if run := _RUN.match(text, at):
        letters = set(run.group())
        whole = letters <= set(choices.labels) and len(letters) == len(run.group())
        if _CHOICE.match(text, run.end()):
            return AMBIGUOUS
        return Found("".join(sorted(letters))) if whole else by_text(text, choices)
    return _listed(text, at, choices) or by_text(text[at:], choices)


def _listed(text: str, at: int, choices: Choices) -> Found | None:
    """The options named one after another by their letters, from `at` on."""
    letters: set[str] = set()
    while item := _ITEM.match(text, at):
        place = item.start("letter")
        letter = text[place].upper()
        if letter not in choices.labels:
            return OUTSIDE if text[place].isupper() and stands_alone(text, place) and not letters else None
        end = own_text_end(text, place, choices)
        aside = _ASIDES.match(text, end)
        end = aside.end() if aside else end
        joint = _JOINT.match(text, end)
        if _WRONG.match(text, end) or (letters and end == place + 1 and _OWN_CLAUSE.match(text, end)):
            break
        if end == place + 1 and not joint and not letters and not stands_alone(text, place):
            break
        letters.add(letter)
        if joint is None:
            break
        if joint["or"] or joint["last"]:
            return AMBIGUOUS
        at = joint.end()
    return Found("".join(sorted(letters))) if letters else None


def by_text(text: str, choices: Choices) -> Found | None:
    """The options whose texts `text` lists and nothing else."""
    text = text.split("\n\n", 1)[0][:2000].strip(EDGE + "*")
    if letter := choices.texts.get(plain(text)):
        return Found(letter)
    found = [choices.texts.get(plain(part)) for part in _PARTS.split(text) if part.strip(EDGE)]
    return Found("".join(sorted({letter for letter in found if letter}))) if found and all(found) else None


_ASIDES = re.compile(r"\s?\((?![A-Z]\))[^()\n]{1,60}\)")


def inside(text: str, choices: Choices) -> Found | None:
    """The options that `text` as a whole names."""
    found = after(text, choices)
    if found and found.answer and not _spent(_ASIDES.sub("", text), choices):
        return AMBIGUOUS
    return found or OUTSIDE


def alone(page: Page) -> Found | None:
    """The whole reply is a list of letters or options, but not of all options as they were shown."""
    text = page.text
    if len(text) > 2000 or text.endswith("?"):
        return None
    rows = [row for row in text.split("\n") if row.strip()]
    if len(rows) > 1 and any(len(_PARTS.split(row.strip(EDGE + "*"))) > 1 for row in rows):
        return None  # two lists
    found = after(text, page.choices)
    echo = found and found.answer == page.choices.labels and "\n" in text
    if found is None or echo or not _spent(text, page.choices):
        return None
    return found


def _spent(text: str, choices: Choices) -> bool:
    """Whether `text` is options and joints, with no other words."""
    return all(_option(part.strip(EDGE + "*\"'`$"), choices) for part in _PARTS.split(text))


def _option(part: str, choices: Choices) -> bool:
    key, label = plain(part), _ITEM.match(part)
    if not key or key in choices.texts or _RUN.fullmatch(part):
        return True
    if label is None or label["letter"].upper() not in choices.labels:
        return False
    return not part[own_text_end(part, label.start("letter"), choices) :].strip(EDGE + "*\"'`$")


def closing(page: Page) -> Found | None:
    """The last line is nothing but options, and the line before it is not one too."""
    before, _, last = page.text.rpartition("\n")
    above = before.rstrip().rpartition("\n")[2]
    if not before or len(last) > 300 or _option(above, page.choices) or false_heading(above):
        return None
    if any(_spent(row, page.choices) for row in before.split("\n")[-60:] if 1 < len(row.strip()) < 300):
        return None
    return alone(Page.of(last, page.choices))
