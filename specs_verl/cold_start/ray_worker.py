"""The Ray actor of the cold start: one process of the training loop."""

from omegaconf import DictConfig
from verl.single_controller.base import Worker
from verl.single_controller.base.decorator import Dispatch, register

from specs_verl.cold_start import inputs as preflight
from specs_verl.cold_start import quiet
from specs_verl.errors import UserError


class ColdStartWorker(Worker):
    """Runs a Trainer; verl's worker group has set rank, world size and addresses."""

    def __init__(self, config: DictConfig) -> None:
        super().__init__()
        self.run_config = config

    @register(dispatch_mode=Dispatch.ONE_TO_ALL, blocking=False)
    def run(self) -> str | None:
        """Train; what the user can mend comes back as a sentence, everything else as an exception."""
        quiet.prepare()
        from specs_verl.cold_start.trainer import Trainer

        try:
            preflight.find_checkpoints(self.run_config)  # on this machine
            Trainer(self.run_config).run()
        except UserError as error:
            return str(error)
        return None
