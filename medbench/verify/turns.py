"""What of a reply is not its answer: a turn of the model's own making, offers, remarks on other options."""

import re

from medbench.verify.page import Choices
from medbench.verify.text import plain

# Each begins with a literal line break, which lets the search skip quickly, and gives nothing back.
_HEADING = re.compile(
    r"\n\s{0,3}+(?:[#*>-]{1,4}+\s?+)?+(?:(?=[UHIQFNSC问题])"
    r"(?:(?:User|Human|Instruction|Input|Q|Follow-up(?: question)?|Now you try|Self-check|Case|问题|题目)"
    r"(?: \d{1,2})?(?: ?\([^()\n]{0,40}\))?\s?:|Case \d{1,2}\.|Next\n)|user\n)"
)
_NUMBERED = re.compile(r"\n\n\s{0,3}\d{1,3}[.)]\s[^\n]{30,600}\?\s*\n")
_LIST = re.compile(
    r"\n\s{0,3}+[(*]{0,2}+A[).:]\*{0,2}\s?(?P<a>[^\n]{1,200})"
    r"\n{1,2}\s{0,3}[(*]{0,2}B[).:]\*{0,2}\s?(?P<b>[^\n]{1,200})"
)
_EXERCISE = re.compile(
    r"\n\s{0,3}(?:[#*>-]{1,4}\s?)?(?:[\w']{1,12}[ -]){0,2}(?:Question|Exercise|Problem)(?: \d{1,3})?"
    r"(?:\*{0,2}\s?[:.*#]|\s*\n)"
)
_ASKS = ("?", "?*", "?**", ":", ":**", "？", "：")


def _own(text: str, choices: Choices, place: int) -> bool:
    """Whether `text` begins with the option at `place`, perhaps with a remark behind it."""
    if place >= len(choices.options):
        return False
    said, option = plain(text), plain(choices.options[place])
    return said.startswith(option) or option.startswith(said) or said in choices.texts


def next_turn(text: str, choices: Choices) -> int | None:
    """Where the first further turn begins: a heading for one, or a question with other options than these."""
    ends = [text.find("[INST]")] if "[" in text and "[INST]" in text else []
    if (
        ("Q" in text and "Question" in text)
        or ("E" in text and "Exercise" in text)
        or ("P" in text and "Problem" in text)
    ):
        exercise = _EXERCISE.search(text, 1)
        ends += [exercise.start()] if exercise else []
    if heading := _HEADING.search(text, 1):
        ends.append(heading.start())
    if "?" in text and (asked := _NUMBERED.search(text, 1)):
        ends.append(asked.start())
    if "B." in text or "B)" in text or "B:" in text:
        ends += _other_lists(text, choices)
    return min(ends, default=None)


def _other_lists(text: str, choices: Choices) -> list[int]:
    """Where the first question begins whose options are not these, as a list of none or one."""
    for mark in _LIST.finditer(text, 1):
        asked = text[: mark.start()].rstrip()
        if asked.endswith(_ASKS) and not (_own(mark["a"], choices, 0) or _own(mark["b"], choices, 1)):
            return [max(asked.rfind("\n"), 0)]
    return []


_OTHERS = re.compile(
    r"(?:\n|(?<=[.!?])\s)[\s*_#>-]{0,6}(?:why |explanation (?:of|for) |analysis of )?(?:the )?"
    r"(?:other|remaining|incorrect|wrong|rejected)\s(?:answer )?(?:options?|choices?|answers?)\b"
    r"|\n[^\n]{0,8}(?:其他|其余|错误)选项",
    re.I,
)


_CHECK = re.compile(
    r"(?:\n\s{0,3}|(?<=[.!]) )[*_]{0,2}(?:to (?:verify|check|confirm)|check(?:ing)?|verification|verify|"
    r"proof|let'?s (?:check|verify)|we can (?:check|verify)|the equation is satisfied)\b[^\n:,.]{0,40}[:,.]",
    re.I,
)


def check(text: str) -> int | None:
    """Where a reply that has given numbers begins to check them."""
    marks = (mark.start() for mark in _CHECK.finditer(text))
    return next((start for start in marks if any(map(str.isdigit, text[:start]))), None)


def others(text: str) -> int | None:
    """Where a reply turns to the options that it does not choose."""
    heading = _OTHERS.search(text)
    return heading.start() if heading else None


_OFFER = re.compile(
    r"\n\s{0,3}[*_(]{0,3}(?:would you like|do you (?:want|have)|let me know|is there anything|"
    r"feel free|shall i|"
    r"want me to|i hope (?:this|that)|note:|disclaimer|please note|this is for educational)[^\n]{0,400}$",
    re.I,
)


def without_offers(text: str) -> str:
    """`text` without closing offers, notes and good wishes, unless it is nothing else."""
    for _ in range(3):
        offer = _OFFER.search(text, max(0, len(text) - 450))
        if offer is None or not text[: offer.start()].strip():
            break
        text = text[: offer.start()].rstrip()
    return text


_ANSWERED = re.compile(r"\AA:\s{1,2}(?=[(*]{0,2}[A-Z][).:*])")  # "A: C) Maybe" answers C
_SPEAKER = re.compile(r"\A(?:Human|Assistant|AI|Bot|Model):\s{1,2}(?=\S)")
_DOUBLED = re.compile(r"\A([A-Z])[).] (?=\1[).])")  # "B) B) Liver"


def unlabelled(text: str) -> str:
    """`text` without a speaker's name or "A:" before an answer, and without a label said twice."""
    if text.startswith(("Human:", "Assistant:", "AI:", "Bot:", "Model:")):
        text = _SPEAKER.sub("", text)
    return _DOUBLED.sub("", _ANSWERED.sub("", text)) if text[1:2] in (":", ".", ")") else text
