"""Evaluations and their figures: right numbers, honest company, the same whatever happened on the way."""

import json
import math
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench import evaluators, prompts
from medbench.catalog import Catalog, Place, chosen
from medbench.config import parse
from medbench.errors import UsageError
from medbench.evaluators import EvalConfig
from medbench.evaluators.metrics import compare, macro, majority, summarise
from medbench.inference.purse import Purse
from medbench.inference.simple import Baseline, Scripted
from medbench.inference.types import Reply, Request, Sampling
from medbench.runs import open_run
from medbench.schema import VERDICT, Example, Kind, Status, frame, records
from medbench.solve import Asking, solve
from medbench.stats import clustered, pass_at, sign_test, wilson
from tests.support import questions


def verdicts(rows: list[tuple[str, int, bool | None]], answer: str = "A") -> pl.DataFrame:
    """Table VERDICT from (example, sample, correct)."""
    full = [
        {
            "benchmark": "b",
            "example": example,
            "cluster": example[0] if len(example) > 1 else None,
            "sample": sample,
            "reply": "",
            "finish": "stop",
            "error": None,
            "tokens_in": 0,
            "tokens_out": 0,
            "answer": answer,
            "rule": "r",
            "status": "error" if correct is None else "scored",
            "correct": correct,
        }
        for example, sample, correct in rows
    ]
    return pl.DataFrame(full, schema=VERDICT)


def worded(rows: list[tuple[Kind, str | None, Status]], gold: str = "left lower lobe") -> pl.DataFrame:
    """Results on made-up questions from (kind, answer, status); an answer equal to `gold` is right."""
    table = [Example(str(i), kind, "?", (gold,)) for i, (kind, _, _) in enumerate(rows)]
    right = [None if status in ("error", "unjudged") else answer == gold for _, answer, status in rows]
    graded = verdicts([(str(i), 0, correct) for i, correct in enumerate(right)]).with_columns(
        answer=pl.Series([answer for _, answer, _ in rows], dtype=pl.String),
        status=pl.Series([status for _, _, status in rows], dtype=pl.String),
    )
    return summarise(graded, table, 1)


def row(found: pl.DataFrame, metric: str, group: str = "") -> dict[str, float]:
    """The one row of a metric."""
    return found.row(by_predicate=(pl.col("metric") == metric) & (pl.col("group") == group), named=True)


def test_wilson_agrees_with_published_values() -> None:
    """Newcombe (1998, Statistics in Medicine 17:857, table I): 81/263, 15/148, 0/20, 1/29."""
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (correct, n), (low, high) in published.items():
        interval = wilson(correct, n)
        assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


@given(st.integers(0, 200), st.integers(1, 200))
def test_intervals_hold_their_value(correct: int, n: int) -> None:
    """low <= value <= high, all within [0, 1]."""
    interval = wilson(min(correct, n), n)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1


def test_clusters_widen_the_interval() -> None:
    """Five copies of each answer carry the information of one: the interval is as wide as without copies."""
    values = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0] * 5
    names = [str(i % 8) for i in range(40)]
    alone = clustered(values[:8], names[:8])
    copied = clustered(values, names)
    assert copied.value == alone.value
    assert math.isclose(copied.high - copied.low, alone.high - alone.low)


@given(st.integers(1, 12), st.data())
def test_pass_at_k(n: int, data: st.DataObject) -> None:
    """pass@k rises with k, pass@1 is the share of right samples, pass@n is one if any is right."""
    correct = data.draw(st.integers(0, n))
    values = [pass_at(k, correct, n) for k in range(1, n + 1)]
    assert values == sorted(values)
    assert math.isclose(values[0], correct / n)
    assert values[-1] == float(correct > 0)


def test_sign_test_is_symmetric_and_exact() -> None:
    """McNemar's exact p: 2 * P(X <= 3 | 15, 1/2) = 0.03515625 for 12 against 3."""
    assert sign_test(12, 3) == sign_test(3, 12) == 0.03515625


def test_majority_votes() -> None:
    """The most frequent answer counts; no answer is no vote."""
    assert majority(["A", "B", "B"], [False, True, True])
    assert not majority(["A", None, None], [False, False, False])
    assert not majority([None], [False])


def test_unscored_is_left_out_and_shown() -> None:
    """Two failures of six leave n = 4; they are never counted as wrong."""
    rows = [("a", 0, True), ("b", 0, False), ("c", 0, None), ("d", 0, True), ("e", 0, None), ("f", 0, True)]
    table = [Example(i, "mcq", "?", ("A",), ("x", "y")) for i in "abcdef"]
    row = summarise(verdicts(rows), table, 1).row(0, named=True)
    assert (row["value"], row["n"], row["unscored"]) == (0.75, 4, 2)


def test_nothing_scored_gives_null_not_zero() -> None:
    """If nobody could tell, the value is null in JSON and the interval says nothing."""
    table = [Example("a", "mcq", "?", ("A",), ("x", "y"))]
    found = summarise(verdicts([("a", 0, None)]), table, 1)
    assert evaluators.plain(found)[0]["value"] is None
    assert (found["low"][0], found["high"][0], found["unscored"][0]) == (0.0, 1.0, 1)


def test_several_samples() -> None:
    """k samples give mean@k, pass@k and majority@k per question."""
    rows = [
        ("a", 0, True),
        ("a", 1, False),
        ("a", 2, True),
        ("b", 0, False),
        ("b", 1, False),
        ("b", 2, False),
    ]
    table = [Example(i, "mcq", "?", ("A",), ("x", "y")) for i in "ab"]
    found = dict(summarise(verdicts(rows), table, 3).select("metric", "value").iter_rows())
    assert found == {"mean@3": pytest.approx(1 / 3), "pass@3": 0.5, "majority@3": 0.5}


def test_words_add_overlaps() -> None:
    """Open answers also get the mean of each measure; no answer counts 0, a failed call is left out."""
    found = worded(
        [
            ("open", "left lower lobe", "scored"),
            ("open", "left lobe", "scored"),
            ("open", None, "truncated"),
            ("open", None, "error"),
        ]
    )
    assert found["metric"][0] == "accuracy"
    assert row(found, "accuracy")["value"] == row(found, "exact_match")["value"] == pytest.approx(1 / 3)
    f1 = row(found, "token_f1")
    assert f1["value"] == pytest.approx((1 + 0.8 + 0) / 3)
    assert (f1["n"], f1["unanswered"], f1["unscored"]) == (3, 1, 1)
    interval = clustered([1.0, 0.8, 0.0], ["0", "1", "2"])
    assert (f1["low"], f1["high"]) == pytest.approx(interval[1:])


def test_only_failed_calls_are_unscored() -> None:
    """Free text that waits for a judge, and a reply without an answer, are no failures."""
    table = verdicts([("a", 0, True), ("b", 0, None), ("c", 0, False), ("d", 0, None)]).with_columns(
        status=pl.Series(["scored", "unjudged", "no_answer", "error"])
    )
    assert evaluators.unscored(table) == 1


def test_letters_add_none() -> None:
    """A benchmark of letters or numbers has accuracy alone."""
    found = worded([("mcq", "B", "scored"), ("mcq", None, "no_answer")])
    assert found["metric"].to_list() == ["accuracy"]


def test_free_text_without_a_judge_has_no_accuracy() -> None:
    """It has overlaps, and waiting for a judge is no failure; a failed call is one."""
    rows: list[tuple[Kind, str | None, Status]] = [("free", "left lobe", "unjudged")] * 3
    found = worded([*rows, ("free", None, "error"), ("free", None, "no_answer")])
    assert found["metric"][0] == "token_f1"
    assert "accuracy" not in found["metric"].to_list()
    assert (row(found, "token_f1")["n"], row(found, "token_f1")["unscored"]) == (4, 1)


def test_judged_free_text_has_an_accuracy() -> None:
    """Once a judge has spoken, what it left out is unscored in the accuracy."""
    found = worded([("free", "left lower lobe", "scored"), ("free", "left lobe", "unjudged")])
    accuracy = row(found, "accuracy")
    assert (accuracy["value"], accuracy["n"], accuracy["unscored"]) == (1.0, 1, 1)
    assert row(found, "token_f1")["n"] == 2


def test_mixed_kinds() -> None:
    """Accuracy is over all that can be graded and again by kind; overlaps are over words alone."""
    found = worded(
        [
            ("yesno", "yes", "scored"),
            ("open", "left lower lobe", "scored"),
            ("open", "lobe", "scored"),
            ("multi", "ACD", "scored"),
            ("free", "lobe", "unjudged"),
            ("free", None, "error"),
        ]
    )
    assert row(found, "accuracy")["value"] == 0.25
    assert (row(found, "token_f1")["n"], row(found, "token_f1")["unscored"]) == (3, 1)
    parts = found.filter(pl.col("group") != "").select("group", "metric", "n").rows()
    assert parts == [
        ("kind=free", "token_f1", 1),
        ("kind=multi", "accuracy", 1),
        ("kind=open", "accuracy", 2),
        ("kind=yesno", "accuracy", 1),
    ]


def test_overlaps_of_several_samples_are_clustered() -> None:
    """The mean is over all samples, its interval over questions."""
    table = [Example(i, "open", "?", ("lobe",)) for i in "ab"]
    graded = verdicts([(i, s, False) for i in "ab" for s in range(2)], answer="left lobe")
    found = summarise(graded, table, 2)
    assert found["metric"][:4].to_list() == ["mean@2", "pass@2", "majority@2", "token_f1"]
    f1 = row(found, "token_f1")
    assert (f1["value"], f1["n"]) == (pytest.approx(2 / 3), 4)
    assert (f1["low"], f1["high"]) == pytest.approx(clustered([2 / 3] * 4, list("aabb"))[1:])


def test_macro_and_compare_leave_unjudged_text_out() -> None:
    """Free text without a judge is no failure of a suite, and nothing to compare."""
    one = verdicts([(str(i), 0, i % 2 == 0) for i in range(10)])
    waiting = verdicts([(str(i), 0, None) for i in range(10)]).with_columns(
        benchmark=pl.lit("c"), status=pl.lit("unjudged")
    )
    both = pl.concat([one, waiting])
    found = macro("s", both).row(0, named=True)
    assert (found["value"], found["n"], found["unscored"]) == (0.5, 10, 0)
    assert compare(both, both).n == 10


def test_majority_of_several_letters() -> None:
    """For kind multi a vote is for the whole set of letters."""
    assert majority(["AC", "ACD", "ACD", "A"], [False, True, True, False])
    assert not majority(["AC", "AC", "ACD"], [False, False, True])


def test_subgroups_add_up() -> None:
    """The subgroup rows partition the whole."""
    examples = [
        Example(f"{i}", "mcq", "?", ("A",), ("x", "y"), tags={"subject": "ab"[i % 2]}) for i in range(10)
    ]
    found = summarise(verdicts([(str(i), 0, i < 5) for i in range(10)]), examples, 1)
    parts = found.filter(pl.col("group") != "")
    assert parts["group"].to_list() == ["subject=a", "subject=b"]
    assert parts["n"].sum() == found["n"][0] == 10


def test_compare_is_paired_on_the_same_questions() -> None:
    """Only questions scored in both count; gained and lost are the discordant ones."""
    first = verdicts([("a", 0, True), ("b", 0, False), ("c", 0, False), ("d", 0, None)])
    second = verdicts([("a", 0, True), ("b", 0, True), ("c", 0, True), ("d", 0, True), ("e", 0, True)])
    pair = compare(first, second)
    assert (pair.n, pair.gained, pair.lost, pair.p) == (3, 2, 0, 0.5)
    assert pair.low <= pair.difference <= pair.high
    same = compare(first, first)
    assert (same.difference, same.p) == (0.0, 1.0)


def test_no_interval_has_width_zero() -> None:
    """Where every question agrees, the interval still says that few were seen."""
    rows = [(f"{i}", s, s == 0) for i in range(20) for s in range(3)]
    table = [Example(f"{i}", "mcq", "?", ("A",), ("x", "y")) for i in range(20)]
    row = summarise(verdicts(rows), table, 3).row(0, named=True)
    assert row["low"] < row["value"] < row["high"]
    first = verdicts([(i, s, False) for i in "abc" for s in range(4)])
    second = verdicts([(i, s, s == 0) for i in "abc" for s in range(4)])
    pair = compare(first, second)
    assert pair.difference == 0.25
    assert pair.low < 0.25 < pair.high


def test_macro_is_over_the_suite_and_counts_shared_questions_once() -> None:
    """The mean of the accuracies; the same questions in two benchmarks narrow nothing."""
    one = verdicts([(str(i), 0, i % 3 == 0) for i in range(60)])
    two = one.with_columns(benchmark=pl.lit("c"))
    alone, both = macro("s", one).row(0, named=True), macro("s", pl.concat([one, two])).row(0, named=True)
    assert both["value"] == pytest.approx(alone["value"]) == pytest.approx(1 / 3)
    assert both["high"] - both["low"] == pytest.approx(alone["high"] - alone["low"])


def test_compare_counts_clusters_not_copies() -> None:
    """Five option orders of one question are one unit: copying rows does not shrink the p value."""
    first = verdicts([(f"{q}{i}", 0, False) for q in "abc" for i in range(5)])
    second = verdicts([(f"{q}{i}", 0, True) for q in "abc" for i in range(5)])
    pair = compare(first, second)
    assert (pair.n, pair.units, pair.gained, pair.p) == (15, 3, 3, 0.25)


def test_examples_survive_their_table() -> None:
    """Examples -> table -> examples is the identity, also with tags and context."""
    some = [
        Example(
            "a", "mcq", "?", ("A",), ("x", "y"), context="c", cluster="k", tags={"subject": "s", "x": "y"}
        ),
        Example("b", "yesno", "?", ("yes",)),
    ]
    assert records(frame(some)) == some


def run_scripted(home: Path, model: Scripted | Baseline, n: int = 40, samples: int = 1) -> pl.DataFrame:
    """Verdicts of a model on the first n made-up questions."""
    hot = Sampling(temperature=1.0) if samples > 1 else Sampling()
    asking = Asking(prompts.named("mcq-boxed"), hot, samples=samples)
    with open_run(home, "r", config={"model": model.name}) as run:
        return solve(run, model, examples=questions.examples(n), asking=asking, stage="made")


def test_baselines(home: Path) -> None:
    """first, majority and random score what they must on balanced golds."""
    assert run_scripted(home, Baseline("first"))["correct"].mean() == 0.25
    assert run_scripted(home, Baseline("majority"))["correct"].mean() == 0.25
    random = run_scripted(home, Baseline("random"), n=400)["correct"].mean()
    assert 0.18 < float(random) < 0.32  # type: ignore[arg-type]


def test_budget_is_a_limit(home: Path) -> None:
    """Nothing is sent that could exceed the budget; the rest is unscored; a second look spends nothing."""
    asked: list[str] = []

    def script(request: Request) -> Reply:
        asked.append(request.example)
        return Reply("\\boxed{A}", "stop", 0, 10)

    model = Scripted("scripted:dear", script)
    asking = Asking(prompts.named("mcq-boxed"), Sampling(max_tokens=10))
    for _ in range(2):
        with open_run(home, "r", config={}) as run:
            purse = Purse(0.0, 100_000.0, 3.5)
            table = solve(run, model, examples=questions.examples(10), asking=asking, stage="b", purse=purse)
        assert purse.spent == pytest.approx(3.0)
    assert len(asked) == 3
    assert table["correct"].null_count() == 7


def test_tokens_are_estimated_where_a_server_counts_none() -> None:
    """A reply without usage still costs something, so that a limit holds."""
    request = Request("q", ({"role": "user", "content": "x" * 400},))
    assert Purse(1.0, 1.0).paid(request, Reply("y" * 40)) == pytest.approx(110 / 1e6)


def test_limit_is_a_fair_fixed_sample() -> None:
    """The same questions each time, in their order, and more of them contain fewer."""
    all_of_them = questions.examples(100)
    few, more = chosen(all_of_them, 10), chosen(all_of_them, 20)
    assert few == chosen(all_of_them, 10)
    assert {e.id for e in few} < {e.id for e in more}
    assert [e.id for e in more] == sorted(e.id for e in more)


def test_config_errors_name_the_key() -> None:
    """Unknown keys, wrong types and impossible combinations are usage errors."""
    with pytest.raises(UsageError, match="no key named 'smaples'") as caught:
        parse(EvalConfig, {"smaples": 2}, "eval")
    assert "samples" in caught.value.fix
    with pytest.raises(UsageError, match=r"sampling\.temperature"):
        parse(EvalConfig, {"sampling": {"temperature": "hot"}}, "eval")
    with pytest.raises(UsageError, match="all alike"):
        parse(EvalConfig, {"samples": 3}, "eval")


def test_result_object(home: Path, tmp_path: Path) -> None:
    """The JSON object has the documented keys, values in [0, 1], and equals results.json in the run."""
    catalog = Catalog.load([questions.catalog(tmp_path, 20)])
    place = Place(home, tmp_path / "mirror", home / "medbench.lock")
    config = EvalConfig(suite="made-suite")
    tasks = evaluators.prepare(config, catalog, place)
    done = evaluators.evaluate(config, Baseline("first"), tasks=tasks, home=home)
    tree = done.json()
    assert tree["results"][0].keys() >= {"benchmark", "metric", "value", "low", "high", "n", "unscored"}
    assert tree["results"][0]["value"] == 0.25
    assert json.loads((done.folder / "results.json").read_text()) == tree
