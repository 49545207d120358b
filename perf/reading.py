"""How many replies a second the reader grades on one core, beside a bare regular expression.

    python -m perf.reading

Real replies: GPT-4o's chains of thought on MMMU-Pro, medical subjects (286, about 1,090 characters), where
the shared data are beside the checkout, else replies by small models kept in tests/golden. The answer line
is also rewritten into other usual forms, and cut off. Each figure is the best of 25 passes in a process
of its own time; "first pass" grades questions never seen before, as a new process does.

Last, 2026-11-28, one core of a shared machine, Python 3.11; one bare regex on the same replies: 95,000 to
110,000 a second (120,000 to 140,000 where 47,100 of the first row were measured on 2026-11-24):

| replies                  |   n | characters | first pass | best of 25 |
|--------------------------|----:|-----------:|-----------:|-----------:|
| as published (Answer: X) | 286 |      1,087 |   31,500/s |   42,200/s |
| boxed                    | 286 |      1,088 |    8,100/s |   17,500/s |
| answer tags              | 286 |      1,097 |   13,000/s |   14,000/s |
| JSON                     | 286 |      1,101 |   12,600/s |   13,000/s |
| sentence                 | 286 |      1,127 |    7,500/s |    8,200/s |
| head                     | 286 |      1,121 |    6,300/s |    7,900/s |
| bold line                | 286 |      1,107 |    1,800/s |    2,100/s |
| answer line cut off      | 286 |      1,077 |      500/s |      640/s |
| small models, all styles | 503 |        147 |    2,500/s |    3,400/s |
"""

import ast
import json
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from medbench import verify
from medbench.schema import LETTERS, Example

ROOT = Path(__file__).parents[1]
REPLIES = ROOT.parent / "shared" / "data" / "mmmu_medical" / "mmmu_pro_health_gpt4o_cot.jsonl"
GOLDEN = ROOT / "tests" / "golden" / "replies"
Case = tuple[Example, str]

FORMS = {
    "boxed": r"\boxed{{{letter}}}",
    "answer tags": "<answer>{letter}</answer>",
    "JSON": '{{"answer_choice": "{letter}"}}',
    "sentence": "The correct answer is ({letter}) {text}.",
    "head": "Therefore, option {letter} is the correct answer.",
    "bold line": "**{letter}. {text}**",
}
ONE_REGEX = re.compile(r"(?:answer|Answer)(?: is)?:? \(?([A-J])\)?(?![\w'])")


def published() -> list[Case]:
    """The published replies with their questions; empty where the data are not there."""
    if not REPLIES.is_file():
        return []
    rows = [json.loads(line) for line in REPLIES.read_text(encoding="utf-8").splitlines()]
    return [
        (
            Example(
                row["id"],
                "mcq",
                row["question"],
                (row["answer"],),
                tuple(map(str, ast.literal_eval(row["options"]))),
            ),
            row["response"] if isinstance(row["response"], str) else row["response"][0],
        )
        for row in rows
    ]


def kept() -> list[Case]:
    """The replies of small models that the tests hold, multiple choice."""
    items = [json.loads(line) for line in (GOLDEN / "items.jsonl").read_text(encoding="utf-8").splitlines()]
    examples = {
        item["id"]: Example(item["id"], "mcq", item["question"], (item["gold"],), tuple(item["options"]))
        for item in items
        if item["kind"] == "mcq" and isinstance(item["options"], list)
    }
    rows = [json.loads(line) for line in (GOLDEN / "replies.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(examples[row["item"]], row["reply"]) for row in rows if row["item"] in examples]


def cut(reply: str) -> str:
    """A reply without its last line, where that states the answer."""
    lines = reply.rstrip().split("\n")
    return "\n".join(lines[:-1]) if "nswer" in lines[-1] else reply


def reworded(cases: Sequence[Case], form: str) -> list[Case]:
    """The same replies with their answer given in another form."""
    return [
        (
            example,
            cut(reply)
            + "\n\n"
            + form.format(letter=example.gold[0], text=example.options[LETTERS.index(example.gold[0])]),
        )
        for example, reply in cases
    ]


def rate(cases: Sequence[Case], grade: Callable[[str, Example], object]) -> tuple[float, float]:
    """Replies a second in the first pass and in the best of 25, by the process's own clock."""
    times = []
    for _ in range(25):
        started = time.process_time()
        for example, reply in cases:
            grade(reply, example)
        times.append(time.process_time() - started)
    return len(cases) / times[0], len(cases) / min(times)


def main() -> None:
    """Measure and print one line per kind of reply."""
    cases = published()
    sets = {"as published (Answer: X)": cases} if cases else {}
    sets |= {name: reworded(cases, form) for name, form in FORMS.items()} if cases else {}
    if cases:
        sets["answer line cut off"] = [(example, cut(reply)) for example, reply in cases]
    sets["small models, all styles"] = kept()
    print(f"{'replies':28} {'n':>5} {'chars':>6} {'first pass/s':>13} {'best/s':>9} {'one regex/s':>12}")
    for name, chosen in sets.items():
        size = sum(len(reply) for _, reply in chosen) / len(chosen)
        first, best = rate(chosen, verify.grade)
        _, bare = rate(chosen, lambda reply, example: ONE_REGEX.findall(reply))
        print(f"{name:28} {len(chosen):5} {size:6.0f} {first:13,.0f} {best:9,.0f} {bare:12,.0f}")


if __name__ == "__main__":
    main()
