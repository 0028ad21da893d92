"""Makes the ``specs`` reward manager known to verl, and its numbers visible during training.

    install()        # from the plugin: costs nothing until verl imports its reward managers or its trainer

- ``reward.reward_manager.name=specs`` works in every process (reward_fns.verl_manager holds the manager).
- verl logs what a reward function returns only in validation. Here the same numbers of the training rollouts
  (accuracy, format, timeouts, seconds) are averaged into ``reward/...`` of every step, where the reward function or the
  reward manager is ours; another project's log stays as it is.
- verl's dump of training rollouts (trainer.rollout_data_dir) leaves out what the reward manager returned. There, too,
  the row's id, the length and whether the response was cut off are added, which pairs from rollouts need.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from specs_verl.plugin.late_patch import Patched, on_import

if TYPE_CHECKING:
    from transfer_queue import KVBatchMeta
    from verl.trainer.ppo.v1.trainer_base import PPOTrainer

logger = logging.getLogger(__name__)


def install() -> None:
    on_import("verl.experimental.reward_loop.reward_manager", _register_manager)
    on_import("verl.trainer.ppo.v1.trainer_base", log_training_rewards)
    on_import("verl.trainer.ppo.v1.trainer_base", dump_row_ids)


def _register_manager(module: Patched) -> None:
    import reward_fns.verl_manager  # noqa: F401  registers itself


def log_training_rewards(module: Patched) -> None:
    """Wrap the trainer's ``_compute_metrics``: after verl's own metrics, add the averages of the batch's score
    dicts."""
    trainer = module.PPOTrainer
    compute_metrics = trainer._compute_metrics

    def with_rewards(
        self: PPOTrainer, batch: KVBatchMeta, metrics: dict[str, Any], *args: object, **kwargs: object
    ) -> object:
        outcome = compute_metrics(self, batch, metrics, *args, **kwargs)
        if not rewards_are_ours(self.config):
            return outcome
        try:
            metrics.update(_reward_metrics(module.tq, batch))
        except Exception as error:  # whatever it is: a log line must never stop a training run
            logger.warning("The rewards of this step could not be logged: %s: %s", type(error).__name__, error)
        return outcome

    trainer._compute_metrics = with_rewards


DUMPED = ("row_id", "response_length", "cut_off")
"""What the manager says of a rollout that its dump must hold."""


def dump_row_ids(module: Patched) -> None:
    """Wrap the trainer's ``_log_rollout_data`` and the dump that it calls: the lines get the columns DUMPED."""
    trainer = module.PPOTrainer
    log_rollouts, dump = trainer._log_rollout_data, trainer._dump_generations

    def with_ids(self: PPOTrainer, batch: KVBatchMeta, *args: object, **kwargs: object) -> object:
        self.specs_rollouts = {}
        if rewards_are_ours(self.config):
            try:
                self.specs_rollouts = dict(zip(batch.keys, _reward_infos(module.tq, batch), strict=True))
            except Exception as error:  # as above: the dump is then verl's own
                logger.warning("The dump of this step holds no ids of rows: %s: %s", type(error).__name__, error)
        try:
            return log_rollouts(self, batch, *args, **kwargs)
        finally:
            self.specs_rollouts = {}

    def with_columns(
        self: PPOTrainer, *args: object, reward_extra_infos_dict: dict[str, list], **kwargs: object
    ) -> object:
        told = getattr(self, "specs_rollouts", {})
        infos = [told.get(key) or {} for key in reward_extra_infos_dict.get("uid", ())] if told else []
        known = [name for name in DUMPED if infos and all(name in info for info in infos)]
        columns = {name: [info[name] for info in infos] for name in known}
        return dump(self, *args, reward_extra_infos_dict={**reward_extra_infos_dict, **columns}, **kwargs)

    trainer._log_rollout_data, trainer._dump_generations = with_ids, with_columns


def rewards_are_ours(config: Mapping[str, Any]) -> bool:
    """Whether a configuration of verl's takes its rewards from reward_fns, or hands them through our manager."""
    rewards = config.get("reward") or {}
    function, manager = rewards.get("custom_reward_function") or {}, rewards.get("reward_manager") or {}
    return str(function.get("path")).startswith("pkg://reward_fns") or manager.get("name") == "specs"


def _reward_metrics(transfer_queue: Patched, batch: KVBatchMeta) -> dict[str, float]:
    from reward_fns.verl_manager import summary

    return summary(info for info in _reward_infos(transfer_queue, batch) if info)


def _reward_infos(transfer_queue: Patched, batch: KVBatchMeta) -> list[dict[str, Any]]:
    """What the reward manager returned for every rollout of a batch, in the order of its keys."""
    data = transfer_queue.kv_batch_get(keys=batch.keys, partition_id=batch.partition_id, select_fields=["extra_fields"])
    fields = data["extra_fields"].tolist() if hasattr(data["extra_fields"], "tolist") else list(data["extra_fields"])
    return [(field.get("reward_extra_info") or {}) if isinstance(field, dict) else {} for field in fields]
