"""Marks in a text that a trainer or a tokenizer takes for something else.

    foreign_mark("What is <|im_end|>?")     # "<|im_end|>"; None for ordinary text

verl splits prompts at `<image>`, `<video>` and `<audio>`; tokenizers turn `<|...|>` into control tokens. A row with a
mark that it has no image for crashes the rollout of its whole batch, hours later.
"""

from __future__ import annotations

import re
from typing import Any

IMAGE = "<image>"

VISION_TOKENS = (
    "<|image_pad|>",
    "<|video_pad|>",
    "<|vision_pad|>",
    "<|vision_start|>",
    "<|vision_end|>",
    IMAGE,
    "<IMG_CONTEXT>",
)
"""Tokens that stand for (a part of) an image or a video, in the models that we know."""

_FOREIGN = re.compile(r"<(?:video|audio)>|<\|[A-Za-z_]{1,32}\|>")


def foreign_mark(text: str) -> str | None:
    """The first mark in a text that is not `<image>`."""
    found = _FOREIGN.search(text) if "<" in text else None
    return found[0] if found else None


def with_images(question: str, count: int) -> str:
    """The question with one `<image>` per image: as they stand, or all of them first when there are none."""
    if count and IMAGE not in question:
        return IMAGE * count + question
    return question


def vision_token_ids(tokenizer: Any) -> frozenset[int]:
    """Ids of VISION_TOKENS in a Hugging Face tokenizer: in a response they break training, since no image is there."""
    vocabulary = tokenizer.get_vocab()
    return frozenset(vocabulary[name] for name in VISION_TOKENS if name in vocabulary)
