"""Where images come from: nothing outside is opened, nothing damaged stops a run, nothing is done twice."""

import hashlib
import io
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time
import tracemalloc
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from medbench.errors import SourceError
from medbench.images import BadImage, Store
from medbench.schema import Example
from medbench.sources import albums
from medbench.sources.albums import (
    Album,
    Archives,
    Either,
    Folder,
    Later,
    Tables,
    gathered,
    parquet_cells,
    tsv_cells,
)
from medbench.sources.pictures import JOURNAL, pictured
from medbench.sources.tables import archived_rows, parquet_rows, separated_rows

ROOT = Path(__file__).parents[1]
SECRET = "jane-doe"


def picture(seed: str, format: str = "PNG", side: int = 9) -> bytes:
    """A small picture like no other."""
    grain = hashlib.shake_256(seed.encode()).digest(side * side * 3)
    Image.frombytes("RGB", (side, side), grain).save(buffer := io.BytesIO(), format)
    return buffer.getvalue()


def frames(*seeds: str) -> bytes:
    """An animation of several pictures."""
    first, *more = (Image.open(io.BytesIO(picture(seed))).convert("L") for seed in seeds)
    first.save(buffer := io.BytesIO(), "GIF", save_all=True, append_images=more)
    return buffer.getvalue()


def asked(*references: str) -> list[Example]:
    """A question about each reference."""
    return [Example(f"q{n}", "open", "?", ("a",), images=(r,)) for n, r in enumerate(references)]


class Taken:
    """References taken in from an album, in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.store, self.journal = Store(folder / "images"), folder / "source" / JOURNAL

    def __call__(self, album: Album, *references: str) -> list[str]:
        """What became of each reference: its fault, or its name in the store."""
        found = pictured(asked(*references), album, self.store, self.journal)
        return [one.fault or one.images[0] for one in found]

    def lines(self) -> list[str]:
        """The references in the journal."""
        return [json.loads(line)["reference"] for line in self.journal.read_text().splitlines() if line]


@pytest.fixture
def taken(tmp_path: Path) -> Taken:
    """A place to take images in."""
    return Taken(tmp_path / "home")


def stored(content: bytes) -> str:
    """The name in the store of a picture that is stored as it is."""
    return hashlib.sha256(content).hexdigest()


# --------------------------------------------------------------------------------------------- folders


def with_traps(tmp_path: Path) -> Path:
    """A folder of images with traps in it, beside one that nobody may see."""
    root = tmp_path / "imgs"
    (root / "sub").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.png").write_bytes(picture("outside"))
    (root / "in.png").write_bytes(picture("in"))
    (root / "sub" / "in.png").write_bytes(picture("sub"))
    (root / "link.png").symlink_to(tmp_path / "outside" / "x.png")
    (root / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    (root / "linked").symlink_to(tmp_path / "outside")
    (root / "imgs").symlink_to(tmp_path / "outside")
    os.mkfifo(root / "pipe.png")
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Such a folder."""
    return with_traps(tmp_path)


OUTSIDE = [
    ("/etc/passwd", "the image path is absolute"),
    ("//host/share/x.png", "the image path is absolute"),
    ("\\\\host\\share\\x.png", "the image path is absolute"),
    ("C:\\x.png", "the image path is absolute"),
    ("c:/x.png", "the image path is absolute"),
    ("~/x.png", "the image path is absolute"),
    ("../outside/x.png", "the image path climbs out of its folder"),
    ("sub/../../outside/x.png", "the image path climbs out of its folder"),
    ("sub\\..\\..\\outside\\x.png", "the image path climbs out of its folder"),
    ("..", "the image path climbs out of its folder"),
    ("https://example.org/x.png", "the image is named by an address, which is not fetched"),
    ("HTTP://example.org/x.png", "the image is named by an address, which is not fetched"),
    ("file:///etc/passwd", "the image is named by an address, which is not fetched"),
    ("file:in.png", "the image is named by an address, which is not fetched"),
    ("data:image/png;base64,iVBORw0KGgo=", "the image is named by an address, which is not fetched"),
    ("", "the image path is empty or not a path"),
    (".", "the image path is empty or not a path"),
    ("in.png\0.txt", "the image path is empty or not a path"),
]
NOT_THERE = [
    ("link.png", "the image path is a link"),
    ("dangling.png", "the image path is a link"),
    ("linked/x.png", "the image path is a link"),
    ("x.png", "the image path is a link"),  # there is one at imgs/imgs/x.png, behind a link
    ("sub", "the image path is a link"),
    ("sub/nowhere.png", "the image path is a link"),
    ("\ud800.png", "the image path is a link"),
    ("a" * 5000, "the image file cannot be read (OSError)"),
]


@pytest.mark.parametrize(("reference", "fault"), OUTSIDE + NOT_THERE)
def test_a_folder_gives_its_own_files_alone(taken: Taken, folder: Path, reference: str, fault: str) -> None:
    """What is no file of the folder is the fault of its row, and no other's."""
    assert taken(Folder(folder), "in.png", reference, "sub/in.png") == [
        stored(picture("in")),
        f"image 1: {fault}",
        stored(picture("sub")),
    ]


@pytest.mark.parametrize("reference", ["pipe.png", "sub", "sub/nowhere.png", "\ud800.png", "in.png/x.png"])
def test_what_is_no_file_is_missing(taken: Taken, folder: Path, reference: str) -> None:
    """Pipes are not waited for, folders not opened."""
    (folder / "imgs").unlink()
    assert taken(Folder(folder), reference) == ["image 1: the image file is missing"]


@pytest.mark.parametrize(
    "reference", ["sub/in.png", "./sub/in.png", "sub//in.png", "sub\\in.png", "imgs/sub/in.png"]
)
def test_a_path_may_be_written_in_several_ways(taken: Taken, folder: Path, reference: str) -> None:
    """Blank steps, the other slash, and the folder's own name in front."""
    (folder / "imgs").unlink()
    assert taken(Folder(folder), reference) == [stored(picture("sub"))]


def test_a_folder_may_lie_in_one_of_its_name(taken: Taken, tmp_path: Path) -> None:
    """As archives do that are unpacked into a folder named like them."""
    (tmp_path / "imgs/imgs").mkdir(parents=True)
    (tmp_path / "imgs/imgs/in.png").write_bytes(picture("in"))
    assert taken(Folder(tmp_path / "imgs"), "in.png", "imgs/in.png") == [stored(picture("in"))] * 2


OPENED: list[str] | None = None


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Note what is opened while somebody listens."""
    if OPENED is not None and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
        OPENED.append(os.fsdecode(arguments[0]))


sys.addaudithook(watch)
STEPS = [
    "..",
    ".",
    "",
    "in.png",
    "link.png",
    "linked",
    "imgs",
    "sub",
    "x.png",
    "outside",
    "~",
    "C:",
    "file:",
    "\0",
]
PATHS = st.lists(st.sampled_from(STEPS) | st.text(max_size=3), min_size=1, max_size=6).flatmap(
    lambda steps: st.sampled_from(["/".join(steps), "\\".join(steps), "/" + "/".join(steps)])
)


@given(PATHS)
@example("linked/x.png")
@example("imgs/x.png")
@settings(max_examples=300, deadline=None)
def test_no_reference_opens_a_file_outside(reference: str) -> None:
    """Whatever is written, only files that lie in the folder are opened, and only BadImage comes out."""
    global OPENED
    root = trapped()
    OPENED = []
    try:
        content = Folder(root).read(reference)
    except BadImage:
        content = None
    finally:
        opened, OPENED = OPENED, None
    assert all(Path(path).resolve().is_relative_to(root) for path in opened)
    assert content in (None, picture("in"), picture("sub"))


KEPT: list[tempfile.TemporaryDirectory[str]] = []


def trapped() -> Path:
    """The folder with traps, made once."""
    if not KEPT:
        KEPT.append(tempfile.TemporaryDirectory())
        with_traps(Path(KEPT[0].name).resolve())
    return Path(KEPT[0].name).resolve() / "imgs"


# -------------------------------------------------------------------------------------- damaged pictures


def test_damaged_pictures_are_their_rows_fault(taken: Taken, tmp_path: Path) -> None:
    """Files that hold no picture get a reason that quotes nothing of them; the rows between stay whole."""
    files = {
        "zero.png": b"",
        "page.jpg": f"<!doctype html><title>{SECRET} not found</title>".encode(),
        "cut.png": picture("cut", side=40)[:900],
        "cut.jpg": picture("cut", "JPEG", side=40)[:300],
        "words.png": SECRET.encode() * 99,
        "head.png": picture("head")[:40],
        f"{SECRET}.png": b"\x89PNG\r\n\x1a\n" + SECRET.encode(),
    }
    good = {f"{n}.png": picture(str(n)) for n in range(len(files))}
    for name, content in (files | good).items():
        (tmp_path / name).write_bytes(content)
    turns = [name for pair in zip(good, files, strict=True) for name in pair]
    found = taken(Folder(tmp_path), *turns)
    assert found[::2] == [stored(content) for content in good.values()]
    assert found[1] == "image 1: the image file is empty"
    for fault in found[1::2]:
        assert fault.startswith("image 1: ") and len(fault) < 100
        assert SECRET not in fault and "html" not in fault
    assert taken(Folder(tmp_path), *turns) == found
    assert sorted(taken.lines()) == sorted(turns)


def test_a_question_with_several_pictures_names_the_bad_ones(taken: Taken, folder: Path) -> None:
    """Good pictures stay in their order; the fault says which others are wanting."""
    rows = [Example("q", "open", "?", ("a",), images=("in.png", "/etc/passwd", "sub/in.png", "https://x/y"))]
    [row] = pictured(rows, Folder(folder), taken.store, taken.journal)
    assert row.images == (stored(picture("in")), stored(picture("sub")))
    assert row.fault == (
        "image 2: the image path is absolute; image 4: the image is named by an address, which is not fetched"
    )
    assert row.cluster is not None and row.cluster.startswith("image:")


def test_frames_are_named_after_a_mark(taken: Taken, tmp_path: Path) -> None:
    """`file#2` is the third picture of an animation; a frame that isn't there is a fault."""
    (tmp_path / "a.gif").write_bytes(frames("one", "two", "three"))
    (tmp_path / "b#7.png").write_bytes(picture("hash"))
    (tmp_path / "c#x.png").write_bytes(picture("other"))
    first, zeroth, second, third, fourth, other = taken(
        Folder(tmp_path), "a.gif", "a.gif#0", "a.gif#1", "a.gif#2", "a.gif#3", "c#x.png"
    )
    assert first == zeroth and len({first, second, third}) == 3
    assert fourth.startswith("image 1: ") and "frame" in fourth and other == stored(picture("other"))
    for name, seed in ((first, "one"), (second, "two"), (third, "three")):
        wanted = Image.open(io.BytesIO(picture(seed))).convert("L")
        assert taken.store.picture(name).convert("L").tobytes() == wanted.tobytes()


# --------------------------------------------------------------------------------------------- archives


def zipped(path: Path, members: Sequence[tuple[str | zipfile.ZipInfo, bytes]], how: int = 8) -> Path:
    """A zip archive of these members, in their order."""
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in members:
            archive.writestr(name, content, compress_type=how)
    return path


def test_members_are_found_by_path_or_end(taken: Taken, tmp_path: Path) -> None:
    """By the whole path, or by the end of one path only; names that lead out are names like others."""
    members = {
        "imgs/a/source.jpg": picture("a"),
        "imgs/b/source.jpg": picture("b"),
        "x/b/source.jpg": picture("x"),
        "../up.png": picture("up"),
        "/root.png": picture("root"),
        "back\\slash.png": picture("back"),
        "./here.png": picture("here"),
        "empty/": b"",
    }
    album = Archives([zipped(tmp_path / "a.zip", list(members.items()))])
    several = "image 1: several files of the archive have the image's name"
    missing = "image 1: the image is missing from its archive"
    wanted = {
        "a/source.jpg": stored(picture("a")),
        "imgs/b/source.jpg": stored(picture("b")),
        "b/source.jpg": several,
        "source.jpg": several,
        "up.png": stored(picture("up")),
        "../up.png": "image 1: the image path climbs out of its folder",
        "root.png": stored(picture("root")),
        "/root.png": "image 1: the image path is absolute",
        "back/slash.png": stored(picture("back")),
        "back\\slash.png": stored(picture("back")),
        "slash.png": stored(picture("back")),
        "here.png": stored(picture("here")),
        "ource.jpg": missing,
        "empty": missing,
        "empty/": missing,
        "imgs/a": missing,
    }
    assert dict(zip(wanted, taken(album, *wanted), strict=True)) == wanted
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "home"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name(taken: Taken, tmp_path: Path) -> None:
    """Equal ones are one; where they differ nobody can tell which is meant. So across archives."""
    one = zipped(
        tmp_path / "1.zip", [("a.png", picture("a")), ("a.png", picture("a")), ("b.png", picture("b"))]
    )
    two = zipped(
        tmp_path / "2.zip", [("b.png", picture("c")), ("d.png", picture("d")), ("d.png", picture("e"))]
    )
    several = "image 1: several files of the archive have the image's name"
    assert taken(Archives([one, two]), "a.png", "b.png", "d.png") == [stored(picture("a")), several, several]


def test_links_and_locked_members_are_not_read(taken: Taken, tmp_path: Path) -> None:
    """A symbolic link in an archive leads nowhere, a member with a password stays shut."""
    link = zipfile.ZipInfo("link.png")
    link.external_attr = 0o120777 << 16
    path = zipped(
        tmp_path / "a.zip", [(link, b"../outside/x.png"), ("a.png", picture("a")), ("b.png", picture("b"))]
    )
    content = path.read_bytes()
    at = content.rindex(b"PK\x01\x02", 0, content.rindex(b"a.png"))
    flags = struct.unpack_from("<H", content, at + 8)[0] | 1
    path.write_bytes(content[: at + 8] + struct.pack("<H", flags) + content[at + 10 :])
    assert taken(Archives([path]), "link.png", "a.png", "b.png") == [
        "image 1: the image path is a link",
        "image 1: the image is encrypted",
        stored(picture("b")),
    ]


def test_damaged_members_are_their_rows_fault(taken: Taken, tmp_path: Path) -> None:
    """A wrong byte is noticed by the checksum; others are read. In a whole archive it is read again."""
    members = [(f"{name}.png", picture(name, side=30)) for name in "abc"]
    path = zipped(tmp_path / "a.zip", members, zipfile.ZIP_STORED)
    whole = path.read_bytes()
    at = whole.index(picture("b", side=30)) + 1500
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    found = taken(Archives([path]), "a.png", "b.png", "c.png")
    assert found[::2] == [stored(members[0][1]), stored(members[2][1])]
    assert found[1] == "image 1: the image is damaged in its archive (BadZipFile)"
    path.write_bytes(whole)
    assert taken(Archives([path]), "a.png", "b.png") == [stored(content) for _, content in members[:2]]


def test_an_archive_that_is_none_is_named(tmp_path: Path) -> None:
    """No zip, half a zip, nothing: an error with the path, not a thousand faulty rows."""
    whole = zipped(tmp_path / "a.zip", [(f"{n}.png", picture(str(n))) for n in range(9)]).read_bytes()
    for content in (b"", b"PK", SECRET.encode(), whole[: len(whole) // 2], whole[:-10], b"<html>404</html>"):
        (tmp_path / "a.zip").write_bytes(content)
        with pytest.raises(SourceError) as caught:
            Archives([tmp_path / "a.zip"])
        assert str(tmp_path / "a.zip") in caught.value.what and "get it again" in caught.value.fix
        assert SECRET not in caught.value.what
    with pytest.raises(SourceError, match="is no zip archive"):
        Archives([tmp_path / "none.zip"])


BIG = 64 << 20


def bomb(path: Path, how: int, told: int | None = None) -> Path:
    """An archive with a good picture and a member of 64 MB of nothing, which may say that it is smaller."""
    zipped(path, [("a.png", picture("a")), ("bomb.png", bytes(BIG))], how)
    content = path.read_bytes()
    if told is not None:
        content = content.replace(struct.pack("<I", BIG), struct.pack("<I", told))
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("how", "told", "fault"),
    [
        (zipfile.ZIP_DEFLATED, None, "the image file has more than 1 MB"),
        (zipfile.ZIP_DEFLATED, 100, "the image is damaged in its archive (BadZipFile)"),
        (zipfile.ZIP_BZIP2, 100, "the image is compressed in a way that is not unpacked here"),
        (zipfile.ZIP_LZMA, 100, "the image is compressed in a way that is not unpacked here"),
    ],
)
def test_bombs_do_not_go_off(
    taken: Taken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: int, told: int | None, fault: str
) -> None:
    """A member of many megabytes packed into few bytes takes no memory, whatever size it claims."""
    monkeypatch.setattr(albums, "MAX_BYTES", 1 << 20)
    album = Archives([bomb(tmp_path / "a.zip", how, told)])
    assert (tmp_path / "a.zip").stat().st_size < 1 << 17
    tracemalloc.start()
    with pytest.raises(BadImage) as caught:
        album.read("bomb.png")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (caught.value.reason, peak < 4 << 20) == (fault, True)
    if how == zipfile.ZIP_DEFLATED:
        assert taken(album, "a.png", "bomb.png") == [stored(picture("a")), f"image 1: {fault}"]


def nameless() -> bytes:
    """An archive with a member that has no name."""
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        archive.writestr("a", picture("a"))
        archive.filelist[0].filename = ""
    return buffer.getvalue()


def ruined() -> st.SearchStrategy[bytes]:
    """Bytes that are a zip archive, nearly one, or none."""
    members = [("a/b.png", picture("b")), ("c.png", picture("c", side=20)), ("d", b"")]
    with tempfile.TemporaryDirectory() as place:
        kinds = [zipped(Path(place) / "x.zip", members, how).read_bytes() for how in (0, 8, 12, 14)]

    def spoilt(content: bytes, changes: list[tuple[int, bytes]], keep: int) -> bytes:
        for at, new in changes:
            at %= len(content)
            content = content[:at] + new + content[at + len(new) :]
        return content[: len(content) - keep]

    change = st.tuples(st.integers(0, 1 << 12), st.binary(min_size=1, max_size=6))
    keep = st.just(0) | st.integers(0, 600)
    return st.binary(max_size=200) | st.builds(
        spoilt, st.sampled_from(kinds), st.lists(change, max_size=5), keep
    )


@given(ruined())
@example(nameless())
@settings(max_examples=400, deadline=None)
def test_any_bytes_as_an_archive(content: bytes) -> None:
    """Whatever lies where an archive should be, the end is bytes, SourceError or BadImage."""
    path = trapped().parent / "any.zip"
    path.write_bytes(content)
    try:
        album = Archives([path])
        for name in ["c.png", "b.png", "a/b.png", "d", *album.members]:
            try:
                album.stamp(name)
                assert isinstance(album.read(name), bytes)
            except BadImage:
                continue
    except SourceError:
        pass
    with suppress(SourceError):
        list(archived_rows(path, ["*.png", "*d*"]))


def test_the_first_album_that_has_an_image_gives_it(taken: Taken, folder: Path) -> None:
    """A folder and an archive together; what neither has is missing."""
    path = zipped(folder.parent / "a.zip", [("only.png", picture("only")), ("in.png", picture("other"))])
    album = gathered([path, folder])
    assert isinstance(album, Either)
    assert taken(album, "in.png", "only.png", "none.png") == [
        stored(picture("in")),
        stored(picture("only")),
        "image 1: the image is missing from its archive",
    ]


# ----------------------------------------------------------------------------------------------- tables


def table(path: Path, cells: Sequence[bytes | None]) -> Path:
    """A Parquet table with a column of images, in row groups of four."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [None if cell is None else {"bytes": cell, "path": None} for cell in cells]
    columns = {"image": pa.array(rows, kind), "n": list(range(len(rows)))}
    pq.write_table(pa.table(columns), path, row_group_size=4, compression="none")
    return path


def test_cells_of_tables_in_any_order(taken: Taken, tmp_path: Path) -> None:
    """Forwards, backwards, and again; cells without an image are a fault or no reference at all."""
    path = table(tmp_path / "t.parquet", [*(picture(str(n)) for n in range(10)), b"", None])
    references = [row["image"] for row in parquet_rows(path, "t.parquet")]
    assert references == [*(f"t.parquet:{n}:image" for n in range(11)), None]
    album = Tables({"t.parquet": path}, parquet_cells)
    for order in (range(10), range(9, -1, -1), (5, 5, 2, 9)):
        contents = [album.read(references[n]) for n in order]
        assert contents == [picture(str(n)) for n in order]
    found = taken(album, references[10], "t.parquet:99:image", "u.parquet:0:image", references[3])
    assert found == [
        "image 1: the image file is empty",
        "image 1: the image file is empty",
        "image 1: the image's table is not there",
        stored(picture("3")),
    ]


def test_a_table_with_damaged_pages_is_an_error(taken: Taken, tmp_path: Path) -> None:
    """Rows can be read though their images cannot; then the file is named, for no later cell can be found."""
    path = table(tmp_path / "t.parquet", [picture(str(n)) for n in range(10)])
    content = path.read_bytes()
    at = content.index(picture("5")) - 30
    path.write_bytes(content[:at] + bytes(30) + content[at + 30 :])
    references = [row["image"] for row in parquet_rows(path, "t.parquet")]
    with pytest.raises(SourceError, match=r"cannot read .*t\.parquet"):
        taken(Tables({"t.parquet": path}, parquet_cells), *references)
    assert set(taken.lines()) <= set(references[:4])


def test_tables_separated_by_tabs(taken: Taken, tmp_path: Path) -> None:
    """Base64 that is none is a fault; a row of another width is told; what is no text is an error."""
    from base64 import b64encode

    path = tmp_path / "t.tsv"
    good = b64encode(picture("a")).decode()
    path.write_text(f'index\timage\tA\n0\t{good}\t"two\nlines"\n1\tnot/base64\tx\n2\t{good}\n3\t\tx\n')
    rows = list(separated_rows(path, "t.tsv"))
    assert [getattr(row, "reason", None) for row in rows] == [
        None,
        None,
        "another number of columns than the header's",
        None,
    ]
    assert rows[0] == {"index": "0", "image": "t.tsv:0:image", "A": "two\nlines"}
    album = Tables({"t.tsv": path}, tsv_cells)
    first, second, fourth = taken(album, "t.tsv:0:image", "t.tsv:1:image", "t.tsv:3:image")
    assert first == stored(picture("a"))
    assert second.startswith("image 1: ") and fourth == "image 1: the image file is empty"
    path.write_bytes(b"index\timage\n0\tx\xff\n")
    with pytest.raises(SourceError, match=r"cannot read .*t\.tsv"):
        list(separated_rows(path, "t.tsv"))


# ---------------------------------------------------------------------------------------------- journal

TAKE = """
import json, sys
from pathlib import Path
from medbench.images import Store
from medbench.schema import Example
from medbench.sources.albums import Archives
from medbench.sources.pictures import pictured
home, archive, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
rows = [Example(str(n), "open", "?", ("a",), images=(f"{n}.png",)) for n in range(count)]
found = pictured(rows, Archives([archive]), Store(home / "images"), home / "source" / "medbench-images.jsonl")
assert not [row for row in found if row.fault]
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print(json.dumps({"images": [row.images[0] for row in found], "peak": int(peak)}))
"""


def take(home: Path, archive: Path, count: int) -> "subprocess.Popen[str]":
    """Another process that takes in the first `count` images of an archive."""
    return subprocess.Popen(
        [sys.executable, "-c", TAKE, str(home), str(archive), str(count)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What a process printed."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err[-2000:]
    return dict(json.loads(out))


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of 2,000 pictures, 37 kB each; 74 MB together."""
    members = [(f"{n}.png", noise(n)) for n in range(2000)]
    return zipped(tmp_path_factory.mktemp("many") / "many.zip", members, zipfile.ZIP_STORED)


def noise(seed: int) -> bytes:
    """A picture that packs badly."""
    grain = hashlib.shake_128(str(seed).encode()).digest(112 * 112 * 3)
    Image.frombytes("RGB", (112, 112), grain).save(buffer := io.BytesIO(), "PNG", compress_level=0)
    return buffer.getvalue()


def journal_of(home: Path) -> list[str]:
    """The references in a journal, in their order."""
    text = (home / "source" / JOURNAL).read_text()
    return [json.loads(line)["reference"] for line in text.splitlines() if line]


def test_a_killed_run_goes_on(tmp_path: Path, many: Path) -> None:
    """Killed in the middle, repeated: the same result, and nothing that was noted is done again."""
    journal = tmp_path / "home" / "source" / JOURNAL
    process = take(tmp_path / "home", many, 1500)
    limit = time.monotonic() + 60
    while not journal.is_file() or journal.read_bytes().count(b"\n") < 100:
        assert process.poll() is None and time.monotonic() < limit
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = journal_of(tmp_path / "home")
    assert 100 <= len(before) < 1500
    found = result(take(tmp_path / "home", many, 1500))["images"]
    names = journal_of(tmp_path / "home")
    assert names[: len(before)] == before
    assert sorted(names) == sorted({f"{n}.png" for n in range(1500)})
    assert found == [stored(noise(n)) for n in range(1500)]


def test_memory_does_not_grow_with_the_images(tmp_path: Path, many: Path) -> None:
    """Two thousand images take no more memory than a hundred, give or take."""
    few = result(take(tmp_path / "few", many, 100))["peak"]
    all_of_them = result(take(tmp_path / "all", many, 2000))["peak"]
    assert all_of_them - few < 60 << 10, f"{few} kB for 100, {all_of_them} kB for 2,000"


def test_two_processes_at_once(tmp_path: Path, many: Path) -> None:
    """Both get everything; what they noted together is whole, and a third has nothing left to do."""
    first, second = take(tmp_path / "home", many, 600), take(tmp_path / "home", many, 600)
    assert result(first)["images"] == result(second)["images"] == [stored(noise(n)) for n in range(600)]
    names = journal_of(tmp_path / "home")
    assert set(names) == {f"{n}.png" for n in range(600)}
    result(take(tmp_path / "home", many, 600))
    assert journal_of(tmp_path / "home") == names


def test_a_torn_journal_is_read_as_far_as_it_goes(taken: Taken, tmp_path: Path) -> None:
    """Half a line, other people's lines and bytes that are no text cost their own images alone."""
    for name in "abc":
        (tmp_path / f"{name}.png").write_bytes(picture(name))
    found = taken(Folder(tmp_path), "a.png", "b.png", "c.png")
    lines = taken.journal.read_bytes().splitlines(keepends=True)
    noise = b'[1]\n{"reference": "a.png"}\n{"reference": ["a"], "stamp": 1, "fault": "x"}\n\xff\xfe\n7\n\n'
    noise += lines[0].replace(b'"sha256": "', b'"sha256": 7, "x": "')
    taken.journal.write_bytes(lines[0] + noise + lines[1] + lines[2][:50])
    assert taken(Folder(tmp_path), "a.png", "b.png", "c.png") == found
    text = taken.journal.read_bytes()
    assert text.startswith(lines[0] + noise + lines[1] + lines[2][:50] + b"\n")
    assert text.endswith(lines[2]) and text.count(b'"c.png"') == 2


def test_a_changed_file_is_read_again(taken: Taken, tmp_path: Path) -> None:
    """By size or time; so is one that appears, one that is damaged, and one whose stored copy is gone."""
    path = tmp_path / "a.png"
    album = Folder(tmp_path)
    assert taken(album, "a.png") == ["image 1: the image file is missing"]
    path.write_bytes(picture("one"))
    assert taken(album, "a.png") == [stored(picture("one"))]
    noted = taken.lines()
    assert taken(album, "a.png") == [stored(picture("one"))] and taken.lines() == noted
    path.write_bytes(picture("two"))
    os.utime(path, ns=(1, 1))
    assert taken(album, "a.png") == [stored(picture("two"))]
    path.write_bytes(b"")
    assert taken(album, "a.png") == ["image 1: the image file is empty"]
    path.write_bytes(picture("two"))
    taken.store.path(stored(picture("two"))).unlink(missing_ok=True)
    assert taken(album, "a.png") == [stored(picture("two"))]
    assert taken.store.read(stored(picture("two"))) == picture("two")


class Counting:
    """An album that counts how often it is asked."""

    def __init__(self, album: Album) -> None:
        self.album, self.pinned, self.asked = album, False, 0

    def stamp(self, reference: str) -> str:
        """As the album's."""
        self.asked += 1
        return self.album.stamp(reference)

    def read(self, reference: str) -> bytes:
        """As the album's."""
        self.asked += 1
        return self.album.read(reference)


def test_a_pinned_album_is_opened_once(taken: Taken, tmp_path: Path) -> None:
    """What is noted of it stays true, faults too, and it isn't opened to find out; another is."""
    path = zipped(tmp_path / "a.zip", [("a.png", picture("a")), ("b.png", b"none")])
    opened: list[Counting] = []

    def opener() -> Album:
        opened.append(Counting(Archives([path])))
        return opened[-1]

    references = ("a.png", "b.png", "c.png")
    found = taken(Later(opener, pinned=True), *references)
    assert (len(opened), found[0], found[2][:28]) == (1, stored(picture("a")), "image 1: the image is missin")
    for _ in range(2):
        assert taken(Later(opener, pinned=True), *references) == found
    assert len(opened) == 1 and sorted(taken.lines()) == sorted(references)
    assert taken(Later(opener), *references) == found
    assert len(opened) == 2 and opened[-1].asked > 0
    taken.store.path(found[0]).unlink()
    assert taken(Later(opener, pinned=True), *references) == found
    assert len(opened) == 3
