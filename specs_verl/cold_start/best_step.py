"""The scores of probed steps: which is the best, and when to stop looking for a better one.

    steps = BestStep(out, patience=3)
    steps.restore(20, has_weights)         # a run that continues: OUT/gf.jsonl up to its checkpoint
    steps.write(25, {"gf": 0.41, "id": 0.9, "ood": 0.36})
    steps.best, steps.reached

Step 0 is the model that training starts from; it is never the best one.
"""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from specs_verl.cold_start.run_folder import write_text
from specs_verl.errors import UserError

PROBES = "gf.jsonl"
FOLDER = "probe"
"""Where a probe keeps what it sampled, below OUT."""

GF = "gf"


class BestStep:
    """Scores by step, kept in a file of one line per probe."""

    def __init__(self, out: Path, patience: int) -> None:
        self.path, self.patience = out / PROBES, patience
        self.scores: dict[int, float] = {}
        self.gone: set[int] = set()

    def restore(self, step: int, has_weights: Callable[[int], bool]) -> None:
        """Read the probes up to ``step``; forget those of steps that will be done again.

        A step whose weights were removed cannot be exported: a better one came later and was forgotten with the rest.
        """
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []:
            try:
                entry = json.loads(line)
                done, score = int(entry["step"]), float(entry[GF])
            except (ValueError, KeyError, TypeError):  # a line that a kill cut short
                continue
            if done <= step:
                self.scores[done] = score
                if not has_weights(done):
                    self.gone.add(done)
                kept.append(line + "\n")
        if self.path.is_file():
            write_text(self.path, "".join(kept))

    def write(self, step: int, found: Mapping[str, float]) -> None:
        """Keep what a probe found."""
        if not math.isfinite(found.get(GF, math.nan)):
            raise UserError(f"probe.custom_cls: the probe of step {step} gave no finite number {GF!r}: {dict(found)}.")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **found}) + "\n")
        self.scores[step] = found[GF]

    @property
    def best(self) -> int | None:
        """The trained step with the highest score, the first of equals; None before the first."""
        trained = {step: score for step, score in self.scores.items() if step > 0 and step not in self.gone}
        return max(trained, key=lambda step: (trained[step], -step)) if trained else None

    @property
    def reached(self) -> bool:
        """Whether `patience` probes after the best were none of them better; never when patience is 0."""
        if self.best is None or self.patience == 0:
            return False
        return sum(step > self.best for step in self.scores) >= self.patience
