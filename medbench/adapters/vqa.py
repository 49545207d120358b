"""Questions on images, one function per layout.

`images` of an Example made here are the source's own references (a path, a place in a table); the
catalog turns them into names in the image store. `worded` says of what kind a question answered in words
is.
"""

import ast
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from medbench.adapters import BadRow, Raw, choices, letter, tagged, text
from medbench.adapters.qa import expert
from medbench.schema import LETTERS, Example, Kind
from medbench.verify.phrases import alternatives
from medbench.verify.words import polar

BLANKS = " \t\r\n\u00a0\u200a\"'"
"""What PMC-VQA leaves around its texts."""

PLANES = {"1": "plane", "2": "phase", "3": "organ", "4": "abnormality", "5": "location"}
"""M3D-VQA's question types."""

FILED = {"C1": "modality", "C2": "plane", "C3": "organ", "C4": "abnormality"}
"""VQA-Med-2019's categories, as the names of its training files begin."""


def shown(row: Raw, *columns: str) -> tuple[str, ...]:
    """The references in some columns, empty ones left out; a question without any is no row."""
    return named([row[column] for column in columns if row.get(column) not in (None, "")])


def named(images: Sequence[Any]) -> tuple[str, ...]:
    """The references of a question."""
    if not images:
        raise BadRow("no image")
    if not all(isinstance(image, str) and image.strip() for image in images):
        raise BadRow("an image is not named by text")
    return tuple(images)


def answered(value: object) -> tuple[str, ...]:
    """A gold in words, which some sets write as a number."""
    if isinstance(value, bool) or value is None or not str(value).strip():
        raise BadRow("no gold")
    return (str(value).strip(),)


def worded(gold: tuple[str, ...], label: object = None) -> Kind:
    """The kind of a question answered in words; `label` is the source's own, open or closed.

    A label is believed: "none" to "which diseases?" says neither yes nor no. Without one the answer must be
    the very word yes or no, as papers split VQA-RAD and PathVQA.
    """
    if label is None:
        return "yesno" if all(answer.casefold() in ("yes", "no") for answer in gold) else "open"
    if str(label).strip().upper() != "CLOSED":
        return "open"
    return "yesno" if polar(gold) else "closed"


def numbered(row: Raw) -> str:
    """The id of a row that has none: its split and place."""
    return f"{row['_split']}-{row['_row']:05d}"


def vqa_rad(row: Raw) -> Example:
    """VQA-RAD's own files: qid, image_name, image_organ, question, answer, answer_type, question_type."""
    gold = answered(row.get("answer"))
    label = str(row.get("answer_type")).strip()
    return Example(
        str(row["qid"]),
        worded(gold, label),
        text(row, "question"),
        gold,
        images=shown(row, "image_name"),
        tags=tagged(
            body_part=row.get("image_organ"),
            question_type=row.get("question_type"),
            answer_type=label,
            phrase_type=row.get("phrase_type"),
        ),
    )


def pairs(row: Raw) -> Example:
    """VQA-RAD and PathVQA on the Hub: image, question, answer."""
    gold = answered(row.get("answer"))
    kind = worded(gold)
    return Example(numbered(row), kind, text(row, "question"), gold, images=shown(row, "image"))


def slake(row: Raw) -> Example:
    """SLAKE: qid, img_name, question, answer, q_lang, location, modality, answer_type, content_type."""
    gold = answered(row.get("answer"))
    return Example(
        str(row["qid"]),
        worded(gold, row.get("answer_type")),
        text(row, "question"),
        gold,
        lang=text(row, "q_lang"),
        images=shown(row, "img_name"),
        tags=tagged(
            modality=row.get("modality"),
            body_part=row.get("location"),
            content_type=row.get("content_type"),
            answer_type=row.get("answer_type"),
            base_type=row.get("base_type"),
        ),
    )


def pmc_vqa(row: Raw) -> Example:
    """PMC-VQA, both versions: Figure_path, Question, Choice A-D, then Answer_label (v1) or Answer (v2).

    A training row whose answer text is another option's is no row; a test row keeps the official count.
    """
    options = lettered([str(row.get(f"Choice {side}") or "").strip(BLANKS) for side in "ABCD"])
    label = str(row.get("Answer_label") or row.get("Answer") or "").strip(BLANKS)
    answer = str(row.get("Answer") or "").strip(BLANKS)
    told = options[LETTERS.index(letter(label, options))]
    if row["_split"] == "train" and row.get("Answer_label") and bare(answer) != bare(told):
        raise BadRow("answer text is not the option at the gold letter")
    return Example(
        numbered(row),
        "mcq",
        text(row, "Question").strip(BLANKS),
        (letter(label, options),),
        options,
        images=(shown(row, "Figure_path")[0].strip(BLANKS),),
    )


def lettered(texts: Sequence[str]) -> tuple[str, ...]:
    """Options freed of their own letters ("A:…", "B:…"), where all of them carry one."""
    parts = [option.partition(":") for option in texts]
    if all(head.strip(BLANKS) == side for side, (head, _, _) in zip(LETTERS, parts, strict=False)):
        texts = [rest.strip(BLANKS) for _, _, rest in parts]
    return choices(texts)


def bare(option: str) -> str:
    """An option's words, its letter and case left out."""
    head, colon, rest = option.partition(":")
    words = rest if colon and len(head.strip(BLANKS)) == 1 else option
    return words.strip(BLANKS).casefold()


def omnimedvqa(row: Raw) -> Example:
    """OmniMedVQA: dataset, question_id, question_type, question, gt_answer, image_path, option_A-D."""
    options = choices([row[name] for side in "ABCD" if (row.get(name := f"option_{side}") or "").strip()])
    answer = text(row, "gt_answer")
    if answer not in options:
        raise BadRow("gold is outside the options")
    dataset = row.get("dataset") or row.get("_file")
    return Example(
        f"{dataset}-{row['question_id']}",
        "mcq",
        text(row, "question"),
        (LETTERS[options.index(answer)],),
        options,
        images=shown(row, "image_path"),
        tags=tagged(
            modality=row.get("modality_type") or row.get("modality"),
            question_type=row.get("question_type"),
            dataset=dataset,
        ),
    )


def medxpertqa_mm(row: Raw) -> Example:
    """MedXpertQA-MM on the Hub (images: names) and in its evaluation files (images: [{image_path}])."""
    options, label = row.get("options"), row.get("label")
    if isinstance(options, list) and isinstance(options[0], dict):
        options = {option["letter"]: option["content"] for option in options}
    if isinstance(label, list):
        label = label[0] if len(label) == 1 else None
    found = [image["image_path"] if isinstance(image, dict) else image for image in row.get("images") or ()]
    return replace(expert(row, options, label), images=named(found))


def mmmu(row: Raw) -> Example:
    """MMMU: id, question with `<image 1>` marks, options (a Python list as text), answer, image_1-7."""
    options = literal(row.get("options"))
    subject = "_".join(str(row["id"]).split("_")[1:-1])
    tags = tagged(
        subject=subject,
        subfield=row.get("subfield"),
        difficulty=row.get("topic_difficulty"),
        question_type=row.get("question_type"),
    )
    images = shown(row, *(f"image_{number}" for number in range(1, 8)))
    if row.get("question_type") == "open" or not options:
        golds = several(row.get("answer"))
        return Example(str(row["id"]), "open", text(row, "question"), golds, images=images, tags=tags)
    texts = choices(options)
    gold = letter(row.get("answer"), texts)
    return Example(str(row["id"]), "mcq", text(row, "question"), (gold,), texts, images=images, tags=tags)


def several(value: Any) -> tuple[str, ...]:
    """An answer, or several as a list written in Python; "[Ca2+]" is none."""
    try:
        return tuple(literal(value)) or answered(value)
    except BadRow:
        return answered(value)


def literal(value: Any) -> list[str]:
    """A list written as Python text, or a list; anything else is empty. Nothing is evaluated."""
    if isinstance(value, str) and value.strip().startswith("["):
        try:
            value = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            raise BadRow("options are not a list") from None
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def vqa_med_2019(row: Raw) -> Example:
    """VQA-Med-2019's files: image id, (category,) question, answer with `#` between alternatives.

    The training files say by their name alone of which category their questions are.
    """
    [name] = shown(row, "image")
    gold = alternatives(answered(row.get("answer"))[0])
    category = row.get("category")
    filed = None if category else FILED[row["_file"].partition("_")[0]]
    return Example(
        f"{name}-{filed}" if filed else name,
        worded(gold),
        text(row, "question"),
        gold,
        images=(f"{name}.jpg",),
        tags=tagged(category=category or filed),
    )


def gmai_mmbench(row: Raw) -> Example:
    """GMAI-MMBench in VLMEvalKit's table: index, image, question, A-E, answer and its taxonomies."""
    options = choices({side: row[side] for side in "ABCDE" if (row.get(side) or "").strip()})
    return Example(
        str(row["index"]),
        "mcq",
        text(row, "question"),
        (letter(row.get("answer"), options),),
        options,
        images=shown(row, "image"),
        tags=tagged(
            modality=row.get("modality"),
            task=row.get("clinical vqa task"),
            department=row.get("department"),
            granularity=row.get("perceptual granularity"),
        ),
    )


def m3d_vqa(row: Raw, depth: int = 32, slices: int = 8) -> Example:
    """M3D-VQA: Image Path (a volume of `depth` slices), Question Type, Question, Choice A-D, Answer Choice.

    `slices` of them, evenly spaced, are shown in their order.
    """
    options = choices([str(row.get(f"Choice {side}") or "").strip() for side in "ABCD"])
    [volume] = shown(row, "Image Path")
    at = [int((number + 0.5) * depth / slices) for number in range(slices)]
    return Example(
        numbered(row),
        "mcq",
        text(row, "Question"),
        (letter(str(row.get("Answer Choice") or "").strip(), options),),
        options,
        cluster=volume,
        images=tuple(f"{volume}#{place}" for place in at),
        tags=tagged(question_type=PLANES.get(str(row.get("Question Type")).strip())),
    )


def medframeqa(row: Raw) -> Example:
    """MedFrameQA: question, options (a list), correct_answer (a letter or an option), image_1-5."""
    options = choices(literal(row.get("options")) or row.get("options"))
    answer = text(row, "correct_answer")
    if answer not in LETTERS[: len(options)] or len(answer) > 1:
        if answer not in options:
            raise BadRow("gold is outside the options")
        answer = LETTERS[options.index(answer)]
    return Example(
        str(row.get("question_id") or numbered(row)),
        "mcq",
        text(row, "question"),
        (letter(answer, options),),
        options,
        images=shown(row, *(f"image_{number}" for number in range(1, 6))),
        tags=tagged(modality=row.get("modality"), body_part=row.get("organ"), body_system=row.get("system")),
    )
