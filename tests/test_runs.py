"""Runs: what was answered once is never asked again, whatever happens in between."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.errors import UsageError
from medbench.inference.purse import Purse
from medbench.inference.simple import Scripted
from medbench.inference.types import Reply, Request, Sampling
from medbench.runs import Journal, find_run, open_run

REQUESTS = [Request(f"q/{i}", ({"role": "user", "content": f"question {i}"},)) for i in range(20)]


def counting(fail: set[str] = frozenset()) -> tuple[Scripted, list[str]]:  # type: ignore[assignment]
    """A model that says the question's id, and the list of ids it was asked."""
    asked: list[str] = []

    def script(request: Request) -> str | Reply:
        asked.append(request.example)
        return Reply.failed("down") if request.example in fail else f"about {request.example}"

    return Scripted("scripted:count", script), asked


@pytest.mark.parametrize("killed_after", [0, 1, 7, 19, 20])
def test_resume_asks_only_for_the_rest(home: Path, killed_after: int) -> None:
    """Total calls over both attempts equal the number of questions, and replies come in order."""

    class Killed(Exception):
        """Stands in for the end of the process."""

    model, asked = counting()

    def stop(request: Request, reply: Reply, new: bool) -> None:
        if len(asked) > killed_after:
            raise Killed

    with open_run(home, "r", config={"a": 1}) as run:
        try:
            run.ask("policy", model, requests=REQUESTS, on_reply=stop)
        except Killed:
            assert killed_after < 20
    with open_run(home, "r", config={"a": 1}) as run:
        replies = run.ask("policy", model, requests=REQUESTS)
    assert [r.text for r in replies] == [f"about q/{i}" for i in range(20)]
    assert sorted(asked) == sorted(r.example for r in REQUESTS)


def test_failed_calls_stay_owed(home: Path) -> None:
    """A failed call is on record, unscored, and asked again by the next run of the same command."""
    failing, _ = counting(fail={"q/3"})
    with open_run(home, "r", config={}) as run:
        first = run.ask("policy", failing, requests=REQUESTS)
    assert [r.error for r in first if r.error] == ["down"]
    model, asked = counting()
    with open_run(home, "r", config={}) as run:
        second = run.ask("policy", model, requests=REQUESTS)
    assert asked == ["q/3"]
    assert all(r.error is None for r in second)


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(min_value=0, max_value=2000))
def test_a_torn_journal_is_owed_again(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """A journal cut at any byte keeps its whole lines, and can be written on."""
    path = tmp_path_factory.mktemp("journal") / "policy.jsonl"
    journal = Journal(path)
    for request in REQUESTS:
        journal.append(
            request.key("policy", "m"), request, Reply(f"Grüße, {request.example}\n第二", "stop", 1, 2)
        )
    journal.close()
    whole = path.read_bytes()
    path.write_bytes(whole[: min(cut, len(whole))])
    kept = Journal(path)
    assert len(kept.replies) >= whole[:cut].count(b"\n") and len(kept.replies) <= 20
    kept.append("new", REQUESTS[0], Reply("after"))
    kept.close()
    again = Journal(path)
    assert again.replies["new"].text == "after"
    assert again.replies == kept.replies


def test_keys_tell_requests_apart() -> None:
    """Another sample, another sampling, another model or role is another question."""
    request = REQUESTS[0]
    hot = Request(request.example, request.messages, Sampling(temperature=0.5))
    later = Request(request.example, request.messages, sample=1)
    keys = {r.key(role, m) for r in (request, hot, later) for role in ("a", "b") for m in ("m", "n")}
    assert len(keys) == 12


def test_one_process_holds_a_run(home: Path) -> None:
    """A second process is told which one has the run."""
    code = (
        "import sys; from pathlib import Path; from medbench.runs import open_run\n"
        "with open_run(Path(sys.argv[1]), 'r', config={}): pass"
    )
    with open_run(home, "r", config={}):
        second = subprocess.run([sys.executable, "-c", code, str(home)], capture_output=True, text=True)
    assert "is in use by process" in second.stderr


def test_fresh_begins_a_numbered_attempt(home: Path) -> None:
    """--fresh leaves the old attempt alone."""
    model, asked = counting()
    for complete in (False, True, True):
        with open_run(home, "r", config={}, fresh=True) as run:
            run.ask("policy", model, requests=REQUESTS)
            if complete:
                run.seal({}, {"kind": "eval"})
    assert len(asked) == 40, "an attempt that was killed is gone on with, a complete one is not"
    assert sorted(p.name[-2:] for p in (home / "runs").iterdir()) == ["-2", "-3"]


def test_seal_is_whole_and_last(home: Path) -> None:
    """Tables are there before the manifest, and no temporary file stays."""
    with open_run(home, "r", config={}) as run:
        run.seal({"t": pl.DataFrame({"a": [1]})}, {"kind": "eval"})
        names = {p.name for p in run.folder.iterdir()}
    assert names == {"config.json", "versions.json", "lock", "t.parquet", "manifest.json"}
    assert json.loads((run.folder / "manifest.json").read_text()) == {"kind": "eval"}
    assert run.folder.stat().st_mode & 0o077 == 0


def test_unknown_and_ambiguous_runs(home: Path) -> None:
    """A run is found by an unambiguous beginning of its name; otherwise the error helps."""
    for config in ({"a": 1}, {"a": 2}):
        with open_run(home, "eval-medqa", config=config):
            pass
    with pytest.raises(UsageError, match="could be any of"):
        find_run(home, "eval-medqa")
    with pytest.raises(UsageError, match="no run named"):
        find_run(home, "evil-medqa")


def test_what_a_server_did_not_count_is_still_paid_for(home: Path) -> None:
    """Tokens that a server does not count are estimated, and charged to the next purse as to the first."""
    long = [Request(f"q/{i}", ({"role": "user", "content": "word " * 100},)) for i in range(5)]
    model = Scripted("scripted:uncounted", lambda request: Reply("some words", "stop", 0, 0))
    spent = []
    for _ in range(2):
        purse = Purse(1.0, 1.0)
        with open_run(home, "r", config={}) as run:
            run.ask("policy", model, requests=long, purse=purse)
        spent.append(purse.spent)
    assert spent[0] == pytest.approx(spent[1])
    assert spent[0] > 5 * 100 / 1e6
