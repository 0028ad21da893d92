"""The cold start as an actor group on an existing Ray cluster.

    python -m specs_verl.cold_start.on_ray +specs=NAME trainer.nnodes=2 trainer.n_gpus_per_node=8 ...

One Ray actor per GPU runs the very same loop that torchrun would start; Ray only finds the machines and sets the
addresses. All actors must see model.path, data.train_files and trainer.default_local_dir (a shared file system).
"""

import sys
from typing import Any, cast

import hydra
from omegaconf import DictConfig, OmegaConf

from specs_verl.cold_start import inputs as preflight
from specs_verl.cold_start import quiet
from specs_verl.cold_start.__main__ import CONFIG
from specs_verl.cold_start.voice import say
from specs_verl.errors import UserError
from specs_verl.plugin import recipes
from specs_verl.plugin.loopback import keep_to_this_machine


@hydra.main(config_path=str(CONFIG), config_name="cold_start", version_base=None)
def main(config: DictConfig) -> None:
    try:
        preflight.check(config.copy(), config.trainer.nnodes * config.trainer.n_gpus_per_node)
        run(config)
    except UserError as error:
        sys.exit(say(error))


def run(config: DictConfig) -> None:
    """Start Ray if it is not running, and one worker per GPU; returns when all are done."""
    import ray
    from verl.single_controller.ray import RayClassWithInitArgs, RayResourcePool, RayWorkerGroup
    from verl.utils.device import get_device_name

    from specs_verl.cold_start.ray_worker import ColdStartWorker

    started_here = not ray.is_initialized()
    if started_here:
        keep_to_this_machine(config.trainer.nnodes)
        ray.init(**cast("dict[str, Any]", OmegaConf.to_container(config.ray_kwargs.ray_init, resolve=True)))
    try:
        per_node = [config.trainer.n_gpus_per_node] * config.trainer.nnodes
        pool = RayResourcePool(process_on_nodes=per_node, max_colocate_count=1)
        worker = RayClassWithInitArgs(ray.remote(ColdStartWorker), config=config)
        group = RayWorkerGroup(resource_pool=pool, ray_cls_with_init=worker, device_name=get_device_name())
        running = group.run()
        while running:  # one by one: the first that fails ends the run, while the others may wait for it for ever
            finished, running = ray.wait(running, num_returns=1)
            problem = ray.get(finished[0])
            if problem is not None:
                raise UserError(problem)
    finally:
        if started_here:
            ray.shutdown()


if __name__ == "__main__":
    quiet.prepare()
    if unknown := recipes.unknown_recipe(sys.argv[1:]):
        sys.exit(say(unknown))
    recipes.install()
    main()
