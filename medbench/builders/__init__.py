"""Make training sets. A builder is a module with a config class, `gather`, `estimate` and `build`.

`BUILDERS` names them; a dataset of the catalog says which one makes it, with which settings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from medbench.builders import alphamed, cards
from medbench.builders.context import Context, Gathered, Outcome, public_name
from medbench.catalog import Catalog, Dataset, Place
from medbench.config import Config, override, parse
from medbench.errors import unknown
from medbench.inference.purse import Purse
from medbench.inference.types import Model
from medbench.runs import open_run
from medbench.solve import Estimate, Progress, silent
from medbench.store import Built, publish

BUILDERS: dict[str, tuple[ModuleType, type[Config]]] = {"alphamed": (alphamed, alphamed.AlphaMed)}


@dataclass(frozen=True)
class Job:
    """A dataset about to be built: its settings checked and its inputs read."""

    name: str
    row: Dataset
    config: Config
    inputs: Gathered

    @property
    def identity(self) -> dict[str, Any]:
        """Everything but the solver that decides the result."""
        return {
            "kind": "build",
            "dataset": self.name,
            "builder": self.row.builder,
            "config": self.config.model_dump(mode="json"),
            "data": self.inputs.revisions,
        }

    @property
    def estimate(self) -> Estimate:
        """What the build will ask at most. Cleans the inputs; asks no model."""
        module, _ = BUILDERS[self.row.builder]
        found: Estimate = module.estimate(self.config, self.inputs)
        return found


def prepare(name: str, settings: Sequence[str], catalog: Catalog, place: Place) -> Job:
    """Check a dataset's settings and read its inputs. Asks no model."""
    row = catalog.dataset(name)
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
    shown = public_name(solver.name)
    config = {**job.identity, "solver": solver.name}
    with open_run(place.home, f"build-{job.name}", config=config, fresh=fresh) as run:
        outcome: Outcome = module.build(
            job.config, job.inputs, Context(job.name, run, solver, purse or Purse(), progress)
        )
        text = cards.card(
            job.row,
            outcome,
            sources={name: catalog.sources[name] for name in job.inputs.sizes},
            solver=shown,
            config=job.config.model_dump(mode="json"),
        )
        tables = {"rows": outcome.rows, "dropped": outcome.dropped, "samples": outcome.samples}
        identity = {**job.identity, "solver": shown}
        built = publish(
            place.home, job.name, tables=tables, card=text, identity=identity, notes=outcome.notes
        )
        run.seal({}, {"kind": "build", "dataset": job.name, "version": built.version, "notes": outcome.notes})
    return built
