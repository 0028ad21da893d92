"""One distillation: graded samples of two sources become a data set of pairs with its card.

    report = distill(Distillation(prompts, chosen_samples, rejected_samples, out, Pairing(seed=7)))

    out/pairs.parquet   rows of the prompts file plus chosen, rejected, corruption and provenance
    out/README.md       the card; the pictures of its examples are in out/card/
    out/report.json     the same counts for programs; written last, so there means complete
    out/grades/         graded samples, kept: another pairing of the same samples does not grade again

Killed anywhere, the same call continues: graded shards stay, pairs are made again (seconds) with the same draws.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from data_prep.files import locked, sweep, write_json
from data_prep.identity import image_identity, prompt_identity
from specs_verl.distill.card import write_card
from specs_verl.distill.grades import GradedRun, grade, graded_rows
from specs_verl.distill.model_judge import judge_run
from specs_verl.distill.pair import Pair, Pairing, PairMaker, body_length
from specs_verl.distill.pair_recipe import CORRUPTED_CHOSEN
from specs_verl.distill.rollouts import is_imported
from specs_verl.distill.rule_judge import RULES
from specs_verl.distill.select import Candidate, Selection, select
from specs_verl.distill.tally import Tally
from specs_verl.distill.write import Asked, read_staged, write_pairs, write_staged
from specs_verl.errors import UserError
from specs_verl.files.fingerprints import data_fingerprint
from specs_verl.files.rows import RowTable
from specs_verl.sampling.endpoint import Endpoint
from specs_verl.sampling.store import SampleRun, aligned, losses_of

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Distillation:
    """What to make pairs from."""

    prompts: tuple[str, ...]
    chosen_samples: str
    """Sampling run that the chosen responses come from: of the GRPO-zero model, of a teacher, ..."""

    rejected_samples: str
    """Sampling run that the rejected responses come from: of the base model."""

    out: str
    pairing: Pairing = field(default_factory=Pairing)
    selection: Selection = field(default_factory=Selection)
    judge_endpoint: str | None = None
    """Chat endpoint as URL#MODEL, for the judge `model`."""

    workers: int | None = None
    """Grading processes; by default one per core."""

    on_ray: bool = False
    """Grade on a Ray cluster instead."""


def distill(job: Distillation, on_progress: OnProgress | None = None) -> dict[str, Any]:
    """Grade, pair and write; returns the report that the card shows."""
    out = Path(job.out)
    runs = {"chosen": SampleRun(Path(job.chosen_samples)), "rejected": SampleRun(Path(job.rejected_samples))}
    _check(job, runs)
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        sweep(out)
        (out / "report.json").unlink(missing_ok=True)
        return _distill(job, runs, out, on_progress)


def _distill(
    job: Distillation, runs: dict[str, SampleRun], out: Path, on_progress: OnProgress | None
) -> dict[str, Any]:
    graded = {
        source: GradedRun(
            run,
            out / "grades" / f"{source}-{run.manifest['model_fingerprint']}",
            "rule" if source == "chosen" and job.pairing.judge in RULES else "none",
        )
        for source, run in runs.items()
    }
    if job.pairing.corrupted_chosen:
        graded["rejected"] = graded["chosen"]
    grade(
        {source.out: source for source in graded.values()}.values(),
        job.prompts,
        job.workers,
        on_progress and partial(on_progress, "grading"),
        job.on_ray,
    )
    judged = _judged(job, graded["chosen"], on_progress)
    maker = PairMaker(job.pairing)
    staged = out / "staged.parquet"
    candidates: list[Candidate] = []
    asked = Asked.by(runs["chosen"])
    write_staged(staged, _all_pairs(job, graded, judged, asked, maker, candidates, on_progress))
    if not candidates:
        raise UserError(
            f"{out}: no prompt gave a pair. Counts: {dict(maker.funnel)}. Sample more per prompt, or check that the "
            "ground truths and verifiers of the rows fit the answers."
        )
    if job.pairing.formats_share and not maker.funnel["formats: rewritten"]:
        raise UserError(f"{out}: no pair could be put into another format. Counts: {dict(maker.funnel)}.")
    selected = select(candidates, job.selection, job.pairing.seed)
    provenance = _provenance(job, runs)
    tally = Tally({candidate.row: candidate.data_source for candidate in candidates})
    pairs = tally.watch(read_staged(staged, selected.rows))
    written = write_pairs(out / "pairs.parquet", pairs, job.prompts, provenance, asked)
    staged.unlink()
    report = {
        "pairs": written,
        "kind": job.pairing.kind,
        "rejected": CORRUPTED_CHOSEN if job.pairing.corrupted_chosen else "sampled",
        "funnel": dict(+maker.funnel),
        "dropped": selected.dropped,
        "sampling": {source: _sampling(run) for source, run in runs.items()},
        "losses": {source: losses_of(run) for source, run in runs.items()},
        **tally.report(),
        "provenance": provenance,
    }
    write_card(out, report, job.prompts, asked)
    write_json(out / "report.json", report)
    return report


def _judged(job: Distillation, chosen: GradedRun, on_progress: OnProgress | None) -> Path | None:
    """Let the model judge have its say, where the pairing asks for it; returns where its verdicts are."""
    if job.pairing.judge != "model":
        return None
    endpoint = Endpoint.parse(job.judge_endpoint or "")
    out = Path(job.out) / "judged" / f"{re.sub('[^A-Za-z0-9._-]+', '-', endpoint.model)}-{chosen.out.name}"
    judge_run(chosen.run, chosen.out, out, job.prompts, endpoint, on_progress and partial(on_progress, "judging"))
    return out


def _all_pairs(
    job: Distillation,
    graded: dict[str, GradedRun],
    judged: Path | None,
    asked: Asked,
    maker: PairMaker,
    candidates: list[Candidate],
    on_progress: OnProgress | None,
) -> Iterator[Pair]:
    """Every pair that can be made; what selection needs of each is appended to `candidates` on the way."""
    runs = [source.run for source in graded.values()]
    table = RowTable(job.prompts, limit=min(int(run.manifest["rows"]) for run in runs))
    chosen = aligned(graded_rows(graded["chosen"], judged), len(table))
    rejected = aligned(graded_rows(graded["rejected"]), len(table))
    for (index, row), good, bad in zip(table.slice(0, len(table)), chosen, rejected, strict=True):
        if on_progress and (index % 200 == 0 or index + 1 == len(table)):
            on_progress("pairing", index + 1, len(table))
        pair = maker.make(asked.of(row), index, good, bad)
        if pair is None:
            continue
        lengths = body_length(pair.chosen), body_length(pair.rejected)
        candidates.append(
            Candidate(
                row=index,
                data_source=str(row.get("data_source")),
                pass_rate=pair.rejected_pass_rate,
                corruption=pair.corruption,
                length=sum(lengths),
                length_gap=lengths[0] - lengths[1],
                prompt_identity=prompt_identity(row),
                image_identity=image_identity(row),
            )
        )
        yield pair


def _check(job: Distillation, runs: dict[str, SampleRun]) -> None:
    """Refuse, before grading, samples that are incomplete or of other prompts."""
    if (job.pairing.judge == "model") != (job.judge_endpoint is not None):
        raise UserError("The judge `model` needs an endpoint (URL#MODEL), and only that judge takes one.")
    prompts = data_fingerprint(job.prompts)
    for run in runs.values():
        if not run.complete:
            raise UserError(f"{run.path}: the sampling run is not complete. Finish it first with the same command.")
        if run.manifest["data_fingerprint"] != prompts:
            raise UserError(
                f"{run.path} holds samples of {', '.join(run.manifest['data'])}, not of {', '.join(job.prompts)} as "
                "they are now. Sample these prompts, or pass the prompts that were sampled."
            )
    if job.pairing.corrupted_chosen and runs["chosen"].path != runs["rejected"].path:
        raise UserError("A corrupted chosen response needs no other source: pass the chosen samples for both sides.")
    asked = {side: Asked.by(run) for side, run in runs.items()}
    if asked["chosen"] != asked["rejected"]:
        raise UserError(
            f"{runs['chosen'].path} and {runs['rejected'].path} were sampled with different system prompts or "
            "instructions, and a pair has one prompt. Sample both sources with the same ones."
        )


def _provenance(job: Distillation, runs: dict[str, SampleRun]) -> dict[str, Any]:
    """Where the pairs of this data set come from; the same for every row."""
    keys = ("model", "model_fingerprint", "parameters", "versions")
    return {
        **{source: {key: run.manifest[key] for key in keys} for source, run in runs.items()},
        "data_fingerprint": runs["chosen"].manifest["data_fingerprint"],
        "pairing": asdict(job.pairing),
        "judge_model": Endpoint.parse(job.judge_endpoint).model if job.judge_endpoint else None,
        "selection": asdict(job.selection),
        "specs_verl": version("specs-verl"),
    }


def _sampling(run: SampleRun) -> dict[str, Any]:
    """What the responses of a source cost; nothing where they were taken over from a training."""
    summary = run.summary
    return {
        "model": run.manifest["model"],
        "responses": summary["samples"],
        "tokens": summary["tokens"],
        "seconds": None if is_imported(run) else summary["seconds_of_last_run"],
    }


def read_report(out: str | Path) -> dict[str, Any]:
    """The report of a complete distillation."""
    file = Path(out) / "report.json"
    if not file.is_file():
        raise UserError(f"{out}: no complete distillation there (no report.json). Run `specs distill` first.")
    return json.loads(file.read_text(encoding="utf-8"))
