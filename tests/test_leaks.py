"""Leaks: test questions and images in a training set are found, whatever was done to them; others not."""

import io
import json
import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from PIL import Image

from medbench import store
from medbench.builders import contamination, steps
from medbench.builders.leaks import Leaks, words
from medbench.builders.lookalikes import alike
from medbench.catalog import Catalog, Place
from medbench.cli import leaks
from medbench.errors import SourceError, UsageError
from medbench.images import Store
from medbench.images import prints as looks
from medbench.images.decode import pixel_hash
from medbench.images.prints import Print, print_of, prints
from medbench.schema import Example, frame
from tests.support import sights

YES_NO = {"yes", "no", "maybe"}


def asked(question: str, *options: str, images: tuple[str, ...] = (), name: str = "x") -> Example:
    """A question."""
    return Example(name, "mcq" if options else "open", question, ("A",), options, images=images)


def hit(test: Example, item: Example) -> tuple[str, float] | None:
    """How a training item leaks a test, and how far."""
    return next(((leak.how, leak.score) for leak in Leaks([test]).hits(item)), None)


STEM = "Which drug is best given first to adults with newly found essential hypertension"


@pytest.mark.parametrize(
    ("test", "item", "how"),
    [
        (asked(STEM, "a", "b", "c"), asked(STEM.upper() + "?", "c", "a", "b"), "equal"),
        (asked(STEM, "a", "b", "c"), asked(STEM.replace("adults", "women"), "c", "b", "a"), "near"),
        (asked(STEM, "a", "b", "c"), asked(STEM.replace("first ", ""), "c", "b", "a"), "near"),
        (asked(STEM, "a", "b", "c"), asked(STEM.replace("given first", "first given"), "a"), "near"),
        (asked(STEM, "a", "b", "c"), asked(STEM.replace("adults", "women"), "d", "e", "f"), None),
        (asked("Femur?", "a", "b"), asked("Tibia?", "b", "a"), "near"),
        (asked("Femur?", "a", "b"), asked("Tibia?", "b", "c"), None),
        (asked("Is aspirin safe?", "yes", "no"), asked("Is heparin safe?", "no", "yes"), None),
        (asked("Is aspirin safe?", "yes", "no"), asked("is ASPIRIN safe", "no", "yes"), "equal"),
        (asked("Does early walking shorten the stay after surgery?"), asked("Does early walking shorten the stay after childbirth?"), "near"),  # noqa: E501
        (asked("Is there early walking after surgery?"), asked("Is there late walking after surgery?"), None),
        (asked("The X-ray shows air below the dome", "a", "b"), asked("The film shows air below the dome", "b", "a"), "near"),  # noqa: E501
        (asked(f"{STEM} {STEM}"), asked(f"Before the ward round begins: {STEM} {STEM}, and why is it so"), "contains"),  # noqa: E501
        (asked("图像中有没有肿瘤这是什么器官", "肝", "肺"), asked("图像中有没有结节这是什么器官", "肺", "肝"), None),  # noqa: E501
        (asked("", "a", "b"), asked("", "a", "b"), None),
        (asked("?!", "a", "b"), asked("?!", "a", "c"), "equal"),
    ],
)  # fmt: skip
def test_words_that_give_a_test_away(test: Example, item: Example, how: str | None) -> None:
    """Equal, a word apart, or contained; short stems need their options, and yes and no are none."""
    found = hit(test, item)
    assert (found and found[0]) == how
    assert found is None or 0 <= found[1] <= 1


def test_words_are_no_evidence_of_an_image() -> None:
    """A short question about an image is asked of many; a long one is told by its words.

    So is one without an image whose options all come back, though a picture was put beside it.
    """
    short, long = "Is there a fracture of the left hip in this picture?", f"{STEM} {STEM}"
    for shown in [("1",), ()], [(), ("2",)], [("1",), ("2",)]:
        first, second = (asked(short, "a", "b", images=images) for images in shown)
        assert hit(first, replace(second, options=("a", "c"))) is None
        assert (hit(first, second) is None) == bool(first.images)
        assert hit(replace(first, question=long), replace(second, question=long)) == ("equal", 1.0)
    lost = replace(asked(short, "a", "b"), fault="image 1: gone")
    assert hit(lost, asked(short, "a", "b")) is None


def test_the_best_is_told_first_and_all_are_told() -> None:
    """Equal words come before a changed one, and that before a part."""
    tests = [
        asked(f"{STEM} {STEM} before noon each day for a month", name="part"),
        asked(f"{STEM} {STEM} now", name="same"),
        asked(f"{STEM} {STEM} today", name="word"),
    ]
    found = list(Leaks(tests).hits(asked(f"{STEM} {STEM} now")))
    assert [(leak.test, leak.how) for leak in found] == [
        ("same", "equal"),
        ("word", "near"),
        ("part", "contains"),
    ]


def test_common_phrases_contain_nothing() -> None:
    """Long stems that share only what many stems share are different questions."""
    tail = "which of the following is the most likely diagnosis in this patient at this time"
    tests = [asked(f"{word} with fever and cough, {tail}", name=word) for word in "abcdefghijkl"]
    assert list(Leaks(tests).hits(asked(f"A farmer who fell from his horse yesterday, {tail}"))) == []


PLANTED = ("medqa", "medmcqa", "pubmedqa", "mmlu-med", "medxpertqa-text-sample", "mirage-bioasq")


def changed(example: Example, count: int) -> Iterator[Example]:
    """Copies of a question with its options in another order: whole, a word changed, put in or left out."""
    chance = random.Random(example.id)
    written = example.question.split()
    options = tuple(chance.sample(example.options, len(example.options)))
    yield replace(example, id="x", options=options)
    for i in chance.sample(range(len(written)), min(count, len(written))):
        before, after = written[:i], written[i + 1 :]
        for middle in (["zebra"], [], ["zebra", written[i]]):
            yield replace(
                example, id="x", options=options, question=" ".join([*before, *middle, *after]) or "?"
            )


@pytest.mark.parametrize("name", PLANTED)
def test_planted_leaks_are_all_found(shared: Path, home: Path, name: str) -> None:
    """Every question of real benchmarks is found again, whichever word was changed.

    But for yes/no questions of under 8 words, which a changed word makes another question: only equal words.
    """
    rows = Catalog.load().examples(name, Place(home, shared, home / "lock")).examples
    index = Leaks(rows)
    lost = [
        copy.question
        for example in rows[:: max(len(rows) // 150, 1)]
        for copy in changed(example, 8)
        if not {option.casefold() for option in example.options} <= YES_NO
        or copy.question == example.question
        or max(len(words(copy.question)), len(words(example.question))) >= 8
        if example.id not in {leak.test for leak in index.hits(copy)}
    ]
    assert lost == []


def test_different_benchmarks_share_nothing_but_what_they_do(shared: Path, home: Path) -> None:
    """No question of one real benchmark is taken for one of another that has other questions."""
    catalog, place = Catalog.load(), Place(home, shared, home / "lock")
    rows = {name: catalog.examples(name, place).examples for name in PLANTED}
    of = {example.id: name for name, examples in rows.items() for example in examples}
    index = Leaks(example for examples in rows.values() for example in examples)
    assert len(of) == sum(map(len, rows.values())) > 8000
    pairs = [
        (example.id, leak.test)
        for name, examples in rows.items()
        for example in examples
        for leak in index.hits(example)
        if of[leak.test] != name
    ]
    assert pairs == []


def jpeg(picture: Any, quality: int = 60) -> Any:
    """A picture after JPEG."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def half(picture: Any) -> Any:
    """A picture at half its size."""
    return picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.LANCZOS)


def cropped(*shares: float) -> Callable[[Any], Any]:
    """What takes shares off left, top, right and bottom."""
    left, top, right, bottom = shares

    def crop(picture: Any) -> Any:
        width, height = picture.size
        box = (width * left, height * top, width * (1 - right), height * (1 - bottom))
        return picture.crop(tuple(map(round, box)))

    return crop


COPIES = {
    "JPEG 60": jpeg,
    "half": half,
    "2 % off all sides": cropped(0.02, 0.02, 0.02, 0.02),
    "5 % off all sides": cropped(0.05, 0.05, 0.05, 0.05),
    "5 % off the left": cropped(0.05, 0, 0, 0),
    "5 % off the bottom": cropped(0, 0, 0, 0.05),
    "5 % off two sides": cropped(0.05, 0.05, 0, 0),
    "all of it": lambda picture: jpeg(half(cropped(0.05, 0.02, 0.03, 0.04)(picture))),
}


def radiographs(shared: Path) -> list[tuple[str, Any]]:
    """VQA-RAD's images."""
    paths = sorted((shared / "vqa_rad/images").glob("*.jpg"))
    return [(path.name, Image.open(path).convert("RGB")) for path in paths]


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_copies_of_real_images_are_found(shared: Path) -> None:
    """At least 95 of 100 copies of VQA-RAD's images of each kind; at most 1 in 1000 pairs of its 315.

    The pairs there are: two slices of one CT series, and two heads.
    """
    originals: list[Print] = []
    copies: dict[str, list[Print]] = {kind: [] for kind in COPIES}
    for name, picture in radiographs(shared):
        originals.append(print_of(name, picture))
        for kind, change in COPIES.items() if len(originals) % 3 == 1 else ():
            copies[kind].append(print_of(name, change(picture)))
    assert len(originals) == 315
    pairs = {tuple(sorted((p.image, p.test))) for p in alike(originals, originals, str) if p.image != p.test}
    assert len(pairs) <= 0.001 * 315 * 314 / 2
    for kind, prints_of_kind in copies.items():
        pairs_found = alike(prints_of_kind, originals, str)
        found = {pair.image for pair in pairs_found if pair.image == pair.test}
        assert len(found) >= 0.95 * 105, kind
        assert len(pairs_found) - len(found) <= 0.001 * 105 * 314, kind


def test_equal_pixels_are_told_from_looks() -> None:
    """A copy of equal pixels is said to be one, even of a picture without contrast; others are none."""
    picture = Image.effect_mandelbrot((96, 64), (-2, -1, 1, 1), 60).convert("RGB")
    plain = Image.new("RGB", (50, 50), "black")
    dotted, touched = plain.copy(), picture.copy()
    dotted.putpixel((7, 7), (1, 1, 1))
    touched.putpixel((7, 7), (1, 1, 1))
    shown = {"scan": picture, "black": plain, "copy": picture, "smaller": half(picture), "dark": plain}
    shown |= {"grey": Image.new("RGB", (50, 50), (9, 9, 9)), "dotted": dotted, "touched": touched}

    def pixels(name: str) -> str:
        return pixel_hash(shown[name])

    tests = [print_of(name, shown.pop(name)) for name in ("scan", "black")]
    training = [print_of(name, image) for name, image in shown.items()]
    shown |= {"scan": picture, "black": plain}
    found = {(pair.image, pair.test, pair.how) for pair in alike(training, tests, pixels)}
    assert found == {
        ("copy", "scan", "pixels"),
        ("smaller", "scan", "look-alike"),
        ("touched", "scan", "look-alike"),
        ("dark", "black", "pixels"),
    }
    assert alike([], tests, pixels) == alike(training, [], pixels) == []


def test_an_image_is_decoded_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second look reads what the first wrote, past a torn line; only the new one is decoded."""
    images = Store(home / "images")
    names = [images.put(sights.png(number)).sha256 for number in range(3)]
    first = prints(images, names[:2])
    with (images.folder / looks.CACHE).open("ab") as stream:
        stream.write(b'{"sha256": "' + names[2].encode())
    decoded = []
    monkeypatch.setattr(
        Store,
        "picture",
        lambda self, name, _real=Store.picture: decoded.append(name) or _real(self, name),
    )
    assert prints(images, names[:2]) == first
    assert decoded == []
    assert list(prints(images, names)) == names
    assert prints(images, names)[names[2]].grey != first[names[0]].grey
    assert decoded == names[2:]


def test_missing_and_damaged_images_are_named(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An image that is gone or was overwritten has no print, and a warning says which."""
    images = Store(home / "images")
    names = [images.put(sights.png(number)).sha256 for number in range(3)]
    images.path(names[0]).unlink()
    images.path(names[1]).write_bytes(b"something else")
    with caplog.at_level(logging.WARNING):
        assert list(prints(images, names)) == names[2:]
    assert names[0][:12] in caplog.text
    assert names[1][:12] in caplog.text


def made(tmp_path: Path, n: int = 6, images: int = 6) -> tuple[Catalog, Place]:
    """A catalog with a benchmark on small pictures, and where its files are."""
    path = sights.catalog(tmp_path, n, images)
    place = Place(tmp_path / "home", tmp_path / "mirror", tmp_path / "lock")
    return Catalog.load([path]), place


def dataset(place: Place, rows: list[Example]) -> None:
    """A dataset `mine` of some rows."""
    tables = {"rows": frame(rows)}
    store.publish(place.home, "mine", tables=tables, card="", identity={"of": [row.id for row in rows]})


def resized(number: int) -> bytes:
    """Picture `number` of the benchmark, larger and as JPEG."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(sights.png(number))).resize((48, 48)).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def told(
    capsys: pytest.CaptureFixture[str],
    code: int,
    name: str,
    where: tuple[Catalog, Place],
    json_out: bool = False,
    out: Path | None = None,
) -> str:
    """What `medbench check leaks NAME` prints on stdout, leaving with `code`."""
    left = 0
    try:
        leaks.of([name], json_out, out, *where)
    except typer.Exit as end:
        left = end.exit_code
    assert left == code
    return capsys.readouterr().out


def test_the_report_on_a_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table, JSON and a file tell the same pairs; it leaves with 1, and says what it could not look at."""
    catalog, place = made(tmp_path)
    bad = place.images.put(resized(3)).sha256
    good = place.images.put(mandelbrot()).sha256
    vitamin = "Lack of which vitamin causes scurvy in sailors on long voyages?"
    rows = [
        asked("What is it?", images=(bad,), name="mine/1"),
        asked("And what is this?", images=(good,), name="mine/2"),
        asked(vitamin, "A", "B", "C", "D", name="mine/3"),
    ]
    dataset(place, rows)
    where = (catalog, place)
    found = json.loads(told(capsys, 1, "mine", where, True, tmp_path / "all.parquet"))
    assert (found["items"], found["leaking"]) == (3, 1)
    assert {(pair["example"], pair["how"], pair["image"]) for pair in found["pairs"]} == {
        ("mine/1", "look-alike", bad)
    }
    assert found["against"]["seen"]["questions"] == 6
    assert "not in the mirror" in found["absent"]["medqa"]
    assert pl.read_parquet(tmp_path / "all.parquet").to_dicts() == found["pairs"]
    text = told(capsys, 1, "mine@1", where)
    assert "1 of 3 training items" in text
    assert "seen/" in text
    assert "Question 3" not in text


def mandelbrot() -> bytes:
    """A picture that is none of the benchmark's."""
    buffer = io.BytesIO()
    Image.effect_mandelbrot((96, 64), (-2, -1, 1, 1), 60).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_clean_dataset_leaves_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing found is said plainly; an unknown kind of file is refused before anything is read."""
    catalog, place = made(tmp_path)
    dataset(place, [asked("What is it?", images=(place.images.put(mandelbrot()).sha256,), name="mine/1")])
    where = (catalog, place)
    assert "0 of 1 training items" in told(capsys, 0, "mine", where)
    empty = json.loads(told(capsys, 0, "mine", where, True, tmp_path / "none.jsonl"))
    assert empty["pairs"] == []
    with pytest.raises(UsageError, match=r"\.parquet or \.jsonl"):
        leaks.of(["mine"], False, tmp_path / "pairs.csv", *where)
    with pytest.raises(UsageError, match="one dataset"):
        leaks.of([], False, None, *where)


def test_a_source_split_is_held_against_the_tests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A benchmark's own split leaks all of it; a trainable split is not a test of itself."""
    catalog, place = made(tmp_path)
    where = (catalog, place)
    found = json.loads(told(capsys, 1, "seen:test", where, True))
    same = {(pair["example"], pair["test"]) for pair in found["pairs"] if pair["how"] == "pixels"}
    assert (found["leaking"], same) == (6, {(f"seen/{i}", f"seen/{i}") for i in range(6)})
    found = json.loads(told(capsys, 0, "starter:train", where, True))
    assert "starter-train" not in found["against"]
    assert "starter-heldout" in found["against"]


def test_without_a_mirror_nothing_is_fetched(tmp_path: Path) -> None:
    """Only what was fetched or is packaged is looked at; the rest is named. No test can reach the network."""
    catalog, place = made(tmp_path)
    found = contamination.tests(catalog, replace(place, mirror=None))
    assert set(found.examples) == {"starter-train", "starter-heldout", "starter-extra"}
    assert "has not been fetched" in found.absent["medqa"]
    assert len(found.notes) == 2
    assert str(tmp_path) not in " ".join(found.notes)


def test_a_required_benchmark_must_be_here(tmp_path: Path) -> None:
    """It says which is lacking and how to do without; a suite stands for its benchmarks."""
    catalog, place = made(tmp_path)
    with pytest.raises(SourceError, match="decontamination needs medqa") as caught:
        contamination.tests(catalog, place, ["seen", "medqa"])
    assert "--set 'against=[seen]'" in caught.value.fix
    found = contamination.tests(catalog, place, ["seen-two"], also_here=False)
    assert {name: len(rows) for name, rows in found.examples.items()} == {"seen": 6}


def test_images_that_were_taken_in_are_known_again(tmp_path: Path) -> None:
    """Without a mirror the images are those that the journal names and the store has; others are counted."""
    catalog, place = made(tmp_path)
    known = catalog.examples("seen", place)
    place.images.path(known.examples[0].images[0]).unlink()
    bare = catalog.examples("seen", place, pictures=False)
    found, lacking = contamination.from_journal("seen", bare, place)
    assert lacking == "1 of 6 images were not taken in yet"
    assert [e.images for e in found.examples[1:]] == [e.images for e in known.examples[1:]]
    assert list(contamination.Tests({"seen": found.examples}, {}).shown) == [
        e.images[0] for e in known.examples[1:]
    ]


def test_rows_are_dropped_with_the_test_they_leak(tmp_path: Path) -> None:
    """The first step takes images, the second words; each names the test question."""
    catalog, place = made(tmp_path)
    tests = contamination.tests(catalog, place, also_here=True)
    starter = tests.examples["starter-heldout"][0]
    bad = place.images.put(resized(2)).sha256
    rows = [
        asked("What is it?", images=(bad,), name="1"),
        replace(starter, id="2"),
        asked("Other?", "a", "b", name="3"),
    ]
    table = contamination.drop_images(steps.begin(rows, []), rows, tests, place.images)
    table = contamination.drop_words(table, rows, tests)
    lost = {row["id"]: (row["dropped_by"], row["detail"]) for row in table.iter_rows(named=True)}
    assert lost["1"][0] == "shows a test image"
    assert lost["1"][1].startswith("seen/")
    assert lost["2"] == ("leaks a test question", f"{starter.id} (equal 1.000)")
    assert lost["3"] == (None, None)


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_vqa_rad_trains_on_its_own_test_images(shared: Path, home: Path) -> None:
    """VQA-RAD's training file shows all 203 images of its test questions; a rerun finds the same."""
    catalog, place = Catalog.load(), Place(home, shared, home / "lock")
    rows = catalog.training_rows("vqa-rad", "train", place).examples
    found = contamination.tests(catalog, place, ["vqa-rad"], also_here=False)
    assert len(found.shown) == 203
    pairs = contamination.find(rows, found, place.images)
    same = pairs.filter(pl.col("how") == "pixels")
    assert same["image"].n_unique() == 203
    assert same["test"].n_unique() == 451
    again = contamination.tests(catalog, place, ["vqa-rad"], also_here=False)
    assert contamination.find(rows, again, place.images).equals(pairs)


def test_a_required_benchmark_is_read_with_its_images(shared: Path, home: Path) -> None:
    """Where a variant on the same split could do with words alone, the one that is required cannot."""
    place = Place(home, shared, home / "medbench.lock")
    with pytest.raises(SourceError, match=r"decontamination needs slake-en: .*images") as caught:
        contamination.tests(Catalog.load(), place, ["rarl-unseen"])
    assert "against=[vqa-rad,vqa-med-2019,path-vqa]" in caught.value.fix
