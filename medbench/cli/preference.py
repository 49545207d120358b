"""`medbench diff RUN RUN --judge`: which of two runs a judge prefers."""

import json
from typing import TYPE_CHECKING

import typer

from medbench.cli import certificates, render
from medbench.errors import UsageError

if TYPE_CHECKING:
    from medbench.catalog import Catalog, Place
    from medbench.evaluators.hearings import Preferred
    from medbench.evaluators.judging import Judging
    from medbench.inference.purse import Purse


def of(
    first: str,
    second: str,
    by: "Judging",
    known: "Catalog",
    place: "Place",
    paying: "Purse",
    fresh: bool,
    tolerance: float,
    json_out: bool,
) -> None:
    """Ask the judges about two runs and print what they prefer; end with 1 where too much has no verdict."""
    from medbench import runs
    from medbench.evaluators import hearings

    folders = [runs.find_run(place.home, name) for name in (first, second)]
    if folders[0] == folders[1]:
        raise UsageError("a run is not better than itself", "name two runs")
    with render.progress() as tell:
        found = hearings.prefer(folders, known, place, hearings.Asking(by, place.home, fresh, paying, tell))
    show(found, folders[0].name, folders[1].name, json_out)
    certificates.refuse_silence(found.judge["unscored"], found.pairs.height, tolerance)


def show(found: "Preferred", first: str, second: str, json_out: bool) -> None:
    """Print what the judges prefer."""
    from medbench.evaluators import hearings

    if json_out:
        typer.echo(json.dumps({"first": first, "second": second, **found.json()}))
        return
    render.results(found.results, found.run, found.judge)
    counts = hearings.tallied(found.pairs)
    typer.echo(
        f"{second} against {first}: {counts['better']:,} better, {counts['tie']:,} tied, "
        f"{counts['worse']:,} worse; judged_preference counts a tie as half"
    )
    certificates.beside(found.judge)
