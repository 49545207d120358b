"""A run: a folder named by its config, a journal of every answered request, and a seal.

    <home>/runs/<name>-<digest of the config>/
        config.json     what decides the result             versions.json   what it ran on
        <role>.jsonl    one line per answered request       *.parquet       tables, written by seal()
        manifest.json   written last: its presence means complete

The same command opens the same folder and asks only for what is missing. There is no cache across
runs: reusing samples drawn at a temperature would quietly correlate experiments.
"""

import fcntl
import json
import logging
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TextIO

import polars as pl

import medbench
from medbench.config import Config, canonical, digest
from medbench.errors import MedbenchError, UsageError, unknown
from medbench.files import private, write_text, write_whole
from medbench.inference.purse import Affordable, Purse, counted_by_us
from medbench.inference.types import Model, Reply, Request
from medbench.schema import Finish

log = logging.getLogger(__name__)

PACKAGES = ("polars", "aiohttp", "torch", "transformers", "trl", "lm-eval", "datasets")

OnReply = Callable[[Request, Reply, bool], None]
"""Called once per reply, with whether it is new."""


class Line(Config):
    """One line of a journal."""

    key: str
    example: str
    sample: int
    text: str
    finish: Finish
    tokens: tuple[int, int]
    error: str | None
    estimated: tuple[int, int] | None = None
    """Tokens in and out as the purse estimates them, where the server did not count."""


def readable(text: str) -> str:
    """`text` without lone surrogates, which no file or table can hold; each becomes a question mark."""
    return text.encode("utf-8", "replace").decode()


class Journal:
    """Append-only record of replies to one role, one JSON line each, flushed at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.replies: dict[str, Reply] = {}
        self.estimated: dict[str, tuple[int, int]] = {}
        self._stream: TextIO | None = None
        self._torn = False
        if path.exists():
            self._load(path.read_bytes())

    def _load(self, content: bytes) -> None:
        self._torn = not content.endswith(b"\n") and bool(content)
        for line in content.split(b"\n"):
            try:
                row = Line.model_validate_json(line)
                reply = Reply(readable(row.text), row.finish, *row.tokens, row.error)
                self.replies[row.key] = reply
                if row.estimated:
                    self.estimated[row.key] = row.estimated
            except ValueError:
                if line.strip():
                    log.warning("%s: a torn line; its request is owed again", self.path.name)

    def append(self, key: str, request: Request, reply: Reply, *, paid: bool = True) -> None:
        """Put one reply on record. It survives the process from here on.

        One that is not `paid` cost this run nothing.
        """
        row = {
            "key": key,
            "example": request.example,
            "sample": request.sample,
            "text": reply.text,
            "finish": reply.finish,
            "tokens": [reply.tokens_in, reply.tokens_out],
            "error": reply.error,
        }
        if not paid:
            row["estimated"] = self.estimated[key] = (0, 0)
        elif counted := counted_by_us(request, reply):
            row["estimated"] = counted
        if self._stream is None:
            self._stream = self.path.open("a", encoding="utf-8")
            self._stream.write("\n" if self._torn else "")
            self._torn = False
        self._stream.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._stream.flush()
        self.replies[key] = reply

    def close(self) -> None:
        """Close the file; a later append opens it again."""
        if self._stream:
            self._stream.close()
            self._stream = None


class Some(Sequence[Request]):
    """Those requests of a sequence that are at some places, taken from it when they are looked at."""

    def __init__(self, requests: Sequence[Request], places: Sequence[int]) -> None:
        self._requests = requests
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: Any) -> Any:
        places = self._places[place]
        return [self._requests[one] for one in places] if isinstance(place, slice) else self._requests[places]


class Run:
    """An open run. Made by `open_run`."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.folder = folder
        self.name = folder.name
        self.config = config
        self._journals: dict[str, Journal] = {}
        self._charged: set[str] = set()
        self._elsewhere: dict[str, Reply] | None = None

    def journal(self, role: str) -> Journal:
        """The journal of `role`, loaded on first use."""
        if role not in self._journals:
            self._journals[role] = Journal(self.folder / f"{role}.jsonl")
        return self._journals[role]

    def ask(
        self,
        role: str,
        model: Model,
        *,
        requests: Sequence[Request],
        purse: Purse | None = None,
        on_reply: OnReply | None = None,
    ) -> list[Reply]:
        """Replies to `requests`, in their order; asks only for those not answered in this run.

        Each new reply is journalled before anything else sees it. Failed calls are journalled too
        but stay owed: asking again tries them again. A request whose turn never came (the purse was
        empty, the server went down) gets a failed reply that is not journalled. What the journal
        already holds has been paid for: the first look at a role charges it to the purse.
        """
        journal = self.journal(role)
        purse = purse or Purse()
        self._charge(role, purse)
        keys: list[str] = []
        owed: dict[str, int] = {}
        for place, request in enumerate(requests):
            key = request.key(role, model.name)
            keys.append(key)
            known = journal.replies.get(key)
            if known is None or known.error is not None:
                owed[key] = place
            elif on_reply:
                on_reply(request, known, False)

        def sink(request: Request, reply: Reply) -> None:
            purse.settle(request, reply)
            reply = replace(reply, text=readable(reply.text))
            journal.append(request.key(role, model.name), request, reply)
            if on_reply:
                on_reply(request, reply, True)

        if owed:
            wanted = Some(requests, list(owed.values()))
            try:
                model.answer(wanted if purse.most is None else Affordable(wanted, purse), sink)
            finally:
                journal.close()
        unasked = Reply.failed("not asked")
        return [journal.replies.get(key, unasked) for key in keys]

    def borrow(self, role: str, model: Model, requests: Sequence[Request], home: Path) -> int:
        """Put on record what other runs in `home` were answered to equal requests; gives how many.

        Equal is what has the same key: the same words to the same model, drawn alike. Borrowed replies cost
        this run nothing.
        """
        journal = self.journal(role)
        owed = {request.key(role, model.name): request for request in requests}
        owed = {key: request for key, request in owed.items() if key not in journal.replies}
        if self._elsewhere is None and owed:
            self._elsewhere = {}
            for path in sorted((home / "runs").glob(f"*/{role}.jsonl")):
                if path.parent.name != self.folder.name:
                    self._elsewhere |= Journal(path).replies
        found = (
            {key: self._elsewhere[key] for key in owed if key in self._elsewhere} if self._elsewhere else {}
        )
        good = {key: reply for key, reply in found.items() if reply.error is None}
        for key, reply in good.items():
            journal.append(key, owed[key], reply, paid=False)
        journal.close()
        return len(good)

    def _charge(self, role: str, purse: Purse) -> None:
        if role not in self._charged:
            self._charged.add(role)
            journal = self.journal(role)
            for key, reply in journal.replies.items():
                purse.spent += purse.cost(*journal.estimated.get(key, (reply.tokens_in, reply.tokens_out)))

    def seal(
        self,
        tables: Mapping[str, pl.DataFrame],
        summary: Mapping[str, Any],
        texts: Mapping[str, str] | None = None,
    ) -> None:
        """Write `tables` as Parquet and `texts` as files, then the manifest with `summary`.

        The manifest of an earlier seal goes first and the new one comes last, so that a manifest never
        stands beside files of another time.
        """
        manifest = self.folder / "manifest.json"
        manifest.unlink(missing_ok=True)
        for name, table in tables.items():
            write_whole(self.folder / f"{name}.parquet", table.write_parquet)
        for name, text in (texts or {}).items():
            write_text(self.folder / name, text)
        write_text(manifest, json.dumps(summary, indent=1, sort_keys=True) + "\n")


def versions() -> dict[str, str]:
    """What this process runs on."""
    found = {"medbench": medbench.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def run_folder(home: Path, name: str, config: Mapping[str, Any]) -> Path:
    """Where the run called `name` with this `config` lives."""
    return home / "runs" / f"{name}-{digest(config)[:8]}"


@contextmanager
def open_run(home: Path, name: str, *, config: Mapping[str, Any], fresh: bool = False) -> Iterator[Run]:
    """The run of this `config`, begun or continued, held by this process alone.

    `fresh` begins a numbered new attempt, or goes on with the newest such attempt if that is not complete.
    Raises UsageError when another process holds the run.
    """
    folder = run_folder(home, name, config)
    if fresh:
        folder = attempt(folder)
    private(home / "runs")
    private(folder)
    with (folder / "lock").open("a+") as lock:
        hold(lock, folder)
        if not (folder / "config.json").exists():
            write_text(folder / "config.json", canonical(config) + "\n")
        check_versions(folder)
        yield Run(folder, config)


def attempt(folder: Path) -> Path:
    """The numbered attempt beside `folder` to work on: `folder-2`, `folder-3` …"""
    number = 2
    while (folder.with_name(f"{folder.name}-{number}") / "manifest.json").exists():
        number += 1
    return folder.with_name(f"{folder.name}-{number}")


def hold(lock: TextIO, folder: Path) -> None:
    """Take the run for this process, or say which process has it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        raise UsageError(
            f"run {folder.name} is in use by process {holder}", "wait for it, or use --fresh"
        ) from None
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()


def check_versions(folder: Path) -> None:
    """Record the versions a run began with; say so when it is continued under others."""
    path, now = folder / "versions.json", versions()
    if not path.exists():
        write_text(path, json.dumps(now, indent=1) + "\n")
        return
    before = json.loads(path.read_text())
    changed = [f"{k} {before.get(k)} -> {now.get(k)}" for k in before if before.get(k) != now.get(k)]
    if changed:
        log.warning("run %s began under other versions: %s", folder.name, ", ".join(changed))


def find_run(home: Path, name: str) -> Path:
    """The folder of an existing run: its name, an unambiguous beginning of it, or a path.

    Raises UsageError offering the nearest when there is none, or listing them when there are several.
    """
    if os.sep in name and (Path(name) / "config.json").exists():
        return Path(name)
    runs = sorted(p for p in (home / "runs").glob("*") if (p / "config.json").exists())
    exact = [p for p in runs if p.name == name]
    matches = exact or [p for p in runs if p.name.startswith(name)]
    if not matches:
        raise unknown("run", name, (p.name for p in runs))
    if len(matches) > 1:
        raise UsageError(
            f"'{name}' could be any of {', '.join(p.name for p in matches)}", "write more of the name"
        )
    return matches[0]


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a sealed run. Raises MedbenchError when the run is not complete."""
    path = folder / "manifest.json"
    if not path.exists():
        raise MedbenchError(
            f"run {folder.name} is not complete", "repeat its command: it goes on where it stopped"
        )
    tree: dict[str, Any] = json.loads(path.read_text())
    return tree
