"""Roots keep signs; discriminants are those of linear discriminant analysis, and more robust."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from featx.learning.transformers import Discriminants, SignedRoot


def clouds(each=12, width=20, classes=4, distance=1.0, seed=0):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(classes, width)) * distance
    mixing = random.normal(size=(width, width)) / np.sqrt(width)
    X = np.repeat(centres, each, axis=0) + random.normal(size=(classes * each, width)) @ mixing
    return X, np.repeat([f"class {i}" for i in range(classes)], each)


def distances(rows):
    return np.linalg.norm(rows[:, None] - rows[None], axis=2)


def test_roots_keep_their_signs_and_the_type_of_the_features():
    X = np.array([[4.0, -9.0, 0.0], [0.25, 1.0, -0.0]], np.float32)
    roots = SignedRoot().fit_transform(X)
    assert roots.tolist() == [[2.0, -3.0, 0.0], [0.5, 1.0, 0.0]]
    assert roots.dtype == np.float32
    assert SignedRoot().fit_transform(X.astype(int)).dtype == np.float64
    assert SignedRoot().fit(X).get_feature_names_out().tolist() == ["x0", "x1", "x2"]


@pytest.mark.parametrize("shrinkage", [0.1, 0.3, 0.9])
def test_classes_are_as_far_apart_as_the_shrunken_covariance_says(shrinkage):
    X, y = clouds()
    within = np.cov(np.concatenate([X[y == name] - X[y == name].mean(0) for name in set(y)]).T)
    within *= (len(X) - 1) / len(X)
    within = (1 - shrinkage) * within + shrinkage * np.trace(within) / 20 * np.eye(20)
    means = np.array([X[y == name].mean(0) for name in sorted(set(y))])
    whitened = means @ np.linalg.inv(np.linalg.cholesky(within)).T
    found = Discriminants(shrinkage).fit(X, y)
    assert found.transform(X).shape == (48, 3)
    assert distances(found.transform(means)) == pytest.approx(distances(whitened))


def test_directions_are_those_of_linear_discriminant_analysis():
    X, y = clouds(each=50)
    own = Discriminants(1e-9).fit_transform(X, y)
    theirs = LinearDiscriminantAnalysis(solver="eigen").fit(X, y).transform(X)[:, :3]
    assert distances(own) == pytest.approx(distances(theirs), rel=1e-4)


def test_wide_features_are_rotated_without_a_change_of_any_distance():
    X, y = clouds(each=3, width=12)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(312, 312)))[0]
    wide = np.hstack([X, np.zeros((12, 300))]) @ rotation
    found = Discriminants().fit(wide, y)
    assert found.scalings_.shape == (312, 3)
    assert distances(found.transform(wide)) == pytest.approx(
        distances(Discriminants().fit_transform(X, y))
    )


def test_discriminants_are_one_less_than_classes_or_fewer():
    X, y = clouds(classes=2)
    assert Discriminants().fit_transform(X, y).shape == (24, 1)
    line = np.arange(30.0)[:, None] * np.ones((1, 5))
    assert Discriminants().fit_transform(line, np.repeat(list("abc"), 10)).shape == (30, 1)
    assert Discriminants().fit(X, y).get_feature_names_out().tolist() == ["discriminants0"]


@pytest.mark.parametrize("shrinkage", [0, -0.1, 1.5, float("nan")])
def test_a_shrinkage_that_cannot_be_is_told(shrinkage):
    with pytest.raises(ValueError, match="expected more than 0, and up to 1"):
        Discriminants(shrinkage).fit(*clouds())


def test_both_can_be_cloned_and_complain_of_other_columns():
    X, y = clouds()
    for each in (SignedRoot(), Discriminants(0.5)):
        assert repr(clone(each)) == repr(each)
        with pytest.raises(ValueError, match="20 features"):
            each.fit(X, y).transform(X[:, :5])
        with pytest.raises(ValueError, match="NaN"):
            each.fit(np.where(X > 1, np.nan, X), y)
