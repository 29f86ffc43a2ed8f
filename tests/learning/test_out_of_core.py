"""Fits block by block are the ordinary ones, and are judged likewise."""

import numpy as np
import pytest

import featx
from featx.features import blocks
from featx.learning import out_of_core
from featx.learning.learner import Learner
from featx.learning.out_of_core import (
    Table,
    can_by_blocks,
    fit_by_blocks,
    needed_by_blocks,
    predict_by_blocks,
    sample_of,
)

ROOM = 10**9
BY_BLOCKS = [name for name in featx.CLASSIFIERS if can_by_blocks(Learner.of(name))]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Let a block have a few rows, so that there are many."""
    for module in (blocks, out_of_core):
        monkeypatch.setattr(module, "BLOCK_BYTES", 4 * 12 * 17)


def table(each=60, classes=3, columns=12, views=0, seed=0):
    """Return rows with long tails, of classes that overlap, in the order of a folder."""
    random = np.random.default_rng(seed)
    centres = random.gamma(2, size=(classes, columns))
    y = np.repeat([f"class {number}" for number in range(classes)], each)
    n = len(y)
    matrices = [
        (np.repeat(centres, each, axis=0) * random.lognormal(0, 0.5, (n, columns))).astype("f4")
        for _ in range(1 + views)
    ]
    for matrix in matrices:
        matrix[:, 3] = 0  # a column that says nothing
    return Table(tuple(matrices), y)


def ordinary(learner, table, rows):
    X, *views = (matrix[rows] for matrix in table.matrices)
    made = learner.build_for(table.y[rows], table.columns, len(views))
    return learner.fit(made, X, table.y[rows], views)


@pytest.mark.parametrize("views", [0, 1])
@pytest.mark.parametrize("name", BY_BLOCKS)
def test_a_fit_by_blocks_is_the_ordinary_one(name, views):
    learned, rows = table(views=views), np.arange(0, 180, 2)
    learner = Learner.of(name)
    found, told = fit_by_blocks(learner, learned, rows, ROOM)
    expected = ordinary(learner, learned, rows)
    new = table(seed=1).matrices[0]
    assert [type(step) for _, step in found.steps] == [type(step) for _, step in expected.steps]
    assert (found.predict(new) == expected.predict(new)).mean() > 0.98
    # A perceptron goes its own way from the last digit on.
    close = 0.1 if name == "pca-mlp" else 1e-4
    assert found.predict_proba(new) == pytest.approx(expected.predict_proba(new), abs=close)
    assert "from 90 images" in told


def test_weights_of_classes_count_as_in_the_ordinary_fit():
    learned, new = table(), table(seed=1).matrices[0]
    rows = np.r_[0:60, 60:80, 120:180]
    learner = Learner.of("logistic", "balanced")
    found, _ = fit_by_blocks(learner, learned, rows, ROOM)
    expected = ordinary(learner, learned, rows).predict_proba(new)
    assert found.predict_proba(new) == pytest.approx(expected, abs=1e-4)


def test_a_class_without_rows_to_learn_from_is_not_known():
    learned = table()
    found, _ = fit_by_blocks(Learner.of("centroid"), learned, np.arange(120), ROOM)
    assert found.classes_.tolist() == ["class 0", "class 1"]
    labels, probabilities = predict_by_blocks(
        found, learned.matrices, np.arange(100, 180), ["class 0", "class 1", "class 2"]
    )
    assert labels[:20].tolist() == ["class 1"] * 20
    assert not probabilities[:, 2].any()


@pytest.mark.parametrize("views", [0, 2])
def test_predictions_by_blocks_are_those_of_all_at_once(views):
    from featx.learning.learner import predict

    learned, classes = table(views=views), ["class 0", "class 1", "class 2"]
    fitted = ordinary(Learner.of("logistic"), learned, np.arange(180))
    rows = np.arange(0, 180, 7)
    X, *others = (matrix[rows] for matrix in learned.matrices)
    expected = predict(fitted, X, others, classes)
    labels, probabilities = predict_by_blocks(fitted, learned.matrices, rows, classes)
    assert labels.tolist() == expected[0].tolist()
    assert probabilities == pytest.approx(expected[1], abs=1e-6)


def test_blocks_that_are_predicted_have_fewer_rows_where_there_are_many_classes():
    class Recorded:
        classes_ = np.array([f"class {number:02d}" for number in range(51)])
        rows = ()

        def predict(self, X):
            self.rows += (len(X),)
            return self.classes_[:1].repeat(len(X))

    recorded = Recorded()
    X = np.zeros((10, 12), np.float32)
    labels, _ = predict_by_blocks(recorded, [X], np.arange(10), recorded.classes_.tolist())
    assert labels.tolist() == ["class 00"] * 10
    assert recorded.rows == (4, 4, 2)


def test_with_little_room_what_comes_last_learns_from_a_sample():
    learned = table(each=400)
    found, told = fit_by_blocks(Learner.of("logistic"), learned, np.arange(1200), room=60_000)
    assert told.startswith("discriminants from 1,200 images, regression from ")
    assert 100 < int(told.split()[-3]) < 900
    expected = ordinary(Learner.of("logistic"), learned, np.arange(1200))
    new = table(each=400, seed=0)
    agree = found.predict(new.matrices[0]) == expected.predict(new.matrices[0])
    assert agree.mean() > 0.95


def test_a_sample_has_every_class_as_often_as_all_rows_do():
    y = np.repeat(["a", "b", "c"], [1000, 500, 12])
    chosen = sample_of(y, np.arange(len(y)), 300)
    assert np.all(np.diff(chosen) > 0)
    assert {name: int((y[chosen] == name).sum()) for name in "abc"} == {"a": 190, "b": 99, "c": 10}
    assert sample_of(y, np.arange(20), 300).tolist() == list(range(20))


@pytest.mark.parametrize(("most", "of_small"), [(6000, 10), (900, 4), (100, 1)])
def test_a_sample_of_many_small_classes_is_no_larger_than_asked_for(most, of_small):
    y = np.repeat([f"class {number}" for number in range(200)], [5000, *[25] * 199])
    chosen = sample_of(y, np.arange(len(y)), most)
    counts = np.unique(y[chosen], return_counts=True)[1]
    assert len(counts) == 200
    assert len(chosen) <= max(most, 200)
    assert counts.min() >= of_small


def test_what_comes_last_takes_no_more_rows_of_many_classes_than_there_is_room_for():
    learned = table(each=12, classes=60)
    found, told = fit_by_blocks(Learner.of("logistic"), learned, np.arange(720), room=200_000)
    assert told == "discriminants from 720 images, regression from 240 of them"
    assert len(found.classes_) == 60


def test_as_much_is_needed_as_two_rows_of_each_class_take_at_the_end():
    few, many = table(each=2, classes=10), table(each=2, classes=9000)
    for name in ("logistic", "pca-mlp"):
        needed = [needed_by_blocks(Learner.of(name), each) for each in (few, many)]
        assert needed[0] < 2 * 10**8, name  # mostly blocks
        assert needed[1] > 9000 * 2 * 9000 * 8, name
