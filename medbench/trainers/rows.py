"""Examples to the rows a trainer reads: prompts rendered, options reordered, replies to imitate.

Every draw is seeded from the row's own id, so that a subset behaves like the whole.
"""

import hashlib
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import Any

import polars as pl

from medbench import prompts
from medbench.adapters.orders import lettered, turned
from medbench.schema import LETTERS, Example
from medbench.trainers.recipe import Grpo, Sft
from medbench.trainers.rewards import packed

MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "id": pl.String,
    "prompt": MESSAGES,
    "example": pl.String,
}
TAUGHT: dict[str, pl.DataType | type[pl.DataType]] = {"completion": MESSAGES, "taught": pl.Boolean}
"""What the table for SFT holds besides."""


STAGED: dict[str, pl.DataType | type[pl.DataType]] = {"stage": pl.Int32}
"""What it holds besides where its order is kept."""


def training_table(
    recipe: Sft | Grpo, examples: Sequence[Example], stages: Sequence[int] | None = None
) -> pl.DataFrame:
    """One row per example and option order: `COLUMNS`, for SFT `TAUGHT` as well, with stages `STAGED`.

    All option orders of a stage come before the next stage. For SFT, an example of a fact that is not taught
    and offers nothing to choose from is left out.
    """
    answers = golds(examples) if recipe.fresh_options.value else {}
    if stages is None:
        return made(recipe, examples, answers)
    parts = [made(recipe, [], answers).with_columns(pl.Series("stage", [], pl.Int32))]
    for stage, group in groupby(zip(stages, examples, strict=True), key=itemgetter(0)):
        part = made(recipe, [example for _, example in group], answers)
        parts.append(part.with_columns(stage=pl.lit(stage, pl.Int32)))
    return pl.concat(parts)


def made(
    recipe: Sft | Grpo, examples: Sequence[Example], answers: Mapping[str, Sequence[str]]
) -> pl.DataFrame:
    """The rows of some examples in all their option orders."""
    prompt = prompts.named(recipe.prompt)
    rows: list[dict[str, Any]] = []
    for example in ordered(recipe, examples, answers):
        shown = example
        reply: dict[str, Any] = {}
        if isinstance(recipe, Sft):
            shown, reply = imitated(recipe, example, answers.get(example.tags.get("category", ""), ()))
        asked = list(prompts.render(prompt, shown))
        rows.append({"id": example.id, "prompt": asked, "example": packed(example), **reply})
    if isinstance(recipe, Grpo):
        return pl.DataFrame(rows, schema=COLUMNS)
    return pl.DataFrame(rows, schema=COLUMNS | TAUGHT).drop_nulls("completion")


def ordered(
    recipe: Sft | Grpo, examples: Sequence[Example], answers: Mapping[str, Sequence[str]]
) -> Iterator[Example]:
    """Each example as it is, then each multiple-choice one in further orders, as the recipe asks.

    `answers` holds the right answers by category; where there are some, wrong options are drawn from them.
    """
    for order in range(recipe.option_orders.value):
        for example in examples:
            if order == 0:
                yield example
            elif example.kind == "mcq":
                chance = random.Random(f"options:{recipe.seed.value}:{order}:{example.id}")
                words = answers.get(example.tags.get("category", ""), ())
                yield reordered(example, order, chance=chance, answers=words)


def golds(examples: Sequence[Example]) -> dict[str, tuple[str, ...]]:
    """The right options found in each category (a tag), in order of appearance."""
    found: dict[str, dict[str, None]] = {}
    for example in examples:
        if example.kind == "mcq" and "category" in example.tags and not lettered(example):
            words = (example.options[LETTERS.index(letter)] for letter in example.gold)
            found.setdefault(example.tags["category"], {}).update(dict.fromkeys(words))
    return {category: tuple(words) for category, words in found.items()}


def reordered(example: Example, order: int, *, chance: random.Random, answers: Sequence[str]) -> Example:
    """`example` with its options in another order, and wrong ones drawn anew from `answers` if it can.

    Neither where its options name letters.
    """
    options = list(example.options)
    right = [LETTERS.index(letter) for letter in example.gold]
    others = [text for text in answers if text not in {options[place] for place in right}]
    wrong = [place for place in range(len(options)) if place not in right]
    if len(others) >= len(wrong) and not lettered(example):
        for place, text in zip(wrong, chance.sample(others, len(wrong)), strict=True):
            options[place] = text
    places = chance.sample(range(len(options)), len(options))
    moved = turned(replace(example, options=tuple(options)), places)
    return replace(moved, id=f"{example.id}~{order}", cluster=example.cluster or example.id)


def taught(example: Example, *, share: float, seed: int) -> bool:
    """Whether SFT teaches the gold of this example; alike for all examples of one fact.

    The fact is tag `fact`, else the cluster, else the example itself.
    """
    fact = example.tags.get("fact") or example.cluster or example.id
    draw = int.from_bytes(hashlib.sha256(f"teach:{seed}:{fact}".encode()).digest()[:8], "big")
    return draw < share * 2**64


def imitated(recipe: Sft, example: Example, answers: Sequence[str]) -> tuple[Example, dict[str, Any]]:
    """The question as SFT shows it, and the reply it teaches; null where there is nothing to teach.

    The label of a fact that is not taught is drawn from `answers`, the right ones of its category, all
    alike: drawn from the options shown, the gold, which is always among them, would be the commonest.
    """
    with_gold = taught(example, share=recipe.teach_share.value, seed=recipe.seed.value)
    shown = worn(example, recipe.word_dropout.value, recipe.seed.value)
    if not with_gold:
        shown = offering(shown, answers, recipe.seed.value)
    answer = example.gold[0] if with_gold else drawn(shown, answers, recipe.seed.value)
    if answer is None:
        return shown, {"completion": None, "taught": False}
    words = shown.options[LETTERS.index(answer)] if example.kind == "mcq" else answer
    content = prompts.fill(recipe.reply, {"answer": words, "letter": answer})
    return shown, {"completion": [{"role": "assistant", "content": content}], "taught": with_gold}


def worn(example: Example, rate: float, seed: int) -> Example:
    """Half of the questions with words left out, each at a chance of up to `rate`; the others as they are.

    What is learned then hangs on the words that matter, not on one wording.
    """
    chance = random.Random(f"wear:{seed}:{example.id}")
    if rate <= 0 or chance.random() < 0.5:
        return example
    lost = chance.random() * rate
    kept = " ".join(word for word in example.question.split() if chance.random() >= lost)
    return replace(example, question=kept or example.question)


def label(example: Example, answers: Sequence[str], seed: int) -> str:
    """One of `answers`, drawn for this example."""
    return random.Random(f"label:{seed}:{example.id}").choice(answers)


def offering(example: Example, answers: Sequence[str], seed: int) -> Example:
    """`example` with its drawn label among the options, in place of a wrong one if need be."""
    if example.kind != "mcq" or not answers or (text := label(example, answers, seed)) in example.options:
        return example
    wrong = [place for place in range(len(example.options)) if LETTERS[place] not in example.gold]
    place = random.Random(f"place:{seed}:{example.id}").choice(wrong)
    options = list(example.options)
    options[place] = text
    return replace(example, options=tuple(options))


def drawn(example: Example, answers: Sequence[str], seed: int) -> str | None:
    """An answer drawn at random, right or wrong; None when none are offered."""
    if example.kind == "mcq" and answers:
        return LETTERS[example.options.index(label(example, answers, seed))]
    offered: Sequence[str] = LETTERS[: len(example.options)] if example.kind == "mcq" else example.options
    if not offered and example.kind == "yesno":
        offered = ("yes", "no")
    return label(example, offered, seed) if offered else None
