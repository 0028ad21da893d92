"""`specs distill`: recipes, options, sources, and what is refused."""

import argparse

import pytest

from specs_verl.distill import cli
from specs_verl.distill.recipes import RECIPES
from specs_verl.errors import UserError

from . import building


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return parser.parse_args([str(argument) for argument in arguments])


@pytest.fixture
def sources(tmp_path):
    prompts = building.write_prompts(tmp_path / "prompts.parquet", 60)
    zero, base = building.random_runs(tmp_path, prompts, 60)
    return ["--prompts", prompts, "--zero-samples", zero, "--base-samples", base, "--workers", 1, "--quiet"]


@pytest.mark.parametrize("recipe", ["specs", "coupled", "no_judge", "base"])
def test_every_recipe_without_a_teacher_runs_from_samples(sources, tmp_path, capsys, recipe):
    if recipe == "base":
        sources = [sources[0], sources[1], *sources[4:]]
    assert cli.run(parsed(*sources, "--recipe", recipe, "--out", tmp_path / "out")) == 0
    report = building.report_of(tmp_path / "out")
    assert f"{report['pairs']} pairs in" in capsys.readouterr().out
    assert report["kind"] == RECIPES[recipe].pairs
    rows = building.read(tmp_path / "out" / "pairs.parquet")
    statuses = {row["rejected_status"] for row in rows}
    assert statuses == ({"wrong"} if recipe == "coupled" else {"right"})
    if recipe == "no_judge":
        assert {row["judge"] for row in rows} == {"none"}


def test_options_win_over_the_recipe():
    recipe = cli.recipe_of(
        parsed("--prompts", "p", "--out", "o", "--recipe", "coupled", "--judge", "none", "--chosen", "base")
    )
    assert (recipe.pairs, recipe.judge, recipe.chosen, recipe.rejected) == ("coupled", "none", "base", "base")


@pytest.mark.parametrize(
    ("arguments", "source", "until"),
    [
        ([], "zero", None),
        (["--max-samples", 32], "zero", "well_formed"),
        (["--max-samples", 32], "base", "right"),
        (["--max-samples", 32, "--recipe", "coupled"], "base", "wrong"),
        (["--max-samples", 32, "--recipe", "teacher"], "teacher", "right"),
        (["--max-samples", 32, "--recipe", "coupled", "--chosen", "base"], "base", "both"),
    ],
)
def test_adaptive_sampling_stops_when_the_side_is_complete(arguments, source, until):
    args = parsed("--prompts", "p", "--out", "o", *arguments)
    assert cli.sampling_of(args, cli.recipe_of(args), source).until == until


def test_a_source_must_be_given_once(sources, tmp_path):
    with pytest.raises(UserError, match="draws on zero: pass either --zero MODEL or --zero-samples DIR"):
        cli.run(parsed(*sources, "--zero", "ckpt", "--out", tmp_path / "out"))
    with pytest.raises(UserError, match="draws on teacher"):
        cli.run(parsed(*sources, "--recipe", "teacher", "--out", tmp_path / "out"))
