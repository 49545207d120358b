"""Any OpenAI-compatible server: `openai:NAME@URL`, or several of the same model: `openai:NAME@URL,URL`.

Many requests in flight over one connection pool; the number adapts to what a server bears (halved
on 429, 503 and resets, regrown one by one). Faults of transport and server are retried with growing,
jittered waits, longer if `Retry-After` says so; what still fails is that row's error, not the run's
end. What fails on one of several servers is tried on the others first. Servers that answer nobody end
the work instead of making every row wait for its retries.

aiohttp was chosen by measurement (docs/decisions.md). The key is read from the environment at call
time and kept nowhere.
"""

import asyncio
import json
import logging
import math
import os
import random
import time
from collections import Counter
from collections.abc import Collection, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from medbench.errors import ModelError
from medbench.images import BadImage
from medbench.inference.servers import GIVE_UP_AFTER, Server, checked, least_busy
from medbench.inference.types import Message, Options, Reply, Request, Sink
from medbench.schema import Finish

log = logging.getLogger(__name__)

FINISH: dict[str, Finish] = {"length": "length", "content_filter": "refused"}
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
    """A model behind a chat-completions endpoint, or behind several, their addresses separated by commas."""

    def __init__(self, name: str, url: str, options: Options | None = None) -> None:
        self.urls = sorted({checked(address.strip()) for address in url.split(",")})
        self.name = f"openai:{name}@{url if ',' not in url else ','.join(self.urls)}"
        self.model = name
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
        self.servers = [Server(url, model.options.concurrency) for url in model.urls]
        self.failed_in_a_row = 0
        self.ends = math.inf
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
            if self.options.deadline is not None:
                self.ends = asyncio.get_running_loop().time() + self.options.deadline
            try:
                await asyncio.wait_for(asyncio.gather(*tasks), self.options.deadline)
            except TimeoutError:
                if not self.down:
                    raise
                log.warning("%s: not all was answered in time", ",".join(self.model.urls))
            finally:
                for task in tasks:
                    task.cancel()
        for fault, count in self.faults.most_common(1):
            log.warning("%s: %d calls failed, most often: %s", ",".join(self.model.urls), count, fault)

    @property
    def down(self) -> bool:
        """Whether all servers count as down, or time is up; rows not asked by then stay owed.

        A worker whose call times out just as it is cancelled learns of the first only, so it looks here.
        """
        late = asyncio.get_running_loop().time() >= self.ends
        return late or self.failed_in_a_row >= GIVE_UP_AFTER

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
        tried: set[Server] = set()
        while True:
            server = self.choose(tried)
            tried.add(server)
            found = await self.attempt(body, server, http)
            if isinstance(found, Reply):
                return found
            if self.awake() - tried and not self.down:
                continue
            tried.clear()
            told_to_wait = found.wait > 0 and patience < PATIENCE
            attempt, patience = attempt + (not told_to_wait), patience + told_to_wait
            if self.down or attempt > self.options.retries:
                break
            await asyncio.sleep(self.wait(attempt, found))
        if not found.silent:
            self.failed_in_a_row += 1
        return Reply.failed(str(found))

    def awake(self) -> set[Server]:
        """The servers that are not left alone just now."""
        now = asyncio.get_running_loop().time()
        return {server for server in self.servers if server.rests_until <= now}

    def choose(self, tried: Collection[Server]) -> Server:
        """The server for the next try: not one this request was just tried on, if there is another."""
        awake = [server for server in self.servers if server in self.awake()]
        fresh = [server for server in awake if server not in tried]
        return least_busy(fresh or awake or self.servers, asyncio.get_running_loop().time())

    async def attempt(self, body: bytes, server: Server, http: aiohttp.ClientSession) -> Reply | Transient:
        """One try on one server: a reply, or the fault that is worth another."""
        await server.throttle.enter()
        server.sent += 1
        try:
            reply = await self.post(body, server.url, http)
            server.throttle.succeeded()
            server.answered()
            return reply
        except Rejected as problem:
            self.failed_in_a_row = 0
            server.answered()
            return Reply.failed(str(problem))
        except Transient as problem:
            fault = problem
        finally:
            server.throttle.leave()
        if fault.crowded:
            server.throttle.crowded(min(fault.wait, self.options.longest_wait))
        if len(self.servers) > 1 and not fault.silent:
            server.failed(asyncio.get_running_loop().time(), fault)
        return fault

    def wait(self, attempt: int, fault: Transient) -> float:
        """Seconds before the next try: doubling, half of it random, at least what the server asked for."""
        planned: float = self.options.first_wait * 2.0 ** max(attempt - 1, 0) * random.uniform(0.5, 1.0)
        return min(max(planned, fault.wait), self.options.longest_wait)

    async def post(self, body: bytes, url: str, http: aiohttp.ClientSession) -> Reply:
        """One call."""
        try:
            async with http.post(f"{url}/chat/completions", data=body) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as problem:
            raise Transient(f"{type(problem).__name__}: {problem}", crowded=True) from problem
        if response.status != 200:
            self.refuse(url, response.status, response.headers.get("Retry-After"), content)
        return parse_reply(content)

    def refuse(self, url: str, status: int, retry_after: str | None, content: bytes) -> None:
        """Turn an HTTP error into the exception that says what to do about it."""
        why = f"HTTP {status}: {message_of(content)}"
        if status in (401, 403):
            raise ModelError(f"{url} refused the key ({why})", "set OPENAI_API_KEY")
        if status == 404:
            raise ModelError(
                f"{url} does not know model '{self.model.model}' ({why})",
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
