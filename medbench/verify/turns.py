"""Where a model goes on by itself after its answer: with a further question, exercise or turn."""

import re

from medbench.verify.page import Choices
from medbench.verify.text import plain

_GATES = (
    "uestion", "xercise", "roblem", "nstruction", "nput", "\nUser", "\nHuman", "\nQ", "[INST]", "问题",
    "题目", "?\n", "\nA.", "\nA)", "\n(A)",
)  # fmt: skip
_MARK = re.compile(
    r"\n\s{0,3}(?:[#*>-]{1,4}\s?)?(?:"
    r"(?:User|Human|Instruction|Input|Q|问题|题目)(?: \d{1,2})?(?: ?\([^()\n]{0,40}\))?\s?:"
    r"|(?:[\w']{1,12}[ -]){0,2}(?:Question|Exercise|Problem)(?: \d{1,3})?(?:\*{0,2}\s?[:.*#]|\s*\n))"
    r"|\[INST\]|\n\s{0,3}\d{1,3}[.)]\s[^\n]{30,600}\?\s*\n"
)
_ASKED = re.compile(
    r"\n[^\n]{0,600}[?:？：][*_ ]{0,4}\n{1,2}\s{0,3}[(*]{0,2}A[).:]\*{0,2}\s?(?P<a>[^\n]{1,200})"
    r"\n{1,2}\s{0,3}[(*]{0,2}B[).:]\*{0,2}\s?(?P<b>[^\n]{1,200})"
)


def next_turn(text: str, choices: Choices) -> int | None:
    """Where the first further turn begins: a heading for one, or a question with other options than these."""
    if not any(gate in text for gate in _GATES):
        return None
    ends = [mark.start() for mark in [_MARK.search(text, 1)] if mark]
    for asked in _ASKED.finditer(text):
        if not {plain(asked["a"]), plain(asked["b"])} & choices.texts.keys():
            ends.append(asked.start())
            break
    return min(ends, default=None)
