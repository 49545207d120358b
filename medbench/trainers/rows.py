"""Examples to the rows a trainer reads: prompts rendered, options reordered, replies to imitate.

Every draw is seeded from the row's own id, so that a subset behaves like the whole.
"""

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from medbench import prompts
from medbench.catalog import turned
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


def training_table(recipe: Sft | Grpo, examples: Sequence[Example]) -> pl.DataFrame:
    """One row per example and option order: `COLUMNS`, and for SFT `TAUGHT` as well.

    For SFT, an example of a fact that is not taught and offers nothing to choose from is left out.
    """
    prompt = prompts.named(recipe.prompt)
    rows: list[dict[str, Any]] = []
    for example in ordered(recipe, examples):
        row = {
            "id": example.id,
            "prompt": list(prompts.render(prompt, example)),
            "example": packed(example),
        }
        if isinstance(recipe, Sft):
            row |= imitated(recipe, example)
        rows.append(row)
    if isinstance(recipe, Grpo):
        return pl.DataFrame(rows, schema=COLUMNS)
    return pl.DataFrame(rows, schema=COLUMNS | TAUGHT).drop_nulls("completion")


def ordered(recipe: Sft | Grpo, examples: Sequence[Example]) -> Iterator[Example]:
    """Each example as it is, then each multiple-choice one in further orders, as the recipe asks."""
    answers = golds(examples) if recipe.fresh_options.value else {}
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
        if example.kind == "mcq" and "category" in example.tags:
            words = (example.options[LETTERS.index(letter)] for letter in example.gold)
            found.setdefault(example.tags["category"], {}).update(dict.fromkeys(words))
    return {category: tuple(words) for category, words in found.items()}


def reordered(example: Example, order: int, *, chance: random.Random, answers: Sequence[str]) -> Example:
    """`example` with its options in another order, and wrong ones drawn anew from `answers` if it can."""
    options = list(example.options)
    right = [LETTERS.index(letter) for letter in example.gold]
    others = [text for text in answers if text not in {options[place] for place in right}]
    wrong = [place for place in range(len(options)) if place not in right]
    if len(others) >= len(wrong):
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


def imitated(recipe: Sft, example: Example) -> dict[str, Any]:
    """The reply SFT teaches for an example, null where there is nothing to teach."""
    with_gold = taught(example, share=recipe.teach_share.value, seed=recipe.seed.value)
    answer = example.gold[0] if with_gold else drawn(example, recipe.seed.value)
    if answer is None:
        return {"completion": None, "taught": False}
    words = example.options[LETTERS.index(answer)] if example.kind == "mcq" else answer
    content = prompts.fill(recipe.reply, {"answer": words, "letter": answer})
    return {"completion": [{"role": "assistant", "content": content}], "taught": with_gold}


def drawn(example: Example, seed: int) -> str | None:
    """An answer picked at random from those offered, right or wrong; None when none are offered."""
    offered: Sequence[str] = LETTERS[: len(example.options)] if example.kind == "mcq" else example.options
    if not offered and example.kind == "yesno":
        offered = ("yes", "no")
    return random.Random(f"label:{seed}:{example.id}").choice(offered) if offered else None
