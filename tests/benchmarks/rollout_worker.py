"""Processor time of a rollout worker for a response, beside generation: verl's worker and ours, in turn.

    python tests/benchmarks/rollout_worker.py [--prompts 16] [--responses 8] [--image 84x84] [--rounds 3]

Counted is what the worker does in its own process for every response: making the agent loop, the prompt's tokens, the
training inputs with their images. Both are verl's own functions on the nano model's processor; the best of the rounds
is shown.
"""

import argparse
import time
from pathlib import Path
from types import SimpleNamespace

import hydra
import torch
import verl  # noqa: F401  (registers the recipes)
from hydra import compose, initialize_config_module
from PIL import Image
from transformers import AutoProcessor
from verl.experimental.agent_loop import agent_loop
from verl.utils.dataset.rl_dataset import RLHFDataset
from verl.utils.tokenizer import continuous_token

from data_prep.nano import base_checkpoint
from specs_verl.plugin.rollout_worker import RolloutWorker

VERLS = RolloutWorker.__mro__[1]
STOCK = continuous_token.build_multimodal_processor_inputs


def without_connections(self: object, config: object) -> None:
    """What verl's worker has when it is there, as far as it is needed here."""
    self.processor = AutoProcessor.from_pretrained(base_checkpoint())
    self.processor.get_rope_index = None  # verl binds the model's
    self.tokenizer = self.processor.tokenizer
    self.config, self.tools, self.llm_client, self.dataset_cls = config, [], None, RLHFDataset
    self.hf_model_type = "qwen2_5_vl"


def worker(kind: type, config: object) -> object:
    """A new worker; what ours changes in verl's modules is there for ours alone."""
    VERLS.__init__ = without_connections
    agent_loop.hydra, continuous_token.build_multimodal_processor_inputs = hydra, STOCK
    return kind(config)


def step(made: object, prompts: list[list[dict]], responses: int) -> float:
    """Seconds of processor time for every response to the prompts."""
    started = time.process_time()
    for messages in prompts:
        images = [messages[0]["content"][0]["image"]]
        for number in range(responses):
            loop = agent_loop.hydra.utils.instantiate(
                config=agent_loop._agent_loop_registry["single_turn_agent"],
                trainer_config=agent_loop.DictConfigWrap(config=made.config),
                server_manager=made.llm_client,
                tokenizer=made.tokenizer,
                processor=made.processor,
                hf_model_type=made.hf_model_type,
                dataset_cls=made.dataset_cls,
                data_config=agent_loop.DictConfigWrap(made.config.data),
                tools=agent_loop.ToolListWrap(made.tools),
            )
            tokens = loop.continuous_token_builder.build_initial_tokens(messages, images=images, mm_inputs_out={})
            output = SimpleNamespace(multi_modal_data={"images": images}, mm_processor_kwargs={})
            made._compute_multi_modal_inputs(output, torch.tensor([*tokens, 5, 6, number]))
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--responses", type=int, default=8)
    parser.add_argument("--image", default="84x84", help="WIDTHxHEIGHT")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with initialize_config_module("verl.trainer.config", version_base=None):
        paths = [f"{name}={Path(base_checkpoint())}" for name in ("data.train_files", "data.val_files")]
        config = compose(
            "ppo_trainer", ["+specs=nano_grpo", f"actor_rollout_ref.model.path={base_checkpoint()}", *paths]
        )
    size = tuple(int(number) for number in args.image.split("x"))
    best = {kind: float("inf") for kind in (VERLS, RolloutWorker)}
    for turn in range(args.rounds):
        prompts = []
        for number in range(args.prompts):
            image = Image.effect_noise(size, 60 + turn * args.prompts + number).convert("RGB")
            text = {"type": "text", "text": f"How many circles are there in picture {number}?"}
            prompts.append([{"role": "user", "content": [{"type": "image", "image": image}, text]}])
        for kind in best:  # a new worker: nothing is remembered of the last round
            best[kind] = min(best[kind], step(worker(kind, config), prompts, args.responses))
    every = args.prompts * args.responses
    verls, ours = (1e3 * best[kind] / every for kind in (VERLS, RolloutWorker))
    print(
        f"{every} responses, {args.responses} a prompt, image {args.image}: milliseconds of processor time a response"
    )
    print(f"verl's worker {verls:.2f}   ours {ours:.2f}   ratio {ours / verls:.2f}")


if __name__ == "__main__":
    main()
