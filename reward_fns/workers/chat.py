"""OpenAI's chat protocol as pure functions: addresses, statuses, replies.

    check_address("http://127.0.0.1:8000/v1")       # CallError unless it may be written into logs
    parsed_reply(content)                           -> Reply; ValueError when it is no such reply
    worth_another_attempt(429)                      -> True
    asked_pause("2")                                -> 2.0

Not here: who sends requests, and how often (chat_client.py).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from reward_fns.verdict import CallError

PATH = "/chat/completions"

BUSY = (408, 409, 425, 429)
"""Statuses below 500 that say "later" rather than "no"."""


@dataclass(frozen=True)
class Reply:
    """What a model answered."""

    text: str
    finish_reason: str
    n_tokens: int
    """As the server counted; 0 when it does not say."""


def check_address(url: str) -> None:
    """Refuse an address that is none, or that carries credentials: addresses are written into logs and manifests."""
    if not url.startswith(("http://", "https://")):
        raise CallError(f"the address of a model must start with http:// or https://, got {url[:60]!r}")
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None or parts.query:
        raise CallError(
            f"the address of the model at {parts.hostname} carries a user name, a password or a query. Addresses are "
            "written into logs and manifests: put the key into an environment variable instead."
        )


def worth_another_attempt(status: int) -> bool:
    """Whether the same request may succeed later, by the status of an HTTP reply."""
    return status in BUSY or status >= 500


def asked_pause(header: str | None) -> float | None:
    """Seconds to wait by a Retry-After header; None without one, and for a date: a growing pause serves as well."""
    try:
        return max(0.0, float(header)) if header else None
    except ValueError:
        return None


def parsed_reply(content: bytes) -> Reply:
    """The first choice of a reply.

    Raises:
        ValueError: not a reply to a chat, or one without text.
    """
    try:
        reply = json.loads(content)
        choice = reply["choices"][0]
        text = choice["message"]["content"]
        finish_reason = str(choice.get("finish_reason"))
        n_tokens = int((reply.get("usage") or {}).get("completion_tokens") or 0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"a reply that cannot be read: {excerpt(content)}") from error
    if not isinstance(text, str) or not text.strip():
        raise ValueError("an empty answer")
    return Reply(text, finish_reason, n_tokens)


def excerpt(content: bytes) -> str:
    """The beginning of a reply, for messages."""
    return repr(content[:200].decode("utf-8", errors="replace"))
