"""The catalog's rows hold together, and a benchmark is exactly the questions its row says."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medbench import adapters, prompts
from medbench.adapters.orders import lettered, reordered
from medbench.catalog import Catalog, Place
from medbench.errors import SourceError, UsageError
from medbench.schema import LETTERS, Example
from medbench.sources import raw_rows

CATALOG = Catalog.load()
MIRROR = Path(__file__).parents[1].parent / "shared" / "data"
real = pytest.mark.skipif(not MIRROR.is_dir(), reason="needs the real data beside the checkout")


@pytest.fixture
def mirror(tmp_path: Path) -> Place:
    """The real data as a mirror."""
    return Place.of(tmp_path, MIRROR)


def test_every_row_leads_somewhere() -> None:
    """Every adapter, prompt and citation that a packaged row names exists."""
    for source in CATALOG.sources.values():
        for ref in {source.adapter, *(original.adapter for original in source.original.values())} - {""}:
            adapters.resolve(ref)
        assert source.license
    for row in CATALOG.benchmarks.values():
        assert row.prompt in prompts.load()
        assert row.cite or CATALOG.source(row.source).cite
    unsized = {name for name, row in CATALOG.benchmarks.items() if not row.size}
    assert unsized == {"pmc-vqa-v1", "gmai-mmbench-val", "m3d-vqa", "m3d-vqa-5k"}


def test_suites_are_the_ones_of_the_papers() -> None:
    """The suites hold the benchmarks they are known for, and these the sizes they are known by."""
    sizes = {
        name: [CATALOG.benchmark(row).size for row in CATALOG.suite(name)]
        for name in ("qa6", "mirage5", "medxpert", "vqa8", "zhu-pmc7k")
    }
    assert sizes == {
        "qa6": [1273, 4183, 1000, 1535, 78 * 5, 2450],
        "mirage5": [1273, 4183, 500, 618, 1089],
        "medxpert": [2450, 2000],
        "vqa8": [451, 1061, 6719, 2000, 88996, 2000, 150, 500],
        "zhu-pmc7k": [7000],
    }


def test_permission_to_train_is_not_inherited(tmp_path: Path) -> None:
    """A row made from a training set is a benchmark until it says itself that it may be trained on."""
    text = "benchmarks: {a: {like: starter-train}, b: {like: starter-train, trainable: true}}"
    rows = Catalog.load([own(tmp_path, text)]).benchmarks
    assert {name for name, row in rows.items() if row.trainable} == {"starter-train", "b"}


def test_gated_rows_are_marked() -> None:
    """GPQA is known as gated and not to be passed on."""
    assert CATALOG.source("gpqa").gated and not CATALOG.source("gpqa").redistribute


@pytest.mark.parametrize(
    ("lookup", "near"),
    [
        (lambda: CATALOG.benchmark("medqqa"), "medqa"),
        (lambda: CATALOG.suite("medxprt"), "medxpert"),
        (lambda: CATALOG.source("medmqa"), "medmcqa"),
        (lambda: CATALOG.dataset("alphamed19k"), "alphamed-19k"),
    ],
)
def test_an_unknown_name_offers_the_nearest(lookup: Callable[[], object], near: str) -> None:
    """A misspelt name is a usage error with the right one in it."""
    with pytest.raises(UsageError) as caught:
        lookup()
    assert near in caught.value.fix


# --------------------------------------------------------------------------------- a user's own rows


def own(folder: Path, text: str) -> Path:
    """A user's catalog file."""
    (path := folder / "own.yaml").write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("benchmarks: {medqa: {like: medqa}}", "already has a row 'medqa'"),
        ("benchmarks: {a: {like: b}, b: {like: a}}", "like itself"),
        ("benchmarks: {a: {like: a}}", "like itself"),
        ("benchmarks: {a: {like: medqqa}}", "no benchmark named 'medqqa'"),
        ("benchmarks: {a: {like: medqa, sise: 3}}", "no key named 'sise'"),
        ("benchmarks: {a: {like: medqa, size: many}}", "'size'"),
        ("benchmarks: {a: {source: nowhere, split: test}}", "no source named 'nowhere'"),
        ("benchmarks: {../a: {like: medqa}}", "letters, digits"),
        ("suites: {a: {title: t, benchmarks: [medqqa]}}", "no benchmark named 'medqqa'"),
        ("benchmark: {}", "no table named 'benchmark'"),
        ("benchmarks: [medqa]", "must map names to rows"),
        ("benchmarks: {a: 1}", "must map names to rows"),
    ],
)
def test_a_bad_row_is_a_usage_error(tmp_path: Path, text: str, told: str) -> None:
    """What is wrong with a user's catalog is said before anything is read."""
    with pytest.raises(UsageError) as caught:
        Catalog.load([own(tmp_path, text)])
    assert told in caught.value.what


def line(number: int, **changes: Any) -> str:
    """A row in MedXpertQA's columns, as JSON."""
    row = {
        "id": f"q{number}",
        "question": f"Question {number}?",
        "options": {"A": "yes", "B": "no", "C": "maybe"},
        "label": "ABC"[number % 3],
        "body_system": ["Nervous", "Skin"][number % 2],
    }
    return json.dumps({**row, **changes})


def load(folder: Path, lines: list[str], benchmark: str) -> list[Example]:
    """The examples of a benchmark on a user's own file."""
    (folder / "mirror").mkdir()
    (folder / "mirror/mine.jsonl").write_text("\n".join(lines))
    text = f"""
sources:
  mine:
    title: Mine
    license: CC0
    original:
      test: {{files: {{mine.jsonl: ~}}, format: jsonl, adapter: "qa:medxpertqa"}}
benchmarks:
  mine: {{source: mine, split: test, {benchmark}}}
"""
    catalog = Catalog.load([own(folder, text)])
    return catalog.examples("mine", Place.of(folder / "home", folder / "mirror")).examples


def test_where_keeps_the_rows_with_the_tags(tmp_path: Path) -> None:
    """A filter compares tags with one value or several."""
    examples = load(tmp_path, [line(n) for n in range(6)], "where: {body_system: [Skin, Bone], kind: mcq}")
    assert [example.id for example in examples] == ["mine/q1", "mine/q3", "mine/q5"]


def test_a_wrong_count_names_both_numbers(tmp_path: Path) -> None:
    """A benchmark that does not come out at its size is refused, drops and reasons told."""
    with pytest.raises(
        SourceError, match=r"99 rows result, the catalog says 100 \(1 dropped: no gold \(1\)\)"
    ):
        load(tmp_path, [*(line(n) for n in range(99)), line(99, label=None)], "size: 100")


def test_a_few_bad_rows_are_dropped(tmp_path: Path) -> None:
    """Two bad rows in a hundred are left out."""
    bad = [line(0), line(98, label="D")]
    assert len(load(tmp_path, [*(line(n) for n in range(98)), *bad], "size: 98")) == 98


def test_many_bad_rows_refuse_the_split(tmp_path: Path) -> None:
    """Three in a hundred are taken for a wrong layout, and counted by reason."""
    bad = [line(0), line(1), "{"]
    with pytest.raises(SourceError, match=r"3 of 100 rows .*duplicate id \(2\), not JSON"):
        load(tmp_path, [*(line(n) for n in range(97)), *bad], "notes: none")


def test_an_empty_file_is_refused_by_size(tmp_path: Path) -> None:
    """No rows at all is a wrong count, not a benchmark of nothing."""
    with pytest.raises(SourceError, match="0 rows result"):
        load(tmp_path, [], "size: 3")


# -------------------------------------------------------------------------------------- option orders


def question(options: int = 4) -> Example:
    """A question whose right answer is "option 2"."""
    return Example("s/1", "mcq", "Which?", ("C",), tuple(f"option {n}" for n in range(options)))


def right(example: Example) -> list[str]:
    """The text of the gold."""
    return [example.options[LETTERS.index(letter)] for letter in example.gold]


def test_option_orders_keep_the_answer_and_never_repeat() -> None:
    """Five orders of a question differ from each other and the source; the gold moves along."""
    orders = reordered(question(), 5, seed=0)
    assert len({order.options for order in orders} | {question().options}) == 6
    assert [right(order) for order in orders] == [["option 2"]] * 5
    assert [order.id for order in orders] == [f"s/1#{n}" for n in range(1, 6)]
    assert {order.cluster for order in orders} == {"s/1"}
    assert reordered(question(), 5, seed=0) == orders != reordered(question(), 5, seed=1)


def test_one_other_order_keeps_id_and_cluster() -> None:
    """A single other order is the same question under the same id."""
    [order] = reordered(replace(question(), cluster="fact"), 1, seed=0)
    assert (order.id, order.cluster, right(order)) == ("s/1", "fact", ["option 2"])
    assert order.options != question().options


def test_too_few_options_for_the_orders_is_an_error() -> None:
    """Two options have one other order, so five are refused."""
    with pytest.raises(UsageError, match="too few options"):
        reordered(replace(question(2), gold=("A",)), 5, seed=0)


def test_gold_positions_are_even_over_many_questions() -> None:
    """Shuffling favours no letter: over 2,000 questions each gets a quarter, give or take."""
    golds = Counter(
        order.gold[0] for n in range(400) for order in reordered(replace(question(), id=f"s/{n}"), 5, seed=0)
    )
    assert all(430 < golds[letter] < 570 for letter in "ABCD"), golds


@pytest.mark.parametrize(
    "options",
    [
        ("iron", "zinc", "tin", "A and C"),
        ("iron", "zinc", "tin", "Both (A) & (C)"),
        ("iron", "zinc", "tin", "Neither a nor b."),
        ("iron", "zinc", "tin", "All except B"),
        ("iron", "zinc", "tin", "Option C, if taken early"),
        ("A,C", "B,D", "A,B,C", "all of the above"),
        ("b,c true", "a false", "a,b,c true d false", "All true"),
        ("B>A>D>C", "A>B>C>D", "C>A>B>D", "D>A>B>C"),
        ("ac", "bd", "ab", "cd"),
        ("A", "B", "C", "D"),
        ("a) iron", "b) zinc", "c) tin", "d) None of the above"),
    ],
)
def test_options_that_name_letters_stay_in_order(options: tuple[str, ...]) -> None:
    """In another order "A and C" would mean other options, so such a question keeps the source's."""
    example = Example("s/1", "mcq", "Which?", ("D",), options)
    assert lettered(example)
    assert reordered(example, 1, seed=0) == [example]
    turns = reordered(example, 3, seed=0)
    assert [(turn.options, turn.gold) for turn in turns] == [(options, ("D",))] * 3
    assert len({turn.id for turn in turns}) == 3


@pytest.mark.parametrize(
    "options",
    [
        ("Vitamin A", "Vitamin B", "Vitamin C", "Vitamin E & D"),
        ("Hepatitis A", "Hepatitis B", "Hepatitis B and C", "None of the above"),
        ("Apo B100 and Apo E", "All of the above", "E. coli", "B. fragilis"),
        ("A few minutes", "A child with shock", "C-reactive protein", "25°C"),
        ("ACA", "MCA", "PCA", "ICA"),
        ("AA", "A b", "b- 2 microglobulin", "Transthyretin"),
        ("1 and 3", "I and II", "Both of the above", "None"),
        ("Both A and R are true", "A is the explanation of R", "A beta", "B cell"),
        ("Point A", "Blood groups A. B. ABO", "B/L otitis media", "d. IVC filter"),
        ("yes", "no", "maybe", "It may answer a question"),
    ],
)
def test_letters_in_names_are_not_taken_for_options(options: tuple[str, ...]) -> None:
    """A letter that belongs to a name, an article or a number does not hold a question back."""
    example = Example("s/1", "mcq", "Which?", ("D",), options)
    assert not lettered(example)
    assert right(reordered(example, 1, seed=0)[0]) == [options[3]]
    assert reordered(example, 1, seed=0)[0].options != options


# ------------------------------------------------------------------------------- the starter questions


def test_starter_sets_come_with_the_package(tmp_path: Path) -> None:
    """The starter benchmarks need no mirror and no network; reordered ones keep their right answers."""
    place = Place.of(tmp_path, tmp_path / "no-mirror")
    sets = {name: CATALOG.examples(name, place).examples for name in CATALOG.suite("starter")}
    train = {example.id: example for example in sets["starter-train"]}
    for example in sets["starter-reordered"]:
        assert right(example) == right(train[example.id])
        assert example.options != train[example.id].options
    facts = {example.cluster for example in sets["starter-train"]}
    assert {example.cluster for example in sets["starter-heldout"]} == facts
    assert not {example.cluster for example in sets["starter-extra"]} & facts


# ------------------------------------------------------------------------------------------ real data

REAL = {
    "medqa": ("mcq", {4}),
    "medmcqa": ("mcq", {4}),
    "pubmedqa": ("mcq", {3}),
    "pubmedqa-noabstract": ("mcq", {3}),
    "pubmedqa-500": ("mcq", {3}),
    "pubmedqa-500-noabstract": ("mcq", {3}),
    "mmlu-pro-health": ("mcq", {3, 4, 5, 6, 7, 8, 9, 10}),
    "medxpertqa-text-sample": ("mcq", {10}),
    "mmlu-med": ("mcq", {4}),
    "mirage-medqa": ("mcq", {4}),
    "mirage-medmcqa": ("mcq", {4}),
    "mirage-pubmedqa": ("mcq", {3}),
    "mirage-bioasq": ("mcq", {2}),
    "mirage-mmlu": ("mcq", {4}),
}


@real
@pytest.mark.parametrize("name", REAL)
def test_real_sets_are_whole(name: str, mirror: Place) -> None:
    """Each real set gives every row, without a drop, in its kind and with its numbers of options."""
    loaded = CATALOG.examples(name, mirror)
    assert len(loaded.examples) == CATALOG.benchmark(name).size
    assert loaded.dropped == []
    kinds = {example.kind for example in loaded.examples}
    assert (kinds, {len(example.options) for example in loaded.examples}) == ({REAL[name][0]}, REAL[name][1])
    shown = {example.context is not None for example in loaded.examples}
    assert shown == {name in ("pubmedqa", "pubmedqa-500")}
    assert not [example.id for example in loaded.examples if "Answer Choices" in example.question]


@real
def test_real_golds_are_as_published(mirror: Place) -> None:
    """Label counts equal the published ones."""
    counts = {
        name: Counter(example.gold[0] for example in CATALOG.examples(name, mirror).examples)
        for name in ("medmcqa", "pubmedqa", "mirage-pubmedqa", "mirage-bioasq")
    }
    assert counts == {
        "medmcqa": {"A": 1348, "B": 1085, "C": 925, "D": 825},
        "pubmedqa": {"A": 552, "B": 338, "C": 110},
        "mirage-pubmedqa": {"A": 276, "B": 169, "C": 55},
        "mirage-bioasq": {"A": 395, "B": 223},
    }


@real
def test_real_medmcqa_with_the_wrong_base_is_refused(mirror: Place) -> None:
    """The original file counts from 1; read as the Hub's it is refused, though most rows would pass."""
    fetched = raw_rows("medmcqa", CATALOG.source("medmcqa"), "validation", mirror)
    with pytest.raises(SourceError, match="cop counts from 1 to 4"):
        adapters.adapt(fetched.rows, adapters.resolve(fetched.adapter, base=0))


@real
@pytest.mark.parametrize(
    ("single", "member"),
    [
        ("medqa", "mirage-medqa"),
        ("medmcqa", "mirage-medmcqa"),
        ("pubmedqa-500", "mirage-pubmedqa"),
        ("mmlu-med", "mirage-mmlu"),
    ],
)
def test_mirage_agrees_with_the_single_sets(single: str, member: str, mirror: Place) -> None:
    """Two files of the same questions give the same question, options and gold for every id."""

    def content(name: str) -> dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]]:
        return {
            example.id.rpartition("/")[2].removeprefix("test-"): (
                example.question,
                example.options,
                example.gold,
            )
            for example in CATALOG.examples(name, mirror).examples
        }

    assert content(single) == content(member)


@real
def test_real_defects_are_listed_and_kept(mirror: Place) -> None:
    """MedMCQA keeps its 21 questions with a doubled option; they are listed by name."""
    examples = CATALOG.examples("medmcqa", mirror).examples
    found = Counter(defect for example in examples for defect in adapters.defects(example))
    assert found == {"duplicated options": 21, "gold text duplicated at another letter": 4}


@real
def test_real_options_that_name_letters_are_few(mirror: Place) -> None:
    """Of 4,183 questions of MedMCQA 27 keep their order, and 2 of MedQA's 1,273."""
    held = {
        name: [e for e in CATALOG.examples(name, mirror).examples if lettered(e)]
        for name in ("medmcqa", "medqa")
    }
    assert {name: len(rows) for name, rows in held.items()} == {"medmcqa": 27, "medqa": 2}
    assert any("Both (A) & (C)" in example.options for example in held["medmcqa"])


@real
def test_a_partial_mirror_says_what_it_lacks(mirror: Place) -> None:
    """The mirror's MMLU-Pro holds health only, and the error says so."""
    with pytest.raises(SourceError, match="818 rows result, the catalog says 1,535") as caught:
        CATALOG.examples("mmlu-prom", mirror)
    assert "only the category health" in caught.value.fix


@real
def test_training_rows_are_every_usable_row(mirror: Place) -> None:
    """Builders get a whole split, whichever it is."""
    loaded = CATALOG.training_rows("medmcqa", "validation", mirror)
    assert len(loaded.examples) == 4183
    with pytest.raises(SourceError, match="train") as caught:
        CATALOG.training_rows("medmcqa", "train", mirror)
    assert "medmcqa/train.json" in caught.value.fix


# ------------------------------------------------------------------------------------ rows that cannot be


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("benchmarks: {x: {like: [medqa]}}", "no benchmark named"),
        ("benchmarks: {1: {like: medqa}}", "must be text"),
        ("benchmarks: {x: {like: medqa, repeats: 0}}", "repeats"),
        ("suites: {medqa: {title: t, benchmarks: [medmcqa]}}", "another name"),
        ("suites: {none: {title: t, benchmarks: []}}", "is empty"),
    ],
)
def test_rows_that_cannot_be_are_refused(tmp_path: Path, row: str, says: str) -> None:
    """A catalog of one's own with a slip in it is a usage error, never a traceback."""
    path = tmp_path / "mine.yaml"
    path.write_text(row)
    with pytest.raises(UsageError) as caught:
        Catalog.load([path])
    assert says in f"{caught.value.what} {caught.value.fix}"
