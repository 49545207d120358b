"""Models small enough to train in a minute on one core: `tiny:qwen3-64x2` is 2 layers of width 64.

They are made from nothing: random weights, and a byte-level tokenizer whose pieces come from the texts
given, so they need no download and speak of nothing but those texts. For demonstrations and tests.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from medbench.errors import unknown
from medbench.trainers.record import write_folder

SPEC = re.compile(r"tiny:qwen3-(\d+)x(\d+)")
EXAMPLES = ("tiny:qwen3-64x2", "tiny:qwen3-128x3")

# Wider than the usual 0.02: narrow models learn to copy an option sooner.
SPREAD = 0.08
END, PAD = "<|im_end|>", "<|endoftext|>"

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}<|im_end|>{% endgeneration %}\n"
    "{% else %}{{ m['content'] }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build(spec: str, corpus: Iterable[str], folder: Path, *, seed: int = 0, pieces: int = 2000) -> Path:
    """A random model and its tokenizer in `folder`, which is whole or not there; kept if it exists.

    `pieces` bounds the vocabulary. `AutoModelForCausalLM` and `AutoTokenizer` load the folder.
    """
    shape = SPEC.fullmatch(spec)
    if shape is None:
        raise unknown("tiny model", spec, EXAMPLES)
    if folder.exists():
        return folder
    import torch

    tokens = tokenizer(corpus, pieces)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = network(int(shape[1]), int(shape[2]), tokens=tokens)

    def write(part: Path) -> None:
        model.save_pretrained(part)
        tokens.save_pretrained(part)

    return write_folder(folder, write)


def tokenizer(corpus: Iterable[str], pieces: int) -> Any:
    """A byte-level BPE tokenizer with a ChatML template, its pieces learned from `corpus`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learned.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=pieces,
        special_tokens=[PAD, "<|im_start|>", END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learned.train_from_iterator(corpus, trainer)
    # Replies end with the turn, batches are padded on the left, and the two tokens differ: TRL takes
    # a reply whose last token is neither as cut off.
    made = PreTrainedTokenizerFast(
        tokenizer_object=learned, eos_token=END, pad_token=PAD, padding_side="left"
    )
    made.chat_template = CHATML
    return made


def network(width: int, layers: int, *, tokens: Any) -> Any:
    """A Qwen3 with random weights: heads of 16, tied embeddings."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=len(tokens),
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 16),
        num_key_value_heads=max(1, width // 16),
        head_dim=16,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        initializer_range=SPREAD,
        bos_token_id=None,
        eos_token_id=tokens.eos_token_id,
        pad_token_id=tokens.pad_token_id,
    )
    return Qwen3ForCausalLM(config)
