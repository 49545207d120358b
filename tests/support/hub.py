"""A Hub on loopback that serves dataset repositories to the real client, and runs that client.

It speaks what `dataset_info`, `list_repo_tree` and a download ask for, keeps every commit, and can be
told to misbehave: lose a commit, serve other bytes at the same commit, gate a repository.
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
FILE = re.compile(r"/datasets/(?P<repo>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<path>.+)")


@dataclass
class Repo:
    """Every commit of a dataset repository, oldest first."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gate: int | None = None
    """Status its files answer with: 401 and 403 say gated, others a fault."""

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
            "no_proxy": "127.0.0.1",
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
        if repo.gate:
            return self.refuse(repo.gate, "GatedRepo" if repo.gate in (401, 403) else "")
        data = repo.commits[sha].get(match["path"])
        if data is None:
            return self.refuse(404, "EntryNotFound")
        return self.reply(200, data, {"ETag": f'"{blob(data)}"', "X-Repo-Commit": sha})

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
