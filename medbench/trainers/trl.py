"""TRL: the plan of a training, and the worker that does it (`python -P -m medbench.trainers.trl FOLDER`).

The worker reads only its folder, so the same command after a kill goes on from the last checkpoint.
With several GPUs `accelerate launch` starts one worker on each; the first alone writes what stays.
"""

import functools
import json
import os
import sys
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import polars as pl

from medbench.config import canonical, digest, parse
from medbench.errors import MedbenchError, ModelError, PrerequisiteError, UsageError
from medbench.schema import Example
from medbench.trainers import judging, order, record, tiny
from medbench.trainers.launch import FOLLOW, Plan, last_words
from medbench.trainers.recipe import ALGORITHMS, Grpo, Sft
from medbench.trainers.rewards import JUDGE, for_trl, unpacked
from medbench.trainers.rows import training_table

ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


def plan(
    recipe: Sft | Grpo,
    examples: Sequence[Example],
    folder: Path,
    *,
    python: str = sys.executable,
    processes: int = 1,
    stages: Sequence[int] | None = None,
) -> Plan:
    """What training `recipe` on `examples` in `folder` takes. Nothing is written or run.

    With `stages` the rows are trained on in their order, and again from the first when all have been; an
    order.json says so. Nothing of a plan without them depends on there being such orders.
    """
    share(recipe, processes)
    table = training_table(recipe, examples, stages)
    if table.is_empty():
        raise PrerequisiteError(
            f"recipe '{recipe.name}' has nothing to train on: {len(examples)} examples gave no row",
            f"build its data first: medbench build {recipe.dataset}",
        )
    return Plan(
        folder=folder,
        command=(python, "-P", "-m", *launcher(processes), "medbench.trainers.trl", str(folder)),
        tables={folder / "train.parquet": table},
        files={
            folder / "recipe.json": canonical(recipe.model_dump(mode="json")),
            **({} if stages is None else order.files(recipe, table, folder)),
        },
        identity=digest(
            {**recipe.deciding(), "rows": table.rows(), **({} if stages is None else order.KEPT)}
        ),
        environment=dict(ENVIRONMENT),
    )


def launcher(processes: int) -> tuple[str, ...]:
    """The module (and its options) that starts the worker in several processes, one a GPU.

    `--multi_gpu` is said because a configuration the user has for accelerate may say otherwise.
    """
    if processes == 1:
        return ()
    return ("accelerate.commands.launch", "--multi_gpu", "--num_processes", str(processes), "-m")


def share(recipe: Sft | Grpo, processes: int) -> int:
    """How many rows of an update's batch one process works on at a time."""
    if isinstance(recipe, Sft):
        batch = recipe.rows_per_step.value
    else:
        batch = recipe.prompts_per_step.value * recipe.group_size.value // recipe.updates_per_step.value
    parts = recipe.gradient_accumulation.value * processes
    if batch % parts:
        raise UsageError(
            f"an update's {batch} rows do not divide into {parts} "
            f"(gradient_accumulation {recipe.gradient_accumulation.value} × {processes} GPUs)",
            "change gradient_accumulation, or choose GPUs with CUDA_VISIBLE_DEVICES",
        )
    if isinstance(recipe, Grpo) and recipe.judges and recipe.prompts_per_step.value % processes:
        raise UsageError(
            f"{recipe.prompts_per_step.value} prompts a step do not divide among {processes} GPUs, and a "
            "judge's silence can only be made up for within a whole group",
            "change prompts_per_step, or choose GPUs with CUDA_VISIBLE_DEVICES",
        )
    return batch // parts


def main(arguments: Sequence[str]) -> int:
    """Train what the folder says; the exit status is the error's."""
    if os.environ.get(FOLLOW):
        threading.Thread(target=end_with_parent, daemon=True).start()
    try:
        work(Path(arguments[0]))
    except MedbenchError as problem:
        sys.stderr.write(last_words(problem))
        return problem.exit_code
    return 0


def end_with_parent() -> None:
    """End this process, at once, when standard input closes."""
    while os.read(0, 4096):
        pass
    os._exit(130)


def work(folder: Path) -> None:
    """From a folder with recipe.json and train.parquet to one with the trained model."""
    recipe, table = asked(folder)
    require_packages()
    first = os.environ.get("RANK", "0") == "0"
    checkpoint = (record.rewind if first else record.last_checkpoint)(folder)
    if isinstance(recipe, Sft):
        trainer = sft_trainer(recipe, table, folder=folder)
    else:
        trainer = grpo_trainer(recipe, table, folder=folder)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if trainer.is_world_process_zero():
        record.seal(folder)
        record.write_folder(folder / "model", functools.partial(save, trainer))


def asked(folder: Path) -> tuple[Sft | Grpo, pl.DataFrame]:
    """The recipe and the rows a plan left in `folder`."""
    try:
        tree = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
        table = pl.read_parquet(folder / "train.parquet")
    except FileNotFoundError as problem:
        missing = Path(problem.filename or folder / "train.parquet").name
        raise PrerequisiteError(f"{folder} has no {missing}", "let 'medbench train' prepare it") from None
    return parse(ALGORITHMS[tree["algorithm"]], tree, str(folder / "recipe.json")), table


def require_packages() -> None:
    """Refuse to start without what a training needs."""
    missing = [name for name in ("torch", "transformers", "trl", "peft", "matplotlib") if not find_spec(name)]
    if missing:
        raise PrerequisiteError(
            f"training needs {', '.join(missing)}, not installed here", "pip install 'medbench[train]'"
        )


def sft_trainer(recipe: Sft, table: pl.DataFrame, *, folder: Path) -> Any:
    """TRL's SFTTrainer as the recipe asks; the loss is on the reply only."""
    model, tokens = opened(recipe, table, folder=folder)
    from trl import SFTConfig, SFTTrainer

    config = SFTConfig(
        max_steps=recipe.steps.value,
        save_steps=max(1, recipe.save_every.value),
        train_sampling_strategy="sequential",
        max_length=recipe.max_prompt_tokens.value + recipe.max_completion_tokens.value,
        **common(recipe, folder),
    )
    rows, prompts = imitated(tokens, table.to_dicts())
    data = fitting(recipe, rows, prompts=prompts, keep_order=order.keeps(folder))
    trainer = SFTTrainer(
        model, config, train_dataset=data, processing_class=tokens, peft_config=adapter(recipe)
    )
    return journalled(trainer, folder)


def grpo_trainer(recipe: Grpo, table: pl.DataFrame, *, folder: Path) -> Any:
    """TRL's GRPOTrainer as the recipe asks."""
    model, tokens = opened(recipe, table, folder=folder)
    from trl import GRPOConfig, GRPOTrainer

    updates = recipe.updates_per_step.value
    config = GRPOConfig(
        steps_per_generation=recipe.gradient_accumulation.value * updates,
        max_steps=recipe.steps.value * updates,
        save_steps=max(1, recipe.save_every.value * updates),
        shuffle_dataset=False,
        num_generations=recipe.group_size.value,
        max_completion_length=recipe.max_completion_tokens.value,
        reward_weights=list(recipe.rewards.values()),
        loss_type=recipe.loss_type.value,
        scale_rewards=recipe.scale_rewards.value,
        beta=recipe.kl_beta.value,
        use_bias_correction_kl=recipe.kl_bias_correction.value,
        epsilon=recipe.clip_low.value,
        epsilon_high=recipe.clip_high.value,
        temperature=recipe.temperature.value,
        top_p=recipe.top_p.value,
        mask_truncated_completions=recipe.mask_truncated.value,
        **common(recipe, folder),
    )
    rows = table.select("prompt", "example").to_dicts()
    prompts = as_ids(tokens, asked_texts(tokens, rows))
    data = fitting(recipe, rows, prompts=prompts, keep_order=order.keeps(folder))
    ends: set[int] = set()
    shuffle = recipe.seed.value if recipe.shuffle_rewards else None
    trainer = GRPOTrainer(
        model,
        [
            for_trl(name, ends=ends, shuffle=shuffle, judge=judge_of(recipe, name, folder))
            for name in recipe.rewards
        ],
        config,
        train_dataset=data,
        processing_class=tokens,
        peft_config=adapter(recipe),
    )
    ends.update(trainer.eos_token_ids)  # known to the trainer only once the model is open
    return journalled(trainer, folder)


def judge_of(recipe: Grpo, name: str, folder: Path) -> Any:
    """The judge that gives a reward; None for a reward that is a function."""
    judge = name.removeprefix(JUDGE)
    return judging.reward(judge, recipe.judges[judge], folder) if judge in recipe.judges else None


def common(recipe: Sft | Grpo, folder: Path) -> dict[str, Any]:
    """The settings that mean the same to every TRL trainer."""
    import torch

    cuda = torch.cuda.is_available()
    low_memory = cuda and recipe.lora_rank.value > 0
    return {
        "output_dir": str(folder / record.CHECKPOINTS),
        "per_device_train_batch_size": share(recipe, int(os.environ.get("WORLD_SIZE", "1"))),
        "gradient_accumulation_steps": recipe.gradient_accumulation.value,
        "learning_rate": recipe.learning_rate.value,
        "lr_scheduler_type": recipe.lr_schedule.value,
        "warmup_steps": recipe.warmup_steps.value,
        "weight_decay": recipe.weight_decay.value,
        "max_grad_norm": recipe.max_grad_norm.value,
        "save_strategy": "steps" if recipe.save_every.value else "no",
        "save_total_limit": 2,
        "logging_steps": 1,
        "seed": recipe.seed.value,
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": not cuda,
        "bf16": cuda,
        "activation_checkpointing": cuda,
        "trust_remote_code": False,
        "model_init_kwargs": {"trust_remote_code": False, "dtype": "bfloat16" if low_memory else "float32"},
    }


def opened(recipe: Sft | Grpo, table: pl.DataFrame, *, folder: Path) -> tuple[str, Any]:
    """The place of the model to start from (a tiny one is made on the spot) and its tokenizer."""
    from transformers import AutoTokenizer, set_seed

    set_seed(recipe.seed.value)  # the trainers seed only after they have made an adapter
    place = recipe.model
    if place.startswith("tiny:"):
        place = tiny_model(recipe, texts(table), folder=folder)
    try:
        tokens = AutoTokenizer.from_pretrained(place, padding_side="left", trust_remote_code=False)
    except (OSError, ValueError) as problem:
        raise ModelError(
            f"cannot open model '{place}': {problem}", "give a Hub id or a model's folder"
        ) from problem
    if tokens.chat_template is None:
        raise ModelError(f"the tokenizer of '{place}' has no chat template", "use an instruction-tuned model")
    return place, tokens


def tiny_model(recipe: Sft | Grpo, corpus: list[str], *, folder: Path) -> str:
    """The place of the tiny model to start from; of several processes the first makes it."""
    import torch
    from accelerate import PartialState  # type: ignore[import-untyped]

    with PartialState(cpu=not torch.cuda.is_available()).main_process_first():
        return str(tiny.build(recipe.model, corpus, folder / "base", seed=recipe.seed.value))


def texts(table: pl.DataFrame) -> list[str]:
    """Every text a row shows or may lead to, for a tiny model's tokenizer to learn its pieces from."""
    held = [message["content"] for row in table["prompt"].to_list() for message in row]
    if "completion" in table.columns:
        held += [message["content"] for row in table["completion"].to_list() for message in row]
    return held + [option for text in table["example"] for option in unpacked(text).options]


def fitting(
    recipe: Sft | Grpo, rows: list[dict[str, Any]], *, prompts: list[list[int]], keep_order: bool
) -> Any:
    """The rows whose prompt, given as token ids, is short enough, in the order they are trained on.

    All steps are one pass over this data set: TRL's own shuffling starts over when a run goes on in a
    later epoch, and would show it the rows of the first one again.
    """
    from datasets import Dataset

    longest = recipe.max_prompt_tokens.value
    kept = [row for row, ids in zip(rows, prompts, strict=True) if len(ids) <= longest]
    sys.stderr.write(f"{len(kept)} of {len(rows)} rows have a prompt of at most {longest} tokens\n")
    if not kept:
        raise UsageError(f"no prompt is at most {longest} tokens long", "raise max_prompt_tokens")
    wanted = order.rows_wanted(recipe)
    if keep_order:
        sys.stderr.write(order.reached(kept, wanted))
    seed = None if keep_order else recipe.seed.value
    return Dataset.from_list(kept).select(order.in_order(len(kept), wanted, seed=seed))


def asked_texts(tokens: Any, rows: list[dict[str, Any]]) -> list[str]:
    """The prompts as the model gets them, up to where its reply begins."""
    prompts = [row["prompt"] for row in rows]
    return list(tokens.apply_chat_template(prompts, tokenize=False, add_generation_prompt=True))


def as_ids(tokens: Any, texts: list[str]) -> list[list[int]]:
    """Token ids of texts that already went through the chat template."""
    return list(tokens(texts, add_special_tokens=False)["input_ids"])


def imitated(tokens: Any, rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[list[int]]]:
    """Rows for SFT as token ids with a mask over the reply, and the ids of their prompts.

    Done here in one batch: the trainer's own preparation takes one to two milliseconds a row.
    """
    asked = asked_texts(tokens, rows)
    chats = [row["prompt"] + row["completion"] for row in rows]
    whole = tokens.apply_chat_template(chats, tokenize=False)
    if not all(text.startswith(start) for text, start in zip(whole, asked, strict=True)):
        raise ModelError("this chat template rewrites a prompt once a reply follows", "train another model")
    prompts = as_ids(tokens, asked)
    replies = as_ids(tokens, [text[len(start) :] for text, start in zip(whole, asked, strict=True)])
    made = [
        {"input_ids": ask + reply, "completion_mask": [0] * len(ask) + [1] * len(reply)}
        for ask, reply in zip(prompts, replies, strict=True)
    ]
    return made, prompts


def adapter(recipe: Sft | Grpo) -> Any:
    """The LoRA adapter to train, None for all weights. Alpha is twice the rank."""
    rank = recipe.lora_rank.value
    if not rank:
        return None
    from peft import LoraConfig

    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")


def journalled(trainer: Any, folder: Path) -> Any:
    """`trainer`, writing each update's metrics to the journal."""
    from transformers import PrinterCallback, TrainerCallback

    class Journal(TrainerCallback):  # type: ignore[misc]
        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
            if state.is_world_process_zero and "loss" in (logs or {}):
                record.append(folder, record.line(state.global_step, state.max_steps, logs=logs))

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Journal())
    return trainer


def save(trainer: Any, folder: Path) -> None:
    """Model and tokenizer into `folder`; an adapter is merged, so that anything can load the result."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    model.save_pretrained(folder)
    trainer.processing_class.save_pretrained(folder)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
