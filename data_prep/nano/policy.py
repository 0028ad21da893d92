"""A nano checkpoint as a policy: batched log-probs and sampling, without the processor's per-image cost.

    policy = NanoPolicy.load(base_checkpoint())
    texts = policy.sample([scene], ["<image>Add the numbers in row 2. ..."], temperature=1.0, seed=0)
    logps, mask = policy.log_probs([scene], ["<image>..."], ["<think> ..."])     # differentiable

Every nano prompt has one image of nine tokens right after the user header, so pixels, token ids and M-RoPE positions
are computed directly; tests assert that this equals the processor and the plain Hugging Face forward pass.
Not here: sampling through vLLM, which is what the pipeline uses (specs_verl.sampling).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import AutoProcessor, DynamicCache, Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

from data_prep.nano.model import (
    END_OF_TEXT,
    IMAGE_MEAN,
    IMAGE_PAD,
    IMAGE_STD,
    IMAGE_TOKENS,
    MAX_LENGTH,
    TIME,
    TURN_END,
    TURN_START,
    VISION_END,
    VISION_START,
)  # fmt: skip
from data_prep.nano.world import SIDE, Scene, patches

IMAGE = "<image>"


class NanoPolicy:
    """Model, tokenizer and the fixed prompt layout: header, nine image tokens, question, start of the answer."""

    def __init__(self, model: Qwen2_5_VLForConditionalGeneration, processor: Qwen2_5_VLProcessor):
        self.model = model
        self.tokenizer = processor.tokenizer
        self._known: dict[str, list[int]] = {}
        self._head = self.encode(f"{TURN_START}user\n{VISION_START}")
        self._tail = self.encode(f"{TURN_END}\n{TURN_START}assistant\n")
        self._pad = self.tokenizer.convert_tokens_to_ids(END_OF_TEXT)
        self._stop = self.tokenizer.convert_tokens_to_ids(TURN_END)
        self._image = slice(len(self._head), len(self._head) + IMAGE_TOKENS)
        self._positions = self._rope_positions()

    @classmethod
    def load(cls, path: str | Path) -> "NanoPolicy":
        """A checkpoint directory, in evaluation mode and float32."""
        model = Qwen2_5_VLForConditionalGeneration.from_pretrained(path, dtype=torch.float32)
        return cls(model.eval(), AutoProcessor.from_pretrained(path))

    def encode(self, text: str) -> list[int]:
        """Token ids, remembered: the same prompts and phrases come again and again."""
        if text not in self._known:
            if len(self._known) > 200_000:
                self._known.clear()
            self._known[text] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return self._known[text]

    def prompt_ids(self, prompt: str) -> list[int]:
        """Ids of the whole chat up to the assistant's first token. The prompt starts with ``<image>``."""
        if not prompt.startswith(IMAGE) or prompt.count(IMAGE) != 1:
            raise ValueError(f"a nano prompt starts with its only {IMAGE}, got {prompt!r}")
        image = [self.tokenizer.convert_tokens_to_ids(IMAGE_PAD)] * IMAGE_TOKENS
        return [*self._head, *image, *self.encode(VISION_END), *self.encode(prompt.removeprefix(IMAGE)), *self._tail]

    def response_ids(self, response: str) -> list[int]:
        return [*self.encode(response), self._stop]

    def _rope_positions(self) -> Tensor:
        """M-RoPE positions, (3, MAX_LENGTH).

        Text counts up; the image has one time, rows and columns; the text after it goes on from the largest of them.
        """
        start, end = self._image.start, self._image.stop
        positions = np.zeros((3, MAX_LENGTH), dtype=np.int64)
        positions[:, :start] = np.arange(start)
        positions[0, start:end] = start
        positions[1, start:end] = start + np.repeat(np.arange(SIDE), SIDE)
        positions[2, start:end] = start + np.tile(np.arange(SIDE), SIDE)
        positions[:, end:] = start + SIDE + np.arange(MAX_LENGTH - end)
        return torch.from_numpy(positions)

    def pixel_values(self, scenes: Sequence[Scene]) -> Tensor:
        """What the image processor gives for the drawn scenes, (scenes * 36, 1176) float32."""
        raw = patches(scenes).reshape(-1, 3, 1, 196).astype(np.float32)
        scaled = torch.from_numpy((raw / 255 - IMAGE_MEAN) / IMAGE_STD)
        return scaled.expand(-1, -1, TIME, -1).reshape(len(raw), -1)

    def _embed(self, ids: Tensor, scenes: Sequence[Scene]) -> Tensor:
        """Input embeddings with image features in place of the image tokens; each distinct scene is encoded once."""
        order = {scene: index for index, scene in enumerate(dict.fromkeys(scenes))}
        grid = torch.tensor([[1, 2 * SIDE, 2 * SIDE]] * len(order))
        features = self.model.model.get_image_features(self.pixel_values(list(order)), grid).pooler_output
        features = torch.stack(list(features))[[order[scene] for scene in scenes]]
        words = self.model.get_input_embeddings()(ids)
        return torch.cat([words[:, : self._image.start], features, words[:, self._image.stop :]], dim=1)

    def log_probs(
        self, scenes: Sequence[Scene], prompts: Sequence[str], responses: Sequence[Sequence[int]]
    ) -> tuple[Tensor, Tensor]:
        """Log-probs of response tokens under the model.

        Args:
            responses: token ids, with the end-of-turn token where the response ended.

        Returns:
            (log-probs, mask), both (batch, longest sequence - 1); zero outside the responses.
        """
        heads = [self.prompt_ids(prompt) for prompt in prompts]
        rows = [[*head, *response] for head, response in zip(heads, responses, strict=True)]
        length = max(map(len, rows))
        ids = torch.tensor([row + [self._pad] * (length - len(row)) for row in rows])
        mask = torch.tensor(
            [[len(head) <= t < len(row) for t in range(1, length)] for head, row in zip(heads, rows, strict=True)]
        )
        hidden = self.model.model.language_model(
            inputs_embeds=self._embed(ids, scenes),
            position_ids=self._positions[:, None, :length].expand(3, len(rows), length),
            use_cache=False,
        ).last_hidden_state
        chosen = -torch.nn.functional.cross_entropy(
            self.model.lm_head(hidden[:, :-1][mask]), ids[:, 1:][mask], reduction="none"
        )
        return torch.zeros(mask.shape).masked_scatter(mask, chosen), mask

    @torch.no_grad()
    def sample_ids(
        self,
        scenes: Sequence[Scene],
        prompts: Sequence[str],
        temperature: float = 1.0,
        seed: int = 0,
        max_tokens: int = 64,
        batch: int = 256,
    ) -> list[list[int]]:
        """One response per prompt as token ids, with the end-of-turn token unless cut off; temperature 0 is greedy.

        Prompts of equal length are decoded together, so nothing is padded.
        """
        generator = torch.Generator().manual_seed(seed)
        heads = [self.prompt_ids(prompt) for prompt in prompts]
        groups: dict[int, list[int]] = {}
        for index, head in enumerate(heads):
            groups.setdefault(len(head), []).append(index)
        responses: list[list[int]] = [[] for _ in heads]
        for members in groups.values():
            for first in range(0, len(members), batch):
                chunk = members[first : first + batch]
                rows = self._decode(
                    [heads[i] for i in chunk], [scenes[i] for i in chunk], temperature, generator, max_tokens
                )
                for index, row in zip(chunk, rows, strict=True):
                    responses[index] = row[: row.index(self._stop) + 1] if self._stop in row else row
        return responses

    def _decode(
        self,
        heads: list[list[int]],
        scenes: list[Scene],
        temperature: float,
        generator: torch.Generator,
        max_tokens: int,
    ) -> list[list[int]]:
        count, length = len(heads), len(heads[0])
        cache, inputs, done, tokens = (
            DynamicCache(),
            self._embed(torch.tensor(heads), scenes),
            torch.zeros(count, dtype=torch.bool),
            [],
        )
        where = slice(0, length)
        for step in range(max_tokens):
            hidden = self.model.model.language_model(
                inputs_embeds=inputs,
                position_ids=self._positions[:, None, where].expand(3, count, -1),
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state
            logits = self.model.lm_head(hidden[:, -1])
            if temperature == 0:
                token = logits.argmax(-1)
            else:
                token = torch.multinomial(torch.softmax(logits / temperature, -1), 1, generator=generator)[:, 0]
            tokens.append(torch.where(done, self._stop, token))
            done |= token == self._stop
            if done.all():
                break
            inputs = self.model.get_input_embeddings()(token[:, None])
            where = slice(length + step, length + step + 1)
        return torch.stack(tokens, dim=1).tolist()

    def sample(
        self,
        scenes: Sequence[Scene],
        prompts: Sequence[str],
        temperature: float = 1.0,
        seed: int = 0,
        max_tokens: int = 64,
    ) -> list[str]:
        """``sample_ids`` as text."""
        return [self.decode(ids) for ids in self.sample_ids(scenes, prompts, temperature, seed, max_tokens)]

    def decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
