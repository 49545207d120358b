"""What a builder is given, and what it gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import polars as pl

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


SECRET = ("api_key", "token", "auth_token")


def public_name(model: str) -> str:
    """A model's name as it may be published: no folder of this machine, no server address, no key.

    >>> public_name("local:/data/models/tiny#12ab"), public_name("openai:my-7b@http://10.0.0.1/v1")
    ('local:tiny#12ab', 'openai:my-7b')
    >>> public_name("local:owner/model"), public_name("local:~/tiny/"), public_name("local:runs/tiny#12ab")
    ('local:owner/model', 'local:tiny', 'local:tiny#12ab')
    >>> public_name("openai:/data/models/my-7b@https://user.example:8000/v1?key=1")
    'openai:my-7b'
    >>> public_name("lm-eval:hf,pretrained=/data/x,dtype=float#12ab")
    'lm-eval:hf,pretrained=x,dtype=float#12ab'
    >>> public_name("lm-eval:local-completions,model=owner/model,base_url=http://10.0.0.1/v1")
    'lm-eval:local-completions,model=owner/model'
    >>> public_name("scripted:/data/replies.jsonl#12ab"), public_name("baseline:first")
    ('scripted:replies.jsonl#12ab', 'baseline:first')
    """
    kind, colon, rest = model.partition(":")
    if kind == "lm-eval":
        body, sign, mark = rest.partition("#")
        pairs = [part.partition("=") for part in body.split(",")]
        shown = [k + eq + last_part(v) for k, eq, v in pairs if "://" not in v and k not in SECRET]
        return f"{kind}:{','.join(shown)}{sign}{mark}"
    if kind == "openai":
        rest = rest.partition("@http")[0]
    return kind + colon + last_part(rest)


def last_part(name: str) -> str:
    """The last part of a path; a Hub id (owner/name) as it is. Only folders and files carry a `#` mark."""
    path, sign, mark = name.partition("#")
    hub_id = path.count("/") < 2 and path[:1] not in ("/", ".", "~") and not mark
    return (path if hub_id else path.rstrip("/").rpartition("/")[2]) + sign + mark


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
