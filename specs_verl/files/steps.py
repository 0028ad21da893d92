"""Where training leaves the weights of a step, in RL and in the cold start."""

from pathlib import Path


def step_folder(out: Path, step: int) -> Path:
    """OUT/hf_step_NNNNNN, a Hugging Face checkpoint."""
    return out / f"hf_step_{step:06d}"
