"""All attention backends against one dense softmax, on the CPU; flash-attn's kernel is replaced by its definition."""

from itertools import pairwise

import pytest
import torch
from torch.nn.attention.flex_attention import create_block_mask
from torch.utils._python_dispatch import TorchDispatchMode

from specs_verl.cold_start import attention, tower_attention
from specs_verl.cold_start.attention_flash import flash_attention, plan_flash
from specs_verl.cold_start.attention_flex import flex_row_attention, plan_flex, token_labels
from specs_verl.cold_start.layout import Group, Layout
from specs_verl.errors import UserError

LAYOUTS = {
    "one pair": Layout((Group(5, (3, 4)),)),
    "several prompts": Layout((Group(4, (2, 3)), Group(1, (1, 1)), Group(6, (5,)))),
    "four pairs": Layout((Group(7, (3, 2, 4, 1, 2, 2, 3, 1)),)),
}
CPU = torch.device("cpu")
SCALE = 0.3


def dense(query, key, value, layout: Layout):
    """Softmax attention with the rule written out token by token."""
    allowed = torch.zeros(layout.length, layout.length, dtype=torch.bool)
    for segments in layout.segments:
        for segment in segments:
            prompt = range(segment.prompt_start, segment.prompt_start + segment.prompt_length)
            branch = range(segment.start, segment.start + segment.length)
            for q in prompt:
                allowed[q, prompt.start : q + 1] = True
            for q in branch:
                allowed[q, prompt.start : prompt.stop] = True
                allowed[q, branch.start : q + 1] = True
    repeats = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1)
    scores = (query @ key.transpose(-1, -2) * SCALE).masked_fill(~allowed, float("-inf"))
    return (scores.softmax(-1) @ value).transpose(1, 2)


def varlen_by_definition(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, softmax_scale, **_):
    """What flash_attn_varlen_func documents: sequence by sequence, causal, the triangle aligned bottom-right."""
    outputs = []
    for start, stop, key_start, key_stop in zip(
        cu_seqlens_q[:-1], cu_seqlens_q[1:], cu_seqlens_k[:-1], cu_seqlens_k[1:], strict=True
    ):
        queries, keys = int(stop - start), int(key_stop - key_start)
        assert queries <= max_seqlen_q and keys <= max_seqlen_k
        repeats = q.shape[1] // k.shape[1]
        key, value = (x[key_start:key_stop].repeat_interleave(repeats, 1).transpose(0, 1) for x in (k, v))
        mask = torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)
        scores = q[start:stop].transpose(0, 1) @ key.transpose(-1, -2) * softmax_scale
        outputs.append((scores.masked_fill(~mask, float("-inf")).softmax(-1) @ value).transpose(0, 1))
    return torch.cat(outputs)


BACKENDS = {
    "segments": (attention.segment_attention, attention.plan_segments, {}),
    "flash": (flash_attention, plan_flash, {"kernel": varlen_by_definition}),
    "flex": (flex_row_attention, plan_flex, {}),
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("responses_only", [False, True])
def test_every_backend_is_the_dense_softmax(layout, backend, responses_only):
    torch.manual_seed(0)
    trains = backend != "flex"  # FlexAttention has no backward pass on the CPU
    query = torch.randn(1, 4, layout.length, 16, requires_grad=trains)
    key, value = (torch.randn(1, 2, layout.length, 16, requires_grad=trains) for _ in range(2))
    function, plan, extra = BACKENDS[backend]
    settings = {"scaling": SCALE, "plan": plan(layout, CPU), "responses_only": responses_only}
    output, attention_weights = function(None, query, key, value, None, **settings, **extra)
    assert attention_weights is None
    # read are the rows that predict response tokens: the last of each prompt, and the branches
    rows = torch.from_numpy(layout.logit_rows()).unique() if responses_only else torch.arange(layout.length)
    expected = dense(query, key, value, layout)
    assert torch.allclose(output[:, rows], expected[:, rows], atol=1e-5)
    if trains:
        upstream = torch.randn_like(expected[:, rows])
        theirs = torch.autograd.grad((expected[:, rows] * upstream).sum(), (query, key, value))
        ours = torch.autograd.grad((output[:, rows] * upstream).sum(), (query, key, value))
        assert all(torch.allclose(mine, other, atol=1e-5) for mine, other in zip(ours, theirs, strict=True))


def test_flash_index_arithmetic():
    # row: 0 1 2 | 3 4 | 5, that is prompt, C, R
    plan = plan_flash(Layout((Group(3, (2, 1)),)), CPU)
    assert plan.everything.query_offsets.tolist() == [0, 5, 6]  # [P C] and [R]
    assert plan.key_offsets.tolist() == [0, 5, 9]  # [P C] and [P R]
    assert plan.keys.tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 5]
    assert plan.responses.queries.tolist() == [2, 3, 4, 5]
    assert plan.responses.query_offsets.tolist() == [0, 3, 4]


def test_flex_labels():
    groups, branches = token_labels(Layout((Group(3, (2, 1)), Group(1, (2,)))))
    assert groups.tolist() == [0] * 6 + [1] * 3
    assert branches.tolist() == [0, 0, 0, 1, 1, 2, 0, 1, 1]


class Largest(TorchDispatchMode):
    """Notes the largest tensor that is made within it."""

    numbers = 0

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        made = function(*arguments, **(named or {}))
        for tensor in made if isinstance(made, (tuple, list)) else [made]:
            self.numbers = max(self.numbers, tensor.numel() if isinstance(tensor, torch.Tensor) else 0)
        return made


@pytest.mark.parametrize(
    "layout",
    [
        Layout((Group(300, (260, 190)), Group(128, (128, 64, 1)))),
        Layout((Group(700, (5,)), Group(1, (400,)))),
        Layout((Group(128, (128,)),)),
    ],
    ids=["across blocks", "one block alone", "whole blocks"],
)
def test_flex_blocks_are_torchs_own(layout):
    with Largest() as largest:
        ours = plan_flex(layout, CPU).mask
    theirs = create_block_mask(ours.mask_mod, None, None, layout.length, layout.length, device="cpu")
    assert ours.shape == theirs.shape and ours.BLOCK_SIZE == theirs.BLOCK_SIZE
    for name in ("kv", "full_kv", "q", "full_q"):
        count = getattr(theirs, f"{name}_num_blocks")
        assert getattr(ours, f"{name}_num_blocks").tolist() == count.tolist(), name
        lists = [getattr(mask, f"{name}_indices")[0, 0] for mask in (ours, theirs)]
        for row, length in enumerate(count[0, 0].tolist()):
            assert lists[0][row, :length].sort().values.tolist() == lists[1][row, :length].sort().values.tolist()
    if layout.length > 300:
        assert largest.numbers <= 128 * 1.2 * layout.length < layout.length**2, "no mask over all pairs of tokens"


WINDOWS = torch.tensor([0, 4, 8, 10, 14, 20, 20, 24], dtype=torch.int32)  # lengths 4, 4, 2, 4, 6, 0, 4


def in_windows(query, key, value):
    """Softmax attention, every window by itself."""
    parts = []
    for start, end in pairwise(WINDOWS.tolist()):
        scores = query[:, :, start:end] @ key[:, :, start:end].transpose(-1, -2) * SCALE
        parts.append(scores.softmax(-1) @ value[:, :, start:end])
    return torch.cat(parts, 2).transpose(1, 2)


def tower_kernel(q, k, v, cu_seqlens_q, cu_seqlens_k, max_seqlen_q, max_seqlen_k, softmax_scale, causal, **_):
    """What flash_attn_varlen_func documents, without the triangle."""
    assert not causal and cu_seqlens_q is cu_seqlens_k and max_seqlen_q == max_seqlen_k == 6
    return in_windows(*(part.transpose(0, 1)[None] for part in (q, k, v)))[0]


@pytest.mark.parametrize("kernel", [None, tower_kernel], ids=["sdpa", "flash"])
def test_tower_attention_stays_in_its_windows(kernel, monkeypatch):
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, 2, 24, 8, requires_grad=True) for _ in range(3))
    calls, sdpa = [], torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        tower_attention.F, "scaled_dot_product_attention", lambda *a, **k: calls.append(1) or sdpa(*a, **k)
    )
    offsets, upstream = WINDOWS.clone(), torch.randn(1, 24, 2, 8)
    for _ in range(2):  # two layers
        found, _ = tower_attention.tower_attention(
            None, query, key, value, None, scaling=SCALE, cu_seq_lens_q=offsets, max_length_q=None, kernel=kernel
        )
        monkeypatch.setattr(tower_attention, "plan_tower", lambda *_: pytest.fail("planned again for the second layer"))
    assert len(calls) == (6 if kernel is None else 0), "one call for each of three lengths, in each layer"
    expected = in_windows(query, key, value)
    assert torch.allclose(found, expected, atol=1e-6)
    ours, theirs = (torch.autograd.grad((o * upstream).sum(), (query, key, value)) for o in (found, expected))
    assert all(torch.allclose(mine, other, atol=1e-6) for mine, other in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("wanted", ["segments", "flash", "flex"])
def test_transformers_loads_a_model_with_it(model_dir, monkeypatch, wanted):
    # names with "flash" in them make it look for a kernel; only a machine with a GPU would have noticed
    from transformers import AutoModelForImageTextToText

    monkeypatch.setattr(attention, "find_spec", lambda name: object())
    name = attention.choose(wanted, "cuda", torch.bfloat16).name
    model = AutoModelForImageTextToText.from_pretrained(
        model_dir, attn_implementation={"text_config": name, "vision_config": "sdpa"}
    )
    assert model.model.language_model.config._attn_implementation == name


def test_choice_of_backend():
    assert attention.choose("auto", "cpu", torch.float32).name == "specs_segments"
    assert attention.choose("flex", "cuda", torch.bfloat16).name == "specs_flex"
    with pytest.raises(UserError, match="needs a CUDA device"):
        attention.choose("flash", "cpu", torch.bfloat16)
    with pytest.raises(UserError, match="use auto, segments, flash or flex"):
        attention.choose("eager", "cpu", torch.float32)
    with pytest.raises(UserError, match="flex needs a CUDA device"):
        attention.choose("flex", "cpu", torch.float32)
