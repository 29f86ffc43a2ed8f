"""Each name builds a plain scikit-learn pipeline that learns from few images and wide features."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from featx.learning.classifiers import CLASSIFIERS, DEFAULT_CLASSIFIER, PENALTIES
from featx.learning.learner import make_classifier

PIPELINES = [name for name, spec in CLASSIFIERS.items() if not spec.pixels]
every_name = pytest.mark.parametrize("name", PIPELINES)


def blobs(each=6, width=40, classes=3, distance=4.0, seed=0):
    """Draw points around a centre for each class, positive as features after a rectifier are."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(classes, width)) * distance
    labels = np.repeat([f"class {i}" for i in range(classes)], each)
    noise = random.normal(size=(classes * each, width))
    X = centres.repeat(each, axis=0) + noise
    return np.maximum(X, 0).astype(np.float32), labels


def fit(pipeline, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # of columns that do not vary within any class; probabilities leave them unscaled then
        warnings.filterwarnings("ignore", message="self.within_class_std_dev_ has at least 1 zero")
        return pipeline.fit(X, y)


def test_the_promised_names_are_there_and_the_default_is_among_them():
    promised = {"logistic", "mlp", "pca-mlp", "svm", "svd-svm", "knn", "centroid", "cnn"}
    assert promised <= set(CLASSIFIERS)
    assert [name for name, spec in CLASSIFIERS.items() if spec.name != name] == []
    assert [name for name in CLASSIFIERS if name not in PIPELINES] == ["cnn"]
    assert DEFAULT_CLASSIFIER == "logistic"
    assert type(make_classifier().named_steps["logistic"]) is GridSearchCV


@every_name
def test_a_name_builds_a_plain_pipeline_of_scikit_learn(name):
    pipeline = make_classifier(name)
    assert type(pipeline) is Pipeline
    strange = [
        type(step).__module__
        for _, step in pipeline.steps
        if not type(step).__module__.startswith("sklearn.")
    ]
    assert strange == []
    assert CLASSIFIERS[name].description


@every_name
def test_a_pipeline_can_be_printed_cloned_and_changed(name):
    pipeline = make_classifier(name)
    last, step = pipeline.steps[-1]
    assert f"('{last}'" in repr(pipeline)
    assert type(step).__name__ in repr(pipeline)
    assert repr(clone(pipeline)) == repr(pipeline)
    parameter = next(key for key, value in pipeline.get_params().items() if value is None)
    changed = clone(pipeline).set_params(**{parameter: "changed"})
    assert changed.get_params()[parameter] == "changed"
    assert pipeline.get_params()[parameter] is None


@every_name
@pytest.mark.parametrize(("each", "width"), [(6, 40), (6, 3000), (2, 40), (2, 3000)])
def test_easy_classes_are_told_apart_with_few_images_and_wide_features(name, each, width):
    X, y = blobs(each, width)
    X_new, y_new = blobs(10, width, seed=1)
    pipeline = fit(make_classifier(name, each, width), X, y)
    accuracy = np.mean(pipeline.predict(X_new) == y_new)
    assert accuracy >= 0.9, f"{name} scores {accuracy:.2f} with {each} images of {width} features"
    assert list(pipeline.classes_) == ["class 0", "class 1", "class 2"]


@every_name
def test_one_image_of_a_class_is_enough_to_fit(name):
    X, y = blobs(each=4, width=1000)
    X, y = X[:-3], y[:-3]  # of class 2 one is left
    X_new, y_new = blobs(10, width=1000, seed=1)
    pipeline = fit(make_classifier(name, smallest=1), X, y)
    accuracy = np.mean(pipeline.predict(X_new) == y_new)
    assert accuracy >= 0.9, f"{name} scores {accuracy:.2f}"


@every_name
def test_probabilities_are_of_each_class_and_add_up(name):
    X, y = blobs()
    probabilities = fit(make_classifier(name, columns=40), X, y).predict_proba(blobs(seed=1)[0])
    assert probabilities.shape == (len(X), 3)
    assert probabilities.min() >= 0
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(len(X)), abs=1e-6)


@every_name
def test_two_fits_on_the_same_images_predict_the_same_numbers(name):
    X, y = blobs(distance=0.5)
    first, second = (
        fit(make_classifier(name, columns=40), X, y).predict_proba(X) for _ in range(2)
    )
    assert np.array_equal(first, second)


@every_name
@pytest.mark.parametrize("smallest", [1, 2, 3, 5, 500])
def test_inner_folds_are_no_more_than_the_smallest_class_has_images(name, smallest):
    folds = [
        value
        for key, value in make_classifier(name, smallest).get_params().items()
        if key.endswith("__cv")
    ]
    assert folds == (
        [min(5, smallest)] if name in ("logistic", "svm", "svd-svm") and smallest > 1 else []
    )


@pytest.mark.parametrize(("noise", "strong"), [(20.0, True), (0.1, False)])
def test_logistic_picks_its_penalty_by_held_out_accuracy(noise, strong):
    random = np.random.default_rng(0)
    y = np.tile(["a", "b"], 20)
    signal = np.where(y == "a", 1.0, -1.0)[:, None]
    X = np.hstack([signal, random.normal(size=(40, 30)) * noise]).astype(np.float32)
    search = fit(make_classifier("logistic"), X, y).named_steps["logistic"]
    scores = dict(zip(PENALTIES, search.cv_results_["mean_test_score"], strict=True))
    assert set(scores) == set(PENALTIES)
    best = max(scores.values())
    tied = [C for C in PENALTIES if scores[C] == best]
    assert search.best_params_["C"] == (0.01 if 0.01 in tied else tied[0]), scores


def test_the_rotation_of_logistic_changes_no_prediction():
    X, y = blobs(each=8, width=300, distance=0.3)
    X_new, _ = blobs(each=20, width=300, distance=0.3, seed=1)
    pipeline = make_classifier("logistic")
    exact = {"tol": 1e-12, "max_iter": 10_000}
    X, X_new = X.astype(float), X_new.astype(float)
    rotated = fit(pipeline.set_params(logistic=LogisticRegression(C=0.01, **exact)), X, y)
    plain = fit(make_pipeline(StandardScaler(), LogisticRegression(C=0.01, **exact)), X, y)
    difference = np.abs(rotated.predict_proba(X_new) - plain.predict_proba(X_new)).max()
    assert rotated.named_steps["rotate"].n_components_ == 24
    assert difference < 1e-6, f"probabilities differ by {difference}"
    assert np.array_equal(rotated.predict(X_new), plain.predict(X_new))


def test_the_loose_tolerance_of_logistic_costs_no_prediction():
    X, y = blobs(each=8, width=300, distance=0.3)
    X_new, _ = blobs(each=100, width=300, distance=0.3, seed=1)
    pipeline = fit(make_classifier("logistic"), X, y)
    exact = LogisticRegression(
        C=pipeline.named_steps["logistic"].best_params_["C"], tol=1e-10, max_iter=10_000
    )
    predicted = fit(make_classifier("logistic").set_params(logistic=exact), X, y).predict(X_new)
    agreement = np.mean(pipeline.predict(X_new) == predicted)
    assert agreement >= 0.99, f"{agreement:.3f} of the predictions agree"
