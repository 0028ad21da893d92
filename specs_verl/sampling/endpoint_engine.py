"""A chat endpoint as a sampling engine: the teacher's samples lie in the same kind of directory as a checkpoint's.

    sample(Job(model="http://127.0.0.1:8000/v1#Qwen2.5-VL-72B", data=..., out=..., parameters=...))

Requests run in one event loop in a thread of the worker; replies are cached beside the samples.
"""

from __future__ import annotations

import asyncio
import base64
import io
import queue
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.images import ImageError, decode_image
from specs_verl.errors import UserError
from specs_verl.sampling.endpoint import Cache, Endpoint, EndpointClient, EndpointError
from specs_verl.sampling.engine import Finished, Sample
from specs_verl.sampling.parameters import EngineSettings, SamplingParameters
from specs_verl.sampling.prompts import PromptError, with_prompts

WAIT_SECONDS = 0.2
MEDIA_TYPES = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp"}


@dataclass(frozen=True)
class ChatPrompt:
    """A conversation in the endpoint's form."""

    messages: list[dict[str, Any]]
    n_tokens: int = 0
    """Unknown: the endpoint counts, not we."""


class EndpointEngine:
    """Samples from a chat endpoint."""

    seeds_per_request = True

    def __init__(self, model: str, parameters: SamplingParameters, settings: EngineSettings, out: Path) -> None:
        endpoint = Endpoint.parse(model)
        self.parameters = parameters
        self.capacity = endpoint.concurrency
        self._finished: queue.SimpleQueue[Finished | BaseException] = queue.SimpleQueue()
        self._open = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="endpoint", daemon=True)
        self._thread.start()
        self._cache = Cache(out / "replies.sqlite")
        self._client = EndpointClient(endpoint, self._cache)
        asyncio.run_coroutine_threadsafe(self._client.__aenter__(), self._loop).result()

    @property
    def busy(self) -> bool:
        """Whether any request is unfinished."""
        return self._open > 0

    def build(self, row: dict[str, Any], data_file: Path) -> ChatPrompt:
        """The conversation of a row with its images in it, or PromptError."""
        messages = with_prompts(row.get("prompt"), self.parameters.system_prompt, self.parameters.instruction)
        return ChatPrompt(chat_messages(messages, list(row.get("images") or []), data_file))

    def add(self, key: str, prompt: ChatPrompt, seed: int | None, n: int) -> None:
        """Ask for n samples; they finish together."""
        self._open += 1
        asyncio.run_coroutine_threadsafe(self._ask(key, prompt, seed, n), self._loop)

    async def _ask(self, key: str, prompt: ChatPrompt, seed: int | None, n: int) -> None:
        wanted = self.parameters
        sampling = {"temperature": wanted.temperature, "top_p": wanted.top_p, "max_tokens": wanted.max_tokens}
        asked = [
            self._client.complete(prompt.messages, **sampling, seed=None if seed is None else seed + number)
            for number in range(n)
        ]
        samples, failures = [], []
        for number, reply in enumerate(await asyncio.gather(*asked, return_exceptions=True)):
            if isinstance(reply, EndpointError):
                failures.append(str(reply))
            elif isinstance(reply, BaseException):
                self._finished.put(reply)
                return
            else:
                samples.append(Sample(number, reply.text, reply.finish_reason, reply.n_tokens, 0))
        self._finished.put(Finished(key, samples, len(failures), failures[0] if failures else None))

    def step(self) -> list[Finished]:
        """Requests that finished; waits a moment for the first."""
        found: list[Finished] = []
        try:
            item = self._finished.get(timeout=WAIT_SECONDS)
            while True:
                if isinstance(item, BaseException):
                    raise item
                found.append(item)
                self._open -= 1
                item = self._finished.get_nowait()
        except queue.Empty:
            return found

    def reseed(self, seed: int) -> None:
        """Never called: requests carry their seeds."""
        raise UserError("A chat endpoint has no random state to set.")

    def close(self) -> None:
        """Close connections and cache."""
        asyncio.run_coroutine_threadsafe(self._client.__aexit__(None, None, None), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._cache.close()


def chat_messages(messages: list[dict[str, Any]], images: list[object], data_file: Path) -> list[dict[str, Any]]:
    """Messages whose `<image>` marks are image parts with the image's bytes in them."""
    if not images:
        return messages
    marks = sum(message["content"].count("<image>") for message in messages)
    if marks != len(images):
        raise PromptError("image_count", f"{marks} <image> placeholders but {len(images)} images")
    left = iter(images)
    result = []
    for message in messages:
        parts: list[dict[str, Any]] = []
        for piece in re.split("(<image>)", message["content"]):
            if piece == "<image>":
                parts.append({"type": "image_url", "image_url": {"url": data_url(next(left), data_file)}})
            elif piece:
                parts.append({"type": "text", "text": piece})
        result.append({"role": message["role"], "content": parts})
    return result


def data_url(reference: object, data_file: Path) -> str:
    """An image as a data URL, as it is when its format is common, else as PNG."""
    try:
        image = decode_image(reference, data_file)
    except ImageError as error:
        raise PromptError(error.kind, str(error)) from error
    content = reference.get("bytes") if isinstance(reference, dict) else None
    media = MEDIA_TYPES.get(image.format or "")
    if not content or media is None:
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "PNG")
        content, media = buffer.getvalue(), MEDIA_TYPES["PNG"]
    return f"data:{media};base64,{base64.b64encode(content).decode()}"
