"""What asking costs, and a limit that holds.

A request is sent only if its dearest outcome (its prompt at two bytes a token, and a reply of
`max_tokens`) still fits what is left beside the requests in flight. So the limit is not exceeded, as
far as prompts are estimated and servers count honestly; where a server gives no token counts, they are
estimated from the text.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from medbench.inference.types import Reply, Request

IMAGE_TOKENS = 1_000
"""What an image of about 0.8 megapixels takes; models differ by more than twofold either way."""

IMAGE_TOKENS_AT_MOST = 16_384
"""What the most generous image encoders take for one image (Qwen2.5-VL's default upper limit)."""


class Purse:
    """US dollars per million tokens, what was spent, and the most that may be; None is no limit."""

    def __init__(
        self, per_million_in: float = 0.0, per_million_out: float = 0.0, most: float | None = None
    ) -> None:
        self.per_million_in = per_million_in
        self.per_million_out = per_million_out
        self.most = most
        self.spent = 0.0
        self.reserved = 0.0

    def cost(self, tokens_in: int, tokens_out: int) -> float:
        """US dollars for so many tokens."""
        return (tokens_in * self.per_million_in + tokens_out * self.per_million_out) / 1e6

    def at_most(self, tokens_in: int, images: int, tokens_out: int) -> float:
        """What so many tokens and images may cost, each image counted at its dearest."""
        return self.cost(tokens_in + images * (IMAGE_TOKENS_AT_MOST - IMAGE_TOKENS), tokens_out)

    def dearest(self, request: Request) -> float:
        """What a request may cost at most."""
        content = len(request.text.encode("utf-8", "replace")) // 2 + IMAGE_TOKENS_AT_MOST * len(
            request.images
        )
        return self.cost(content + 64, request.sampling.max_tokens)

    def paid(self, request: Request, reply: Reply) -> float:
        """What a reply cost; its tokens are estimated where the server did not count them."""
        return self.cost(*(counted_by_us(request, reply) or (reply.tokens_in, reply.tokens_out)))

    def reserve(self, request: Request) -> bool:
        """Set aside what a request may cost; False when that is no longer there."""
        if self.most is None:
            return True
        dearest = self.dearest(request)
        if self.spent + self.reserved + dearest > self.most:
            return False
        self.reserved += dearest
        return True

    def settle(self, request: Request, reply: Reply) -> None:
        """Pay for a reply, and free what was set aside for it."""
        self.spent += self.paid(request, reply)
        if self.most is not None:
            self.reserved = max(self.reserved - self.dearest(request), 0.0)


class Affordable(Collection[Request]):
    """Requests handed out one by one, each only when the purse can bear it.

    One iterator serves many workers: a worker that is refused ends, and the others go on as replies
    free what was set aside for them.
    """

    def __init__(self, requests: Sequence[Request], purse: Purse) -> None:
        self._requests = requests
        self._purse = purse
        self._next = 0

    def __len__(self) -> int:
        return len(self._requests)

    def __contains__(self, request: object) -> bool:
        return request in self._requests

    def __iter__(self) -> Iterator[Request]:
        return self

    def __next__(self) -> Request:
        if self._next >= len(self._requests) or not self._purse.reserve(self._requests[self._next]):
            raise StopIteration
        self._next += 1
        return self._requests[self._next - 1]


def counted_by_us(request: Request, reply: Reply) -> tuple[int, int] | None:
    """About how many tokens a request and its reply took, where the server did not count; else None."""
    if reply.error is not None or reply.tokens_in or reply.tokens_out:
        return None
    return int(tokens(request)), len(reply.text) // 4


def tokens(request: Request) -> float:
    """About how many tokens a request holds: four characters each, and a thousand an image."""
    return len(request.text) / 4 + IMAGE_TOKENS * len(request.images)


def tokens_in(requests: Iterable[Request]) -> int:
    """About how many tokens some requests hold."""
    return int(sum(map(tokens, requests)))
