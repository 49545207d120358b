"""Judging replies that are already there: those that `scoring` graded, and two runs held against each other.

Each hearing is a run of its own, named by the replies and the judge, so the same command asks nothing twice.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from medbench.catalog import Catalog, Place
from medbench.config import digest_of_rows
from medbench.errors import UsageError
from medbench.evaluators import plain, with_judge
from medbench.evaluators.judging import Bench, Judged, Judging, figure, refuse_idle
from medbench.evaluators.scoring import Scored, regrade
from medbench.inference.purse import Purse
from medbench.judges import Finding, Hearing, cases
from medbench.judges.panel import paired
from medbench.judges.probes import swapped
from medbench.runs import open_run
from medbench.schema import RESULT, Example
from medbench.solve import Progress, silent
from medbench.stats import wilson

JUDGED = ("example", "sample", "reply", "finish", "status")
PAIR = pl.Schema(
    {
        "benchmark": pl.String,
        "example": pl.String,
        "cluster": pl.String,
        "value": pl.Float64,
        "asked": pl.Boolean,
        "turned": pl.Boolean,
        "error": pl.String,
    }
)
"""One row per question that both runs answered: `value` is 1 where the second run's reply is better, 0 where
the first's is, 0.5 for a tie, null without a verdict. `turned`: the verdict turned with the order. Equal
replies are not `asked` about."""


@dataclass(frozen=True)
class Asking:
    """How the judges are asked, and where what they say is kept."""

    judging: Judging
    home: Path
    fresh: bool = False
    purse: Purse | None = None
    progress: Progress = silent


def judge_scored(scored: Scored, asking: Asking) -> tuple[str, Judged]:
    """The name of the run, and what the judges make of graded replies.

    Raises UsageError where there is none to judge.
    """
    refuse_idle(asking.judging, [e for part in scored.parts for e in part.examples.values()])
    replies = {part.name: digest_of_rows(part.verdicts.select(JUDGED).iter_rows()) for part in scored.parts}
    names = "+".join(part.name for part in scored.parts)
    with opened(f"judge-{names}"[:60], asking, {"kind": "judge", "replies": replies}) as run:
        bench = Bench(run, asking.judging, purse=asking.purse, progress=asking.progress)
        for part in scored.parts:
            bench.judge(part.name, part.examples, part.verdicts, part.samples)
        judged = bench.judged
        told = {"run": run.name, "results": plain(judged.results)}
        told = with_judge(told, judged.json(asking.home))
        tables = {"judgements": judged.judgements, "results": judged.results}
        summary = {"kind": "judge", "model": asking.judging.panel.label, "unscored": judged.unscored}
        run.seal(tables, summary, {"results.json": json.dumps(told, indent=1) + "\n"})
    return run.name, judged


def opened(name: str, asking: Asking, about: Mapping[str, Any]) -> Any:
    """The run of a hearing, open."""
    seats = asking.judging.panel.seats
    config = {
        **about,
        "model": ", ".join(seat.player.name for seat in seats),
        "judge": asking.judging.identity,
    }
    return open_run(asking.home, name, config=config, fresh=asking.fresh)


@dataclass(frozen=True)
class Preferred:
    """Which of two runs a judge prefers: table PAIR, and table RESULT with the share of the second."""

    run: str
    pairs: pl.DataFrame
    results: pl.DataFrame
    judge: dict[str, Any]

    def json(self) -> dict[str, Any]:
        """The one object that `--json` prints."""
        return {"run": self.run, "results": plain(self.results), "judge": self.judge}


def prefer(folders: Sequence[Path], catalog: Catalog, place: Place, asking: Asking) -> Preferred:
    """Which of two evaluation runs gives the better replies, question by question, in both orders.

    The first sample of each question counts. Equal replies are a tie that nobody is asked about, and
    questions whose call failed in one of the runs are left out.
    """
    first, second = (regrade(folder, catalog, place) for folder in folders)
    others = {part.name: part for part in second.parts}
    shared = [(part, others[part.name]) for part in first.parts if part.name in others]
    if not shared:
        raise UsageError("the two runs share no benchmark")
    about = {"kind": "preference", "runs": [folder.name for folder in folders]}
    with opened(f"prefer-{folders[0].name}-{folders[1].name}"[:60], asking, about) as run:
        hearing = Hearing(
            run,
            asking.judging.panel,
            purse=asking.purse,
            progress=asking.progress,
            borrow=asking.judging.borrow,
        )
        parts = [
            pairs_of(hearing, one.name, one.examples, (one.verdicts, two.verdicts)) for one, two in shared
        ]
        pairs = pl.concat(parts)
        results = pl.DataFrame(list(preferences(pairs)), schema=RESULT)
        judged = Judged(asking.judging, tally=hearing.tally, borrowed=hearing.borrowed)
        put = {"put": int(pairs["asked"].sum()), "unscored": pairs["value"].null_count()}
        told = {**judged.json(asking.home), **put}
        summary = {"kind": "preference", "model": asking.judging.panel.label, "unscored": told["unscored"]}
        done = Preferred(run.name, pairs, results, told)
        texts = {"results.json": json.dumps(done.json(), indent=1) + "\n"}
        run.seal({"pairs": pairs, "results": results}, summary, texts)
    return done


def pairs_of(
    hearing: Hearing, name: str, examples: Mapping[str, Example], verdicts: tuple[pl.DataFrame, pl.DataFrame]
) -> pl.DataFrame:
    """The judge's preferences on one benchmark, as table PAIR."""
    said = [
        dict(
            table.filter(pl.col("sample") == 0, pl.col("status") != "error")
            .select("example", "reply")
            .iter_rows()
        )
        for table in verdicts
    ]
    both = [example for key, example in examples.items() if key in said[0] and key in said[1]]
    differ = [example for example in both if said[0][example.id].strip() != said[1][example.id].strip()]
    judge = hearing.panel.judge
    made = [cases(judge, one, said[1][one.id], other=said[0][one.id])[0] for one in differ]
    found = hearing.hear(f"{name} pairs", made)
    again = hearing.hear(f"{name} pairs, turned", [swapped(case) for case in made])
    verdict = {example.id: paired(*two) for example, *two in zip(differ, found, again, strict=True)}
    tie = (Finding(0.5, None, ()), False)
    rows = []
    for example in both:
        finding, changed = verdict.get(example.id, tie)
        asked = example.id in verdict
        rows.append((name, example.id, example.cluster, finding.value, asked, changed, finding.problem))
    return pl.DataFrame(rows, schema=PAIR, orient="row")


def preferences(pairs: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Rows of table RESULT: how far the second run is preferred (a tie is half), and how many pairs turned.

    Pairs without a verdict count and widen as in every judged figure; those that turned are among the pairs
    that were asked about and have a verdict.
    """
    by = pl.when("asked").then(pl.lit("judge")).otherwise(pl.lit("rules"))
    table = pairs.with_columns(by=by, answered=True, least=0.0)
    for (name,), part in table.group_by("benchmark", maintain_order=True):
        about = {"benchmark": str(name), "group": ""}
        usual = part.filter("asked")["value"].drop_nulls().to_list()
        preference = figure(part, sum(usual) / len(usual) if usual else None)
        yield {**about, "metric": "judged_preference", **preference}
        known = part.filter(pl.col("asked") & pl.col("value").is_not_null())
        turned = wilson(int(known["turned"].sum()), known.height)
        company = {"n": known.height, "unanswered": 0, "unscored": part["value"].null_count()}
        yield {**about, "metric": "position_changed", **turned._asdict(), **company}


def tallied(pairs: pl.DataFrame) -> dict[str, int]:
    """How many pairs the second run won, tied and lost."""
    values = pairs["value"].drop_nulls()
    won, lost = int((values > 0.5).sum()), int((values < 0.5).sum())
    return {"better": won, "tie": len(values) - won - lost, "worse": lost}
