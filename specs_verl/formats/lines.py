r"""Formats whose answer is a line of its own, or a sentence: no tags, no structure.

answer_line        Answer: 12            after the reasoning, on the last line
answer_first       Answer: 12            on the first line, the reasoning after it
hash_line          #### 12
bold_line          **12**
double_brackets    [[12]]
closing_sentence   So the final answer is 12.
dollar_line        $$12$$
two_headings       ## Reasoning ... ## Answer ...
"""

from __future__ import annotations

from specs_verl.formats.output_format import OutputFormat, between, reasoned


def _last_line(text: str) -> tuple[str, str]:
    before, _, last = text.rpartition("\n")
    return before, last.strip()


def _after_mark(text: str, mark: str) -> str | None:
    """The rest of the last line after ``mark``, which stands at its beginning and nowhere else."""
    before, last = _last_line(text)
    if not last.startswith(mark) or text.count(mark) != 1:
        return None
    return reasoned(before, last[len(mark) :])


def _enclosed_line(text: str, opening: str, closing: str) -> str | None:
    """The last line without the marks around it, which stand nowhere else."""
    before, last = _last_line(text)
    size = len(opening) + len(closing)
    if len(last) <= size or not (last.startswith(opening) and last.endswith(closing)):
        return None
    inside = last[len(opening) : len(last) - len(closing)]
    if any(mark in part for mark in {opening, closing} for part in (before, inside)):
        return None
    return reasoned(before, inside)


def _answer_first(text: str) -> str | None:
    first, _, rest = text.partition("\n")
    if not first.startswith("Answer:") or text.count("Answer:") != 1:
        return None
    return reasoned(rest, first.removeprefix("Answer:"))


_SENTENCE = "So the final answer is "


def _sentence(text: str) -> str | None:
    before, found, answer = text.partition(_SENTENCE)
    if not found or not answer.endswith(".") or "\n" in answer or _SENTENCE in answer:
        return None
    return reasoned(before, answer[:-1])


def _headings(text: str) -> str | None:
    """Exactly the two headings, in this order, each with text under it."""
    parts = between("\n" + text, "\n## Reasoning\n", "\n## Answer\n")
    if parts is None or parts[0] or "\n" in parts[2].strip() or text.count("\n#") + text.startswith("#") != 2:
        return None
    return reasoned(parts[1], parts[2])


LINES = (
    OutputFormat(
        "answer_line",
        "Reason step by step in plain text, then end with one last line of the form `Answer: X`, where X is the final "
        "answer. Use no tags.",
        lambda steps, answer: f"{steps}\nAnswer: {answer}",
        lambda text: _after_mark(text, "Answer:"),
    ),
    OutputFormat(
        "answer_first",
        "State the final answer on the first line as `Answer: X`, then explain it in plain text on the lines after "
        "that. Use no tags.",
        lambda steps, answer: f"Answer: {answer}\n{steps}",
        _answer_first,
    ),
    OutputFormat(
        "hash_line",
        "Reason step by step in plain text, then end with one last line of the form `#### X`, where X is the final "
        "answer. Use no tags.",
        lambda steps, answer: f"{steps}\n#### {answer}",
        lambda text: _after_mark(text, "####"),
    ),
    OutputFormat(
        "bold_line",
        "Reason step by step in plain text, then end with the final answer alone on the last line, in bold: `**X**`. "
        "Make nothing else bold and use no tags.",
        lambda steps, answer: f"{steps}\n**{answer}**",
        lambda text: _enclosed_line(text, "**", "**"),
    ),
    OutputFormat(
        "double_brackets",
        "Reason step by step in plain text, then end with the final answer alone on the last line, in double square "
        "brackets: `[[X]]`. Use no tags.",
        lambda steps, answer: f"{steps}\n[[{answer}]]",
        lambda text: _enclosed_line(text, "[[", "]]"),
    ),
    OutputFormat(
        "closing_sentence",
        "Reason step by step in plain text and end with this very sentence: `So the final answer is X.`, where X is "
        "the final answer. Use no tags.",
        lambda steps, answer: f"{steps} {_SENTENCE}{answer}.",
        _sentence,
    ),
    OutputFormat(
        "dollar_line",
        "Reason step by step in plain text, then end with the final answer alone on the last line, as displayed "
        "mathematics: `$$X$$`. Display nothing else and use no tags.",
        lambda steps, answer: f"{steps}\n$${answer}$$",
        lambda text: _enclosed_line(text, "$$", "$$"),
    ),
    OutputFormat(
        "two_headings",
        "Write two Markdown sections and nothing else: first `## Reasoning` with your reasoning under it, then "
        "`## Answer` with only the final answer under it.",
        lambda steps, answer: f"## Reasoning\n{steps}\n\n## Answer\n{answer}",
        _headings,
    ),
)
