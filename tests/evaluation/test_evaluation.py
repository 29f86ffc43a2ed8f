"""How good a classifier is, counted as scikit-learn counts it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix

from featx.evaluation.evaluation import Evaluation
from featx.evaluation.intervals import accuracy_interval
from featx.images.decode import Outcome

LOST = tuple(Outcome("failed", reason="empty file", path=f"{name}.jpg") for name in "xy")


def evaluation(seed=0, n=60, classes=("ant", "bee", "cat", "dog")) -> Evaluation:
    """Make up predictions: "dog" is never true and "ant" never predicted."""
    random = np.random.default_rng(seed)
    return Evaluation(
        paths=np.array([f"{i}.jpg" for i in range(n)], dtype=object),
        y_true=random.choice(classes[:-1], n),
        y_pred=random.choice(classes[1:], n),
        classes=tuple(classes),
        failed=LOST,
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_figures_by_class_are_those_of_scikit_learn(seed):
    made = evaluation(seed)
    theirs = classification_report(
        made.y_true, made.y_pred, labels=list(made.classes), zero_division=0, output_dict=True
    )
    assert made.by_class.index.name == "class"
    assert list(made.by_class.columns) == ["precision", "recall", "f1", "support"]
    for name, row in made.by_class.iterrows():
        assert row.tolist() == pytest.approx(
            [theirs[name][key] for key in ("precision", "recall", "f1-score", "support")]
        ), name


def test_a_class_that_never_occurs_and_one_that_is_never_predicted_have_figures_too():
    by_class = evaluation().by_class
    assert by_class.loc["dog", "support"] == 0
    assert by_class.loc["dog", "recall"] == 0
    assert by_class.loc["ant", "precision"] == 0
    assert by_class.loc["ant", "support"] > 0


def test_the_confusion_counts_true_classes_in_rows_and_predicted_ones_in_columns():
    made = evaluation()
    expected = confusion_matrix(made.y_true, made.y_pred, labels=list(made.classes))
    assert made.confusion.to_numpy().tolist() == expected.tolist()
    assert (made.confusion.index.name, made.confusion.columns.name) == ("true", "predicted")
    assert made.confusion.loc["bee", "cat"] == sum((made.y_true == "bee") & (made.y_pred == "cat"))
    assert made.confusion.to_numpy().sum() == 60
    assert made.counts.tolist() == expected.tolist()
    assert made.counts.dtype == float


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


def test_notes_say_how_right_the_answers_are():
    made = replace(evaluation(), answered=np.arange(60) < 20)
    assert evaluation().notes == ()
    assert made.notes == (
        f"precision of its answers {made.precision}: 20 of 60 images, coverage {made.coverage}",
    )
    missed = replace(made, target=0.95)
    assert missed.precision.high < 0.95
    assert missed.notes == (
        f"{made.notes[0]}; less than the 0.95 asked for: these are not like the training images",
    )
    assert replace(made, target=made.precision.high).notes == made.notes
    none = replace(made, answered=np.zeros(60, bool), target=0.95)
    assert none.notes == (f"it answers none of these images: coverage {none.coverage}",)


def test_images_that_are_copies_of_training_images_are_left_out_of_a_fairer_accuracy():
    made = evaluation()
    assert made.without_leaks is made
    right = [path for path, hit in zip(made.paths, made.hits[0], strict=True) if hit]
    leaks = {path: f"training/{path}" for path in right[:2]}
    leaking = replace(made, leaks=leaks)
    fair = leaking.without_leaks
    assert leaking.accuracy == made.accuracy
    assert fair.accuracy == (len(right) - 2) / 58
    assert set(fair.paths) == set(made.paths) - set(leaks)
    assert (fair.leaks, fair.n_failed, fair.classes) == ({}, 2, made.classes)
    assert leaking.notes == (
        f"2 of 60 test images are copies of training images; accuracy without them: "
        f"{fair.interval} ({right[0]} is training/{right[0]}, {right[1]} is training/{right[1]})",
    )


def test_of_many_leaks_a_few_are_named():
    made = evaluation()
    leaking = replace(made, leaks={path: f"training/{path}" for path in made.paths[:10]})
    assert leaking.notes[0].endswith("5.jpg is training/5.jpg and 4 more)")


def test_where_every_image_is_a_leak_the_accuracy_says_nothing():
    made = evaluation(n=2)
    leaking = replace(made, leaks={"0.jpg": "a.jpg", "1.jpg": "b.jpg"})
    assert leaking.without_leaks is None
    assert leaking.notes == (
        "2 of 2 test images are copies of training images, so that accuracy says nothing; trust "
        "the cross-validated one: 0.jpg is a.jpg, 1.jpg is b.jpg",
    )
    assert leaking.to_dict()["accuracy_without_leaks"] is None


def test_the_summary_has_the_accuracy_the_lost_files_and_the_notes():
    made = evaluation()
    right = int(sum(made.y_true == made.y_pred))
    line = f"accuracy {made.interval}: {right} of 60 images right"
    assert made.summary == f"{line}, 2 files not readable"
    assert replace(made, failed=()).summary == line
    leaking = replace(made, failed=LOST[:1], leaks={"0.jpg": "a.jpg"}, answered=np.arange(60) < 20)
    assert leaking.summary.splitlines() == [f"{line}, 1 file not readable", *leaking.notes]
    assert len(leaking.notes) == 2


def test_a_row_of_the_frame_is_an_image():
    made = evaluation()
    shares = np.random.default_rng(0).dirichlet(np.ones(4), 60)
    frame = replace(made, probabilities=shares).to_frame()
    assert list(frame.columns) == ["path", "true", "predicted", "probability", "wrong"]
    assert frame.path.tolist() == made.paths.tolist()
    assert frame.true.tolist() == made.y_true.tolist()
    assert frame.predicted.tolist() == made.y_pred.tolist()
    columns = [made.classes.index(label) for label in made.y_pred]
    assert frame.probability.tolist() == shares[np.arange(60), columns].tolist()
    assert frame.wrong.tolist() == (made.y_true != made.y_pred).astype(float).tolist()
    assert made.to_frame().probability.isna().all()


def test_mistakes_are_the_wrong_rows_of_the_frame_the_surest_first():
    shares = np.random.default_rng(0).dirichlet(np.ones(4), 60)
    made = replace(evaluation(), probabilities=shares)
    frame = made.to_frame()
    wrong = frame[frame.wrong > 0].sort_values("probability", ascending=False)
    assert made.mistakes.path.tolist() == wrong.path.tolist()


def test_an_evaluation_is_plain_values():
    made = replace(evaluation(), leaks={"0.jpg": "a.jpg"})
    written = made.to_dict()
    assert json.loads(json.dumps(written)) == written
    assert written == {
        "accuracy": made.accuracy,
        "accuracy_low": made.interval.low,
        "accuracy_high": made.interval.high,
        **made.balance.to_dict(),
        "n_images": 60,
        "n_failed": 2,
        "n_unfamiliar": None,
        "failed": [{"path": name, "reason": "empty file"} for name in ("x.jpg", "y.jpg")],
        "leaks": {"0.jpg": "a.jpg"},
        "accuracy_without_leaks": made.without_leaks.accuracy,
        "unknown_classes": [],
        "accuracy_without_unknown": made.accuracy,
        "contradictions": [],
        "notes": list(made.notes),
        "classes": [{"class": name, **row} for name, row in made.by_class.iterrows()],
    }


def test_the_values_of_a_model_that_rejects_have_its_coverage_and_precision():
    made = replace(evaluation(), answered=np.arange(60) < 20)
    written = made.to_dict()
    assert json.loads(json.dumps(written)) == written
    further = made.coverage.to_dict("coverage") | made.precision.to_dict("precision")
    assert written == evaluation().to_dict() | further | {"notes": list(made.notes)}
    nothing = replace(made, answered=np.zeros(60, bool)).to_dict()
    assert np.isnan(nothing["precision"])
    assert (nothing["precision_low"], nothing["precision_high"]) == (0.0, 1.0)


def test_a_notebook_shows_the_accuracy_and_a_row_for_each_class():
    made = evaluation()
    html = made._repr_html_()
    assert html.startswith(f"<p><b>accuracy {made.interval}</b>, 60 images</p>")
    assert html.count("<tr") == 2 + 4
