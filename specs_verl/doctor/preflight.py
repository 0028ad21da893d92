"""What must be right before anything expensive starts: each check raises one clear sentence (UserError, exit code 2).

    checkpoint("runs/base"), rows("train.parquet"), memory(8 * GIB), compiler(), port(29500)

The recipes run the first two through a Hydra callback (RecipeCheck) when `python -m verl.trainer.main_ppo +specs=NAME`
starts, the pipelines run all of them. `specs doctor` reports on the installation as a whole.
"""

import os
import shutil
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import psutil
import pyarrow
import pyarrow.parquet as parquet
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from specs_verl.doctor import prompts, recipe
from specs_verl.errors import UserError
from specs_verl.estimate.fits import check_rl
from specs_verl.files.checkpoints import check_checkpoint
from specs_verl.files.hub import is_hub_name
from specs_verl.plugin.freeze import SWITCH
from specs_verl.plugin.loopback import cluster_address, keep_to_this_machine
from specs_verl.plugin.rails import EXIT_CODE, StoppedByAlarm
from specs_verl.rails.settings import Settings

GIB = 1024**3
COLUMNS = ("data_source", "prompt", "images", "reward_model")
"""Columns every stage needs; `extra_info` is optional in verl."""


def checkpoint(path: str) -> None:
    """A model path is a complete Hugging Face checkpoint directory, or looks like a hub name (owner/name)."""
    if not Path(path).expanduser().exists() and is_hub_name(path):
        return
    check_checkpoint(path, tokenizer=False)  # verl may take it from elsewhere (model.tokenizer_path)


def rows(path: str, columns: Sequence[str] = COLUMNS) -> int:
    """A parquet file can be read and has the columns verl needs; returns the number of rows."""
    file = Path(path).expanduser()
    if not file.exists():
        raise UserError(
            f"There is no file {path}. Make one with `specs data`, or give the path of a parquet in verl's schema."
        )
    try:
        table = parquet.ParquetFile(file)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise UserError(f"{path} cannot be read as parquet: {error}") from error
    missing = [column for column in columns if column not in table.schema_arrow.names]
    if missing:
        raise UserError(
            f"{path} has no column {', '.join(map(repr, missing))}; it has {', '.join(table.schema_arrow.names)}. "
            "`specs data doctor` explains the schema."
        )
    if table.metadata.num_rows == 0:
        raise UserError(f"{path} has no rows.")
    return table.metadata.num_rows


def memory(needed: int) -> None:
    """At least ``needed`` bytes of memory are free."""
    free = psutil.virtual_memory().available
    if free < needed:
        raise UserError(
            f"{needed / GIB:.1f} GiB of free memory are needed, {free / GIB:.1f} GiB are there. Close other programs."
        )


def disk(folder: Path, needed: int) -> None:
    """At least ``needed`` bytes are free where ``folder`` is, or will be."""
    existing = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise UserError(
            f"{needed / GIB:.1f} GiB of free disk are needed under {existing}, {free / GIB:.1f} GiB are there."
        )


def compiler() -> None:
    """There is a C compiler: vLLM and triton look for one at start and fail late without it."""
    if not any(shutil.which(name) for name in ("cc", "gcc", "clang")):
        raise UserError(
            "There is no C compiler (cc, gcc or clang), which vLLM needs at start. Debian: apt-get install gcc."
        )


def port(number: int, host: str = "127.0.0.1") -> None:
    """A TCP port on the loopback interface is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError as error:
            raise UserError(
                f"Port {number} on {host} is in use ({error.strerror}). Stop its owner or choose another port."
            ) from error


def _as_list(value: str | Iterable[object]) -> list[str]:
    return [value] if isinstance(value, str) else [str(item) for item in value]


def master_port(environment: Mapping[str, str]) -> None:
    """The port that MASTER_PORT promises to torch.distributed is free; without the variable a free one is taken."""
    if value := environment.get("MASTER_PORT"):
        if not value.isdigit() or not 0 < int(value) < 65536:
            raise UserError(f"MASTER_PORT={value} is no port number. Unset it, and a free port is taken.")
        port(int(value))


def frozen_as_asked(config: DictConfig) -> None:
    """Whoever sets actor.freeze_vision_tower gets it: verl alone reads the key nowhere and would train the tower."""
    part = config.actor_rollout_ref
    libraries = part.model.get("external_lib")
    libraries = [] if libraries is None else _as_list(libraries)
    if part.actor.get("freeze_vision_tower") and SWITCH not in libraries:
        raise UserError(
            "actor_rollout_ref.actor.freeze_vision_tower=True needs actor_rollout_ref.model.external_lib to name "
            f"{SWITCH} (a list may name several modules); verl alone would train the vision tower."
        )


class RecipeCheck(Callback):
    """Hydra callback of the recipes: checks the machine, model path, data files and reward file before Ray starts, and
    has a run on one machine listen on that machine only.

    Args:
        memory_gib: free memory the run needs on this machine; 0 for recipes whose workers are elsewhere.
    """

    def __init__(self, memory_gib: float = 0.0):
        self.memory_gib = memory_gib

    def on_run_start(self, config: DictConfig, **kwargs: object) -> None:
        from verl.plugin.platform import get_platform  # not above: `specs doctor` works where verl does not import

        address = recipe.ray_address(config, os.environ.get("RAY_ADDRESS"), cluster_address())
        keep_to_this_machine(int(config.trainer.nnodes), ray_address=address or "local")
        try:
            recipe.cluster(config, address)
            if address is None:  # else the workers are on the cluster's nodes
                compiler()
                memory(int(self.memory_gib * GIB))
            master_port(os.environ)
            checkpoint(config.actor_rollout_ref.model.path)
            found = {key: sum(map(rows, _as_list(config.data[key]))) for key in ("train_files", "val_files")}
            frozen_as_asked(config)
            reward = config.reward.custom_reward_function.path
            if reward and not reward.startswith("pkg://") and not Path(reward).expanduser().exists():
                raise UserError(f"There is no reward file {reward} (reward.custom_reward_function.path).")
            recipe.kept_weights(config)
            Settings.of(config)
            recipe.attention(config, get_platform().device_name, recipe.flash_installed())
            recipe.micro_batches(config)
            check_rl(config)
            recipe.steps(config, found["train_files"])
            kept = prompts.count(config)
            recipe.steps(config, (kept or found)["train_files"])
        except UserError as error:
            _leave(error)

    def on_run_end(  # type: ignore[override]  # Hydra gives every callback of this name the job's result
        self, config: DictConfig, job_return: JobReturn, **kwargs: object
    ) -> None:
        """A run that ends before its steps fails: verl's loop also ends, with exit code 0, where its epochs end.

        A run that an alarm has stopped ends with the reason instead of Ray's traceback.
        """
        if isinstance(error := job_return._return_value, StoppedByAlarm):
            # Ray hands it on as an exception of both kinds, whose text is the remote traceback.
            print(f"specs-verl: {getattr(error, 'cause', error)}", file=sys.stderr)
            raise SystemExit(EXIT_CODE) from None
        if job_return.status is not JobStatus.COMPLETED:
            return
        try:
            recipe.ended_as_asked(config)
        except UserError as error:
            _leave(error)


def _leave(error: UserError) -> NoReturn:
    """Hydra turns exceptions of callbacks into warnings; an exit goes through."""
    print(f"specs-verl: {error}", file=sys.stderr)
    raise SystemExit(error.exit_code) from None
