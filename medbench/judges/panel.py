"""Who judges: a judge's row with a model on each seat, and how the verdicts of several become one."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any, Literal, NamedTuple

from medbench.catalog import Catalog
from medbench.config import digest, parse
from medbench.errors import UsageError
from medbench.inference.names import lasting_name, public_name
from medbench.inference.types import Model, Request, Sampling, Sink
from medbench.judges.rulings import Ruling
from medbench.rubrics import Judge

DEFAULT = "equivalence"
"""The judge that is meant where a command names a model alone."""

Verdicts = Literal["majority", "mean"]


class Played:
    """A model that plays a judge, known by a name that lasts.

    So what it said is found again wherever it is served.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.name = lasting_name(model.name)

    def answer(self, requests: Collection[Request], sink: Sink) -> None:
        """As the model answers."""
        self.model.answer(requests, sink)


@dataclass(frozen=True)
class Seat:
    """One judge of a panel: a row of the catalog and the model that plays it."""

    name: str
    judge: Judge
    model: Model

    def __post_init__(self) -> None:
        """Refuse a model that cannot play this judge."""
        if self.judge.protocol == "loglikelihood" and self.model.name.startswith("openai:"):
            raise UsageError(
                f"judge '{self.name}' needs log-likelihoods, and chat servers give none",
                "local:… or lm-eval:…",
            )

    @cached_property
    def player(self) -> Played:
        """The model as it is asked."""
        return Played(self.model)

    @property
    def label(self) -> str:
        """What tables call it: the row and the model, without addresses and folders."""
        return f"{self.name}={public_name(self.model.name)}"

    @property
    def identity(self) -> dict[str, str]:
        """What decides its verdicts. The same model behind another address is the same judge."""
        return {"judge": self.name, "hash": self.judge.hash, "model": self.player.name}


class Finding(NamedTuple):
    """What a panel makes of a case: a value in [0, 1], or None and the problem; `rulings` one per seat."""

    value: float | None
    problem: str | None
    rulings: tuple[Ruling, ...]

    @property
    def split(self) -> bool | None:
        """Whether the seats that gave a verdict disagree; None where fewer than two did."""
        said = [ruling.value for ruling in self.rulings if ruling.value is not None]
        return len(set(said)) > 1 if len(said) > 1 else None


@dataclass(frozen=True)
class Panel:
    """One or several seats whose labels mean the same."""

    seats: tuple[Seat, ...]
    verdict: Verdicts = "majority"

    def __post_init__(self) -> None:
        """Refuse seats that cannot be compared."""
        first = self.seats[0].judge
        for seat in self.seats[1:]:
            if seat.judge.kind != first.kind:
                raise UsageError(
                    f"judges '{self.seats[0].name}' and '{seat.name}' give verdicts of different kinds",
                    "a panel is several models, or wordings that see the same and offer the same labels",
                )
        if len({digest(seat.identity) for seat in self.seats}) < len(self.seats):
            raise UsageError("a panel has the same judge twice", "name each once")

    @property
    def judge(self) -> Judge:
        """The row of the first seat; all have its labels and its aspect."""
        return self.seats[0].judge

    @property
    def label(self) -> str:
        """What tables call it."""
        if len(self.seats) == 1:
            return self.seats[0].label
        return f"{self.verdict} of {', '.join(seat.label for seat in self.seats)}"

    @property
    def identity(self) -> dict[str, Any]:
        """What decides its findings; the order of the seats does not."""
        seats = sorted((seat.identity for seat in self.seats), key=lambda one: sorted(one.items()))
        return {"seats": seats} | ({"verdict": self.verdict} if len(seats) > 1 else {})

    @property
    def hash(self) -> str:
        """Its identity as one name."""
        return digest(self.identity)

    def find(self, rulings: Sequence[Ruling]) -> Finding:
        """The finding from one ruling per seat.

        More than half of the seats must have spoken. By majority the most frequent label counts; a tie is no
        finding, or on a scale, of an odd number, the median. The mean is over those that spoke.
        """
        spoken = [ruling for ruling in rulings if ruling.value is not None]
        if 2 * len(spoken) <= len(rulings):
            problems = Counter(ruling.problem or "no verdict" for ruling in rulings if ruling.value is None)
            return Finding(None, problems.most_common(1)[0][0], tuple(rulings))
        values = [ruling.value for ruling in spoken if ruling.value is not None]
        if self.verdict == "mean":
            return Finding(sum(values) / len(values), None, tuple(rulings))
        votes = Counter(values).most_common(2)
        if len(votes) > 1 and votes[0][1] == votes[1][1]:
            if len(self.judge.worth) > 2 and len(values) % 2:
                return Finding(median(values), None, tuple(rulings))
            return Finding(None, "the panel is split", tuple(rulings))
        return Finding(votes[0][0], None, tuple(rulings))


def paired(one: Finding, other: Finding) -> tuple[Finding, bool | None]:
    """The finding on a pair from those in both orders, and whether the order decided.

    A preference that turns with the order is no preference.
    """
    if one.value is None or other.value is None:
        return Finding(None, one.problem or other.problem, one.rulings), None
    agreed = abs(one.value - (1 - other.value)) < 1e-9
    return (one if agreed else Finding(0.5, None, one.rulings)), not agreed


def seated(
    specs: Sequence[str],
    catalog: Catalog,
    opened: Callable[[str], Model],
    *,
    verdict: Verdicts = "majority",
    sampling: Mapping[str, Any] | None = None,
) -> Panel:
    """The panel that some specs name.

    A spec is `NAME=MODEL`, `NAME` alone where its row names a model, or `MODEL` alone for the judge
    `equivalence`; `opened` opens a model. `sampling` replaces some settings of the rows'. Raises UsageError.
    """
    seats = []
    for spec in specs:
        name, model = parted(spec)
        row = catalog.judge(name)
        if not (model or row.model):
            who = f" (its paper used {row.published})" if row.published else ""
            raise UsageError(f"judge '{name}' names no model{who}", f"write {name}=openai:NAME@URL")
        if sampling:
            drawn = parse(Sampling, {**row.sampling.model_dump(), **sampling}, f"judge {name}: sampling")
            row = row.model_copy(update={"sampling": drawn})
        seats.append(Seat(name, row, opened(model or str(row.model))))
    return Panel(tuple(seats), verdict)


def parted(spec: str) -> tuple[str, str]:
    """A spec as the judge's name and the model's spec, either of which may be left out.

    >>> parted("rarl-rubric=openai:m@http://h/v1?a=b"), parted("rarl-rubric")
    (('rarl-rubric', 'openai:m@http://h/v1?a=b'), ('rarl-rubric', ''))
    >>> parted("lm-eval:hf,pretrained=x")
    ('equivalence', 'lm-eval:hf,pretrained=x')
    """
    name, sign, model = spec.partition("=")
    if ":" in name:
        return DEFAULT, spec
    return name, model if sign else ""
