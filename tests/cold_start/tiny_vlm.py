"""Random Qwen models of some 100,000 parameters with tokenizer and processor, and preference pairs to train them on.

    make_model(folder, seed=0)                    # a Hugging Face checkpoint directory
    write_pairs(file, rows(8, seed=0))

The vocabulary is one token per byte plus Qwen's special tokens: nothing has to be learned to tokenise any text.
"""

import io
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from tokenizers import pre_tokenizers
from transformers import (
    GenerationConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2TokenizerFast,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
CHAT_TEMPLATE = (
    "{%- for message in messages -%}{{ '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.content is string -%}{{ message.content }}{%- else -%}"
    "{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>{%- else -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{{ '<|im_end|>\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)
FAMILIES = {
    "qwen2_5_vl": (Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration),
    "qwen2_vl": (Qwen2VLConfig, Qwen2VLForConditionalGeneration),
    "qwen3_vl": (Qwen3VLConfig, Qwen3VLForConditionalGeneration),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
}
VISION = {
    "qwen2_5_vl": {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "out_hidden_size": 64,
        "patch_size": 14,
        "window_size": 56,
        "fullatt_block_indexes": [1],
        "initializer_range": 0.1,
    },
    "qwen2_vl": {
        "depth": 2,
        "embed_dim": 32,
        "hidden_size": 64,
        "num_heads": 2,
        "mlp_ratio": 2,
        "patch_size": 14,
        "initializer_range": 0.1,
    },
    "qwen3_vl": {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "out_hidden_size": 64,
        "patch_size": 16,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0, 1],
        "initializer_range": 0.1,
    },
}


def make_tokenizer() -> Qwen2TokenizerFast:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Qwen2TokenizerFast(
        vocab={letter: number for number, letter in enumerate(alphabet)},
        merges=[],
        unk_token="<|endoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL),
        model_max_length=4096,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def make_model(folder: Path, seed: int = 0, tied: bool = False, family: str = "qwen2_5_vl") -> Path:
    """Write a checkpoint of one of FAMILIES and return its folder."""
    torch.manual_seed(seed)
    tokenizer = make_tokenizer()
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    text = {
        "vocab_size": (len(tokenizer) + 31) // 32 * 32,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4},
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
        "tie_word_embeddings": tied,
        "initializer_range": 0.1,
    }
    if "qwen3" in family:
        text["head_dim"] = 16
    config_class, model_class = FAMILIES[family]
    if family.endswith("vl"):
        text["rope_parameters"]["mrope_section"] = [2, 3, 3]
        if family == "qwen3_vl":
            text["rope_parameters"]["mrope_interleaved"] = True
        config = config_class(
            text_config=text,
            vision_config=VISION[family],
            image_token_id=ids["<|image_pad|>"],
            video_token_id=ids["<|video_pad|>"],
            vision_start_token_id=ids["<|vision_start|>"],
            vision_end_token_id=ids["<|vision_end|>"],
            tie_word_embeddings=tied,
        )
    else:
        config = config_class(**text)
    config.architectures = [model_class.__name__]
    model = model_class(config).float()
    with torch.no_grad():  # biases start at zero; make every parameter count
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.1)
    model.generation_config = GenerationConfig(
        eos_token_id=[ids["<|im_end|>"], ids["<|endoftext|>"]], pad_token_id=ids["<|endoftext|>"]
    )
    model.save_pretrained(folder)
    make_processor(tokenizer, family).save_pretrained(folder)
    return folder


def make_processor(tokenizer: Qwen2TokenizerFast, family: str):
    """The processor of a vision-language family, or the tokenizer itself."""
    if not family.endswith("vl"):
        return tokenizer
    patch = VISION[family]["patch_size"]
    size = {"shortest_edge": (2 * patch) ** 2, "longest_edge": 16 * (2 * patch) ** 2}
    image_processor = Qwen2VLImageProcessor(patch_size=patch, merge_size=2, temporal_patch_size=2, size=dict(size))
    if family == "qwen3_vl":
        video = Qwen3VLVideoProcessor(patch_size=patch, merge_size=2, temporal_patch_size=2, size=dict(size))
        return Qwen3VLProcessor(image_processor, tokenizer, video, chat_template=CHAT_TEMPLATE)
    video = Qwen2VLVideoProcessor(patch_size=patch, merge_size=2, temporal_patch_size=2, size=dict(size))
    processor_class = Qwen2VLProcessor if family == "qwen2_vl" else Qwen2_5_VLProcessor
    return processor_class(image_processor, tokenizer, video, chat_template=CHAT_TEMPLATE)


def png(width: int, height: int, seed: int) -> bytes:
    """A small noisy picture."""
    noise = random.Random(seed).randbytes(width * height * 3)
    return encode_png(Image.frombytes("RGB", (width, height), noise))


def encode_png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def row(number: int, images: int = 1, pairs_seed: int = 0) -> dict:
    """One preference pair in verl's schema; image sizes and text lengths vary with `number`."""
    chance = random.Random((number, images, pairs_seed).__repr__())
    words = ["red", "blue", "three", "circle", "left of", "the", "answer", "is", "seven", "sum"]

    def text(low: int, high: int) -> str:
        return " ".join(chance.choice(words) for _ in range(chance.randint(low, high)))

    sizes = [(28 * chance.randint(2, 4), 28 * chance.randint(2, 4)) for _ in range(images)]
    answer = str(chance.randint(0, 99))
    thought = text(4, 14)
    return {
        "data_source": "tiny",
        "prompt": [{"role": "user", "content": "<image>" * images + f"Question {number}: {text(3, 10)}?"}],
        "images": [{"bytes": png(*size, seed=number * 10 + k), "path": None} for k, size in enumerate(sizes)],
        "ability": "vision",
        "reward_model": {"style": "rule", "ground_truth": answer},
        "extra_info": {"index": number, "split": "train", "id": f"tiny-{number}"},
        "chosen": f"<think> {thought} </think><answer> The answer is $\\boxed{{{answer}}}$</answer>",
        "rejected": f"{thought} {text(1, 6)} Answer: {answer}",
    }


def rows(count: int, images: int = 1, pairs_seed: int = 0) -> list[dict]:
    return [row(number, images, pairs_seed) for number in range(count)]


IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write_pairs(file: Path, content: list[dict]) -> Path:
    """Write rows as parquet, with the images column typed even when every row's list is empty."""
    table = pa.Table.from_pylist(content)
    if "images" in table.column_names:
        images = pa.array([r["images"] for r in content], type=pa.list_(IMAGE_TYPE))
        table = table.set_column(table.column_names.index("images"), "images", images)
    pq.write_table(table, file)
    return file


def open_png(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGB")
