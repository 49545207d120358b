"""The command line: `medbench VERB [THING]`. Results go to stdout, talk to stderr.

Exit codes: 0 done · 1 it ran and failed, or too much is unscored · 2 wrong command or config · 3
something outside is missing · 130 interrupted.

Command modules import the library inside their functions, so that help is instant.
"""

import errno
import logging
import sys
from typing import Annotated

import typer

import medbench
from medbench.cli import browse, build, demo, difficulty, evaluate, export, judge, score, train
from medbench.errors import MedbenchError

app = typer.Typer(
    name="medbench",
    help="Build medical RL datasets, evaluate models with honest intervals, and train them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    build.build,
    difficulty.difficulty,
    evaluate.evaluate,
    score.score,
    train.train,
    browse.list_things,
    browse.show,
    browse.diff,
    browse.check,
    browse.sql,
    export.export,
    demo.demo,
):
    names = {"evaluate": "eval", "list_things": "list"}
    app.command(names.get(command.__name__, command.__name__))(command)
app.add_typer(judge.app, name="judge")


OUTSIDE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC),
    *(errno.EDQUOT, errno.ENOTDIR, errno.ENOENT, errno.EEXIST),
)
"""Errors of the disk that are nobody's bug."""


def version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        typer.echo(f"medbench {medbench.__version__}")
        raise typer.Exit


@app.callback()
def common(
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say only errors on stderr.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Build medical RL datasets, evaluate models with honest intervals, and train them."""
    level = logging.INFO if verbose else logging.ERROR if quiet else logging.WARNING
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s", stream=sys.stderr)


def main() -> None:
    """Run the command line; turn a MedbenchError into two lines and its exit code."""
    try:
        app()
    except SystemExit as end:
        if end.code == 130:
            typer.echo("\ninterrupted: nothing answered is lost; repeat the command to go on", err=True)
        raise
    except MedbenchError as problem:
        typer.echo(f"error: {problem.what}", err=True)
        if problem.fix:
            typer.echo(f"  fix: {problem.fix}", err=True)
        raise SystemExit(problem.exit_code) from None
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(1) from None
    except OSError as problem:
        if problem.errno not in OUTSIDE:
            raise
        typer.echo(f"error: {problem.strerror}: {problem.filename or 'a file'}", err=True)
        typer.echo("  fix: name a folder that can be written to, with space left", err=True)
        raise SystemExit(3) from None
