"""Questions on images: speed beside a bare aiohttp loop that sends the same images, and memory as they grow.

    python -m perf.images

VQA-RAD's 451 test questions (beside the checkout, else nothing is measured), a loop-back server in a
process of its own without latency, concurrency 64; medians of five interleaved runs. "First" takes the
images into an empty store; later runs find them there. Memory: the peak of a whole `medbench eval` over
questions that repeat the real ones under new ids.

Last, 2026-11-28, 2 cores, Python 3.11, concurrency 64, on a machine that was slow that day (`medbench --help`
0.28 s instead of 0.18):

| 451 questions           |   wall | wall / bare |
|-------------------------|-------:|------------:|
| bare loop               | 0.99 s |             |
| medbench, empty store   | 3.56 s |        3.61 |
| medbench, filled store  | 2.56 s |        2.60 |

About 1 s of it is the import of nltk for BLEU.

| questions |   wall |   peak | peak / first |
|----------:|-------:|-------:|-------------:|
|       500 |  3.2 s | 125 MB |              |
|    20,000 | 32.5 s | 172 MB |         1.38 |
"""

import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from perf.throughput import CONCURRENCY, MIRROR, Served, timed

CATALOG = """
sources:
  many:
    title: VQA-RAD's questions over and over
    license: CC0-1.0
    original:
      test: {files: {many.json: null}, format: json, adapter: "vqa:vqa_rad", images: [images]}
benchmarks:
  many: {source: many, split: test, prompt: vqa-plain}
"""

RAW = """
import asyncio, base64, json, sys
import aiohttp
async def main(url, rows, folder, n):
    queue = iter(rows)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        async def worker():
            for row in queue:
                image = base64.b64encode(open(folder + "/" + row["image_name"], "rb").read()).decode()
                part = {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + image}}
                text = {"type": "text", "text": row["question"] + " Answer with a single word or phrase."}
                body = {"model": "m", "temperature": 0, "max_tokens": 2048,
                        "messages": [{"role": "user", "content": [part, text]}]}
                async with session.post(url + "/chat/completions", json=body) as response:
                    json.loads(await response.read())["choices"][0]["message"]["content"]
        await asyncio.gather(*[worker() for _ in range(n)])
asyncio.run(main(sys.argv[1], json.load(open(sys.argv[2])), sys.argv[3], int(sys.argv[4])))
"""


def medbench(server: Served, *options: str) -> list[str]:
    """A whole `medbench eval`."""
    model = ["--model", f"openai:m@{server.url}", "--concurrency", str(CONCURRENCY)]
    return [sys.executable, "-m", "medbench", "-q", "eval", *model, *options]


def speed(runs: int) -> None:
    """Print how long 451 questions take, bare and by medbench, with an empty and a filled store."""
    rad = MIRROR / "vqa_rad"
    walls: dict[str, list[float]] = {"bare": [], "first": [], "later": []}
    with tempfile.TemporaryDirectory() as name, Served(0.0) as server:
        bare = [
            sys.executable,
            "-c",
            RAW,
            server.url,
            str(rad / "testset.json"),
            str(rad / "images"),
            str(CONCURRENCY),
        ]
        for i in range(runs):
            home = ["--home", f"{name}/{i}", "-b", "vqa-rad", "--mirror", str(MIRROR)]
            walls["bare"].append(timed(bare)[1])
            walls["first"].append(timed(medbench(server, *home))[1])
            walls["later"].append(timed(medbench(server, *home, "--fresh"))[1])
    found = {key: statistics.median(values) for key, values in walls.items()}
    print(f"451 questions: bare {found['bare']:.2f} s")
    for key in ("first", "later"):
        print(f"  medbench, {key:5} {found[key]:.2f} s = {found[key] / found['bare']:.2f} x bare")


def memory(sizes: tuple[int, ...]) -> None:
    """Print the peak memory of evaluations of several sizes."""
    rows = json.loads((MIRROR / "vqa_rad/testset.json").read_text())
    with tempfile.TemporaryDirectory() as name, Served(0.0) as server:
        folder = Path(name)
        (folder / "catalog.yaml").write_text(CATALOG)
        first = 0.0
        for size in sizes:
            mirror = folder / str(size)
            mirror.mkdir()
            shutil.copytree(MIRROR / "vqa_rad/images", mirror / "images")
            many = [{**rows[i % len(rows)], "qid": i} for i in range(size)]
            (mirror / "many.json").write_text(json.dumps(many))
            options = ["-b", "many", "--catalog", str(folder / "catalog.yaml"), "--mirror", str(mirror)]
            _, wall, peak = timed(medbench(server, *options, "--home", str(folder / "home")))
            first = first or peak
            print(f"{size:6,} questions: {wall:.1f} s, peak {peak:.0f} MB = {peak / first:.2f} x the first")


if __name__ == "__main__":
    if not (MIRROR / "vqa_rad").is_dir():
        raise SystemExit("VQA-RAD is not beside the checkout")
    speed(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
    memory((500, 20_000))
