"""What `list` and `show` say about catalog rows and runs."""

import json
from pathlib import Path
from typing import Any

from medbench import parity, prompts, references, trainers
from medbench.catalog import Catalog
from medbench.cli import certificates
from medbench.judges import certificate

SECOND = "second-hand"
VARIANT = "of a variant, not comparable"
Table = tuple[list[str], list[list[Any]]]


def tables(catalog: Catalog, home: Path) -> dict[str, Table]:
    """Every kind of thing there is, as a table."""
    return {
        "benchmarks": benchmarks(catalog),
        "suites": (
            ["suite", "benchmarks", "provenance", "notes"],
            [[n, ", ".join(s.benchmarks), s.provenance, s.notes] for n, s in catalog.suites.items()],
        ),
        "datasets": (["dataset", "title"], [[n, d.title] for n, d in catalog.datasets.items()]),
        "sources": (
            ["source", "hub", "licence", "gated", "redistribute"],
            [[n, s.hub, s.license, yes(s.gated), yes(s.redistribute)] for n, s in catalog.sources.items()],
        ),
        "prompts": (["prompt", "origin"], [[n, p.origin] for n, p in prompts.load().items()]),
        "profiles": profiles(),
        "judges": judges(catalog, home),
        "recipes": recipes(),
        "runs": runs(home),
    }


def yes(value: bool) -> str:
    """A flag in words."""
    return "yes" if value else "no"


def benchmarks(catalog: Catalog) -> Table:
    """Each benchmark with its size and licence."""
    rows = []
    for name, row in catalog.benchmarks.items():
        source = catalog.sources[row.source]
        rows.append([name, row.size, row.prompt, source.license, yes(source.gated), row.notes])
    return ["benchmark", "questions", "prompt", "licence", "gated", "notes"], rows


def profiles() -> Table:
    """Each parity profile: whose rule it is, for which kinds, and what is wrong with it."""
    rows = []
    for name, profile in parity.PROFILES.items():
        rows.append([name, profile.peer, ", ".join(sorted(profile.kinds)), profile.rule, profile.flaw])
    return ["profile", "peer", "kinds", "rule", "flaw"], rows


def judges(catalog: Catalog, home: Path) -> Table:
    """Each judge, and the models it is certified with here."""
    known: dict[str, list[str]] = {}
    for one in certificate.every(home):
        for seat in one.identity["seats"]:
            told = certificates.mark({"certificates": [one.model_dump(mode="json")]})
            known.setdefault(seat["judge"], []).append(f"{seat['model']}: {told}")
    rows = []
    for name, row in catalog.judges.items():
        verdicts = ", ".join(f"{label} = {worth:.3g}" for label, worth in row.worth.items())
        certified = "; ".join(dict.fromkeys(known.get(name, [])))
        rows.append([name, row.title, verdicts, row.wording.label, row.published, row.provenance, certified])
    return ["judge", "title", "verdicts", "prompt", "paper's judge", "provenance", "certified here"], rows


def recipes() -> Table:
    """Each packaged recipe."""
    rows = []
    for name in trainers.names():
        recipe = trainers.load(name)
        rows.append([name, recipe.algorithm, recipe.trainer, recipe.model, recipe.dataset])
    return ["recipe", "algorithm", "trainer", "model", "dataset"], rows


def runs(home: Path) -> Table:
    """Each run in the home folder, newest last."""
    rows = []
    for path in sorted((home / "runs").glob("*/config.json"), key=lambda p: p.stat().st_mtime):
        config = json.loads(path.read_text(encoding="utf-8"))
        state = state_of(path.parent / "manifest.json")
        model = config.get("model") or config.get("solver") or ""
        rows.append([path.parent.name, config.get("kind", ""), model, state])
    return ["run", "kind", "model", "state"], rows


def state_of(manifest: Path) -> str:
    """Whether a run is complete, and how much of it could not be scored."""
    if not manifest.exists():
        return "not complete"
    unscored = json.loads(manifest.read_text(encoding="utf-8")).get("unscored", 0)
    return f"{unscored:,} unscored" if unscored else "complete"


def benchmark(catalog: Catalog, name: str) -> dict[str, Any]:
    """A benchmark's row and its source, flat."""
    row, source = catalog.benchmarks[name], catalog.sources[catalog.benchmarks[name].source]
    about = {"licence": source.license, "gated": source.gated, "hub": source.hub, "homepage": source.homepage}
    return {"benchmark": name, **row.model_dump(mode="json"), **about, "cite": row.cite or source.cite}


def published(name: str) -> tuple[Table, list[str]]:
    """The reference numbers of a benchmark and of its variants, and what each protocol measured."""
    rows, legend = [], {}
    for figure in [*references.of(name), *references.near(name)]:
        holds = {VARIANT: figure.near, "doubtful": figure.doubtful, SECOND: figure.provenance == "secondary"}
        marks = ", ".join(word for word, true in holds.items() if true)
        rows.append([figure.model, figure.value, figure.protocol, marks])
        variant = f"{VARIANT}: {figure.benchmark}: " if figure.near else ""
        told = f"{figure.protocol}: {variant}{figure.measured} ({figure.source})"
        legend[figure.protocol, figure.benchmark] = told
    return (["model", "value", "protocol", "mark"], rows), list(legend.values())


def gated(catalog: Catalog) -> set[str]:
    """Benchmarks whose text must not be shown."""
    return {name for name, row in catalog.benchmarks.items() if catalog.sources[row.source].gated}
