"""What the engine is compared with: transformers' own model, one plain forward pass per response."""

import tiny_vlm as tiny
import torch
from qwen_vl_utils import fetch_image
from torch.distributed.tensor import DTensor


def log_probs(model, processor, pair_row: dict, response: str) -> torch.Tensor:
    """Token log-probabilities of one response."""
    images = [rollout_image(image, processor) for image in pair_row["images"]]
    parts = [{"type": "image"} for _ in images]
    parts.append({"type": "text", "text": pair_row["prompt"][0]["content"].replace("<image>", "")})
    content = parts if images else parts[0]["text"]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
    )
    tokenizer = getattr(processor, "tokenizer", processor)
    answer = tokenizer(response + "<|im_end|>", return_tensors="pt")["input_ids"]
    if images:
        prompt = processor(text=[text], images=images, return_tensors="pt")
    else:
        prompt = tokenizer(text, return_tensors="pt")
    ids = torch.cat([prompt["input_ids"], answer], 1)
    extra = {}
    if hasattr(model.config, "vision_config"):
        extra["mm_token_type_ids"] = (ids == model.config.image_token_id).int()
    if images:
        extra |= {"pixel_values": prompt["pixel_values"], "image_grid_thw": prompt["image_grid_thw"]}
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), **extra).logits[0]
    start = prompt["input_ids"].shape[1]
    return logits[start - 1 : -1].log_softmax(-1).gather(1, answer[0][:, None])[:, 0]


def rollout_image(image: dict, processor):
    """The image as verl's rollout hands it to the processor."""
    return fetch_image({"image": tiny.open_png(image["bytes"])}, image_patch_size=processor.image_processor.patch_size)


def expected(reference, setup) -> torch.Tensor:
    """Token log-probabilities of all responses of the row that `setup` has packed."""
    model, processor = reference
    sources = [setup.rows[setup.pairs[pair].index] for pair in setup.row.pairs]
    return torch.cat(
        [log_probs(model, processor, source, source[side]) for source in sources for side in ("chosen", "rejected")]
    )


def gradients(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Whole gradients by parameter name."""
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {name: grad.full_tensor() if isinstance(grad, DTensor) else grad for name, grad in found.items()}


def relative_distance(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    """Euclidean distance of all gradients taken together, relative to their norm; infinite if parameters differ."""
    if ours.keys() != theirs.keys():
        return float("inf")
    distance = sum(float((ours[name] - theirs[name]).norm() ** 2) for name in ours) ** 0.5
    return distance / sum(float(gradient.norm() ** 2) for gradient in theirs.values()) ** 0.5
