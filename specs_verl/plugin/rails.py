"""Connects the training rails (specs_verl/rails) to verl's trainer, where the configuration has a section `rails`.

    install()        # from the plugin: costs nothing until verl imports its trainer or its agent loop

- After every step: alarms in the log, each with its reason, once when it begins; `rails/...` among the metrics.
- on_alarm=stop: the step is logged and saved, then the run ends with the reason and exit code 3 (doctor/preflight.py
  shortens what the driver prints). Nothing is saved where the weights may be spoilt, or where the run saves nothing.
- At the first step and every samples_every steps: trainer.default_local_dir/samples/step_N.html, and a table in the
  trackers that are on.

Not here: the arithmetic (rails/alarms.py), and the ban of image tokens in rollouts (vision_tokens.py).
"""

from __future__ import annotations

import logging
from pathlib import Path

from specs_verl.plugin.late_patch import on_import

logger = logging.getLogger(__name__)

EXIT_CODE = 3
"""Of a run that an alarm has stopped."""

SHOWN_FIELDS = ["responses", "rm_scores", "raw_prompt", "reward_model", "extra_fields"]


class StoppedByAlarm(RuntimeError):
    """Ends a run under on_alarm=stop; the message says why, and what was saved."""


def install() -> None:
    on_import("verl.trainer.ppo.v1.trainer_base", watch_training)


class Rails:
    """The rails of one trainer."""

    def __init__(self, settings) -> None:
        self.settings = settings
        self.history: list = []
        self.sounding: list = []
        self.stopped: StoppedByAlarm | None = None

    def after_step(self, trainer, transfer_queue, batch, metrics) -> None:
        """Look at a step whose metrics are complete; adds to them."""
        from specs_verl.rails.alarms import alarms
        from specs_verl.rails.facts import facts_of

        rows = [(key, tag) for key, tag in zip(batch.keys, batch.tags, strict=True) if not tag.get("is_padding")]
        keys = [key for key, _ in rows]
        data = transfer_queue.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=["rm_scores"])
        scores = dict(zip(keys, (float(row.sum()) for row in _rows(data["rm_scores"])), strict=True))
        lengths = [int(tag["response_len"]) for _, tag in rows]
        step = trainer.global_steps
        facts = facts_of(step, metrics, scores, lengths, int(trainer.config.data.max_response_length))
        self.history.append(facts)
        before = {alarm.name for alarm in self.sounding}
        self.sounding = alarms(self.history, self.settings)
        metrics.update(facts.as_metrics())
        metrics["rails/alarms"] = len(self.sounding)
        for alarm in self.sounding:
            if alarm.name not in before:
                print(f"specs-verl: ALARM at step {step}: {alarm.reason}", flush=True)
        for name in sorted(before - {alarm.name for alarm in self.sounding}):
            print(f"specs-verl: alarm {name} is over at step {step}", flush=True)

    def show_samples(self, trainer, transfer_queue, batch) -> None:
        """Write the samples of the step where its turn has come, of the first, and of the one that ends the run."""
        from specs_verl.rails.page import write_page
        from specs_verl.rails.samples import Rollout, prompt_of, sampled_prompts
        from specs_verl.rails.trackers import publish

        every, step = self.settings.samples_every, trainer.global_steps
        begins = len(self.history) == 1
        if not every or (step % every and not begins and self.stopped is None):
            return
        keys = [key for key, tag in zip(batch.keys, batch.tags, strict=True) if not tag.get("is_padding")]
        # verl's ids of prompts are random: the first in their order are a random choice.
        chosen = set(sorted({prompt_of(key) for key in keys})[: self.settings.samples_prompts])
        keys = sorted(key for key in keys if prompt_of(key) in chosen)
        data = transfer_queue.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=SHOWN_FIELDS)
        columns = {name: _rows(data[name]) for name in SHOWN_FIELDS}
        rollouts = []
        for place, key in enumerate(keys):
            row = {name: column[place] for name, column in columns.items()}
            ids = row["responses"].tolist()
            rollouts.append(
                Rollout(
                    key=key,
                    messages=row["raw_prompt"],
                    truth=(row["reward_model"] or {}).get("ground_truth"),
                    text=trainer.tokenizer.decode(ids, skip_special_tokens=False),
                    tokens=len(ids),
                    score=float(row["rm_scores"].sum()),
                    grades=(row["extra_fields"] or {}).get("reward_extra_info") or {},
                )
            )
        prompts = sampled_prompts(rollouts)
        folder = Path(trainer.config.trainer.default_local_dir).expanduser() / "samples"
        write_page(folder, step, prompts, [alarm.reason for alarm in self.sounding])
        publish(trainer.logger.logger, step, prompts)

    def decide(self, trainer) -> None:
        """Under on_alarm=stop, save what is sound and remember that the run ends."""
        from specs_verl.rails.settings import STOP

        if self.settings.on_alarm != STOP or not self.sounding:
            return
        step, config = trainer.global_steps, trainer.config.trainer
        poisoned = any(alarm.poisoned for alarm in self.sounding)
        if config.save_freq <= 0:
            saved = "The run saves no checkpoints."
        elif step % config.save_freq == 0 or step >= trainer.total_training_steps:
            spoilt = ", and its weights may be spoilt: look at the one before" if poisoned else ""
            saved = f"The checkpoint of step {step} is saved{spoilt}."
        elif poisoned:
            saved = f"Step {step} is not saved, since its weights may be spoilt: the newest checkpoint is older."
        else:
            if trainer.trainer_mode == "sync":  # nothing is being sampled: vLLM's memory is free for the saving
                trainer.checkpoint_manager.sleep_replicas()
            trainer._save_checkpoint()
            saved = f"The checkpoint of step {step} is saved."
        reasons = " ".join(alarm.reason for alarm in self.sounding)
        self.stopped = StoppedByAlarm(
            f"Stopped at step {step} by an alarm (rails.on_alarm=stop): {reasons} {saved} "
            "The same command with rails.on_alarm=warn continues."
        )


def watch_training(module) -> None:
    """Wrap the trainer: look at every step, and end the run between two steps where an alarm says so."""
    trainer = module.PPOTrainer
    compute_metrics, step, fit = trainer._compute_metrics, trainer.step, trainer.fit

    def with_rails(self, batch, metrics, *args, **kwargs):
        outcome = compute_metrics(self, batch, metrics, *args, **kwargs)
        rails = _rails_of(self)
        if rails is None:
            return outcome
        try:
            rails.after_step(self, module.tq, batch, metrics)
        except Exception as error:  # whatever it is: watching must never stop a training run
            logger.warning("The rails could not look at this step: %s: %s", type(error).__name__, error)
        rails.decide(self)
        try:
            rails.show_samples(self, module.tq, batch)
        except Exception as error:  # a full disk, a tracker that is gone
            logger.warning("The samples of this step could not be shown: %s: %s", type(error).__name__, error)
        return outcome

    def unless_stopped(self, *args, **kwargs):
        _end_if_stopped(self)
        return step(self, *args, **kwargs)

    def until_stopped(self, *args, **kwargs):
        outcome = fit(self, *args, **kwargs)
        _end_if_stopped(self)  # the alarm of the last step
        return outcome

    trainer._compute_metrics, trainer.step, trainer.fit = with_rails, unless_stopped, until_stopped


def _rails_of(trainer) -> Rails | None:
    """The rails of a trainer, None where its configuration has none."""
    if not hasattr(trainer, "_specs_rails"):
        from specs_verl.rails.settings import Settings

        settings = Settings.of(trainer.config)
        trainer._specs_rails = None if settings is None else Rails(settings)
    return trainer._specs_rails


def _end_if_stopped(trainer) -> None:
    rails = _rails_of(trainer)
    if rails is not None and rails.stopped is not None:
        trainer._shutdown_dump_executor()  # rollouts that are being written
        raise rails.stopped


def _rows(column) -> list:
    """A column of a TensorDict by rows: a tensor, nested where lengths differ, or whatever else was put in."""
    import torch

    if isinstance(column, torch.Tensor):
        return list(column.unbind())
    return column.tolist() if hasattr(column, "tolist") else list(column)
