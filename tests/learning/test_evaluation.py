"""How good a classifier is, counted as scikit-learn counts it."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix

from featx.learning.evaluation import Evaluation
from featx.learning.intervals import accuracy_interval


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


def test_answers_are_counted_apart_where_some_images_are_not_answered():
    made = evaluation()
    assert (made.coverage.value, made.precision) == (1.0, made.interval)
    answered = np.arange(60) < 20
    made = replace(made, answered=answered)
    right = int(sum(made.y_true[:20] == made.y_pred[:20]))
    assert made.coverage == accuracy_interval(20 / 60, 60)
    assert made.precision == accuracy_interval(right / 20, 20)
    some = made.without({f"{i}.jpg" for i in range(10)})
    assert some.coverage.value == 10 / 50
    assert some.gallery().texts
    none = replace(made, answered=np.zeros(60, bool)).precision
    assert np.isnan(none.value)
    assert (none.low, none.high) == (0, 1)
