"""A client that asks a language model whether two short answers mean the same; blocking and asynchronous, retried,
cached on disk.

    judge = Judge(base_url="http://localhost:8000/v1", model="Qwen2.5-7B-Instruct", cache_dir="cache")
    judge.ask("What is shown?", ["a port"], "an old harbour", deadline=20.0)      -> True
    await judge.ask_async(...)

Plain HTTP from the standard library: any server with the /chat/completions route will do. The answer is data between
marks that it cannot contain, cut to a bounded length; the model must reply with one word. Redirects are not followed:
the key goes to the address that was configured, or nowhere.
Not here: when a judge is asked (verifiers/judge.py), the protocol (chat.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import random
import re
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from time import monotonic, sleep

from reward_fns.workers.chat import PATH, check_address, parsed_reply, worth_another_attempt
from reward_fns.workers.fence import RULE, fence

VERSION = 2
"""Part of every cache key: raise it when the instruction changes."""

INSTRUCTION = (
    "You compare a student's short answer with reference answers. Reply with exactly one word: yes when the student's "
    "answer means the same as one of the reference answers in the light of the question, no otherwise. A different "
    f"number, name or direction is a different meaning. {RULE}"
)

_REPLY = re.compile(r"\W*(yes|no)\W*", re.IGNORECASE)

_offline: ContextVar[bool] = ContextVar("reward_fns_offline", default=False)


@contextlib.contextmanager
def offline() -> Iterator[None]:
    """Inside this context no judge is asked: what needs one is decided by the rule. For checks of data."""
    token = _offline.set(True)
    try:
        yield
    finally:
        _offline.reset(token)


class JudgeError(RuntimeError):
    """The judge gave no usable reply within the deadline."""


@dataclass(frozen=True)
class Judge:
    """Where to ask, and where verdicts are kept."""

    base_url: str
    model: str
    api_key: str = field(default="", repr=False)
    cache_dir: str | None = None
    retries: int = 2

    @classmethod
    def of(
        cls, base_url: str | None, model: str | None, api_key_variable: str, cache_dir: str | None, retries: int
    ) -> Judge | None:
        """From parameters or the environment; None when no endpoint is named, or inside ``offline``."""
        if _offline.get():
            return None
        url = base_url or os.environ.get("REWARD_FNS_JUDGE_URL")
        name = model or os.environ.get("REWARD_FNS_JUDGE_MODEL")
        if not url or not name:
            return None
        check_address(url)
        cache = cache_dir or os.environ.get("REWARD_FNS_JUDGE_CACHE")
        return cls(url.rstrip("/"), name, os.environ.get(api_key_variable, ""), cache, retries)

    def ask(self, question: str, golds: Sequence[str], answer: str, deadline: float) -> bool:
        """Whether ``answer`` means the same as one of ``golds``. JudgeError when no reply comes in time."""
        body = self._body(question, golds, answer)
        kept = self._kept(body)
        if kept is not None:
            return kept
        end = monotonic() + deadline
        reason = "no time was left"
        for attempt in range(self.retries + 1):
            left = end - monotonic()
            if left <= 0:
                break
            try:
                verdict = read_reply(self._post(body, left))
            except (urllib.error.URLError, HTTPException, OSError, ValueError) as error:
                reason = f"{type(error).__name__}: {error}"
                if isinstance(error, urllib.error.HTTPError) and not worth_another_attempt(error.code):
                    break  # the request itself is refused: asking again changes nothing
                sleep(min(max(end - monotonic(), 0.0), 0.25 * 2**attempt * (1 + random.random())))
                continue
            self._keep(body, verdict)
            return verdict
        raise JudgeError(f"{self.base_url}: {reason}")

    async def ask_async(self, question: str, golds: Sequence[str], answer: str, deadline: float) -> bool:
        """``ask`` without blocking the event loop."""
        return await asyncio.to_thread(self.ask, question, golds, answer, deadline)

    # -------------------------------------------------------------------------------------------------------------
    # request

    def _body(self, question: str, golds: Sequence[str], answer: str) -> bytes:
        shown = {
            "Question": question[:4_000],
            "Reference answers": "\n".join(golds)[:4_000],
            "Student's answer": answer,
        }
        content = f"{fence(shown)}\n\nSame meaning? One word, yes or no."
        messages = [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": content}]
        return json.dumps(
            {"model": self.model, "messages": messages, "temperature": 0.0, "max_tokens": 8}, sort_keys=True
        ).encode()

    def _post(self, body: bytes, timeout: float) -> str:
        headers = {"Content-Type": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        request = urllib.request.Request(f"{self.base_url}{PATH}", data=body, headers=headers, method="POST")
        with _OPENER.open(request, timeout=max(timeout, 0.05)) as reply:
            return parsed_reply(reply.read(1_000_000))[0]

    # ---------------------------------------------------------------------------------------------------------------
    # cache

    def _path(self, body: bytes) -> Path:
        key = hashlib.sha256(f"{VERSION} {self.base_url} ".encode() + body).hexdigest()
        return Path(self.cache_dir or ".") / key[:2] / f"{key[2:]}.json"

    def _kept(self, body: bytes) -> bool | None:
        if self.cache_dir is None:
            return None
        try:
            return bool(json.loads(self._path(body).read_text(encoding="utf-8"))["same"])
        except (FileNotFoundError, ValueError, KeyError):
            return None

    def _keep(self, body: bytes, same: bool) -> None:
        """Written under another name first, so that no reader ever sees half a file.

        By hand: this package imports none of the others, and with them not data_prep.files.
        """
        if self.cache_dir is None:
            return
        path = self._path(body)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"same": same, "model": self.model}, file)
        os.replace(name, path)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: urllib would send the request's headers, the key among them, to the new address."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def read_reply(text: str) -> bool:
    """The one word of the judge, whatever marks are around it; ValueError for anything else ("Not yes.")."""
    match = _REPLY.fullmatch(text)
    if match is None:
        raise ValueError(f"the judge replied {text[:60]!r} instead of yes or no")
    return match[1].lower() == "yes"
