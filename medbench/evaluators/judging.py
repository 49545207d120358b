"""Answers in words that the rules do not call right, put to a judge: does the reply say what the gold says?

The judge sees only what the rules left. A verdict is the last of the offered labels in its reply; without
one it is asked once more, and then the answer is unscored, never wrong. What a reply contains is inert:
placeholders are filled in one pass, and it cannot close the marks around it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from medbench import prompts
from medbench.evaluators.metrics import correctness
from medbench.inference.types import Model, Request, Sampling
from medbench.runs import Run
from medbench.schema import RESULT, Example

WORDED = ("open", "free")
LABELS = {"CORRECT": True, "INCORRECT": False}
LABEL = re.compile(r"\b(INCORRECT|CORRECT)\b")
SAMPLING = Sampling(max_tokens=512)
TRIES = 2

JUDGEMENT = pl.Schema(
    {
        "benchmark": pl.String,
        "example": pl.String,
        "sample": pl.Int32,
        "judged": pl.Boolean,
        "error": pl.String,
    }
)
"""One row per reply put to the judge; `judged` is null where it gave no verdict, and `error` says why."""


def judged(
    run: Run, judge: Model, *, examples: Mapping[str, Example], verdicts: pl.DataFrame, stage: str
) -> pl.DataFrame:
    """What the judge says of the replies that the rules left: table JUDGEMENT."""
    owed = list(left(examples, verdicts))
    said: dict[tuple[str, int], tuple[bool | None, str | None]] = {}
    for attempt in range(TRIES):
        wanted = [row for row in owed if said.get((row["example"], row["sample"]), (None, None))[0] is None]
        requests = [request(examples[row["example"]], row, stage, attempt) for row in wanted]
        for row, reply in zip(wanted, run.ask("judge", judge, requests=requests), strict=True):
            verdict = read(reply.text) if reply.error is None else None
            problem = None if verdict is not None else reply.error or "no verdict in the judge's reply"
            said[row["example"], row["sample"]] = (verdict, problem)
    rows = [(stage, *key, verdict, problem) for key, (verdict, problem) in said.items()]
    return pl.DataFrame(rows, schema=JUDGEMENT, orient="row")


def left(examples: Mapping[str, Example], verdicts: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """The replies to questions answered in words that the rules do not call right."""
    for row in verdicts.iter_rows(named=True):
        open_to_it = examples[row["example"]].kind in WORDED and row["status"] not in ("error", "refused")
        if open_to_it and not row["correct"] and row["reply"].strip():
            yield row


def request(example: Example, row: Mapping[str, Any], stage: str, attempt: int) -> Request:
    """The question to the judge about one reply."""
    prompt = prompts.named("judge-equivalence", "judge")
    values = {
        "question": example.question,
        "gold": " / ".join(example.gold),
        "reply": re.sub("<{3,}|>{3,}", lambda marks: " ".join(marks[0]), row["reply"]),
    }
    content = prompts.fill(prompt.user, values)
    number = row["sample"] * TRIES + attempt
    return Request(f"{stage}/{example.id}", ({"role": "user", "content": content},), SAMPLING, number)


def read(text: str) -> bool | None:
    """The judge's verdict: the last label it says."""
    found = LABEL.findall(text)
    return LABELS[found[-1]] if found else None


def judged_accuracy(
    name: str, verdicts: pl.DataFrame, judgements: pl.DataFrame, samples: int
) -> pl.DataFrame:
    """Accuracy where the judge's verdict stands instead of the rules' "wrong", as a row of table RESULT.

    An answer on which the judge gave no verdict is unscored.
    """
    asked = judgements.select("example", "sample", "judged", asked=pl.lit(value=True))
    joined = verdicts.join(asked, on=["example", "sample"], how="left", maintain_order="left")
    put = pl.col("asked").fill_null(value=False)
    joined = joined.with_columns(
        correct=pl.when(put).then("judged").otherwise("correct"),
        status=pl.when(put).then(pl.lit("scored")).otherwise("status"),
    )
    rows = [{**row, "metric": f"judged_{row['metric']}"} for row in correctness(joined, samples)[:1]]
    return pl.DataFrame([{"benchmark": name, "group": "", **row} for row in rows], schema=RESULT)
