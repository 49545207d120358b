"""Make the raw replies behind tests/golden/replies with small open models on a CPU.

    python -m perf.replies ask OUT.jsonl --smollm2 FOLDER --styles steps tags prefill letter
    python -m perf.replies ask OUT.jsonl --smollm2 FOLDER --styles boxed json bold plain doctor --each 32
    python -m perf.replies ask OUT.jsonl --gemma FILE.gguf --each 16
    python -m perf.replies pick OUT.jsonl PICKED.jsonl

`ask` poses the questions of tests/golden/replies/items.jsonl in several prompt styles at three
temperatures and appends one row per reply; `pick` drops repeats and takes the same seeded share of
every style x kind. Labels are written by hand afterwards; nothing here looks at an answer.

Last, 2026-11-24, 2 cores, one thread, torch 2.13, transformers 5.24: 1,152 replies in about 40
minutes beside other work, 1,122 distinct, 721 picked.
"""

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "tests" / "golden" / "replies"
LETTERS = "ABCDEFGHIJ"
TEMPERATURES = (0.0, 0.7, 1.0)
LENGTHS = (24, 40, 80, 120, 180)
SHORT = {"letter": 1, "base": 3, "basebold": 2}  # how many of the lengths a style may draw
BATCH = 16
STOP = "\n\nQuestion:"

# How each style writes the options; the field's prompts differ in nothing more often.
MARKS = {
    "plain": "{}. {}",
    "letter": "{}) {}",
    "steps": "({}) {}",
    "tags": "{}. {}",
    "boxed": "{}. {}",
    "json": "{}: {}",
    "doctor": "{}) {}",
    "bold": "**{}.** {}",
    "prefill": "{}. {}",
    "base": "({}) {}",
    "basebold": "{}. {}",
}

ASKS = {
    "plain": ("{q}\n{o}", "{q}"),
    "letter": (
        "{q}\n\n{o}\n\nAnswer with the letter of the correct option only.",
        "{q}\n\nAnswer with one word or number only, no explanation.",
    ),
    "steps": (
        '{q}\n{o}\n\nThink step by step, then end with "The answer is X", where X is the letter.',
        '{q}\n\nThink step by step, then end with "The answer is X".',
    ),
    "tags": (
        "{q}\n{o}\n\nReason inside <think> </think>, then give the letter inside <answer> </answer>.",
        "{q}\n\nReason inside <think> </think>, then give the answer inside <answer> </answer>.",
    ),
    "boxed": (
        "Question: {q}\nOptions:\n{o}\n\nPut your final answer (the letter) in \\boxed{{}}.",
        "Question: {q}\n\nPut your final answer in \\boxed{{}}.",
    ),
    "json": (
        "{q}\n{o}\n\nReply in JSON with two fields, as in "
        '{{"step_by_step_thinking": "...", "answer_choice": "A"}}.',
        '{q}\n\nReply in JSON with two fields, as in {{"explanation": "...", "answer": "..."}}.',
    ),
    "doctor": (
        "Doctor, I am preparing for my exam and I am stuck on this one. {q}\n{o}\n"
        "Which one would you choose, and why?",
        "Doctor, may I ask you something? {q}",
    ),
    "bold": ("{q}\n\n{o}", "{q}"),
    "prefill": ("{q}\n\n{o}\n\nWhich option is correct?", "{q}"),
    "base": ("{q}\n{o}", "{q}"),
    "basebold": ("{q}\n{o}", "{q}"),
}

DOCTOR = "You are an experienced physician who talks kindly with patients and students."
STARTS = (
    "The correct answer is",
    "Answer:",
    "**",
    "Let me analyze each option",
    "I would choose",
    "Final answer: ",
)

# One worked example per style that needs one; the questions are ours.
SHOTS = {
    "tags": [
        (
            "Which organ pumps blood?\nA. Liver\nB. Heart\nC. Lung",
            "<think>Blood is pumped by a muscular organ in the chest. That is the heart, option B.</think>\n"
            "<answer>B</answer>",
        ),
    ],
    "boxed": [
        (
            "Question: Which organ filters blood?\nOptions:\nA. Kidney\nB. Skin",
            "The kidneys filter blood. \\boxed{A}",
        )
    ],
    "json": [
        (
            "Which organ pumps blood?\nA: Liver\nB: Heart\nC: Lung",
            '{"step_by_step_thinking": "The heart is the pump.", "answer_choice": "B"}',
        ),
    ],
    "bold": [
        (
            "Which bone is in the thigh?\n\n**A.** Tibia\n**B.** Ulna\n**C.** Femur",
            "The femur is the bone of the thigh; the tibia is in the leg and the ulna in the forearm.\n\n"
            "**Answer: C. Femur**",
        ),
        (
            "Which gas do we breathe in to live?\n\n**A.** Oxygen\n**B.** Nitrogen",
            "Cells need oxygen to make energy.\n\n**Answer: A. Oxygen**",
        ),
    ],
    "base": [
        (
            "Which organ pumps blood?\n(A) Liver\n(B) Heart\n(C) Lung",
            "Let's think step by step. Blood is pumped by the heart. So the answer is (B).",
        ),
        (
            "Which organ filters blood into urine?\n(A) Kidney\n(B) Skin\n(C) Spleen",
            "Let's think step by step. Urine is made by the kidney. So the answer is (A).",
        ),
        (
            "Is the skin an organ?",
            "Let's think step by step. The skin is the largest organ. So the answer is yes.",
        ),
    ],
    "basebold": [
        (
            "Which bone is in the thigh?\nA. Tibia\nB. Ulna\nC. Femur",
            "**C. Femur**\n\nExplanation: it is the thigh bone.",
        ),
        ("How many kidneys do most people have?", "**2**\n\nExplanation: one on each side."),
    ],
}


def items() -> list[dict[str, Any]]:
    """Return the questions, in file order."""
    text = (FOLDER / "items.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def asked(item: dict[str, Any], style: str) -> str:
    """Return the question as `style` writes it."""
    with_options, without = ASKS[style]
    options = [MARKS[style].format(*pair) for pair in zip(LETTERS, item.get("options", []), strict=False)]
    template = with_options if options else without
    return template.format(q=item["question"], o="\n".join(options))


def chat(item: dict[str, Any], style: str) -> list[dict[str, str]]:
    """Return the messages that pose `item` to a chat model."""
    messages = [{"role": "system", "content": DOCTOR}] if style == "doctor" else []
    for question, answer in SHOTS.get(style, []):
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": answer})
    return [*messages, {"role": "user", "content": asked(item, style)}]


def document(item: dict[str, Any], style: str) -> str:
    """Return the text that a base model continues with its answer."""
    shots = [f"Question: {question}\nAnswer: {answer}" for question, answer in SHOTS[style]]
    return "\n\n".join([*shots, f"Question: {asked(item, style)}\nAnswer:"])


def batches(
    styles: list[str], per_temperature: int, seed: int
) -> Iterator[tuple[str, float, int, list[dict[str, Any]]]]:
    """Yield style, temperature, tokens and the items of each batch."""
    everything = items()
    for style in styles:
        for temperature in TEMPERATURES:
            draw = random.Random(f"{seed} {style} {temperature}")
            chosen = draw.sample(everything, min(per_temperature, len(everything)))
            for at in range(0, len(chosen), BATCH):
                tokens = draw.choice(LENGTHS[: SHORT.get(style, len(LENGTHS))])
                yield style, temperature, tokens, chosen[at : at + BATCH]


def loaded(path: Path) -> tuple[Any, Any]:
    """Return the model and its tokenizer, from a folder or from one GGUF file."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    torch.set_num_threads(1)
    folder, more = (path, {}) if path.is_dir() else (path.parent, {"gguf_file": path.name})
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left", **more)
    if more:
        more = {**more, "quantization_config": GgufConfig(dequantize=True)}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **more)
    return model.eval(), tokenizer


def continued(
    model: Any, tokenizer: Any, prompts: list[str], *, temperature: float, tokens: int
) -> list[tuple[str, str]]:
    """Return the continuation of each prompt and why it ended: stop or length."""
    import torch

    special = not prompts[0].startswith("<|im_start|>")
    batch = tokenizer(prompts, return_tensors="pt", padding=True, add_special_tokens=special)
    sampling = (
        {"do_sample": True, "temperature": temperature, "top_p": 0.95}
        if temperature
        else {"do_sample": False}
    )
    with torch.inference_mode():
        out = model.generate(**batch, max_new_tokens=tokens, pad_token_id=tokenizer.pad_token_id, **sampling)
    rows = []
    for ids in out[:, batch["input_ids"].shape[1] :].tolist():
        ended = tokenizer.eos_token_id in ids
        text = tokenizer.decode(ids, skip_special_tokens=True)
        head, cut, _ = text.partition(STOP)
        rows.append((head.strip(), "stop" if ended or cut else "length"))
    return rows


def ask(path: Path, name: str, styles: list[str], out: Path, *, per_temperature: int, seed: int) -> None:
    """Append the replies of one model to `out`."""
    import torch

    model, tokenizer = loaded(path)
    for style, temperature, tokens, chosen in batches(styles, per_temperature, seed):
        torch.manual_seed(seed)
        draw = random.Random(f"{seed} {temperature} {chosen[0]['id']}")
        starts = [draw.choice(STARTS) if style == "prefill" else "" for _ in chosen]
        if style.startswith("base"):
            prompts = [document(item, style) for item in chosen]
        else:
            heads = [
                tokenizer.apply_chat_template(chat(i, style), tokenize=False, add_generation_prompt=True)
                for i in chosen
            ]
            prompts = [head + start for head, start in zip(heads, starts, strict=True)]
        replies = continued(model, tokenizer, prompts, temperature=temperature, tokens=tokens)
        with out.open("a", encoding="utf-8") as file:
            for item, start, (reply, finish) in zip(chosen, starts, replies, strict=True):
                glue = " " if start[-1:].isalpha() or start.endswith(":") else ""
                row = {"item": item["id"], "style": style, "model": name, "temperature": temperature}
                whole = start + glue + reply if start else reply
                file.write(json.dumps({**row, "finish": finish, "reply": whole}, ensure_ascii=False) + "\n")
        print(style, temperature, tokens, len(chosen), flush=True)


def pick(raw: Path, out: Path, share: float, seed: int) -> None:
    """Write a share of the replies of each style x kind, repeats dropped, order kept within a cell."""
    kinds = {item["id"]: item["kind"] for item in items()}
    cells: dict[tuple[str, str], list[dict[str, Any]]] = {}
    seen = set()
    for line in raw.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["reply"] and (row["item"], row["reply"]) not in seen:
            seen.add((row["item"], row["reply"]))
            cells.setdefault((row["style"], kinds[row["item"]]), []).append(row)
    chosen = []
    for cell, rows in sorted(cells.items()):
        # seeded by the cell, so that one style can be picked and read before the next is asked
        draw = random.Random(f"{seed} {cell}")
        chosen += draw.sample(rows, min(len(rows), max(2, round(share * len(rows)))))
    out.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in chosen), encoding="utf-8")
    print(len(seen), "distinct,", len(chosen), "picked")


def main() -> None:
    """Run `ask` or `pick` as the first argument says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=["ask", "pick"])
    parser.add_argument("raw", type=Path)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--smollm2", type=Path)
    parser.add_argument("--gemma", type=Path)
    parser.add_argument("--styles", nargs="*")
    parser.add_argument("--each", type=int, default=48, help="questions per style and temperature")
    parser.add_argument("--share", type=float, default=0.64, help="of the replies of each style x kind")
    parser.add_argument("--seed", type=int, default=3)
    args = parser.parse_args()
    if args.step == "pick":
        pick(args.raw, args.out, args.share, args.seed)
    if args.step == "ask" and args.smollm2:
        styles = args.styles or [style for style in ASKS if not style.startswith("base")]
        ask(
            args.smollm2, "SmolLM2-135M-Instruct", styles, args.raw, per_temperature=args.each, seed=args.seed
        )
    if args.step == "ask" and args.gemma:
        styles = args.styles or [style for style in ASKS if style.startswith("base")]
        ask(args.gemma, "gemma-3-270m", styles, args.raw, per_temperature=args.each, seed=args.seed)


if __name__ == "__main__":
    main()
