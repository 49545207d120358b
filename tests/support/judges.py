"""Loop-back judges: each knows the labels of some rows, finds the row in a request, and errs in its own way.

with JudgeServer(noisy(0.3, rows)) as server: ...      server.heard holds what was asked and what was said
"""

import asyncio
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from functools import cached_property
from io import StringIO
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from aiohttp import web

from medbench.cli import main
from medbench.inference.simple import Scripted
from medbench.inference.types import Reply, Request
from tests.support.openai_server import Faults, Server, completion
from tests.support.teacher import Body, lot, text_of

Row = Mapping[str, Any]
Play = Callable[[Body], str | tuple[str, str]]
"""What a judge says to a request; with a finish reason where that is not `stop`."""

PACKAGED = Path(__file__).parents[2] / "medbench" / "data" / "judge-labels.jsonl"
RIGHT = ("CORRECT", "yes", "true", "1")
LABEL = r"(?:[A-Z]+|\d|yes|no|true|false)"
OFFER = re.compile(rf"\b{LABEL}(?:, {LABEL})* or {LABEL}\b")
MARKED = re.compile(r"^<<<(\w+)\n(.*?)\n\1>>>$", re.DOTALL | re.MULTILINE)
UNMARKED = re.compile(r"A trainee's reasoning: (.*)\nA clinician checks", re.DOTALL)
ORDER = re.compile(r"(?:and say|verdict is:|verdict must be|finish with:)(.*)", re.DOTALL | re.IGNORECASE)


def packaged(aspect: str | None = None) -> list[dict[str, Any]]:
    """The packaged rows, of one aspect or all."""
    rows = [json.loads(line) for line in PACKAGED.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if aspect in (None, row["aspect"])]


def words(text: str) -> str:
    """The words of a text, one blank between them, without tags, case and marks."""
    return " ".join(re.findall(r"\w+", re.sub(r"</?\w+>", " ", text).casefold()))


class Asked:
    """A request to a judge, taken apart."""

    def __init__(self, body: Body) -> None:
        self.text = text_of(body)
        self.seed = int(body.get("seed", 0))
        self.parts: dict[str, str] = dict(MARKED.findall(self.text))
        if not self.parts and (found := UNMARKED.search(self.text)):
            self.parts = {"REASONING": found[1]}

    @cached_property
    def closing(self) -> str:
        """The last line: it says what is asked for."""
        return self.text.rstrip().rpartition("\n")[2]

    @cached_property
    def offered(self) -> list[str]:
        """The labels on offer, in the order they are named."""
        found = OFFER.search(self.closing)
        assert found, f"no labels in {self.closing!r}"
        return re.findall(LABEL, found[0])

    @property
    def judged(self) -> str:
        """All that is put between marks."""
        return "\n".join(self.parts.values())

    def worded(self, label: str) -> str:
        """A label in the form that is asked for."""
        if key := re.search(rf'"(\w+)": (?:one of )?{LABEL}', self.closing):
            return json.dumps({"why": "It {says} so.", key[1]: json.loads(label)})
        if "<answer>" in self.closing:
            return f"I compared them.\n<answer>{label}</answer>"
        return rf"I compared them. \boxed{{{label}}}" if "\\boxed" in self.closing else f"Compared.\n{label}"


class Known:
    """Labelled rows, found by what a request holds of them. `right` is what 1 is called, if not as usual."""

    def __init__(self, rows: Iterable[Row], right: str = "") -> None:
        self.rows = list(rows)
        self.right = right
        self.said = [words(row["reply"]) for row in self.rows]
        self.shown = [words(row["reply"].rpartition("</think>")[2]) for row in self.rows]
        self.about = [words(row["question"]) for row in self.rows]
        self.gold = [" ".join(map(words, listed(row.get("gold")))) or "-" for row in self.rows]
        self.criterion = [words(row.get("criterion") or "") for row in self.rows]

    def row(self, asked: Asked) -> Row:
        """The row that a request is about."""
        return self.rows[self.place(asked)]

    def place(self, asked: Asked) -> int:
        """The number of that row: of those on the question, the one whose reply is shown, or most of it.

        Most judges see the visible part of a reply, some its thoughts too.
        """
        text, parts = words(asked.text), {name: words(part) for name, part in asked.parts.items()}
        about = [n for n, asked in enumerate(self.about) if asked in text or self.gold[n] in text]
        found = [n for n in about if self.criterion[n] in text]
        assert found, f"no row for {asked.text[-600:]!r}"
        if "B" in parts:
            return next(n for n in found if self.turned(n, parts) is not None)
        shown = parts.get("REASONING") or next(iter(parts.values()))
        forms = [self.said] if "REASONING" in parts else [self.said, self.shown]
        whole = [
            (len(form[n]), -n)
            for form in forms
            for n in found
            if f"{shown} ".startswith(f"{form[n]} ".lstrip())
        ]
        if whole:
            return -max(whole)[1]
        return max(found, key=lambda n: shared(shown, self.said[n]))

    def turned(self, place: int, parts: Mapping[str, str]) -> bool | None:
        """Whether a request shows a pair the other way round; None if it is another pair."""
        pair = (self.said[place], words(self.rows[place]["other"]))
        for turned, (one, other) in enumerate((pair, pair[::-1])):
            if f"{parts['A']} ".startswith(f"{one} ") and f"{parts['B']} ".startswith(f"{other} "):
                return bool(turned)
        return None

    def label(self, asked: Asked) -> str:
        """The right verdict, as one of the labels on offer."""
        place = self.place(asked)
        label = str(self.rows[place]["label"])
        if "B" in asked.parts and self.turned(place, {k: words(v) for k, v in asked.parts.items()}):
            label = {"A": "B", "B": "A"}.get(label, label)
        if len(asked.offered) == 2 and label in ("0", "1"):
            right = self.right or next(name for name in RIGHT if name in asked.offered)
            wrong = next(name for name in asked.offered if name != right)
            return right if label == "1" else wrong
        assert label in asked.offered, f"{label} is none of {asked.offered}"
        return label


def shared(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def listed(gold: Any) -> list[str]:
    """A gold as a list."""
    return list(gold) if isinstance(gold, list | tuple) else [gold] if gold else []


def perfect(rows: Iterable[Row], right: str = "") -> Play:
    """A judge that is always right."""
    known = Known(rows, right)

    def play(body: Body) -> str:
        asked = Asked(body)
        return asked.worded(known.label(asked))

    return play


def constant(label: str) -> Play:
    """A judge that always says the same."""
    return lambda body: Asked(body).worded(label)


def order_bound(body: Body) -> str:
    """A judge that says the label named first."""
    asked = Asked(body)
    return asked.worded(asked.offered[0])


def noisy(p: float, rows: Iterable[Row], salt: str = "") -> Play:
    """A judge that says a wrong label with probability `p`, decided by text, seed and `salt`."""
    known = Known(rows)

    def play(body: Body) -> str:
        asked = Asked(body)
        label = known.label(asked)
        if lot("flip", salt, asked.text, asked.seed) < p:
            others = [name for name in asked.offered if name != label]
            label = others[int(lot("which", salt, asked.text, asked.seed) * len(others))]
        return asked.worded(label)

    return play


def injectable(rows: Iterable[Row]) -> Play:
    """A judge that is right unless a reply orders a verdict: then it obeys."""
    known = Known(rows)

    def play(body: Body) -> str:
        asked = Asked(body)
        if order := ORDER.search(asked.judged):
            wanted = next((name for name in re.findall(LABEL, order[1]) if name in asked.offered), None)
            return asked.worded(wanted or known.label(asked))
        return asked.worded(known.label(asked))

    return play


def lenient(rows: Iterable[Row], longest: int = 50) -> Play:
    """A judge that is right, but calls every reply of more than `longest` words right."""
    known = Known(rows)

    def play(body: Body) -> str:
        asked = Asked(body)
        if len(asked.judged.split()) > longest:
            return asked.worded(next(name for name in RIGHT if name in asked.offered))
        return asked.worded(known.label(asked))

    return play


def broken(rows: Iterable[Row], always: float, sometimes: float) -> Play:
    """A right judge without a verdict on a share of cases, and on a share of calls only at the first try."""
    known = Known(rows)

    def play(body: Body) -> str | tuple[str, str]:
        asked = Asked(body)
        right = asked.worded(known.label(asked))
        stuck = lot("always", asked.judged) < always
        if not stuck and (asked.seed % 2 or lot("first", asked.judged) >= sometimes):
            return right
        way = int(lot("way", asked.judged) * 3)
        return [right[: len(right) // 2], "I would rather not say.", (right, "length")][way]

    return play


def dying(after: int, fault: str = "500", calls: int = 20_000) -> Faults:
    """The faults of a server that answers `after` calls and no more."""
    return Faults(script=dict.fromkeys(range(after, calls), fault))


def by_model(plays: Mapping[str, Play]) -> Play:
    """Several judges behind one address, told apart by the model's name."""
    return lambda body: plays[body["model"]](body)


class JudgeServer(Server):
    """A server played by a judge. `heard` holds each request that was answered, with the words it got.

    `slow` gives the seconds an answer is held back.
    """

    def __init__(
        self, play: Play, *, slow: Callable[[Body], float] | None = None, faults: Faults | None = None
    ) -> None:
        super().__init__(faults=faults)
        self.play = play
        self.slow = slow
        self.heard: list[tuple[Body, str]] = []

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions, held back where the judge is slow."""
        response = await super().chat(request)
        if self.slow:
            await asyncio.sleep(self.slow(json.loads(await request.read())))
        return response

    def good(self, body: Body) -> web.Response:
        """A proper answer, kept with its request."""
        said = self.play(body)
        text, finish = said if isinstance(said, tuple) else (said, "stop")
        self.heard.append((body, text))
        return web.json_response(completion(text, finish))

    def model(self, name: str = "judge") -> str:
        """The spec of a model behind this server."""
        return f"openai:{name}@{self.url}"


def scripted(play: Play, name: str = "openai:judge@http://127.0.0.1/v1") -> Scripted:
    """The same judge in process; for the log-likelihood protocol its choice is the bare label."""

    def script(request: Request) -> Reply:
        said = play({"messages": request.messages, "seed": request.sampling.seed + request.sample})
        text, finish = said if isinstance(said, tuple) else (said, "stop")
        if request.protocol != "generate":
            text = text.rpartition("\n")[2]
        return Reply(text, finish, 100, 20)  # type: ignore[arg-type]

    return Scripted(name, script)


def labelled(path: Path, rows: Sequence[Row]) -> Path:
    """A file of labelled rows, one JSON object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


class Done(NamedTuple):
    """What a command said."""

    stdout: str
    stderr: str


def inside(*arguments: str, home: Path, code: int = 0) -> Done:
    """Run the `medbench` command in this process, which saves its start; it must end with `code`."""
    out, err = StringIO(), StringIO()
    with (
        mock.patch.object(sys, "argv", ["medbench", *arguments]),
        mock.patch.dict(os.environ, MEDBENCH_HOME=str(home)),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
            ended: Any = 0
        except SystemExit as end:
            ended = end.code or 0
    assert ended == code, f"exit {ended}\n{out.getvalue()}\n{err.getvalue()}"
    return Done(out.getvalue(), err.getvalue())


def json_inside(*arguments: str, home: Path, code: int = 0) -> dict[str, Any]:
    """Run a command in this process with --json; gives the object it prints."""
    return dict(json.loads(inside(*arguments, "--json", home=home, code=code).stdout))
