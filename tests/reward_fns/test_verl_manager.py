"""The reward manager for verl: special tokens, row settings, progress, asynchronous functions, training metrics."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("verl")

from omegaconf import OmegaConf  # noqa: E402
from tensordict import TensorDict  # noqa: E402
from verl import DataProto  # noqa: E402
from verl.experimental.reward_loop.reward_manager import get_reward_manager_cls  # noqa: E402

from reward_fns import register  # noqa: E402
from reward_fns.verl_manager import SpecsRewardManager, summary  # noqa: E402

VOCABULARY = [
    "<pad>",
    "<|im_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "(10,10),(50,60)",
    "the answer is 12",
    "<think>hm</think>",
]


class Tokenizer:
    """Decodes indices of VOCABULARY; the first four are special."""

    all_special_tokens = VOCABULARY[:4]

    def decode(self, token_ids, skip_special_tokens):
        words = [VOCABULARY[int(i)] for i in token_ids]
        return "".join(w for w in words if not (skip_special_tokens and w in self.all_special_tokens))


def rollout(token_ids, reward_model, extra_info=None, **columns):
    """A DataProto of one rollout with two prompt tokens and two tokens of padding."""
    ids = torch.tensor([[*token_ids, 0, 0]])
    mask = torch.tensor([[1, 1] + [1] * len(token_ids) + [0, 0]])
    batch = TensorDict(
        {"prompts": torch.zeros(1, 2, dtype=torch.long), "responses": ids, "attention_mask": mask}, batch_size=1
    )
    row = {"data_source": "nano", "reward_model": reward_model, "extra_info": extra_info or {}, **columns}
    return DataProto(batch=batch, non_tensor_batch={key: np.array([value], dtype=object) for key, value in row.items()})


def settings(**reward):
    return OmegaConf.create(
        {"trainer": {"total_training_steps": 100}, "reward": {"custom_reward_function": {"path": None}, **reward}}
    )


def graded(config, data, function=None):
    async def run():
        return await SpecsRewardManager(config, Tokenizer(), function).run_single(data)

    return asyncio.run(run())


def test_registered_under_its_name():
    assert get_reward_manager_cls("specs") is SpecsRewardManager


def test_box_tokens_reach_the_parser_and_other_special_tokens_do_not():
    gold = {"ground_truth": "[[10, 10, 50, 60]]", "verifier": "boxes", "params": "{}"}
    result = graded(settings(), rollout([2, 4, 3, 1], gold))
    assert result["reward_extra_info"]["acc"] == 1.0
    assert result["reward_extra_info"]["status"] == "right"


def test_the_question_comes_from_the_prompt():
    told = []

    def function(data_source, solution_str, ground_truth, extra_info):
        told.append(extra_info.get("question"))
        return 0.0

    prompt = [{"role": "user", "content": "<image>How many?"}]
    config = settings(custom_reward_function={"path": "mine.py"})
    graded(config, rollout([5, 1], {"ground_truth": "12"}, raw_prompt=prompt), function)
    graded(config, rollout([5, 1], {"ground_truth": "12"}, {"question": "Own?"}, raw_prompt=prompt), function)
    graded(config, rollout([5, 1], {"ground_truth": "12"}), function)
    assert told == ["How many?", "Own?", None]


def test_verifier_and_parameters_come_from_reward_model():
    gold = {"ground_truth": "11.9", "verifier": "number", "params": '{"abs_tol": 0.2}'}
    assert graded(settings(), rollout([6, 5, 1], gold))["reward_score"] == 1.0


def test_the_row_and_the_end_of_a_rollout_are_part_of_what_is_dumped():
    gold = {"ground_truth": "12"}
    whole = graded(settings(), rollout([6, 5, 1], gold, {"id": "q7", "index": 3}))["reward_extra_info"]
    assert (whole["row_id"], whole["response_length"], whole["cut_off"]) == ("q7", 3, 0.0)
    cut = graded(settings(), rollout([6, 5], gold, {"index": 3}))["reward_extra_info"]
    assert (cut["row_id"], cut["response_length"], cut["cut_off"]) == ("", 2, 1.0)


def test_users_function_gets_length_and_progress():
    seen = {}

    def mine(data_source, solution_str, ground_truth, extra_info, response_length, progress):
        seen.update(length=response_length, progress=progress, text=solution_str)
        return 0.25

    config = settings(custom_reward_function={"path": "mine.py"})
    result = graded(config, rollout([6, 5, 1], {"ground_truth": "12"}, global_steps=25), mine)
    assert seen == {"length": 3, "progress": 0.25, "text": "<think>hm</think>the answer is 12"}
    assert result["reward_score"] == 0.25


def test_users_asynchronous_function_is_awaited():
    async def mine(data_source, solution_str, ground_truth, extra_info):
        await asyncio.sleep(0)
        return {"score": 0.5, "acc": 1.0}

    config = settings(custom_reward_function={"path": "mine.py"})
    assert graded(config, rollout([5, 1], {"ground_truth": "12"}), mine)["reward_extra_info"]["acc"] == 1.0


def test_a_verifier_that_raises_ends_no_rollout():
    @register("test_manager_raises", replace=True)
    def raises(response, ground_truth):
        raise RuntimeError("a bug")

    gold = {"ground_truth": "12", "verifier": "test_manager_raises"}
    results = [graded(settings(), rollout(ids, gold))["reward_extra_info"] for ids in ([6, 5, 1], [5, 1])]
    assert [(r["acc"], r["status"]) for r in results] == [(0.0, "error")] * 2
    assert summary(results)["reward/error/count"] == 2.0


def test_summary_averages_numbers_and_counts_timeouts():
    rows = [
        {"acc": 1.0, "timeout": 0.0, "seconds": 0.1, "pred": "x"},
        {"acc": 0.0, "timeout": 1.0, "seconds": 0.3, "pred": "y"},
    ]
    assert summary(rows) == pytest.approx(
        {"reward/acc/mean": 0.5, "reward/timeout/count": 1.0, "reward/seconds/mean": 0.2, "reward/seconds/max": 0.3}
    )


def test_training_metrics_are_added_after_verls_own():
    from specs_verl.plugin.reward_log import log_training_rewards

    class PPOTrainer:
        config = settings(reward_manager={"name": "specs"})

        def _compute_metrics(self, batch, metrics, timing_raw):
            metrics["verl"] = 1.0

    fields = [{"reward_extra_info": {"acc": 1.0}}, {"reward_extra_info": {"acc": 0.0}}]
    queue = SimpleNamespace(kv_batch_get=lambda **_: {"extra_fields": np.array(fields, dtype=object)})
    log_training_rewards(SimpleNamespace(PPOTrainer=PPOTrainer, tq=queue))
    metrics = {}
    PPOTrainer()._compute_metrics(SimpleNamespace(keys=[], partition_id="train"), metrics, {})
    assert metrics == {"verl": 1.0, "reward/acc/mean": 0.5}
