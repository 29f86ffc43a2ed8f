"""Splits are stratified, repeatable, and keep groups together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.errors import ImageSourceError, OptionError
from featx.evaluation.splits import split


@settings(deadline=None, max_examples=60)
@given(
    counts=st.lists(st.integers(2, 12), min_size=2, max_size=6),
    seed=st.integers(0, 100),
    copies=st.integers(1, 3),
)
def test_every_image_is_predicted_once_a_repeat_and_groups_stay_together(counts, seed, copies):
    y = np.repeat([f"class {i}" for i in range(len(counts))], counts)
    groups = np.arange(len(y)) // copies
    try:
        made = split(y, groups, repeats=2, seed=seed)
    except ImageSourceError:
        assert all(len(np.unique(groups[y == name])) == 1 for name in y)
        return
    for repeat in range(2):
        parts = made.parts[repeat * made.folds : (repeat + 1) * made.folds]
        tested = np.concatenate([test for _, test in parts])
        assert sorted(tested.tolist()) == list(range(len(y)))
    for train, test in made.parts:
        assert len(train) + len(test) == len(y)
        assert not set(groups[train]) & set(groups[test])


def test_the_same_seed_gives_the_same_splits():
    y = np.array(["a", "b"] * 10)
    first, second = (split(y, seed=3) for _ in range(2))
    assert all(
        one[1].tolist() == two[1].tolist()
        for one, two in zip(first.parts, second.parts, strict=True)
    )


def test_fewer_folds_than_asked_are_told():
    made = split(np.array(["a", "b"] * 3))
    assert made.folds == 3
    assert made.notes == ("3 folds instead of 5: no class has more than 3 different images",)
    assert split(np.array(["a", "b"] * 5)).notes == ()


@pytest.mark.parametrize("folds", [1, 0, 2.0, True + 0.5])
def test_folds_that_cannot_be_are_refused(folds):
    with pytest.raises(OptionError, match="expected a whole number from 2 up"):
        split(np.array(["a", "b"] * 3), folds=folds)
