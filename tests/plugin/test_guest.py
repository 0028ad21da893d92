"""The plugin as a guest: another project's Hydra, its logs, its frozen or trained towers and its interpreters stay as
they are until a configuration asks for us."""

import logging
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import verl
from omegaconf import OmegaConf

from specs_verl.cpu import torchvision_shim
from specs_verl.doctor.preflight import frozen_as_asked
from specs_verl.errors import UserError
from specs_verl.plugin import recipes, reward_log
from specs_verl.plugin.freeze import SWITCH

APPLICATION = """
import hydra, verl
@hydra.main(config_path="conf", config_name="main", version_base=None)
def main(config):
    print("specs is", config.get("specs"))
main()
"""


@pytest.fixture
def run(tmp_path):
    """A Hydra application of somebody's that imports verl; `files` are its configurations."""

    def start(files: dict[str, str], *arguments: str) -> subprocess.CompletedProcess:
        (tmp_path / "app.py").write_text(APPLICATION)
        for name, text in files.items():
            (tmp_path / "conf" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "conf" / name).write_text(text)
        command = [sys.executable, "app.py", "hydra.run.dir=out", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    return start


GROUP = {"main.yaml": "defaults: [{specs: small}]", "specs/small.yaml": "size: 1", "specs/mine.yaml": "size: 2"}


def test_a_group_named_specs_of_ones_own(run):
    done = run(GROUP, "specs=mine")
    assert done.stdout.strip() == "specs is {'size': 2}", done.stderr
    # a typing error is Hydra's to explain, with the user's options and none of ours
    wrong = run(GROUP, "specs=minne")
    assert wrong.returncode == 1 and "mine" in wrong.stderr and "nano_grpo" not in wrong.stderr


def test_a_key_named_specs_of_ones_own(run):
    done = run({"main.yaml": "specs: 3"}, "specs=5")
    assert done.stdout.strip() == "specs is 5", done.stderr


def test_a_recipe_of_ours_is_found_from_there_when_it_is_named(run):
    done = run({"main.yaml": "mine: 1"}, "+specs=nano_grpo", "--cfg", "job")
    assert done.returncode == 0 and "adv_estimator: grpo" in done.stdout, done.stderr


def test_whose_search_path_it_is(tmp_path):
    assert recipes.is_verls(["pkg://hydra.conf", "pkg://verl.trainer.config"])
    assert recipes.is_verls([str(Path(verl.__file__).parent / "trainer" / "config")])
    assert recipes.is_verls(["pkg://verl.trainer/config"])
    assert recipes.is_verls([f"file://{Path(recipes.__file__).parents[1] / 'config' / 'cold_start'}"])
    assert not recipes.is_verls(
        ["pkg://hydra.conf", "pkg://verlag.conf", f"file://{tmp_path}/verl/conf", "structured://"]
    )
    assert recipes.asked_for(["+specs=a,b", "specs@x=c", "trainer.specs=d", "spec=e"]) == ["a", "b", "c"]


def test_verls_actor_freezes_only_where_a_configuration_asks(tmp_path):
    code = f"""
import verl
from verl.utils.import_utils import import_external_libs
from verl.workers.config.actor import FSDPActorConfig
for library in (None, "json", {SWITCH!r}):
    import_external_libs(library)
    print(FSDPActorConfig.__post_init__.__module__)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    stock = "verl.workers.config.actor"
    assert done.stdout.splitlines()[-3:] == [stock, stock, "specs_verl.plugin.freeze"], done.stderr


@pytest.mark.parametrize(
    ("frozen", "library", "fine"),
    [
        (True, None, False),
        (True, "mine", False),
        (True, ["mine", SWITCH], True),
        (True, SWITCH, True),
        (False, None, True),
    ],
)
def test_a_recipe_that_would_not_freeze_is_refused(frozen, library, fine):
    part = {"model": {"external_lib": library}, "actor": {"freeze_vision_tower": frozen}}
    config = OmegaConf.create({"actor_rollout_ref": part})
    if fine:
        frozen_as_asked(config)
    else:
        with pytest.raises(UserError, match=r"external_lib to name specs_verl\.plugin\.freeze_switch"):
            frozen_as_asked(config)


def trainer_with(config: dict, answer) -> object:
    """verl's trainer, as far as the log is concerned; `answer` is what the transfer queue returns or raises."""

    class PPOTrainer:
        def __init__(self):
            self.config = OmegaConf.create(config)

        def _compute_metrics(self, batch, metrics):
            metrics["verl"] = 1.0
            return "verl's"

    def kv_batch_get(**_):
        if isinstance(answer, BaseException):
            raise answer
        return {"extra_fields": answer}

    module = SimpleNamespace(PPOTrainer=PPOTrainer, tq=SimpleNamespace(kv_batch_get=kv_batch_get))
    reward_log.log_training_rewards(module)
    return PPOTrainer()


BATCH = SimpleNamespace(keys=["a"], partition_id="train")
OURS = {"reward": {"custom_reward_function": {"path": "pkg://reward_fns"}, "reward_manager": {"name": "naive"}}}
THEIRS = {"reward": {"custom_reward_function": {"path": "their.py"}, "reward_manager": {"name": "naive"}}}


def test_training_rewards_are_logged_where_they_are_ours():
    fields = [{"reward_extra_info": {"acc": 1.0}}, {"reward_extra_info": {"acc": 0.0}}]
    metrics: dict[str, float] = {}
    assert trainer_with(OURS, fields)._compute_metrics(BATCH, metrics) == "verl's"
    assert metrics == {"verl": 1.0, "reward/acc/mean": 0.5}
    metrics = {}
    trainer_with(THEIRS, fields)._compute_metrics(BATCH, metrics)
    assert metrics == {"verl": 1.0}
    named = {"reward": {"custom_reward_function": {"path": None}, "reward_manager": {"name": "specs"}}}
    assert reward_log.rewards_are_ours(OmegaConf.create(named))
    assert not reward_log.rewards_are_ours(OmegaConf.create({}))


@pytest.mark.parametrize(
    "error", [TypeError("x"), OSError(28, "full"), AssertionError(), TimeoutError(), RuntimeError(), KeyError("x")]
)
def test_no_log_line_ends_a_run(error, caplog):
    metrics: dict[str, float] = {}
    with caplog.at_level(logging.WARNING):
        assert trainer_with(OURS, error)._compute_metrics(BATCH, metrics) == "verl's"
    assert metrics == {"verl": 1.0} and "could not be logged" in caplog.text


def test_the_torchvision_shim_imports_nothing_of_ours_at_the_start_of_an_interpreter(tmp_path):
    torchvision_shim.write_into(tmp_path)
    (tmp_path / "torchcodec.py").write_text("raise OSError('libcudart.so: cannot open shared object file')")
    code = f"""
import site, sys
before = set(sys.modules)
site.addsitedir({str(tmp_path)!r})
print(sorted(set(sys.modules) - before))
try:
    import torchcodec
except ImportError as error:
    print(error)
"""
    # isolated and without site: nothing else of this environment takes part
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60)
    imported, failure = done.stdout.splitlines()
    assert imported == "['specs_verl_torchvision_shim']", done.stderr
    assert failure.startswith("torchcodec is installed, but does not load with this torch: libcudart")
    assert os.listdir(tmp_path).count("specs_verl_torchvision_shim.pth") == 1
