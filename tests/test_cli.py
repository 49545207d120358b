"""The command as a user meets it: its own process, a server on loopback, kill -9, rubbish, wrong flags."""

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import questions
from tests.support.openai_server import Faults, Server, by_hash
from tests.support.process import json_of, killed, medbench

FINISHED = ("results.json", "verdicts.parquet", "results.parquet", "manifest.json")


def lines(path: Path) -> int:
    """Whole lines of a journal that may not be there yet."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def journal(home: Path, role: str) -> Path:
    """The one journal of a role in a home."""
    return next((home / "runs").glob(f"*/{role}.jsonl"), home / "none")


def finished(folder: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """The bytes of the finished files of a folder."""
    return {name: (folder / name).read_bytes() for name in names}


def made(tmp_path: Path, n: int) -> list[str]:
    """Options for the made-up benchmark of n questions."""
    return ["--catalog", str(questions.catalog(tmp_path, n)), "--mirror", str(tmp_path / "mirror")]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_eval_goes_on(tmp_path: Path, share: float, how: int) -> None:
    """Killed at a tenth, half and nine tenths: the same command asks the rest, and the bytes are equal."""
    n = 200
    with Server(latency=0.01) as server:
        command = [
            "eval",
            "-b",
            "made",
            "--model",
            f"openai:m@{server.url}",
            "--concurrency",
            "4",
            *made(tmp_path, n),
        ]
        whole, cut = tmp_path / "whole", tmp_path / "cut"
        medbench(*command, home=whole)
        assert len(server.calls) == n
        code = killed(*command, home=cut, when=lambda: lines(journal(cut, "policy")) >= share * n, how=how)
        assert code == (-9 if how == signal.SIGKILL else 130)
        assert lines(journal(cut, "policy")) < n
        in_flight = len(server.calls) - n - lines(journal(cut, "policy"))
        medbench(*command, home=cut)
        assert len(server.calls) == 2 * n + in_flight
        assert 0 <= in_flight <= 4
        folders = [next((home / "runs").iterdir()) for home in (whole, cut)]
        assert finished(folders[0], FINISHED) == finished(folders[1], FINISHED)
        medbench(*command, home=cut)
        assert len(server.calls) == 2 * n + in_flight


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_killed_build_goes_on(tmp_path: Path, share: float) -> None:
    """A build killed midway asks nothing twice and publishes the bytes of an uninterrupted one."""
    n, samples = 40, 5
    with Server(latency=0.01) as server:
        solver = ["--solver", f"openai:m@{server.url}", "--concurrency", "4"]
        command = ["build", "made-levelled", *solver, *made(tmp_path, n)]
        whole, cut = tmp_path / "whole", tmp_path / "cut"
        medbench(*command, home=whole)
        asked = len(server.calls)
        assert asked == n * samples
        killed(*command, home=cut, when=lambda: lines(journal(cut, "solver")) >= share * asked)
        in_flight = len(server.calls) - asked - lines(journal(cut, "solver"))
        medbench(*command, home=cut)
        assert len(server.calls) == 2 * asked + in_flight
        names = ("rows.parquet", "dropped.parquet", "samples.parquet", "README.md", "manifest.json")
        folders = [home / "datasets" / "made-levelled" / "1" for home in (whole, cut)]
        assert finished(folders[0], names) == finished(folders[1], names)


def test_server_trouble_changes_no_number(tmp_path: Path) -> None:
    """429, 500, resets, garbage and torn bodies on the way give the same results as a calm server."""
    script = {i: ["429", "500", "reset", "garbage", "torn", "empty"][i % 6] for i in range(0, 60, 5)}
    results = []
    for name, faults in {"calm": Faults(), "rough": Faults(script)}.items():
        with Server(faults=faults) as server:
            model = f"openai:m@{server.url}"
            results.append(
                json_of("eval", "-b", "made", "--model", model, *made(tmp_path, 60), home=tmp_path / name)[
                    "results"
                ]
            )
    assert results[0] == results[1]


def test_lasting_failures_are_unscored_and_exit_1(tmp_path: Path, home: Path) -> None:
    """Rows that fail for good are unscored, never wrong; repeating the command asks only for these."""
    with Server(faults=Faults(always="500", match="number 7 ")) as server:
        quick = ["--retries", "1", "--model", f"openai:m@{server.url}", *made(tmp_path, 20)]
        failed = medbench("eval", "-b", "made", "--json", *quick, home=home, code=1)
        first = json.loads(failed.stdout)["results"][0]
        assert (first["n"], first["unscored"]) == (19, 1)
        assert "unscored" in failed.stderr
        server.faults.always = ""
        before = len(server.calls)
        second = json_of("eval", "-b", "made", *quick, home=home)["results"][0]
        assert (second["n"], second["unscored"]) == (20, 0)
        assert len(server.calls) == before + 1


def test_a_dead_server_is_a_clear_end(tmp_path: Path, home: Path) -> None:
    """Nobody answers: everything is unscored, exit 1, no traceback."""
    with Server() as server:
        pass
    options = ["--model", f"openai:m@{server.url}", "--retries", "0", *made(tmp_path, 40)]
    done = medbench("eval", "-b", "made", *options, home=home, code=1)
    assert "Traceback" not in done.stderr
    assert "ClientConnector" in done.stderr
    assert "40" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["eval", "--suite", "medxprt", "-m", "baseline:first"], 2, "did you mean 'medxpert'"),
        (["eval", "-b", "medqq", "-m", "baseline:first"], 2, "did you mean 'medqa'"),
        (["eval", "-b", "medqa", "-m", "basline:first"], 2, "did you mean 'baseline'"),
        (["eval", "-m", "baseline:first"], 2, "--suite"),
        (["eval", "-b", "medqa"], 2, "--model"),
        (["eval", "-b", "medqa", "-m", "baseline:first", "--samples", "0"], 2, "--samples"),
        (["eval", "-b", "medqa", "-m", "baseline:first", "--set", "sampling.temprature=1"], 2, "temperature"),
        (["eval", "-b", "medqa", "-m", "baseline:first", "--set", "samples=many"], 2, "samples"),
        (["eval", "-b", "medqa", "-m", "baseline:first", "--set", "nonsense"], 2, "key=value"),
        (
            ["eval", "-b", "medqa", "-m", "baseline:first", "--prompt", "mcq-boxd"],
            2,
            "did you mean 'mcq-boxed'",
        ),
        (["eval", "-b", "medqa", "-m", "baseline:first", "--mirror", "nowhere"], 2, "not a folder"),
        (["eval", "-b", "medqa", "-m", "baseline:first", "--max-cost", "1"], 2, "--price"),
        (["eval", "-b", "medqa", "-m", "baseline:first", "--protocol", "guess"], 2, "protocol"),
        (["build", "alphamd-19k", "--solver", "baseline:first"], 2, "did you mean 'alphamed-19k'"),
        (["train", "grpo", "--recipe", "alphamd"], 2, "did you mean 'alphamed'"),
        (["train", "sft", "--recipe", "alphamed"], 2, "is for grpo"),
        (["train", "grpo", "--recipe", "alphamed"], 1, "medbench build alphamed-19k"),
        (["show", "nothing-here"], 2, "no run named"),
        (["list", "benchmark"], 2, "did you mean 'benchmarks'"),
        (["sql", "select * from nowhere"], 2, "views:"),
        (["sql", "copy (select 1) to 'x.csv'"], 2, "SELECT"),
        (["sql", "select 1; select 2"], 2, "SELECT"),
        (["eval", "-b", "medqa", "-m", "local:/no/such/folder", "--mirror", "."], 3, "looked for"),
        (["eval", "-b", "starter-heldout", "-m", "local:/no/such/folder"], 3, "cannot load model"),
        (
            ["eval", "-b", "starter-heldout", "-m", "baseline:first", "--set", "sampling.seed=[1"],
            2,
            "not YAML",
        ),
        (
            ["eval", "-b", "medqa", "-m", "baseline:first", "--set", "sampling.temperature=-1"],
            2,
            "temperature",
        ),
        (["eval", "-b", "medqa", "-m", "openai:m@http://x/v1", "--protocol", "loglikelihood"], 2, "local:"),
        (["eval", "-b", "medqa", "-m", "baseline:first", "--home", "/dev/null/x"], 3, "fix:"),
        (["show", "starter-rl"], 1, "medbench build starter-rl"),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_wrong_commands_say_what_to_do(arguments: list[str], code: int, says: str, home: Path) -> None:
    """Exit code and cure for each kind of mistake; never a traceback."""
    done = medbench(*arguments, home=home, code=code)
    assert says in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_dry_run_asks_nothing(tmp_path: Path, home: Path) -> None:
    """--dry-run tells requests, tokens and cost, and leaves no run behind."""
    with Server() as server:
        model = f"openai:m@{server.url}"
        options = ["--model", model, "--dry-run", "--price", "1,2", "--samples", "2", *made(tmp_path, 30)]
        tree = json_of("eval", "-b", "made", *options, home=home)
    row = tree["dry_run"][0]
    assert row["requests"] == 60 and row["cost_at_most"] > 0
    assert server.calls == [] and not (home / "runs").exists()


def test_max_cost_holds_and_the_same_run_goes_on(tmp_path: Path, home: Path) -> None:
    """The budget is never exceeded, also on a second run; a larger one finishes the same run."""
    with Server(latency=0.02) as server:  # a reply costs one cent
        options = ["-m", f"openai:m@{server.url}", "--price", "100,0", *made(tmp_path, 60)]
        command = ["eval", "-b", "made", *options]
        first = medbench(*command, "--json", "--max-cost", "0.20", home=home, code=1)
        asked = len(server.calls)
        assert 10 <= json.loads(first.stdout)["results"][0]["n"] == asked <= 20
        medbench(*command, "--max-cost", "0.20", home=home, code=1)
        assert len(server.calls) <= 20
        last = json_of(*command, "--max-cost", "1", home=home)
    assert last["results"][0]["n"] == 60 == len(server.calls)
    assert last["run"] == json.loads(first.stdout)["run"]


def test_a_build_respects_its_budget(tmp_path: Path, home: Path) -> None:
    """--max-cost counts over all of a build; nothing is published, and more money finishes it."""
    with Server() as server:
        solver = ["--solver", f"openai:m@{server.url}", "--price", "100,0"]
        command = ["build", "made-levelled", *solver, *made(tmp_path, 40), "--set", "chunk=10"]
        short = medbench(*command, "--max-cost", "0.50", home=home, code=1)
        assert len(server.calls) <= 50
        assert "nothing was published" in short.stderr
        assert not (home / "datasets").exists()
        medbench(*command, "--max-cost", "5", home=home)
        assert len(server.calls) == 200


def test_odd_replies_are_kept_or_retried(tmp_path: Path, home: Path) -> None:
    """Lone surrogates, broken usage counts and strange finish reasons spoil neither run nor number."""
    bodies = [
        '{"choices":[{"message":{"content":"\\ud800 \\\\boxed{A}"},"finish_reason":"stop"}],"usage":null}',
        '{"choices":[{"message":{"content":"\\\\boxed{A}"},"finish_reason":["stop"]}],"usage":{"prompt_tokens":1e400}}',
        '{"choices":[{"message":{"content":[{"type":"text","text":"\\\\boxed{A}"}]}}],"usage":"x"}',
    ]
    for number, body in enumerate(bodies):
        with Server(raw=body) as server:
            options = ["-m", f"openai:m@{server.url}", *made(tmp_path, 8)]
            row = json_of("eval", "-b", "made", *options, home=home / str(number))["results"][0]
            again = json_of("eval", "-b", "made", *options, home=home / str(number))["results"][0]
        assert (row["n"], row["value"], row["unscored"]) == (8, 0.25, 0)
        assert again == row


def test_a_benchmark_without_questions_is_an_error(tmp_path: Path, home: Path) -> None:
    """A `where` that no row fits must not pass as a result of n = 0."""
    path = questions.catalog(tmp_path, 5)
    path.write_text(path.read_text().replace("size: 5", "where: {meta: nothing}"))
    options = ["--catalog", str(path), "--mirror", str(tmp_path / "mirror")]
    done = medbench("eval", "-b", "made", "-m", "baseline:first", *options, home=home, code=3)
    assert "no questions" in done.stderr


def test_another_recording_is_another_run(tmp_path: Path, home: Path) -> None:
    """A recording is known by its content, not by its file's name."""
    path, runs = tmp_path / "replies.jsonl", []
    for letter in "AB":
        rows = [{"id": e.id, "reply": letter} for e in questions.examples(8)]
        path.write_text("\n".join(map(json.dumps, rows)) + "\n\n")
        runs.append(
            json_of("eval", "-b", "made", "-m", f"scripted:{path}", *made(tmp_path, 8), home=home)["run"]
        )
    assert len(set(runs)) == 2


def test_no_secret_reaches_a_run_folder(tmp_path: Path, home: Path) -> None:
    """The key is sent, and stands in no file and no output."""
    with Server() as server:
        options = ["-m", f"openai:m@{server.url}", *made(tmp_path, 5)]
        done = medbench("-v", "eval", "-b", "made", *options, home=home, OPENAI_API_KEY="sk-very-secret")
    assert server.headers[0]["Authorization"] == "Bearer sk-very-secret"
    texts = [p.read_bytes() for p in home.rglob("*") if p.is_file()]
    assert not any(b"very-secret" in text for text in [*texts, done.stdout.encode(), done.stderr.encode()])


def test_samples_show_and_diff(tmp_path: Path, home: Path) -> None:
    """Several samples, then show, diff, list and sql tell the same story."""
    with Server() as server:
        options = ["-b", "made", *made(tmp_path, 40)]
        many = json_of("eval", *options, "-m", f"openai:m@{server.url}", "--samples", "3", home=home)
    assert [row["metric"] for row in many["results"] if "group" not in row] == [
        "mean@3",
        "pass@3",
        "majority@3",
    ]
    one = json_of("eval", *options, "-m", "baseline:first", home=home)
    assert "made" in medbench("show", many["run"], "--rows", "2", home=home).stdout
    pairs = json_of("diff", one["run"], many["run"], home=home)["pairs"]
    assert pairs["made"]["n"] == 40 and -1 <= pairs["made"]["low"] <= pairs["made"]["high"] <= 1
    assert {row["run"] for row in json_of("list", "runs", home=home)["runs"]} == {one["run"], many["run"]}
    query = "select count(*) as n from verdicts"
    assert json_of("sql", query, home=home) == {"rows": [{"n": 160}]}


def test_a_scripted_recording_is_a_model(tmp_path: Path, home: Path) -> None:
    """Recorded replies are graded like any; a missing one is unscored."""
    path = tmp_path / "replies.jsonl"
    replies = [{"id": e.id, "reply": f"\\boxed{{{e.gold[0]}}}"} for e in questions.examples(10)]
    path.write_text("\n".join(map(json.dumps, replies[:9])))
    model = f"scripted:{path}"
    done = medbench("eval", "-b", "made", "-m", model, "--json", *made(tmp_path, 10), home=home, code=1)
    row = json.loads(done.stdout)["results"][0]
    assert (row["value"], row["n"], row["unscored"]) == (1.0, 9, 1)


def broken(column: str, value: object) -> Callable[[str], str]:
    """A change to one line of a source file."""

    def change(line: str) -> str:
        return json.dumps({**json.loads(line), column: value})

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (broken("answer_idx", None), "no gold"),
        (broken("answer_idx", "Z"), "gold is outside the options"),
        (broken("question", ""), "no question"),
        (lambda line: line[: len(line) // 2], "JSON"),
    ],
)
def test_malformed_rows_are_counted_or_refused(
    tmp_path: Path, home: Path, change: Callable[[str], str], reason: str
) -> None:
    """A bad row makes the count wrong, which is said with the reason and exit 3; many are refused."""
    options = made(tmp_path, 100)
    path = tmp_path / "mirror" / "made" / "test.jsonl"
    rows = path.read_text().splitlines()
    for damaged in (1, 30):
        path.write_text("\n".join([change(row) if i < damaged else row for i, row in enumerate(rows)]))
        done = medbench("check", "made", *options, home=home, code=3)
        assert reason in done.stderr and "fix:" in done.stderr


@pytest.mark.parametrize(
    "name", ["mirage5", "medqa", "medmcqa", "pubmedqa", "pubmedqa-500-noabstract", "mmlu-med"]
)
def test_real_golds_pass_their_scorer(name: str, shared: Path, home: Path) -> None:
    """`medbench check` on the real sets: every gold answer passes, counts are the published ones."""
    tree = json_of("check", name, "--mirror", str(shared), home=home)
    assert all(row["gold_fails"] == {} for row in tree["checked"])


def test_real_questions_reach_the_server_once(shared: Path, home: Path) -> None:
    """MedQA's 1,273 questions go out once each, and the score is that of the server's fixed answers."""
    with Server(reply=by_hash) as server:
        model = f"openai:m@{server.url}"
        tree = json_of("eval", "-b", "medqa", "-m", model, "--mirror", str(shared), home=home)
    assert tree["results"][0]["n"] == 1273 == len({json.dumps(call["messages"]) for call in server.calls})
    assert 0.2 < tree["results"][0]["value"] < 0.3


def test_module_runs_as_a_command() -> None:
    """`python -m medbench --version` names the version."""
    import subprocess

    out = subprocess.check_output([sys.executable, "-m", "medbench", "--version"], text=True)
    assert out.startswith("medbench 0.")
