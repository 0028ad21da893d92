"""`specs distill`: recipes, options, sources, and what is refused."""

import argparse

import pytest

from specs_verl.distill import cli
from specs_verl.distill.pair_recipe import Recipe, names, read_recipe
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
    assert report["kind"] == read_recipe(recipe).pairs
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
    assert cli.recipe_of(args).sampling(source).until == until


def test_a_source_must_be_given_once(sources, tmp_path):
    with pytest.raises(UserError, match="draws on zero: pass either --zero MODEL or --zero-samples DIR"):
        cli.run(parsed(*sources, "--zero", "ckpt", "--out", tmp_path / "out"))
    with pytest.raises(UserError, match="draws on teacher"):
        cli.run(parsed(*sources, "--recipe", "teacher", "--out", tmp_path / "out"))


def test_named_recipes_state_their_defaults_once():
    assert names() == ["base", "coupled", "no_judge", "specs", "teacher", "teacher_coupled"]
    written = read_recipe("specs")
    assert written == Recipe(summary=written.summary), "specs.yaml documents the defaults of the code"


def test_a_recipe_of_ones_own_gives_sampling_too(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text(
        "pairs: coupled\nn: 4\nmax_samples: 12\ntemperature: 0.7\ntop_p: 0.9\nseed: 5\n"
        "system_prompt: Think first.\ninstruction: Use tags.\n"
    )
    arguments = ["--prompts", "p", "--out", "o", "--recipe", own]
    parameters = cli.recipe_of(parsed(*arguments, "--temperature", 0.5)).sampling("base")
    assert (parameters.n, parameters.max_samples, parameters.until, parameters.seed) == (4, 12, "wrong", 5)
    assert (parameters.temperature, parameters.top_p) == (0.5, 0.9), "an option wins over the recipe"
    assert (parameters.system_prompt, parameters.instruction) == ("Think first.", "Use tags.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tempreature: 1", "unknown keys: tempreature. A recipe has summary, chosen"),
        ("judge: oracle", "judge is rule, strict, model, none, not 'oracle'"),
        ("[", "not readable as YAML"),
        ("- n", "no mapping at all"),
    ],
)
def test_a_wrong_recipe_is_named(tmp_path, text, message):
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_recipe(str(tmp_path / "own.yaml"))


def test_an_unknown_recipe_lists_the_known_ones():
    with pytest.raises(UserError, match="'spex'; there are base, coupled"):
        read_recipe("spex")


def test_checkpoints_can_be_sampled_through_verls_servers(sources, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(cli, "sample_all", lambda jobs, _: asked.extend(jobs))
    arguments = [*sources[:2], "--base", "ckpt", "--zero", "http://host/v1#m", "--engine", "verl", "--quiet"]
    with pytest.raises(UserError):  # nothing was sampled
        cli.run(parsed(*arguments, "--out", tmp_path / "out", "--rollout", "a.b=2"))
    settings = {job.model: job.engine for job in asked}
    assert (settings["ckpt"].engine, settings["ckpt"].rollout) == ("verl", ("a.b=2",))
    assert settings["http://host/v1#m"].engine is None, "an endpoint is no checkpoint"
