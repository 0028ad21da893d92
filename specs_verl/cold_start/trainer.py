"""The cold-start loop: the same code in every process, whether torchrun, Ray or nobody started it.

    Trainer(config).run()          # config: composed by __main__.py

Order of events: check and tokenise the data, build the engine, reference log-probabilities of pairs (cache, or one
forward pass with the initial policy), resume if there is something to resume, train, export. Conversations, which are
only imitated, have no references; everything else is the same.
"""

import json
import math
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, cast

import torch.distributed as dist
from omegaconf import DictConfig, ListConfig, OmegaConf
from verl.utils import tensordict_utils as tu
from verl.utils.config import omega_conf_to_dataclass
from verl.utils.import_utils import load_extern_object

from specs_verl.cold_start import checkpoint, quiet
from specs_verl.cold_start import run_folder as runs
from specs_verl.cold_start.conversation_dataset import ConversationDataset
from specs_verl.cold_start.dataset import PairSet
from specs_verl.cold_start.early_stop import EarlyStop
from specs_verl.cold_start.engine import PairEngine
from specs_verl.cold_start.feature_cache import FeatureCache
from specs_verl.cold_start.flops import peak_flops
from specs_verl.cold_start.gathering import from_main
from specs_verl.cold_start.images import image_settings
from specs_verl.cold_start.inputs import check_data, check_precision, file_list
from specs_verl.cold_start.loss import LossSettings
from specs_verl.cold_start.packing import PackedRows, Packer
from specs_verl.cold_start.policy import bind_device, build_worker, single_process_defaults
from specs_verl.cold_start.preference_dataset import PreferenceDataset
from specs_verl.cold_start.probing import Probing
from specs_verl.cold_start.reference import LogProbs, ReferenceCache, ReferencePolicy, digest
from specs_verl.cold_start.reference_pass import ReferencePass
from specs_verl.cold_start.schedule import Schedule, ScheduleSettings
from specs_verl.cold_start.start import Start, claim, find_start
from specs_verl.cold_start.step_sums import BatchLoss, SupervisedLoss, add_sums
from specs_verl.errors import UserError
from specs_verl.files.fingerprints import checkpoint_fingerprint
from specs_verl.files.steps import step_folder
from specs_verl.progress import Steps

TRAINING_WORK = 3
"""Of a step, in forward passes: one, and a backward pass that takes as long as two."""


class Trainer:
    """One cold-start run."""

    def __init__(self, config: DictConfig) -> None:
        single_process_defaults()
        bind_device()
        check_precision(config)
        self.config = config
        self.out = Path(config.trainer.default_local_dir).expanduser()
        self.source = Path(config.model.path).expanduser()
        self.main = int(os.environ["RANK"]) == 0
        self.loss_settings = _loss_settings(config)
        self.early_stop = EarlyStop(config.trainer.early_stop_patience, config.trainer.early_stop_min_delta)
        self.step = 0
        self.trained_from = 0.0  # the share of all work that the reference pass does
        self._coming: PackedRows | None = None  # the rows of the next step, begun
        self.imitates = check_data(config) == "conversations"
        self.unit = "rows" if self.imitates else "pairs"

    def run(self) -> None:
        """Train and export; returns when OUT/hf is complete."""
        self._prepare()
        dtype = self.config.trainer.hf_dtype
        if self.config.trainer.resume_mode == "auto" and runs.is_complete(self.out, self.identity, dtype):
            self._say(f"{self.out / 'hf'} is the result of this very run already; nothing to do.")
            return
        start = self._start()
        self._build()
        self._resume(start)
        before = self.engine.frozen_fingerprint()
        if self.probing is not None:
            self.probing.start(self.engine, self.step)
        with Steps(quiet=not self.main) as progress:
            while self.step < self.total_steps and not self._stopped_early:
                report = self._one_step()
                share = self.trained_from + (1 - self.trained_from) * self.step / self.total_steps
                progress.show("cold start", self.step, self.total_steps, _note(report), share)
        if self.early_stop.reached:
            self._say(f"stopped at step {self.step}: no better validation loss than {self.early_stop.best:.4f}.")
        self.engine.assert_frozen(before)
        if self.probing is None:
            checkpoint.export(self.engine, self.out / "hf", self.source, dtype)
        else:
            self._say(self.probing.publish())
        if self.main:
            runs.mark_complete(self.out, self.identity, dtype)
            if self.probing is not None:
                self.probing.tidy()
            shutil.rmtree(self.out / ".rows", ignore_errors=True)
            if self.engine.features is not None:
                self.engine.features.cache.delete()

    @property
    def _stopped_early(self) -> bool:
        return self.early_stop.reached or (self.probing is not None and self.probing.reached)

    def _one_step(self) -> dict[str, float]:
        trainer = self.config.trainer
        report = self._train_step()
        last = self.step == self.total_steps
        if self.val is not None and (self._due(trainer.test_freq) or (last and trainer.test_freq > 0)):
            validation = self._validate()
            self.early_stop.see(validation["val/loss"])
            report |= validation
        probed = self.probing is not None and self.probing.due(self.step, last or self.early_stop.reached)
        if self.probing is not None and probed:
            report |= self.probing.after_step(self.engine, self.step)
        self._log(report)
        if self._due(trainer.save_freq):
            self._save()
        if self._due(trainer.hf_freq) and not last and not probed:  # a probed step is exported already
            checkpoint.export(self.engine, step_folder(self.out, self.step), self.source, trainer.hf_dtype)
        return report

    # ---- building -------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Everything that can fail because of the data, before any weight is loaded."""
        config, data = self.config, self.config.data
        self.model_config = omega_conf_to_dataclass(config.model)
        self.train = self._load_pairs(data.train_files, data.train_max_samples)
        self.val = self._load_pairs(data.val_files, data.val_max_samples) if data.val_files is not None else None
        if config.trainer.early_stop_patience > 0 and (self.val is None or config.trainer.test_freq < 1):
            raise UserError("trainer.early_stop_patience needs held-out rows: set data.val_files, trainer.test_freq.")
        self.sets = [self.train] if self.val is None else [self.train, self.val]
        self.schedule = self._schedule()
        self.total_steps = self.schedule.steps
        with self._quiet():
            self.worker = build_worker(config, self.model_config, self.total_steps)
        self.processes, self.rank = dist.get_world_size(), dist.get_rank()
        settings = image_settings(self.encoder.image_rules)
        fingerprints = {
            "weights": from_main(lambda: checkpoint_fingerprint(self.source, exact=True)),
            "data": digest([settings, *(pair.key.hex() for pair in self.train.pairs)]),
        }
        if config.reference.path is not None:
            other = Path(config.reference.path).expanduser()
            fingerprints["reference.path"] = from_main(lambda: checkpoint_fingerprint(other, exact=True))
        if len(self.schedule.stages) > 1:
            fingerprints["data.stages"] = digest([[str(stage.name), stage.rows] for stage in self.schedule.stages])
        self.identity = runs.identity(config, fingerprints, self.total_steps)

    def _schedule(self) -> Schedule:
        data, trainer = self.config.data, self.config.trainer
        stages = None
        if data.stage_column is not None:
            column = self.train.table.column(data.stage_column)
            stages = [column[pair.index] for pair in self.train.pairs]
        settings = ScheduleSettings(
            data.train_batch_size,
            data.drop_last,
            data.shuffle,
            trainer.seed,
            trainer.total_epochs,
            trainer.total_training_steps,
        )
        return Schedule.of(self.train.pairs, stages, data.stages, settings)

    def _load_pairs(self, files: str | ListConfig, max_rows: int) -> PairSet:
        model = self.model_config
        dataset = _dataset_class(self.config.data.custom_cls, self.imitates)(
            file_list(files), model.tokenizer, self.config.data, model.processor, max_samples=max_rows
        )
        self.encoder = dataset.encoder
        pairs = PairSet(dataset.table, tuple(dataset.pairs), dataset.dropped)
        if pairs.dropped:
            limit = self.config.data.max_length
            self._say(f"dropped {pairs.dropped} of {len(pairs.table)} {self.unit}, longer than {limit} tokens.")
        return pairs

    def _build(self) -> None:
        settings = image_settings(self.encoder.image_rules)
        weights = self.identity.get("reference.path", self.identity["weights"])
        policy = ReferencePolicy.of(self.config, settings, weights)
        left: Path | None = None
        known = {} if self.imitates else from_main(policy.cache.load)
        complete = self.imitates or all(pair.key in known for pairs in self.sets for pair in pairs.pairs)
        if policy.path is not None and not complete:  # another checkpoint: before ours, not beside it
            changed = {"model": {"path": str(policy.path), "lora_rank": 0}}
            other = cast("DictConfig", OmegaConf.merge(self.config, changed))
            with self._quiet():
                worker = build_worker(other, omega_conf_to_dataclass(other.model), self.total_steps)
                worker.reset()
            self._reference(known, policy.cache, worker.engine)
            left = _feature_folder(worker.engine)
            del worker
        with self._quiet():
            self.worker.reset()
        self.engine: PairEngine = self.worker.engine
        if self.main and left is not None and left != _feature_folder(self.engine):
            FeatureCache(0, left).delete()  # of a tower that is not needed again
        if policy.path is None or complete:
            self._reference(known, policy.cache, self.engine)
        self.packers = [self._packer(pairs, self.engine) for pairs in self.sets]
        self.peak = peak_flops()
        self.tracking = None
        if self.main and self.config.trainer.logger:
            from verl.utils.tracking import Tracking

            trainer = self.config.trainer
            plain = OmegaConf.to_container(self.config, resolve=True)
            self.tracking = Tracking(trainer.project_name, trainer.experiment_name, list(trainer.logger), plain)

    def _packer(self, pairs: PairSet, engine: PairEngine) -> Packer:
        return Packer(
            pairs.table,
            self.encoder.image_rules,
            engine.prompt_positions,
            self.config.data.shared_prefix,
            always_an_image=engine.vision_trains,
            image_workers=self.config.data.image_workers,
            needs_pixels=engine.needs_pixels,
        )

    def _reference(self, known: dict[bytes, LogProbs], cache: ReferenceCache, engine: PairEngine) -> None:
        """Reference log-probabilities of all pairs: `self.references[0]` for training, `[1]` for validation."""
        self.references: list[dict] = []
        if self.imitates:
            return
        size = self.config.data.train_batch_size
        passes = [self.schedule.first_pass()]
        for pairs in self.sets[1:]:
            everything = range(len(pairs))
            passes.append([list(everything[start : start + size]) for start in everything[::size]])
        work = sum(map(len, passes)) + TRAINING_WORK * self.total_steps
        for pairs, batches in zip(self.sets, passes, strict=True):
            walk = ReferencePass(pairs, engine, self._packer(pairs, engine), self.config.data.max_token_len_per_gpu)
            span = self.trained_from, self.trained_from + len(batches) / work
            known = walk.run(batches, known, cache, span)
            self.references.append({number: known[pair.key] for number, pair in enumerate(pairs.pairs)})
            self.trained_from = span[1]

    # ---- one step -------------------------------------------------------------------------------------------------

    def _rows(self, batch: Sequence[int], which: int = 0) -> PackedRows:
        limit = self.config.data.max_token_len_per_gpu
        return self.sets[which].rows(batch, self.packers[which], self.processes, self.rank, limit)

    def _begin_next(self) -> PackedRows | None:
        """The rows of the step after this one, whose first images are decoded while this one is computed."""
        if self.step + 1 >= self.total_steps:
            return None
        rows = self._rows(self.schedule.batch(self.step + 1))
        rows.begin()
        return rows

    def _loss(self, batch: Sequence[int], which: int = 0) -> BatchLoss | SupervisedLoss:
        tokens = self.sets[which].sft_tokens(batch)
        if self.imitates:
            return SupervisedLoss(self.loss_settings, len(batch), tokens)
        return BatchLoss(self.loss_settings, len(batch), tokens, self.references[which])

    def _train_step(self) -> dict[str, float]:
        batch, place, started = self.schedule.batch(self.step), self.schedule.place(self.step), time.perf_counter()
        loss = self._loss(batch)
        self.worker.set_loss_fn(loss)
        lr = self.engine.optimizer.param_groups[0]["lr"]
        rows = self._coming if self._coming is not None else self._rows(batch)
        self._coming = self._begin_next()
        data = tu.get_tensordict({}, non_tensor_dict={"rows": rows, "global_token_num": None})
        gathered = tu.get(self.worker.train_batch(data), "metrics")
        totals, not_finite = add_sums(gathered)
        self._stop_if_not_finite(batch, not_finite, gathered["grad_norm"])
        self.engine.lr_scheduler_step()
        self.step += 1
        seconds = time.perf_counter() - started
        return {
            "step": self.step,
            **loss.report(totals),
            "grad_norm": gathered["grad_norm"],
            "lr": lr,
            f"{self.unit}_per_s": totals["pairs"] / seconds,
            "tokens_per_s": totals["tokens"] / seconds,
            "mfu": 3 * totals["flops"] / seconds / (self.peak * self.processes),
            "epoch": place.epoch,
            **({"stage": place.stage + 1} if len(self.schedule.stages) > 1 else {}),
            "seconds": seconds,
        }

    def _validate(self) -> dict[str, float]:
        """The same metrics on the held-out rows, as one batch."""
        everything = range(len(self.sets[1]))
        loss = self._loss(everything, 1)
        self.worker.set_loss_fn(loss)
        data = tu.get_tensordict({}, non_tensor_dict={"rows": self._rows(everything, 1), "global_token_num": None})
        totals, _ = add_sums(tu.get(self.worker.infer_batch(data), "metrics"))
        return {f"val/{name}": value for name, value in loss.report(totals).items()}

    def _stop_if_not_finite(self, batch: list[int], not_finite: list[int], grad_norm: float) -> None:
        """verl skips an update whose gradient is not finite and goes on; we stop, weights unharmed, naming the rows."""
        if not_finite:
            raise UserError(
                f"Step {self.step + 1}: the loss is not finite for {self.train.where(not_finite)}. Nothing "
                "was updated. Look at these rows; if they are fine, lower optim.lr."
            )
        if not math.isfinite(grad_norm):
            raise UserError(
                f"Step {self.step + 1}: the gradient norm is {grad_norm}, from {self.train.where(batch)}. Nothing was "
                "updated. Lower optim.lr, or use float32 for engine.mixed_precision.reduce_dtype."
            )

    # ---- what is kept ---------------------------------------------------------------------------------------------

    def _quiet(self) -> AbstractContextManager[None]:
        """What libraries print while they build goes to a file."""
        return quiet.output_to(self.out / "libraries.log" if self.main else Path(os.devnull))

    def _say(self, message: str) -> None:
        if self.main:
            print(f"cold start: {message}", flush=True)

    def _log(self, report: dict[str, float]) -> None:
        if self.main:
            with (self.out / runs.METRICS).open("a", encoding="utf-8") as file:
                file.write(json.dumps(report) + "\n")
        if self.tracking is not None:
            self.tracking.log({key: value for key, value in report.items() if key != "step"}, step=self.step)

    def _due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0

    def _save(self) -> None:
        state = {
            "step": self.step,
            "processes": self.processes,
            "identity": self.identity,
            "early_stop": self.early_stop.state(),
        }
        checkpoint.save(self.engine, self.out, state)
        if self.main:
            checkpoint.prune(self.out, self.step, self.config.trainer.max_ckpt_to_keep)

    def _start(self) -> Start | None:
        """The checkpoint to continue from, if any. Probes are made once those of another run are gone."""
        trainer = self.config.trainer
        start = find_start(trainer, self.out, self.identity)
        named = (self.config.model.path, self.config.reference.path)
        sources = [Path(path).expanduser() for path in named if path is not None]
        from_main(lambda: claim(self.out, self.identity, trainer.resume_mode == "disable", sources))
        self.probing = Probing.of(self.config, self.out, self.source)
        return start

    def _resume(self, start: Start | None) -> None:
        if start is not None:
            checkpoint.load(self.engine, start.folder, start.state)
            self.step = start.state["step"]
            self.early_stop.restore(start.state["early_stop"])
        if self.main:
            self.out.mkdir(parents=True, exist_ok=True)
            (self.out / runs.COMPLETE).unlink(missing_ok=True)
            checkpoint.delete_drafts(self.out)
            runs.keep_metrics_up_to(self.out, self.step)
        dist.barrier()


SHOWN = {"loss": "loss {:.4f}", "rewards/margin": "margin {:.3f}", "rewards/accuracy": "accuracy {:.2f}"}


def _note(report: Mapping[str, float]) -> str:
    """What the progress bar says of a step."""
    return "  ".join(text.format(report[name]) for name, text in SHOWN.items() if name in report)


def _feature_folder(engine: PairEngine) -> Path | None:
    """Where an engine keeps what its frozen tower has made; None where nowhere."""
    return None if engine.features is None else engine.features.cache.folder


def _dataset_class(custom: DictConfig, imitates: bool) -> type:
    """The class of the config, or the one for the kind of data."""
    if custom.path is None:
        return ConversationDataset if imitates else PreferenceDataset
    try:
        return load_extern_object(custom.path, custom.name)
    except (ImportError, AttributeError, OSError) as error:
        raise UserError(f"data.custom_cls: {custom.name} of {custom.path} cannot be loaded ({error}).") from error


def _loss_settings(config: DictConfig) -> LossSettings:
    try:
        return LossSettings(**cast("dict[str, Any]", OmegaConf.to_container(config.loss, resolve=True)))
    except (ValueError, TypeError) as error:
        raise UserError(str(error)) from error
