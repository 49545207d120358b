"""`medbench export`."""

from pathlib import Path
from typing import Annotated

import typer

from medbench.cli import options as o
from medbench.errors import unknown

TARGETS = ("lm-eval",)


def export(
    suite: Annotated[str, typer.Argument(help="A suite or a benchmark.")],
    target: Annotated[str, typer.Option("--for", help="lm-eval: tasks its own command runs.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")],
    home: o.Home = None,
    mirror: o.Mirror = None,
    catalog: o.CatalogFiles = None,
    lock: o.Lock = None,
    update_lock: o.UpdateLock = None,
) -> None:
    """Write a suite as tasks of another harness, so that its own command runs our benchmarks.

    Example: medbench export mirage5 --for lm-eval --out tasks/
    """
    from medbench.cli import render
    from medbench.evaluators import lm_eval_tasks

    if target not in TARGETS:
        raise unknown("export target", target, TARGETS)
    known, place = o.catalog_of(catalog), o.place_of(home, mirror, lock, update_lock)
    names = known.suite(suite) if suite in known.suites else [suite]
    written = lm_eval_tasks.write(names, known, place=place, out=out)
    for path in written:
        typer.echo(str(path))
    tasks = ",".join(f"medbench_{name.replace('-', '_')}" for name in names)
    render.hint(f"lm_eval --include_path {out} --tasks {tasks} --model hf --model_args pretrained=…")
