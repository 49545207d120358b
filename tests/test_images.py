"""The image room: what is stored of any file, what never is, and that no file can break it."""

import base64
import functools
import hashlib
import io
import json
import os
import pickle
import random
import signal
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, ImageOps

from medbench.errors import PrerequisiteError
from medbench.images import BadImage, Store, difference_hash, kind_of
from medbench.images.decode import examine
from tests.support import pictures
from tests.support.pictures import SECRET, decoded, dicom, noted_jpeg, noted_png, npy, saved, scene
from tests.support.process import seconds_of_cpu

ROOT = Path(__file__).parents[1]
FILES = pictures.files()
QUICK = settings(deadline=None, derandomize=True, max_examples=60)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "images")


def same(one: Any, other: Any) -> bool:
    """Whether two pictures have the same RGB pixels."""
    one, other = one.convert("RGB"), other.convert("RGB")
    return one.size == other.size and ImageChops.difference(one, other).getbbox() is None


def distance(one: str, other: str) -> int:
    """How many bits of two difference hashes differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def mean_difference(one: Any, other: Any) -> float:
    """How far two pictures of one size are apart, in grey levels."""
    return float(np.abs(np.asarray(one.convert("RGB"), int) - np.asarray(other.convert("RGB"), int)).mean())


def outcome(content: bytes, frame: int = 0) -> str:
    """The reason why there is no picture; nothing where there is one."""
    try:
        seen = examine(content, frame)
    except BadImage as bad:
        return bad.reason
    assert seen.picture.mode == "RGB" and seen.stored
    return ""


# real files


def test_published_jpegs_are_stored_byte_for_byte(shared: Path, store: Store) -> None:
    """VQA-RAD's 315 radiographs carry no metadata, so nothing is left out and nothing encoded anew."""
    paths = sorted((shared / "vqa_rad" / "images").glob("*.jpg"))
    assert len(paths) == 315
    for path in paths:
        content = path.read_bytes()
        facts = store.put(content)
        with Image.open(path) as image:
            assert (facts.width, facts.height, facts.mode) == (*image.size, image.mode)
        assert facts.sha256 == facts.origin == hashlib.sha256(content).hexdigest()
        assert (facts.format, facts.frames, facts.bytes) == ("JPEG", 1, len(content))
        assert store.read(facts.sha256) == content


@pytest.mark.parametrize("folder", ["bccd/images", "mmmu_medical/images", "microscopy_fundus"])
def test_published_files_keep_their_pixels_and_lose_only_notes(
    shared: Path, store: Store, folder: str
) -> None:
    """Of the other real files only a micrograph with XMP is changed, and that by the XMP alone."""
    changed = set()
    paths = [path for path in (shared / folder).iterdir() if path.suffix in (".jpg", ".jpeg", ".png")]
    assert len(paths) >= 4
    for path in paths:
        content = path.read_bytes()
        facts = store.put(content)
        stored = store.read(facts.sha256)
        assert same(decoded(stored), decoded(content))
        assert kind_of(stored) == f"image/{facts.format.lower()}"
        if stored != content:
            changed.add(path.name)
            assert len(stored) < len(content) and set(decoded(stored).info) <= {"dpi"}
    assert changed == ({"ihc.png"} if folder == "microscopy_fundus" else set())


# what is left out


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"quality": 30}]
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_jpeg_without_its_notes_is_what_it_was_before_they_were_made(
    store: Store, mode: str, options: dict[str, Any]
) -> None:
    """EXIF, XMP, IPTC, comments, thumbnails, strange segments and trailing bytes go; nothing else changes."""
    bare = saved(scene().convert(mode), "JPEG", **options)
    noted = noted_jpeg(bare)
    assert SECRET in noted and same(decoded(noted), decoded(bare))
    assert store.read(store.put(noted).sha256) == bare


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "LA", "RGBA"])
def test_a_png_without_its_notes_is_what_it_was_before_they_were_made(store: Store, mode: str) -> None:
    """Text, packed text, times, EXIF, private and overlong chunks and trailing bytes go."""
    bare = saved(scene().convert(mode), "PNG")
    noted = noted_png(bare)
    assert SECRET in noted and same(decoded(noted), decoded(bare))
    assert store.read(store.put(noted).sha256) == bare


def test_a_gif_without_its_notes_is_what_it_was_before_they_were_made(store: Store) -> None:
    """Comments, texts, applications' notes and trailing bytes go."""
    for interlace in (0, 1):
        bare = saved(scene(), "GIF", interlace=interlace)
        noted = pictures.noted_gif(bare)
        assert SECRET in noted
        assert store.read(store.put(noted).sha256) == bare


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"icc_profile": b"profile"}])
def test_a_webp_loses_its_notes_and_says_so(store: Store, options: dict[str, Any]) -> None:
    """EXIF, XMP and strange chunks go and are no longer announced; the picture's chunks are untouched."""
    bare = saved(scene(), "WEBP", **options)
    noted = pictures.noted_webp(bare)
    stored = store.read(store.put(noted).sha256)
    assert SECRET in noted and SECRET not in stored and same(decoded(stored), decoded(bare))
    kept = dict(pictures.riff_chunks(stored))
    assert kept[b"VP8X"][0] & 0x0C == 0
    assert {name: data for name, data in kept.items() if name != b"VP8X"} == {
        name: data for name, data in pictures.riff_chunks(bare) if name != b"VP8X"
    }


def test_no_file_keeps_a_secret(store: Store) -> None:
    """Whatever the format, the patient's name is neither in the stored bytes nor in what is told of them."""
    tags = {270: SECRET.decode(), 315: SECRET.decode(), 700: SECRET, 33723: SECRET, 34377: SECRET}
    secretive = {name: content for name, content in FILES.items() if SECRET in content}
    secretive |= {
        "tiff": saved(scene(), "TIFF", tiffinfo=tags),
        "tiff turned": saved(scene(), "TIFF", tiffinfo={**tags, 274: 6}),
        "png deep": noted_png(saved(scene().convert("I;16"), "PNG")),
        "jpeg cmyk": noted_jpeg(pictures.cmyk_jpeg(scene())),
        "jpeg turned": noted_jpeg(saved(scene(), "JPEG"), 8),
        "gif transparent": pictures.noted_gif(saved(scene().convert("P"), "GIF", transparency=3)),
        "mpo": noted_jpeg(FILES["mpo"]),
        "bmp": saved(scene(), "BMP") + SECRET,
    }
    assert len(secretive) > 15
    for name, content in secretive.items():
        assert SECRET in content, name
        facts = store.put(content)
        stored = store.read(facts.sha256)
        assert SECRET not in stored and SECRET.decode() not in repr(facts), name
        assert decoded(stored).getexif() == {}, name
        told = {"jfif", "jfif_version", "jfif_density", "jfif_unit", "dpi", "adobe", "adobe_transform"}
        told |= {
            "gamma",
            "version",
            "background",
            "loop",
            "timestamp",
            "duration",
            "progressive",
            "progression",
        }
        assert set(decoded(stored).info) <= told, name


@functools.cache
def profile(space: str) -> bytes:
    """A colour profile; one and the same, since it holds the second it was made in."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_the_colour_profile_stays(store: Store, format: str) -> None:
    """It decides the look: in a file that keeps its bytes, in one written anew, and in a smaller copy."""
    content = saved(scene(), format, icc_profile=profile("sRGB"))
    facts = store.put(content)
    assert store.read(facts.sha256) == content
    turned = store.put(saved(scene(), format, icc_profile=profile("sRGB"), exif=turn(6)))
    assert (turned.width, turned.height) == (facts.height, facts.width)
    for sha256, most in ((facts.sha256, None), (turned.sha256, None), (facts.sha256, 400)):
        assert decoded(store.shown(sha256, most)).info["icc_profile"] == profile("sRGB")


def test_a_profile_of_another_kind_of_pixels_goes(store: Store) -> None:
    """A CMYK or LAB picture becomes RGB, so its profile would be wrong; so would colour's for grey."""
    cmyk = b"\0" * 16 + b"CMYK" + bytes(108)
    for image, format, icc in (
        (scene().convert("CMYK"), "JPEG", cmyk),
        (scene().convert("I;16"), "PNG", profile("sRGB")),
    ):
        facts = store.put(saved(image, format, icc_profile=icc))
        assert "icc_profile" not in decoded(store.read(facts.sha256)).info


# what is seen


def turn(orientation: int) -> bytes:
    """EXIF with an orientation."""
    return b"Exif\0\0" + pictures.exif(orientation)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_pictures_are_turned_as_exif_says(store: Store, format: str, orientation: int) -> None:
    """All eight ways; Pillow's own turning is the measure."""
    exif = {"tiffinfo": {274: orientation}} if format == "TIFF" else {"exif": turn(orientation)}
    content = saved(scene(), format, **exif)
    with Image.open(io.BytesIO(content)) as image:
        upright = ImageOps.exif_transpose(image)
    facts = store.put(content)
    assert same(store.picture(facts.sha256), upright)
    assert (facts.width, facts.height) == ((60, 90) if orientation > 4 else (90, 60))
    kept = format != "TIFF" and orientation == 1
    assert kind_of(store.read(facts.sha256)) == (f"image/{format.lower()}" if kept else "image/png")


def test_an_unreadable_orientation_turns_nothing(store: Store) -> None:
    """Numbers that are no orientation, and EXIF that is none."""
    bare = saved(scene(), "JPEG")
    for exif in (
        turn(0),
        turn(9),
        b"Exif\0\0",
        b"Exif\0\0MM\0*\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff",
    ):
        assert store.read(store.put(saved(scene(), "JPEG", exif=exif)).sha256) == bare


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_lossless_copies_are_the_same_pixels(store: Store, format: str, mode: str) -> None:
    """Whatever the file, the same picture has the same hash of pixels, and is shown without a change."""
    image = scene().convert(mode)
    facts = store.put(saved(image if (format, mode) != ("PPM", "P") else image.convert("RGB"), format))
    assert facts.pixels == store.put(saved(image.convert("RGB"), "PNG")).pixels
    assert same(store.picture(facts.sha256), image)
    assert kind_of(store.read(facts.sha256)) == "image/png"


def test_one_pixel_makes_another_picture(store: Store) -> None:
    """The hash of pixels is of every one of them, and of the shape."""
    image = scene()
    first = store.put(saved(image, "PNG"))
    red, green, blue = image.getpixel((89, 59))
    image.putpixel((89, 59), (red, green, blue ^ 1))
    assert store.put(saved(image, "PNG")).pixels != first.pixels
    flat = [store.put(saved(Image.new("L", size), "PNG")).pixels for size in ((6, 4), (4, 6), (24, 1))]
    assert len(set(flat)) == 3


def test_transparency_is_laid_on_white(store: Store) -> None:
    """In every way a file can have it: a channel, an entry of the palette, one colour."""
    half = scene().convert("RGBA")
    half.putalpha(Image.linear_gradient("L").resize(half.size))
    half.putpixel((5, 0), (9, 9, 9, 0))
    palette = scene().quantize(8)
    index = palette.getpixel((3, 3))
    keyed = Image.new("RGB", (8, 8), (10, 200, 30))
    for image, format, options, at, colour in (
        (half, "PNG", {}, (5, 0), (255, 255, 255)),
        (half, "WEBP", {"lossless": True}, (5, 0), (255, 255, 255)),
        (half, "TIFF", {}, (5, 0), (255, 255, 255)),
        (half.convert("LA"), "PNG", {}, (5, 0), (255, 255, 255)),
        (palette, "PNG", {"transparency": index}, (3, 3), (255, 255, 255)),
        (palette, "GIF", {"transparency": index}, (3, 3), (255, 255, 255)),
        (keyed, "PNG", {"transparency": (10, 200, 30)}, (4, 4), (255, 255, 255)),
        (keyed, "PNG", {"transparency": (1, 2, 3)}, (4, 4), (10, 200, 30)),
    ):
        facts = store.put(saved(image, format, **options))
        stored = decoded(store.read(facts.sha256))
        assert stored.convert("RGB").getpixel(at) == colour, (format, image.mode)
        assert not stored.has_transparency_data or colour == (10, 200, 30)
    values = np.asarray(half, float)
    mixed = 255 + (values[:, :, :3] - 255) * values[:, :, 3:] / 255
    assert np.abs(np.asarray(examine(saved(half, "PNG")).picture) - mixed).max() <= 1
    opaque = saved(scene().convert("RGBA"), "PNG")
    assert store.read(store.put(opaque).sha256) == opaque


def test_cmyk_is_not_inverted(store: Store) -> None:
    """Adobe writes CMYK JPEGs inverted; the picture is nearly the one that was separated."""
    facts = store.put(pictures.cmyk_jpeg(scene()))
    assert (facts.mode, kind_of(store.read(facts.sha256))) == ("CMYK", "image/png")
    assert mean_difference(store.picture(facts.sha256), scene()) < 6
    facts = store.put(saved(scene().convert("CMYK"), "TIFF"))
    assert mean_difference(store.picture(facts.sha256), scene()) < 1


def test_lab_is_converted(store: Store) -> None:
    """A TIFF in CIELAB shows the colours that were measured."""
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    facts = store.put(saved(to_lab.apply(scene()), "TIFF"))
    assert facts.mode == "LAB"
    assert mean_difference(store.picture(facts.sha256), scene()) < 4


@QUICK
@given(
    st.integers(0, 60_000), st.integers(256, 5_000), st.sampled_from(["PNG", "TIFF", "big", "I", "F", "PPM"])
)
def test_deep_grey_is_stretched_to_its_range(low: int, span: int, kind: str) -> None:
    """Its least value is black, its greatest white, the order is kept; in every layout of 16 and 32 bits."""
    values = np.linspace(low, low + span, 96).astype(int)
    if kind == "big":
        entries = [(256, 3, 1, 12), (257, 3, 1, 8), (258, 3, 1, 16), (259, 3, 1, 1), (262, 3, 1, 1)]
        tags = [struct.pack(">HHLHH", name, *form, value, 0) for name, *form, value in entries]
        tags += [struct.pack(">HHLL", 273, 4, 1, 8 + 2 + 7 * 12 + 4), struct.pack(">HHLL", 279, 4, 1, 192)]
        content = b"MM\0*\0\0\0\x08\0\x07" + b"".join(tags) + bytes(4) + values.astype(">u2").tobytes()
    else:
        depth = {"I": "<i4", "F": "<f4", "PPM": "<i4"}.get(kind, "<u2")
        image = Image.fromarray(values.astype(depth).reshape(8, 12))
        content = saved(image, kind if kind in ("PNG", "PPM") else "TIFF")
    assert examine(content).mode.startswith(("I", "F"))
    grey = np.asarray(examine(content).picture)[:, :, 0].ravel().astype(int)
    assert (grey[0], grey[-1]) == (0, 255)
    assert (np.diff(grey) >= 0).all()
    assert np.abs(grey - (values - low) * 255 / span).max() <= 1


def test_deep_files_with_shallow_values_stay_as_they_are() -> None:
    """Eight bits kept in sixteen are no reason to change the contrast; values that are none are refused."""
    values = np.arange(96).reshape(8, 12)
    for depth in ("<u2", "<i4", "<f4"):
        picture = examine(saved(Image.fromarray(values.astype(depth)), "TIFF")).picture
        assert (np.asarray(picture)[:, :, 1] == values).all()
    flat = examine(saved(Image.fromarray(np.full((4, 4), 3000, "<u2")), "PNG")).picture
    assert flat.getextrema()[0][0] == flat.getextrema()[0][1]
    with pytest.raises(BadImage):
        examine(saved(Image.fromarray(np.full((4, 4), np.inf, "<f4")), "TIFF"))


@pytest.mark.parametrize("name", ["tiff pages", "gif moving", "webp moving", "apng", "mpo"])
def test_any_frame_can_be_asked_for(store: Store, name: str) -> None:
    """Each is what Pillow shows there; the count is told; one that is not there is refused."""
    content = FILES[name]
    image = Image.open(io.BytesIO(content))
    found = []
    for frame in range(3):
        image.seek(frame)
        facts = store.put(content, frame)
        assert same(store.picture(facts.sha256), image)
        assert facts.frames == 3
        found.append(facts)
    assert len({facts.sha256 for facts in found}) == len({facts.pixels for facts in found}) == 3
    for frame in (3, 10**9, -1):
        with pytest.raises(BadImage, match="frame"):
            store.put(content, frame)
    still = kind_of(store.read(found[0].sha256))
    assert still == ("image/jpeg" if name == "mpo" else "image/png")


def test_a_still_has_one_frame() -> None:
    """Asking a file that is no series for its second picture is a mistake, in any format."""
    for name, content in FILES.items():
        if examine(content).frames == 1:
            with pytest.raises(BadImage, match="frame 1 was asked for"):
                examine(content, 1)
            assert "moving" not in name


def test_a_gif_that_does_not_fill_its_screen_is_written_anew(store: Store) -> None:
    """Browsers leave the rest see-through, decoders do not: the bytes are not the picture for all."""
    gif = saved(scene(), "GIF")
    assert kind_of(store.read(store.put(gif).sha256)) == "image/gif"
    wider = gif[:6] + struct.pack("<HH", 100, 70) + gif[10:]
    assert kind_of(store.read(store.put(wider).sha256)) == "image/png"


def test_only_what_browsers_show_is_stored(store: Store) -> None:
    """Whatever came, one of four kinds is stored, which decodes to the picture and comes back unchanged."""
    for name, content in FILES.items():
        facts = store.put(content)
        stored = store.read(facts.sha256)
        assert kind_of(stored) in ("image/jpeg", "image/png", "image/gif", "image/webp"), name
        assert decoded(stored).mode in ("1", "L", "P", "RGB", "LA", "RGBA"), name
        again = store.put(stored)
        assert (again.sha256, again.pixels, again.dhash) == (facts.sha256, facts.pixels, facts.dhash), name
        assert (facts.width, facts.height) == decoded(stored).size, name


# what is refused


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><title>404 " + SECRET, "web page"),
        (b"\n <HTML>" + SECRET, "web page"),
        (b"<?xml version='1.0'?><svg>" + SECRET, "web page or SVG"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:" + SECRET, "LFS pointer"),
        (SECRET * 20, "not an image"),
        (b"PK\3\4" + SECRET * 20, "not an image"),
        (b"%PDF-1.4 " + SECRET * 20, "not an image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n" + SECRET * 20, "not an image"),
        (b"BM " + SECRET * 20, ""),
        (b"P6 " + SECRET * 20, ""),
        (b"II*\0" + SECRET * 20, ""),
        (b"GIF89a" + SECRET * 20, ""),
        (b"\xff\xd8\xff\xe0" + SECRET * 20, ""),
        (b"\x89PNG\r\n\x1a\n" + SECRET * 20, ""),
        (b"RIFF\x20\0\0\0WEBP" + SECRET * 20, ""),
        (bytes(128) + b"DICM" + SECRET * 20, ""),
        (b"\x93NUMPY\1\0\x20\0" + SECRET * 20, ""),
        (b"\0" * 500, "not an image"),
    ],
)
def test_what_is_no_image_is_refused_without_being_quoted(store: Store, content: bytes, reason: str) -> None:
    """Whatever its name said. The reason says what it is, as far as that can be told, and quotes nothing."""
    with pytest.raises(BadImage) as caught:
        store.put(content)
    assert reason in caught.value.reason
    assert str(caught.value) == caught.value.reason
    assert "DOE" not in caught.value.reason and "JANE" not in caught.value.reason
    assert not store.folder.exists()


def test_cut_off_files_are_refused() -> None:
    """Every format, at any place before its last picture is complete."""
    bare = {name: content for name, content in FILES.items() if content[-19:] != SECRET}
    assert len(bare) > 25
    for name, content in bare.items():
        last = examine(content).frames - 1
        for share in (0.02, 0.3, 0.6, 0.9):
            assert outcome(content[: int(len(content) * share)], last), (name, share)
    for options in ({}, {"progressive": True}):
        assert "cut off" in outcome(saved(scene(), "JPEG", **options)[:-2])


def test_a_png_whose_checksum_is_wrong_is_refused() -> None:
    """Pillow shows such a file, browsers do not."""
    content = saved(scene(), "PNG")
    begin, size = content.index(b"IDAT"), len(content)
    for at in (begin + 40, size - 13):
        harmed = content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
        assert "damaged" in outcome(harmed)
    assert same(decoded(harmed), scene())


def test_too_large_a_file_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything looks into it."""
    monkeypatch.setattr("medbench.images.decode.MAX_BYTES", 1 << 20)
    with pytest.raises(BadImage, match="more than 1 MB"):
        store.put(saved(scene(), "JPEG") + bytes(1 << 20))


def test_bombs_cost_nothing() -> None:
    """Headers that claim all there is, streams without end, a million parts: refused or shown, at once.

    Each is looked into by a process of its own, whose memory and processor time are taken.
    """
    command = [sys.executable, "-m", "tests.support.pictures"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    names, *told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [name for name, *_ in told] == names and len(names) > 40
    assert [line for line in told if "raised" in line[1] or line[2] > 10 or line[3] > 180] == []
    assert "unpacks to more than" in dict(line[:2] for line in told)["dicom, unpacked"]
    harmless = {name for name, outcome, *_ in told if outcome.startswith("(")}
    assert harmless == {
        *("png, pixels without end", "png, text without end", "png, exif", "jpeg, exif", "dicom, runs")
    }


@pytest.mark.parametrize("part", range(4))
def test_damaged_files_raise_nothing_but_bad_image(part: int) -> None:
    """Thousands of files cut, flipped, blown up and grafted; each gives a picture or a reason, and soon."""
    names, others = sorted(FILES), list(FILES.values())
    bundled = {name: bundle(name) for name in BUNDLED}
    for name, content in [*((name, FILES[name]) for name in names[part::4]), *[*bundled.items()][part::4]]:
        chance = random.Random(name)
        for _ in range(200):
            harmed = pictures.damaged(content, chance, others)
            if chance.random() < 0.25:
                harmed = pictures.damaged(harmed, chance, others)
            with seconds_of_cpu(30, name):
                assert "DOE" not in outcome(harmed, chance.choice((0, 0, 0, 1)))


@QUICK
@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x40\0\0\0WEBP", b"BM", b"P5 "])
    | st.sampled_from([b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"\x93NUMPY\1\0", bytes(128) + b"DICM", b""]),
    st.binary(max_size=300),
)
def test_anything_behind_a_known_head_is_a_picture_or_a_reason(head: bytes, rest: bytes) -> None:
    """Hypothesis looks for bytes that break it."""
    assert "DOE" not in outcome(head + rest)


# the store


def test_storing_twice_is_storing_once(store: Store) -> None:
    """The same bytes have the same name, and a file that is there is not written again."""
    content = noted_jpeg(saved(scene(), "JPEG"))
    facts = store.put(content)
    path = store.path(facts.sha256)
    before = path.stat()
    assert store.put(content) == facts
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    assert facts.origin == hashlib.sha256(content).hexdigest() != facts.sha256
    assert store.holds(facts.sha256, facts.bytes) and not store.holds(facts.sha256, facts.bytes + 1)
    bare = store.put(path.read_bytes())
    assert (bare.sha256, bare.origin) == (facts.sha256, facts.sha256)
    assert [path.name for path in store.folder.rglob("*") if path.is_file()] == [facts.sha256]
    assert store.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("harm", ["flipped", "cut", "emptied", "gone"])
def test_a_damaged_picture_is_noticed_and_mended(store: Store, harm: str) -> None:
    """It is never sent; putting the file again makes it whole."""
    content = saved(scene(), "JPEG")
    facts = store.put(content)
    path = store.path(facts.sha256)
    flipped = content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]
    {
        "flipped": lambda: path.write_bytes(flipped),
        "cut": lambda: path.write_bytes(content[:100]),
        "emptied": lambda: path.write_bytes(b""),
        "gone": path.unlink,
    }[harm]()
    for use in (store.read, store.shown, store.uri, store.picture, store.thumbnail):
        with pytest.raises(BadImage, match="not in the store" if harm == "gone" else "damaged"):
            use(facts.sha256)
    with pytest.raises(BadImage):
        store.shown(facts.sha256, 100)
    assert store.put(content) == facts
    assert store.read(facts.sha256) == content


STORING = """
import sys, time
from pathlib import Path
from medbench.images import Store
from tests.support.pictures import saved, scene

def half(path, content):
    with path.open("wb") as stream:
        stream.write(content[: len(content) // 2])
    print("half", flush=True)
    time.sleep(60)

store, what = Store(Path(sys.argv[1])), sys.argv[2]
content = saved(scene(), "JPEG")
sha256 = store.put(content).sha256
if what == "picture":
    store.path(sha256).unlink()
Path.write_bytes = half
{"picture": lambda: store.put(content), "smaller": lambda: store.sendable(sha256, 999),
 "thumbnail": lambda: store.thumbnail(sha256)}[what]()
"""


@pytest.mark.parametrize("what", ["picture", "smaller", "thumbnail"])
def test_a_killed_process_leaves_no_half_picture(store: Store, what: str) -> None:
    """Killed in the middle of writing, nothing has a picture's name that is not that picture, whole."""
    command = [sys.executable, "-c", STORING, str(store.folder), what]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "half\n"
        process.send_signal(signal.SIGKILL)
    left = [path for path in store.folder.rglob("*") if path.is_file()]
    named = [path for path in left if not path.name.startswith(".")]
    assert len(left) == len(named) + 1, "it was killed while it wrote"
    assert (
        [path.name for path in named] == []
        if what == "picture"
        else [hashlib.sha256(named[0].read_bytes()).hexdigest()]
    )
    content = saved(scene(), "JPEG")
    sha256 = store.put(content).sha256
    assert store.read(sha256) == content
    assert decoded(store.sendable(sha256, 999).read_bytes()).size == (38, 25)
    assert decoded(store.thumbnail(sha256).read_bytes()).size == (90, 60)


@QUICK
@given(
    st.integers(0, 10_000),
    st.sampled_from([0.35, 0.5, 0.8, 1.7, 3]),
    st.sampled_from(["JPEG", "PNG", "WEBP"]),
)
def test_copies_have_near_hashes_and_others_far_ones(seed: int, scale: float, format: str) -> None:
    """A picture resized and encoded anew stays within a few of 64 bits; another is far away."""
    image = scene(180, 120, seed)
    copy = image.resize((int(180 * scale), int(120 * scale)), Image.Resampling.LANCZOS)
    one, other, third = (
        difference_hash(examine(content).picture)
        for content in (saved(image, "PNG"), saved(copy, format), saved(scene(180, 120, seed + 1), "PNG"))
    )
    assert distance(one, other) <= 6
    assert distance(one, third) > 10


def test_real_radiographs_are_found_again(shared: Path, store: Store) -> None:
    """Of VQA-RAD's radiographs a small copy of poor quality is nearer to its own than to any other's."""
    paths = sorted((shared / "vqa_rad" / "images").glob("*.jpg"))[::8]
    originals = [store.put(path.read_bytes()) for path in paths]
    for path, facts in zip(paths, originals, strict=True):
        with Image.open(path) as image:
            small = image.convert("RGB").resize((256, 256))
        copy = store.put(saved(small, "JPEG", quality=60))
        apart = sorted((distance(copy.dhash, other.dhash), other.sha256) for other in originals)
        assert distance(copy.dhash, facts.dhash) <= 6
        assert facts.sha256 in [sha256 for near, sha256 in apart if near == apart[0][0]]
        assert copy.pixels != facts.pixels


# what is sent


@QUICK
@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 40_000), st.sampled_from(["JPEG", "PNG"]))
def test_what_is_sent_fits_its_budget(
    tmp_path_factory: pytest.TempPathFactory, width: int, height: int, budget: int, format: str
) -> None:
    """Never more pixels than allowed; the shape kept within a pixel; the file itself where it fits."""
    store = Store(tmp_path_factory.getbasetemp() / "budgets")
    content = saved(scene(width, height), format)
    sha256 = store.put(content).sha256
    path = store.sendable(sha256, budget)
    sent = decoded(path.read_bytes())
    assert sent.width * sent.height <= max(budget, 1)
    if width * height <= budget:
        assert path == store.path(sha256) and store.shown(sha256, budget) == content
        return
    assert kind_of(path.read_bytes()) == f"image/{format.lower()}"
    share = (budget / (width * height)) ** 0.5
    if min(width, height) * share >= 1:
        assert abs(sent.width - width * share) <= 1 and abs(sent.height - height * share) <= 1
    else:
        assert 1 in sent.size
    made = path.stat().st_mtime_ns
    assert store.sendable(sha256, budget) == path and path.stat().st_mtime_ns == made


def test_smaller_copies_look_the_same(store: Store) -> None:
    """They are the picture, shrunk; without a budget nothing is made."""
    facts = store.put(saved(scene(400, 300), "PNG"))
    assert store.sendable(facts.sha256) == store.path(facts.sha256)
    assert not (store.folder / "smaller").exists()
    small = decoded(store.shown(facts.sha256, 30_000))
    assert small.size == (200, 150)
    assert mean_difference(small, scene(400, 300).resize((200, 150))) < 2
    assert store.picture(facts.sha256, 30_000).size == (200, 150)


@pytest.mark.parametrize(
    ("format", "whole", "small"),
    [("JPEG", "jpeg", "jpeg"), ("PNG", "png", "png"), ("WEBP", "webp", "png"), ("GIF", "gif", "png")],
)
def test_addresses_hold_the_bytes_and_their_kind(store: Store, format: str, whole: str, small: str) -> None:
    """What fits is sent as published; what is shrunk, as JPEG or PNG."""
    content = saved(scene(), format)
    sha256 = store.put(content).sha256
    for budget, kind in ((None, whole), (90 * 60, whole), (90 * 60 - 1, small)):
        head, _, body = store.uri(sha256, budget).partition(",")
        assert head == f"data:image/{kind};base64"
        assert base64.b64decode(body, validate=True) == store.shown(sha256, budget)
        assert decoded(base64.b64decode(body)).format == kind.upper()
    assert base64.b64decode(store.uri(sha256).partition(",")[2]) == content


def test_thumbnails_are_made_when_looked_at(store: Store) -> None:
    """A JPEG within the square, made once, grey pictures in grey."""
    facts = store.put(saved(scene(400, 200), "PNG"))
    assert not (store.folder / "thumbnails").exists()
    path = store.thumbnail(facts.sha256, 64)
    thumbnail = decoded(path.read_bytes())
    assert (thumbnail.format, thumbnail.size, thumbnail.mode) == ("JPEG", (64, 32), "RGB")
    made = path.stat().st_mtime_ns
    assert store.thumbnail(facts.sha256, 64) == path and path.stat().st_mtime_ns == made
    grey = store.put(saved(scene(30, 20).convert("L"), "PNG"))
    assert decoded(store.thumbnail(grey.sha256).read_bytes()).mode == "L"
    assert decoded(store.thumbnail(grey.sha256).read_bytes()).size == (30, 20)


# DICOM


def bundle(name: str) -> bytes:
    """One of the files that pydicom ships for tests."""
    from pydicom.data import get_testdata_file

    return Path(get_testdata_file(f"{name}.dcm", download=False)).read_bytes()


BUNDLED = [
    *(
        "CT_small",
        "MR_small",
        "MR_small_RLE",
        "MR_small_bigendian",
        "MR_small_implicit",
        "MR_small_jp2klossless",
    ),
    *("SC_rgb_small_odd_jpeg", "SC_rgb_rle_2frame", "SC_rgb_jpeg_dcmtk", "rtdose", "rtdose_rle", "image_dfl"),
]


@pytest.mark.parametrize(
    "names",
    [
        ["MR_small", "MR_small_RLE", "MR_small_bigendian", "MR_small_implicit", "MR_small_padded"],
        ["MR_small", "MR_small_jp2klossless"],
        ["rtdose_1frame", "rtdose_expb_1frame", "rtdose_rle_1frame", "rtdose", "rtdose_expb", "rtdose_rle"],
        ["SC_rgb_rle", "SC_rgb_rle_16bit", "SC_rgb_rle_32bit", "SC_rgb_rle_2frame", "SC_rgb_dcmtk_+eb+cr"],
        ["SC_rgb_small_odd", "SC_rgb_small_odd_big_endian"],
        ["liver_1frame", "liver_expb_1frame"],
    ],
)
def test_one_picture_in_many_codings_is_one_picture(store: Store, names: list[str]) -> None:
    """Byte orders, run lengths, JPEG 2000, 8, 16 and 32 bits: pydicom's files of one picture are the same."""
    exact = [name for name in names if name != "SC_rgb_dcmtk_+eb+cr"]
    assert len({store.put(bundle(name)).pixels for name in exact}) == 1
    pictured = [store.picture(store.put(bundle(name)).sha256) for name in names]
    assert max(mean_difference(pictured[0], one) for one in pictured) < 2


@pytest.mark.parametrize(
    "name", ["CT_small", "examples_rgb_color", "examples_ybr_color", "image_dfl", "JPEG2000"]
)
def test_bundled_files_show_what_they_hold(store: Store, name: str) -> None:
    """As pydicom reads them: colours as they are, grey without a window over its own range."""
    import pydicom

    content = bundle(name)
    data = pydicom.dcmread(io.BytesIO(content))
    values = pydicom.pixels.pixel_array(data, index=0).astype(float)
    if values.ndim == 2:
        values = (values - values.min()) * 255 / (values.max() - values.min())
        values = np.repeat(values[:, :, None], 3, axis=2)
    facts = store.put(content)
    seen = np.asarray(store.picture(facts.sha256), float)
    assert np.abs(seen - values).max() <= 1
    assert facts.mode == f"DICOM {data.PhotometricInterpretation}" and facts.format == "DICOM"
    assert str(data.PatientName).encode() not in store.read(facts.sha256)


def test_a_palette_is_looked_up(store: Store) -> None:
    """pydicom's ultrasound, whose colours are in 16-bit tables."""
    import pydicom

    content = bundle("examples_palette")
    data = pydicom.dcmread(io.BytesIO(content))
    colours = pydicom.pixels.apply_color_lut(data.pixel_array, data)
    assert colours.dtype == np.uint16
    seen = np.asarray(store.picture(store.put(content).sha256), int)
    assert np.abs(seen - colours / 257).max() <= 1


@QUICK
@given(st.integers(-500, 3000), st.integers(2, 2000), st.integers(-1024, 10), st.sampled_from([1, 2, 0.5]))
def test_the_window_decides_the_grey(centre: int, width: int, intercept: int, slope: float) -> None:
    """Its lower end is black, its upper white, straight between (PS3.3 C.11.2.1.2); MONOCHROME1 inverts."""
    stored = np.arange(-2000, 4000, 6, dtype="<i2").reshape(20, 50)
    depth = {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1}
    look = {"WindowCenter": [centre, 40], "WindowWidth": [width, 80], "RescaleIntercept": intercept}
    fields: dict[str, Any] = {"Rows": 20, "Columns": 50, **depth, **look, "RescaleSlope": slope}
    grey = np.asarray(examine(dicom(stored.tobytes(), **fields)).picture)[:, :, 0].astype(int)
    real = stored * slope + intercept
    low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    assert (grey[real <= low] == 0).all() and (grey[real >= high] == 255).all()
    assert np.abs(grey - np.clip((real - low) / (high - low), 0, 1) * 255).max() <= 0.51
    inverted = dicom(stored.tobytes(), **{**fields, "PhotometricInterpretation": "MONOCHROME1"})
    assert (np.asarray(examine(inverted).picture)[:, :, 0] == 255 - grey).all()


def test_other_kinds_of_window(store: Store) -> None:
    """A window of width 1 is a threshold; exact and soft windows are told apart; nonsense is no window."""
    ramp = np.arange(100, dtype="u1")

    def grey(**fields: Any) -> list[int]:
        picture = examine(dicom(ramp.tobytes(), **fields)).picture
        return [int(value) for value in np.asarray(picture)[:, :, 0].ravel()]

    own = grey()
    assert own[0] == 0 and own[-1] == 255
    assert grey(WindowCenter=50, WindowWidth=1) == [0] * 50 + [255] * 50
    exact = grey(WindowCenter=50, WindowWidth=100, VOILUTFunction="LINEAR_EXACT")
    assert (
        exact == [round(value * 2.55) for value in range(100)]
        or max(abs(seen - value * 2.55) for value, seen in enumerate(exact)) < 0.51
    )
    soft = grey(WindowCenter=50, WindowWidth=60, VOILUTFunction="SIGMOID")
    assert soft[50] in (127, 128) and soft == sorted(soft) and 0 < soft[5] < 20 and 235 < soft[95] < 255
    for centre, width in ((50, 0), (50, -3), ("1e400", 5)):
        assert grey(WindowCenter=centre, WindowWidth=width) == own


def test_a_table_of_greys_is_looked_up(store: Store) -> None:
    """A VOI LUT says the grey of each value, over the depth that it gives."""
    import pydicom

    table = pydicom.Dataset()
    greys = np.array([4095 - 40 * value for value in range(100)], "<u2")
    table.LUTDescriptor, table.LUTData = [100, 0, 12], greys.tobytes()
    content = dicom(bytes(range(100)), VOILUTSequence=[table], WindowCenter=1, WindowWidth=2)
    grey = np.asarray(examine(content).picture)[:, :, 0].ravel().astype(float)
    assert np.abs(grey - greys / 4095 * 255).max() <= 0.51


def test_any_frame_of_a_dicom_can_be_asked_for(store: Store) -> None:
    """Raw and compressed; each frame is pydicom's."""
    import pydicom

    for name, frames in (("examples_ybr_color", 30), ("rtdose", 15), ("rtdose_rle", 15)):
        content = bundle(name)
        data = pydicom.dcmread(io.BytesIO(content))
        found = [store.put(content, frame) for frame in (0, frames - 1)]
        assert {facts.frames for facts in found} == {frames}
        assert found[0].sha256 != found[1].sha256
        last = pydicom.pixels.pixel_array(data, index=frames - 1)
        if last.ndim == 3:
            assert same(store.picture(found[1].sha256), Image.fromarray(last))
        with pytest.raises(BadImage, match="frame"):
            store.put(content, frames)


def test_dicoms_that_cannot_be_shown_say_why(store: Store) -> None:
    """Compressed in a way not decoded here, cut off, without pixels: a reason, and no patient in it."""
    for name, reason in (
        ("MR_small_jpeg_ls_lossless", "JPEG-LS"),
        ("SC_rgb_jpeg_gdcm", "JPEG Lossless"),
        ("JPEG-lossy", "not decoded here"),
        ("MR_truncated", "cut off"),
        ("rtplan", "damaged, or of a kind"),
        ("reportsi", "damaged, or of a kind"),
        ("badVR", "damaged, or of a kind"),
    ):
        with pytest.raises(BadImage, match=reason):
            store.put(bundle(name))
    odd = dicom(bytes(100)).replace(b"\x28\0\x10\0US\2\0", b"\x28\0\x10\0US\3\0\0", 1)
    assert "damaged, or of a kind" in outcome(odd)
    for kind in ("HSV", "CMYK", "DOE JANE"):
        samples = {"HSV": 3, "CMYK": 4}.get(kind, 1)
        fields = {"PhotometricInterpretation": kind, "SamplesPerPixel": samples, "PlanarConfiguration": 0}
        reason = outcome(dicom(bytes(100 * samples), **fields))
        assert "pixels of a kind not decoded" in reason and "DOE" not in reason


def test_dicom_without_pydicom_says_what_to_install(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not the file's fault."""
    content = bundle("CT_small")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(PrerequisiteError) as caught:
        store.put(content)
    assert "medbench[dicom]" in caught.value.fix


def test_reading_a_dicom_warns_of_nothing_it_holds(tmp_path: Path) -> None:
    """pydicom's warnings quote values; none reaches the terminal."""
    path = tmp_path / "image"
    path.write_bytes(bundle("badVR"))
    code = "import sys; from pathlib import Path; from medbench.images.decode import examine\n"
    code += "try: examine(Path(sys.argv[1]).read_bytes())\nexcept Exception as bad: print(bad)"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "") and "damaged" in done.stdout


# volumes


@QUICK
@given(
    st.sampled_from(["?", "u1", "<i2", ">u2", "<i4", "<f4", ">f8", "<f2"]),
    st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_slices_of_a_volume(depth: str, shape: tuple[int, ...], by_column: bool, seed: int) -> None:
    """Any type of number, either order: every slice over the grey range of the whole volume."""
    volume = (np.random.default_rng(seed).normal(0, 300, shape)).clip(-32000, 32000).astype(depth)
    real = volume.astype(float)
    span = real.max() - real.min()
    content = npy(np.asfortranarray(volume) if by_column else volume[None])
    for index in range(shape[0]):
        seen = examine(content, index)
        grey = np.asarray(seen.picture)[:, :, 0]
        assert np.abs(grey - (real[index] - real.min()) * 255 / (span or 1)).max() <= 0.51
        assert (seen.frames, seen.mode) == (shape[0], "volume")
    with pytest.raises(BadImage):
        examine(content, shape[0])
    with pytest.raises(BadImage):
        examine(content[:-1], 0)


class Trap:
    """An object whose unpickling leaves a trace."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_volumes_are_never_unpickled(tmp_path: Path) -> None:
    """An array of objects is refused before anything in it runs; so are values that are no numbers."""
    trace = tmp_path / "trace"
    trap = np.empty((2, 2, 2), object)
    trap.fill(Trap(trace))
    content = npy(trap, allow_pickle=True)
    with pytest.raises(BadImage):
        examine(content)
    assert not trace.exists()
    pickle.loads(content[content.index(b"\x80") :])
    assert trace.exists(), "the trap works"
    for array in (np.full((2, 3, 3), np.nan), np.full((2, 3, 3), np.inf), np.zeros((2, 2, 2), "c8")):
        with pytest.raises(BadImage):
            examine(npy(array))
    for array in (np.zeros(5), np.zeros((4, 4)), np.zeros((2, 2, 2, 2)), np.zeros((0, 4, 4))):
        with pytest.raises(BadImage):
            examine(npy(array))
