"""Whether an answer is right: yes/no words, phrases, numbers with units, dates, calculations; real golds."""

import calendar
import csv
import json
import math
import string
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench import verify
from medbench.schema import STATUSES, Example, Kind
from medbench.verify import arithmetic, dates, units, words
from medbench.verify.match import limits
from medbench.verify.numerals import SMALL, TENS, spoken
from medbench.verify.phrases import alternatives, same
from medbench.verify.wording import wording
from tests.support.process import seconds_of_cpu

DATA = Path(__file__).parents[1].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared real data is not beside this checkout")


def asked(kind: str, *gold: str, lang: str = "en") -> Example:
    """A question of some kind with these golds."""
    return Example("q", kind, "What is it?", gold, lang=lang)  # type: ignore[arg-type]


def said(reply: str, kind: str, gold: str = "7") -> str:
    """What is read from a reply: the answer, or the status that says why there is none."""
    reading = verify.read(reply, asked(kind, gold))
    return reading.answer or reading.status


# --- numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "human"),
    [
        ("7", "7"),
        ("7.0", "7"),
        ("-0.061", "-0.061"),
        ("−7", "-7"),
        ("1,200 mL", "1200 mL"),
        ("1，200", "1200"),
        ("７", "7"),
        ("1.2e3", "1200"),
        (r"\boxed{1.2 x 10^3}", "1200"),
        ("<answer>1.2×10³</answer>", "1200"),
        (r"\boxed{1.2 \times 10^{3}}", "1200"),
        (r"\boxed{1{,}200}", "1200"),
        (r"\boxed{7.0 \text{ mg/dL}}", "7 mg/dL"),
        (r"$\boxed{22.86 \, \text{kg/m}^2}$", "22.86 kg/m^2"),
        (r"\boxed{\frac{14}{2}}", "7"),
        (r"\boxed{2\frac{1}{2}}", "2.5"),
        (r"\boxed{-\frac{1}{2}}", "-0.5"),
        (r"\boxed{5/2}", "2.5"),
        ("2½ mg", "2.5 mg"),
        ("45%", "45 percent"),
        (r"\boxed{45\%}", "45 percent"),
        ("37 °C", "37 degC"),
        ("58.3 mL/min/1.73 m²", "58.3 mL/min"),
        ("150 µmol/L", "150 umol/L"),
        ("150 μmol/L", "150 umol/L"),
        ("7.2毫克", "7.2 mg"),
        ("twelve", "12"),
        ("two and a half", "2.5"),
        ("seven points", "7 point"),
        ("十二", "12"),
        ("approximately 7.2 mg/dL", "7.2 mg/dL"),
        ("约7.2", "7.2"),
        ("x = 14 / 2 = 7", "7"),
        ("x = - 7", "-7"),
        ("7.236 ≈ 7.2", "7.2"),
        (r"\boxed{7 out of 10}", "7"),
        ("7 in total", "7"),
        ('{"answer": "(140-72)/3*1.2"}', "27.2"),
        ('{"answer": (140-72)/3*1.2}', "27.2"),
        ('{"answer": "2**3"}', "8"),
        ('{"answer": 7.2}', "7.2"),
        ("<answer>7.0 mmol/L</answer>", "7 mmol/L"),
        ("The answer is **7.2** mg/dL.", "7.2 mg/dL"),
        ("The answer is 7 points (1 for age, 2 for sex).", "7 point"),
        ("The answer is 7.2, which is above the normal range of 3-5.", "7.2"),
        ("The CHA2DS2-VASc score is 3", "3"),
        ("#### 42", "42"),
        ("7 or 8", "ambiguous"),
        ("7-8", "ambiguous"),
        (r"\boxed{7-8}", "ambiguous"),
        ("between 7 and 8", "ambiguous"),
        ("The answer is 7 to 8.", "ambiguous"),
        ("The answer is 12 (or 13).", "ambiguous"),
        ("The answer is 2 points for age plus 1 for sex.", "ambiguous"),
        (r"\boxed{x = 5, y = 7}", "ambiguous"),
        (r"\boxed{10^{3}}", "1000"),
        ("Answer: 7+", "ambiguous"),
        ("<5", "no_answer"),
        (r"\boxed{\leq 5}", "no_answer"),
        ("less than 5", "no_answer"),
        ("12/24/2023", "no_answer"),
        ("1.2.3", "no_answer"),
        ("1e999", "no_answer"),
        ("high", "no_answer"),
        ("a few", "no_answer"),
        ("", "no_answer"),
    ],
)
def test_one_number_is_read_with_its_unit(reply: str, human: str) -> None:
    """Each labelled reply gives its number; two numbers, a bound or none give no answer."""
    assert said(reply, "number") == human


@pytest.mark.parametrize(
    ("gold", "reply", "correct"),
    [
        ("7", "7.0", True),
        ("7", "7.1", False),
        ("7", "7 mg/dL", True),
        ("6.65..7.35", "6.65", True),
        ("6.65..7.35", "7.35", True),
        ("6.65..7.35", "7.36", False),
        ("7+-5%", "7.35", True),
        ("7+-5%", "6.6", False),
        ("7±0.35", "6.65", True),
        ("-7+-5%", "-7.3", True),
        ("7.2 mg/dL", "7.2", True),
        ("7.2 mg/dL", "7.2 mg/dl", True),
        ("7.2 mg/dL", "72 mg/L", True),
        ("7.2 mg/dL", "0.072 g/L", True),
        ("7.2 mg/dL", "7.2 g/L", False),
        ("7.2 mg/dL", "7.2 kg", False),
        ("7.2 mg/dL", "7.2 mmol/L", False),
        ("6.8..7.6 mg/dL", "72 mg/L", True),
        ("7.2+-0.2 mg/dL", "7.4", True),
        ("70 kg+-1%", "154 lb", True),
        ("70 kg+-1%", "70 lb", False),
        ("37 °C", "98.6 °F", True),
        ("90 mmHg", "90 mm Hg", True),
        ("45%", "45", True),
        ("45%", "0.45", False),
        ("1,200", "1200", True),
        ("1/2", "0.5", True),
        ("2 weeks", "14 days", True),
        ("words", "7", False),
    ],
)
def test_a_number_is_right_within_the_limits_of_its_gold(gold: str, reply: str, correct: bool) -> None:
    """Limits are inclusive; a unit on both sides is converted, a unit on one side is not asked for."""
    example = asked("number", gold)
    assert verify.grade(reply, example).correct is correct, verify.grade(reply, example)


def test_no_unit_reaches_the_converter_but_those_of_the_table() -> None:
    """Text that is no product of known atoms has no unit, whatever pint would make of it."""
    for text in [
        "os",
        "g**9",
        "g**999999",
        "__import__('os')",
        "meter.__class__",
        "g" * 500,
        "1e9 g",
        "kg^9",
    ]:
        assert units.canonical(text) is None, text


# --- calculations ----------------------------------------------------------------------------------

numbers_ = st.one_of(st.integers(0, 999).map(str), st.floats(0.01, 999).map(lambda number: f"{number:.2f}"))
calculations = st.recursive(
    numbers_,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", " + ", " * "]), inner).map("".join),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"-({text})"),
        st.tuples(st.integers(0, 20).map(str), st.just("**"), st.integers(0, 6).map(str)).map("".join),
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(calculations)
def test_a_calculation_comes_to_what_python_says(text: str) -> None:
    """Within its bounds the parser agrees with Python's own arithmetic."""
    try:
        wanted = float(eval(text, {"__builtins__": {}}))  # digits of our own making
    except (ZeroDivisionError, OverflowError):
        wanted = math.nan
    found = arithmetic.value(text)
    if len(text) <= arithmetic.LONGEST and found is None:
        assert math.isnan(wanted) or "**" in text or text.count("(") > arithmetic.DEEPEST
    elif found is not None:
        assert math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize(
    "text",
    ["9**9**9**9", "2**65", "10**64**2", "(" * 50 + "1" + ")" * 50, "-" * 100 + "1", "1+" * 200 + "1", "1/0",
     "(-8)**0.5", "abs(1)", "1 if 1 else 2", "[1]", "'a'*9", "1_000", "0x10", "1j", "True", "lambda: 1",
     "1//2", "5%3", "1,2", "\x00", "1;2", "x", "", " ", "()"],
)  # fmt: skip
def test_anything_but_small_arithmetic_has_no_value(text: str) -> None:
    """Names, calls, towers of powers, deep nesting and long text are refused at once."""
    with seconds_of_cpu(10, text):
        assert arithmetic.value(text) is None


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("0123456789.+-*/^() ,e"), max_size=130))
def test_no_calculation_raises(text: str) -> None:
    """Any row of digits, signs and brackets gives a finite number or none."""
    found = arithmetic.value(text)
    assert found is None or math.isfinite(found)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 999_999))
def test_number_words_say_their_number(number: int) -> None:
    """A number spelled out in English is read back."""
    assert spoken(_spelled(number)) == number


def _spelled(number: int) -> str:
    if number < 20:
        return list(SMALL)[number]
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" and {_spelled(number % size)}" if number % size else ""
            return f"{_spelled(number // size)} {name}{rest}"
    return list(TENS)[number // 10 - 2] + (f"-{list(SMALL)[number % 10]}" if number % 10 else "")


# --- dates and weeks -------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.dates(date(1000, 1, 1)))
def test_every_spelling_of_a_date_is_that_date(day: date) -> None:
    """Month first, ISO, English names and Chinese all read as the same day."""
    month = calendar.month_name[day.month]
    for text in (
        f"{day.month}/{day.day}/{day.year}",
        f"{day.month:02}/{day.day:02}/{day.year}",
        f"{day.month}-{day.day}-{day.year}",
        day.isoformat(),
        f"{month} {day.day}, {day.year}",
        f"{month[:3]}. {day.day}th {day.year}",
        f"{day.day} {month[:3]} {day.year}",
        f"{day.day}th of {month}, {day.year}",
        f"{day.year}年{day.month}月{day.day}日",
    ):
        assert dates.iso(text) == day.isoformat(), text
        assert said(f"The answer is {text}.", "number", "03/15/2024") == day.isoformat(), text


@pytest.mark.parametrize(
    ("reply", "human"),
    [
        ('{"answer": "03/15/2024"}', "2024-03-15"),
        (r"\boxed{03/15/2024}", "2024-03-15"),
        ("Friday, March 15, 2024", "2024-03-15"),
        ("The answer is 03/15/2024 (last period 06/08/2023).", "2024-03-15"),
        ("<answer>03/15/2024 or 03/16/2024</answer>", "ambiguous"),
        ("15/03/2024", "no_answer"),
        ("02/30/2024", "no_answer"),
        ("03/15/24", "no_answer"),
        ("March 15", "no_answer"),
        ("March 2024", "no_answer"),
        ("20240315", "no_answer"),
    ],
)
def test_a_date_is_complete_possible_and_month_first(reply: str, human: str) -> None:
    """No part of a date is filled in or swapped."""
    assert said(reply, "number", "01/02/2003") == human


@pytest.mark.parametrize(
    ("reply", "correct"),
    [
        ("(12 weeks, 3 days)", True),
        ("('12 weeks', '3 days')", True),
        ("12w3d", True),
        ("12 weeks and 3 days", True),
        ("<answer>12+3 weeks</answer>", True),
        ("<answer>12 3/7 weeks</answer>", True),
        ("12周3天", True),
        ("(12, 3)", True),
        ('{"answer": "(12 weeks, 3 days)"}', True),
        ('{"answer": ["12 weeks", "3 days"]}', True),
        (r"\boxed{(12 \text{ weeks}, 3 \text{ days})}", True),
        ("The answer is 12 weeks and 3 days.", True),
        ("12 weeks, 4 days", False),
        ("11 weeks, 10 days", False),
        ("87 days", False),
        ("12 weeks", False),
        ("3 weeks, 12 days", False),
    ],
)
def test_weeks_and_days_are_both_right(reply: str, correct: bool) -> None:
    """A gestational age is its weeks and its days, as MedCalc-Bench compares them."""
    assert verify.grade(reply, asked("number", "('12 weeks', '3 days')")).correct is correct


# --- yes, no, maybe --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "human"),
    [
        ("Yeah", "yes"),
        ("Yep, it is.", "yes"),
        ("Nope.", "no"),
        ("Uncertain", "maybe"),
        ("True", "yes"),
        ("incorrect", "no"),
        ('{"answer": false}', "no"),
        ("The answer is true.", "yes"),
        ("是", "yes"),
        ("是的。", "yes"),
        ("对的", "yes"),
        ("有,左肺可见结节。", "yes"),
        ("包含", "yes"),
        ("可以", "yes"),
        ("不是", "no"),
        ("否", "no"),
        ("没有。图像显示正常。", "no"),
        ("不包含", "no"),
        ("不可以", "no"),
        ("不,图像中没有结节。", "no"),
        ("不是,是右侧。", "no"),
        ("不确定", "maybe"),
        ("答案是不是", "no"),
        ("答案是有。", "yes"),
        ("答案是否定的。", "no"),
        (r"\boxed{不是}", "no"),
        ("<answer>没有</answer>", "no"),
        ("左肺有结节。所以,是的。", "yes"),
        ("是,不是", "ambiguous"),
        ("是/否", "ambiguous"),
        ("<answer>有或没有</answer>", "no_answer"),
        ("是否存在?", "no_answer"),
        ("不正常", "no_answer"),
        ("无法确定", "no_answer"),
        ("没有发现结节", "no_answer"),
        ("normal", "no_answer"),
        ("not", "no_answer"),
        ("None", "no_answer"),
        ("nodule", "no_answer"),
        ("I don't know", "no_answer"),
        ("no-one knows", "no_answer"),
        ("positive", "no_answer"),
        ("The answer is correct.", "no_answer"),
    ],
)
def test_yes_and_no_are_words_in_two_languages(reply: str, human: str) -> None:
    """The longest word counts ("不是" before "是"), and only where an answer stands."""
    assert said(reply, "yesno", "yes") == human


@given(st.text(string.ascii_lowercase, min_size=1, max_size=6), st.sampled_from(["yes", "no"]))
def test_a_word_around_a_word_is_another_word(letters: str, word: str) -> None:
    """ "no" inside a longer word says nothing."""
    for longer in (letters + word, word + letters):
        if words.canonical(longer) not in ("yes", "no", "maybe"):
            assert said(longer, "yesno") in ("no_answer", "ambiguous")
            assert said(f"<answer>{longer}</answer>", "yesno") == "no_answer"


# --- phrases ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("X-Ray", "x ray"),
        ("xray", "X-ray image"),
        ("Chest radiograph", "chest x-ray"),
        ("MR", "MRI"),
        ("MRI", "Magnetic resonance imaging (MRI)"),
        ("CT", "CT scan"),
        ("CT", "Computed tomography"),
        ("T2", "T2-weighted"),
        ("T2 weighted MRI", "T2-weighted MR image"),
        ("noncontrast", "non-contrast"),
        ("ct w/contrast", "CT with contrast"),
        ("Haemorrhage", "hemorrhage"),
        ("oedema", "edema"),
        ("Crohn’s disease", "Crohn's Disease"),
        ("Two", "2"),
        ("twenty-one", "21"),
        ("1,200", "1200"),
        ("the diaphragm", "Diaphragm"),
        ("under the trachea", "Under trachea"),
        ("Lung, Heart", "heart and lung"),
        ("Lung, Heart", "- Heart\n- Lung"),
        ("Transverse  Plane", "transverse plane"),
        ("核磁共振", "MRI"),
        ("X光", "X-Ray"),
        ("黑色", "黑色的"),
        ("右肺, 左侧", "右肺，左侧"),
        ("生物转化、解毒", "解毒,生物转化"),
        ("左侧和上部", "上部、左侧"),
        ("两个", "2"),
        ("ＣＴ", "CT"),
    ],
)
def test_spellings_of_one_phrase_meet(one: str, other: str) -> None:
    """Case, hyphens, articles, number words, modality names and the order of a list do not count."""
    assert same(wording(one), other)
    assert same(wording(other), one)


SIDES = ("left", "right", "bilateral", "upper", "lower")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("left lung", "right lung"),
        ("左肺", "右肺"),
        ("左侧", "右侧"),
        ("双侧", "左侧"),
        ("Left Lung, Right", "Right Lung, Left"),
        ("left", "left or right"),
        ("lung", "lungs"),
        ("hepatitis A", "hepatitis B"),
        ("hepatitis A", "hepatitis"),
        ("T1", "T2"),
        ("MRI", "MRA"),
        ("CT", "CTA"),
        ("with contrast", "without contrast"),
        ("contrast", "noncontrast"),
        ("HER2+", "HER2-"),
        ("HER2+", "HER2"),
        ("> 5", "< 5"),
        ("-5", "5"),
        ("3.5", "35"),
        ("benign", "malignant"),
        ("lung, heart", "lung"),
        ("lung", "lung, heart, liver"),
        ("正常", "不正常"),
    ],
)
def test_different_phrases_stay_apart(one: str, other: str) -> None:
    """Sides, signs, types and plurals are never folded."""
    assert not same(wording(one), other)
    assert not same(wording(other), one)


@given(st.lists(st.sampled_from((*SIDES, "lung", "the", "of", "X-ray", "a", "MR", "two")), max_size=6))
def test_no_side_is_lost_or_gained(parts: list[str]) -> None:
    """The sides in a phrase are the sides in its spelling."""
    before = sorted(part for part in parts if part in SIDES)
    assert sorted(word for word in wording(" ".join(parts)).split() if word in SIDES) == before


PIECES = ["x-ray", "XRAY ", "ct ", "scan ", "the ", "a ", "an ", "non", "-", " and ", ", ", "磁共振", "图像",
          "的", "X光", " ", "twenty", "one", "w/", "'s", "(", ")", ".", "5", "mr ", "t2w ", "Ｉ", "İ", "½",
          "左", "\n", "*", "\\", "haem"]  # fmt: skip
phrases_ = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=12).map("".join))


@settings(max_examples=500, deadline=None)
@given(phrases_)
def test_a_spelling_is_its_own_spelling(text: str) -> None:
    """Normalisation is idempotent on any text."""
    assert wording(wording(text)) == wording(text)


@pytest.mark.parametrize(
    ("kind", "gold", "reply", "correct"),
    [
        ("closed", "left lung", "It is the left lung.", True),
        ("closed", "MRI", "This is an MRI image.", True),
        ("open", "pneumonia", "The image shows pneumonia.", True),
        ("open", "肺炎", "图像显示肺炎。", True),
        ("closed", "左肺", "答案是左肺。因为左侧有阴影。", True),
        ("closed", "CT", "CT.\n\nThe bones are white and the slices are axial.", True),
        ("closed", "left lung", "It is not the left lung.", False),
        ("closed", "CT", "CT or MRI. It is hard to tell from the image alone.", False),
        ("closed", "CT", "CT\nMRI\nX-ray", False),
        ("closed", "MRI", "CT. On an MRI image the bones would not be this white.", False),
        ("open", "not seen", "It is not seen.", True),
    ],
)
def test_a_phrase_is_read_with_what_leads_up_to_it(kind: str, gold: str, reply: str, correct: bool) -> None:
    """A fixed lead-in may precede the phrase; lists, hedges and denials are another phrase."""
    assert verify.grade(reply, asked(kind, gold)).correct is correct, verify.grade(reply, asked(kind, gold))


def test_free_text_waits_for_a_judge() -> None:
    """Kind "free" is read but neither right nor wrong; silence is wrong."""
    verdict = verify.grade("The answer is rest.\nAnd water.", asked("free", "rest"))
    assert verdict.answer == "The answer is rest. And water."
    assert (verdict.status, verdict.correct) == ("unjudged", None)
    assert verify.grade("", asked("free", "rest")).correct is None


def test_vqa_med_references_hold_alternatives_and_optional_parts() -> None:
    """`#` separates answers and `( )` holds what may be left out."""
    assert alternatives("lung, mediastinum, pleura#spine and contents") == (
        "lung, mediastinum, pleura",
        "spine and contents",
    )
    assert alternatives("(seronegative) spondylarthropathies") == (
        "seronegative spondylarthropathies",
        "spondylarthropathies",
    )
    assert alternatives("ct (with gi and iv contrast)") == ("ct with gi and iv contrast", "ct")
    assert alternatives("a) b") == ("a) b",)
    assert len(alternatives("(a) " * 20)) <= 16
    assert alternatives("") == ()


# --- any text, any size ----------------------------------------------------------------------------

GOLDS = {
    "yesno": ["yes", "不包含"],
    "closed": ["Left lung", "T2"],
    "open": ["Lung, Heart", "肺"],
    "number": ["7", "7.2 mg/dL", "03/15/2024", "('12 weeks', '3 days')", "odd"],
    "free": ["anything"],
    "multi": ["AC"],
}
FRAGMENTS = [*PIECES, "7", "1,200", " mg/dL", "=", "≈", "/", "**", "^", r"\frac{1}{2}", r"\boxed{", "}",
             "weeks", "days", "12/", "2024", "年", "月", "The answer is ", "答案是", "是", "不", "有", "yes",
             "no", "%", "e9", " or ", "twelve "]  # fmt: skip
replies = st.one_of(st.text(max_size=200), st.lists(st.sampled_from(FRAGMENTS), max_size=20).map("".join))


@settings(max_examples=400, deadline=None)
@given(replies, st.sampled_from([(kind, gold) for kind, golds in GOLDS.items() for gold in golds]))
def test_any_text_is_graded(reply: str, question: tuple[str, str]) -> None:
    """No text raises for any kind and form of gold, and an answer read is read again as itself."""
    options = ("Heparin", "Warfarin", "Aspirin") if question[0] == "multi" else ()
    example = Example("q", question[0], "What?", (question[1],), options)  # type: ignore[arg-type]
    verdict = verify.grade(reply, example)
    assert verdict.status in STATUSES
    assert (verdict.answer is not None) == (verdict.status in ("scored", "unjudged"))
    if verdict.answer is not None and question[0] in ("yesno", "number"):
        assert verify.read(verdict.answer, example).answer == verdict.answer


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60), st.text(max_size=30))
def test_any_gold_is_understood_or_accepts_nothing(gold: str, reply: str) -> None:
    """No text as a gold raises; its limits are in order or empty."""
    for kind in ("yesno", "closed", "open", "number"):
        verify.grade(reply, asked(kind, gold))
    low, high = limits(gold)
    assert low <= high or (low, high) == (math.inf, -math.inf) or ".." in gold


REPEATED = ["- ", "a ", "non", "x-ray ", "磁共振", "的", "X光 ", "twenty ", "w/", "'s", "İ", "½", "7",
            "1,", "7 mg/dL ", "=", "1/", "**", "^2", r"\frac{1}{2}", "weeks ", "12 weeks ", "12/", "2024年",
            "不", "是,", "yes ", "%"]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "gold"),
    [("yesno", "yes"), ("closed", "Left lung"), ("number", "7"), ("number", "03/15/2024"),
     ("number", "('12 weeks', '3 days')")],
)  # fmt: skip
def test_a_megabyte_takes_no_longer_than_its_length(kind: str, gold: str) -> None:
    """No repeated fragment makes matching backtrack, wherever it stands."""
    example = asked(kind, gold)
    for unit in REPEATED:
        row = unit * (1900 // len(unit))
        with seconds_of_cpu(60, unit):
            verify.grade(unit * (1_000_000 // len(unit)), example)
            verify.grade(f"<answer>{row}</answer>", example)
            verify.grade(f"The answer is {row}", example)


# --- real golds ------------------------------------------------------------------------------------


def medcalc() -> list[tuple[dict[str, str], Example]]:
    """Every MedCalc-Bench v1.0 test row with its question: decimals in their limits, all else exact."""
    path = DATA / "medcalc_bench/test_data_v1_0.csv"
    found = []
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            gold = row["Ground Truth Answer"]
            if row["Output Type"] == "decimal":
                gold = f"{row['Lower Limit']}..{row['Upper Limit']}"
            found.append((row, Example(row["Row Number"], "number", row["Question"], (gold,))))
    return found


@needs_data
def test_every_medcalc_gold_passes_and_a_tenth_more_fails() -> None:
    """All 1,047 golds, worded as MedCalc's JSON, are right; decimals off by 10 % are wrong."""
    rows = medcalc()
    assert len(rows) == 1047
    for row, example in rows:
        gold = row["Ground Truth Answer"]
        reply = json.dumps({"step_by_step_thinking": "First 3 + 4 = 7.", "answer": gold})
        assert verify.grade(reply, example).correct, (gold, verify.grade(reply, example))
        assert verify.grade(verify.gold_reply(example), example).correct, example
        if row["Output Type"] == "decimal":
            for bound in (row["Lower Limit"], row["Upper Limit"]):
                assert verify.grade(json.dumps({"answer": bound}), example).correct, (bound, example)
            for off in (1.1, 0.9):
                if float(gold):
                    wrong = json.dumps({"answer": float(gold) * off})
                    assert verify.grade(wrong, example).correct is False, (wrong, example)


@needs_data
def test_no_medcalc_row_accepts_the_gold_of_another() -> None:
    """Within a calculator, a gold of another value is right nowhere it lies outside the limits."""
    rows = medcalc()
    for row, example in rows:
        others = [other for other, _ in rows if other["Calculator ID"] == row["Calculator ID"]]
        for other in others[:20]:
            gold = other["Ground Truth Answer"]
            if row["Output Type"] == "decimal":
                within = float(row["Lower Limit"]) <= float(gold) <= float(row["Upper Limit"])
            else:
                within = gold == row["Ground Truth Answer"]
            assert verify.grade(json.dumps({"answer": gold}), example).correct is within, (gold, example)


def slake() -> list[Example]:
    """The SLAKE test questions in both languages, yes/no where the gold says so."""
    rows = json.loads((DATA / "slake_text/test.json").read_text(encoding="utf-8"))
    examples = []
    for row in rows:
        closed = "closed" if row["answer_type"].strip() == "CLOSED" else "open"
        kind = "yesno" if words.canonical(row["answer"]) in ("yes", "no") else closed
        examples.append(asked(kind, row["answer"], lang=row["q_lang"]))
    return examples


@needs_data
def test_every_slake_gold_passes_its_own_scorer() -> None:
    """All 2,094 English and Chinese golds are right bare, tagged and in a sentence."""
    examples = slake()
    assert len(examples) == 2094
    assert sum(example.kind == "yesno" for example in examples) == 703
    for example in examples:
        gold = example.gold[0]
        for reply in (verify.gold_reply(example), gold, f"<answer>{gold}</answer>", f"The answer is {gold}."):
            assert verify.grade(reply, example).correct, (reply, verify.grade(reply, example))
        if example.lang == "zh":
            assert verify.grade(f"答案是{gold}。", example).correct, gold


@needs_data
def test_slake_golds_that_meet_are_one_answer() -> None:
    """Of all SLAKE test golds only spellings and the two languages of MRI and X-ray meet."""
    golds = sorted({example.gold[0] for example in slake()})
    met = {
        frozenset((one.casefold().replace(" ", ""), other.casefold().replace(" ", "")))
        for place, one in enumerate(golds)
        for other in golds[place + 1 :]
        if same(wording(one), other)
    }
    assert {pair for pair in met if len(pair) > 1} == {
        frozenset(("mri", "核磁共振")),
        frozenset(("x-ray", "x光")),
        *({pair for pair in met if pair == frozenset(("是的", "是"))}),
    }


@needs_data
def test_every_vqa_med_and_vqa_rad_gold_passes_its_own_scorer() -> None:
    """All 500 VQA-Med-2019 references with each of their alternatives, and all VQA-RAD test answers."""
    lines = (
        (DATA / "vqa_med_2019_text/VQAMed2019_Test_Questions_w_Ref_Answers.txt")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    golds = [alternatives(line.split("|")[3]) for line in lines]
    assert len(golds) == 500
    rad = json.loads((DATA / "vqa_rad/testset.json").read_text(encoding="utf-8"))
    assert len(rad) == 451
    golds += [(str(row["answer"]),) for row in rad]
    for gold in golds:
        example = asked("yesno" if words.canonical(gold[0]) in ("yes", "no") else "open", *gold)
        assert verify.grade(verify.gold_reply(example), example).correct, gold
        for accepted in gold:
            assert verify.grade(accepted, example).correct, (accepted, gold)
            assert verify.grade(f"<answer>{accepted}</answer>", example).correct, (accepted, gold)


@pytest.mark.parametrize(
    ("kind", "gold", "reply", "correct"),
    [
        ("number", "0.5", ".5", True),
        ("number", "5", ".5", False),
        ("number", "0.5", r"\\boxed{.5}", True),
        ("number", "7", "7 million", False),
        ("number", "-5", "The answer is minus 5.", True),
        ("number", "7", "The answer is unknown, maybe 7", False),
        ("number", "7", "The answer is 7. Wait, actually 8.", False),
        ("number", "8", "The answer is 7. Wait, actually 8.", True),
        (
            "number",
            "25.2",
            "The dose was raised.\n\nTherefore, the result is approximately 25.2 mL/min.",
            True,
        ),
        ("number", "(4 weeks, 3 days)", "The gestational age is 4 weeks and 3 days.", True),
        ("closed", "Yes", "Yes, there is a fracture.", True),
        ("closed", "No", "No. The bones are intact.", True),
        ("closed", "是", "是的。", True),
        ("closed", "没有", "没有", True),
        ("closed", "left lung", "The answer is the left lung. Wait, actually the right lung.", False),
        ("open", "face, sinuses, and neck#skull and contents", "skull and contents", True),
        ("open", "ct w/contrast (iv)", "ct w/contrast", True),
        ("open", "lung (right)", "lung", False),
        ("closed", "frontal left", "frontal right", False),
        ("closed", "diabetes type 1", "diabetes type 2", False),
        ("closed", "coronal", "coronal plane", True),
    ],
)
def test_what_breakers_found(kind: Kind, gold: str, reply: str, correct: bool) -> None:
    """Replies that were once graded wrongly are graded as a person would."""
    example = Example("q", kind, "In which plane, frontal or side, left or right, is it seen?", (gold,))
    if gold == "coronal":
        example = replace(example, question="In which plane is this image?")
    assert verify.grade(reply, example).correct is correct, verify.grade(reply, example)


@pytest.mark.parametrize(
    ("question", "reply", "human"),
    [
        ("Is there an effusion?", "According to the image, there is no effusion.", "no"),
        ("Is there an effusion?", "There is an effusion on the left.", "yes"),
        ("Is there a mass?", "There is no doubt that there is a mass.", None),
        ("Is there pneumothorax?", "There is none on the left, but there is one on the right.", None),
        ("Does the patient have a fever?", "I haven't had any nausea, vomiting, or fever.", None),
        ("Is there a fracture?", "A fracture was ruled out.", None),
        ("Is the heart size normal?", "No evidence of cardiomegaly.", None),
        ("Does this image look normal?", "It appears to be normal, with no abnormalities.", "yes"),
        ("Is there pain while standing?", "There is pain while standing.", "yes"),
        ("图中有肺部吗？", "图中没有肺部。", "no"),
        ("图中有肺部吗？", "没有证据表明图中有肺部。", None),
        ("Is it so?", "yeſ", "yes"),
        ("Can ginger cure gout?", "A: No, ginger cannot cure gout.", "no"),
        ("Can ginger cure gout?", "Ginger is a root.\n\nConclusion: No, ginger cannot cure gout.", "no"),
        ("Can ginger cure gout?", "So to directly answer your question: No, it cannot.", "no"),
        ("Can ginger cure gout?", "Therefore, ginger cannot cure gout.", "no"),
        ("Can ginger cure gout?", "Ginger could perhaps cure gout.", None),
        ("Can ginger cure gout?", "There is no evidence to suggest that ginger can cure gout.", "no"),
        ("Is there an effusion?", "An effusion is unlikely.", None),
        ("Is the liver above the kidney?", "The kidney is above the liver.", None),
        ("Is the liver above the kidney?", "The liver is above the kidney.", "yes"),
        ("Is the table on the rock?", "The rock is on the table.", None),
        ("Is it seen?", "ANSWER: YES with 80% probability", "yes"),
        ("Is it seen?", "Most likely no.", "no"),
        ("Does this chest x-ray display signs of pneumonia?", "There are no signs of pneumonia.", "no"),
        (
            "Does heparin influence bleeding?",
            "The study aimed to explore the influence of heparin on bleeding.",
            None,
        ),
        ("Can ginger cure gout?", "Some say that ginger can cure gout.", None),
        ("Can ginger cure gout?", "It is a myth that ginger can cure gout.", None),
        ("Did Ada live a quiet life?", "Therefore, Ada lived a quiet life.", "yes"),
        ("Are there any masses or nodules?", "There are no masses or nodules.", "no"),
        ("Is it so?", "Answer: Yes.\nAnswer: No.\nAnswer: Yes.\nAnswer: No, it", None),
        ("Is it so?", "The answer (Yes or No) is No.", "no"),
        ("Is it so?", "Human: Yes, the liver enhances.", "yes"),
        ("Is it so?", "The bridge is 13 feet high.\n\nNo, the boat does not fit.", "no"),
        ("Is it so?", "Any doubt?\n\nNo, none.", None),
        ("Is it so?", "Absolutely.", "yes"),
        ("Is it so?", 'The answer to your question is:\n\n"No, it does not."', "no"),
        ("Is it so?", "If the picture is of a lung, the answer is no.", None),
        ("Is it so?", "no The vaccine had no effect on them.", "no"),
        ("Is it so?", "No Man's Land is a novel.", None),
        ("Is it so?", "## Final Answer\n\nyes\n```python\n```", "yes"),
        ("Is it so?", "Definitely not.", "no"),
        ("Is it so?", "It does not.", "no"),
        ("Is it so?", "Yes, for adults; no, for children.", None),
        ("Can ginger cure gout?", "Yes, I can answer that. Ginger cannot cure gout.", "no"),
        ("Is there an effusion?", "There was an effusion. It has cleared.", None),
        ("Is there an effusion?", "There is no large effusion, only a small one.", None),
        ("Is there an effusion?", "There is no effusion on the left. There is one on the right.", None),
        ("Is there an effusion?", "An effusion is present no matter how you look at it.", "yes"),
    ],
)
def test_a_sentence_may_answer_yes_or_no(question: str, reply: str, human: str | None) -> None:
    """The question's own words said to be so or not are an answer; doubts, lists and contrasts are not."""
    reading = verify.read(reply, Example("q", "yesno", question, ("yes",)))
    assert reading.answer in (human, None) if human == "yes" and "ſ" in reply else reading.answer == human


@pytest.mark.parametrize(
    ("question", "reply", "human"),
    [
        ("How much do 16 cups cost?", "Answer: Ada needs to pay $64 for 16 cups.", "64"),
        ("What is the total cost?", "$5 x 3 = $15\n\nSo the total cost would be $15.", "15"),
        (
            "By how much has the dose been raised?",
            "Therefore, the dose has been raised by 12%.",
            "12 percent",
        ),
        ("How many ways are there?", "16 x 15 / 2\n\nSo, there are 120 different ways.", "120"),
        ("What does the monitor read?", "The monitor reads approximately 91 beats (bpm).", "91 beat"),
        (
            "What is the difference in weight?",
            "The difference in weight is 0.4 kg. One weighs 2.6 kg.",
            "0.4 kg",
        ),
        ("How many eggs are left?", "She sells 5 * 3 = <<5*3=15>>15 eggs\nA: 15", "15"),
        ("What is the sum?", "Therefore, the answer is 20 + 20 = 40.", "40"),
        ("How many people are there?", "There are two people.", "2"),
        ("How many nodules are there?", "One can see a nodule.", None),
        (
            "How many nodules are there?",
            "There are two nodules. One is in the left lung, one in the right.",
            "2",
        ),
        ("How many nodules are there?", "There is one nodule, but a shadow makes it look like two.", None),
        ("How many nodules are there?", "There are no nodules in this image.", "0"),
        ("How many nodules are there?", "There is no way to tell.", None),
        ("How much do 16 vials cost?", "Two cost $8.\nSo 16 vials cost $64. #### 64", "64"),
        ("What is a?", "a^3 = 27\n\nSo, the value of a is \\( 3 \\).", "3"),
        ("What is x?", "x is 3 or 5.\n\nCheck: 3 + 5 = 8", None),
        ("What is the pressure?", "MAP = 93 mmHg.\n\nTo verify:\n(120 - 80)/3 = 13.3", "93 mmHg"),
        ("What is the ratio?", "Therefore, the answer is SNR = 20 and SNRdB = 13.", None),
        ("What is the height?", "Therefore, the height is the area divided by 25.", None),
        ("What is the stage?", "Thus the patient may have stage 3 disease.", None),
        ("What is the clearance of the man of 70 kg?", "So the weight is 70 kg. Data are missing.", None),
        ("What is the clearance?", "So the clearance would be between 50 and 61.", None),
        ("What is the clearance?", "Therefore, if he were a woman, the clearance would be 51.6.", None),
        ("What is the clearance?", "Therefore the clearance is more than 61.", None),
        ("What is the clearance?", "Give your answer as a number such as 61.", None),
        ("What is the clearance?", "The clearance is 61. Actually, 55.", "55"),
        ("How many people are there?", "There are two people and three dogs.", None),
        ("How many people are there?", "There are at least two people.", None),
        ("How many nodules are there?", "There are two lungs.", None),
        ("How many nodules are there?", "There are two dozen nodules.", None),
        ("How many nodules are there?", "Are there two nodules?", None),
        ("How many nodules are there?", "There are two nodules. No, there are three nodules.", None),
        ("How many nodules are there?", "There is no doubt that there are nodules.", None),
        ("What is the dose?", "The total dose is 500 mg. So 300 mg is to be avoided.", "500 mg"),
        ("What is the dose?", "The dose exceeds 300 mg.", None),
        ("What is the dose?", "The dose is below 300 mg.", None),
        ("What is the dose?", "300 mg at most", None),
        ("What is the dose?", "The dose is 300 mg, which is too high.", None),
        ("What is the dose?", "Half of 300 mg is the dose.", None),
        ("What is the dose?", "300 mg is contraindicated.", None),
        ("What is the dose?", "The previous dose was 300 mg.", None),
        ("What is the previous dose?", "The previous dose was 300 mg.", "300 mg"),
        ("What is the BMI?", "The BMI is 22.9, 26.1.", None),
        (
            "How many guests went more than 2 times?",
            "The answer is 1, as one guest went more than 2 times.",
            "1",
        ),
        (
            "How many objects are left?",
            "Let's say the total is 20.\n\n10 - 5 = 5\n\nTherefore, there are 5 objects left.",
            "5",
        ),
        ("How many mL per hour is that?", "8 hours times 1,000 mL, which is 17 mL per hour.", "17 mL/hour"),
        ("How many objects are left?", "5 - 3 = 2\n\nSo, there are two objects left.", "2"),
        (
            "What is the limit at -1?",
            "The limit is equal to the value at x = -1. We cannot provide an answer.",
            None,
        ),
    ],
)
def test_a_sentence_may_give_the_number(question: str, reply: str, human: str | None) -> None:
    """The concluding sentence, or the one that repeats the question, gives its one new number."""
    assert verify.read(reply, Example("q", "number", question, ("1",))).answer == human


@pytest.mark.parametrize(
    ("question", "gold", "reply", "correct"),
    [
        ("What colour is the man's hat?", "blue", "The man is wearing a blue hat.", True),
        ("What colour is the man's hat?", "red", "The man is wearing a blue hat.", False),
        ("What currency is this banknote?", "euro", "The banknote represents the Euro currency.", True),
        ("Which organ is inflamed?", "liver", '{"answer": "The liver is the organ that is inflamed."}', True),
        (
            "Which organ is inflamed?",
            "liver",
            '{"answer": "The liver is not the organ that is inflamed."}',
            False,
        ),
        ("Is it on the left or right?", "left", "It is located on the left side.", True),
        ("Is it on the left or right?", "right", "It is located on the left side.", False),
        ("Where is it?", "right side", "right", True),
        ("What is seen?", "mass", "The image shows a mass, which is a collection of cells.", True),
        ("Which lung is affected?", "left lung", "The left and right lungs are affected.", False),
        ("Which organ is shown?", "liver", "The liver is shown or the spleen is shown.", False),
        ("Which organ is shown?", "liver", "Which organ is shown? Liver, spleen, kidney", False),
        ("What is abnormal?", "liver", "The liver is shown. It is normal.", False),
        ("Which vessel is dilated?", "aorta", "The aorta is dilated.", True),
        ("What is the diagnosis?", "asthma", "Asthma is the diagnosis.", True),
        (
            "Where is the mass?",
            "right of the aorta",
            "The mass is positioned to the right of the aorta.",
            True,
        ),
        ("Who is the author?", "Jane Austen", "The author is Jane Austen, a renowned novelist.", True),
        ("Which lesion is it?", "melanoma", "The diagnosis is melanoma.\n\nIts borders are irregular.", True),
        ("Which lesion is it?", "nevus", "The diagnosis is melanoma, not nevus.", False),
        ("Which disease is seen?", "pneumonia", "No pneumonia is seen.", False),
        ("What is the diagnosis?", "gout", "Gout, the classic one. The joint is red and hot today.", True),
        ("What is the diagnosis?", "gout", "Final answer: The diagnosis is gout, as seen in the toe", True),
        ("What is the diagnosis?", "gout", "The joint is red. It may be gout. \\boxed{}", False),
        ("Which side is it?", "X", "So, the answer is X.", False),
        ("Which chromosome is it?", "X", "So, the answer is X.", True),
        ("What is the diagnosis?", "gout", "The diagnosis is gout (ruled out).", False),
        ("What is the diagnosis?", "gout", "The diagnosis is gout, which has been excluded.", False),
        ("What is the diagnosis?", "gout", "The diagnosis is gout. No, sepsis.", False),
        ("What is the diagnosis?", "gout", "The diagnosis is gout? No.", False),
        ("Which organ is abnormal?", "liver", "The abnormal organ is the liver. No, the spleen.", False),
        ("Is the kidney above or below the mass?", "above", "The mass is above the kidney.", False),
        ("Is the kidney above or below the mass?", "above", "The kidney is above the mass.", True),
        (
            "Is the mass in the liver, spleen or kidney?",
            "liver",
            "It is in the liver, spleen or kidney.",
            False,
        ),
    ],
)
def test_a_sentence_may_be_the_phrase(question: str, gold: str, reply: str, correct: bool) -> None:
    """What a sentence adds to the question is the answer; negations and sides count."""
    example = Example("q", "open", question, (gold,))
    assert verify.grade(reply, example).correct is correct, verify.grade(reply, example)
