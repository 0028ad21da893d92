"""A chat endpoint in OpenAI's protocol (a vLLM server, a hosted model), asked with patience and never twice.

    endpoint = Endpoint.parse("http://127.0.0.1:8000/v1#Qwen2.5-VL-72B")
    async with EndpointClient(endpoint, Cache(path)) as client:
        reply = await client.complete(messages, temperature=0.7, max_tokens=512, seed=3)

The requests, their repetition and what is refused are reward_fns/workers/chat_client.py's, which the `judge` verifier
uses, too. Here are the settings of a run, its store of replies, so that a killed run does not pay twice, and errors as
a run needs them: one row's, or everybody's. The key comes from the environment variable that `key_variable` names and
is never written anywhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from reward_fns.workers.chat import Reply, check_address
from reward_fns.workers.chat_client import ChatClient, ChatError, ChatModel, ChatRefusedError, Patience
from specs_verl.errors import UserError


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
    first_pause: float = 0.5
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


class Cache:
    """Replies on disk, by the digest of the request: one sqlite file, for the millions of replies of one run.

    Only the one process that asks an endpoint opens it; what many share is in files (reward_fns' judge_client.py).
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=60)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("CREATE TABLE IF NOT EXISTS replies (request TEXT PRIMARY KEY, reply TEXT NOT NULL)")

    def get(self, request: bytes) -> Reply | None:
        """The reply to a request, None when it was never answered."""
        row = self._connection.execute("SELECT reply FROM replies WHERE request = ?", (_digest(request),)).fetchone()
        return None if row is None else Reply(**json.loads(row[0]))

    def put(self, request: bytes, reply: Reply) -> None:
        """Keep a reply."""
        text = json.dumps(reply.__dict__, ensure_ascii=False)
        self._connection.execute("INSERT OR REPLACE INTO replies VALUES (?, ?)", (_digest(request), text))

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _digest(request: bytes) -> str:
    return hashlib.sha256(request).hexdigest()


class EndpointClient:
    """Asks one endpoint, many requests at a time."""

    def __init__(self, endpoint: Endpoint, cache: Cache | None = None) -> None:
        self._client = ChatClient(
            ChatModel(
                endpoint.url,
                endpoint.model,
                key=os.environ.get(endpoint.key_variable, ""),
                key_name=f"the key in ${endpoint.key_variable}",
            ),
            Patience(endpoint.attempts, endpoint.timeout, endpoint.first_pause, concurrency=endpoint.concurrency),
            cache,
        )

    async def __aenter__(self) -> EndpointClient:
        with _own_errors():
            await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def complete(self, messages: list[dict[str, Any]], **sampling: object) -> Reply:
        """The endpoint's answer to a conversation. EndpointError when it cannot be had."""
        with _own_errors():
            return await self._client.complete(messages, **sampling)


@contextlib.contextmanager
def _own_errors() -> Iterator[None]:
    """The client's errors as those that a run knows: reward_fns, the client's home, imports nothing of this package."""
    try:
        yield
    except ChatRefusedError as error:
        raise EndpointRefusedError(str(error)) from error
    except ChatError as error:
        raise EndpointError(str(error)) from error
