"""Model classes of lm-evaluation-harness as back ends: `lm-eval:CLASS,key=value,…`.

Used where that library is the right tool: log-likelihoods, and engines it already wraps (vllm,
sglang, …). It answers whole calls, so requests go in chunks and each finished chunk is journalled.
Asking over HTTP stays with `inference/openai`: this engine cannot resume or survive a fault.
"""

from collections.abc import Sequence
from typing import Any

from medbench.errors import ModelError, PrerequisiteError
from medbench.inference.types import Reply, Request, Sink

CHUNK = 256


class LmEvalModel:
    """A model class of lm-eval, e.g. `hf,pretrained=…` or `vllm,pretrained=…`; built at the first request."""

    def __init__(self, spec: str, batch_size: int = 16) -> None:
        self.name = f"lm-eval:{spec}"
        self.kind, _, self.arguments = spec.partition(",")
        self.batch_size = batch_size
        self._model: Any = None

    def load(self) -> Any:
        """The lm-eval model object."""
        if self._model is None:
            self._model = build(self.kind, self.arguments, self.batch_size)
        return self._model

    def answer(self, requests: Sequence[Request], sink: Sink) -> None:
        """Answer `requests` in chunks of 256."""
        model = self.load()
        for start in range(0, len(requests), CHUNK):
            chunk = requests[start : start + CHUNK]
            scoring = chunk[0].protocol == "loglikelihood"
            replies = likeliest(model, chunk) if scoring else written(model, chunk)
            wanted = [sink(request, reply) for request, reply in zip(chunk, replies, strict=True)]
            if not all(wanted):
                return


def build(kind: str, arguments: str, batch_size: int) -> Any:
    """The model object. Raises PrerequisiteError without the extra, ModelError when lm-eval refuses."""
    try:
        from lm_eval.api.registry import get_model
    except ImportError as problem:
        raise PrerequisiteError(
            f"lm-eval is not installed ({problem})", "pip install 'medbench[lm-eval]'"
        ) from None
    try:
        return get_model(kind).create_from_arg_string(arguments, {"batch_size": batch_size})
    except (KeyError, ValueError, TypeError, OSError, ImportError) as problem:
        raise ModelError(
            f"lm-eval cannot build '{kind}' from '{arguments}': {problem}", "see the model classes of lm-eval"
        ) from problem


def prompt(model: Any, request: Request) -> str:
    """The request as one string: through the model's chat template where it has one."""
    if getattr(getattr(model, "tokenizer", None), "chat_template", None) or model.__class__.__name__.endswith(
        "Chat"
    ):
        return str(model.apply_chat_template([dict(m) for m in request.messages]))
    return "\n\n".join(str(m["content"]) for m in request.messages)


def likeliest(model: Any, requests: Sequence[Request]) -> list[Reply]:
    """For each request the choice with the highest log-likelihood per byte, as "acc_norm" of lm-eval.

    Choices are scored as continuations after one blank. Letters are one byte each, so for them this is the
    plain log-likelihood.
    """
    from lm_eval.api.instance import Instance

    instances: list[Any] = []
    owners: list[tuple[int, str]] = []
    for owner, request in enumerate(requests):
        context = prompt(model, request)
        for choice in request.choices:
            arguments = (context, f" {choice}")
            instances.append(
                Instance(request_type="loglikelihood", doc={}, arguments=arguments, idx=len(instances))
            )
            owners.append((owner, choice))
    best: dict[int, tuple[float, str]] = {}
    for (owner, choice), (logprob, _) in zip(
        owners, model.loglikelihood(instances, disable_tqdm=True), strict=True
    ):
        score = logprob / max(len(choice.encode()), 1)
        if owner not in best or score > best[owner][0]:
            best[owner] = (score, choice)
    return [
        Reply(best[i][1]) if i in best else Reply.failed("no choices to compare")
        for i in range(len(requests))
    ]


def written(model: Any, requests: Sequence[Request]) -> list[Reply]:
    """Generated replies. lm-eval does not tell why a reply ended, so every finish reads "stop"."""
    from lm_eval.api.instance import Instance

    instances: list[Any] = []
    for request in requests:
        sampling = request.sampling
        until: dict[str, Any] = {
            "until": [],
            "max_gen_toks": sampling.max_tokens,
            "do_sample": sampling.temperature > 0,
        }
        if sampling.temperature > 0:
            until |= {"temperature": sampling.temperature, "top_p": sampling.top_p}
        arguments = (prompt(model, request), until)
        instances.append(
            Instance(request_type="generate_until", doc={}, arguments=arguments, idx=len(instances))
        )
    return [Reply(text) for text in model.generate_until(instances, disable_tqdm=True)]
