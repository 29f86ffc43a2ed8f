"""A part of every class is held out, and what belongs together is held out together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.learning.scratch.classifier import hold_out


@given(
    counts=st.lists(st.integers(1, 12), min_size=2, max_size=5),
    copies=st.integers(1, 3),
    share=st.sampled_from([0.1, 0.2, 0.5]),
    seed=st.integers(0, 100),
)
def test_whole_groups_of_each_class_are_held_out(counts, copies, share, seed):
    y = np.repeat(np.arange(len(counts)), np.multiply(counts, copies))
    groups = np.repeat(np.arange(sum(counts)), copies)
    held = hold_out(y, groups, share, np.random.default_rng(seed))
    assert held.tolist() == sorted(set(held.tolist()))
    assert not set(groups[held]) & set(np.delete(groups, held))
    drawn = [len(np.unique(groups[held][y[held] == label])) for label in range(len(counts))]
    assert drawn == [max(1, round(share * count)) if count > 2 else 0 for count in counts]


def test_nothing_is_held_out_of_no_share():
    y = np.repeat([0, 1], 6)
    assert hold_out(y, np.arange(12), 0.0, np.random.default_rng(0)).tolist() == []


@pytest.mark.parametrize("seed", range(3))
def test_the_same_generator_holds_out_the_same_rows(seed):
    y = np.repeat([0, 1], 6)
    one, two = (hold_out(y, np.arange(12), 0.2, np.random.default_rng(seed)) for _ in range(2))
    assert one.tolist() == two.tolist()
    others = [hold_out(y, np.arange(12), 0.2, np.random.default_rng(each)) for each in range(20)]
    assert len({tuple(each) for each in others}) > 5
