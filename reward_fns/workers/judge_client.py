"""A client that asks a language model whether two short answers mean the same; blocking and asynchronous, retried,
cached on disk.

    judge = Judge(base_url="http://localhost:8000/v1", model="Qwen2.5-7B-Instruct", cache_dir="cache")
    judge.ask("What is shown?", ["a port"], "an old harbour", deadline=20.0)      -> True
    await judge.ask_async(...)

Any server with the /chat/completions route will do. The answer is data between marks that it cannot contain, cut to a
bounded length; the model must reply with one word.
Not here: when a judge is asked (verifiers/judge.py), requests and their repetition (chat_client.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from reward_fns.workers.chat import Reply, check_address
from reward_fns.workers.chat_client import ChatClient, ChatError, ChatModel, Patience
from reward_fns.workers.fence import RULE, fence

VERSION = 2
"""Part of every cache key: raise it when the instruction changes."""

INSTRUCTION = (
    "You compare a student's short answer with reference answers. Reply with exactly one word: yes when the student's "
    "answer means the same as one of the reference answers in the light of the question, no otherwise. A different "
    f"number, name or direction is a different meaning. {RULE}"
)

SAMPLING = {"temperature": 0.0, "max_tokens": 8}

FIRST_PAUSE = 0.4
"""Seconds before the second attempt: a verdict is worth seconds, not minutes."""

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
        """Whether ``answer`` means the same as one of ``golds``; from any thread. JudgeError when no reply comes in
        ``deadline`` seconds."""
        kept = self._client(deadline).kept(_messages(question, golds, answer), **SAMPLING)
        if kept is not None:
            return read_reply(kept.text)
        # In a thread of its own: a loop may be running in the caller's, and where none is, asyncio.run would still
        # take away the one that is set there. Not awaited when Ctrl-C ends the caller.
        thread = ThreadPoolExecutor(1, "judge")
        try:
            return thread.submit(asyncio.run, self.ask_async(question, golds, answer, deadline)).result()
        finally:
            thread.shutdown(wait=False)

    async def ask_async(self, question: str, golds: Sequence[str], answer: str, deadline: float) -> bool:
        """``ask`` in the running event loop."""
        try:
            async with self._client(deadline) as client:
                reply = await client.complete(_messages(question, golds, answer), **SAMPLING)
        except ChatError as error:
            raise JudgeError(str(error)) from error
        return read_reply(reply.text)

    def _client(self, deadline: float) -> ChatClient:
        model = ChatModel(self.base_url, self.model, self.api_key)
        patience = Patience(self.retries + 1, timeout=deadline, first_pause=FIRST_PAUSE, deadline=deadline)
        cache = None if self.cache_dir is None else VerdictFiles(Path(self.cache_dir), self.base_url, self.model)
        return ChatClient(model, patience, cache, accept=read_reply)


def _messages(question: str, golds: Sequence[str], answer: str) -> list[dict[str, str]]:
    shown = {
        "Question": question[:4_000],
        "Reference answers": "\n".join(golds)[:4_000],
        "Student's answer": answer,
    }
    content = f"{fence(shown)}\n\nSame meaning? One word, yes or no."
    return [{"role": "system", "content": INSTRUCTION}, {"role": "user", "content": content}]


@dataclass(frozen=True)
class VerdictFiles:
    """Verdicts of the judge on disk, one small file each, by the digest of the request, the address and VERSION.

    Files, and no database: rewards are given in dozens of processes on several nodes, and their verdicts are worth
    sharing. On the network file systems between nodes sqlite's locks cannot be relied on, and its WAL does not work at
    all; a file that appears whole under its name needs no lock.
    """

    folder: Path
    base_url: str
    model: str

    def get(self, request: bytes) -> Reply | None:
        """The verdict on a request as the word that the judge said, None when there is none."""
        try:
            same = bool(json.loads(self._path(request).read_text(encoding="utf-8"))["same"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return Reply("yes" if same else "no", "stop", 0)

    def put(self, request: bytes, reply: Reply) -> None:
        """Keep a verdict, written under another name first, so that no reader ever sees half a file.

        By hand: this package imports none of the others, and with them not data_prep.files.
        """
        path = self._path(request)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"same": read_reply(reply.text), "model": self.model}, file)
        os.replace(name, path)

    def _path(self, request: bytes) -> Path:
        key = hashlib.sha256(f"{VERSION} {self.base_url} ".encode() + request).hexdigest()
        return self.folder / key[:2] / f"{key[2:]}.json"


def read_reply(text: str) -> bool:
    """The one word of the judge, whatever marks are around it; ValueError for anything else ("Not yes.")."""
    match = _REPLY.fullmatch(text)
    if match is None:
        raise ValueError(f"the judge replied {text[:60]!r} instead of yes or no")
    return match[1].lower() == "yes"
