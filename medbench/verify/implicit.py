"""Rules for answers that are plain from where they stand: alone, first, last, or the only one named.

Some also count in a reply that was cut off, where they stand at its beginning.
"""

import re
from collections import Counter

from medbench.verify.choose import span
from medbench.verify.letters import exactly, letter_at, only_letters, own_text_end, written_out
from medbench.verify.named import NUMBER_LABEL, names
from medbench.verify.page import AMBIGUOUS, WORDS, Choices, Found, Page
from medbench.verify.stance import denied, false_heading, opens_by_refusing, rejected
from medbench.verify.text import lines, plain, unmarked
from medbench.verify.values import UNWORKED, other_value
from medbench.verify.wording import wording

# --- multiple choice ------------------------------------------------------------------------------

_LINE_LABEL = re.compile(
    r"[\s*_#>(\[\"'$-]{0,10}(?:(?:option|choice) )?([A-Z])(?=[)\]*_\"'$]{0,4}(?:[.):\]]|\s*$|\*|\s[-–—]\s))"
)


def alone(page: Page) -> Found | None:
    """The whole reply is a letter or letters, or one option's text."""
    text = unmarked(page.text) if "\\" in page.text and len(page.text) < 80 else page.text
    if (
        text.endswith("?")
        and len(text) < 200
        and not any(option.endswith("?") for option in page.choices.options)
    ):
        return None
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


_LEAD = re.compile(
    r"(?:[\s*_#>→⇒∴=✅☑👉➡|-]{0,6}(?:so|thus|hence|therefore|then|overall|finally|only|here|is|clearly|(?:q|question)?\s?\d{1,3}(?=[.:)]\s)|"
    r"by (?:exclusion|elimination)|in (?:the end|conclusion|summary|short)|(?:up)?on reflection|"
    r"solution|conclusion|key|response|output|result|prediction|selection|pick|final|choice|verdict|answer|option|"
    r"the (?:solution|choice|evidence|correct one|right one)|i think|my (?:best )?(?:guess|bet|pick)(?: is)?|"
    r"i(?:'m| am) (?:confident|sure|certain)(?: that)?|"
    r"(?:i(?:'d| would|'ll)? )?(?:go with|lean(?:ing)?(?: towards?| to)?|say|pick|choose|opt for|settle on)|"
    r"(?:it|this|that|which)(?:'s| is| must be| has to be| would be)?|definitely|certainly|supports?|"
    r"points? to|matches|fits|"
    r"favou?rs?|makes?)(?![\w'])[\s,:：.*_=→-]{0,6}"
    r"|[\s*_#>]{0,6}(?:结论|所以|因此|综上|本题|本例|故|则|改成|改为|是|为|只能是|我的选择是|应?选)[\s,:：.*_=→-]{0,6}){1,6}"
    r"|action: ?finish\[|[^\n]{0,120}(?:excluded|eliminated|ruled out),? ?→ ?|[\s*_]{0,3}(?:→|⇒|"
    r"∴|=>|->|➡|👉|✅)[\s*_]{0,3}",
    re.I,
)
_TRAIL = re.compile(
    r"\s(?:it is|is (?:it|supported)|the (?:correct|right|best) (?:answer|one|option|choice))$"
    r"|\s(?:fits|explains|matches|addresses|meets|accounts for)\b.*$",
    re.I,
)
_IT_IS = re.compile(r"\sit is\W*$")
_LAST_SENTENCE = re.compile(
    r"(?<=[.!?。])\s*(?=\S)(?<!\b[A-Z]\.)|,(?=故|所以|因此|则|应|改)|,? (?:but|so|hence|thus) |;\s"
)


def _short(text: str, page: Page) -> Found | None:
    """The option that the last sentence of a line gives in so many words: "→ B", "So C it is."."""
    sentence = _LAST_SENTENCE.split(text[-200:])[-1].strip()
    if NUMBER_LABEL.match(text) and sum(1 for row in lines(page.text) if NUMBER_LABEL.match(row)) > 1:
        return None  # one of a list
    lead = _LEAD.match(sentence)
    said = _TRAIL.sub("", sentence[lead.end() if lead else 0 :].strip(" .*_!`。"))
    if lead is None and not _IT_IS.search(sentence):
        return None
    if not said or (len(said) == 1 and said.islower()):
        return None
    found = exactly(said.strip("*_ ]"), page.choices)
    return (
        found
        if found and found.answer and not denied(sentence.lower(), len(sentence), len(sentence))
        else None
    )


def closing(page: Page) -> Found | None:
    """The last line is one option: its letter, letter and text, or text; or the reply ends "so, C."."""
    if found := _short(page.text[-200:].rpartition("\n")[2], page):
        return found
    rows = lines(page.text)
    last = rows[-1].strip()
    if len(last) > 600:
        return None
    if len(rows) > 1 and false_heading(rows[-2]):
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
    if edge == 0 and len(rows[-1].strip()) < 4:
        rows = rows[:-1] or rows  # a list that was cut off
    letters = _labels(rows[-400:] if edge else rows[:400], choices)
    times = Counter(letter for letter, own in letters if own)
    most = times.pop(label[1], 1)
    if times and most <= max(times.values()):
        return None
    return letter_at(line, label.start(1), choices)


def opening(page: Page) -> Found | None:
    """The first line is one option, or a yes, no or maybe that is one."""
    if page.choices.texts.keys() <= set(WORDS) and (word := _FIRST_WORD.match(page.text)):
        return Found(page.choices.texts[word[1].lower()]) if word[1].lower() in page.choices.texts else None
    rows = lines(page.text)
    if len(rows) > 1 and opens_by_refusing(rows[1]):
        return None
    if found := _edge(rows, 0, page.choices):
        return found
    return _short(rows[0], page) if len(rows[0]) < 200 else None


def opened(page: Page) -> Found | None:
    """The first line is one option and prose follows, so that it does not begin a list of them."""
    rows = lines(page.text)
    if page.choices.texts.keys() <= set(WORDS):
        return opening(page)
    return opening(page) if len(rows) > 1 and not _LINE_LABEL.match(rows[1]) else None


# A letter that begins a reply and is no word: "B because it is oral", "c (it is oral)".
_BARE_LABEL = re.compile(
    r"[\s*_\"']{0,4}(?:(A)(?=,? (?:because|since)\b| \([^()\n]{1,80}\)\W*$)"
    r"|([B-HJ-Z])(?=,? (?:because|since|as it|it is|it's)\b|, | \()|([b-hj-z])(?= \())"
)
_INLINE = re.compile(r"(?<![\w'-])[(*]{0,3}([A-Z])[)*]{0,2}[.):]\s")


def begun(page: Page) -> Found | None:
    """The reply begins with one option, label and text, and has no other label: no list that was cut off."""
    label = _LINE_LABEL.match(page.text) or _BARE_LABEL.match(page.text)
    if label is None or label[label.lastindex or 1] not in page.choices.labels:
        return None
    at = label.start(label.lastindex or 1)
    end = own_text_end(page.text, at, page.choices)
    others = {match[1] for match in _INLINE.finditer(page.text, end)} & set(page.choices.labels)
    others -= {page.text[at]}
    listed = page.text[end:].lstrip("*_ \n").startswith((":", "-", "–"))
    if end == at + 1 and _cut_in_own_text(page, at):
        return Found(page.text[at])
    return begins(page) if end > at + 1 and not others and not listed else None


def _cut_in_own_text(page: Page, at: int) -> bool:
    """Whether the reply ends within the text of the option that it begins with."""
    said = wording(page.text[at + 1 :].strip(" .):*_\n"))
    option = wording(page.choices.options[page.choices.labels.index(page.text[at])])
    first = page.text[at] == page.choices.labels[0]  # a list of the options would begin so
    return len(said) >= (30 if first else 1) and option.startswith(said)


def line(page: Page) -> Found | None:
    """One option stands written out on a line of its own, and no other line begins with a label."""
    rows = lines(page.text)
    labelled = [row for row in rows[:400] if _LINE_LABEL.match(row)]
    if len(labelled) != 1 or len(rows) < 3:
        return None
    above = rows[max(0, rows.index(labelled[0]) - 1)]
    if above is not labelled[0] and (above.rstrip().endswith("?") or false_heading(above)):
        return None
    letter, own = _labels(labelled, page.choices)[0]
    return Found(letter) if own and len(labelled[0].strip("*_ ")) > 3 else None


def later_line(page: Page) -> Found | None:
    """The same, of an option other than the first, with which a list would begin."""
    found = line(page)
    return found if found and found.answer != page.choices.labels[0] else None


_TEXT_END = re.compile(r"[:.,](?=\s|$)|\s[-–—]\s")


def _begins_with_text(rows: list[str], choices: Choices) -> Found | None:
    """The option whose text the first line begins with, set off from the rest; no other line begins so."""
    letters = []
    for row in rows[:60]:
        cut = _TEXT_END.search(row[:400])
        said = choices.texts.get(plain(row[: cut.start()])) if cut else None
        letters.append(None if cut and said and rejected(row, cut.start()) else said)
    others = {option for option, letter in choices.texts.items() if letter != letters[0]}
    first = plain(rows[0])
    listed = any(option in first for option in others if len(option) > 2)
    return Found(letters[0]) if letters[0] and not listed and set(letters[1:]) <= {None, letters[0]} else None


def begins(page: Page) -> Found | None:
    """The reply begins with the label of one option and names no other."""
    rows = lines(page.text)
    label = _LINE_LABEL.match(rows[0]) or _BARE_LABEL.match(rows[0])
    if label is None:
        return _begins_with_text(rows, page.choices)
    at = label.start(label.lastindex or 1)
    if len(rows) > 1 and opens_by_refusing(rows[1]):
        return None
    if rows[0][at : at + 2] == "A:" and own_text_end(rows[0], at, page.choices) == at + 1:
        return None  # "A: It depends" begins an answer, not option A
    letter = rows[0][at].upper()
    if letter not in page.choices.labels:
        return None
    others = {letter for letter, _ in _labels(rows[1:400], page.choices)}
    others |= {match[1] for match in _INLINE.finditer(page.text[:4000], at + 1)}
    others |= {page.text[place] for _, _, place in names(page.text[:4000])} & set(page.choices.labels)
    if others - {"", letter}:
        return None
    found = letter_at(rows[0], at, page.choices)
    taken_back = denied(rows[0], at + 1, at + 1) or _BUT_NOT.search(rows[0])
    return None if found and found.answer and taken_back else found


_BUT_NOT = re.compile(r"\bbut (?:(?:it|this|that)(?: is|'s| does)?(?: not|n't)\b|(?:option )?\(?[A-Z]\b)")


# --- yes, no, maybe -------------------------------------------------------------------------------

_FIRST_WORD = re.compile(
    r"[\s*_\"'(#]{0,6}(yes|no|maybe)\b(?=[*_\"')]{0,4}(?:[.,;:!\n]|\s*$|\s[-–—(]|\s(?:because|since|as|it|there|the|this)\b))",
    re.I,
)


# --- phrases and numbers --------------------------------------------------------------------------


# A line in which a number need not be the answer.
_TALK = re.compile(
    r"\b(?:question|item|problem|unknown|unclear|maybe|such as|your answer|as a number|stage|grade|class)\b"
    r"|(?:[a-z]{2,}[^a-z]+){7}"
    r"|\b(?:not|cannot|step|table|figure|missing|normal|maximum|minimum|minus|would|if|more|print\w*|"
    r"below|above|at (?:most|least)|up to)\b|n't\b"
    r"|^\W*out of\b|```|[<>≥≤]|\d\+",
    re.I,
)


def whole(page: Page) -> Found | None:
    """The whole reply, when it is short enough to be nothing but the answer."""
    if page.choices.kind in ("closed", "open") and _EMPTY_FORM.search(page.text):
        return None
    if page.choices.kind == "number" and (len(page.text) > 80 or "?" in page.text):
        return None
    worked = page.choices.form == "number" and UNWORKED.search(_POWER.sub("", page.text.rpartition("=")[2]))
    if page.choices.kind == "number" and (
        worked or _TALK.search(page.text) or other_value(page.text, page.question)
    ):
        return None
    return span(page.text, page.choices)


_EMPTY_FORM = re.compile(r"oxed ?\{\s*\}|<answer>\s*</answer>")
_POWER = re.compile(r"[x×*]\s?10\s?\^?")


# --- refusals -------------------------------------------------------------------------------------

_REFUSES = re.compile(
    r"\b(?:i(?:'m| am)? (?:sorry,? (?:but )?i )?(?:really )?"
    r"(?:can't|can not|cannot|won't|will not|should not|shouldn't|(?:am )?unable to|(?:am )?not able to|"
    r"must (?:respectfully )?decline to|(?:am )?not equipped to|don't have the (?:capability|ability) to)"
    r"|sorry,? (?:but )?(?:can't|cannot)|as an? (?:ai|language model)[^.\n]{0,80}?(?:can't|cannot|unable to))"
    r" (?:\w+ ){0,3}?(?:answer|provide|assist|help|determine|diagnose|give|choose|select|pick|view|see|"
    r"interpret|analy[sz]e|identify|offer|make|respond|comply|fulfill|recommend)",
    re.I,
)
_REFUSES_IN_CHINESE = re.compile(r"(?:抱歉|对不起|作为.{0,8}(?:AI|人工智能|助手)).{0,20}(?:无法|不能|不可以)")
_REFUSAL_GATES = (
    "should",
    "can't",
    "cannot",
    "can not",
    "won't",
    "will not",
    "unable",
    "not able",
    "decline",
    "equipped",
    "don't have the",
)


_ALL_THE_SAME = re.compile(r"\b(?:but|however|that said|nevertheless|based on|still)\b")


def declines(page: Page) -> bool:
    """Whether the reply declines to answer and does not answer all the same."""
    return refuses(page) is not None and _ALL_THE_SAME.search(page.low) is None


def refuses(page: Page) -> Found | None:
    """The reply declines to answer."""
    if any(gate in page.low for gate in _REFUSAL_GATES) and _REFUSES.search(page.text[:3000]):
        return Found(None, "refused")
    if ("无法" in page.text or "不能" in page.text) and _REFUSES_IN_CHINESE.search(page.text[:500]):
        return Found(None, "refused")
    return None
