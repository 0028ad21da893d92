"""Makes verl honour `actor_rollout_ref.actor.freeze_vision_tower`, a key it accepts and no engine reads.

Only where a configuration asks for it, as our recipes do: with `actor_rollout_ref.model.external_lib` set to SWITCH,
verl imports that module (freeze_switch.py) in every process that builds the model. Elsewhere verl stays as it is.

    True     freezes the tower and the aligner, the `merger` layers between it and the language model
    tower    freezes the tower and trains the aligner

What is frozen gets no gradient, no optimizer state and no LoRA adapter; the log says what it is. After the adapters are
built and after the first step this is checked, and the first step must have left every frozen number as it was: else
the run ends. A tower that cannot be found is an error rather than a silent no. The cold-start trainer freezes by itself
(cold_start/).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from specs_verl.plugin.late_patch import Patched, on_import

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module, Parameter
    from verl.workers.config import FSDPActorConfig
    from verl.workers.engine.fsdp.transformer_impl import FSDPEngine

SWITCH = "specs_verl.plugin.freeze_switch"
"""The module whose import by verl installs the freeze."""

_FLAG = "specs_freeze_vision_tower"
"""Attribute by which the actor's engine configuration carries the key to the engine."""

_CHECKED = "specs_freeze_checked"
"""Attribute of an engine whose first step has been checked."""

TOWERS = ("visual", "vision_tower", "vision_model")
TOWER_ONLY = "tower"
ALIGNER = "merger"

_installed = False


def install() -> None:
    """Have verl freeze where its configuration says so; a second call changes nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    on_import("verl.workers.config.actor", _hand_the_key_to_the_engine)
    on_import("verl.workers.engine.fsdp.transformer_impl", _freeze_after_build)


def vision_tower(module: Module) -> Module:
    """The vision tower of a Hugging Face vision-language model (Qwen2-VL, Qwen2.5-VL, Qwen3-VL and alike).

    Raises:
        ValueError: the model has none under a known name.
    """
    for owner in (module, getattr(module, "model", None)):
        for name in TOWERS:
            tower = getattr(owner, name, None)
            if tower is not None:
                return tower
    raise ValueError(
        f"actor.freeze_vision_tower=True, but {type(module).__name__} has no vision tower under a known name. "
        "Set it to False, or teach specs_verl.plugin.freeze the name."
    )


def frozen_parameters(module: Module, choice: bool | str) -> Iterator[tuple[str, Parameter]]:
    """What `choice`, the value of the key, means to keep, by name; also within a sharded model or one with adapters."""
    for name, parameter in module.named_parameters():
        path = name.split(".")
        tower = any(part in TOWERS for part in path)
        if tower and not (choice == TOWER_ONLY and any(ALIGNER in part for part in path)):
            yield name, parameter


def freeze(parameters: Iterable[Parameter]) -> int:
    """Switch the gradient of ``parameters`` off; returns how many numbers that is."""
    count = 0
    for parameter in parameters:
        parameter.requires_grad_(False)
        count += parameter.numel()
    return count


def _hand_the_key_to_the_engine(module: Patched) -> None:
    config = module.FSDPActorConfig
    post_init = config.__post_init__

    def post_init_and_mark(self: FSDPActorConfig) -> None:
        post_init(self)
        # verl's configurations refuse assignment once made.
        object.__setattr__(self.engine, _FLAG, self.freeze_vision_tower)

    config.__post_init__ = post_init_and_mark


def _choice(engine: FSDPEngine) -> bool | str:
    """What the engine is to keep: False, True or `tower`."""
    return not engine.engine_config.forward_only and getattr(engine.engine_config, _FLAG, False)


def _freeze_after_build(module: Patched) -> None:
    engine = module.FSDPEngine
    build_module, build_lora, step = engine._build_module, engine._build_lora_module, engine.optimizer_step

    def build_module_and_freeze(self: FSDPEngine, *args: object, **kwargs: object) -> Module:
        built = build_module(self, *args, **kwargs)
        if choice := _choice(self):
            vision_tower(built)  # or an error
            kept = freeze(parameter for _, parameter in frozen_parameters(built, choice))
            what = "vision tower" if choice == TOWER_ONLY else "vision tower and aligner"
            _log(f"{what} frozen, {kept:,} parameters get no gradient and no optimizer state; {_trainable(built)}")
        return built

    def build_lora_outside(self: FSDPEngine, module: Module) -> Module:
        choice = _choice(self)
        if choice and self.model_config.exclude_modules is None:
            aligner = rf"(?!\w*{ALIGNER})" if choice == TOWER_ONLY else ""
            kept = rf".*\b({'|'.join(TOWERS)})\.{aligner}.*"
            object.__setattr__(self.model_config, "exclude_modules", kept)
        built = build_lora(self, module)
        if choice:
            if trained := [name for name, parameter in frozen_parameters(built, choice) if parameter.requires_grad]:
                raise RuntimeError(
                    f"specs-verl: {len(trained)} LoRA parameters lie in what actor.freeze_vision_tower={choice} keeps "
                    f"({trained[0]}, ...). Leave actor_rollout_ref.model.exclude_modules at null, or exclude them."
                )
            _log(f"LoRA leaves out what is frozen; {_trainable(built)}")
        return built

    def first_step_and_check(self: FSDPEngine, *args: object, **kwargs: object) -> Any:
        choice = _choice(self)
        if not choice or getattr(self, _CHECKED, False):
            return step(self, *args, **kwargs)
        frozen = dict(frozen_parameters(self.module, choice))
        before = {name: _local(parameter).to("cpu", copy=True) for name, parameter in frozen.items()}
        graded = {name for name, parameter in frozen.items() if parameter.grad is not None}
        result = step(self, *args, **kwargs)
        moved = {name for name, parameter in frozen.items() if not before[name].equal(_local(parameter).cpu())}
        stateful = {name for name, parameter in frozen.items() if parameter in self.optimizer.state}
        if wrong := sorted(graded | moved | stateful):
            raise RuntimeError(
                f"specs-verl: actor.freeze_vision_tower={choice}, but after the first step {len(wrong)} frozen "
                f"parameters have a gradient, optimizer state or another value: {', '.join(wrong[:3])}"
            )
        setattr(self, _CHECKED, True)
        _log(f"checked after the first step: {len(frozen)} frozen tensors are as they were")
        return result

    engine._build_module, engine._build_lora_module = build_module_and_freeze, build_lora_outside
    engine.optimizer_step = first_step_and_check


def _local(parameter: Parameter) -> Tensor:
    """The part of a parameter that this process holds."""
    tensor = parameter.detach()
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def _trainable(module: Module) -> str:
    everything = sum(parameter.numel() for parameter in module.parameters())
    return f"{sum(p.numel() for p in module.parameters() if p.requires_grad):,} of {everything:,} are trained"


def _log(text: str) -> None:
    with contextlib.suppress(OSError):  # a full disk under the log must not end the run
        print(f"specs-verl: {text}", flush=True)
