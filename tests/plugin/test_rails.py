"""The rails on verl's trainer: what is logged, saved and shown, and when a run ends. TransferQueue is made by hand."""

import asyncio
from types import SimpleNamespace

import pytest
import torch
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from specs_verl.doctor.preflight import RecipeCheck
from specs_verl.plugin.rails import EXIT_CODE, StoppedByAlarm, watch_training
from specs_verl.plugin.vision_tokens import forbid_vision_tokens

CORRELATION = "training/rollout_actor_probs_pearson_corr"


SCORES = {"p_0_0": 1.0, "p_1_0": 0.0, "q_0_0": 0.0, "q_1_0": 0.0, "pad": 9.0}


def nested(rows):
    return torch.nested.nested_tensor([torch.tensor(row) for row in rows], layout=torch.jagged)


class Queue:
    """Holds four responses of two prompts and a row of padding."""

    def kv_batch_get(self, keys, partition_id, select_fields):
        columns = {
            "rm_scores": nested([0.0, SCORES[key]] for key in keys),
            "responses": nested([1, 2] for _ in keys),
            "raw_prompt": [[{"role": "user", "content": f"question of {key}"}] for key in keys],
            "reward_model": [{"ground_truth": "12"} for _ in keys],
            "extra_fields": [{"reward_extra_info": {"status": "right", "acc": 1.0}} for _ in keys],
        }
        return {name: columns[name] for name in select_fields}


def trainer_of(tmp_path, correlations, save_freq=2, spoilt=None, **rails):
    """A trainer with verl's loop in short; `correlations` are those of its steps."""

    class PPOTrainer:
        trainer_mode = "sync"
        total_training_steps = len(correlations)
        tokenizer = SimpleNamespace(decode=lambda ids, skip_special_tokens: f"{len(ids)} tokens")
        logger = SimpleNamespace(logger={})

        def __init__(self):
            self.config = OmegaConf.create(
                {
                    "data": {"max_response_length": 10},
                    "trainer": {"default_local_dir": str(tmp_path), "save_freq": save_freq},
                    **({"rails": {"most_at_cap": 0.5, **rails}} if rails else {}),
                }
            )
            self.global_steps, self.saved, self.logged, self.slept, self.closed = 1, [], [], 0, 0
            self.checkpoint_manager = SimpleNamespace(sleep_replicas=self.sleep)

        def sleep(self):
            self.slept += 1

        def _shutdown_dump_executor(self):
            self.closed += 1

        def _save_checkpoint(self):
            self.saved.append(self.global_steps)

        def _compute_metrics(self, batch, metrics, timing):
            metrics[CORRELATION] = correlations[self.global_steps - 1]
            metrics["actor/grad_norm"] = float("nan") if self.global_steps == spoilt else 1.0

        def step(self):
            keys = list(SCORES)
            tags = [{"response_len": 10 if key == "p_0_0" else 4, "is_padding": key == "pad"} for key in keys]
            return SimpleNamespace(keys=keys, tags=tags, partition_id="train")

        def fit(self):
            while self.global_steps <= self.total_training_steps:
                batch, metrics = self.step(), {}
                last = self.global_steps == self.total_training_steps
                if save_freq > 0 and (last or self.global_steps % save_freq == 0):
                    self._save_checkpoint()
                self._compute_metrics(batch, metrics, {})
                self.logged.append(metrics)
                self.global_steps += 1

    watch_training(SimpleNamespace(PPOTrainer=PPOTrainer, tq=Queue()))
    return PPOTrainer()


def test_without_the_section_nothing_is_added(tmp_path):
    trainer = trainer_of(tmp_path, [0.5, 0.5])
    trainer.fit()
    assert set(trainer.logged[0]) == {CORRELATION, "actor/grad_norm"} and list(tmp_path.iterdir()) == []


def test_a_warning_is_said_once_and_the_run_goes_on(tmp_path, capsys):
    trainer = trainer_of(tmp_path, [0.999, 0.5, 0.5, 0.999], on_alarm="warn", samples_every=3)
    trainer.fit()
    # one of two groups is flat, one of four responses has the 10 tokens that are allowed: padding does not count
    assert trainer.logged[0]["rails/flat_groups"] == 0.5 and trainer.logged[0]["rails/at_cap"] == 0.25
    assert [metrics["rails/alarms"] for metrics in trainer.logged] == [0, 1, 1, 0]
    said = capsys.readouterr().out
    assert said.count("ALARM at step 2: The correlation of rollout and actor probabilities is 0.5000") == 1
    assert said.count("ALARM") == 1 and "alarm correlation is over at step 4" in said
    assert trainer.saved == [2, 4]
    pages = sorted((tmp_path / "samples").iterdir())
    assert [page.name for page in pages] == ["step_000001.html", "step_000003.html"]
    html = pages[1].read_text(encoding="utf-8")
    assert "question of p_0_0" in html and "2 tokens" in html and "Alarm:" in html and "question of pad" not in html


@pytest.mark.parametrize(
    ("correlations", "save_freq", "steps", "saved", "slept"),
    [
        ([0.9, 1.0, 1.0], 2, 1, [1], 1),  # saved for the alarm, vLLM put to sleep before
        ([1.0, 0.9, 1.0], 2, 2, [2], 0),  # saved by schedule
        ([1.0, 1.0, 0.9], 2, 3, [2, 3], 0),  # the last step: verl's loop is over
        ([0.9, 1.0], -1, 1, [], 0),  # a run that saves nothing
    ],
)
def test_stop_ends_the_run_after_the_step_is_logged_and_saved(tmp_path, correlations, save_freq, steps, saved, slept):
    trainer = trainer_of(tmp_path, correlations, save_freq, on_alarm="stop")
    with pytest.raises(StoppedByAlarm, match=rf"at step {steps} by an alarm .* 0.9000, under 0.99"):
        trainer.fit()
    assert (len(trainer.logged), trainer.saved, trainer.slept, trainer.closed) == (steps, saved, slept, 1)


def test_spoilt_weights_are_not_saved(tmp_path):
    trainer = trainer_of(tmp_path, [1.0] * 4, save_freq=2, spoilt=3, on_alarm="stop")
    with pytest.raises(StoppedByAlarm, match=r"actor/grad_norm.*Step 3 is not saved"):
        trainer.fit()
    assert trainer.saved == [2]


def test_a_full_disk_does_not_end_training(tmp_path, caplog):
    (tmp_path / "samples").write_text("a file where the folder should be")
    trainer = trainer_of(tmp_path, [1.0, 1.0], samples_every=1)
    trainer.fit()
    assert len(trainer.logged) == 2 and "could not be shown" in caplog.text


def test_the_driver_says_the_reason_and_exits_with_3(capsys):
    stopped = JobReturn()
    stopped.status, stopped.return_value = JobStatus.FAILED, StoppedByAlarm("Stopped at step 4 by an alarm")
    with pytest.raises(SystemExit) as ended:
        RecipeCheck().on_run_end(OmegaConf.create({}), stopped)
    assert ended.value.code == EXIT_CODE == 3
    assert capsys.readouterr().err == "specs-verl: Stopped at step 4 by an alarm\n"


@pytest.mark.parametrize(
    ("rails", "engine", "bias"),
    [
        ({"forbid_vision_tokens": True}, "vllm", {5: 3.0, 151655: -100.0, 151652: -100.0}),
        ({"forbid_vision_tokens": False}, "vllm", {5: 3.0}),
        ({}, "vllm", {5: 3.0}),
        ({"forbid_vision_tokens": True}, "sglang", {5: 3.0}),
    ],
)
def test_vision_tokens_are_forbidden_where_the_recipe_asks(rails, engine, bias):
    class AgentLoopWorker:
        tokenizer = SimpleNamespace(
            get_vocab=lambda: {"<|image_pad|>": 151655, "<|vision_start|>": 151652, "<|box_start|>": 7}
        )
        rollout_config = SimpleNamespace(name=engine)
        config = OmegaConf.create({"rails": rails} if rails else {})

        async def _run_agent_loop(self, sampling_params, trajectory, *, agent_name):
            return sampling_params

    forbid_vision_tokens(SimpleNamespace(AgentLoopWorker=AgentLoopWorker))
    given = {"temperature": 1.0, "logit_bias": {5: 3.0}}
    sent = asyncio.run(AgentLoopWorker()._run_agent_loop(given, {}, agent_name="single_turn_agent"))
    assert sent == {"temperature": 1.0, "logit_bias": bias}
    assert given["logit_bias"] == {5: 3.0}
