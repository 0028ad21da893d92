"""Packed rows give the log-probabilities and gradients of separate forward passes, and the controls do not.

The other side of every comparison is transformers' own model, called once per response with pixels and no help from us.
"""

import dataclasses

import pytest
import tiny_vlm as tiny
import torch
from engine_setup import Setup
from separate import expected, gradients, relative_distance
from transformers import AutoModelForImageTextToText, AutoProcessor

from specs_verl.cold_start.layout import Layout


@pytest.fixture(scope="module")
def setup(model_dir, tmp_path_factory):
    """Pairs with one, two and no images, two of them on one prompt."""
    rows = [*tiny.rows(2), tiny.row(7, images=2), tiny.row(8, images=0)]
    twin = dict(rows[0], chosen="another good answer", rejected="a worse one, and longer than the other was")
    return Setup(model_dir, [*rows, twin], tmp_path_factory.mktemp("exactness"))


@pytest.fixture(scope="module")
def reference(model_dir):
    """transformers' own model and processor."""
    model = AutoModelForImageTextToText.from_pretrained(model_dir, attn_implementation="sdpa")
    model.model.visual.requires_grad_(False)
    return model.train(), AutoProcessor.from_pretrained(model_dir)


@pytest.mark.parametrize("shared_prefix", [True, False])
def test_log_probs_equal_those_of_separate_forward_passes(setup, reference, shared_prefix):
    setup.pack(shared_prefix)
    with torch.no_grad():
        difference = setup.engine.token_log_probs(setup.row) - expected(reference, setup)
    assert difference.abs().max() < 1e-5


def test_gradients_equal_those_of_separate_forward_passes(setup, reference):
    setup.pack(shared_prefix=True)
    weights = torch.linspace(-1, 1, len(setup.row.targets))
    model, _ = reference
    model.zero_grad()
    (expected(reference, setup) * weights).sum().backward()
    setup.engine.optimizer_zero_grad()
    (setup.engine.token_log_probs(setup.row) * weights).sum().backward()
    ours = gradients(setup.engine.module)
    setup.engine.optimizer_zero_grad()
    assert not any("visual" in name for name in ours)
    assert relative_distance(ours, gradients(model)) < 1e-5


def wrong_attention(setup):
    """The rejected response sees the chosen one: it is packed as if its prompt were [prompt | chosen]."""

    class Leaky(Layout):
        @property
        def segments(self):
            groups = super().segments
            return tuple(
                tuple(dataclasses.replace(s, prompt_length=s.start - s.prompt_start) for s in group) for group in groups
            )

    return dataclasses.replace(setup.row, layout=Leaky(setup.row.layout.groups))


def wrong_continuation(setup):
    """The rejected response's positions go on after the chosen one's."""
    positions = setup.row.position_ids.clone()
    for group in setup.row.layout.segments:
        for segment in group[1:]:
            positions[..., segment.start : segment.start + segment.length] += segment.start - group[0].start
    return dataclasses.replace(setup.row, position_ids=positions)


def one_axis(setup):
    """Images are numbered like text, on one axis."""
    positions = torch.cat([torch.arange(group.length) for group in setup.row.layout.groups])
    return dataclasses.replace(setup.row, position_ids=positions.expand(3, 1, -1))


@pytest.mark.parametrize("mistake", [wrong_attention, wrong_continuation, one_axis])
def test_controls_are_caught(setup, reference, mistake):
    setup.pack(shared_prefix=True)
    with torch.no_grad():
        difference = setup.engine.token_log_probs(mistake(setup)) - expected(reference, setup)
    assert difference.abs().max() > 1e-3
