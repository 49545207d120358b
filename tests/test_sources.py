"""Rows from the Hub through its real client, from mirrors and from addresses, pinned and verified."""

import hashlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medbench import sources
from medbench.errors import SourceError
from medbench.sources import Malformed, Original, Place, Source
from tests.support.hub import FakeHub

GOLDEN = Path(__file__).parent / "golden"
MIRROR = Path(__file__).parents[1].parent / "shared" / "data"

READ = """
import json, sys
from pathlib import Path
from medbench.catalog import Catalog, Place
from medbench.errors import MedbenchError
catalog, told = Catalog.load({extra}), {{}}
for name in {names}:
    try:
        source, training, split = name.partition(":")
        place = Place.of()
        loaded = catalog.training_rows(source, split, place) if training else catalog.examples(name, place)
        told[name] = [len(loaded.examples), loaded.revision, [e.gold[0] for e in loaded.examples]]
    except MedbenchError as problem:
        told[name] = [type(problem).__name__, problem.what, problem.fix]
heavy = [name for name in ("datasets", "huggingface_hub", "pandas", "torch") if name in sys.modules]
print(json.dumps({{"told": told, "heavy": heavy}}))
"""


def golden(name: str, adapter: str) -> list[dict[str, Any]]:
    """The good raw rows of a golden file in one adapter's layout, as the Hub would hold them."""
    lines = map(json.loads, (GOLDEN / f"{name}.jsonl").read_text(encoding="utf-8").splitlines())
    good = [line["raw"] for line in lines if line["adapter"] == adapter and not {"bad", "args"} & line.keys()]
    return [{key: value for key, value in raw.items() if key[0] != "_"} for raw in good]


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    """Rows as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    """Rows as a Parquet file."""
    pl.DataFrame(rows).write_parquet(buffer := io.BytesIO())
    return buffer.getvalue()


def table(rows: list[dict[str, Any]]) -> bytes:
    """Rows as a CSV file."""
    return pl.DataFrame(rows).write_csv().encode()


CARD = b"---\nconfigs:\n- config_name: other\n  data_files: nowhere/*.parquet\n---\n"
HUB = {
    "GBaker/MedQA-USMLE-4-options": {
        "phrases_no_exclude_test.jsonl": jsonl(golden("medqa", "qa:medqa")),
        "phrases_no_exclude_train.jsonl": jsonl(golden("medqa", "qa:medqa")[:1]),
    },
    "openlifescienceai/medmcqa": {
        "data/validation-00000-of-00001.parquet": parquet(golden("medmcqa", "qa:medmcqa"))
    },
    "qiaojin/PubMedQA": {
        "pqa_labeled/train-00000-of-00001.parquet": parquet(golden("pubmedqa", "qa:pubmedqa")),
        "pqa_artificial/train-00000-of-00001.parquet": b"never fetched",
    },
    "TIGER-Lab/MMLU-Pro": {"data/test-00000-of-00001.parquet": parquet(golden("mmlu-prom", "qa:mmlu_pro"))},
    "Idavidrein/gpqa": {
        "gpqa_main.csv": table(golden("gpqa-m", "qa:gpqa")),
        "gpqa_diamond.csv": b"never fetched",
    },
    "TsinghuaC3I/MedXpertQA": {
        "Text/test.jsonl": jsonl(golden("medxpertqa-text", "qa:medxpertqa")),
        "images.zip": b"never fetched",
    },
    "cais/mmlu": {"all/test-00000-of-00001.parquet": parquet(golden("mmlu-med", "qa:mmlu"))},
}
SIZES = {
    "medqa": 2,
    "medmcqa": 4,
    "pubmedqa": 3,
    "mmlu-prom": 2,
    "gpqa-m": 10,
    "medxpertqa-text": 3,
    "mmlu-med": 2,
}
SMALL = "benchmarks:\n" + "".join(
    f"  small-{name}: {{like: {name}, size: {size}}}\n" for name, size in SIZES.items()
)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    """A Hub that holds a handful of rows of every question set."""
    with FakeHub() as server:
        for repo, files in HUB.items():
            server.commit(repo, {"README.md": CARD, **files})
        yield server


class Client:
    """Another process that uses medbench against the Hub, in a home of its own."""

    def __init__(self, hub: FakeHub, folder: Path) -> None:
        self.hub, self.folder = hub, folder
        self.home = folder / "home"
        (folder / "small.yaml").write_text(SMALL)

    def read(self, *names: str, **env: str) -> dict[str, Any]:
        """What each benchmark gives: [rows, revision, golds], or [error, what, fix]."""
        code = READ.format(names=names, extra=f"[Path({str(self.folder / 'small.yaml')!r})]")
        answer: dict[str, Any] = self.hub.python(code, self.folder, MEDBENCH_HOME=str(self.home), **env)
        self.heavy = answer["heavy"]
        return answer["told"]

    def lock(self) -> dict[str, Any]:
        """The lock file."""
        tree: dict[str, Any] = json.loads((self.home / "medbench.lock").read_text())
        return tree


@pytest.fixture
def client(hub: FakeHub, tmp_path: Path) -> Client:
    """A client of the Hub."""
    return Client(hub, tmp_path)


def test_every_set_comes_from_the_hub(hub: FakeHub, client: Client) -> None:
    """The real client brings each set's own columns; golds are right, and a second run asks nobody."""
    names = [f"small-{name}" for name in SIZES]
    told = client.read(*names)
    assert {name: row[0] for name, row in told.items()} == {f"small-{name}": n for name, n in SIZES.items()}
    assert told["small-medqa"][2] == ["A", "D"]
    assert told["small-medmcqa"][2] == ["A", "B", "C", "D"]
    assert told["small-pubmedqa"][2] == ["A", "B", "C"]
    assert told["small-mmlu-prom"][2] == ["B", "B"]
    assert told["small-medxpertqa-text"][2] == ["F", "B", "B"]
    assert told["small-mmlu-med"][2] == ["D", "A"]
    assert len(set(told["small-gpqa-m"][2])) > 1
    unwanted = ("artificial", "diamond", "train.jsonl", "images", "README")
    assert not [line for line in hub.asked if any(word in line for word in unwanted)]
    hub.asked.clear()
    assert client.read(*names) == told
    assert (hub.asked, client.heavy) == ([], [])


def test_the_first_fetch_pins_what_later_ones_use(hub: FakeHub, client: Client) -> None:
    """The lock holds commit and hashes; a newer commit is not taken until the entry is deleted."""
    first = client.read("small-medqa")
    [old] = hub.repos["GBaker/MedQA-USMLE-4-options"].commits
    content = HUB["GBaker/MedQA-USMLE-4-options"]["phrases_no_exclude_test.jsonl"]
    assert client.lock()["medqa"] == {
        "hub": "GBaker/MedQA-USMLE-4-options",
        "revision": old,
        "files": {"phrases_no_exclude_test.jsonl": hashlib.sha256(content).hexdigest()},
        "splits": {"test": ["phrases_no_exclude_test.jsonl"]},
    }
    new = hub.commit("GBaker/MedQA-USMLE-4-options", {"test.jsonl": content.split(b"\n")[0] + b"\n"})
    elsewhere = Client(hub, client.folder)
    elsewhere.home = client.folder / "second"
    assert elsewhere.read("small-medqa", MEDBENCH_LOCK=str(client.home / "medbench.lock")) == first
    (client.home / "medbench.lock").unlink()
    told = client.read("small-medqa")["small-medqa"]
    assert told[0] == "SourceError" and "1 rows result, the catalog says 2" in told[1]
    assert client.lock()["medqa"]["revision"] == new


def test_a_revision_that_is_gone_is_an_error(hub: FakeHub, client: Client) -> None:
    """When the locked commit has vanished, the error names it and how to pin anew."""
    client.read("small-medqa")
    commits = hub.repos["GBaker/MedQA-USMLE-4-options"].commits
    [(sha, files)] = commits.items()
    hub.commit("GBaker/MedQA-USMLE-4-options", files)
    del commits[sha]
    elsewhere = Client(hub, client.folder)
    elsewhere.home = client.folder / "second"
    kind, what, fix = elsewhere.read("small-medqa", MEDBENCH_LOCK=str(client.home / "medbench.lock"))[
        "small-medqa"
    ]
    assert kind == "SourceError" and sha in what
    assert "delete the entry 'medqa'" in fix and "--update-lock" in fix


def test_other_bytes_at_the_locked_commit_are_an_error(hub: FakeHub, client: Client) -> None:
    """A file that differs from the locked hash is refused, again on the next try, and lock and rows stay."""
    client.read("small-medqa")
    before = client.lock()
    commits = hub.repos["GBaker/MedQA-USMLE-4-options"].commits
    [(sha, files)] = commits.items()
    commits[sha] = {**files, "phrases_no_exclude_test.jsonl": files["phrases_no_exclude_test.jsonl"] + b"\n"}
    elsewhere = Client(hub, client.folder)
    elsewhere.home = client.folder / "second"
    for _ in range(2):
        told = elsewhere.read("small-medqa", MEDBENCH_LOCK=str(client.home / "medbench.lock"))["small-medqa"]
        assert told[0] == "SourceError" and "differs from the locked file" in told[1]
    assert client.lock() == before


def test_a_changed_file_at_home_is_noticed(hub: FakeHub, client: Client) -> None:
    """JSON lines are held against the lock on every read; the folder to delete is named, and helps."""
    told = client.read("small-medqa")
    [path] = client.home.glob("sources/medqa@*/*.jsonl")
    path.write_bytes(path.read_bytes() + b"\n")
    kind, what, fix = client.read("small-medqa")["small-medqa"]
    assert (kind, "differs from the locked file" in what) == ("SourceError", True)
    assert f"delete {path.parent}" in fix
    shutil.rmtree(path.parent)
    assert client.read("small-medqa") == told


def test_an_unreadable_table_is_an_error(hub: FakeHub, client: Client) -> None:
    """A file on the Hub that is no Parquet, or not UTF-8, is refused by name; no half-made table is left."""
    csv_file = HUB["Idavidrein/gpqa"]["gpqa_main.csv"].replace(b"allele", b"all\xe8le")
    hub.commit("Idavidrein/gpqa", {"gpqa_main.csv": csv_file})
    hub.commit("openlifescienceai/medmcqa", {"data/validation-0.parquet": b"PAR1"})
    ends, letters = pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xe9")
    stray = pa.Array.from_buffers(pa.string(), 1, [None, ends, letters])
    pq.write_table(pa.table({"question": stray}), buffer := io.BytesIO())
    hub.commit("cais/mmlu", {"all/test-0.parquet": buffer.getvalue()})
    told = client.read("small-gpqa-m", "small-medmcqa", "small-mmlu-med")
    assert [row[0] for row in told.values()] == ["SourceError"] * 3
    names = ("gpqa_main.csv", "validation-0.parquet", "test-0.parquet")
    for row, name in zip(told.values(), names, strict=True):
        assert "cannot read" in row[1] and name in row[1]
    assert not list(client.home.glob("sources/*/medbench-*"))


@pytest.mark.skipif(not MIRROR.is_dir(), reason="needs the real data beside the checkout")
def test_real_medqa_is_the_same_from_the_hub_and_the_mirror(hub: FakeHub, client: Client) -> None:
    """The published file, served by a Hub, gives the golds that the mirror gives."""
    content = (MIRROR / "medqa/us_4_options_test.jsonl").read_bytes()
    hub.commit("GBaker/MedQA-USMLE-4-options", {"phrases_no_exclude_test.jsonl": content})
    fetched, copied = client.read("medqa"), client.read("medqa", MEDBENCH_MIRROR=str(MIRROR))
    assert fetched["medqa"][0] == 1273
    assert fetched["medqa"][2] == copied["medqa"][2]


def test_closed_doors_are_explained(hub: FakeHub, client: Client) -> None:
    """Gated (401 and 403), missing and rearranged repositories and wrong counts each say what to do."""
    hub.repos["Idavidrein/gpqa"].gate = 401
    hub.repos["TsinghuaC3I/MedXpertQA"].gate = 403
    del hub.repos["cais/mmlu"]
    hub.commit("TIGER-Lab/MMLU-Pro", {"moved.arrow": b""})
    told = client.read("gpqa-m", "medxpertqa-text", "mmlu-med", "mmlu-prom", "medqa", "medqa:train")
    assert {row[0] for row in told.values()} == {"SourceError"}
    for name, repo in (("gpqa-m", "Idavidrein/gpqa"), ("medxpertqa-text", "TsinghuaC3I/MedXpertQA")):
        assert f"{hub.url}/datasets/{repo}" in told[name][2] and "hf auth login" in told[name][2]
    assert "HTTP 401" in told["gpqa-m"][1] and "HTTP 403" in told["medxpertqa-text"][1]
    assert "does not exist" in told["mmlu-med"][1]
    assert "no file like data/test-*.parquet" in told["mmlu-prom"][1]
    assert "moved.arrow" in told["mmlu-prom"][2]
    assert "1 rows result, the catalog says 10,178" in told["medqa:train"][1]
    assert "2 rows result, the catalog says 1,273" in told["medqa"][1]


def test_a_token_opens_a_gate(hub: FakeHub, client: Client) -> None:
    """The user's own token is sent with every request for a gated file, a wrong one is refused."""
    gated = hub.repos["Idavidrein/gpqa"]
    gated.gate, gated.key = 401, "hf_right"
    assert client.read("small-gpqa-m", HF_TOKEN="hf_wrong")["small-gpqa-m"][0] == "SourceError"
    assert client.read("small-gpqa-m", HF_TOKEN="hf_right")["small-gpqa-m"][0] == 10


def test_offline_is_explained(hub: FakeHub, client: Client) -> None:
    """Without a network, by switch or by fact, the error points to the mirror."""
    hub.server.shutdown()
    hub.server.server_close()
    for env in ({"HF_HUB_OFFLINE": "1"}, {}):
        kind, what, fix = client.read("small-medqa", **env)["small-medqa"]
        assert (kind, "cannot reach" in what, "--mirror" in fix) == ("SourceError", True, True)


def test_a_mirror_in_the_hubs_layout(client: Client) -> None:
    """Files copied from the Hub are read without it, from either folder name."""
    for folder in ("datasets/openlifescienceai/medmcqa", "openlifescienceai/medmcqa"):
        mirror = client.folder / folder.replace("/", "-")
        path = mirror / folder / "data/validation-00000-of-00001.parquet"
        path.parent.mkdir(parents=True)
        path.write_bytes(HUB["openlifescienceai/medmcqa"][f"data/{path.name}"])
        told = client.read("small-medmcqa", MEDBENCH_MIRROR=str(mirror), HF_HUB_OFFLINE="1")
        assert told["small-medmcqa"][2] == ["A", "B", "C", "D"]
    assert client.hub.asked == []


# ------------------------------------------------------------------------- original files, addresses


def place(folder: Path) -> Place:
    """A home beside a mirror."""
    return Place.of(folder / "home", folder / "mirror")


def source(**original: Any) -> Source:
    """A source with one original file."""
    return Source(
        title="t",
        license="CC0",
        original={"test": Original(adapter="qa:medqa", **original)},
        adapter="qa:medqa",
    )


def put(folder: Path, name: str, content: bytes) -> str:
    """Write a file of the mirror; its hash."""
    path = folder / "mirror" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def rows(fetched: sources.Fetched) -> list[Any]:
    """Rows without their places; what couldn't be read as its reason."""
    return [
        row.reason
        if isinstance(row, Malformed)
        else {k: v for k, v in row.items() if k not in ("_row", "_split")}
        for row in fetched.rows
    ]


def test_bad_lines_are_reasons_not_crashes(tmp_path: Path) -> None:
    """Bad UTF-8, broken JSON and lines that are no object are told apart; good lines survive."""
    put(tmp_path, "a.jsonl", b'\xef\xbb\xbf{"q": "caf\xc3\xa9"}\r\n\n{"q": "caf\xe9"}\n{"q": \n[1]\n{"q": 2}')
    fetched = sources.raw_rows("s", source(files={"a.jsonl": None}, format="jsonl"), "test", place(tmp_path))
    assert rows(fetched) == [
        {"q": "café"},
        "not UTF-8",
        "not JSON: Expecting value",
        "not a JSON object",
        {"q": 2},
    ]


def test_csv_rows_of_several_files(tmp_path: Path) -> None:
    """Headerless CSV with newlines in quotes; a short record is a reason; the file is told."""
    put(tmp_path, "one.csv", b'"a\nb",1\nonly\n\xff,2\n')
    put(tmp_path, "two.csv", b"c,3\n")
    original = source(files={"one.csv": None, "two.csv": None}, format="csv", columns=["q", "a"])
    assert rows(sources.raw_rows("s", original, "test", place(tmp_path))) == [
        {"q": "a\nb", "a": "1", "_file": "one"},
        "1 columns instead of 2",
        "not UTF-8",
        {"q": "c", "a": "3", "_file": "two"},
    ]


def test_json_mappings(tmp_path: Path) -> None:
    """A mapping's keys are its row ids; a missing part or broken file is refused."""
    put(tmp_path, "a.json", b'{"x": {"1": {"q": 1}, "2": "yes"}, "y": 3}')
    part = source(files={"a.json": None}, format="json", at="x")
    wanted = [{"q": 1, "_key": "1"}, {"value": "yes", "_key": "2"}]
    assert rows(sources.raw_rows("s", part, "test", place(tmp_path))) == wanted
    for at in ("y", "z"):
        part = source(files={"a.json": None}, format="json", at=at)
        with pytest.raises(SourceError, match="no mapping of rows"):
            rows(sources.raw_rows("s", part, "test", place(tmp_path)))
    put(tmp_path, "a.json", b"{")
    with pytest.raises(SourceError, match="is not JSON"):
        rows(sources.raw_rows("s", source(files={"a.json": None}, format="json"), "test", place(tmp_path)))


def test_a_mirrors_file_must_have_the_known_hash(tmp_path: Path) -> None:
    """A file that is not the published one is refused; both hashes are named."""
    sha256 = put(tmp_path, "a.jsonl", b'{"q": 1}\n')
    known = source(files={"a.jsonl": sha256}, format="jsonl")
    assert rows(sources.raw_rows("s", known, "test", place(tmp_path))) == [{"q": 1}]
    other = put(tmp_path, "a.jsonl", b'{"q": 2}\n')
    with pytest.raises(SourceError) as caught:
        sources.raw_rows("s", known, "test", place(tmp_path))
    assert sha256[:12] in caught.value.what and other[:12] in caught.value.what


def test_a_missing_file_lists_where_it_was_looked_for(tmp_path: Path) -> None:
    """Both layouts' paths are named, and nothing is fetched behind a mirror's back."""
    (tmp_path / "mirror").mkdir()
    both = source(files={"a.jsonl": None}, format="jsonl").model_copy(
        update={"hub": "org/set", "splits": {"test": ("*.jsonl",)}}
    )
    with pytest.raises(SourceError) as caught:
        sources.raw_rows("s", both, "test", place(tmp_path))
    for name in ("a.jsonl", "datasets/org/set", "org/set"):
        assert str(tmp_path / "mirror" / name) in caught.value.fix


def test_no_path_leaves_the_mirror(tmp_path: Path) -> None:
    """A catalog row cannot reach outside the mirror it is read from."""
    (tmp_path / "secret.jsonl").write_text('{"q": 1}\n')
    (tmp_path / "mirror").mkdir()
    outside = source(files={"../secret.jsonl": None}, format="jsonl")
    with pytest.raises(SourceError, match="leaves its folder"):
        sources.raw_rows("s", outside, "test", place(tmp_path))
    with pytest.raises(ValueError, match="hub"):
        Source(title="t", license="l", hub="../secret")


def test_an_address_is_fetched_once_and_verified(hub: FakeHub, tmp_path: Path) -> None:
    """A pinned file is downloaded once; other bytes and errors are refused and leave no file."""
    content = b'{"q": 1}\n'
    pinned = {"a.jsonl": hashlib.sha256(content).hexdigest()}
    given = source(files=pinned, format="jsonl", url=f"{hub.url}/a.jsonl")
    here = Place.of(tmp_path / "home")
    with pytest.raises(SourceError, match="404"):
        sources.raw_rows("s", given, "test", here)
    hub.plain["/a.jsonl"] = content + b" "
    with pytest.raises(SourceError, match="serves another file"):
        sources.raw_rows("s", given, "test", here)
    assert not list(tmp_path.rglob("a.jsonl"))
    hub.plain["/a.jsonl"] = content
    assert rows(sources.raw_rows("s", given, "test", here)) == [{"q": 1}]
    hub.server.shutdown()
    hub.server.server_close()
    assert rows(sources.raw_rows("s", given, "test", here)) == [{"q": 1}]
    with pytest.raises(SourceError) as caught:
        sources.raw_rows("other", given, "test", here)
    assert "--mirror" in caught.value.fix


def test_an_address_needs_a_hash() -> None:
    """A row that would accept whatever an address serves cannot be written."""
    with pytest.raises(ValueError, match="sha256"):
        source(files={"a.jsonl": None}, format="jsonl", url="https://example.org/a.jsonl")


def test_unlock_forgets_only_what_is_named(tmp_path: Path) -> None:
    """Unlocking leaves other pins, and a lock without the pin as it is; a broken lock is refused."""
    here = place(tmp_path)
    sources.unlock(["absent"], here)
    assert not here.lock.exists()
    pin = {"hub": "a/b", "revision": "0" * 40, "files": {}}
    here.lock.parent.mkdir()
    here.lock.write_text(json.dumps({"one": pin, "two": pin}))
    sources.unlock(["one", "absent"], here)
    assert json.loads(here.lock.read_text()) == {"two": pin}
    before = here.lock.stat().st_mtime_ns
    sources.unlock(["absent"], here)
    assert here.lock.stat().st_mtime_ns == before
    here.lock.write_text('{"two": {"hub": "a/b", "revision": "../../etc"}}')
    with pytest.raises(SourceError, match="not a lock file"):
        sources.unlock(["two"], here)
