"""The steps of Muon against torch's, which computes in bfloat16, and against a singular value decomposition."""

import pytest
import torch

from data_prep.nano.muon import Muon, orthogonalised


@pytest.mark.parametrize("shape", [(6, 10), (10, 6), (8, 8)])
def test_singular_values_come_near_one_and_directions_stay(shape):
    stack = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    for before, after in zip(stack, orthogonalised(stack), strict=True):
        u, _, v = torch.linalg.svd(before, full_matrices=False)
        core = u.T @ after @ v.T
        # In the directions of the matrix itself the result is diagonal, with values around one.
        assert (core - core.diag().diag()).abs().max() < 1e-3
        assert core.diag().min() > 0.6 and core.diag().max() < 1.3


def test_steps_agree_with_torch_to_the_precision_of_bfloat16():
    generator = torch.Generator().manual_seed(1)
    starts = [torch.randn(shape, generator=generator) for shape in ((6, 10), (10, 6), (6, 10))]
    ours = [torch.nn.Parameter(start.clone()) for start in starts]
    theirs = [torch.nn.Parameter(start.clone()) for start in starts]
    mine = Muon(ours, lr=0.1, weight_decay=0.3)
    other = torch.optim.Muon(theirs, lr=0.1, weight_decay=0.3, adjust_lr_fn="match_rms_adamw")
    for _ in range(4):
        for one, two in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            two.grad = one.grad.clone()
        mine.step()
        other.step()
    for start, one, two in zip(starts, ours, theirs, strict=True):
        # Four steps of 0.1 * 0.2 * sqrt(10) = 0.063 per entry's root mean square, rounded to 8 bits.
        assert (one - start).abs().mean() > 0.02
        assert torch.allclose(one, two, atol=0.01)


def test_vectors_are_refused():
    with pytest.raises(ValueError, match="matrices"):
        Muon([torch.nn.Parameter(torch.zeros(3))], lr=0.1)
