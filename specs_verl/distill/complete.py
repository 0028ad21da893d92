r"""Format completion: a response that reasons and answers, but not in the asked form, is put into it.

    complete("5+7=12. The answer is 12.", "12")
        -> "<think> 5+7=12.</think><answer> The answer is $\boxed{12}$</answer>"

Reasoning and answer stay the response's own; only where they are separated is decided here. None when there is no
reasoning left to put into the think block: inventing some would not be self-distillation.
Not here: whether the result is still right (the caller verifies it).
"""

from __future__ import annotations

import re

from reward_fns.formats import think_answer

_TAG = re.compile(r"</?(?:think|answer)>")
_STATEMENTS = ("answer is", "answer:", "####", "\\boxed", "<result>")
_SENTENCE_START = re.compile(r"(?:[.!?;:]\s+|\n)(?=\S)")


def complete(response: str, extracted: str | None) -> str | None:
    """The response in the form `<think> ...</think><answer> ...</answer>`, or None.

    Args:
        response: any response.
        extracted: the answer as a verifier read it from the response.
    """
    if think_answer(response):
        return response.strip()
    # Verifiers of text read to the end of the sentence; its full stop is no part of the answer.
    answer = (extracted or "").strip().rstrip(".,;:!").strip()
    if not answer or "<" in answer or ">" in answer:
        return None
    reasoning = reasoning_of(response, answer)
    if not re.search(r"\w", reasoning):
        return None
    completed = trained_form(reasoning, answer)
    return completed if think_answer(completed) else None


def trained_form(reasoning: str, answer: str) -> str:
    """Reasoning and answer in the form of Metis-SPECS."""
    return rf"<think> {reasoning}</think><answer> The answer is $\boxed{{{answer}}}$</answer>"


def reasoning_of(response: str, extracted: str) -> str:
    """What of any response comes before the final statement of the answer, without tags."""
    start = response.rfind("<answer>")
    if start > 0:
        return _plain(response[:start])
    closed = response.rfind("</think>")
    if closed > 0 and re.search(r"\w", response[closed + len("</think>") :]):
        return _plain(response[:closed])
    text = _plain(response)
    return text[: _statement_start(text, extracted)].rstrip()


def _statement_start(text: str, extracted: str) -> int:
    """Where the sentence begins that states the answer: the last announcement, else the last mention of the value."""
    lowered = text.lower()
    at = max(lowered.rfind(statement) for statement in _STATEMENTS)
    if at < 0:
        at = text.rfind(extracted)
    if at < 0:
        return len(text)
    starts = [m.end() for m in _SENTENCE_START.finditer(text, max(0, at - 500), at + 1) if m.end() <= at]
    # A colon or full stop inside the announcement itself ("Answer: 5") comes after `at`, so never among the starts.
    return starts[-1] if starts else 0 if at <= 500 else at


def _plain(text: str) -> str:
    return re.sub(r"[ \t]{2,}", " ", _TAG.sub(" ", text)).strip()
