"""The branching factor from truncated log-probabilities: always between its bounds, and exact where nothing is cut."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from specs_verl.errors import UserError
from specs_verl.measure.branching import nucleus_sizes
from specs_verl.measure.exploration import branching_of, nucleus_bounds
from specs_verl.sampling.store import SCHEMA, SampleRun


def distributions(seed, count, vocabulary, temperature):
    logits = np.random.default_rng(seed).normal(size=(count, vocabulary)) / temperature
    return -np.sort(-log_softmax(logits, axis=1), axis=1)


@given(
    seed=st.integers(0, 10_000),
    vocabulary=st.integers(2, 60),
    kept=st.integers(1, 60),
    temperature=st.sampled_from([0.05, 0.3, 1.0, 5.0]),
)
def test_the_true_size_lies_between_the_bounds(seed, vocabulary, kept, temperature):
    full = distributions(seed, 20, vocabulary, temperature)
    kept = min(kept, vocabulary)
    true, _ = nucleus_sizes(full)
    low, high, cut = nucleus_bounds(full[:, :kept], vocabulary)
    assert (low <= true).all() and (true <= high).all()
    assert (low[~cut] == true[~cut]).all() and (high[~cut] == true[~cut]).all()
    assert (cut == (true > kept)).all() and (high <= vocabulary).all()


def test_bounds_by_hand():
    # mass .6 of .95 recorded, smallest .2: .35 / .2 -> 2 more at least; the tail of .4 over 98: .35 / .4 * 98 -> 86
    low, high, cut = nucleus_bounds(np.log([[0.4, 0.2]]), vocabulary=100)
    assert (low[0], high[0], cut[0]) == (4.0, 88.0, True)
    low, high, cut = nucleus_bounds(np.array([[np.log(0.96), -np.inf]]), vocabulary=100)
    assert (low[0], high[0], cut[0]) == (1.0, 1.0, False)


def write_run(path, rows, parameters, vocabulary=100):
    run = SampleRun(path)
    manifest = {"format": 1, "parameters": parameters, "model_fingerprint": "c", "data_fingerprint": "d", "rows": 1}
    run.open({**manifest, "vocabulary": vocabulary})
    samples = [{"row": 0, "sample": number, "top_logprobs": values} for number, values in enumerate(rows)]
    run.write_shard(0, samples, [])
    return run


def test_a_recorded_run(tmp_path):
    certain, split = [np.log(0.99), np.log(0.01)], [np.log(0.5), np.log(0.5)]
    run = write_run(tmp_path / "run", [certain + split, split], {"logprobs": 2})
    found = branching_of(run)
    # sizes 1, 2 and 2
    assert found.low == found.high == pytest.approx(5 / 3) and (found.tokens, found.cut, found.recorded) == (3, 0.0, 2)
    assert SCHEMA.field("top_logprobs").type == pa.list_(pa.float32())


def test_runs_that_cannot_be_measured(tmp_path):
    assert branching_of(write_run(tmp_path / "a", [None], {"logprobs": 0})) is None
    with pytest.raises(UserError, match="do not come 2 per token"):
        branching_of(write_run(tmp_path / "b", [[-0.1, -3.0, -0.1]], {"logprobs": 2}))
    with pytest.raises(UserError, match="is not a number"):
        branching_of(write_run(tmp_path / "c", [[-0.1, float("nan")]], {"logprobs": 2}))
    with pytest.raises(UserError, match="no response has a single token"):
        branching_of(write_run(tmp_path / "d", [[]], {"logprobs": 2}))
    with pytest.raises(UserError, match="how large the vocabulary is"):
        branching_of(write_run(tmp_path / "e", [[-0.1, -3.0]], {"logprobs": 2}, vocabulary=None))
    assert json.loads((tmp_path / "e" / "manifest.json").read_text())["vocabulary"] is None
