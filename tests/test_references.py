"""Published figures: each stands under the right benchmark, with its protocol, and as it was printed."""

import re
from collections import defaultdict
from pathlib import Path

import pytest

from medbench import references
from medbench.config import parse
from medbench.errors import UsageError
from medbench.references import Protocol

FACTS = Path(__file__).parents[1].parent / "shared" / "facts"
needs_facts = pytest.mark.skipif(not FACTS.is_dir(), reason="the shared notes are not beside this checkout")

BENCHMARKS = {
    *("vqa-rad", "vqa-rad-closed", "vqa-rad-closed-label", "slake", "slake-en", "slake-en-closed"),
    *("path-vqa", "path-vqa-yesno", "pmc-vqa", "pmc-vqa-v2", "omnimedvqa", "medxpertqa-mm"),
    *("mmmu-med", "mmmu-med-valdev-mcq", "vqa-med-2019", "gmai-mmbench-val"),
    *("medqa", "medmcqa", "pubmedqa", "pubmedqa-500", "mmlu-med", "mmlu-prom", "mmlu-pro-health"),
    *("gpqa-m", "medxpertqa-text"),
}

ITEMS = {
    "vqa-rad": 451,
    "vqa-rad-closed": 251,
    "vqa-rad-closed-label": 272,
    "slake": 2094,
    "slake-en-closed": 416,
    "path-vqa": 6719,
    "path-vqa-yesno": 3362,
    "pmc-vqa": 2000,
    "pmc-vqa-v2": 33430,
    "medxpertqa-mm": 2000,
    "mmmu-med-valdev-mcq": 170,
    "medqa": 1273,
    "medmcqa": 4183,
    "pubmedqa": 1000,
    "pubmedqa-500": 500,
    "mmlu-prom": 1535,
    "mmlu-pro-health": 818,
    "gpqa-m": 390,
    "medxpertqa-text": 2450,
}

UNSPLIT = "MMMU Health & Medicine, split not stated"
MEAN = "mean of MedVLThinker's six sets"


def percents(protocol: str) -> dict[tuple[str, str], float]:
    """Model and benchmark to the figure as printed."""
    return {
        (figure.model, figure.benchmark): round(figure.value * 100, 4)
        for figure in references.every()
        if figure.protocol == protocol
    }


def is_share(percent: float, items: int, digits: int) -> bool:
    """Whether some whole number of right answers out of `items` is printed as `percent`, rounded or cut."""
    step = 10**-digits
    near = int(percent * items / 100)
    return any(-step / 2 - 1e-9 <= 100 * n / items - percent < step for n in (near - 1, near, near + 1))


def test_names_are_benchmarks_or_say_what_they_are() -> None:
    """What is no variant of a benchmark does not stand under its name."""
    for name, protocol in references.load().items():
        for measure, row in protocol.measures.items():
            assert (measure in BENCHMARKS) != (" " in measure), f"{name}: {measure}"
            assert row.near is None or (" " in measure and row.near in BENCHMARKS), f"{name}: {measure}"


def test_counts_are_those_of_the_benchmark() -> None:
    """A figure over another number of questions is not filed under the benchmark."""
    for name, protocol in references.load().items():
        for measure, row in protocol.measures.items():
            if measure in BENCHMARKS and row.items is not None:
                assert row.items == ITEMS[measure], f"{name}: {measure}"


def test_every_protocol_can_be_judged() -> None:
    """Source, wording, scoring and what was measured are there for each."""
    for protocol in references.load().values():
        for text in (protocol.title, protocol.source, protocol.prompt, protocol.scoring):
            assert text.strip()
        assert all(len(measure.what) > 8 for measure in protocol.measures.values())
        assert any(figure is not None for row in protocol.scores.values() for figure in row)


def test_values_are_shares() -> None:
    """Each figure lies between 0 and 1 and knows its protocol; no gap has become one."""
    for figure in references.every():
        assert 0 < figure.value < 1
        assert figure.protocol in references.load()
        assert figure.measured and figure.source
    assert not [f for f in references.of("medxpertqa-mm") if f.model == "BiomedGPT"]


@pytest.mark.parametrize(
    ("protocol", "model", "benchmark", "percent"),
    [
        ("medevalkit", "Lingshu-7B", UNSPLIT, 54.0),
        ("medevalkit", "Lingshu-7B", "vqa-rad", 67.9),
        ("medevalkit", "Lingshu-7B", "slake", 83.1),
        ("medevalkit", "Lingshu-7B", "path-vqa", 61.9),
        ("medevalkit", "Lingshu-7B", "pmc-vqa-v2", 56.3),
        ("medevalkit", "Lingshu-7B", "omnimedvqa", 82.9),
        ("medevalkit", "Lingshu-7B", "medxpertqa-mm", 26.7),
        ("medevalkit-text", "Lingshu-7B", "pubmedqa-500", 76.6),
        ("medevalkit-text", "Lingshu-7B", "medmcqa", 55.9),
        ("medevalkit-text", "Lingshu-7B", "medqa", 63.3),
        ("medevalkit-text", "Lingshu-7B", "medxpertqa-text", 16.5),
        ("hulu-med", "Hulu-Med-7B", "omnimedvqa", 84.2),
        ("hulu-med", "Hulu-Med-7B", "pmc-vqa-v2", 66.8),
        ("hulu-med", "Hulu-Med-7B", "vqa-rad", 78.0),
        ("hulu-med", "Hulu-Med-7B", UNSPLIT, 51.4),
        ("medvlthinker", "Qwen2.5-VL-7B", "pmc-vqa", 49.30),
        ("medvlthinker", "Qwen2.5-VL-7B", "path-vqa-yesno", 65.39),
        ("medvlthinker", "Qwen2.5-VL-7B", "vqa-rad-closed-label", 68.75),
        ("huatuogpt-vision", "HuatuoGPT-V-7B", "vqa-rad-closed", 63.7),
        ("huatuogpt-vision", "HuatuoGPT-V-7B", "slake-en-closed", 76.2),
        ("alphamed", "AlphaMed-8B", "mmlu-prom", 66.67),
        ("alphamed", "AlphaMed-8B", "medxpertqa-text", 22.14),
        ("adathink-med", "m1-7B", "medqa", 75.01),
        ("wingpt-3", "QwQ-32B", "medmcqa", 71.2),
    ],
)
def test_columns_are_in_place(protocol: str, model: str, benchmark: str, percent: float) -> None:
    """One row of each table, written out here by name."""
    (figure,) = [f for f in references.of(benchmark) if (f.protocol, f.model) == (protocol, model)]
    assert figure.value == pytest.approx(percent / 100)


def test_doubtful_figures_say_so() -> None:
    """The odd cell of one table and the cells without a copy to confirm them, and no others."""
    found = {(f.protocol, f.model, f.benchmark) for f in references.every() if f.doubtful}
    remembered = {
        ("alphamed", model, benchmark)
        for model in ("AlphaMed-8B", "AlphaMed-70B")
        for benchmark in ("medqa", "medmcqa", "pubmedqa", "gpqa-m")
    }
    assert found == remembered | {("medvlthinker", "Qwen2.5-VL-3B + RL on PMC-VQA", "slake-en-closed")}
    assert all(
        f.provenance == "secondary" for f in references.every() if f.doubtful and "memory" in f.doubtful
    )


def test_second_hand_figures_say_so() -> None:
    """What is known by way of someone else only is never marked as stated."""
    marks = defaultdict(set)
    for figure in references.every():
        marks[figure.protocol].add(figure.provenance)
    for name in ("rarl", "medcco", "zhu-2025", "answer-only-sft", "gmai-mmbench", "med-refl", "med-tiv"):
        assert marks[name] == {"secondary"}
    thinker = [f for f in references.every() if f.protocol == "medvlthinker"]
    assert all((f.provenance == "stated") == (" + " in f.model) for f in thinker)


def test_one_model_moves_by_twenty_points_between_protocols() -> None:
    """PathVQA with and without its open questions, and one set of questions under two prompts."""
    open_too = percents("medevalkit")["Qwen2.5-VL-7B", "path-vqa"]
    yes_no = percents("medvlthinker")["Qwen2.5-VL-7B", "path-vqa-yesno"]
    assert (open_too, yes_no) == (44.1, 65.39)
    assert 20 <= yes_no - open_too <= 22
    mm = {f.protocol: f.value for f in references.of("medxpertqa-mm") if f.model == "MedGemma-4B"}
    assert mm["hulu-med"] - mm["medvlthinker"] > 0.17


def test_variants_are_found_but_kept_apart() -> None:
    """Figures on another split of MMMU are near mmmu-med, not of it."""
    assert references.of("mmmu-med") == []
    names = {figure.benchmark for figure in references.near("mmmu-med")}
    assert names == {UNSPLIT, "MMMU Health & Medicine, test"}
    assert all(figure.benchmark != "omnimedvqa" for figure in references.near("omnimedvqa"))


def test_what_the_notes_say_of_whole_numbers_holds() -> None:
    """Counts can be told from the figures: these do, or do not, come from so many questions asked once."""
    kit, text, thinker = percents("medevalkit"), percents("medevalkit-text"), percents("medvlthinker")
    mmmu = [value for (_, name), value in kit.items() if name == UNSPLIT]
    assert sum(not is_share(value, 150, 1) for value in mmmu) > len(mmmu) / 2
    assert all(is_share(v, 500, 1) for (_, name), v in text.items() if name == "pubmedqa-500")
    cells = [(value, ITEMS[name]) for (_, name), value in thinker.items() if name in ITEMS]
    assert sum(not is_share(value, items, 2) for value, items in cells) > len(cells) / 2
    assert sum(is_share(value, 3 * items, 2) for value, items in cells) > 0.9 * len(cells)
    assert all(is_share(value, ITEMS[name], 2) for (_, name), value in percents("adathink-med").items())
    assert all(
        is_share(value, ITEMS[name], 1)
        for (_, name), value in percents("huatuogpt-vision").items()
        if name in ITEMS
    )
    gpqa = [v for (_, name), v in percents("alphamed").items() if name == "gpqa-m" and round(v, 1) == v]
    assert (len(gpqa), sum(not is_share(value, 390, 1) for value in gpqa)) == (5, 4)


def test_rows_taken_over_from_another_table_say_so() -> None:
    """Hulu-Med's rows that equal MedEvalKit's throughout are exactly those with the remark."""
    hulu, kit = percents("hulu-med"), percents("medevalkit")
    shared = {model for model, _ in hulu} & {model for model, _ in kit}
    equal = {m for m in shared if all(kit[key] == value for key, value in hulu.items() if key[0] == m)}
    (remark,) = references.load()["hulu-med"].remarks
    assert equal == set(remark.models)


GOOD = {
    "title": "t",
    "source": "s",
    "provenance": "stated",
    "prompt": "p",
    "scoring": "s",
    "measures": {"medqa": {"what": "four options"}},
    "scores": {"m": [50.0]},
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scores": {"m": [50.0, 1.0]}}, "m has 2 figures for 1 measures"),
        ({"scores": {"m": [101.0]}}, "less than or equal to 100"),
        ({"remarks": [{"models": ["n"]}]}, "a remark speaks of n"),
        ({"remarks": [{"measures": ["medmcqa"]}]}, "a remark speaks of medmcqa"),
        ({"sources": "s"}, "no key named 'sources'"),
    ],
)
def test_a_malformed_protocol_is_refused(change: dict[str, object], said: str) -> None:
    """A row of the wrong length would put figures under the wrong benchmark."""
    assert parse(Protocol, GOOD, "here").scores == {"m": (50.0,)}
    with pytest.raises(UsageError, match=re.escape(said)):
        parse(Protocol, {**GOOD, **change}, "here")


# The notes' tables: file, first columns, our protocol, their columns in our words.
QA = {"MedQA": "medqa", "MedMCQA": "medmcqa", "PubMedQA": "pubmedqa", "MMLU-ProM": "mmlu-prom"}
TABLES = {
    "medevalkit": (
        "peers.md",
        "model | MMMU-Med | VQA-RAD | SLAKE",
        {
            "MMMU-Med": UNSPLIT,
            "VQA-RAD": "vqa-rad",
            "SLAKE": "slake",
            "PathVQA": "path-vqa",
            "PMC-VQA": "pmc-vqa-v2",
            "OmniMedVQA": "omnimedvqa",
            "MedXpertQA-MM": "medxpertqa-mm",
        },
    ),
    "medevalkit-text": (
        "peers.md",
        "model | MMLU-Med | PubMedQA",
        {
            "MMLU-Med": "MMLU, nine medical subjects",
            "PubMedQA": "pubmedqa-500",
            "MedMCQA": "medmcqa",
            "MedQA-USMLE": "medqa",
            "Medbullets": "Medbullets, options not stated",
            "MedXpertQA-Text": "medxpertqa-text",
            "SuperGPQA-med": "SuperGPQA, medicine",
        },
    ),
    "hulu-med": (
        "vqa_systems.md",
        "model | OmniMedVQA | PMC-VQA",
        {
            "OmniMedVQA": "omnimedvqa",
            "PMC-VQA": "pmc-vqa-v2",
            "VQA-RAD": "vqa-rad",
            "SLAKE": "slake",
            "PathVQA": "path-vqa",
            "MedXpert-MM": "medxpertqa-mm",
            "MMMU-med": UNSPLIT,
        },
    ),
    "medvlthinker": (
        "vqa_systems.md",
        "model | PMC-VQA | MMMU-med",
        {
            "PMC-VQA": "pmc-vqa",
            "MMMU-med": "mmmu-med-valdev-mcq",
            "MedXpert-MM": "medxpertqa-mm",
            "PathVQA": "path-vqa-yesno",
            "SLAKE": "slake-en-closed",
            "VQA-RAD": "vqa-rad-closed-label",
        },
    ),
    "huatuogpt-vision": (
        "vqa_systems.md",
        "model | VQA-RAD | SLAKE",
        {
            "VQA-RAD": "vqa-rad-closed",
            "SLAKE": "slake-en-closed",
            "PathVQA": "path-vqa-yesno",
            "PMC-VQA": "pmc-vqa",
            "OmniMedVQA": "OmniMedVQA, 11,124 questions of HuatuoGPT-Vision",
            "MMMU-H&M (test)": "MMMU Health & Medicine, test",
        },
    ),
    "adathink-med": (
        "text_systems.md",
        "model | MedQA | MedMCQA | PubMedQA | MMLU-ProM | GPQA-M | MedXpert | avg",
        {**QA, "GPQA-M": "gpqa-m", "MedXpert": "medxpertqa-text"},
    ),
    "wingpt-3": (
        "text_systems.md",
        "model | CMMLU | MATH500",
        {"MedQA": "medqa", "MedMCQA": "medmcqa", "PubMedQA": "pubmedqa"},
    ),
    "zhu-2025": (
        "vqa_systems.md",
        "setting | accuracy on the 7K",
        {"accuracy on the 7K PMC-VQA test": "PMC-VQA, 7,000 questions of Zhu et al."},
    ),
    "alphamed": (
        "text_systems.md",
        "model | MedQA | MedMCQA | PubMedQA | MMLU-ProM | GPQA-M | MedXpert |",
        {**QA, "GPQA-M": "gpqa-m", "MedXpert": "medxpertqa-text"},
    ),
}

NAMES = {
    "GRPO on AlphaMed19K, Llama-3.1-8B": "Llama-3.1-8B-Instruct + GRPO on AlphaMed19K",
    "GRPO on AlphaMed19K, Qwen2.5-7B": "Qwen2.5-7B-Instruct + GRPO on AlphaMed19K",
    "best SFT": "Qwen2-VL-2B + best SFT",
    "GRPO (accuracy + format)": "Qwen2-VL-2B + GRPO",
    "GRPO + semantic alignment": "Qwen2-VL-2B + GRPO with semantic reward",
    "Dr.GRPO": "Qwen2-VL-2B + Dr.GRPO",
    "+ ECR (length only)": "Qwen2-VL-2B + length reward",
    "+ CWR": "Qwen2-VL-2B + length reward if right",
}


def model_name(text: str) -> str:
    """A model of the notes' tables by the name it has here."""
    tuned = re.fullmatch(r"(\dB) (SFT|RL) \((PMC|m23k text)\)", text)
    if tuned:
        return f"Qwen2.5-VL-{tuned[1]} + {tuned[2]} on {'PMC-VQA' if tuned[3] == 'PMC' else 'm23k'}"
    if text.startswith("RL on "):
        return f"Llama-3.1-8B-Instruct + {text}"
    return NAMES.get(text, text.replace("Qwen2.5VL", "Qwen2.5-VL"))


def table(file: str, header: str) -> dict[str, dict[str, str]]:
    """The one table of a page whose first line begins so, or is so if it ends on a bar.

    Row name to its cells by column.
    """
    lines = (FACTS / file).read_text(encoding="utf-8").splitlines()
    whole = header.endswith("|")
    (start,) = [
        n
        for n, line in enumerate(lines)
        if line.startswith(f"| {header}") and (not whole or line == f"| {header}")
    ]
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip(" *") for cell in line.strip("|").split("|")])
    return {row[0]: dict(zip(rows[0][1:], row[1:], strict=True)) for row in rows[2:]}


def printed(file: str, heading: str) -> set[float]:
    """Every figure with a point in one section of a page."""
    _, _, text = (FACTS / file).read_text(encoding="utf-8").partition(f"\n{heading}")
    return {float(found) for found in re.findall(r"\d+\.\d+", re.split(r"\n##", text)[0])}


def number(cell: str) -> float | None:
    """The figure a cell begins with; None for a dash."""
    found = re.match(r"[\d.]+", cell)
    return float(found[0]) if found else None


def noted(protocol: str) -> dict[tuple[str, str], float]:
    """The notes' table of a protocol as `percents` has ours."""
    file, header, columns = TABLES[protocol]
    cells = {
        (model_name(name), ours): number(row[theirs])
        for name, row in table(file, header).items()
        for theirs, ours in columns.items()
    }
    return {key: value for key, value in cells.items() if value is not None}


@needs_facts
@pytest.mark.parametrize("protocol", sorted(set(TABLES) - {"alphamed", "medvlthinker"}))
def test_every_cell_is_that_of_the_notes(protocol: str) -> None:
    """Nothing is missing, added or changed."""
    assert percents(protocol) == noted(protocol)


@needs_facts
def test_medvlthinker_is_that_of_the_notes() -> None:
    """Its large table; one cell and the means come from elsewhere. The marked cell is the doubtful one."""
    ours, theirs = percents("medvlthinker"), noted("medvlthinker")
    assert {key: ours[key] for key in theirs} == theirs
    means = {key: value for key, value in ours.items() if key[1] == MEAN}
    assert ours.keys() - theirs.keys() - means.keys() == {("MedGemma-27B", "medxpertqa-mm")}
    assert set(means.values()) <= printed("peers.md", "### 4.2")
    for model in {model for model, _ in means} & {model for model, _ in theirs}:
        row = [value for key, value in theirs.items() if key[0] == model]
        assert sum(row) / len(row) == pytest.approx(means[model, MEAN], abs=0.011)
    file, header, columns = TABLES["medvlthinker"]
    marked = {
        (model_name(name), columns[column])
        for name, row in table(file, header).items()
        for column, cell in row.items()
        if "†" in cell
    }
    doubtful = {f for f in references.every() if f.protocol == "medvlthinker" and f.doubtful}
    assert marked == {(figure.model, figure.benchmark) for figure in doubtful}


@needs_facts
def test_alphamed_is_that_of_the_notes() -> None:
    """Two figures, the second with more digits; all further cells are marked as doubtful."""
    ours, coarse = percents("alphamed"), noted("alphamed")
    fine = {
        (name, {**QA, "MedXpert": "medxpertqa-text"}[column]): number(cell)
        for name, row in table("text_systems.md", "model | MMLU-ProM | MedXpert |").items()
        for column, cell in row.items()
    }
    doubtful = {(f.model, f.benchmark) for f in references.every() if f.protocol == "alphamed" and f.doubtful}
    assert {key: value for key, value in ours.items() if key not in doubtful} == {**coarse, **fine}
    for key in coarse.keys() & fine.keys():
        assert round(ours[key], 1) == coarse[key]


@needs_facts
def test_protocols_side_by_side_are_those_of_the_notes() -> None:
    """The comparison of one model under several peers, cell by cell."""
    kit, thinker, hulu = percents("medevalkit"), percents("medvlthinker"), percents("hulu-med")
    closed = {"VQA-RAD": "vqa-rad-closed-label", "SLAKE": "slake-en-closed", "PathVQA": "path-vqa-yesno"}
    closed |= {"MMMU-Med": "mmmu-med-valdev-mcq"}
    columns = TABLES["medevalkit"][2]
    compared = 0
    for name, row in table("peers.md", "model, benchmark | MedEvalKit table").items():
        model, _, rest = name.partition(" ")
        for place, short in enumerate(rest.split(" / ")):
            named = [(kit, "MedEvalKit table", columns[short])]
            named += [(hulu, "Hulu-Med README", columns[short])]
            named += [(thinker, "MedVLThinker README", closed.get(short, columns[short]))]
            for figures, column, benchmark in named:
                cells = re.findall(r"\d+\.\d+", row[column])
                if not cells:
                    continue
                names = (model, f"{model}-IT")
                assert float(cells[place]) in [figures.get((each, benchmark)) for each in names], name
                compared += 1
    assert compared > 30


@needs_facts
def test_printed_means_agree() -> None:
    """The means printed beside complete rows are those of our figures, but for one."""
    off = []
    for protocol, step in (("medevalkit", 0.1), ("medevalkit-text", 0.1), ("adathink-med", 0.01)):
        file, header, columns = TABLES[protocol]
        ours = percents(protocol)
        for name, row in table(file, header).items():
            average = number(row["avg"])
            values = [ours.get((model_name(name), ours_name)) for ours_name in columns.values()]
            if average is not None and None not in values:
                mean = sum(value for value in values if value is not None) / len(values)
                off += [(protocol, name)] if abs(mean - average) > step / 2 + 1e-6 else []
    assert off == [("medevalkit-text", "Med-R1-2B")]


SECTIONS = {
    "answer-only-sft": ("vqa_systems.md", "### 7.4"),
    "gmai-mmbench": ("vqa_systems.md", "### 7.4"),
    "medvint": ("vqa_systems.md", "### 7.4"),
    "rarl": ("vqa_systems.md", "### 2.4"),
    "silvar-med": ("vqa_systems.md", "### 2.4"),
    "medcco": ("vqa_systems.md", "### 3.4"),
    "medix-r1": ("peers.md", "### 4.2"),
    "medvlm-r1": ("peers.md", "### 4.2"),
    "medgemma": ("peers.md", "### 4.2"),
    "healthgpt": ("peers.md", "### 4.2"),
    "huatuogpt-o1": ("text_systems.md", "### 1.2"),
    "alphamed": ("text_systems.md", "### 1.2"),
    "med-refl": ("text_systems.md", "### 1.4"),
    "med-tiv": ("text_systems.md", "### 1.4"),
}


def test_every_protocol_is_compared_with_the_notes() -> None:
    """None is left out of the comparisons here."""
    assert set(TABLES) | set(SECTIONS) == set(references.load())


@needs_facts
@pytest.mark.parametrize("protocol", sorted(SECTIONS))
def test_every_scattered_figure_is_in_the_notes(protocol: str) -> None:
    """The section it comes from prints each of its figures."""
    assert set(percents(protocol).values()) <= printed(*SECTIONS[protocol])
