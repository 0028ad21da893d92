"""The gate: open and closed for the right reasons."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from specs_verl.errors import UserError
from specs_verl.measure.evaluate import EvalSet, evaluate
from specs_verl.measure.gate import gate, print_gate, verdict
from specs_verl.measure.metrics import Figures, ModelMetrics, SetMetrics, read_metrics


def figures(accuracy, form, pass_4=0.9):
    return Figures(
        prompts=100, responses=400, accuracy=accuracy, format=form, score=0, pass_at_k={1: accuracy, 4: pass_4},
        mean_tokens=10, truncated=0, no_answer=0, timeouts=0, unparsable_golds=0,
    )  # fmt: skip


def measured(name, id_figures, ood_figures=None, seed=0):
    sets = {"test": SetMetrics("id", id_figures, (0.45, 0.55), (0.4, 0.5), {}, {}, {})}
    if ood_figures is not None:
        sets["ood"] = SetMetrics("ood", ood_figures, (0.4, 0.5), (0.4, 0.5), {}, {}, {})
    return ModelMetrics(name, seed, sets)


BASE = measured("base", figures(0.5, 0.4), figures(0.4, 0.7))


def test_open_with_gains_by_hand():
    result = gate([BASE], [measured("warm", figures(0.52, 0.9), figures(0.45, 0.8))])
    # format: gains 0.5 and 0.1: 5 * 0.05 / (2.0 + 0.1) = 0.119048; accuracy: 0.02 and 0.05: 5 * 0.001 / (0.08 + 0.05)
    assert result.factors["format"].factor == pytest.approx(0.25 / 2.1)
    assert result.factors["accuracy"].factor == pytest.approx(0.005 / 0.13)
    assert result.pass_at_k == {1: (0.5, 0.52), 4: (0.9, 0.9)}
    assert result.open and verdict(result).startswith("Gate open")


@pytest.mark.parametrize(
    ("warm", "reason"),
    [
        (measured("w", figures(0.52, 0.9), figures(0.45, 0.6)), "format was not learned out of distribution (-10.0"),
        (measured("w", figures(0.52, 0.4), figures(0.45, 0.8)), "format was not learned in distribution (+0.0"),
        (measured("w", figures(0.30, 0.9), figures(0.45, 0.8)), "accuracy fell from 50.0 to 30.0 %"),
        (measured("w", figures(0.52, 0.9, 0.6), figures(0.45, 0.8)), "pass@4 fell from 90.0 to 60.0 %"),
    ],
)
def test_closed_with_the_reason(warm, reason):
    result = gate([BASE], [warm])
    assert not result.open
    assert any(reason in text for text in result.reasons), result.reasons


def test_a_loss_within_the_noise_does_not_close_the_gate():
    # Without rollouts the intervals decide: half widths of 5 points on both sides, so 9 points may be chance.
    assert gate([BASE], [measured("w", figures(0.42, 0.9), figures(0.45, 0.8))]).open


def test_without_ood_sets_there_is_no_factor_but_a_verdict():
    base = replace(BASE, sets={"test": BASE.sets["test"]})
    result = gate([base], [measured("w", figures(0.5, 0.3))])
    assert result.factors == {} and result.reasons == ("format compliance did not rise (-10.0 points)",)


def test_seeds_are_averaged():
    seeds = [
        measured("w", figures(0.5, 0.8), figures(0.4, 0.8)),
        measured("w", figures(0.6, 1.0), figures(0.4, 0.8), 1),
    ]
    assert gate([BASE], seeds).factors["format"].id_gain == pytest.approx(0.9 - 0.4)


def test_models_must_share_the_ood_sets():
    with pytest.raises(UserError, match="OOD set 'ood' was not evaluated"):
        gate([BASE], [measured("w", figures(0.5, 0.9))])


def test_pairs_prompts_when_rollouts_were_kept(tmp_path, fabricate):
    prompts = fabricate.prompts(tmp_path / "t.parquet", 48)
    found = {}
    for name, quality in (("base", (0.8, 0.4)), ("same", (0.8, 0.9)), ("worse", (0.4, 0.9))):
        fabricate.run(tmp_path / name, prompts, fabricate.quality(*quality), seed=len(name))
        path = evaluate(name, [EvalSet("test", tmp_path / name, (prompts,))], tmp_path / "e" / name, workers=1)
        found[name] = read_metrics(path)
    assert gate([found["base"]], [found["same"]]).open
    assert "accuracy fell" in gate([found["base"]], [found["worse"]]).reasons[0]


def test_the_print_survives_hostile_names():
    result = gate([BASE], [measured("[red]w[/red]", figures(0.52, 0.9), figures(0.45, 0.8))])
    out = io.StringIO()
    print_gate(Console(file=out, width=100), result)
    text = out.getvalue()
    assert "[red]w[/red]" in text and "+11.9" in text and "pass@4" in text and "Gate open" in text
