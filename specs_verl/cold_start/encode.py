"""Preference pairs as token ids, exactly as a rollout would see them.

    encoder = Encoder.from_processor(processor, tokenizer, max_length=4096)
    encoded, dropped = encoder.encode(table)

Prompt: the processor's chat template with the generation prompt, images resized as verl's rollout does, each image's
placeholder expanded to as many tokens as the vision tower makes features. Response: the text as it is, then the
end-of-turn token, which is what the model would have sampled. Images are measured here, not decoded.
Not here: pixels and positions (packing.py).
"""

import re
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from specs_verl.cold_start.images import ImageRules, size_key
from specs_verl.cold_start.pairs import PLACEHOLDER, Pair, PairTable, check_pair
from specs_verl.errors import UserError

CHUNK = 512
"""Rows tokenised per call of the tokenizer, which works on them in parallel."""


@dataclass(frozen=True)
class EncodedPair:
    """One pair, ready to be packed."""

    index: int  # row of the PairTable
    prompt: np.ndarray  # int32 token ids, image placeholders expanded
    chosen: np.ndarray  # int32, ends with the end-of-turn token
    rejected: np.ndarray  # int32, likewise
    grids: tuple[tuple[int, int, int], ...]  # (time, height, width) in patches, one per image
    image_keys: tuple[bytes, ...]  # content hash of each image as the tower sees it
    prompt_key: bytes  # equal for pairs that share prompt and images
    key: bytes  # hash of everything the log-probabilities of this pair depend on, weights apart

    @property
    def shared_tokens(self) -> int:
        """Length of the row [prompt | chosen | rejected]."""
        return len(self.prompt) + len(self.chosen) + len(self.rejected)


class Encoder:
    """Turns the rows of a PairTable into token ids."""

    def __init__(
        self, tokenizer, template, image_rules: ImageRules | None, max_length: int, too_long: str, end_of_turn: str
    ) -> None:
        if too_long not in ("error", "drop"):
            raise UserError(f"data.too_long={too_long}: use error or drop.")
        self.tokenizer = tokenizer
        self.template = template
        self.image_rules = image_rules
        self.max_length = max_length
        self.too_long = too_long
        self.end_of_turn = _end_of_turn_ids(tokenizer, template, end_of_turn)
        vision_tokens = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
        vocabulary = tokenizer.get_vocab()
        self.vision_ids = np.array(sorted(vocabulary[t] for t in vision_tokens if t in vocabulary), dtype=np.int32)

    @classmethod
    def from_processor(
        cls, processor, tokenizer, max_length: int, too_long: str = "error", end_of_turn: str = "auto"
    ) -> "Encoder":
        """`processor` is None for a text-only model."""
        return cls(tokenizer, processor or tokenizer, ImageRules.of(processor), max_length, too_long, end_of_turn)

    def encode(self, table: PairTable) -> tuple[list[EncodedPair], int]:
        """All rows of the table that fit, in its order, and how many were dropped as too long."""
        encoded, dropped = [], 0
        for start in range(0, len(table), CHUNK):
            rows = range(start, min(start + CHUNK, len(table)))
            for pair in self._encode_chunk(table, rows):
                if pair.shared_tokens <= self.max_length:
                    encoded.append(pair)
                elif self.too_long == "drop":
                    dropped += 1
                else:
                    raise UserError(
                        f"{table.where(pair.index)}: prompt {len(pair.prompt)} + chosen {len(pair.chosen)} + rejected "
                        f"{len(pair.rejected)} tokens exceed data.max_length={self.max_length}. "
                        "Raise it, or set data.too_long=drop."
                    )
        if not encoded:
            raise UserError(f"All {dropped} rows are longer than data.max_length={self.max_length}. Raise it.")
        return encoded, dropped

    def _encode_chunk(self, table: PairTable, rows: range) -> list[EncodedPair]:
        pairs, grids, keys, prompts = [], [], [], []
        for index in rows:
            pair = table[index]
            check_pair(pair, table.where(index))
            measured = [self._measure(table, index, image) for image in pair.images]
            pairs.append(pair)
            grids.append(tuple(grid for grid, _ in measured))
            keys.append(tuple(key for _, key in measured))
            prompts.append(self._prompt_text(pair, grids[-1], table.where(index)))
        prompt_ids = self._tokenize(prompts, add_special_tokens=True)
        chosen_ids = self._tokenize([pair.chosen for pair in pairs], add_special_tokens=False)
        rejected_ids = self._tokenize([pair.rejected for pair in pairs], add_special_tokens=False)
        encoded = []
        for i, index in enumerate(rows):
            chosen, rejected = (np.concatenate([ids, self.end_of_turn]) for ids in (chosen_ids[i], rejected_ids[i]))
            for side, ids in (("chosen", chosen), ("rejected", rejected)):
                if np.isin(ids, self.vision_ids).any():
                    raise UserError(
                        f"{table.where(index)}: the {side} response contains an image placeholder token, which would "
                        "be taken for an image. Remove it from the text or drop the row."
                    )
            prompt_key = _digest(prompt_ids[i].tobytes(), *keys[i])
            encoded.append(
                EncodedPair(
                    index=index,
                    prompt=prompt_ids[i],
                    chosen=chosen,
                    rejected=rejected,
                    grids=grids[i],
                    image_keys=keys[i],
                    prompt_key=prompt_key,
                    key=_digest(prompt_key, chosen.tobytes(), rejected.tobytes()),
                )
            )
        return encoded

    def _tokenize(self, texts: list[str], add_special_tokens: bool) -> list[np.ndarray]:
        ids = self.tokenizer(texts, add_special_tokens=add_special_tokens, return_attention_mask=False)["input_ids"]
        return [np.asarray(row, dtype=np.int32) for row in ids]

    def _prompt_text(self, pair: Pair, grids: tuple, where: str) -> str:
        text = self.template.apply_chat_template(
            [with_image_parts(message) for message in pair.prompt], add_generation_prompt=True, tokenize=False
        )
        if not grids:
            return text
        pieces = text.split(self.image_rules.token)
        if len(pieces) != len(grids) + 1:
            raise UserError(
                f"{where}: the chat template made {len(pieces) - 1} image placeholders of {len(grids)} images. "
                "Is this the template of a vision-language model?"
            )
        expanded = [self.image_rules.token * self.image_rules.tokens(grid) for grid in grids]
        return "".join(piece + tokens for piece, tokens in zip(pieces, [*expanded, ""], strict=True))

    def _measure(self, table: PairTable, index: int, image: dict) -> tuple[tuple[int, int, int], bytes]:
        if self.image_rules is None:
            raise UserError(f"{table.where(index)}: the row has images, but the model is text-only.")
        opened = table.open_image(index, image)
        try:
            grid = self.image_rules.grid(opened.size, image)
        except ValueError as error:  # the resizing rules refuse extreme aspect ratios
            raise UserError(f"{table.where(index)}: {error}. Fix or drop the row.") from error
        content = image.get("bytes") or Path(opened.filename).read_bytes()
        return grid, _digest(content, size_key(image).encode())


def with_image_parts(message: dict) -> dict:
    """A message whose `<image>` placeholders have become image parts, as the chat template wants them."""
    content = message["content"]
    if not isinstance(content, str) or PLACEHOLDER not in content:
        return {"role": message["role"], "content": content}
    parts = [part for part in re.split(f"({PLACEHOLDER})", content) if part]
    return {
        "role": message["role"],
        "content": [{"type": "image"} if part == PLACEHOLDER else {"type": "text", "text": part} for part in parts],
    }


def _end_of_turn_ids(tokenizer, template, end_of_turn: str) -> np.ndarray:
    """Token ids that close a response.

    `auto` is the one token that ends the turn when sampling; `template` is everything the chat template puts after a
    response (Qwen's adds a line break that no rollout ever samples); anything else is taken as the text itself.
    """
    question = [{"role": "user", "content": "Q"}]
    answer = [*question, {"role": "assistant", "content": "A"}]
    before = template.apply_chat_template(question, add_generation_prompt=True, tokenize=False)
    whole = template.apply_chat_template(answer, tokenize=False)
    suffix = whole[len(before) + 1 :] if whole.startswith(before + "A") else ""
    if end_of_turn == "template":
        text = suffix
    elif end_of_turn == "auto":
        text = suffix.strip()
        if len(tokenizer(text, add_special_tokens=False)["input_ids"]) != 1:
            text = tokenizer.eos_token or ""
    else:
        text = end_of_turn
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    if not ids:
        raise UserError(
            "The chat template shows no end-of-turn token and the tokenizer has no eos_token: set data.end_of_turn."
        )
    return np.asarray(ids, dtype=np.int32)


def _digest(*parts: bytes) -> bytes:
    digest = blake2b(digest_size=16)
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()
