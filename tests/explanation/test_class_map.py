"""The mean of a class map is the decision, for one network or several, on grids of any size."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from featx.explanation.class_map import class_maps, resized
from featx.explanation.linear import LinearHead
from featx.features.recipe import join
from featx.learning.transformers import SignedRoot


def drawn(sizes, n=30, seed=0):
    """Draw maps of networks for n pictures."""
    random = np.random.default_rng(seed)
    return [random.normal(size=(n, *size)).astype(np.float32) for size in sizes]


def fitted(maps):
    """Fit roots and a regression to the means of maps, joined as `embed` does."""
    vectors = [each.mean(axis=(1, 2)) for each in maps]
    X = vectors[0] if len(vectors) == 1 else join(vectors)
    return X, make_pipeline(SignedRoot(), LogisticRegression()).fit(X, np.arange(len(X)) % 3)


@pytest.mark.parametrize(
    "sizes", [[(7, 7, 12)], [(7, 7, 12), (10, 10, 5)], [(4, 4, 3), (1, 1, 6), (3, 5, 4)]]
)
def test_its_mean_is_the_decision(sizes):
    maps = drawn(sizes)
    X, pipeline = fitted(maps)
    head, decisions = LinearHead.of(pipeline), pipeline.decision_function(X)
    for row in range(5):
        found = class_maps(head, [each[row] for each in maps], [0, 1, 2])
        for column, each in enumerate(found):
            assert [part.shape for part in each.parts] == [size[:2] for size in sizes]
            assert each.heat.shape == (max(s[0] for s in sizes), max(s[1] for s in sizes))
            for value in (each.heat.mean(), each.decision):
                np.testing.assert_allclose(value, decisions[row, column], atol=1e-4)


def test_it_is_the_same_sum_in_every_place():
    (maps,) = drawn([(3, 3, 4)])
    X = maps.mean(axis=(1, 2))
    regression = LogisticRegression().fit(X, np.arange(len(X)) % 3)
    (found,) = class_maps(LinearHead.of(regression), [maps[0]], [2])
    places = regression.decision_function(maps[0].reshape(9, 4))[:, 2]
    np.testing.assert_allclose(found.heat.ravel(), places, atol=1e-5)
    assert found.constant == pytest.approx(regression.intercept_[2])


@pytest.mark.parametrize(
    ("size", "larger"), [((7, 7), (10, 10)), ((5, 3), (5, 9)), ((1, 1), (4, 7))]
)
def test_resizing_by_area_keeps_the_mean(size, larger):
    values = np.random.default_rng(0).normal(size=size)
    again = resized(values, *larger)
    assert again.shape == larger
    assert again.mean() == pytest.approx(values.mean())
    assert again.max() <= values.max() + 1e-12
    np.testing.assert_allclose(resized(values, *size), values)
