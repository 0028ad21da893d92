r"""Formats with marks around the answer that are not those of training.

boxed_only       ... \boxed{12}                                              the box at the very end, no tags
result_tag       ... <result>12</result>
solution_tags    <reasoning>...</reasoning><solution>12</solution>           the reasoning in other tags, too
"""

from __future__ import annotations

from reward_fns.answer.boxed import boxes
from specs_verl.formats.output_format import OutputFormat, between, reasoned


def _boxed(text: str) -> str | None:
    found = boxes(text)
    if len(found) != 1 or text.count("\\boxed{") != 1:
        return None
    before, _, _ = text.partition("\\boxed{")
    return reasoned(before, found[0]) if text == f"{before}\\boxed{{{found[0]}}}" else None


def _result(text: str) -> str | None:
    parts = between(text, "<result>", "</result>")
    return reasoned(parts[0], parts[1]) if parts is not None and not parts[2] else None


def _solution(text: str) -> str | None:
    outer = between(text, "<reasoning>", "</reasoning>")
    if outer is None or outer[0]:
        return None
    inner = between(outer[2], "<solution>", "</solution>")
    if inner is None or inner[0].strip() or inner[2] or "<solution>" in outer[1]:
        return None
    return reasoned(outer[1], inner[1])


TAGGED = (
    OutputFormat(
        "boxed_only",
        r"Reason step by step in plain text and end with the final answer in \boxed{}, with nothing after it. Use one "
        "box and no tags.",
        lambda steps, answer: f"{steps} \\boxed{{{answer}}}",
        _boxed,
    ),
    OutputFormat(
        "result_tag",
        "Reason step by step in plain text, then give only the final answer inside <result> </result>, with nothing "
        "after it.",
        lambda steps, answer: f"{steps} <result>{answer}</result>",
        _result,
    ),
    OutputFormat(
        "solution_tags",
        "Reason step by step inside <reasoning> </reasoning>, then give only the final answer inside <solution> "
        "</solution>, with nothing outside of these tags.",
        lambda steps, answer: f"<reasoning>{steps}</reasoning><solution>{answer}</solution>",
        _solution,
    ),
)
