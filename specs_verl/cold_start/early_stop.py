"""Early stop on the validation loss.

stop = EarlyStop(patience=3, min_delta=0.0)
stop.see(0.71)
stop.reached            # True after `patience` values in a row that were no improvement
"""

import math
from typing import TypedDict


class State(TypedDict):
    """What a checkpoint keeps of it; JSON has no infinity."""

    best: float | None
    waited: int


class EarlyStop:
    """Counts how often the loss has not improved; never reached when patience is 0."""

    def __init__(self, patience: int, min_delta: float) -> None:
        self.patience, self.min_delta = patience, min_delta
        self.best, self.waited = math.inf, 0

    def see(self, loss: float) -> None:
        if loss < self.best - self.min_delta:
            self.best, self.waited = loss, 0
        else:
            self.waited += 1

    @property
    def reached(self) -> bool:
        return 0 < self.patience <= self.waited

    def state(self) -> State:
        """For the checkpoint."""
        return {"best": self.best if math.isfinite(self.best) else None, "waited": self.waited}

    def restore(self, state: State) -> None:
        self.best = math.inf if state["best"] is None else state["best"]
        self.waited = state["waited"]
