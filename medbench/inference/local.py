"""A transformers model in this process: `local:PATH_OR_HUB_ID`.

Prompts of like length share a batch. Sampling draws each reply from a generator seeded by the
request itself (Gumbel noise on the filtered logits, then argmax), so a reply does not depend on
which other requests happened to be in its batch, and a resumed run draws what an uninterrupted one
would have drawn.
"""

import hashlib
import logging
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from medbench.config import digest
from medbench.errors import ModelError, PrerequisiteError
from medbench.images import Store
from medbench.inference.types import Model, Reply, Request, Sink

log = logging.getLogger(__name__)


class LocalModel:
    """A causal language model run by transformers; loaded at the first request."""

    def __init__(self, path: str, batch_size: int = 16, images: Store | None = None) -> None:
        self.path = path
        self.batch_size = batch_size
        self.images = images
        self.name = f"local:{path}{fingerprint(Path(path))}"
        self._loaded: tuple[Any, Any] | None = None
        self._scorer: Model | None = None

    def answer(self, requests: Collection[Request], sink: Sink) -> None:
        """Answer `requests` batch by batch, longest prompts first (memory trouble then shows at once)."""
        wanted = list(requests)
        if wanted and wanted[0].protocol != "generate":
            self.scorer().answer(wanted, sink)
            return
        _, tokenizer = self.load()
        prompts = [self.tokens(tokenizer, request) for request in wanted]
        order = sorted(range(len(wanted)), key=lambda i: (sampling_group(wanted[i]), -len(prompts[i]), i))
        for batch in batches(order, wanted, self.batch_size):
            replies = self.generate([prompts[i] for i in batch], [wanted[i] for i in batch])
            for i, reply in zip(batch, replies, strict=True):
                sink(wanted[i], reply)

    def scorer(self) -> Model:
        """The same weights behind lm-eval, which computes log-likelihoods."""
        if self._scorer is None:
            from medbench.inference.lm_eval import LmEvalModel

            where = device()
            settings = {"device": where, "dtype": "float32" if where == "cpu" else "auto"}
            self._scorer = LmEvalModel("hf", {"pretrained": self.path, **settings}, self.batch_size)
        return self._scorer

    def load(self) -> tuple[Any, Any]:
        """The model and its tokenizer."""
        if self._loaded is None:
            self._loaded = load(self.path)
        return self._loaded

    def tokens(self, tokenizer: Any, request: Request) -> list[int]:
        """The prompt as token ids: through the chat template if the model has one, else joined text."""
        if tokenizer.chat_template:
            ids = tokenizer.apply_chat_template(
                list(request.messages), add_generation_prompt=True, return_dict=True
            )
            return list(ids["input_ids"])
        return list(tokenizer(request.text)["input_ids"])

    def generate(self, prompts: list[list[int]], requests: Sequence[Request]) -> list[Reply]:
        """Replies to one batch of prompts that share their sampling settings."""
        import torch

        model, tokenizer = self.load()
        width = max(map(len, prompts))
        pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        ids = torch.tensor([[pad] * (width - len(p)) + p for p in prompts], device=model.device)
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=model.device)
        sampling = requests[0].sampling
        with torch.inference_mode():
            out = model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=sampling.max_tokens,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=pad,
                logits_processor=processors(requests, model.device),
            )
        stops = stop_tokens(model, tokenizer)
        return [
            finished(tokenizer, row[width:].tolist(), stops, len(p))
            for row, p in zip(out, prompts, strict=True)
        ]


WEIGHTS = {".safetensors", ".bin", ".gguf", ".pt"}
DESCRIPTIONS = {".json", ".jinja", ".model", ".txt"}
EDGE = 1 << 16


def fingerprint(path: Path) -> str:
    """`#` and a digest of a model folder's content, so that other weights or templates are another model.

    Descriptions count whole, weights by their size and both ends. Empty for a Hub id.
    """
    if not path.is_dir():
        return ""
    files = sorted(p for p in path.iterdir() if p.suffix in WEIGHTS | DESCRIPTIONS)
    return "#" + digest([[p.name, sample(p)] for p in files])[:8]


def sample(path: Path) -> str:
    """A hash of a file: of all of it, or for weights of the size and both ends."""
    with path.open("rb") as stream:
        if path.suffix in DESCRIPTIONS:
            return hashlib.sha256(stream.read()).hexdigest()
        size = path.stat().st_size
        head = stream.read(EDGE)
        stream.seek(max(size - EDGE, 0))
        return hashlib.sha256(str(size).encode() + head + stream.read()).hexdigest()


def device() -> str:
    """The best device here: cuda, mps or cpu."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def load(path: str) -> tuple[Any, Any]:
    """Model and tokenizer from a folder or the Hub, on the best device here.

    Code that a repository ships is never run. Raises PrerequisiteError without the extra `local`,
    ModelError when the weights are not there.
    """
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging as transformers_logging
    except ImportError as problem:
        raise PrerequisiteError(
            f"local models need torch and transformers ({problem})", "pip install 'medbench[local]'"
        ) from None
    transformers_logging.disable_progress_bar()
    where = device()
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, padding_side="left", trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(
            path, dtype=torch.float32 if where == "cpu" else "auto", trust_remote_code=False
        )
    except (OSError, ValueError) as problem:
        first = str(problem).strip().splitlines()[0]
        raise ModelError(
            f"cannot load model '{path}': {first}", "give a folder with weights, a run's name, or a Hub id"
        ) from problem
    return model.to(where).eval(), tokenizer


def sampling_group(request: Request) -> str:
    """Requests with the same group may share a batch."""
    return request.sampling.model_dump_json(exclude={"seed"})


def batches(order: Sequence[int], requests: Sequence[Request], size: int) -> Iterator[list[int]]:
    """Indices in `order`, in batches of one sampling group each."""
    batch: list[int] = []
    for i in order:
        if batch and (
            len(batch) == size or sampling_group(requests[batch[0]]) != sampling_group(requests[i])
        ):
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


def processors(requests: Sequence[Request], device: Any) -> Any:
    """What turns logits into a draw: nothing for greedy, else temperature, top-p and seeded Gumbel noise."""
    from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

    sampling = requests[0].sampling
    steps = LogitsProcessorList()
    if sampling.temperature <= 0:
        return steps
    steps.append(TemperatureLogitsWarper(sampling.temperature))
    if sampling.top_p < 1.0:
        steps.append(TopPLogitsWarper(sampling.top_p))
    steps.append(gumbel_noise(requests, device))
    return steps


def gumbel_noise(requests: Sequence[Request], device: Any) -> Any:
    """A logits processor whose argmax is a draw from the softmax (Gumbel-max), one generator a row."""
    import torch

    generators = [torch.Generator(device=device).manual_seed(seed_of(request)) for request in requests]

    def add(ids: Any, scores: Any) -> Any:
        for row, generator in zip(scores, generators, strict=True):
            noise = torch.empty_like(row).exponential_(generator=generator)
            row -= noise.clamp_min_(1e-20).log_()
        return scores

    return add


def seed_of(request: Request) -> int:
    """A seed that only the question, the sample number and the seed of the run decide."""
    content = [request.example, request.messages, request.sampling.seed, request.sample]
    return int(digest(content), 16) % 2**63


def stop_tokens(model: Any, tokenizer: Any) -> set[int]:
    """Token ids that end a reply."""
    configured = model.generation_config.eos_token_id
    ids = configured if isinstance(configured, list) else [configured]
    return {int(i) for i in [*ids, tokenizer.eos_token_id] if i is not None}


def finished(tokenizer: Any, ids: list[int], stops: set[int], prompt_length: int) -> Reply:
    """The reply in `ids`, cut at the first stop token; without one it ran into the length limit."""
    end = next((i for i, token in enumerate(ids) if token in stops), None)
    text = tokenizer.decode(ids[:end], skip_special_tokens=True)
    return Reply(text, "stop" if end is not None else "length", prompt_length, len(ids[:end]))
