"""Images with captions: PubMedVision through the Hub's client, folders of one's own, VQA-Med's training."""

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from medbench import adapters
from medbench.adapters.captions import ASK
from medbench.catalog import Catalog, Loaded, Place, settled
from medbench.errors import SourceError
from medbench.schema import Example
from medbench.sources import Source
from tests.support.hub import FakeHub
from tests.test_vqa_sets import eyes, jsonl, picture, seen, zipped

Row = dict[str, Any]
PMV = "FreedomIntelligence/PubMedVision"
CAPTION = "A radiograph of the chest with an effusion on the left."


def described(number: int, *images: str, caption: str = CAPTION, **more: Any) -> Row:
    """A row of PubMedVision as its file has it."""
    return {
        "image": [f"images/{name}" for name in images],
        "conversations": [
            {"from": "human", "value": "<image>\nWhat does this picture show?"},
            {"from": "gpt", "value": caption},
        ],
        "id": f"Alignment_VQA_{number}",
        "modality": "X-Ray",
        "body_part": "Chest",
        **more,
    }


ROWS = [
    described(1, "pmc_1_0.jpg"),
    described(2, "pmc_2_0.jpg", "pmc_2_1.jpg", caption="<image>\nTwo <image> views of one knee joint."),
    described(3, "pmc_3_0.jpg", modality="Others", body_part=None),
    described(4, "pmc_4_0.jpg", caption="图像显示左侧胸腔积液"),
    *(described(number, f"pmc_{number}_0.jpg") for number in range(5, 120)),
]
HELD = [image.removeprefix("images/") for row in ROWS for image in row["image"] if "pmc_9_0" not in image]


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    """A Hub with a small PubMedVision: one archive with a folder in it, one flat; an image is in neither."""
    first = {f"images_0/{name}": picture(name) for name in HELD[:60]}
    files = {
        "PubMedVision_Alignment_VQA.json": json.dumps(ROWS, ensure_ascii=False).encode(),
        "PubMedVision_InstructionTuning_VQA.json": b"never fetched",
        "PubMedVision_Original_Caption.json": b"never fetched",
        "images_0.zip": zipped(first),
        "images_1.zip": zipped({name: picture(name) for name in HELD[60:]}),
    }
    with FakeHub() as server:
        server.commit(PMV, files)
        yield server


READ = """
import json
from dataclasses import asdict, replace
from pathlib import Path
from medbench.catalog import Catalog, Place, settled
catalog, place = Catalog.load([Path("own.yaml")]), Place.of()
fetched, loaded = catalog.split("pmv", "train", place)
some = replace(loaded, examples=[e for e in loaded.examples if e.id.rpartition("_")[2] in {chosen}])
shown = settled(fetched, some, place).examples if {chosen} else []
print(json.dumps({{
    "all": [asdict(e) for e in loaded.examples], "shown": [asdict(e) for e in shown],
    "dropped": [d.reason for d in loaded.dropped],
}}))
"""


def from_hub(hub: FakeHub, folder: Path, rows: int, *chosen: str) -> dict[str, list[Any]]:
    """The set as another process reads it, and the chosen rows with their images."""
    row = Catalog.load().sources["pubmedvision"].model_dump(mode="json", exclude_defaults=True)
    (folder / "own.yaml").write_text(yaml.safe_dump({"sources": {"pmv": {**row, "rows": {"train": rows}}}}))
    return dict(hub.python(READ.format(chosen=chosen), folder, MEDBENCH_HOME=str(folder / "home")))


def test_captions_come_without_an_archive(hub: FakeHub, tmp_path: Path) -> None:
    """Captions, ids and labels are read from the table alone: its images are not fetched."""
    told = from_hub(hub, tmp_path, len(ROWS))
    assert told["dropped"] == []
    examples = {row["id"]: row for row in told["all"]}
    assert len(examples) == len(ROWS)
    one = examples["pmv/Alignment_VQA_1"]
    assert (one["kind"], one["question"], one["gold"]) == ("free", ASK, [CAPTION])
    assert one["images"] == ["pmc_1_0.jpg"]
    assert one["tags"] == {"modality": "X-Ray", "body_part": "Chest"}
    two = examples["pmv/Alignment_VQA_2"]
    assert (two["gold"], two["images"]) == (["Two views of one knee joint."], ["pmc_2_0.jpg", "pmc_2_1.jpg"])
    assert examples["pmv/Alignment_VQA_3"]["tags"] == {"modality": "Others"}
    assert [path.rpartition("/")[2] for path, _, _ in hub.sent] == ["PubMedVision_Alignment_VQA.json"]
    assert "in 20 great archives" in hub.said


def test_chosen_rows_get_their_pictures(hub: FakeHub, tmp_path: Path) -> None:
    """The images of chosen rows come from whichever archive has them; one in none is its row's fault."""
    told = from_hub(hub, tmp_path, len(ROWS), "1", "2", "100", "9")
    shown = {row["id"].rpartition("_")[2]: row for row in told["shown"]}
    for number in ("1", "2", "100"):
        names = [n.removeprefix("images/") for n in ROWS[int(number) - 1]["image"]]
        found = [seen(tmp_path / "home" / "images" / n[:2] / n) for n in shown[number]["images"]]
        assert found == [eyes(picture(name)) for name in names]
        assert shown[number]["fault"] is None
    assert shown["9"]["images"] == [] and "missing" in shown["9"]["fault"]
    stored = [path for path in (tmp_path / "home" / "images").rglob("*") if len(path.name) == 64]
    assert len(stored) == 4


def test_the_size_is_told_before_the_images_are_fetched(hub: FakeHub, tmp_path: Path) -> None:
    """Who wants the images is told how much that is; a file short of rows is refused."""
    from_hub(hub, tmp_path, len(ROWS), "1")
    assert f"fetching its images from {PMV}: images_*.zip, images (20 archives)" in hub.said
    with pytest.raises(AssertionError, match="119 rows result, the catalog says 120"):
        from_hub(hub, tmp_path, 120)


def test_unpacked_images_are_used(tmp_path: Path) -> None:
    """A mirror in which somebody unpacked the archives into `images`, as its page says, is read as it is."""
    mirror = tmp_path / "mirror" / PMV
    (mirror / "images").mkdir(parents=True)
    for name in HELD:
        (mirror / "images" / name).write_bytes(picture(name))
    (mirror / "PubMedVision_Alignment_VQA.json").write_text(json.dumps(ROWS))
    own = Catalog.load().sources["pubmedvision"].model_copy(update={"rows": {"train": len(ROWS)}})
    catalog = Catalog({"pmv": own}, {}, {}, {})
    place = Place(tmp_path / "home", tmp_path / "mirror", tmp_path / "lock")
    fetched, loaded = catalog.split("pmv", "train", place)
    shown = settled(fetched, Loaded(loaded.examples[:3], [], loaded.revision), place).examples
    assert [len(example.images) for example in shown] == [1, 2, 1]
    assert all(example.fault is None for example in shown)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"conversations": []}, "no caption"),
        ({"conversations": None}, "no caption"),
        ({"conversations": [{"from": "human", "value": "What is it?"}]}, "no caption"),
        ({"conversations": [{"from": "gpt", "value": None}]}, "no caption"),
        ({"conversations": [{"from": "gpt", "value": " <image>\n "}]}, "no caption"),
        ({"conversations": [{"from": "gpt", "value": "<image> Chest radiograph."}]}, "caption too short"),
        ({"conversations": [{"from": "gpt", "value": "- … - ! . ?"}]}, "caption too short"),
        ({"conversations": [{"from": "gpt", "value": CAPTION}] * 2}, "more than one caption"),
        ({"conversations": "gpt"}, "not in the expected layout (TypeError)"),
        ({"conversations": [{"value": CAPTION}]}, "not in the expected layout (KeyError)"),
        ({"conversations": [{"from": "gpt", "value": "three whole words \ud800"}]}, "bad UTF-8"),
        ({"image": []}, "no image"),
        ({"image": None}, "no image"),
        ({"image": [None]}, "an image is not named by text"),
        ({"image": [""]}, "an image is not named by text"),
        ({"image": 3}, "not in the expected layout (TypeError)"),
    ],
)
def test_rubbish_rows_are_dropped_with_a_reason(change: Row, reason: str) -> None:
    """A row that is no image with a caption says why."""
    adapter = adapters.resolve("captions:pubmedvision")
    with pytest.raises(adapters.BadRow) as caught:
        adapters.one({**described(1, "a.jpg"), "_row": 0, "_split": "train", **change}, adapter)
    assert caught.value.reason == reason


def test_repeated_ids_are_dropped() -> None:
    """Of two rows of one id the first stays; a row without an id is named by its place."""
    rows = [{**described(1, "a.jpg"), "_row": n, "_split": "train"} for n in range(2)]
    rows.append({**described(1, "a.jpg", id=None), "_row": 2, "_split": "train"})
    examples, drops = adapters.adapt(rows, adapters.resolve("captions:pubmedvision"), source="pmv")
    assert [e.id for e in examples] == ["pmv/Alignment_VQA_1", "pmv/train-00002"]
    assert [drop.reason for drop in drops] == ["duplicate id"]


# -------------------------------------------------------------------------------------- folders of one's own

TOLD = [
    {"file_name": "a.jpg", "text": "An axial CT of the abdomen.", "modality": "CT", "id": "case-1"},
    {"file_name": "deep/b.png", "text": "Eine Aufnahme\nder Lunge, „links“.", "lang": "de"},
    {
        "file_name": "deep/c.png",
        "text": "Fundus with many haemorrhages.",
        "licence": "CC0-1.0",
        "body_part": "eye",
    },
]


def pictured(folder: Path, rows: list[Row]) -> None:
    """Put the picture of each row into a folder."""
    for row in rows:
        path = folder / row["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(path.name))


def as_csv(rows: list[Row]) -> bytes:
    """CSV with every column, empty where a row has none, and a mark of byte order as Excel writes it."""
    import csv
    import io

    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.DictWriter(text := io.StringIO(newline=""), names)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8-sig")


def as_parquet(rows: list[Row]) -> bytes:
    """A Parquet table."""
    pq.write_table(pa.Table.from_pylist(rows), buffer := pa.BufferOutputStream())
    return bytes(buffer.getvalue())


def renamed(rows: list[Row]) -> list[Row]:
    """Rows with the other names of the columns."""
    return [{{"file_name": "image", "text": "caption"}.get(k, k): v for k, v in row.items()} for row in rows]


WAYS: dict[str, Callable[[list[Row]], bytes]] = {
    "metadata.jsonl": jsonl,
    "metadata.csv": as_csv,
    "metadata.parquet": lambda rows: as_parquet(
        [{**dict.fromkeys(["modality", "id"]), **row} for row in rows]
    ),
    "captions.jsonl": lambda rows: jsonl(renamed(rows)),
}


def opened(folder: Path, home: Path, *, show: bool = True) -> Loaded:
    """What a folder holds, with its images."""
    source = Source(title="mine", license="mine", folder=folder, adapter="captions:pairs")
    place = Place(home, None, home / "lock")
    fetched, loaded = Catalog({"mine": source}, {}, {}, {}).split("mine", "train", place)
    return settled(fetched, loaded, place) if show else loaded


@pytest.mark.parametrize("name", WAYS)
def test_a_folder_with_a_table(name: str, tmp_path: Path) -> None:
    """Each way of writing captions down gives the same questions, which show the very pictures."""
    folder = tmp_path / "mine"
    pictured(folder, TOLD)
    (folder / name).write_bytes(WAYS[name](TOLD))
    loaded = opened(folder, tmp_path / "home")
    assert loaded.dropped == []
    one, two, three = loaded.examples
    assert (one.id, one.kind, one.question, one.tags) == ("mine/case-1", "free", ASK, {"modality": "CT"})
    assert [e.gold[0] for e in (one, two, three)] == [row["text"] for row in TOLD]
    assert (one.lang, two.lang, two.id) == (
        "en",
        "en" if name == "metadata.parquet" else "de",
        "mine/train-00001",
    )
    if name != "metadata.parquet":
        assert three.tags == {"licence": "CC0-1.0", "body_part": "eye"}
    for example, row in zip(loaded.examples, TOLD, strict=True):
        [image] = example.images
        assert seen(tmp_path / "home" / "images" / image[:2] / image) == eyes(
            picture(Path(row["file_name"]).name)
        )


def test_a_folder_of_texts_beside_images(tmp_path: Path) -> None:
    """Without a table each image's caption is the text of its name; read-me files are nobody's."""
    folder = tmp_path / "mine"
    pictured(folder, [{"file_name": f"{n:03d}.jpg"} for n in range(100)])
    for n in range(99):
        (folder / f"{n:03d}.txt").write_text(f"This is picture number {n}.\n")
    for stray in ("README.txt", "LICENSE.txt", "orphan.txt", ".hidden.txt"):
        (folder / stray).write_text("Not a caption of anything.")
    (folder / ".hidden.jpg").write_bytes(b"no image")
    loaded = opened(folder, tmp_path / "home", show=False)
    assert [e.gold[0] for e in loaded.examples] == [f"This is picture number {n}." for n in range(99)]
    assert [drop.reason for drop in loaded.dropped] == ["no caption", "a text without its image"]


def test_the_version_is_the_captions(tmp_path: Path) -> None:
    """The same captions are the same version, whatever the folder is called; others are another."""
    found = set()
    for folder in (tmp_path / "one", tmp_path / "two"):
        pictured(folder, TOLD)
        (folder / "metadata.jsonl").write_bytes(jsonl(TOLD))
        found.add(opened(folder, tmp_path / "home", show=False).revision)
    (folder / "metadata.jsonl").write_bytes(
        jsonl([{**TOLD[0], "text": "Something else is seen."}, *TOLD[1:]])
    )
    other = opened(folder, tmp_path / "home", show=False).revision
    assert len(found) == 1 and other not in found


def test_images_in_the_table_itself(tmp_path: Path) -> None:
    """A Parquet table that holds its images needs no files beside it."""
    folder = tmp_path / "mine"
    folder.mkdir()
    rows = [
        {"image": {"bytes": picture(f"{n}.png"), "path": f"{n}.png"}, "text": f"This is picture {n}."}
        for n in range(3)
    ]
    (folder / "metadata.parquet").write_bytes(as_parquet(rows))
    loaded = opened(folder, tmp_path / "home")
    assert [e.gold[0] for e in loaded.examples] == [row["text"] for row in rows]
    assert len({e.images for e in loaded.examples}) == 3 and not any(e.fault for e in loaded.examples)


@pytest.mark.parametrize(
    ("reference", "fault"),
    [
        ("../secret.jpg", "climbs out"),
        ("/etc/passwd", "absolute"),
        ("C:\\x.jpg", "absolute"),
        ("~/x.jpg", "absolute"),
        ("https://example.com/x.jpg", "address"),
        ("file:///etc/passwd", "address"),
        ("link.jpg", "link"),
        ("away/secret.jpg", "link"),
        ("gone.jpg", "missing"),
        ("deep", "missing"),
        ("x\0.jpg", "not a path"),
        ("text.jpg", "not an image"),
    ],
)
def test_what_is_not_in_the_folder_is_the_rows_fault(reference: str, fault: str, tmp_path: Path) -> None:
    """No path, link or address leaves the folder; the row keeps its place and says why it can't be asked."""
    folder = tmp_path / "mine"
    pictured(folder, TOLD)
    (tmp_path / "secret.jpg").write_bytes(picture("secret.jpg"))
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "away").symlink_to(tmp_path)
    (folder / "text.jpg").write_text("not an image at all")
    (folder / "metadata.jsonl").write_bytes(jsonl([*TOLD, {"file_name": reference, "text": CAPTION}]))
    *good, bad = opened(folder, tmp_path / "home").examples
    assert not any(example.fault for example in good)
    assert bad.images == () and fault in str(bad.fault)


def test_links_are_not_followed(tmp_path: Path) -> None:
    """A caption, a table or a folder that is a link is not read."""
    folder = tmp_path / "mine"
    pictured(folder, [{"file_name": f"{n:03d}.jpg"} for n in range(60)])
    (tmp_path / "secret.txt").write_text("The password is hunter two.")
    pictured(tmp_path / "elsewhere", TOLD)
    (tmp_path / "elsewhere" / "a.txt").write_text("A picture that lies elsewhere.")
    for n in range(1, 60):
        (folder / f"{n:03d}.txt").write_text("A caption of the picture.")
    (folder / "000.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    loaded = opened(folder, tmp_path / "home", show=False)
    assert len(loaded.examples) == 59
    assert [drop.reason for drop in loaded.dropped] == ["no caption"]
    (folder / "metadata.jsonl").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(SourceError, match="is a link"):
        opened(folder, tmp_path / "home")


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "neither metadata.jsonl"),
        ({"a.jpg": picture("a.jpg")}, "neither metadata.jsonl"),
        ({"a.txt": b"A text without image."}, "neither metadata.jsonl"),
        ({"metadata.jsonl": b"{}", "metadata.csv": b"x"}, "has metadata.jsonl and metadata.csv"),
        ({"metadata.parquet": b"no table"}, "cannot read"),
        ({"metadata.csv": b'file_name,text\na.jpg,"never closed\n'}, "cannot read"),
        ({"metadata.jsonl": b"not json\n"}, "1 of 1 rows cannot be used: not JSON"),
        ({"metadata.jsonl": b'["a.jpg", "x"]\n'}, "not a JSON object"),
        ({"metadata.jsonl": b'{"file_name": "a.jpg"}\n'}, "no caption"),
        ({"metadata.jsonl": b'{"file_name": "a.jpg", "text": 7}\n'}, "no caption"),
        ({"metadata.jsonl": b'{"text": "three words here"}\n'}, "no image"),
        ({"metadata.jsonl": b'{"file_name": "a.jpg", "text": "too short"}\n'}, "caption too short"),
        ({"metadata.jsonl": b'{"file_name": "a.jpg", "text": "three words \xff"}\n'}, "not UTF-8"),
        ({"metadata.csv": b"file_name,text\na.jpg,three words \xff\n"}, "not UTF-8"),
        ({"metadata.csv": b"file_name,text\na.jpg,three,words,more\n"}, "4 columns instead of 2"),
        ({"metadata.csv": b"picture,words\na.jpg,three words here\n"}, "no caption"),
    ],
)
def test_a_folder_that_cannot_be_used_says_why(files: dict[str, bytes], says: str, tmp_path: Path) -> None:
    """Nothing in it, two tables, a broken one, rows that are all bad: an error with what to do."""
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with pytest.raises(SourceError) as caught:
        opened(folder, tmp_path / "home")
    assert says in caught.value.what
    assert caught.value.fix


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    """A missing folder is told at once."""
    with pytest.raises(SourceError, match="is not a folder"):
        opened(tmp_path / "gone", tmp_path / "home")


def test_a_folder_is_a_row_of_ones_own_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--catalog FILE` can name it, from the home folder on, several images a row too."""
    monkeypatch.setenv("HOME", str(tmp_path))
    pictured(tmp_path / "mine", TOLD)
    row = {"file_name": ["a.jpg", "deep/b.png"], "text": "Two pictures in one row."}
    (tmp_path / "mine" / "metadata.jsonl").write_bytes(jsonl([row]))
    tables = {
        "sources": {"mine": {"title": "t", "license": "CC0", "folder": "~/mine", "adapter": "captions:pairs"}}
    }
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(tables))
    place = Place(tmp_path / "home", tmp_path / "mirror", tmp_path / "lock")
    [example] = Catalog.load([tmp_path / "own.yaml"]).training_rows("mine", "train", place).examples
    assert len(example.images) == 2 and example.fault is None


def test_a_second_look_opens_no_image(tmp_path: Path) -> None:
    """What is known of an unchanged image is not found out again; a changed one is."""
    folder = tmp_path / "mine"
    pictured(folder, TOLD)
    (folder / "metadata.jsonl").write_bytes(jsonl(TOLD))
    first = opened(folder, tmp_path / "home")
    assert first.journal is not None
    noted = first.journal.read_bytes()
    assert opened(folder, tmp_path / "home").examples == first.examples
    assert first.journal.read_bytes() == noted
    (folder / "a.jpg").write_bytes(picture("another.jpg"))
    os.utime(folder / "a.jpg", (1, 1))
    again = opened(folder, tmp_path / "home")
    assert again.examples[0].images != first.examples[0].images
    assert again.examples[1:] == first.examples[1:]


# ----------------------------------------------------------------------------- VQA-Med-2019's training files

MED = "vqa_med_2019_text"
FILES = {
    "C1_Modality": "synpic41148|what kind of image is this?|cta - ct angiography\n",
    "C2_Plane": "synpic41148|which plane is this image in?|axial\r\nsynpic7|in what plane is it?|axial\r\n",
    "C3_Organ": "synpic41148|what organ is this?|lung, mediastinum, pleura#spine and contents\n",
    "C4_Abnormality": "synpic41148|is this normal?|no\nsynpic7|what is abnormal?|crohn's disease\n",
}


def training(mirror: Path, split: str, short: str, files: dict[str, str]) -> Path:
    """VQA-Med-2019's files of a split below a mirror; the folder of its images."""
    folder = mirror / MED / f"ImageClef-2019-VQA-Med-{split}"
    (folder / "QAPairsByCategory").mkdir(parents=True)
    for name, text in files.items():
        (folder / "QAPairsByCategory" / f"{name}_{short}.txt").write_text(text, newline="")
    images = folder / f"{short.title()}_images"
    images.mkdir()
    for name in ("synpic41148", "synpic7"):
        (images / f"{name}.jpg").write_bytes(picture(f"{name}.jpg"))
    return images


def med_rows(mirror: Path, split: str) -> Loaded:
    """A split of VQA-Med-2019 with its images."""
    place = Place(mirror.parent / "home", mirror, mirror.parent / "lock")
    return Catalog.load().training_rows("vqa-med-2019", split, place)


@pytest.mark.parametrize(
    ("split", "title", "short"), [("train", "Training", "train"), ("validation", "Validation", "val")]
)
def test_vqa_med_2019_trains(split: str, title: str, short: str, tmp_path: Path) -> None:
    """Four files by category are one split: the category comes from the file, and is part of the id."""
    training(tmp_path / "mirror", title, short, FILES)
    examples = {e.id: e for e in med_rows(tmp_path / "mirror", split).examples}
    assert set(examples) == {
        "vqa-med-2019/synpic41148-modality",
        "vqa-med-2019/synpic41148-plane",
        "vqa-med-2019/synpic41148-organ",
        "vqa-med-2019/synpic41148-abnormality",
        "vqa-med-2019/synpic7-plane",
        "vqa-med-2019/synpic7-abnormality",
    }
    organ = examples["vqa-med-2019/synpic41148-organ"]
    assert organ.gold == ("lung, mediastinum, pleura", "spine and contents")
    assert organ.tags == {"category": "organ"}
    assert examples["vqa-med-2019/synpic41148-abnormality"].kind == "yesno"
    assert not any(e.fault for e in examples.values())
    assert len({e.images for e in examples.values()}) == 2


def test_vqa_med_2019_reads_the_published_archive(tmp_path: Path) -> None:
    """The images may stay in the zip archive that the authors published."""
    images = training(tmp_path / "mirror", "Training", "train", FILES)
    with zipfile.ZipFile(tmp_path / "mirror" / MED / "ImageClef-2019-VQA-Med-Training.zip", "w") as archive:
        for path in list(images.iterdir()):
            archive.write(path, f"ImageClef-2019-VQA-Med-Training/Train_images/{path.name}")
            path.unlink()
    images.rmdir()
    assert not any(e.fault for e in med_rows(tmp_path / "mirror", "train").examples)


def test_vqa_med_2019_needs_all_four_files(tmp_path: Path) -> None:
    """A training split of three categories is none; without a mirror it says where it can be had."""
    training(tmp_path / "mirror", "Training", "train", {k: v for k, v in FILES.items() if k != "C3_Organ"})
    with pytest.raises(SourceError) as caught:
        med_rows(tmp_path / "mirror", "train")
    assert "C3_Organ_train.txt" in caught.value.fix
    with pytest.raises(SourceError, match="no split 'train' that could be fetched"):
        Catalog.load().training_rows("vqa-med-2019", "train", Place(tmp_path, None, tmp_path / "lock"))


def test_a_file_of_another_name_has_no_category() -> None:
    """The authors' file of all questions does not say their category, and is not taken for one that does."""
    row = {
        "image": "a",
        "question": "q",
        "answer": "b",
        "_file": "All_QA_Pairs_train",
        "_row": 0,
        "_split": "train",
    }
    with pytest.raises(adapters.BadRow):
        adapters.one(row, adapters.resolve("vqa:vqa_med_2019"))


# ----------------------------------------------------------------------------------- the real train splits


def test_slake_and_vqa_rad_train(shared: Path, tmp_path: Path) -> None:
    """Every row of the real training files loads; SLAKE's one question without an answer is named."""
    place = Place(tmp_path, shared, tmp_path / "lock")
    slake = Catalog.load().training_rows("slake", "train", place, pictures=False)
    assert (len(slake.examples), [drop.reason for drop in slake.dropped]) == (9834, ["no gold"])
    rad = Catalog.load().training_rows("vqa-rad-osf", "train", place, pictures=False)
    assert (len(rad.examples), rad.dropped) == (3064, [])


def test_real_images_with_captions(shared: Path, tmp_path: Path) -> None:
    """Real images in a folder with captions of ours load with their pictures."""
    folder = tmp_path / "mine"
    folder.mkdir()
    told = {
        "retina.jpg": "A fundus photograph of a retina with the optic disc.",
        "ihc.png": "Immunohistochemistry of a colon, brown stain in the glands.",
    }
    for name, caption in told.items():
        (folder / name).write_bytes((shared / "microscopy_fundus" / name).read_bytes())
        (folder / name).with_suffix(".txt").write_text(caption)
    examples: list[Example] = opened(folder, tmp_path / "home").examples
    assert sorted(e.gold[0] for e in examples) == sorted(told.values())
    assert not any(e.fault for e in examples)
