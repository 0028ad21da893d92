"""Resumable checkpoints and Hugging Face export; what is seen under its final name is complete.

    save(engine, folder, state)              OUT/checkpoints/step_000040: shards, optimizer, scheduler, RNG, state.json
    latest(OUT) -> Path | None               the newest complete one
    export(engine, OUT / "hf", source)       one Hugging Face checkpoint, loadable by transformers and vLLM

Everything is first written under a name that starts with a dot, brought to the disk and then renamed, in one step, by
process 0.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING

import torch
import torch.distributed as dist
from safetensors import SafetensorError
from torch.distributed.tensor import DTensor
from transformers import AutoConfig, GenerationConfig

from data_prep.files import replace_folder
from specs_verl.cold_start.voice import lost_others
from specs_verl.errors import UserError
from specs_verl.files.shapes import floating_types

if TYPE_CHECKING:
    from specs_verl.cold_start.engine import PairEngine

FOLDER = "checkpoints"
STATE = "state.json"
KEYS = ("step", "processes", "identity", "early_stop")
"""What a state holds."""

WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf", ".index.json")


def save(engine: PairEngine, out: Path, state: dict) -> Path:
    """Write a checkpoint of step `state["step"]`, which all processes do together; returns its folder."""
    final = out / FOLDER / _name(state["step"])
    draft = final.with_name(f".{final.name}")
    if dist.get_rank() == 0:
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
    dist.barrier()
    with _clear_message(draft, out, shared=dist.get_world_size() > 1):
        engine.save_checkpoint(str(draft), global_step=state["step"])
        if dist.get_rank() == 0:
            (draft / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
            replace_folder(draft, final)
    dist.barrier()
    return final


@contextmanager
def _clear_message(draft: Path, out: Path, shared: bool = False) -> Iterator[None]:
    """Turn what torch and safetensors raise when a file cannot be written (disk full, ...) into one sentence.

    Args:
        shared: other processes write into the draft too. It is then left to the next start, since deleting it would
            give each of them an error of its own, about a folder that is gone.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        if lost_others(error):
            raise
        if not shared:
            shutil.rmtree(draft, ignore_errors=True)
        kept = latest(out)
        raise UserError(
            f"{draft}: cannot be written ({str(error).splitlines()[0]}). Make room and start again: the run continues "
            f"from {kept or 'its beginning'}."
        ) from error


def load(engine: PairEngine, folder: Path, state: dict) -> None:
    """Load a checkpoint, whose state has been read, into the engine."""
    if state["processes"] != dist.get_world_size():
        raise UserError(
            f"{folder} was saved by {state['processes']} processes and cannot be resumed by {dist.get_world_size()}. "
            "Use as many processes, or start anew with trainer.resume_mode=disable."
        )
    try:
        engine.load_checkpoint(str(folder), del_local_after_load=False)
    except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
        raise UserError(
            f"{folder}: damaged, it cannot be loaded ({str(error).splitlines()[0][:200]}). Remove it: the run goes on "
            "from the checkpoint before it, or from its beginning."
        ) from error


def read_state(folder: Path) -> dict:
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: not a cold-start checkpoint, or a damaged one ({error}).") from error
    missing = [key for key in KEYS if not isinstance(state, dict) or key not in state]
    if missing:
        raise UserError(
            f"{folder}: not a cold-start checkpoint, or a damaged one (no {', '.join(missing)} in {STATE})."
        )
    return state


def latest(out: Path) -> Path | None:
    """The newest checkpoint below `out` whose state can be read, or None; damaged ones are named and passed over."""
    for folder in sorted((out / FOLDER).glob("step_*"), reverse=True):
        if not (folder / STATE).is_file():
            continue
        try:
            read_state(folder)
        except UserError as error:
            print(f"cold start: {error} Going on from an older one.", file=sys.stderr, flush=True)
            continue
        return folder
    return None


def delete_drafts(out: Path) -> None:
    """Delete what an interrupted save left behind."""
    for draft in (out / FOLDER).glob(".step_*"):
        shutil.rmtree(draft, ignore_errors=True)


def prune(out: Path, step: int, keep: int | None) -> None:
    """Delete all but the newest `keep` checkpoints (None: keep all) and what an interrupted save left behind.

    Checkpoints of steps after `step`, the one that was saved last, go first: they are damaged, or of a course that was
    left when the run went back to an earlier step. They must not push out those of this course.
    """
    delete_drafts(out)
    found = sorted((out / FOLDER).glob("step_*"))
    course = [folder for folder in found if folder.name <= _name(step)]
    old = course[: -keep or None] if keep is not None else []
    for folder in [*found[len(course) :], *old]:
        shutil.rmtree(folder, ignore_errors=True)


def _name(step: int) -> str:
    return f"step_{step:06d}"


def full_state(engine: PairEngine) -> dict[str, torch.Tensor]:
    """All parameters, whole and on the CPU, under their Hugging Face names; empty on processes other than 0."""
    gathered = {}
    for name, tensor in engine.exported_state():
        whole = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
        if dist.get_rank() == 0:
            gathered[name] = whole.detach().cpu()
    return gathered


def export(engine: PairEngine, final: Path, source: Path, dtype: str | None = None) -> None:
    """Write the model as a Hugging Face checkpoint; all processes take part.

    Args:
        final: folder to write; replaced as a whole when it exists.
        source: the checkpoint that training started from: its processor, tokenizer, chat template and generation config
            are copied file by file, so that nothing but the weights differs.
        dtype: of the saved weights; by default that of the source: of its configuration, or of its weights where that
            is wider. verl saves float32 weights with a configuration that says bfloat16, and a frozen tower would be
            rounded.
    """
    state = full_state(engine)
    if dist.get_rank() == 0:
        draft = final.with_name(f".{final.name}")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        with _clear_message(draft, final.parent):
            _write_hf(engine, state, draft, source, dtype)
            replace_folder(draft, final)
    dist.barrier()


_TORCH_TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


def _own_dtype(configured: torch.dtype | None, source: Path) -> torch.dtype:
    """What holds the weights of a checkpoint without rounding, and no less than its configuration says."""
    types = [_TORCH_TYPES[name] for name in floating_types(source)]
    return reduce(torch.promote_types, types, configured or torch.float32)


def _write_hf(engine: PairEngine, state: dict[str, torch.Tensor], draft: Path, source: Path, dtype: str | None) -> None:
    config = AutoConfig.from_pretrained(source, trust_remote_code=engine.model_config.trust_remote_code)
    config.dtype = getattr(torch, dtype) if dtype else _own_dtype(config.dtype, source)
    with torch.device("meta"):
        shell = type(engine.backbone)._from_config(config, dtype=config.dtype)
    if shell.can_generate() and (source / "generation_config.json").is_file():
        shell.generation_config = GenerationConfig.from_pretrained(source)
    tied = set(getattr(shell, "_tied_weights_keys", None) or ()) if config.tie_word_embeddings else set()
    state = {name: tensor.to(config.dtype) for name, tensor in state.items() if name not in tied}
    shell.save_pretrained(draft, state_dict=state)
    for file in source.iterdir():
        if file.is_file() and not file.name.endswith(WEIGHTS) and not (draft / file.name).exists():
            shutil.copyfile(file, draft / file.name)
