"""Formats that a program reads: a JSON object, a YAML mapping, a Markdown table.

json_object      {"reasoning": "...", "answer": "12"}      and nothing around it
yaml_mapping     reasoning: |- ... answer: ...
markdown_table   | Reasoning | Answer | ...

JSON is read by the standard library, YAML by PyYAML's loader that knows strings only: neither builds objects. Aliases
are refused and nesting is bounded, so that a small text cannot become a large value.
"""

from __future__ import annotations

import json
from typing import NoReturn

import yaml

from specs_verl.formats.output_format import OutputFormat, reasoned

KEYS = ("reasoning", "answer")
DEEPEST = 32
"""Opening brackets in one response; an answer may be a list of boxes, hardly more."""


def _of_mapping(value: object) -> str | None:
    """The answer of a mapping with exactly the two keys; one that is no text is written as JSON."""
    if not isinstance(value, dict) or set(value) != set(KEYS) or not isinstance(value["reasoning"], str):
        return None
    answer = value["answer"]
    if isinstance(answer, bool) or answer is None:
        return None
    return reasoned(value["reasoning"], answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False))


def _json(text: str) -> str | None:
    if not (text.startswith("{") and text.endswith("}")):
        return None
    try:
        return _of_mapping(json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_refuse))
    except (ValueError, RecursionError):
        return None


def _without_doubles(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A key that is there twice would hide the first one."""
    value = dict(pairs)
    return value if len(value) == len(pairs) else _refuse(pairs)


def _refuse(what: object) -> NoReturn:
    raise ValueError(f"not JSON: {what!r:.40}")


def _yaml(text: str) -> str | None:
    if not text.startswith("reasoning:") or "\nanswer:" not in text or text.count("[") + text.count("{") > DEEPEST:
        return None
    try:
        # Events first: an alias would be resolved by the loader, and a second document ignored.
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.BaseLoader)):
            return None
        value = yaml.load(text, Loader=yaml.BaseLoader)  # strings, lists and dicts only
    except (yaml.YAMLError, RecursionError, ValueError):
        return None
    if text.count("\nanswer:") + text.count("\nreasoning:") != 1:
        return None
    return _of_mapping(value)


def _write_yaml(steps: str, answer: str) -> str:
    return yaml.safe_dump(
        {"reasoning": steps, "answer": answer}, sort_keys=False, allow_unicode=True, width=10**6
    ).strip()


_HEADER = ("Reasoning", "Answer")


def _cells(line: str) -> list[str] | None:
    """Cells of a table row; a bar that belongs to the text is written as backslash and bar."""
    line = line.strip()
    if len(line) < 2 or not (line.startswith("|") and line.endswith("|")):
        return None
    cells = line[1:-1].replace("\\|", "\0").split("|")
    return [cell.replace("\0", "|").strip() for cell in cells]


def _table(text: str) -> str | None:
    lines = text.split("\n")
    if len(lines) != 3:
        return None
    header, rule, row = map(_cells, lines)
    if header is None or rule is None or row is None or tuple(header) != _HEADER or len(row) != 2 or len(rule) != 2:
        return None
    if not all(len(cell.strip(":")) >= 3 and set(cell.strip(":")) == {"-"} for cell in rule):
        return None
    return reasoned(row[0], row[1])


def _write_table(steps: str, answer: str) -> str:
    row = [" ".join(part.split()).replace("|", "\\|") for part in (steps, answer)]
    return f"| Reasoning | Answer |\n|---|---|\n| {row[0]} | {row[1]} |"


STRUCTURED = (
    OutputFormat(
        "json_object",
        'Reply with one JSON object and nothing around it, with exactly the keys "reasoning" (your reasoning, a '
        'string) and "answer" (the final answer).',
        lambda steps, answer: json.dumps({"reasoning": steps, "answer": answer}, ensure_ascii=False),
        _json,
    ),
    OutputFormat(
        "yaml_mapping",
        "Reply with one YAML mapping and nothing around it, with exactly the keys `reasoning` (your reasoning, a "
        "string) and `answer` (the final answer), in this order.",
        _write_yaml,
        _yaml,
    ),
    OutputFormat(
        "markdown_table",
        "Reply with a Markdown table and nothing around it: the header `| Reasoning | Answer |`, a separator line, and "
        "one row with your reasoning and the final answer.",
        _write_table,
        _table,
    ),
)
