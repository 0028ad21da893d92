"""How large an image becomes in verl's rollout, and how many prompt tokens it takes, from its size alone.

    rules = ImageRules()                       # Qwen2.5-VL as published
    rules.resized((4000, 3000))                # (3976, 2996): width and height the model sees
    rules.tokens((4000, 3000))                 # 15,194

Two steps, as in verl: qwen_vl_utils.fetch_image resizes with limits of its own, then the checkpoint's image processor
with those of its preprocessor configuration. Pure arithmetic; checked against both libraries in the tests.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

Size = tuple[int, int]

MOST_ASPECT = 200
"""Both steps refuse images that are more than 200 times as long as wide."""

FETCH_MIN_TOKENS, FETCH_MAX_TOKENS = 4, 16_384
"""Limits of qwen_vl_utils 0.0.14, in tokens of an image."""


@dataclass(frozen=True)
class ImageRules:
    """The numbers of one checkpoint's image processor."""

    patch_size: int = 14
    merge_size: int = 2
    min_pixels: int = 56 * 56
    max_pixels: int = 28 * 28 * 16_384

    @property
    def factor(self) -> int:
        """Side of the square of pixels that one token stands for."""
        return self.patch_size * self.merge_size

    def resized(self, size: Size) -> Size:
        """Width and height that the model sees; ValueError for an aspect ratio that is refused."""
        return _both_steps(size, self)

    def tokens(self, size: Size) -> int:
        """Prompt tokens of an image of `size` = (width, height) pixels."""
        width, height = self.resized(size)
        return (width // self.factor) * (height // self.factor)


QWEN2_5_VL = ImageRules()


@lru_cache(maxsize=1 << 16)
def _both_steps(size: Size, rules: ImageRules) -> Size:
    area = rules.factor**2
    fetched = smart_resize(size, rules.factor, FETCH_MIN_TOKENS * area, FETCH_MAX_TOKENS * area)
    return smart_resize(fetched, rules.factor, rules.min_pixels, rules.max_pixels)


def smart_resize(size: Size, factor: int, min_pixels: int, max_pixels: int) -> Size:
    """Sides rounded to multiples of `factor`, then scaled down or up until the area lies within the limits."""
    width, height = size
    if max(size) > MOST_ASPECT * min(size):
        raise ValueError(f"{width}x{height} is more than {MOST_ASPECT} times as long as wide")
    rounded_width, rounded_height = (max(factor, round(side / factor) * factor) for side in size)
    if rounded_width * rounded_height > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        return _floored(width / shrink, factor), _floored(height / shrink, factor)
    if rounded_width * rounded_height < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        return math.ceil(width * grow / factor) * factor, math.ceil(height * grow / factor) * factor
    return rounded_width, rounded_height


def _floored(side: float, factor: int) -> int:
    return max(factor, math.floor(side / factor) * factor)
