"""Profiles read as the peers do, flaws included, and reproduce published verdicts on real replies."""

import ast
import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench import parity
from medbench.errors import UsageError
from medbench.parity import PROFILES, Mark
from medbench.schema import LETTERS, Example
from tests.support.process import seconds_of_cpu

DATA = Path(__file__).parents[1].parent / "shared" / "data" / "mmmu_medical"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the shared real data is not beside this checkout")

DRUGS = ("Heparin", "Warfarin", "Aspirin", "Vitamin D")


def mcq(gold: str = "C", options: tuple[str, ...] = DRUGS) -> Example:
    """A question about four drugs, or about `options`."""
    return Example("q", "mcq", "Which drug irreversibly inhibits cyclooxygenase?", (gold,), options)


# What each peer takes the reply for, when C is right: the letter or None, and how it came to it.
MCQ_CASES = [
    ("medevalkit", "C", "C", "read"),
    ("medevalkit", "C\n\nIt inhibits COX.", "C", "read"),
    ("medevalkit", r"So \boxed{c}", "C", "read"),
    ("medevalkit", "<answer>aspirin</answer>", "C", "read"),
    ("medevalkit", "Answer: C", "C", "read"),
    ("medevalkit", "The answer is: warfarin it is not", "B", "guessed"),  # the most similar text
    ("medevalkit", "", "A", "guessed"),  # nothing is similar: the first option
    ("medevalkit-fixed", "The answer is: C.", "C", "read"),
    ("medevalkit-fixed", "The drug thins blood, like warfarin", None, "none"),
    ("huatuo", "## Final Response\n\nThe answer is C.", "C", "read"),
    ("huatuo", "First (A), finally (C)", "C", "read"),
    ("huatuo", "I would give aspirin, not heparin", "A", "read"),  # the text that comes last
    ("huatuo", "aspirine, asprin", "C", "read"),
    ("huatuo", "acetylsalicylic acid", "C", "guessed"),
    ("huatuo-fixed", "acetylsalicylic acid", None, "none"),
    ("m1", r"\boxed{\text{Aspirin}}", "C", "read"),
    ("m1", r"\boxed{x = C. Aspirin}", "C", "read"),
    ("m1", "the answer is C", "C", "read"),
    ("mirage", '{"step_by_step_thinking": "…", "answer_choice": "C"}', "C", "read"),
    ("mirage", "Option C", "C", "read"),
    ("mirage", "I cannot tell from this", "A", "guessed"),  # the default
    ("mirage", "E. Vitamin E", "A", "guessed"),
    ("mirage-fixed", "I cannot tell from this", None, "none"),
    ("medxpertqa", "A drug. Therefore, among A through J, the answer is C.", "C", "read"),
    ("medxpertqa", "A drug such as C", "A", "read"),
    ("opencompass-medxpertqa", "A common drug, so (C)", "A", "read"),  # the article
    ("opencompass-medxpertqa", "none of them", None, "none"),
    ("opencompass-medxpertqa-fixed", "A common drug, so (C)", "C", "read"),
    ("medvlthinker", "<think>A?</think><answer>C. Aspirin</answer>", "C", "read"),
    ("medvlthinker", "aspirin", "C", "read"),
    ("medvlthinker", "<answer>It is C</answer>", None, "none"),
    ("alphamed", r"<answer>A</answer> so \boxed{\text{C}}", "C", "read"),
    ("alphamed", "A first. The final answer is C", "C", "read"),
    ("alphamed", "Not A. Then C", "C", "read"),
    ("medmarks", "The answer is C.", "C", "read"),
    ("medmarks", "The answer is not C.", None, "none"),
    ("medmarks", "aspirin", "C", "read"),
    ("mmmu", "(A) is wrong, (C) is right", "C", "read"),
    ("mmmu", "C", "C", "read"),
    ("mmmu", "One would certainly give aspirin in this case", "C", "read"),
    ("mmmu-fixed", "Aspirin", None, "none"),
    ("mmmu-pro", "(A) or (B)? Answer: C", "C", "read"),
    ("mmmu-pro", "C. Aspirin", "C", "read"),
    ("mmmu-pro", "PABA is a vitamin", "A", "read"),  # "A " is found at the end of a word
    ("mmmu-pro-fixed", "aspirin", None, "none"),
    ("lmms-eval-mmmu", "Answer: C", "C", "read"),
    ("lmms-eval-mmmu-fixed", "aspirin", None, "none"),
    ("lmms-eval-medqa", "First (C), then (B)", "B", "read"),  # bracketed letters go by option order
    ("lmms-eval-medqa", "First C then B then", "B", "read"),
    ("lmms-eval", "The answer is C", "C", "read"),
    ("lmms-eval", "Give Vitamin C. Or not", "C", "read"),
    ("lmms-eval", "It relieves what OPD. calls pain", "D", "read"),  # "D." inside a word
    ("lmms-eval", "the BBC", "C", "read"),
    ("lmms-eval", "notCat", "C", "guessed"),
    ("simple-evals", "**Answer:** C", "C", "read"),
    ("simple-evals", "Answer: A. No, wait. Answer: C", "A", "read"),  # only the first
    ("simple-evals", "Answer: c", None, "none"),
    ("lm-eval", "The answer is (C).", "C", "read"),
    ("lm-eval", "Answer: C", None, "none"),
    ("lm-eval-strict", "The answer is (C).", "C", "read"),
    ("lm-eval-strict", "The answer is C", None, "none"),  # the last character goes
    ("lm-eval-flexible", "(A) no, (C)", "C", "read"),
    ("lm-eval-flexible", "It must be aspirin!", "C", "read"),
    ("lm-eval-flexible", "So: C", "C", "read"),
    ("inspect", "ANSWER: A\nmore thought\nANSWER: C", "C", "read"),
    ("inspect", "so Answer: **C**", "C", "read"),
    ("inspect", "It is C", None, "none"),
    ("evalscope", "ANSWER: C, not B", "C", "read"),
    ("evalscope", "ANSWER: (C)", "C", "read"),
    ("evalscope", "aspirin inhibits Cox", "C", "guessed"),  # the last capital letter
    ("evalscope", "It is C, Sir", None, "none"),
    ("nemo-gym", r"\boxed{A}, no, \boxed{\text{C: Aspirin}}", "C", "read"),
    ("nemo-gym", r"\boxed{A, C}", None, "none"),
    ("nemo-gym", r"\boxed{Aspirin}", None, "none"),
    ("nemo-gym-lenient", r"\boxed{the aspirin}", "C", "read"),
    ("nemo-gym-colon", "Answer: aspirin", "C", "read"),
    ("opencompass", "答案：C", "C", "read"),
    ("opencompass", "The answer is A, or C", "C", "read"),  # a trailing letter goes first
    ("opencompass", "DVT is treated", "D", "guessed"),
    ("vlmevalkit", "I think it is C.", "C", "read"),
    ("vlmevalkit", "C is the one that does it in most people", None, "none"),  # not near the end
    ("vlmevalkit", "The answer is bacterial", "B", "read"),
    ("vlmevalkit", "aspirin", "C", "read"),
    ("vlmevalkit", "Cannot determine the answer: C", None, "none"),
]


@pytest.mark.parametrize(("name", "reply", "answer", "how"), MCQ_CASES)
def test_choices_are_read_as_the_peer_reads_them(name: str, reply: str, answer: str | None, how: str) -> None:
    """The letter, or none, and whether it was read or guessed."""
    mark = PROFILES[name].grade(reply, mcq())
    assert (mark.answer, mark.how, mark.correct) == (answer, how, answer == "C")


def test_medmarks_takes_any_lone_a() -> None:
    """The article "a" is option A, unless its sentence holds a negation."""
    read = PROFILES["medmarks"].grade
    assert read("Heart attack needs a drug", mcq("A")).correct
    assert not read("This is not a drug", mcq("A")).correct
    assert read("It is aspirin or warfarin. The answer is B.", mcq("C")).correct  # the gold's text pays


def test_every_profile_for_choices_has_a_case() -> None:
    """No reading rule goes undescribed."""
    assert {name for name, p in PROFILES.items() if "mcq" in p.kinds} == {case[0] for case in MCQ_CASES}


# gold, reply, right?
SHORT_CASES = [
    ("medevalkit", "yesno", "no", "It looks normal", True),  # "no" in "normal"
    ("medevalkit", "yesno", "no", "There is no effusion, yes?", False),
    ("medevalkit", "yesno", "yes", r"\boxed{Yes}", True),
    ("medevalkit", "closed", "t2.", "T2.", False),  # the reply loses its full stop, the gold keeps its own
    ("medevalkit", "closed", "right lung", "Answer: Right lung.", False),  # a blank is left over
    ("medevalkit", "closed", "right lung", "Right lung.", True),
    ("medevalkit", "open", "right lung", "right lung", True),
    ("medevalkit", "open", "right lung", "right lung.", False),
    ("medevalkit-fixed", "yesno", "no", "It looks normal", False),
    ("medevalkit-fixed", "yesno", "no", "No.", True),
    ("medevalkit-fixed", "closed", "t2.", "T2.", True),
    ("lmms-eval", "yesno", "yes", "True", True),
    ("lmms-eval", "yesno", "yes", "正常", True),
    ("lmms-eval", "closed", "X-Ray", "x ray (chest)", True),
    ("lmms-eval", "open", "2", "two", False),
    ("evalscope", "open", "2", "I count.\nANSWER: two", True),
    ("evalscope", "open", "lung", "The lung", True),
    ("evalscope", "closed", "X-Ray", "X光", True),
    ("slake", "open", "X-Ray", "an x ray", True),
    ("slake", "yesno", "yes", "true", False),
    ("llava-med", "yesno", "yes", "Yes, on both sides", True),
    ("llava-med", "closed", "ct", "ct, no contrast", True),
    ("llava-med", "closed", "ct", "ct", False),  # neither yes nor no
    ("llava-med", "open", "right lung", "It lies in the right upper lung", True),
    ("llava-med-fixed", "closed", "ct", "ct", True),
    ("llava-med-fixed", "yesno", "no", "normal", False),
    ("medgemma", "open", "right lung", "Right lung!", True),
    ("medgemma", "open", "right lung", "lung", False),
    ("vqa-med-2019", "open", "noncontrast (mri)", "Noncontrast", True),
    ("vqa-med-2019", "open", "noncontrast (mri)", "noncontrast mri", True),
    ("vqa-med-2019", "open", "gastrointestinal#lung, mediastinum, pleura", "Lung mediastinum pleura.", True),
    ("vqa-med-2019", "open", "gastrointestinal#lung, mediastinum, pleura", "lung", False),
]


@pytest.mark.parametrize(("name", "kind", "gold", "reply", "right"), SHORT_CASES)
def test_short_answers_are_graded_as_the_peer_does(
    name: str, kind: str, gold: str, reply: str, right: bool
) -> None:
    """Right or wrong under the peer's own spelling rules."""
    assert PROFILES[name].grade(reply, Example("q", kind, "?", (gold,))).correct is right  # type: ignore[arg-type]


def test_every_profile_for_short_answers_has_a_case() -> None:
    """No short-answer rule goes undescribed."""
    assert {name for name, p in PROFILES.items() if "open" in p.kinds} == {case[0] for case in SHORT_CASES}


def total(name: str, pairs: list[tuple[str, Example]]) -> dict[str, float]:
    """What a profile prints for some replies."""
    profile = PROFILES[name]
    return profile.total([profile.grade(*pair) for pair in pairs], [example for _, example in pairs])


def test_huatuo_prints_the_better_of_two_readings() -> None:
    """First answers are right twice, last answers once: the peer prints two of three."""
    pairs = [("(C), or else (A)", mcq()), ("(C), or else (B)", mcq()), ("(A), or else (C)", mcq())]
    assert total("huatuo", pairs) == {"score": 2 / 3, "first": 2 / 3, "last": 1 / 3}
    assert total("huatuo-fixed", pairs) == {"score": 1 / 3}


def test_medevalkit_divides_open_accuracy_twice() -> None:
    """Four of four open questions print 0.25; the total is right, and so is the mended figure."""
    pairs = [(word, Example("q", "open", "?", (word,))) for word in ("ct", "mri", "lung", "liver")]
    pairs += [("Yes.", Example("q", "yesno", "?", ("yes",))), ("no", Example("q", "yesno", "?", ("yes",)))]
    published, mended = total("medevalkit", pairs), total("medevalkit-fixed", pairs)
    assert (published["open_accuracy"], published["closed_accuracy"], published["score"]) == (
        0.25,
        0.5,
        5 / 6,
    )
    assert (mended["open_accuracy"], mended["closed_accuracy"], mended["score"]) == (1.0, 0.5, 5 / 6)


def test_medevalkit_swaps_the_columns_of_overlap() -> None:
    """One of two words said, all right: precision 1, recall 1/2, printed one column further on."""
    pairs = [("right", Example("q", "open", "?", ("right lung",)))]
    published, mended = total("medevalkit", pairs), total("medevalkit-fixed", pairs)
    assert (mended["open_precision"], mended["open_recall"]) == (1.0, 0.5)
    assert mended["open_f1"] == pytest.approx(2 / 3)
    assert published["open_precision"] == mended["open_f1"]
    assert published["open_recall"] == mended["open_precision"]
    assert published["open_f1"] == mended["open_recall"]


def test_llava_med_leaves_a_wrong_yes_out_of_the_count() -> None:
    """One right, one wrong: the peer prints 1 for closed accuracy, the mended profile 1/2."""
    pairs = [("yes", Example("q", "yesno", "?", ("yes",))), ("yes", Example("q", "yesno", "?", ("no",)))]
    assert total("llava-med", pairs)["closed_accuracy"] == 1.0
    assert total("llava-med-fixed", pairs)["closed_accuracy"] == 0.5


def test_llava_med_prints_recall_and_medgemma_f1() -> None:
    """Half of the gold's words said, and nothing else."""
    pairs = [("right", Example("q", "open", "?", ("right lung",)))]
    assert total("llava-med", pairs)["open_recall"] == 0.5
    assert total("medgemma", pairs) == {"score": pytest.approx(2 / 3), "exact_match": 0.0}


def test_any_accepted_gold_is_right() -> None:
    """Questions with several golds accept each of them."""
    example = Example("q", "mcq", "?", ("B", "C"), DRUGS)
    assert PROFILES["simple-evals"].grade("Answer: B", example).correct
    assert PROFILES["simple-evals"].grade("Answer: C", example).correct
    short = Example("q", "open", "?", ("ct", "computed tomography"))
    assert all(p.grade("computed tomography", short).correct for p in PROFILES.values() if "open" in p.kinds)


def test_several_letters_at_once() -> None:
    """Inspect and EvalScope also read questions with several right options."""
    example = Example("q", "multi", "?", ("AC",), DRUGS)
    for name in ("inspect", "evalscope"):
        assert PROFILES[name].grade("ANSWER: A, C", example).correct
        assert not PROFILES[name].grade("ANSWER: A", example).correct
    assert PROFILES["mirage"].grade("A", example) == Mark(None, False, "none")


def test_names() -> None:
    """A profile is found under its name, and an unknown one is an error that helps."""
    assert all(parity.named(name).name == name for name in PROFILES)
    with pytest.raises(UsageError) as error:
        parity.named("huato")
    assert "huatuo" in error.value.fix


def test_each_profile_says_what_it_is() -> None:
    """Rule and origin are stated; as-published rules that have a mended twin say what is wrong."""
    for name, profile in PROFILES.items():
        assert profile.peer and profile.rule and profile.origin and profile.kinds
        assert profile.flaw or f"{name}-fixed" not in PROFILES


PIECES = st.sampled_from(
    [
        "(A)",
        " B ",
        "C.",
        "D:",
        "answer is ",
        "Answer:",
        "ANSWER: ",
        "\\boxed{",
        "}",
        "<answer>",
        "</answer>",
        "\n\n",
        "yes",
        "no",
        "Aspirin",
        "not",
        "答案是",
        "1. ",
        "## Final Response\n\n",
        '"answer_choice": "',
        "(",
        ")",
    ]
)
REPLIES = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=12).map("".join))
EXAMPLES = st.one_of(
    st.builds(
        lambda options: Example("q", "mcq", "?", (LETTERS[len(options) - 1],), tuple(options)),
        st.lists(st.text(max_size=12), min_size=1, max_size=26),
    ),
    st.builds(
        lambda kind, gold: Example("q", kind, "?", (gold,)),
        st.sampled_from(["yesno", "closed", "open", "number", "free", "mcq", "multi"]),
        st.text(max_size=20),
    ),
)


@given(REPLIES, EXAMPLES)
@settings(max_examples=300, deadline=None)
def test_any_text_gives_an_option_or_none(reply: str, example: Example) -> None:
    """No text raises, a choice is one of the options, and the same text reads the same twice."""
    for profile in PROFILES.values():
        mark = profile.grade(reply, example)
        assert mark == profile.grade(reply, example)
        assert (mark.how == "none") <= (mark.answer is None)
        if example.kind == "mcq":
            assert mark.answer is None or mark.answer in LETTERS[: len(example.options)]
            assert mark.correct == (mark.answer in example.gold)
        if example.kind not in profile.kinds:
            assert mark == Mark(None, False, "none")
        assert not math.isnan(profile.total([mark], [example])["score"]) or not profile.kinds & {example.kind}


HUGE = {
    "blanks": " " * 300_000,
    "open brackets": "(" * 300_000,
    "markers": "ANSWER: " * 40_000,
    "open boxes": "\\boxed{" * 40_000,
    "open tags": "<answer>" * 40_000,
    "statements": "the answer is " * 20_000,
    "letters": "A B C D " * 40_000,
    "prose": "Aspirin inhibits cyclooxygenase, unlike heparin and warfarin. " * 5_000,
    "chinese": "".join(chr(0x4E00 + i * 7 % 3000) for i in range(300_000)),
}


@pytest.mark.parametrize("name", HUGE)
def test_long_replies_take_seconds_at_most(name: str) -> None:
    """300,000 characters of anything are read by every profile, in time that grows with their number."""
    for profile in PROFILES.values():
        for kind in profile.kinds & {"mcq", "open"}:
            example = mcq() if kind == "mcq" else Example("q", kind, "?", ("ct",))
            with seconds_of_cpu(120, profile.name):
                profile.grade(HUGE[name], example)


def gpt4o(prompt: str) -> list[tuple[str, Example, str, bool]]:
    """GPT-4o's replies to the medical part of MMMU-Pro, with the published reading and verdict."""
    rows = []
    for line in (DATA / f"mmmu_pro_health_gpt4o_{prompt}.jsonl").read_text().splitlines():
        row = json.loads(line)
        options = tuple(ast.literal_eval(row["options"]))
        example = Example(row["id"], "mcq", row["question"], (row["answer"],), options)
        rows.append((row["response"], example, row["pred_indexs"], row["if_right"]))
    return rows


@needs_data
@pytest.mark.parametrize(("prompt", "right"), [("direct", 113), ("cot", 164)])
def test_published_verdicts_on_gpt4o(prompt: str, right: int) -> None:
    """All 286 published readings and verdicts come out the same; none of them was drawn at random."""
    marks = [(PROFILES["mmmu-pro"].grade(reply, example), *rest) for reply, example, *rest in gpt4o(prompt)]
    assert [(m.answer, m.correct) for m, *_ in marks] == [(answer, hit) for _, answer, hit in marks]
    assert (len(marks), sum(m.correct for m, *_ in marks)) == (286, right)
    assert {m.how for m, *_ in marks} == {"read"}


def mmmu_outputs(model: str) -> list[tuple[str, Example]]:
    """A model's real replies to the multiple-choice questions of medical MMMU."""
    rows = []
    for path in sorted((DATA / "model_outputs" / model).glob("*.json")):
        for row in json.loads(path.read_text()):
            if row["question_type"] == "multiple-choice":
                options = tuple(row["index2ans"].values())
                rows.append((row["response"], Example(row["id"], "mcq", "?", (row["answer"],), options)))
    return rows


@needs_data
@pytest.mark.parametrize("model", ["llava1.5_13b", "qwen_vl"])
def test_mmmu_on_its_own_sample_outputs(model: str) -> None:
    """The official rule reads nearly all of the official sample outputs, and they beat no one."""
    marks = [PROFILES["mmmu"].grade(*pair) for pair in mmmu_outputs(model)]
    assert len(marks) == 145
    assert sum(mark.how == "read" for mark in marks) >= 130
    assert 0.15 < sum(mark.correct for mark in marks) / len(marks) < 0.6


@needs_data
def test_the_same_real_replies_spread() -> None:
    """One set of real replies, read by every profile, gives scores tens of points apart."""
    pairs = [(reply, example) for reply, example, *_ in gpt4o("cot")]
    scores = {name: total(name, pairs)["score"] for name, p in PROFILES.items() if "mcq" in p.kinds}
    assert scores["mmmu-pro"] == 164 / 286
    assert max(scores.values()) - min(scores.values()) > 0.4
    assert scores["opencompass-medxpertqa"] < scores["opencompass-medxpertqa-fixed"] < scores["evalscope"]
