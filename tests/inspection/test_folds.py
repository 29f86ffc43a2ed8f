"""Folds keep copies together and classes alike, for thousands of pictures in a moment."""

from __future__ import annotations

import numpy as np
import pytest

from featx.inspection.folds import folds_of


@pytest.mark.parametrize("seed", range(3))
def test_copies_are_in_one_fold_and_classes_in_all(seed):
    random = np.random.default_rng(seed)
    y = random.integers(0, 5, 1000)
    groups = np.arange(1000)
    groups[500:600] = groups[:100]  # of any class
    folds = folds_of(y, groups, 10)
    assert (folds[500:600] == folds[:100]).all()
    counts = np.array([np.bincount(folds[y == name], minlength=10) for name in range(5)])
    assert counts.min() > 5
    assert np.ptp(np.bincount(folds)) < 40


def test_fewer_groups_than_folds_are_folds_of_their_own():
    assert sorted(folds_of(np.array([0, 1, 1]), np.arange(3), 10).tolist()) == [0, 1, 2]
