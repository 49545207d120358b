"""The starter questions: their structure, and that the project's own grader accepts every gold answer."""

import json
import re
from collections import Counter, defaultdict
from functools import cache
from importlib import resources
from typing import Any

import pytest

from medbench.schema import LETTERS, Example

Row = dict[str, Any]
KEYS = {"id", "fact", "category", "split", "kind", "question", "answer", "explanation"}


@cache
def rows() -> tuple[Row, ...]:
    """Every starter row, in file order."""
    text = resources.files("medbench").joinpath("data", "starter.jsonl").read_text(encoding="utf-8")
    return tuple(json.loads(line) for line in text.splitlines())


def of(split: str) -> list[Row]:
    """The rows of one split."""
    return [row for row in rows() if row["split"] == split]


def words(text: str) -> str:
    """Lower-case words between single spaces, so that a word is found only as a whole."""
    return " " + " ".join(re.findall(r"[a-z0-9]+", text.lower())) + " "


def example(row: Row) -> Example:
    """The row as the grader takes it: the gold of kind mcq is a letter."""
    options = tuple(row.get("options", ()))
    gold = LETTERS[options.index(row["answer"])] if options else row["answer"]
    return Example(id=row["id"], kind=row["kind"], question=row["question"], gold=(gold,), options=options)


def test_rows_have_their_keys_and_no_others() -> None:
    """Every row has the documented keys, `options` only with kind mcq, and no empty text."""
    for row in rows():
        assert set(row) == KEYS | ({"options"} if row["kind"] == "mcq" else set()), row["id"]
        assert all(row[key].strip() == row[key] != "" for key in KEYS), row["id"]


def test_size_and_formats() -> None:
    """There are at least 130 questions, in three kinds, some with four and some with five options."""
    assert len(rows()) >= 130
    assert {row["kind"] for row in rows()} == {"mcq", "yesno", "closed"}
    assert {len(row["options"]) for row in rows() if row["kind"] == "mcq"} == {4, 5}
    assert {row["split"] for row in rows()} == {"train", "heldout", "extra"}


@pytest.mark.parametrize("key", ["id", "question"])
def test_no_row_twice(key: str) -> None:
    """Ids are unique, and so are the questions: a held-out wording is never a training wording."""
    assert [text for text, n in Counter(row[key].lower() for row in rows()).items() if n > 1] == []


def test_options_hold_the_answer_once() -> None:
    """Options are distinct and the answer is among them; a yes/no answer is yes or no."""
    for row in rows():
        if row["kind"] == "mcq":
            assert len({option.lower() for option in row["options"]}) == len(row["options"]), row["id"]
            assert row["answer"] in row["options"], row["id"]
        if row["kind"] == "yesno":
            assert row["answer"] in ("yes", "no"), row["id"]


def test_question_does_not_hold_an_option() -> None:
    """No question gives its answer away, and none names one of its options."""
    for row in rows():
        for text in {row["answer"], *row.get("options", ())}:
            assert words(text) not in words(row["question"]), (row["id"], text)


def test_explanation_is_one_sentence_about_the_answer() -> None:
    """An explanation is one sentence, and that of a fact names the answer."""
    for row in rows():
        assert re.fullmatch(r"[A-Z].*[^.]\.", row["explanation"]), row["id"]
        assert ". " not in row["explanation"], row["id"]
        if row["category"] != "general":
            assert words(row["answer"]).rstrip() in words(row["explanation"]), row["id"]


def test_answers_are_balanced() -> None:
    """No letter is right much more often than another, and yes is right as often as no."""
    for split, count in (("train", 4), ("train", 5), ("heldout", 4), ("extra", 5)):
        mcq = [row for row in of(split) if len(row.get("options", ())) == count]
        places = Counter(row["options"].index(row["answer"]) for row in mcq)
        assert max(places.values()) - min(places[i] for i in range(count)) <= 1, (split, count, places)
    yesno = Counter(row["answer"] for row in rows() if row["kind"] == "yesno")
    assert yesno["yes"] == yesno["no"] >= 10


def test_every_fact_is_held_out_once() -> None:
    """Each of the facts has at least two training wordings and a held-out one, all with the same answer."""
    facts: dict[str, list[Row]] = defaultdict(list)
    for row in of("train") + of("heldout"):
        facts[row["fact"]].append(row)
    assert len(facts) >= 36
    for fact, group in facts.items():
        splits = Counter(row["split"] for row in group)
        assert splits["train"] >= 2 and splits["heldout"] == 1, fact
        assert len({(row["category"], row["answer"], row["explanation"]) for row in group}) == 1, fact


def test_wordings_of_a_fact_share_its_key_term() -> None:
    """The held-out wording shares a word with every training wording that no other fact's wordings use."""
    used: dict[str, set[str]] = defaultdict(set)
    for row in of("train") + of("heldout"):
        for word in words(row["question"]).split():
            used[word].add(row["fact"])
    for held in of("heldout"):
        own = {word for word in words(held["question"]).split() if used[word] == {held["fact"]}}
        for row in of("train"):
            if row["fact"] == held["fact"]:
                assert own & set(words(row["question"]).split()), row["id"]


def test_options_come_from_the_category() -> None:
    """Options of a fact are answers of its category, and each category has enough to draw from."""
    answers: dict[str, dict[str, str]] = defaultdict(dict)
    for row in of("train"):
        answers[row["category"]][row["fact"]] = row["answer"]
    for category, pool in answers.items():
        assert len(set(pool.values())) == len(pool) >= 6, category
    for row in of("train") + of("heldout"):
        assert set(row["options"]) <= set(answers[row["category"]].values()), row["id"]


def test_gold_answers_pass_the_grader() -> None:
    """The gold reply of every row is graded as right, and another option's text as wrong."""
    verify = pytest.importorskip("medbench.verify")
    for row in rows():
        gold = example(row)
        verdict = verify.grade(verify.gold_reply(gold), gold)
        assert verdict.correct is True, (row["id"], verdict)
        for option in set(row.get("options", ())) - {row["answer"]}:
            verdict = verify.grade(f"Answer: {option}", gold)
            assert verdict.correct is False, (row["id"], option, verdict)
