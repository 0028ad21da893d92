"""Prompt tokens of rows, exactly as the rollout will count them, from texts and image sizes: no image is decoded.

    counter = PromptCounter("Qwen2.5-VL-7B-Instruct")
    counter.count([(row["prompt"], [(640, 480)]), ...])        # [512, ...]

The chat template is rendered once per shape of a conversation (roles, places of images) and then filled in; fixed texts
such as a system prompt are tokenized once. Every shape is checked against the full way before it is relied on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Protocol

from data_prep.errors import UserError
from data_prep.markers import IMAGE
from data_prep.tokens.resize import ImageRules, Size

Messages = Sequence[Mapping[str, str]]
Asked = tuple[Messages, Sequence[Size]]

_IMAGES = re.compile(f"({IMAGE})")
_MOST_CACHED = 4096

PROBE = "x" * 300 + " </think> {{ y }} & é <b> \\n"
"""What a template may not change in any way if texts are to be put into its frame."""


class Tokenizer(Protocol):
    """What is used of a transformers tokenizer."""

    def __call__(self, text: list[str], add_special_tokens: bool) -> Mapping[str, list[list[int]]]: ...
    def get_added_vocab(self) -> dict[str, int]: ...


class Template(Protocol):
    """What is used of a processor, or of the tokenizer of a text-only checkpoint."""

    def apply_chat_template(
        self, conversation: list[dict[str, object]], add_generation_prompt: bool, tokenize: bool
    ) -> str: ...


@dataclass(frozen=True)
class _Frame:
    """A rendered template: the pieces around the texts. None where the template does not insert texts as they are."""

    pieces: tuple[str, ...] | None


class PromptCounter:
    """Tokenizer, chat template and image rules of one checkpoint."""

    def __init__(self, checkpoint: str | Path) -> None:
        from transformers import AutoProcessor, AutoTokenizer

        try:
            processor = AutoProcessor.from_pretrained(checkpoint)
            self._tokenizer: Tokenizer = getattr(processor, "tokenizer", None) or AutoTokenizer.from_pretrained(
                checkpoint
            )
        except (OSError, ValueError) as error:
            raise UserError(
                f"{checkpoint}: no tokenizer there ({str(error).splitlines()[0]}). Pass --model with the directory of "
                "a Hugging Face checkpoint."
            ) from error
        self._template: Template = processor
        self.rules = _rules_of(processor)
        added = sorted(self._tokenizer.get_added_vocab(), key=len, reverse=True)
        self._marks = re.compile("|".join(map(re.escape, added))) if added else None
        self._frames: dict[tuple[object, ...], _Frame] = {}
        self._lengths: dict[str, int] = {}

    def count(self, rows: Sequence[Asked]) -> list[int]:
        """Tokens of each prompt, the generation prompt and all image tokens included.

        Raises:
            ValueError: an image has an aspect ratio that the resizing refuses; check sizes first.
        """
        rendered = [self._render(messages, len(sizes)) for messages, sizes in rows]
        segmented = [self._segments(text) for text in rendered]
        self._measure([segment for _marks, segments in segmented for segment in segments])
        counts = []
        for (_messages, sizes), (marks, segments) in zip(rows, segmented, strict=True):
            text = marks + sum(self._lengths[segment] for segment in segments)
            counts.append(text + sum(self.rules.tokens(size) - 1 for size in sizes))
        self._forget()
        return counts

    # ------------------------------------------------------------------------------------------------------- template

    def _render(self, messages: Messages, n_images: int) -> str:
        parts = [
            (message["role"], _IMAGES.split(message["content"]) if n_images else [message["content"]])
            for message in messages
        ]
        shape = tuple(
            (role, tuple(part == IMAGE if n_images else bool(part) for part in texts)) for role, texts in parts
        )
        key = (n_images > 0, shape, tuple(tuple(not text for text in texts) for _role, texts in parts))
        frame = self._frames.get(key)
        if frame is None:
            frame = self._frames[key] = self._frame(parts, n_images)
        if frame.pieces is None:
            return self._rendered(parts, n_images)
        return _filled(frame.pieces, parts)

    def _rendered(self, parts: Parts, n_images: int) -> str:
        """The whole way: through the template."""
        conversation: list[dict[str, object]] = []
        for role, texts in parts:
            if n_images == 0:
                conversation.append({"role": role, "content": texts[0]})
                continue
            content = [{"type": "image"} if text == IMAGE else {"type": "text", "text": text} for text in texts if text]
            conversation.append({"role": role, "content": content})
        return self._template.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)

    def _frame(self, parts: Parts, n_images: int) -> _Frame:
        """The pieces around the texts, checked with texts that a template might strip, cut or escape."""
        signed = _with_texts(parts, lambda number: f"\ue000{number}\ue001")
        pieces = tuple(re.split("\ue000[0-9]+\ue001", self._rendered(signed, n_images)))
        odd = _with_texts(parts, lambda number: f" \n{number}{PROBE} \n ")
        for probe in (parts, odd):
            expected = len(_texts(probe)) + 1
            if len(pieces) != expected or _filled(pieces, probe) != self._rendered(probe, n_images):
                return _Frame(None)
        return _Frame(pieces)

    # -------------------------------------------------------------------------------------------------------- lengths

    def _segments(self, text: str) -> tuple[int, list[str]]:
        """How many added tokens a text holds, and the stretches between them: a tokenizer splits there first."""
        if self._marks is None:
            return 0, [text]
        stretches = self._marks.split(text)
        return len(stretches) - 1, [stretch for stretch in stretches if stretch]

    def _measure(self, segments: list[str]) -> None:
        new = [segment for segment in dict.fromkeys(segments) if segment not in self._lengths]
        if new:
            for segment, ids in zip(new, self._tokenizer(new, add_special_tokens=False)["input_ids"], strict=True):
                self._lengths[segment] = len(ids)
        self._often = Counter(segments)

    def _forget(self) -> None:
        """Questions come once; what all rows share stays."""
        if len(self._lengths) > _MOST_CACHED:
            self._lengths = {text: length for text, length in self._lengths.items() if self._often.get(text, 0) > 1}


Parts = list[tuple[str, list[str]]]
"""Role and content of every message, the content split at the places of images."""


def _texts(parts: Parts) -> list[str]:
    return [text for _role, texts in parts for text in texts if text and text != IMAGE]


def _with_texts(parts: Parts, make: Callable[[int], str]) -> Parts:
    """The same shape with other texts."""
    numbers = count()
    return [(role, [make(next(numbers)) if t and t != IMAGE else t for t in texts]) for role, texts in parts]


def _filled(pieces: tuple[str, ...], parts: Parts) -> str:
    return pieces[0] + "".join(text + piece for text, piece in zip(_texts(parts), pieces[1:], strict=True))


def _rules_of(processor: object) -> ImageRules:
    """The image rules of a processor; those of Qwen2.5-VL for a checkpoint without images."""
    images = getattr(processor, "image_processor", None)
    if images is None:
        return ImageRules()
    limits = images.size
    return ImageRules(images.patch_size, images.merge_size, limits["shortest_edge"], limits["longest_edge"])
