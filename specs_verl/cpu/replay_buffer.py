"""verl's replay buffer for models whose steps take a second: it looks for finished rollouts every 0.1 s, not every 2 s.

trainer.v1.sampler.custom_sampler={path: pkg://specs_verl.cpu.replay_buffer, name: FastReplayBuffer}
"""

from typing import Any

from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer


class FastReplayBuffer(ReplayBuffer):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("poll_interval", 0.1)
        super().__init__(*args, **kwargs)
