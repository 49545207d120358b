"""What a builder is given, and what it gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

from medbench.inference.names import public_name
from medbench.inference.purse import Purse
from medbench.inference.types import Model
from medbench.runs import Run
from medbench.solve import Progress, silent


class Gathered(Protocol):
    """What a builder read before it asks; only the builder itself looks further inside."""

    @property
    def revisions(self) -> dict[str, str]:
        """Everything read that decides the result (data, wordings), with its version or hash."""

    @property
    def sizes(self) -> dict[str, int]:
        """Usable questions per source of the catalog."""


@dataclass(frozen=True)
class Context:
    """The open run, the models by their roles, and how to report."""

    name: str
    run: Run
    models: Mapping[str, Model]
    purse: Purse = field(default_factory=Purse)
    progress: Progress = silent
    short: bool = False
    """Whether to publish what there is where a quota cannot be filled."""

    @property
    def solver(self) -> Model:
        """The model that measures difficulty."""
        return self.models["solver"]

    def shown(self, role: str) -> str:
        """The name of the model in some role as it may be published; empty where there is none."""
        return public_name(self.models[role].name) if role in self.models else ""


@dataclass(frozen=True)
class Outcome:
    """The tables of a dataset. `notes` are sentences for its card (shortages, choices).

    Rows with a column `place` are kept in its order, others in that of their ids.
    """

    rows: pl.DataFrame
    dropped: pl.DataFrame
    notes: list[str]
    more: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    """Further tables: samples, difficulty, drafts."""
    chapters: Mapping[str, str] = field(default_factory=dict)
    """Further chapters of its card, by heading, in Markdown."""
    read: Mapping[str, str] = field(default_factory=dict)
    """What else it rests on, with versions, that was read while building."""

    @property
    def tables(self) -> dict[str, pl.DataFrame]:
        """All tables by name."""
        return {"rows": self.rows, "dropped": self.dropped, **self.more}
