"""OpenAI's chat protocol as far as its two clients share it: addresses, statuses, replies.

    check_address("http://127.0.0.1:8000/v1")       # CallError unless it may be written into logs
    text, reply = parsed_reply(content)             # ValueError when it is no such reply
    worth_another_attempt(429)                      -> True

There are two clients because they wait differently. judge_client.py asks from inside a verifier: one thread, one short
reply, a deadline of seconds, nothing but the standard library. specs_verl.sampling.endpoint keeps many long requests
in flight for hours on aiohttp. Neither follows redirects: the key goes to the configured address, or nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from reward_fns.verdict import CallError

PATH = "/chat/completions"

BUSY = (408, 409, 425, 429)
"""Statuses below 500 that say "later" rather than "no"."""


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


def parsed_reply(content: bytes) -> tuple[str, Mapping[str, Any]]:
    """Text of the first choice of a reply, and the whole reply.

    Raises:
        ValueError: not a reply to a chat, or one without text.
    """
    try:
        reply = json.loads(content)
        text = reply["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ValueError(f"a reply that cannot be read: {excerpt(content)}") from error
    if not isinstance(text, str) or not text.strip():
        raise ValueError("an empty answer")
    return text, reply


def excerpt(content: bytes) -> str:
    """The beginning of a reply, for messages."""
    return repr(content[:200].decode("utf-8", errors="replace"))
