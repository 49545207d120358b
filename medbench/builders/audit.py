"""The auditor of open questions: does the reference answer the question, for this image?

After MedCCO's VQA-consistency auditor. That there is one which rewrites pairs that do not fit is stated (in
the revised version); its prompt, its reply and what is done with it are a reconstruction.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from medbench import prompts
from medbench.builders import asking, strict
from medbench.builders.context import Context
from medbench.builders.strict import Unusable
from medbench.config import Config
from medbench.inference.types import Reply, Request, Sampling, kind_of_fault
from medbench.schema import Example, records

PROMPT = "audit-pair"
OPEN = ("open", "free")
"""Kinds that are audited: their reference is a wording, which may miss the question."""

UNAUDITED = "unaudited"

AUDIT = pl.Schema(
    {
        "id": pl.String,
        "auditor": pl.String,
        "prompt": pl.String,
        "reply": pl.String,
        "finish": pl.String,
        "error": pl.String,
        "tokens_in": pl.Int32,
        "tokens_out": pl.Int32,
        "edit": pl.String,
        "unusable": pl.String,
    }
)
"""One row per question put to the auditor; `edit` is null where `unusable` says why nothing came of it."""

COLUMNS: dict[str, Any] = {
    "audit": pl.String,
    "question_before": pl.String,
    "gold_before": pl.List(pl.String),
}
"""What rows have besides, where there is an auditor; `audit` is null for kinds that are not audited."""


class Finding(Config):
    """What the auditor says of a question and its reference."""

    aligned: bool
    edit: Literal["none", "question", "answer", "drop"]
    question: str
    answer: str


@dataclass(frozen=True)
class Audited:
    """Rows after the audit, those to drop with the reason, every reply, and sentences for the card."""

    rows: pl.DataFrame
    dropped: dict[str, str]
    replies: pl.DataFrame
    notes: list[str]


def audited(rows: pl.DataFrame) -> list[Example]:
    """The questions that are put to the auditor: open ones whose images can be shown."""
    return [e for e in records(rows.filter(pl.col("kind").is_in(OPEN))) if e.fault is None]


def request(example: Example, sampling: Sampling) -> Request:
    """The request that shows the auditor a question with its image and reference."""
    asked = f"{example.context}\n\n{example.question}" if example.context else example.question
    values = {"question": prompts.inert(asked), "gold": prompts.inert(" / ".join(example.gold))}
    shown = prompts.messages(prompts.named(PROMPT, "auditor"), values, example.images)
    return Request(example.id, shown, sampling)


def audit(context: Context, rows: pl.DataFrame, sampling: Sampling, max_failed: float) -> Audited:
    """Ask about every open question among `rows`, and edit or drop as the auditor says.

    A reply that is not what was asked for changes nothing. Raises MedbenchError when more than the share
    `max_failed` of the calls fail.
    """
    examples = audited(rows)
    requests = [request(example, sampling) for example in examples]
    replies = asking.ask(context, "auditor", context.models["auditor"], requests)
    asking.refuse_failures("auditor", [reply.error for reply in replies], max_failed)
    found: dict[str, Finding] = {}
    label, lines = prompts.named(PROMPT, "auditor").label, []
    for example, reply in zip(examples, replies, strict=True):
        try:
            found[example.id] = finding(example, reply)
            reason = None
        except Unusable as problem:
            reason = problem.reason
        edit = found[example.id].edit if reason is None else None
        said = (reply.text, reply.finish, kind_of_fault(reply.error), reply.tokens_in, reply.tokens_out)
        lines.append((example.id, context.shown("auditor"), label, *said, edit, reason))
    table = pl.DataFrame(lines, schema=AUDIT, orient="row")
    why = {one: "dropped by the auditor" for one, said in found.items() if said.edit == "drop"}
    return Audited(edited(rows, found), why, table, told(rows, table))


def finding(example: Example, reply: Reply) -> Finding:
    """A reply as a finding. Raises Unusable, also where it contradicts itself or edits nothing."""
    if reply.error is not None:
        raise Unusable("the call failed")
    said = strict.read(Finding, reply.text)
    if said.aligned != (said.edit == "none"):
        raise Unusable("aligned and edit contradict each other")
    changed = {"question": said.question.strip(), "answer": said.answer.strip()}.get(said.edit)
    if changed == "":
        raise Unusable(f"no {said.edit} in place of the old one")
    if changed is not None and changed in (example.question.strip(), *example.gold):
        raise Unusable(f"the new {said.edit} is the old one")
    return said


def edited(rows: pl.DataFrame, found: dict[str, Finding]) -> pl.DataFrame:
    """The rows with edits in place, the words before them kept beside."""
    lines: list[dict[str, Any]] = []
    for row in rows.select("id", "kind", "question", "gold").iter_rows(named=True):
        said = found.get(row["id"])
        line = {**row, "audit": None, "question_before": None, "gold_before": None}
        if row["kind"] in OPEN:
            line["audit"] = {"none": "aligned"}.get(said.edit, said.edit) if said else UNAUDITED
        if said and said.edit == "question":
            line |= {"question_before": row["question"], "question": said.question.strip()}
        if said and said.edit == "answer":
            line |= {"gold_before": row["gold"], "gold": [said.answer.strip()]}
        lines.append(line)
    kinds = {"question": pl.String, "gold": pl.List(pl.String), **COLUMNS}
    made = pl.DataFrame(lines, schema=kinds)
    return rows.with_columns(made.get_columns())


def beside(rows: pl.DataFrame, seen: pl.DataFrame) -> pl.DataFrame:
    """All rows with what the auditor changed in those it has seen, and its columns."""
    changed = {name: pl.col(name) for name in ("question", "gold", *COLUMNS)}
    new = seen.select("id", **{f"#{name}": column for name, column in changed.items()})
    bare = rows.drop(COLUMNS, strict=False)
    joined = bare.join(new, on="id", how="left", maintain_order="left")
    words = [pl.coalesce(f"#{name}", name).alias(name) for name in ("question", "gold")]
    marks = [pl.col(f"#{name}").alias(name) for name in COLUMNS]
    return joined.with_columns(*words, *marks).drop(f"#{name}" for name in changed)


def told(rows: pl.DataFrame, table: pl.DataFrame) -> list[str]:
    """Sentences on what the auditor did."""
    edits = Counter(table["edit"].drop_nulls().to_list())
    asked = rows.filter(pl.col("kind").is_in(OPEN)).height
    reasons = Counter(table["unusable"].drop_nulls().to_list())
    if unasked := asked - table.height:
        reasons["an image that cannot be shown"] += unasked
    notes = [
        f"Audited {table.height:,} of {asked:,} open questions: {edits['none']:,} aligned, "
        f"{edits['question']:,} questions and {edits['answer']:,} answers edited (the words before are in "
        f"`question_before` and `gold_before`), {edits['drop']:,} dropped."
    ]
    if reasons:
        why = ", ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common())
        notes.append(f"{reasons.total():,} open questions stay as they were, unaudited: {why}.")
    return notes
