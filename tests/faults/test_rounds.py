"""Signals at random moments: the sampling of 800 rows on a fake engine is broken four times and comes out as unbroken.

The same by command over any stage, twenty times: rounds.py.
"""

import json
import sys
from dataclasses import asdict, replace

import rounds  # a script beside this file

from specs_verl.sampling import sample


def test_sampling_survives_signals_at_random_moments(job, tmp_path, monkeypatch):
    (tmp_path / "jobs.json").write_text(json.dumps([asdict(job)]))
    monkeypatch.setenv("FAKE_ENGINE", "slow")
    command = [sys.executable, "-m", "specs_verl.sampling", "--jobs", str(tmp_path / "jobs.json"), "--quiet"]
    assert rounds.rounds(command, count=4, longest=3.0, seed=1) == 4
    monkeypatch.delenv("FAKE_ENGINE")
    broken, whole = sample(job), sample(replace(job, out=str(tmp_path / "whole")))
    assert list(broken.samples()) == list(whole.samples())
    assert len(list(broken.samples())) == 800 * 4
