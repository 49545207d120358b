"""`medbench score`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medbench.cli import options as o
from medbench.errors import UsageError

if TYPE_CHECKING:
    from medbench.catalog import Catalog, Place
    from medbench.evaluators.scoring import Scored


def score(
    run: Annotated[str | None, typer.Argument(help="A finished evaluation run.")] = None,
    benchmark: Annotated[
        str | None, typer.Option("--benchmark", "-b", help="The benchmark that was answered.")
    ] = None,
    items: Annotated[
        Path | None, typer.Option("--items", help="Questions of your own: id, question, kind, options, gold.")
    ] = None,
    replies: Annotated[
        Path | None,
        typer.Option("--replies", help="JSONL or Parquet with id and reply, or another harness's log."),
    ] = None,
    log_format: Annotated[
        str | None,
        typer.Option(
            "--format", help="lm-eval, lmms-eval, inspect, vlmevalkit, medevalkit. Default: found out."
        ),
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Also as this peer reads; see 'medbench list profiles'.")
    ] = None,
    sensitivity: Annotated[
        bool, typer.Option("--sensitivity", help="Also as every peer reads, and how far they lie apart.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write a row per reply here: .jsonl or .parquet.")
    ] = None,
    json_out: o.Json = False,
    home: o.Home = None,
    mirror: o.Mirror = None,
    catalog: o.CatalogFiles = None,
    lock: o.Lock = None,
) -> None:
    """Grade replies that already exist: of a run, or of a file. No model is asked, no run is changed.

    --replies alone is enough for a log that holds its questions.

    Example: medbench score --benchmark medqa --replies replies.jsonl
    """
    from medbench import parity, runs
    from medbench.cli import scorecard
    from medbench.evaluators import scoring
    from medbench.evaluators import sensitivity as readings

    sources(run, benchmark, items, replies, log_format)
    peer = parity.named(profile) if profile is not None else None
    known, place = o.catalog_of(catalog), o.place_of(home, mirror, lock)
    if out:
        scoring.writable(out, [items, replies, runs.find_run(place.home, run) if run else None])
    scored = graded(run, benchmark, items, replies, log_format, known, place)
    if peer:
        readings.applicable(peer, (e for part in scored.parts for e in part.examples.values()))
    if out:
        scoring.write(scoring.rows(scored, peer), out)
    scorecard.scored(scored, peer, sensitivity, json_out)


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
