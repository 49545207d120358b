"""How much does a model look? The same questions without their images, or with those of another question."""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import polars as pl

from medbench.evaluators.metrics import compare, correctness
from medbench.schema import RESULT, Example

Control = Literal["blind", "swap"]


def controlled(examples: Sequence[Example], control: Control, seed: int = 0) -> list[Example]:
    """The questions that have images, shown without them (`blind`) or with another's (`swap`)."""
    pictured = [example for example in examples if example.images or example.fault]
    if control == "blind":
        return [replace(example, images=(), fault=None) for example in pictured]
    return list(swapped([example for example in pictured if not example.fault], seed))


def swapped(examples: Sequence[Example], seed: int) -> Iterator[Example]:
    """Each example with the images of a question on another image, drawn by the example's id.

    One of the same modality if there is any, else of the same part of the body, else any that shows as many
    images. An example without such a partner is left out.
    """
    pools: dict[tuple[int, str], list[Example]] = defaultdict(list)
    for example in examples:
        for alike in likenesses(example):
            pools[len(example.images), alike].append(example)
    for example in examples:
        chance = random.Random(f"swap:{seed}:{example.id}")
        for alike in likenesses(example):
            if partner := other(example, pools[len(example.images), alike], chance):
                yield replace(example, images=partner.images)
                break


def likenesses(example: Example) -> tuple[str, ...]:
    """What an example's images have in common with others', closest first."""
    modality, part = (example.tags.get(name, "") for name in ("modality", "body_part"))
    both = f"{modality}/{part}" if modality and part else ""
    named = [f"{i}:{alike}" for i, alike in enumerate((both, modality, part)) if alike]
    return (*named, "any")


def other(example: Example, pool: Sequence[Example], chance: random.Random) -> Example | None:
    """One of the pool that shows another image; None if there is none."""
    start = chance.randrange(len(pool))
    for place in range(len(pool)):
        partner = pool[(start + place) % len(pool)]
        if not set(partner.images) & set(example.images) and partner.cluster != example.cluster:
            return partner
    return None


def beside(
    name: str, control: Control, *, main: pl.DataFrame, verdicts: pl.DataFrame, samples: int
) -> pl.DataFrame:
    """The control's accuracy, and what the images gain over it, as rows of table RESULT for `name`.

    The gain is paired: over the questions scored both ways, accuracy with the images minus accuracy of the
    control, in [-1, 1].
    """
    verdicts = verdicts.with_columns(benchmark=pl.lit(name))
    judged = verdicts.filter(pl.col("status") != "unjudged")
    rows = [{**row, "metric": f"{control}_{row['metric']}"} for row in correctness(judged, samples)[:1]]
    pair = compare(verdicts, main)
    asked = main.filter(
        pl.col("example").is_in(verdicts["example"].implode()) | (pl.col("status") == "error")
    )
    open_to_it = asked.filter(pl.col("status") != "unjudged")["example"].n_unique()
    rows.append(
        {
            "metric": f"gain_over_{control}",
            "value": pair.difference,
            "low": pair.low,
            "high": pair.high,
            "n": pair.n,
            "unanswered": 0,
            "unscored": open_to_it - pair.n,
        }
    )
    return pl.DataFrame([{"benchmark": name, "group": "", **row} for row in rows], schema=RESULT)
