"""All findings about one row, its length apart.

    checked = check(row, data_file, decode=True)
    checked.findings, checked.sizes

Not here: what concerns several rows (examine.py) and prompt lengths (lengths.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from data_prep import schema
from data_prep.answers import Graded, gold_problem
from data_prep.doctor.findings import Finding, note
from data_prep.doctor.pictures import picture_findings
from data_prep.images import ImageError, image_bytes
from data_prep.markers import IMAGE, foreign_mark
from data_prep.reading.cells import MOST_CHARACTERS
from data_prep.reading.headers import Size
from reward_fns.scoring import row_grading

_HTML = re.compile(r"</?(?:script|style|iframe|div|span|table|tr|td|p|br|b|i|img|a|html|body)\b[^<>]{0,200}>", re.I)

KINDS = (
    ("placeholders", "placeholders and images differ"),
    ("ground_truth` is empty", "no ground truth"),
    ("which is no verifier", "unknown verifier"),
    ("verl's reward manager sees", "two verifiers"),
    ("neither bytes nor a path", "image missing"),
)


@dataclass(frozen=True)
class Checked:
    """What was found about one row."""

    findings: list[Finding]
    sizes: list[Size]
    """Of its images in pixels; complete when nothing is broken."""

    @property
    def broken(self) -> bool:
        return any(finding.broken for finding in self.findings)


def check(row: Mapping[str, object], data_file: Path, decode: bool = True) -> Checked:
    """Findings about a row that stands in `data_file`."""
    problems = schema.check_row(dict(row))
    if problems:
        return Checked([Finding(_kind(problem), problem) for problem in problems], [])
    findings = _text_findings(row)
    sizes = []
    for number, reference in enumerate(row.get("images") or []):  # type: ignore[arg-type,var-annotated]
        try:
            content = image_bytes(reference, data_file)
        except ImageError as error:
            findings.append(Finding("image missing", f"image {number}: {error}"))
            continue
        found, size = picture_findings(content, decode)
        findings += [Finding(one.kind, f"image {number}: {one.message}", one.broken) for one in found]
        if size is not None:
            sizes.append(size)
    return Checked(findings + _gold_findings(row), sizes)


def _kind(problem: str) -> str:
    return next((kind for sign, kind in KINDS if sign in problem), "does not fit the schema")


def _text_findings(row: Mapping[str, object]) -> list[Finding]:
    findings = []
    messages = [*row["prompt"], *(row.get("messages") or [])]  # type: ignore[misc]
    for message in messages:
        content = str(message["content"])
        if len(content) > MOST_CHARACTERS:
            findings.append(
                Finding("huge text", f"a message of {len(content)} characters, {MOST_CHARACTERS} are allowed")
            )
            continue
        if mark := foreign_mark(content):
            findings.append(Finding("control mark in the text", f"{mark} acts on tokenizers or trainers"))
        if message.get("role") == "assistant" and IMAGE in content:
            findings.append(Finding("control mark in the text", f"the response holds {IMAGE}"))
        if _HTML.search(content[:20_000]):
            findings.append(note("HTML in the text"))
    return list(dict.fromkeys(findings))


def _gold_findings(row: Mapping[str, object]) -> list[Finding]:
    """Whether the row's own verifier can read its ground truth and finds it right."""
    model: Mapping[str, object] = row["reward_model"]  # type: ignore[assignment]
    info = row.get("extra_info")
    try:
        grading = row_grading({**(info if isinstance(info, Mapping) else {}), "reward_model": model})
    except (ValueError, TypeError) as error:
        return [Finding("params", f"params: {error}")]
    gold = model["ground_truth"]
    if not isinstance(gold, str):
        return [Finding("ground truth is no text", f"`ground_truth` is {type(gold).__name__}, not text")]
    if len(gold) > MOST_CHARACTERS:
        return [Finding("huge text", f"a ground truth of {len(gold)} characters")]
    problem = gold_problem(Graded(gold, grading.verifier, grading.params))
    return [Finding("ground truth", problem)] if problem else []
