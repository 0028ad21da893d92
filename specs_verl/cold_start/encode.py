"""Rows as token ids, exactly as a rollout would see them.

    encoder = Encoder.from_processor(processor, tokenizer, max_length=4096)
    encoded, dropped = encoder.encode(table)

Prompt: the processor's chat template with the generation prompt, images resized as verl's rollout does, each image's
placeholder expanded to as many tokens as the vision tower makes features. Response: the text as it is, then the
end-of-turn token, which is what the model would have sampled; where a conversation goes on after it, what the template
puts between two answers, which is read and not trained on. Images are measured here, not decoded.
Not here: pixels and positions (packing.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from data_prep.markers import IMAGE, vision_token_ids
from specs_verl.cold_start.images import ProcessorRules, size_key
from specs_verl.cold_start.table import Example, ParquetTable
from specs_verl.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, ProcessorMixin

CHUNK = 512
"""Rows tokenised per call of the tokenizer, which works on them in parallel."""


@dataclass(frozen=True)
class Encoded:
    """One row, ready to be packed: a prompt and the responses that may follow it."""

    index: int  # row of the table
    prompt: np.ndarray  # int32 token ids, image placeholders expanded
    responses: tuple[np.ndarray, ...]  # int32, each ends with the end-of-turn token; of a pair: chosen, rejected
    trained: tuple[np.ndarray, ...]  # bool, of every response token: whether the model is to predict it
    grids: tuple[tuple[int, int, int], ...]  # (time, height, width) in patches, one per image
    image_keys: tuple[bytes, ...]  # content hash of each image as the tower sees it
    prompt_key: bytes  # equal for rows that share prompt and images
    key: bytes  # hash of everything the log-probabilities of this row depend on, weights apart

    @property
    def shared_tokens(self) -> int:
        """Length of the row [prompt | response | ...]."""
        return len(self.prompt) + sum(map(len, self.responses))

    @property
    def lengths(self) -> tuple[int, ...]:
        """Trained tokens of every response."""
        return tuple(int(mask.sum()) for mask in self.trained)

    @property
    def chosen(self) -> np.ndarray:
        """Of a preference pair: the first response."""
        return self.responses[0]

    @property
    def rejected(self) -> np.ndarray:
        """Of a preference pair: the second response."""
        return self.responses[1]


class Encoder:
    """Turns the rows of a table into token ids."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        template: ProcessorMixin | PreTrainedTokenizerBase,
        image_rules: ProcessorRules | None,
        max_length: int,
        too_long: str,
        end_of_turn: str,
    ) -> None:
        if too_long not in ("error", "drop"):
            raise UserError(f"data.too_long={too_long}: use error or drop.")
        self.tokenizer = tokenizer
        self.template = template
        self.image_rules = image_rules
        self.max_length = max_length
        self.too_long = too_long
        self.end_of_turn = _end_of_turn_ids(tokenizer, template, end_of_turn)
        self.vision_ids = np.array(sorted(vision_token_ids(tokenizer)), dtype=np.int32)

    @classmethod
    def from_processor(
        cls,
        processor: ProcessorMixin | None,
        tokenizer: PreTrainedTokenizerBase,
        max_length: int,
        too_long: str = "error",
        end_of_turn: str = "auto",
    ) -> Encoder:
        """`processor` is None for a text-only model."""
        return cls(tokenizer, processor or tokenizer, ProcessorRules.of(processor), max_length, too_long, end_of_turn)

    def encode(self, table: ParquetTable) -> tuple[list[Encoded], int]:
        """All rows of the table that fit, in its order, and how many were dropped as too long."""
        encoded, dropped = [], 0
        for start in range(0, len(table), CHUNK):
            rows = range(start, min(start + CHUNK, len(table)))
            for row in self._encode_chunk(table, rows):
                if row.shared_tokens <= self.max_length:
                    encoded.append(row)
                elif self.too_long == "drop":
                    dropped += 1
                else:
                    named = zip(table.example(row.index).names, row.responses, strict=True)
                    responses = " + ".join(f"{name} {len(ids)}" for name, ids in named)
                    raise UserError(
                        f"{table.where(row.index)}: prompt {len(row.prompt)} + {responses} tokens exceed "
                        f"data.max_length={self.max_length}. Raise it, or set data.too_long=drop."
                    )
        if not encoded:
            raise UserError(f"All {dropped} rows are longer than data.max_length={self.max_length}. Raise it.")
        return encoded, dropped

    def _encode_chunk(self, table: ParquetTable, rows: range) -> list[Encoded]:
        examples, grids, keys, prompts, pieces = [], [], [], [], []
        for index in rows:
            example, where = table.example(index), table.where(index)
            measured = [self._measure(table, index, image) for image in example.images]
            examples.append(example)
            grids.append(tuple(grid for grid, _ in measured))
            keys.append(tuple(key for _, key in measured))
            prompts.append(self._prompt_text(example, grids[-1], where))
            pieces.append([self._pieces(example, response, where) for response in example.responses])
        prompt_ids = self._tokenize(prompts, add_special_tokens=True)
        texts = self._tokenize([text for row in pieces for response in row for text in response], False)
        coming, encoded = iter(texts), []
        for i, index in enumerate(rows):
            responses, trained = [], []
            for name, response in zip(examples[i].names, pieces[i], strict=True):
                ids, mask = self._join([next(coming) for _ in response])
                if np.isin(ids, self.vision_ids).any():
                    raise UserError(
                        f"{table.where(index)}: the {name} contains an image placeholder token, which would "
                        "be taken for an image. Remove it from the text or drop the row."
                    )
                responses.append(ids)
                trained.append(mask)
            prompt_key = _digest(prompt_ids[i].tobytes(), *keys[i])
            partly = [mask.tobytes() for mask in trained if not mask.all()]
            encoded.append(
                Encoded(
                    index=index,
                    prompt=prompt_ids[i],
                    responses=tuple(responses),
                    trained=tuple(trained),
                    grids=grids[i],
                    image_keys=keys[i],
                    prompt_key=prompt_key,
                    key=_digest(prompt_key, *(ids.tobytes() for ids in responses), *partly),
                )
            )
        return encoded

    def _pieces(self, example: Example, response: tuple[dict, ...], where: str) -> list[str]:
        """The texts that make up a response, in turn an answer and what the template puts before the next one."""
        texts = [response[0]["content"]]
        end = self.tokenizer.decode(self.end_of_turn)
        known = self._rendered([*example.prompt], True) + texts[0] + end if len(response) > 1 else ""
        said = [*example.prompt, response[0]]
        for message in response[1:]:
            if message["role"] == "assistant":
                whole = self._rendered(said, True)
                if not whole.startswith(known):
                    raise UserError(
                        f"{where}: the chat template changes earlier answers when a conversation goes on, so that they "
                        "cannot be trained on as they were given. Split the row into one per answer."
                    )
                texts += [whole[len(known) :], message["content"]]
                known = whole + message["content"] + end
            said.append(message)
        return texts

    def _join(self, pieces: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Token ids of a response, and which of them are trained on: the answers, each with its end-of-turn token."""
        ids, mask = [], []
        for number, piece in enumerate(pieces):
            answer = number % 2 == 0
            ids += [piece, self.end_of_turn] if answer else [piece]
            mask.append(np.full(sum(map(len, ids[-2:] if answer else ids[-1:])), answer))
        return np.concatenate(ids), np.concatenate(mask)

    def _tokenize(self, texts: list[str], add_special_tokens: bool) -> list[np.ndarray]:
        ids = self.tokenizer(texts, add_special_tokens=add_special_tokens, return_attention_mask=False)["input_ids"]
        return [np.asarray(row, dtype=np.int32) for row in ids]

    def _rendered(self, messages: list[dict], add_generation_prompt: bool) -> str:
        parts = [with_image_parts(message) for message in messages]
        return self.template.apply_chat_template(parts, add_generation_prompt=add_generation_prompt, tokenize=False)

    def _prompt_text(self, example: Example, grids: tuple, where: str) -> str:
        text = self._rendered(example.prompt, True)
        rules = self.image_rules
        if rules is None or not grids:
            return text
        pieces = text.split(rules.token)
        if len(pieces) != len(grids) + 1:
            raise UserError(
                f"{where}: the chat template made {len(pieces) - 1} image placeholders of {len(grids)} images. "
                "Is this the template of a vision-language model?"
            )
        expanded = [rules.token * rules.tokens(grid) for grid in grids]
        return "".join(piece + tokens for piece, tokens in zip(pieces, [*expanded, ""], strict=True))

    def _measure(self, table: ParquetTable, index: int, image: dict) -> tuple[tuple[int, int, int], bytes]:
        if self.image_rules is None:
            raise UserError(f"{table.where(index)}: the row has images, but the model is text-only.")
        content = table.image_file(index, image)
        try:
            grid = self.image_rules.grid(table.open_image(index, content).size, image)
        except ValueError as error:  # a size that the resizing rules refuse
            raise UserError(f"{table.where(index)}: {error}. Fix or drop the row.") from error
        return grid, _digest(content, size_key(image).encode())


def with_image_parts(message: dict) -> dict:
    """A message whose `<image>` placeholders have become image parts, as the chat template wants them."""
    content = message["content"]
    if not isinstance(content, str) or IMAGE not in content:
        return {"role": message["role"], "content": content}
    parts = [part for part in re.split(f"({IMAGE})", content) if part]
    return {
        "role": message["role"],
        "content": [{"type": "image"} if part == IMAGE else {"type": "text", "text": part} for part in parts],
    }


def _end_of_turn_ids(
    tokenizer: PreTrainedTokenizerBase, template: ProcessorMixin | PreTrainedTokenizerBase, end_of_turn: str
) -> np.ndarray:
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
