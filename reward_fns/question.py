"""What a row asks, in words, for verifiers that do not take a value that the question names for its answer.

question_in([{"role": "user", "content": "<image>How many?"}])    -> "How many?"
with_question({"id": "7"}, the same)                    -> {"id": "7", "question": "How many?"}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_PLACEHOLDER = re.compile(r"<(?:image|video)>")


def question_in(prompt: object) -> str:
    """The last user turn of a prompt as text, without placeholders of pictures; empty where there is none.

    Args:
        prompt: messages, each with ``role`` and ``content``, a text or a list of parts; or a plain text.
    """
    if isinstance(prompt, str):
        return _PLACEHOLDER.sub("", prompt).strip()
    messages = [message for message in _items(prompt) if isinstance(message, Mapping)]
    turns = [message for message in messages if message.get("role") == "user"] or messages
    content = turns[-1].get("content") if turns else None
    if not isinstance(content, str):  # a list of parts
        content = " ".join(str(part.get("text") or "") for part in _items(content) if isinstance(part, Mapping))
    return _PLACEHOLDER.sub("", content).strip()


def _items(value: object) -> Iterable[object]:
    return value if isinstance(value, Iterable) else ()


def with_question(extra_info: Mapping[str, object], prompt: object) -> dict[str, object]:
    """``extra_info`` with the prompt's ``question``, where it has none of its own."""
    info = dict(extra_info)
    if prompt is not None and not info.get("question") and (question := question_in(prompt)):
        info["question"] = question
    return info
