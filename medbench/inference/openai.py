"""Any OpenAI-compatible server: `openai:NAME@URL`.

Many requests in flight over one connection pool; the number adapts to what the server bears (halved
on 429, 503 and resets, regrown one by one). Faults of transport and server are retried with growing,
jittered waits, longer if `Retry-After` says so; what still fails is that row's error, not the run's
end. A server that answers nobody ends the work instead of making every row wait for its retries.

aiohttp was chosen by measurement (docs/decisions.md). The key is read from the environment at call
time and kept nowhere.
"""

import asyncio
import json
import logging
import os
import random
import time
from collections import Counter
from collections.abc import Collection, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from medbench.errors import ModelError, UsageError
from medbench.images import BadImage
from medbench.inference.types import Message, Options, Reply, Request, Sink
from medbench.schema import Finish

log = logging.getLogger(__name__)

FINISH: dict[str, Finish] = {"length": "length", "content_filter": "refused"}
GIVE_UP_AFTER = 16
"""Rows that fail for good in a row, with none answered between, before the server counts as down."""

PATIENCE = 20
"""Tries that do not count, because the server said when to come back."""


class Transient(Exception):
    """A fault worth another try.

    `wait` is the server's own Retry-After in seconds, `crowded` says it is overloaded, `silent` that it
    answered, with nothing.
    """

    def __init__(self, why: str, *, wait: float = 0.0, crowded: bool = False, silent: bool = False) -> None:
        super().__init__(why)
        self.wait = wait
        self.crowded = crowded
        self.silent = silent


class Rejected(Exception):
    """The server will not take this one request, however often it is sent."""


class Throttle:
    """Additive-increase, multiplicative-decrease limit on requests in flight."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self.active = 0
        self.closed_until = 0.0
        self._cut_at = 0.0
        self._freed = asyncio.Event()

    async def enter(self) -> None:
        """Wait for a place."""
        loop = asyncio.get_running_loop()
        while self.active >= int(self.limit) or loop.time() < self.closed_until:
            pause = max(self.closed_until - loop.time(), 0.0)
            self._freed.clear()
            if pause:
                await asyncio.sleep(pause)
            else:
                await self._freed.wait()
        self.active += 1

    def leave(self) -> None:
        """Give the place back."""
        self.active -= 1
        self._freed.set()

    def succeeded(self) -> None:
        """One more request may be in flight, up to the most."""
        self.limit = min(self.limit + 1.0 / self.limit, float(self.most))

    def crowded(self, wait: float) -> None:
        """Halve the limit, once per second at most, and hold new requests back for `wait` seconds."""
        now = asyncio.get_running_loop().time()
        self.closed_until = max(self.closed_until, now + wait)
        if now - self._cut_at > 1.0:
            self._cut_at = now
            self.limit = max(self.limit / 2, 1.0)


def run_to_end(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` on a loop of its own; in a thread of its own where one already runs (a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


class OpenAIModel:
    """A model behind a chat-completions endpoint."""

    def __init__(self, name: str, url: str, options: Options | None = None) -> None:
        try:
            parts = urlsplit(url)
        except ValueError as problem:
            raise UsageError(f"'{url}' is not an address: {problem}", "write http://host:port/v1") from None
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise UsageError(f"'{url}' is not an http(s) address", "write openai:NAME@http://host:port/v1")
        if parts.password or parts.username:
            raise UsageError("a model address must not carry a password", "put the key in OPENAI_API_KEY")
        self.name = f"openai:{name}@{url}"
        self.model = name
        self.url = url.rstrip("/")
        self.options = options or Options()

    def answer(self, requests: Collection[Request], sink: Sink) -> None:
        """Answer all `requests`. Raises ModelError when the server refuses the key or the model's name."""
        run_to_end(Session(self, sink).work(requests))

    def headers(self) -> dict[str, str]:
        """HTTP headers; the key, if there is one, comes from OPENAI_API_KEY."""
        key = os.environ.get("OPENAI_API_KEY", "").strip()
        headers = {"Content-Type": "application/json"}
        return {**headers, "Authorization": f"Bearer {key}"} if key else headers

    def body(self, request: Request) -> bytes:
        """The JSON a request is sent as. Raises ModelError for a request no chat server can answer."""
        if request.protocol != "generate":
            fix = "use --model local:… or lm-eval:… with --protocol loglikelihood"
            raise ModelError("chat servers do not give log-likelihoods", fix)
        sampling = request.sampling
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [self.message(message) for message in request.messages],
            "temperature": sampling.temperature,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed + request.sample,
        }
        if sampling.top_p < 1.0:
            body["top_p"] = sampling.top_p
        return json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")

    def message(self, message: Message) -> Message:
        """A message as the chat protocol has it, its images read now. Raises BadImage if one is gone."""
        content = message["content"]
        if not isinstance(content, list):
            return message
        return {**message, "content": [self.part(part) for part in content]}

    def part(self, part: Message) -> Message:
        """A part of a message as the chat protocol has it."""
        if part["type"] != "image":
            return part
        store = self.options.images
        if store is None:
            raise ModelError("a request has images, and no image store was given", "pass Options(images=…)")
        sha256, most = part["sha256"], part.get("max_pixels")
        if self.options.image_paths:
            return {
                "type": "image_url",
                "image_url": {"url": store.sendable(sha256, most).resolve().as_uri()},
            }
        return {"type": "image_url", "image_url": {"url": store.uri(sha256, most)}}


class Session:
    """One call of `answer`: the workers, what they share, and when to stop."""

    def __init__(self, model: OpenAIModel, sink: Sink) -> None:
        self.model = model
        self.options = model.options
        self.sink = sink
        self.throttle = Throttle(model.options.concurrency)
        self.failed_in_a_row = 0
        self.faults: Counter[str] = Counter()

    async def work(self, requests: Collection[Request]) -> None:
        """Run the workers over `requests`."""
        queue = iter(requests)
        connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=300)
        timeout = aiohttp.ClientTimeout(total=self.options.timeout, sock_connect=15)
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, headers=self.model.headers()
        ) as http:
            workers = min(self.options.concurrency, len(requests))
            tasks = [asyncio.ensure_future(self.worker(queue, http)) for _ in range(workers)]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
        for fault, count in self.faults.most_common(1):
            log.warning("%s: %d calls failed, most often: %s", self.model.url, count, fault)

    @property
    def down(self) -> bool:
        """Whether the server counts as down; rows not asked by then stay owed."""
        return self.failed_in_a_row >= GIVE_UP_AFTER

    async def worker(self, queue: Iterator[Request], http: aiohttp.ClientSession) -> None:
        """Take requests off the queue until it is empty or the work is stopped."""
        for request in queue:
            reply = await self.ask(request, http)
            if reply.error is None:
                self.failed_in_a_row = 0
            else:
                self.faults[reply.error] += 1
            self.sink(request, reply)
            if self.down:
                return

    async def ask(self, request: Request, http: aiohttp.ClientSession) -> Reply:
        """One request with its retries."""
        try:
            body = self.model.body(request)
        except BadImage as problem:
            return Reply.failed(problem.reason)
        attempt = patience = 0
        while True:
            await self.throttle.enter()
            try:
                reply = await self.post(body, http)
                self.throttle.succeeded()
                return reply
            except Rejected as problem:
                self.failed_in_a_row = 0
                return Reply.failed(str(problem))
            except Transient as problem:
                fault = problem
            finally:
                self.throttle.leave()
            if fault.crowded:
                self.throttle.crowded(min(fault.wait, self.options.longest_wait))
            told_to_wait = fault.wait > 0 and patience < PATIENCE
            attempt, patience = attempt + (not told_to_wait), patience + told_to_wait
            if self.down or attempt > self.options.retries:
                break
            await asyncio.sleep(self.wait(attempt, fault))
        if not fault.silent:
            self.failed_in_a_row += 1
        return Reply.failed(str(fault))

    def wait(self, attempt: int, fault: Transient) -> float:
        """Seconds before the next try: doubling, half of it random, at least what the server asked for."""
        planned: float = self.options.first_wait * 2.0 ** max(attempt - 1, 0) * random.uniform(0.5, 1.0)
        return min(max(planned, fault.wait), self.options.longest_wait)

    async def post(self, body: bytes, http: aiohttp.ClientSession) -> Reply:
        """One try."""
        try:
            async with http.post(f"{self.model.url}/chat/completions", data=body) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise Transient(f"{type(problem).__name__}: {problem}", crowded=True) from problem
        if response.status != 200:
            self.refuse(response.status, response.headers.get("Retry-After"), content)
        return parse_reply(content)

    def refuse(self, status: int, retry_after: str | None, content: bytes) -> None:
        """Turn an HTTP error into the exception that says what to do about it."""
        why = f"HTTP {status}: {message_of(content)}"
        if status in (401, 403):
            raise ModelError(f"{self.model.url} refused the key ({why})", "set OPENAI_API_KEY")
        if status == 404:
            raise ModelError(
                f"{self.model.url} does not know model '{self.model.model}' ({why})",
                "look at its /models, and end the address in /v1",
            )
        if status in (408, 409, 425, 429) or status >= 500:
            raise Transient(why, wait=seconds(retry_after), crowded=status in (429, 503))
        raise Rejected(why)


def seconds(retry_after: str | None) -> float:
    """A Retry-After header, seconds or a date, as seconds from now; 0 when absent or unreadable."""
    try:
        return max(float(retry_after or 0), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(str(retry_after)).timestamp() - time.time(), 0.0)
    except ValueError:
        return 0.0


def message_of(content: bytes) -> str:
    """What a server says is wrong: its error message, not the body around it, which may quote a prompt."""
    try:
        error = json.loads(content)["error"]
        text = error["message"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        return f"{len(content)} bytes that are no error message"
    return str(text)[:160]


def parse_reply(content: bytes) -> Reply:
    """A chat-completions body as a Reply. Raises Transient when it is not a whole, well-formed answer."""
    try:
        tree = json.loads(content)
        choice = tree["choices"][0]
        text = text_of(choice["message"].get("content"))
        refusal = choice["message"].get("refusal")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as problem:
        raise Transient(f"malformed reply of {len(content)} bytes ({type(problem).__name__})") from problem
    tokens = counted(tree.get("usage"))
    reason = str(choice.get("finish_reason"))
    if reason in ("error", "abort"):
        raise Transient(f"the server broke the reply off ({reason})")
    if refusal:
        return Reply(text or str(refusal), "refused", *tokens)
    finish = FINISH.get(reason, "stop")
    if not text and finish == "stop":
        raise Transient("empty reply", silent=True)
    return Reply(text, finish, *tokens)


def text_of(content: Any) -> str:
    """The text of a message: a string, nothing, or the text parts of a list. Raises TypeError for others."""
    if isinstance(content, list):
        return "".join(part["text"] for part in content if part.get("type") == "text")
    if content is None or isinstance(content, str):
        return content or ""
    raise TypeError(type(content).__name__)


def counted(usage: Any) -> tuple[int, int]:
    """Tokens in and out as the server counts them; 0 where it does not, or counts nonsense."""
    names = ("prompt_tokens", "completion_tokens")
    counts = [usage.get(name) if isinstance(usage, dict) else 0 for name in names]
    good = [c if isinstance(c, int) and 0 <= c < 2**31 else 0 for c in counts]
    return good[0], good[1]
