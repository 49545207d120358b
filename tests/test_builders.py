"""Builders: nothing disappears silently, no test question gets through, the same bytes each time."""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from medbench import builders, store
from medbench.adapters import Drop
from medbench.builders import leaks, steps
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
HALVES = (
    "A farmer with fever and a swollen spleen has returned from a long stay abroad",
    "his sister complains of double vision that grows worse towards the evening hours",
)


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
        ("True about the femur is:", ("four", "three", "two", "one"), True),
        ("True about the femur is:", ("five", "six", "seven", "eight"), False),
        ("Which of the following is not used in DIC?", ("Heparin", "FFP", "EACA", "Platelets"), False),
        (
            "In the treatment of DIC which of the following is not used in adults?",
            ("a", "b", "c", "d"),
            False,
        ),
        (f"{HALVES[0]} {HALVES[1]}", ("one", "two", "three", "four"), False),
        ("Which nerve supplies the deltoid muscle in a healthy adult person at rest?", (), False),
    ],
    ids=[
        "same stem",
        "case and marks",
        "one word changed",
        "short stem, same options",
        "short stem, options reordered",
        "generic stem",
        "generic beginning",
        "generic middle",
        "half of one test, half of another",
        "other",
    ],
)
def test_decontamination(question: str, options: tuple[str, ...], leaks: bool) -> None:
    """Planted leaks are found; a generic stem with other options is not one."""
    pcr = "Which of the following is not used in polymerase chain reaction?"
    tests = [item("t/1", LONG), item("t/2", "True about the femur is"), item("t/3", pcr)]
    tests += [item(f"t/half {i}", f"{half} and how is it treated today?") for i, half in enumerate(HALVES)]
    found = steps.Leaks(tests).find(item("x", question, *options))
    assert (found is not None) == leaks


def test_without_options_a_short_stem_is_no_leak() -> None:
    """Where there are no options to compare, an equal stem of 8 words is a leak and one of 4 is not."""
    long, short = "Does early walking shorten the stay after surgery?", "What is the diagnosis?"
    index = steps.Leaks([Example("t/1", "yesno", long, ("yes",)), Example("t/2", "open", short, ("gout",))])
    found = [index.find(Example("x", "open", stem, ("yes",))) for stem in (long.upper(), short)]
    assert found == ["t/1", None]


def test_what_tells_questions_apart() -> None:
    """Greek and Chinese letters and telling signs count; case, accents and other marks do not."""
    different = [
        ("IFN-γ", "IFN-α"),
        ("CT图像", "ct"),
        ("Rh+", "Rh-"),
        ("<5", ">5"),
        ("-2", "2"),
        ("≤ 5", "<5"),
    ]
    different += [("HBsAg +ve", "HBsAg -ve"), ("↑ Ca", "↓ Ca"), ("++", "+++"), ("Na⁺", "Na"), ("की", "का")]
    same = [("Sjögren's", "sjogren s"), ("X-ray", "X ray"), ("< 5", "<5"), ("Na⁺", "na+"), ("≥5", ">= 5")]
    same += [
        ("The following is true about it -", "the following is TRUE about it:-"),
        ("Σύνδρομο", "σύνδρομο"),
    ]
    assert [pair for pair in different if leaks.words(pair[0]) == leaks.words(pair[1])] == []
    assert [pair for pair in same if leaks.words(pair[0]) != leaks.words(pair[1])] == []


def test_duplicates_in_any_option_order() -> None:
    """The same item with its options reordered is a duplicate; the first stays."""
    rows = [item("a", "Q?", "1", "2", "3"), item("b", "q", "3", "1", "2"), item("c", "Q?", "1", "2", "4")]
    rows[1] = replace(rows[1], gold=("B",))
    table = steps.dedupe(steps.begin(rows, []), rows)
    assert steps.kept(table)["id"].to_list() == ["a", "c"]


def test_contradictory_golds_all_go() -> None:
    """The same item with another answer leaves none of its copies; the same letter is not the same answer."""
    rows = [
        item("a", "Q?", "1", "2"),
        item("b", "q", "1", "2"),
        item("c", "Q", "2", "1"),
        item("d", "R", "1", "2"),
    ]
    table = steps.dedupe(steps.begin(rows, []), rows)
    assert steps.kept(table)["id"].to_list() == ["d"]
    found = table.filter(pl.col("dropped_by") == "contradictory golds")
    assert dict(found.select("id", "detail").iter_rows()) == {"a": "b", "b": "a", "c": "a"}


def test_a_defective_row_does_not_take_its_twin_along() -> None:
    """Only rows still in are looked at for duplicates."""
    rows = [item("a", "Q?", "1", "2"), item("b", "Q?", "1", "2")]
    table = steps.dedupe(steps.drop(steps.begin(rows, []), {"a": "why"}, "defective options"), rows)
    assert steps.kept(table)["id"].to_list() == ["b"]


def test_real_questions_leak_only_themselves(shared: Path, home: Path) -> None:
    """A MedMCQA question is found in capitals and reordered; none of MedQA or PubMedQA is taken for one."""
    catalog, mirror = Catalog.load(), Place(home, shared, home / "medbench.lock")
    rows = catalog.examples("medmcqa", mirror).examples
    planted = [
        replace(e, question=e.question.upper() + " ?", options=tuple(reversed(e.options))) for e in rows[::10]
    ]
    index = steps.Leaks(rows)
    assert [e.id for e in planted if index.find(e) is None] == []
    others = [e for name in ("medqa", "pubmedqa") for e in catalog.examples(name, mirror).examples]
    assert [e.id for e in others if index.find(e)] == []


def test_real_duplicates(shared: Path, home: Path) -> None:
    """MedMCQA's validation set holds 12 repeated questions and one pair that contradicts itself."""
    rows = Catalog.load().examples("medmcqa", Place(home, shared, home / "medbench.lock")).examples
    funnel = dict(steps.funnel(steps.dedupe(steps.begin(rows, []), rows)).iter_rows())
    assert funnel == {"duplicate": 12, "contradictory golds": 2, "(kept)": 4169}


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


def prepared(tmp_path: Path, home: Path, *settings: str) -> tuple[builders.Job, Catalog, Place]:
    """The made-up dataset of 60 questions, ready to build."""
    catalog = Catalog.load([questions.catalog(tmp_path, 60)])
    place = Place(home, tmp_path / "mirror", home / "medbench.lock")
    return builders.prepare("made-levelled", settings, catalog, place), catalog, place


def build(tmp_path: Path, home: Path, solver: Scripted, *settings: str, fresh: bool = False) -> Built:
    """Build the made-up dataset of 60 questions."""
    job, _, _ = prepared(tmp_path, home, *settings)
    return builders.build(job, {"solver": solver}, fresh=fresh)


def content(folder: Path) -> dict[str, bytes]:
    """The files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


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
    before = content(first.folder)
    asked = len(calls)
    second = build(tmp_path, home, solver, "per_level=4")
    assert second.version == first.version
    assert content(second.folder) == before
    assert len(calls) == asked
    assert before.keys() - {"manifest.json"} == second.manifest["files"].keys()


def test_other_answers_make_another_version(tmp_path: Path, home: Path) -> None:
    """Asked afresh, the same answers give the version there is; other answers a new one beside it."""
    first = build(tmp_path, home, graded({"made/test-0001": 3})[0])
    before = content(first.folder)
    assert build(tmp_path, home, graded({"made/test-0001": 3})[0], fresh=True).version == 1
    other = build(tmp_path, home, graded({"made/test-0001": 4})[0], fresh=True)
    assert (other.version, content(first.folder)) == (2, before)
    assert [built.version for built in store.versions(home, "made-levelled")] == [1, 2]


def test_a_version_is_whole_or_not_there(home: Path) -> None:
    """A publisher that dies leaves no version; what it wrote is cleared away by the next."""
    rows = {"rows": pl.DataFrame({"id": ["b", "a"]})}
    with pytest.raises(AttributeError):
        store.publish(home, "d", tables={**rows, "samples": None}, card="", identity={})  # type: ignore[dict-item]
    assert store.versions(home, "d") == []
    assert (home / "datasets" / "d" / ".1.tmp" / "rows.parquet").exists()
    built = store.publish(home, "d", tables=rows, card="", identity={})
    assert (built.version, built.table()["id"].to_list()) == (1, ["a", "b"])
    assert list((home / "datasets" / "d").glob(".*.tmp")) == []


def test_a_damaged_version_is_not_given_again(home: Path) -> None:
    """Identity and bytes decide, and the bytes are those on disk."""
    rows = {"rows": pl.DataFrame({"id": ["a"]})}
    first = store.publish(home, "d", tables=rows, card="", identity={})
    (first.folder / "rows.parquet").write_bytes(b"PAR1")
    assert store.publish(home, "d", tables=rows, card="", identity={}).version == 2
    assert store.publish(home, "d", tables=rows, card="", identity={"x": 1}).version == 3


def test_a_dataset_names_no_machine(tmp_path: Path, home: Path) -> None:
    """The solver's address stays in the run; the dataset has the model's name."""
    solver = Scripted("openai:my-7b@http://10.0.0.1:8000/v1", graded({})[0].script)
    built = build(tmp_path, home, solver)
    assert built.manifest["identity"]["solver"] == "openai:my-7b"
    texts = [(built.folder / name).read_text() for name in ("README.md", "manifest.json")]
    texts += [json.dumps(built.table(name).to_dicts()) for name in ("rows", "dropped", "samples")]
    assert [text for text in texts if "10.0.0.1" in text or str(tmp_path) in text] == []
    (run,) = (home / "runs").iterdir()
    assert json.loads((run / "config.json").read_text())["solver"] == solver.name


def test_stops_asking_when_every_level_is_full(tmp_path: Path, home: Path) -> None:
    """With small quotas the last chunk is never tried, and says so."""
    solver, calls = graded({f"made/test-{i:04}": i % 6 for i in range(60)})
    built = build(tmp_path, home, solver, "per_level=1", "chunk=30")
    assert len(calls) == 150
    assert built.table("dropped").filter(pl.col("dropped_by") == "not needed").height == 30


def test_a_cap_is_not_called_not_needed(tmp_path: Path, home: Path) -> None:
    """Questions that a cap left untried say so; with full levels they were not needed."""
    right = {f"made/test-{i:04}": i % 6 for i in range(60)}
    capped = build(tmp_path, home, graded(right)[0], "candidates=40")
    assert dict(steps.funnel(capped.table("dropped")).iter_rows())["over the candidates cap"] == 20
    filled = build(tmp_path, home, graded(right)[0], "candidates=40", "per_level=1", "chunk=40")
    assert filled.table("dropped").filter(pl.col("dropped_by") == "not needed").height == 20


def test_no_quota_asks_nothing(tmp_path: Path, home: Path) -> None:
    """With zero questions per level there is nothing to measure."""
    solver, calls = graded({})
    assert build(tmp_path, home, solver, "per_level=0").table().height == 0
    assert calls == []


def test_estimate_is_what_is_asked_at_most(tmp_path: Path, home: Path) -> None:
    """Without asking: as many requests as a build that fills no level, and its tokens."""
    seen: list[Request] = []
    plain, _ = graded({})

    def script(request: Request) -> str | Reply:
        seen.append(request)
        return plain.script(request)

    job, _, _ = prepared(tmp_path, home, "samples=2", "sampling.max_tokens=10", "candidates=50")
    estimate = job.estimate
    assert seen == []
    builders.build(job, {"solver": Scripted("scripted:graded", script)})
    assert (estimate.requests, estimate.tokens_out_at_most) == (len(seen), 10 * len(seen)) == (100, 1000)
    assert estimate.tokens_in == pytest.approx(
        sum(len(str(r.messages[0]["content"])) for r in seen) / 4, abs=2
    )


def test_unclean_keeps_every_usable_row(tmp_path: Path, home: Path) -> None:
    """Repeated questions are dropped, unless the builder is told to clean nothing."""
    job, catalog, place = prepared(tmp_path, home)
    rows = tmp_path / "mirror" / "made" / "test.jsonl"
    rows.write_text(rows.read_text() + rows.read_text().splitlines()[7] + "\n")

    def answer(request: Request) -> str:
        return "The answer is A."

    kept = []
    for clean in ("true", "false"):
        job = builders.prepare("made-levelled", [f"clean={clean}", "decontaminate=false"], catalog, place)
        built = builders.build(job, {"solver": Scripted("scripted:a", answer)})
        kept.append((built.table().height, any("Not cleaned" in note for note in built.manifest["notes"])))
    assert kept == [(60, False), (61, True)]


def test_rows_lost_from_a_whole_source_are_said(tmp_path: Path, home: Path) -> None:
    """A source kept whole that lost a question to the solver is not whole, and the card says so."""
    solver, _ = graded({}, fail={"made/test-0003"})
    built = build(tmp_path, home, solver, "whole=[made]", "levelled=[]", "max_failed=0.1")
    assert built.table().height == 59
    said = "made: 1 of 60 questions lost to failed solver calls, though the source is kept whole."
    assert said in built.manifest["notes"]
    assert said in (built.folder / "README.md").read_text()


@pytest.mark.parametrize(
    "setting", ["samples=0", "per_level=-1", "chunk=0", "candidates=0", "max_failed=1.5", "max_failed=-0.1"]
)
def test_settings_out_of_bounds_are_refused(tmp_path: Path, home: Path, setting: str) -> None:
    """A number that makes no sense is refused before anything is read, by its name."""
    with pytest.raises(UsageError, match=f"'{setting.partition('=')[0]}'"):
        prepared(tmp_path, home, setting)


def test_a_short_level_is_said(tmp_path: Path, home: Path) -> None:
    """A quota that cannot be filled is a sentence in the manifest and the card."""
    solver, _ = graded({})
    built = build(tmp_path, home, solver, "per_level=50")
    assert "made, level 1: 0 of 50 questions." in built.manifest["notes"]


def test_failing_solver_publishes_nothing(tmp_path: Path, home: Path) -> None:
    """More failures than tolerated stop the build; repeating it asks only for these."""
    failing, _ = graded({}, fail={"made/test-0003"})
    with pytest.raises(MedbenchError, match="5 of 250 calls of the solver failed"):
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
