"""Model classes of lm-evaluation-harness as back ends: `lm-eval:CLASS,key=value,…`.

Used where that library is the right tool: log-likelihoods, and engines it already wraps (vllm,
sglang, …). It answers whole calls, so requests go in chunks and each finished chunk is journalled.
Asking over HTTP stays with `inference/openai`: this engine cannot resume or survive a fault.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.errors import ModelError, PrerequisiteError, UsageError
from medbench.inference.local import fingerprint
from medbench.inference.types import Reply, Request, Sink

CHUNK = 256


def from_spec(spec: str, batch_size: int) -> "LmEvalModel":
    """The model of a spec such as `hf,pretrained=…` or `vllm,pretrained=…`."""
    kind, *parts = spec.split(",")
    settings = {}
    for part in parts:
        name, sign, value = part.partition("=")
        if not sign:
            raise UsageError(
                f"model 'lm-eval:{spec}': '{part}' is not key=value", "lm-eval:CLASS,key=value,…"
            )
        settings[name] = value
    return LmEvalModel(kind, settings, batch_size)


class LmEvalModel:
    """A model class of lm-eval with its settings; built at the first request."""

    def __init__(self, kind: str, settings: Mapping[str, str], batch_size: int = 16) -> None:
        mark = fingerprint(Path(settings.get("pretrained", "")))
        self.name = f"lm-eval:{','.join([kind, *(f'{k}={v}' for k, v in settings.items())])}{mark}"
        self.kind = kind
        self.settings = settings
        self.batch_size = batch_size
        self._model: Any = None

    def load(self) -> Any:
        """The lm-eval model object."""
        if self._model is None:
            self._model = build(self.kind, self.settings, self.batch_size)
        return self._model

    def answer(self, requests: Collection[Request], sink: Sink) -> None:
        """Answer `requests` in chunks of 256."""
        wanted = list(requests)
        if any(request.images for request in wanted):
            fix = "use --model local:… or openai:… with --protocol generate"
            raise ModelError("models of lm-eval, and log-likelihoods, get no images here", fix)
        model = self.load()
        for start in range(0, len(wanted), CHUNK):
            chunk = wanted[start : start + CHUNK]
            writes = chunk[0].protocol == "generate"
            replies = written(model, chunk) if writes else likeliest(model, chunk)
            for request, reply in zip(chunk, replies, strict=True):
                sink(request, reply)


def build(kind: str, settings: Mapping[str, str], batch_size: int) -> Any:
    """The model object. Raises PrerequisiteError without the extra, ModelError when lm-eval refuses."""
    try:
        from lm_eval.api.registry import get_model
    except ImportError as problem:
        what = f"lm-eval is not installed ({problem})"
        raise PrerequisiteError(what, "pip install 'medbench[lm-eval]'") from None
    try:
        return get_model(kind)(**settings, batch_size=batch_size)
    except (KeyError, ValueError, TypeError, OSError, ImportError, AssertionError, RuntimeError) as problem:
        why = " ".join(str(problem).split())[:300]
        what = f"lm-eval cannot build '{kind}' with {dict(settings)}: {why}"
        raise ModelError(what, "see the model classes of lm-eval") from problem


def likeliest(model: Any, requests: Sequence[Request]) -> list[Reply]:
    """For each request the choice with the highest log-likelihood after the prompt and one blank.

    As lm-eval does by default: the prompt goes in as plain text, without a chat template. Protocol
    `loglikelihood` compares sums (its `acc`), `loglikelihood-norm` sums per character (its `acc_norm`).
    """
    from lm_eval.api.instance import Instance

    instances: list[Any] = []
    owners: list[tuple[int, str]] = []
    for owner, request in enumerate(requests):
        for choice in request.choices:
            arguments = (plain(request), f" {choice}")
            instances.append(
                Instance(request_type="loglikelihood", doc={}, arguments=arguments, idx=len(instances))
            )
            owners.append((owner, choice))
    best: dict[int, tuple[float, str]] = {}
    scores = model.loglikelihood(instances, disable_tqdm=True)
    for (owner, choice), (logprob, _) in zip(owners, scores, strict=True):
        length = len(choice) if requests[owner].protocol == "loglikelihood-norm" else 1
        if owner not in best or logprob / length > best[owner][0]:
            best[owner] = (logprob / length, choice)
    none = Reply.failed("no choices to compare")
    return [Reply(best[i][1]) if i in best else none for i in range(len(requests))]


def written(model: Any, requests: Sequence[Request]) -> list[Reply]:
    """Generated replies, greedy or drawn. lm-eval does not tell why a reply ended: every finish is "stop"."""
    from lm_eval.api.instance import Instance

    instances: list[Any] = []
    for request in requests:
        sampling = request.sampling
        until: dict[str, Any] = {"until": [], "max_gen_toks": sampling.max_tokens}
        if sampling.temperature > 0:
            until |= {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p}
        arguments = (templated(model, request), until)
        instances.append(
            Instance(request_type="generate_until", doc={}, arguments=arguments, idx=len(instances))
        )
    return [Reply(text) for text in model.generate_until(instances, disable_tqdm=True)]


def plain(request: Request) -> str:
    """The request as one text."""
    return request.text


def templated(model: Any, request: Request) -> str:
    """The request through the model's chat template where it has one, else as plain text."""
    if getattr(getattr(model, "tokenizer", None), "chat_template", None):
        return str(model.apply_chat_template([dict(message) for message in request.messages]))
    return plain(request)
