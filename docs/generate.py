"""Writes the pages that can be generated: cli.md from the commands, benchmarks.md from the catalog."""

from pathlib import Path
from typing import Any

import typer

from medbench.catalog import Catalog
from medbench.cli import app
from medbench.prompts import load

HERE = Path(__file__).parent


def cli() -> str:
    """Every command with its help and options."""
    parts = [
        "# Command line",
        "Generated from the program by `make docs`. Results go to stdout, talk to stderr. Exit codes: "
        "0 done, 1 it ran and failed or too much is unscored, 2 wrong command or config, 3 something "
        "outside is missing, 130 interrupted. MEDBENCH_HOME, MEDBENCH_MIRROR, MEDBENCH_LOCK and "
        "MEDBENCH_CATALOG stand for the options of those names.",
    ]
    group: Any = typer.main.get_command(app)
    for name, command in group.commands.items():
        *about, example = (command.help or "").strip().split("\n\n")
        parts += [f"## medbench {name}", *about, f"```\n{example.removeprefix('Example: ')}\n```"]
        rows = [option(parameter) for parameter in command.params if parameter.name != "help"]
        parts.append("\n".join(["| argument or option | what it does | default |", "|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def option(parameter: Any) -> str:
    """One row of an option table."""
    names = parameter.opts if parameter.param_type_name == "option" else [parameter.name.upper()]
    default = parameter.default
    shown = "" if default in (None, False, (), []) or callable(default) else str(default)
    words = " ".join((parameter.help or "").split()).replace("|", "\\|")
    return f"| `{', '.join(names)}` | {words} | {shown} |"


def benchmarks() -> str:
    """Every benchmark, suite and source of the catalog."""
    catalog = Catalog.load()
    parts = ["# Benchmarks", "Generated from `catalog.yaml` by `make docs`."]
    for name, row in catalog.benchmarks.items():
        source = catalog.sources[row.source]
        facts = {
            "questions": f"{row.size:,}" if row.size else "not fixed",
            "source": f"`{row.source}`" + (f", Hub `{source.hub}`" if source.hub else ""),
            "split": row.split,
            "licence": source.license + (", gated" if source.gated else ""),
            "prompt": f"`{row.prompt}`: {load()[row.prompt].origin}",
            "scoring": "accuracy by option letter; see [how an answer is read](reading.md)",
            "notes": row.notes,
            "cite": row.cite or source.cite,
        }
        lines = [f"- **{key}**: {' '.join(str(value).split())}" for key, value in facts.items() if value]
        parts += [f"## {name}", "\n".join(lines)]
    suites = "\n".join(f"- **{n}**: {s.title}: {', '.join(s.benchmarks)}" for n, s in catalog.suites.items())
    return "\n\n".join([*parts, "## Suites", suites]) + "\n"


def pages() -> dict[str, str]:
    """File name -> text."""
    return {"cli.md": cli(), "benchmarks.md": benchmarks()}


if __name__ == "__main__":
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")
