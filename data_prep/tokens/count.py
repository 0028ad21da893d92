"""Prompt tokens of rows, exactly as the rollout will count them, from texts and image sizes: no image is decoded.

    counter = PromptCounter("Qwen2.5-VL-7B-Instruct")
    counter.count([(row["prompt"], [391]), ...])        # [512, ...]; 391 = counter.rules.tokens((640, 480))

The chat template is rendered once per shape of a conversation (roles, places of images) and then filled in; fixed texts
such as a system prompt are tokenized once. Every shape is checked against the full way before it is relied on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Protocol

from data_prep.errors import UserError
from data_prep.markers import IMAGE
from data_prep.tokens.resize import NO_LIMITS, ImageRules, PixelLimits

Messages = Sequence[Mapping[str, str]]
Asked = tuple[Messages, Sequence[int]]
"""Messages of a row, and the tokens of each of its images."""

_IMAGES = re.compile(f"({IMAGE})")
_MOST_CACHED = 4096

PROBE = "x" * 300 + " </think> {{ y }} & é <b> \\n"
"""What a template may not change in any way if texts are to be put into its frame."""


class Tokenizer(Protocol):
    """What is used of a transformers tokenizer."""

    def __call__(self, text: list[str], add_special_tokens: bool) -> Mapping[str, list[list[int]]]: ...
    def get_added_vocab(self) -> dict[str, int]: ...


class Backend(Protocol):
    """What is used of a tokenizers.Tokenizer."""

    def encode_batch_fast(self, input: list[str], add_special_tokens: bool) -> Sequence[Sized]: ...
    def no_padding(self) -> None: ...
    def no_truncation(self) -> None: ...


class Template(Protocol):
    """What is used of a processor, or of the tokenizer of a text-only checkpoint."""

    def apply_chat_template(
        self, conversation: list[dict[str, object]], add_generation_prompt: bool, tokenize: bool
    ) -> str: ...


@dataclass(frozen=True)
class _Piece:
    """A fixed stretch of a rendered template, taken apart at its added tokens."""

    text: str
    tokens: int
    """Added tokens, and those of what stands between two of them."""

    first: str
    """What belongs to the text before it: up to the first added token."""

    last: str
    """What belongs to the text after it: from the last added token."""


_Pieces = tuple[_Piece, ...] | None
"""The pieces around the texts; None where a template does not insert texts as they are."""


class PromptCounter:
    """Tokenizer, chat template and image rules of one checkpoint."""

    def __init__(self, checkpoint: str | Path, limits: PixelLimits = NO_LIMITS) -> None:
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
        images = getattr(processor, "image_processor", None)
        # A checkpoint without images counts those of a row as Qwen2.5-VL does.
        self.rules = ImageRules(limits=limits) if images is None else ImageRules.of_processor(images, limits)
        self._backend = _backend_of(self._tokenizer)
        added = sorted(self._tokenizer.get_added_vocab(), key=len, reverse=True)
        self._marks = re.compile("|".join(map(re.escape, added))) if added else None
        self._frames: dict[tuple[object, ...], _Pieces] = {}
        self._lengths: dict[str, int] = {"": 0}

    def count(self, rows: Sequence[Asked]) -> list[int]:
        """Tokens of each prompt, the generation prompt and all image tokens included."""
        taken = [self._taken_apart(messages, len(images)) for messages, images in rows]
        self._measure([stretch for _fixed, stretches in taken for stretch in stretches])
        counts = [
            fixed + sum(map(self._lengths.__getitem__, stretches)) + _beyond_placeholders(images)
            for (fixed, stretches), (_messages, images) in zip(taken, rows, strict=True)
        ]
        self._forget()
        return counts

    def at_most(self, rows: Sequence[Asked]) -> list[int]:
        """Upper bounds of `count`: questions are not tokenized, a byte-level tokenizer makes at most a token a byte."""
        bounds = []
        for messages, images in rows:
            fixed, stretches = self._taken_apart(messages, len(images))
            known = [self._lengths.get(stretch) or _bytes_bound(stretch) for stretch in stretches]
            bounds.append(fixed + sum(known) + _beyond_placeholders(images))
        return bounds

    def _taken_apart(self, messages: Messages, n_images: int) -> tuple[int, list[str]]:
        """Tokens that are the same for all rows of a shape, and the stretches of text still to be measured."""
        parts: Parts = [
            (message["role"], _IMAGES.split(message["content"]) if n_images else [message["content"]])
            for message in messages
        ]
        pieces = self._pieces_around(parts, n_images)
        if pieces is None:
            return self._segments(self._rendered(parts, n_images))
        stretches = [
            before.last + text + after.first
            for before, text, after in zip(pieces, _texts(parts), pieces[1:], strict=False)
        ]
        return sum(piece.tokens for piece in pieces), [pieces[0].first, *stretches, pieces[-1].last]

    def _pieces_around(self, parts: Parts, n_images: int) -> _Pieces:
        """The frame of rows like this one.

        A template may look for added tokens in a text. Where an earlier message has one, such as <think> in a system
        prompt, it is the message's own frame, since many rows share it; where the last message has one, there is none.
        """
        key: tuple[object, ...] = (n_images > 0,)
        for number, (role, texts) in enumerate(parts, 1):
            marked = self._marks is not None and any("<" in t and t != IMAGE and self._marks.search(t) for t in texts)
            if marked and number == len(parts):
                return None
            key += ((role, *(texts if marked else map(_shape, texts))),)
        if key not in self._frames:
            if len(self._frames) == _MOST_CACHED:
                return None
            self._frames[key] = self._frame(parts, n_images)
        return self._frames[key]

    # ------------------------------------------------------------------------------------------------------- template

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

    def _frame(self, parts: Parts, n_images: int) -> _Pieces:
        """The pieces around the texts, checked with texts that a template might strip, cut or escape."""
        signed = _with_texts(parts, lambda number: f"\ue000{number}\ue001")
        pieces = tuple(re.split("\ue000[0-9]+\ue001", self._rendered(signed, n_images)))
        odd = _with_texts(parts, lambda number: f" \n{number}{PROBE} \n ")
        for probe in (parts, odd):
            expected = len(_texts(probe)) + 1
            if len(pieces) != expected or _filled(pieces, probe) != self._rendered(probe, n_images):
                return None
        # Two texts in one stretch would be tokenized together.
        if any(self._marks is None or not self._marks.search(piece) for piece in pieces):
            return None
        return tuple(map(self._piece, pieces))

    def _piece(self, text: str) -> _Piece:
        assert self._marks is not None
        marks = list(self._marks.finditer(text))
        first, last = text[: marks[0].start()], text[marks[-1].end() :]
        count, between = self._segments(text[marks[0].start() : marks[-1].end()])
        self._measure(between)
        return _Piece(text, count + sum(self._lengths[stretch] for stretch in between), first, last)

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
            encoded: Sequence[Sized] = (
                self._backend.encode_batch_fast(new, add_special_tokens=False)
                if self._backend is not None
                else self._tokenizer(new, add_special_tokens=False)["input_ids"]
            )
            self._lengths.update(zip(new, map(len, encoded), strict=True))
        self._often = Counter(segments)

    def _forget(self) -> None:
        """Questions come once; what all rows share stays."""
        if len(self._lengths) > _MOST_CACHED:
            self._lengths = {
                text: length for text, length in self._lengths.items() if not text or self._often[text] > 1
            }


def _beyond_placeholders(images: Sequence[int]) -> int:
    """Tokens of images beyond the one placeholder each."""
    return sum(images) - len(images)


def _shape(text: str) -> str:
    """What of a text changes how a template is rendered around it."""
    return IMAGE if text == IMAGE else "text" if text else ""


def _bytes_bound(text: str) -> int:
    """Most tokens of a byte-level tokenizer; normalisation may make three bytes of one outside ASCII."""
    return len(text) if text.isascii() else 3 * len(text.encode())


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


def _backend_of(tokenizer: Tokenizer) -> Backend | None:
    """The Rust half of a fast tokenizer: it makes no lists of ids and no places in the text."""
    backend: Backend | None = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:  # what a tokenizer.json may ask for, and no call here wants
        backend.no_padding()
        backend.no_truncation()
    return backend
