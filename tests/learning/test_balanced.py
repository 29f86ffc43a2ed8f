"""Balanced classifiers find pictures of small classes as well as those of large ones."""

from itertools import permutations

import numpy as np
import pytest
from fakes import as_features
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

import featx
from featx.errors import OptionError
from featx.learning.balanced import BalancedLogisticRegression
from featx.learning.classifiers import CLASSIFIERS
from featx.learning.learner import Learner, make_classifier

ABLE = [name for name, spec in CLASSIFIERS.items() if spec.balance]
OTHERS = [name for name in CLASSIFIERS if name not in ABLE]


def drawn(sizes, seed=0, width=300, distance=0.3):
    """Draw features whose directions vary less and less, as those of networks do."""
    random, spread = np.random.default_rng(seed), (1 + np.arange(width)) ** -0.5
    names = np.array(list("abcdefgh"[: len(sizes)]))
    centres = np.random.default_rng(7).normal(size=(len(sizes), width)) * distance
    X = np.repeat(centres, sizes, axis=0) + random.normal(size=(sum(sizes), width))
    return as_features((X * spread).astype(np.float32), np.repeat(names, sizes).tolist())


def recalls(classifier, class_weight, sizes) -> np.ndarray:
    """Return the recall of each class, a mean over several draws."""
    found = []
    for seed in range(6):
        features, new = drawn(sizes, seed), drawn([60] * len(sizes), 100 + seed)
        learner = Learner.of(classifier, class_weight)
        fitted = learner.fit(learner.build_for(features.y, 300), features.X, features.y)
        predicted = fitted.predict(new.X)
        found.append([np.mean(predicted[new.y == name] == name) for name in new.classes])
    return np.mean(found, axis=0)


@pytest.mark.parametrize("sizes", [[20, 4], [20, 20, 4, 4]], ids=str)
def test_small_classes_are_found_nearly_as_well_as_large_ones(sizes):
    plain, balanced = (recalls("logistic", each, sizes) for each in (None, "balanced"))
    assert plain[0] - plain[-1] > 0.7, "small classes would have been found without weights"
    assert balanced[0] - balanced[-1] < 0.2, balanced
    assert balanced.mean() > plain.mean() + 0.2, (plain, balanced)


@pytest.mark.keras
def test_of_twenty_and_four_photographs_both_are_recognised_alike(shared):
    """Every pair of ten classes, cross-validated: within ten points in the mean."""
    features = featx.embed(shared / "data" / "cifar10" / "train", progress=False)
    random, found = np.random.default_rng(5), []
    for large, small in permutations(features.classes, 2):
        few = random.permutation(np.flatnonzero(features.y == small))[:4]
        rows = [*np.flatnonzero(features.y == large), *few]
        pair = as_features(features.X[rows], features.y[rows])
        result = featx.cross_validate(pair, class_weight="balanced", repeats=1, n_jobs=1)
        recall = result.by_class.recall
        found.append((recall[large], recall[small]))
    means = np.mean(found, axis=0)
    assert abs(means[0] - means[1]) < 0.1, means


def test_a_class_of_two_pictures_is_found_where_it_never_was():
    plain, balanced = (recalls("logistic", each, [20, 12, 4, 2]) for each in (None, "balanced"))
    assert plain[-1] < 0.1
    assert balanced[-1] > 0.5, balanced
    assert balanced.mean() > plain.mean() + 0.2, (plain, balanced)


@pytest.mark.parametrize("name", ["svm", "svd-svm"])
def test_the_smaller_class_gains_with_support_vector_machines(name):
    plain, balanced = (recalls(name, each, [20, 4]) for each in (None, "balanced"))
    assert balanced[1] > plain[1] + 0.05, (plain, balanced)


def test_classes_of_one_size_are_as_without_weights(cloud):
    features, new = cloud(8), cloud(8, seed=1)
    plain, balanced = (
        make_classifier(class_weight=each).fit(features.X, features.y).predict_proba(new.X)
        for each in (None, "balanced")
    )
    assert balanced == pytest.approx(plain, abs=1e-3)


def test_views_are_no_pictures_of_their_own(cloud):
    features = cloud([12, 3], ("ant", "bee"))
    once = Learner.of("logistic", "balanced")
    plain = once.fit(once.build_for(features.y, 30), features.X, features.y)
    views = [features.X, features.X]
    twice = once.fit(once.build_for(features.y, 30, views=2), features.X, features.y, views)
    bonus = 8 / np.sqrt(3 + 2) - 8 / np.sqrt(12 + 2)
    for made, copies in ((plain, 1), (twice, 3)):
        rows, labels = np.tile(features.X, (copies, 1)), np.tile(features.y, copies)
        regression = LogisticRegression(max_iter=1000, class_weight="balanced")
        without = regression.fit(made[:-1].transform(rows), labels)
        assert made[-1].intercept_ - without.intercept_ == pytest.approx(bonus, abs=1e-6)


def test_a_single_picture_of_a_class_is_enough(cloud):
    features = cloud([6, 6, 1], distance=3.0)
    for name in ABLE:
        learner = Learner.of(name, "balanced")
        fitted = learner.fit(learner.build_for(features.y, 30), features.X, features.y)
        assert (fitted.predict(features.X) == features.y).all(), name


@pytest.mark.parametrize("name", ABLE)
@pytest.mark.parametrize("sizes", [[9, 9, 3], [9, 2]], ids=str)
def test_a_balanced_model_is_saved_and_loaded(cloud, name, sizes, tmp_path):
    features = cloud(sizes, ("ant", "bee", "cat")[: len(sizes)])
    model = featx.train(features, name, class_weight="balanced")
    assert model.training.classifier == f"{name} balanced"
    model.save(tmp_path / "model.featx")
    again = featx.load(tmp_path / "model.featx")
    assert np.array_equal(again.predict(features), model.predict(features))


def test_every_judgement_takes_the_weights():
    features = drawn([20, 4])
    options = {"repeats": 1, "progress": False, "n_jobs": 1}
    plain, balanced = (
        featx.cross_validate(features, class_weight=each, **options) for each in (None, "balanced")
    )
    few = features.y == "b"
    assert np.mean(balanced.y_pred[few] == "b") > np.mean(plain.y_pred[few] == "b")
    compared = featx.compare(features, classifiers=["logistic", "svm"], class_weight="balanced")
    names = {each.classifier for each in compared.candidates}
    assert names == {"logistic balanced", "svm balanced"}
    assert featx.learning_curve(features, class_weight="balanced", **options).estimates


@pytest.mark.parametrize("name", OTHERS)
def test_a_classifier_that_takes_no_weights_says_so(cloud, name):
    with pytest.raises(OptionError, match=f"'{name}' takes no class_weight: expected one of log"):
        featx.train(cloud(), name, class_weight="balanced")


def test_an_estimator_of_ones_own_and_other_weights_are_told(cloud):
    with pytest.raises(OptionError, match="set that of the SVC of your own itself"):
        featx.cross_validate(cloud(), SVC(), class_weight="balanced")
    with pytest.raises(OptionError, match="unknown class_weight 'fair': expected one of balanced"):
        featx.train(cloud(), class_weight="fair")


def test_the_regression_can_be_printed_cloned_and_changed():
    made = make_classifier(class_weight="balanced")
    assert repr(made[-1]) == "BalancedLogisticRegression()"
    assert made.set_params(logistic__C=0.5)[-1].get_params()["C"] == 0.5
    assert isinstance(made[-1], BalancedLogisticRegression)
