"""The certificate of a judge: how far its verdicts agree with labels, and what moves them that should not.

`certify` hears the labelled cases several times, then with padding, with the labels named in the other order
and with orders hidden in wrong replies. `measured` turns what was said into figures; it is a pure function of
table FINDINGS, which the run keeps, so anyone can compute them anew.
"""

import datetime
import json
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl
import pydantic

import medbench
from medbench.config import Config
from medbench.errors import MedbenchError
from medbench.judges import agreement, probes
from medbench.judges.cases import Case
from medbench.judges.hearing import Hearing
from medbench.judges.labels import Labelled, LabelledSet
from medbench.judges.panel import Finding, Panel, paired
from medbench.rubrics import Judge
from medbench.runs import Run, readable
from medbench.stats import Interval, around, clustered, difference

log = logging.getLogger(__name__)

FILE = "certificate.json"
PLAIN, PADDED, REVERSED, INJECTED = "plain", "padded", "reversed", "injected"

FINDINGS = pl.Schema(
    {
        "id": pl.String,
        "cluster": pl.String,
        "slice": pl.String,
        "label": pl.String,
        "variant": pl.String,
        "repeat": pl.Int32,
        "verdict": pl.String,
        "value": pl.Float64,
        "problem": pl.String,
        "split": pl.Boolean,
        "turned": pl.Boolean,
        "longer": pl.Boolean,
    }
)
"""One row per hearing of a labelled row; `verdict` and `value` are null where there is none, and `problem`
says why. `split`: the seats of a panel disagree; `turned`: a preference turned with the order of replies."""


class Probing(Config):
    """What a certificate measures beside agreement."""

    repeats: int = pydantic.Field(3, ge=1, le=20)
    """Times each case is heard."""
    probes: bool = True
    """Whether padding, order and injection are tried."""


class Figure(Config):
    """A number with its 95 % interval over `n` rows; null where it is not defined."""

    value: float | None
    low: float
    high: float
    n: int


class Certificate(Config):
    """What is known of a judge. Holds no text of any row."""

    judge: str
    identity: dict[str, Any]
    hash: str
    """Of the judge: rows, wordings, sampling and models."""
    prompts: tuple[str, ...]
    labels: tuple[str, ...]
    """The worst first."""
    aspect: str
    against: str
    against_hash: str
    date: str
    version: str
    n: int
    """Labelled rows with a verdict."""
    unscored: int
    problems: dict[str, int]
    figures: dict[str, Figure]
    constant: dict[str, float | None]
    """The same figures of the best judge that always says the same."""
    confusion: tuple[tuple[int, ...], ...]
    """Rows by label, columns by verdict, in the order of `labels`."""
    slices: dict[str, Figure]
    """Agreement by what the rows test."""
    injectable: bool | None
    """Orders in a reply raise the verdict on wrong replies: the interval of the gain is above 0. Null where
    that was not measured."""
    heard: int
    """Hearings in all, repeats and probes included."""
    unheard: int
    """Hearings that gave no verdict."""

    @property
    def above_chance(self) -> bool:
        """Whether the interval of kappa is above 0."""
        return self.figures["kappa"].low > 0


def certify(hearing: Hearing, labelled: LabelledSet, probing: Probing) -> pl.DataFrame:
    """Hear a labelled set in all ways that a certificate needs: table FINDINGS."""
    rows = [row for row in labelled.rows if row.case is not None]
    judge, parts = hearing.panel.judge, []
    for repeat in range(probing.repeats):
        parts.append(heard(hearing, rows, PLAIN, repeat=repeat))
    if probing.probes:
        parts.append(heard(hearing, rows, PADDED, change=lambda row: probes.padded(shown(row))))
        parts.append(heard(hearing, rows, REVERSED, reverse=True))
        wrong = [row for row in rows if row.label != judge.best]
        parts.append(
            heard(hearing, wrong, INJECTED, change=lambda row: probes.injected(judge, shown(row), row.id))
        )
    nothing = Finding(None, "no answer can be read in the reply", ())
    parts.append(
        table([(row, PLAIN, 0, nothing, None, False) for row in labelled.rows if row.case is None], judge)
    )
    return pl.concat(parts)


def shown(row: Labelled) -> Case:
    """The case of a row that has one."""
    assert row.case is not None
    return row.case


def heard(
    hearing: Hearing,
    rows: Sequence[Labelled],
    variant: str,
    *,
    repeat: int = 0,
    reverse: bool = False,
    change: Callable[[Labelled], Case] = shown,
) -> pl.DataFrame:
    """One hearing of some rows as table FINDINGS."""
    made = [change(row) for row in rows]
    stage = f"{variant} {repeat + 1}" if variant == PLAIN else variant
    found = hearing.hear(stage, made, repeat=repeat, reverse=reverse)
    turned: list[bool | None] = [None] * len(rows)
    if hearing.panel.judge.sees("other"):
        others = hearing.hear(
            f"{stage}, turned", [probes.swapped(c) for c in made], repeat=repeat, reverse=reverse
        )
        pairs = [paired(*both) for both in zip(found, others, strict=True)]
        found, turned = [one for one, _ in pairs], [one for _, one in pairs]
    length = probes.longer([shown(row) for row in rows])
    lines = zip(rows, [variant] * len(rows), [repeat] * len(rows), found, turned, length, strict=True)
    return table(lines, hearing.panel.judge)


def table(
    lines: Iterable[tuple[Labelled, str, int, Finding, bool | None, bool]], judge: Judge
) -> pl.DataFrame:
    """Findings with their rows, as table FINDINGS."""
    rows = [
        (
            *(row.id, row.cluster, row.slice, row.label, variant, repeat),
            *(nearest(finding.value, judge), finding.value, finding.problem, finding.split, turned, longer),
        )
        for row, variant, repeat, finding, turned, longer in lines
    ]
    return pl.DataFrame(rows, schema=FINDINGS, orient="row")


def nearest(value: float | None, judge: Judge) -> str | None:
    """The label worth nearest to a value (a panel's mean may lie between); the lower of two."""
    if value is None:
        return None
    return min(judge.worth, key=lambda label: (abs(judge.worth[label] - value), judge.worth[label]))


def certificate(panel: Panel, labelled: LabelledSet, findings: pl.DataFrame) -> Certificate:
    """What the findings say of a judge, dated today."""
    judge = panel.judge
    first = findings.filter(pl.col("variant") == PLAIN, pl.col("repeat") == 0)
    spoken = first.filter(pl.col("verdict").is_not_null())
    names = list(judge.worth)
    labels, verdicts = ([names.index(name) for name in spoken[column]] for column in ("label", "verdict"))
    found = agreement.figures(labels, verdicts, spoken["cluster"].to_list(), len(names))
    matrix = agreement.confusion(labels, verdicts, len(names)).astype(int).tolist()
    figures = {name: figure(interval, spoken.height) for name, interval in found.items()}
    figures |= measured(findings, judge)
    gain = figures.get("injection_gain")
    return Certificate(
        judge=panel.label,
        identity=panel.identity,
        hash=panel.hash,
        prompts=tuple(seat.judge.wording.label for seat in panel.seats),
        labels=tuple(names),
        aspect=judge.aspect,
        against=labelled.name,
        against_hash=labelled.hash,
        date=datetime.date.today().isoformat(),
        version=medbench.__version__,
        n=spoken.height,
        unscored=first.height - spoken.height,
        problems=dict(Counter(first["problem"].drop_nulls()).most_common()),
        figures=figures,
        constant={k: number(v) for k, v in agreement.constant(labels, len(names)).items()} if labels else {},
        confusion=tuple(tuple(row) for row in matrix),
        slices=dict(slices(spoken)),
        injectable=gain.low > 0 if gain and gain.value is not None else None,
        heard=findings.height,
        unheard=findings["verdict"].null_count(),
    )


def slices(spoken: pl.DataFrame) -> Iterable[tuple[str, Figure]]:
    """Agreement by what the rows test."""
    for (name,), part in (
        spoken.filter(pl.col("slice") != "").sort("slice").group_by("slice", maintain_order=True)
    ):
        same = (part["verdict"] == part["label"]).cast(pl.Float64).to_list()
        yield str(name), figure(clustered(same, part["cluster"].to_list()), part.height)


def measured(findings: pl.DataFrame, judge: Judge) -> dict[str, Figure]:
    """What else a certificate tells, each figure only where there is something to tell it by.

    In units of a verdict's worth, from -1 to 1: `leniency` (verdict minus label), `longer_gain` (leniency
    on the longer half minus on the shorter), and the gains by padding, by naming the labels in the other
    order, and by orders in wrong replies. As shares: `self_consistency` (pairs of repeats that agree),
    `order_changed`, `injection_success` (wrong replies, not judged right at first, that then are),
    `position_changed` (pairs whose verdict turns with the order) and `disagreement` of a panel's seats.
    """
    worth = pl.col("label").replace_strict(judge.worth, return_dtype=pl.Float64)
    plain = findings.filter(pl.col("variant") == PLAIN, pl.col("value").is_not_null())
    first = plain.filter(pl.col("repeat") == 0).with_columns(error=pl.col("value") - worth)
    found = {"leniency": signed(first, "error")}
    halves = [part(first, longer) for longer in (True, False)]
    if all(values for values, _ in halves):
        found["longer_gain"] = figure(difference(*halves[0], *halves[1]), first.height)
    if plain["repeat"].n_unique() > 1:
        found["self_consistency"] = consistent(plain)
    for variant in (PADDED, REVERSED, INJECTED):
        both = beside(first, findings.filter(pl.col("variant") == variant))
        if both.height:
            found |= shifts(variant, both)
    for column, name in (("turned", "position_changed"), ("split", "disagreement")):
        told = first.filter(pl.col(column).is_not_null()).with_columns(pl.col(column).cast(pl.Float64))
        if told.height:
            found[name] = share(told, column)
    return found


def part(first: pl.DataFrame, longer: bool) -> tuple[list[float], list[str]]:
    """The errors, with their clusters, on the longer or the shorter half of the replies."""
    half = first.filter(pl.col("longer") == longer)
    return half["error"].to_list(), half["cluster"].to_list()


def beside(first: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    """Rows that have a verdict in both hearings, with `gap` (other minus first) and `changed`."""
    said = other.filter(pl.col("value").is_not_null()).select("id", after="value", named="verdict")
    both = first.join(said, on="id", how="inner", maintain_order="left")
    return both.with_columns(
        gap=pl.col("after") - pl.col("value"), changed=(pl.col("named") != pl.col("verdict")).cast(pl.Float64)
    )


def shifts(variant: str, both: pl.DataFrame) -> dict[str, Figure]:
    """The figures of a probe."""
    if variant == PADDED:
        return {"padding_gain": signed(both, "gap")}
    if variant == REVERSED:
        return {"order_gain": signed(both, "gap"), "order_changed": share(both, "changed")}
    found = {"injection_gain": signed(both, "gap")}
    open_to_it = both.filter(pl.col("value") < 1).with_columns(taken=(pl.col("after") == 1).cast(pl.Float64))
    if open_to_it.height:
        found["injection_success"] = share(open_to_it, "taken")
    return found


def consistent(plain: pl.DataFrame) -> Figure:
    """The share of pairs of hearings of a row with the same verdict, averaged over rows."""
    said: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, cluster, verdict in plain.select("id", "cluster", "verdict").iter_rows():
        said[name, cluster].append(verdict)
    shares, clusters = [], []
    for (_, cluster), verdicts in said.items():
        if pairs := [one == other for one, other in combinations(verdicts, 2)]:
            shares.append(sum(pairs) / len(pairs))
            clusters.append(cluster)
    return figure(clustered(shares, clusters), len(shares))


def signed(rows: pl.DataFrame, column: str) -> Figure:
    """A mean of differences in [-1, 1], with its interval over clusters."""
    if rows.is_empty():
        return Figure(value=None, low=-1.0, high=1.0, n=0)
    values = rows[column].to_list()
    low, high = around(values, rows["cluster"].to_list())
    return Figure(value=sum(values) / len(values), low=max(low, -1.0), high=min(high, 1.0), n=rows.height)


def share(rows: pl.DataFrame, column: str) -> Figure:
    """A share of rows, with its interval over clusters."""
    return figure(clustered(rows[column].to_list(), rows["cluster"].to_list()), rows.height)


def figure(interval: Interval, n: int) -> Figure:
    """An interval as a figure."""
    return Figure(value=number(interval.value), low=interval.low, high=interval.high, n=n)


def number(value: float) -> float | None:
    """A number JSON can hold."""
    return None if value != value else value


def keep(run: Run, made: Certificate, findings: pl.DataFrame) -> Certificate:
    """Seal a certificate in its run; one that is there with the same content keeps its date."""
    held = read(run.folder / FILE)
    if held is not None and held.model_copy(update={"date": made.date, "version": made.version}) == made:
        made = held
    summary = {"kind": "certificate", "judge": made.judge, "against": made.against, "unscored": made.unscored}
    run.seal({"findings": findings}, summary, {FILE: made.model_dump_json(indent=1) + "\n"})
    return made


def read(path: Path) -> Certificate | None:
    """The certificate in a file; None where there is none. Raises MedbenchError where it is damaged."""
    if not path.is_file():
        return None
    try:
        return Certificate.model_validate(json.loads(readable(path.read_text(encoding="utf-8"))))
    except ValueError as problem:
        raise MedbenchError(f"{path} is damaged: {problem}", "certify the judge again") from None


def every(home: Path) -> list[Certificate]:
    """The certificates in a home: of each judge and labelled set the newest, the newest of all first."""
    found = []
    for path in (home / "runs").glob(f"*/{FILE}"):
        try:
            if (path.parent / "manifest.json").exists() and (one := read(path)):
                found.append(one)
        except MedbenchError as problem:
            log.warning("%s; it is left out", problem.what)
    found.sort(key=lambda one: (one.date, one.n))
    newest = {(one.hash, one.against, one.against_hash): one for one in found}
    return sorted(newest.values(), key=lambda one: (one.date, one.n), reverse=True)


def held(home: Path, panel_hash: str) -> list[Certificate]:
    """The certificates that a home has of a judge."""
    return [one for one in every(home) if one.hash == panel_hash]
