"""The reader against people: real replies, each labelled by someone who did not see what the reader says."""

import ast
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from medbench import verify
from medbench.evaluators import items
from medbench.schema import Example, Finish, Verdict

HERE = Path(__file__).parent
GOLDEN = HERE / "golden" / "replies"
MMMU = HERE.parents[0].parent / "shared" / "data" / "mmmu_medical"
NO_ANSWER = {"none", "several", "refused"}


class Labelled(NamedTuple):
    """A reply, what a person read in it, and what the reader makes of it.

    `sure` is False where two careful people could differ, or the answer only follows from the meaning.
    """

    example: Example
    reply: str
    labels: tuple[str, ...]
    sure: bool
    verdict: Verdict

    @property
    def agrees(self) -> bool:
        """Whether the reader says what the person says; how an answer is missing makes no difference."""
        said = self.verdict.answer
        return any(
            said is None if label in NO_ANSWER else said is not None and self.is_answer(said, label)
            for label in self.labels
        )

    @property
    def graded_alike(self) -> bool:
        """Whether the reply counts as right exactly where the person's label, as an answer, is right."""
        said = {label: f"<answer>{label}</answer>" for label in self.labels if label not in NO_ANSWER}
        right = {label in said and verify.grade(said[label], self.example).correct for label in self.labels}
        return self.verdict.correct in right

    def is_answer(self, said: str, label: str) -> bool:
        """Whether an answer and a label are the same."""
        if self.example.kind in ("mcq", "yesno"):
            return said.casefold() == label.casefold()
        return verify.matches(said, replace(self.example, gold=(label,)))


def rows(path: Path) -> list[dict]:
    """The rows of a JSON-lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def labelled(row: dict, example: Example, reply: str, finish: Finish = "stop") -> Labelled:
    """One labelled reply, read."""
    labels = (str(row["label"]), *map(str, row.get("also", ())))
    sure = not row.get("doubt") and not row.get("implied")
    return Labelled(example, reply, labels, sure, verify.grade(reply, example, finish))


def kept() -> Iterator[Labelled]:
    """The replies that this repository holds."""
    known = {example.id: example for example in items.load(GOLDEN / "items.jsonl")}
    for row in rows(GOLDEN / "replies.jsonl"):
        yield labelled(row, known[row["item"]], row["reply"], row["finish"])


def shared() -> Iterator[Labelled]:
    """Published replies to MMMU and MMMU-Pro, medical subjects; the labels are ours."""
    files: dict[str, dict[str, dict]] = {}
    for row in rows(GOLDEN / "mmmu_labels.jsonl"):
        path = MMMU / row["file"]
        if row["file"] not in files:
            whole = json.loads(path.read_text()) if path.suffix == ".json" else rows(path)
            files[row["file"]] = {reply["id"]: reply for reply in whole}
        reply = files[row["file"]][row["id"]]
        options = reply["index2ans"].values() if "index2ans" in reply else ast.literal_eval(reply["options"])
        example = Example(row["id"], "mcq", "", (reply["answer"],), tuple(map(str, options)))
        text = reply["response"]
        yield labelled(row, example, text if isinstance(text, str) else text[0])


def share(chosen: list[Labelled]) -> float:
    """The share of replies on which reader and person agree."""
    return sum(one.agrees for one in chosen) / len(chosen)


def test_the_set_is_large_and_of_several_styles() -> None:
    """More than 600 replies under at least five prompt styles, all of known items."""
    found = rows(GOLDEN / "replies.jsonl")
    assert len(found) > 600
    assert len({row["style"] for row in found}) >= 5
    assert len({(row["item"], row["reply"]) for row in found}) == len(found)


def test_letters_are_read_as_people_read_them() -> None:
    """Where a person is sure, the reader says the same in 99 % of the replies of very small models."""
    sure = [one for one in kept() if one.example.kind == "mcq" and one.sure]
    assert len(sure) > 250
    assert share(sure) >= 0.99


def test_doubtful_letters_are_read_as_one_of_the_possible_answers() -> None:
    """Where two people could differ, the reader says what one of them could have said."""
    doubtful = [one for one in kept() if one.example.kind == "mcq" and not one.sure]
    assert len(doubtful) > 200
    assert share(doubtful) >= 0.95


@pytest.mark.parametrize(
    ("kind", "least"), [("yesno", 0.98), ("number", 0.9), ("closed", 0.8), ("open", 0.75)]
)
def test_other_kinds(kind: str, least: float) -> None:
    """Yes and no and numbers are read as people read them; phrases in whole sentences often are not found."""
    assert share([one for one in kept() if one.example.kind == kind and one.sure]) >= least


def test_replies_are_graded_as_people_would_grade_them() -> None:
    """Right or wrong, of any kind: where a person is sure, the grade is the same in 99.5 %, else in 96 %."""
    for sure, least in ((True, 0.995), (False, 0.96)):
        chosen = [one for one in kept() if one.sure == sure]
        assert sum(one.graded_alike for one in chosen) >= least * len(chosen)


def test_no_wrong_answer_is_paid() -> None:
    """Nothing counts as right that a person would not have counted as right."""
    wrong = [one for one in kept() if one.verdict.correct and not one.agrees]
    assert wrong == []


@pytest.mark.skipif(not MMMU.is_dir(), reason="the shared real data is not beside this checkout")
def test_published_replies_are_read_as_people_read_them() -> None:
    """LLaVA, Qwen-VL and GPT-4o: at least 99 % agree, and no wrong answer is paid."""
    found = list(shared())
    assert len(found) == 379
    assert share(found) >= 0.99
    assert not [one for one in found if one.verdict.correct and not one.agrees]
