"""Every attention of packed rows, and that of the vision tower, on a GPU in bf16 against float32."""

from importlib.util import find_spec

import pytest
import torch

from specs_verl.cold_start import attention, tower_attention
from specs_verl.cold_start.layout import Group, Layout

LAYOUT = Layout((Group(700, (260, 190)), Group(128, (128, 64, 1, 300)), Group(1, (400,))))
SCALE = 0.125


def run(function, plan, tensors, responses_only: bool, upstream: torch.Tensor | None = None):
    """Output and gradients of one layer."""
    parts = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    output, _ = function(None, *parts, None, scaling=SCALE, plan=plan, responses_only=responses_only)
    rows = torch.from_numpy(LAYOUT.logit_rows()).unique().to(output.device)
    read = output[:, rows] if responses_only else output
    upstream = torch.randn_like(read) if upstream is None else upstream.to(read.dtype)
    return read, torch.autograd.grad((read * upstream).sum(), parts), upstream


def close(found: torch.Tensor, exact: torch.Tensor) -> bool:
    """bf16 keeps 8 bits: 2 % of the largest value."""
    return bool((found.float() - exact).abs().max() <= 0.02 * exact.abs().max())


@pytest.mark.parametrize("responses_only", [False, True])
@pytest.mark.parametrize("wanted", ["segments", "flash", "flex"])
def test_packed_rows(wanted, responses_only):
    if wanted == "flash" and find_spec("flash_attn") is None:
        pytest.skip("flash-attn is not installed")
    torch.manual_seed(0)
    shapes = ((1, 16, LAYOUT.length, 64), (1, 4, LAYOUT.length, 64), (1, 4, LAYOUT.length, 64))
    tensors = [torch.randn(*shape, device="cuda") for shape in shapes]
    plan = attention.plan_segments(LAYOUT, torch.device("cuda"))
    exact, exact_gradients, upstream = run(attention.segment_attention, plan, tensors, responses_only)
    backend = attention.choose(wanted, "cuda", torch.bfloat16)
    function = attention.ALL_ATTENTION_FUNCTIONS[backend.name]
    half = [tensor.bfloat16() for tensor in tensors]
    plan = backend.plan(LAYOUT, torch.device("cuda"))
    found, gradients, _ = run(function, plan, half, responses_only, upstream)
    assert close(found, exact)
    assert all(close(mine, other) for mine, other in zip(gradients, exact_gradients, strict=True))


def test_the_vision_tower():
    """flash-attn where it is installed, else SDPA; against float32 window by window."""
    torch.manual_seed(0)
    lengths = [64] * 20 + [32] * 5 + [16] + [1024]
    offsets = torch.tensor([0, *torch.tensor(lengths).cumsum(0)], dtype=torch.int32, device="cuda")
    query, key, value = (torch.randn(1, 16, sum(lengths), 80, device="cuda") for _ in range(3))
    parts = zip(*(tensor.split(lengths, 2) for tensor in (query, key, value)), strict=True)
    exact = torch.cat([torch.nn.functional.scaled_dot_product_attention(*part, scale=SCALE) for part in parts], 2)
    half = (tensor.bfloat16() for tensor in (query, key, value))
    found, _ = tower_attention.tower_attention(None, *half, None, scaling=SCALE, cu_seq_lens_q=offsets)
    assert close(found, exact.transpose(1, 2))
