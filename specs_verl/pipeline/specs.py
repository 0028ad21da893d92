"""The stages of Metis-SPECS as one pipeline: what each needs, runs and leaves.

stages = specs_stages(config, root)      # config: config/pipelines/NAME.yaml, merged with the user's overrides
run_stages(stages, root, display)        # stage.py

data        train, test and out-of-distribution prompts
zero        short GRPO from the base model                        -> zero/hf
pairs       preference pairs: chosen from zero, rejected from base -> pairs/pairs.parquet
cold_start  DPO + SFT of the base model on the pairs              -> cold_start/hf
grpo        GRPO from the warm-up model                           -> grpo/hf
grpo_only   zero trained on for as many steps as grpo has         -> grpo_only/hf
evaluation  all five models on held-out prompts                   -> evaluation/MODEL/metrics.json
report      the end table and report.html
"""

from collections.abc import Callable
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from data_prep import nano
from specs_verl.files.hub import local_checkpoint
from specs_verl.pipeline.stage import Display, Outcome, Stage
from specs_verl.pipeline.training import HF, ColdStartJob, GrpoJob, train_cold_start, train_grpo
from specs_verl.sampling import Job, Progress, SamplingParameters, sample_all

MODELS = ("base", "zero", "warm-up", "final", "grpo-only")
"""Names in tables, in the order of the pipeline. "grpo-only" is the control: GRPO from the base with as many steps as
zero and final have together. Its first steps are those of zero, from whose last state it goes on."""


def specs_stages(config: DictConfig, root: Path) -> list[Stage]:
    """The eight stages under ``root``."""
    base = Path(local_checkpoint(config.model)) if config.model else nano.base_checkpoint()
    settings = OmegaConf.to_container(config, resolve=True)
    seed = {"seed": config.seed}
    checkpoints = dict(
        zip(MODELS, (base, *(root / stage / HF for stage in ("zero", "cold_start", "grpo", "grpo_only"))), strict=True)
    )
    data = root / "data"
    pairs = root / "pairs" / "pairs.parquet"
    return [
        Stage("data", "Data: the nano world", settings["data"], _data(config)),
        Stage(
            "zero",
            "Zero: short GRPO from the base",
            {**settings["zero"], **seed, "model": str(base)},
            _grpo(config.zero, base, data, config.seed),
        ),
        Stage("pairs", "Distill: preference pairs", {**settings["pairs"], **seed}, _pairs(config, checkpoints, data)),
        Stage(
            "cold_start",
            "Cold start: DPO + SFT of the base",
            {**settings["cold_start"], **seed},
            _cold_start(config, base, pairs),
        ),
        Stage(
            "grpo",
            "GRPO from the warm-up model",
            {**settings["grpo"], **seed},
            _grpo(config.grpo, checkpoints["warm-up"], data, config.seed),
        ),
        Stage(
            "grpo_only",
            "Control: GRPO only, as many steps",
            {**settings["zero"], **seed, "model": str(base), "steps": config.zero.steps + config.grpo.steps},
            _grpo(config.zero, base, data, config.seed, continues=root / "zero", more=config.grpo.steps),
        ),
        Stage(
            "evaluation",
            "Evaluation of the five models",
            {**settings["evaluation"], **seed},
            _evaluation(config, checkpoints, data),
        ),
        Stage("report", "Report", {}, _report(root)),
    ]


def _data(config: DictConfig) -> Callable[[Path, Display], Outcome]:
    def work(folder: Path, display: Display) -> Outcome:
        nano.write_data(folder, n_train=config.data.train, n_test=config.data.test, seed=config.data.seed)
        return Outcome(f"{config.data.train:,} training and {config.data.test:,} held-out prompts")

    return work


def _grpo(
    part: DictConfig, model: Path, data: Path, seed: int, continues: Path | None = None, more: int = 0
) -> Callable[[Path, Display], Outcome]:
    def work(folder: Path, display: Display) -> Outcome:
        files = (data / "train.parquet", data / "test.parquet")
        job = GrpoJob(part.recipe, model, *files, part.steps + more, seed, list(part.overrides), continues)
        return train_grpo(folder, job, display)

    return work


def _pairs(config: DictConfig, checkpoints: dict[str, Path], data: Path) -> Callable[[Path, Display], Outcome]:
    def work(folder: Path, display: Display) -> Outcome:
        from specs_verl.distill import Distillation, Pairing, distill

        part = config.pairs
        parameters = SamplingParameters(
            n=part.samples,
            temperature=part.temperature,
            max_tokens=part.max_tokens,
            max_prompt_tokens=128,
            seed=config.seed,
        )
        prompts = data / "train.parquet"
        samples = {name: folder / "samples" / name for name in ("base", "zero")}
        jobs = [Job(checkpoints[name], (prompts,), out, parameters, part.prompts) for name, out in samples.items()]
        sample_all(jobs, _bar(display))
        job = Distillation(
            prompts=(str(prompts),),
            chosen_samples=str(samples["zero"]),
            rejected_samples=str(samples["base"]),
            out=str(folder),
            pairing=Pairing(kind="decoupled", seed=config.seed, judge=part.judge),
        )
        report = distill(job, lambda step, done, total: display.progress(done, total, step))
        return Outcome(f"{report['pairs']:,} pairs from {part.prompts:,} prompts")

    return work


def _cold_start(config: DictConfig, base: Path, pairs: Path) -> Callable[[Path, Display], Outcome]:
    def work(folder: Path, display: Display) -> Outcome:
        job = ColdStartJob(config.cold_start.recipe, base, pairs, config.seed, list(config.cold_start.overrides))
        return train_cold_start(folder, job, display)

    return work


def _evaluation(config: DictConfig, checkpoints: dict[str, Path], data: Path) -> Callable[[Path, Display], Outcome]:
    def work(folder: Path, display: Display) -> Outcome:
        from specs_verl.measure.evaluate import EvalSet, evaluate
        from specs_verl.measure.evaluate_command import checks_from

        part = config.evaluation
        jobs = []
        for model, checkpoint in checkpoints.items():
            for data_set, samples in (("test", part.samples), ("ood", part.ood_samples)):
                parameters = SamplingParameters(
                    n=samples,
                    temperature=part.temperature,
                    max_tokens=part.max_tokens,
                    max_prompt_tokens=128,
                    seed=config.seed,
                )
                jobs.append(
                    Job(checkpoint, (data / f"{data_set}.parquet",), folder / model / "samples" / data_set, parameters)
                )
        sample_all(jobs, _bar(display))
        for model in checkpoints:
            sets = [
                EvalSet("test", folder / model / "samples" / "test", (data / "test.parquet",), role="id"),
                EvalSet("ood", folder / model / "samples" / "ood", (data / "ood.parquet",), role="ood"),
            ]
            checks = checks_from("data_prep.nano.formats:complies", [data / "ood.parquet"])
            evaluate(model, sets, folder / model, seed=config.seed, format_checks=checks)
        return Outcome(f"{len(checkpoints)} models, {config.data.test:,} held-out prompts")

    return work


def _report(root: Path) -> Callable[[Path, Display], Outcome]:
    def work(folder: Path, display: Display) -> Outcome:
        from specs_verl.measure.report import write_report

        page = write_report(report_inputs(root), folder / "report.html")
        return Outcome(str(page))

    return work


def report_inputs(root: Path):
    """What the report of a finished run under ``root`` is made of."""
    from specs_verl.measure.report import ReportInputs, TrainingLog

    return ReportInputs(
        metrics=tuple(root / "evaluation" / model / "metrics.json" for model in MODELS),
        grpo=tuple(
            TrainingLog(model, tuple(sorted((root / stage / "metrics").glob("*.jsonl"))), root / stage / "rollouts")
            for model, stage in (("zero", "zero"), ("final", "grpo"), ("grpo-only", "grpo_only"))
        ),
        cold_start=(TrainingLog("warm-up", (root / "cold_start" / "metrics.jsonl",)),),
        title="Metis-SPECS on the nano world",
    )


def _bar(display: Display) -> Callable[[Progress], None]:
    """Sampling progress, over all jobs, as the stage's bar."""

    def show(progress: Progress) -> None:
        share = progress.samples_done / max(1, progress.samples_total)
        display.progress(progress.job + share, progress.jobs, f"{progress.tokens_per_second:.0f} tokens/s")

    return show
