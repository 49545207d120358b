"""Models that are not models: baselines to compare with, and scripted ones to test with."""

import json
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from medbench.config import digest
from medbench.errors import UsageError, unknown
from medbench.inference.types import Reply, Request, Sink


class Scripted:
    """A function as a model: `script` gets the request, gives the reply's text or a whole Reply."""

    def __init__(self, name: str, script: Callable[[Request], str | Reply]) -> None:
        self.name = name
        self.script = script

    def answer(self, requests: Collection[Request], sink: Sink) -> None:
        """Answer each request by the script."""
        for request in requests:
            said = self.script(request)
            reply = said if isinstance(said, Reply) else Reply(said, "stop", 0, len(said.split()))
            sink(request, reply)


def recorded(path: Path) -> Scripted:
    """A recording as a model: JSON lines of `id`, `reply` and optionally `sample`.

    A question without a recorded reply is that row's error, so it shows as unscored.
    """
    replies: dict[tuple[str, int], str] = {}
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as problem:
        raise UsageError(f"cannot read recorded replies: {problem}") from None
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line or "null")
            if row is not None:
                replies[row["id"], int(row.get("sample", 0))] = str(row["reply"])
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            raise UsageError(f"{path}, line {number}: {problem!r}", "each line needs id and reply") from None

    def script(request: Request) -> str | Reply:
        said = replies.get((request.example, request.sample))
        return Reply.failed("nothing recorded") if said is None else said

    return Scripted(f"scripted:{path.name}#{digest(sorted(replies.items()))[:8]}", script)


class Baseline:
    """Answers without reading: `random` (seeded by the question), `first`, or the `majority` gold.

    `majority` is told the golds by `study`; it is the constant predictor every score is to beat.
    """

    KINDS = ("random", "first", "majority")

    def __init__(self, kind: str) -> None:
        if kind not in self.KINDS:
            raise unknown("baseline", kind, self.KINDS)
        self.name = f"baseline:{kind}"
        self.kind = kind
        self._most_common: str | None = None

    def study(self, golds: Iterable[str]) -> None:
        """Learn which answer is most often right."""
        counts = Counter(golds)
        self._most_common = min(counts, key=lambda gold: (-counts[gold], gold)) if counts else None

    def answer(self, requests: Collection[Request], sink: Sink) -> None:
        """Answer each request with one of its choices."""
        for request in requests:
            sink(request, Reply(self.pick(request)))

    def pick(self, request: Request) -> str:
        """The chosen one of `request.choices`, as a bare answer."""
        if not request.choices:
            return self._most_common or "unknown"
        if self.kind == "majority" and self._most_common in request.choices:
            return str(self._most_common)
        if self.kind == "random":
            seed = f"baseline:{request.example}:{request.sampling.seed + request.sample}"
            return random.Random(seed).choice(request.choices)
        return request.choices[0]
