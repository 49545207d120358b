"""What every rule needs from plain text: the visible part of a reply, equal spelling.

All patterns are bounded, so that reading is linear in the length of the reply.
"""

import re
import unicodedata
from collections.abc import Iterator

from medbench.verify.labels import ALIKE, STYLED, alone

LONGEST = 100_000
"""Characters of a reply that are read, counted from its end."""

_THINK = re.compile(
    r"<(?:(?P<a>/?)(?:think|thinking|thoughts?|reasoning|scratchpad|analysis|seed:think)>"
    r"|\|(?P<b>begin|end)_of_thought\|>|unused9(?P<c>[45])>"
    r"|\|channel\|>(?P<d>analysis|commentary|final)<\|message\|>)",
    re.I,
)
_OTHER_THINK = re.compile(r"◁(?P<a>/?)think▷|\[(?P<b>/?)THINK\]|(?m:^)## ?(?P<c>Final Response)")
_CLOSES = frozenset(("/", "end", "5", "final", "final response"))
_TOKENS = re.compile(
    r"<\|(?!begin_of_box|end_of_box)[a-z_]{1,30}\|>|</?s>|<(?:eos|bos|pad|end_of_turn|unused\d{1,2})>", re.I
)
_ASCII = {
    **{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)},
    **dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF), None),
    **dict.fromkeys((0xA0, 0x202F, 0x3000), " "),
    **dict.fromkeys((0x2018, 0x2019), "'"),
    **dict.fromkeys((0x201C, 0x201D, 0x300C, 0x300D), '"'),
    **dict.fromkeys((0x2010, 0x2011, 0x2012, 0x2212), "-"),
    0x17F: "s",
    0x131: "i",
    0x130: "I",
    0x212A: "K",
    0x212B: "A",  # their other case is an ASCII letter
    0x3002: ".",
    0x3001: ",",
    **STYLED,
}
_WRITTEN_BREAK = re.compile(r"\\n(?![a-z])")
_FOREIGN = re.compile(r"[^\x00-\x7f\u4e00-\u9fff]")


def _plainer(match: re.Match[str]) -> str:
    char = match.group()
    if char in ALIKE:
        return ALIKE[char] if alone(match.string, match.start()) else char
    plain = _ASCII.get(ord(char), char)
    return plain if isinstance(plain, str) else chr(plain) if plain else ""


def visible(reply: str) -> tuple[str, bool]:
    """The part of a reply meant for the reader, and whether it is thought all the same.

    That is what follows the last closed think block. When nothing follows, or the last block never
    closes, the thought itself comes back, marked: only an explicit statement in it may count.
    """
    thought = False
    if "\r" in reply:
        reply = reply.replace("\r\n", "\n").replace("\r", "\n")
    if ("]" in reply and "THINK]" in reply) or ("#" in reply and "## Final" in reply) or "▷" in reply:
        reply, thought = _after_thought(reply, _OTHER_THINK)
    if "<" in reply:
        reply, tagged = _after_thought(reply, _THINK)
        reply, thought = _without_marks(reply), thought or tagged
    reply = (reply if len(reply) <= LONGEST else reply[-LONGEST:]).strip()
    if "\n" not in reply and "\\n" in reply:
        reply = _WRITTEN_BREAK.sub("\n", reply).strip()
    if not reply.isascii():
        reply = _FOREIGN.sub(_plainer, reply).strip()
    return reply, thought


_END = re.compile(
    r"<\|(?:endoftext|im_end|eot_id|end_of_text|eos|user)\|>|</s>|<(?:eos|end_of_turn)>|<start_of_turn>user"
    r"|<\|im_start\|>\s?user|<\|start_header_id\|>\s?user"
)
_HTML = re.compile(r"</?(?:b|strong|i|em|u|span|code|mark|font)(?:\s[^<>]{0,80})?>")
_HTML_BREAK = re.compile(r"</?(?:p|br|div|li|ul|ol|h[1-6]|tr|td|table)(?:\s[^<>]{0,80})?\s?/?>")


def _without_marks(reply: str) -> str:
    """`reply` up to its end token, without other tokens and HTML marks."""
    end = _END.search(reply)
    if end and reply[: end.start()].strip():
        reply = reply[: end.start()]
    if "</" in reply or "<br" in reply:
        reply = _HTML_BREAK.sub("\n", _HTML.sub("", reply))
    return _TOKENS.sub(" ", reply)


def _ends(mark: re.Match[str]) -> bool:
    return (mark[mark.lastgroup or 0] or "").lower() in _CLOSES


def _after_thought(reply: str, marks: re.Pattern[str]) -> tuple[str, bool]:
    closed, last = 0, None
    for last in marks.finditer(reply):
        closed = last.end() if _ends(last) else closed
    if last is None:
        return reply, False
    if _ends(last):
        rest = reply[closed:]
        return (rest, False) if _TOKENS.sub(" ", rest).strip() else (reply[: last.start()], True)
    before = reply[closed : last.start()]
    return (before, False) if before.strip() else (reply[closed:], True)


_MACRO = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|bf|rm|emph|mbox|operatorname)\b\s*")
_MARKS = re.compile(r"[*_`\"'${}\\]+")
_ARTICLE = re.compile(r"(?:the|an?) (?=\S\S)")
_ASIDE = re.compile(r"\s*\([^()]{0,200}\)")
EDGE = " .;:,!?()[]<>|#"


def unmarked(text: str) -> str:
    """`text` without LaTeX text macros, braces, math and emphasis marks."""
    if "\\" in text:
        text = _MACRO.sub("", text).replace("\\ ", " ").replace("\\%", "%")
        text = re.sub(r"\\[()\[\],;!]", "", text)
    return _MARKS.sub("", text)


def plain(text: str) -> str:
    """The spelling under which two phrases are the same phrase.

    Case, emphasis, LaTeX, quotes, outer punctuation and a leading article are dropped; signs,
    decimal points and words are kept.

    >>> plain("**The Aspirin,  81 mg.**")
    'aspirin 81 mg'
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_ASCII)).replace("–", "-").replace("—", "-")
    text = unmarked(text).casefold().replace(",", " ").replace(";", " ").replace(":", " ")
    text = " ".join(text.split()).strip(EDGE)
    if text.startswith("- "):
        text = text[2:].strip(EDGE)
    return _ARTICLE.sub("", text, count=1) if text.startswith(("the ", "a ", "an ")) else text


def without_asides(text: str) -> str:
    """`text` without what stands in round brackets."""
    return _ASIDE.sub("", text)


def lines(text: str) -> list[str]:
    """The lines of `text` that hold something."""
    return [line for line in text.split("\n") if line.strip()]


def line_before(text: str, at: int) -> str:
    """The line up to `at`, at most its last 90 characters."""
    return text[max(0, at - 90) : at].rpartition("\n")[2]


def backwards(pattern: re.Pattern[str], text: str, most: int = 200) -> Iterator[re.Match[str]]:
    """The matches of `pattern` from the last to the first, at most `most` of them.

    Looks at the end first, in windows that grow fourfold: the last statement is usually near.
    """
    high, size = len(text), 200
    while high > 0 and most > 0:
        low = max(0, len(text) - size)
        found = [match for match in pattern.finditer(text, low) if match.start() < high]
        yield from found[: -most - 1 : -1]
        most -= len(found)
        high, size = low, size * 4
