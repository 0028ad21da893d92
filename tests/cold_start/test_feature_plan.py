"""Who makes the features of which image, played through with the real plan and the real cache of 8 processes.

    SPECS_SIMULATED_PAIRS=9000 python -m pytest tests/cold_start/test_feature_plan.py      # the paper's size, a minute

Features are one number per image here, and memory holds a third of what a process meets; everything else is the code
that trains. Counted is how often an image goes through the tower.
"""

import os
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from specs_verl.cold_start import order
from specs_verl.cold_start.feature_cache import FeatureCache
from specs_verl.cold_start.schedule import Schedule, ScheduleSettings

PAIRS = int(os.environ.get("SPECS_SIMULATED_PAIRS", "1200"))
PROCESSES, EPOCHS, BATCH = 8, 1, 64
ONE = (torch.zeros(1), ())  # 4 bytes


@pytest.fixture(scope="module")
def pairs():
    """Prompts of about 1,000 tokens with one image each, responses of about 450."""
    lengths = np.random.default_rng(0).integers((700, 200, 200), (1300, 700, 700), (PAIRS, 3)).tolist()
    return [
        SimpleNamespace(prompt_key=number.to_bytes(4), prompt=range(prompt), responses=(range(chosen), range(rejected)))
        for number, (prompt, chosen, rejected) in enumerate(lengths)
    ]


def play(pairs, caches: list[FeatureCache], in_training_order: bool) -> tuple[int, float]:
    """Runs of the tower in reference pass and one epoch; the share of pairs that both passes gave to one process."""
    settings = ScheduleSettings(BATCH, drop_last=False, shuffle=True, seed=1, epochs=EPOCHS, total_steps=None)
    schedule = Schedule.of(pairs, None, None, settings)
    first = schedule.first_pass()
    if not in_training_order:
        first = [list(range(PAIRS))[start : start + BATCH] for start in range(0, PAIRS, BATCH)]
    assert sorted(pair for batch in first for pair in batch) == list(range(PAIRS))
    runs, places = 0, []
    for batches in (first, [schedule.batch(step) for step in range(schedule.steps)]):
        place = {}
        for batch in batches:
            plan = order.split_units(order.units_of(batch, pairs, shared_prefix=True), PROCESSES, 16_384)
            for process, rows in enumerate(plan):
                for pair in (pair for row in rows for unit in row for pair in unit.pairs):
                    place[pair], key = process, pairs[pair].prompt_key
                    if caches[process].get(key) is None:
                        runs += 1
                        caches[process].put(key, ONE)
        places.append(place)
    return runs, sum(places[0][pair] == places[1][pair] for pair in range(PAIRS)) / PAIRS


def test_every_image_once(pairs, tmp_path):
    memory = PAIRS // PROCESSES // 3 * 4
    caches = [FeatureCache(memory, tmp_path / "features", disk_bytes=2**20, shared=True) for _ in range(PROCESSES)]
    runs, at_home = play(pairs, caches, in_training_order=True)
    assert (runs, at_home) == (PAIRS, 1.0)


def test_without_order_and_disk_most_images_go_through_twice(pairs):
    # the control: how it was. By chance a pair comes back to 1 process of 8, and memory holds a third.
    caches = [FeatureCache(PAIRS // PROCESSES // 3 * 4) for _ in range(PROCESSES)]
    runs, at_home = play(pairs, caches, in_training_order=False)
    assert runs > 1.9 * PAIRS and at_home == pytest.approx(1 / PROCESSES, abs=0.06)
