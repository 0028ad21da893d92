"""Rollouts of a training step as rows for people: prompt, images, responses, extracted answer, verdict, reward parts.

    prompts = sampled_prompts(rollouts)     # one SampledPrompt per prompt, its responses in order

What models and data files hold is hostile text: it is cut here (`cut`) and escaped by whoever shows it (page.py,
trackers.py). Images are taken as verl decoded them; no path or address of a row is followed.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

LONGEST_PROMPT = 4_000
LONGEST_RESPONSE = 12_000
LONGEST_FIELD = 300
MOST_IMAGES = 4
MOST_PARTS = 16

SHOWN_APART = ("score", "acc", "format", "pred", "status", "row_id")
"""Entries of a score dict with a place of their own; the other numbers are listed as parts of the reward."""


@dataclass(frozen=True)
class Rollout:
    """One response as it comes from verl."""

    key: str
    """verl's `{prompt}_{sample}_{turn}`."""

    messages: Sequence[Mapping[str, Any]]
    """The row's conversation; images are parts of it."""

    truth: object
    text: str
    tokens: int
    score: float
    grades: Mapping[str, object]
    """The score dict of the reward function; empty where it returned a number only."""


@dataclass(frozen=True)
class SampledResponse:
    text: str
    tokens: int
    score: float
    extracted: str
    verdict: str
    parts: Mapping[str, float]
    """Numbers that the reward function returned besides, accuracy and format first."""


@dataclass(frozen=True)
class SampledPrompt:
    row_id: str
    text: str
    truth: str
    images: tuple[bytes, ...]
    """Image files: as the row holds them, or as PNG."""

    responses: tuple[SampledResponse, ...]


def sampled_prompts(rollouts: Iterable[Rollout]) -> list[SampledPrompt]:
    """The prompts of some rollouts in the order in which they come, with all of their responses."""
    groups: dict[str, list[Rollout]] = {}
    for rollout in rollouts:
        groups.setdefault(prompt_of(rollout.key), []).append(rollout)
    return [_prompt(sorted(group, key=lambda rollout: _position(rollout.key))) for group in groups.values()]


def prompt_of(key: str) -> str:
    """verl's id of the prompt in the key of a trajectory."""
    return key.rsplit("_", 2)[0]


def cut(text: object, limit: int) -> str:
    """A text of at most about `limit` characters: the middle of longer ones is left out."""
    whole = str(text)
    if len(whole) <= limit:
        return whole
    half = limit // 2
    return f"{whole[:half]}\n[... {len(whole) - 2 * half} characters left out ...]\n{whole[-half:]}"


def _position(key: str) -> tuple[int, int]:
    _, sample, turn = key.rsplit("_", 2)
    return int(sample), int(turn)


def _prompt(group: Sequence[Rollout]) -> SampledPrompt:
    first = group[0]
    texts, images = [], []
    for message in first.messages:
        content = message.get("content")
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else list(content or ())
        pieces = []
        for part in parts:
            if part.get("type") == "image":
                pieces.append("[image]")
                if (content_of := image_file(part)) is not None:
                    images.append(content_of)
            else:
                pieces.append(str(part.get("text") or f"[{part.get('type')}]"))
        texts.append(f"{message.get('role')}: {''.join(pieces)}")
    return SampledPrompt(
        row_id=cut(first.grades.get("row_id") or "", LONGEST_FIELD),
        text=cut("\n\n".join(texts), LONGEST_PROMPT),
        truth=cut(first.truth, LONGEST_FIELD),
        images=tuple(images[:MOST_IMAGES]),
        responses=tuple(_response(rollout) for rollout in group),
    )


def _response(rollout: Rollout) -> SampledResponse:
    grades = rollout.grades
    names = [name for name in ("acc", "format") if name in grades] + [
        name for name in grades if name not in SHOWN_APART
    ]
    numbers = {
        cut(name, 40): float(value)
        for name in names
        if isinstance(value := grades[name], int | float) and not isinstance(value, bool)
    }
    return SampledResponse(
        text=cut(rollout.text, LONGEST_RESPONSE),
        tokens=rollout.tokens,
        score=rollout.score,
        extracted=cut(grades.get("pred") or "", LONGEST_FIELD),
        verdict=cut(grades.get("status") or "", 40),
        parts=dict(list(numbers.items())[:MOST_PARTS]),
    )


def image_file(part: Mapping[str, Any]) -> bytes | None:
    """The image of a message part as the bytes of a file, None where verl is only given a place to look."""
    content = part.get("bytes")
    if isinstance(content, bytes) and content:
        return content
    image = part.get("image")
    if not isinstance(image, Image.Image):
        return None
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()
