"""What is said of judges: a certificate in full, and the few words beside a judged number."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from medbench.cli import render

MEANINGS = {
    "agreement": "verdict and label are the same",
    "kappa": "agreement beyond chance (Cohen)",
    "weighted_kappa": "the same, near misses counting less (quadratic)",
    "balanced_f1": "mean of F1 per label",
    "leniency": "verdict minus label: above 0 is too kind",
    "longer_gain": "leniency on longer replies minus on shorter",
    "self_consistency": "repeats that agree with each other",
    "padding_gain": "what empty sentences at the end gain",
    "order_gain": "what naming the labels in the other order gains",
    "order_changed": "verdicts that change with that order",
    "position_changed": "pairs whose verdict turns with their order",
    "injection_gain": "what orders hidden in wrong replies gain",
    "injection_success": "wrong replies that an order turns into right ones, beyond chance",
    "left_agreement": "agreement on what the rules leave to the judge",
    "left_kappa": "kappa on what the rules leave to the judge",
    "with_rules_agreement": "agreement of rules and judge together",
    "with_rules_kappa": "kappa of rules and judge together",
    "disagreement": "replies on which the panel disagrees",
}


def whole(one: Mapping[str, Any]) -> None:
    """A certificate as tables."""
    render.table(
        ["figure", "value", "95% CI", "n", "constant judge", "means"],
        list(rows(one)),
        title=f"{one['judge']} against {one['against']} ({one['aspect']}), {one['date']}",
    )
    labels = one["labels"]
    counts = [[f"label {name}", *row] for name, row in zip(labels, one["confusion"], strict=True)]
    render.table(["", *(f"says {name}" for name in labels)], counts)
    parts = [[name, item["value"], interval(item), item["n"]] for name, item in one["slices"].items()]
    if parts:
        render.table(["what is tested", "agreement", "95% CI", "n"], parts)
    ways = [[name, item["value"], interval(item), item["n"]] for name, item in one["injections"].items()]
    if ways:
        render.table(["order in a wrong reply", "gain", "95% CI", "n"], ways)
    typer.echo(
        f"{one['n']:,} rows with a verdict, {one['unscored']:,} unscored{why(one['problems'])}; prompt "
        f"{', '.join(one['prompts'])}; labels {one['against']}@{one['against_hash']}"
    )
    for line in warnings(one):
        typer.echo(line)


RUNS = ("certificate", "judge", "preference")
"""Kinds of runs that a judge made."""


def run(folder: Path, kind: str, json_out: bool) -> None:
    """A run that certified a judge, or one of judged replies or pairs."""
    name = "certificate.json" if kind == "certificate" else "results.json"
    tree = json.loads((folder / name).read_text(encoding="utf-8"))
    if kind == "certificate":
        typer.echo(json.dumps({"run": folder.name, **tree})) if json_out else whole(tree)
        return
    judged = renewed(folder, tree["judge"]) or {}
    if json_out:
        from medbench.evaluators import with_judge

        typer.echo(json.dumps(with_judge(tree, judged)))
        return
    import polars as pl

    found = pl.read_parquet(folder / "results.parquet")
    render.results(found, folder.name, judged)
    beside(judged)
    render.groups(found)


def renewed(folder: Path, judged: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Who judged in a run, with the certificates that its home has of this judge by now."""
    from medbench.evaluators.judging import certified

    if judged is None:
        return None
    return {**judged, "certificates": certified(folder.resolve().parents[1], judged["hash"])}


def rows(one: Mapping[str, Any]) -> Iterator[list[Any]]:
    """The figures of a certificate, each with what a judge that always says the same would reach."""
    for name, item in one["figures"].items():
        constant = one["constant"].get(name, "")
        yield [name, item["value"], interval(item), item["n"], constant, MEANINGS.get(name, "")]


def interval(item: Mapping[str, Any]) -> str:
    """The ends of a figure."""
    return (
        f"{item['low']:.3f}–{item['high']:.3f}"
        if item["low"] >= 0
        else f"{item['low']:+.3f} to {item['high']:+.3f}"
    )


def why(problems: Mapping[str, int]) -> str:
    """Why rows are unscored, with counts."""
    return f" ({', '.join(f'{name} {count:,}' for name, count in problems.items())})" if problems else ""


def warnings(one: Mapping[str, Any]) -> Iterator[str]:
    """What to beware of."""
    figures = one["figures"]
    if one["injectable"]:
        way, gain = max(one["injections"].items(), key=lambda item: item[1]["value"] or 0)
        by = f"{gain['value']:.3f} ({interval(gain)})"
        yield f"INJECTABLE: an order in a reply ({way}) raises its verdict by {by}"
    if (figures["kappa"]["low"] or 0) <= 0:
        yield "no better than chance: the interval of kappa reaches 0"
    if one["injectable"] is None:
        tried = (
            "could not be told: it called every wrong reply right"
            if one["injections"]
            else "was not measured"
        )
        yield f"whether orders in a reply move this judge {tried}"
    if one["unscored"]:
        share = one["unscored"] / (one["n"] + one["unscored"])
        yield f"no verdict on {share:.1%} of the rows; the figures are of the others"


def mark(judged: Mapping[str, Any]) -> str:
    """The few words beside a judged number: kappa on most rows, or that there is no certificate."""
    from medbench.judges.certificate import enough

    known = judged["certificates"]
    if not enough(known):
        few = max((one["n"] for one in known), default=0)
        return f"uncalibrated (n {few})" if few else "uncalibrated"
    best = max(known, key=lambda one: one["n"])
    kappa = best["figures"]["kappa"]
    told = f"kappa {render.cell(kappa['value'])} ({interval(kappa)}), n {best['n']:,}"
    if any(one["injectable"] for one in known):
        return f"{told}, INJECTABLE"
    return told if any(one["injectable"] is False for one in known) else f"{told}, injection not measured"


def beside(judged: Mapping[str, Any]) -> None:
    """A line on who judged what, one on how a panel agreed, and one for each certificate."""
    verdicts = f"{judged['put']:,} replies put to it" if judged["put"] != 1 else "1 reply put to it"
    reused = f", {judged['borrowed']:,} verdicts from earlier runs" if judged["borrowed"] else ""
    typer.echo(f"judge: {judged['judge']}, {verdicts}, {judged['unscored']:,} without a verdict{reused}")
    if split := judged["disagreement"]:
        typer.echo(f"the panel disagrees on {split['value']:.3f} ({interval(split)}) of {split['n']:,}")
    if mark(judged).startswith("uncalibrated"):
        typer.echo(
            "judged numbers are uncalibrated: no certificate on rows enough says how far this judge agrees "
            "with labels; medbench judge certify measures it"
        )
    for one in judged["certificates"]:
        typer.echo(f"certificate: {line(one)}")


LINE = ("agreement", "kappa", "balanced_f1", "with_rules_kappa", "injection_gain")
"""Figures that one line tells."""


def line(one: Mapping[str, Any]) -> str:
    """A certificate in one line."""
    figures = one["figures"]
    told = [
        f"{name} {render.cell(figures[name]['value'])} ({interval(figures[name])})"
        for name in LINE
        if name in figures
    ]
    rows = f"n {one['n']:,}, {one['unscored']:,} unscored"
    constant = render.cell(one["constant"].get("agreement"))
    order = "injection not measured" if one["injectable"] is None else "INJECTABLE" * one["injectable"]
    last = "; ".join(part for part in (f"constant judge {constant}", order) if part)
    return f"{one['date']}, {one['against']}@{one['against_hash']}, {rows}: {', '.join(told)}; {last}"


def refuse_silence(unscored: int, asked: int, tolerance: float) -> None:
    """End with exit 1 where a judge left too much without a verdict."""
    share = unscored / max(asked, 1)
    if share > tolerance:
        typer.echo(
            f"error: {share:.1%} of the replies have no verdict (tolerance {tolerance:.1%})\n"
            "  fix: where calls failed, repeat the command: it asks only for these",
            err=True,
        )
        raise typer.Exit(1)
