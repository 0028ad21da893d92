"""verl's own FSDP engine with `actor.freeze_vision_tower`, with and without LoRA: what is frozen stays as it is."""

from importlib import import_module

import pytest
import torch
from engine_setup import compose_config, one_process


@pytest.fixture(autouse=True)
def untouched_models():
    """verl's own engine replaces methods of transformers' classes for good: other tests of this process need them."""
    modules = [import_module(f"transformers.models.{name}.modeling_{name}") for name in ("qwen2_vl", "qwen2_5_vl")]
    classes = {found for module in modules for found in vars(module).values() if isinstance(found, type)}
    before = {found: dict(vars(found)) for found in classes if found.__module__.startswith("transformers.models.")}
    yield
    for found, members in before.items():
        for name, value in dict(vars(found)).items():
            if callable(value) and value is not members.get(name):
                if name in members:
                    setattr(found, name, members[name])
                else:
                    delattr(found, name)


@pytest.fixture
def build(model_dir, monkeypatch):
    """verl's actor engine, as the RL recipes have it built."""
    monkeypatch.setenv("VERL_ENGINE_DEVICE", "cuda")

    def run(choice, *overrides: str):
        one_process()
        from verl.utils.config import omega_conf_to_dataclass
        from verl.workers.config import HFModelConfig, TrainingWorkerConfig
        from verl.workers.engine_workers import TrainingWorker

        from specs_verl.plugin import freeze

        freeze.install()
        config = compose_config(
            f"model.path={model_dir}", "data.train_files=none", "trainer.default_local_dir=none", *overrides
        )
        model = HFModelConfig(
            path=str(model_dir),
            lora_rank=config.model.lora_rank,
            lora_alpha=config.model.lora_alpha,
            target_modules="all-linear",
            exclude_modules=config.model.exclude_modules,
            override_config={"attn_implementation": "sdpa"},
            use_remove_padding=False,
        )
        engine = omega_conf_to_dataclass(config.engine)
        object.__setattr__(engine, freeze._FLAG, choice)
        optimizer = omega_conf_to_dataclass(config.optim)
        optimizer.total_training_steps = 10
        worker = TrainingWorker(
            TrainingWorkerConfig(
                model_type="language_model",
                model_config=model,
                engine_config=engine,
                optimizer_config=optimizer,
                checkpoint_config=omega_conf_to_dataclass(config.checkpoint),
            )
        )
        worker.reset()
        return worker.engine

    return run


def step(engine, left_out: str = "") -> None:
    """One optimizer step with a gradient for everything that may have one."""
    for name, parameter in engine.module.named_parameters():
        if parameter.requires_grad and not (left_out and left_out in name):
            parameter.grad = torch.ones_like(parameter)
    engine.optimizer_step()


def trained(engine) -> set[str]:
    return {name for name, parameter in engine.module.named_parameters() if parameter.requires_grad}


LORA = ("model.lora_rank=4", "model.lora_alpha=8")


@pytest.mark.parametrize("lora", [(), LORA], ids=["full", "lora"])
def test_tower_and_aligner_stay_as_they_are(build, capsys, lora):
    engine = build(True, *lora)
    assert trained(engine) and not [name for name in trained(engine) if "visual" in name]
    assert all("lora_" in name for name in trained(engine)) == bool(lora)
    step(engine)
    said = capsys.readouterr().out
    assert "vision tower and aligner frozen" in said and "frozen tensors are as they were" in said
    step(engine)
    assert "as they were" not in capsys.readouterr().out, "checked once"


@pytest.mark.parametrize("lora", [(), LORA], ids=["full", "lora"])
def test_the_aligner_can_be_trained_under_a_frozen_tower(build, lora):
    engine = build("tower", *lora)
    visual = {name for name in trained(engine) if "visual" in name}
    assert visual and all("merger" in name for name in visual)
    step(engine)


def test_without_the_key_verl_adapts_the_tower(build):
    # the control: what all-linear does when nothing keeps it out
    assert [name for name in trained(build(False, *LORA)) if "visual" in name]


def test_adapters_that_somebody_puts_into_the_tower_are_refused(build):
    with pytest.raises(RuntimeError, match=r"LoRA parameters lie in what actor\.freeze_vision_tower=True keeps"):
        build(True, *LORA, "model.exclude_modules='.*lm_head.*'")


@pytest.mark.parametrize("harm", ["gradient", "value"])
def test_a_tower_that_moves_all_the_same_ends_the_run(build, harm):
    engine = build(True)
    name, parameter = next((n, p) for n, p in engine.module.named_parameters() if "visual" in n)
    if harm == "gradient":
        parameter.requires_grad_(True)
        parameter.grad = torch.ones_like(parameter)
        parameter.requires_grad_(False)
    else:
        original = engine.optimizer.step

        def meddle(*arguments, **named):
            with torch.no_grad():
                parameter.add_(1.0)
            return original(*arguments, **named)

        engine.optimizer.step = meddle
    with pytest.raises(RuntimeError, match=rf"1 frozen parameters have a gradient.*{name}"):
        step(engine)
