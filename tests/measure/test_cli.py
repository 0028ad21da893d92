"""The commands as a user types them: output, exit codes, and one sentence for every mistake."""

import argparse
import subprocess
import sys

import pytest

from specs_verl.errors import UserError
from specs_verl.measure.cli import COMMANDS
from specs_verl.measure.evaluate_command import parse_set


def run(name, *words):
    parser = argparse.ArgumentParser()
    COMMANDS[name].add_arguments(parser)
    return COMMANDS[name].run(parser.parse_args([str(word) for word in words]))


@pytest.fixture(scope="module")
def measured(tmp_path_factory, fabricate):
    """base, warm-up and a model that lost accuracy, evaluated through the command."""
    place = tmp_path_factory.mktemp("cli")
    test = fabricate.prompts(place / "test.parquet", 32)
    ood = fabricate.prompts(place / "ood.parquet", 16, "colon")
    (place / "checks.py").write_text("def complies(name, text):\n    return {'colon': 'Answer:' in text}[name]\n")
    for name, right, formed, colon in (("base", 0.6, 0.4, 0.5), ("warm", 0.65, 0.9, 0.9), ("bad", 0.2, 0.9, 0.9)):
        fabricate.run(place / name / "test", test, fabricate.quality(right, formed))
        fabricate.run(place / name / "ood", ood, fabricate.quality(right, colon), asked_format="colon")
        code = run(
            "evaluate", "--model", name, "--out", place / "eval" / name, "--workers", 1,
            "--set", f"test={place}/{name}/test:{test}", "--set", f"ood@ood={place}/{name}/ood:{ood}",
            "--format-check", f"{place}/checks.py:complies",
        )  # fmt: skip
        assert code == 0
    return place


def test_evaluate_writes_and_prints(measured, capsys):
    run("report", measured / "eval" / "base")
    out = capsys.readouterr().out
    assert "base" in out and "OOD format" in out and "32 held-out prompts, 4 responses each" in out
    assert (measured / "eval" / "base" / "metrics.json").is_file()


def test_gf_prints_the_gate_and_fails_only_when_asked_to(measured, capsys):
    base, warm, bad = (measured / "eval" / name for name in ("base", "warm", "bad"))
    assert run("gf", "--base", base, warm, "--strict") == 0
    out = capsys.readouterr().out
    assert "Gate open" in out and "GF" in out and "pass@4" in out
    assert run("gf", "--base", base, bad) == 0
    assert "Gate closed: accuracy fell" in " ".join(capsys.readouterr().out.split())
    assert run("gf", "--base", base, warm, bad, "--strict") == 1


def test_report_writes_the_page(measured, fabricate, capsys, tmp_path):
    log = fabricate.grpo_log(tmp_path / "log.jsonl", 5, 0.5, 1.0)
    cold = fabricate.cold_start_log(tmp_path / "cold.jsonl", 5)
    code = run(
        "report", measured / "eval" / "base", measured / "eval" / "warm",
        "--out", tmp_path / "r.html", "--title", "Mine",
        "--grpo", f"warm={log}", "--grpo-rollouts", f"warm={tmp_path}", "--cold-start", f"warm={cold}", "--samples", 2,
    )  # fmt: skip
    assert code == 0
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<h1>Mine</h1>" in text and text.count("<article") == 2 and "gate open" in text
    assert str(tmp_path / "r.html") in capsys.readouterr().out.replace("\n", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["evaluate", "--model", "m", "--out", "o", "--set", "test"], "write NAME"),
        (
            ["evaluate", "--model", "m", "--out", "o", "--set", "t=a:b", "--workers", "0"],
            "--workers must be at least 1",
        ),
        (["evaluate", "--model", "m", "--out", "o", "--set", "t=a:no.parquet"], "no.parquet: no such data file"),
        (["gf", "--base", "no.json", "no.json"], "no.json: cannot read the metrics"),
        (["gf", "--base", "no.json", "no.json", "--beta", "0"], "--beta must be positive"),
        (["report", "no.json"], "no.json: cannot read the metrics"),
        (["report", "no.json", "--grpo", "zero"], "--grpo 'zero': write NAME=PATH"),
        (["report", "no.json", "--grpo", "zero=gone.jsonl"], "gone.jsonl does not exist"),
        (["report", "no.json", "--grpo-rollouts", "zero=/"], "no --grpo with that name"),
    ],
)
def test_mistakes_get_one_sentence(words, message):
    with pytest.raises(UserError, match=message) as error:
        run(*words)
    assert "\n" not in str(error.value) and error.value.exit_code == 2


def test_a_format_the_check_does_not_know(fabricate, tmp_path):
    prompts = fabricate.prompts(tmp_path / "yaml.parquet", 2, "yaml")
    (tmp_path / "checks.py").write_text("def complies(name, text):\n    return {'colon': True}[name]\n")
    words = ["--model", "m", "--out", tmp_path, "--set", f"test={tmp_path}:{prompts}"]
    with pytest.raises(UserError, match="knows no format 'yaml', which the prompts ask for"):
        run("evaluate", *words, "--format-check", f"{tmp_path}/checks.py:complies")


def test_set_with_several_files_and_a_colon_in_the_path():
    entry = parse_set("ood@control=runs/a:b/samples:x.parquet,y.parquet")
    assert (entry.name, entry.role, str(entry.samples)) == ("ood", "control", "runs/a:b/samples")
    assert [str(path) for path in entry.prompts] == ["x.parquet", "y.parquet"]


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_complete(name, capsys):
    parser = argparse.ArgumentParser(prog=f"specs {name}")
    COMMANDS[name].add_arguments(parser)
    assert all(action.help for action in parser._actions)
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(["--help"])
    assert stop.value.code == 0 and f"specs {name}" in capsys.readouterr().out


def test_importing_the_arithmetic_is_cheap():
    """`from specs_verl.measure import pass_at_k` must not bring torch, pandas or a template engine along."""
    code = "import sys, specs_verl.measure; print({'torch', 'pandas', 'matplotlib', 'jinja2'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
