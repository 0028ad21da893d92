r"""Chain-of-thought patterns for RL with Cold Start: what a teacher is asked to write, and what counts as written.

    report = distill_cot(CotJob(prompts, teacher="http://host/v1#teacher", out="runs/cot", patterns=("reflection",)))

    as_asked      what the teacher writes on the prompt as it is, for teachers that know no other words (a nano model)
    distilled     plain step-by-step reasoning
    reflection    a first attempt that is wrong, a re-evaluation, the right solution
    caption       a description of the image, then the reasoning
    self_critic   a solution, a critique of it, a revision

Each prompt is assigned one pattern. The teacher is sampled until a response is right and has the pattern's parts, up to
24 times (rejection sampling); prompts that never get there are dropped and counted. The parts are found by the headings
that the instruction asks for; for `reflection` the first attempt must really conclude something else.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data_prep.files import locked, sweep, write_json
from data_prep.tables import write_rows
from reward_fns import verify
from reward_fns.scoring import row_grading
from specs_verl.distill.response import grade_again
from specs_verl.distill.trajectories import Trajectory, write_trajectories
from specs_verl.distill.write import anchored
from specs_verl.errors import UserError
from specs_verl.files.rows import RowTable
from specs_verl.grading.responses import GRADING_COLUMNS, ground_truth
from specs_verl.sampling import EngineSettings, Job, Progress, SamplingParameters, sample_all
from specs_verl.sampling.store import aligned, losses_of
from specs_verl.sampling.usable import unusable

MOST_SAMPLES = 24

END = r"Put the final answer into \boxed{}."


@dataclass(frozen=True)
class Pattern:
    """What the teacher is asked for, and the headings under which its parts stand."""

    instruction: str
    headings: tuple[str, ...] = ()


PATTERNS = {
    "as_asked": Pattern(""),
    "distilled": Pattern(f"Please reason step by step. {END}"),
    "reflection": Pattern(
        "Write under three headings. 'First attempt:' a plausible solution with a mistake and a wrong result. "
        f"'Re-evaluation:' notice the mistake and say what went wrong. 'Solution:' the correct reasoning. {END}",
        ("First attempt:", "Re-evaluation:", "Solution:"),
    ),
    "caption": Pattern(
        "Write under two headings. 'Description:' everything in the image that matters for the question, in detail. "
        f"'Reasoning:' solve the question step by step from that description. {END}",
        ("Description:", "Reasoning:"),
    ),
    "self_critic": Pattern(
        "Write under three headings. 'Solution:' solve the question step by step. 'Critique:' examine that solution "
        f"for errors and gaps. 'Revision:' the solution again, corrected or confirmed. {END}",
        ("Solution:", "Critique:", "Revision:"),
    ),
}

LEAST_PART = 15
"""Characters a part must have: a heading with nothing under it is no part."""


def parts(response: str, headings: tuple[str, ...]) -> list[str] | None:
    """The texts under the headings, which must occur once each, at the start of a line, in their order; else None."""
    places = []
    for heading in headings:
        found = list(re.finditer(rf"(?mi)^[ \t#*]*{re.escape(heading)}[ \t*]*", response))
        if len(found) != 1:
            return None
        places.append(found[0])
    if places != sorted(places, key=lambda place: place.start()):
        return None
    ends = [*(place.start() for place in places[1:]), len(response)]
    texts = [response[place.end() : end].strip() for place, end in zip(places, ends, strict=True)]
    return texts if all(len(text) >= LEAST_PART for text in texts) else None


def accepted(pattern: str, row: dict[str, Any], response: str) -> bool:
    """Whether a response is right and is what the pattern asks for."""
    if grade_again(row, response)[0] != "right":
        return False
    headings = PATTERNS[pattern].headings
    if not headings:
        # An answer alone is no reasoning.
        return len(response[: max(0, response.rfind("\\boxed"))].strip() or response.strip()) >= LEAST_PART
    texts = parts(response, headings)
    if texts is None:
        return False
    return pattern != "reflection" or _wrong(row, texts[0])


def _wrong(row: dict[str, Any], attempt: str) -> bool:
    grading = row_grading({**(row.get("extra_info") or {}), "reward_model": row.get("reward_model")})
    return verify(attempt, ground_truth(row), grading.verifier, **grading.params).status == "wrong"


# Stopping rules by name, so that a worker process can import them.


def as_asked_done(row: dict[str, Any], responses: list[str]) -> bool:
    """A response of the pattern `as_asked` is there."""
    return any(accepted("as_asked", row, response) for response in responses)


def distilled_done(row: dict[str, Any], responses: list[str]) -> bool:
    """A response of the pattern `distilled` is there."""
    return any(accepted("distilled", row, response) for response in responses)


def reflection_done(row: dict[str, Any], responses: list[str]) -> bool:
    """A response of the pattern `reflection` is there."""
    return any(accepted("reflection", row, response) for response in responses)


def caption_done(row: dict[str, Any], responses: list[str]) -> bool:
    """A response of the pattern `caption` is there."""
    return any(accepted("caption", row, response) for response in responses)


def self_critic_done(row: dict[str, Any], responses: list[str]) -> bool:
    """A response of the pattern `self_critic` is there."""
    return any(accepted("self_critic", row, response) for response in responses)


@dataclass(frozen=True)
class CotJob:
    """Which prompts, whose reasoning, in which patterns."""

    prompts: tuple[str, ...]
    teacher: str
    """Chat endpoint as URL#MODEL, or checkpoint directory."""

    out: str
    patterns: tuple[str, ...] = ("distilled",)
    """Prompts are dealt to the patterns in turn."""

    max_samples: int = MOST_SAMPLES
    n: int = 2
    temperature: float = 0.7
    max_tokens: int = 2048
    seed: int = 0
    engine: EngineSettings = field(default_factory=EngineSettings)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.patterns) - set(PATTERNS))
        if unknown or not self.patterns:
            raise UserError(
                f"No CoT pattern is called {', '.join(unknown) or 'nothing'}; there are {', '.join(PATTERNS)}."
            )


def distill_cot(job: CotJob, on_progress: Callable[[Progress], None] | None = None) -> dict[str, Any]:
    """Sample the teacher, keep what is accepted, write out/sft.parquet and out/report.json; returns the counts."""
    out = Path(job.out)
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        sweep(out)
        (out / "report.json").unlink(missing_ok=True)
        return _distill_cot(job, out, on_progress)


def _distill_cot(job: CotJob, out: Path, on_progress: Callable[[Progress], None] | None) -> dict[str, Any]:
    total = len(RowTable(job.prompts))
    dealt = {name: range(number, total, len(job.patterns)) for number, name in enumerate(job.patterns)}
    jobs = [_sampling(job, name, rows) for name, rows in dealt.items() if len(rows)]
    runs = sample_all(jobs, on_progress)
    counts: Counter[str] = Counter()
    trajectories: list[Trajectory] = []
    for (name, rows), run in zip(dealt.items(), runs, strict=False):
        table = RowTable(job.prompts, columns=GRADING_COLUMNS)
        for index, samples in zip(rows, aligned(run.by_row(), len(rows)), strict=True):
            ((_, row),) = table.slice(index, index + 1)
            whole = [s for s in samples if unusable(s["response"], s["finish_reason"], s["n_vision_tokens"]) is None]
            good = [sample for sample in whole if accepted(name, row, sample["response"])]
            counts[f"{name}: samples"] += len(samples)
            counts[f"{name}: cut off or with image tokens"] += len(samples) - len(whole)
            counts[f"{name}: {'kept' if good else 'dropped, never accepted'}"] += 1
            if good:
                pass_rate = len(good) / len(samples)
                text = good[0]["response"].strip()
                trajectories.append(Trajectory(index, good[0]["row_id"], text, name, 1, pass_rate))
    if not trajectories:
        raise UserError(f"{out}: no response was accepted. Counts: {dict(counts)}.")
    trajectories.sort(key=lambda trajectory: trajectory.row)
    provenance = {"job": asdict(job), "instructions": {name: PATTERNS[name].instruction for name in job.patterns}}
    written = write_trajectories(out / "sft.parquet", trajectories, job.prompts, provenance)
    losses = {name: losses_of(run) for name, run in zip(dealt, runs, strict=False)}
    report = {"trajectories": written, "counts": dict(+counts), "losses": losses, "provenance": provenance}
    write_json(out / "report.json", report)
    return report


def _sampling(job: CotJob, pattern: str, rows: range) -> Job:
    """The sampling job of one pattern, over a file with its share of the prompts."""
    folder = Path(job.out) / pattern
    folder.mkdir(exist_ok=True)
    prompts = folder / "prompts.parquet"
    table = RowTable(job.prompts)

    def share_of_rows() -> Iterator[dict[str, Any]]:
        for index in rows:
            ((_, row),) = table.slice(index, index + 1)
            yield anchored(row, table.file_of(index))

    write_rows(prompts, table.schema, share_of_rows())
    parameters = SamplingParameters(
        n=job.n,
        until=f"specs_verl.distill.cot:{pattern}_done",
        max_samples=job.max_samples,
        temperature=job.temperature,
        max_tokens=job.max_tokens,
        seed=job.seed,
        instruction=PATTERNS[pattern].instruction or None,
    )
    return Job(job.teacher, (str(prompts),), str(folder / "samples"), parameters, engine=job.engine)
