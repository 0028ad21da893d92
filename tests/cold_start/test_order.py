"""Data order and the plan of who computes what."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from specs_verl.cold_start.order import Unit, epoch_order, split_units, steps_per_epoch, units_of


def pair(prompt: str, prompt_length: int = 10, chosen: int = 5, rejected: int = 4):
    return SimpleNamespace(
        prompt_key=prompt.encode(),
        prompt=range(prompt_length),
        responses=(range(chosen), range(rejected)),
        shared_tokens=prompt_length + chosen + rejected,
    )


PAIRS = [pair(name) for name in "abacbda"]


def test_epochs_differ_and_are_repeatable():
    orders = [epoch_order([pair(str(n)) for n in range(50)], seed=1, epoch=epoch) for epoch in range(3)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert orders[0] != orders[1] != orders[2]
    assert orders[1] == epoch_order([pair(str(n)) for n in range(50)], seed=1, epoch=1)


def test_pairs_of_a_prompt_stay_together():
    order = epoch_order(PAIRS, seed=3, epoch=0)
    names = "".join(PAIRS[position].prompt_key.decode() for position in order)
    assert "aaa" in names and "bb" in names


def test_steps_per_epoch():
    assert steps_per_epoch(10, 4, drop_last=False) == 3
    assert steps_per_epoch(10, 4, drop_last=True) == 2


def test_units_share_or_repeat_the_prompt():
    shared = units_of([0, 1, 2], PAIRS, shared_prefix=True)
    assert shared == [Unit((0, 2), 10 + 2 * 9), Unit((1,), 19)]
    plain = units_of([0, 1, 2], PAIRS, shared_prefix=False)
    assert plain == [Unit((0,), 29), Unit((2,), 29), Unit((1,), 29)]


@given(
    st.lists(st.integers(1, 500), min_size=1, max_size=40),
    st.integers(1, 4),
    st.integers(100, 1000),
)
def test_every_unit_is_done_once_within_the_budget(tokens, processes, budget):
    units = [Unit((number,), length) for number, length in enumerate(tokens)]
    plan = split_units(units, processes, budget)
    assert len(plan) == processes
    assert len({len(micro_batches) for micro_batches in plan}) == 1, "processes would get out of step"
    bins = [content for micro_batches in plan for content in micro_batches]
    assert sorted(unit.pairs[0] for content in bins for unit in content) == list(range(len(units)))
    assert all(len(content) <= 1 or sum(unit.tokens for unit in content) <= budget for content in bins)
