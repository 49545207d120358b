"""Reading an answer out of a reply: an ordered tuple of named rules, the first that finds anything decides.

Within a rule the last committed statement counts. A rule finds an answer, or finds that the reply
commits to several (`ambiguous`) or declines (`refused`), or passes. A box, tag, field or statement that
holds none of the choices also passes, but then only explicit rules are still asked. Nothing is ever
drawn, guessed, approximated or assumed.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import get_args

from medbench.schema import Example, Finish, Kind, Status
from medbench.verify import (
    affirmed,
    declared,
    enclosed,
    implicit,
    numbers,
    phrases,
    prose,
    restated,
    revision,
    several,
    statement,
    turns,
    values,
    words,
)
from medbench.verify.labels import lettered
from medbench.verify.page import OUTSIDE, Found, Page, choices
from medbench.verify.text import visible
from medbench.verify.wording import wording


@dataclass(frozen=True, slots=True)
class Reading:
    """The answer found in a reply and the rule that found it, or why there is none."""

    answer: str | None
    rule: str
    status: Status


@dataclass(frozen=True, slots=True)
class Rule:
    """One way an answer is given.

    An explicit one also counts in a reply that was cut off, and in a thought with nothing after it. One with
    an `early` form, found at the beginning, also counts in a reply that was cut off after it.
    """

    name: str
    example: str
    kinds: frozenset[Kind]
    find: Callable[[Page], Found | None]
    explicit: bool = False
    early: Callable[[Page], Found | None] | None = None


def kind_of(example: Example) -> Kind:
    """The kind a question is read as: a closed or open one whose golds are yes or no is a yes/no question."""
    if example.kind in ("closed", "open") and words.polar(example.gold):
        return "yesno"
    return example.kind


_ALL: frozenset[Kind] = frozenset(get_args(Kind))
_MULTI: frozenset[Kind] = frozenset({"multi"})
_MCQ: frozenset[Kind] = frozenset({"mcq"})
_YESNO: frozenset[Kind] = frozenset({"yesno"})
_CLOSED: frozenset[Kind] = frozenset({"closed"})
_PHRASE: frozenset[Kind] = frozenset({"closed", "open"})
_NUMBER: frozenset[Kind] = frozenset({"number"})
_WORDS: frozenset[Kind] = frozenset({"closed", "number", "open", "free"})

RULES: tuple[Rule, ...] = (
    Rule("correction", "The answer is C. Wait, actually B.", _ALL - {"free"}, revision.correction, True),
    Rule("boxed", r"\boxed{\text{C}}", _ALL, enclosed.boxed, True),
    Rule("tag", "<answer>C</answer>", _ALL, enclosed.tag, True),
    Rule("field", '{"answer_choice": "C"}', _ALL, enclosed.field, True),
    Rule("statement", "So the correct option is (C).", _ALL, statement.statement, True),
    Rule("alone", "C. Aspirin", _MCQ, implicit.alone, True),
    Rule("alone", "A, C and D", _MULTI, several.alone, True),
    Rule("alone", "Yes.", _YESNO, words.alone, True),
    Rule("closing", "It inhibits COX.\n\n**C. Aspirin**", _MCQ, implicit.closing),
    Rule("closing", "Both inhibit it.\n\nA, C", _MULTI, several.closing),
    Rule("closing", "Both trials agree. So, yes.", _YESNO, words.last),
    Rule("opening", "C. Aspirin\n\nIt inhibits COX.", _MCQ, implicit.opening, early=implicit.opened),
    Rule("opening", "Yes, both trials agree.", _YESNO, words.first, early=words.first),
    Rule(
        "opening",
        "Left lung.\n\nThe opacity lies on the left side.",
        _PHRASE,
        phrases.first,
        early=phrases.first,
    ),
    Rule("nothing", "None of the options is right.", _MCQ, prose.nothing),
    Rule(
        "conclusion",
        "(A) acts late. Thus the drug given is (C).",
        _MCQ,
        prose.conclusion,
        early=prose.concluded_early,
    ),
    Rule(
        "declared",
        "(A) thins blood too, but (C) is correct. Ask him.",
        _MCQ,
        declared.declared,
        early=declared.declared_first,
    ),
    Rule("declared", "A is true.\nB is false.\nC is true.\nD is false.", _MULTI, declared.each_judged),
    Rule("qualified", "The expert's answer is C.", _ALL - {"free"}, statement.otherwise),
    Rule(
        "line", "COX is blocked.\n\nC. Aspirin\n\nIt lasts.", _MCQ, implicit.line, early=implicit.later_line
    ),
    Rule("asserted", "The most likely culprit is aspirin. Ask when it was taken.", _MCQ, prose.asserted),
    Rule("label", "C) because it inhibits COX.", _MCQ, implicit.begins, early=implicit.begun),
    Rule("named", "This is described by option C.", _MCQ, prose.named),
    Rule(
        "restated",
        "The drug that irreversibly inhibits cyclooxygenase is aspirin, and it acts for days.",
        _MCQ,
        restated.option,
        early=restated.option,
    ),
    Rule("mention", "One would give aspirin here.", _MCQ, prose.mention),
    Rule("refusal", "I'm sorry, but I can't provide a diagnosis.", _ALL - {"free"}, implicit.refuses),
    Rule("restated", "There is no effusion.", _YESNO, affirmed.word, early=affirmed.word_early),
    Rule("restated", "The drug that was given is aspirin, which is rare.", _PHRASE, restated.phrase),
    Rule(
        "conclusion",
        "It is 14 mg twice.\nHence the dose is 2 x 14 = 28 mg.",
        _NUMBER,
        values.number,
        early=values.counted_early,
    ),
    Rule("whole", "left lung", _WORDS, implicit.whole),
)
"""Every rule, in the order in which they are asked."""

_BY_KIND: dict[Kind, tuple[tuple[Rule, ...], ...]] = {
    kind: (
        tuple(rule for rule in RULES if kind in rule.kinds and rule.explicit),
        tuple(replace(rule, find=rule.early) for rule in RULES if kind in rule.kinds and rule.early),
        tuple(rule for rule in RULES if kind in rule.kinds and not rule.explicit),
    )
    for kind in _ALL
}


_STATED: dict[Kind, tuple[Rule, ...]] = {
    kind: tuple(
        rule
        for rule in RULES
        if kind in rule.kinds
        and (rule.explicit or rule.name in ("closing", "opening", "line", "label", "whole"))
    )
    for kind in _ALL
}
"""Rules that find an answer plainly given, not one gathered from prose."""


def read(reply: str, example: Example, finish: Finish = "stop") -> Reading:
    """The answer `reply` gives to `example`, read without knowing the gold."""
    if finish == "error":
        return Reading(None, "none", "error")
    if finish == "refused":
        return Reading(None, "finish", "refused")
    text, thought = visible(reply)
    if not text:
        return Reading(None, "none", "truncated" if finish == "length" else "no_answer")
    text = turns.unlabelled(text)
    if example.labels:
        text = lettered(text, example.labels)
    own = _own_turn(text, example)
    if len(own) < len(text):
        text, finish = own, "stop"  # the answer was complete: it is a further turn that was cut off
    kind = kind_of(example)
    plain_mcq = kind == "mcq" and not thought and finish != "length"
    if plain_mcq and (letter := statement.on_last_line(text, len(example.options))):
        return Reading(letter, "statement", "scored")
    form = numbers.form(example.gold) if kind == "number" else "number"
    page = Page.of(turns.without_offers(text), choices(kind, example.options, form), example.question)
    explicit_rules, early_rules, other_rules = _BY_KIND[kind]
    reading = _ask(explicit_rules, page)
    if finish == "length":
        reading = reading if reading and not thought and not _cut_in(text, reading) else None
        return reading or (None if thought else _ask(early_rules, page)) or Reading(None, "none", "truncated")
    if reading is None and not thought:
        reading = _ask(other_rules, _before_rest(page))
        if reading is None and kind == "mcq":
            reading = _ask(other_rules, page, but=("named", "mention"))
    return reading or Reading(None, "none", "no_answer")


def _before_rest(page: Page) -> Page:
    """A page up to where it turns to options that it does not choose, or checks the number it gave."""
    end = turns.check(page.text) if page.choices.kind == "number" else turns.others(page.text)
    return page if end is None else Page.of(page.text[:end], page.choices, page.question)


_TURNING = re.compile(
    r"\b(?:wait|actually|hmm|hold on|oops|(?:that|this) is (?:wrong|incorrect))\b[^.!?\n]*$", re.I
)
_GOES_ON = re.compile(r"(?:\b(?:or|and|and/or|to|versus|vs)|[/|,])\s*$")
_LAST_NUMBER = re.compile(r"[\d.,]*\d$")


def _cut_in(text: str, reading: Reading) -> bool:
    """Whether a reply was cut off right after the number or letter read from it, perhaps within a word."""
    answer = reading.answer or ""
    if _TURNING.search(text, max(0, len(text) - 60)):
        return True
    if _GOES_ON.search(text) and _GOES_ON.sub("", text).rstrip(" *_.,)\"'").endswith(answer):
        return True
    if " " in answer and text[-1].isalnum() and answer.endswith(wording(text[-40:].split()[-1])):
        return True  # within a phrase
    if len(answer) == 1 and answer.isalpha():
        stated = reading.rule == "statement" and answer != "A"
        alone = text[-1] in (answer, answer.lower()) and not text[-2:-1].isalnum()
        return alone and len(text.strip("( *")) > 1 and not stated
    last = _LAST_NUMBER.search(text, max(0, len(text) - 30))
    number = last.group() if last else ""
    return number.replace(",", "") == answer and text.count(number) == 1


def _own_turn(text: str, example: Example) -> str:
    """`text` up to where the model goes on with a turn of its own making, if it answered before."""
    chosen = choices(kind_of(example), example.options)
    end = turns.next_turn(text, chosen)
    if end is None or end < 1:
        return text
    found = _ask(_STATED[kind_of(example)], Page.of(text[:end], chosen, example.question))
    return text[:end] if found is not None and found.answer is not None else text


def _ask(rules: tuple[Rule, ...], page: Page, but: tuple[str, ...] = ()) -> Reading | None:
    """What the first rule that finds anything says; something outside the choices yields to an answer."""
    outside = None
    for rule in rules:
        found = rule.find(page) if rule.name not in but else None
        if found is OUTSIDE:
            outside = outside or Reading(None, rule.name, "no_answer")
        elif found is not None:
            return Reading(found.answer, rule.name, found.status)
    return outside
