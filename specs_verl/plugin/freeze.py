"""Makes verl honour `actor_rollout_ref.actor.freeze_vision_tower`, a key it accepts and no engine reads.

Only where a configuration asks for it, as our recipes do: with `actor_rollout_ref.model.external_lib` set to SWITCH,
verl imports that module (freeze_switch.py) in every process that builds the model. Elsewhere verl stays as it is.

The vision tower gets no gradient and hence no optimizer state; the log says what was frozen, and a tower that cannot be
found is an error rather than a silent no. The cold-start trainer freezes by itself (cold_start/).
"""

import contextlib

from specs_verl.plugin.late_patch import on_import

SWITCH = "specs_verl.plugin.freeze_switch"
"""The module whose import by verl installs the freeze."""

_FLAG = "specs_freeze_vision_tower"
"""Attribute by which the actor's engine configuration carries the key to the engine."""

_installed = False


def install() -> None:
    """Have verl freeze where its configuration says so; a second call changes nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    on_import("verl.workers.config.actor", _hand_the_key_to_the_engine)
    on_import("verl.workers.engine.fsdp.transformer_impl", _freeze_after_build)


def vision_tower(module):
    """The vision tower of a Hugging Face vision-language model (Qwen2-VL, Qwen2.5-VL, Qwen3-VL and alike).

    Raises:
        ValueError: the model has none under a known name.
    """
    for owner in (module, getattr(module, "model", None)):
        for name in ("visual", "vision_tower", "vision_model"):
            tower = getattr(owner, name, None)
            if tower is not None:
                return tower
    raise ValueError(
        f"actor.freeze_vision_tower=True, but {type(module).__name__} has no vision tower under a known name. "
        "Set it to False, or teach specs_verl.plugin.freeze the name."
    )


def freeze(parameters) -> int:
    """Switch the gradient of ``parameters`` off; returns how many numbers that is."""
    count = 0
    for parameter in parameters:
        parameter.requires_grad_(False)
        count += parameter.numel()
    return count


def _hand_the_key_to_the_engine(module) -> None:
    config = module.FSDPActorConfig
    post_init = config.__post_init__

    def post_init_and_mark(self) -> None:
        post_init(self)
        # verl's configurations refuse assignment once made.
        object.__setattr__(self.engine, _FLAG, bool(self.freeze_vision_tower))

    config.__post_init__ = post_init_and_mark


def _freeze_after_build(module) -> None:
    engine = module.FSDPEngine
    build_module = engine._build_module

    def build_module_and_freeze(self, *args, **kwargs):
        built = build_module(self, *args, **kwargs)
        if getattr(self.engine_config, _FLAG, False) and not self.engine_config.forward_only:
            count = freeze(vision_tower(built).parameters())
            with contextlib.suppress(OSError):  # a full disk under the log must not end the run
                print(
                    f"specs-verl: vision tower frozen, {count:,} parameters get no gradient and no optimizer state",
                    flush=True,
                )
        return built

    engine._build_module = build_module_and_freeze
