"""Alarm arithmetic on hand-made metrics."""

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from specs_verl.errors import UserError
from specs_verl.rails.alarms import alarms
from specs_verl.rails.facts import Facts, facts_of, flat_groups
from specs_verl.rails.settings import Settings

SOUND = {"training/rollout_actor_probs_pearson_corr": 0.9999, "reward/format/mean": 0.95, "actor/pg_loss": 0.1}
MIXED = {"p_0_0": 1.0, "p_1_0": 0.0}


def names(history, **settings):
    return [alarm.name for alarm in alarms(history, Settings(**settings))]


def step(number, **metrics):
    return facts_of(number, {**SOUND, **metrics}, MIXED, [10, 20], longest=80)


def test_a_sound_step_sets_off_nothing():
    assert names([step(n) for n in range(1, 20)]) == []


@pytest.mark.parametrize(("value", "alarm"), [(0.99, []), (0.9899, ["correlation"]), (float("nan"), ["correlation"])])
def test_correlation(value, alarm):
    assert names([step(1, **{"training/rollout_actor_probs_pearson_corr": value})]) == alarm


def test_a_run_without_rollout_log_probs_has_no_correlation_to_judge():
    assert facts_of(1, {}, {}, [], longest=80) == Facts(step=1)
    assert names([Facts(step=1)]) == []


def test_not_finite_names_the_metric_and_spoils_the_checkpoint():
    history = [step(1, **{"actor/grad_norm": np.float32("inf"), "critic/score/mean": torch.tensor(float("nan"))})]
    (alarm,) = alarms(history, Settings())
    assert alarm.poisoned and "actor/grad_norm, critic/score/mean" in alarm.reason
    # verl does not know the peak of every device
    assert names([step(1, **{"perf/mfu/actor": float("nan")})]) == []
    assert names(history, not_finite=False) == []


def test_flat_groups_counts_prompts_with_several_samples():
    scores = {"a_0_0": 1.5, "a_1_0": 1.5, "b_0_0": 0.0, "b_1_0": 0.5, "alone_0_0": 1.0}
    assert flat_groups(scores) == 0.5  # a of a and b
    assert flat_groups({"alone_0_0": 1.0}) is None
    # the last turn decides: 1 and 1, whatever came before; a prompt's own id may hold underscores
    assert flat_groups({"a_b_0_0": 0.0, "a_b_0_1": 1.0, "a_b_1_0": 1.0}) == 1.0


def test_flat_groups_must_last():
    flat, mixed = Facts(1, flat_groups=1.0), Facts(2, flat_groups=0.98)
    assert names([flat, flat]) == []
    assert names([flat, flat, flat]) == ["flat_groups"]
    assert names([flat, flat, mixed]) == names([flat, mixed, flat, flat]) == []
    assert names([mixed] * 3, most_flat_groups=0.5) == ["flat_groups"]


def test_share_at_the_cap():
    # 3 of 10 responses have the 80 tokens that are allowed
    facts = facts_of(4, SOUND, MIXED, [80, 80, 80, 79, 5, 5, 5, 5, 5, 5], longest=80)
    assert facts.at_cap == 0.3
    assert facts.as_metrics() == {"rails/at_cap": 0.3, "rails/flat_groups": 0.0}
    assert names([facts] * 2) == [] and names([facts] * 3) == ["at_cap"]
    assert "now 30%" in alarms([facts] * 3, Settings())[0].reason
    assert names([facts] * 3, most_at_cap=0.3) == []  # over, not at


def test_format_is_compared_with_its_best_window():
    def history(values):
        return [Facts(number, format=value) for number, value in enumerate(values)]

    # windows of 2: best (0.9 + 1.0) / 2 = 0.95; the last two have 0.84 on average, 0.11 below
    assert names(history([0.3, 0.9, 1.0, 0.86, 0.82]), window=2) == ["format"]
    # 0.86 on average, 0.09 below
    assert names(history([0.3, 0.9, 1.0, 0.88, 0.84]), window=2) == []
    # one bad step between good ones is noise
    assert names(history([0.9, 0.9, 0.9, 0.9, 0.7, 0.95]), window=2) == []
    assert names(history([0.9, 0.5, 0.1]), window=2) == []  # too few steps to tell
    assert names(history([0.3, 0.9, 1.0, 0.5, 0.5]), window=2, format_drop=None) == []


def test_settings_come_from_the_section_or_not_at_all():
    assert Settings.of(OmegaConf.create({"trainer": {}})) is None
    assert Settings.of(OmegaConf.create({"rails": {"on_alarm": "stop", "format_drop": None}})) == Settings(
        on_alarm="stop", format_drop=None
    )


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"on_alarm": "halt"}, "on_alarm must be warn or stop"),
        ({"min_correlation": 99}, "from -1 to 1"),
        ({"most_at_cap": True}, "most_at_cap must be a number"),
        ({"patience": 0}, "patience must be a whole number of at least 1"),
        ({"minimum": 1}, "unknown keys minimum"),
        ({"not_finite": "yes"}, "not_finite must be True or False"),
    ],
)
def test_settings_that_make_no_sense_are_named(section, said):
    with pytest.raises(UserError, match=said):
        Settings.of(OmegaConf.create({"rails": section}))
