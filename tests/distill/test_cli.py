"""`specs distill`: recipes, options, sources, and what is refused."""

import argparse
import base64
import json
from pathlib import Path

import pytest
from chat_server import ChatServer

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


@pytest.mark.parametrize("recipe", ["specs", "coupled", "no_judge", "base", "form_only", "natural"])
def test_every_recipe_without_a_teacher_runs_from_samples(sources, tmp_path, capsys, recipe):
    if recipe == "base":
        sources = [sources[0], sources[1], *sources[4:]]
    if recipe == "form_only":
        sources = [*sources[:4], *sources[6:]]
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


@pytest.mark.parametrize("name", names())
def test_options_that_were_not_given_leave_a_recipe_alone(name):
    assert cli.recipe_of(parsed("--prompts", "p", "--out", "o", "--recipe", name)) == read_recipe(name)


def test_defaults_fill_what_a_recipe_leaves_open_and_nothing_else(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("judge: none\nn: 8\n")  # 8 is what specs.yaml says as well, but here it was asked for
    defaults = ["--default", "judge=strict", "--default", "n=4", "--default", "max_pairs=100", "--default", "top_p=0.9"]
    paths = ["--prompts", "p", "--out", "o"]
    recipe = cli.recipe_of(parsed(*paths, "--recipe", own, *defaults, "--top-p", 0.5))
    assert (recipe.judge, recipe.n, recipe.max_pairs, recipe.top_p) == ("none", 8, 100, 0.5)
    plain = cli.recipe_of(parsed(*paths, *defaults))
    assert (plain.judge, plain.n) == ("strict", 4), "specs.yaml holds the defaults, so other defaults replace them"
    with pytest.raises(UserError, match="unknown keys: jugde"):
        cli.recipe_of(parsed(*paths, "--default", "jugde=none"))
    with pytest.raises(UserError, match="write KEY=VALUE"):
        cli.recipe_of(parsed(*paths, "--default", "judge"))


def test_a_recipe_can_cap_its_pairs(sources, tmp_path):
    (tmp_path / "own.yaml").write_text("max_pairs: 20\n")
    kept = []
    for name in ("a", "b"):
        assert cli.run(parsed(*sources, "--recipe", tmp_path / "own.yaml", "--out", tmp_path / name)) == 0
        kept.append([(row["row"], row["rejected"]) for row in building.read(tmp_path / name / "pairs.parquet")])
    assert len(kept[0]) == len({row for row, _ in kept[0]}) == 20, "one pair a prompt"
    assert kept[0] == kept[1]
    # 20 pairs over five corruptions: four each.
    assert set(building.report_of(tmp_path / "a")["corruptions"].values()) == {4}


def test_what_was_sampled_is_what_is_trained(tmp_path):
    """The prompts in pairs.parquet are, word for word, the conversations that the models were asked."""
    prompts = building.write_prompts(tmp_path / "p.parquet", 4)

    def text_of(body):
        parts = [message["content"] for message in body["messages"]]
        return "".join(part if isinstance(part, str) else "".join(p.get("text", "") for p in part) for part in parts)

    def answer(body):
        value = 10 + int(text_of(body).partition("Question ")[2].partition("?")[0])
        return building.whole(value, value) if body["model"] == "zero" else building.bare(value)

    with ChatServer(answer) as server:
        models = ["--zero", f"{server.url}#zero", "--base", f"{server.url}#base"]
        told = ["--system-prompt", "Be exact.", "--instruction", "Use the tags."]
        arguments = ["--prompts", prompts, *models, *told, "--n", 1, "--workers", 1, "--quiet"]
        assert cli.run(parsed(*arguments, "--out", tmp_path / "out")) == 0
    rows = building.read(tmp_path / "out" / "pairs.parquet")
    assert len(rows) == 4
    for row in rows:
        image = base64.b64encode(row["images"][0]["bytes"]).decode()
        asked = [body for body in server.bodies if image in str(body["messages"])]
        assert {body["model"] for body in asked} == {"zero", "base"}
        for body in asked:
            assert [message["role"] for message in body["messages"]] == ["system", "user"]
            assert text_of(body) == "".join(message["content"].replace("<image>", "") for message in row["prompt"])
        assert row["prompt"] == [
            {"role": "system", "content": "Be exact."},
            {"role": "user", "content": f"<image>Question {row['row']}?\nUse the tags."},
        ]
    assert "Use the tags." in (tmp_path / "out" / "README.md").read_text()


def test_sources_that_were_asked_differently_are_refused(sources, tmp_path):
    manifest = Path(sources[3]) / "manifest.json"
    values = json.loads(manifest.read_text())
    values["parameters"]["instruction"] = "Use the tags."
    manifest.write_text(json.dumps(values))
    with pytest.raises(UserError, match="different system prompts or instructions"):
        cli.run(parsed(*sources, "--out", tmp_path / "out"))


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
    assert names() == [
        "base",
        "coupled",
        "form_only",
        "formats",
        "natural",
        "no_judge",
        "rollouts",
        "specs",
        "teacher",
        "teacher_coupled",
    ]
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
        ("natural: 1.5", "a share between 0 and 1, not 1.5"),
        ("rejected: corrupted_chosen\npairs: coupled", "use decoupled pairs"),
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
