"""Builds the base checkpoint of the nano world: pre-training on the noisy corpus from random weights, on one core.

    python -m data_prep.nano.train --out DIR [--steps N] [--seed 0]

The shipped checkpoint is what this command makes with its defaults. It may be killed at any time: called again with the
same options it continues from the last state (kept beside DIR every minute, removed at the end) and ends at the same
weights as an uninterrupted run. DIR appears complete or not at all. Weights are stored in float16, to run in float32.

Four phases: numbers only and other captions (learning to see; in a mixture from the start the pips are not learned),
careful solutions and some captions (learning to compute), then the noisy mixture of corpus.py, whose proportions the
base ends up with. Matrices are trained by Muon, the rest by AdamW.
Not here: judging the result (measure.py).
"""

import argparse
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2_5_VLProcessor

from data_prep.files import replacing, replacing_folder
from data_prep.nano.corpus import CAPTION, CAPTION_WEIGHTS, Sample, write
from data_prep.nano.model import build_model
from data_prep.nano.muon import Muon
from data_prep.nano.policy import NanoPolicy

SAVE_EVERY_S = 60
POOL = 8  # batches drawn together and cut by length, so that little is padded


@dataclass(frozen=True)
class Phase:
    """A stretch of the training and what is read in it."""

    until: float  # share of the steps at which it ends
    captions: float  # share of captions in the text
    kinds: tuple[str, ...] = tuple(CAPTION_WEIGHTS)  # of captions
    careful: bool = True  # without hasty writers


PHASES = (
    Phase(until=0.05, captions=1.0, kinds=("digits",)),
    Phase(until=0.10, captions=1.0),
    Phase(until=0.60, captions=0.25),
    Phase(until=1.00, captions=CAPTION, careful=False),
)


@dataclass(frozen=True)
class Recipe:
    """Everything the resulting weights depend on, besides PHASES and the corpus."""

    steps: int = 3600
    batch: int = 32
    seed: int = 0
    muon_lr: float = 5e-3
    adamw_lr: float = 2e-3
    weight_decay: float = 0.01
    warmup: int = 50
    last_lr: float = 0.02  # relative to the peak, at the end of the decay
    clip: float = 1.0


def batches(recipe: Recipe, policy: NanoPolicy, start: int) -> Iterator[list[Sample]]:
    """Batches from step ``start`` on; each pool has its own seed, so that resuming needs no generator state."""
    for pool in range(start // POOL, -(-recipe.steps // POOL)):
        rng = random.Random(f"{recipe.seed}/{pool}")
        phase = next(phase for phase in PHASES if pool * POOL < phase.until * recipe.steps)
        samples = [write(rng, phase.captions, phase.kinds, phase.careful) for _ in range(POOL * recipe.batch)]
        samples.sort(key=lambda s: len(policy.encode(s.prompt)) + len(policy.encode(s.response)))
        chunks = [samples[i : i + recipe.batch] for i in range(0, len(samples), recipe.batch)]
        rng.shuffle(chunks)
        yield from chunks[max(0, start - pool * POOL) : recipe.steps - pool * POOL]


def lr_factor(recipe: Recipe, step: int) -> float:
    """Linear warm-up, constant until half of the steps, then linear to ``last_lr``."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    decay = max(0.0, 2 * step / recipe.steps - 1)
    return 1 - (1 - recipe.last_lr) * decay


def optimizers(recipe: Recipe, model: torch.nn.Module) -> list[torch.optim.Optimizer]:
    """Muon for matrices, AdamW for embeddings, norms, biases and the (5-dimensional) patch projection."""
    matrices: list[Tensor] = []
    rest: list[Tensor] = []
    for name, weight in model.named_parameters():
        (matrices if weight.ndim == 2 and "embed_tokens" not in name else rest).append(weight)
    return [
        Muon(matrices, lr=recipe.muon_lr, weight_decay=recipe.weight_decay),
        torch.optim.AdamW(rest, lr=recipe.adamw_lr, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def loss_of(policy: NanoPolicy, batch: list[Sample]) -> Tensor:
    """Mean negative log-likelihood per response token."""
    log_probs, mask = policy.log_probs(
        [s.scene for s in batch], [s.prompt for s in batch], [policy.response_ids(s.response) for s in batch]
    )
    return -log_probs.sum() / mask.sum()


class TrainState:
    """Weights and optimizer moments on disk, so that a killed build continues. The recipe must be the same."""

    def __init__(self, path: Path, recipe: Recipe):
        self.path, self.recipe = path, recipe

    def load(self, model: torch.nn.Module, opts: list[torch.optim.Optimizer]) -> int:
        """Restores the state if there is one; returns the next step."""
        if not self.path.exists():
            return 0
        state = torch.load(self.path, weights_only=True)
        if state["recipe"] != vars(self.recipe):
            raise SystemExit(
                f"{self.path} belongs to a build with other options, {state['recipe']}. "
                "Delete it or repeat those options."
            )
        model.load_state_dict(state["model"])
        for opt, saved in zip(opts, state["optimizers"], strict=True):
            opt.load_state_dict(saved)
        return state["step"]

    def save(self, model: torch.nn.Module, opts: list[torch.optim.Optimizer], step: int) -> None:
        state = {
            "recipe": vars(self.recipe),
            "model": model.state_dict(),
            "optimizers": [o.state_dict() for o in opts],
            "step": step,
        }
        with replacing(self.path) as draft:
            torch.save(state, draft)


def export(model: Qwen2_5_VLForConditionalGeneration, processor: Qwen2_5_VLProcessor, out: Path) -> None:
    """Writes the Hugging Face directory in one move: float16 weights, configuration asking for float32, processor.

    A directory that is in the way is replaced.
    """
    with replacing_folder(out) as draft:
        model.to(torch.float16).save_pretrained(draft)
        model.config.dtype = torch.float32
        model.config.save_pretrained(draft)
        processor.save_pretrained(draft)


def train(recipe: Recipe, out: Path) -> None:
    """The whole build: data, training, export."""
    torch.set_num_threads(1)
    out.parent.mkdir(parents=True, exist_ok=True)
    model, processor = build_model(recipe.seed)
    policy = NanoPolicy(model.train(), processor)
    opts = optimizers(recipe, model)
    peaks = [[group["lr"] for group in opt.param_groups] for opt in opts]
    state = TrainState(out.with_name(f".{out.name}.train.pt"), recipe)
    first = state.load(model, opts)
    with tqdm(desc="nano base", total=recipe.steps, initial=first, unit=" steps", disable=None, mininterval=1) as bar:
        saved, smooth = time.monotonic(), None
        for step, batch in enumerate(batches(recipe, policy, first), start=first):
            for opt, lrs in zip(opts, peaks, strict=True):
                for group, lr in zip(opt.param_groups, lrs, strict=True):
                    group["lr"] = lr * lr_factor(recipe, step)
            loss = loss_of(policy, batch)
            model.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            for opt in opts:
                opt.step()
            smooth = loss.item() if smooth is None else 0.98 * smooth + 0.02 * loss.item()
            bar.set_postfix(loss=f"{smooth:.3f}", refresh=False)
            bar.update()
            if time.monotonic() - saved > SAVE_EVERY_S:
                state.save(model, opts, step + 1)
                saved = time.monotonic()
    export(model, processor, out)
    state.path.unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="directory of the checkpoint; replaced if it exists")
    parser.add_argument(
        "--steps",
        type=int,
        default=Recipe.steps,
        help="optimizer steps of 32 samples, two or three a second",
    )
    parser.add_argument("--seed", type=int, default=Recipe.seed, help="of the weights and of the corpus")
    options = parser.parse_args()
    train(Recipe(steps=options.steps, seed=options.seed), options.out)
    print(f"wrote {options.out}; see what it can do: python -m data_prep.nano.measure --model {options.out}")


if __name__ == "__main__":
    main()
