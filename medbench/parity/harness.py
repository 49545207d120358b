"""General evaluation harnesses for text that medical numbers are quoted from."""

import re
import string

from medbench.parity.marking import chosen, first, labelled_text, last_box, letters, same_text, untexted
from medbench.parity.types import NOTHING, Mark, Profile, Reader
from medbench.parity.vqa import after_answer, equal, evalscope_spelling, short_answers
from medbench.schema import LETTERS, Example

_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, ""))

# simple-evals ------------------------------------------------------------------------------------

_LATEX = re.compile(r"\*\*|\$|\\\$|\\boxed|\\text|\\math(?:rm|bf)|\\[({]|\{")
_COLON = re.compile(r"(?:Answer|答案|答)\s*+[:：]\s*+([A-Z])", re.IGNORECASE)


def simple_evals(reply: str, example: Example) -> Mark:
    """The first "Answer: X" once emphasis and LaTeX are gone; a small letter is a wrong answer."""
    allowed = max("ABCD", letters(example))
    found = (match.group(1) for match in _COLON.finditer(_LATEX.sub("", reply)))
    return chosen(next((letter for letter in found if letter.upper() in allowed), None), example)


# lm-evaluation-harness ---------------------------------------------------------------------------

_ANSWER_IS = re.compile(r"answer is \(?([A-J])")
_REST_OF_LINE = re.compile(r"(?:answer is |The answer: |The final answer: |The answer is: )([^\n]+)")
_BRACKETED = re.compile(r"\(([A-Z])\)")


def lm_eval(reply: str, example: Example) -> Mark:
    """The first "answer is (X)"."""
    return chosen(first(_ANSWER_IS, reply), example)


def lm_eval_strict(reply: str, example: Example) -> Mark:
    """All but the last character of the line after "answer is": it must be the letter alone."""
    rest = first(_REST_OF_LINE, reply) or ""
    said = rest[:-1].strip().translate(_PUNCTUATION).upper()
    return chosen(said if len(said) == 1 else None, example)


def lm_eval_flexible(reply: str, example: Example) -> Mark:
    """The last "(X)", else the option text, else the ": X", that comes last."""
    bracketed = _BRACKETED.findall(reply)
    if bracketed:
        return chosen(bracketed[-1], example)
    spelt = [_spelt(option.strip()) for option in example.options]
    longest_first = sorted(filter(None, spelt), key=len, reverse=True)
    named = re.findall("|".join(map(re.escape, longest_first)) or r"(?!)", _spelt(reply))
    if named:
        return chosen(letters(example)[len(spelt) - 1 - spelt[::-1].index(named[-1])], example)
    found = re.findall(r":\s*+([A-Z])", reply)
    return chosen(next((letter for letter in reversed(found) if letter in letters(example)), None), example)


def _spelt(text: str) -> str:
    return text.lower().translate(_PUNCTUATION)


# Inspect, EvalScope ------------------------------------------------------------------------------

_WRAPPED = re.compile(r"(\$|\*\*)\s*+([A-Za-z\d][A-Za-z\d ,]*+)\1")
_IN_BRACKETS = re.compile(r"((?:\A|[:,])\s*+)\(([A-Za-z\d])\)(?=\s*+(?:[,.]|\Z)|[^\S\n]*+\n)")
_OWN_LINE = re.compile(r"^ANSWER\s*+:\s*+([a-z\d ,]++)(?:$|\.)", re.IGNORECASE | re.MULTILINE)
_ANYWHERE = re.compile(r"ANSWER\s*+:\s*+([a-z\d ,]++)(?!\w)", re.IGNORECASE)


def _stated(reply: str) -> str:
    text = _IN_BRACKETS.sub(r"\1\2", _WRAPPED.sub(r"\2", reply))
    found = _OWN_LINE.findall(text) or _ANYWHERE.findall(text)
    return found[-1].strip().strip(",").upper() if found else ""


def inspect(reply: str, example: Example) -> Mark:
    """What follows the last "ANSWER:" that has a line to itself, else the last anywhere."""
    said = _stated(reply)
    return chosen(said if len(said) == 1 else None, example)


def inspect_multi(reply: str, example: Example) -> Mark:
    """The same with several letters, by commas, blanks or nothing between them."""
    return _several(_stated(reply), example)


def _several(text: str, example: Example) -> Mark:
    said = set(re.sub(r"[\s,，]|\bAND\b", "", text))
    if not said or not said <= set(letters(example)):
        return NOTHING
    answer = "".join(sorted(said))
    return Mark(answer, answer in example.gold, "read")


_MARKER = re.compile(r"ANSWER\s*+:\s*+\**+\s*+", re.IGNORECASE)
_MARKER_ZH = re.compile(r"答案\s*+[:：]\s*+\**+\s*+")
_LABEL = re.compile(
    r"[(\[（【]\s*+([A-Za-z\d](?:\s*+[,，]\s*+[A-Za-z\d])*+)\s*+[)\]）】]|([A-Za-z\d][A-Za-z\d ,，]*+)"
)


def _labels(reply: str, example: Example) -> str | None:
    """The leading labels after the last marker that any follow."""
    marker = _MARKER_ZH if example.lang == "zh" else _MARKER
    for match in reversed(list(marker.finditer(reply))):
        label = _LABEL.match(reply, match.end())
        lead = _lead(label.group(1) or label.group(2), letters(example)) if label else ""
        if lead:
            return lead
    return None


def _lead(run: str, allowed: str) -> str:
    end = 0
    for word in re.finditer(r"[A-Za-z\d]++", run):
        if not set(word.group()) <= set(allowed):
            break
        end = word.end()
    return run[:end]


def evalscope(reply: str, example: Example) -> Mark:
    """The label after the last "ANSWER:", else the last capital letter of the reply if it is an option."""
    label = _labels(reply, example)
    if label is not None:
        return chosen(label if len(label) == 1 else None, example)
    capital = next((mark for mark in reversed(reply) if mark.isupper()), None)
    return chosen(capital, example, "guessed")


def evalscope_multi(reply: str, example: Example) -> Mark:
    """All labels after the last "ANSWER:", else the last capital letter alone."""
    label = _labels(reply, example)
    return _several(label, example) if label is not None else evalscope(reply, example)


# NeMo Gym ----------------------------------------------------------------------------------------

_ALONE = re.compile(r"[^A-Za-z]*([A-Z])[^A-Za-z]*")
_WITH_TEXT = re.compile(r"\s*([A-Z])\s*[:).-].*", re.DOTALL)
_COLON_REST = re.compile(r"answer\s*+:\s*+([^\n]+)", re.IGNORECASE)


def nemo_strict(reply: str, example: Example) -> Mark:
    r"""One capital in the last `\boxed{}`, alone or before a label mark; no list of them."""
    box = untexted(last_box(reply) or "")
    found = _ALONE.fullmatch(box) or _WITH_TEXT.fullmatch(box)
    return chosen(found.group(1) if found else None, example)


def nemo_lenient(reply: str, example: Example) -> Mark:
    """The same, else the one option whose text the last box holds."""
    mark = nemo_strict(reply, example)
    box = " ".join(untexted(last_box(reply) or "").lower().split())
    if mark.answer or not box:
        return mark
    spelt = [" ".join(option.lower().split()) for option in example.options]
    held = [letter for letter, text in zip(letters(example), spelt, strict=False) if text and text in box]
    return chosen(held[0] if len(held) == 1 else None, example)


def nemo_colon(reply: str, example: Example) -> Mark:
    """The rest of the line after the first "Answer:" as letter or option text."""
    rest = untexted(first(_COLON_REST, reply) or "").strip()
    return chosen(labelled_text(rest, example) if len(rest) == 1 else same_text(rest, example), example)


# OpenCompass -------------------------------------------------------------------------------------


def _opencompass_patterns(options: str) -> tuple[re.Pattern[str], ...]:
    x = rf"([{options}])"
    return tuple(
        re.compile(pattern, re.DOTALL)
        for pattern in (
            rf"答案(?:选项)?(?:应该?)?[是为选]?\s*+[:：]?+\s*+\(?(?:\*\*)?{x}",
            rf"选择?\s*+{x}",
            rf"{x}\s?是正确(?:的|答案)",
            rf"选项\s?{x}\s?正确",
            rf"[\s，：:,]{x}[。，,.]?$",
            rf"(?:[是为。]|因此|显然|所以)\s?{x}[。.]?$",
            r"答案(?:应该)?[是为]\s?(\S{1,200})(?:。|$)",
            rf"(?i:ANSWER)\s*+:\s*+{x}",
            rf"[Tt]he (?:correct )?answer(?: to the question)? is(?: option)?:?\s++\(?(?:\*\*)?{x}",
            rf"[Tt]he correct (?:answer|option|answer option) is.{{0,2000}}?boxed\{{{x}\}}",
            rf"^选项\s?{x}",
            rf"^{x}\s?选?项",
            rf"^{x}[\s。，,：:.$]",
            r"1.\s?(.*)$",
            rf"{x}:",
            x,
        )
    )


_OPENCOMPASS = {n: _opencompass_patterns(LETTERS[:n]) for n in range(1, 27)}
_SURE = 13
"""So many of the patterns say which letter is the answer; the rest find any."""


def opencompass(reply: str, example: Example) -> Mark:
    """The first option, in option order, that the first matching of many ordered patterns holds."""
    text = reply.strip()
    for rank, pattern in enumerate(_OPENCOMPASS.get(len(example.options), ())):
        held = first(pattern, text) or ""
        letter = next((letter for letter in letters(example) if letter in held), None)
        if letter:
            return chosen(letter, example, "read" if rank < _SURE else "guessed")
    return NOTHING


_LM = "github EleutherAI/lm-evaluation-harness"
_NEMO = "github NVIDIA-NeMo/Gym, resources_servers/mcqa/README.md (52755d0), read 2026-11"
_FLAN = f"{_LM}, tasks/mmlu/flan_cot_zeroshot (043d5c6), filters as in lm-eval 0.4.13"


def _mcq(reader: Reader, name: str, peer: str, *, rule: str, origin: str, flaw: str = "") -> Profile:
    return Profile(name, peer, rule, origin, {"mcq": reader}, flaw=flaw)


PROFILES = (
    _mcq(
        simple_evals,
        "simple-evals",
        "simple-evals (OpenAI), MMLU",
        rule="the first 'Answer: X' once emphasis and LaTeX marks are gone",
        origin="github openai/simple-evals, common.py (01ac108), read 2026-11; English and Chinese only",
        flaw="an answer that is corrected later still counts; 'Answer: Aspirin' reads A",
    ),
    _mcq(
        lm_eval,
        "lm-eval",
        "lm-evaluation-harness, generative mmlu_pro",
        rule="the first 'answer is (X)' or 'answer is X', A to J",
        origin=f"{_LM}, tasks/mmlu_pro (068f6ff), filter custom-extract, read 2026-11",
        flaw="'answer is: C', 'Answer: C' and '**C**' are not read; 'answer is Acute' reads A",
    ),
    _mcq(
        lm_eval_strict,
        "lm-eval-strict",
        "lm-evaluation-harness, mmlu_flan_cot_zeroshot, strict-match",
        rule="the line after 'answer is', less its last character, must be the letter",
        origin=_FLAN,
        flaw="'The answer is B' without a full stop is lost",
    ),
    _mcq(
        lm_eval_flexible,
        "lm-eval-flexible",
        "lm-evaluation-harness, mmlu_flan_cot_zeroshot, flexible-extract",
        rule="the last '(X)', else the last option text, else the last ': X'",
        origin=_FLAN,
        flaw="an option that is mentioned last, even to reject it, counts",
    ),
    Profile(
        "inspect",
        "Inspect AI",
        "the last line 'ANSWER: X', else the last 'ANSWER: X' anywhere",
        "github UKGovernmentBEIS/inspect_ai, solver/_multiple_choice.py, as in inspect-ai 0.3.285",
        {"mcq": inspect, "multi": inspect_multi},
    ),
    Profile(
        "evalscope",
        "EvalScope",
        "the label after the last 'ANSWER:', else the last capital letter; short answers by SLAKE's rule, "
        "articles dropped and number words as digits",
        "github modelscope/evalscope, utils/multi_choices.py (1617436), slake/utils.py (76467d2)",
        {
            "mcq": evalscope,
            "multi": evalscope_multi,
            **short_answers(equal(evalscope_spelling, after_answer)),
        },
        flaw="the last capital letter of a reply is a guess",
    ),
    _mcq(
        nemo_strict,
        "nemo-gym",
        "NeMo Gym mcqa, strict_single_letter_boxed",
        rule="one capital in the last \\boxed{}, alone or before ':', ')', '.', '-'",
        origin=_NEMO,
    ),
    _mcq(
        nemo_lenient,
        "nemo-gym-lenient",
        "NeMo Gym mcqa, lenient_boxed",
        rule="as nemo-gym, else the only option whose text the last box holds",
        origin=_NEMO,
    ),
    _mcq(
        nemo_colon,
        "nemo-gym-colon",
        "NeMo Gym mcqa, lenient_answer_colon",
        rule="the line after the first 'Answer:' is the letter or the option text",
        origin=_NEMO,
    ),
    _mcq(
        opencompass,
        "opencompass",
        "OpenCompass, first option",
        rule="the first of some fifty ordered forms, mostly Chinese, here sixteen; at last any option letter",
        origin="github open-compass/opencompass, utils/text_postprocessors.py, copy of 2026-08-19",
        flaw="a trailing letter beats 'the answer is'; after a digit 1, and at last, any letter counts",
    ),
)
