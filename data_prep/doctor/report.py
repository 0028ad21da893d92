"""What was found in one file: counts, examples, a table for the terminal.

Not here: the page with pictures (page.py).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from data_prep.doctor.findings import Finding

SHOWN = 5
EXAMPLES = 6
"""Rows per kind that are kept for the page."""


@dataclass(frozen=True)
class Example:
    """A row for people to look at; texts are untrusted."""

    row: int
    kind: str
    message: str
    question: str
    answer: str
    pictures: tuple[bytes, ...]


@dataclass
class Report:
    """What was found in one file."""

    path: str
    rows: int = 0
    broken: dict[int, list[str]] = field(default_factory=dict)
    """Row number -> what is wrong with it."""

    kinds: Counter[str] = field(default_factory=Counter)
    """Broken rows by kind of fault; a row may have several."""

    notes: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    images: int = 0
    repaired: int = 0
    """Images that the fixed copy holds in another form."""

    longest: int = 0
    """No sound row has more prompt tokens; 0 where nothing was counted. Questions are only tokenized near the limit."""

    examples: list[Example] = field(default_factory=list)
    """At most EXAMPLES rows per kind, the first ones."""

    def add(self, row: int, findings: list[Finding]) -> None:
        """Count the findings of one row."""
        broken = [finding for finding in findings if finding.broken]
        if broken:
            self.broken[row] = [finding.message for finding in broken]
            self.kinds.update({finding.kind for finding in broken})
        self.notes.update({finding.kind for finding in findings if not finding.broken})

    def text(self) -> str:
        """The report as the command prints it."""
        lines = [f"{self.path}: {self.rows} rows, {self.images} images, {len(self.broken)} broken rows"]
        lines += [f"  {source}: {count} rows" for source, count in sorted(self.sources.items())]
        if self.longest:
            lines.append(f"  prompts of sound rows: at most {self.longest} tokens")
        if self.kinds:
            width = max(map(len, self.kinds))
            lines += [f"  broken  {kind:<{width}}  {count:>8}" for kind, count in self.kinds.most_common()]
        for index, problems in list(self.broken.items())[:SHOWN]:
            lines.append(f"  row {index}: {'; '.join(problems)}")
        if len(self.broken) > SHOWN:
            lines.append(f"  ... and {len(self.broken) - SHOWN} more")
        lines += [f"  note: {count} x {kind}" for kind, count in sorted(self.notes.items())]
        return "\n".join(lines)
