"""Memory of one process that trains, by part, as arithmetic: what fits can be known before anything is loaded.

    shape = ModelShape.of(hf_config)
    parts = estimate(shape, Setup(processes=8, row_tokens=16384))      # {"weights": bytes, ...}
    print(table(parts))

    python -m specs_verl.estimate.training MODEL_DIR --processes 8 --row-tokens 16384

For FSDP2 with float32 weights and Adam. The first five parts are exact up to the padding of shards; the others count
the tensors that live at the peak of a step. Not counted are the allocator's slack, NCCL's buffers (1 to 2 GiB) and
vision features, which lie in the memory of the host. What RL adds: memory.py.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PretrainedConfig

FLOAT32 = 4


@dataclass(frozen=True)
class ModelShape:
    """Sizes that memory depends on; all but the last five are numbers of parameters."""

    trained: int
    whole: int  # of a frozen vision half, which every process keeps whole and nobody trains
    layer: int  # of one decoder layer
    edges: int  # of embeddings, head and final norm
    layers: int
    hidden: int
    projected: int  # outputs of the query, key and value projections
    intermediate: int
    vocabulary: int

    @classmethod
    def of(
        cls, hf_config: PretrainedConfig, freeze_vision_tower: bool = True, freeze_aligner: bool = True
    ) -> ModelShape:
        """Count the parameters of a model of this configuration, which is not built."""
        import torch  # not above: the arithmetic alone needs no libraries
        from verl.utils.model import get_hf_auto_model_class

        with torch.device("meta"):
            model = get_hf_auto_model_class(hf_config).from_config(hf_config)
        text = getattr(hf_config, "text_config", hf_config)
        head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
        frozen = {
            name
            for name in sizes
            if ".visual." in name and (freeze_aligner if "merger" in name else freeze_vision_tower)
        }
        in_layers = sum(size for name, size in sizes.items() if ".layers." in name and ".visual." not in name)
        outside = sum(size for name, size in sizes.items() if ".layers." not in name and ".visual." not in name)
        whole = sum(sizes[name] for name in frozen) if freeze_vision_tower else 0
        return cls(
            trained=sum(size for name, size in sizes.items() if name not in frozen),
            whole=whole,
            layer=in_layers // text.num_hidden_layers,
            edges=outside,
            layers=text.num_hidden_layers,
            hidden=text.hidden_size,
            projected=head * (text.num_attention_heads + 2 * text.num_key_value_heads),
            intermediate=text.intermediate_size,
            vocabulary=text.vocab_size,
        )


@dataclass(frozen=True)
class Setup:
    """How a model is trained; defaults are those of the GPU recipes."""

    processes: int
    row_tokens: int  # data.max_token_len_per_gpu
    head_tokens: int = 2048  # model.head_chunk_tokens
    number_bytes: int = 2  # of the computation: 2 for bf16, 4 for float32
    checkpointing: bool = True
    reshard: bool = True
    no_sync: bool = False  # engine.use_no_sync_for_gradient_accumulation
    adapters: int = 0  # parameters of LoRA, which alone are trained then; 0 trains the model
    on_host: bool = False  # engine.offload_policy: weights, gradients and moments are in the memory of the host


def estimate(shape: ModelShape, setup: Setup) -> dict[str, int]:
    """Bytes per process, by part."""
    width, tokens = setup.number_bytes, setup.row_tokens
    trained = setup.adapters or shape.trained
    weights = shape.trained + setup.adapters
    shard, trained_shard = (0 if setup.on_host else -(-size // setup.processes) for size in (weights, trained))
    several = setup.processes > 1
    copied = several or setup.on_host or width < FLOAT32  # FSDP computes with copies of the weights
    gathered = 2 * shape.layer + shape.edges if setup.reshard else shape.trained  # a layer, and the next one prefetched
    # What the backward pass of a layer needs: its input, both norms (their float32 copies as well), projections and
    # attention's output, and the gated MLP's five intermediate results.
    in_layer = width * (6 * shape.hidden + 2 * shape.projected + 5 * shape.intermediate) + 4 * FLOAT32 * shape.hidden
    kept = shape.layers * width * shape.hidden if setup.checkpointing else shape.layers * in_layer
    head = min(setup.head_tokens, tokens)
    return {
        "weights": FLOAT32 * shard,
        "gradients": FLOAT32 * trained_shard,
        "Adam's two moments": 2 * FLOAT32 * trained_shard,
        "frozen vision half": FLOAT32 * shape.whole,
        "unsharded gradients": FLOAT32 * trained if setup.no_sync and several else 0,
        "gathered weights": width * gathered if copied else 0,
        "gradients of a layer on their way": (width + FLOAT32) * shape.layer if copied else 0,
        "activations kept for the backward pass": kept * tokens,
        "activations of one layer": in_layer * tokens if setup.checkpointing else 0,
        "logits": head * shape.vocabulary * (width + 2 * FLOAT32),  # and their float32 copy, and its gradient
    }


def table(parts: Mapping[str, int]) -> str:
    """One line per part, in GiB."""
    lines = [f"{name:40} {size / 2**30:8.2f} GiB" for name, size in (*parts.items(), ("sum", sum(parts.values())))]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="directory of a Hugging Face checkpoint, or of its config.json alone")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--row-tokens", type=int, default=16384)
    parser.add_argument("--no-sync", action="store_true", help="engine.use_no_sync_for_gradient_accumulation=true")
    parser.add_argument("--train-aligner", action="store_true", help="model.freeze_aligner=false")
    parser.add_argument("--json", action="store_true", help="bytes by part")
    given = parser.parse_args()
    from transformers import AutoConfig

    shape = ModelShape.of(AutoConfig.from_pretrained(given.model), freeze_aligner=not given.train_aligner)
    parts = estimate(shape, Setup(given.processes, given.row_tokens, no_sync=given.no_sync))
    print(json.dumps(parts) if given.json else table(parts))


if __name__ == "__main__":
    main()
