"""The `specs` command: every subcommand explains itself, and bad requests end with one sentence and exit code 2."""

import os
import subprocess
import sys

import pytest

from specs_verl.cli import COMMANDS, main
from specs_verl.pipeline import command as run


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_subcommand_has_help(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    assert f"usage: specs {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "nanoo"], "There is no pipeline 'nanoo'. Known: cold_start_rates, cold_starts, grpo_only, nano"),
        (["run", "nano", "zero.stepps=3"], "stepps"),
        (["run", "nano", "model=/no/such/model"], "/no/such/model: no such checkpoint directory"),
        (["run", "nano", "--until", "nothing"], "There is no stage 'nothing'"),
        (["run", "nano", "memory_gib=100000"], "GiB of free memory are needed"),
        (["run", "nano", "--seed", "1", "zero.stepps=3"], "stepps"),
    ],
)
def test_bad_requests(arguments, sentence, capsys, tmp_path):
    options = ["--out", str(tmp_path / "run")] if arguments[0] == "run" else []
    assert main([*arguments, *options]) == 2
    assert sentence in capsys.readouterr().err


def test_a_reader_that_has_gone_is_no_error(tmp_path):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "specs_verl.cli", "run", "nano", "--dry-run", "--out", str(tmp_path)]
    process = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=120)
    os.close(write)
    assert (process.returncode, process.stderr) == (141, "")


def test_another_broken_pipe_is_an_error(monkeypatch, tmp_path):
    def of_a_worker(_):
        raise BrokenPipeError

    monkeypatch.setattr(run, "run", of_a_worker)
    with pytest.raises(BrokenPipeError):
        main(["run", "nano", "--out", str(tmp_path)])


def test_unknown_options_are_refused(capsys):
    for arguments in (["run", "nano", "--sead", "1"], ["doctor", "a=1"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
        assert "unrecognized arguments" in capsys.readouterr().err


def test_overrides_reach_the_configuration():
    definition = run.load("specs", ["zero.steps=3", "seed=7", "zero.overrides=[a=1,b=2]"])
    zero = definition.stage("zero").settings
    assert (zero["steps"], definition.seed, zero["overrides"]) == (3, 7, ["a=1", "b=2"])


@pytest.mark.parametrize(
    ("options", "stages"),
    [
        (["--only", "gf"], ["gf"]),
        (["--until", "pairs"], ["data", "zero", "pairs"]),
        ([], ["data", "zero", "pairs", "cold_start", "grpo", "evaluation", "gf", "report"]),
    ],
)
def test_a_dry_run_prints_the_stages_that_were_asked_for(options, stages, tmp_path, capsys):
    assert main(["run", "nano", "--out", str(tmp_path), "--dry-run", *options]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line[2:].split(":")[0] for line in printed if line.startswith("# ")] == stages


def test_watch_runs_what_follows_the_dashes(tmp_path):
    log = tmp_path / "log.txt"
    assert main(["watch", "--log", str(log), "--", "echo", "+specs=nano_grpo", "--flag"]) == 0
    assert log.read_text() == "+specs=nano_grpo --flag\n"
    assert main(["watch", "--log", str(log), "--", "false"]) == 1


def test_no_command_is_an_error(capsys):
    with pytest.raises(SystemExit) as stopped:
        main([])
    assert stopped.value.code == 2
