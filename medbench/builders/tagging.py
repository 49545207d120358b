"""Modality, task and level of a question: by its source's labels, else by its words, else by a model.

Each tag keeps its origin, so that a count can leave out what a model guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from medbench import prompts, taxonomy
from medbench.builders import strict
from medbench.builders.strict import Unusable
from medbench.config import Config
from medbench.inference.types import Reply, Request, Sampling
from medbench.prompts import messages
from medbench.schema import LETTERS, Example
from medbench.taxonomy import Tag

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Tags:
    """What is known of a question, and from where."""

    modality: Tag
    task: Tag

    @property
    def whole(self) -> bool:
        """Whether nothing is left to ask."""
        return self.modality.value is not None and self.task.value is not None


class Named(Config):
    """A model's answer to where a question belongs."""

    task: str
    modality: str


def by_rule(
    example: Example, wished: Mapping[str, str], told: Mapping[str, str], seen: Mapping[str, Tag]
) -> Tags:
    """Tags by labels and words.

    `wished` has the tasks of drafted questions, `told` the teacher's modalities, `seen` what is known of
    published questions by all that is asked of their images.
    """
    modality, task = seen.get(example.id) or taxonomy.modality(example), taxonomy.task(example)
    if example.id in wished:
        task = Tag(wished[example.id], "teacher")
        if modality.value is None or not modality.origin.startswith("source"):
            said = taxonomy.known_modality(told.get(example.id, ""))
            modality = Tag(said, "teacher") if said else modality
    return Tags(modality, task)


def request(example: Example, sampling: Sampling) -> Request:
    """The request that asks a model where a question belongs."""
    gold = example.options[LETTERS.index(example.gold[0])] if example.kind == "mcq" else example.gold[0]
    listed = "".join(f"\n{letter}. {text}" for letter, text in zip(LETTERS, example.options, strict=False))
    values = {
        "tasks": "; ".join(taxonomy.TASKS),
        "modalities": "; ".join(taxonomy.MODALITIES),
        "question": example.question,
        "listed": listed,
        "gold": gold,
    }
    shown = messages(prompts.named("tag-question", "tagger"), values, example.images)
    return Request(example.id, shown, sampling)


def by_model(tags: Tags, reply: Reply) -> Tags:
    """Tags with what a model said of those missing; a name that is on neither list says nothing."""
    try:
        said = strict.read(Named, reply.text) if reply.error is None else None
    except Unusable:
        said = None
    if said is None:
        return tags
    modality, task = taxonomy.known_modality(said.modality), taxonomy.known_task(said.task)
    return Tags(
        tags.modality if tags.modality.value else Tag(modality, "model" if modality else ""),
        tags.task if tags.task.value else Tag(task, "model" if task else ""),
    )


def columns(examples: Sequence[Example], tags: Mapping[str, Tags]) -> pl.DataFrame:
    """One row per example: id, modality, task, their origins, level; what nobody knows is `unknown`."""
    rows = []
    for example in examples:
        known = tags[example.id]
        task = known.task.value
        rows.append(
            {
                "id": example.id,
                "modality": known.modality.value or UNKNOWN,
                "modality_origin": known.modality.origin or None,
                "task": task or UNKNOWN,
                "task_origin": known.task.origin or None,
                "level": taxonomy.TASKS[task].level if task else None,
            }
        )
    return pl.DataFrame(rows, schema=TAGGED)


TAGGED = pl.Schema(
    {
        "id": pl.String,
        "modality": pl.String,
        "modality_origin": pl.String,
        "task": pl.String,
        "task_origin": pl.String,
        "level": pl.Int32,
    }
)
