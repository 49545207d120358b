"""What passes between medbench and a model, whichever model it is."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import pydantic

from medbench.config import Config, digest
from medbench.images import Store
from medbench.schema import Finish

Message = dict[str, Any]
"""A chat message; its content is a text, or a list of text and image parts (see `prompts.render`)."""


class Sampling(Config):
    """How replies are drawn."""

    temperature: float = pydantic.Field(0.0, ge=0.0, allow_inf_nan=False)
    """0 is greedy."""
    top_p: float = pydantic.Field(1.0, gt=0.0, le=1.0)
    max_tokens: int = pydantic.Field(2048, ge=1)
    """Longest reply, in tokens of the model."""
    seed: int = 0
    """Sample k of a question is drawn with seed + k on a server, and by a hash of both in process."""


@dataclass(frozen=True)
class Options:
    """How to run a model. None of it changes an answer."""

    concurrency: int = 32
    """Requests in flight to a server at most."""
    timeout: float = 600.0
    """Seconds one request may take."""
    retries: int = 5
    """Further tries of a failed request."""
    batch_size: int = 16
    """Prompts per forward pass of a local model."""
    first_wait: float = 0.5
    """Seconds before the first retry; doubled each time, half of it random."""
    longest_wait: float = 60.0
    deadline: float | None = None
    """Seconds one call of `answer` may take on a server; what is not answered by then is not asked."""
    images: Store | None = None
    """Where the images of requests are."""
    image_paths: bool = False
    """Send images as `file://` paths, for a server on this machine that is allowed to read them."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to one model.

    `choices` are the answers on offer. The log-likelihood protocols ask for the choice that the model
    finds most likely as a continuation (in sum, or "-norm": per character) instead of a written reply.
    """

    example: str
    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    sample: int = 0
    choices: tuple[str, ...] = ()
    protocol: Literal["generate", "loglikelihood", "loglikelihood-norm"] = "generate"

    @property
    def images(self) -> list[Message]:
        """The image parts, in their order."""
        return [part for message in self.messages for part in image_parts(message)]

    @property
    def text(self) -> str:
        """All text of the messages, a blank line between them."""
        return "\n\n".join(text_of(message) for message in self.messages)

    def key(self, role: str, model: str) -> str:
        """Identity of the request: equal keys ask for the same thing."""
        content = [role, model, self.example, self.sample, self.messages, self.choices, self.protocol]
        return digest([*content, self.sampling.model_dump()])


def image_parts(message: Message) -> list[Message]:
    """The image parts of a message."""
    content = message["content"]
    return [part for part in content if part["type"] == "image"] if isinstance(content, list) else []


def text_of(message: Message) -> str:
    """The text of a message, its images left out."""
    content = message["content"]
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if part["type"] == "text")
    return str(content)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `error` is None unless the call failed for good, and then `text` is empty."""

    text: str
    finish: Finish = "stop"
    tokens_in: int = 0
    tokens_out: int = 0
    error: str | None = None

    @classmethod
    def failed(cls, why: str) -> "Reply":
        """A call that failed after its retries: the row stays owed, and unscored until answered."""
        return cls("", "error", error=why[:500])


def kind_of_fault(error: str | None) -> str | None:
    """What of an error may be published: its kind. Servers put keys, hosts and paths into what they say.

    >>> kind_of_fault("HTTP 401: key sk-1 at http://host"), kind_of_fault("TimeoutError: http://host")
    ('HTTP 401', 'TimeoutError')
    >>> kind_of_fault("image 12ab is not in the store of someone")
    'call failed'
    """
    if error is None or error == "not asked":
        return error
    found = re.match(r"HTTP \d{3}\b|[A-Z]\w*(?:Error|Exception|Timeout|Disconnected)\b", error)
    return found[0] if found else "call failed"


Sink = Callable[[Request, Reply], None]
"""Takes one reply."""


class Model(Protocol):
    """Anything that answers requests.

    `answer` takes requests one by one and hands each reply to `sink` as soon as it is there, in any
    order; iteration may end before all are handed out (a budget). What the sink raises propagates. Calls
    that fail for good are sunk as `Reply.failed`; a refused key or model name raises `ModelError`.
    """

    name: str

    def answer(self, requests: Collection[Request], sink: Sink) -> None:
        """Answer `requests` through `sink`, as many as iterating over them hands out."""
