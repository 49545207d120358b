"""Taking test questions and test images out of a training set: how fast, how much memory, what is found.

    python -m perf.decontaminate

Text: 200,000 rows made of the sentences and words of real benchmark questions (beside the checkout, else
nothing is measured), 2,000 of them test questions with their options reordered and, of half, a word changed,
against every text benchmark that can be read there. Images: VQA-RAD's 315, decoded
and printed on one thread, and how many copies of each kind and how many other pairs are taken for the same.

Last, 2026-11-28, 2 cores that other work shared, Python 3.11, one process:

    200,000 rows against 16,450 test questions: 35.9 s (1.3 s the index), peak 320 MB
    planted 2,000 of 2,000 found; of the 198,000 others 3
    315 images: decoding 0.78 s, prints 0.89 s more
    2 of 49,455 pairs of different images: two slices of one CT series, two heads
    copies found of 315: JPEG 60 315, half 315, 2 % off all sides 311, 5 % off all sides 314,
    off the left 314, off the bottom 314, off two sides 315, all of it at once 315
"""

import io
import random
import resource
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from perf.throughput import MIRROR

ROWS = 200_000
EVERY = 100
"""One row in so many is planted."""


def tests() -> list[Any]:
    """The questions of every benchmark of text that the mirror holds."""
    from medbench.catalog import Catalog, Place
    from medbench.errors import MedbenchError

    home = Path("/nowhere")
    catalog, place = Catalog.load(), Place(home, MIRROR, home / "lock")
    found: dict[tuple[str, str], list[Any]] = {}
    for name, row in catalog.benchmarks.items():
        try:
            if (row.source, row.split) not in found:
                examples = catalog.examples(name, place, pictures=False).examples
                found[row.source, row.split] = [example for example in examples if not example.images]
        except MedbenchError:
            continue
    return [example for examples in found.values() for example in examples]


def made(real: list[Any]) -> Iterator[Any]:
    """Rows like real ones: sentences of two questions and words in another order; some are planted."""
    chance = random.Random(0)
    fair = [e for e in real if len(e.question.split()) > 7]
    for number in range(ROWS):
        one, other = chance.choice(fair), chance.choice(fair)
        words = one.question.split()
        if number % EVERY == 0:
            if number % (2 * EVERY):
                words[chance.randrange(len(words))] = "zebra"
            options = tuple(chance.sample(one.options, len(one.options)))
            yield replace(one, id=f"planted/{one.id}", question=" ".join(words), options=options)
            continue
        cut = chance.randrange(1, 7)
        mixed = [*words[:cut], *chance.sample(words[cut:], len(words) - cut)]
        tail = other.question.split()[-6:]
        yield replace(one, id=f"row/{number}", question=" ".join([*mixed, *tail]), options=other.options)


def text() -> None:
    """Print the seconds, the memory and what was found."""
    from medbench.builders.leaks import Leaks

    real = tests()
    rows = list(made(real))
    began = time.monotonic()
    index = Leaks(real)
    built = time.monotonic() - began
    found = {row.id: index.find(row) for row in rows}
    wall = time.monotonic() - began
    planted = [row.id for row in rows if row.id.startswith("planted/")]
    hits = sum(found[name] is not None for name in planted)
    others = sum(hit is not None for name, hit in found.items() if not name.startswith("planted/"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{len(rows):,} rows against {len(real):,} test questions: {wall:.1f} s ({built:.1f} s the index)")
    print(f"  peak {peak:,} MB; planted {hits:,} of {len(planted):,}; of the others {others:,}")


def images() -> None:
    """Print what a print costs beside decoding, and what is found of copies."""
    from PIL import Image

    from medbench.builders.lookalikes import alike
    from medbench.images.prints import print_of
    from tests.test_leaks import COPIES

    contents = [path.read_bytes() for path in sorted((MIRROR / "vqa_rad/images").glob("*.jpg"))]
    plain, printing = [], []
    for _ in range(3):
        began = time.monotonic()
        pictures = [Image.open(io.BytesIO(content)).convert("RGB") for content in contents]
        plain.append(time.monotonic() - began)
        began = time.monotonic()
        known = [print_of(str(number), picture) for number, picture in enumerate(pictures)]
        printing.append(time.monotonic() - began)
    both = min(plain) + min(printing)
    print(
        f"{len(contents)} images: decoding {min(plain):.2f} s, with prints {both / min(plain):.2f} times that"
    )
    pairs = {tuple(sorted((p.image, p.test))) for p in alike(known, known, str) if p.image != p.test}
    print(f"  {len(pairs)} of {len(known) * (len(known) - 1) // 2:,} pairs of different images")
    for kind, change in COPIES.items():
        copies = [print_of(str(number), change(picture)) for number, picture in enumerate(pictures)]
        found = {pair.image for pair in alike(copies, known, str) if pair.image == pair.test}
        print(f"  {kind:18} {len(found)} of {len(known)} found")


if __name__ == "__main__":
    if not (MIRROR / "vqa_rad").is_dir():
        raise SystemExit("the real data is not beside the checkout")
    if sys.argv[1:]:
        {"text": text, "images": images}[sys.argv[1]]()
    else:
        text()
        images()
