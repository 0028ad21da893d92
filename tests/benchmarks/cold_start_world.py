"""The model and pairs of the cold-start benchmarks: a random Qwen2.5-VL of 44 million or 3 billion parameters.

    python tests/benchmarks/cold_start_world.py FOLDER --image 448 --images 1 --prompts 48 --pairs-per-prompt 1

Writes FOLDER/model (shared by all data sets) and FOLDER/NAME.parquet. About 64 text tokens per prompt, 120 per chosen
and 100 per rejected response, each varying by 40 %; a 448 x 448 picture takes 256 tokens.
"""

import argparse
import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2TokenizerFast,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "cold_start"))
from tiny_vlm import CHAT_TEMPLATE, SPECIAL, encode_png, write_pairs

IMAGE_SIZE = {"shortest_edge": 28 * 28, "longest_edge": 1280 * 28 * 28}
VOCABULARY = 8192


@dataclass(frozen=True)
class DataSet:
    """What the pairs of one benchmark look like."""

    name: str
    image: int  # edge of the pictures in pixels
    images: int  # pictures per prompt
    prompts: int
    pairs_per_prompt: int = 1
    chosen: int = 120  # tokens of a chosen response, on average
    rejected: int = 100


def words(count: int = 7000, seed: int = 0) -> list[str]:
    """Pronounceable nonsense."""
    chance = random.Random(seed)
    return [
        "".join(chance.choice("bcdfghjklmnprstvwz") + chance.choice("aeiou") for _ in range(chance.randint(2, 4)))
        for _ in range(count)
    ]


def make_tokenizer() -> Qwen2TokenizerFast:
    """Byte-level BPE trained on the nonsense, with Qwen's special tokens."""
    chance, vocabulary = random.Random(1), words()
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trained.decoder = decoders.ByteLevel()
    lines = (" ".join(chance.choice(vocabulary) for _ in range(50)) for _ in range(3000))
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL), show_progress=False, initial_alphabet=sorted(alphabet)
    )
    trained.train_from_iterator(lines, trainer)
    table = trained.get_vocab()
    merges = [tuple(merge) for merge in json.loads(trained.to_str())["model"]["merges"]]
    tokenizer = Qwen2TokenizerFast(
        vocab=table,
        merges=merges,
        unk_token="<|endoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=list(SPECIAL),
        model_max_length=4096,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


SIZES = {
    "44m": {
        "text": {"hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 8, "num_attention_heads": 8},
        "mrope_section": [8, 12, 12],
        "vision": {"depth": 8, "hidden_size": 320, "intermediate_size": 864, "num_heads": 5},
        "fullatt_block_indexes": [3, 7],
    },
    # The shape of Qwen2.5-VL-3B-Instruct, with random weights.
    "3b": {
        "text": {"hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16},
        "mrope_section": [16, 24, 24],
        "vision": {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16},
        "fullatt_block_indexes": [7, 15, 23, 31],
        "vocab_size": 151936,
        "tie_word_embeddings": True,
    },
}


def make_model(folder: Path, size: str = "44m") -> Path:
    """Write the checkpoint unless it is there."""
    if (folder / "model.safetensors").exists():
        return folder
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    image_processor = Qwen2VLImageProcessor(patch_size=14, merge_size=2, temporal_patch_size=2, size=dict(IMAGE_SIZE))
    video_processor = Qwen2VLVideoProcessor(patch_size=14, merge_size=2, temporal_patch_size=2, size=dict(IMAGE_SIZE))
    processor = Qwen2_5_VLProcessor(image_processor, tokenizer, video_processor, chat_template=CHAT_TEMPLATE)
    shape = SIZES[size]
    tied = shape.get("tie_word_embeddings", False)
    text = {
        **shape["text"],
        "vocab_size": shape.get("vocab_size", (len(tokenizer) + 63) // 64 * 64),
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": shape["mrope_section"]},
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
        "tie_word_embeddings": tied,
        "initializer_range": 0.03,
    }
    vision = {
        **shape["vision"],
        "out_hidden_size": shape["text"]["hidden_size"],
        "patch_size": 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": shape["fullatt_block_indexes"],
        "initializer_range": 0.05,
    }
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=tied,
    )
    config.architectures = ["Qwen2_5_VLForConditionalGeneration"]
    model = Qwen2_5_VLForConditionalGeneration(config).float()
    model.generation_config = GenerationConfig(eos_token_id=ids["<|im_end|>"], pad_token_id=ids["<|endoftext|>"])
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def picture(edge: int, generator: np.random.Generator) -> bytes:
    """Eight by eight coloured squares with noise."""
    squares = np.kron(generator.integers(0, 256, (8, 8, 3)), np.ones((edge // 8, edge // 8, 1)))
    noisy = squares + generator.integers(-20, 20, squares.shape)
    return encode_png(Image.fromarray(noisy.clip(0, 255).astype(np.uint8)))


def make_pairs(file: Path, model: Path, data: DataSet, seed: int = 7) -> Path:
    """Write the pairs of a data set unless they are there."""
    if file.exists():
        return file
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    chance, generator, vocabulary = random.Random(seed), np.random.default_rng(seed), words()

    def text(tokens: int) -> str:
        wanted, chosen = int(tokens * chance.uniform(0.6, 1.4)), []
        while len(tokenizer(" ".join(chosen))["input_ids"]) < wanted:
            chosen.append(chance.choice(vocabulary))
        return " ".join(chosen)

    rows = []
    for number in range(data.prompts):
        images = [{"bytes": picture(data.image, generator), "path": None} for _ in range(data.images)]
        prompt = [{"role": "user", "content": "<image>" * data.images + text(64)}]
        for _ in range(data.pairs_per_prompt):
            rows.append(
                {
                    "data_source": "benchmark",
                    "prompt": prompt,
                    "images": images,
                    "chosen": text(data.chosen),
                    "rejected": text(data.rejected),
                    "extra_info": {"id": f"{number}-{len(rows)}"},
                }
            )
    file.parent.mkdir(parents=True, exist_ok=True)
    return write_pairs(file, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--image", type=int, default=448)
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--prompts", type=int, default=48)
    parser.add_argument("--pairs-per-prompt", type=int, default=1)
    arguments = parser.parse_args()
    name = f"d{arguments.image}x{arguments.images}p{arguments.pairs_per_prompt}"
    data = DataSet(name, arguments.image, arguments.images, arguments.prompts, arguments.pairs_per_prompt)
    model = make_model(arguments.folder / "model")
    print(make_pairs(arguments.folder / f"{name}.parquet", model, data))


if __name__ == "__main__":
    main()
