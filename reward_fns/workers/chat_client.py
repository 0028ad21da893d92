"""The client of chat endpoints in OpenAI's protocol (a vLLM server, a hosted model), asked with patience, never twice.

    model = ChatModel("http://127.0.0.1:8000/v1", "Qwen2.5-VL-72B", key=key)
    async with ChatClient(model, Patience(attempts=6, timeout=600.0, first_pause=0.5, concurrency=64), cache) as client:
        reply = await client.complete(messages, temperature=0.7, max_tokens=512, seed=3)

Slow answers, lost connections, 429, 5xx, replies that cannot be read and empty texts are tried again after growing
pauses (or the pause the server asks for); what the server refuses fails at once. The environment's proxy is used.
Redirects are not followed: the key goes to the configured address, or nowhere.
Used by the `judge` verifier (judge_client.py) and for the models of a pipeline (specs_verl/sampling/endpoint.py).
Not here: the protocol (chat.py), where replies are kept.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from reward_fns.workers.chat import PATH, Reply, asked_pause, excerpt, parsed_reply, worth_another_attempt

if TYPE_CHECKING:
    import aiohttp

LONGEST_PAUSE = 60.0
"""Seconds between two attempts at most, whatever the server asks for."""

MOST_BYTES = 16 * 2**20
"""Of a reply; a chat's longest are some hundred kilobytes."""


class ChatError(RuntimeError):
    """A request that failed for good."""


class ChatRefusedError(ChatError):
    """The server does not know the key, the model or the address: no request can succeed."""


LOOPBACK = ("localhost", "127.0.0.1", "::1")


def proxy_to(url: str) -> str | None:
    """The proxy that the environment (https_proxy, no_proxy, ...) names for an address; none for this machine's own."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if not proxy or parts.hostname in LOOPBACK or proxy_bypass(parts.netloc):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


class ReplyCache(Protocol):
    """Where replies are kept, by the digest of a request.

    A request is the JSON text that is sent, keys sorted: the model, the messages and all settings of the sampling.
    Called in the event loop: a call should take no longer than a small file does.
    """

    def get(self, request: bytes) -> Reply | None:
        """The reply to a request, None when it is not there."""

    def put(self, request: bytes, reply: Reply) -> None:
        """Keep a reply."""


@dataclass(frozen=True)
class ChatModel:
    """Who is asked, and with which key."""

    url: str
    """Up to and including /v1."""

    name: str
    key: str = field(default="", repr=False)

    key_name: str = "the key"
    """What messages call the key."""


@dataclass(frozen=True)
class Patience:
    """How persistently is asked."""

    attempts: int
    timeout: float
    """Seconds for one attempt."""

    first_pause: float
    """Seconds between the first two attempts; later pauses double."""

    deadline: float = math.inf
    """Seconds for all attempts at one request together, from when it has its slot."""

    concurrency: int = 1
    """Requests in flight."""


class _Again(Exception):
    """Worth another attempt, after a pause the server may have asked for."""

    def __init__(self, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


class ChatClient:
    """Asks one model, any number of requests; belongs to the event loop in which it is entered.

    Args:
        accept: raises ValueError for a text that is no answer; it is asked for again.
    """

    def __init__(
        self,
        model: ChatModel,
        patience: Patience,
        cache: ReplyCache | None = None,
        accept: Callable[[str], object] | None = None,
    ) -> None:
        self._model = model
        self._patience = patience
        self._cache = cache
        self._accept = accept
        self._slots = asyncio.Semaphore(patience.concurrency)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> ChatClient:
        import aiohttp  # here: most processes that import reward_fns never ask anybody

        headers = {"Content-Type": "application/json"}
        key = self._model.key.strip()  # a key read from a file ends in a line break
        if key:
            if not key.isascii() or not key.isprintable():
                raise ChatRefusedError(
                    f"{self._model.url}: {self._model.key_name} holds a character that no key may hold."
                )
            headers["Authorization"] = f"Bearer {key}"
        self._session = aiohttp.ClientSession(
            headers=headers,
            connector=aiohttp.TCPConnector(limit=self._patience.concurrency),
            proxy=proxy_to(self._model.url),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def kept(self, messages: Sequence[Mapping[str, Any]], **sampling: object) -> Reply | None:
        """The reply in the cache, None when the server has to be asked."""
        return self._known(self._request(messages, sampling))

    async def complete(self, messages: Sequence[Mapping[str, Any]], **sampling: object) -> Reply:
        """The model's answer to a conversation.

        Raises:
            ChatRefusedError: the server refuses the key, the model or the address.
            ChatError: this request was refused, or not answered within the attempts and the deadline.
        """
        request = self._request(messages, sampling)
        known = self._known(request)
        if known is not None:
            return known
        async with self._slots:
            reply = await self._patiently(request)
        if self._cache is not None:
            self._cache.put(request, reply)
        return reply

    def _request(self, messages: Sequence[Mapping[str, Any]], sampling: Mapping[str, object]) -> bytes:
        return json.dumps({"model": self._model.name, "messages": messages, **sampling}, sort_keys=True).encode()

    def _known(self, request: bytes) -> Reply | None:
        return None if self._cache is None else self._cache.get(request)

    async def _patiently(self, request: bytes) -> Reply:
        patience = self._patience
        end = monotonic() + patience.deadline
        pause = patience.first_pause
        asked, last = 0, _Again("not asked")
        while asked < patience.attempts and (left := end - monotonic()) > 0:
            asked += 1
            try:
                return await self._once(request, min(patience.timeout, left))
            except _Again as again:
                last = again
            # Half to one and a half times the pause, so that clients do not come back all at once.
            wait = min(last.pause if last.pause is not None else pause * (0.5 + random.random()), LONGEST_PAUSE)
            if asked == patience.attempts or monotonic() + wait >= end:
                break
            await asyncio.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE)
        raise ChatError(f"{self._model.url}: {last}, {asked} attempt{'s' * (asked != 1)}") from last

    async def _once(self, request: bytes, seconds: float) -> Reply:
        import aiohttp

        if self._session is None:
            raise RuntimeError("ChatClient is used with `async with`.")
        url = self._model.url
        try:
            async with self._session.post(
                f"{url}{PATH}",
                data=request,
                # No redirects: the key is for the configured address and no other.
                allow_redirects=False,
                # To the moment: aiohttp would round longer times up to whole seconds.
                timeout=aiohttp.ClientTimeout(total=seconds, ceil_threshold=math.inf),
            ) as response:
                status, headers = response.status, response.headers
                content = await _bounded(response.content)
        except aiohttp.InvalidURL as error:
            raise ChatRefusedError(f"{url} is no address that can be asked: {error}") from error
        except (aiohttp.ClientError, asyncio.TimeoutError, ConnectionError) as error:
            raise _Again(f"no answer ({f'{type(error).__name__} {error}'.strip()})") from error
        if status in (401, 403, 404):
            raise ChatRefusedError(
                f"{url} answers {status} for model {self._model.name!r}: check the address, the model's name and "
                f"{self._model.key_name}. It says: {excerpt(content)}"
            )
        if 300 <= status < 400:
            raise ChatRefusedError(
                f"{url} redirects to {headers.get('Location', 'nowhere')!r}. Redirects are not followed: "
                "the key would travel along. Give that address if it is the right one."
            )
        if worth_another_attempt(status):
            raise _Again(f"status {status}", asked_pause(headers.get("Retry-After")))
        if status >= 400:
            raise ChatError(f"{url}: the request is refused with status {status}: {excerpt(content)}")
        try:
            reply = parsed_reply(content)
            if self._accept is not None:
                self._accept(reply.text)
        except ValueError as error:
            raise _Again(str(error)) from error
        return reply


async def _bounded(stream: aiohttp.StreamReader) -> bytes:
    """A reply's content, never more of it in memory than MOST_BYTES and one chunk."""
    content = bytearray()
    async for chunk in stream.iter_any():
        content += chunk
        if len(content) > MOST_BYTES:
            raise _Again(f"a reply of more than {MOST_BYTES:,} bytes")
    return bytes(content)
