"""What a training leaves behind while it runs and after: metrics, checkpoints, a curve.

Each is written so that a kill at any moment leaves something the same command can go on from.

    metrics.jsonl     one line per update, appended and flushed while training
    checkpoints/      checkpoint-N: all it takes to go on from update N; whole once it holds
                      trainer_state.json
    metrics.parquet   the lines above as a table        curve.png   the same, drawn
    model/            the trained model and its tokenizer; its presence means complete
"""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from medbench.files import private, write_text, write_whole

JOURNAL = "metrics.jsonl"
CHECKPOINTS = "checkpoints"

# Our column → the name TRL logs it under.
LOGGED = {
    "loss": "loss",
    "reward": "reward",
    "reward_std": "reward_std",
    "kl": "kl",
    "completion_length": "completions/mean_length",
    "truncated": "completions/clipped_ratio",
    "no_opinion": "no_opinion",
    "frac_reward_zero_std": "frac_reward_zero_std",
    "entropy": "entropy",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "token_accuracy": "mean_token_accuracy",
    "seconds": "step_time",
}
METRICS = pl.Schema({"step": pl.Int64, **dict.fromkeys(LOGGED, pl.Float64)})
DRAWN = ("reward", "loss", "token_accuracy", "kl", "completion_length", "frac_reward_zero_std", "entropy")


def line(step: int, total: int, *, logs: Mapping[str, Any]) -> str:
    """One update's metrics as a journal line; what was not logged is null."""
    values = {name: logs.get(logged) for name, logged in LOGGED.items()}
    return json.dumps({"step": step, "total": total, **values}) + "\n"


def append(folder: Path, row: str) -> None:
    """Put one journal line on record; it survives the process from here on."""
    with (folder / JOURNAL).open("a", encoding="utf-8") as stream:
        stream.write(row)


def read(folder: Path) -> list[dict[str, Any]]:
    """The journal's lines in order; a torn last one is left out."""
    try:
        text = (folder / JOURNAL).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    whole = text[: text.rfind("\n") + 1]
    return [json.loads(row) for row in whole.splitlines()]


def last_checkpoint(folder: Path) -> Path | None:
    """The latest checkpoint that is whole: the trainer writes trainer_state.json last."""
    found = {}
    for state in folder.glob(f"{CHECKPOINTS}/checkpoint-*/trainer_state.json"):
        try:
            found[int(json.loads(state.read_text(encoding="utf-8"))["global_step"])] = state.parent
        except (ValueError, KeyError):
            continue
    return found[max(found)] if found else None


def rewind(folder: Path) -> Path | None:
    """The checkpoint to go on from, with the journal cut back to it."""
    checkpoint = last_checkpoint(folder)
    done = int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
    if (folder / JOURNAL).exists():
        kept = [json.dumps(row) + "\n" for row in read(folder) if row["step"] <= done]
        write_text(folder / JOURNAL, "".join(kept))
    return checkpoint


def write_folder(folder: Path, write: Callable[[Path], object]) -> Path:
    """Let `write` fill a temporary sibling, then rename it to `folder`, which is whole or not there."""
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    private(part)
    write(part)
    part.rename(folder)
    return folder


def seal(folder: Path) -> pl.DataFrame:
    """The journal as metrics.parquet and curve.png; returns the table, one row per update."""
    table = pl.DataFrame(read(folder), schema_overrides=dict(METRICS), infer_schema_length=None)
    table = pl.concat(
        [pl.DataFrame(schema=METRICS), table], how="diagonal_relaxed"
    )  # older lines lack columns
    table = table.select(list(METRICS)).sort("step")
    write_whole(folder / "metrics.parquet", table.write_parquet)
    write_whole(folder / "curve.png", lambda part: draw(table, part))
    return table


def draw(table: pl.DataFrame, path: Path) -> None:
    """One small panel per metric that was logged, over updates, with its running mean."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    shown = [name for name in DRAWN if table[name].null_count() < table.height]
    rows = max(1, len(shown))
    figure, _ = pyplot.subplots(rows, 1, figsize=(7, 1.8 * rows), sharex=True)
    window = max(1, table.height // 20)
    for panel, name in zip(figure.axes, shown, strict=False):
        panel.plot(table["step"], table[name], linewidth=0.6, alpha=0.5)
        panel.plot(table["step"], table[name].rolling_mean(window, min_samples=1), linewidth=1.4)
        panel.set_ylabel(name.replace("_", "\n"), fontsize=8)
    figure.axes[-1].set_xlabel("update")
    figure.savefig(path, format="png", dpi=110, bbox_inches="tight")
    pyplot.close(figure)
