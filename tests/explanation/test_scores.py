"""Scores of every kind of classifier rise where a row looks more like the class."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from featx.explanation.scores import scores_of

NAMES = ("ant", "bee", "cat")


def drawn(n_classes=3, each=12, width=6):
    random = np.random.default_rng(0)
    centres = 6 * np.eye(width)[:n_classes]
    X = np.repeat(centres, each, axis=0) + random.normal(size=(n_classes * each, width))
    return X, np.repeat(NAMES[:n_classes], each)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "classifier",
    [
        LogisticRegression(),
        RidgeClassifier(),
        KNeighborsClassifier(3),
        make_pipeline(StandardScaler(), KNeighborsClassifier(weights="distance")),
    ],
    ids=str,
)
def test_they_rise_towards_the_class(classifier, n_classes):
    X, y = drawn(n_classes)
    fitted = classifier.fit(X, y)
    for column, name in enumerate(NAMES[:n_classes]):
        own = X[y == name].mean(axis=0)
        steps = np.linspace(0, 1, 9)[:, None]
        path = steps * own + (1 - steps) * X[y != name].mean(axis=0)
        assert (np.diff(scores_of(fitted, NAMES[:n_classes], column, path)) > 0).all()


def test_neighbours_tell_classes_apart_that_have_no_probability():
    X, y = drawn()
    nearest = KNeighborsClassifier(3).fit(X, y)
    between = np.stack([X[:12].mean(axis=0), 0.8 * X[:12].mean(axis=0) + 0.2 * X[24:].mean(axis=0)])
    assert not nearest.predict_proba(between)[:, 2].any()
    low, higher = scores_of(nearest, NAMES, 2, between)
    assert low < higher < 0


def test_probabilities_of_zero_and_one_have_scores():
    X, y = drawn()
    scores = scores_of(DecisionTreeClassifier().fit(X, y), NAMES, 1, X)
    assert np.isfinite(scores).all()
    assert (scores > 0).tolist() == (y == "bee").tolist()


def test_what_only_predicts_says_yes_or_no():
    X, y = drawn()

    class Told(DummyClassifier):
        predict_proba = property()  # it has none

        def predict(self, X):
            return np.where(X[:, 0] > 3, "ant", "cat")

    assert scores_of(Told().fit(X, y), NAMES, 0, X).tolist() == (X[:, 0] > 3).astype(float).tolist()
