"""Modality, task and level of real questions: by the labels of their source, else by their words."""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from medbench import taxonomy
from medbench.adapters.captions import ASK
from medbench.catalog import Catalog, Place
from medbench.schema import Example
from medbench.taxonomy import LEVELS, MODALITIES, TABLE, TASKS, Labels, Tag, known_modality, known_task


def question(text: str, gold: str = "", **fields: object) -> Example:
    """A question answered in words."""
    return Example("q", "open", text, (gold,), **fields)  # type: ignore[arg-type]


def rows(shared: Path, source: str, split: str, tmp_path: Path) -> list[Example]:
    """The real questions of a split."""
    place = Place(tmp_path, shared, tmp_path / "lock")
    return Catalog.load().training_rows(source, split, place, pictures=False).examples


def test_the_lists_have_the_papers_counts() -> None:
    """More than 30 modalities, 24 tasks, eight on each of three levels; all is marked as reconstruction."""
    assert len(MODALITIES) == 43
    assert Counter(task.level for task in TASKS.values()) == {1: 8, 2: 8, 3: 8}
    assert set(LEVELS) == {1, 2, 3} and TABLE.provenance == "reconstruction"
    assert taxonomy.level("counting") == 1 and taxonomy.level("treatment") == 3
    assert all(task.about for task in TASKS.values())


@pytest.mark.parametrize("table", [MODALITIES, TASKS])
def test_no_name_means_two_things(table: dict[str, taxonomy.Modality]) -> None:
    """A name or an alias is one thing's only, so that a model's answer can't be read two ways."""
    said = [name for key, row in table.items() for name in {key, *row.aliases}]
    spelled = Counter(map(taxonomy.plain, said))
    twice = {name for name, count in spelled.items() if count > 1}
    own = {
        taxonomy.plain(key)
        for key, row in table.items()
        for a in row.aliases
        if taxonomy.plain(a) == taxonomy.plain(key)
    }
    assert twice - own == set()


@pytest.mark.parametrize("name", MODALITIES)
def test_each_modality_is_found_by_its_own_name(name: str) -> None:
    """A text that names a modality mentions it, and no other."""
    if name != "graphics":
        assert list(taxonomy.mentioned(f"This {name} shows a finding.")) == [name]
    assert known_modality(name.upper()) == name


# ----------------------------------------------------------------------------------------------------- labels


def unmapped(examples: Iterable[Example], tables: tuple[Labels, ...]) -> dict[str, set[str]]:
    """Column → the labels that occur and are in no table, or in one as nothing."""
    found: dict[str, set[str]] = {}
    for example in examples:
        for labels in tables:
            if example.source in labels.sources and (said := example.tags.get(labels.column)):
                mark = taxonomy.plain(said)
                if not labels.values.get(mark) and mark not in labels.among:
                    known = "nothing" if mark in labels.values else "unknown"
                    found.setdefault(f"{labels.column} {known}", set()).add(said)
    return found


def test_every_real_label_maps(shared: Path, tmp_path: Path) -> None:
    """All labels of the real rows are known; those that map to nothing do so because they are ambiguous."""
    slake = [e for split in ("train", "validation", "test") for e in rows(shared, "slake", split, tmp_path)]
    rad = [e for split in ("train", "test") for e in rows(shared, "vqa-rad-osf", split, tmp_path)]
    med = rows(shared, "vqa-med-2019", "test", tmp_path)
    both = TABLE.modality_labels + TABLE.task_labels
    assert unmapped(slake, both) == {}
    assert unmapped(med, both) == {}
    found = unmapped(rad, both)
    assert found.pop("body_part nothing") == {"HEAD"}
    assert found.pop("question_type nothing") == {"OTHER", "Other"}
    assert found and all("," in label for label in found.pop("question_type unknown"))  # "PRES, POS" is two
    assert found == {}


def test_every_modality_answer_of_vqa_med_maps(shared: Path, tmp_path: Path) -> None:
    """Of the real answers to questions about the modality only those on contrast name none."""
    golds = {
        e.gold[0]
        for e in rows(shared, "vqa-med-2019", "test", tmp_path)
        if e.tags["category"] == "modality" and e.kind == "open"
    }
    nothing = {gold for gold in golds if taxonomy.answered(gold.casefold()) is None}
    assert nothing == {"contrast", "noncontrast", "iv", "gi", "gi and iv"} & golds


@pytest.mark.parametrize(
    ("source", "column", "label", "name"),
    [
        ("pubmedvision", "modality", "Computed Tomography", "CT"),
        ("pubmedvision", "modality", "Digital Photography", "photography"),
        ("pubmedvision", "modality", "Infrared Reflectance Imaging", "infrared reflectance"),
        ("omnimedvqa", "modality", "MR (Mag-netic Resonance Imaging)", "MRI"),
        ("omnimedvqa", "modality", "OCT (Optical Coherence Tomography)", "OCT"),
        ("medix-r1", "modality", "CLINICAL_PHOTOGRAPHY", "photography"),
        ("slake", "modality", "X-Ray", "X-ray"),
        ("vqa-rad-osf", "body_part", "ABD", "CT"),
        ("anyone", "modality", "ct_scan", "CT"),
        ("anyone", "modality", "Fundus photograph.", "fundus photography"),
    ],
)
def test_a_sources_modality(source: str, column: str, label: str, name: str) -> None:
    """The source's own label comes first, whatever the words say; the column is kept as the origin."""
    example = question("Is this ultrasound normal?", "yes", source=source, tags={column: label})
    assert taxonomy.modality(example) == Tag(name, f"source:{column}")


@pytest.mark.parametrize("label", ["Others", "Brain Imaging", "", "nonsense", "\u202e", "x" * 10_000])
def test_a_label_that_says_nothing_leaves_it_to_the_words(label: str) -> None:
    """An ambiguous or unknown label is no guess."""
    example = question("What does this ultrasound show?", source="pubmedvision", tags={"modality": label})
    assert taxonomy.modality(example) == Tag("ultrasound", "words")
    assert taxonomy.modality(replace(example, question="What is it?")) == Tag(None, "")


@pytest.mark.parametrize(
    ("source", "column", "label", "text", "tag"),
    [
        (
            "slake",
            "content_type",
            "Color",
            "Where is it?",
            Tag("colour and intensity", "source:content_type"),
        ),
        (
            "slake",
            "content_type",
            "Abnormality",
            "What diseases are there?",
            Tag("disease diagnosis", "words"),
        ),
        (
            "slake",
            "content_type",
            "Abnormality",
            "图像正常吗",
            Tag("abnormality detection", "source:content_type"),
        ),
        ("slake", "content_type", "KG", "How to treat the disease in this image?", Tag("treatment", "words")),
        (
            "slake",
            "content_type",
            "KG",
            "Where is the liver?",
            Tag("knowledge inference", "source:content_type"),
        ),
        ("vqa-rad", "question_type", "PRSE", "Is it?", Tag("abnormality detection", "source:question_type")),
        ("vqa-rad", "question_type", "ATRIB", "Is it?", Tag("lesion attributes", "source:question_type")),
        ("vqa-rad", "question_type", "POS, PRES", "Where is the mass?", Tag("localisation", "words")),
        ("vqa-rad", "question_type", "OTHER", "Is it?", Tag(None, "")),
        (
            "vqa-rad",
            "question_type",
            "MODALITY",
            "Is this a T2 weighted image?",
            Tag("sequence and stain recognition", "words"),
        ),
        ("vqa-med-2019", "category", "organ", "How many?", Tag("organ identification", "source:category")),
        (
            "omnimedvqa",
            "question_type",
            "Lesion Grading",
            "What?",
            Tag("severity grading", "source:question_type"),
        ),
        ("gmai-mmbench", "task", "Nervous Tissue", "What?", Tag("structure recognition", "source:task")),
        ("anyone", "content_type", "Color", "Where is the mass?", Tag("localisation", "words")),
    ],
)
def test_a_sources_task(source: str, column: str, label: str, text: str, tag: Tag) -> None:
    """A label says the task, or narrows it to a few between which the words decide."""
    assert taxonomy.task(question(text, source=source, tags={column: label})) == tag


# ------------------------------------------------------------------------------------------------------ words


@pytest.mark.parametrize(
    ("text", "gold", "name"),
    [
        ("What modality is this?", "CT", "CT"),
        ("What imaging modality was used to take this image?", "xr - plain film", "X-ray"),
        ("what is the mr weighting in this image?", "flair", "MRI"),
        ("is this a t1 weighted, t2 weighted, or flair image?", "t2", "MRI"),
        ("Was this image taken with an MRI or CT scanner?", "CT", "CT"),
        ("Is this an MRI?", "yes", "MRI"),
        ("Is this an MRI?", "no", None),
        ("Is this a MRI of the chest?", "No", None),
        ("is this mri?", "no", None),
        ("was the ct scan taken with contrast?", "no", "CT"),
        ("is this a contrast or noncontrast ct?", "noncontrast", "CT"),
        ("Is this MRI taken with FLAIR protocol?", "No", "MRI"),
        ("What type of imaging does this not represent?", "ultrasound", None),
        ("what is most alarming about this ultrasound?", "appendicitis", "ultrasound"),
        ("What does the CT angiogram show?", "stenosis", "CT angiography"),
        ("What does the PET/CT show?", "uptake", "PET/CT"),
        ("Which finding is seen on endoscopic ultrasound?", "a mass", "endoscopic ultrasound"),
        ("What does the electron micrograph show?", "a foot process", "electron microscopy"),
        ("Does the gross specimen show a tumour?", "yes", "photography"),
        ("What in plain view is abnormal?", "mass", None),
        ("Did Mr. Smith improve?", "yes", None),
        ("What did Mr Jones's picture of Oct 2019 show?", "x", None),
        ("Is the C-T ratio normal?", "yes", None),
        ("Would an MRI be better?", "yes", None),
        ("Is a noncontrast CT the first imaging test for a suspected brain bleed?", "yes", None),
        ("Do the CT and the MRI agree?", "yes", None),
        ("Are the EKG leads visible?", "yes", None),
        ("Does the gastric fundus look normal?", "yes", None),
        ("What is the structure of actin in X-ray crystallography?", "helix", None),
        ("What is seen?", "CT", None),
    ],
)
def test_modality_by_words(text: str, gold: str, name: str | None) -> None:
    """A question's words give the modality only where they take it for granted, or the answer names it."""
    found = taxonomy.modality(question(text, gold))
    assert found == (Tag(name, "words") if name else Tag(None, ""))


def test_options_are_no_mentions() -> None:
    """Of a multiple-choice question about the modality the right option counts, and no other."""
    example = Example(
        "q", "mcq", "Which imaging modality is shown?", ("C",), ("CT", "MRI", "Ultrasound", "X-ray")
    )
    assert taxonomy.modality(example) == Tag("ultrasound", "words")
    assert taxonomy.modality(replace(example, question="What is used next?")) == Tag(None, "")


def test_a_mixed_no_is_no_mention() -> None:
    """PathVQA's questions with the answer "no" speak of other images; those with "yes" of theirs."""
    example = question("Does the photomicrograph show necrosis?", "no", source="path-vqa")
    assert taxonomy.modality(example) == Tag(None, "")
    assert taxonomy.modality(replace(example, gold=("yes",))) == Tag("microscopy", "words")
    assert taxonomy.modality(replace(example, source="mine")) == Tag("microscopy", "words")


def test_a_caption_that_names_one_modality() -> None:
    """A caption without a label is of the only modality it mentions; it has no task."""
    example = Example("c", "free", ASK, ("Axial CT of the chest with an effusion.",))
    assert taxonomy.modality(example) == Tag("CT", "words")
    assert taxonomy.task(example) == Tag(None, "")
    assert taxonomy.modality(replace(example, gold=("The CT and the later MRI agree.",))) == Tag(None, "")


def test_what_one_question_says_of_an_image_holds_for_the_others() -> None:
    """Questions on the same image share its modality, unless they contradict each other or show several."""
    texts = {
        "a": ("What modality is this?", "CT", ("1",)),
        "b": ("Where is the mass?", "left", ("1",)),
        "c": ("Is this an MRI?", "yes", ("2",)),
        "d": ("What does this ultrasound show?", "a cyst", ("2",)),
        "e": ("Where is it?", "left", ("2",)),
        "f": ("Where is it?", "left", ("1", "2")),
        "g": ("Where is it?", "left", ()),
    }
    examples = [
        replace(question(text, gold), id=name, images=images) for name, (text, gold, images) in texts.items()
    ]
    tags = taxonomy.modalities(examples)
    assert tags == {
        "a": Tag("CT", "words"),
        "b": Tag("CT", "image"),
        "c": Tag("MRI", "words"),
        "d": Tag("ultrasound", "words"),
        **{name: Tag(None, "") for name in "efg"},
    }
    assert taxonomy.modalities(reversed(examples)) == tags


def test_a_long_case_note_names_many_things() -> None:
    """In a long vignette a mention is not taken for the image's modality."""
    note = "A 60-year-old man has chest pain. " * 10 + "The ECG is normal. What is the diagnosis?"
    assert taxonomy.modality(question(note)) == Tag(None, "")
    assert taxonomy.task(question(note)) == Tag("disease diagnosis", "words")
    assert taxonomy.task(question(note.replace("diagnosis", "best next step"))) == Tag("treatment", "words")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Which plane is this image in?", "plane recognition"),
        ("Is this a plain film?", "modality recognition"),
        ("Are the tissue planes preserved?", None),
        ("How many kidneys are there in this image?", "counting"),
        ("Which part of the body does this image belong to?", "body region identification"),
        ("Which organ system is imaged?", "organ identification"),
        ("Where is the mass?", "localisation"),
        ("Where is/are the catheter tip located?", "localisation"),
        ("Which is bigger in this image, liver or spleen?", "comparison"),
        ("Is the heart enlarged?", "lesion attributes"),
        ("Was IV contrast given to the patient?", "sequence and stain recognition"),
        ("Is the lesion hyperdense or hypodense?", "colour and intensity"),
        ("Is there a pneumothorax?", "abnormality detection"),
        ("What is your differential diagnosis?", "differential diagnosis"),
        ("What is the most likely diagnosis?", "disease diagnosis"),
        ("What is the main cause of the disease?", "cause"),
        ("How much damage will be caused to the body taking such an image?", "knowledge inference"),
        ("What is the treatment of choice?", "treatment"),
        ("What is the function of this organ?", "function and mechanism"),
        ("Which complication may follow?", "complication and prognosis"),
        ("What grade is this tumour?", "severity grading"),
        ("Is the film rotated?", "image quality"),
        ("What type of cells are seen?", "cell and microorganism recognition"),
        ("Which device is seen?", "device recognition"),
        ("Which phase of the surgery is shown?", "surgical workflow"),
        ("Which artery is marked by the arrow?", "structure recognition"),
        ("Hello", None),
        ("", None),
        ("图像中有几个肾脏？", None),
        ("{question} (.*) [a-z]+ \\", None),
    ],
)
def test_task_by_words(text: str, name: str | None) -> None:
    """The words of a question give its task, or nothing."""
    assert taxonomy.task(question(text)) == (Tag(name, "words") if name else Tag(None, ""))


def test_a_bare_question_is_known_by_its_answer() -> None:
    """ "What is present?" is about organs where the answer is one, and about nothing known where it isn't."""
    assert taxonomy.task(question("What is present ?", "Cardiovascular")).value == "organ identification"
    assert taxonomy.task(question("What is present?", "adenocarcinoma")) == Tag(None, "")


def test_words_agree_with_slakes_labels(shared: Path, tmp_path: Path) -> None:
    """Where the words alone give a modality, it is the one that SLAKE's authors labelled."""
    examples = [e for e in rows(shared, "slake", "train", tmp_path) if e.lang == "en"]
    told = [(taxonomy.modality(replace(e, tags={})).value, taxonomy.modality(e).value) for e in examples]
    named = [pair for pair in told if pair[0]]
    assert len(named) > 400
    assert [pair for pair in named if pair[0] != pair[1]] == []
    shared_by = taxonomy.modalities(replace(e, tags={}) for e in examples)
    found = [(shared_by[e.id].value, taxonomy.modality(e).value) for e in examples if shared_by[e.id].value]
    assert len(found) > 0.8 * len(examples)
    assert [pair for pair in found if pair[0] != pair[1]] == []


def test_words_agree_with_vqa_rads_labels(shared: Path, tmp_path: Path) -> None:
    """Without labels the words give most questions a task, four in five times the label's."""
    examples = rows(shared, "vqa-rad-osf", "train", tmp_path)
    labelled = [(taxonomy.task(e).value, taxonomy.asked(e.question)) for e in examples]
    pairs = [
        (ours, words)
        for (ours, words), e in zip(labelled, examples, strict=True)
        if words and taxonomy.task(e).origin.startswith("source")
    ]
    assert len(pairs) > 0.8 * len(examples) * 0.9
    assert sum(ours == words for ours, words in pairs) > 0.8 * len(pairs)


# ----------------------------------------------------------------------------------------- answers of a model


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("CT", "CT"),
        (" ct. ", "CT"),
        ("Computed Tomography", "CT"),
        ("X_RAY", "X-ray"),
        ("x-ray", "X-ray"),
        ('"H&E"', "microscopy"),
        ("CT or MRI", None),
        ("I think it is CT", None),
        ("unknown", None),
        ("", None),
        ("\x00", None),
        ("ct" * 100_000, None),
    ],
)
def test_a_models_modality_is_taken_strictly(text: str, name: str | None) -> None:
    """Only a name or an alias counts; a sentence around it does not."""
    assert known_modality(text) == name


def test_a_models_task_is_taken_strictly() -> None:
    """Names, the longer names of the paper's appendix and other spellings count."""
    assert known_task("Counting") == "counting"
    assert known_task("lesion_localization") == "localisation"
    assert known_task("Severity grading / staging") == "severity grading"
    assert known_task("counting and grading") is None


def test_no_pattern_runs_away() -> None:
    """Odd texts of many sizes take no time that grows faster than the text."""
    from tests.support.process import seconds_of_cpu

    for odd in (
        "the " * 5_000,
        "what " * 5_000 + "cell",
        "t1 " * 5_000,
        "is this a " * 3_000,
        "contrast " * 4_000,
        "a" * 50_000,
    ):
        with seconds_of_cpu(10, odd[:20]):
            example = question(odd, odd)
            taxonomy.modality(example)
            taxonomy.task(example)


def test_every_pattern_compiles_and_needs_words() -> None:
    """No pattern of the table fits an empty text."""
    patterns = (
        [row.words for row in MODALITIES.values()]
        + [rule for _, rule in TABLE.rules]
        + list(TABLE.answers.values())
    )
    for pattern in patterns:
        assert not re.search(pattern.replace("\n", "").replace(" |", "|"), ""), pattern
    assert json.dumps(list(TASKS))
