"""The OpenAI-compatible client against a real server on loopback, with every kind of trouble."""

import asyncio
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from medbench.errors import ModelError, UsageError
from medbench.inference import Options, open_model, servers
from medbench.inference.openai import OpenAIModel
from medbench.inference.purse import Affordable, Purse
from medbench.inference.types import Reply, Request, Sampling
from tests.support.openai_server import Faults, Server

ROOT = Path(__file__).parents[1]
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
        ("openai:m@http://x/v1,http://user:pass@y/v1", "OPENAI_API_KEY"),
        ("openai:m@http://x/v1,y/v1", "openai:NAME@http"),
        ("openai:m@http://x/v1,", "openai:NAME@http"),
        ("baseline:best", "known: first, majority, random"),
        ("local:", "openai:NAME@URL"),
    ],
)
def test_bad_specs_say_how_to_write_them(spec: str, says: str) -> None:
    """A model spec that cannot be read is a usage error with the cure."""
    with pytest.raises(UsageError) as caught:
        open_model(spec, Options())
    assert says in caught.value.fix


# ---------------------------------------------------------------------------------------- several servers


def asked(urls: list[str], n: int, transport: Options = QUICK) -> dict[str, Reply]:
    """Replies by example id of a model behind several addresses; no id twice."""
    got: dict[str, Reply] = {}

    def sink(request: Request, reply: Reply) -> None:
        assert request.example not in got
        got[request.example] = reply

    model = open_model(f"openai:m@{','.join(urls)}", transport)
    model.answer(requests(n), sink)
    return got


def gone() -> str:
    """The address of a server that is no more."""
    with Server() as server:
        pass
    return server.url


def test_servers_share_the_load() -> None:
    """Requests go where the fewest are in flight; together no more are in flight than asked for."""
    with Server(latency=0.02) as one, Server(latency=0.02) as two:
        got = asked([one.url, two.url], 60, Options(concurrency=6))
        few = asked([one.url, two.url], 10, Options(concurrency=1))
    assert len(got) == 60 and all(reply.error is None for reply in [*got.values(), *few.values()])
    assert len(one.calls) + len(two.calls) == 70
    assert (one.most_active, two.most_active) == (3, 3)
    assert abs(len(one.calls) - len(two.calls)) <= 6


def test_a_slow_server_gets_less() -> None:
    """A server ten times slower holds up only what it was sent."""
    with Server(latency=0.01) as quick, Server(latency=0.1) as slow:
        got = asked([slow.url, quick.url], 60, Options(concurrency=6))
    assert len(got) == 60
    assert len(slow.calls) < len(quick.calls) / 2


def test_a_server_that_dies_loses_nothing() -> None:
    """One of two servers is killed in the middle of its answers: every question is answered all the same."""
    command = [sys.executable, "-m", "tests.support.openai_server", "--latency", "0.05"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    mortal = process.stdout.readline().strip()
    got: dict[str, Reply] = {}

    def sink(request: Request, reply: Reply) -> None:
        got[request.example] = reply
        if len(got) == 20:
            process.kill()
            process.wait()

    with Server(latency=0.01) as server:
        options = Options(concurrency=8, retries=0)
        OpenAIModel("m", f"{mortal},{server.url}", options).answer(requests(120), sink)
    process.stdout.close()
    assert len(got) == 120
    assert [reply.error for reply in got.values() if reply.error] == []
    assert len(server.calls) < 120  # the other one had answered some


def test_a_server_down_from_the_start_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    """It costs a few tries and no row, and is told once; one that only gives errors is as good as gone."""
    with Server(faults=Faults(always="500")) as broken, Server() as server:
        got = asked([gone(), broken.url, server.url], 200, Options(concurrency=4, retries=0))
    assert len(got) == 200
    assert [reply.error for reply in got.values() if reply.error] == []
    assert 16 <= len(broken.calls) < 30
    assert sum(f"{broken.url} only fails (HTTP 500" in r.getMessage() for r in caplog.records) == 1


def test_a_server_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its rest a server is tried again, and takes its share once it answers."""
    monkeypatch.setattr(servers, "REST", 0.05)
    ill = Faults(script=dict.fromkeys(range(20), "500"))
    with Server(faults=ill, latency=0.005) as one, Server(latency=0.005) as two:
        got = asked([one.url, two.url], 300, Options(concurrency=4, retries=0))
    assert len(got) == 300 and all(reply.error is None for reply in got.values())
    assert len(one.calls) > 60


def test_all_servers_down_end_the_work() -> None:
    """When no server answers anybody the rest is not waited for."""
    options = Options(concurrency=8, retries=2, first_wait=0.01, longest_wait=0.05)
    got = asked([gone(), gone()], 500, options)
    assert 16 <= len(got) < 100
    assert all(reply.error for reply in got.values())


def test_trouble_of_all_servers_that_passes_is_waited_out() -> None:
    """A fault of the network hits all servers at once; with retries left nothing is lost."""
    with (
        Server(faults=Faults(script=dict.fromkeys(range(20), "reset"))) as one,
        Server(faults=Faults(script=dict.fromkeys(range(20), "reset"))) as two,
    ):
        got = asked(
            [one.url, two.url], 60, Options(concurrency=8, retries=8, first_wait=0.01, longest_wait=0.1)
        )
    assert len(got) == 60 and [reply.error for reply in got.values() if reply.error] == []


def test_a_crowded_server_sends_work_to_the_other() -> None:
    """A server that says when to come back is not waited for while another has room."""
    with Server(faults=Faults(always="429")) as crowded, Server() as server:
        got = asked([crowded.url, server.url], 40, Options(concurrency=4, retries=0))
    assert [reply.error for reply in got.values() if reply.error] == []
    assert len(server.calls) == 40 and len(crowded.calls) < 20


@pytest.mark.parametrize("fault", ["401", "404"])
def test_the_server_that_refuses_is_named(fault: str) -> None:
    """A wrong key or model on one server ends the run, and says on which."""
    with Server() as good, Server(faults=Faults(always=fault)) as bad, pytest.raises(ModelError) as caught:
        asked([good.url, bad.url], 50)
    assert bad.url in caught.value.what and good.url not in caught.value.what


def test_a_rejected_request_is_not_tried_elsewhere() -> None:
    """A 400 is that row's error after one call, however many servers there are."""
    with Server(faults=Faults(always="400")) as one, Server(faults=Faults(always="400")) as two:
        got = asked([one.url, two.url], 10)
    assert all("HTTP 400" in str(reply.error) for reply in got.values())
    assert len(one.calls) + len(two.calls) == 10


def test_the_order_of_addresses_is_nothing() -> None:
    """A run goes on whichever way its servers are listed; one address is named as it always was."""
    one, two = "http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"
    specs = [f"{one},{two}", f"{two}/, {one}", f"{one},{two},{one}"]
    names = {open_model(f"openai:m@{spec}").name for spec in specs}
    assert names == {f"openai:m@{one},{two}"}
    keys = {requests(1)[0].key("solver", name) for name in names}
    assert len(keys) == 1
    for spec in (one, f"{one}/"):
        assert open_model(f"openai:m@{spec}").name == f"openai:m@{spec}"
    assert open_model(f"openai:m@{one},{one}/").name == f"openai:m@{one}"
    secure = open_model("openai:org/m@https://a.example/v1,http://b.example/v1")
    assert secure.name == "openai:org/m@http://b.example/v1,https://a.example/v1"
