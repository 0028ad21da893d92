"""verl's dump of training rollouts holds the ids of their rows, without which no pair can be made of them."""

from types import SimpleNamespace

from omegaconf import OmegaConf

from specs_verl.plugin.reward_log import dump_row_ids

INFOS = {
    "a_0_0": {"row_id": "q7", "response_length": 12, "cut_off": 0.0, "acc": 1.0},
    "a_1_0": {"row_id": "q7", "response_length": 80, "cut_off": 1.0, "acc": 0.0},
}


class Queue:
    """verl's transfer queue, as far as it is asked here."""

    @staticmethod
    def kv_batch_get(keys, partition_id, select_fields):
        assert select_fields == ["extra_fields"]
        return {"extra_fields": [{"reward_extra_info": INFOS[key]} for key in keys]}


def trainer_of(manager):
    class Trainer:
        config = OmegaConf.create({"reward": {"reward_manager": {"name": manager}}})
        lines = None

        def _log_rollout_data(self, batch, timing_raw, rollout_data_dir):
            # As verl: sorted by key, and nothing but the key goes along.
            self._dump_generations(inputs=[], reward_extra_infos_dict={"uid": sorted(batch.keys)}, dump_path="d")

        def _dump_generations(self, inputs, reward_extra_infos_dict, dump_path):
            self.lines = reward_extra_infos_dict

    dump_row_ids(SimpleNamespace(PPOTrainer=Trainer, tq=Queue))
    return Trainer()


def test_lines_get_row_length_and_end_of_their_own_rollout():
    trainer = trainer_of("specs")
    trainer._log_rollout_data(SimpleNamespace(keys=["a_1_0", "a_0_0"], partition_id="train"), {}, "d")
    assert trainer.lines == {
        "uid": ["a_0_0", "a_1_0"],
        "row_id": ["q7", "q7"],
        "response_length": [12, 80],
        "cut_off": [0.0, 1.0],
    }
    trainer._dump_generations(inputs=[], reward_extra_infos_dict={"uid": ["v"], "acc": [1.0]}, dump_path="validation")
    assert trainer.lines == {"uid": ["v"], "acc": [1.0]}, "a dump of validation has its columns already"


def test_the_dump_of_another_project_stays_as_it_is():
    trainer = trainer_of("naive")
    trainer._log_rollout_data(SimpleNamespace(keys=["a_0_0"], partition_id="train"), {}, "d")
    assert trainer.lines == {"uid": ["a_0_0"]}
