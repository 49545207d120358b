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
from medbench.inference.purse import Purse
from medbench.inference.types import Model, Reply, Request, Sampling
from medbench.runs import Run
from medbench.schema import RESULT, Example, Status, Verdict
from medbench.solve import Progress, Tally

JUDGED = ("open", "free")
"""Kinds a judge is asked about; closed answers are for the rules alone."""
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


class Hearing:
    """One judge at work in one run; `tally` counts what it took, paid from the same purse."""

    def __init__(self, run: Run, judge: Model, purse: Purse, progress: Progress) -> None:
        self.run = run
        self.judge = judge
        self.purse = purse
        self.progress = progress
        self.tally = Tally("", 0)

    def heard(self, request: Request, reply: Reply, new: bool) -> None:
        """Count one reply of the judge."""
        verdict = read(reply.text) if reply.error is None else None
        status: Status = "scored" if verdict is not None else "error"
        cost = self.purse.paid(request, reply)
        self.tally = self.tally.plus(reply, Verdict(None, "judge", status, verdict), cost=cost, new=new)
        self.progress(self.tally)

    def judged(self, stage: str, examples: Mapping[str, Example], verdicts: pl.DataFrame) -> pl.DataFrame:
        """What the judge says of the replies that the rules left: table JUDGEMENT."""
        owed = list(left(examples, verdicts))
        self.tally = Tally(f"{stage} judge", len(owed))
        said: dict[tuple[str, int], tuple[bool | None, str | None]] = {}
        for attempt in range(TRIES):
            wanted = [
                row for row in owed if said.get((row["example"], row["sample"]), (None, None))[0] is None
            ]
            requests = [request_of(examples[row["example"]], row, stage, attempt) for row in wanted]
            replies = self.run.ask(
                "judge", self.judge, requests=requests, purse=self.purse, on_reply=self.heard
            )
            for row, reply in zip(wanted, replies, strict=True):
                verdict = read(reply.text) if reply.error is None else None
                problem = None if verdict is not None else reply.error or "no verdict in the judge's reply"
                said[row["example"], row["sample"]] = (verdict, problem)
        rows = [(stage, *key, verdict, problem) for key, (verdict, problem) in said.items()]
        return pl.DataFrame(rows, schema=JUDGEMENT, orient="row")


def left(examples: Mapping[str, Example], verdicts: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """The replies to questions answered in words that the rules do not call right."""
    for row in verdicts.iter_rows(named=True):
        open_to_it = examples[row["example"]].kind in JUDGED and row["status"] not in ("error", "refused")
        if open_to_it and not row["correct"] and row["reply"].strip():
            yield row


def request_of(example: Example, row: Mapping[str, Any], stage: str, attempt: int) -> Request:
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

    An answer on which the judge gave no verdict is unscored. Only answers that the rules call wrong are put
    to it, so leaving those out would flatter: the value takes them to be right as often as the answers it
    did judge, and the interval reaches from all of them wrong to all of them right. Without any verdict
    there is no value.
    """
    asked = judgements.select("example", "sample", "judged", asked=pl.lit(value=True))
    joined = verdicts.join(asked, on=["example", "sample"], how="left", maintain_order="left")
    put = pl.col("asked").fill_null(value=False)
    joined = joined.with_columns(
        correct=pl.when(put).then("judged").otherwise("correct"),
        status=pl.when(put).then(pl.lit("scored")).otherwise("status"),
    )
    rows = [{**row, "metric": f"judged_{row['metric']}"} for row in correctness(joined, samples)[:1]]
    if rows and (missing := judgements["judged"].null_count()):
        rows = [reaching(rows[0], joined, judgements, missing, samples)]
    return pl.DataFrame([{"benchmark": name, "group": "", **row} for row in rows], schema=RESULT)


def reaching(
    row: dict[str, Any], joined: pl.DataFrame, judgements: pl.DataFrame, missing: int, samples: int
) -> dict[str, Any]:
    """A judged accuracy with `missing` verdicts: its value by those that are there, its interval for any."""
    gone = pl.col("asked").fill_null(value=False) & pl.col("judged").is_null()
    ends = [
        correctness(
            joined.with_columns(correct=pl.when(gone).then(pl.lit(value=right)).otherwise("correct")), samples
        )[0]
        for right in (False, True)
    ]
    heard = judgements["judged"].drop_nulls()
    known = joined.filter(pl.col("correct").is_not_null())
    value = float("nan")
    if len(heard):
        right = int(known["correct"].sum()) + missing * int(heard.sum()) / len(heard)
        value = right / (known.height + missing)
    return {**row, "value": value, "low": ends[0]["low"], "high": ends[1]["high"]}
