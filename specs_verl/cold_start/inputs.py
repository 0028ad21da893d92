"""What can be checked before torch and verl are imported; checkpoints named by the hub are fetched here."""

from pathlib import Path

from omegaconf import DictConfig, ListConfig

from specs_verl.cold_start.table import COLUMNS, Kind, check_files, kind_of
from specs_verl.errors import UserError
from specs_verl.estimate.fits import check_cold_start
from specs_verl.files.checkpoints import check_checkpoint
from specs_verl.files.hub import local_checkpoint

EXPORTED = ("float32", "bfloat16", "float16")
"""Names of dtypes that a checkpoint may be exported in."""

VISION_MODELS = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")


def check(config: DictConfig, processes: int = 1) -> None:
    """Raise UserError when a checkpoint or a file of pairs is not what it should be, or memory will not do.

    Names on the Hugging Face hub become the directories of their snapshots, in `config` itself.

    Args:
        processes: that will train, for the estimate of memory.
    """
    find_checkpoints(config)
    require_checkpoint(Path(config.model.path).expanduser(), "model.path")
    if config.reference.path is not None:
        require_checkpoint(Path(config.reference.path).expanduser(), "reference.path")
    check_cold_start(config, processes)
    check_precision(config)
    check_data(config)


def check_data(config: DictConfig) -> Kind:
    """Which kind of data the files of a run hold; UserError when they differ or do not go with the loss."""
    named = [files for files in (config.data.train_files, config.data.val_files) if files is not None]
    paths = [[Path(file).expanduser() for file in file_list(files)] for files in named]
    kind = kind_of(paths[0])
    for group in paths:
        check_files(group, COLUMNS[kind])
    if kind == "conversations" and config.loss.preference != "none":
        raise UserError(
            f"{paths[0][0]} holds conversations (messages), which have no rejected response, but "
            f"loss.preference={config.loss.preference}. Set loss=sft, or train on preference pairs."
        )
    return kind


def check_precision(config: DictConfig) -> None:
    """Refuse dtypes that training or the export cannot have.

    In fp16 gradients overflow as a matter of course, and here one that is not finite ends the run.
    """
    for key in ("param_dtype", "reduce_dtype"):
        if str(config.engine.mixed_precision.get(key)) in ("fp16", "float16", "half"):
            raise UserError(f"engine.mixed_precision.{key}=fp16 is not supported. Use bf16, or fp32.")
    if config.trainer.hf_dtype not in (None, *EXPORTED):
        raise UserError(f"trainer.hf_dtype={config.trainer.hf_dtype}: use {', '.join(EXPORTED)} or null.")


def find_checkpoints(config: DictConfig) -> None:
    """Put directories in the place of hub names."""
    config.model.path = local_checkpoint(config.model.path)
    if config.reference.path is not None:
        config.reference.path = local_checkpoint(config.reference.path)


def require_checkpoint(path: Path, key: str) -> None:
    """Raise UserError unless `path` holds a Hugging Face checkpoint with weights."""
    family = check_checkpoint(path, key, tokenizer=False)
    if "vision_config" in family and family.get("model_type") not in VISION_MODELS:
        raise UserError(
            f"{path}: a vision-language model of type {family.get('model_type')}. The cold start knows how "
            f"{', '.join(VISION_MODELS)} number the positions of images, and text-only models: set {key} to one of "
            "these."
        )


def file_list(files: str | ListConfig) -> list[str]:
    return [files] if isinstance(files, str) else list(files)
