"""How large an image becomes in verl's rollout, and how many prompt tokens it takes, from its size alone.

    rules = ImageRules()                       # Qwen2.5-VL as published
    rules.resized((4000, 3000))                # (4004, 2996): width and height the model sees
    rules.tokens((4000, 3000))                 # 15,301
    ImageRules(limits=PixelLimits(max_pixels=1_605_632)).tokens((4000, 3000))        # 2,028

Two steps, as in verl: qwen_vl_utils.fetch_image resizes within the limits of the run (PixelLimits, else its own), then
the checkpoint's image processor with those of its preprocessor configuration. Pure arithmetic; checked against both
libraries in the tests. Sampling, cold start and RL all hand `PixelLimits.keys` to fetch_image. Sizes that a library
refuses are a ValueError here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

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
        low = 1 if self.min_pixels is None else self.min_pixels
        if low < 1 or (self.max_pixels is not None and self.max_pixels < low):
            raise UserError(
                f"min_pixels={self.min_pixels} and max_pixels={self.max_pixels}: 1 <= min <= max is needed."
            )

    def keys(self, image: object = None) -> dict[str, int]:
        """What fetch_image is told of an image; keys of the image's own entry win (ValueError as in `size_keys`)."""
        limits = {"min_pixels": self.min_pixels, "max_pixels": self.max_pixels}
        return {key: int(value) for key, value in limits.items() if value is not None} | size_keys(image)


NO_LIMITS = PixelLimits()


def size_keys(image: object) -> dict[str, int]:
    """What the entry of an image in its row says about its size; ValueError for a value that is no number."""
    found: dict[str, int] = {}
    if not isinstance(image, Mapping):
        return found
    for key in SIZE_KEYS:
        if (value := image.get(key)) is not None:
            try:
                found[key] = int(value)
            except (TypeError, ValueError, OverflowError) as error:
                raise ValueError(f"{key}={str(value)[:40]!r} is no number") from error
    return found


def fetch_limits(keys: Mapping[str, int], factor: int) -> tuple[int, int]:
    """Least and most pixels of what fetch_image makes of an image with these keys, without those of a fixed size.

    Raises:
        ValueError: they contradict each other; fetch_image would fail without naming them.
    """
    low = keys.get("min_pixels", FETCH_MIN_TOKENS * factor**2)
    high = keys.get("max_pixels", FETCH_MAX_TOKENS * factor**2)
    if high < max(low, 1):
        own = "".join(f", {name} by default" for name in ("min_pixels", "max_pixels") if name not in keys)
        raise ValueError(f"min_pixels={low} and max_pixels={high}{own}: 1 <= min <= max is needed")
    return low, high


@dataclass(frozen=True)
class ImageRules:
    """The numbers of one checkpoint's image processor, and the limits of a run."""

    patch_size: int = 14
    merge_size: int = 2
    min_pixels: int = 56 * 56
    max_pixels: int = 28 * 28 * 16_384
    limits: PixelLimits = NO_LIMITS

    def __post_init__(self) -> None:
        try:
            fetch_limits(self.limits.keys(), self.factor)
        except ValueError as error:
            raise UserError(f"Limits on the size of images: {error}.") from error

    @classmethod
    def of_processor(cls, images: Any, limits: PixelLimits = NO_LIMITS) -> Self:
        """The rules of a transformers image processor of the Qwen-VL family."""
        size = images.size
        return cls(images.patch_size, images.merge_size, size["shortest_edge"], size["longest_edge"], limits)

    @property
    def factor(self) -> int:
        """Side of the square of pixels that one token stands for."""
        return self.patch_size * self.merge_size

    def resized(self, size: Size, image: object = None) -> Size:
        """Width and height that the model sees.

        Args:
            image: the image's entry in its row, which may ask for a size of its own (SIZE_KEYS).

        Raises:
            ValueError: an aspect ratio that is refused, limits that contradict each other, a side that would be 0.
        """
        return _both_steps(size, self, tuple(self.limits.keys(image).items()))

    def tokens(self, size: Size, image: object = None) -> int:
        """Prompt tokens of an image of `size` = (width, height) pixels."""
        width, height = self.resized(size, image)
        return (width // self.factor) * (height // self.factor)

    def tokens_of_row(self, sizes: Sequence[Size], images: Sequence[object]) -> list[int]:
        """Prompt tokens of every image of a row; ValueError as in `resized`, with the image's number.

        Args:
            images: the entries of the same images.
        """
        tokens = []
        for number, (size, image) in enumerate(zip(sizes, images, strict=True)):
            try:
                tokens.append(self.tokens(size, image))
            except ValueError as error:
                raise ValueError(f"image {number}: {error}") from error
        return tokens


QWEN2_5_VL = ImageRules()


@lru_cache(maxsize=1 << 16)
def _both_steps(size: Size, rules: ImageRules, keys: tuple[tuple[str, int], ...]) -> Size:
    asked, factor = dict(keys), rules.factor
    if "resized_height" in asked and "resized_width" in asked:
        size, limits = (asked["resized_width"], asked["resized_height"]), fetch_limits({}, factor)
    else:
        limits = fetch_limits(asked, factor)
    fetched = smart_resize(size, factor, *limits)
    if not all(fetched):
        raise ValueError(f"{size[0]}x{size[1]} does not fit into {limits[1]} pixels: a side would become 0")
    width, height = smart_resize(fetched, factor, rules.min_pixels, rules.max_pixels)
    return max(factor, width), max(factor, height)  # a processor keeps one row of squares where fetch_image fails


def smart_resize(size: Size, factor: int, min_pixels: int, max_pixels: int) -> Size:
    """Sides rounded to multiples of `factor`, then scaled down or up until the area lies within the limits.

    As in qwen_vl_utils: scaled down, a side may become 0.
    """
    width, height = size
    if min(size) < 1:
        raise ValueError(f"{width}x{height} is no size of an image")
    if max(size) > MOST_ASPECT * min(size):
        raise ValueError(f"{width}x{height} is more than {MOST_ASPECT} times as long as wide")
    rounded_width, rounded_height = (max(factor, round(side / factor) * factor) for side in size)
    if rounded_width * rounded_height > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        return math.floor(width / shrink / factor) * factor, math.floor(height / shrink / factor) * factor
    if rounded_width * rounded_height < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        return math.ceil(width * grow / factor) * factor, math.ceil(height * grow / factor) * factor
    return rounded_width, rounded_height
