"""Replies that already exist are graded as in a run: real figures, clear refusals, nothing half done."""

import ast
import gzip
import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench import parity
from medbench.adapters import BadRow
from medbench.errors import UsageError
from medbench.evaluators import items, logs, replies, scoring, sensitivity
from medbench.parity import Mark, Profile
from medbench.schema import LETTERS, Example
from tests.support import questions
from tests.support.process import json_of, killed, medbench

Rows = Iterable[Mapping[str, Any]]


def jsonl(path: Path, rows: Rows) -> str:
    """The path of a file of JSON lines with these rows."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def real(shared: Path, name: str, folder: Path) -> list[str]:
    """Options that score GPT-4o's replies to the medical part of MMMU-Pro."""
    source = shared / "mmmu_medical" / f"mmmu_pro_health_gpt4o_{name}.jsonl"
    rows = [json.loads(line) for line in source.read_text(encoding="utf-8").splitlines()]
    asked = [
        {
            "id": row["id"],
            "question": row["question"],
            "options": ast.literal_eval(row["options"]),
            "gold": row["answer"],
        }
        for row in rows
    ]
    said = [{"id": row["id"], "reply": row["response"]} for row in rows]
    return [
        "--items",
        jsonl(folder / "items.jsonl", asked),
        "--replies",
        jsonl(folder / "replies.jsonl", said),
    ]


def predictions(shared: Path, model: str) -> list[dict[str, Any]]:
    """A model's real predictions on MedQA as replies."""
    path = next((shared / "model_outputs_medqa").glob(f"{model}*.jsonl"))
    rows = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return [{"id": f"medqa/test-{row['realidx']:04d}", "reply": row["predicted_answer"]} for row in rows]


@pytest.mark.parametrize(("model", "right"), [("Llama-3.3-70B", 978), ("gpt-4o-mini", 934)])
def test_published_scores_on_medqa(model: str, right: int, shared: Path, tmp_path: Path, home: Path) -> None:
    """The real predictions of two models give the published counts, as JSON lines and as Parquet."""
    rows = predictions(shared, model)
    options = ["-b", "medqa", "--mirror", str(shared)]
    first = json_of("score", *options, "--replies", jsonl(tmp_path / "r.jsonl", rows), home=home)
    assert (first["results"][0]["right"], first["results"][0]["n"], first["missing"]) == (right, 1273, 0)
    short = [{**row, "id": row["id"].removeprefix("medqa/")} for row in rows]
    pl.DataFrame(short).write_parquet(tmp_path / "r.parquet")
    second = json_of("score", *options, "--replies", str(tmp_path / "r.parquet"), home=home)
    assert second["results"] == first["results"]


def test_published_score_of_reasoned_replies(shared: Path, tmp_path: Path, home: Path) -> None:
    """GPT-4o with reasoning on MMMU-Pro's medical part: 164 of 286."""
    tree = json_of("score", *real(shared, "cot", tmp_path), home=home)
    assert (tree["results"][0]["right"], tree["replies"]) == (164, 286)


def test_a_profile_gives_the_peers_number(shared: Path, tmp_path: Path, home: Path) -> None:
    """GPT-4o's direct replies: MMMU-Pro's own rule counts 113 of 286; medbench's stands beside it."""
    tree = json_of("score", *real(shared, "direct", tmp_path), "--profile", "mmmu-pro", home=home)
    peer = tree["peer"][0]
    assert (peer["right"], peer["n"]) == (113, 286)
    assert peer["here"] == tree["results"][0]["value"] == pytest.approx(peer["score"] - peer["difference"])


def mcq(name: str = "q1", **more: Any) -> dict[str, Any]:
    """An item with three options."""
    return {"id": name, "question": "Which?", "options": ["heart", "liver", "lung"], "gold": "B", **more}


def scored(folder: Path, home: Path, asked: Rows, said: Rows, *more: str) -> dict[str, Any]:
    """What `score --items --replies` says."""
    files = ["--items", jsonl(folder / "i.jsonl", asked), "--replies", jsonl(folder / "r.jsonl", said)]
    return json_of("score", *files, *more, home=home)


def test_missing_wrong_and_unanswered_are_three_things(tmp_path: Path, home: Path) -> None:
    """No reply is missing; an empty or null one is unanswered and wrong; a failed call is unscored."""
    asked = [mcq(f"q{i}") for i in range(6)]
    said = [
        {"id": "q0", "reply": "The answer is B."},
        {"id": "q1", "reply": "The answer is C."},
        {"id": "q2", "reply": None},
        {"id": "q3", "reply": ""},
        {"id": "q4", "reply": "x", "finish": "error"},
    ]
    tree = scored(tmp_path, home, asked, said)
    row = tree["results"][0]
    assert (tree["replies"], tree["missing"]) == (5, 1)
    assert (row["value"], row["n"], row["right"], row["unanswered"], row["unscored"]) == (0.25, 4, 1, 2, 1)
    assert tree["statuses"] == {"scored": 2, "no_answer": 2, "error": 1}
    assert set(tree) >= {"source", "profile", "replies", "missing", "results", "statuses", "rules"}


def test_every_kind_of_item(tmp_path: Path, home: Path) -> None:
    """Each kind is graded, with options in a list or by label, and with gold in each of its forms."""
    asked = [
        mcq("a", gold="liver"),
        mcq("b", options={"b": "liver", "a": "heart"}, gold="B"),
        mcq("c", options={"1": "heart", "2": "liver"}, gold=2),
        mcq("d", kind="multi", gold=["A", "C"]),
        mcq("e", kind="multi", gold="A, C"),
        mcq("f", gold=["A", "liver"]),
        {"id": "g", "question": "Is it?", "kind": "yesno", "gold": "Yes"},
        {"id": "h", "question": "How many?", "kind": "number", "gold": 7},
        {"id": "i", "question": "Where?", "kind": "closed", "gold": ["left lung", "lung"]},
        {"id": "j", "question": "Where?", "kind": "open", "gold": "left lung"},
    ]
    said = {
        "a": "B",
        "b": "(b)",
        "c": "The answer is 2.",
        "d": "A and C",
        "e": "The answer is A, C.",
        "f": "A",
    }
    said |= {"g": "yes", "h": "It is \\boxed{7}", "i": "left lung", "j": "Left lung."}
    out = tmp_path / "out.jsonl"
    rows_in = [{"id": name, "reply": text} for name, text in said.items()]
    tree = scored(tmp_path, home, asked, rows_in, "--out", str(out))
    rows = {row["id"]: row for row in map(json.loads, out.read_text().splitlines())}
    assert {name: row["correct"] for name, row in rows.items()} == dict.fromkeys(said, True)
    assert list(rows["a"]) == ["id", "sample", "answer", "rule", "status", "correct"]
    assert [rows[name]["answer"] for name in "abcd"] == ["B", "B", "2", "AC"]
    assert tree["results"][0]["right"] == len(said)


def test_parquet_items_with_options_by_letter(tmp_path: Path, home: Path) -> None:
    """A Parquet struct fills absent options with nulls; they are no options."""
    two = {"A": "heart", "B": "liver"}
    rows = [mcq("q1", options={**two, "C": "lung"}), mcq("q2", options=two, gold="A")]
    pl.DataFrame(rows).write_parquet(tmp_path / "i.parquet")
    said = jsonl(tmp_path / "r.jsonl", [{"id": "q1", "reply": "B"}, {"id": "q2", "reply": "C"}])
    tree = json_of("score", "--items", str(tmp_path / "i.parquet"), "--replies", said, home=home)
    assert tree["results"][0]["right"] == 1
    assert tree["results"][0]["unanswered"] == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (mcq(gold="E"), "not among the options"),
        (mcq(gold="spleen"), "not among the options"),
        (mcq(gold=None), "no gold"),
        (mcq(gold=[]), "no gold"),
        (mcq(options=["heart"]), "1 options"),
        (mcq(options=[f"o{i}" for i in range(27)]), "27 options"),
        (mcq(options={"A": "x", "C": "y"}), "without a gap"),
        (mcq(options=["liver", "x", "Liver "], gold="LIVER"), "give the letter"),
        (mcq(options="heart"), "options"),
        (mcq(options=["heart", None]), "not text"),
        (mcq(question=" "), "no question"),
        (mcq(kind="essay"), "none of mcq"),
        (mcq(kind="open"), "takes no options"),
        (mcq(lang=3), "lang is not text"),
        (mcq(tags=["x"]), "tags"),
        ({"id": "q1", "question": "?", "gold": "x"}, "neither kind nor options"),
        ({"id": "q1", "question": "?", "kind": "yesno", "gold": "heart"}, "none of yes"),
        ({"id": "q1", "question": "?", "kind": "number", "gold": "many"}, "cannot be read"),
    ],
)
def test_a_bad_item_is_told_by_name(row: dict[str, Any], reason: str, tmp_path: Path) -> None:
    """Each way in which an item can be wrong is an error with its line, id and reason."""
    with pytest.raises(UsageError) as caught:
        items.load(Path(jsonl(tmp_path / "i.jsonl", [mcq("q0"), row])))
    assert "i.jsonl: 1 bad item: line 2 (q1): " in caught.value.what and reason in caught.value.what


def test_bad_items_end_the_command(tmp_path: Path, home: Path) -> None:
    """The first five bad items are named and the rest counted; nothing is graded."""
    files = ["--items", jsonl(tmp_path / "i.jsonl", [mcq(f"q{i}", gold="E") for i in range(7)])]
    files += ["--replies", jsonl(tmp_path / "r.jsonl", [{"id": "q0", "reply": "B"}])]
    done = medbench("score", *files, home=home, code=2)
    assert "7 bad items: line 1 (q0): gold 'E'" in done.stderr and "and 2 more" in done.stderr


def test_items_twice_or_without_id_are_refused(tmp_path: Path) -> None:
    """Two items of one name, and one without a name, are errors."""
    for rows, reason in (([mcq(), mcq()], "there twice"), ([{**mcq(), "id": None}], "no id")):
        with pytest.raises(UsageError, match=reason):
            items.load(Path(jsonl(tmp_path / "i.jsonl", rows)))


LINES: list[tuple[str, str, str]] = [
    ('{"id": "q9", "reply": "B"}', "1 id names no question: 'q9' (nearest: 'q", "unknown id"),
    ('{"id": "q1", "reply": "B"}\n{"id": "q1", "reply": "C"}', "both answer 'q1', sample 0", "twice"),
    ('{"id": "q1", "reply": "B"}\n{"id": "q2", "reply": ', "line 2: not JSON", "bad JSON"),
    ('{"id": "q1", "reply": "B"}\n[1]', "line 2: not a JSON object", "no object"),
    ('{"id": "q1", "answer": "B"}', "line 1: no column reply; there are answer, id", "no reply"),
    ('{"reply": "B"}', "line 1: no column id", "no id"),
    ('{"id": "q1", "reply": 7}', "line 1: reply is not text", "number"),
    ('{"id": "q1", "reply": ["B"]}', "line 1: reply is not text", "list"),
    ('{"id": "q1", "reply": "B", "sample": -1}', "sample -1", "sample"),
    ('{"id": "q1", "reply": "B", "finish": "died"}', "finish 'died'", "finish"),
    ("", "is empty", "empty"),
    ("\n\n", "holds no rows", "blank"),
    ("[" * 100_000, "nested too deep", "deep"),
]


@pytest.mark.parametrize(("text", "says", "_"), LINES, ids=[name for *_, name in LINES])
def test_bad_replies_are_refused(text: str, says: str, _: str, tmp_path: Path) -> None:
    """Each way in which a file of replies can be wrong is told with the file and the line."""
    path = tmp_path / "r.jsonl"
    path.write_text(text, encoding="utf-8")
    asked = [items.example(name, mcq(name)) for name in ("q1", "q2")]

    def grade() -> None:
        assert logs.form_of(path) is None
        replies.join(replies.load(path), asked, str(path))

    with pytest.raises(UsageError) as caught:
        grade()
    assert says in caught.value.what and "r.jsonl" in caught.value.what


def test_files_that_are_no_files_of_rows(tmp_path: Path, home: Path) -> None:
    """A folder, an absent file, bad UTF-8 and a torn Parquet file are told as such."""
    (tmp_path / "bytes.jsonl").write_bytes(b'{"id": "q1", "reply": "\xff"}\n')
    (tmp_path / "torn.parquet").write_bytes(b"PAR1" + b"\0" * 50)
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(b'{"id": "q1", "reply": "B"}\n'))
    for name, says in {
        ".": "is a folder",
        "none.jsonl": "there is no file",
        "bytes.jsonl": "line 1: not UTF-8",
        "torn.parquet": "as Parquet",
        "rows.jsonl.gz": "is compressed",
    }.items():
        with pytest.raises(UsageError, match=says):
            list(replies.load(tmp_path / name))
    asked = jsonl(tmp_path / "i.jsonl", [mcq()])
    done = medbench("score", "--items", asked, "--replies", str(tmp_path), home=home, code=2)
    assert "is a folder" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "nothing to score"),
        (["some-run", "--replies", "R"], "a run has its own"),
        (["-b", "medqa", "--items", "I", "--replies", "R"], "both name the questions"),
        (["--replies", "R"], "says nothing of the questions"),
        (["nothing-here"], "no run named"),
        (["-b", "medqq", "--replies", "R"], "did you mean 'medqa'"),
        (["--items", "I", "--replies", "R", "--profile", "mirag"], "did you mean 'mirage'"),
        (["--items", "I", "--replies", "R", "--format", "lmeval"], "did you mean 'lm-eval'"),
        (["--items", "I", "--replies", "R", "--out", "x.csv"], "ends in .jsonl or .parquet"),
        (["--items", "I", "--replies", "R", "--out", "R"], "would change what is read"),
        (
            ["--items", "I", "--replies", "R", "--profile", "vqa-med-2019"],
            "no rule for questions of kind mcq",
        ),
    ],
)
def test_wrong_commands(arguments: list[str], says: str, tmp_path: Path, home: Path) -> None:
    """Each misuse of the verb says what is wrong, with exit code 2."""
    names = {"I": jsonl(tmp_path / "i.jsonl", [mcq()])}
    names["R"] = jsonl(tmp_path / "r.jsonl", [{"id": "q1", "reply": "B"}])
    done = medbench("score", *[names.get(word, word) for word in arguments], home=home, code=2)
    assert says in " ".join(done.stderr.split()) and "Traceback" not in done.stderr


def test_unknown_ids_are_counted_with_the_nearest(shared: Path, tmp_path: Path, home: Path) -> None:
    """Replies to another split are refused: how many, the first few, and what the ids look like."""
    rows = [{"id": f"medqa/train-{i:04d}", "reply": "A"} for i in range(7)]
    options = ["-b", "medqa", "--mirror", str(shared), "--replies", jsonl(tmp_path / "r.jsonl", rows)]
    done = medbench("score", *options, home=home, code=2)
    assert "7 ids name no question: 'medqa/train-0000' (nearest: 'medqa/test-" in done.stderr
    assert "and 4 more" in done.stderr


def test_several_samples(tmp_path: Path, home: Path) -> None:
    """Numbered replies to one question give mean@k, pass@k and majority@k, in any order of the rows."""
    asked = [mcq("q1"), mcq("q2")]
    said = [
        {"id": name, "sample": i, "reply": letter}
        for name, letters in {"q1": "BBA", "q2": "ACA"}.items()
        for i, letter in enumerate(letters)
    ]
    values = []
    for rows in (said, said[::-1]):
        found = scored(tmp_path, home, asked, rows)["results"]
        values.append({row["metric"]: row["value"] for row in found})
    assert values[0] == values[1] == {"mean@3": pytest.approx(1 / 3), "pass@3": 0.5, "majority@3": 0.5}


def made(folder: Path, n: int) -> list[str]:
    """Options for the made-up benchmark of n questions."""
    return ["--catalog", str(questions.catalog(folder, n)), "--mirror", str(folder / "mirror")]


def evaluated(folder: Path, home: Path, *more: str) -> dict[str, Any]:
    """A run of a scripted model over 12 questions, one of which fails."""
    styles = ["\\boxed{%s}", "The answer is %s.", "It could be %s or A or D", "%s"]
    said = [
        {"id": e.id, "reply": styles[i % 4] % e.gold[0]} for i, e in enumerate(questions.examples(12)[:11])
    ]
    model = f"scripted:{jsonl(folder / 'said.jsonl', said)}"
    options = ["-b", "made", "-m", model, "--tolerance", "1", *made(folder, 12)]
    return json_of("eval", *options, *more, home=home)


def test_a_run_graded_again_is_the_run(tmp_path: Path, home: Path) -> None:
    """The same reader gives the same results and verdicts, changes nothing in the run, and asks nobody."""
    run = evaluated(tmp_path, home)
    folder = home / "runs" / run["run"]
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    out = tmp_path / "again.parquet"
    tree = json_of("score", run["run"], *made(tmp_path, 12), "--out", str(out), home=home)
    assert [{k: v for k, v in row.items() if k != "right"} for row in tree["results"]] == run["results"]
    assert (tree["missing"], tree["statuses"]["error"]) == (0, 1)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    columns = ["sample", "answer", "rule", "status", "correct"]
    verdicts = pl.read_parquet(folder / "verdicts.parquet")
    assert pl.read_parquet(out).select(columns).equals(verdicts.select(columns))


def test_a_run_is_graded_only_with_its_own_questions(tmp_path: Path, home: Path) -> None:
    """Changed questions, an unfinished run and a run of another kind are refused."""
    run = evaluated(tmp_path, home)["run"]
    options = made(tmp_path, 12)
    path = tmp_path / "mirror" / "made" / "test.jsonl"
    path.write_text(path.read_text().replace("a made-up finding", "another finding"))
    done = medbench("score", run, *options, home=home, code=3)
    assert "are not those that run" in done.stderr
    (home / "runs" / run / "manifest.json").unlink()
    assert "repeat its command" in medbench("score", run, *options, home=home, code=1).stderr


def test_a_run_made_with_a_limit_is_graded_on_the_same_questions(tmp_path: Path, home: Path) -> None:
    """--limit is part of the run: the same few questions are found again."""
    run = evaluated(tmp_path, home, "--limit", "5")
    tree = json_of("score", run["run"], *made(tmp_path, 12), home=home)
    assert tree["replies"] == 5 and tree["results"][0]["value"] == run["results"][0]["value"]


def test_the_starter_set_needs_nothing_else(home: Path) -> None:
    """A baseline on the packaged questions can be graded again at once, with every reader."""
    run = json_of("eval", "-b", "starter-heldout", "-m", "baseline:random", home=home)
    tree = json_of("score", run["run"], "--sensitivity", home=home)
    assert tree["results"][0]["value"] == run["results"][0]["value"]
    assert tree["sensitivity"][0]["here"] == run["sensitivity"]["here"]


def test_an_evaluation_says_how_other_readers_read(tmp_path: Path, home: Path) -> None:
    """One line by default, a key in --json, and the same figures as `score --sensitivity`."""
    run = evaluated(tmp_path, home)
    found = run["sensitivity"]
    scores = {row["profile"]: row["score"] for row in found["profiles"]}
    assert found["n"] == found["of"] == 11
    assert scores[found["lowest"]] <= found["median"] <= scores[found["highest"]]
    assert found["spread"] >= scores[found["highest"]] - scores[found["lowest"]]
    again = json_of("score", run["run"], *made(tmp_path, 12), "--sensitivity", home=home)["sensitivity"][0]
    assert {key: again[key] for key in found} == found
    options = ["-b", "made", "-m", f"scripted:{tmp_path / 'said.jsonl'}", "--tolerance", "1"]
    shown = medbench("eval", *options, *made(tmp_path, 12), home=home).stdout
    lines = [line for line in shown.splitlines() if line.startswith("reading:")]
    assert len(lines) == 1 and f"medbench score {run['run']} --sensitivity" in lines[0]


def test_the_line_looks_at_a_fixed_sample_and_survives_a_bad_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many replies the same few are taken each time; a profile that fails is left out."""
    asked = [items.example(f"q{i}", mcq()) for i in range(300)]
    said = [replies.Given(f"line {i}", (f"q{i}",), "B" if i % 3 else "A") for i in range(300)]
    part = scoring.score("made", asked, said, source={"replies": "r"}).parts[0]
    monkeypatch.setattr(sensitivity, "MOST", 60)

    def broken(reply: str, example: Example) -> Mark:
        return {}[reply]

    profiles = dict(parity.PROFILES, bad=Profile("bad", "Nobody", "none", "here", {"mcq": broken}))
    monkeypatch.setattr(parity, "PROFILES", profiles)
    first, second = (sensitivity.glance([(part.verdicts, part.examples)]) for _ in range(2))
    assert first is not None and first == second
    assert (first.n, first.total) == (60, 300)
    assert {peer.profile for peer in first.peers} == {
        name for name, profile in profiles.items() if "mcq" in profile.kinds and name != "bad"
    }


def test_sensitivity_shows_a_default_letter(tmp_path: Path, home: Path) -> None:
    """Unreadable replies to questions whose gold is A: MIRAGE's rule pays all of them, medbench none."""
    asked = [mcq(f"q{i}", gold="A") for i in range(4)]
    said = [{"id": f"q{i}", "reply": "It is hard to tell."} for i in range(4)]
    tree = scored(tmp_path, home, asked, said, "--sensitivity")
    row = next(row for row in tree["sensitivity"][0]["profiles"] if row["profile"] == "mirage")
    assert (row["score"], row["guessed"], row["here"]) == (1.0, 4, 0.0)
    assert tree["sensitivity"][0]["spread"] == 1.0


def test_profiles_are_listed(home: Path) -> None:
    """`list profiles` names each with its kinds, its rule and what is wrong with it."""
    rows = json_of("list", "profiles", home=home)["profiles"]
    assert {"medevalkit", "mirage", "mmmu-pro", "lm-eval"} <= {row["profile"] for row in rows}
    assert all(row["kinds"] and row["rule"] for row in rows)


def test_a_profile_writes_its_own_columns(tmp_path: Path, home: Path) -> None:
    """With --profile the rows also say what the peer took, and whether it read or guessed."""
    out = tmp_path / "out.parquet"
    said = [{"id": "q1", "reply": "No idea."}]
    scored(tmp_path, home, [mcq()], said, "--profile", "mirage", "--out", str(out))
    row = pl.read_parquet(out).row(0, named=True)
    assert (row["answer"], row["correct"]) == (None, False)
    assert (row["peer_answer"], row["peer_how"], row["peer_correct"]) == ("A", "guessed", False)


@pytest.mark.slow
def test_a_killed_command_leaves_no_half_file(tmp_path: Path, home: Path) -> None:
    """kill -9 while the rows are written: the old file is whole, or the new one is."""
    n = 60_000
    asked = jsonl(tmp_path / "i.jsonl", (mcq(f"q{i}") for i in range(n)))
    said = jsonl(tmp_path / "r.jsonl", ({"id": f"q{i}", "reply": "The answer is B."} for i in range(n)))
    out = tmp_path / "out.jsonl"
    out.write_text("old\n")

    def writing() -> bool:
        return any(tmp_path.glob(".out.jsonl.*"))

    killed("score", "--items", asked, "--replies", said, "--out", str(out), home=home, when=writing)
    text = out.read_text()
    assert text == "old\n" or text.count("\n") == n


def lm_eval_row(number: int, **more: Any) -> dict[str, Any]:
    """A sample as lm-eval logs it."""
    doc = {"question": f"Which {number}?", "options": {"A": "heart", "B": "liver"}, "answer_idx": "B"}
    arguments = {"gen_args_0": {"arg_0": f"Which {number}?", "arg_1": {"until": []}}}
    return {"doc_id": number, "doc": doc, "target": "B", "arguments": arguments, "filter": "none", **more}


def log_score(path: Path, home: Path, *more: str) -> dict[str, Any]:
    """What `score --replies LOG` says."""
    return json_of("score", "--replies", str(path), *more, home=home)


def test_lm_eval_samples(tmp_path: Path, home: Path) -> None:
    """Repeats are samples, a document logged once per filter counts once, likelihoods give a letter."""
    rows = []
    for name in ("strict", "loose"):
        repeats = (["A", "answer is B"], ["B", "B"])
        rows += [
            lm_eval_row(i, resps=[said], filtered_resps=["[invalid]"], filter=name)
            for i, said in enumerate(repeats)
        ]
    path = tmp_path / "samples_x.jsonl"
    jsonl(path, rows)
    tree = log_score(path, home)
    assert tree["source"]["format"] == "lm-eval"
    assert (tree["replies"], tree["results"][0]["metric"], tree["results"][0]["right"]) == (4, "mean@2", 3)
    compared = [[["-0.1", "False"]], [["-0.9", "True"]]]
    jsonl(path, [lm_eval_row(0, resps=compared, target="1"), lm_eval_row(1, resps=compared, target="0")])
    assert log_score(path, home)["results"][0]["right"] == 1
    broken = [[["nan", "False"]], [["-0.9", "True"]]]
    jsonl(path, [lm_eval_row(0, resps=compared, target="0"), lm_eval_row(1, resps=broken, target="0")])
    found = log_score(path, home)["results"][0]
    assert (found["n"], found["right"], found["unscored"]) == (1, 1, 1)


def test_an_lm_eval_log_of_our_own_export(tmp_path: Path, home: Path) -> None:
    """The documents that `medbench export` writes hold the whole question, ids included."""
    options = made(tmp_path, 6)
    medbench("export", "made", "--for", "lm-eval", "--out", str(tmp_path / "tasks"), *options, home=home)
    data = (tmp_path / "tasks" / "medbench_made.jsonl").read_text().splitlines()
    rows = [
        {"doc_id": i, "doc": doc, "target": doc["gold"], "filter": "none", "resps": [["The answer is A."]]}
        for i, doc in enumerate(map(json.loads, data))
    ]
    path = tmp_path / "samples.jsonl"
    jsonl(path, rows)
    alone, joined = log_score(path, home), log_score(path, home, "-b", "made", *options)
    assert alone["results"][0]["right"] == joined["results"][0]["right"] == 2
    jsonl(path, rows[:4])
    assert log_score(path, home, "-b", "made", *options)["missing"] == 2


def test_rows_that_are_only_numbered_must_ask_the_same(tmp_path: Path, home: Path) -> None:
    """lmms-eval keeps only prompt and row number: they must fit the benchmark's question at that row."""
    asked = questions.examples(4)
    rows = [
        {"doc_id": i, "target": "A", "input": f"<image>{e.question}\nA. …", "filtered_resps": ["A"]}
        for i, e in enumerate(asked)
    ]
    path = tmp_path / "x_samples_y.jsonl"
    jsonl(path, rows)
    tree = log_score(path, home, "-b", "made", *made(tmp_path, 4))
    assert (tree["source"]["format"], tree["results"][0]["right"]) == ("lmms-eval", 1)
    assert "does not hold the question" in medbench("score", "--replies", str(path), home=home, code=2).stderr
    jsonl(path, [*rows[::-1][:2], {**rows[0], "doc_id": 1, "input": "Something else?"}])
    done = medbench("score", "--replies", str(path), "-b", "made", *made(tmp_path, 4), home=home, code=2)
    assert "1 id names no question: '1'" in done.stderr


def inspect_sample(name: str, epoch: int, text: str, **more: Any) -> dict[str, Any]:
    """A sample as Inspect logs it."""
    output = {"completion": text, "choices": [{"stop_reason": "stop"}] if text else []}
    about = {"input": [{"role": "user", "content": f"Which {name}?"}], "choices": ["heart", "liver"]}
    return {"id": name, "epoch": epoch, **about, "target": "B", "output": output, **more}


SAMPLES = [
    inspect_sample("a", 1, "ANSWER: B"),
    inspect_sample("a", 2, "ANSWER: A"),
    inspect_sample("b", 1, "ANSWER: B"),
    inspect_sample("b", 2, "", error={"message": "timeout"}),
]


def zstandard(folder: Path, rows: Rows) -> Path:
    """An archive as Inspect writes it: Zstandard members, which `zipfile` cannot make here, so by hand."""
    path = folder / "log.eval"
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w") as archive:
        for row in rows:
            packed = pyarrow.compress(json.dumps(row).encode(), codec="zstd", asbytes=True)
            archive.writestr(f"samples/{row['id']}_epoch_{row['epoch']}.json", packed)
    content = bytearray(stored.getvalue())
    for mark, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        place = content.find(mark)
        while place >= 0:
            content[place + at : place + at + 2] = (93).to_bytes(2, "little")
            place = content.find(mark, place + 1)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("form", ["deflate", "zstandard", "json"])
def test_inspect_logs(form: str, tmp_path: Path, home: Path) -> None:
    """Archives of either compression, and JSON: epochs are samples, a sample's error is a failed call."""
    path = tmp_path / ("log.json" if form == "json" else "log.eval")
    if form == "json":
        path.write_text(json.dumps({"version": 2, "eval": {}, "samples": SAMPLES}))
    elif form == "zstandard":
        zstandard(tmp_path, SAMPLES)
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("header.json", "{}")
            for row in SAMPLES:
                archive.writestr(f"samples/{row['id']}_epoch_{row['epoch']}.json", json.dumps(row))
    tree = log_score(path, home)
    row = tree["results"][0]
    assert tree["source"]["format"] == "inspect"
    assert (row["metric"], row["right"], row["n"], row["unscored"]) == ("mean@2", 2, 3, 1)


def test_an_archive_that_is_too_large_or_torn_is_refused(tmp_path: Path, home: Path) -> None:
    """A small file that unpacks to very much, and half a file, are errors and fill no memory."""
    path = tmp_path / "log.eval"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("samples/a.json", "w") as big,
    ):
        for _ in range(300):
            big.write(b" " * (1 << 20))
    assert "larger than 256 MiB" in medbench("score", "--replies", str(path), home=home, code=2).stderr
    path.write_bytes(path.read_bytes()[:1000])
    assert "not a whole zip" in medbench("score", "--replies", str(path), home=home, code=2).stderr


VLM = [
    {
        "index": "3",
        "question": "Which?",
        "A": "heart",
        "B": "liver",
        "C": "",
        "answer": "B",
        "prediction": "B.",
    },
    {"index": "7", "question": "Which?", "A": "1", "B": "2", "C": "3", "answer": "C", "prediction": "A"},
    {
        "index": "9",
        "question": "Is it?",
        "A": "",
        "B": "",
        "C": "",
        "answer": "yes",
        "prediction": "Failed to obtain answer via API.",
    },
]


def sheet(path: Path, rows: list[dict[str, str]]) -> None:
    """The least Excel file that holds these rows."""
    table = [list(rows[0]), *[list(row.values()) for row in rows]]
    cells = "".join(
        "<row>" + "".join(f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in row) + "</row>"
        for row in table
    )
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{kind}.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
        '<sheet name="Sheet1" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{cells}</sheetData></worksheet>',
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)


@pytest.mark.parametrize("suffix", ["tsv", "xlsx", "json"])
def test_vlmevalkit_results(suffix: str, tmp_path: Path, home: Path) -> None:
    """Sheet, table and JSON: blank options are none, and a reply that never came is a failed call."""
    path = tmp_path / f"model_data.{suffix}"
    if suffix == "tsv":
        pl.DataFrame(VLM).write_csv(path, separator="\t", quote_style="always")
    elif suffix == "json":
        path.write_text(json.dumps(VLM))
    else:
        pytest.importorskip("fastexcel")
        sheet(path, VLM)
    tree = log_score(path, home)
    row = tree["results"][0]
    assert tree["source"]["format"] == "vlmevalkit"
    assert (row["right"], row["n"], row["unscored"]) == (1, 2, 1)


def test_medevalkit_results(tmp_path: Path, home: Path) -> None:
    """Options lose the letters they begin with; open, closed and yes/no answers are told by the row."""
    rows = [
        {"prompt": "Which?", "choices": ["A. heart", "B. liver"], "answer": "B", "response": "liver"},
        {"prompt": "Which?", "choices": ["A.heart", "B.liver"], "answer": "liver", "response": "A"},
        {"question": "Is it?", "answer": "yes", "answer_type": "CLOSED", "response": "Yes."},
        {"question": "Where?", "answer": "lung", "answer_type": "CLOSED", "response": "lung"},
    ]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(rows, indent=4))
    tree = log_score(path, home)
    assert tree["source"]["format"] == "medevalkit"
    assert (tree["results"][0]["right"], tree["results"][0]["n"]) == (3, 4)


def test_real_logs_of_the_medevalkit_form(shared: Path) -> None:
    """The published MMMU outputs of two models are read as they are, options by letter and open ones too."""
    paths = sorted((shared / "mmmu_medical" / "model_outputs").glob("*/*.json"))
    for path in paths:
        assert logs.form_of(path) == "medevalkit"
        asked, said = logs.alone(logs.load(path, "medevalkit"), path)
        assert len(asked) == len(said) == replies.join(said, asked, str(path)).height == 30
    assert len(paths) == 10


@pytest.mark.parametrize("form", logs.FORMATS)
def test_a_log_of_another_format_is_told(form: str, tmp_path: Path) -> None:
    """A format that does not fit the file is an error that names the file, whatever the file holds."""
    path = tmp_path / "x.jsonl"
    for text in (
        '{"id": "a", "reply": "B"}',
        "[]",
        "[1]",
        "{}",
        "null",
        '[{"response": 1}]',
        '{"samples": 3}',
    ):
        path.write_text(text)
        with pytest.raises(UsageError, match=r"x\.jsonl"):
            logs.load(path, form)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {"question": st.just("?") | VALUES, "gold": VALUES, "options": VALUES},
        optional={
            "kind": st.sampled_from(["mcq", "multi", "yesno", "number", "open"]) | VALUES,
            "tags": VALUES,
        },
    )
)
def test_any_row_is_an_item_or_a_reason(row: dict[str, Any]) -> None:
    """Whatever a row holds, it becomes a sound Example or a BadRow, never another error."""
    try:
        made = items.example("x", row)
    except BadRow:
        return
    assert made.gold and all(made.gold)
    if made.kind == "mcq":
        assert set(made.gold) <= set(LETTERS[: len(made.options)])
