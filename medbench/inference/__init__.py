"""The one way to ask a model: `open_model` turns a spec into something with `answer`.

openai:NAME@URL        any OpenAI-compatible server          (key from OPENAI_API_KEY; URL,URL for several)
local:PATH_OR_HUB_ID   transformers in this process          (extra `local`)
lm-eval:CLASS,k=v,…    a model class of lm-eval              (extra `lm-eval`)
baseline:random        also first, majority
scripted:FILE.jsonl    recorded replies
"""

from collections.abc import Callable
from pathlib import Path

from medbench.errors import UsageError, unknown
from medbench.inference.types import Model, Options

__all__ = ["Options", "open_model"]


def open_model(spec: str, options: Options | None = None) -> Model:
    """The model a spec names. Raises UsageError for a spec that cannot be read."""
    kind, colon, rest = spec.partition(":")
    if kind not in OPENERS:
        raise unknown("kind of model", kind, OPENERS)
    if not colon or not rest:
        raise UsageError(
            f"model '{spec}' names nothing after '{kind}:'", __doc__.split("\n\n")[1] if __doc__ else ""
        )
    return OPENERS[kind](rest, options or Options())


def _openai(rest: str, options: Options) -> Model:
    from medbench.inference.openai import OpenAIModel

    at = max(rest.find("@http://"), rest.find("@https://"))
    name, url = (rest[:at], rest[at + 1 :]) if at > 0 else (rest.rpartition("@")[0], rest.rpartition("@")[2])
    if not name:
        raise UsageError(f"model 'openai:{rest}' has no address", "write openai:NAME@http://host:port/v1")
    return OpenAIModel(name, url, options)


def _local(rest: str, options: Options) -> Model:
    from medbench.inference.local import LocalModel

    return LocalModel(rest, options.batch_size, options.images)


def _lm_eval(rest: str, options: Options) -> Model:
    from medbench.inference.lm_eval import from_spec

    return from_spec(rest, options.batch_size)


def _baseline(rest: str, options: Options) -> Model:
    from medbench.inference.simple import Baseline

    return Baseline(rest)


def _scripted(rest: str, options: Options) -> Model:
    from medbench.inference.simple import recorded

    return recorded(Path(rest))


OPENERS: dict[str, Callable[[str, Options], Model]] = {
    "openai": _openai,
    "local": _local,
    "lm-eval": _lm_eval,
    "baseline": _baseline,
    "scripted": _scripted,
}
