"""Running a plan: files written whole, the trainer's process started, its progress passed on.

The only effectful part of training that is ours; every trainer shares it.
"""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from medbench.errors import MedbenchError, PrerequisiteError, UsageError
from medbench.files import write_text, write_whole
from medbench.trainers import record

Progress = Callable[[int, int, Mapping[str, Any]], None]
"""Called with (update, updates in all, metrics of the update)."""

FOLLOW = "MEDBENCH_FOLLOW_STDIN"
"""Set for the worker: end when standard input closes, as it does when the launching process is killed."""

SAFE_PATH = "PYTHONSAFEPATH"
"""Set for the worker, and for what it starts: import nothing from the current directory."""

IDENTITY = "identity"
LAST_WORDS = "medbench error: "
BEGUN = "medbench runs: "
TAIL = 15
POLL = 0.2


@dataclass(frozen=True, slots=True)
class Plan:
    """A training as data: what would be written where, and what would be run.

    Plans of equal `identity` lead to the same model. `environment` holds defaults: a variable the user
    has set stays as it is.
    """

    folder: Path
    command: tuple[str, ...]
    tables: dict[Path, pl.DataFrame]
    files: dict[Path, str]
    identity: str
    environment: dict[str, str] = field(default_factory=dict)


def launch(plan: Plan, progress: Progress | None = None) -> Path:
    """Run `plan` to its end and return the folder of the trained model.

    The same plan again goes on from the last checkpoint, or does nothing when the model is there.
    """
    model = plan.folder / "model"
    refuse_another(plan)
    if model.is_dir():
        return model
    write_text(plan.folder / IDENTITY, plan.identity)
    for path, table in plan.tables.items():
        write_whole(path, table.write_parquet)
    for path, text in plan.files.items():
        write_text(path, text)
    record.rewind(plan.folder)
    code = run(plan, progress or (lambda step, total, metrics: None))
    if code:
        raise failure(plan.folder, code)
    if not model.is_dir():
        raise MedbenchError("the trainer ended without a model", f"see {plan.folder / 'log.txt'}")
    return model


def refuse_another(plan: Plan) -> None:
    """A folder that holds another training is left alone."""
    held = plan.folder / IDENTITY
    if held.exists() and held.read_text(encoding="utf-8") != plan.identity:
        raise UsageError(
            f"{plan.folder} holds a training with another recipe or data", "pass --fresh for a new folder"
        )


def run(plan: Plan, progress: Progress) -> int:
    """The exit status of the plan's command, its output in log.txt."""
    with (plan.folder / "log.txt").open("ab") as log:
        log.write(f"{BEGUN}{' '.join(plan.command)}\n".encode())
        log.flush()
        process = subprocess.Popen(
            plan.command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment(plan),
        )
    try:
        told = 0
        while process.poll() is None:
            told = tell(plan.folder, progress, told=told)
            time.sleep(POLL)
        tell(plan.folder, progress, told=told)
        return process.returncode
    finally:
        stop(process)


def environment(plan: Plan) -> dict[str, str]:
    """The variables the process gets."""
    defaults = dict(plan.environment)
    if Path("/dev/nvidiactl").exists():
        # One thread is right for tiny models on cores, and wrong beside a GPU.
        defaults.pop("OMP_NUM_THREADS", None)
    return {**defaults, **os.environ, FOLLOW: "1", SAFE_PATH: "1"}


def gpus(environ: Mapping[str, str], devices: Path = Path("/dev")) -> int:
    """How many NVIDIA GPUs a process may use, told without torch: those there are, or named to it."""
    present = len(list(devices.glob("nvidia[0-9]*")))
    named = environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return present
    return min(present, len([name for name in named.split(",") if name.strip() not in ("", "-1")]))


def tell(folder: Path, progress: Progress, *, told: int) -> int:
    """Pass on the journal's whole lines after its first `told` bytes; returns the bytes told by then."""
    journal = folder / record.JOURNAL
    if not journal.exists():
        return told
    with journal.open("rb") as stream:
        stream.seek(told)
        text = stream.read()
    whole = text[: text.rfind(b"\n") + 1]
    for line in whole.splitlines():
        row = json.loads(line)
        progress(row["step"], row["total"], {name: row.get(name) for name in record.LOGGED})
    return told + len(whole)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the process if it still runs, gently first."""
    if process.stdin:
        process.stdin.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def last_words(problem: MedbenchError) -> str:
    """An error as the line of the log that `failure` understands."""
    told = {"what": problem.what, "fix": problem.fix, "status": problem.exit_code}
    return f"{LAST_WORDS}{json.dumps(told, ensure_ascii=False)}\n"


def failure(folder: Path, code: int) -> MedbenchError:
    """What a failed trainer said last, as an error of its kind.

    Whichever process it was: a launcher of several ends with a status of its own.
    """
    text = (folder / "log.txt").read_text(encoding="utf-8", errors="replace")
    lines = text.rpartition(BEGUN)[2].splitlines()[1:]
    for line in reversed(lines):
        if line.startswith(LAST_WORDS):
            told = json.loads(line.removeprefix(LAST_WORDS))
            kinds = {kind.exit_code: kind for kind in (MedbenchError, UsageError, PrerequisiteError)}
            return kinds[told["status"]](told["what"], told["fix"])
    said = "\n".join(lines[-TAIL:])
    return MedbenchError(f"the trainer ended with status {code}:\n{said}", f"whole log: {folder / 'log.txt'}")
