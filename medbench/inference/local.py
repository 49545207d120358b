"""A transformers model in this process: `local:PATH_OR_HUB_ID`.

Requests of like length share a batch; those with images never one with those without. A model that
takes images answers both. Images are read and prepared batch by batch, so memory does not grow with
their number. Sampling draws each reply from a generator seeded by the request itself (Gumbel noise on
the filtered logits, then argmax), so a reply does not depend on which other requests happened to be in
its batch, and a resumed run draws what an uninterrupted one would have drawn.
"""

import hashlib
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from medbench.config import digest
from medbench.errors import ModelError, PrerequisiteError
from medbench.images import BadImage, Store
from medbench.inference.types import Model, Reply, Request, Sink
from medbench.inference.vision import RefusedImage, Sight, sees

log = logging.getLogger(__name__)


class LocalModel:
    """A language model, or one of language and vision, run by transformers; loaded at the first request."""

    def __init__(self, path: str, batch_size: int = 16, images: Store | None = None) -> None:
        self.path = path
        self.batch_size = batch_size
        self.images = images
        self.name = f"local:{path}{fingerprint(Path(path))}"
        self._reader: tuple[Any, Sight | None] | None = None
        self._model: Any = None
        self._scorer: Model | None = None

    def answer(self, requests: Collection[Request], sink: Sink) -> None:
        """Answer `requests` batch by batch, longest prompts first (memory trouble then shows at once).

        Raises ModelError when there are images and the model takes none.
        """
        wanted = list(requests)
        if wanted and wanted[0].protocol != "generate":
            self.scorer().answer(wanted, sink)
            return
        if any(request.images for request in wanted):
            self.look()
        for batch in batches(wanted, self.batch_size):
            for request, reply in self.replies(batch):
                sink(request, reply)

    def look(self) -> None:
        """Make sure that images can be shown. Raises ModelError when the model takes none."""
        if self.reader()[1] is None:
            raise ModelError(
                f"model '{self.path}' takes no images: it is for text alone, or has no image processor",
                "use a vision-language model",
            )
        if self.images is None:
            raise ModelError("there is no store to take images from", "give Options(images=Store(folder))")

    def scorer(self) -> Model:
        """The same weights behind lm-eval, which computes log-likelihoods."""
        if self._scorer is None:
            from medbench.inference.lm_eval import LmEvalModel

            where = device()
            settings = {"device": where, "dtype": "float32" if where == "cpu" else "auto"}
            self._scorer = LmEvalModel("hf", {"pretrained": self.path, **settings}, self.batch_size)
        return self._scorer

    def reader(self) -> tuple[Any, Sight | None]:
        """The tokenizer, and for a model that takes images what it needs to see them."""
        if self._reader is None:
            self._reader = load_reader(self.path)
        return self._reader

    def load(self) -> tuple[Any, Any]:
        """The model and its tokenizer."""
        tokenizer, sight = self.reader()
        if self._model is None:
            self._model = load_weights(self.path, sight is not None)
        return self._model, tokenizer

    def tokens(self, tokenizer: Any, request: Request) -> list[int]:
        """A prompt without images as token ids: through the chat template if any, else joined text."""
        sight = self.reader()[1]
        if sight is not None:
            return sight.tokens(request)
        if tokenizer.chat_template:
            ids = tokenizer.apply_chat_template(
                list(request.messages), add_generation_prompt=True, return_dict=True
            )
            return list(ids["input_ids"])
        return list(tokenizer(request.text)["input_ids"])

    def replies(self, batch: Sequence[Request]) -> Iterator[tuple[Request, Reply]]:
        """Replies to a batch. One that cannot be shown goes in halves, until the row at fault is alone.

        What fails alone (an image that is gone, or that the processor refuses) is that row's error.
        """
        try:
            inputs = self.inputs(batch)
        except (BadImage, RefusedImage) as problem:
            if len(batch) == 1:
                yield batch[0], Reply.failed(str(problem))
                return
            half = len(batch) // 2
            yield from self.replies(batch[:half])
            yield from self.replies(batch[half:])
            return
        yield from zip(batch, self.generate(inputs, batch), strict=True)

    def inputs(self, batch: Sequence[Request]) -> dict[str, Any]:
        """A batch as what the model takes, padded on the left."""
        tokenizer, sight = self.reader()
        if sight and self.images and batch[0].images:
            return sight.inputs(batch, self.images)
        return padded([self.tokens(tokenizer, request) for request in batch], padding(tokenizer))

    def generate(self, inputs: Mapping[str, Any], requests: Sequence[Request]) -> list[Reply]:
        """Replies to one batch of prompts that share their sampling settings."""
        import torch

        model, tokenizer = self.load()
        stops = stop_tokens(model, tokenizer)
        with torch.inference_mode():
            out = model.generate(
                **placed(inputs, model),
                max_new_tokens=requests[0].sampling.max_tokens,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=padding(tokenizer),
                eos_token_id=sorted(stops) or None,
                logits_processor=processors(requests, model.device),
            )
        width = inputs["input_ids"].shape[1]
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        return [
            finished(tokenizer, row[width:].tolist(), stops, length)
            for row, length in zip(out, lengths, strict=True)
        ]


def padding(tokenizer: Any) -> Any:
    """The token that fills up short prompts."""
    return tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id


def padded(prompts: Sequence[list[int]], pad: int) -> dict[str, Any]:
    """Prompts of token ids as one batch, filled up on the left."""
    import torch

    width = max(map(len, prompts))
    return {
        "input_ids": torch.tensor([[pad] * (width - len(p)) + p for p in prompts]),
        "attention_mask": torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts]),
    }


def placed(inputs: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """Inputs on the model's device, pixels in its precision."""
    import torch

    return {
        name: value.to(model.device, model.dtype if value.is_floating_point() else value.dtype)
        if torch.is_tensor(value)
        else value
        for name, value in inputs.items()
    }


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


@contextmanager
def opening(path: str) -> Iterator[None]:
    """What fails while a model is opened: PrerequisiteError without the extra `local`, else ModelError."""
    try:
        import torch  # noqa: F401
        from transformers.utils import logging as transformers_logging
    except ImportError as problem:
        raise PrerequisiteError(
            f"local models need torch and transformers ({problem})", "pip install 'medbench[local]'"
        ) from None
    transformers_logging.disable_progress_bar()
    try:
        yield
    except (OSError, ValueError) as problem:
        first = str(problem).strip().partition("\n")[0]
        raise ModelError(
            f"cannot load model '{path}': {first}", "give a folder with weights, a run's name, or a Hub id"
        ) from problem


def load_reader(path: str) -> tuple[Any, Sight | None]:
    """The tokenizer and sight (None for text alone) of a folder or Hub id; code it ships is never run."""
    with opening(path):
        from transformers import AutoTokenizer

        if sees(path):
            sight = Sight(path)
            return sight.tokenizer, sight
        return AutoTokenizer.from_pretrained(path, padding_side="left", trust_remote_code=False), None


def load_weights(path: str, seeing: bool) -> Any:
    """The model of a folder or Hub id on the best device here; code it ships is never run."""
    with opening(path):
        import torch
        from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

        where = device()
        kind = AutoModelForImageTextToText if seeing else AutoModelForCausalLM
        model = kind.from_pretrained(
            path, dtype=torch.float32 if where == "cpu" else "auto", trust_remote_code=False
        )
    return model.to(where).eval()


def batch_group(request: Request) -> str:
    """Requests with the same group may share a batch: all with images or all without, drawn alike."""
    return f"{not request.images} {request.sampling.model_dump_json(exclude={'seed'})}"


def batches(requests: Sequence[Request], size: int) -> Iterator[list[Request]]:
    """Requests in batches of one group each, those with most images and text first."""
    order = sorted(requests, key=lambda r: (batch_group(r), -len(r.images), -len(r.text)))
    for _, group in groupby(order, batch_group):
        members = list(group)
        yield from (members[start : start + size] for start in range(0, len(members), size))


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
