"""The certificate of a judge: how far its verdicts agree with labels, and what moves them that should not.

`certify` hears the labelled cases several times, then with padding, with the labels named in the other order
and with orders hidden in wrong replies; `figures` are functions of what was said.
"""

import datetime
import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pydantic

import medbench
from medbench.config import Config
from medbench.errors import MedbenchError
from medbench.judges import agreement, probes
from medbench.judges.cases import Case
from medbench.judges.figures import (
    FINDINGS,
    INJECTED,
    PADDED,
    PLAIN,
    REVERSED,
    Figure,
    by_way,
    coded,
    figures,
    injectable,
    nearest,
    number,
    slices,
)
from medbench.judges.hearing import Hearing
from medbench.judges.labels import Labelled, LabelledSet
from medbench.judges.panel import Finding, Panel, paired
from medbench.rubrics import Judge
from medbench.runs import Run, readable

log = logging.getLogger(__name__)

FILE = "certificate.json"
ENOUGH = 20
"""Rows below which a certificate calibrates nothing."""


class Probing(Config):
    """What a certificate measures beside agreement."""

    repeats: int = pydantic.Field(3, ge=1, le=20)
    """Times each case is heard."""
    probes: bool = True
    """Whether padding, order and injection are tried."""


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
    time: str
    """When it was made, UTC."""
    version: str
    n: int
    """Labelled rows with a verdict."""
    unscored: int
    problems: dict[str, int]
    figures: dict[str, Figure]
    constant: dict[str, float | None]
    """The same figures of a judge that always says the most frequent label."""
    confusion: tuple[tuple[int, ...], ...]
    """Rows by label, columns by verdict, in the order of `labels`."""
    slices: dict[str, Figure]
    """Agreement by what the rows test."""
    injectable: bool | None
    """Orders in a reply raise the verdict on wrong replies: the interval of the gain is above 0. Null where
    that was not tried, or could not be told since every wrong reply was called right anyway."""
    heard: int
    """Hearings in all, repeats and probes included."""
    unheard: int
    """Hearings that gave no verdict."""
    injections: dict[str, Figure]
    """The gain by the way an order is put."""


def enough(known: Iterable[Mapping[str, Any]]) -> bool:
    """Whether one of a judge's certificates, as plain objects, rests on rows enough to calibrate it."""
    return any(one["n"] >= ENOUGH for one in known)


def certify(hearing: Hearing, labelled: LabelledSet, probing: Probing) -> pl.DataFrame:
    """Hear a labelled set in all ways that a certificate needs: table FINDINGS."""
    rows = [row for row in labelled.rows if row.case is not None]
    judge, parts = hearing.panel.judge, []
    for repeat in range(probing.repeats):
        parts.append(heard(hearing, rows, PLAIN, repeat=repeat))
    if probing.probes:
        parts.append(heard(hearing, rows, PADDED))
        parts.append(heard(hearing, rows, REVERSED, reverse=True))
        wrong = [row for row in rows if row.label != judge.best]
        for way in probes.injections(judge, judge.best):
            parts.append(heard(hearing, wrong, INJECTED, way=way))
    nothing = Finding(None, "no answer can be read in the reply", ())
    mute = [(row, nothing, None, False) for row in labelled.rows if row.case is None]
    parts.append(table(mute, judge))
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
    way: str | None = None,
) -> pl.DataFrame:
    """One hearing of some rows as table FINDINGS; pairs are heard in both orders."""
    judge = hearing.panel.judge
    made = [changed(judge, shown(row), variant, way) for row in rows]
    stage = f"{variant} {repeat + 1}" if variant == PLAIN else f"{variant} {way or ''}".strip()
    found = hearing.hear(stage, made, repeat=repeat, reverse=reverse)
    turned: list[bool | None] = [None] * len(rows)
    if judge.sees("other"):
        plain = zip(rows, made, strict=True)
        pairs = [probes.counter(judge, shown(row) if way else case, way) for row, case in plain]
        others = hearing.hear(f"{stage}, turned", pairs, repeat=repeat, reverse=reverse)
        both = [paired(*two) for two in zip(found, others, strict=True)]
        found, turned = [one for one, _ in both], [one for _, one in both]
    length = probes.longer([shown(row) for row in rows], [row.label for row in rows])
    lines = zip(rows, found, turned, length, strict=True)
    return table(lines, judge, variant, repeat, way)


def changed(judge: Judge, case: Case, variant: str, way: str | None) -> Case:
    """A case as a variant puts it."""
    if variant == INJECTED and way:
        return probes.injected(judge, case, way)
    return probes.padded(case) if variant == PADDED else case


def table(
    lines: Iterable[tuple[Labelled, Finding, bool | None, bool]],
    judge: Judge,
    variant: str = PLAIN,
    repeat: int = 0,
    way: str | None = None,
) -> pl.DataFrame:
    """Findings with their rows, as table FINDINGS."""
    rows = [
        (
            *(row.id, row.cluster, row.slice, row.label, row.settled, variant, way, repeat),
            *(nearest(finding.value, judge), finding.value, finding.problem, finding.split, turned, longer),
        )
        for row, finding, turned, longer in lines
    ]
    return pl.DataFrame(rows, schema=FINDINGS, orient="row")


def certificate(panel: Panel, labelled: LabelledSet, findings: pl.DataFrame) -> Certificate:
    """What the findings say of a judge, dated today."""
    judge = panel.judge
    first = findings.filter(pl.col("variant") == PLAIN, pl.col("repeat") == 0)
    spoken = first.filter(pl.col("verdict").is_not_null())
    labels, verdicts = coded(spoken, judge)
    k = len(judge.worth)
    now = datetime.datetime.now(datetime.UTC)
    return Certificate(
        judge=panel.label,
        identity=panel.identity,
        hash=panel.hash,
        prompts=tuple(seat.judge.wording.label for seat in panel.seats),
        labels=tuple(judge.worth),
        aspect=judge.aspect,
        against=labelled.name,
        against_hash=labelled.hash,
        date=datetime.date.today().isoformat(),
        time=now.isoformat(timespec="seconds"),
        version=medbench.__version__,
        n=spoken.height,
        unscored=first.height - spoken.height,
        problems=dict(Counter(first["problem"].drop_nulls()).most_common()),
        figures=figures(findings, judge),
        constant={name: number(v) for name, v in agreement.constant(labels, k).items()} if labels else {},
        confusion=tuple(map(tuple, agreement.confusion(labels, verdicts, k).astype(int).tolist())),
        slices=dict(slices(spoken)),
        injectable=injectable(findings),
        injections=by_way(findings),
        heard=findings.height,
        unheard=findings["verdict"].null_count(),
    )


def keep(run: Run, made: Certificate, findings: pl.DataFrame) -> Certificate:
    """Seal a certificate in its run; one that is there with the same content keeps its date."""
    held = read(run.folder / FILE)
    now = {name: getattr(made, name) for name in ("date", "time", "version")}
    if held is not None and held.model_copy(update=now) == made:
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
        why = str(problem).partition("\n")[0]
        raise MedbenchError(
            f"{path.parent.name}/{FILE} is damaged: {why}", "certify again with --fresh"
        ) from None


def every(home: Path) -> list[Certificate]:
    """The certificates in a home, the newest first; of each judge and labelled set the fullest.

    Fullest is the one that tried injections, then the one with most hearings, then the newest: a hurried
    certificate does not hide what a thorough one found.
    """
    found = []
    for path in (home / "runs").glob(f"*/{FILE}"):
        try:
            if (path.parent / "manifest.json").exists() and (one := read(path)):
                found.append(one)
        except MedbenchError as problem:
            log.warning("%s; it is left out", problem.what)
    found.sort(key=lambda one: (one.injectable is not None, one.heard, one.time))
    fullest = {(one.hash, one.against, one.against_hash): one for one in found}
    return sorted(fullest.values(), key=lambda one: one.time, reverse=True)


def held(home: Path, panel_hash: str) -> list[Certificate]:
    """The certificates that a home has of a judge."""
    return [one for one in every(home) if one.hash == panel_hash]
