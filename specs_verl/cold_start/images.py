"""Images as a rollout sees them: how large they become, how many tokens they take, their pixels.

    rules = ProcessorRules.of(processor)
    rules.grid((448, 448), image)          # (1, 32, 32): from the size alone, nothing is decoded
    rules.pixels(opened, image)            # {"pixel_values": ..., "image_grid_thw": ...}
    load_pixels(table, rules, 7, 0)        # the same for the first image of row 7

verl's rollout resizes with qwen_vl_utils.fetch_image and then hands the image to the processor, which resizes by rules
of its own; both steps are repeated here, so that training sees the very pixels that sampling saw. The arithmetic is
that of data_prep.tokens.resize; the limits of a run are already in the image entries (table.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from PIL import Image
from qwen_vl_utils import fetch_image

from data_prep.tokens.resize import SIZE_KEYS, ImageRules, size_keys
from specs_verl.cold_start.table import UNREADABLE, ParquetTable
from specs_verl.errors import UserError

if TYPE_CHECKING:
    from transformers import BaseImageProcessor, PreTrainedTokenizerBase, ProcessorMixin


@dataclass(frozen=True)
class ProcessorRules:
    """The image half of a Qwen-VL processor."""

    processor: BaseImageProcessor
    patch_size: int
    merge_size: int
    token: str  # placeholder in the text, repeated once per feature
    token_id: int

    @classmethod
    def of(cls, processor: ProcessorMixin | PreTrainedTokenizerBase | None) -> ProcessorRules | None:
        """The rules of a multimodal processor; None for a tokenizer (a text-only model)."""
        image_processor = getattr(processor, "image_processor", None)
        if processor is None or image_processor is None:
            return None
        token = processor.image_token
        token_id = processor.tokenizer.convert_tokens_to_ids(token)
        return cls(image_processor, image_processor.patch_size, image_processor.merge_size, token, token_id)

    def grid(self, size: tuple[int, int], image: dict) -> tuple[int, int, int]:
        """(time, height, width) in patches of an image of `size` = (width, height) pixels.

        Raises:
            ValueError: a size that the resizing rules refuse.
        """
        width, height = ImageRules.of_processor(self.processor).resized(size, image)
        return 1, height // self.patch_size, width // self.patch_size

    def tokens(self, grid: tuple[int, int, int]) -> int:
        """Features, and thus prompt tokens, of an image with this grid."""
        return grid[0] * grid[1] * grid[2] // self.merge_size**2

    def pixels(self, opened: Image.Image, image: dict) -> dict[str, torch.Tensor]:
        """Flattened patches (patches, channels * time * patch_size^2) and grid (1, 3) of one image."""
        resized = fetch_image({"image": opened, **size_keys(image)}, image_patch_size=self.patch_size)
        return self.processor(images=[resized], return_tensors="pt")


def image_settings(rules: ProcessorRules | None) -> str:
    """Everything that changes pixels, as text: part of the cache keys. Empty for a text-only model."""
    return "" if rules is None else rules.processor.to_json_string()


def load_pixels(table: ParquetTable, rules: ProcessorRules, index: int, number: int) -> dict[str, torch.Tensor]:
    """Pixels and grid of one image of a row, as `ProcessorRules.pixels` returns them.

    Raises:
        UserError: the image cannot be decoded; file, row and image are named.
    """
    image = table.images(index)[number]
    opened = table.open_image(index, table.image_file(index, image))
    try:
        return rules.pixels(opened, image)
    except UNREADABLE as error:
        raise UserError(
            f"{table.where(index)}: image {number} cannot be decoded ({error}). Fix or drop the row."
        ) from error


def size_key(image: dict) -> str:
    """The part of an image entry that changes its size, as text: part of the cache keys."""
    return repr([(key, image[key]) for key in SIZE_KEYS if key in image])
