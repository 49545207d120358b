"""Whether a reply stands by what it says: not denied, called wrong, left open, supposed or asked.

Everything is looked for in the sentence or clause around the place, within a fixed distance.
"""

import re

SENTENCE = re.compile(r"(?<=[.!?])(?<!\n[A-Z]\.)(?<!^[A-Z]\.)(?<![-*] [A-Z]\.)\s+(?=[A-Z*(\"])|\n+")
"""What parts sentences; the full stop of a label at the beginning of a line does not."""

# What leaves a sentence open, by how much it leaves open.
HEARSAY = (
    r"(?:he|she|they|some|many|most|people|students?|others|someone|everyone|friend|textbook)"
    r"(?: (?:\w+ )?(?:says?|said|thinks?|thought|claim(?:s|ed)?|believe[sd]?|answer(?:s|ed)?|picks?|"
    r"chooses?|selects?|argues?)\b)"
)
MUSED = "maybe|perhaps|possibly"
SUPPOSED = "if|whether|unless"
MODAL = "might|may|could"

_STOP = re.compile(r"[.!?;\n](?=\s|$)|\bbut\b|\bhowever\b|\binstead,|\brather,|, so\b|\btherefore\b")
_DENIED_BEFORE = re.compile(
    r"\b(?:not|never|neither|nor|cannot|incorrect|wrong|unlike|without|except|unlikely)\b|n't\b"
    r"|\b(?:rul|exclud|eliminat|dismiss|discard|reject)(?:e|es|ed|ing|s)?\b(?: out)?"
    r"|\b(?:rather than|instead of|as opposed to|less likely|no evidence|absence of|no|nobody|"
    r"argu\w+ against|evidence against|away from|mistake to)\b"
    r"|\b(?:avoid(?:s|ed|ing)?|lack(?:s|ed|ing)?|allerg\w+ to|"
    r"(?:worst|least)(?: \w+){1,2} is)\s(?:\w+ ){0,3}$",
)
_DENIED_AFTER = re.compile(
    r"[^.!?;\n]{0,60}?\b(?:is|are|was|were|be|being|seems?|looks?|does|do|can|could|would|has|have|been)"
    r"(?:n't|\s+(?:\w+ly\s+)?(?:not|incorrect|wrong|unlikely|improbable|false|less|excluded|eliminated|"
    r"rejected|contraindicated|ruled|out|the (?:worst|wrong|least)|what (?:most|many|some)|"
    r"be (?:ruled|excluded|eliminated)))\b"
)
_LESSER = re.compile(
    r"\b(?:(?:everything|anything|all) but (?:\w+ ){0,2}"
    r"|(?:than|over|ahead of|versus|against|followed by|preferr?ed to|preferable to|superior to|mimic\w*|"
    r"differentials?(?: diagnos[ie]s)?(?: is| are| includes?)?:?)"
    r" (?:(?:with|by|for|in|from|of|to|on|the|a|an|option|choice) ){0,3}[(*\"']{0,3})$"
    r"|(?:鉴别诊断?|误诊为?|排除|不是|并非|而非|而不|不支持|比)[^。.,;:]{0,6}$"
)
_REJECTED = re.compile(
    r"\W{0,6}(?:incorrect|wrong|unlikely|false|no\b|not\b|ruled out|excluded|eliminated|rejected|lacks\b)"
)


def denied(text: str, start: int, end: int) -> bool:
    """Whether what stands at `start:end` is negated, ruled out or called wrong in its own clause."""
    before = text[max(0, start - 70) : start].lower()
    clause = 0
    for stop in _STOP.finditer(before):
        clause = stop.end()
    if _DENIED_BEFORE.search(before, clause) or _LESSER.search(before):
        return True
    after = _DENIED_AFTER.match(text[end : end + 90].lower())
    return rejected(text, end) or (after is not None and not _STOP.search(after.group()))


def rejected(text: str, end: int) -> bool:
    """Whether what ends at `end` is called wrong right behind it: "Aspirin: incorrect"."""
    after = _REJECTED.match(text[end : end + 30].lower())
    return after is not None and not _STOP.search(after.group())


_WRONG_ITSELF = (
    r"[\s*_]{0,4}(?:this|that|it|which)(?: (?:answer|option|choice|statement))?(?: is|'s| was)"
    r"(?: \w+ly)? (?:incorrect|wrong|false|a mistake|"
    r"not (?:correct|right|true|the (?:right |correct )?answer))"
)
_THIS_IS_WRONG = re.compile(rf"(?:^|[.!?\n]){_WRONG_ITSELF}\W*$", re.I)
_FALSE_HEADING = re.compile(
    r"\b(?:incorrect|wrong|false|not|excluded?|eliminated|rejected|ruled? out|less|least|also|others?|"
    r"unlikely|"
    r"distractors?|differentials?|alternatives?|mimics?|must not miss|if)\b.{0,60}:\W*$"
    r"|\b(?:rule out|exclude|consider)\s*$",
    re.I,
)


def false_heading(line: str) -> bool:
    """Whether a line announces something other than the answer: "Rule out:", "Also considered:"."""
    return len(line.split()) < 7 and _FALSE_HEADING.search(line) is not None


_OPENS = re.compile(rf"{_WRONG_ITSELF}\b", re.I)


def opens_by_refusing(sentence: str) -> bool:
    """Whether a sentence begins by calling wrong what was said before it."""
    return _OPENS.match(sentence) is not None


def taken_back(text: str) -> bool:
    """Whether a short reply ends by calling wrong what it said: "C. Aspirin. This is incorrect."."""
    return len(text) < 300 and text.count("\n") < 4 and _THIS_IS_WRONG.search(text) is not None


_WRONG = re.compile(
    r"\bin (?:an? |some )?(?:other|different|another)\b|\bdoes(?: not|n't) (?:fit|explain|apply)\b"
    r"|\b(?:incorrect|wrong|unlike|ruled out|eliminated|excluded|avoided|contraindicated|insufficient|"
    r"inadequate|inappropriate|falls? short|less (?:suitable|appropriate|likely)|"
    r"not (?:indicated|recommended|correct|right|the|consistent|accurate|appropriate))\b"
)


def called_wrong(text: str, at: int) -> bool:
    """Whether the sentence that goes on at `at` calls something wrong."""
    wrong = _WRONG.search(text, at, at + 240)
    return wrong is not None and not SENTENCE.search(text, at, wrong.start())


_HEDGED = re.compile(
    rf"\b(?:{HEARSAY}|{MODAL}|{MUSED}|{SUPPOSED}|possible|suppose|guess|consider|think about|mimic|"
    rf"misdiagnos\w+|distractor|second best|assume|doubt|myth|misconception|mistaken(?:ly)?)\b"
    r"[^.;\n]{0,90}$"
)
_ASKED = re.compile(r"[^.!\n]{0,60}\?")


def unsure(text: str, start: int, end: int) -> bool:
    """Whether what is said at `start:end` is left open, supposed, guessed or asked rather than said."""
    return hedged(text, start) or _ASKED.match(text, end) is not None


def hedged(text: str, start: int) -> bool:
    """Whether the sentence up to `start` leaves open what it says."""
    return _HEDGED.search(text[max(0, start - 100) : start].lower().rpartition(" but ")[2]) is not None


_LEFT_OPEN = re.compile(
    rf"\b(?:{HEARSAY}|{MODAL}|{SUPPOSED}|possibl[ey]|possibility|consider(?:ed)?|ruled? out|cannot|unclear|"
    r"uncertain|"
    r"unlikely|in (?:an? )?(?:other|different|another)|does not|second|mimic|misdiagnosis|(?:in|by) contrast|"
    r"note that|skip|omit|withh[eo]ld|alternative|differential|"
    r"not enough|insufficient|depends?|either)\b"
)


def left_open(sentence: str, start: int = 0) -> bool:
    """Whether a sentence in lower case weighs, supposes or excludes somewhere after `start`."""
    return _LEFT_OPEN.search(sentence, start) is not None
