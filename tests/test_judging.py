"""Judges inside `eval`, `score` and `diff`: what they are asked, and the figures that come of it."""

import codecs
import hashlib
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from PIL import Image

from medbench.evaluators import judging
from tests.support import judges as played
from tests.support import sights
from tests.support.judges import Asked, Done, JudgeServer, Play, inside, json_inside, labelled
from tests.support.openai_server import Faults
from tests.support.process import killed
from tests.support.teacher import Body, lot

DEAD = "openai:j@http://127.0.0.1:9/v1"
Z = 1.959963984540054
Row = dict[str, Any]


# Independent figures


def wilson(right: float, n: int) -> tuple[float, float]:
    """The ends of Wilson's interval: where |p - share| = z sqrt(p (1 - p) / n)."""
    share, square = right / n, Z * Z
    low, high = sorted(np.roots([1 + square / n, -2 * share - square / n, share**2]).real)
    return float(low), float(high)


def robust(values: Sequence[float], clusters: Sequence[str]) -> tuple[float, float]:
    """The ends of a cluster-robust interval of a mean, clipped to [0, 1]."""
    gaps = np.asarray(values) - np.mean(values)
    named, places = np.unique(clusters, return_inverse=True)
    sums = np.bincount(places, weights=gaps)
    error = Z * math.sqrt((sums**2).sum() * len(named) / (len(named) - 1)) / len(values)
    return max(float(np.mean(values)) - error, 0.0), min(float(np.mean(values)) + error, 1.0)


def ends(row: Row) -> tuple[float, float]:
    """The interval of a figure."""
    return row["low"], row["high"]


def close(ends: tuple[float, float]) -> Any:
    """These ends, but for rounding."""
    return pytest.approx(ends, abs=1e-9)


# Questions, replies, judges


def finding(number: int, **more: Any) -> Row:
    """An open item of one's own."""
    told = {"question": f"What does picture {number} show?", "kind": "open", "gold": "a small mass"}
    return {"id": f"q{number}", **told, **more}


def choice(number: int, **more: Any) -> Row:
    """An item with options; A is right."""
    return {
        "id": f"q{number}",
        "question": f"Which is {number}?",
        "options": ["heart", "lung"],
        "gold": "A",
    } | more


def said(*replies: str | Row) -> list[Row]:
    """Replies to the items q0, q1, …; each a text, or a row."""
    return [
        {"id": f"q{n}", **(reply if isinstance(reply, dict) else {"reply": reply})}
        for n, reply in enumerate(replies)
    ]


def knowing(labels: Mapping[str, str]) -> Play:
    """A judge that knows replies by a word in them; "" is no verdict."""

    def play(body: Body) -> str:
        asked = Asked(body)
        shown = next(iter(asked.parts.values()))
        label = next(label for word, label in labels.items() if word in shown)
        return asked.worded(label) if label else "I cannot tell."

    return play


TUMOUR = knowing({"tumour": "CORRECT", "cyst": "INCORRECT", "mass": "CORRECT", "blur": ""})
"""Knows that a tumour is a mass and a cyst is none."""


def files(folder: Path, asked: Sequence[Row], replies: Sequence[Row]) -> list[str]:
    """Options that name items and replies."""
    paths = (labelled(folder / "items.jsonl", asked), labelled(folder / "replies.jsonl", replies))
    return ["score", "--items", str(paths[0]), "--replies", str(paths[1]), "--retries", "0"]


class Scored(NamedTuple):
    """What `score --judge --json` said, and what its judge was asked."""

    told: Row
    calls: list[Body]
    run: Path

    def row(self, metric: str = "judged_accuracy", group: str | None = None) -> Row:
        """The figure of a metric, whole or of a subgroup."""
        [row] = [r for r in self.told["results"] if r["metric"] == metric and r.get("group") == group]
        return dict(row)

    def judgements(self) -> pl.DataFrame:
        """Table JUDGEMENT of the run."""
        return pl.read_parquet(self.run / "judgements.parquet")


def scored(
    folder: Path,
    asked: Sequence[Row],
    replies: Sequence[Row],
    play: Play = TUMOUR,
    *more: str,
    judge: str = "equivalence",
    code: int = 0,
) -> Scored:
    """Items and replies put to a judge on loopback."""
    command = files(folder, asked, replies)
    with JudgeServer(play) as server:
        command += ["--judge", f"{judge}={server.model()}", *more]
        told = json_inside(*command, home=folder / "home", code=code)
        return Scored(told, server.calls, folder / "home/runs" / told["run"])


def failed(*command: str, home: Path, code: int = 2) -> str:
    """What a command that must fail says on stderr."""
    return inside(*command, home=home, code=code).stderr


def figures(told: Row, metric: str = "judged_accuracy") -> Row:
    """The whole figure of a metric."""
    [row] = [r for r in told["results"] if r["metric"] == metric and not r.get("group")]
    return dict(row)


# Real sets


LIMIT = 90
PLAIN, CODED, WRONG, EMPTY = "plain", "coded", "wrong", "empty"


class Real(NamedTuple):
    """A real benchmark in a folder of its own, and what is asked in it by id."""

    benchmark: str
    options: list[str]
    golds: dict[str, tuple[str, str]]


def painted(path: Path, name: str) -> bytes:
    """A small picture like no other, and a file with it."""
    grain = hashlib.sha256(name.encode()).digest() * 2
    Image.frombytes("RGB", (7, 3), grain[:63]).save(buffer := io.BytesIO(), "JPEG")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    return buffer.getvalue()


def own(folder: Path, benchmark: str) -> str:
    """The path of a catalog with a benchmark of one's own."""
    path = folder / "own.yaml"
    path.write_text(f"benchmarks:\n  {benchmark}\n", encoding="utf-8")
    return str(path)


def slake(shared: Path, folder: Path) -> Real:
    """SLAKE's English open questions, with pictures of ours."""
    source = shared / "slake_text/test.json"
    rows = json.loads(source.read_text(encoding="utf-8"))
    for name in {row["img_name"] for row in rows if row["answer_type"] == "OPEN"}:
        painted(folder / "mirror/slake_text/imgs" / name, name)
    (folder / "mirror/slake_text/test.json").write_bytes(source.read_bytes())
    catalog = own(folder, "slake-en-open: {like: slake-en, where: {lang: en, kind: open}, size: 645}")
    golds = {
        f"slake/{row['qid']}": (row["question"].strip(), row["answer"].strip())
        for row in rows
        if (row["q_lang"], row["answer_type"]) == ("en", "OPEN")
    }
    options = ["--catalog", catalog, "--mirror", str(folder / "mirror")]
    return Real("slake-en-open", options, golds)


def path_vqa(shared: Path, folder: Path) -> Real:
    """Some of PathVQA's free-form questions in the Hub's layout, with pictures of ours."""
    rows: dict[tuple[str, str, str], None] = {}
    for row in json.loads((shared / "pathvqa_text/pvqa_test.json").read_text(encoding="utf-8"))[:100]:
        for question, labels in zip(row["sentf"]["pvqa"], row["labelf"]["pvqa"], strict=True):
            rows[row["img_id"], question, next(iter(labels))] = None
    pictures = {name: painted(folder / "pictures" / name, name) for name, _, _ in rows}
    table = [
        {"image": {"bytes": pictures[name], "path": None}, "question": question, "answer": answer}
        for name, question, answer in rows
    ]
    out = folder / "mirror/flaviagiammarino/path-vqa/data/test-00000-of-00001.parquet"
    out.parent.mkdir(parents=True)
    pl.DataFrame(table).write_parquet(out)
    golds = {
        f"path-vqa/test-{place:05}": (question.strip(), answer.strip())
        for place, (_, question, answer) in enumerate(rows)
        if answer.strip().casefold() not in ("yes", "no")
    }
    catalog = own(folder, f"path-vqa-some: {{like: path-vqa-open, size: {len(golds)}}}")
    return Real("path-vqa-some", ["--catalog", catalog, "--mirror", str(folder / "mirror")], golds)


def way(name: str) -> str:
    """How the policy answers a question: the gold itself, in a code, wrongly, or not at all."""
    place = lot("way", name)
    return PLAIN if place < 0.35 else CODED if place < 0.7 else WRONG if place < 0.9 else EMPTY


def answers(real: Real, path: Path, name: str = "policy") -> str:
    """A scripted policy. Coded golds are paraphrases that only a judge who can read the code understands."""
    rows = []
    for key, (_, gold) in real.golds.items():
        coded = f"In other words: {codecs.encode(gold, 'rot13')}"
        reply = {PLAIN: gold, CODED: coded, WRONG: f"Nothing of note, {key}.", EMPTY: ""}[way(key)]
        rows.append({"id": key, "reply": reply})
    return f"scripted:{labelled(path / f'{name}.jsonl', rows)}"


def decoding(body: Body) -> str:
    """A judge that reads the code, is hard on a fifth of it, and at first says nothing about a fifth.

    Of replies that are the gold it rejects a third, which only shows where it is asked about them.
    """
    asked = Asked(body)
    found = re.search(r"^Reference: (.*)$", asked.text, re.MULTILINE)
    assert found
    reply, gold = asked.parts["REPLY"], found[1]
    if asked.seed == 0 and lot("dull", reply, gold) < 0.2:
        return "Hard to say."
    coded = reply.partition("In other words: ")[2]
    return asked.worded("CORRECT" if agrees(reply, coded, gold) else "INCORRECT")


def agrees(reply: str, coded: str, gold: str) -> bool:
    """Whether that judge accepts a reply."""
    if coded:
        return codecs.encode(coded, "rot13") == gold and lot("hard", gold) >= 0.2
    return reply == gold and lot("strict", gold) >= 1 / 3


def accepted(gold: str, how: str) -> bool:
    """What that judge says of a reply."""
    coded = codecs.encode(gold, "rot13") if how == CODED else ""
    return how in (CODED, PLAIN) and agrees(gold, coded, gold)


@pytest.fixture(params=[slake, path_vqa])
def real(request: pytest.FixtureRequest, shared: Path, tmp_path: Path) -> Real:
    """A real open set."""
    made: Real = request.param(shared, tmp_path)
    return made


def distinct(real: Real, names: Sequence[str]) -> set[tuple[str, str, str, str]]:
    """What replies to some questions differ in for a judge; wrong replies name their question."""
    return {(*real.golds[n], way(n), n if way(n) == WRONG else "") for n in names}


def test_rules_judge_and_both_on_real_open_questions(real: Real, tmp_path: Path, home: Path) -> None:
    """The judge is asked exactly about what the rules left, or about all; the three figures fit together."""
    command = [
        "eval",
        "-b",
        real.benchmark,
        "-m",
        answers(real, tmp_path),
        "--limit",
        str(LIMIT),
        *real.options,
    ]
    plain = json_inside(*command, home=home)
    verdicts = pl.read_parquet(home / "runs" / plain["run"] / "verdicts.parquet")
    names, n = verdicts["example"].to_list(), LIMIT
    right = {name for name in names if way(name) == PLAIN}
    assert set(verdicts.filter("correct")["example"]) == right and len(names) == n
    assert figures(plain, "accuracy")["value"] == pytest.approx(len(right) / n)
    assert "judge" not in plain and not [r for r in plain["results"] if r["metric"].startswith("judged")]
    accepts = {name for name in names if accepted(real.golds[name][1], way(name))}
    for more, put, good in (
        ([], {name for name in names if way(name) in (CODED, WRONG)}, right | (accepts - right)),
        (["--judge-all"], {name for name in names if way(name) != EMPTY}, accepts),
    ):
        with JudgeServer(decoding) as server:
            told = json_inside(*command, "--judge", server.model(), *more, home=home)
        table = pl.read_parquet(home / "runs" / told["run"] / "judgements.parquet")
        assert set(table.filter(by="judge")["example"]) == put and table.height == n
        first = [body for body in server.calls if body["seed"] == 0]
        texts = {json.dumps(body["messages"]) for body in server.calls}
        assert len(first) == len(texts) == len(distinct(real, sorted(put))) < len(put) + 1
        assert all(Asked(body).parts["REPLY"] for body in server.calls)
        dull = [body for body, text in server.heard if text == "Hard to say."]
        assert dull and len(server.calls) == len(first) + len(dull)
        assert set(table.filter(value=1.0)["example"]) == good
        row, judge = figures(told), told["judge"]
        assert (row["value"], row["n"], row["unscored"]) == (pytest.approx(len(good) / n), n, 0)
        assert row["unanswered"] == sum(way(name) == EMPTY for name in names)
        values = [float(name in good) for name in table["example"]]
        clusters = [c or e for c, e in table.select("cluster", "example").iter_rows()]
        alone = len(set(clusters)) == n
        assert ends(row) == close(wilson(len(good), n) if alone else robust(values, clusters))
        assert (judge["put"], judge["unscored"], judge["all"]) == (len(put), 0, bool(more))
        assert figures(told, "accuracy") == figures(plain, "accuracy")
    assert accepts != right | accepts


def test_verdicts_outlive_a_kill(shared: Path, tmp_path: Path, home: Path) -> None:
    """Killed in mid-judging, the same command asks for what is not on record, and nothing else."""
    real = slake(shared, tmp_path)
    with JudgeServer(decoding) as server:
        server.latency = 0.02
        command = [
            "eval",
            "-b",
            real.benchmark,
            "-m",
            answers(real, tmp_path),
            "--limit",
            "400",
            *real.options,
        ]
        command += ["--judge", server.model(), "--concurrency", "4"]

        def lines() -> list[Row]:
            """The judge's journal, whole lines only."""
            texts = [path.read_text(encoding="utf-8") for path in (home / "runs").glob("*/judge.jsonl")]
            return [json.loads(line) for text in texts for line in text.split("\n")[:-1]]

        killed(*command, home=home, when=lambda: len(lines()) >= 25)
        held = len(lines())
        assert not list((home / "runs").glob("*/manifest.json"))
        server.calls.clear()
        told = json_inside(*command, home=home)
        table = pl.read_parquet(home / "runs" / told["run"] / "judgements.parquet")
        wanted = len(distinct(real, table.filter(by="judge")["example"].to_list()))
        dull = sum(row["text"] == "Hard to say." for row in lines())
        assert 25 <= held < wanted and len(server.calls) == wanted + dull - held
        assert len({row["key"] for row in lines()}) == len(lines()) == wanted + dull
        again = json_inside(*command, home=home)
        assert again == told and len(server.calls) == wanted + dull - held


# Figures


MIXED = [
    "a small mass",
    "a tumour",
    "a cyst",
    "a tumour, surely",
    "",
    "a blur",
    {"reply": "no", "finish": "refused"},
]


def test_a_judged_figure_with_all_its_company(tmp_path: Path) -> None:
    """n, unanswered and unscored add up, and what is missing widens the interval from all 0 to all 1."""
    replies = said(*MIXED, {"reply": "", "finish": "error"}, "another blur")
    found = scored(tmp_path, [finding(n) for n in range(9)], replies, TUMOUR, "--tolerance", "1")
    row = found.row()
    # 1 by rule, 3 judged (1, 0, 1), 2 worth nothing, 2 without a verdict, 1 whose call failed
    assert (row["n"], row["unanswered"], row["unscored"]) == (6, 2, 3)
    assert row["value"] == pytest.approx((3 + 2 * 2 / 3) / 8)
    assert (row["low"], row["high"]) == close((wilson(3, 8)[0], wilson(5, 8)[1]))
    judge = found.told["judge"]
    assert (judge["put"], judge["unscored"], judge["borrowed"], judge["disagreement"]) == (5, 2, 0, None)
    assert len(found.calls) == 5 + 2  # a second try for each without a verdict
    table = found.judgements()
    assert table["by"].to_list() == ["rules", *["judge"] * 3, "rules", "judge", "rules", "nobody", "judge"]
    assert table["error"].to_list() == [None] * 5 + ["no verdict", None, None, "no verdict"]
    assert table["said"].to_list()[1:4] == [["CORRECT"], ["INCORRECT"], ["CORRECT"]]
    plain = found.row("accuracy")
    assert (plain["right"], plain["n"], plain["unscored"]) == (1, 8, 1)


def test_clusters_and_samples_widen_a_judged_interval(tmp_path: Path) -> None:
    """Rows of a cluster, and samples of a question, count as dependent."""
    asked = [finding(n, cluster=f"image {n // 3}") for n in range(12)]
    replies = said(*["a tumour"] * 3, *["a cyst"] * 3, "a tumour", *["a cyst"] * 2, *["a tumour"] * 3)
    values = [1.0] * 3 + [0.0] * 3 + [1.0, 0.0, 0.0] + [1.0] * 3
    row = scored(tmp_path, asked, replies).row()
    assert ends(row) == close(robust(values, [one["cluster"] for one in asked]))
    assert ends(row) != close(wilson(7, 12))
    replies = [
        {**row, "sample": k} for k in (0, 1) for row in said("a tumour", "a cyst", "a tumour", "a cyst")
    ]
    replies[-1]["reply"] = "the tumour"
    row = scored(tmp_path, [finding(n) for n in range(4)], replies).row("judged_mean@2")
    assert (row["value"], row["n"]) == (5 / 8, 8)
    assert ends(row) == close(robust([1, 0, 1, 0, 1, 0, 1, 1], list("abcdabcd")))


def test_subgroups_have_judged_figures(tmp_path: Path) -> None:
    """Each subgroup has its own row, with its own n and interval."""
    asked = [finding(n, tags={"part": "HEAD" if n < 4 else "CHEST"}) for n in range(10)]
    found = scored(tmp_path, asked, said(*["a tumour"] * 3, *["a cyst"] * 5, "a tumour", "a small mass"))
    head, chest = (found.row(group=f"part={part}") for part in ("HEAD", "CHEST"))
    assert (head["value"], head["n"], ends(head)) == (0.75, 4, close(wilson(3, 4)))
    assert (chest["value"], chest["n"], ends(chest)) == (pytest.approx(1 / 3), 6, close(wilson(2, 6)))
    assert head["judge"] == "equivalence=openai:judge" and head["calibrated"] is False


@pytest.mark.parametrize("faults", [Faults(always="500"), Faults(always="garbage"), Faults(always="empty")])
def test_a_judge_without_a_verdict_makes_no_number(faults: Faults, tmp_path: Path, home: Path) -> None:
    """The value is null and the interval open, and the command fails unless that is tolerated."""
    command = files(tmp_path, [finding(n) for n in range(8)], said("a small mass", *["a tumour"] * 7))
    with JudgeServer(TUMOUR, faults=faults) as server:
        command += ["--judge", server.model()]
        told = json_inside(*command, home=home, code=1)
        assert json_inside(*command, "--tolerance", "1", home=home)["results"] == told["results"]
        assert "87.5% of the replies have no verdict" in inside(*command, home=home, code=1).stderr
        server.faults = Faults()
        mended = figures(json_inside(*command, home=home))
    row = figures(told)
    assert (row["value"], row["n"], row["unscored"]) == (None, 1, 7)
    assert (row["low"], row["high"]) == close((wilson(1, 8)[0], 1.0))
    assert (mended["value"], mended["unscored"]) == (1.0, 0)


def test_words_without_a_verdict_stay_on_record(tmp_path: Path, home: Path) -> None:
    """A judge that says no label twice was heard: no number, and the same command asks it nothing more."""
    command = files(tmp_path, [finding(n) for n in range(4)], said(*["a tumour"] * 3, "a cyst"))
    with JudgeServer(lambda body: "Who can tell?") as server:
        command += ["--judge", server.model()]
        told = json_inside(*command, home=home, code=1)
        assert figures(told)["value"] is None and len(server.calls) == 2 * 4
        assert [figures(told)["low"], figures(told)["high"], figures(told)["n"]] == [0.0, 1.0, 0]
        assert json_inside(*command, home=home, code=1) == told and len(server.calls) == 2 * 4


def test_scales_are_means_of_the_level_over_the_highest(tmp_path: Path) -> None:
    """RARL's rubric is asked about all, also what is right; the figure is the mean of score / 3."""
    play = knowing({"mass": "3", "tumour": "2", "cyst": "1", "nothing": "0"})
    replies = said("a small mass", "a tumour", "a cyst", "nothing", "a tumour!")
    found = scored(tmp_path, [finding(n) for n in range(5)], replies, play, judge="rarl-rubric")
    values = [1, 2 / 3, 1 / 3, 0, 2 / 3]
    row = found.row("judged_rubric")
    assert (row["value"], row["n"], len(found.calls)) == (pytest.approx(np.mean(values)), 5, 5)
    assert ends(row) == close(robust(values, list("abcde")))
    assert found.judgements()["value"].to_list() == pytest.approx(values)


def test_a_span_settles_genacc_without_asking(tmp_path: Path) -> None:
    """A gold word by word in a reply is right, however the rules read it; the judge hears the rest."""
    play = knowing({"tumour": "yes", "cyst": "no"})
    long = "It might be a cyst or, as I think, a small mass in the left lobe, or nothing at all."
    found = scored(
        tmp_path,
        [*(finding(n) for n in range(3)), choice(3)],
        said(long, "a tumour", "a cyst", "A"),
        play,
        judge="s3-genacc",
    )
    assert len(found.calls) == 2 and found.row("judged_genacc")["value"] == pytest.approx(2 / 3)
    assert found.judgements()["by"].to_list() == ["rules", "judge", "judge"]


def test_other_kinds_are_the_rules_affair(tmp_path: Path) -> None:
    """Beside open questions, a judge with rules counts options as read, one without leaves them out."""
    asked = [choice(0), choice(1), finding(2), choice(3)]
    replies = said("A", "B", "a tumour", "I would rather not")
    found = scored(tmp_path, asked, replies)
    row = found.row()
    assert (row["value"], row["n"], row["unanswered"], len(found.calls)) == (0.5, 4, 1, 1)
    assert found.row(group="kind=mcq")["value"] == pytest.approx(1 / 3)
    found = scored(tmp_path, asked, replies, knowing({"tumour": "2"}), judge="rarl-rubric")
    assert (found.row("judged_rubric")["value"], found.row("judged_rubric")["n"]) == (pytest.approx(2 / 3), 1)
    every = knowing({"tumour": "3", "A": "3", "B": "0", "rather": "1"})
    found = scored(tmp_path, asked, replies, every, "--judge-all", judge="rarl-rubric")
    assert found.row("judged_rubric")["n"] == len(found.calls) == 4


def test_consistency_is_judged_without_the_gold(tmp_path: Path) -> None:
    """CAPO's judge hears reasoning and answer of any kind, never the gold; no answer is worth 0 unasked."""
    thought = "<think>It beats, so {}.</think>\\boxed{{{}}}"
    asked = [choice(n, options=["heart", "lung"], gold="B") for n in range(3)]
    play = knowing({"so heart": "true", "so lung": "false"})
    replies = said(thought.format("heart", "A"), thought.format("lung", "A"), "<think>So heart.</think>")
    found = scored(tmp_path, asked, replies, play, judge="capo-consistency")
    row = found.row("judged_consistency")
    assert (row["value"], row["n"], len(found.calls)) == (pytest.approx(1 / 3), 3, 2)
    assert not any("Reference" in Asked(body).text for body in found.calls)


OWN = """
judges:
  soundness:
    title: Is it sound?
    aspect: soundness
    prompt:
      origin: a test
      role: judge
      user: "{{question}}\\n<<<REPLY\\n{{reply}}\\nREPLY>>>\\nSay {{labels}}."
    labels: {{FLAWED: 0, SOUND: 1}}
    measure: soundness
    kinds: [mcq]
    model: {model}
"""


def test_a_judge_of_ones_own_needs_no_model_on_the_command_line(tmp_path: Path, home: Path) -> None:
    """A row of a catalog of one's own is asked about its kinds, by the model it names, in its words."""
    command = files(tmp_path, [choice(0), choice(1), finding(2)], said("A, it beats", "A, it breathes", "A"))
    with JudgeServer(lambda body: "SOUND" if "beats" in Asked(body).parts["REPLY"] else "FLAWED") as server:
        (tmp_path / "own.yaml").write_text(OWN.format(model=server.model("mine")))
        told = json_inside(
            *command, "--catalog", str(tmp_path / "own.yaml"), "--judge", "soundness", home=home
        )
        assert [body["model"] for body in server.calls] == ["mine"] * 2
        assert "Reference" not in json.dumps(server.calls) and "Which is 0?" in json.dumps(server.calls)
    row = figures(told, "judged_soundness")
    assert (row["value"], row["n"], row["judge"]) == (0.5, 2, "soundness=openai:mine")


def test_suites_have_a_judged_average_and_controls_are_not_judged(tmp_path: Path, home: Path) -> None:
    """The judged macro average is the mean over the benchmarks; no judge hears the replies to controls."""
    command = seen(tmp_path, lambda n: ("yes", "yes", "a tumour" if n < 6 else "a cyst")[n % 3])
    command = ["eval", "--suite", "seen-two", *command[3:], "--blind"]
    with JudgeServer(TUMOUR) as server:
        dry = json_inside(*command, "--judge", server.model(), "--dry-run", home=home)["dry_run"]
        assert server.calls == []
        told = json_inside(*command, "--judge", server.model(), home=home)
        assert len(server.calls) == 4
    assert {row["benchmark"]: row["requests"] for row in dry}["seen judge"] == 4
    rows = {
        r["benchmark"]: r for r in told["results"] if r["metric"].startswith("judged_") and "group" not in r
    }
    assert rows["seen"]["value"] == pytest.approx((4 + 2) / 12)
    assert rows["seen-closed"]["value"] == pytest.approx(4 / 8)
    whole = rows["seen-two"]
    assert (whole["metric"], whole["n"]) == ("judged_macro_accuracy", 20)
    assert whole["value"] == pytest.approx(1 / 2) and whole["calibrated"] is False
    assert set(rows) == {"seen", "seen-closed", "seen-two"}


def test_a_benchmark_without_a_verdict_leaves_no_average(tmp_path: Path, home: Path) -> None:
    """Where a judge says nothing on one benchmark of a suite, the judged average has no value, but ends."""
    command = seen(tmp_path, lambda n: ("yes", "yes", "a blur")[n % 3])
    command = ["eval", "--suite", "seen-two", *command[3:]]
    with JudgeServer(TUMOUR) as server:
        told = json_inside(*command, "--judge", server.model(), "--tolerance", "1", home=home)
    rows = {r["benchmark"]: r for r in told["results"] if r["metric"].startswith("judged_")}
    assert rows["seen"]["value"] is None and rows["seen-closed"]["value"] == pytest.approx(1 / 2)
    whole = rows["seen-two"]
    assert (whole["value"], whole["n"], whole["unscored"]) == (None, 16, 4)
    assert whole["low"] <= (4 / 12 + 1 / 2) / 2 and whole["high"] >= (8 / 12 + 1 / 2) / 2


def test_harm_in_one_benchmark_takes_nothing_from_another() -> None:
    """In a judged average the mean of each benchmark is clipped to 0 before they are averaged."""
    values = {"kind": [1.0, 0.5], "harmful": [-1.0, -2.0, 0.5]}
    rows = [
        (name, f"{name}{n}", f"{name}{n}", 0, "free", "en", "judge", True, value, -2.0, ["true"], None, None)
        for name, found in values.items()
        for n, value in enumerate(found)
    ]
    table = pl.DataFrame(rows, schema=judging.JUDGEMENT, orient="row")
    [row] = judging.average("both", table, "rubric_points").to_dicts()
    assert row["value"] == pytest.approx((0.75 + 0) / 2) and row["metric"] == "judged_macro_rubric_points"
    assert 0 <= row["low"] <= row["value"] <= row["high"] <= 1


def test_thoughts_are_not_shown_and_empty_ones_are_worth_nothing(tmp_path: Path) -> None:
    """The judge hears the visible part of a reply; tags with nothing in them and cut-off replies are 0."""
    replies = said(
        "<think>A cyst?</think>\n\na tumour",
        "<think></think>",
        {"reply": "a tumour, or else", "finish": "length"},
        {"reply": "<think>Hm.</think>a small mass", "finish": "length"},
    )
    found = scored(tmp_path, [finding(n) for n in range(4)], replies)
    assert [Asked(body).parts["REPLY"] for body in found.calls] == ["a tumour"]
    assert found.judgements()["value"].to_list()[:3] == [1.0, 0.0, 0.0]
    whole = scored(tmp_path, [finding(0)], replies[:1], knowing({"cyst": "2"}), judge="rarl-rubric")
    assert "A cyst?" in Asked(whole.calls[0]).parts["REPLY"]


def test_models_in_folders_that_end_alike_are_two_judges(tmp_path: Path, home: Path) -> None:
    """/runs/1/final and /runs/2/final give two runs and two figures, and may sit on a panel together."""
    command = files(tmp_path, [finding(0), finding(1)], said("a tumour", "a cyst"))
    says = {"/runs/1/final": played.constant("CORRECT"), "/runs/2/final": TUMOUR}
    with JudgeServer(played.by_model(says)) as server, JudgeServer(played.by_model(says)) as other:
        one, two = (
            json_inside(*command, "--judge", server.model(f"/runs/{n}/final"), home=home) for n in (1, 2)
        )
        assert one["run"] != two["run"] and one["judge"]["hash"] != two["judge"]["hash"]
        assert (figures(one)["value"], figures(two)["value"]) == (1.0, 0.5)
        again = json_inside(*command, "--judge", other.model("/runs/2/final"), home=home)
        assert again["results"] == two["results"] and other.calls == []
        seats = [part for n in (1, 2) for part in ("--judge", server.model(f"/runs/{n}/final"))]
        both = json_inside(*command, *seats, "--panel", "mean", home=home)
        assert figures(both)["value"] == pytest.approx(0.75)
    assert "/runs" not in json.dumps([one["judge"], both["judge"]])


@pytest.mark.parametrize("change", ["rule: none", "kinds: [open, mcq]", "measure: sameness"])
def test_what_a_catalog_changes_about_a_judge_is_another_run(change: str, tmp_path: Path, home: Path) -> None:
    """Two catalogs whose judge has another rule, other kinds or another figure share no run."""
    command = files(tmp_path, [finding(0), choice(1)], said("a small mass", "A"))
    runs, labels = [], "labels: {RIGHT: 1, WRONG: 0}"
    for name, line in (("one", "notes: none"), ("two", change)):
        row = f"title: Same?, aspect: equivalence, prompt: judge-equivalence, {labels}"
        base = {"rule": "rule: match", line.partition(":")[0]: line}
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"judges:\n  same: {{{row}, {', '.join(base.values())}}}\n", encoding="utf-8")
        with JudgeServer(played.constant("RIGHT")) as server:
            judge = ["--judge", f"same={server.model()}", "--catalog", str(path)]
            runs.append(json_inside(*command, *judge, "--tolerance", "1", home=home)["run"])
    assert runs[0] != runs[1]


# What is refused


@pytest.fixture
def silent() -> Iterator[JudgeServer]:
    """A server that must not be asked."""
    with JudgeServer(lambda body: "Nobody should ask.") as server:
        yield server


def seen(folder: Path, replies: Callable[[int], str], name: str = "policy", n: int = 12) -> list[str]:
    """An evaluation of a scripted policy on made-up pictures; every third question is open."""
    rows = [{"id": f"seen/{number}", "reply": replies(number)} for number in range(n)]
    catalog = sights.catalog(folder, n, 4)
    policy = f"scripted:{labelled(folder / f'{name}.jsonl', rows)}"
    return ["eval", "-b", "seen", "-m", policy, *pictured(catalog)]


def pictured(catalog: Path) -> list[str]:
    """Options of a made-up benchmark."""
    return ["--catalog", str(catalog), "--mirror", str(catalog.parent / "mirror")]


def test_a_judge_with_nothing_to_judge_is_refused(silent: JudgeServer, tmp_path: Path, home: Path) -> None:
    """Questions of other kinds, or none with a rubric: nobody is asked, no figure is made, no run begun."""
    command = files(tmp_path, [choice(0), choice(1)], said("A", "B"))
    for name in ("rarl-rubric", "healthbench"):
        told = failed(*command, "--judge", f"{name}={silent.model()}", home=home)
        assert f"judge '{name}' " in told and ("--judge-all" in told or "rubrics" in told)
    evaluated = seen(tmp_path, lambda n: "yes")
    told = failed(*evaluated, "--judge", f"healthbench={silent.model()}", home=home)
    assert "judges by rubrics, which no question here has" in told
    assert silent.calls == []


def test_closed_questions_of_no_options_are_judged(tmp_path: Path) -> None:
    """The judge of equivalence hears closed questions as well, beside the open ones."""
    asked = [finding(0), finding(1, kind="closed", gold="a mass")]
    found = scored(tmp_path, asked, said("a cyst", "a tumour"))
    assert (found.row()["value"], len(found.calls)) == (0.5, 2)


def test_judges_of_open_questions_refuse_closed_ones(silent: JudgeServer, tmp_path: Path, home: Path) -> None:
    """A judge whose row names other kinds is refused, with the way to judge all."""
    evaluated = seen(tmp_path, lambda n: "yes")
    evaluated[2] = "seen-closed"
    told = failed(*evaluated, "--judge", f"rarl-rubric={silent.model()}", home=home)
    assert "kind open, free, of which there are none" in told and "--judge-all" in told
    assert silent.calls == []


def test_a_refused_judge_begins_no_run(silent: JudgeServer, tmp_path: Path, home: Path) -> None:
    """What is refused leaves nothing behind that lists as a run."""
    command = files(tmp_path, [choice(0), choice(1)], said("A", "B"))
    failed(*command, "--judge", f"rarl-rubric={silent.model()}", home=home)
    assert json_inside("list", "runs", home=home)["runs"] == []


def test_score_refuses_a_judge_that_the_rules_leave_nothing(
    silent: JudgeServer, tmp_path: Path, home: Path
) -> None:
    """As eval does: a judged figure that no judge had a part in is refused, with the way to judge all."""
    command = files(tmp_path, [choice(0), choice(1)], said("A", "B"))
    assert "--judge-all" in failed(*command, "--judge", silent.model(), home=home)
    assert silent.calls == []


def test_judges_of_pairs_and_of_replies_are_told_apart(
    silent: JudgeServer, tmp_path: Path, home: Path
) -> None:
    """`preference` in eval and score, and any other judge in diff, are refused with the command to give."""
    pairs = ["--judge", f"preference={silent.model()}"]
    told = failed(*seen(tmp_path, lambda n: "yes"), *pairs, home=home)
    assert "judges pairs of replies" in told and "diff RUN RUN --judge preference=MODEL" in told
    told = failed(*files(tmp_path, [finding(0)], said("a tumour")), *pairs, home=home)
    assert "diff RUN RUN --judge preference=MODEL" in told
    told = failed("diff", "a", "b", "--judge", silent.model(), home=home)
    assert "judges replies one by one" in told and "--judge preference=MODEL" in told
    assert silent.calls == []


@pytest.mark.parametrize("option", [["--judge-all"], ["--panel", "mean"], ["--reuse-verdicts"]])
@pytest.mark.parametrize("name", ["eval", "score", "diff"])
def test_options_of_a_judge_need_one(name: str, option: list[str], tmp_path: Path, home: Path) -> None:
    """Without --judge each is refused by its name, where the command has it."""
    command = {
        "eval": lambda: seen(tmp_path, lambda n: "yes"),
        "score": lambda: files(tmp_path, [finding(0)], said("a tumour")),
        "diff": lambda: ["diff", "a", "b"],
    }[name]()
    told = failed(*command, *option, home=home)
    assert option[0] in told
    if (name, option) != ("diff", ["--judge-all"]):
        assert f"{option[0]} needs a judge" in told and "--judge [NAME=]MODEL" in told


def test_what_makes_no_panel_is_refused(silent: JudgeServer, tmp_path: Path, home: Path) -> None:
    """Unknown judges and ways, judges of other kinds, one judge twice, a judge nobody plays."""
    command = files(tmp_path, [finding(0)], said("a tumour"))
    model = silent.model()
    for options, words in (
        ([f"equivalense={model}"], "equivalence"),
        (["equivalence"], "names no model"),
        (["rarl-rubric"], "gpt-4o-mini"),
        ([model, f"rarl-rubric={model}"], "verdicts of different kinds"),
        ([model, f"equivalence={model}"], "same judge twice"),
        ([model, "--panel", "mean"], "several judges"),
        ([model, "--panel", "median"], "named 'median'"),
        ([model, "--set", "max_token=64"], "max_token"),
    ):
        judges = [part for one in options if one[:2] != "--" for part in ("--judge", one)]
        if "--panel" in options or "--set" in options:
            judges = ["--judge", *options]
        assert words in failed(*command, *judges, home=home)


# Rubrics


def health(name: str, points: Sequence[float], **more: Any) -> Row:
    """A row in HealthBench's own layout; its criteria are told apart by number."""
    turns = [
        ("user", f"My knee hurts, {name}."),
        ("assistant", "Since when?"),
        ("user", f"Since a week, {name}."),
    ]
    return {
        "prompt_id": name,
        "prompt": [{"role": role, "content": content} for role, content in turns],
        "rubrics": [
            {"criterion": f"Says what is due, part {n} of {name}.", "points": worth, "tags": ["axis:x"]}
            for n, worth in enumerate(points)
        ],
        "example_tags": ["theme:knees" if name < "q2" else "theme:others", "physician_agreed"],
        **more,
    }


def meeting(met: Mapping[str, str]) -> Play:
    """A judge of criteria; `met` has for a row its criteria in order, 1, 0 or ? for no verdict."""

    def play(body: Body) -> str:
        asked = Asked(body)
        found = re.search(r"^Criterion: Says what is due, part (\d+) of (\w+)\.$", asked.text, re.MULTILINE)
        assert found and asked.parts["REPLY"] == f"Rest it, {found[2]}."
        assert f"assistant: Since when?\n\nUser: Since a week, {found[2]}." in asked.text
        sign = met[found[2]][int(found[1])]
        return "Who knows?" if sign == "?" else asked.worded({"1": "true", "0": "false"}[sign])

    return play


def test_rubric_points_are_those_met_over_the_positive_ones(tmp_path: Path) -> None:
    """A reply may be worth less than nothing; only the mean is clipped."""
    points = {"q0": [5, 3, -4], "q1": [7, -9], "q2": [10, 2.5], "q3": [4]}
    met = {"q0": "101", "q1": "01", "q2": "11", "q3": "0"}
    worth = {
        name: sum(p for p, sign in zip(points[name], met[name], strict=True) if sign == "1")
        / sum(p for p in points[name] if p > 0)
        for name in points
    }
    assert worth == {"q0": 0.125, "q1": -9 / 7, "q2": 1.0, "q3": 0.0}
    asked, replies = [health(n, p) for n, p in points.items()], said(*(f"Rest it, {n}." for n in points))
    found = scored(tmp_path, asked, replies, meeting(met), judge="healthbench")
    assert len(found.calls) == sum(map(len, points.values()))
    assert found.judgements()["value"].to_list() == pytest.approx(list(worth.values()))
    row, knees = found.row("judged_rubric_points"), found.row("judged_rubric_points", "theme=theme:knees")
    assert (row["value"], row["n"]) == (max(pytest.approx(np.mean(list(worth.values()))).expected, 0.0), 4)
    assert (knees["value"], knees["low"]) == (0.0, 0.0)
    mixed = scored(tmp_path, asked[1:3], replies[1:3], meeting({"q1": "11", "q2": "11"}), judge="healthbench")
    assert mixed.row("judged_rubric_points")["value"] == pytest.approx((-2 / 7 + 1) / 2)


def test_a_criterion_without_a_verdict_leaves_its_reply_unscored(tmp_path: Path) -> None:
    """Neither a positive nor a negative one is taken as not met, which would lower or raise the score."""
    asked = [health("q0", [5, -4]), health("q1", [5, -4]), health("q2", [6, 2])]
    replies = said(*(f"Rest it, {row['prompt_id']}." for row in asked))
    play = meeting({"q0": "1?", "q1": "?0", "q2": "10"})
    found = scored(tmp_path, asked, replies, play, "--tolerance", "1", judge="healthbench")
    assert found.judgements()["value"].to_list() == [None, None, 0.75]
    assert found.judgements()["error"].to_list() == ["no verdict", "no verdict", None]
    row = found.row("judged_rubric_points")
    assert (row["value"], row["n"], row["unscored"]) == (0.75, 1, 2)


def test_the_bounds_of_rubric_points_hold_what_harm_could_cost(tmp_path: Path) -> None:
    """A reply that may have been harmful counts down to its own least in the interval, not to 0 alone."""
    asked = [health(f"q{n}", [2, 2]) for n in range(9)] + [health("q9", [2, -18])]
    met = {f"q{n}": "10" if n % 2 else "11" for n in range(9)} | {"q9": "??"}
    replies = said(*(f"Rest it, q{n}." for n in range(10)))
    found = scored(tmp_path, asked, replies, meeting(met), "--tolerance", "1", judge="healthbench")
    known = [0.5 if n % 2 else 1.0 for n in range(9)]
    assert found.row("judged_rubric_points")["low"] <= np.mean([*known, -9.0]).clip(0)


@pytest.mark.parametrize(
    ("rubric", "reason"),
    [
        ("be kind", "rubric is not a list"),
        (["be kind"], "not text"),
        ([{"criterion": "be kind"}], "no number"),
        ([{"criterion": "be kind", "points": "5"}], "no number"),
        ([{"criterion": "be kind", "points": True}], "no number"),
        ([{"criterion": "", "points": 5}], "not text"),
        ([{"criterion": "  ", "points": 5}], "not text"),
        ([{"criterion": ["be kind"], "points": 5}], "not text"),
        ([{"criterion": "be rude", "points": -5}], "positive points"),
        (
            [{"criterion": "be kind", "points": 5}, {"criterion": "x", "points": math.nan}],
            "no number",
        ),
        ([{"criterion": "be kind", "points": math.inf}], "no number"),
    ],
)
def test_a_bad_rubric_is_told_by_name(
    rubric: Any, reason: str, silent: JudgeServer, tmp_path: Path, home: Path
) -> None:
    """Each way in which a rubric can be wrong is an error with its line, id and reason, in both layouts."""
    own = {"id": "q1", "question": "And now?", "rubric": rubric}
    for bad in (own, health("q1", [1], rubrics=rubric)):
        command = files(tmp_path, [health("q0", [1]), bad], said("Rest it.", "Rest it."))
        told = failed(*command, "--judge", f"healthbench={silent.model()}", home=home)
        assert "line 2 (q1): " in told and reason in told
    assert silent.calls == []


@pytest.mark.parametrize(
    "more",
    [{"prompt": None}, {"prompt": 5}, {"prompt": []}, {"prompt": "Hello?"}, {"prompt": [{"role": "user"}]}],
)
def test_a_bad_conversation_is_told_by_name(
    more: Row, silent: JudgeServer, tmp_path: Path, home: Path
) -> None:
    """A row of HealthBench without a question is an error with its line and id."""
    command = files(tmp_path, [health("q0", [1]), health("q1", [1], **more)], said("Rest it.", "Rest it."))
    assert "line 2 (q1): " in failed(*command, "--judge", f"healthbench={silent.model()}", home=home)


def test_a_judge_of_references_is_asked_nothing_without_one(
    silent: JudgeServer, tmp_path: Path, home: Path
) -> None:
    """Items that have a rubric in place of a gold can't be compared with a reference: that is refused."""
    command = files(tmp_path, [health("q0", [1])], said("Rest it, q0."))
    assert "error: " in failed(*command, "--judge", silent.model(), home=home)
    assert silent.calls == []


# Panels


def opinions(table: Mapping[str, str]) -> Play:
    """Several judges behind one address; `table` has for a word in a reply their verdicts in order.

    1 is CORRECT, 0 is INCORRECT, ? is no verdict.
    """

    def play(body: Body) -> str:
        asked = Asked(body)
        seat = int(body["model"].removeprefix("judge"))
        signs = next(signs for word, signs in table.items() if word in asked.parts["REPLY"])
        return {"1": asked.worded("CORRECT"), "0": asked.worded("INCORRECT"), "?": "Well."}[signs[seat]]

    return play


VOTES = {
    "one": "111",
    "two": "110",
    "three": "100",
    "four": "000",
    "five": "11?",
    "six": "10?",
    "seven": "1??",
}


def panel(server: JudgeServer, seats: int = 3) -> list[str]:
    """Options that seat several models of one server."""
    return [part for n in range(seats) for part in ("--judge", server.model(f"judge{n}"))]


def voted(folder: Path, *more: str, seats: int = 3) -> tuple[Row, Done, list[float | None], int]:
    """What a panel made of `VOTES`: its JSON, its words, its values, and the calls."""
    command = files(folder, [finding(n) for n in range(len(VOTES))], said(*VOTES))
    command += ["--tolerance", "1", *more]
    with JudgeServer(opinions(VOTES)) as server:
        told = json_inside(*command, *panel(server, seats), home=folder / "home")
        calls = len(server.calls)
        printed = inside(*command, *panel(server, seats), home=folder / "home")
        table = pl.read_parquet(folder / "home/runs" / told["run"] / "judgements.parquet")
    return told, printed, table["value"].to_list(), calls


def test_a_panel_decides_by_majority(tmp_path: Path) -> None:
    """The most frequent label counts, a tie is unscored, and more than half of the seats must have spoken."""
    told, printed, values, _ = voted(tmp_path)
    assert values == [1.0, 1.0, 0.0, 0.0, 1.0, None, None]
    row, judge = figures(told), told["judge"]
    assert (row["n"], row["unscored"], row["value"]) == (5, 2, pytest.approx(3 / 5))
    assert (judge["verdict"], len(judge["seats"]), judge["unscored"]) == ("majority", 3, 2)
    assert judge["judge"].startswith("majority of equivalence=openai:judge0, ")
    split = judge["disagreement"]
    assert (split["value"], split["n"]) == (pytest.approx(3 / 6), 6)
    assert (split["low"], split["high"]) == close(wilson(3, 6))
    assert "the panel disagrees on 0.500" in printed.stdout and "of 6" in printed.stdout
    table = pl.read_parquet(tmp_path / "home/runs" / told["run"] / "judgements.parquet")
    assert table["error"].to_list()[5:] == ["the panel is split", "no verdict"]


def test_a_panel_decides_by_the_mean(tmp_path: Path) -> None:
    """The mean is over the seats that spoke; its interval is that of a mean."""
    told, _, values, _ = voted(tmp_path, "--panel", "mean")
    assert values == pytest.approx([1, 2 / 3, 1 / 3, 0, 1, 1 / 2, None])
    assert told["judge"]["verdict"] == "mean"
    known = values[:-1]
    usual = float(np.mean(known))
    assert figures(told)["value"] == pytest.approx(usual)
    assert figures(told)["low"] == pytest.approx(robust([*known, 0.0], list("abcdefg"))[0])
    assert figures(told)["high"] == pytest.approx(robust([*known, 1.0], list("abcdefg"))[1])


def test_two_judges_that_differ_are_no_verdict(tmp_path: Path) -> None:
    """A panel of two has a finding only where both say the same."""
    told, _, values, _ = voted(tmp_path, seats=2)
    assert values == [1.0, 1.0, None, 0.0, 1.0, None, None]
    assert figures(told)["unscored"] == 3


def test_a_panel_goes_on_without_one_of_its_judges(tmp_path: Path, home: Path) -> None:
    """With one of three judges down the others decide; where these differ there is no verdict."""
    command = files(tmp_path, [finding(n) for n in range(3)], said("one", "three", "four"))
    with JudgeServer(opinions(VOTES)) as server:
        command += [*panel(server, 2), "--judge", DEAD, "--tolerance", "1"]
        told = json_inside(*command, home=home)
    table = pl.read_parquet(home / "runs" / told["run"] / "judgements.parquet")
    assert table["value"].to_list() == [1.0, None, 0.0]
    assert table["error"].to_list() == [None, "the panel is split", None]
    assert table["said"].to_list()[0] == ["CORRECT", "CORRECT", None]


# Certificates


def marks(number: int) -> str:
    """Replies of a policy on the made-up pictures: open ones are a tumour or a cyst."""
    return ("yes", "no", "a tumour" if number % 2 else "a cyst")[number % 3]


TRUTH = [
    {"id": f"t{n}", "question": f"What is shape {n}?", "gold": "a mass", "reply": word, "label": label}
    for n, (word, label) in enumerate([("a tumour", 1), ("a cyst", 0)] * 10 + [("a tumour", 0)])
]


def certify(model: str, rows: Path, home: Path, *more: str) -> Row:
    """A judge's certificate."""
    options = ["--model", model, "--against", str(rows), "--repeats", "1", "--no-probes", *more]
    return json_inside("judge", "certify", "equivalence", *options, home=home)


def test_certificates_stand_beside_numbers(tmp_path: Path, home: Path) -> None:
    """A number is uncalibrated until its judge has a certificate: at any address, for one sampling."""
    command, rows = seen(tmp_path, marks), labelled(tmp_path / "truth.jsonl", TRUTH)
    with JudgeServer(TUMOUR) as server, JudgeServer(TUMOUR) as other:
        judged = [*command, "--judge", server.model()]
        printed = inside(*judged, home=home).stdout
        told = json_inside(*judged, home=home)
        run = told["run"]
        assert "judged numbers are uncalibrated" in printed and re.search(
            r"judged_accuracy.*uncalibrated", printed
        )
        assert (figures(told)["calibrated"], told["judge"]["certificates"]) == (False, [])
        assert "calibrated" not in figures(told, "accuracy")
        sealed = (home / "runs" / run / "results.json").read_text(encoding="utf-8")
        assert figures(json.loads(sealed))["calibrated"] is False
        certify(server.model(), labelled(tmp_path / "few.jsonl", TRUTH[:19]), home)
        assert "uncalibrated (n 19)" in inside("show", run, home=home).stdout
        assert figures(json_inside("show", run, home=home))["calibrated"] is False
        made = certify(server.model(), rows, home)
        shown, object_ = inside("show", run, home=home).stdout, json_inside("show", run, home=home)
        kappa = made["figures"]["kappa"]["value"]
        assert f"kappa {kappa:.3f}" in shown and "uncalibrated" not in shown
        assert re.search(r"judged_accuracy.*injection not measured", shown)
        assert figures(object_)["calibrated"] is True
        certificates = object_["judge"]["certificates"]
        assert [one["n"] for one in certificates if one["against"] == "few"] == [19]
        [certificate] = [one for one in certificates if one["against"] == "truth"]
        assert certificate == {key: value for key, value in made.items() if key != "run"}
        assert f"kappa {kappa:.3f}" in inside(*judged, home=home).stdout
        moved = json_inside(*command, "--judge", other.model(), home=home)
        assert (figures(moved)["calibrated"], len(moved["judge"]["certificates"])) == (True, 2)
        for elsewhere, settings in (
            (server.model("judge-2"), []),
            (server.model(), ["judge_sampling.max_tokens=64"]),
        ):
            more = [part for one in settings for part in ("--set", one)]
            found = json_inside(*command, "--judge", elsewhere, *more, home=home)
            assert figures(found)["calibrated"] is False and found["run"] != run
        assert server.calls[-1]["max_tokens"] == 64
        certify(server.model(), rows, home, "--set", "max_tokens=64")
        assert figures(json_inside("show", found["run"], home=home))["calibrated"] is True
        scored = [*files(tmp_path, [finding(0)], said("a tumour")), "--judge", server.model()]
        assert figures(json_inside(*scored, home=home))["calibrated"] is True
        narrow = json_inside(*scored, "--set", "max_tokens=32", home=home)
        assert (
            figures(narrow)["calibrated"] is False
            and "uncalibrated" in inside("show", narrow["run"], home=home).stdout
        )


# Verdicts of other runs


def cost(done: Done) -> float:
    """US dollars that a command says it spent."""
    found = re.search(r"US\$ ([\d.]+)", done.stderr.rpartition("replies,")[2])
    return float(found[1]) if found else 0.0


def test_verdicts_of_other_runs_are_used_on_request(tmp_path: Path, home: Path) -> None:
    """With --reuse-verdicts equal cases are asked about once for all runs, without it once in each."""
    with JudgeServer(TUMOUR) as server:
        judge = ["--judge", server.model()]
        first = json_inside(*seen(tmp_path, marks, "one"), *judge, home=home)
        assert (len(server.calls), first["judge"]["borrowed"]) == (4, 0)
        told = json_inside(*seen(tmp_path, marks, "two"), *judge, "--reuse-verdicts", home=home)
        assert (len(server.calls), told["judge"]["borrowed"], told["judge"]["put"]) == (4, 4, 4)
        assert told["run"] != first["run"] and figures(told) == figures(first)
        assert "4 verdicts from earlier runs" in inside("show", told["run"], home=home).stdout
        json_inside(*seen(tmp_path, marks, "three"), *judge, home=home)
        assert len(server.calls) == 8
        changed = seen(tmp_path, lambda n: "another tumour" if n == 2 else marks(n), "four")
        told = json_inside(*changed, *judge, "--reuse-verdicts", home=home)
        assert (len(server.calls), told["judge"]["borrowed"]) == (9, 3)


def test_borrowed_verdicts_cost_nothing(tmp_path: Path, home: Path) -> None:
    """They are there without a cent, and what a command says it spent is what was asked alone."""
    command = files(
        tmp_path, [finding(n) for n in range(4)], said("a tumour", "a cyst", "a tumour", "tumours")
    )
    command += ["--price", "1000,1000"]
    with JudgeServer(TUMOUR) as server:
        judge = ["--judge", server.model()]
        assert cost(inside(*command, *judge, home=home)) == pytest.approx(4 * 0.12)
        reused = inside(*command, *judge, "--fresh", "--reuse-verdicts", "--max-cost", "0", home=home)
        assert len(server.calls) == 4 and "4 verdicts from earlier runs" in reused.stdout
        assert cost(reused) == 0.0


def test_a_budget_holds_for_judges_too(tmp_path: Path, home: Path) -> None:
    """What can't be paid for is unscored and not asked; with more money the same command asks the rest."""
    command = files(tmp_path, [finding(n) for n in range(9)], said(*(f"a tumour, {n}" for n in range(9))))
    with JudgeServer(TUMOUR) as server:
        command += ["--judge", server.model(), "--price", "1000,1000"]
        told = json_inside(*command, "--max-cost", "1.5", home=home, code=1)
        asked = len(server.calls)
        assert 0 < asked < 9 and figures(told)["unscored"] == 9 - asked
        assert asked * 0.12 <= 1.5
        assert figures(json_inside(*command, home=home))["n"] == len(server.calls) == 9


# Pairs


def preferring(wanted: str) -> Play:
    """A judge of pairs that prefers the reply with a word in it."""

    def play(body: Body) -> str:
        asked = Asked(body)
        one, other = (wanted in asked.parts[name] for name in "AB")
        return asked.worded("TIE" if one == other else "A" if one else "B")

    return play


def rivals(folder: Path, home: Path) -> list[str]:
    """Two evaluated policies: the second is better on 2 and 5, worse on 8, and says the same on 0 and 1."""

    def second(number: int) -> str:
        return {2: "a mass", 5: "a mass too", 8: "nothing"}.get(number, f"reply {number}")

    def first(number: int) -> str:
        return {0: "reply 0", 1: " reply 1 ", 8: "some mass"}.get(number, f"answer {number}")

    return [
        json_inside(*seen(folder, say, name), home=home)["run"]
        for say, name in ((first, "p1"), (second, "p2"))
    ]


def compared(folder: Path, home: Path, play: Play, *more: str) -> tuple[Row, list[Body]]:
    """`diff --judge preference` of two policies, and what was asked."""
    runs = [path.name for path in sorted((home / "runs").glob("seen-*"), key=lambda p: p.stat().st_mtime)]
    runs = runs or rivals(folder, home)
    with JudgeServer(play) as server:
        command = ["diff", *runs, "--judge", f"preference={server.model()}", *pictured(folder / "seen.yaml")]
        told = json_inside(*command, *more, home=home)
        asked = list(server.calls)
        assert json_inside(*command, *more, home=home) == told
        assert len(server.calls) == len(asked)  # a complete hearing asks nothing again
        inside(*command, *more, home=home)
    return told, asked


def test_a_judge_that_knows_prefers_the_better_run(tmp_path: Path, home: Path) -> None:
    """Pairs that differ are put in both orders, equal replies are a tie unasked, and the winner is right."""
    told, asked = compared(tmp_path, home, preferring("mass"))
    pairs = pl.read_parquet(home / "runs" / told["run"] / "pairs.parquet")
    values = dict(pairs.select("example", "value").iter_rows())
    wanted = {f"seen/{n}": {2: 1.0, 5: 1.0, 8: 0.0}.get(n, 0.5) for n in range(12)}
    assert values == wanted and not pairs["turned"].any()
    assert len(asked) == 2 * 10
    shown = {tuple(Asked(body).parts[name] for name in "AB") for body in asked}
    assert shown == {(b, a) for a, b in shown} and ("a mass", "answer 2") in shown
    row = figures(told, "judged_preference")
    assert (row["value"], row["n"], row["unscored"]) == (pytest.approx((1 + 1 + 0 + 9 * 0.5) / 12), 12, 0)
    clusters = pairs["cluster"].to_list()
    assert ends(row) == close(robust(pairs["value"].to_list(), clusters))
    assert figures(told, "position_changed")["value"] == 0.0
    assert told["first"] != told["second"] and told["judge"]["unscored"] == 0


def test_a_judge_bound_to_the_first_place_prefers_nobody(tmp_path: Path, home: Path) -> None:
    """Always A is a tie on every pair, and each pair that was asked about turned with the order."""
    told, asked = compared(tmp_path, home, played.constant("A"))
    pairs = pl.read_parquet(home / "runs" / told["run"] / "pairs.parquet")
    assert set(pairs["value"]) == {0.5} and len(asked) == 20
    assert figures(told, "judged_preference")["value"] == 0.5
    turned = figures(told, "position_changed")
    assert (turned["value"], turned["n"]) == (1.0, 10)


def test_a_pair_without_a_verdict_is_unscored(tmp_path: Path, home: Path) -> None:
    """One order without a verdict leaves the pair out, and is told."""

    def play(body: Body) -> str:
        asked = Asked(body)
        return "Hm." if asked.parts["A"] == "a mass" else preferring("mass")(body)

    told, _ = compared(tmp_path, home, play, "--tolerance", "0.1")
    row = figures(told, "judged_preference")
    assert (row["n"], row["unscored"], told["judge"]["unscored"]) == (11, 1, 1)
    assert row["value"] == pytest.approx((1 + 9 * 0.5) / 11)


def test_a_dead_judge_of_pairs_ends_the_command(tmp_path: Path, home: Path) -> None:
    """Without any verdict there is no preference, and the command fails as eval and score do."""
    runs = rivals(tmp_path, home)
    command = [
        "diff",
        *runs,
        "--judge",
        f"preference={DEAD}",
        "--retries",
        "0",
        *pictured(tmp_path / "seen.yaml"),
    ]
    done = inside(*command, "--json", home=home, code=1)
    row = figures(json.loads(done.stdout), "judged_preference")
    assert (row["value"], row["unscored"]) == (None, 10)  # ten pairs differ, two are equal
    assert row["low"] <= 1 / 12 < 11 / 12 <= row["high"]


# Looking


def test_judged_runs_can_be_looked_at(tmp_path: Path, home: Path) -> None:
    """show, list and sql know evaluations, hearings and preferences, and no text or address is published."""
    rows = labelled(tmp_path / "truth.jsonl", TRUTH)
    runs = rivals(tmp_path, home)
    with JudgeServer(
        lambda body: (preferring("mass") if "B" in Asked(body).parts else TUMOUR)(body)
    ) as server:
        judge = ["--judge", server.model()]
        told = json_inside(*seen(tmp_path, marks), *judge, home=home)
        heard = json_inside(*files(tmp_path, [finding(0)], said("a secret tumour")), *judge, home=home)
        pairs = ["--judge", f"preference={server.model()}", *pictured(tmp_path / "seen.yaml")]
        preferred = json_inside("diff", *runs, *pairs, home=home)
        certify(server.model(), rows, home)
        port = server.url.rpartition(":")[2].partition("/")[0]
        for name, metric in (
            (told["run"], "judged_accuracy"),
            (heard["run"], "judged_accuracy"),
            (preferred["run"], "judged_preference"),
        ):
            assert metric in inside("show", name, home=home).stdout
            assert figures(json_inside("show", name, home=home), metric)["value"] is not None
            published = (home / "runs" / name / "results.json").read_text(encoding="utf-8")
            assert not [
                word for word in ("127.0.0.1", port, "http", "tumour", "cyst", "mass") if word in published
            ]
    listed = {row["run"]: row for row in json_inside("list", "runs", home=home)["runs"]}
    assert [listed[one["run"]]["kind"] for one in (told, heard, preferred)] == ["eval", "judge", "preference"]
    assert {row["state"] for row in listed.values()} == {"complete"}
    judges = {row["judge"]: row for row in json_inside("list", "judges", home=home)["judges"]}
    assert "openai:judge: kappa" in judges["equivalence"]["certified here"]
    answer = json_inside("sql", "select * from results", home=home)["rows"]
    metrics = {row["metric"] for row in answer}
    assert {"accuracy", "judged_accuracy", "judged_preference", "position_changed"} <= metrics
    assert {row["run"] for row in answer} >= {told["run"], heard["run"], preferred["run"]}
