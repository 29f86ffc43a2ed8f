"""The head of an exported model says what the pipeline in scikit-learn says."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC

from featx.errors import OptionError
from featx.evaluation.intervals import accuracy_interval
from featx.export.classifiers import DECISIONS, PROBABILITIES
from featx.export.head import keras_head, label_note
from featx.export.transformers import TRANSFORMERS
from featx.learning.classifiers import CLASSIFIERS
from featx.learning.learner import Learner
from featx.models.rejection import Rejection

pytestmark = pytest.mark.keras

NAMED = [name for name, spec in CLASSIFIERS.items() if not spec.pixels]
BALANCED = [name for name, spec in CLASSIFIERS.items() if spec.balance]
WIDTH = 60
CLASSES = {
    "two": ["ant", "bee"],
    "several": ["ant", "bee", "cat", "dog", "emu"],
    "numbers": [3, 1, 20],
    "truth": [False, True],
}


def draw(classes, each=14, seed=0):
    """Features as a network gives them: not negative, of unlike scales, some hardly ever."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(7).gamma(0.5, 1, (len(classes), WIDTH))
    scales = 10.0 ** np.random.default_rng(8).uniform(-2, 1, WIDTH)
    X = np.repeat(centres, each, axis=0) + random.normal(0, 0.8, (each * len(classes), WIDTH))
    X = np.maximum(X, 0) * scales
    X[:, 0] = 0.25  # a column that says nothing
    return X.astype(np.float32), np.repeat(np.array(classes), each)


def differences(fitted, X, temperature=None):
    """Return how far head and pipeline are apart."""
    expected = fitted.predict_proba(X)
    if temperature is not None:
        share = accuracy_interval(0.9, 100)
        expected = Rejection(0.9, temperature, 0.5, share, share).calibrate(expected)
    import keras

    head = keras_head(fitted, X.shape[1], temperature)
    actual = keras.ops.convert_to_numpy(head(X))
    assert actual.dtype == np.float32
    assert actual.shape == expected.shape
    return np.abs(actual - expected).max()


def fitted_to(estimator, classes="several"):
    X, y = draw(CLASSES[classes])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clone(estimator).fit(X, y)


@pytest.fixture(scope="module")
def new():
    """Features of new pictures, and of some that were trained on: their distance is 0."""
    return np.concatenate([draw(CLASSES["several"], 20, seed=1)[0], draw(CLASSES["several"])[0]])


@pytest.mark.parametrize("classes", CLASSES)
@pytest.mark.parametrize("name", NAMED)
def test_every_named_classifier_says_the_same_in_keras(name, classes):
    X, y = draw(CLASSES[classes])
    fitted = Learner.of(name).build_for(y, WIDTH).fit(X, y)
    new = np.concatenate([draw(CLASSES[classes], 20, seed=1)[0], X])
    assert differences(fitted, new) < 1e-5
    assert differences(fitted, new, temperature=1.7) < 1e-5


@pytest.mark.parametrize("classes", ["two", "several"])
@pytest.mark.parametrize("name", BALANCED)
def test_balanced_classifiers_say_the_same_in_keras(name, classes, new):
    X, y = draw(CLASSES[classes])
    keep = np.concatenate([np.arange(7), np.arange(14, len(X))])
    fitted = Learner.of(name, "balanced").build_for(y[keep], WIDTH).fit(X[keep], y[keep])
    assert differences(fitted, new) < 1e-5


OWN = [
    LogisticRegression(max_iter=3000),
    LinearDiscriminantAnalysis(),
    make_pipeline(MinMaxScaler(), KNeighborsClassifier(3)),
    make_pipeline(MaxAbsScaler(), PCA(10, whiten=True), MLPClassifier((8,), activation="tanh")),
    make_pipeline(RobustScaler(), SelectKBest(k=20), Normalizer("l1"), LogisticRegression()),
    make_pipeline(Normalizer("max"), LinearDiscriminantAnalysis(), NearestCentroid()),
    make_pipeline(StandardScaler(), IncrementalPCA(5), CalibratedClassifierCV(LinearSVC(), cv=3)),
    make_pipeline(StandardScaler(with_mean=False), CalibratedClassifierCV(SVC(), cv=3)),
    make_pipeline(
        StandardScaler(), CalibratedClassifierCV(RidgeClassifier(), method="isotonic", cv=3)
    ),
    CalibratedClassifierCV(
        make_pipeline(StandardScaler(), SGDClassifier(random_state=0)),
        method="temperature",
        ensemble=False,
    ),
    GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {}, cv=2),
    Pipeline([("a", "passthrough"), ("b", make_pipeline(VarianceThreshold(), StandardScaler())),
              ("c", LogisticRegression())]),
]  # fmt: skip


@pytest.mark.parametrize("classes", ["two", "several"])
@pytest.mark.parametrize("estimator", OWN, ids=lambda each: type(each).__name__)
def test_pipelines_of_a_users_own_say_the_same_in_keras(estimator, classes, new):
    assert differences(fitted_to(estimator, classes), new) < 2e-5


def test_copies_of_training_pictures_vote_alone():
    import keras

    X, y = draw(CLASSES["several"])
    X, y = np.concatenate([X, X[:1]]), np.append(y, "emu")  # one picture in two classes
    fitted = Learner.of("knn").build_for(y, WIDTH).fit(X, y)
    shares = keras.ops.convert_to_numpy(keras_head(fitted, WIDTH)(X[:1]))
    np.testing.assert_allclose(shares, [[0.5, 0, 0, 0, 0.5]], atol=1e-6)


@pytest.mark.parametrize("name", ["knn", "svd-svm"])
def test_as_many_pictures_as_were_learned_from_are_no_confusion(name, new):
    X, y = draw(CLASSES["several"], each=3)
    fitted = Learner.of(name).build_for(y, WIDTH).fit(X, y)
    assert differences(fitted, new[: len(X)]) < 1e-5


@pytest.mark.parametrize(
    ("estimator", "said"),
    [
        (DummyClassifier(), "DummyClassifier cannot be exported.*LogisticRegression"),
        (RandomForestClassifier(5), "RandomForestClassifier cannot be exported"),
        (
            make_pipeline(QuantileTransformer(n_quantiles=10), LogisticRegression()),
            "QuantileTransformer cannot be exported.*a step before the classifier.*StandardScaler",
        ),
        (SVC(), "SVC gives no probabilities.*CalibratedClassifierCV"),
        (
            CalibratedClassifierCV(SVC(kernel="poly"), ensemble=False),
            "SVC with kernel 'poly'.*expected 'linear' or 'rbf'",
        ),
        (
            CalibratedClassifierCV(RandomForestClassifier(5), ensemble=False),
            "RandomForestClassifier cannot be exported: expected a calibrated classifier",
        ),
        (KNeighborsClassifier(metric="manhattan"), "the metric 'manhattan'"),
        (KNeighborsClassifier(weights=np.exp), "weights of your own"),
        (NearestCentroid(metric="manhattan"), "gives no probabilities"),
    ],
)
def test_other_steps_are_refused_by_name(estimator, said):
    with pytest.raises(OptionError, match=said) as caught:
        keras_head(fitted_to(estimator), WIDTH)
    assert "\n" not in str(caught.value)


def test_a_pipeline_that_is_not_fitted_or_damaged_is_refused_in_a_line():
    with pytest.raises(OptionError, match=r"not fitted, or damaged.*train it again"):
        keras_head(make_pipeline(StandardScaler(), LogisticRegression()), WIDTH)
    fitted = fitted_to(make_pipeline(StandardScaler(), LogisticRegression()))
    fitted[-1].coef_ = fitted[-1].coef_[:, 1:]
    with pytest.raises(OptionError, match=r"not fitted, or damaged.*train it again"):
        keras_head(fitted, WIDTH)


def test_it_is_said_where_labels_are_not_the_most_probable_class(new):
    X, y = draw(CLASSES["several"])
    for name in NAMED:
        fitted = Learner.of(name).build_for(y, WIDTH).fit(X, y)
        most = fitted.classes_[fitted.predict_proba(new).argmax(axis=1)]
        said = label_note(fitted)
        assert (said is None) == (name != "centroid")
        assert said or (fitted.predict(new) == most).all()


def test_the_guide_names_every_step_that_can_be_exported():
    guide = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
    steps = {*TRANSFORMERS, *PROBABILITIES, *DECISIONS}
    assert [each.__name__ for each in steps if f"`{each.__name__}`" not in guide] == []
