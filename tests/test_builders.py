"""Builders: nothing disappears silently, no test question gets through, the same bytes each time."""

from pathlib import Path

import polars as pl
import pytest

from medbench import builders, store
from medbench.adapters import Drop
from medbench.builders import steps
from medbench.catalog import Catalog, Place
from medbench.errors import MedbenchError, UsageError
from medbench.inference.simple import Scripted
from medbench.inference.types import Reply, Request
from medbench.schema import Example
from medbench.store import Built
from tests.support import questions


def item(name: str, question: str, *options: str) -> Example:
    """A question with its options; the first is right."""
    return Example(name, "mcq", question, ("A",), options or ("one", "two", "three", "four"))


LONG = "A 54-year-old man has chest pain that radiates to the left arm; which artery is most likely blocked?"


def test_a_drop_keeps_the_first_reason() -> None:
    """A row that two steps would drop says which came first."""
    table = steps.begin([item("a", "x")], [Drop("raw 7", "no gold")])
    table = steps.drop(steps.drop(table, {"a": "why"}, "first"), {"a": "again"}, "second")
    assert dict(table.select("id", "dropped_by").iter_rows()) == {"a": "first", "raw 7": "no gold"}


@pytest.mark.parametrize(
    ("question", "options", "leaks"),
    [
        (LONG, ("other", "options", "here", "now"), True),
        (LONG.upper().replace(";", " -"), (), True),
        (LONG.replace("54", "61"), (), True),
        ("True about the femur is:", ("one", "two", "three", "four"), True),
        ("True about the femur is:", ("five", "six", "seven", "eight"), False),
        ("Which nerve supplies the deltoid muscle in a healthy adult person at rest?", (), False),
    ],
    ids=[
        "same stem",
        "case and marks",
        "one word changed",
        "short stem, same options",
        "generic stem",
        "other",
    ],
)
def test_decontamination(question: str, options: tuple[str, ...], leaks: bool) -> None:
    """Planted leaks are found; a generic stem with other options is not one."""
    tests = [item("t/1", LONG), item("t/2", "True about the femur is")]
    found = steps.Leaks(tests).find(item("x", question, *options))
    assert (found is not None) == leaks


def test_duplicates_in_any_option_order() -> None:
    """The same item with its options reordered is a duplicate; the first stays."""
    rows = [item("a", "Q?", "1", "2", "3"), item("b", "q", "3", "1", "2"), item("c", "Q?", "1", "2", "4")]
    table = steps.dedupe(steps.begin(rows, []), rows)
    assert steps.kept(table)["id"].to_list() == ["a", "c"]


def test_quota_is_seeded_and_per_cell() -> None:
    """Each cell keeps at most its quota, and the choice does not depend on the order of rows."""
    rows = [item(f"{i:03}", f"question {i}") for i in range(60)]
    table = steps.begin(rows, []).with_columns(level=pl.int_range(60) % 3)
    picked = steps.kept(steps.quota(table, ["level"], 7, seed=1))
    again = steps.kept(steps.quota(table.reverse(), ["level"], 7, seed=1))
    assert picked.group_by("level").len()["len"].to_list() == [7, 7, 7]
    assert set(picked["id"]) == set(again["id"])
    assert set(picked["id"]) != set(steps.kept(steps.quota(table, ["level"], 7, seed=2))["id"])


def graded(right: dict[str, int], fail: set[str] = frozenset()) -> tuple[Scripted, list[str]]:  # type: ignore[assignment]
    """A solver that gets `right[id]` of its samples right, and the list of its calls."""
    golds = {e.id: e.gold[0] for e in questions.examples(200)}
    calls: list[str] = []

    def script(request: Request) -> Reply:
        calls.append(request.example)
        name = request.example
        if name in fail:
            return Reply.failed("down")
        gold = golds[name]
        wrong = "A" if gold != "A" else "B"
        return Reply(f"The answer is {gold if request.sample < right.get(name, 0) else wrong}.")

    return Scripted("scripted:graded", script), calls


def build(tmp_path: Path, home: Path, solver: Scripted, *settings: str) -> Built:
    """Build the made-up dataset of 60 questions."""
    catalog = Catalog.load([questions.catalog(tmp_path, 60)])
    place = Place(home, tmp_path / "mirror", home / "medbench.lock")
    job = builders.prepare("made-levelled", settings, catalog, place)
    return builders.build(job, solver, catalog=catalog, place=place)


def test_levels_are_six_minus_correct(tmp_path: Path, home: Path) -> None:
    """Level 1 is always right, level 6 never; counts and their interval are columns."""
    right = {f"made/test-{i:04}": i % 6 for i in range(60)}
    solver, calls = graded(right)
    rows = build(tmp_path, home, solver).table()
    assert len(calls) == 300
    assert dict(rows.select("id", "level").iter_rows()) == {name: 6 - n for name, n in right.items()}
    assert rows.filter(pl.col("pass_low") > pl.col("n_correct") / 5).height == 0


def test_funnel_accounts_for_every_row(tmp_path: Path, home: Path) -> None:
    """Kept and dropped together are the source, and the card prints the reasons."""
    solver, _ = graded({f"made/test-{i:04}": i % 6 for i in range(60)})
    built = build(tmp_path, home, solver, "per_level=4", "chunk=60")
    kept, dropped = built.table(), built.table("dropped")
    assert kept.height + dropped.height == 60
    assert kept.group_by("level").len()["len"].to_list() == [4] * 6
    card = (built.folder / "README.md").read_text()
    assert "| quota | 36 |" in card and "CC0-1.0" in card and "scripted:graded" in card


def test_a_second_build_asks_nothing_and_writes_the_same_bytes(tmp_path: Path, home: Path) -> None:
    """Same inputs, same version, byte-equal files."""
    solver, calls = graded({f"made/test-{i:04}": i % 6 for i in range(60)})
    first = build(tmp_path, home, solver, "per_level=4")
    before = {p.name: p.read_bytes() for p in first.folder.iterdir()}
    asked = len(calls)
    second = build(tmp_path, home, solver, "per_level=4")
    assert second.version == first.version
    assert {p.name: p.read_bytes() for p in second.folder.iterdir()} == before
    assert len(calls) == asked


def test_stops_asking_when_every_level_is_full(tmp_path: Path, home: Path) -> None:
    """With small quotas the last chunk is never tried, and says so."""
    solver, calls = graded({f"made/test-{i:04}": i % 6 for i in range(60)})
    built = build(tmp_path, home, solver, "per_level=1", "chunk=30")
    assert len(calls) == 150
    assert built.table("dropped").filter(pl.col("dropped_by") == "not needed").height == 30


def test_a_short_level_is_said(tmp_path: Path, home: Path) -> None:
    """A quota that cannot be filled is a sentence in the manifest and the card."""
    solver, _ = graded({})
    built = build(tmp_path, home, solver, "per_level=50")
    assert "made, level 1: 0 of 50 questions." in built.manifest["notes"]


def test_failing_solver_publishes_nothing(tmp_path: Path, home: Path) -> None:
    """More failures than tolerated stop the build; repeating it asks only for these."""
    failing, _ = graded({}, fail={"made/test-0003"})
    with pytest.raises(MedbenchError, match="5 of 250 solver calls failed"):
        build(tmp_path, home, failing)
    assert store.versions(home, "made-levelled") == []
    solver, calls = graded({})
    build(tmp_path, home, solver)
    assert calls.count("made/test-0003") == 5
    assert len(calls) == 300 - 245


def test_wrong_settings_name_the_key(tmp_path: Path, home: Path) -> None:
    """An unknown setting of a dataset offers the nearest."""
    solver, _ = graded({})
    with pytest.raises(UsageError, match="no key named 'per_lvel'") as caught:
        build(tmp_path, home, solver, "per_lvel=3")
    assert "per_level" in caught.value.fix


def test_a_dataset_that_is_not_here_says_what_builds_it(home: Path) -> None:
    """The error names the build command."""
    with pytest.raises(MedbenchError) as caught:
        store.dataset(home, "alphamed-19k")
    assert caught.value.fix.startswith("medbench build alphamed-19k")
