"""Make training sets.

A builder is a module with a config class and

    roles(config)                    the models it asks, by role → whether it can't do without
    gather(config, catalog, place)   what it reads before the first question
    estimate(config, inputs, roles)  what it will ask at most
    build(config, inputs, context)   asks and selects

`BUILDERS` names them; a dataset of the catalog says which one makes it, with which settings. Fields named
in a config's `SELECTS` choose among what was asked, or are in every request: changing them asks for nothing
that is on record.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from medbench.builders import alphamed, cards, curriculum, med_zero
from medbench.builders.context import Context, Gathered, Outcome
from medbench.catalog import Catalog, Dataset, Place, Source
from medbench.config import Config, override, parse
from medbench.errors import UsageError, unknown
from medbench.inference.names import public_name
from medbench.inference.purse import Purse
from medbench.inference.types import Model
from medbench.runs import open_run
from medbench.solve import Estimate, Progress, silent
from medbench.store import Built, publish

BUILDERS: dict[str, tuple[ModuleType, type[Config]]] = {
    "alphamed": (alphamed, alphamed.AlphaMed),
    "curriculum": (curriculum, curriculum.Curriculum),
    "med-zero": (med_zero, med_zero.MedZero),
}


@dataclass(frozen=True)
class Job:
    """A dataset about to be built: its settings checked and its inputs read."""

    name: str
    row: Dataset
    config: Config
    inputs: Gathered
    roles: frozenset[str]
    """Those there will be a model for."""
    catalog: Catalog
    place: Place

    @property
    def identity(self) -> dict[str, Any]:
        """Everything but the models that decides the result."""
        return {
            "kind": "build",
            "dataset": self.name,
            "builder": self.row.builder,
            "config": self.config.model_dump(mode="json"),
            "data": self.inputs.revisions,
        }

    @property
    def asking(self) -> dict[str, Any]:
        """What the run's folder is named by.

        With fields that only select, data and models are left out as well: each request says what it is asked
        of whom.
        """
        if not self.selects:
            return self.identity
        kept = self.config.model_dump(mode="json", exclude=self.selects)
        return {**self.identity, "config": kept, "data": "by request"}

    @property
    def selects(self) -> set[str]:
        """The fields of its config that choose among what was asked, or that each request has in it."""
        return set(getattr(self.config, "SELECTS", ()))

    @property
    def terms(self) -> dict[str, Source]:
        """The sources of its rows with their licences; folders of the user's own are not in the catalog."""
        own: dict[str, Source] = getattr(self.inputs, "folders", {})
        known = {**self.catalog.sources, **own}
        return {name: known[name] for name in self.inputs.sizes if name in known}

    @property
    def estimate(self) -> Estimate:
        """What the build will ask at most. Cleans the inputs; asks no model."""
        module, _ = BUILDERS[self.row.builder]
        found: Estimate = module.estimate(self.config, self.inputs, self.roles)
        return found


def prepare(
    name: str,
    settings: Sequence[str],
    catalog: Catalog,
    place: Place,
    *,
    roles: Collection[str] | None = None,
    title: str | None = None,
) -> Job:
    """Check a dataset's settings and read its inputs. Asks no model.

    `roles` are those there will be a model for; None stands for all it can have. `title` is the name it gets,
    by default the catalog's.
    """
    row = catalog.dataset(name)
    if row.builder not in BUILDERS:
        raise unknown("builder", row.builder, BUILDERS)
    module, kind = BUILDERS[row.builder]
    config = parse(kind, whole(kind, row.config, settings), f"dataset {name}")
    wanted = module.roles(config)
    if roles is not None:
        check_roles(name, wanted, roles)
    naming = getattr(module, "naming", None)
    called = titled(title, catalog) if title else naming(config) if naming else name
    inputs = module.gather(config, catalog, place)
    return Job(called, row, config, inputs, frozenset(wanted if roles is None else roles), catalog, place)


def whole(kind: type[Config], given: Mapping[str, Any], settings: Sequence[str]) -> dict[str, Any]:
    """A dataset's settings; one that is set in part (`sampling.seed=1`) keeps the rest of its default."""
    tree = dict(given)
    for setting in settings:
        top, dot, _ = setting.partition("=")[0].partition(".")
        default = kind.model_fields[top].default if dot and top in kind.model_fields else None
        if isinstance(default, Config):
            tree.setdefault(top, default.model_dump())
    return override(tree, settings)


def titled(title: str, catalog: Catalog) -> str:
    """A name for a dataset that is a plain word and nobody else's."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,80}", title):
        raise UsageError(f"--name '{title}' is no name", "a name has letters, digits, '-', '_' and '.' only")
    if title in catalog.datasets or title in catalog.benchmarks:
        raise UsageError(f"--name '{title}' is the name of something in the catalog", "choose another")
    return title


def check_roles(name: str, wanted: Mapping[str, bool], given: Collection[str]) -> None:
    """Refuse a build without a model it needs, or with one it has no use for."""
    if strange := sorted(set(given) - set(wanted)):
        uses = ", ".join(f"--{role}" for role in wanted) or "no model"
        raise UsageError(f"dataset {name} has no use for --{strange[0]}", f"it takes {uses}")
    if missing := [role for role, needed in wanted.items() if needed and role not in given]:
        raise UsageError(f"dataset {name} needs a {missing[0]}", f"--{missing[0]} openai:NAME@URL")


def build(
    job: Job,
    models: Mapping[str, Model],
    *,
    fresh: bool = False,
    short: bool = False,
    purse: Purse | None = None,
    progress: Progress = silent,
) -> Built:
    """Build, or go on building, and publish.

    Raises MedbenchError when too many calls fail, or when a quota cannot be filled and `short` does not
    allow that.
    """
    module, _ = BUILDERS[job.row.builder]
    shown = {role: public_name(model.name) for role, model in models.items()}
    names = {role: model.name for role, model in models.items()}
    config = job.asking if job.selects else {**job.asking, **names}
    home = job.place.home
    with open_run(home, f"build-{job.name}", config=config, fresh=fresh) as run:
        context = Context(job.name, run, models, purse or Purse(), progress, short)
        outcome: Outcome = module.build(job.config, job.inputs, context)
        text = cards.card(
            job.row,
            outcome,
            sources=job.terms,
            models=shown,
            config=job.config.model_dump(mode="json"),
        )
        built = publish(
            home,
            job.name,
            tables=outcome.tables,
            card=text,
            identity={**job.identity, "data": {**job.inputs.revisions, **outcome.read}, **shown},
            notes=outcome.notes,
        )
        told = {"kind": "build", "dataset": job.name, "version": built.version, "notes": outcome.notes}
        run.seal({}, {**told, "models": names})
    return built
