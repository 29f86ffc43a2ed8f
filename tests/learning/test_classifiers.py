"""Each name builds a plain scikit-learn pipeline that learns from few images and wide features."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from featx.learning.classifiers import CLASSIFIERS, DEFAULT_CLASSIFIER
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
    assert list(make_classifier().named_steps) == ["root", "discriminants", "logistic"]


@every_name
def test_a_name_builds_a_plain_pipeline_of_scikit_learn(name):
    pipeline = make_classifier(name)
    assert type(pipeline) is Pipeline
    own = [
        type(step).__name__
        for _, step in pipeline.steps
        if not type(step).__module__.startswith("sklearn.")
    ]
    assert own == (["SignedRoot", "Discriminants"] if name == "logistic" else [])
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
    assert folds == ([min(5, smallest)] if name in ("svm", "svd-svm") and smallest > 1 else [])


# ---------------------------------------------------------------- the default


def test_the_default_tells_classes_apart_whose_large_features_are_noise():
    random = np.random.default_rng(0)
    y = np.repeat([f"class {i}" for i in range(5)], 40)
    X = np.maximum(blobs(40, 60, classes=5, distance=0.6)[0], 0)
    X[:, :4] += random.exponential(30, (200, 4))
    train = np.tile(np.arange(40) < 6, 5)
    scores = {
        name: np.mean(
            fit(make_classifier(name), X[train], y[train]).predict(X[~train]) == y[~train]
        )
        for name in ("logistic", "knn", "centroid")
    }
    assert scores["logistic"] > 0.6 > max(scores["knn"], scores["centroid"]), scores


@pytest.mark.parametrize("noise", [0.0, 1e-6, 1.0])
def test_the_default_learns_from_single_pictures_from_copies_and_from_constant_columns(noise):
    X, y = blobs(each=1, width=200)
    X_new, y_new = blobs(each=10, width=200, seed=1)
    random = np.random.default_rng(0)
    copies = np.tile(X, (4, 1)) + noise * random.random((12, 200))
    copies[:, :50], X_new[:, :50] = 3.0, 3.0
    for rows, labels in [(X, y), (copies, np.tile(y, 4))]:
        pipeline = fit(make_classifier("logistic", smallest=1), rows, labels)
        assert np.mean(pipeline.predict(X_new) == y_new) >= 0.9
        assert np.isfinite(pipeline.predict_proba(X_new)).all()


def test_the_default_takes_features_of_either_sign_and_a_single_column():
    X, y = blobs(distance=2.0)
    for rows in (X - 1, -X, np.where(y == "class 0", -4.0, 4.0)[:, None].astype(np.float32)):
        labels = np.where(y == "class 0", "a", "b")
        assert np.mean(fit(make_classifier(), rows, labels).predict(rows) == labels) == 1


def test_pictures_that_all_are_alike_are_of_any_class():
    y = np.repeat(["a", "b"], 4)
    probabilities = fit(make_classifier(), np.ones((8, 30)), y).predict_proba(np.ones((1, 30)))
    assert probabilities == pytest.approx(np.full((1, 2), 0.5))
