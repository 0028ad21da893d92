"""A row becomes what the engine gets: token ids of the chat template and decoded images, as in verl's rollouts.

    builder = PromptBuilder(checkpoint_dir, 4096, PixelLimits(max_pixels=1_605_632))
    prompt = builder.build(row, data_file)            # Prompt, or PromptError for a row that cannot be sampled

The rules are those of verl's RLHFDataset and agent loops: `<image>` in a message marks an image, in order; images are
resized by qwen_vl_utils, then the checkpoint's own chat template is applied. One image placeholder token stands for
each image: the engine expands it.
Not here: videos and audio.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from data_prep.images import ImageError, decode_image
from data_prep.markers import vision_token_ids
from data_prep.tokens.resize import PixelLimits, fetch_limits


class PromptError(ValueError):
    """A row that cannot be sampled; `kind` is what is counted in the summary."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Prompt:
    """What the engine gets for one row."""

    token_ids: list[int]
    images: list[Image.Image]
    n_tokens: int
    """Length with every image expanded to its tokens."""


class PromptBuilder:
    """Chat template and image rules of one checkpoint."""

    def __init__(
        self,
        checkpoint: str | Path,
        max_prompt_tokens: int,
        pixels: PixelLimits,
        system_prompt: str | None = None,
        instruction: str | None = None,
    ) -> None:
        from transformers import AutoProcessor, AutoTokenizer

        processor = AutoProcessor.from_pretrained(checkpoint)
        self._template = processor
        # A text-only checkpoint has a tokenizer where others have a processor around one.
        self.tokenizer = getattr(processor, "tokenizer", None) or AutoTokenizer.from_pretrained(checkpoint)
        self._image_processor = getattr(processor, "image_processor", None)
        self._max_prompt_tokens = max_prompt_tokens
        self._pixels = pixels
        self._system_prompt = system_prompt
        self._instruction = instruction
        vocabulary = self.tokenizer.get_vocab()
        ends = (self.tokenizer.eos_token, "<|im_end|>", "<|endoftext|>")
        self.end_token_ids = frozenset(vocabulary[name] for name in ends if name in vocabulary)
        self.vision_token_ids = vision_token_ids(self.tokenizer)

    def build(self, row: dict[str, Any], data_file: Path) -> Prompt:
        """Token ids and images of a row; raises PromptError with a kind for rows that cannot be sampled."""
        references = list(row.get("images") or [])
        if references and self._image_processor is None:
            raise PromptError("model_without_vision", "the row has images, the checkpoint has no image processor")
        messages = with_prompts(row.get("prompt"), self._system_prompt, self._instruction)
        messages = structured(messages, len(references))
        try:
            images = [self._resized(decode_image(reference, data_file), reference) for reference in references]
        except ImageError as error:
            raise PromptError(error.kind, str(error)) from error
        try:
            text = self._template.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        except Exception as error:  # a Jinja template may raise anything, and only for certain rows
            raise PromptError("chat_template", f"the checkpoint's chat template refuses the row: {error}") from error
        token_ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        try:
            n_tokens = len(token_ids) + sum(self._image_tokens(image) - 1 for image in images)
        except ValueError as error:  # resized, an image may be too long and narrow for the processor
            raise PromptError("unusable_image", str(error)) from error
        if n_tokens > self._max_prompt_tokens:
            raise PromptError("prompt_too_long", f"{n_tokens} prompt tokens, {self._max_prompt_tokens} are allowed")
        return Prompt(token_ids, images, n_tokens)

    def _resized(self, image: Image.Image, reference: object) -> Image.Image:
        from qwen_vl_utils import fetch_image

        patch_size = getattr(self._image_processor, "patch_size", 14)
        try:
            keys = self._pixels.keys(reference)
            fetch_limits(keys, 2 * patch_size)  # fetch_image only asserts that they do not contradict each other
            return fetch_image({"image": image, **keys}, image_patch_size=patch_size)
        except (ValueError, OSError, ZeroDivisionError) as error:
            raise PromptError("unusable_image", f"image of {image.width}x{image.height}: {error}") from error

    def _image_tokens(self, image: Image.Image) -> int:
        """Tokens of one image from its size alone; 1 where the processor cannot say."""
        count = getattr(self._image_processor, "get_number_of_image_patches", None)
        if count is None:
            return 1
        return count(image.height, image.width, {}) // getattr(self._image_processor, "merge_size", 1) ** 2


def with_prompts(prompt: object, system_prompt: str | None, instruction: str | None) -> list[dict[str, Any]]:
    """The row's messages, checked and copied, with the run's system prompt and instruction in them."""
    if isinstance(prompt, str):
        prompt = [{"role": "user", "content": prompt}]
    if not isinstance(prompt, list) or not prompt:
        raise PromptError("bad_prompt", f"`prompt` must be a list of messages, got {type(prompt).__name__}")
    messages = []
    for message in prompt:
        if not isinstance(message, dict) or not isinstance(message.get("content"), str) or not message.get("role"):
            raise PromptError("bad_prompt", "every message of `prompt` needs a role and a text as content")
        messages.append({"role": message["role"], "content": message["content"]})
    if system_prompt is not None:
        messages = [message for message in messages if message["role"] != "system"]
        messages.insert(0, {"role": "system", "content": system_prompt})
    if instruction is not None:
        last_user = max((i for i, message in enumerate(messages) if message["role"] == "user"), default=None)
        if last_user is None:
            raise PromptError("bad_prompt", "no user message to append the instruction to")
        messages[last_user]["content"] += "\n" + instruction
    return messages


def structured(messages: list[dict[str, Any]], n_images: int) -> list[dict[str, Any]]:
    """Messages whose `<image>` marks are image parts; in a row without images the text stays as it is."""
    if n_images == 0:
        return messages
    marks = sum(message["content"].count("<image>") for message in messages)
    if marks != n_images:
        raise PromptError("image_count", f"{marks} <image> placeholders but {n_images} images")
    parts = []
    for message in messages:
        pieces = [piece for piece in re.split("(<image>)", message["content"]) if piece]
        content = [{"type": "image"} if piece == "<image>" else {"type": "text", "text": piece} for piece in pieces]
        parts.append({"role": message["role"], "content": content})
    return parts
