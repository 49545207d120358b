"""What a builder is given, and what it gives back."""

from dataclasses import dataclass, field

import polars as pl

from medbench.inference.purse import Purse
from medbench.inference.types import Model
from medbench.runs import Run
from medbench.solve import Progress, silent


@dataclass(frozen=True)
class Context:
    """The open run, the solver model, and how to report."""

    name: str
    run: Run
    solver: Model
    purse: Purse = field(default_factory=Purse)
    progress: Progress = silent


def public_name(model: str) -> str:
    """A model's name as it may be published: no folder of this machine, no server address.

    >>> public_name("local:/data/models/tiny#12ab"), public_name("openai:my-7b@http://10.0.0.1/v1")
    ('local:tiny#12ab', 'openai:my-7b')
    """
    kind, _, rest = model.partition(":")
    if kind == "local":
        parts = rest.split("/")
        return f"local:{parts[-2]}/{parts[-1]}" if len(parts) == 2 else f"local:{parts[-1]}"
    return model.partition("@http")[0]


@dataclass(frozen=True)
class Outcome:
    """The tables of a dataset. `notes` are sentences for its card (shortages, choices)."""

    rows: pl.DataFrame
    dropped: pl.DataFrame
    samples: pl.DataFrame
    notes: list[str]
