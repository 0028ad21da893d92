r"""Can a sample become training text at all, whatever its answer is?

    unusable(response, finish_reason, n_vision_tokens)     # None, "cut off" or "image tokens"

A response that was cut off ends anywhere. One with image or video tokens, or with the words that stand for them
(`<image>`, `<|image_pad|>`, ...), would be taken for a prompt with one more image by every trainer that reads it.
"""

from __future__ import annotations

import re

from data_prep.markers import VISION_TOKENS

CUT_OFF, IMAGE_TOKENS = "cut off", "image tokens"

FLAWS = (CUT_OFF, IMAGE_TOKENS)

_MARKS = re.compile("|".join(map(re.escape, (*VISION_TOKENS, "<video>", "<audio>"))))


def unusable(response: str, finish_reason: str, n_vision_tokens: int) -> str | None:
    """Why a sample must not be trained on, None when it may."""
    if n_vision_tokens > 0 or _MARKS.search(response):
        return IMAGE_TOKENS
    return CUT_OFF if finish_reason == "length" else None
