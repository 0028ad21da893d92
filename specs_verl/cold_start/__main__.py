"""Entry point of the cold start.

    python -m specs_verl.cold_start +specs=NAME model.path=DIR data.train_files=FILE trainer.default_local_dir=OUT
    torchrun --nproc_per_node 8 -m specs_verl.cold_start +specs=NAME ...

Prints one sentence and exits with code 2 when the user can fix what is wrong.
"""

import os
import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from specs_verl.cold_start import inputs as preflight
from specs_verl.cold_start import quiet
from specs_verl.cold_start.voice import ELSEWHERE, lost_others, say
from specs_verl.errors import UserError
from specs_verl.plugin import recipes

CONFIG = Path(__file__).parent.parent / "config" / "cold_start"


@hydra.main(config_path=str(CONFIG), config_name="cold_start", version_base=None)
def main(config: DictConfig) -> None:
    try:
        preflight.check(config, int(os.environ.get("WORLD_SIZE", "1")))
        from specs_verl.cold_start.trainer import Trainer  # imports torch and verl: seconds

        Trainer(config).run()
    except UserError as error:
        os._exit(say(error))  # at once: other processes may wait for this one in a collective
    except RuntimeError as error:
        if not lost_others(error):
            raise
        os._exit(say(ELSEWHERE))
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()


if __name__ == "__main__":
    quiet.prepare()
    if problem := recipes.unknown_recipe(sys.argv[1:]):
        sys.exit(say(problem))
    recipes.install()  # puts +specs=NAME on Hydra's search path; verl's plugin would do it only once verl is imported
    main()
