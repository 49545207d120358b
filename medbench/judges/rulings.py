"""The verdict in what a judge says.

It is one of the labels its row offers, said last, in the form that was asked for. A reply that was cut off,
names no label, denies one, lists them, or only quotes one holds no verdict: a retry costs less than a guess.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from medbench.rubrics import Form, Judge
from medbench.schema import Finish
from medbench.verify.text import visible

LONGEST = 20_000
"""Characters of a judge's reply that are read, counted from its end."""


class Ruling(NamedTuple):
    """What a judge said of one case: a label and its worth, or neither and the reason."""

    label: str | None
    value: float | None
    problem: str | None = None


def ruling(judge: Judge, text: str, finish: Finish = "stop") -> Ruling:
    """The verdict in a judge's reply.

    >>> binary = Judge(title="", aspect="", prompt="judge-equivalence", labels={"CORRECT": 1, "INCORRECT": 0})
    >>> ruling(binary, "Not the same side, so INCORRECT."), ruling(binary, "CORRECT or INCORRECT")[2]
    (Ruling(label='INCORRECT', value=0.0, problem=None), 'no verdict')
    """
    if finish in ("length", "refused", "error"):
        return Ruling(None, None, {"length": "cut off", "refused": "refused"}.get(finish, "call failed"))
    shown, thought = visible(text)
    found = None if thought else FORMS[judge.form](shown[-LONGEST:], judge)
    if found is None:
        return Ruling(None, None, "no verdict")
    return Ruling(found, judge.worth[found])


LEVEL = re.compile(
    r"(?:level|score|grade|rating)?\s*[:=]?\s*(\d+)(?:\.0+)?(?:\s*(?:/|out of)\s*(\d+)|\s*[:(–-]\s*[^\d].*)?",
    re.I | re.S,
)


def offered(text: Any, judge: Judge) -> str | None:
    """`text` as one of the labels, whatever its case and marks around it; None if it is none.

    Of figures "1.0" is one too, and on a scale "Level 4", "4: minor differences" and, of the highest, "4/5".
    """
    if isinstance(text, bool | int | float):
        text = json.dumps(int(text) if isinstance(text, float) and text.is_integer() else text)
    if not isinstance(text, str):
        return None
    plain = text.strip().strip("*_`\"'$.。:!()[]{} \n").casefold()
    level = LEVEL.fullmatch(plain) if judge.scale else re.fullmatch(r"(\d+)\.0+()?", plain)
    if level and level[2] in (None, judge.best):
        plain = level[1]
    return next((label for label in judge.worth if label.casefold() == plain), None)


LEAD = re.compile(
    r"[\s*_#>\"'`-]*(?:(?:so|thus|therefore|hence|in conclusion)[, ]+)?"
    r"(?:(?:the|my|final|overall|correct)\s+){0,3}"
    r"(?:verdict|score|answer|label|rating|judge?ment|grade|conclusion|result|评分|结论|答案|判定)"
    r"[*_]*(?:\s+(?:is|would be|=)|\s*[:：=]|为|是)?[:：]?[\s*_]*",
    re.I,
)
"""What may stand before a label that is the whole line: "Verdict:", "The answer is"."""

STATING = (
    "so thus therefore hence then and but or rather on reflection second thought all finally final overall "
    "my the this it is are must be verdict answer reply response judgement judgment label as i say conclude "
    "candidate candidate's marked graded no yes matches match reference same means equivalent agrees with "
    "both 因此 所以 答案 结论 判定 最终 最终答案 答案是 答案为 因此答案为 因此答案是 结论是 结论为 为 是"
)
CONCLUDING = frozenset(STATING.split())
"""Words of a clause that only states a verdict."""
VERDICT = re.compile(
    r"verdict|score|answer|label|rating|judge?ment|grade|conclusion|result|decision|assessment|evaluation|"
    r"评分|结论|答案|判定",
    re.I,
)

NEGATED = re.compile(
    r"\b(?:not|cannot|neither|nor|never|hardly|partially|partly|almost|nearly|without|far from|fails?|"
    r"doubt\w*|tells?|told|asks?|claims?|contains?|holds?|held|ends?|ended|says?|said|states?|string|quot\w+|"
    r"perfect|orders?|wants?|instruct\w*)\b|n['’]t\b|不|非|未|无法",
    re.I,
)
"""What in its clause makes a label no verdict: a negation, or that someone else says it."""
SUPPOSED = re.compile(r"\b(?:would|had|if|were|unless)\b|如果|假如|若", re.I)

NOUN = re.compile(
    r"[*_\"'`]*\s+(?:answers?|side|term|one|option|reference|diagnos[ie]s|value|choice|label|stage|unit|number|word|"
    r"would|needs?|requires?|location|finding|response|reply|name|spelling|dose|level|anatom|laterality|interpretation|statement)",
    re.I,
)
"""What makes a label before it an adjective: "the CORRECT side"."""
LISTED = re.compile(r"[\s\"'*`.]*(?:,|/|\||or|and|vs\.?|versus)(?:[\s\"'*`.,/|]|or\b|and\b)*", re.I)
CLAUSE = re.compile(r"[.,;!?\n()—–→，。；！？（）]|=>")


def last_word(text: str, judge: Judge) -> str | None:
    """The last line, if it is a label and no more; else the label said last, if that is said as a verdict.

    That is where its clause only concludes ("so it is"): not after a negation, before a noun ("the CORRECT
    side"), in a list ("A or B"), or, where other labels are named too, with more to follow. Labels of one
    character, and plain words such as yes and no, occur in any prose: they count alone on the last line,
    plain words also where a line or sentence begins with them and a stop.
    """
    before, _, line = text.strip().rpartition("\n")
    if (alone := whole_line(line, judge)) and not asks_otherwise(before):
        return alone
    if min(map(len, judge.worth)) < 2:
        return None
    found = list(mentions(text, judge))
    if not found:
        return None
    if all(label.islower() for label in judge.worth):
        return found[-1][0] if len({label for label, _, _ in found}) == 1 else None
    label, start, end = found[-1]
    if len(found) > 1 and start - found[-2][2] < 40 and LISTED.fullmatch(text[found[-2][2] : start]):
        return None
    if len({name for name, _, _ in found}) == 1:
        return label if all(stated(text, *place) for _, *place in found) else None
    before = clause(text, start)
    told = concluding(before) or (before.rstrip()[-1:] in (":", "：") and not NEGATED.search(before))
    return label if told and not re.search(r"\w", text[end:]) else None


def stated(text: str, start: int, end: int) -> bool:
    """Whether a label is said as a verdict: where a line begins, before a stop, or by a concluding clause."""
    if text[end : end + 4].lstrip("*_\"'` ").startswith(("?", "？")):
        return False
    return concluding(clause(text, start))


def concluding(words: str) -> bool:
    """Whether words, perhaps none, only state a verdict."""
    plain = re.sub(r"\bin conclusion\b", "", words.casefold())
    said = re.findall(r"[a-z']+|[\u4e00-\u9fff]+|\d+", plain)
    return all(word in CONCLUDING for word in said) and not NEGATED.search(words)


def asks_otherwise(before: str) -> bool:
    """Whether the line before the last asks for something else than a verdict ("Unsound steps:")."""
    line = before.rstrip().rpartition("\n")[2]
    return line.endswith((":", "：")) and not VERDICT.search(line)


def whole_line(line: str, judge: Judge) -> str | None:
    """A line that is a label and no more, but for what may lead up to it."""
    lead = LEAD.match(line)
    return offered(line, judge) or (offered(line[lead.end() :], judge) if lead else None)


def mentions(text: str, judge: Judge) -> Iterator[tuple[str, int, int]]:
    """Labels said in a text, with their places: as they are written, or in any case at the start of a line.

    Plain words only at the start of a line or sentence, before a stop.
    """
    names = "|".join(re.escape(label) for label in sorted(judge.worth, key=len, reverse=True))
    known = {label.casefold(): label for label in judge.worth}
    stop = r"(?=[*_\"'`]{0,3}\s?(?:[,.;:!(（，。\n-]|$))"
    begins = (
        rf"(?:^|[\n.!?。！？])[\s*_\"'`#>-]{{0,9}}(?:verdict\s?[:：]\s?[*_]{{0,3}})?(?P<begin>{names}){stop}"
    )
    plain = all(label.islower() for label in judge.worth)
    written = "(?!)" if plain else rf"(?<![A-Za-z0-9_./-])(?P<said>{names})(?![A-Za-z0-9_/-])"
    for match in re.finditer(rf"(?:{written})|(?i:{begins})", text):
        group = "begin" if match["begin"] else "said"
        if group == "begin" or not NOUN.match(text[match.end() : match.end() + 40]):
            yield known[match[group].casefold()], match.start(group), match.end(group)


def clause(text: str, place: int) -> str:
    """What stands before a place, back to the last stop."""
    before = text[max(place - 80, 0) : place]
    stops = [match.end() for match in CLAUSE.finditer(before)]
    return before[stops[-1] :] if stops else before


BOX = re.compile(r"\\boxed\s*\{\s*(?:\\(?:text|mathbf|mathrm|textbf)\s*\{([^{}]*)\}|([^{}]*))\s*\}")


def last_box(text: str, judge: Judge) -> str | None:
    r"""What stands in the last `\boxed{…}`; nothing where that is broken or holds more than a label."""
    starts = [match.start() for match in re.finditer(r"\\boxed", text)]
    boxes = [BOX.match(text, start) for start in starts]
    if not boxes or boxes[-1] is None:
        return None
    found = [(offered(box[1] or box[2], judge), box.start(), box.end()) for box in boxes if box]
    return settled(text, found)


def last_tag(text: str, judge: Judge) -> str | None:
    """What stands in the last `<answer>…</answer>`; nothing where that is not closed."""
    found: list[tuple[str | None, int, int]] = []
    place = 0
    for match in re.finditer(r"<(/?)answer>", text, re.I):
        if not match[1]:
            place = match.end()
            found.append((None, match.start(), match.end()))
        elif found and found[-1][2] == place:
            found[-1] = (offered(text[place : match.start()], judge), found[-1][1], match.end())
    return settled(text, found)


OBJECT = re.compile(r"\{\s*[\"']")
DECODER = json.JSONDecoder(strict=False)


def last_object(text: str, judge: Judge) -> str | None:
    """The value of the judge's key in the last JSON object that has one.

    Where an object is broken nothing counts: what looks like another in it may be a quotation.
    """
    found, place = [], text.find("{")
    while place >= 0:
        begins = place
        try:
            held, place = DECODER.raw_decode(text, place)
        except (ValueError, RecursionError):
            if OBJECT.match(text, place):
                return None
            held, place = None, place + 1
        if isinstance(held, dict) and judge.key in held:
            found.append((offered(held[judge.key], judge), begins, place))
        place = text.find("{", place)
    return settled(text, found)


def settled(text: str, found: Sequence[tuple[str | None, int, int]]) -> str | None:
    """The last of several verdicts with their places.

    None where it is only denied, supposed or quoted ("I would have said …"), or where others came before
    and more is said after it.
    """
    if not found:
        return None
    label, start, end = found[-1]
    if len({one for one, _, _ in found}) > 1:
        since = clause(text[found[-2][2] : start], start - found[-2][2])
        line = text[found[-2][2] : start].rpartition("\n")[2]
        told = concluding(since) and not SUPPOSED.search(line) and not re.search(r"\w", text[end:])
        return label if told else None
    before = clause(text, start)
    return None if NEGATED.search(before) or SUPPOSED.search(before) else label


FORMS: Mapping[Form, Callable[[str, Judge], str | None]] = {
    "word": last_word,
    "boxed": last_box,
    "answer": last_tag,
    "json": last_object,
}
