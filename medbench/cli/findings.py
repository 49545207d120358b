"""What `medbench check` found, as tables and lines or as JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import typer

from medbench.cli import render

IMAGE_COLUMNS = [
    "benchmark",
    "different images",
    "questions without a readable image",
    "repeated questions",
    "images also in training",
    "questions also in training",
]
MOST = 20
"""Names listed of a kind; --json has all."""


def lints(found: Sequence[Any], absent: Mapping[str, str], json_out: bool) -> None:
    """What `check` found: a row per benchmark, then every faulty row by name."""
    if json_out:
        typer.echo(json.dumps({"checked": [lint_object(item) for item in found], "absent": dict(absent)}))
        return
    columns = [
        "benchmark",
        "rows",
        "gold passes",
        "gold fails",
        "only by letter",
        "defective options",
        "dropped",
    ]
    render.table([*columns, "golds"], [lint_row(item) for item in found])
    images = [image_row(item) for item in found if item.pictures]
    if images:
        render.table(IMAGE_COLUMNS, images)
    for item in found:
        for line in said(item):
            typer.echo(f"  {item.benchmark}: {line}")
        for reasons in (item.failed, item.worded, item.defective, item.faulty):
            for example, reason in reasons.items():
                typer.echo(f"  {example}: {reason}")
        for lost in item.dropped:
            typer.echo(f"  {lost.id}: dropped: {lost.reason}")
    for name, reason in absent.items():
        render.say(f"not here: {name}: {reason}")


def lint_object(item: Any) -> dict[str, Any]:
    """One benchmark's findings for JSON."""
    return {
        "benchmark": item.benchmark,
        "rows": item.rows,
        "gold_fails": item.failed,
        "only_by_letter": item.worded,
        "defects": item.defective,
        "dropped": [[lost.id, lost.reason] for lost in item.dropped],
        "golds": item.golds,
        "unreadable_images": item.faulty,
        "repeated": item.again,
        "images": asdict(item.pictures) if item.pictures else None,
        "shared_with_training": asdict(item.shared) if item.shared else None,
        "labels": item.labels,
        "notes": item.notes,
    }


def lint_row(item: Any) -> list[Any]:
    """One benchmark's findings as a table row."""
    golds = " ".join(f"{gold}:{count}" for gold, count in item.golds.items())
    counts = [len(found) for found in (item.failed, item.worded, item.defective, item.dropped)]
    return [item.benchmark, item.rows, item.rows - counts[0], *counts, golds]


def image_row(item: Any) -> list[Any]:
    """One benchmark's images as a table row."""
    images, common = item.pictures, item.shared
    train = [f"{common.images:,} of {images.different:,}", len(common.questions)] if common else ["–", "–"]
    return [item.benchmark, images.different, len(item.faulty), len(item.again), *train]


def said(item: Any) -> Iterator[str]:
    """Findings that are no fault of one row."""
    yield from item.labels
    yield from item.notes
    if item.shared and item.shared.questions:
        pairs = item.shared.questions
        yield f"{len(pairs):,} questions are in split {item.shared.split} too: {listed(pairs)}"
    if item.again:
        yield f"{len(item.again):,} questions repeat an earlier one: {listed(item.again)}"
    if item.pictures and item.pictures.frames:
        names = {name: f"{count} frames" for name, count in item.pictures.frames.items()}
        yield f"{len(names):,} files hold several frames, the first is shown: {listed(names)}"
    if item.pictures and item.pictures.mislabelled:
        names = item.pictures.mislabelled
        yield f"{len(names):,} files are of another format than they are named: {listed(names)}"


def listed(names: Mapping[str, str]) -> str:
    """Some names with what belongs to each."""
    shown = [f"{name} ({about})" for name, about in list(names.items())[:MOST]]
    rest = len(names) - len(shown)
    return ", ".join(shown) + (f" and {rest:,} more" if rest > 0 else "")
