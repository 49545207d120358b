"""Running the `medbench` command as a user does: a process of its own, killed when asked."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "medbench"]


def medbench(
    *arguments: str, home: Path, code: int | None = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command; its exit code must be `code` (None: any)."""
    env = {**os.environ, "MEDBENCH_HOME": str(home), **environment}
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, env=env, timeout=300)
    assert code is None or done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def json_of(*arguments: str, home: Path, code: int = 0, **environment: str) -> dict[str, Any]:
    """Run a command with --json; gives the object it prints."""
    out = medbench(*arguments, "--json", home=home, code=code, **environment).stdout
    return dict(json.loads(out))


def killed(*arguments: str, home: Path, when: Callable[[], bool], how: int = signal.SIGKILL) -> int:
    """Start a command and kill it as soon as `when` says so; gives the exit code."""
    env = {**os.environ, "MEDBENCH_HOME": str(home)}
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
    )
    limit = time.monotonic() + 60
    while process.poll() is None and not when():
        assert time.monotonic() < limit, "the moment to kill never came"
        time.sleep(0.002)
    process.send_signal(how)
    process.communicate()
    return process.returncode


@contextmanager
def seconds_of_cpu(most: float, what: str) -> Iterator[None]:
    """Fail when the block takes more processor time than `most`.

    A guard against runaway work (backtracking takes hours), so it is set far above what is usual: how fast
    something is, is measured in `perf/`.
    """
    began = time.process_time()
    yield
    spent = time.process_time() - began
    assert spent < most, f"{what!r}: {spent:.1f} s of processor time"
