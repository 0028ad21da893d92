"""Started by torchrun: several runs one after the other on the same processes; process 0 writes down what they did.

    torchrun --standalone --nproc_per_node 2 tests/cold_start/ranks.py PLAN.json RESULT.json

The plan is a list of {"name", "overrides", "unfinished"}. `unfinished` deletes the last checkpoint and the result of a
run that is there already, so that it is resumed.
"""

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import torch.distributed as dist
from engine_setup import compose_config

from specs_verl.cold_start.gathering import from_all
from specs_verl.cold_start.trainer import Trainer


def local_bytes(tensors) -> int:
    parts = [tensor.to_local() if hasattr(tensor, "to_local") else tensor for tensor in tensors]
    return sum(part.numel() * part.element_size() for part in parts)


def memory(trainer: Trainer) -> dict[str, int]:
    """Bytes of this process that really are there, under the names of memory.estimate."""
    module, optimizer = trainer.engine.module, trainer.engine.optimizer
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    moments = [value for state in optimizer.state.values() for value in state.values() if value.numel() > 1]
    return {
        "weights": local_bytes(trained),
        "Adam's two moments": local_bytes(moments),
        "frozen vision half": local_bytes(
            parameter for parameter in module.parameters() if not parameter.requires_grad
        ),
        **trainer.seen,
    }


class Watched(Trainer):
    """Notes the gradients that are there between the rows of a step."""

    def __init__(self, config) -> None:
        super().__init__(config)
        self.seen = {"gradients": 0, "unsharded gradients": 0}

    def _train_step(self):
        forward = type(self.engine).branch_log_probs

        def note(row):
            self.seen["gradients"] = max(self.seen["gradients"], sharded_gradients(self.engine.module))
            unsharded = unsharded_gradients(self.engine.module)
            self.seen["unsharded gradients"] = max(self.seen["unsharded gradients"], unsharded)
            return forward(self.engine, row)

        self.engine.branch_log_probs = note
        try:
            return super()._train_step()
        finally:
            del self.engine.branch_log_probs


def sharded_gradients(module) -> int:
    return local_bytes(parameter.grad for parameter in module.parameters() if parameter.grad is not None)


def unsharded_gradients(module) -> int:
    """What FSDP2 keeps of gradients that have not been reduced yet."""
    kept = 0
    for part in module.modules():
        group = getattr(getattr(part, "_get_fsdp_state", lambda: None)(), "_fsdp_param_group", None)
        for parameter in group.fsdp_params if group is not None else ():
            gradient = parameter.unsharded_accumulated_grad
            kept += 0 if gradient is None else gradient.numel() * gradient.element_size()
    return kept


def main() -> None:
    plan, results = json.loads(Path(sys.argv[1]).read_text()), {}
    for run in plan:
        config = compose_config(*run["overrides"])
        out = Path(config.trainer.default_local_dir)
        if run.get("unfinished") and int(dist.get_rank()) == 0:
            (out / "complete.json").unlink()
            shutil.rmtree(sorted((out / "checkpoints").glob("step_*"))[-1])
        trainer = Watched(config)
        trainer.run()
        features = trainer.engine.features
        processes = from_all({"images": features.computed if features else 0, "memory": memory(trainer)})
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        results[run["name"]] = {"metrics": lines, "processes": processes}
    if dist.get_rank() == 0:
        Path(sys.argv[2]).write_text(json.dumps(results))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
