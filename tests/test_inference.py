"""The OpenAI-compatible client against a real server on loopback, with every kind of trouble."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from medbench.errors import ModelError, UsageError
from medbench.inference import Options, open_model
from medbench.inference.openai import OpenAIModel
from medbench.inference.purse import Affordable, Purse
from medbench.inference.types import Reply, Request, Sampling
from tests.support.openai_server import Faults, Server

QUICK = Options(concurrency=4, timeout=5.0, retries=5, first_wait=0.01, longest_wait=1.0)


def requests(n: int) -> list[Request]:
    """Questions 0 to n-1."""
    return [Request(f"q/{i}", ({"role": "user", "content": f"question {i}"},)) for i in range(n)]


def ask(server: Server, n: int, transport: Options = QUICK) -> dict[str, Reply]:
    """Replies by example id."""
    got: dict[str, Reply] = {}

    def sink(request: Request, reply: Reply) -> None:
        got[request.example] = reply

    OpenAIModel("m", server.url, transport).answer(requests(n), sink)
    return got


@pytest.mark.parametrize(
    "fault", ["429", "500", "502", "503", "reset", "torn", "garbage", "empty", "choices"]
)
def test_passing_trouble_is_retried(fault: str) -> None:
    """A fault that passes leaves no trace: every question is answered once."""
    with Server(faults=Faults({0: fault, 3: fault, 4: fault})) as server:
        got = ask(server, 12)
    assert len(got) == 12
    assert all(reply.error is None and "boxed" in reply.text for reply in got.values())
    assert sum(server.answered.values()) == 12


@pytest.mark.parametrize("fault", ["500", "garbage", "empty", "reset", "429"])
def test_lasting_trouble_is_that_rows_error(fault: str) -> None:
    """One question whose calls always fail is an error with its reason; the others are answered."""
    with Server(faults=Faults(always=fault, match="question 5")) as server:
        quick = Options(concurrency=4, retries=2, first_wait=0.01, longest_wait=0.05)
        got = ask(server, 10, quick)
    assert got["q/5"].finish == "error" and got["q/5"].error
    assert sum(reply.error is None for reply in got.values()) == 9


def test_a_hanging_call_times_out() -> None:
    """A server that never answers costs one timeout, not the run."""
    with Server(faults=Faults(always="hang", match="question 1")) as server:
        got = ask(server, 3, Options(concurrency=4, timeout=0.3, retries=0))
    assert "TimeoutError" in str(got["q/1"].error)
    assert got["q/0"].error is None


def test_a_dead_server_ends_the_work_soon() -> None:
    """When nobody is answered the rest is not waited for."""
    with Server() as server:
        pass
    began = time.monotonic()
    got = ask(server, 500, Options(concurrency=8, retries=2, first_wait=0.01, longest_wait=0.05))
    assert time.monotonic() - began < 60  # five hundred rows of retries would take minutes
    assert 16 <= len(got) < 100
    assert all(reply.error for reply in got.values())


def test_retry_after_is_respected() -> None:
    """After a 429 with Retry-After: 0.2 nothing is sent for that long."""
    with Server(faults=Faults({0: "429"})) as server:
        began = time.monotonic()
        ask(server, 4, Options(concurrency=1, first_wait=0.001))
    assert time.monotonic() - began >= 0.2


def test_concurrency_is_bounded_and_used() -> None:
    """No more requests are in flight than asked for, and no fewer."""
    with Server(latency=0.02) as server:
        ask(server, 60, Options(concurrency=6))
    assert server.most_active == 6


def test_a_truncated_reply_says_so() -> None:
    """finish_reason "length" is kept: it is a truncated reply, not an empty one."""
    with Server(faults=Faults({0: "length"})) as server:
        got = ask(server, 1)
    assert got["q/0"].finish == "length"
    assert (got["q/0"].tokens_in, got["q/0"].tokens_out) == (100, 20)


@pytest.mark.parametrize(("fault", "fix"), [("401", "OPENAI_API_KEY"), ("404", "/v1")])
def test_a_refused_key_or_model_ends_the_run(fault: str, fix: str) -> None:
    """What no retry can mend is told at once, with the cure."""
    with Server(faults=Faults(always=fault)) as server, pytest.raises(ModelError) as caught:
        ask(server, 5)
    assert fix in caught.value.fix


def test_a_rejected_request_is_not_repeated() -> None:
    """A 400 (say, a prompt too long) is that row's error after one call."""
    with Server(faults=Faults(always="400", match="question 2")) as server:
        got = ask(server, 4)
    assert "HTTP 400" in str(got["q/2"].error)
    assert len(server.calls) == 4


def test_what_is_sent() -> None:
    """Sampling goes out as asked, each sample with its own seed, the key only as a header."""
    request = Request("q", ({"role": "user", "content": "x"},), Sampling(temperature=0.7, seed=5), sample=2)
    with Server() as server:
        OpenAIModel("m", server.url).answer([request], lambda _request, _reply: None)
    sent = server.calls[0]
    assert (sent["model"], sent["temperature"], sent["seed"], sent["max_tokens"]) == ("m", 0.7, 7, 2048)
    assert "Authorization" not in server.headers[0]


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """OPENAI_API_KEY is read at call time; the model's name and its repr do not hold it."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    with Server() as server:
        model = OpenAIModel("m", server.url)
        model.answer(requests(1), lambda _request, _reply: None)
    assert server.headers[0]["Authorization"] == "Bearer secret-key"
    assert "secret" not in model.name + repr(vars(model))


def test_an_empty_purse_ends_the_sending(home: Path) -> None:
    """With 32 workers the budget holds all the same; what was sent is handed over."""
    got: list[str] = []
    purse = Purse(0.0, 1_000_000.0, 400.0)  # 20 dollars a reply of 20 tokens
    wanted = [replace(r, sampling=Sampling(max_tokens=25)) for r in requests(100)]

    def sink(request: Request, reply: Reply) -> None:
        purse.settle(request, reply)
        got.append(request.example)

    with Server(latency=0.01) as server:
        OpenAIModel("m", server.url, Options(concurrency=32)).answer(Affordable(wanted, purse), sink)
    assert len(server.calls) == len(got) == 19
    assert purse.spent <= 400 and purse.reserved == 0


def test_works_inside_a_running_loop() -> None:
    """A notebook already runs an event loop; asking works there too."""
    with Server() as server:

        async def notebook() -> int:
            return len(ask(server, 3))

        assert asyncio.run(notebook()) == 3


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("opnai:m@http://x/v1", "did you mean 'openai'"),
        ("openai:m", "openai:NAME@"),
        ("openai:m@ftp://x", "openai:NAME@http"),
        ("openai:m@http://user:pass@x/v1", "OPENAI_API_KEY"),
        ("baseline:best", "known: first, majority, random"),
        ("local:", "openai:NAME@URL"),
    ],
)
def test_bad_specs_say_how_to_write_them(spec: str, says: str) -> None:
    """A model spec that cannot be read is a usage error with the cure."""
    with pytest.raises(UsageError) as caught:
        open_model(spec, Options())
    assert says in caught.value.fix
