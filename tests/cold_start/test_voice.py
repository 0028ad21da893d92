"""Who speaks when a run has to end, and which device a process takes."""

from types import SimpleNamespace

import pytest
import torch.distributed as dist

from specs_verl.cold_start import policy, voice
from specs_verl.cold_start.inputs import check_precision
from specs_verl.errors import UserError


@pytest.fixture
def alone(monkeypatch):
    monkeypatch.setattr(voice, "_processes", lambda: 1)


def test_before_they_have_met_the_first_process_of_a_machine_speaks(alone, monkeypatch, capsys):
    for local, expected in (("0", "cold start: no such file\n"), ("3", "")):
        monkeypatch.setenv("LOCAL_RANK", local)
        monkeypatch.setenv("RANK", "11")  # of the second machine
        assert voice.say("no such file") == 2
        assert capsys.readouterr().err == expected


def test_later_every_process_speaks_and_none_repeats_another(monkeypatch, capsys):
    store = dist.HashStore()
    monkeypatch.setattr(voice, "_processes", lambda: 8)
    monkeypatch.setattr("torch.distributed.distributed_c10d._get_default_store", lambda: store)
    for rank, problem in ((5, "disk full"), (6, "disk full"), (0, "row 7 is broken")):
        monkeypatch.setenv("RANK", str(rank))
        voice.say(problem)
    assert capsys.readouterr().err.splitlines() == [
        "cold start, process 5 of 8: disk full",
        "cold start, process 0 of 8: row 7 is broken",
    ]


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer"), True),
        (dist.DistBackendError("NCCL error: remote process exited"), True),
        (RuntimeError("PytorchStreamWriter failed writing file data/7: file write failed"), False),
        (ValueError("gloo"), False),
    ],
)
def test_a_process_knows_when_another_one_is_to_be_asked(error, lost):
    assert voice.lost_others(error) is lost


@pytest.mark.parametrize(("visible", "taken"), [(8, [3]), (1, [])])
def test_a_process_takes_its_own_device(monkeypatch, visible, taken):
    found = []
    devices = SimpleNamespace(device_count=lambda: visible, set_device=found.append)
    monkeypatch.setattr(policy, "get_device_name", lambda: "cuda")
    monkeypatch.setattr(policy, "get_torch_device", lambda: devices)
    monkeypatch.setenv("LOCAL_RANK", "3")
    policy.bind_device()
    assert found == taken


@pytest.mark.parametrize("key", ["param_dtype", "reduce_dtype"])
def test_fp16_is_refused(key):
    settings = SimpleNamespace(engine=SimpleNamespace(mixed_precision={"param_dtype": "bf16", key: "fp16"}))
    with pytest.raises(UserError, match=f"{key}=fp16 is not supported"):
        check_precision(settings)
