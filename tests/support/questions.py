"""Small original question sets for tests, and a catalog of one's own around them."""

import json
from pathlib import Path

from medbench.schema import LETTERS, Example

ORGANS = ["heart", "liver", "kidney", "lung", "spleen", "stomach", "pancreas", "bladder", "thyroid", "retina"]


def example(number: int, gold: str = "B", options: int = 4) -> Example:
    """Question `number`, made up."""
    texts = tuple(ORGANS[(number + i) % len(ORGANS)] for i in range(options))
    stem = f"Case {number}: a made-up finding points to one organ. Which organ does number {number} name?"
    return Example(f"made/test-{number:04}", "mcq", stem, (gold,), options=texts, source="made", split="test")


def examples(n: int) -> list[Example]:
    """The first `n` questions, golds cycling through the letters."""
    return [example(i, LETTERS[i % 4]) for i in range(n)]


def catalog(folder: Path, n: int, split: str = "test", name: str = "made") -> Path:
    """A catalog file with benchmark `name` of `n` questions, and a mirror `folder/mirror` that holds them."""
    rows = folder / "mirror" / name / f"{split}.jsonl"
    rows.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for question in examples(n):
        options = dict(zip(LETTERS, question.options, strict=False))
        row = {
            "question": question.question,
            "options": options,
            "answer_idx": question.gold[0],
            "answer": "",
        }
        row["answer"] = options[question.gold[0]]
        row["meta_info"] = "step1" if len(lines) % 2 else "step2&3"
        lines.append(json.dumps(row))
    rows.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path = folder / f"{name}.yaml"
    path.write_text(
        f"""
sources:
  {name}:
    title: Made-up questions
    license: CC0-1.0
    original:
      {split}: {{files: {{{name}/{split}.jsonl: null}}, format: jsonl, adapter: "qa:medqa"}}
benchmarks:
  {name}: {{source: {name}, split: {split}, size: {n}}}
suites:
  {name}-suite: {{title: Made up, benchmarks: [{name}]}}
datasets:
  {name}-levelled:
    builder: alphamed
    title: Made-up levels
    license: CC0-1.0
    cite: nobody
    config: {{whole: [], levelled: [{name}], split: {split}, per_level: 1000, against: [], chunk: 50}}
""",
        encoding="utf-8",
    )
    return path
