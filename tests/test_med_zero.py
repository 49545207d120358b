"""Med-Zero-17K from sources to a published set: nothing asked twice, nothing lost, nothing mended."""

import json
import math
import shutil
import signal
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from PIL import Image

from medbench import store
from medbench.builders import balance, drafts
from medbench.builders.intake import with_choices
from medbench.builders.strict import Unusable
from medbench.catalog import Catalog, Place
from medbench.errors import UsageError
from medbench.inference.types import Reply
from medbench.schema import Example
from tests.support import sights, teacher
from tests.support.openai_server import Faults, Server
from tests.support.process import json_of, killed, medbench

FINDINGS = (
    "small round cells",
    "large oval cells",
    "many pale platelets",
    "two dark nuclei",
    "thin red fibres",
)


def captions(folder: Path, n: int) -> Path:
    """A folder of `n` made-up pictures with captions, in the Hub's image-folder layout."""
    folder.mkdir(parents=True)
    rows = []
    for number in range(n):
        (folder / f"p{number:03}.png").write_bytes(sights.png(number, 48))
        caption = (
            f"Specimen {number} under the microscope at high power with {FINDINGS[number % len(FINDINGS)]}."
        )
        rows.append({"id": f"p{number:03}", "file_name": f"p{number:03}.png", "text": caption})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder


def arguments(folder: Path, url: str, quota: int, *more: str) -> list[str]:
    """A build from one folder of captions, with all models behind one server."""
    off = [
        f"quotas.{name}=0"
        for name in ("pubmedvision", "pmc-vqa", "path-vqa", "slake", "vqa-rad", "vqa-med-2019")
    ]
    own = [
        f"sources.own.folder={folder}",
        "sources.own.draft=true",
        "sources.own.licence=CC0-1.0",
        f"quotas.own={quota}",
    ]
    settings = [*off, *own, "against=[]", "max_cell=1.0", *more]
    sets = [part for setting in settings for part in ("--set", setting)]
    return ["build", "med-zero-17k", "--teacher", f"openai:t@{url}", "--solver", f"openai:s@{url}", *sets]


def roles(server: Server) -> Counter[str]:
    """How often each role was asked."""
    return Counter(teacher.role(body) for body in server.calls)


def content(folder: Path) -> dict[str, bytes]:
    """The files of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_build_from_pictures_and_captions(tmp_path: Path, home: Path) -> None:
    """From captions to a set: kept rows with their origin, dropped ones with a reason, equal bytes again."""
    folder = captions(tmp_path / "own", 40)
    with Server(teacher.scripted(0.5)) as server:
        command = arguments(folder, server.url, 20)
        made = json_of(*command, home=home)
        asked = roles(server)
        built = store.dataset(home, "med-zero-17k")
        before = content(built.folder)
        assert json_of(*command, home=home) == made
        assert roles(server) == asked
        assert content(built.folder) == before
    rows, dropped = built.table(), built.table("dropped")
    assert rows.height == 20 and asked["teacher"] == 40 and asked["checker"] == 40 and asked["solver"] == 400
    assert rows.height + dropped.height == 40
    assert rows["n_correct"].is_between(1, 9).all() and (rows["n_scored"] == 10).all()
    assert set(rows["form"]) == {"written by the teacher"} and set(rows["licence"]) == {"CC0-1.0"}
    assert (rows["source_row"] + "/q1" == rows["id"]).all()
    assert rows["teacher_prompt"].str.starts_with("draft-question@").all()
    assert set(rows["level"]) == {1, 2, 3} and set(rows["task_origin"]) == {"teacher"}
    card = (built.folder / "README.md").read_text()
    for words in (
        "## Funnel",
        "right of 10",
        "## Cost",
        "chi-square",
        "CC0-1.0",
        "## What is in it",
        "Stated by the paper",
    ):
        assert words in card
    told = [*before.values(), json.dumps(built.manifest).encode()]
    assert not [text for text in told if str(tmp_path).encode() in text or b"127.0.0.1" in text]
    samples, difficulty = built.table("samples"), built.table("difficulty")
    assert samples.height == 400 and difficulty.height == 40
    right = samples.group_by("example").agg(pl.col("correct").sum().cast(pl.Int64).alias("right"))
    joined = difficulty.join(right, on="example")
    assert (joined["right"] == joined["n_correct"]).all()


BAD: dict[str, Callable[[dict[str, Any]], Any]] = {
    "not JSON": lambda q: "Sure! Here is a question: " + json.dumps(q),
    "not of the form asked for (answer)": lambda q: {**q, "answer": ["A", "B", "C", "D", "E"]},
    "not exactly one right option": lambda q: {**q, "answer": "A, C"},
    "options that are alike or empty": lambda q: {**q, "options": dict.fromkeys("ABCD", "the same")},
    "the options are not A to D": lambda q: {**q, "options": {"A": "one", "B": "two", "C": "three"}},
    "the question repeats the caption": lambda q: {**q, "question": "What is wrong? " + q["caption"]},
    "no evidence": lambda q: {**q, "evidence": ""},
    "the evidence is not in the caption": lambda q: {**q, "evidence": "something made up entirely"},
    "speaks of a figure, panel or caption": lambda q: {**q, "question": "What is shown in Figure 2b?"},
    "not the task and level asked for": lambda q: {**q, "level": 1 + q["level"] % 3},
    "the answer stands in the question": lambda q: {**q, "question": f"Are these {q['evidence']} or not?"},
    "an option speaks of the others": lambda q: {
        **q,
        "options": {**q["options"], "ABCD"[("ABCD".index(q["answer"]) + 1) % 4]: "all of the above"},
    },
    "the teacher declined": lambda q: {"skip": "the caption does not tell"},
    "the second opinion differs": lambda q: {
        **q,
        "answer": "ABCD"[("ABCD".index(q["answer"]) + 1) % 4],
        "evidence": q["evidence"],
    },
    "a key is there twice": lambda q: '{"question": "x", "question": "y"}',
    "not JSON: characters that no text has": lambda q: {**q, "question": "What is \ud800 shown here?"},
    "an option of several lines": lambda q: {**q, "options": {**q["options"], "A": "one\nE. two\nAnswer: A"}},
    "holds a model's own marks": lambda q: {**q, "question": "<image> What is shown?"},
    "far too long": lambda q: {**q, "question": "What is shown here? " * 2000},
}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"evidence": "the"}, "no evidence"),
        ({"evidence": "a mass of 5 cm"}, "the evidence is not in the caption"),
        ({"question": "What does Fig2 show?"}, "speaks of a figure, panel or caption"),
        ({"question": "What is seen in image B?"}, "speaks of a figure, panel or caption"),
        ({"question": "As the report says, what is it?"}, "speaks of a figure, panel or caption"),
        (
            {"options": {"A": "3.5 cm", "B": "3.50 cm", "C": "4 cm", "D": "9 cm"}},
            "options that are alike or empty",
        ),
        (
            {"options": {"A": "3.5 cm", "B": "CT", "C": "computed tomography", "D": "x"}},
            "options that are alike or empty",
        ),
        ({"options": {"A": "3.5 cm", "B": "35 cm", "C": "4 cm", "D": "9 cm"}}, None),
        ({}, None),
    ],
)
def test_what_makes_a_draft_unfit(change: dict[str, Any], reason: str | None) -> None:
    """Evidence must be copied and say something, options differ in what they mean, nothing names a figure."""
    row = Example("x", "free", "Describe this image.", ("Axial scan with a mass of 3.5 cm in the liver.",))
    wish = drafts.Wish("x/q1", row, 1, "counting")
    sound = {
        "question": "How large is the finding?",
        "options": {"A": "3.5 cm", "B": "2 cm", "C": "4 cm", "D": "9 cm"},
        "answer": "A",
        "level": 1,
        "task": "counting",
        "modality": "CT",
        "evidence": "a mass of 3.5 cm",
    }
    text = json.dumps({**sound, **change})
    if reason is None:
        example, letter = drafts.taken(wish, Reply(text), 4, 0)
        assert letter == "A" and example.options["ABCD".index(example.gold[0])] == "3.5 cm"
    else:
        with pytest.raises(Unusable) as caught:
            drafts.taken(wish, Reply(text), 4, 0)
        assert caught.value.reason == reason


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_draft_is_dropped_with_its_reason(tmp_path: Path, home: Path, reason: str) -> None:
    """Whatever is wrong with a teacher's reply drops the question under that name; nothing is mended."""

    def reply(body: dict[str, Any]) -> str:
        question = teacher.good(body)
        caption = teacher.caption_of(teacher.text_of(body))
        if "Specimen 3 " not in caption:
            return json.dumps(question)
        said = BAD[reason]({**question, "caption": caption})
        if isinstance(said, str):
            return said
        said.pop("caption", None)
        return json.dumps(said)

    folder = captions(tmp_path / "own", 8)
    with Server(teacher.scripted(0.5, teacher=reply)) as server:
        medbench(*arguments(folder, server.url, 8), "--accept-short", home=home)
    dropped = store.dataset(home, "med-zero-17k").table("dropped")
    assert dict(dropped.select("id", "dropped_by").iter_rows())["own/p003/q1"] == reason


def test_a_teacher_that_writes_no_json_stops_the_build(tmp_path: Path, home: Path) -> None:
    """With too many unusable replies nothing is published; they are on record, and none is asked again."""
    folder = captions(tmp_path / "own", 40)
    with Server(teacher.scripted(teacher=lambda body: "I would rather talk.")) as server:
        done = medbench(*arguments(folder, server.url, 20), home=home, code=1)
        assert "40 of 40 replies of the teacher cannot be used: not JSON (40)" in done.stderr
        assert roles(server) == {"teacher": 40}
        medbench(*arguments(folder, server.url, 20), home=home, code=1)
        assert roles(server) == {"teacher": 40}
        done = medbench(*arguments(folder, server.url, 20, "max_spoiled=1.0"), "--accept-short", home=home)
        assert roles(server) == {"teacher": 40} and "own has 0 of 20 (20 short)" in done.stderr
    assert store.versions(home, "med-zero-17k")[0].table().height == 0


def test_missing_and_broken_pictures_are_dropped(tmp_path: Path, home: Path) -> None:
    """A picture that is not there, or is none, drops its row with the reason before anything is asked."""
    folder = captions(tmp_path / "own", 10)
    (folder / "p002.png").unlink()
    (folder / "p005.png").write_bytes(b"no picture")
    with Server(teacher.scripted(0.5)) as server:
        medbench(*arguments(folder, server.url, 5), "--accept-short", home=home)
        assert roles(server)["teacher"] == 8
    dropped = store.dataset(home, "med-zero-17k").table("dropped")
    lost = dropped.filter(pl.col("dropped_by") == "its image cannot be shown")
    assert dict(lost.select("id", "detail").iter_rows()) == {
        "own/p002": "image 1: the image file is missing",
        "own/p005": "image 1: the file is not an image of a known format",
    }


def test_failed_calls_of_the_teacher_are_asked_again(tmp_path: Path, home: Path) -> None:
    """A teacher whose server fails stops the build; the same command asks only for what failed."""
    folder = captions(tmp_path / "own", 12)
    faults = Faults(always="500", match="Specimen 7 ")
    with Server(teacher.scripted(0.5), faults=faults) as server:
        command = arguments(folder, server.url, 4)
        done = medbench(*command, "--retries", "0", home=home, code=1)
        assert "1 of 12 calls of the teacher failed" in done.stderr
        server.faults = Faults()
        medbench(*command, home=home)
        assert roles(server)["teacher"] == 13


def test_what_a_server_says_is_not_published(tmp_path: Path, home: Path) -> None:
    """Of a failed call the set tells its kind alone: servers put keys, hosts and paths into what they say."""
    folder = captions(tmp_path / "own", 12)
    faults = Faults(always="500", match="Specimen 7 ")
    with Server(teacher.scripted(0.5), faults=faults) as server:
        command = arguments(folder, server.url, 4, "max_failed=0.5")
        medbench(*command, "--accept-short", "--retries", "0", home=home)
        (run,) = (home / "runs").iterdir()
        assert "fault 500" in (run / "teacher.jsonl").read_text()
    built = store.dataset(home, "med-zero-17k")
    assert built.table("drafts")["error"].drop_nulls().to_list() == ["HTTP 500"]
    assert b"fault 500" not in b"".join(content(built.folder).values())


def test_tags_that_failed_stop_the_build(tmp_path: Path, home: Path) -> None:
    """A question is never called unknown because a server was down."""
    folder = captions(tmp_path / "own", 4)
    rows = [
        {
            "qid": n,
            "image_name": "p.png",
            "image_organ": "HEAD",
            "answer": "yes",
            "answer_type": "CLOSED",
            "question_type": "OTHER",
            "question": f"Thing {n}, so to say?",
            "phrase_type": "x",
        }
        for n in range(40)
    ]
    mirror = tmp_path / "mirror" / "odd"
    (mirror / "images").mkdir(parents=True)
    (mirror / "images" / "p.png").write_bytes(sights.png(900, 48))
    (mirror / "rows.json").write_text(json.dumps(rows))
    (tmp_path / "odd.yaml").write_text(
        "sources: {odd: {title: x, license: CC0-1.0, original: {train: {files: {odd/rows.json: null},"
        " format: json, adapter: 'vqa:vqa_rad', images: [odd/images]}}}}"
    )
    more = ["sources.odd={}", "quotas.odd=5"]
    with Server(teacher.scripted(0.5), faults=Faults(always="500", match="Sort a question")) as server:
        command = [
            *arguments(folder, server.url, 1, *more),
            "--catalog",
            str(tmp_path / "odd.yaml"),
            "--mirror",
            str(tmp_path / "mirror"),
            "--accept-short",
            "--retries",
            "0",
        ]
        done = medbench(*command, home=home, code=1)
        assert "calls of the tagger failed" in done.stderr
        server.faults = Faults()
        medbench(*command, home=home)
    rows_made = store.dataset(home, "med-zero-17k").table().filter(pl.col("source") == "odd")
    assert set(rows_made["task_origin"]) == {"model"}


def test_sources_and_cells_share_fairly() -> None:
    """A small source is not crowded out of a cell by a large one whose quota is full; minimums come first."""
    ids = [f"big/{n}" for n in range(150)] + [f"small/{n}" for n in range(10)]
    table = pl.DataFrame(
        {
            "id": ids,
            "pool": [name.partition("/")[0] for name in ids],
            "modality": ["CT"] * 160,
            "task": ["counting"] * 160,
            "level": [3 if n % 15 == 0 else 1 for n in range(160)],
            "dropped_by": pl.Series([None] * 160, dtype=pl.String),
            "detail": pl.Series([None] * 160, dtype=pl.String),
        }
    )
    quotas = {"big": 10, "small": 8}
    chosen = balance.balanced(table, quotas, 18, {}, 0)
    kept = chosen.filter(pl.col("dropped_by").is_null())
    assert dict(kept.group_by("pool").len().iter_rows()) == {"big": 10, "small": 8}
    assert balance.shortages(chosen, quotas, 18, {}) == []
    hard = balance.balanced(table, quotas, 18, {"level = 3": 8}, 0).filter(pl.col("dropped_by").is_null())
    assert hard.filter(pl.col("level") == 3).height == 8
    tight = balance.balanced(table, quotas, 3, {}, 0)
    assert any(
        "over the 3 of a cell, see max_cell" in told for told in balance.shortages(tight, quotas, 3, {})
    )
    with pytest.raises(UsageError, match="leel"):
        balance.checked(["leel = 3"])


def test_other_samples_keep_what_is_on_record(tmp_path: Path, home: Path) -> None:
    """More samples, no early stop, another solver: the teacher is asked nothing, a solver what is missing."""
    folder = captions(tmp_path / "own", 16)
    with Server(teacher.scripted(0.5)) as server:
        medbench(*arguments(folder, server.url, 8, "early=true"), "--accept-short", home=home)
        medbench(*arguments(folder, server.url, 8), "--accept-short", home=home)
        medbench(*arguments(folder, server.url, 8, "samples=12", "band=[1,11]"), "--accept-short", home=home)
        assert roles(server)["teacher"] == 16 and roles(server)["solver"] == 16 * 12
        command = arguments(folder, server.url, 8)
        command[command.index("--solver") + 1] = f"openai:other@{server.url}"
        medbench(*command, "--accept-short", home=home)
        assert roles(server)["teacher"] == 16 and roles(server)["solver"] == 16 * 22


def test_a_quota_that_cannot_be_filled_says_by_how_much(tmp_path: Path, home: Path) -> None:
    """Which source and cell is short, and by how much; published when told to, asking nothing anew."""
    folder = captions(tmp_path / "own", 10)
    with Server(teacher.scripted(0.5)) as server:
        command = arguments(folder, server.url, 30, 'cells={"level = 2": 25}')
        done = medbench(*command, home=home, code=1)
        assert "own has 10 of 30 (20 short)" in done.stderr and "level = 2 has" in done.stderr
        assert store.versions(home, "med-zero-17k") == []
        asked = roles(server)
        medbench(*command, "--accept-short", home=home)
        assert roles(server) == asked
    built = store.dataset(home, "med-zero-17k")
    assert built.table().height == 10 and any("20 short" in note for note in built.manifest["notes"])


def test_another_band_asks_nothing(tmp_path: Path, home: Path) -> None:
    """Selection is a query over what is on record: another band, quota or cell limit asks no model."""
    folder = captions(tmp_path / "own", 30)
    with Server(teacher.scripted(0.5)) as server:
        medbench(*arguments(folder, server.url, 30), "--accept-short", home=home)
        asked = roles(server)
        medbench(*arguments(folder, server.url, 30, "band=[4,6]"), "--accept-short", home=home)
        medbench(*arguments(folder, server.url, 12, "max_cell=0.2"), "--accept-short", home=home)
        assert roles(server) == asked
    wide, narrow, capped = store.versions(home, "med-zero-17k")
    assert narrow.table()["n_correct"].is_between(4, 6).all() and narrow.table().height < wide.table().height
    assert capped.table().group_by("modality", "task", "level").len()["len"].max() <= 2


def test_one_more_source_asks_only_for_its_own(tmp_path: Path, home: Path) -> None:
    """A source taken in later joins those that are on record: nothing of theirs is asked again."""
    folder, other = captions(tmp_path / "own", 10), captions(tmp_path / "other", 30)
    (other / "metadata.jsonl").write_text("\n".join((other / "metadata.jsonl").read_text().splitlines()[10:]))
    more = [f"sources.other.folder={other}", "sources.other.draft=true", "quotas.other=6"]
    with Server(teacher.scripted(0.5)) as server:
        medbench(*arguments(folder, server.url, 5), "--accept-short", home=home)
        asked = roles(server)
        medbench(*arguments(folder, server.url, 5, *more), "--accept-short", home=home)
        assert roles(server)["teacher"] == asked["teacher"] + 20
        assert [key for key, count in server.answered.items() if count > 1] == []
    rows = store.dataset(home, "med-zero-17k").table()
    assert dict(rows.group_by("source").len().iter_rows()) == {"own": 5, "other": 6}


def test_servers_alone_have_the_preset_teacher(tmp_path: Path, home: Path) -> None:
    """Addresses alone stand for Qwen2.5-VL-72B-Instruct, and share the work."""
    folder = captions(tmp_path / "own", 20)
    with (
        Server(teacher.scripted(0.5), latency=0.01) as one,
        Server(teacher.scripted(0.5), latency=0.01) as two,
    ):
        command = arguments(folder, one.url, 5)
        place = command.index("--teacher")
        command[place : place + 2] = ["--teacher", two.url, "--teacher", one.url]
        medbench(*command, home=home)
        asked = [[b for b in server.calls if teacher.role(b) == "teacher"] for server in (one, two)]
    assert len(asked[0]) + len(asked[1]) == 20 and all(asked)
    assert {body["model"] for bodies in asked for body in bodies} == {"Qwen/Qwen2.5-VL-72B-Instruct"}
    card = (store.dataset(home, "med-zero-17k").folder / "README.md").read_text()
    assert "The teacher was `openai:Qwen/Qwen2.5-VL-72B-Instruct`." in card


def test_part_of_a_setting_keeps_the_rest(tmp_path: Path, home: Path) -> None:
    """A longer reply does not make the policy's temperature another; a dry run names the whole of it."""
    folder = captions(tmp_path / "own", 4)
    command = [*arguments(folder, "http://127.0.0.1:9/v1", 2, "sampling.max_tokens=7"), "--dry-run"]
    told = json.loads(medbench(*command, home=home).stdout)["dry_run"]
    assert told["config"]["sampling"]["temperature"] == 0.9 and told["config"]["sampling"]["max_tokens"] == 7
    assert told["read"] == {"own": 4} and told["asks"]["requests"] == 4 + 4 + 4 + 40
    assert str(tmp_path) not in json.dumps(told)


def test_short_answers_become_options(shared: Path, home: Path) -> None:
    """Of SLAKE's answers: the right option is the published one, wrong ones are answers of the same kind."""
    place = Place(home, shared, home / "medbench.lock")
    rows = Catalog.load().training_rows("slake", "train", place, pictures=False).examples
    rows = [row for row in rows if row.lang == "en"]
    made, left = with_choices(rows, rows, "content_type", 0)
    before = {row.id: row for row in rows}
    assert len(made) + len(left) == len(rows)
    turned = [row for row in made if row.kind == "mcq"]
    assert len(turned) > 2000
    answers: dict[str, set[str]] = {}
    for row in rows:
        answers.setdefault(row.tags["content_type"], set()).add(row.gold[0])
    for row in turned:
        right = row.options["ABCD".index(row.gold[0])]
        assert right == before[row.id].gold[0] and len({option.casefold() for option in row.options}) == 4
        assert set(row.options) <= answers[row.tags["content_type"]]
        others = [set(option.casefold().split()) for option in row.options if option != right]
        assert not any(set(right.casefold().split()) <= words for words in others)
    letters = Counter(row.gold[0] for row in turned)
    shown: dict[tuple[object, ...], set[str]] = {}
    for row in rows:
        shown.setdefault((row.images, row.tags["content_type"]), set()).add(row.gold[0].casefold())
    for row in turned:
        wrong = {option.casefold() for option in row.options} - {
            row.options["ABCD".index(row.gold[0])].casefold()
        }
        assert not wrong & shown[row.images, row.tags["content_type"]]
    assert max(letters.values()) < 1.15 * min(letters.values())
    part, _ = with_choices(rows[:50], rows, "content_type", 0)
    assert part == made[: len(part)]


@pytest.mark.slow
@pytest.mark.parametrize("p", [0.05, 0.5, 0.95])
def test_survival_is_as_computed(tmp_path: Path, home: Path, p: float) -> None:
    """A policy right with probability p leaves 1 - p^10 - (1-p)^10 of the questions in the band."""
    n = 300
    folder = captions(tmp_path / "own", n)
    with Server(teacher.scripted(p)) as server:
        medbench(*arguments(folder, server.url, n, "check=false", "tries=1"), "--accept-short", home=home)
    share = 1 - p**10 - (1 - p) ** 10
    kept = store.dataset(home, "med-zero-17k").table().height
    assert abs(kept - n * share) <= max(4 * math.sqrt(n * share * (1 - share)), 3)


@pytest.mark.slow
@pytest.mark.parametrize("role", ["teacher", "checker", "solver"])
def test_killed_at_any_stage_it_goes_on(tmp_path: Path, home: Path, role: str) -> None:
    """kill -9 while teacher, checker or solver is at work: nothing is asked twice, the bytes are the same."""
    folder = captions(tmp_path / "own", 24)
    with Server(teacher.scripted(0.5)) as calm:
        medbench(*arguments(folder, calm.url, 12), home=tmp_path / "calm")
    whole = content(store.dataset(tmp_path / "calm", "med-zero-17k").folder)
    with Server(teacher.scripted(0.5), latency=0.02) as server:
        command = [*arguments(folder, server.url, 12), "--concurrency", "4"]
        halfway = {"teacher": 8, "checker": 8, "solver": 90}[role]
        code = killed(*command, home=home, when=lambda: roles(server)[role] >= halfway)
        assert code == -signal.SIGKILL
        medbench(*command, home=home)
        again = [key for key, count in server.answered.items() if count > 1]
        assert len(again) <= 4  # those in flight at the kill
    assert content(store.dataset(home, "med-zero-17k").folder) == whole


def test_sources_that_may_not_be_used(tmp_path: Path, home: Path) -> None:
    """OmniMedVQA, MMMU and test splits are refused; unclear terms need a word; strange roles are told."""
    base = ["build", "med-zero-17k", "--solver", "baseline:first", "--dry-run", "--mirror", str(tmp_path)]
    off = [
        f"quotas.{name}=0"
        for name in ("pubmedvision", "pmc-vqa", "path-vqa", "slake", "vqa-rad", "vqa-med-2019")
    ]
    sets = [part for setting in off for part in ("--set", setting)]

    def refused(*settings: str) -> str:
        more = [part for setting in settings for part in ("--set", setting)]
        return medbench(*base, *sets, *more, home=home, code=2).stderr

    assert "'mmmu' cannot be a source" in refused("sources.mmmu={}", "quotas.mmmu=5")
    assert "'omnimedvqa' cannot be a source" in refused("sources.omnimedvqa={}", "quotas.omnimedvqa=5")
    assert "is the benchmark slake" in refused("sources.slake.split=test", "quotas.slake=5")
    assert "path-vqa is left out" in refused("quotas.path-vqa=5")
    assert "quotas names 'slaek'" in refused("quotas.slaek=5")
    done = medbench("build", "med-zero-17k", "--solver", "baseline:first", home=home, code=2)
    assert "needs a teacher" in done.stderr


def smears(shared: Path, folder: Path) -> None:
    """Real pictures with captions: smears told from their boxes, fundus and tissue in our own words."""
    folder.mkdir(parents=True)
    rows = []
    for path in sorted((shared / "bccd" / "annotations").glob("*.xml"))[:30]:
        cells = Counter(name.text for name in ET.parse(path).iter("name"))
        image = next((shared / "bccd" / "images").glob(f"{path.stem}.*"))
        shutil.copy(image, folder / image.name)
        told = ", ".join(f"{count} {name}" for name, count in sorted(cells.items()) if name)
        rows.append(
            {
                "file_name": image.name,
                "text": f"Blood smear under the light microscope with {told} cells",
                "modality": "cytology",
            }
        )
    ours = {
        "retina.jpg": "Colour photograph of the fundus of the eye with a bright optic disc",
        "microaneurysms.png": "Detail of a fundus photograph with several small red microaneurysms",
        "ihc.png": "Colon tissue stained by immunohistochemistry with brown marked glands",
        "cell.png": "A single cell under the fluorescence microscope with a bright nucleus",
    }
    for name, caption in ours.items():
        shutil.copy(shared / "microscopy_fundus" / name, folder / name)
        rows.append({"file_name": name, "text": caption})
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")


@pytest.mark.slow
def test_the_whole_build_on_real_pictures(shared: Path, tmp_path: Path, home: Path) -> None:
    """Real smears, fundus, tissue and VQA-RAD: no test picture gets in, and a second run asks nothing."""
    smears(shared, tmp_path / "smears")
    off = [f"quotas.{name}=0" for name in ("pubmedvision", "pmc-vqa", "path-vqa", "slake", "vqa-med-2019")]
    own = [f"sources.smears.folder={tmp_path / 'smears'}", "sources.smears.draft=true", "quotas.smears=20"]
    settings = [
        *off,
        *own,
        "quotas.vqa-rad=40",
        "sources.vqa-rad={kinds: [yesno]}",
        "max_cell=1.0",
        "against=[vqa-rad]",
    ]
    sets = [part for setting in settings for part in ("--set", setting)]
    with Server(teacher.scripted(0.5)) as server:
        command = [
            "build",
            "med-zero-17k",
            "--teacher",
            f"openai:t@{server.url}",
            "--solver",
            f"openai:s@{server.url}",
            "--mirror",
            str(shared),
            *sets,
        ]
        medbench(*command, home=home)
        asked = roles(server)
        built = store.dataset(home, "med-zero-17k")
        before = content(built.folder)
        medbench(*command, home=home)
        assert roles(server) == asked and content(built.folder) == before
    rows, dropped = built.table(), built.table("dropped")
    assert dict(rows.group_by("source").len().iter_rows()) == {"smears": 20, "vqa-rad": 40}
    assert dropped.filter(pl.col("dropped_by") == "shows a test image").height > 50
    assert set(rows.filter(pl.col("source") == "smears")["modality"]) >= {"cytology"}
    for name in rows["images"].explode():
        assert Image.open(home / "images" / name[:2] / name).size[0] > 0
