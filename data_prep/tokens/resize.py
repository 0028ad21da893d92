"""How large an image becomes in verl's rollout, and how many prompt tokens it takes, from its size alone.

    rules = ImageRules()                       # Qwen2.5-VL as published
    rules.resized((4000, 3000))                # (3976, 2996): width and height the model sees
    rules.tokens((4000, 3000))                 # 15,301
    ImageRules(limits=PixelLimits(max_pixels=1_605_632)).tokens((4000, 3000))        # 1,998

Two steps, as in verl: qwen_vl_utils.fetch_image resizes within the limits of the run (PixelLimits, else its own), then
the checkpoint's image processor with those of its preprocessor configuration. Pure arithmetic; checked against both
libraries in the tests. Sampling, cold start and RL all hand `PixelLimits.keys` to fetch_image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from data_prep.errors import UserError

Size = tuple[int, int]

MOST_ASPECT = 200
"""Both steps refuse images that are more than 200 times as long as wide."""

FETCH_MIN_TOKENS, FETCH_MAX_TOKENS = 4, 16_384
"""Limits of qwen_vl_utils 0.0.14, in tokens of an image."""


SIZE_KEYS = ("min_pixels", "max_pixels", "resized_height", "resized_width")
"""Keys of an image entry that change how it is resized (qwen_vl_utils)."""


@dataclass(frozen=True)
class PixelLimits:
    """How large images become in a run: `min_pixels` and `max_pixels` of recipes; None leaves it to qwen_vl_utils."""

    min_pixels: int | None = None
    max_pixels: int | None = None

    def __post_init__(self) -> None:
        low, high = self.min_pixels or 1, self.max_pixels or 1 << 62
        if low < 1 or high < low:
            raise UserError(
                f"min_pixels={self.min_pixels} and max_pixels={self.max_pixels}: 1 <= min <= max is needed."
            )

    def keys(self, image: object = None) -> dict[str, int]:
        """What fetch_image is told of an image; keys of the image's own entry win."""
        own = {key: image.get(key) for key in SIZE_KEYS} if isinstance(image, Mapping) else {}
        both = {"min_pixels": self.min_pixels, "max_pixels": self.max_pixels} | {
            key: value for key, value in own.items() if value is not None
        }
        return {key: int(value) for key, value in both.items() if value is not None}


@dataclass(frozen=True)
class ImageRules:
    """The numbers of one checkpoint's image processor, and the limits of a run."""

    patch_size: int = 14
    merge_size: int = 2
    min_pixels: int = 56 * 56
    max_pixels: int = 28 * 28 * 16_384
    limits: PixelLimits = PixelLimits()

    @property
    def factor(self) -> int:
        """Side of the square of pixels that one token stands for."""
        return self.patch_size * self.merge_size

    def resized(self, size: Size, image: object = None) -> Size:
        """Width and height that the model sees; ValueError for an aspect ratio that is refused.

        Args:
            image: the image's entry in its row, which may ask for a size of its own (SIZE_KEYS).
        """
        return _both_steps(size, self, tuple(self.limits.keys(image).items()))

    def tokens(self, size: Size, image: object = None) -> int:
        """Prompt tokens of an image of `size` = (width, height) pixels."""
        width, height = self.resized(size, image)
        return (width // self.factor) * (height // self.factor)


QWEN2_5_VL = ImageRules()


@lru_cache(maxsize=1 << 16)
def _both_steps(size: Size, rules: ImageRules, keys: tuple[tuple[str, int], ...]) -> Size:
    area, asked = rules.factor**2, dict(keys)
    lowest, highest = FETCH_MIN_TOKENS * area, FETCH_MAX_TOKENS * area
    if "resized_height" in asked and "resized_width" in asked:
        fetched = smart_resize((asked["resized_width"], asked["resized_height"]), rules.factor, lowest, highest)
    else:
        within = asked.get("min_pixels", lowest), asked.get("max_pixels", highest)
        fetched = smart_resize(size, rules.factor, *within)
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
