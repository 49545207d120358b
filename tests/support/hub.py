"""A Hub on loopback that serves dataset repositories to the real client, and runs that client.

It speaks what `dataset_info`, `list_repo_tree` and a download ask for (from the middle of a file on, too;
archives are served by another host, to which the client is sent), keeps every commit, and can be told to
misbehave: lose a commit, serve other bytes at the same commit, gate a repository, break off in a file.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlparse

ROOT = Path(__file__).parents[2]
INFO = re.compile(r"/api/datasets/(?P<repo>[^/]+/[^/]+)(?:/revision/(?P<rev>[^/]+))?")
TREE = re.compile(r"/api/datasets/(?P<repo>[^/]+/[^/]+)/tree/(?P<rev>[^/]+)(?:/.*)?")
LARGE = re.compile(r"/large/(?P<name>[0-9a-f]{64})")
FILE = re.compile(r"/datasets/(?P<repo>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<path>.+)")


@dataclass
class Repo:
    """Every commit of a dataset repository, oldest first."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gate: int | None = None
    """Status its files answer with: 401 and 403 say gated, others a fault."""
    key: str = "none"
    """The token that opens a gated repository."""

    def at(self, revision: str) -> str | None:
        """The commit a revision names."""
        if revision == "main":
            return list(self.commits)[-1]
        return revision if revision in self.commits else None


class FakeHub:
    """The server; a context manager."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.plain: dict[str, bytes] = {}
        """Files served at plain addresses, as a code host would."""
        self.asked: list[str] = []
        """Method and path of every request."""
        self.large: dict[str, tuple[str, bytes]] = {}
        """Hash → path and content of the archives that were asked for."""
        self.sent: list[tuple[str, int, int]] = []
        """Path, first byte and number of bytes of every file's content that was sent."""
        self.cuts: dict[str, list[int]] = {}
        """End of a path → after how many bytes the next answers break off, or (negative) stop and hang.

        After no bytes the answer is an error, as of a server that is gone.
        """
        self.spoil: set[str] = set()
        """Ends of paths whose content comes with one byte changed."""
        self.said = ""
        """What the last client wrote to stderr."""
        handler = type("Handler", (Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> "FakeHub":
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()

    def commit(self, repo: str, files: dict[str, bytes]) -> str:
        """Add a commit with exactly these files; its hash."""
        commits = self.repos.setdefault(repo, Repo()).commits
        sha = hashlib.sha1(f"{repo} {len(commits)}".encode()).hexdigest()
        commits[sha] = dict(files)
        return sha

    def env(self, folder: Path, **more: str) -> dict[str, str]:
        """The environment of a client that knows no Hub but this one and keeps its caches in `folder`."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "MEDBENCH_"))}
        return {
            **kept,
            "HF_ENDPOINT": self.url,
            "HF_HOME": str(folder / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "PYTHONPATH": str(ROOT),
            "no_proxy": "127.0.0.1,localhost",
            **more,
        }

    def python(self, code: str, folder: Path, **more: str) -> Any:
        """What `code`, run by another Python as a client of this Hub, prints as JSON in its last line."""
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=self.env(folder, **more),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.said = done.stderr
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.strip().splitlines()[-1])


def blob(content: bytes) -> str:
    """Git's name for a file of these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD."""

    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""

    def do_GET(self) -> None:
        """Route a request."""
        path = unquote(urlparse(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        if path in self.hub.plain:
            return self.reply(200, self.hub.plain[path])
        if match := LARGE.fullmatch(path):
            assert "Authorization" not in self.headers, "a token was sent to another host"
            return self.content(*self.hub.large[match["name"]], {})
        for pattern, answer in ((INFO, self.info), (TREE, self.tree), (FILE, self.file)):
            if match := pattern.fullmatch(path):
                return self.at(match, answer)
        return self.refuse(404, "EntryNotFound")

    do_HEAD = do_GET

    def at(self, match: re.Match[str], answer: Any) -> None:
        """Answer for an existing commit of an existing repository."""
        repo = self.hub.repos.get(match["repo"])
        if repo is None:  # as the real one: whether it exists is not told to strangers
            return self.refuse(401, "RepoNotFound")
        sha = repo.at(match["rev"] or "main")
        if sha is None:
            return self.refuse(404, "RevisionNotFound")
        return answer(match, repo, sha)

    def info(self, match: re.Match[str], repo: Repo, sha: str) -> None:
        """The repository's card at a commit."""
        names = [{"rfilename": path} for path in sorted(repo.commits[sha])]
        gated = "manual" if repo.gate else False
        self.json({"id": match["repo"], "sha": sha, "private": False, "gated": gated, "siblings": names})

    def tree(self, match: re.Match[str], repo: Repo, sha: str) -> None:
        """All files of a commit."""
        files = sorted(repo.commits[sha].items())
        self.json(
            [{"type": "file", "path": path, "size": len(data), "oid": blob(data)} for path, data in files]
        )

    def file(self, match: re.Match[str], repo: Repo, sha: str) -> None:
        """One file."""
        if repo.gate and self.headers.get("Authorization") != f"Bearer {repo.key}":
            return self.refuse(repo.gate, "GatedRepo" if repo.gate in (401, 403) else "")
        data = repo.commits[sha].get(match["path"])
        if data is None:
            return self.refuse(404, "EntryNotFound")
        path = unquote(urlparse(self.path).path)
        if not path.endswith(".zip"):
            return self.content(path, data, {"ETag": f'"{blob(data)}"', "X-Repo-Commit": sha})
        name = hashlib.sha256(data).hexdigest()
        self.hub.large[name] = path, data
        told = {"X-Linked-ETag": f'"{name}"', "X-Linked-Size": str(len(data)), "X-Repo-Commit": sha}
        there = self.hub.url.replace("127.0.0.1", "localhost")
        return self.reply(302, b"", {"Location": f"{there}/large/{name}", **told})

    def content(self, path: str, data: bytes, headers: dict[str, str]) -> None:
        """Send a file from the byte on that is asked for, or as much of it as is allowed."""
        ranged = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(ranged[1]) if ranged else 0
        if ranged:
            headers = {**headers, "Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        status, body = 206 if ranged else 200, data[start:]
        if self.command == "HEAD":
            self.reply(status, body, headers)
            return
        cuts: list[int] = next((c for end, c in self.hub.cuts.items() if path.endswith(end) and c), [])
        cut = cuts.pop(0) if cuts else len(body)
        if not cut:
            self.refuse(503, "")
            return
        part = body[: abs(cut)]
        if path.endswith(tuple(self.hub.spoil)):
            part = bytes([part[0] ^ 1]) + part[1:]
        self.hub.sent.append((path, start, len(part)))
        self.reply(status, part, {**headers, "Content-Length": str(len(body))})
        self.close_connection = len(part) < len(body)
        while cut < 0 and self.connection.recv(1):  # until the client is gone
            pass

    def json(self, value: Any) -> None:
        """A JSON answer."""
        self.reply(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def refuse(self, status: int, why: str) -> None:
        """An error the client knows by its header."""
        self.reply(status, b"{}", {"X-Error-Code": why, "X-Error-Message": why})

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send an answer; a HEAD gets no body."""
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
