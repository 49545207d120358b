"""What `score` prints: medbench's figures, a peer's beside them, and how far all readers lie apart."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from medbench.cli import certificates, render

if TYPE_CHECKING:
    from medbench.evaluators.judging import Judged
    from medbench.evaluators.scoring import Scored
    from medbench.evaluators.sensitivity import Peer, Report
    from medbench.parity import Profile


def scored(
    found: "Scored",
    profile: "Profile | None",
    sensitivity: bool,
    json_out: bool,
    heard: "tuple[str, Judged, dict[str, Any]] | None" = None,
) -> None:
    """Everything that was asked for, as tables or as one JSON object.

    `heard` is the run of a judge, what it judged, and who it is.
    """
    peers = found.peers(profile) if profile else {}
    reports = found.reports() if sensitivity else {}
    if json_out:
        told = tree(found, profile, peers, reports if sensitivity else None)
        typer.echo(json.dumps(with_judgement(told, *heard) if heard else told))
        return
    figures(found)
    if heard:
        name, judged, by = heard
        render.results(judged.results, name, by)
        certificates.beside(by)
    if profile:
        beside(peers, profile)
        known = sum(peer.n for peer in peers.values())
        if rest := found.verdicts.height - found.verdicts["correct"].null_count() - known:
            render.say(
                f"{rest:,} replies to questions that {profile.name} has no rule for are not in its number"
            )
    for name, report in reports.items():
        readers(name, report)
    if sensitivity and not reports:
        render.say("no profile has a rule for questions of this kind")
    if found.missing:
        these = (
            "1 question has no reply: it is"
            if found.missing == 1
            else f"{found.missing:,} questions have no reply: they are"
        )
        render.say(f"{these} in no figure above")


def with_judgement(told: dict[str, Any], run: str, judged: "Judged", by: dict[str, Any]) -> dict[str, Any]:
    """The object with the judged figures beside the others, and who judged."""
    from medbench.evaluators import plain, with_judge

    return with_judge({**told, "run": run, "results": [*told["results"], *plain(judged.results)]}, by)


def tree(
    found: "Scored",
    profile: "Profile | None",
    peers: Mapping[str, "Peer"],
    reports: "Mapping[str, Report] | None",
) -> dict[str, Any]:
    """The one object that `--json` prints."""
    from medbench.evaluators import plain

    whole: dict[str, Any] = {
        "source": dict(found.source),
        "profile": profile.name if profile else None,
        "replies": found.verdicts.height,
        "missing": found.missing,
        "results": [{**row, **right(row)} for row in plain(found.results)],
        "statuses": found.counts("status"),
        "rules": found.counts("rule"),
    }
    if profile:
        whole["peer"] = [{"benchmark": name, **peer.json()} for name, peer in peers.items()]
    if reports is not None:
        whole["sensitivity"] = [{"benchmark": name, **report.json()} for name, report in reports.items()]
    return whole


def right(row: Mapping[str, Any]) -> dict[str, int]:
    """The number of right replies of a row of table RESULT that is an accuracy of replies."""
    counted = row["metric"] == "accuracy" or row["metric"].startswith("mean@")
    return {"right": round(row["value"] * row["n"])} if counted and row["n"] else {}


def figures(found: "Scored") -> None:
    """The result table, and how replies were read."""
    import polars as pl

    missing = {part.name: part.missing for part in found.parts}
    rows = []
    for row in found.results.filter(pl.col("group") == "").iter_rows(named=True):
        name, metric, value, interval, n, unanswered, unscored = render.result_row(row)
        counts = [n, unanswered, missing.get(name, ""), unscored]
        rows.append([name, metric, value, interval, right(row).get("right", ""), *counts])
    columns = ["benchmark", "metric", "value", "95% CI", "right", "n", "unanswered", "missing", "unscored"]
    render.table(columns, rows, title=", ".join(f"{key} {value}" for key, value in found.source.items()))
    by = ["status", "rule"]
    ways = found.verdicts.group_by(by).len("replies").sort("replies", *by, descending=[True, False, False])
    render.table(ways.columns, ways.rows(), title="how replies were read")


def beside(peers: Mapping[str, "Peer"], profile: "Profile") -> None:
    """A peer's number beside medbench's on the same replies."""
    rows = [
        [name, peer.score, peer.right, peer.n, peer.guessed, peer.unparsed, peer.here]
        for name, peer in peers.items()
    ]
    columns = ["benchmark", profile.name, "right", "n", "guessed", "unparsed", "medbench"]
    render.table(columns, rows, title=f"as {profile.peer} reads: {profile.rule}")
    for name, peer in peers.items():
        if peer.figures:
            more = ", ".join(f"{key} {render.cell(value)}" for key, value in peer.figures.items())
            typer.echo(f"{name}: {more}")


def readers(name: str, report: "Report") -> None:
    """Every reader of the same replies, highest score first, and the spread."""
    rows = [["medbench", report.here, report.n, report.unanswered / report.n, 0.0, ""]]
    for peer in sorted(report.peers, key=lambda peer: -peer.score):
        shares = [peer.unparsed / peer.n, peer.guessed / peer.n]
        rows.append([peer.profile, peer.score, peer.n, *shares, f"{peer.difference:+.3f}"])
    columns = ["reader", "score", "n", "unparsed", "guessed", "to medbench"]
    render.table(columns, rows, title=f"the same replies by other readers: {name}")
    spread, many = report.json()["spread"], len(report.comparable)
    typer.echo(f"{name}: spread {spread:.3f} over medbench and the {many} readers that read the most replies")


def reading(report: "Report", rest: str) -> None:
    """The one line that an evaluation prints; `rest` ends the command that tells more."""
    ordered = report.comparable
    low, high = ordered[0], ordered[-1]
    some = f" (on {report.n:,} of {report.total:,} replies)" if report.n < report.total else ""
    many = f"{len(ordered)} other readers" if len(ordered) > 1 else "1 other reader"
    typer.echo(
        f"reading: {low.here:.3f} here; {many} of the same replies{some}: {low.score:.3f}–{high.score:.3f}, "
        f"median {report.median:.3f} (lowest {low.profile}, highest {high.profile}); "
        f"medbench score {rest}"
    )
