"""How good a classifier is, counted as scikit-learn counts it."""

import dataclasses
from collections import Counter

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix

from featx.errors import ImageSourceError, UnknownClassifierError
from featx.learning.evaluation import (
    CrossValidation,
    Evaluation,
    cross_validate,
    require_known,
    require_learnable,
)


def evaluation(seed=0, n=60, classes=("ant", "bee", "cat", "dog")) -> Evaluation:
    """Make up predictions: "dog" is never true and "ant" never predicted."""
    random = np.random.default_rng(seed)
    return Evaluation(
        paths=np.array([f"{i}.jpg" for i in range(n)], dtype=object),
        y_true=random.choice(classes[:-1], n),
        y_pred=random.choice(classes[1:], n),
        classes=tuple(classes),
        n_failed=2,
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_report_says_what_scikit_learn_says(seed):
    made = evaluation(seed)
    theirs = classification_report(
        made.y_true, made.y_pred, labels=list(made.classes), zero_division=0, output_dict=True
    )
    assert made.report.index.name == "class"
    assert list(made.report.columns) == ["precision", "recall", "f1", "support"]
    for name, row in made.report.iterrows():
        assert row.tolist() == pytest.approx(
            [theirs[name][key] for key in ("precision", "recall", "f1-score", "support")]
        ), name


def test_the_report_has_a_row_for_a_class_that_never_occurs_and_one_never_predicted():
    report = evaluation().report
    assert report.loc["dog", "support"] == 0
    assert report.loc["dog", "recall"] == 0
    assert report.loc["ant", "precision"] == 0
    assert report.loc["ant", "support"] > 0


def test_the_confusion_counts_true_classes_in_rows_and_predicted_ones_in_columns():
    made = evaluation()
    expected = confusion_matrix(made.y_true, made.y_pred, labels=list(made.classes))
    assert made.confusion.to_numpy().tolist() == expected.tolist()
    assert (made.confusion.index.name, made.confusion.columns.name) == ("true", "predicted")
    assert made.confusion.loc["bee", "cat"] == sum((made.y_true == "bee") & (made.y_pred == "cat"))
    assert made.confusion.to_numpy().sum() == 60


def test_the_accuracy_is_the_share_that_is_right():
    made = evaluation()
    right = int(sum(made.y_true == made.y_pred))
    assert made.accuracy == accuracy_score(made.y_true, made.y_pred) == right / 60
    assert repr(made) == f"Evaluation(accuracy {right / 60:.3f}, {right} of 60 right)"


class Recorder(ClassifierMixin, BaseEstimator):
    """Note what it is trained on and asked for, and answer with the first class."""

    def __init__(self, log=None):
        self.log = log

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        LOG.append((X[:, 0].tolist(), []))
        return self

    def predict(self, X):
        LOG[-1][1].extend(X[:, 0].tolist())
        return np.full(len(X), self.classes_[0])


LOG: list[tuple[list[float], list[float]]] = []


@pytest.mark.parametrize(("each", "folds"), [(10, 5), (3, 3), ([9, 2, 7], 2)])
def test_each_image_is_held_out_once_and_by_a_classifier_that_never_saw_it(cloud, each, folds):
    features = cloud(each)
    features = dataclasses.replace(
        features, X=np.arange(len(features), dtype=np.float32)[:, None].repeat(2, axis=1)
    )
    LOG.clear()
    result = cross_validate(features, Recorder())
    held_out = Counter(row for _, asked in LOG for row in asked)
    assert held_out == Counter(range(len(features)))
    assert all(not set(trained) & set(asked) for trained, asked in LOG)
    assert len(result.scores) == len(LOG) == folds
    shares = [Counter(features.y[[int(row) for row in asked]].tolist()) for _, asked in LOG]
    for name in features.classes:
        counts = [share[name] for share in shares]
        assert max(counts) - min(counts) <= 1, f"{name} is spread over the folds as {counts}"


@pytest.mark.parametrize("classifier", ["logistic", "knn", LogisticRegression()])
def test_cross_validation_gives_the_same_numbers_twice(cloud, classifier):
    features = cloud(each=4, width=10, distance=0.3)
    first, second = (cross_validate(features, classifier) for _ in range(2))
    assert first == second


def test_another_seed_makes_other_folds(cloud):
    features = cloud(each=6, width=10, distance=0.3)
    assert cross_validate(features, "knn", seed=1) != cross_validate(features, "knn")


def test_the_scores_are_accuracies_with_their_mean_and_spread():
    result = CrossValidation((0.5, 1.0, 0.75))
    assert result.accuracy == pytest.approx(0.75)
    assert result.std == pytest.approx(np.std([0.5, 1.0, 0.75]))
    assert repr(result) == "CrossValidation(0.750 ± 0.204, 3 folds)"


def test_easy_classes_read_near_one_and_random_labels_near_chance(cloud):
    features = cloud(each=40, distance=2.0)
    assert cross_validate(features, "centroid").accuracy > 0.99
    shuffled = np.random.default_rng(3).permutation(features.y)
    chance = cross_validate(dataclasses.replace(features, y=shuffled), "centroid").accuracy
    assert abs(chance - 1 / 3) < 0.13, f"random labels of three classes read {chance:.2f}"


def test_two_images_a_class_can_be_cross_validated(cloud):
    result = cross_validate(cloud(each=2, distance=3.0), "logistic")
    assert len(result.scores) == 2
    assert result.accuracy > 0.6, result


MISTAKES = {
    "no labels": ([None] * 4, "the images have no classes: expected a sub-folder for each class"),
    "some labels": (["a", None, "b", "a"], "1 of 4 images are in no class folder, such as 1.jpg"),
    "one class": (["a"] * 4, "all images are of one class, 'a': expected at least two classes"),
    "a class of one": (["a", "a", "b", "c"], "classes b, c have only one readable image"),
    "one class of one": (["a", "a", "b"], "class b has only one readable image"),
}


@pytest.mark.parametrize(("labels", "message"), MISTAKES.values(), ids=MISTAKES)
def test_labels_that_cannot_be_learned_are_named(labels, message):
    paths = [f"{i}.jpg" for i in range(len(labels))]
    with pytest.raises(ImageSourceError) as caught:
        require_learnable(paths, labels)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_features_without_labels_cannot_be_cross_validated(cloud):
    with pytest.raises(ImageSourceError, match="have no classes"):
        cross_validate(dataclasses.replace(cloud(), y=None))
    with pytest.raises(UnknownClassifierError, match="svn"):
        cross_validate(cloud(), "svn")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["cat", None], "some images have no class: expected a sub-folder for each class"),
        (["dog", "cow"], "the model knows none of the classes cow, dog: expected bee, cat"),
    ],
)
def test_labels_that_a_model_cannot_be_judged_by_are_named(labels, message):
    require_known(["cat", "dog"], ["bee", "cat"])  # one class that is known is enough
    with pytest.raises(ImageSourceError) as caught:
        require_known(labels, ["bee", "cat"])
    assert str(caught.value).startswith(message)


def test_a_thousand_classes_do_not_fill_the_screen():
    with pytest.raises(ImageSourceError) as caught:
        require_known(["dog"], [f"class {i}" for i in range(1000)])
    assert len(str(caught.value)) < 300
    assert str(caught.value).endswith("class 11 and 988 more")
