"""The plugin on stock verl: loaded by `import verl`, cheap, loud when it fails, out of the way on a GPU."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def python(code: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess:
    """Run code in a fresh interpreter, with none of this one's verl variables."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("VERL_", "TORCHDYNAMO", "RAY_"))}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**kept, **environment}, cwd=cwd, timeout=180
    )


def test_import_verl_selects_the_cpu_platform_where_only_the_cpu_profile_is_installed(tmp_path):
    run = python(
        "import verl; from verl.plugin.platform import get_platform; print(get_platform().device_name)", tmp_path
    )
    assert run.stdout.strip().endswith("cpu"), run.stderr


def test_gpu_profile_gets_the_fixes_and_none_of_the_cpu_patches(tmp_path):
    code = """
import sys, verl
import verl.utils.tensordict_utils as tu, verl.utils.distributed as distributed
print("fix:" + tu.maybe_fix_3d_position_ids.__module__)
print("gloo:" + distributed.initialize_global_process_group.__module__)
print("cpu modules:" + ",".join(m for m in sys.modules if m.startswith("specs_verl.cpu.") and m[15:] != "detect"))
"""
    run = python(code, tmp_path, VERL_PLATFORM="nvidia")
    assert run.stdout.splitlines() == ["fix:specs_verl.plugin.fixes", "gloo:verl.utils.distributed", "cpu modules:"], (
        run.stderr
    )


def test_registering_imports_nothing_beyond_verl_itself(tmp_path):
    code = """
import os, sys
os.environ["VERL_USE_EXTERNAL_PLUGINS"] = "none"
import verl
before = set(sys.modules)
import specs_verl.plugin.entry
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(new - set(sys.stdlib_module_names)))
"""
    # A slip such as importing vLLM, torch's compiler or Hydra's plugin scan would show here; Hydra itself comes later.
    assert python(code, tmp_path).stdout.splitlines()[-1] == "['packaging', 'specs_verl']"


def test_a_failing_plugin_is_loud_and_does_not_stop_verl(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import specs_verl.plugin.fixes as fixes\n"
        "def broken():\n    raise RuntimeError('no such thing')\n"
        "fixes.install = broken\n"
    )
    run = python("import verl; print('verl is here')", tmp_path, PYTHONPATH=str(tmp_path))
    assert "verl is here" in run.stdout
    assert "specs-verl: the plugin FAILED" in run.stderr
    assert "no such thing" in run.stderr


def test_a_recipe_name_works_from_any_directory(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "verl.trainer.main_ppo", "+specs=nano_grpo", "--cfg", "job"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=180,
    )
    assert run.returncode == 0, run.stderr
    assert "adv_estimator: grpo" in run.stdout


def test_an_unknown_recipe_lists_the_known_ones_and_exits_with_2(tmp_path):
    run = subprocess.run(
        [sys.executable, "-m", "verl.trainer.main_ppo", "+specs=nano_grop"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=180,
    )
    assert run.returncode == 2
    assert "no recipe specs=nano_grop" in run.stderr
    assert "nano_grpo" in run.stderr and "qwen2_5_vl_7b_zero" in run.stderr


@pytest.fixture(scope="module")
def wheel_site(tmp_path_factory) -> Path:
    """The project built as a wheel and installed into an empty folder."""
    folder = tmp_path_factory.mktemp("wheel")
    project = Path(__file__).parents[2]
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    built = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(project)]
    subprocess.run(built, check=True, capture_output=True, timeout=300)
    (wheel,) = folder.glob("specs_verl-*.whl")
    site = folder / "site"
    subprocess.run([*pip, "install", "--no-deps", "--target", str(site), str(wheel)], check=True, capture_output=True)
    return site


def test_recipes_come_with_the_wheel_too(wheel_site, tmp_path):
    code = """
import runpy, sys
import specs_verl
print(specs_verl.__file__)
sys.argv = ["main_ppo", "+specs=qwen2_5_vl_7b_grpo", "--cfg", "job"]
runpy.run_module("verl.trainer.main_ppo", run_name="__main__")
"""
    run = python(code, tmp_path, PYTHONPATH=str(wheel_site))
    assert run.returncode == 0 and str(wheel_site) in run.stdout.splitlines()[0], run.stderr
    assert "freeze_vision_tower: true" in run.stdout
