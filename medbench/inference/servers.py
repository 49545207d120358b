"""The servers of a model: how much each bears, which is asked next, which is left alone."""

import asyncio
import logging
from collections.abc import Collection
from urllib.parse import urlsplit

from medbench.errors import UsageError

log = logging.getLogger(__name__)

GIVE_UP_AFTER = 16
"""Failures in a row, with nobody answered between, before a server counts as down.

Of rows that fail for good where it is all there is; of tries where there are others.
"""

REST = 30.0
"""Seconds for which a server that only fails is left alone, where there are others."""


class Throttle:
    """Additive-increase, multiplicative-decrease limit on requests in flight."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self.active = self.claimed = 0
        self.closed_until = 0.0
        self._cut_at = 0.0
        self._freed = asyncio.Event()

    def full(self, now: float) -> bool:
        """Whether a new request would have to wait."""
        return self.active >= int(self.limit) or now < self.closed_until

    async def enter(self) -> None:
        """Wait for a place."""
        loop = asyncio.get_running_loop()
        self.claimed += 1
        while self.full(loop.time()):
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
        self.claimed -= 1
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


class Server:
    """One of a model's servers: what is in flight there, and how it has answered."""

    def __init__(self, url: str, most: int) -> None:
        self.url = url
        self.throttle = Throttle(most)
        self.sent = self.failed_in_a_row = 0
        self.rests_until = 0.0

    def answered(self) -> None:
        """It is there."""
        self.failed_in_a_row = 0

    def failed(self, now: float, why: object) -> None:
        """Take note of a failed try; after many in a row the server is left alone for a while."""
        self.failed_in_a_row += 1
        if self.failed_in_a_row < GIVE_UP_AFTER:
            return
        if self.failed_in_a_row == GIVE_UP_AFTER:
            log.warning("%s only fails (%s): it is left alone while others answer", self.url, why)
        self.rests_until = now + REST


def least_busy(servers: Collection[Server], now: float) -> Server:
    """The server to ask: one that need not be waited for, with the fewest requests in flight."""
    return min(servers, key=lambda s: (s.throttle.full(now), s.throttle.claimed, s.sent))


def checked(url: str) -> str:
    """An address without the slash at its end. Raises UsageError for what is none, or holds a password."""
    try:
        parts = urlsplit(url)
    except ValueError as problem:
        raise UsageError(f"'{url}' is not an address: {problem}", "write http://host:port/v1") from None
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(f"'{url}' is not an http(s) address", "write openai:NAME@http://host:port/v1")
    if parts.password or parts.username:
        raise UsageError("a model address must not carry a password", "put the key in OPENAI_API_KEY")
    return url.rstrip("/")
