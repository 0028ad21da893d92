"""A chat endpoint in OpenAI's protocol (a vLLM server, a hosted model), asked with patience and never twice.

    endpoint = Endpoint.parse("http://127.0.0.1:8000/v1#Qwen2.5-VL-72B")
    async with EndpointClient(endpoint, Cache(path)) as client:
        reply = await client.complete(messages, temperature=0.7, max_tokens=512, seed=3)

Slow answers, lost connections, 429, 5xx, replies that are no JSON and empty texts are tried again after growing pauses
(or the pause the server asks for); what the server refuses as a bad request fails at once. Redirects are not followed.
The key comes from the environment variable that `key_variable` names and is never written anywhere. Replies are kept on
disk, so a killed run does not pay twice. The protocol, and why rewards have a client of their own, are in
reward_fns/workers/chat.py.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

from reward_fns.workers.chat import PATH, check_address, excerpt, parsed_reply, worth_another_attempt
from specs_verl.errors import UserError

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 60.0


class EndpointError(RuntimeError):
    """A request that failed for good; the run goes on without it."""


class EndpointRefusedError(UserError):
    """The endpoint does not know the key or the model: no request can succeed."""


@dataclass(frozen=True)
class Endpoint:
    """Where to ask, and how persistently."""

    url: str
    model: str
    concurrency: int = 64
    timeout: float = 600.0
    attempts: int = 6
    first_pause: float = FIRST_PAUSE
    key_variable: str = "OPENAI_API_KEY"

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """From `URL#MODEL`, the URL up to and including /v1; patience is set in the environment, see below."""
        url, _, model = text.partition("#")
        if not is_endpoint(text) or not model:
            raise UserError(f"{text!r}: write an endpoint as URL#MODEL, for example http://127.0.0.1:8000/v1#my-model.")
        try:
            check_address(url)
        except ValueError as error:
            raise UserError(str(error)) from error
        return cls(url.rstrip("/"), model, **_from_environment())


def is_endpoint(model: str) -> bool:
    """Whether a model is named by address rather than by directory."""
    return str(model).startswith(("http://", "https://"))


def _from_environment() -> dict[str, Any]:
    """SPECS_ENDPOINT_CONCURRENCY, _TIMEOUT (seconds), _ATTEMPTS, _FIRST_PAUSE (seconds), _KEY_VARIABLE."""
    kinds: dict[str, Callable[[str], object]] = {
        "concurrency": int,
        "timeout": float,
        "attempts": int,
        "first_pause": float,
        "key_variable": str,
    }
    found = {}
    for name, kind in kinds.items():
        value = os.environ.get(f"SPECS_ENDPOINT_{name.upper()}")
        if value:
            try:
                found[name] = kind(value)
            except ValueError as error:
                raise UserError(f"SPECS_ENDPOINT_{name.upper()}={value!r} is not of the type of {name}.") from error
    return found


@dataclass(frozen=True)
class Reply:
    """What the endpoint answered."""

    text: str
    finish_reason: str
    n_tokens: int
    """As the server counted; 0 when it does not say."""


class Cache:
    """Replies on disk, by the digest of the request."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=60)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("CREATE TABLE IF NOT EXISTS replies (request TEXT PRIMARY KEY, reply TEXT NOT NULL)")

    def get(self, request: str) -> Reply | None:
        """The reply to a request, None when it was never answered."""
        row = self._connection.execute("SELECT reply FROM replies WHERE request = ?", (request,)).fetchone()
        return None if row is None else Reply(**json.loads(row[0]))

    def put(self, request: str, reply: Reply) -> None:
        """Keep a reply."""
        text = json.dumps(reply.__dict__, ensure_ascii=False)
        self._connection.execute("INSERT OR REPLACE INTO replies VALUES (?, ?)", (request, text))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class _Again(Exception):
    """Worth another attempt, after a pause the server may have asked for."""

    def __init__(self, message: str, pause: float | None = None) -> None:
        super().__init__(message)
        self.pause = pause


class EndpointClient:
    """Asks one endpoint, many requests at a time."""

    def __init__(self, endpoint: Endpoint, cache: Cache | None = None) -> None:
        self.endpoint = endpoint
        self._cache = cache
        self._slots = asyncio.Semaphore(endpoint.concurrency)
        self._session: aiohttp.ClientSession | None = None
        self._random = random.Random()

    async def __aenter__(self) -> EndpointClient:
        key = os.environ.get(self.endpoint.key_variable)
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=self.endpoint.timeout),
            headers={"Authorization": f"Bearer {key}"} if key else {},
            connector=aiohttp.TCPConnector(limit=self.endpoint.concurrency),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def complete(self, messages: list[dict[str, Any]], **sampling: object) -> Reply:
        """The endpoint's answer to a conversation. EndpointError when it cannot be had."""
        body = {"model": self.endpoint.model, "messages": messages, **sampling}
        request = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        if self._cache is not None and (known := self._cache.get(request)) is not None:
            return known
        async with self._slots:
            reply = await self._patiently(body)
        if self._cache is not None:
            self._cache.put(request, reply)
        return reply

    async def _patiently(self, body: dict[str, Any]) -> Reply:
        pause = self.endpoint.first_pause
        for attempt in range(1, self.endpoint.attempts + 1):
            try:
                return await self._once(body)
            except _Again as again:
                if attempt == self.endpoint.attempts:
                    raise EndpointError(f"{self.endpoint.url}: {again}, {attempt} attempts") from again
                # Half to one and a half times the pause, so that clients do not come back all at once.
                wait = again.pause if again.pause is not None else pause * (0.5 + self._random.random())
                await asyncio.sleep(min(wait, LONGEST_PAUSE))
                pause = min(2 * pause, LONGEST_PAUSE)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _once(self, body: dict[str, Any]) -> Reply:
        if self._session is None:
            raise RuntimeError("EndpointClient is used with `async with`.")
        try:
            address = f"{self.endpoint.url}{PATH}"
            # No redirects: the key is for the configured address and no other.
            async with self._session.post(address, json=body, allow_redirects=False) as response:
                content = await response.read()
                status, headers = response.status, response.headers
        except (aiohttp.ClientError, asyncio.TimeoutError, ConnectionError) as error:
            raise _Again(f"no answer ({type(error).__name__} {error})") from error
        if status in (401, 403, 404):
            raise EndpointRefusedError(
                f"{self.endpoint.url} answers {status} for model {self.endpoint.model!r}: check the address, the "
                f"model's name and the key in ${self.endpoint.key_variable}. It says: {excerpt(content)}"
            )
        if 300 <= status < 400:
            raise EndpointRefusedError(
                f"{self.endpoint.url} redirects to {headers.get('Location', 'nowhere')!r}. Redirects are not followed: "
                "the key would travel along. Give that address if it is the right one."
            )
        if worth_another_attempt(status):
            raise _Again(f"status {status}", _asked_pause(headers.get("Retry-After")))
        if status >= 400:
            raise EndpointError(f"{self.endpoint.url}: the request is refused with status {status}: {excerpt(content)}")
        return _parsed(content)


def _parsed(content: bytes) -> Reply:
    """The first choice of a reply; another attempt when it is no such reply or holds no text."""
    try:
        text, reply = parsed_reply(content)
        usage = reply.get("usage") or {}
        return Reply(text, str(reply["choices"][0].get("finish_reason")), int(usage.get("completion_tokens") or 0))
    except (ValueError, TypeError, AttributeError) as error:
        raise _Again(str(error)) from error


def _asked_pause(header: str | None) -> float | None:
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None  # a date; the growing pause serves as well
