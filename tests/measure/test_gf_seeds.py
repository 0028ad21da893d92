"""Curves of several seeds: intervals by hand, methods at equal ID, and what is written."""

import csv
import json
import math
from dataclasses import asdict

import numpy as np
import pytest

from specs_verl.errors import UserError
from specs_verl.measure import cli
from specs_verl.measure.gf_curve import GfCurve
from specs_verl.measure.gf_seeds import read_methods, t_interval, where_id_reaches

STEPS = (0, 5, 10)


def curve(name: str, inside: tuple[float, ...], ood: tuple[float, ...], definition: str = "compliance") -> GfCurve:
    return GfCurve(name, definition, STEPS, inside, ood, tuple(value / 2 for value in ood), {"json": ood})


def seed_file(folder, curves):
    folder.mkdir(parents=True)
    file = folder / "gf.json"
    file.write_text(json.dumps({"curves": [{**asdict(entry), "best": 10} for entry in curves], "beta": 2.0}))
    return file


def both(name, inside, ood):
    return [curve(name, inside, ood), curve(name, inside, ood, "right")]


@pytest.fixture
def files(tmp_path):
    """Two seeds of two methods; OOD of DPO is above SFT by 0.1 and by 0.3 at step 10."""
    return [
        seed_file(
            tmp_path / "0",
            both("sft", (0.2, 0.8, 1.0), (0.0, 0.2, 0.4)) + both("dpo", (0.2, 0.9, 0.9), (0.0, 0.3, 0.5)),
        ),
        seed_file(
            tmp_path / "1",
            both("sft", (0.2, 0.6, 1.0), (0.0, 0.2, 0.4)) + both("dpo", (0.2, 0.9, 0.9), (0.0, 0.3, 0.7)),
        ),
    ]


def test_interval_of_three_values_by_hand():
    # Mean 2, deviation 1; t(0.975) with 2 degrees of freedom is 4.302653 in tables; half width 4.302653 / sqrt(3)
    found = t_interval(np.array([1.0, 2.0, 3.0]))
    assert found.value == 2.0
    assert found.low == pytest.approx(2 - 2.484138, abs=1e-5) and found.high == pytest.approx(2 + 2.484138, abs=1e-5)


def test_one_seed_has_no_bounds():
    assert t_interval(np.array([0.4])) == type(t_interval(np.array([0.4])))(0.4, -math.inf, math.inf)


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (0.9, 0.3),  # half of the way from 0.8 (OOD 0.2) to 1.0 (OOD 0.4)
        (0.5, 0.1),  # half of the way from 0.2 (OOD 0.0) to 0.8 (OOD 0.2)
        (1.0, 0.4),
    ],
)
def test_ood_where_id_reaches_a_level(level, expected):
    assert where_id_reaches(curve("sft", (0.2, 0.8, 1.0), (0.0, 0.2, 0.4)), level, "ood") == pytest.approx(expected)


def test_a_level_that_is_never_reached_has_no_value():
    assert where_id_reaches(curve("sft", (0.2, 0.5, 0.7), (0.0, 0.2, 0.4)), 0.9, "ood") is None


def test_seeds_of_a_method_are_put_together(files):
    sft, _, dpo, _ = read_methods(files)
    assert (sft.name, dpo.name, sft.definition, sft.steps) == ("sft", "dpo", "compliance", STEPS)
    assert dpo.at("ood", 10).tolist() == [0.5, 0.7] and sft.at("id", 5).tolist() == [0.8, 0.6]


def test_a_file_with_other_runs_is_named(files, tmp_path):
    other = seed_file(tmp_path / "2", both("sft", (0.2, 0.8, 1.0), (0.0, 0.2, 0.4)))
    with pytest.raises(UserError, match=rf"{other}: has the runs sft, but .*dpo, sft"):
        read_methods([*files, other])


@pytest.mark.parametrize("content", ["", "{", "[]", '{"curves": [{}]}', '{"curves": 3}'])
def test_a_file_that_is_something_else_is_named(tmp_path, content):
    file = tmp_path / "gf.json"
    file.write_text(content)
    with pytest.raises(UserError, match="not what `specs gf RUN` writes"):
        read_methods([file])


def gf(arguments):
    import argparse

    parser = argparse.ArgumentParser()
    cli.COMMANDS["gf"].add_arguments(parser)
    return cli.COMMANDS["gf"].run(parser.parse_args(list(map(str, arguments))))


def test_the_command_prints_and_writes(files, tmp_path, capsys):
    assert gf([*files, "--out", tmp_path / "out"]) == 0
    shown = capsys.readouterr().out
    # GF is half of OOD: differences of 0.05 and 0.15 at step 10, mean 10 points; t(0.975, 1) = 12.7062, half width
    # 12.7062 * 0.0707107 / sqrt(2) = 0.63531
    assert "10.0 ± 63.5" in shown
    with (tmp_path / "out" / "seeds_compliance.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert {row["panel"] for row in rows} == {"ID", "OOD", "GF"}
    ood = {(row["line"], row["step"]): row for row in rows if row["panel"] == "OOD"}
    assert float(ood["dpo", "10"]["value"]) == pytest.approx(0.6)
    assert float(ood["sft", "10"]["low"]) == pytest.approx(0.4)  # both seeds have 0.4
    assert (tmp_path / "out" / "seeds_right.png").read_bytes().startswith(b"\x89PNG")
    assert len(json.loads((tmp_path / "out" / "seeds.json").read_text())["methods"]) == 4


def test_the_folder_is_asked_for(files):
    with pytest.raises(UserError, match="--out"):
        gf(files)
