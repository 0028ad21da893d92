"""Shapes, memory, hours and disk against computations by hand; the page shows what the code gives."""

from pathlib import Path

import pytest

from specs_verl.estimate import disk, hours
from specs_verl.estimate.memory import GIB, RlSetup, rl
from specs_verl.estimate.parts import read
from specs_verl.estimate.shape import Shape
from specs_verl.estimate.table import sizes_of, table

PAGE = Path(__file__).parents[2] / "examples" / "hardware.md"


def shape(model="qwen2_5_vl_7b"):
    return Shape.of(read("model", model).shape)


def test_parameters_of_a_layer():
    # Qwen2.5: queries 3584 x 3584, keys and values 3584 x 512 each, all with biases, output, gated MLP, two norms
    layer = 3584 * 3584 + 3584 + 2 * (3584 * 512 + 512) + 3584 * 3584 + 3 * 3584 * 18_944 + 2 * 3584
    assert shape().layer == layer
    assert shape().edges == 2 * 152_064 * 3584 + 3584
    assert shape().trained == 28 * layer + shape().edges == 7_615_616_512
    # the 3B model has one matrix for embedding and head
    small = 2048 * 2048 + 2048 + 2 * (2048 * 256 + 256) + 2048 * 2048 + 3 * 2048 * 11_008 + 2 * 2048
    assert shape("qwen2_5_vl_3b").trained == 36 * small + 151_936 * 2048 + 2048
    # Qwen3 has no biases, and norms of queries and keys
    eight = 2 * 4096 * 4096 + 2 * 4096 * 1024 + 3 * 4096 * 12_288 + 2 * 4096 + 2 * 128
    assert shape("qwen3_vl_8b").trained == 36 * eight + 2 * 151_936 * 4096 + 4096


def test_adapters():
    # rank 2 of one layer of 3B: q and o (2048 + 2048), k and v (2048 + 256), gate, up and down (2048 + 11008)
    assert shape("qwen2_5_vl_3b").adapters(2) == 36 * 2 * (2 * 4096 + 2 * 2304 + 3 * 13_056)
    assert shape().adapters(0) == 0


def test_memory_of_7b_on_eight_gpus():
    setup = RlSetup(8, 1, 0, False, False, 24_576, 14_336, 2, 0.6, 79 * GIB, 1000 * GIB)
    need = rl(shape(), setup)
    # 7,615,616,512 / 8 x 4 B of weights, as much of gradients, twice as much of moments
    assert need.training["weights"] == need.training["gradients"] == 7_615_616_512 // 8 * 4
    assert need.training["Adam's two moments"] == 2 * need.training["weights"]
    assert need.training["logits"] == 24_576 * 152_064 * 6
    # vLLM: 0.6 x 79 GiB, less 16.58 GB / 2 of weights and 3 GiB; keys and values of a token: 2 x 2 B x 28 x 512 / 2
    room = 0.6 * 79 * GIB - 8_292_166_656 - 3 * GIB
    assert need.cache_tokens == pytest.approx(room / 28_672, rel=1e-6)
    away = rl(shape(), RlSetup(8, 1, 0, False, True, 24_576, 14_336, 2, 0.6, 79 * GIB, 1000 * GIB))
    assert away.sampling["weights and moments of the policy"] == 0
    # host: weights and moments of all eight, 4 x 8.29e9 + 8 x 7.62e9; the export, 6 x 8.29e9
    assert away.host == pytest.approx(10 * 8_292_166_656 + 8 * 7_615_616_512)


def test_sizes_are_those_of_the_worlds():
    paper, small = sizes_of("gpu"), sizes_of("qwen2_5_vl_3b")
    assert (paper.zero_steps, paper.grpo_steps, paper.prompts, paper.samples) == (200, 700, 128, 8)
    assert (paper.longest, paper.distilled_samples, paper.pairs) == (4096 + 10_240, 8, 9_000)
    assert (small.zero_steps, small.grpo_steps, small.longest) == (80, 300, 2048 + 4096)
    assert (small.distilled, small.distilled_samples, small.pairs) == (8_000, 4, 9_000)


def test_disk_of_7b():
    # checkpoint: 4 x 8.292e9 + 8 x 7.616e9 + export 4 x 8.292e9 = 127.3 GB; a finished stage has a copy of the export
    found = disk.run(shape())
    assert found.checkpoint == 8 * 8_292_166_656 + 8 * 7_615_616_512
    assert found.final == 2 * (found.checkpoint + 4 * 8_292_166_656) + 2 * 8_292_166_656
    # GRPO publishes: zero is finished (160 GB), cold start (17), two checkpoints (255) and the copy (33)
    assert found.peak / 1e9 == pytest.approx(160.4 + 16.6 + 254.5 + 33.2, abs=0.1)


def test_hours_by_hand():
    gpu = hours.Gpu(flops=1e15, bandwidth=2e12, training=0.5, prefill=0.5, decoding=0.5)
    tokens = hours.Tokens(prompt=1000, image=0, response=1000)
    small = Shape(1_000, 0, 0, layers=0, hidden=1, attention=0, key_value=0, intermediate=1, vocabulary=1, tied=True)
    assert hours.forward(small, tokens) == 2 * 1_000 * 2_000
    assert hours.update(small, tokens, adapters=False) == 4 * hours.forward(small, tokens)
    # 10^9 parameters, 100 responses at a time: reading 2e9 B takes 2 ms, 2e11 operations 0.4 ms; 4 x 1,000 tokens
    billion = Shape(10**9, 0, 0, 0, 1, 0, 0, 1, 1, True)
    place = hours.Placement(1, 1, cache_tokens=200_000, adapters=False, row_tokens=1, sequences=256)
    reading = 400 / 8 * 2 * 10**9 * 1000 / 5e14
    assert hours.sampling_seconds(billion, tokens, place, gpu, 50, 8) == pytest.approx(4 * 1000 * 2e-3 + reading)
    # weights of 10 GB from main memory for three passes over 8 tokens, a token at a time: 24 x 0.5 s
    away = hours.Placement(1, 1, 200_000, False, row_tokens=1, streamed=10**10)
    tiny = hours.Tokens(prompt=6, image=0, response=1)
    assert hours.cold_start_seconds(small, tiny, away, gpu, pairs=1) == pytest.approx(12, rel=1e-6)


def test_the_page_has_this_table():
    assert table() in PAGE.read_text(encoding="utf-8")
