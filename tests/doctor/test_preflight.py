"""Bad input is named in one sentence before anything expensive starts."""

import os
import socket
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hydra import compose, initialize_config_module

from specs_verl.doctor import preflight
from specs_verl.errors import UserError


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").touch()
    return folder


@pytest.fixture
def rows(tmp_path):
    def make(**without) -> str:
        columns = {name: ["x"] for name in preflight.COLUMNS if name not in without.get("drop", ())}
        path = tmp_path / f"rows{len(columns)}.parquet"
        parquet.write_table(pa.table(columns), path)
        return str(path)

    return make


def test_checkpoints(checkpoint, tmp_path):
    preflight.checkpoint(str(checkpoint))
    preflight.checkpoint("Qwen/Qwen2.5-VL-7B-Instruct")
    for bad in ("./missing", "/missing/model", "runs", str(tmp_path / "missing")):
        with pytest.raises(UserError, match="no such checkpoint directory"):
            preflight.checkpoint(bad)
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(UserError, match="no weights there"):
        preflight.checkpoint(str(checkpoint))
    (checkpoint / "config.json").unlink()
    with pytest.raises(UserError, match=r"no config\.json there"):
        preflight.checkpoint(str(checkpoint))


def test_rows(rows, tmp_path):
    assert preflight.rows(rows()) == 1
    with pytest.raises(UserError, match="no column 'images'"):
        preflight.rows(rows(drop=("images",)))
    with pytest.raises(UserError, match="There is no file"):
        preflight.rows(str(tmp_path / "missing.parquet"))
    (tmp_path / "text.parquet").write_text("not parquet")
    with pytest.raises(UserError, match="cannot be read as parquet"):
        preflight.rows(str(tmp_path / "text.parquet"))
    parquet.write_table(
        pa.table({name: pa.array([], pa.string()) for name in preflight.COLUMNS}), tmp_path / "e.parquet"
    )
    with pytest.raises(UserError, match="has no rows"):
        preflight.rows(str(tmp_path / "e.parquet"))


def test_machine(tmp_path, monkeypatch):
    preflight.memory(1)
    with pytest.raises(UserError, match="GiB of free memory are needed"):
        preflight.memory(10**16)
    with pytest.raises(UserError, match="free disk"):
        preflight.disk(tmp_path / "not" / "yet", 10**18)
    preflight.compiler()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="no C compiler"):
        preflight.compiler()


def test_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        number = server.getsockname()[1]
        server.listen()
        with pytest.raises(UserError, match=f"Port {number} on 127.0.0.1 is in use"):
            preflight.port(number)
        with pytest.raises(UserError, match="is in use"):
            preflight.master_port({"MASTER_PORT": str(number)})
    preflight.port(number)
    preflight.master_port({"MASTER_PORT": str(number)})
    preflight.master_port({})
    with pytest.raises(UserError, match="no port number"):
        preflight.master_port({"MASTER_PORT": "ssh"})


def test_recipes_check_before_ray_starts(checkpoint, rows, tmp_path):
    arguments = {
        "actor_rollout_ref.model.path": checkpoint,
        "data.train_files": rows(),
        "data.val_files": rows(),
        "hydra.callbacks.specs_preflight.memory_gib": "1e6",
    }
    command = [sys.executable, "-m", "verl.trainer.main_ppo", "+specs=nano_grpo"]
    command += [f"{key}={value}" for key, value in arguments.items()]
    run = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=os.environ, timeout=120)
    assert run.returncode == 2
    assert "GiB of free memory are needed" in run.stderr.strip().splitlines()[-1]
    assert "Started a local Ray instance" not in run.stderr


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("checkpoint", "no such checkpoint directory"),
        ("images", "no column 'images'"),
        ("reward", "There is no reward file missing.py"),
    ],
)
def test_what_a_recipe_checks(case, sentence, checkpoint, rows, tmp_path, monkeypatch, capsys):
    import verl  # noqa: F401  (registers the recipes)

    good, without_images = rows(), rows(drop=("images",))
    overrides = {
        "actor_rollout_ref.model.path": str(tmp_path / "missing") if case == "checkpoint" else str(checkpoint),
        "data.train_files": without_images if case == "images" else good,
        "data.val_files": good,
        "reward.custom_reward_function.path": "missing.py" if case == "reward" else "pkg://reward_fns",
    }
    with initialize_config_module("verl.trainer.config", version_base=None):
        config = compose("ppo_trainer", ["+specs=nano_grpo", *(f"{key}={value}" for key, value in overrides.items())])
    monkeypatch.setattr(preflight, "keep_to_this_machine", lambda *_, **__: None)  # sets variables for good
    with pytest.raises(SystemExit) as stopped:
        preflight.RecipeCheck().on_run_start(config)
    assert stopped.value.code == 2 and sentence in capsys.readouterr().err
