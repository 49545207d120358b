"""A loop-back OpenAI-compatible server with faults on demand. Also runs as a process of its own:

    python -m tests.support.openai_server --port 0 --latency 0.05

It answers by rule: with the letter the question's hash picks, so that replies do not depend on order.
"""

import argparse
import asyncio
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Reply = Callable[[dict[str, Any]], str]


def by_hash(body: dict[str, Any]) -> str:
    """A reasoned reply ending in a letter A-D that the question and seed decide."""
    text = json.dumps([body["messages"], body.get("seed") if body.get("temperature") else 0])
    letter = "ABCD"[hashlib.sha256(text.encode()).digest()[0] % 4]
    return f"Let me think about the options one by one.\n\nThe answer is \\boxed{{{letter}}}."


@dataclass
class Faults:
    """What goes wrong. Each list names, per request number from 0, the fault of that request."""

    script: dict[int, str] = field(default_factory=dict)
    always: str = ""
    match: str = ""
    """Only requests whose text holds this are hit by `always`."""


class Server:
    """The server; `with Server() as server` runs it in a thread on a free port."""

    def __init__(
        self, reply: Reply = by_hash, *, latency: float = 0.0, faults: Faults | None = None, raw: str = ""
    ) -> None:
        self.reply = reply
        self.raw = raw
        self.latency = latency
        self.faults = faults or Faults()
        self.calls: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answered: Counter[str] = Counter()
        self.active = self.most_active = 0
        self.first = self.last = 0.0
        self.url = ""

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        number = len(self.calls)
        self.first = self.first or time.time()
        body = json.loads(await request.read())
        self.calls.append(body)
        self.headers.append(dict(request.headers))
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            text = json.dumps(body["messages"])
            fault = self.faults.script.get(number, "")
            if not fault and self.faults.always and self.faults.match in text:
                fault = self.faults.always
            return await self.faulty(request, fault, body) if fault else self.good(body)
        finally:
            self.active -= 1
            self.last = time.time()

    async def stats(self, request: web.Request) -> web.Response:
        """GET /stats: calls so far, times of the first call and the last reply; starts counting anew."""
        told = {"calls": len(self.calls), "first": self.first, "last": self.last, "most": self.most_active}
        self.calls.clear()
        self.first = self.last = 0.0
        self.active = self.most_active = 0
        return web.json_response(told)

    def good(self, body: dict[str, Any]) -> web.Response:
        """A proper answer."""
        if self.raw:
            return web.Response(text=self.raw, content_type="application/json")
        said = self.reply(body)
        self.answered[json.dumps([body["messages"], body.get("seed")])] += 1
        return web.json_response(completion(said))

    async def faulty(self, request: web.Request, fault: str, body: dict[str, Any]) -> web.StreamResponse:
        """One kind of trouble."""
        if fault == "429":
            return web.json_response({"error": "slow down"}, status=429, headers={"Retry-After": "0.2"})
        if fault.isdigit():
            return web.json_response({"error": f"fault {fault}"}, status=int(fault))
        if fault == "reset":
            request.transport.abort()  # type: ignore[union-attr]
            return web.Response()
        if fault == "torn":
            response = web.StreamResponse(
                headers={"Content-Length": "500", "Content-Type": "application/json"}
            )
            await response.prepare(request)
            await response.write(b'{"choices": [{"mess')
            request.transport.close()  # type: ignore[union-attr]
            return response
        if fault == "garbage":
            return web.Response(text="<html>proxy error</html>", content_type="text/html")
        if fault == "empty":
            return web.json_response(completion(""))
        if fault == "length":
            return web.json_response(completion("I was still thinking when", finish="length"))
        if fault == "hang":
            await asyncio.sleep(3)
        return web.json_response({"choices": []})

    def app(self) -> web.Application:
        """The routes."""
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", self.chat)
        app.router.add_get("/stats", self.stats)
        return app

    def __enter__(self) -> "Server":
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()

        def serve() -> None:
            asyncio.set_event_loop(self._loop)
            self._runner = web.AppRunner(self.app(), access_log=None)
            self._loop.run_until_complete(self._runner.setup())
            site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024)
            self._loop.run_until_complete(site.start())
            port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
            self.url = f"http://127.0.0.1:{port}/v1"
            ready.set()
            self._loop.run_forever()

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        ready.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


def completion(text: str, finish: str = "stop") -> dict[str, Any]:
    """A chat-completions body."""
    return {
        "object": "chat.completion",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 20},
    }


def main() -> None:
    """Serve until killed; the first line of stdout is the address."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    given = parser.parse_args()
    server = Server(latency=given.latency)

    async def serve() -> None:
        runner = web.AppRunner(server.app(), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", given.port, backlog=1024)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        print(f"http://127.0.0.1:{port}/v1", flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
