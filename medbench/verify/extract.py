"""Reading an answer out of a reply: an ordered tuple of named rules, the first that finds anything decides.

Within a rule the last committed statement counts. A rule finds an answer, or finds that the reply
commits to several (`ambiguous`) or declines (`refused`), or passes. A box, tag, field or statement that
holds none of the choices also passes, but then only explicit rules are still asked. Nothing is ever
drawn, guessed, approximated or assumed.
"""

from collections.abc import Callable
from dataclasses import dataclass

from medbench.schema import Example, Finish, Kind, Status
from medbench.verify import enclosed, implicit, statement
from medbench.verify.choose import OUTSIDE, Found, Page, choices
from medbench.verify.text import visible


@dataclass(frozen=True, slots=True)
class Reading:
    """The answer found in a reply and the rule that found it, or why there is none."""

    answer: str | None
    rule: str
    status: Status


@dataclass(frozen=True, slots=True)
class Rule:
    """One way an answer is given.

    An explicit one also counts in a reply that was cut off, and in a thought with nothing after it.
    """

    name: str
    example: str
    kinds: frozenset[Kind]
    find: Callable[[Page], Found | None]
    explicit: bool = False


_ALL: frozenset[Kind] = frozenset({"mcq", "yesno", "closed", "number", "open"})
_MCQ: frozenset[Kind] = frozenset({"mcq"})
_YESNO: frozenset[Kind] = frozenset({"yesno"})
_WORDS: frozenset[Kind] = frozenset({"closed", "number", "open"})

RULES: tuple[Rule, ...] = (
    Rule("correction", "The answer is C. Wait, actually B.", _MCQ | _YESNO, statement.correction, True),
    Rule("boxed", r"\boxed{\text{C}}", _ALL, enclosed.boxed, True),
    Rule("tag", "<answer>C</answer>", _ALL, enclosed.tag, True),
    Rule("field", '{"answer_choice": "C"}', _ALL, enclosed.field, True),
    Rule("statement", "So the correct option is (C).", _ALL, statement.statement, True),
    Rule("alone", "C. Aspirin", _MCQ, implicit.alone, True),
    Rule("alone", "Yes.", _YESNO, implicit.word_alone, True),
    Rule("closing", "It inhibits COX.\n\n**C. Aspirin**", _MCQ, implicit.closing),
    Rule("closing", "Both trials agree. So, yes.", _YESNO, implicit.word_last),
    Rule("opening", "C) because it inhibits COX.", _MCQ, implicit.opening),
    Rule("opening", "Yes, both trials agree.", _YESNO, implicit.word_first),
    Rule("declared", "(A) thins blood too, but (C) is correct.", _MCQ, implicit.declared),
    Rule("conclusion", "(A) acts late. Thus the drug given is (C).", _MCQ, implicit.conclusion),
    Rule("asserted", "The most likely culprit is aspirin.", _MCQ, implicit.asserted),
    Rule("named", "This is described by option C.", _MCQ, implicit.named),
    Rule("refusal", "I'm sorry, but I can't provide a diagnosis.", _ALL, implicit.refuses),
    Rule("mention", "One would give aspirin here.", _MCQ, implicit.mention),
    Rule("whole", "left lung", _WORDS, implicit.whole),
)
"""Every rule, in the order in which they are asked."""

_BY_KIND: dict[Kind, tuple[tuple[Rule, ...], tuple[Rule, ...]]] = {
    kind: (
        tuple(rule for rule in RULES if kind in rule.kinds and rule.explicit),
        tuple(rule for rule in RULES if kind in rule.kinds and not rule.explicit),
    )
    for kind in _ALL
}


def read(reply: str, example: Example, finish: Finish = "stop") -> Reading:
    """The answer `reply` gives to `example`, read without knowing the gold."""
    if finish == "error":
        return Reading(None, "none", "error")
    if finish == "refused":
        return Reading(None, "finish", "refused")
    text, thought = visible(reply)
    if not text:
        return Reading(None, "none", "truncated" if finish == "length" else "no_answer")
    page = Page.of(text, choices(example.kind, example.options), example.question)
    explicit_rules, other_rules = _BY_KIND[example.kind]
    reading = _ask(explicit_rules, page)
    if reading is None and finish == "length":
        return Reading(None, "none", "truncated")
    if reading is None and not thought:
        reading = _ask(other_rules, page)
    return reading or Reading(None, "none", "no_answer")


def _ask(rules: tuple[Rule, ...], page: Page) -> Reading | None:
    """What the first rule that finds anything says; something outside the choices yields to an answer."""
    outside = None
    for rule in rules:
        found = rule.find(page)
        if found is OUTSIDE:
            outside = outside or Reading(None, rule.name, "no_answer")
        elif found is not None:
            return Reading(found.answer, rule.name, found.status)
    return outside
