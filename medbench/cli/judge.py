"""`medbench judge certify`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medbench.cli import options as o
from medbench.errors import UsageError

if TYPE_CHECKING:
    from medbench.judges import Panel
    from medbench.judges.certificate import Certificate, Probing
    from medbench.judges.labels import LabelledSet
    from medbench.solve import Tally

app = typer.Typer(help="Judges of replies, and how far they can be believed.", no_args_is_help=True)


@app.command()
def certify(
    judges: Annotated[
        list[str], typer.Argument(help="NAME=MODEL, NAME with --model, or MODEL; several make a panel.")
    ],
    against: Annotated[
        str, typer.Option("--against", help="Labelled rows: JSONL or Parquet, or 'packaged'.")
    ] = "packaged",
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The model that plays the judge.")
    ] = None,
    panel: o.PanelVerdict = "majority",
    repeats: Annotated[int, typer.Option("--repeats", min=1, max=20, help="Times each row is judged.")] = 3,
    no_probes: Annotated[
        bool, typer.Option("--no-probes", help="Leave padding, order and injection out.")
    ] = False,
    reuse_verdicts: o.ReuseVerdicts = False,
    settings: o.Set = None,
    tolerance: o.Tolerance = 0.01,
    json_out: o.Json = False,
    dry_run: o.DryRun = False,
    fresh: o.Fresh = False,
    concurrency: o.Concurrency = 32,
    timeout: o.Timeout = 600.0,
    retries: o.Retries = 5,
    batch_size: o.BatchSize = 16,
    price: o.PriceOption = None,
    max_cost: o.MaxCost = None,
    home: o.Home = None,
    catalog: o.CatalogFiles = None,
) -> None:
    """Measure how far a judge agrees with people's labels, and what moves it that should not.

    The certificate is kept, and printed beside every number this judge makes. --set changes how its replies
    are drawn (max_tokens=64). Killed halfway? The same command goes on and asks nothing twice.

    Example: medbench judge certify equivalence --model openai:my-judge@http://localhost:8000/v1
    """
    from medbench.cli import render
    from medbench.config import override
    from medbench.inference import Options
    from medbench.judges import Hearing, labels
    from medbench.judges import certificate as c

    paying, place = o.purse_of(price, max_cost), o.home_of(home)
    running = Options(concurrency, timeout, retries, batch_size)
    specs = [named(spec, model) for spec in judges]
    seats = o.panel_of(specs, o.catalog_of(catalog), place, running, panel, override({}, settings or ()))
    labelled = labels.load(against, seats.judge)
    probing = c.Probing(repeats=repeats, probes=not no_probes)
    if dry_run:
        return told(seats, labelled, probing, json_out)
    with opened(place, seats, labelled, probing, fresh) as run, render.progress() as tell:
        borrow = place if reuse_verdicts else None
        hearing = Hearing(run, seats, purse=paying, progress=tell, borrow=borrow)
        findings = c.certify(hearing, labelled, probing)
        made = c.certificate(seats, labelled, findings)
        refuse(made)
        made = c.keep(run, made, findings)
    report(made, run.name, json_out)
    return ended(made, hearing.tally, tolerance)


def opened(home: Path, seats: "Panel", labelled: "LabelledSet", probing: "Probing", fresh: bool) -> Any:
    """The run of a certificate, open."""
    from medbench.runs import open_run

    name = f"certify-{'+'.join(dict.fromkeys(seat.name for seat in seats.seats))}"[:60]
    return open_run(home, name, config=identity(seats, labelled, probing), fresh=fresh)


def named(spec: str, model: str | None) -> str:
    """A judge with the model it is to be played by."""
    if model is None:
        return spec
    if "=" in spec or ":" in spec:
        raise UsageError(f"'{spec}' names a model, and --model another", "give one of them")
    return f"{spec}={model}"


def identity(seats: "Panel", labelled: "LabelledSet", probing: "Probing") -> dict[str, Any]:
    """What decides a certificate."""
    return {
        "kind": "certificate",
        "model": ", ".join(seat.player.name for seat in seats.seats),
        "judge": seats.identity,
        "labels": {"name": labelled.name, "hash": labelled.hash, "rows": len(labelled.rows)},
        **probing.model_dump(),
    }


def told(seats: "Panel", labelled: "LabelledSet", probing: "Probing", json_out: bool) -> None:
    """What would be asked."""
    from medbench.cli import render
    from medbench.judges.probes import injections

    ways = len(injections(seats.judge, seats.judge.best))
    wrong = sum(row.label != seats.judge.best for row in labelled.rows)
    rows = len(labelled.rows)
    heard = rows * probing.repeats + (2 * rows + ways * wrong) * probing.probes
    pairs = 2 if seats.judge.sees("other") else 1
    render.record(
        {
            "judge": seats.label,
            "prompts": ", ".join(seat.judge.wording.label for seat in seats.seats),
            "against": f"{labelled.name}@{labelled.hash}",
            "rows": rows,
            "requests": heard * pairs * len(seats.seats),
        },
        json_out,
    )


def report(made: "Certificate", run: str, json_out: bool) -> None:
    """Print a certificate."""
    from medbench.cli import certificates

    tree = made.model_dump(mode="json")
    if json_out:
        typer.echo(json.dumps({"run": run, **tree}))
    else:
        certificates.whole(tree)


def refuse(made: "Certificate") -> None:
    """A judge that gave no verdict at all gets no certificate."""
    if not made.n:
        from medbench.errors import MedbenchError

        why = ", ".join(f"{name} ({count:,})" for name, count in made.problems.items())
        raise MedbenchError(
            f"{made.judge} gave no verdict on any of {made.unscored:,} rows: {why}; nothing to certify",
            "mend the server, raise --max-cost or give the judge more room (--set max_tokens=2048)",
        )


def ended(made: "Certificate", tally: "Tally", tolerance: float) -> None:
    """Say what was used; end with exit 1 where too much is unscored."""
    from medbench.cli import render

    render.spent(tally)
    share = made.unheard / made.heard
    if share > tolerance:
        typer.echo(
            f"error: {share:.1%} of the hearings gave no verdict (tolerance {tolerance:.1%})\n"
            "  fix: where calls failed, repeat the command: it asks only for these",
            err=True,
        )
        raise typer.Exit(1)
