"""`medbench score`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli import options as o
from medbench.errors import UsageError

if TYPE_CHECKING:
    from medbench.catalog import Catalog, Place
    from medbench.evaluators.judging import Judging
    from medbench.evaluators.scoring import Scored
    from medbench.inference.purse import Purse
    from medbench.parity import Profile


Run = Annotated[str | None, typer.Argument(help="A finished evaluation run.")]
Answered = Annotated[str | None, typer.Option("--benchmark", "-b", help="The benchmark that was answered.")]
Items = Annotated[
    Path | None, typer.Option("--items", help="Questions of your own: id, question, kind, options, gold.")
]
Replies = Annotated[
    Path | None,
    typer.Option("--replies", help="JSONL or Parquet with id and reply, or another harness's log."),
]
LogFormat = Annotated[
    str | None,
    typer.Option("--format", help="lm-eval, lmms-eval, inspect, vlmevalkit, medevalkit. Default: found out."),
]
ProfileName = Annotated[
    str | None, typer.Option("--profile", help="Also as this peer reads; see 'medbench list profiles'.")
]
Sensitivity = Annotated[
    bool, typer.Option("--sensitivity", help="Also as every peer reads, and how far they lie apart.")
]
Out = Annotated[Path | None, typer.Option("--out", help="Write a row per reply here: .jsonl or .parquet.")]


def score(
    run: Run = None,
    benchmark: Answered = None,
    items: Items = None,
    replies: Replies = None,
    log_format: LogFormat = None,
    profile: ProfileName = None,
    sensitivity: Sensitivity = False,
    out: Out = None,
    judge: o.Judges = None,
    judge_all: o.JudgeAll = False,
    panel: o.PanelVerdict = "majority",
    reuse_verdicts: o.ReuseVerdicts = False,
    settings: o.JudgeSet = None,
    tolerance: o.Tolerance = 0.01,
    json_out: o.Json = False,
    fresh: o.Fresh = False,
    concurrency: o.Concurrency = 32,
    timeout: o.Timeout = 600.0,
    retries: o.Retries = 5,
    batch_size: o.BatchSize = 16,
    price: o.PriceOption = None,
    max_cost: o.MaxCost = None,
    home: o.Home = None,
    mirror: o.Mirror = None,
    catalog: o.CatalogFiles = None,
    lock: o.Lock = None,
) -> None:
    """Grade replies that already exist: of a run, or of a file. No run is changed; none but a judge is asked.

    --replies alone is enough for a log that holds its questions. With --judge, what the rules leave is judged
    in a run of its own, which resumes.

    Example: medbench score --benchmark medqa --replies replies.jsonl
    """
    from medbench import parity, runs
    from medbench.config import override
    from medbench.evaluators import scoring
    from medbench.evaluators import sensitivity as readings
    from medbench.inference import Options

    sources(run, benchmark, items, replies, log_format)
    peer = parity.named(profile) if profile is not None else None
    known, place = o.catalog_of(catalog), o.place_of(home, mirror, lock)
    paying = o.purse_of(price, max_cost)
    running, drawn = Options(concurrency, timeout, retries, batch_size), override({}, settings or ())
    by = o.judging_of(judge, panel, judge_all, reuse_verdicts, known, place.home, running, drawn)
    if out:
        scoring.writable(out, [items, replies, runs.find_run(place.home, run) if run else None])
    scored = graded(run, benchmark, items, replies, log_format, known, place)
    if peer:
        readings.applicable(peer, (e for part in scored.parts for e in part.examples.values()))
    if out:
        scoring.write(scoring.rows(scored, peer), out)
    return judged_or_not(scored, peer, sensitivity, json_out, by, place.home, fresh, paying, tolerance)


def judged_or_not(
    scored: "Scored",
    peer: "Profile | None",
    sensitivity: bool,
    json_out: bool,
    by: "Judging | None",
    home: Path,
    fresh: bool,
    paying: "Purse",
    tolerance: float,
) -> None:
    """Print what was scored, after the judges, if there are any, have spoken."""
    from medbench.cli import certificates, render, scorecard
    from medbench.evaluators import hearings

    if by is None:
        scorecard.scored(scored, peer, sensitivity, json_out)
        return
    with render.progress() as tell:
        name, judged = hearings.judge_scored(scored, hearings.Asking(by, home, fresh, paying, tell))
    scorecard.scored(scored, peer, sensitivity, json_out, (name, judged, judged.json(home)))
    render.spent(judged.tally)
    certificates.refuse_silence(judged.unscored, judged.judgements.height, tolerance)


def sources(
    run: str | None, benchmark: str | None, items: Path | None, replies: Path | None, log_format: str | None
) -> None:
    """Refuse what is no source of replies, or several at once."""
    if benchmark and items:
        raise UsageError("--benchmark and --items both name the questions", "give one of them")
    if run and (benchmark or items or replies or log_format):
        raise UsageError("a run has its own questions and replies", "give RUN alone, or --replies FILE")
    if not run and not replies:
        raise UsageError("nothing to score", "give a RUN, or --replies FILE; see 'medbench score --help'")


def graded(
    run: str | None,
    benchmark: str | None,
    items: Path | None,
    replies: Path | None,
    log_format: str | None,
    known: "Catalog",
    place: "Place",
) -> "Scored":
    """The replies of the one source that is named, graded."""
    from medbench import runs
    from medbench.evaluators import items as own
    from medbench.evaluators import logs, scoring
    from medbench.evaluators import replies as given

    if run:
        return scoring.regrade(runs.find_run(place.home, run), known, place)
    assert replies is not None
    form = logs.form_of(replies, log_format)
    entries = logs.load(replies, form) if form else []
    source = {"replies": str(replies)} | ({"format": form} if form else {})
    if benchmark:
        examples = known.examples(benchmark, place, pictures=False).examples
        name, source = benchmark, {"benchmark": benchmark, **source}
    elif items:
        examples = own.load(items)
        name, source = items.stem, {"items": str(items), **source}
    elif form:
        examples, answers = logs.alone(entries, replies)
        return scoring.score(replies.stem, examples, answers, source=source)
    else:
        raise UsageError(f"{replies} says nothing of the questions", "give --benchmark NAME or --items FILE")
    return scoring.score(
        name, examples, logs.replies(entries) if form else given.load(replies), source=source
    )
