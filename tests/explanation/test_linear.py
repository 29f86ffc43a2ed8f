"""The weights of a linear head give the decisions of its pipeline, for every picture."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier, RidgeClassifierCV
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, Normalizer, PolynomialFeatures, StandardScaler
from sklearn.svm import SVC, LinearSVC, NuSVC

from featx.explanation.linear import LinearHead
from featx.learning.classifiers import CLASSIFIERS
from featx.learning.learner import Learner
from featx.learning.transformers import Discriminants, SignedRoot

WIDTH = 24
# Pipelines whose decisions are those of `decision_function`.
DECIDING = {
    "scaled regression": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "rotated ridge": lambda: make_pipeline(PCA(12, whiten=True), RidgeClassifier()),
    "ridge alone": RidgeClassifierCV,
    "chosen columns": lambda: make_pipeline(
        VarianceThreshold(), SelectKBest(k=9), "passthrough", LinearSVC()
    ),
    "without a mean": lambda: make_pipeline(
        MaxAbsScaler(), StandardScaler(with_mean=False), TruncatedSVD(8), LinearSVC()
    ),
    "discriminants": lambda: make_pipeline(StandardScaler(), LinearDiscriminantAnalysis()),
    "discriminants first": lambda: make_pipeline(
        LinearDiscriminantAnalysis(n_components=1), LogisticRegression(fit_intercept=False)
    ),
    "lengths and roots": lambda: make_pipeline(
        Normalizer("l1"), SignedRoot(), Discriminants(), LogisticRegression()
    ),
    "roots behind a rotation": lambda: make_pipeline(PCA(10), SignedRoot(), RidgeClassifier()),
    "a pipeline in a pipeline": lambda: make_pipeline(
        make_pipeline(StandardScaler(), Normalizer("max")), make_pipeline(LogisticRegression())
    ),
    "a search": lambda: GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1, 1]}
    ),
}


def drawn(n_classes, each=20, seed=0):
    """Draw rows of classes that overlap."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(n_classes, WIDTH))
    y = np.repeat([f"class {number}" for number in range(n_classes)], each)
    X = np.repeat(centres, each, axis=0) + random.normal(size=(n_classes * each, WIDTH))
    return X.astype(np.float32), y


def learned(name, X, y, class_weight=None):
    """Fit a classifier by name."""
    learner = Learner.of(name, class_weight)
    return learner.fit(learner.build(20, WIDTH, 3), X, y)


def by_weights(head, X):
    """Decide about each row by the weights that go for it."""
    rows = []
    for row in X:
        weights = head.weights(row)
        rows.append(row @ weights.factors + weights.constants)
    return np.stack(rows)


def both(decisions):
    """Give the first of two classes a column, too."""
    return decisions if decisions.ndim == 2 else np.stack([-decisions, decisions], axis=1)


@pytest.mark.parametrize("n_classes", [2, 5])
@pytest.mark.parametrize("name", DECIDING)
def test_weights_give_the_decision_function(name, n_classes):
    X, y = drawn(n_classes)
    pipeline = DECIDING[name]().fit(X, y)
    head = LinearHead.of(pipeline)
    expected = both(pipeline.decision_function(X))
    np.testing.assert_allclose(by_weights(head, X), expected, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_allclose(head.decisions(X[3]), by_weights(head, X[3:4])[0], atol=1e-9)


@pytest.mark.parametrize("balanced", [None, "balanced"])
def test_weights_give_the_decision_function_of_the_default(balanced):
    X, y = drawn(4)
    pipeline = learned("logistic", X, y, balanced)
    expected = pipeline.decision_function(X)
    np.testing.assert_allclose(by_weights(LinearHead.of(pipeline), X), expected, atol=1e-4)


def test_those_of_a_machine_are_the_mean_of_its_pairs():
    X, y = drawn(4)
    pipeline = make_pipeline(StandardScaler(), SVC(kernel="linear")).fit(X, y)
    pipeline[-1].decision_function_shape = "ovo"
    pairs = pipeline.decision_function(X)  # of 0 and 1, 0 and 2, 0 and 3, 1 and 2, ...
    own = by_weights(LinearHead.of(pipeline), X)
    np.testing.assert_allclose(own[:, 0], pairs[:, :3].mean(axis=1), atol=1e-5)
    third = (-pairs[:, 1] - pairs[:, 3] + pairs[:, 5]) / 3
    np.testing.assert_allclose(own[:, 2], third, atol=1e-5)


@pytest.mark.parametrize("machine", [SVC(kernel="linear"), NuSVC(kernel="linear")])
def test_those_of_a_machine_for_two_classes_are_its_own(machine):
    X, y = drawn(2)
    pipeline = make_pipeline(StandardScaler(), machine).fit(X, y)
    own = by_weights(LinearHead.of(pipeline), X)
    np.testing.assert_allclose(own[:, 1], pipeline.decision_function(X), atol=1e-5)


@pytest.mark.parametrize("n_classes", [2, 4])
def test_calibration_comes_behind_the_decision(n_classes):
    X, y = drawn(n_classes)
    pipeline = learned("svm", X, y)
    calibrated = pipeline[-1]
    assert isinstance(calibrated, CalibratedClassifierCV)
    bare = make_pipeline(*pipeline[:-1], calibrated.calibrated_classifiers_[0].estimator)
    own = by_weights(LinearHead.of(pipeline), X)
    np.testing.assert_array_equal(own, by_weights(LinearHead.of(bare), X))
    frozen = CalibratedClassifierCV(FrozenEstimator(bare)).fit(X, y)
    np.testing.assert_array_equal(own, by_weights(LinearHead.of(frozen), X))


@pytest.mark.parametrize("n_classes", [2, 4])
def test_that_of_the_nearest_mean_is_by_how_much_it_is_nearer_than_on_average(n_classes):
    X, y = drawn(n_classes)
    pipeline = CLASSIFIERS["centroid"].build(20, WIDTH, None).fit(X, y)
    rows = pipeline[:-1].transform(X)
    squares = ((rows[:, None] - pipeline[-1].centroids_) ** 2).sum(axis=2)
    expected = squares.mean(axis=1, keepdims=True) - squares
    own = by_weights(LinearHead.of(pipeline), X)
    np.testing.assert_allclose(own, expected, atol=1e-6)
    assert (pipeline.classes_[own.argmax(axis=1)] == pipeline.predict(X)).all()


@pytest.mark.parametrize(
    "pipeline",
    [
        GaussianNB(),
        KNeighborsClassifier(),
        SVC(kernel="rbf"),
        NearestCentroid(metric="manhattan"),
        CalibratedClassifierCV(LinearSVC(), cv=3),
        make_pipeline(PolynomialFeatures(), LogisticRegression(max_iter=10)),
        CLASSIFIERS["mlp"].build(20, WIDTH, None).set_params(mlp__max_iter=5),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:lbfgs failed", "ignore:Stochastic Optimizer")
def test_what_is_not_linear_has_none(pipeline):
    assert LinearHead.of(pipeline.fit(*drawn(3))) is None


def test_a_classifier_of_a_users_own_that_decides_otherwise_has_none():
    class Own(LogisticRegression):
        def decision_function(self, X):
            return super().decision_function(X) ** 3

    assert LinearHead.of(Own().fit(*drawn(3))) is None


def test_a_small_mean_of_large_numbers_does_not_blow_its_factor_up():
    X, y = drawn(3)
    head = LinearHead.of(make_pipeline(SignedRoot(), LogisticRegression()).fit(X, y))
    row, spread = np.full(WIDTH, 1e-8), np.ones(WIDTH)
    weights = head.weights(row, spread)
    assert np.abs(weights.factors).max() < 1e-3 < np.abs(head.weights(row).factors).max()
    np.testing.assert_allclose(row @ weights.factors + weights.constants, head.decisions(row))
