"""Where a model goes on by itself after its answer: with a further question, exercise or turn."""

import re

from medbench.verify.page import Choices
from medbench.verify.text import plain

# Begins with a literal line break, which lets the search skip quickly.
_BREAK = re.compile(
    r"\n(?:\s{0,3}(?:[#*>-]{1,4}\s?)?(?:"
    r"(?:User|Human|Instruction|Input|Q|问题|题目)(?: \d{1,2})?(?: ?\([^()\n]{0,40}\))?\s?:"
    r"|(?:[\w']{1,12}[ -]){0,2}(?:Question|Exercise|Problem)(?: \d{1,3})?(?:\*{0,2}\s?[:.*#]|\s*\n))"
    r"|\n\s{0,3}\d{1,3}[.)]\s[^\n]{30,600}\?\s*\n"
    r"|\s{0,3}[(*]{0,2}(?P<list>A)[).:]\*{0,2}\s?(?P<a>[^\n]{1,200})"
    r"\n{1,2}\s{0,3}[(*]{0,2}B[).:]\*{0,2}\s?(?P<b>[^\n]{1,200}))"
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
    end = text.find("[INST]")
    for mark in _BREAK.finditer(text, 1):
        at = mark.start()
        if not mark["list"]:
            return min(at, end) if end > 0 else at
        asked = text[:at].rstrip()
        if asked.endswith(_ASKS) and not (_own(mark["a"], choices, 0) or _own(mark["b"], choices, 1)):
            return max(asked.rfind("\n"), 0)
    return end if end > 0 else None
