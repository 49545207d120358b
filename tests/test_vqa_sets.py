"""Image question sets in the layout the Hub holds them in, through its real client: rows, golds, pictures.

The small sets are our golden rows; the whole ones are the real text, beside the checkout, with small
pictures of ours where the real ones are not at hand.
"""

import base64
import csv
import hashlib
import io
import json
import shutil
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from medbench import adapters
from medbench.adapters import BadRow
from medbench.catalog import Catalog, Place
from medbench.config import read_yaml
from medbench.errors import MedbenchError, SourceError
from medbench.schema import Example
from tests.support.hub import FakeHub

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "golden" / "vqa"
REAL = ROOT.parent / "shared" / "data"
real = pytest.mark.skipif(not REAL.is_dir(), reason="needs the real data beside the checkout")

Row = dict[str, Any]
Files = dict[str, bytes]

LINES = [
    pytest.param(json.loads(line), id=f"{path.stem}-{number}")
    for path in sorted(GOLDEN.glob("*.jsonl"))
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines())
]

# ------------------------------------------------------------------------------------------- golden rows


def expected(fields: Row) -> Example:
    """The Example a golden line spells out."""
    return Example(
        **{key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    )


@pytest.mark.parametrize("line", LINES)
def test_golden_row(line: Row) -> None:
    """Each golden raw row gives exactly its Example, or exactly its reason."""
    adapter = adapters.resolve(line["adapter"], **line.get("args", {}))
    try:
        found: Example | str = adapters.one(line["raw"], adapter)
    except BadRow as problem:
        found = problem.reason
    assert found == (line["bad"] if "bad" in line else expected(line["example"]))


def test_every_layout_has_golden_rows() -> None:
    """Each image source of the catalog has a golden file, and each of its layouts rows that are good."""
    wanted: dict[str, set[str]] = {}
    for name, source in Catalog.load().sources.items():
        refs = {source.adapter, *(original.adapter for original in source.original.values())} - {""}
        if any(ref.startswith("vqa:") for ref in refs):
            wanted[name] = refs
    found: dict[str, set[str]] = {path.stem: set() for path in GOLDEN.glob("*.jsonl")}
    for path in GOLDEN.glob("*.jsonl"):
        lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        found[path.stem] |= {line["adapter"] for line in lines if "example" in line}
    assert set(found) == set(wanted)
    assert set().union(*found.values()) == set().union(*wanted.values())


# ------------------------------------------------------------------------- files in the layouts of the Hub


@cache
def picture(name: str) -> bytes:
    """A small picture like no other, as the end of its name says."""
    grain = hashlib.sha256(name.encode()).digest() * 8
    image = Image.frombytes("RGB", (12, 7), grain[: 12 * 7 * 3])
    image.save(buffer := io.BytesIO(), "JPEG" if name.endswith(("jpg", "jpeg")) else "PNG")
    return buffer.getvalue()


@cache
def eyes(content: bytes) -> str:
    """What identifies the picture in a file to the eye."""
    image = Image.open(io.BytesIO(content)).convert("RGB")
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()


@cache
def seen(path: Path) -> str:
    """What is seen in a file."""
    return eyes(path.read_bytes())


def parquet(rows: Sequence[Row], pictures: Sequence[str]) -> bytes:
    """A Parquet file as `datasets` writes it: images as struct{bytes, path}, in row groups of 100."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    told: Row = {name: {"_type": "Image"} for name in pictures}
    columns = {
        name: pa.array([row[name] for row in rows], kind if name in pictures else None) for name in rows[0]
    }
    features = {"info": {"features": told}}
    table = pa.table(columns).replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, buffer := io.BytesIO(), row_group_size=100)
    return buffer.getvalue()


def zipped(files: Files) -> bytes:
    """A zip archive."""
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def separated(rows: Sequence[Row], separator: str = ",") -> bytes:
    """A table of text with a header."""
    writer = csv.DictWriter(text := io.StringIO(newline=""), list(rows[0]), delimiter=separator)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def jsonl(rows: Sequence[Row]) -> bytes:
    """JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def golden(name: str, *, keep: Sequence[str] = ()) -> list[Row]:
    """The good raw rows of a golden file in the Hub's layout, without what only their place tells."""
    source = Catalog.load().sources[name]
    ref = source.adapter or source.original["test"].adapter
    lines = map(json.loads, (GOLDEN / f"{name}.jsonl").read_text(encoding="utf-8").splitlines())
    good = [line["raw"] for line in lines if line["adapter"] == ref and not {"bad", "args"} & line.keys()]
    return [{key: value for key, value in raw.items() if key[0] != "_" or key in keep} for raw in good]


def hub_rows(name: str) -> list[Row]:
    """Golden rows whose options are of the type that the Hub's column has."""
    kind = {"medxpertqa-mm": dict, "medframeqa": list}.get(name, object)
    return [row for row in golden(name) if isinstance(row.get("options"), kind)]


def filled(rows: Sequence[Row], columns: Sequence[str]) -> bytes:
    """Golden rows as Parquet, each reference in `columns` replaced by the picture of that name."""

    def cell(reference: str | None) -> Row | None:
        return reference and {"bytes": picture(reference), "path": None}  # type: ignore[return-value]

    return parquet([{**row, **{name: cell(row[name]) for name in columns}} for row in rows], columns)


def mmmu_files() -> Files:
    """MMMU: one file a subject and split."""
    files: dict[str, list[Row]] = {}
    for row in golden("mmmu"):
        files.setdefault(row["image_1"].partition(":")[0], []).append(row)
    columns = [f"image_{number}" for number in range(1, 8)]
    return {
        **{name: filled(rows, columns) for name, rows in files.items()},
        "Pharmacy/test-00000-of-00001.parquet": b"never fetched",
        "Accounting/validation-00000-of-00001.parquet": b"never fetched",
    }


def omnimedvqa_files() -> Files:
    """OmniMedVQA: questions and pictures in one archive."""
    parts: dict[str, list[Row]] = {}
    for row in golden("omnimedvqa", keep=("_file",)):
        parts.setdefault(row.pop("_file"), []).append(row)
    rows = [row for part in parts.values() for row in part]
    return {
        "OmniMedVQA.zip": zipped(
            {
                "OmniMedVQA/QA_information/Restricted-access/Else.json": b"[{}]",
                **{
                    f"OmniMedVQA/QA_information/Open-access/{name}.json": json.dumps(part).encode()
                    for name, part in parts.items()
                },
                **{f"OmniMedVQA/{row['image_path']}": picture(row["image_path"]) for row in rows},
            }
        )
    }


def pmc_files(name: str, table: str, archive: str, folder: str) -> Files:
    """A version of PMC-VQA: a table and its archive."""
    rows = golden(name)
    return {
        table: separated(rows),
        archive: zipped({f"{folder}/{row['Figure_path']}": picture(row["Figure_path"]) for row in rows}),
    }


def gmai_files() -> Files:
    """GMAI-MMBench: a table with the images as base64."""
    rows = [
        {**row, "image": base64.b64encode(picture(row["image"])).decode()} for row in golden("gmai-mmbench")
    ]
    return {"GMAI_mm_bench_VAL_new.tsv": separated(rows, "\t")}


def names_of(name: str, column: str) -> set[str]:
    """The images that golden rows name in a column."""
    cells = [row[column] for row in hub_rows(name)]
    return {image for cell in cells for image in (cell if isinstance(cell, list) else [cell])}


EXPERT = "TsinghuaC3I/MedXpertQA"
SMALL_HUB: dict[str, Files] = {
    "flaviagiammarino/vqa-rad": {
        "data/test-00000-of-00001.parquet": filled(golden("vqa-rad"), ["image"]),
        "data/train-00000-of-00001.parquet": b"never fetched",
    },
    "BoKelvin/SLAKE": {
        "test.json": json.dumps(golden("slake"), ensure_ascii=False).encode(),
        "train.json": b"never fetched",
        "KG.zip": b"never fetched",
        "imgs.zip": zipped({f"imgs/{name}": picture(name) for name in names_of("slake", "img_name")}),
    },
    "flaviagiammarino/path-vqa": {"data/test-00000-of-00001.parquet": filled(golden("path-vqa"), ["image"])},
    "RadGenome/PMC-VQA": {
        **pmc_files("pmc-vqa", "test_clean.csv", "images.zip", "images"),
        **pmc_files("pmc-vqa-v2", "test_2.csv", "images_2.zip", "figures"),
        "train.csv": b"never fetched",
    },
    "foreverbeliever/OmniMedVQA": omnimedvqa_files(),
    EXPERT: {
        "MM/test.jsonl": jsonl(hub_rows("medxpertqa-mm")),
        "MM/dev.jsonl": b"never fetched",
        "Text/test.jsonl": b"never fetched",
        "images.zip": zipped(
            {f"images/{name}": picture(name) for name in names_of("medxpertqa-mm", "images")}
        ),
    },
    "MMMU/MMMU": mmmu_files(),
    "VLMEval/GMAI-MMBench": gmai_files(),
    "GoodBaiBai88/M3D-VQA": {"M3D_VQA_test.csv": separated(golden("m3d-vqa"))},
    "SuhaoYu1020/MedFrameQA": {
        "data/test-00000-of-00001.parquet": filled(
            hub_rows("medframeqa"), [f"image_{number}" for number in range(1, 6)]
        )
    },
}
SIZES = {
    "vqa-rad": 5,
    "slake": 6,
    "path-vqa": 3,
    "pmc-vqa": 4,
    "pmc-vqa-v2": 3,
    "omnimedvqa": 3,
    "medxpertqa-mm": 2,
    "mmmu-med": 5,
    "gmai-mmbench-val": 2,
    "medframeqa": 2,
}
ARCHIVES = ("imgs.zip", "images.zip", "images_2.zip", "OmniMedVQA.zip")

READ = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from medbench.catalog import Catalog, Place
from medbench.errors import MedbenchError
catalog, told = Catalog.load([Path("own.yaml")]), {{}}
for name in {names}:
    try:
        row, _, limit = name.partition(":")
        limit = int(limit) if limit else None
        loaded = catalog.examples(row, Place.of(), limit=limit, pictures={pictures})
        told[name] = [asdict(example) for example in loaded.examples]
        assert not loaded.dropped, loaded.dropped
    except MedbenchError as problem:
        told[name] = [type(problem).__name__, problem.what, problem.fix]
heavy = [name for name in ("datasets", "huggingface_hub", "pandas", "torch") if name in sys.modules]
print(json.dumps({{"told": told, "heavy": heavy}}))
"""


class Client:
    """Another process that uses medbench against the Hub, in a home of its own."""

    def __init__(self, hub: FakeHub, folder: Path, med: bytes = b"") -> None:
        self.hub, self.folder, self.home = hub, folder, folder / "home"
        self.heavy: list[str] = []
        own = {f"small-{name}": {"like": name, "size": size} for name, size in SIZES.items()}
        own["small-valdev"] = {"like": "mmmu-med-valdev-mcq", "size": 5}
        own["small-m3d"] = {"like": "m3d-vqa", "size": 1}
        own["med-here"] = {"like": "vqa-med-2019", "source": "med-here", "size": 3 if med else 500}
        tables = {"benchmarks": own, "sources": {"med-here": redirected(hub, med)}}
        (folder / "own.yaml").write_text(yaml.safe_dump(tables))

    def read(self, *names: str, pictures: bool = True, **env: str) -> dict[str, Any]:
        """The Examples of each benchmark (`name:limit` for some of them), or [error, what, fix]."""
        code = READ.format(names=names, pictures=pictures)
        answer = self.hub.python(code, self.folder, MEDBENCH_HOME=str(self.home), **env)
        self.heavy = answer["heavy"]
        return dict(answer["told"])

    def here(self, name: str, mirror: Path | None = None, *, pictures: bool = True) -> list[Row]:
        """As `read`, in this process: for what needs no Hub."""
        try:
            place = Place(self.home, mirror, self.home / "medbench.lock")
            loaded = Catalog.load([self.folder / "own.yaml"]).examples(name, place, pictures=pictures)
            return [json.loads(json.dumps(asdict(example))) for example in loaded.examples]
        except MedbenchError as problem:
            return [problem.what, problem.fix]

    def lock(self) -> dict[str, Any]:
        """The lock file."""
        return dict(json.loads((self.home / "medbench.lock").read_text()))

    def shown(self, row: Row) -> list[str]:
        """What is seen in the images of an Example."""
        return [seen(self.home / "images" / name[:2] / name) for name in row["images"]]


def redirected(hub: FakeHub, content: bytes) -> Row:
    """The catalog's row of VQA-Med-2019, its file at this Hub's plain address: the real one, or `content`."""
    row: Row = json.loads(json.dumps(read_yaml(ROOT / "catalog.yaml")["sources"]["vqa-med-2019"]))
    test = row["original"]["test"]
    address = "/" + test["url"].partition("githubusercontent.com/")[2]
    [path] = test["files"]
    if content:
        test["files"] = {path: hashlib.sha256(content).hexdigest()}
    hub.plain[address] = content or (REAL / path).read_bytes()
    test["url"] = hub.url + address
    return row


def med_text() -> bytes:
    """VQA-Med-2019's file with our golden rows."""
    rows = golden("vqa-med-2019")
    return "".join("|".join(row.values()) + "\n" for row in rows).encode()


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    """A Hub with the golden rows of every image question set."""
    with FakeHub() as server:
        for repo, files in SMALL_HUB.items():
            server.commit(repo, {"README.md": b"", **files})
        yield server


@pytest.fixture
def client(hub: FakeHub, tmp_path: Path) -> Client:
    """A client of the Hub."""
    return Client(hub, tmp_path, med_text())


def wanted(name: str) -> dict[str, Row]:
    """Id → the Example that each golden row in the Hub's layout must become."""
    source = Catalog.load().sources[name]
    ref = source.adapter or source.original["test"].adapter
    lines = map(json.loads, (GOLDEN / f"{name}.jsonl").read_text(encoding="utf-8").splitlines())
    good = [line for line in lines if line["adapter"] == ref and not {"bad", "args"} & line.keys()]
    return {f"{name}/{line['example']['id']}": line["example"] for line in good}


def assert_golden(client: Client, name: str, rows: list[Row]) -> None:
    """Each Example says what the golden one says, and shows the very pictures its row names."""
    golden_rows = wanted(name)
    for row in rows:
        told = golden_rows[row["id"]]
        for key in ("kind", "question", "options", "gold", "tags"):
            assert row[key] == told[key], (row["id"], key)
        assert (row["fault"], row["lang"]) == (None, told.get("lang", "en"))
        assert client.shown(row) == [eyes(picture(reference)) for reference in told["images"]]


# ------------------------------------------------------------------------------------------ through the Hub


def test_every_set_comes_with_its_own_pictures(hub: FakeHub, client: Client) -> None:
    """Rows, golds and pictures are right; nothing is fetched twice; all is read again without a network.

    Then even with the archives gone: what was taken in needs them no more.
    """
    names = [f"small-{name}" for name in SIZES]
    told = client.read(*names)
    assert {name: len(rows) for name, rows in told.items()} == {f"small-{n}": s for n, s in SIZES.items()}
    for name, rows in told.items():
        source = rows[0]["source"]
        assert_golden(client, source, rows)
        assert {row["split"] for row in rows} == {Catalog.load().benchmark(name[6:]).split}
    sent = [path for path, _, _ in hub.sent]
    assert len(sent) == len(set(sent)), "a file was fetched twice"
    unwanted = ("train", "KG.zip", "dev", "Text", "README", "Accounting", "Pharmacy/test")
    assert not [path for path in sent if any(word in path for word in unwanted)]

    assert "fetching its images from BoKelvin/SLAKE: imgs.zip (212 MB)" in hub.said
    assert "fetching its images from foreverbeliever/OmniMedVQA: OmniMedVQA.zip (10.7 GB)" in hub.said
    assert "from flaviagiammarino/path-vqa: data/test-*.parquet (785 MB with the questions)" in hub.said

    hub.asked.clear()
    for archive in [path for path in client.home.rglob("*.zip") if path.name != "OmniMedVQA.zip"]:
        archive.unlink()
    assert client.read(*names, HF_HUB_OFFLINE="1") == told
    assert (hub.asked, client.heavy) == ([], [])


def test_the_lock_pins_rows_and_archives(hub: FakeHub, client: Client) -> None:
    """Commit and hashes of tables and archives are locked; another archive at that commit is refused."""
    client.read("small-medxpertqa-mm", "small-omnimedvqa")
    for source, repo in (("medxpertqa-mm", EXPERT), ("omnimedvqa", "foreverbeliever/OmniMedVQA")):
        pin = client.lock()[source]
        assert pin["files"] == {
            name: hashlib.sha256(data).hexdigest()
            for name, data in SMALL_HUB[repo].items()
            if name in ("MM/test.jsonl", "images.zip", "OmniMedVQA.zip")
        }
        assert pin["revision"] in hub.repos[repo].commits
    [(sha, files)] = hub.repos[EXPERT].commits.items()
    hub.repos[EXPERT].commits[sha] = {**files, "images.zip": zipped({"images/x.jpg": picture("x.jpg")})}
    lock = str(client.home / "medbench.lock")
    client.home = client.folder / "second"
    told = client.read("small-medxpertqa-mm", MEDBENCH_LOCK=lock)["small-medxpertqa-mm"]
    assert (told[0], "images.zip" in told[1]) == ("SourceError", True)
    assert "differs from the locked file" in told[1]


def test_an_archive_is_fetched_for_pictures_alone(hub: FakeHub, client: Client) -> None:
    """Who only wants the text fetches no archive; who wants pictures is told which file is fetched, once."""
    name = "small-medxpertqa-mm"
    rows = client.read(name, pictures=False)[name]
    assert [row["images"] for row in rows] == [["MM-9001-a.jpeg", "MM-9001-b.jpeg"], ["MM-9002-a.jpeg"]]
    assert not [path for path, _, _ in hub.sent if path.endswith(".zip")]
    assert "images.zip" not in hub.said
    assert_golden(client, "medxpertqa-mm", client.read(name)[name])
    assert f"fetching its images from {EXPERT}: images.zip" in hub.said
    hub.asked.clear()
    shutil.rmtree(client.home / "images")
    assert_golden(client, "medxpertqa-mm", client.read(name, HF_HUB_OFFLINE="1")[name])
    assert ("fetching" in hub.said, hub.asked) == (False, [])


def test_a_split_of_shared_files_is_fetched_whole(hub: FakeHub, client: Client) -> None:
    """Validation with dev brings the files of dev, although those of validation are here and match."""
    client.read("small-mmmu-med")
    before = [path for path, _, _ in hub.sent]
    told = client.read("small-valdev")["small-valdev"]
    assert_golden(client, "mmmu", told)
    assert Counter(row["id"].split("_")[0] for row in told) == {"mmmu/validation": 4, "mmmu/dev": 1}
    later = [path for path, _, _ in hub.sent][len(before) :]
    assert later and all("/dev-" in path for path in later)
    hub.asked.clear()
    assert len(client.read("small-valdev", "small-mmmu-med", HF_HUB_OFFLINE="1")["small-mmmu-med"]) == 5
    assert hub.asked == []


@pytest.mark.parametrize(
    ("name", "repo", "said"),
    [
        ("omnimedvqa", "foreverbeliever/OmniMedVQA", "no licence is stated for OmniMedVQA"),
        ("medframeqa", "SuhaoYu1020/MedFrameQA", "no licence was seen for MedFrameQA"),
        ("gmai-mmbench-val", "VLMEval/GMAI-MMBench", "9.3 GB"),
    ],
)
def test_cautions_come_before_any_byte(hub: FakeHub, client: Client, name: str, repo: str, said: str) -> None:
    """An unclear licence or a great size is told even where nothing could be fetched in the end."""
    hub.repos[repo].gate = 403
    kind, what, fix = client.read(f"small-{name}")[f"small-{name}"]
    assert (kind, "gated" in what, "hf auth login" in fix) == ("SourceError", True, True)
    assert said in hub.said
    assert hub.sent == []


def test_a_gated_source_says_so_before_any_byte(hub: FakeHub, client: Client) -> None:
    """A catalog row that is marked as gated is announced, whatever the Hub then answers."""
    row = {**read_yaml(ROOT / "catalog.yaml")["sources"]["slake"], "gated": True}
    tables = {"sources": {"closed": row}, "benchmarks": {"closed": {"like": "slake", "source": "closed"}}}
    (client.folder / "own.yaml").write_text(yaml.safe_dump(tables))
    hub.repos["BoKelvin/SLAKE"].gate = 401
    assert client.read("closed")["closed"][0] == "SourceError"
    assert "closed is gated: its terms must be accepted on its page first (CC BY 4.0)" in hub.said
    assert hub.sent == []


# ------------------------------------------------------------------------------------- broken downloads


@pytest.fixture
def archive(hub: FakeHub) -> bytes:
    """The archive of MedXpertQA with 35 MB of ballast: the Hub's client writes pieces of ten."""
    buffer = io.BytesIO(SMALL_HUB[EXPERT]["images.zip"])
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as opened:
        opened.writestr("ballast.bin", bytes(range(256)) * (35 << 12))
    hub.commit(EXPERT, {**SMALL_HUB[EXPERT], "images.zip": buffer.getvalue()})
    return buffer.getvalue()


def starts(hub: FakeHub) -> list[int]:
    """From which byte on the archive was sent, each time."""
    return [start for path, start, _ in hub.sent if path.endswith("images.zip")]


def assert_whole(client: Client, archive: bytes, rows: list[Row]) -> None:
    """The pictures are right, the lock has the archive's hash, and no half of it is left."""
    assert_golden(client, "medxpertqa-mm", rows)
    assert client.lock()["medxpertqa-mm"]["files"]["images.zip"] == hashlib.sha256(archive).hexdigest()
    assert not list(client.home.rglob("*.part"))


def test_a_broken_download_goes_on(hub: FakeHub, client: Client, archive: bytes) -> None:
    """An archive that breaks off, and off again in a later run, is fetched from where it was; hashes hold."""
    hub.cuts["images.zip"] = [15 << 20, 0]
    kind, what, fix = client.read("small-medxpertqa-mm")["small-medxpertqa-mm"]
    assert (kind, "answered HTTP 503" in what, "retry" in fix) == ("SourceError", True, True)
    assert "images.zip" not in client.lock()["medxpertqa-mm"]["files"]
    hub.sent.clear()
    hub.cuts["images.zip"] = [12 << 20]
    hub.repos[EXPERT].gate, hub.repos[EXPERT].key = 403, "hf_right"
    rows = client.read("small-medxpertqa-mm", HF_TOKEN="hf_right")["small-medxpertqa-mm"]
    assert starts(hub) == [10 << 20, 20 << 20]
    assert f"images.zip of {EXPERT}: 26 MB to fetch" in hub.said
    assert_whole(client, archive, rows)


def until(true: Callable[[], bool], what: str) -> None:
    """Wait for something to come true."""
    limit = time.monotonic() + 60
    while not true():
        assert time.monotonic() < limit, what
        time.sleep(0.01)


def test_a_killed_download_goes_on(hub: FakeHub, client: Client, archive: bytes) -> None:
    """What a process had of an archive when it was killed, one that waited for it goes on from."""
    name = "small-medxpertqa-mm"
    hub.cuts["images.zip"] = [-(25 << 20)]
    process = subprocess.Popen(
        [sys.executable, "-c", READ.format(names=(name,), pictures=True)],
        env=hub.env(client.folder, MEDBENCH_HOME=str(client.home)),
        cwd=client.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    parts = client.home.rglob
    until(lambda: any(p.stat().st_size >= 20 << 20 for p in parts(".images.zip.part")), "half an archive")
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(client.read, name)
        heads = [f"HEAD /datasets/{EXPERT}/resolve/{sha}/images.zip" for sha in hub.repos[EXPERT].commits]
        until(lambda: sum(map(hub.asked.count, heads)) == 2, "another process that wants it")
        time.sleep(0.3)
        assert starts(hub) == [0] and process.poll() is None
        process.kill()
        process.communicate()
        rows = other.result()[name]
    assert starts(hub) == [0, 20 << 20]
    assert_whole(client, archive, rows)


def test_bytes_that_are_not_the_hubs_are_refused(hub: FakeHub, client: Client) -> None:
    """An archive that came damaged is noticed by the Hub's own hash, thrown away, and fetched anew."""
    hub.spoil.add("images.zip")
    kind, what, fix = client.read("small-medxpertqa-mm")["small-medxpertqa-mm"]
    assert (kind, f"images.zip of {EXPERT} came damaged" in what, "repeat" in fix) == ("SourceError", 1, 1)
    hub.spoil.clear()
    rows = client.read("small-medxpertqa-mm")["small-medxpertqa-mm"]
    assert_whole(client, SMALL_HUB[EXPERT]["images.zip"], rows)


# ------------------------------------------------------------------------- pictures that come by a mirror


def laid(folder: Path, files: Files) -> Path:
    """Files written below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def test_vqa_med_comes_from_its_address_and_a_mirror(hub: FakeHub, client: Client) -> None:
    """The questions are fetched once; what to do for the pictures is said, and doing so gives them."""
    rows = client.here("med-here", pictures=False)
    names = [name for row in rows for name in row["images"]]
    assert names == ["made54082.jpg", "made54083.jpg", "made54084.jpg"]
    hub.asked.clear()
    what, fix = client.here("med-here")
    assert ("cannot be fetched by medbench" in what, hub.asked) == (True, [])
    folder = "vqa_med_2019_text/VQAMed2019_Test_Images"
    [kept] = client.home.glob("sources/med-here@*/*.txt")
    text = f"vqa_med_2019_text/{kept.name}"
    assert "500 JPEG files" in fix and folder in fix and f"copy {kept} to DIR/{text}" in fix
    mirror = laid(client.folder / "mirror", {text: kept.read_bytes()})
    assert f"looked for {folder} or {folder}.zip" in client.here("med-here", mirror)[0]
    laid(mirror, {f"{folder}/{name}": picture(name) for name in names[:2]})
    told = client.here("med-here", mirror)
    assert [row["fault"] for row in told] == [None, None, "image 1: the image file is missing"]
    laid(mirror, {f"{folder}/{name}": picture(name) for name in names})
    told = client.here("med-here", mirror)
    assert [row["gold"] for row in told] == [
        ["ct w/contrast iv", "ct w/contrast"],
        ["no"],
        ["lung, mediastinum, pleura", "spine and contents"],
    ]
    assert [client.shown(row) for row in told] == [[eyes(picture(name))] for name in names]


def test_m3d_shows_slices_of_the_volumes_beside_its_table(hub: FakeHub, client: Client) -> None:
    """Eight slices in their order; without the volumes it is said where they come from."""
    kind, what, fix = client.read("small-m3d")["small-m3d"]
    assert (kind, "no file like M3D_Cap_npy" in what, "GoodBaiBai88/M3D-Cap" in fix) == ("SourceError", 1, 1)
    mirror = client.folder / "mirror"
    table = laid(mirror / "GoodBaiBai88/M3D-VQA", SMALL_HUB["GoodBaiBai88/M3D-VQA"])
    what, fix = client.here("small-m3d", mirror)
    assert f"not in {table}: M3D_Cap_npy" in what
    depths = np.arange(32, dtype=np.float32)[:, None, None] / 31
    np.save(buffer := io.BytesIO(), (np.zeros((1, 32, 16, 16), np.float32) + depths))
    volume = golden("m3d-vqa")[0]["Image Path"]
    laid(table, {volume: buffer.getvalue()})
    [row] = client.here("small-m3d", mirror)
    assert (row["fault"], row["gold"], row["cluster"]) == (None, ["C"], volume)
    paths = [client.home / "images" / name[:2] / name for name in row["images"]]
    greys = [Image.open(path).convert("L").getpixel((8, 8)) for path in paths]
    assert greys == pytest.approx([255 * n / 31 for n in (2, 6, 10, 14, 18, 22, 26, 30)], abs=1)


def test_a_mirror_of_the_hub_needs_the_archive_or_its_folder(client: Client) -> None:
    """Rows without their archive: the file and its size are named. Unpacked it does as well."""
    files, mirror = SMALL_HUB["BoKelvin/SLAKE"], client.folder / "mirror"
    folder = laid(mirror / "BoKelvin/SLAKE", {"test.json": files["test.json"]})
    what, fix = client.here("small-slake", mirror)
    assert ("imgs.zip (212 MB)" in what, "BoKelvin/SLAKE" in fix) == (True, True)
    laid(folder, {"imgs.zip": files["imgs.zip"]})
    packed = client.here("small-slake", mirror)
    assert_golden(client, "slake", packed)
    (folder / "imgs.zip").unlink()
    assert "imgs.zip (212 MB)" in client.here("small-slake", mirror)[0]
    zipfile.ZipFile(io.BytesIO(files["imgs.zip"])).extractall(folder)
    assert client.here("small-slake", mirror) == packed
    assert client.hub.asked == []


# -------------------------------------------------------------------------------------------- whole sets


def slake_files() -> Files:
    """SLAKE: the real questions."""
    rows = json.loads((REAL / "slake_text/test.json").read_text(encoding="utf-8"))
    names = {row["img_name"] for row in rows}
    return {
        "test.json": (REAL / "slake_text/test.json").read_bytes(),
        "imgs.zip": zipped({f"imgs/{name}": picture(name) for name in names}),
    }


def rad_files() -> Files:
    """VQA-RAD: the real questions and images, as the Hub has them."""
    rows = json.loads((REAL / "vqa_rad/testset.json").read_text(encoding="utf-8"))
    images = {row["image_name"]: (REAL / "vqa_rad/images" / row["image_name"]).read_bytes() for row in rows}
    table = [
        {
            "image": {"bytes": images[row["image_name"]], "path": row["image_name"]},
            "question": row["question"],
            "answer": str(row["answer"]),
        }
        for row in rows
    ]
    return {"data/test-00000-of-00001.parquet": parquet(table, ["image"])}


@cache
def path_rows() -> list[tuple[str, str, str]]:
    """Image, question and answer of PathVQA's test split, repeated ones left out as on the Hub."""
    found: dict[tuple[str, str, str], None] = {}
    for row in json.loads((REAL / "pathvqa_text/pvqa_test.json").read_text(encoding="utf-8")):
        for question, labels in zip(row["sentf"]["pvqa"], row["labelf"]["pvqa"], strict=True):
            found[row["img_id"], question, next(iter(labels))] = None
    return list(found)


def path_files() -> Files:
    """PathVQA: the real questions, in three files."""
    table = [
        {"image": {"bytes": picture(name), "path": None}, "question": question, "answer": answer}
        for name, question, answer in path_rows()
    ]
    parts = [table[:2500], table[2500:5000], table[5000:]]
    return {f"data/test-{n:05}-of-00003.parquet": parquet(part, ["image"]) for n, part in enumerate(parts)}


def expert_rows() -> list[Row]:
    """MedXpertQA-MM: the real questions in the Hub's shape."""
    with (REAL / "medxpertqa/mm_test.jsonl").open(encoding="utf-8") as lines:
        return [
            {
                **row,
                "options": {option["letter"]: option["content"] for option in row["options"]},
                "label": row["label"][0],
                "images": [image["image_path"] for image in row["images"]],
            }
            for row in map(json.loads, lines)
        ]


def expert_files() -> Files:
    """MedXpertQA-MM: its lines and its archive."""
    rows = expert_rows()
    names = [name for row in rows for name in row["images"]]
    return {"MM/test.jsonl": jsonl(rows), "images.zip": zipped({f"images/{n}": picture(n) for n in names})}


SUBJECTS = (
    "Basic_Medical_Science",
    "Clinical_Medicine",
    "Diagnostics_and_Laboratory_Medicine",
    "Pharmacy",
    "Public_Health",
)


def mmmu_rows(subject: str) -> list[Row]:
    """MMMU's validation rows of a subject: real ids, options and answers; questions of ours, two images."""
    rows = []
    path = REAL / f"mmmu_medical/model_outputs/llava1.5_13b/{subject}.json"
    for row in json.loads(path.read_text(encoding="utf-8")):
        closed = row["question_type"] == "multiple-choice"
        told = {
            "id": row["id"],
            "question": "Which is right for <image 1> and <image 2>?",
            "options": str(list(row["index2ans"].values())) if closed else "[]",
            "explanation": "",
            "img_type": "['Tables']",
            "answer": row["answer"],
            "topic_difficulty": "Medium",
            "question_type": "multiple-choice" if closed else "open",
            "subfield": subject,
        }
        for number in range(1, 8):
            name = f"{row['id']}_{number}.png"
            told[f"image_{number}"] = {"bytes": picture(name), "path": name} if number < 3 else None
        rows.append(told)
    return rows


def whole_mmmu() -> Files:
    """MMMU: validation as published, and five questions of ours a subject for dev."""
    columns = [f"image_{number}" for number in range(1, 8)]
    files: Files = {}
    for subject in SUBJECTS:
        rows = mmmu_rows(subject)
        dev = [row for row in rows if row["question_type"] != "open"][:5]
        dev = [{**row, "id": row["id"].replace("validation", "dev")} for row in dev]
        files[f"{subject}/validation-00000-of-00001.parquet"] = parquet(rows, columns)
        files[f"{subject}/dev-00000-of-00001.parquet"] = parquet(dev, columns)
    return files


WHOLE = {
    "vqa-rad": {"yesno": 251, "open": 200},
    "vqa-rad-closed": {"yesno": 251},
    "slake": {"yesno": 702, "closed": 134, "open": 1258},
    "slake-en": {"yesno": 355, "closed": 61, "open": 645},
    "slake-en-closed": {"yesno": 355, "closed": 61},
    "path-vqa": {"yesno": 3362, "open": 3357},
    "path-vqa-yesno": {"yesno": 3362},
    "path-vqa-open": {"open": 3357},
    "medxpertqa-mm": {"mcq": 2000},
    "mmmu-med": {"mcq": 145, "open": 5},
    "mmmu-med-valdev-mcq": {"mcq": 170},
}


@real
def test_whole_sets_come_from_the_hub(shared: Path, tmp_path: Path) -> None:
    """The catalog's own rows give their full counts and kinds, and every question its own picture."""
    with FakeHub() as hub:
        hub.commit("flaviagiammarino/vqa-rad", rad_files())
        hub.commit("BoKelvin/SLAKE", slake_files())
        hub.commit("flaviagiammarino/path-vqa", path_files())
        hub.commit(EXPERT, expert_files())
        hub.commit("MMMU/MMMU", whole_mmmu())
        client = Client(hub, tmp_path)
        text = client.read("path-vqa", "path-vqa-open", "path-vqa-yesno", pictures=False)
        told = client.read(*(name for name in WHOLE if name not in text), "path-vqa:600")
    kinds = {name: Counter(row["kind"] for row in rows) for name, rows in (text | told).items()}
    some = told.pop("path-vqa:600")
    assert kinds.pop("path-vqa:600").total() == 600
    assert kinds == WHOLE
    assert not [row["id"] for rows in told.values() for row in rows if row["fault"]]
    sent = [path for path, _, _ in hub.sent]
    assert len(sent) == len(set(sent))

    rad = json.loads((shared / "vqa_rad/testset.json").read_text(encoding="utf-8"))
    behind = {
        "vqa-rad": [[(shared / "vqa_rad/images" / row["image_name"]).read_bytes()] for row in rad],
        "medxpertqa-mm": [[picture(name) for name in row["images"]] for row in expert_rows()],
        "mmmu-med": [
            [picture(f"{row['id']}_{number}.png") for number in (1, 2)]
            for subject in SUBJECTS
            for row in mmmu_rows(subject)
        ],
        "slake": [[picture(row["img_name"])] for row in json.loads(slake_files()["test.json"])],
    }
    for row in some:
        image, question, _ = path_rows()[int(row["id"].rpartition("-")[2])]
        assert (row["question"], client.shown(row)) == (question.strip(), [eyes(picture(image))])
    for name, contents in behind.items():
        assert [client.shown(row) for row in told[name]] == [list(map(eyes, some)) for some in contents]
    assert [row["gold"] for row in told["vqa-rad"]] == [[str(row["answer"]).strip()] for row in rad]
    assert [row["gold"] for row in text["path-vqa"]] == [[answer.strip()] for *_, answer in path_rows()]
    assert [row["gold"] for row in told["medxpertqa-mm"]] == [[row["label"]] for row in expert_rows()]
    assert not [row["id"] for row in told["medxpertqa-mm"] if "Answer Choices" in row["question"]]


@real
def test_whole_sets_come_from_the_authors_files(shared: Path, tmp_path: Path) -> None:
    """VQA-RAD's and VQA-Med's own files and pictures; of sets whose pictures are not there, which to get."""
    place = Place.of(tmp_path / "home", shared)
    counts = {
        name: Counter(example.kind for example in Catalog.load().examples(name, place).examples)
        for name in ("vqa-rad", "vqa-rad-closed-label", "vqa-rad-open-label")
    }
    assert counts == {
        "vqa-rad": {"yesno": 251, "closed": 21, "open": 179},
        "vqa-rad-closed-label": {"yesno": 251, "closed": 21},
        "vqa-rad-open-label": {"open": 179},
    }
    for name, told in (
        ("slake", "looked for slake_text/imgs or slake_text/imgs.zip (212 MB)"),
        ("medxpertqa-mm", "looked for medxpertqa/images or medxpertqa/images.zip"),
    ):
        with pytest.raises(SourceError) as caught:
            Catalog.load().examples(name, place)
        assert told in caught.value.what and "on the Hub" in caught.value.fix
    text = "vqa_med_2019_text/VQAMed2019_Test_Questions_w_Ref_Answers.txt"
    mirror = laid(tmp_path / "mirror", {text: (shared / text).read_bytes()})
    names = [line.partition("|")[0] for line in (shared / text).read_text(encoding="utf-8").splitlines()]
    folder = "vqa_med_2019_text/VQAMed2019_Test_Images"
    laid(mirror, {f"{folder}.zip": zipped({f"x/{name}.jpg": picture(f"{name}.jpg") for name in names})})
    with FakeHub() as hub:
        client = Client(hub, tmp_path)
        assert len(client.here("med-here", pictures=False)) == 500
        rows = client.here("vqa-med-2019", mirror)
    assert Counter(row["tags"]["category"] for row in rows) == dict.fromkeys(
        ("modality", "plane", "organ", "abnormality"), 125
    )
    assert [client.shown(row) for row in rows] == [[eyes(picture(f"{name}.jpg"))] for name in names]
