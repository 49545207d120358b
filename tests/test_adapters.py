"""Raw rows become the Examples the golden files say, and bad rows are named, never absorbed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from medbench import adapters
from medbench.adapters import Adapter, BadRow, Drop
from medbench.errors import SourceError, UsageError
from medbench.schema import Example
from medbench.sources import Malformed

GOLDEN = Path(__file__).parent / "golden"
LINES = [
    pytest.param(json.loads(line), id=f"{path.stem}-{number}")
    for path in sorted(GOLDEN.glob("*.jsonl"))
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines())
]


def expected(fields: Mapping[str, Any]) -> Example:
    """The Example a golden line spells out."""
    return Example(**{**fields, "gold": tuple(fields["gold"]), "options": tuple(fields["options"])})


@pytest.mark.parametrize("line", LINES)
def test_golden_row(line: dict[str, Any]) -> None:
    """Each golden raw row gives exactly its Example, or exactly its reason."""
    adapter = adapters.resolve(line["adapter"], **line.get("args", {}))
    if "bad" in line:
        with pytest.raises(BadRow) as caught:
            adapters.one(line["raw"], adapter)
        assert caught.value.reason == line["bad"]
    else:
        assert adapter(line["raw"]) == expected(line["example"])


def test_every_adapter_has_golden_rows() -> None:
    """No adapter of the package goes without a golden row."""
    from medbench.adapters import qa

    helpers = {"medmcqa_whole", "decision", "expert"}
    named = {f"qa:{name}" for name in adapters.public(qa) if name not in helpers}
    good = {line.values[0]["adapter"] for line in LINES if "example" in line.values[0]}
    assert named == good


def medmcqa_rows(labels: str) -> list[dict[str, Any]]:
    """MedMCQA rows with these labels."""
    options = {"opa": "one", "opb": "two", "opc": "three", "opd": "four"}
    return [
        {"id": f"row{number}", "question": "Which?", "cop": int(label), **options}
        for number, label in enumerate(labels)
    ]


@pytest.mark.parametrize(("labels", "base"), [("0123", 0), ("1234", 1), ("33221100", 0)])
def test_the_right_base_is_accepted(labels: str, base: int) -> None:
    """A split that runs over exactly base … base+3 is read, letter by letter."""
    examples, drops = adapters.adapt(medmcqa_rows(labels), adapters.resolve("qa:medmcqa", base=base))
    assert [example.gold for example in examples] == [("ABCD"[int(label) - base],) for label in labels]
    assert drops == []


@pytest.mark.parametrize(
    ("labels", "base"), [("0123", 1), ("1234", 0), ("12340", 1), ("01234", 0), ("123", 1), ("12", 0), ("", 0)]
)
def test_a_wrong_base_is_refused(labels: str, base: int) -> None:
    """A split that could be counted from elsewhere is refused, even by one stray label."""
    with pytest.raises(SourceError, match="cop counts from"):
        adapters.adapt(medmcqa_rows(labels), adapters.resolve("qa:medmcqa", base=base))


def test_hidden_labels_are_explained() -> None:
    """A split whose labels are all -1 is refused with the reason; single ones are dropped."""
    rows = medmcqa_rows("0123")
    adapter = adapters.resolve("qa:medmcqa")
    with pytest.raises(SourceError, match="hidden") as caught:
        adapters.adapt([{**row, "cop": -1} for row in rows], adapter)
    assert "validation" in caught.value.fix
    examples, drops = adapters.adapt([*rows, {**rows[0], "id": "x", "cop": -1}], adapter)
    assert (len(examples), [drop.reason for drop in drops]) == (4, ["the label is hidden (cop -1)"])


def test_drops_are_counted_with_reasons() -> None:
    """Duplicate ids, unreadable rows and foreign layouts are dropped one by one; the rest stays."""
    row = {"pubid": 7, "question": "Does it?", "context": {"contexts": ["Yes."]}, "final_decision": "yes"}
    rows = [row, row, Malformed("not UTF-8"), {"pubid": 8, "question": 3}, {**row, "pubid": 9}]
    examples, drops = adapters.adapt(rows, adapters.resolve("qa:pubmedqa"), source="pubmedqa", split="train")
    assert [example.id for example in examples] == ["pubmedqa/7", "pubmedqa/9"]
    assert {(example.source, example.split) for example in examples} == {("pubmedqa", "train")}
    assert drops == [
        Drop("pubmedqa/train row 1", "duplicate id"),
        Drop("pubmedqa/train row 2", "not UTF-8"),
        Drop("pubmedqa/train row 3", "no question"),
    ]


def test_a_reason_never_quotes_the_row() -> None:
    """What goes wrong inside an adapter is told by kind only, since rows may be gated."""

    def careless(raw: Mapping[str, Any]) -> Example:
        raise ValueError(f"secret: {raw}")

    _, drops = adapters.adapt([{"question": "hush"}], careless)
    assert [drop.reason for drop in drops] == ["not in the expected layout (ValueError)"]


def test_anyones_function_is_an_adapter() -> None:
    """`pkg.mod:fn` resolves outside the package."""
    assert isinstance(adapters.resolve("medbench.adapters.qa:medqa"), Adapter)


@pytest.mark.parametrize("ref", ["qa:medqqa", "qb:medqa", "medqa", "nowhere.at.all:medqa"])
def test_unknown_adapters_are_usage_errors(ref: str) -> None:
    """A name that leads nowhere is a usage error with a hint."""
    with pytest.raises(UsageError) as caught:
        adapters.resolve(ref)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("options", "gold", "found"),
    [
        (("a", "b", "c"), "A", []),
        (("a", "", "c"), "A", ["empty option"]),
        (("a", "b", "B "), "A", ["duplicated options"]),
        (("a", "b", "a"), "C", ["duplicated options", "gold text duplicated at another letter"]),
    ],
)
def test_defects(options: tuple[str, ...], gold: str, found: list[str]) -> None:
    """Defects of a kept question are listed by name."""
    assert adapters.defects(Example("x", "mcq", "Which?", (gold,), options)) == found
