"""Make training sets. A builder is a module with a `Config`-like class, `gather` and `build`.

`BUILDERS` names them; a dataset of the catalog says which one makes it, with which settings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from medbench import prompts
from medbench.builders import alphamed, cards
from medbench.builders.context import Context, public_name
from medbench.catalog import Catalog, Dataset, Place
from medbench.config import override, parse
from medbench.errors import unknown
from medbench.inference.purse import Purse
from medbench.inference.types import Model
from medbench.runs import open_run
from medbench.solve import Progress, silent
from medbench.store import Built, publish

BUILDERS = {"alphamed": (alphamed, alphamed.AlphaMed)}


@dataclass(frozen=True)
class Job:
    """A dataset about to be built: its settings checked and its inputs read."""

    name: str
    row: Dataset
    config: alphamed.AlphaMed
    inputs: alphamed.Inputs

    @property
    def identity(self) -> dict[str, Any]:
        """Everything but the solver that decides the result."""
        return {
            "kind": "build",
            "dataset": self.name,
            "builder": self.row.builder,
            "config": self.config.model_dump(mode="json"),
            "prompt": prompts.named(self.config.prompt).hash,
            "data": self.inputs.revisions,
        }


def prepare(name: str, settings: Sequence[str], catalog: Catalog, place: Place) -> Job:
    """Check a dataset's settings and read its inputs. Asks no model."""
    if name not in catalog.datasets:
        raise unknown("dataset", name, catalog.datasets)
    row = catalog.datasets[name]
    if row.builder not in BUILDERS:
        raise unknown("builder", row.builder, BUILDERS)
    module, kind = BUILDERS[row.builder]
    config = parse(kind, override(row.config, settings), f"dataset {name}")
    return Job(name, row, config, module.gather(config, catalog, place))


def build(
    job: Job,
    solver: Model,
    *,
    catalog: Catalog,
    place: Place,
    fresh: bool = False,
    purse: Purse | None = None,
    progress: Progress = silent,
) -> Built:
    """Build, or go on building, and publish. Raises MedbenchError when too many solver calls fail."""
    module, _ = BUILDERS[job.row.builder]
    identity = {**job.identity, "solver": solver.name}
    with open_run(place.home, f"build-{job.name}", config=identity, fresh=fresh) as run:
        outcome = module.build(
            job.config, job.inputs, Context(job.name, run, solver, purse or Purse(), progress)
        )
        text = cards.card(
            job.row,
            outcome,
            sources={name: catalog.sources[name] for name in job.inputs.sources},
            solver=public_name(solver.name),
            config=job.config.model_dump(mode="json"),
        )
        tables = {"rows": outcome.rows, "dropped": outcome.dropped, "samples": outcome.samples}
        built = publish(
            place.home, job.name, tables=tables, card=text, identity=identity, notes=outcome.notes
        )
        run.seal({}, {"kind": "build", "dataset": job.name, "version": built.version, "notes": outcome.notes})
    return built
