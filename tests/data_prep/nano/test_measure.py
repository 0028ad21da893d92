"""Figures and their intervals by hand; a policy with known answers; checkpoints side by side."""

import io
import re
import sys

import pytest
import torch
from rich.console import Console

from data_prep.nano import measure as measuring
from data_prep.nano.formats import THINK_ANSWER, respond
from data_prep.nano.measure import Figure, measure, show


def test_a_figure_by_hand():
    # mean 0.5, standard deviation sqrt(2 * .25 + 2 * .25) / sqrt(3) = 0.577, times 1.96 / sqrt(4)
    figure = Figure.of(torch.tensor([0.0, 1.0, 0.0, 1.0]))
    assert figure.value == 0.5 and figure.half_width == pytest.approx(1.96 * 0.57735 / 2, abs=1e-4)


def test_figures_differ_when_the_interval_of_the_difference_excludes_zero():
    # half widths 3 and 4: the difference has 5
    assert Figure(0.0, 3.0).differs(Figure(5.1, 4.0)) and not Figure(0.0, 3.0).differs(Figure(4.9, 4.0))


class Obedient:
    """Obeys every drill; answers every question hastily with 5, in think_answer form."""

    def sample(self, scenes, prompts, seed=0):
        texts = []
        for text in prompts:
            drill = re.fullmatch(r"<image>Copy (.*) Then (\w+)\. (.*)", text)
            form = THINK_ANSWER if drill is None else asked(drill[3])
            texts.append(respond(form, "I guess so.", "5") if drill is None else respond(form, drill[1], drill[2]))
        return texts

    def sample_ids(self, scenes, prompts, seed=0):
        return [[ord(letter) for letter in text] for text in self.sample(scenes, prompts)]

    def decode(self, ids):
        return "".join(map(chr, ids))


def asked(instruction):
    """The form of an instruction, read from its words."""
    first, second = re.findall(r"<(\w+)>", instruction)[:2]
    turned = instruction.startswith("Put")
    wrap = "json" if "JSON" in instruction else "box" if "boxed" in instruction else "plain"
    return type(THINK_ANSWER)(*((second, first) if turned else (first, second)), wrap, turned)


def test_a_known_policy_is_measured_as_what_it_is():
    figures = measure(Obedient(), prompts=20)
    compliance = {name: figure.value for name, figure in figures["compliance with the asked format"].items()}
    assert compliance.pop("think_answer") == 1.0 and set(compliance.values()) == {0.0}
    assert {figure.value for figure in figures["copying drills without fault"].values()} == {1.0}
    assert figures["accuracy"]["all tasks"].value < 0.2
    # What is right is right without any reasoning.
    if figures["accuracy"]["all tasks"].value > 0:
        assert figures["reasoning in right, well-formed responses"]["none"].value == 1.0


def test_checkpoints_stand_side_by_side_and_differences_are_starred():
    one = {"accuracy": {"all": Figure(0.5, 0.03), "sum": Figure(0.5, 0.1)}}
    two = {"accuracy": {"all": Figure(0.6, 0.04), "sum": Figure(0.6, 0.1)}}
    console = Console(file=io.StringIO(), width=120)
    show({"shipped": one, "rebuilt": two}, console)
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    assert any("all │ 0.500 ± 0.030 │ 0.600 ± 0.040 *" in line for line in lines)
    assert any("sum │ 0.500 ± 0.100 │ 0.600 ± 0.100 │" in line for line in lines)


@pytest.mark.parametrize("arguments", [["--model", "/nowhere"], ["--model", "{base}", "{base}"]])
def test_bad_directories_are_refused(arguments, monkeypatch, capsys):
    base = str(measuring.base_checkpoint())
    monkeypatch.setattr(sys, "argv", ["measure", *(argument.format(base=base) for argument in arguments)])
    with pytest.raises(SystemExit) as end:
        measuring.main()
    assert end.value.code == 2 and "director" in capsys.readouterr().err
