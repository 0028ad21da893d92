"""A checkpoint given by its name on the Hugging Face hub -> the directory where it lies.

local_checkpoint("Qwen/Qwen2.5-VL-7B-Instruct")      # downloaded once, then taken from the cache of huggingface_hub
local_checkpoint("runs/zero/hf")                      # a directory stays what it is
"""

import re
from pathlib import Path

from specs_verl.errors import UserError

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
WANTED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "*.model", "*.py")
"""Weights in one format, configuration, tokenizer; no second copy of the weights as *.bin or consolidated.*."""


def is_hub_name(path: str) -> bool:
    """Whether `path` can only be meant as owner/name on the hub: nothing is there, not even the folder `owner`."""
    return bool(HUB_NAME.fullmatch(path)) and not Path(path).parent.exists()


def local_checkpoint(path: str) -> str:
    """The directory of a checkpoint.

    Args:
        path: directory, or owner/name on the hub. The usual variables apply: HF_HOME, HF_TOKEN, HF_HUB_OFFLINE,
            HF_ENDPOINT.

    Raises:
        UserError: the hub has no such checkpoint, or cannot be reached and the cache does not have it.
    """
    if not is_hub_name(path):
        return path
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return snapshot_download(path, allow_patterns=list(WANTED), ignore_patterns=["consolidated*", "original/*"])
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"{path} is no directory, and it cannot be had from the Hugging Face hub either "
            f"({str(error).strip().splitlines()[0]}). Give the directory of a checkpoint, or check the name, the "
            "network and HF_TOKEN."
        ) from error
