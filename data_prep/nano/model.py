"""The nano Qwen2.5-VL with random weights: class, processor and chat format of the 7B model, 1.35 M parameters.

    model, processor = build_model(seed=0)
    model.save_pretrained(path); processor.save_pretrained(path)

What differs from the 7B checkpoint besides size: an own byte-level BPE vocabulary learned from the corpus (Qwen's
splitting rule; tags are split into their brackets and their name, so that a name is copied as it stands in the
prompt); no default system turn; image statistics that suit white drawings; a small rope base, since 1e6 leaves almost
no rotation over a hundred tokens.
Not here: training (train.py) and fast forward passes (policy.py).
"""

import json
import random
import re
from collections.abc import Iterator

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from data_prep.nano import corpus
from data_prep.nano.names import DRILLED, FAMILIAR, FILLER
from data_prep.nano.world import CELL, CELLS

HIDDEN, LAYERS, HEADS, KV_HEADS, MLP = 128, 4, 4, 2, 384
VISION_HIDDEN, VISION_LAYERS, VISION_HEADS, VISION_MLP = 96, 2, 3, 192
ROPE_BASE = 20.0
MROPE_SECTION = [4, 6, 6]  # halves of rotated dimensions for time, height, width; sums to head_dim / 2 = 16
PATCH, MERGE, TIME = 14, 2, 2
IMAGE_MEAN, IMAGE_STD = 0.75, 0.3
MAX_LENGTH = 1024
VOCABULARY = 704  # upper bound; the corpus yields fewer

END_OF_TEXT, TURN_START, TURN_END, IMAGE_PAD = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image_pad|>"
VISION_START, VISION_END, VIDEO_PAD = "<|vision_start|>", "<|vision_end|>", "<|video_pad|>"
SPECIAL = (
    END_OF_TEXT, TURN_START, TURN_END, "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>",
    "<|quad_start|>", "<|quad_end|>", VISION_START, VISION_END, "<|vision_pad|>", IMAGE_PAD, VIDEO_PAD,
)  # fmt: skip
WHOLE = ("<", "</", ">", "\\boxed{")  # a tag is its name between two of them, in prompts and in responses alike

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.content is string -%}{{ message.content }}{%- else -%}"
    "{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}<|vision_start|><|image_pad|><|vision_end|>"
    "{%- elif part.type == 'video' -%}<|vision_start|><|video_pad|><|vision_end|>"
    "{%- else -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{ '<|im_end|>\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)


def _tokenizer_text(count: int = 8000) -> Iterator[str]:
    """Text from which the vocabulary is learned.

    Without tags, so that names are words of their own, and without answers: letter answers such as SCT must stay three
    tokens, not become one word each.
    """
    rng = random.Random(0)
    for _ in range(count):
        sample = corpus.write(rng, captions=0.1)
        is_drill = corpus.is_drill(sample)
        yield "Copy\nThen" if is_drill else re.sub("</?[a-z_]+>", "", sample.prompt.removeprefix("<image>"))
        if corpus.is_caption(sample):
            yield sample.response
        yield from [r"The answer is $\boxed{0}$ Answer: 0", '{"value": "0"} So 0.', rng.choice(corpus.HASTY_PHRASES)]
        yield rng.choice((*FAMILIAR, *DRILLED, *FILLER, "think", "answer"))
    yield from ["user\nassistant\nsystem\n"] * count


def build_tokenizer() -> Qwen2Tokenizer:
    """Qwen2's tokenizer class and splitting rule, with a vocabulary learned from the corpus."""
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    bpe.add_tokens([AddedToken(text, normalized=False) for text in WHOLE])
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL) - len(WHOLE),
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    bpe.train_from_iterator(_tokenizer_text(), trainer)
    learned = json.loads(bpe.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=learned["vocab"],
        merges=[tuple(merge) for merge in learned["merges"]],
        unk_token=END_OF_TEXT,
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        additional_special_tokens=list(SPECIAL),
        model_max_length=MAX_LENGTH,
    )
    tokenizer.add_tokens([AddedToken(text, normalized=False, special=False) for text in WHOLE])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def build_processor() -> Qwen2_5_VLProcessor:
    """Image processor, video processor (required by the class, never used) and tokenizer with the chat template."""
    side = CELL * CELL
    size = {"shortest_edge": side, "longest_edge": 16 * side}
    shared = {
        "patch_size": PATCH,
        "merge_size": MERGE,
        "temporal_patch_size": TIME,
        "size": size,
        "image_mean": [IMAGE_MEAN] * 3,
        "image_std": [IMAGE_STD] * 3,
    }
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**shared),
        tokenizer=build_tokenizer(),
        video_processor=Qwen2VLVideoProcessor(**shared),
        chat_template=CHAT_TEMPLATE,
    )


def build_config(tokenizer: Qwen2Tokenizer) -> Qwen2_5_VLConfig:
    token = {text: tokenizer.convert_tokens_to_ids(text) for text in SPECIAL}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": (len(tokenizer) + 63) // 64 * 64,
            "hidden_size": HIDDEN,
            "intermediate_size": MLP,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": KV_HEADS,
            "max_position_embeddings": MAX_LENGTH,
            "rope_parameters": {"rope_type": "default", "rope_theta": ROPE_BASE, "mrope_section": MROPE_SECTION},
            "bos_token_id": token[END_OF_TEXT],
            "eos_token_id": token[TURN_END],
            "pad_token_id": token[END_OF_TEXT],
            "tie_word_embeddings": True,
            "use_sliding_window": False,
            "initializer_range": 0.05,
        },
        vision_config={
            "depth": VISION_LAYERS,
            "hidden_size": VISION_HIDDEN,
            "intermediate_size": VISION_MLP,
            "num_heads": VISION_HEADS,
            "out_hidden_size": HIDDEN,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": TIME,
            "window_size": 4 * CELL,
            "fullatt_block_indexes": [VISION_LAYERS - 1],
            "tokens_per_second": 2,
            "initializer_range": 0.05,
        },
        image_token_id=token[IMAGE_PAD],
        video_token_id=token[VIDEO_PAD],
        vision_start_token_id=token[VISION_START],
        vision_end_token_id=token[VISION_END],
        tie_word_embeddings=True,
    )
    config.architectures = ["Qwen2_5_VLForConditionalGeneration"]
    return config


def build_model(seed: int) -> tuple[Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor]:
    """Model with random weights (float32) and its processor."""
    processor = build_processor()
    config = build_config(processor.tokenizer)
    torch.manual_seed(seed)
    model = Qwen2_5_VLForConditionalGeneration(config)
    ids = processor.tokenizer.convert_tokens_to_ids
    model.generation_config = GenerationConfig(
        eos_token_id=[ids(TURN_END), ids(END_OF_TEXT)], pad_token_id=ids(END_OF_TEXT), bos_token_id=ids(END_OF_TEXT)
    )
    return model, processor


IMAGE_TOKENS = len(CELLS)
