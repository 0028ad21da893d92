"""examples/slurm/ray.sbatch with stand-ins for Slurm and Ray: what is started where, and that all of it ends."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest

SCRIPT = Path(__file__).parents[2] / "examples" / "slurm" / "ray.sbatch"

STAND_INS = {
    "scontrol": "echo node1; echo node2; echo node3",
    "hostname": "echo 10.0.0.1 fe80::1",
    # the options, then the command, which runs once here whatever the number of nodes
    "srun": 'options=(); while [[ "$1" == --* ]]; do options+=("$1"); shift; done\n'
    'echo "${options[*]} | $*" >> "$NOTES/srun"\nexec "$@"',
    "ray": 'echo "$RAY_AUTH_MODE $RAY_AUTH_TOKEN $*" >> "$NOTES/ray"\nexec sleep 60',
    # `python -m specs_verl.ray_cluster --nodes N`: the head, then head and workers, which are one process here
    "python": 'echo "$RAY_ADDRESS $*" >> "$NOTES/python"\npieces=$(($4 > 1 ? 2 : 1))\n'
    'until [[ "$(cat "$NOTES/ray" 2>/dev/null | wc -l)" == "$pieces" ]]; do sleep 0.05; done',
}


@pytest.fixture
def job(tmp_path):
    """Starts the script as Slurm would, in a session of its own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in STAND_INS.items():
        (folder / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
        (folder / name).chmod(0o755)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "PATH": f"{folder}:{os.environ['PATH']}",
        "SLURM_JOB_NODELIST": "node[1-3]",
        "NOTES": str(tmp_path),
    }
    started = []

    def start(*command: str) -> subprocess.Popen:
        process = subprocess.Popen(
            ["bash", str(SCRIPT), *command], env=environment, cwd=tmp_path, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:  # its session outlives the script itself
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def session(process: subprocess.Popen) -> list[int]:
    """Processes that the script has left behind."""
    left = []
    for other in psutil.process_iter():
        try:
            if os.getsid(other.pid) == process.pid and other.status() != psutil.STATUS_ZOMBIE:
                left.append(other.pid)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return left


def test_head_workers_and_command(job, tmp_path):
    process = job("bash", "-c", "echo $RAY_ADDRESS $RAY_AUTH_MODE > seen; exit 7")
    assert process.wait(timeout=60) == 7
    assert (tmp_path / "seen").read_text() == "10.0.0.1:6379 token\n"
    steps = (tmp_path / "srun").read_text().splitlines()
    assert any("--nodelist=node1 --overlap | ray start --head --node-ip-address=10.0.0.1" in step for step in steps)
    assert any("--nodes=2 --ntasks=2 --exclude=node1 --overlap" in step for step in steps)
    waits = [line.split(" --seconds")[0] for line in (tmp_path / "python").read_text().splitlines()]
    assert waits == [f"10.0.0.1:6379 -m specs_verl.ray_cluster --nodes {count}" for count in (1, 3)]
    rays = [line.split() for line in (tmp_path / "ray").read_text().splitlines()]
    assert len(rays) == 2 and {ray[0] for ray in rays} == {"token"}
    (token,) = {ray[1] for ray in rays}
    assert len(token) == 64 and int(token, 16)
    assert session(process) == []


def test_a_signal_ends_the_command_first_and_then_ray(job, tmp_path):
    process = job("bash", "-c", "trap 'sleep 0.5; touch saved; exit 0' TERM; touch begun; sleep 60 & wait")
    deadline = time.monotonic() + 60
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.terminate()
    assert process.wait(timeout=30) == 143
    assert (tmp_path / "saved").exists()
    names = {psutil.Process(pid).name() for pid in session(process)}
    assert names <= {"sleep"}  # that of the command, which ended before it


def test_without_a_command(job):
    assert job().wait(timeout=30) == 2
