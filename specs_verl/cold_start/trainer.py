"""The cold-start loop: the same code in every process, whether torchrun, Ray or nobody started it.

    Trainer(config).run()          # config: composed by __main__.py

Order of events: check rows and paths, tokenise, build the engine, reference log-probabilities (cache or one forward
pass with the initial policy), resume if there is something to resume, train, export.
"""

import json
import math
import os
import socket
import time
from pathlib import Path

import torch
import torch.distributed as dist
from omegaconf import DictConfig, OmegaConf
from verl.utils import tensordict_utils as tu
from verl.utils.config import omega_conf_to_dataclass
from verl.workers.config import TrainingWorkerConfig
from verl.workers.engine_workers import TrainingWorker

from specs_verl.cold_start import checkpoint, order
from specs_verl.cold_start.encode import Encoder
from specs_verl.cold_start.engine import MODEL_TYPE, PairEngine
from specs_verl.cold_start.loss import LossSettings
from specs_verl.cold_start.metrics import BatchLoss, add_sums, mean_metrics
from specs_verl.cold_start.packing import PackedRows, Packer
from specs_verl.cold_start.pairs import PairTable
from specs_verl.cold_start.progress import Progress
from specs_verl.cold_start.reference import CODE_VERSION, ReferenceCache, digest, weights_fingerprint
from specs_verl.errors import UserError


class Trainer:
    """One cold-start run."""

    def __init__(self, config: DictConfig) -> None:
        self.config = config
        self.out = Path(config.trainer.default_local_dir).expanduser()
        self.source = Path(config.model.path).expanduser()
        self.loss_settings = _loss_settings(config)
        _require_checkpoint(self.source)
        self.table = PairTable.open(_file_list(config.data.train_files), config.data.train_max_samples)
        _single_process_defaults()
        self.main = int(os.environ["RANK"]) == 0

    def run(self) -> None:
        """Train and export; returns when OUT/hf is complete."""
        self._build()
        self._resume()
        before = self.engine.frozen_fingerprint()
        reference = {number: self.reference[pair.key] for number, pair in enumerate(self.pairs)}
        with Progress("cold start", self.total_steps, self.step, enabled=self.main) as progress:
            while self.step < self.total_steps:
                report = self._train_step(reference)
                self._log(report)
                progress.update(self.step, report)
                if self._due(self.config.trainer.save_freq):
                    self._save()
        self.engine.assert_frozen(before)
        checkpoint.export(self.engine, self.out / "hf", self.source, self.config.trainer.hf_dtype)

    # ---- building -------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        config = self.config
        model = omega_conf_to_dataclass(config.model)
        data = config.data
        encoder = Encoder.from_processor(
            model.processor, model.tokenizer, data.max_length, data.too_long, data.end_of_turn
        )
        self.pairs, self.dropped = encoder.encode(self.table)
        if self.dropped and self.main:
            print(
                f"cold start: dropped {self.dropped} of {len(self.table)} pairs, longer than {data.max_length} tokens."
            )
        self.steps_per_epoch = order.steps_per_epoch(len(self.pairs), data.train_batch_size, data.drop_last)
        if self.steps_per_epoch == 0:
            raise UserError(
                f"{len(self.pairs)} pairs do not fill one batch of data.train_batch_size={data.train_batch_size}, and "
                "data.drop_last=true drops what does not fill a batch."
            )
        self.total_steps = config.trainer.total_training_steps or self.steps_per_epoch * config.trainer.total_epochs
        optimizer = omega_conf_to_dataclass(config.optim)
        optimizer.total_training_steps = self.total_steps
        self.worker = TrainingWorker(
            TrainingWorkerConfig(
                model_type=MODEL_TYPE,
                model_config=model,
                engine_config=omega_conf_to_dataclass(config.engine),
                optimizer_config=optimizer,
                checkpoint_config=omega_conf_to_dataclass(config.checkpoint),
            )
        )
        self.worker.reset()
        self.engine: PairEngine = self.worker.engine
        self.packer = Packer(self.table, encoder.image_rules, self.engine.prompt_positions, data.shared_prefix)
        self.step = 0
        self.reference = self._reference(encoder)

    def _reference(self, encoder: Encoder) -> dict[bytes, tuple[float, float]]:
        """Log-probabilities of the initial policy for every pair, from the cache or computed now."""
        weights = _from_main(lambda: weights_fingerprint(self.source))
        settings = encoder.image_rules.settings if encoder.image_rules else ""
        precision = OmegaConf.to_container(self.config.engine.mixed_precision, resolve=True)
        self.fingerprints = {"weights": weights, "data": digest([pair.key.hex() for pair in self.pairs])}
        key = digest([weights, settings, precision, self.config.engine.model_dtype, CODE_VERSION])
        cache = ReferenceCache(self.config.reference.cache_dir, key)
        known = _from_main(cache.load)
        missing = [number for number, pair in enumerate(self.pairs) if pair.key not in known]
        if missing:
            known |= self._compute_reference(missing, cache)
        return known

    def _compute_reference(self, missing: list[int], cache: ReferenceCache) -> dict[bytes, tuple[float, float]]:
        found: dict[bytes, tuple[float, float]] = {}
        size = self.config.data.train_batch_size
        batches = [missing[start : start + size] for start in range(0, len(missing), size)]
        with Progress("reference log-probs", len(batches), 0, enabled=self.main) as progress:
            for number, batch in enumerate(batches):
                found |= self._log_probs(batch)
                progress.update(number + 1, {})
        wrong = [number for number in missing if not all(map(math.isfinite, found[self.pairs[number].key]))]
        if wrong:
            raise UserError(
                f"The reference policy {self.source} gives log-probabilities that are not finite for "
                f"{self._where(wrong)}. The checkpoint may be damaged."
            )
        if self.main:
            cache.add(found)
        return found

    def _log_probs(self, batch: list[int]) -> dict[bytes, tuple[float, float]]:
        rows = self._rows(batch)
        with self.engine.eval_mode(), torch.no_grad():
            data = tu.get_tensordict({}, non_tensor_dict={"rows": rows})
            outputs = self.engine.forward_backward_batch(data, None, forward_only=True)["log_probs"]
        mine = {
            self.pairs[pair].key: tuple(values)
            for row, log_probs in outputs
            if not row.padding
            for pair, values in zip(row.pairs, log_probs.tolist(), strict=True)
        }
        everyone: list[dict] = [None] * dist.get_world_size()
        dist.all_gather_object(everyone, mine)
        return {key: value for part in everyone for key, value in part.items()}

    # ---- one step -------------------------------------------------------------------------------------------------

    def _rows(self, batch: list[int]) -> PackedRows:
        """This process's share of a batch."""
        data = self.config.data
        units = order.units_of(batch, self.pairs, data.shared_prefix)
        plan = order.split_units(units, dist.get_world_size(), data.max_token_len_per_gpu)
        return PackedRows(self.packer, plan[dist.get_rank()], self.pairs, filler=min(units, key=lambda u: u.tokens))

    def _batch(self) -> list[int]:
        """Pairs of the next step; a pure function of the seed and the step."""
        data = self.config.data
        epoch, number = divmod(self.step, self.steps_per_epoch)
        if epoch != getattr(self, "_epoch", None):
            self._epoch = epoch
            self._order = order.epoch_order(self.pairs, self.config.trainer.seed, epoch, data.shuffle)
        return self._order[number * data.train_batch_size : (number + 1) * data.train_batch_size]

    def _train_step(self, reference: dict[int, tuple[float, float]]) -> dict[str, float]:
        batch, started = self._batch(), time.perf_counter()
        tokens = sum(len(self.pairs[pair].chosen) for pair in batch)
        self.worker.set_loss_fn(BatchLoss(self.loss_settings, len(batch), tokens, reference))
        lr = self.engine.optimizer.param_groups[0]["lr"]
        data = tu.get_tensordict({}, non_tensor_dict={"rows": self._rows(batch), "global_token_num": None})
        output = self.worker.train_batch(data)
        gathered = tu.get(output, "metrics")
        totals = add_sums(gathered)
        self._stop_if_not_finite(batch, totals, gathered["grad_norm"])
        self.engine.lr_scheduler_step()
        self.step += 1
        seconds = time.perf_counter() - started
        return {
            "step": self.step,
            **mean_metrics(totals, self.loss_settings),
            "grad_norm": gathered["grad_norm"],
            "lr": lr,
            "pairs_per_s": totals["pairs"] / seconds,
            "tokens_per_s": totals["tokens"] / seconds,
            "epoch": (self.step - 1) // self.steps_per_epoch,
            "seconds": seconds,
        }

    def _stop_if_not_finite(self, batch: list[int], totals: dict, grad_norm: float) -> None:
        """verl skips an update whose gradient is not finite and goes on; we stop, weights unharmed, naming the rows."""
        if totals["not_finite"]:
            raise UserError(
                f"Step {self.step + 1}: the loss is not finite for {self._where(totals['not_finite'])}. Nothing was "
                "updated. Look at these rows; if they are fine, lower optim.lr."
            )
        if not math.isfinite(grad_norm):
            raise UserError(
                f"Step {self.step + 1}: the gradient norm is {grad_norm}, from {self._where(batch)}. Nothing was "
                "updated. Lower optim.lr, or use float32 for engine.mixed_precision.reduce_dtype."
            )

    def _where(self, pairs: list[int], at_most: int = 8) -> str:
        named = "; ".join(self.table.where(self.pairs[pair].index) for pair in pairs[:at_most])
        return named + (f" and {len(pairs) - at_most} more" if len(pairs) > at_most else "")

    # ---- what is kept ---------------------------------------------------------------------------------------------

    @property
    def _metrics_file(self) -> Path:
        return self.out / "metrics.jsonl"

    def _log(self, report: dict[str, float]) -> None:
        if self.main:
            with self._metrics_file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(report) + "\n")

    def _due(self, every: int) -> bool:
        return every > 0 and self.step % every == 0

    def _identity(self) -> dict:
        """What must not change between the runs that one output folder is made of."""
        data, config = self.config.data, self.config
        return {
            **self.fingerprints,
            "seed": config.trainer.seed,
            "train_batch_size": data.train_batch_size,
            "total_steps": self.total_steps,
            "loss": OmegaConf.to_container(config.loss, resolve=True),
            "optim": OmegaConf.to_container(config.optim, resolve=True),
        }

    def _save(self) -> None:
        state = {"step": self.step, "processes": dist.get_world_size(), "identity": self._identity()}
        checkpoint.save(self.engine, self.out, state)
        if self.main:
            checkpoint.prune(self.out, self.config.trainer.max_ckpt_to_keep)

    def _resume(self) -> None:
        trainer = self.config.trainer
        folder = None
        if trainer.resume_mode == "auto":
            folder = checkpoint.latest(self.out)
        elif trainer.resume_mode == "resume_path":
            folder = Path(trainer.resume_from_path or "").expanduser()
        elif trainer.resume_mode != "disable":
            raise UserError(f"trainer.resume_mode={trainer.resume_mode}: use auto, disable or resume_path.")
        if folder is not None:
            state = checkpoint.read_state(folder)
            differing = [k for k, v in self._identity().items() if state["identity"].get(k) != v]
            if differing:
                raise UserError(
                    f"{folder} belongs to a run with another {', '.join(differing)}. Continue with the old settings, "
                    "use another trainer.default_local_dir, or start anew with trainer.resume_mode=disable."
                )
            self.step = checkpoint.load(self.engine, folder)["step"]
        if self.main:
            self.out.mkdir(parents=True, exist_ok=True)
            _keep_metrics_up_to(self._metrics_file, self.step)
        dist.barrier()


def _keep_metrics_up_to(path: Path, step: int) -> None:
    """Drop the lines of steps that will be done again (killed after a step, before its checkpoint)."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    kept = []
    for line in lines:
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError):  # a line that a kill cut short
            continue
    draft = path.with_name(f".{path.name}")
    draft.write_text("".join(kept), encoding="utf-8")
    os.replace(draft, path)


def _from_main(compute):
    """What process 0 computes, on every process."""
    box = [compute() if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def _file_list(files) -> list[str]:
    return [files] if isinstance(files, str) else list(files or [])


def _loss_settings(config: DictConfig) -> LossSettings:
    try:
        return LossSettings(**OmegaConf.to_container(config.loss, resolve=True))
    except (ValueError, TypeError) as error:
        raise UserError(str(error)) from error


def _require_checkpoint(path: Path) -> None:
    if not (path / "config.json").is_file():
        raise UserError(f"{path}: no Hugging Face checkpoint there (config.json is missing). Set model.path.")
    if not any(path.glob("*.safetensors")) and not any(path.glob("*.bin")):
        raise UserError(f"{path}: the checkpoint has no weights (*.safetensors or *.bin).")


def _single_process_defaults() -> None:
    """Without torchrun: one process, a free port."""
    if "RANK" in os.environ:
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    os.environ.update(RANK="0", LOCAL_RANK="0", WORLD_SIZE="1", LOCAL_WORLD_SIZE="1")
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", str(port))
