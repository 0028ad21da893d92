"""How good is a judge of reasoning? Its precision and recall on data that know the truth: the nano world's.

    python -m specs_verl.distill.judge_check --samples RUN/pairs/samples/zero --prompts RUN/data/train.parquet

Judged are the right, well-formed responses, as in making pairs. A judge *flags* what it would drop. Of its flags,
precision is the share whose reasoning is unsound; recall is the share of unsound reasoning that it flags. Reasoning
that claims nothing ("Quick guess.") is neither sound nor unsound: it is counted apart, and against the precision.
The truth is `extra_info.solution` of each row, compared by data_prep.nano.soundness.
Not here: the judges (rule_judge.py, model_judge.py).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from data_prep.nano.soundness import soundness
from specs_verl.distill.corrupt import blocks
from specs_verl.distill.grades import GradedRun, grade, graded_rows
from specs_verl.distill.rule_judge import JUDGES, RULES
from specs_verl.errors import UserError
from specs_verl.files.fingerprints import data_fingerprint
from specs_verl.sampling.store import SampleRun

TRUTHS = ("sound", "unsound", "none")

Counts = Mapping[tuple[str, str], int]
"""(what the rule says, the truth) -> responses; the rule says supports, silent or contradicts."""


@dataclass(frozen=True)
class JudgeScore:
    """One judge against the truth."""

    judge: str
    flagged: dict[str, int]  # truth -> responses that the judge would drop
    kept: dict[str, int]  # truth -> responses that it would keep

    @property
    def precision(self) -> float | None:
        """Share of unsound reasoning among the flagged; None where nothing is flagged."""
        flagged = sum(self.flagged.values())
        return self.flagged["unsound"] / flagged if flagged else None

    @property
    def recall(self) -> float | None:
        """Share of the unsound reasoning that is flagged; None where there is none."""
        unsound = self.flagged["unsound"] + self.kept["unsound"]
        return self.flagged["unsound"] / unsound if unsound else None


def score(judge: str, counts: Counts) -> JudgeScore:
    """What the judge makes of the words of the rule."""
    sides: dict[bool, dict[str, int]] = {side: dict.fromkeys(TRUTHS, 0) for side in (True, False)}
    for (word, truth), count in counts.items():
        sides[word in JUDGES[judge]][truth] += count
    return JudgeScore(judge, flagged=sides[False], kept=sides[True])


def count(samples: SampleRun, prompts: Path) -> Counts:
    """Words of the rule and truths of all right, well-formed responses of a sampling run."""
    if not samples.complete:
        raise UserError(f"{samples.path}: not a complete sampling run. Sample first (`specs sample`).")
    if samples.manifest.get("data_fingerprint") != data_fingerprint([str(prompts)]):
        raise UserError(f"{samples.path}: sampled from other data than {prompts}. Pass the file it was sampled from.")
    counts: Counter[tuple[str, str]] = Counter()
    with TemporaryDirectory() as folder:
        graded = GradedRun(samples, Path(folder), "rule")
        grade([graded], (str(prompts),))
        solutions = pq.read_table(prompts, columns=["extra_info"])["extra_info"].combine_chunks()
        if "solution" not in [field.name for field in solutions.type]:
            raise UserError(
                f"{prompts}: no extra_info.solution, so the truth is not known. Only the nano world has it "
                "(`specs data nano`)."
            )
        for row, group in graded_rows(graded):
            solution = solutions.field("solution")[row].as_py()
            for sample in group:
                if sample["support"] is not None:
                    thought = blocks(str(sample["response"])).thought
                    counts[str(sample["support"]), soundness(thought, solution)] += 1
    if not counts:
        raise UserError(f"{samples.path}: no response is right and well formed, so there is nothing to judge.")
    return counts


def show(counts: Counts, console: Console) -> None:
    """Words of the rule against the truth, then each judge."""
    words = Table("the rule says", *TRUTHS, title="right, well-formed responses by the truth of their reasoning")
    for word in ("supports", "silent", "contradicts"):
        words.add_row(word, *(str(counts.get((word, truth), 0)) for truth in TRUTHS))
    judges = Table("judge", "flags", "precision", "recall")
    for judge in RULES:
        scored = score(judge, counts)
        shares = ("-" if share is None else f"{100 * share:.1f} %" for share in (scored.precision, scored.recall))
        judges.add_row(judge, str(sum(scored.flagged.values())), *shares)
    console.print(words, judges)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, required=True, metavar="DIR", help="a sampling run on nano prompts")
    parser.add_argument("--prompts", type=Path, required=True, metavar="FILE", help="the prompts it was sampled from")
    options = parser.parse_args()
    try:
        show(count(SampleRun(options.samples), options.prompts), Console())
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
