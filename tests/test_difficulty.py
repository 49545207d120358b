"""Difficulty is data: pass counts obey their law, stopping early decides alike, solvers side by side."""

import json
from collections.abc import Iterator
from itertools import product
from math import sqrt
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from medbench import difficulty, prompts, store
from medbench.config import digest
from medbench.difficulty import Measured, Rollouts
from medbench.errors import UsageError
from medbench.inference.simple import Scripted
from medbench.inference.types import Reply, Request, Sampling
from medbench.runs import open_run
from medbench.schema import LETTERS, Example, frame
from medbench.solve import Asking
from tests.support import questions, sights
from tests.support.openai_server import Faults, Server
from tests.support.process import json_of, killed, medbench

TABLES = ("samples.parquet", "difficulty.parquet", "manifest.json")


def policy(p: float, examples: list[Example]) -> tuple[Scripted, list[tuple[str, int]]]:
    """A model that is right with probability `p`, by a hash of question and sample; and its calls."""
    golds = {example.id: example.gold[0] for example in examples}
    calls: list[tuple[str, int]] = []

    def script(request: Request) -> str:
        calls.append((request.example, request.sample))
        gold = golds[request.example]
        lot = int(digest([p, request.example, request.sample])[:8], 16) / 16**8
        return f"\\boxed{{{gold if lot < p else LETTERS[(LETTERS.index(gold) + 1) % 4]}}}"

    return Scripted(f"scripted:{p}", script), calls


def measured(
    home: Path, model: Scripted, examples: list[Example], samples: int, band: tuple[int, int] | None = None
) -> Measured:
    """The difficulty of `examples` for `model`, measured in a home of its own."""
    asking = Asking(prompts.named("mcq-boxed"), Sampling(temperature=0.9), samples, role="solver")
    with open_run(home, "test", config={"model": model.name}) as run:
        return difficulty.measure(run, model, examples, Rollouts("made", model.name, asking, band))


@pytest.mark.parametrize("p", [0.05, 0.5, 0.95])
def test_the_law_of_survival(home: Path, p: float) -> None:
    """A policy of success rate p leaves 1 - p^10 - (1-p)^10 of the questions in the band."""
    asked, n = questions.examples(2000), 2000
    model, calls = policy(p, asked)
    early = measured(home, model, asked, 10, (1, 9)).table
    fewer = len(calls)
    assert fewer == early["n_samples"].sum() < 10 * n
    table = measured(home, model, asked, 10).table
    assert len(calls) == len(set(calls)) == 10 * n
    inside = table.filter(pl.col("n_correct").is_between(1, 9))
    law = 1 - p**10 - (1 - p) ** 10
    assert abs(inside.height / n - law) <= 4 * sqrt(law * (1 - law) / n)
    assert difficulty.share(table, (1, 9)).inside == inside.height
    assert set(early.filter("in_band")["example"]) == set(inside["example"])
    assert early["in_band"].null_count() == 0


@pytest.mark.parametrize("band", [(0, 0), (2, 8), (5, 5), (10, 10), (1, 10), (0, 10), (3, 6)])
def test_stopping_early_decides_alike(home: Path, band: tuple[int, int]) -> None:
    """Whatever the band, each question is in it or out of it as if all samples had been asked."""
    asked = questions.examples(150)
    whole = measured(home / "whole", policy(0.4, asked)[0], asked, 10).table
    model, calls = policy(0.4, asked)
    early = measured(home / "early", model, asked, 10, band).table
    assert (early["in_band"] == whole["n_correct"].is_between(*band)).all()
    assert len(calls) < 1500


def completions(prefix: tuple[bool | None, ...], samples: int) -> Iterator[int]:
    """How many are right for each way in which the samples nobody scored could turn out."""
    right = sum(one is True for one in prefix)
    missing = samples - sum(one is not None for one in prefix)
    yield from (right + sum(ways) for ways in product((0, 1), repeat=missing))


@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_decided_means_that_nothing_can_change_it(samples: int) -> None:
    """A question is decided exactly when every way to complete its samples agrees, in all small cases."""
    told = [p for n in range(1, samples + 1) for p in product((True, False, None), repeat=n)]
    rows = [{"example": str(i), "correct": one} for i, prefix in enumerate(told) for one in prefix]
    verdicts = pl.DataFrame(rows, schema={"example": pl.String, "correct": pl.Boolean})
    for low in range(samples + 1):
        for high in range(low, samples + 1):
            sure = difficulty.decided(verdicts, (low, high), samples)
            for i, prefix in enumerate(told):
                answers = {low <= right <= high for right in completions(prefix, samples)}
                assert (str(i) in sure) == (len(answers) == 1), (prefix, low, high)


def test_a_failed_call_is_unscored(home: Path) -> None:
    """It is a row with its error, counts for nobody, and is never read as wrong; asking goes on past it."""
    asked = questions.examples(6)
    plain, _ = policy(1.0, asked)

    def script(request: Request) -> str | Reply:
        if request.example == asked[0].id or (request.example == asked[1].id and request.sample == 0):
            return Reply.failed("down")
        return plain.script(request)

    model = Scripted("scripted:failing", script)
    for band in (None, (1, 3)):
        found = measured(home / str(band), model, asked, 4, band)
        rows = found.table.rows(named=True)
        assert [(r["n_samples"], r["n_scored"], r["n_correct"]) for r in rows[:3]] == [
            (4, 0, 0),
            (4, 3, 3),
            (4, 4, 4),
        ]
        assert (rows[0]["pass_rate"], rows[0]["low"], rows[0]["high"]) == (None, 0.0, 1.0)
        assert rows[1]["pass_rate"] == 1.0
        assert found.samples.filter(pl.col("error") == "call failed").height == 5
        assert (
            found.samples.filter(pl.col("error").is_not_null() & pl.col("correct").is_not_null()).height == 0
        )
        told = difficulty.share(found.table, (1, 3))
        assert (told.inside, told.outside, told.open) == (0, 4, 2)


def test_nothing_to_ask_is_no_error(home: Path) -> None:
    """Without questions both tables are there, and empty."""
    found = measured(home, policy(0.5, [])[0], [], 10, (1, 9))
    assert (found.samples.height, found.table.height) == (0, 0)
    assert found.samples.schema == difficulty.SAMPLE and found.table.schema == difficulty.DIFFICULTY


def made(tmp_path: Path, n: int) -> list[str]:
    """Options for the made-up benchmark of n questions."""
    return ["--catalog", str(questions.catalog(tmp_path, n)), "--mirror", str(tmp_path / "mirror")]


def lines(home: Path) -> int:
    """Whole lines of the solver's journals in a home."""
    return sum(path.read_bytes().count(b"\n") for path in (home / "runs").glob("*/solver.jsonl"))


def run_of(home: Path) -> Path:
    """The one run in a home."""
    (folder,) = (home / "runs").iterdir()
    return folder


@pytest.mark.parametrize("extra", [[], ["--early"]], ids=["whole", "early"])
def test_a_killed_measurement_goes_on(tmp_path: Path, extra: list[str]) -> None:
    """Killed midway, the same command asks nothing twice and seals the same bytes."""
    with Server(latency=0.01) as server:
        model = ["--solver", f"openai:m@{server.url}", "--concurrency", "4", "--samples", "6"]
        command = ["difficulty", "made", *model, *made(tmp_path, 40), *extra]
        whole, cut = tmp_path / "whole", tmp_path / "cut"
        medbench(*command, home=whole)
        asked = len(server.calls)
        assert asked == lines(whole) and (asked == 240) == (not extra)
        killed(*command, home=cut, when=lambda: lines(cut) >= asked // 2)
        in_flight = len(server.calls) - asked - lines(cut)
        assert lines(cut) < asked and not (run_of(cut) / "manifest.json").exists()
        medbench(*command, home=cut)
        assert len(server.calls) == 2 * asked + in_flight
    files = [{name: (run_of(home) / name).read_bytes() for name in TABLES} for home in (whole, cut)]
    assert files[0] == files[1]


def test_more_or_fewer_samples_reuse_what_is_on_record(tmp_path: Path, home: Path) -> None:
    """Two more samples ask for two; fewer, or another band, ask nothing and count their own alone."""
    with Server() as server:
        command = ["difficulty", "made", "--solver", f"openai:m@{server.url}", *made(tmp_path, 30)]
        four = json_of(*command, "--samples", "4", home=home)
        assert len(server.calls) == 120
        six = json_of(*command, "--samples", "6", home=home)
        assert len(server.calls) == 180
        again = json_of(*command, "--samples", "4", home=home)
        banded = json_of(*command, "--samples", "4", "--band", "2,3", home=home)
        json_of(*command, "--samples", "6", "--early", home=home)
        assert len(server.calls) == 180
    assert again == four and six["run"] == four["run"] == banded["run"]
    assert sum(six["histogram"]) == sum(four["histogram"]) == 30 and len(six["histogram"]) == 7
    assert banded["shares"]["in"]["questions"] == sum(four["histogram"][2:4])
    assert list(banded["shares"]) == ["never", "below", "in", "always"]


def test_early_says_what_its_counts_are_worth(tmp_path: Path, home: Path) -> None:
    """The questions decided early are counted, said in words, and kept out of the histogram."""
    with Server() as server:
        command = ["difficulty", "made", "--solver", f"openai:m@{server.url}", *made(tmp_path, 30), "--early"]
        told = json_of(*command, home=home)
        said = " ".join(medbench(*command, home=home).stdout.split())
    assert told["stopped"] > 0
    assert told["stopped"] + sum(told["histogram"]) == 30
    assert f"{told['stopped']} questions were decided before all 10 samples were asked" in said
    assert "their counts tell the band, not the pass rate" in said
    table = pl.read_parquet(run_of(home) / "difficulty.parquet")
    assert table["in_band"].sum() == told["shares"]["in"]["questions"] and table["in_band"].null_count() == 0


def test_figures_of_a_measurement(tmp_path: Path, home: Path) -> None:
    """Never, in the band and always add up to the questions, each share with its interval."""
    golds = [example.gold[0] for example in questions.examples(20)]

    def reply(body: dict[str, Any]) -> str:
        number = int(json.dumps(body["messages"]).split("number ")[1].split(" ")[0])
        right = number < 5 or (number < 12 and body["seed"] % 2)
        return f"\\boxed{{{golds[number] if right else 'ABCD'[('ABCD'.index(golds[number]) + 1) % 4]}}}"

    with Server(reply) as server:
        command = ["difficulty", "made", "--solver", f"openai:m@{server.url}", *made(tmp_path, 20)]
        told = json_of(*command, "--samples", "4", home=home)
    assert told["histogram"] == [8, 0, 7, 0, 5]
    counts = {name: share["questions"] for name, share in told["shares"].items()}
    assert counts == {"never": 8, "in": 7, "always": 5}
    share = told["shares"]["in"]
    assert share["value"] == 0.35 and share["low"] < 0.35 < share["high"]
    assert (told["n"], told["samples"], told["unscored"], told["stopped"]) == (20, 4, 0, 0)
    table = pl.read_parquet(run_of(home) / "difficulty.parquet")
    assert set(table["prompt"].str.split("@").list.first()) == {"mcq-boxed"}
    assert set(table["temperature"]) == {0.9} and set(table["solver"]) == {"openai:m"}


def test_too_many_failures_are_exit_1(tmp_path: Path, home: Path) -> None:
    """What was scored is sealed, the rest is unscored; repeating the command asks only for that."""
    with Server(faults=Faults(always="500", match="number 7 ")) as server:
        command = ["difficulty", "made", "--solver", f"openai:m@{server.url}", "--retries", "0"]
        command += ["--samples", "5", *made(tmp_path, 20)]
        done = medbench(*command, "--json", home=home, code=1)
        first = json.loads(done.stdout)
        assert "5 of 100" in done.stderr and (first["unscored"], sum(first["histogram"])) == (1, 19)
        assert pl.read_parquet(run_of(home) / "difficulty.parquet")["n_scored"].sum() == 95
        assert json_of(*command, "--tolerance", "0.05", home=home) == first
        server.faults.always = ""
        before = len(server.calls)
        assert json_of(*command, home=home)["unscored"] == 0
        assert len(server.calls) == before + 5


def test_solvers_side_by_side(tmp_path: Path, home: Path) -> None:
    """show and sql hold the builder's solver, another, and that one at another temperature."""
    with Server() as server:
        options = made(tmp_path, 40)
        a, b = (f"openai:{name}@{server.url}" for name in ("model-a", "model-b"))
        medbench("build", "made-levelled", "--solver", a, *options, "--set", "per_level=5", home=home)
        kept = store.dataset(home, "made-levelled").table().height
        for extra in (["--solver", b], ["--solver", b, "--temperature", "0.5"], ["--solver", b, "--early"]):
            command = ["difficulty", "made-levelled", "--samples", "6", *extra, *options]
            assert json_of(*command, home=home)["n"] == kept
        limited = ["difficulty", "made-levelled@1", "--solver", a, "--limit", "3", *options]
        assert json_of(*limited, home=home)["n"] == 3
    told = json_of("show", "made-levelled", home=home)["difficulty"]
    own = next(item for item in told if item["run"] == "made-levelled@1")
    assert own["solver"] == "openai:model-a" and own["prompt"] == "mcq-boxed"
    assert (own["samples"], own["n"], own["stopped"]) == (5, kept, 0)
    rows = store.dataset(home, "made-levelled").table()
    assert own["histogram"] == [rows.filter(pl.col("n_correct") == k).height for k in range(6)]
    limit = next(item for item in told if item["n"] == 3)
    assert json_of("show", limit["run"], home=home)["difficulty"] == [limit]
    assert limit["solver"] in medbench("show", limit["run"], home=home).stdout
    later = ["difficulty", "made-levelled@2", *limited[2:]]
    assert "no version of made-levelled named '2'" in medbench(*later, home=home, code=2).stderr
    assert sorted((item["solver"], item["n"]) for item in told) == sorted(
        [("openai:model-a", kept), ("openai:model-b", kept), ("openai:model-b", kept), ("openai:model-a", 3)]
    )
    shown = medbench("show", "made-levelled", home=home).stdout
    assert shown.count("openai:model-b") >= 2 and "0.5" in shown
    kept_only = "where example in (select id from made_levelled)"
    query = f"select run, count(*) as n from difficulty {kept_only} group by run"
    counted = {row["run"]: row["n"] for row in json_of("sql", query, home=home)["rows"]}
    assert counted == {item["run"]: item["n"] for item in told}
    query = "select count(*) as n from samples where run = 'made-levelled@1'"
    asked = store.dataset(home, "made-levelled").table("samples").height
    assert json_of("sql", query, home=home)["rows"] == [{"n": asked}]
    query = "select count(*) as n from made_levelled_difficulty"
    assert json_of("sql", query, home=home)["rows"] == [{"n": asked // 5}]


def test_questions_on_images(tmp_path: Path, home: Path) -> None:
    """A benchmark with images is asked with them, in its own words; the samples are tabled like any."""
    options = ["--catalog", str(sights.catalog(tmp_path, 12, 4)), "--mirror", str(tmp_path / "mirror")]
    with Server(lambda body: "yes") as server:
        command = ["difficulty", "seen", "--solver", f"openai:m@{server.url}", "--samples", "2", *options]
        told = json_of(*command, home=home)
    assert len(server.calls) == 24 and all("image_url" in json.dumps(body) for body in server.calls)
    assert told["n"] == 12 and told["histogram"][2] == 4
    (prompt,) = set(pl.read_parquet(run_of(home) / "samples.parquet")["prompt"])
    assert prompt == f"vqa-plain@{prompts.named('vqa-plain').hash}"


@pytest.mark.parametrize(
    ("given", "config", "expected"),
    [
        (questions.examples(4), {"prompt": "starter"}, "starter"),
        (questions.examples(4), {"prompt": "gone-by-now"}, "mcq-boxed"),
        (questions.examples(4), {}, "mcq-boxed"),
        ([Example("x", "yesno", "Is it?", ("yes",))], {}, "vqa-reason"),
    ],
)
def test_a_dataset_is_asked_as_it_was_built(
    home: Path, given: list[Example], config: dict[str, str], expected: str
) -> None:
    """In the words of its builder; where they are not known, in words that suit its questions."""
    store.publish(home, "own", tables={"rows": frame(given)}, card="", identity={"config": config})
    told = json_of("difficulty", "own", "--solver", "baseline:random", "--samples", "2", home=home)
    assert (told["prompt"], told["n"], told["dataset"]) == (expected, len(given), "own@1")


def test_a_broken_image_is_unscored_and_said(tmp_path: Path, home: Path) -> None:
    """A question whose image cannot be shown is not asked, counts for nobody, and is told of."""
    options = ["--catalog", str(sights.catalog(tmp_path, 12, 4)), "--mirror", str(tmp_path / "mirror")]
    (tmp_path / "mirror" / "seen" / "images" / "p001.png").write_bytes(b"no picture")
    for extra in ([], ["--early"]):
        with Server(lambda body: "yes") as server:
            command = ["difficulty", "seen", "--solver", f"openai:m@{server.url}", "--samples", "2", *extra]
            done = medbench(*command, *options, "--json", home=home, code=1)
        told = json.loads(done.stdout)
        assert len(server.calls) == 18 and (told["unscored"], told["n"]) == (3, 12)
        assert "3 questions not asked, an image is missing or unreadable" in done.stderr


def test_dry_run_asks_nothing(tmp_path: Path, home: Path) -> None:
    """It tells requests, tokens and the cost at most, and leaves no run."""
    with Server() as server:
        options = ["--solver", f"openai:m@{server.url}", "--price", "1,2", "--dry-run", *made(tmp_path, 30)]
        row = json_of("difficulty", "made", *options, home=home)["dry_run"][0]
    assert row["requests"] == 300 and row["tokens_out_at_most"] == 300 * 2048 and row["cost_at_most"] > 0
    assert server.calls == [] and not (home / "runs").exists()


def test_a_budget_holds(tmp_path: Path, home: Path) -> None:
    """--max-cost is not exceeded; what it did not reach is unscored, and more money finishes the same run."""
    with Server() as server:  # a reply costs one cent
        command = ["difficulty", "made", "--solver", f"openai:m@{server.url}", "--price", "100,0"]
        command += ["--samples", "4", *made(tmp_path, 20)]
        short = json.loads(medbench(*command, "--json", "--max-cost", "0.3", home=home, code=1).stdout)
        assert len(server.calls) <= 30 and short["unscored"] > 0
        assert json_of(*command, "--max-cost", "2", home=home)["unscored"] == 0
        assert len(server.calls) == 80


def test_fresh_is_another_attempt_beside_the_first(tmp_path: Path, home: Path) -> None:
    """--fresh asks everything again, in a run of its own that both views keep apart."""
    with Server() as server:
        command = ["difficulty", "made", "--solver", f"openai:m@{server.url}", "--samples", "2"]
        command += made(tmp_path, 10)
        runs = [json_of(*command, *extra, home=home)["run"] for extra in ([], ["--fresh"])]
        assert len(server.calls) == 40
    query = "select distinct run from difficulty order by run"
    assert [row["run"] for row in json_of("sql", query, home=home)["rows"]] == sorted(runs)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["maed"], 2, "did you mean 'made'"),
        (["made@1"], 2, "did you mean 'made'"),
        (["made-levelled"], 1, "medbench build made-levelled"),
        (["../runs"], 2, "no dataset or benchmark"),
        (["made", "--band", "9,1"], 2, "--band"),
        (["made", "--band", "1,11"], 2, "--band"),
        (["made", "--band", "one,2"], 2, "--band"),
        (["made", "--band", "-1,2"], 2, "--band"),
        (["made", "--prompt", "mcq-boxd"], 2, "did you mean 'mcq-boxed'"),
        (["made", "--prompt", "judge-equivalence"], 2, "no prompt named"),
        (["made", "--samples", "0"], 2, "--samples"),
        (["made", "--temperature", "0"], 2, "all alike"),
        (["made", "--temperature", "nan"], 2, "temperature"),
        (["made", "--top-p", "0"], 2, "top_p"),
        (["made", "--max-cost", "1"], 2, "--price"),
        (["made", "--solver", "basline:first"], 2, "did you mean 'baseline'"),
    ],
)
def test_wrong_commands_say_what_to_do(
    tmp_path: Path, home: Path, arguments: list[str], code: int, says: str
) -> None:
    """Exit code and cure for each kind of mistake; nothing is left behind."""
    solver = [] if "--solver" in arguments else ["--solver", "baseline:random"]
    done = medbench("difficulty", *arguments, *solver, *made(tmp_path, 8), home=home, code=code)
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr and not (home / "runs").exists()


ROWS = pl.DataFrame(
    {
        "id": ["a", "b", "c"],
        "level": [1, 2, None],
        "tags": [[{"name": "modality", "value": "CT"}], [], None],
        "it's": ["x'y", "–", "ü"],
    }
)


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("level >= 1", ["a", "b"]),
        ("level is null or level = 1", ["a", "c"]),
        ("tags[1].value = 'CT'", ["a"]),
        ("\"it's\" = 'ü' -- said", ["c"]),
        ("id in (select id from rows where level = 2)", ["b"]),
        ("null", []),
        ("true", ["a", "b", "c"]),
    ],
)
def test_rows_by_a_condition(where: str, ids: list[str]) -> None:
    """Rows keep their order, their columns and their types; what is null is not taken."""
    found = store.select(ROWS, where)
    assert found["id"].to_list() == ids and found.schema == ROWS.schema
    assert store.select(ROWS.clear(), where).height == 0


@pytest.mark.parametrize(
    "where",
    [
        "",
        "level",
        "'yes'",
        "*",
        "levle = 1",
        "level = 1; select 1",
        "1 = 1) or (2 = 2",
        "level = 1, id = 'a'",
        "level = 1 limit 1",
        "count(*) > 1",
        "copy rows to 'x.csv'",
        "(pragma version)",
        "exists (from glob('/*'))",
        "exists (from read_text('{file}'))",
        "exists (from read_csv('{file}'))",
        "exists (from read_parquet('{file}'))",
        "exists (from '{file}')",
        "exists (from query('install httpfs'))",
        "exists (from elsewhere)",
        "level = ?",
        "id = '\ud800' and",
    ],
)
def test_a_condition_reads_nothing_else(tmp_path: Path, where: str) -> None:
    """Anything but one condition over the rows is refused with the columns there are; no file is read."""
    file = tmp_path / "rows.csv"
    file.write_text("a\n1\n")
    elsewhere = ROWS  # a variable is no table
    with pytest.raises(UsageError) as caught:
        store.select(elsewhere, where.replace("{file}", str(file)))
    assert "id, level, tags, it's" in caught.value.fix


def test_chance_in_a_condition_is_seeded() -> None:
    """random() takes about half of the rows, the same ones each time."""
    rows = pl.DataFrame({"id": range(1000)})
    first, second = (store.select(rows, "random() < 0.5") for _ in range(2))
    assert first.equals(second) and 400 < first.height < 600


def test_a_dataset_cannot_take_the_name_of_a_view(home: Path) -> None:
    """Datasets called like a view of all, or like each other but for their case, leave SQL working."""
    for name in ("difficulty", "Results", "images", "twin", "Twin"):
        store.publish(home, name, tables={"rows": pl.DataFrame({"id": [name]})}, card="", identity={})
    assert store.sql(home, "select count(*) as n from twin")["n"].to_list() == [1]
