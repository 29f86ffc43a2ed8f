"""Classes of unequal size: what the accuracy hides is told beside it."""

import json

import numpy as np
import pytest

import featx
from featx.evaluation.balance import Balance

CATS_AND_DOGS = np.array(["cat"] * 20 + ["dog"] * 4)
HITS = np.array([[True] * 20 + [True, True, False, False], [True] * 20 + [True, False] * 2])


def test_each_class_counts_alike_and_the_weakest_is_named():
    balance = Balance.of(CATS_AND_DOGS, HITS, 24)
    assert balance.balanced_accuracy.value == pytest.approx(0.75)
    assert balance.weakest_class == "dog"
    assert balance.weakest_recall.value == pytest.approx(0.5)
    assert balance.weakest_recall.low == pytest.approx(0.15, abs=0.01)  # Wilson's, of four images
    assert balance.note == (
        f"classes of 4 to 20 images: balanced accuracy {balance.balanced_accuracy}, lowest recall "
        f"{balance.weakest_recall}, of dog"
    )


def test_of_classes_with_the_same_recall_the_smallest_is_the_weakest():
    assert Balance.of(CATS_AND_DOGS, HITS | True, 24).weakest_class == "dog"


@pytest.mark.parametrize(
    ("counts", "told"), [((20, 20), False), ((14, 10), False), ((15, 10), True)]
)
def test_it_is_told_where_the_largest_class_is_half_as_large_again(counts, told):
    y = np.repeat(["a", "b"], counts)
    balance = Balance.of(y, np.ones((1, len(y)), bool), len(y))
    assert balance.unequal is told
    assert (balance.note is not None) is told


@pytest.mark.parametrize(
    ("counts", "recalls"), [((20, 4), (0.95, 0.55)), ((50, 20, 10), (0.9, 0.8, 0.6))]
)
def test_the_interval_holds_the_balanced_accuracy_in_most_samples(counts, recalls):
    random = np.random.default_rng(0)
    y, chance = np.repeat(np.arange(len(counts)), counts), np.repeat(recalls, counts)
    held = 0
    for _ in range(500):
        estimate = Balance.of(y, random.random((1, len(y))) < chance, len(y)).balanced_accuracy
        held += estimate.low <= np.mean(recalls) <= estimate.high
    assert held >= 0.91 * 500


def test_an_interval_of_classes_alike_is_that_of_the_accuracy(cloud):
    result = featx.cross_validate(cloud(each=30, distance=0.3), "knn")
    balanced, plain = result.balance.balanced_accuracy, result.interval
    assert balanced.value == pytest.approx(plain.value)
    assert balanced.low == pytest.approx(plain.low, abs=0.01)
    assert result.about_balance == []


@pytest.fixture
def skewed(cloud):
    return cloud(each=[40, 40, 8], distance=0.25)


def test_a_validation_says_it_beside_the_accuracy_in_text_in_json_and_in_a_notebook(skewed):
    result = featx.cross_validate(skewed, "logistic")
    note = result.balance.note
    assert note in result.summary.splitlines()
    assert note in result.notes
    assert note in result._repr_html_()
    written = json.loads(json.dumps(result.to_dict()))
    assert written["balanced_accuracy"] == pytest.approx(result.by_class.recall.mean())
    assert written["weakest_class"] == result.by_class.recall.idxmin() == "cat"
    assert written["weakest_recall"] == pytest.approx(result.by_class.recall.min())
    assert written["weakest_recall_low"] < written["weakest_recall"]


def test_an_evaluation_and_a_training_say_it(skewed, cloud):
    model = featx.train(skewed, "knn", validation=True)
    evaluation = model.evaluate(cloud(each=[20, 20, 4], distance=0.25, seed=1))
    assert evaluation.balance.note in evaluation.summary.splitlines()
    assert model.training.validation.balance.note in model.training.summary


def test_a_comparison_has_columns_of_it(skewed, cloud):
    comparison = featx.compare(skewed, classifiers=["knn", "centroid"], progress=False)
    frame = comparison.to_frame()
    for each, row in zip(comparison.candidates, frame.itertuples(), strict=True):
        balance = each.validation.balance
        assert row.balanced_accuracy == balance.balanced_accuracy.value
        assert (row.weakest_class, row.weakest_recall) == ("cat", balance.weakest_recall.value)
    assert {"balanced", "weakest"} < set(comparison.table.columns)
    assert comparison.best.validation.balance.note in comparison.notes
    equal = featx.compare(cloud(each=10), classifiers="knn", progress=False)
    assert not {"balanced", "weakest"} & set(equal.table.columns)


def test_a_report_says_it(skewed, tmp_path):
    result = featx.cross_validate(skewed, "knn")
    featx.write_report(tmp_path / "r.html", title="x", features=skewed, evaluation=result)
    page = (tmp_path / "r.html").read_text()
    assert "Classes have 8 to 40 images. Each counted alike" in page
    assert "of cat, where it does worst" in page
