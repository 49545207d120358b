"""Published reference numbers: reads `references.yaml`, lists the figures of a benchmark.

A figure belongs to the protocol that gave it. One model moves by 20 points between two of them, so
nothing here is an average over protocols or a ranking.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import pydantic

from medbench.config import Config, parse, read_yaml

Provenance = Literal["stated", "secondary"]
"""Read where those who measured published it, or known by way of someone else."""
Percent = Annotated[float, pydantic.Field(ge=0, le=100)]


class Measure(Config):
    """What a protocol measured under one name."""

    what: str
    """Which questions, and how a reply to them is scored."""
    items: int | None = None
    """How many questions; None where the source does not say."""
    near: str | None = None
    """The benchmark that this is a variant of, and must not be compared with."""

    @property
    def text(self) -> str:
        """Count and description in one line."""
        return f"{self.items:,} items: {self.what}" if self.items else self.what


class Remark(Config):
    """What holds of some figures of a protocol only."""

    models: tuple[str, ...] = ()
    """Empty for all, as `measures`."""
    measures: tuple[str, ...] = ()
    provenance: Provenance | None = None
    note: str = ""
    doubtful: str = ""
    """Why the figure should not be relied on."""

    def covers(self, model: str, measure: str) -> bool:
        """Whether the figure of `model` on `measure` is meant."""
        return (not self.models or model in self.models) and (not self.measures or measure in self.measures)


class Protocol(Config):
    """One way of measuring, and everything it measured."""

    title: str
    source: str
    provenance: Provenance
    prompt: str
    """What was asked, in our words."""
    scoring: str
    """How replies were read and graded, in our words."""
    note: str = ""
    measures: dict[str, Measure]
    """The columns of `scores`. A name with blanks is none of the catalog's benchmarks."""
    remarks: tuple[Remark, ...] = ()
    scores: dict[str, tuple[Percent | None, ...]]
    """Model to one figure per measure, None where none was published."""

    @pydantic.model_validator(mode="after")
    def check(self) -> "Protocol":
        """Rows are as long as the header, and remarks speak of what is there."""
        for model, row in self.scores.items():
            if len(row) != len(self.measures):
                raise ValueError(f"{model} has {len(row)} figures for {len(self.measures)} measures")
        for remark in self.remarks:
            strange = [name for name in remark.models if name not in self.scores]
            strange += [name for name in remark.measures if name not in self.measures]
            if strange:
                raise ValueError(f"a remark speaks of {', '.join(strange)}, which is not there")
        return self


class Reference(Config):
    """One published figure, with all that it takes to read it."""

    benchmark: str
    """A name of the catalog; with blanks in it, the description of a variant that the catalog lacks."""
    model: str
    value: float
    """Between 0 and 1."""
    protocol: str
    """Its name in `load()`."""
    measured: str
    """How many questions, which, and how they are scored."""
    source: str
    provenance: Provenance
    note: str = ""
    doubtful: str = ""
    """Why the figure should not be relied on; empty for most."""
    near: str | None = None
    """For a variant, the benchmark it must not be compared with."""


@cache
def load() -> Mapping[str, Protocol]:
    """Every packaged protocol by name."""
    tree = read_yaml(Path(str(files("medbench") / "references.yaml")))
    return {name: parse(Protocol, row, f"references.yaml: {name}") for name, row in tree.items()}


@cache
def every() -> tuple[Reference, ...]:
    """All figures, in the order of the file."""
    return tuple(figure for name, protocol in load().items() for figure in figures(name, protocol))


def figures(name: str, protocol: Protocol) -> Iterator[Reference]:
    """The figures of one protocol, row by row; gaps are left out."""
    for model, row in protocol.scores.items():
        for (benchmark, measure), percent in zip(protocol.measures.items(), row, strict=True):
            if percent is None:
                continue
            remarks = [remark for remark in protocol.remarks if remark.covers(model, benchmark)]
            yield Reference(
                benchmark=benchmark,
                model=model,
                value=round(percent / 100, 6),
                protocol=name,
                measured=measure.text,
                source=protocol.source,
                provenance=next((r.provenance for r in remarks if r.provenance), protocol.provenance),
                note=" ".join(part for part in (protocol.note, *(r.note for r in remarks)) if part),
                doubtful=" ".join(r.doubtful for r in remarks if r.doubtful),
                near=measure.near,
            )


def of(benchmark: str) -> list[Reference]:
    """The figures measured on exactly this benchmark."""
    return [figure for figure in every() if figure.benchmark == benchmark]


def near(benchmark: str) -> list[Reference]:
    """The figures of variants of this benchmark, which are not comparable with it."""
    return [figure for figure in every() if figure.near == benchmark]
