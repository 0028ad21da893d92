"""All attention backends against one dense softmax, on the CPU; flash-attn's kernel is replaced by its definition."""

import pytest
import torch

from specs_verl.cold_start import attention
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


def test_choice_of_backend():
    assert attention.choose("auto", "cpu", torch.float32).name == "specs_segments"
    assert attention.choose("flex", "cuda", torch.bfloat16).name == "specs_flex"
    with pytest.raises(UserError, match="needs a CUDA device"):
        attention.choose("flash", "cpu", torch.bfloat16)
    with pytest.raises(UserError, match="use auto, segments, flash or flex"):
        attention.choose("eager", "cpu", torch.float32)
    with pytest.raises(UserError, match="flex needs a CUDA device"):
        attention.choose("flex", "cpu", torch.float32)
