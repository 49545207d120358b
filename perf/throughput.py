"""Whole-process speed of `medbench eval` beside a bare aiohttp loop, same questions, same server.

    python -m perf.throughput

1,273 questions (MedQA's where it is beside the checkout, else made up), concurrency 64, a loop-back
server in a process of its own; each figure is the median of five interleaved runs.

Last, 2026-11-24, 2 cores, Python 3.11, aiohttp 3.14, polars 2.1, MedQA's questions, concurrency 64:

| latency | bare loop | medbench | wall / bare | first request after | first to last | peak memory |
|--------:|----------:|---------:|------------:|--------------------:|--------------:|------------:|
|    0 ms |    0.38 s |   1.12 s |        2.94 |              0.64 s |        0.28 s |      127 MB |
|   50 ms |    1.41 s |   2.08 s |        1.47 |              0.71 s | 1.14 x ideal  |      125 MB |

medbench --help: 0.18 s
"""

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
MIRROR = ROOT.parent / "shared" / "data"
N = 1273
CONCURRENCY = 64

BARE = """
import asyncio, json, sys
import aiohttp
async def main(url, bodies):
    queue = iter(bodies)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        async def worker():
            for body in queue:
                async with session.post(url + "/chat/completions", data=body) as response:
                    json.loads(await response.read())["choices"][0]["message"]["content"]
        await asyncio.gather(*[worker() for _ in range(int(sys.argv[3]))])
bodies = open(sys.argv[2], "rb").read().split(b"\\n")
asyncio.run(main(sys.argv[1], bodies))
"""


class Served:
    """The loop-back server as a process of its own."""

    def __init__(self, latency: float) -> None:
        command = [sys.executable, "-m", "tests.support.openai_server", "--latency", str(latency)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self.url = str(self.process.stdout.readline()).strip()  # type: ignore[union-attr]

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()

    def stats(self) -> dict[str, float]:
        """Calls, first request and last reply since the last look."""
        with urllib.request.urlopen(self.url.removesuffix("/v1") + "/stats") as response:
            return dict(json.load(response))


def timed(command: list[str]) -> tuple[float, float, float]:
    """Start time, wall seconds and peak memory in MB of one process."""
    began = time.time()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.time() - began
    if status:
        raise SystemExit(process.stderr.read().decode())  # type: ignore[union-attr]
    return began, wall, usage.ru_maxrss / 1024


def questions(folder: Path) -> list[str]:
    """The medbench options for the questions: real ones if they are here."""
    if (MIRROR / "medqa").is_dir():
        return ["-b", "medqa", "--mirror", str(MIRROR)]
    from tests.support import questions as made

    return ["-b", "made", "--catalog", str(made.catalog(folder, N)), "--mirror", str(folder / "mirror")]


def bodies(folder: Path, server: Served, options: list[str]) -> Path:
    """The very requests medbench sends, for the bare loop: taken from a first run's own code."""
    from medbench import evaluators
    from medbench.catalog import Catalog, Place
    from medbench.inference.openai import OpenAIModel
    from medbench.solve import Requests

    extra = [Path(options[i + 1]) for i, name in enumerate(options) if name == "--catalog"]
    mirror = Path(options[options.index("--mirror") + 1])
    config = evaluators.EvalConfig(benchmarks=(options[1],))
    tasks = evaluators.prepare(config, Catalog.load(extra), Place(folder, mirror, folder / "lock"))
    model = OpenAIModel("m", server.url)
    path = folder / "bodies.jsonl"
    path.write_bytes(b"\n".join(model.body(r) for r in Requests(tasks[0].examples, tasks[0].asking)))
    return path


def compare(latency: float, runs: int) -> None:
    """Print medians for one latency."""
    figures: dict[str, list[float]] = {"bare": [], "wall": [], "first": [], "span": [], "memory": []}
    with tempfile.TemporaryDirectory() as name, Served(latency) as server:
        folder = Path(name)
        options = questions(folder)
        bare = [
            sys.executable,
            "-c",
            BARE,
            server.url,
            str(bodies(folder, server, options)),
            str(CONCURRENCY),
        ]
        for i in range(runs):
            figures["bare"].append(timed(bare)[1])
            server.stats()
            home = ["--home", str(folder / f"home{i}")]
            model = ["--model", f"openai:m@{server.url}", "--concurrency", str(CONCURRENCY)]
            began, wall, memory = timed(
                [sys.executable, "-m", "medbench", "-q", "eval", *options, *model, *home]
            )
            told = server.stats()
            assert told["calls"] == N, told
            for key, value in {
                "wall": wall,
                "first": told["first"] - began,
                "span": told["last"] - told["first"],
                "memory": memory,
            }.items():
                figures[key].append(value)
    median = {key: statistics.median(values) for key, values in figures.items()}
    ideal = N / CONCURRENCY * latency
    print(f"latency {latency * 1000:.0f} ms: bare {median['bare']:.2f} s, medbench {median['wall']:.2f} s")
    print(f"  wall / bare              {median['wall'] / median['bare']:.2f}")
    print(f"  start to first request   {median['first']:.2f} s")
    print(
        f"  first request to last    {median['span']:.2f} s"
        + (f" = {median['span'] / ideal:.2f} x ideal" if ideal else "")
    )
    print(f"  peak memory              {median['memory']:.0f} MB")


def help_time(runs: int) -> None:
    """Print how long --help takes."""
    walls = [timed([sys.executable, "-m", "medbench", "--help"])[1] for _ in range(runs)]
    print(f"medbench --help: {statistics.median(walls):.2f} s")


if __name__ == "__main__":
    runs = int(sys.argv[1]) if len(sys.argv) > 1 and re.fullmatch(r"\d+", sys.argv[1]) else 5
    compare(0.0, runs)
    compare(0.05, runs)
    help_time(runs)
