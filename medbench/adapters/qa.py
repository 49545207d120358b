"""Multiple-choice and yes/no question answering sets, one function per layout."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from medbench.adapters import BadRow, Raw, choices, letter, nth, tagged, text
from medbench.errors import SourceError
from medbench.schema import LETTERS, Example

YES_NO_MAYBE = ("yes", "no", "maybe")


def medqa(row: Raw) -> Example:
    """MedQA: question, options {A-D}, answer_idx, answer (text), meta_info. Rows have no id."""
    options = choices(row.get("options"))
    gold = letter(row.get("answer_idx"), options)
    if row.get("answer") is not None and text(row, "answer") != options[LETTERS.index(gold)]:
        raise BadRow("answer text is not the option at the gold letter")
    return Example(
        f"{row['_split']}-{row['_row']:04d}",
        "mcq",
        text(row, "question"),
        (gold,),
        options,
        tags=tagged(meta=row.get("meta_info")),
    )


def medmcqa(row: Raw, base: int = 0) -> Example:
    """MedMCQA: question, opa-opd, cop (counts from `base`: 0 on the Hub, 1 in the original files)."""
    if row.get("cop") == -1:
        raise BadRow("the label is hidden (cop -1)")
    options = choices([row.get(f"op{side}") for side in "abcd"])
    return Example(
        text(row, "id"),
        "mcq",
        text(row, "question"),
        (nth(row.get("cop"), options, base),),
        options,
        tags=tagged(
            subject=row.get("subject_name"), topic=row.get("topic_name"), choice_type=row.get("choice_type")
        ),
    )


def medmcqa_whole(rows: Sequence[Raw], base: int = 0) -> None:
    """Refuse a split whose `cop` does not run over exactly base … base+3, or is hidden.

    Read with the wrong base, most answers would shift by one without any error.
    """
    seen = Counter(cop for row in rows if type(cop := row.get("cop")) is int)
    if rows and seen[-1] == len(rows):
        raise SourceError(
            "every label of this MedMCQA split is hidden (cop -1)",
            "its test answers were never published; use the validation split",
        )
    labels = [cop for cop in range(5) if seen[cop]]
    if not labels or (labels[0], labels[-1]) != (base, base + 3):
        shown = f"{labels[0]} to {labels[-1]}" if labels else "nowhere"
        raise SourceError(
            f"cop counts from {shown} in this MedMCQA split; reading it from {base} to {base + 3} "
            "would give wrong answers",
            "the Hub's files count from 0, the original ones from 1: use the layout these files belong to",
        )


def pubmedqa(row: Raw) -> Example:
    """PubMedQA on the Hub: pubid, question, context {contexts, …}, final_decision."""
    abstract = row.get("context") or {}
    return decision(
        str(row["pubid"]), text(row, "question"), abstract.get("contexts"), row.get("final_decision")
    )


def pubmedqa_original(row: Raw) -> Example:
    """PubMedQA's own file: the PMID as key, QUESTION, CONTEXTS, final_decision."""
    return decision(row["_key"], text(row, "QUESTION"), row.get("CONTEXTS"), row.get("final_decision"))


def decision(own_id: str, question: str, contexts: object, answer: object) -> Example:
    """A question on an abstract, answered yes, no or maybe."""
    if answer is None:
        raise BadRow("no gold")
    if answer not in YES_NO_MAYBE:
        raise BadRow("gold is outside the options")
    if not isinstance(contexts, list) or not contexts:
        raise BadRow("no abstract")
    gold = LETTERS[YES_NO_MAYBE.index(answer)]
    return Example(own_id, "mcq", question, (gold,), YES_NO_MAYBE, "\n".join(contexts))


def mmlu(row: Raw) -> Example:
    """MMLU on the Hub: question, subject, choices (list), answer (0-3). Rows have no id."""
    options = choices(row.get("choices"))
    subject = text(row, "subject")
    gold = nth(row.get("answer"), options)
    return Example(
        f"{subject}-{row['_row']:05d}",
        "mcq",
        text(row, "question"),
        (gold,),
        options,
        tags=tagged(subject=subject),
    )


def mmlu_csv(row: Raw) -> Example:
    """MMLU's own files, one per subject: question, A-D, answer (letter). Numbered as MIRAGE does."""
    options = choices([row[side] for side in "ABCD"])
    subject = row["_file"].removesuffix("_test")
    gold = letter(row["answer"], options)
    return Example(
        f"{subject}-{row['_row']:03d}",
        "mcq",
        text(row, "question"),
        (gold,),
        options,
        tags=tagged(subject=subject),
    )


def mmlu_pro(row: Raw) -> Example:
    """MMLU-Pro on the Hub: question_id, question, options (list), answer (letter), answer_index, category."""
    options = choices(row.get("options"))
    gold = letter(row.get("answer"), options)
    if row.get("answer_index") is not None and nth(row["answer_index"], options) != gold:
        raise BadRow("answer and answer_index disagree")
    return Example(
        str(row["question_id"]),
        "mcq",
        text(row, "question"),
        (gold,),
        options,
        tags=tagged(category=row.get("category"), origin=row.get("src")),
    )


def medagents(row: Raw) -> Example:
    """MMLU-Pro as medagents-benchmark reshaped it: realidx, question, options {A-J}, answer_idx, category."""
    options = choices(row.get("options"))
    gold = letter(row.get("answer_idx"), options)
    return Example(
        str(row["realidx"]),
        "mcq",
        text(row, "question"),
        (gold,),
        options,
        tags=tagged(category=row.get("category"), origin=row.get("src")),
    )


def gpqa(row: Raw) -> Example:
    """GPQA: Question, Correct Answer, Incorrect Answer 1-3, Subdomain, Record ID.

    The file names the right answer first, so options are sorted: their order then says nothing.
    """
    right = text(row, "Correct Answer")
    options = tuple(sorted([right, *(text(row, f"Incorrect Answer {number}") for number in (1, 2, 3))]))
    return Example(
        text(row, "Record ID"),
        "mcq",
        text(row, "Question"),
        (LETTERS[options.index(right)],),
        options,
        tags=tagged(domain=row.get("High-level domain"), subdomain=row.get("Subdomain")),
    )


def medxpertqa(row: Raw) -> Example:
    """MedXpertQA on the Hub: id, question (ending in its choices), options {A-J}, label (letter)."""
    return expert(row, row.get("options"), row.get("label"))


def medxpertqa_eval(row: Raw) -> Example:
    """MedXpertQA's evaluation files: options as [{letter, content}], label as a list of one letter."""
    labels = row.get("label") or ()
    if len(labels) > 1:
        raise BadRow("more than one gold")
    options = {option["letter"]: option["content"] for option in row["options"]}
    return expert(row, options, labels[0] if labels else None)


def expert(row: Raw, options: Any, label: object) -> Example:
    """A MedXpertQA question, the choices written into it cut off."""
    texts = choices(options)
    stem, _, rest = text(row, "question").rpartition("Answer Choices:")
    question = stem.strip() if rest.lstrip().startswith("(A)") else text(row, "question")
    if not question:
        raise BadRow("no question")
    return Example(
        text(row, "id"),
        "mcq",
        question,
        (letter(label, texts),),
        texts,
        tags=tagged(
            question_type=row.get("question_type"),
            medical_task=row.get("medical_task"),
            body_system=row.get("body_system"),
        ),
    )


def mirage(row: Raw) -> Example:
    """MIRAGE, any of its five sets: question, options {letter: text}, answer (letter)."""
    options = choices(row.get("options"))
    gold = letter(row.get("answer"), options)
    subject = row["_key"].rpartition("-")[0] if row["_split"] == "mmlu" else None
    return Example(
        f"{row['_split']}/{row['_key']}",
        "mcq",
        text(row, "question"),
        (gold,),
        options,
        tags=tagged(subject=subject),
    )


def starter(row: Raw) -> Example:
    """The starter set: id, fact, category, split, kind, question, options, answer (text)."""
    answer = text(row, "answer")
    options = choices(row["options"]) if row.get("options") else ()
    if row["kind"] == "mcq" and answer not in options:
        raise BadRow("gold is outside the options")
    gold = LETTERS[options.index(answer)] if row["kind"] == "mcq" else answer
    return Example(
        text(row, "id").removeprefix("starter/"),
        row["kind"],
        text(row, "question"),
        (gold,),
        options,
        split=text(row, "split"),
        cluster=row.get("fact"),
        tags=tagged(category=row.get("category")),
    )
