"""What a vision-language model of transformers is shown: its processor, its chat template, its images.

Only images are sent, so no video processor is loaded: those need torchvision, which has no place beside
a CPU build of torch. Every class of processor is used as it is, less that part.

The chat template decides how images and text follow each other; most keep the order of the parts. A
template that knows no parts, or none at all, gets one text with the model's image token where each
image belongs.
"""

from collections.abc import Sequence
from typing import Any

from medbench.errors import ModelError, PrerequisiteError
from medbench.images import Store
from medbench.inference.types import Message, Request

PROBE = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]}]


class RefusedImage(Exception):
    """Images that a processor does not take, alone or in one batch."""


def sees(path: str) -> bool:
    """Whether a model takes images beside text: its configuration says so, and it has an image processor."""
    from transformers import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING, AutoConfig, ImageProcessingMixin

    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
        if type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING or config.is_encoder_decoder:
            return False
        return bool(ImageProcessingMixin.get_image_processor_dict(path)[0])
    except (OSError, ValueError):
        return False


def load_processor(path: str) -> Any:
    """The processor of a vision-language model, for text and images; pads on the left.

    Raises PrerequisiteError when it needs a package that is not here, ModelError when there is none.
    """
    try:
        kind = image_only(processor_class(path))
        processor = kind.from_pretrained(path, trust_remote_code=False)
    except ImportError as problem:
        told = " ".join(str(problem).split())
        raise PrerequisiteError(
            f"the processor of '{path}' needs a package that is not here: {told[:200]}",
            "install it beside medbench, or use another model",
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise ModelError(
            f"cannot load the processor of '{path}': {str(problem).strip()[:200]}",
            "a vision-language model's folder holds preprocessor_config.json and a tokenizer",
        ) from problem
    processor.tokenizer.padding_side = "left"
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return processor


def processor_class(path: str) -> Any:
    """The class of processor that a model's files name, else the usual one for its configuration."""
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    processors, images = transformers.ProcessorMixin, transformers.ImageProcessingMixin
    for read in (processors.get_processor_dict, images.get_image_processor_dict):
        named = read(path)[0].get("processor_class")
        if named in PROCESSOR_MAPPING_NAMES.values():
            return getattr(transformers, named)
    config = transformers.AutoConfig.from_pretrained(path, trust_remote_code=False)
    return transformers.PROCESSOR_MAPPING[type(config)]


def image_only(kind: Any) -> Any:
    """A class of processor less its video processor; the class itself where it has none.

    It keeps its name, so that what it saves says whose it is.
    """
    from transformers import ProcessorMixin

    every = kind.get_attributes()
    kept = [name for name in every if name != "video_processor"]
    if kept == every:
        return kind

    def start(self: Any, *parts: Any, **others: Any) -> None:
        here = {name: part for name, part in others.items() if part is not None}
        ProcessorMixin.__init__(self, *[part for part in parts if part is not None], **here)

    def build(cls: Any, /, parts: Sequence[Any], settings: dict[str, Any], **others: Any) -> Any:
        held = dict(zip(kept, parts, strict=True))
        settings = {name: value for name, value in settings.items() if name not in every}
        ordered = [held.get(name) for name in every]
        return kind.from_args_and_dict.__func__(cls, ordered, settings, **others)

    # Between the class and its base, so that the class's own start runs and hands on to this one.
    lean = type("Lean", (ProcessorMixin,), {"__init__": start})
    members = {"get_attributes": classmethod(lambda cls: kept), "from_args_and_dict": classmethod(build)}
    return type(kind.__name__, (kind, lean), members)


class Sight:
    """A vision-language model's processor and chat template."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.processor = load_processor(path)
        self.tokenizer = self.processor.tokenizer
        template = getattr(self.processor, "chat_template", None) or self.tokenizer.chat_template
        self.template = template.get("default") if isinstance(template, dict) else template
        mark = getattr(self.processor, "image_token", None)
        if not isinstance(mark, str):
            raise ModelError(f"the processor of '{path}' has no image token", "use another model")
        self.mark: str = mark
        self.by_parts = self.template is not None and self.knows_parts()

    def knows_parts(self) -> bool:
        """Whether the chat template puts the image token where a message has an image part."""
        from jinja2 import TemplateError

        try:
            return self.render(PROBE).count(self.mark) == 1
        except (TemplateError, TypeError):
            return False

    def render(self, messages: Sequence[Message]) -> str:
        """Messages through the chat template, up to where the reply begins."""
        return str(
            self.tokenizer.apply_chat_template(
                list(messages), chat_template=self.template, tokenize=False, add_generation_prompt=True
            )
        )

    def prompt(self, request: Request) -> str:
        """The request as the model reads it, with one image token for each image.

        Raises ModelError when the chat template drops images.
        """
        if self.template is None:
            text = "\n\n".join(self.flat(message) for message in request.messages)
        elif self.by_parts:
            text = self.render([{**m, "content": self.parts(m)} for m in request.messages])
        else:
            text = self.render([{**m, "content": self.flat(m)} for m in request.messages])
        if text.count(self.mark) != len(request.images):
            raise ModelError(
                f"the chat template of '{self.path}' shows {text.count(self.mark)} of "
                f"{len(request.images)} images",
                "use a model whose chat template takes images",
            )
        return text

    def parts(self, message: Message) -> list[dict[str, str]]:
        """The parts of a message as chat templates know them."""
        content = message["content"]
        if not isinstance(content, list):
            return [{"type": "text", "text": self.plain(str(content))}]
        return [
            {"type": "image"}
            if part["type"] == "image"
            else {"type": "text", "text": self.plain(part["text"])}
            for part in content
        ]

    def flat(self, message: Message) -> str:
        """A message as one text, the image token for each image."""
        return "\n".join(
            self.mark if part["type"] == "image" else part["text"] for part in self.parts(message)
        )

    def plain(self, text: str) -> str:
        """A text in which no token for an image, a video or a sound is left: it would want one."""
        names = ("image_token", "video_token", "audio_token")
        for holder in (self.processor, self.tokenizer):
            for token in (getattr(holder, name, None) for name in names):
                if isinstance(token, str) and token in text:
                    text = text.replace(token, f"{token[0]} {token[1:]}")
        return text

    def starts_itself(self, prompt: str) -> bool:
        """Whether a prompt already begins with the token that begins a text, and needs no second one."""
        return bool(self.tokenizer.bos_token) and prompt.startswith(self.tokenizer.bos_token)

    def tokens(self, request: Request) -> list[int]:
        """A prompt without images as token ids."""
        prompt = self.prompt(request)
        ids = self.tokenizer(prompt, add_special_tokens=not self.starts_itself(prompt))["input_ids"]
        return list(ids)

    def inputs(self, requests: Sequence[Request], store: Store) -> dict[str, Any]:
        """Requests with images as one batch of inputs for the model, padded on the left.

        Raises BadImage for an image that is not there or damaged, RefusedImage for some that the
        processor does not take (one is 300 times as wide as high, say).
        """
        prompts = [self.prompt(request) for request in requests]
        shown = [pictures(request, store) for request in requests]
        try:
            made = self.processor(
                text=prompts,
                images=shown,
                add_special_tokens=not self.starts_itself(prompts[0]),
                padding=True,
                return_tensors="pt",
            )
        except ValueError as problem:
            raise RefusedImage(f"the model's processor: {problem}") from problem
        return dict(made)


def pictures(request: Request, store: Store) -> list[Any]:
    """The images of a request, decoded, in their order. Raises BadImage."""
    return [store.picture(part["sha256"], part.get("max_pixels")) for part in request.images]
