r"""RISE routing: what to learn by imitation after RL, decided by how often the RL model is right.

    report = route(Routing(prompts, samples="runs/rl/samples", out="runs/rise", expert="http://host/v1#teacher"))

With p the share of right samples of a prompt (Metis-RISE), those left out on which the verifier itself failed:

    p = 1        nothing to learn: dropped
    0 < p < 1    the model's own right trajectory: it can do it, it must do it reliably       stage 1, origin `self`
    p = 0        an expert's trajectory: the expert sees the reference answer (or the row's   stage 2, origin `expert`
                 `extra_info.knowledge`) in its prompt, if told; its response is verified, and dropped
                 when it is wrong or gives away that it was told the answer

    out/sft.parquet    verl's multi-turn form, sorted by row, with columns `stage` and `origin`
    out/expert/        prompts for the expert and its samples; kept, a killed run asks nothing twice
    out/report.json    counts; written last
"""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data_prep.files import locked, sweep, write_json
from data_prep.tables import write_rows
from specs_verl.distill.complete import complete
from specs_verl.distill.grades import GradedRun, grade, graded_rows
from specs_verl.distill.pair import graded, pass_rate
from specs_verl.distill.response import grade_again
from specs_verl.distill.trajectories import Trajectory, write_trajectories
from specs_verl.distill.write import Asked, anchored
from specs_verl.errors import UserError
from specs_verl.files.fingerprints import data_fingerprint
from specs_verl.files.rows import RowTable
from specs_verl.grading.responses import GRADING_COLUMNS, ground_truth
from specs_verl.sampling import EngineSettings, Job, Progress, SampleRun, SamplingParameters, sample
from specs_verl.sampling.store import aligned, losses_of
from specs_verl.sampling.usable import unusable

SELF, EXPERT = "self", "expert"
STAGES = {SELF: 1, EXPERT: 2}

TOLD_ANSWER = (
    "For your orientation only: the correct answer is {answer}. Derive it step by step from the image and the question "
    "as if you had not been told, and do not mention that you knew it. "
)
TOLD_KNOWLEDGE = "Use this knowledge, without mentioning that it was given to you: {knowledge} "
FORM = (
    r"Write your reasoning inside <think> </think> and then your answer inside <answer> </answer>, as "
    r"<answer> The answer is $\boxed{...}$</answer>."
)

_GIVES_AWAY = re.compile(
    r"(?i)\b(?:(?:reference|given|provided) answer|correct answer is given|as (?:i was )?told|for my orientation"
    r"|for your orientation|(?:was|were|been) told|knowledge (?:that was )?(?:given|provided))\b"
)


@dataclass(frozen=True)
class Routing:
    """What to route, and who the expert is."""

    prompts: tuple[str, ...]
    samples: str
    """Sampling run of the RL model over the prompts, K samples each."""

    out: str
    expert: str | None = None
    """Chat endpoint as URL#MODEL or checkpoint directory; None drops the prompts that need one."""

    told: bool = True
    """Whether the expert is told the reference answer, or the row's knowledge, and the form; else it gets the prompt as
    it is, for experts that know no other words (a nano model)."""

    attempts: int = 4
    """Samples of the expert per prompt at most."""

    max_tokens: int = 2048
    temperature: float = 0.7
    seed: int = 0
    workers: int | None = None
    """Grading processes."""

    engine: EngineSettings = field(default_factory=EngineSettings)
    """Of the expert."""


def route(routing: Routing, on_progress: Callable[[Progress], None] | None = None) -> dict[str, Any]:
    """Grade, route, ask the expert, write; returns the counts."""
    out = Path(routing.out)
    run = SampleRun(Path(routing.samples))
    if not run.complete:
        raise UserError(f"{run.path}: the sampling run is not complete. Finish it first with the same command.")
    if run.manifest["data_fingerprint"] != data_fingerprint(routing.prompts):
        raise UserError(f"{run.path} holds samples of other prompts than {', '.join(routing.prompts)}.")
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        sweep(out)
        (out / "report.json").unlink(missing_ok=True)
        return _route(routing, run, out, on_progress)


def _route(
    routing: Routing, run: SampleRun, out: Path, on_progress: Callable[[Progress], None] | None
) -> dict[str, Any]:
    own = GradedRun(run, out / "grades", "none")
    grade([own], routing.prompts, routing.workers)

    counts: Counter[str] = Counter()
    found = list(_own(routing, own, counts))
    hard = [row for row, trajectory in found if trajectory is None]
    trajectories = [trajectory for _, trajectory in found if trajectory is not None]
    if hard and routing.expert is not None:
        trajectories += _expert(routing, hard, counts, on_progress)
    counts["expert: no expert given"] += len(hard) if routing.expert is None else 0
    if not trajectories:
        raise UserError(f"{out}: no trajectory to learn from. Counts: {dict(counts)}.")
    provenance = {
        "routing": asdict(routing),
        "model_fingerprint": run.manifest["model_fingerprint"],
        "sampling": run.manifest["parameters"],
    }
    trajectories.sort(key=lambda trajectory: trajectory.row)
    written = write_trajectories(out / "sft.parquet", trajectories, routing.prompts, provenance, Asked.by(run))
    losses = {"model": losses_of(run)}
    if hard and routing.expert is not None:
        losses["expert"] = losses_of(SampleRun(out / "expert" / "samples"))
    report = {"trajectories": written, "counts": dict(+counts), "losses": losses, "provenance": provenance}
    write_json(out / "report.json", report)
    return report


def _own(routing: Routing, run: GradedRun, counts: Counter[str]) -> Iterator[tuple[int, Trajectory | None]]:
    """For every row that is not dropped: its own right trajectory, or None when it needs an expert."""
    for row, samples in graded_rows(run):
        counts["prompts"] += 1
        if any(sample["status"] == "unparsable_gold" for sample in samples):
            counts["dropped: ground truth cannot be read"] += 1
            continue
        if not any(map(graded, samples)):
            counts["dropped: the verifier failed on every answer"] += 1
            continue
        rate = pass_rate(samples)
        if rate == 1.0:
            counts["dropped: always right"] += 1
        elif rate > 0.0:
            counts["self: sometimes right"] += 1
            usable = [
                s
                for s in samples
                if s["status"] == "right" and unusable(s["response"], s["finish_reason"], s["n_vision_tokens"]) is None
            ]
            # Well-formed ones first; among equals the draw decides.
            random.Random(f"{routing.seed}:{row}").shuffle(usable)
            usable.sort(key=lambda sample: not sample["format"])
            if not usable:
                counts["dropped: right only when cut off or with image tokens"] += 1
                continue
            best = usable[0]
            yield row, Trajectory(row, best["row_id"], best["response"].strip(), SELF, STAGES[SELF], rate)
        else:
            counts["expert: never right"] += 1
            yield row, None


def _expert(
    routing: Routing, rows: list[int], counts: Counter[str], on_progress: Callable[[Progress], None] | None
) -> list[Trajectory]:
    """Verified trajectories of the expert for rows that the model never gets right."""
    folder = Path(routing.out) / "expert"
    folder.mkdir(exist_ok=True)
    prompts = folder / "prompts.parquet"
    _write_expert_prompts(prompts, rows, routing)
    parameters = SamplingParameters(
        n=1,
        until="specs_verl.distill.route:expert_done",
        max_samples=routing.attempts,
        temperature=routing.temperature,
        max_tokens=routing.max_tokens,
        seed=routing.seed,
    )
    job = Job(str(routing.expert), (str(prompts),), str(folder / "samples"), parameters, engine=routing.engine)
    run = sample(job, on_progress)
    trajectories = []
    table = RowTable((str(prompts),), columns=GRADING_COLUMNS)
    for (index, row), samples in zip(table.slice(0, len(rows)), aligned(run.by_row(), len(rows)), strict=True):
        whole = [s for s in samples if unusable(s["response"], s["finish_reason"], s["n_vision_tokens"]) is None]
        counts["expert: samples"] += len(samples)
        counts["expert: cut off or with image tokens"] += len(samples) - len(whole)
        texts = [text for sample in whole if (text := usable_expert_text(row, sample["response"])) is not None]
        if not texts:
            counts["expert: dropped, no verified response"] += 1
            continue
        counts["expert: verified"] += 1
        identity = whole[0]["row_id"]
        trajectories.append(Trajectory(rows[index], identity, texts[0], EXPERT, STAGES[EXPERT], 0.0))
    return trajectories


def expert_done(row: dict[str, Any], responses: list[str]) -> bool:
    """Stopping rule of the expert's sampling: one response can be used."""
    return any(usable_expert_text(row, response) is not None for response in responses)


def usable_expert_text(row: dict[str, Any], response: str) -> str | None:
    """An expert's response in the asked form, when it is right and does not give itself away; else None."""
    if _GIVES_AWAY.search(response):
        return None
    # An expert that answers in its own form is right all the same; the answer itself is what the verifier knows.
    text = complete(response, str(ground_truth(row)))
    return text if text is not None and grade_again(row, text) == ("right", True) and _right(row, response) else None


def _right(row: dict[str, Any], response: str) -> bool:
    return grade_again(row, response)[0] == "right"


def _write_expert_prompts(path: Path, rows: list[int], routing: Routing) -> None:
    table = RowTable(routing.prompts)

    def converted() -> Iterator[dict[str, Any]]:
        for index in rows:
            ((_, row),) = table.slice(index, index + 1)
            kept = anchored(row, table.file_of(index))
            yield {**kept, "prompt": expert_prompt(row)} if routing.told else kept

    write_rows(path, table.schema, converted())


def expert_prompt(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The row's conversation with what the expert is told at the end of the last user message."""
    knowledge = (row.get("extra_info") or {}).get("knowledge")
    told = TOLD_KNOWLEDGE.format(knowledge=knowledge) if knowledge else TOLD_ANSWER.format(answer=ground_truth(row))
    messages = [dict(message) for message in row["prompt"]]
    last = max(number for number, message in enumerate(messages) if message["role"] == "user")
    messages[last]["content"] += f"\n{told}{FORM}"
    return messages


def read_report(out: str | Path) -> dict[str, Any]:
    """The report of a complete routing."""
    return json.loads((Path(out) / "report.json").read_text(encoding="utf-8"))
