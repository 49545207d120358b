"""A real server process: `transformers serve` and the same model in process say the same, greedily."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from medbench import prompts
from medbench.solve import Asking, Requests
from tests.support import questions
from tests.support.process import json_of

pytest.importorskip("torch", reason="needs the extra `local`")
pytest.importorskip("fastapi", reason="needs the extra `serve`")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny untrained model in a folder."""
    from medbench.trainers import tiny

    requests = Requests(questions.examples(40), Asking(prompts.named("starter")))
    corpus = [str(m["content"]) for r in requests for m in r.messages]
    return tiny.build("tiny:qwen3-64x2", corpus, tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def served(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `transformers serve` on the tiny model."""
    cache = tmp_path_factory.mktemp("hf")
    (cache / "hub").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = shutil.which("transformers", path=str(Path(sys.executable).parent)) or "transformers"
    command = [program, "serve", str(tiny), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    log = (cache / "log.txt").open("wb")
    environment = {**os.environ, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers."""
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        assert process.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError("the server did not come up")


def test_server_and_process_agree(tiny: Path, served: str, tmp_path: Path, home: Path) -> None:
    """Greedy replies of the same weights are the same text through both back ends, question by question."""
    catalog = ["--catalog", str(questions.catalog(tmp_path, 24)), "--mirror", str(tmp_path / "mirror")]
    options = ["-b", "made", "--prompt", "starter", "--set", "sampling.max_tokens=8", *catalog]
    replies = []
    for model in (f"openai:{tiny}@{served}", f"local:{tiny}"):
        run = json_of("eval", *options, "-m", model, home=home)["run"]
        table = pl.read_parquet(home / "runs" / run / "verdicts.parquet")
        said = pl.col("reply").str.strip_chars()  # the server strips its replies
        replies.append(table.select("example", said, "finish", "answer", "correct").rows())
    assert len(replies[0]) == 24
    assert replies[0] == replies[1]
