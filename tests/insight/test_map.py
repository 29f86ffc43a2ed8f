"""A map puts alike rows side by side, the same way every time, however few or many there are."""

import numpy as np
import pytest

from featx.charts.layout import lay_out, sample_rows
from featx.evaluation.evaluation import Evaluation
from featx.features.matrix import Features, as_labels, as_paths
from featx.insight.map import map_of
from featx.insight.thumbnails import Album


def clusters(each=12, classes=4, width=30, seed=0):
    """Return rows of well separated classes, and the class of each."""
    random = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(classes), each)
    centres = 8 * random.normal(size=(classes, width))
    return centres[numbers] + random.normal(size=(len(numbers), width)), numbers


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 6, 7, 40])
def test_any_number_of_rows_is_laid_out_within_the_unit_square(n):
    plane = lay_out(np.random.default_rng(0).normal(size=(n, 20)).astype(np.float32))
    assert plane.shape == (n, 2)
    assert np.isfinite(plane).all()
    if n > 1:
        assert np.abs(plane).max() == pytest.approx(1)
        assert len(np.unique(plane.round(6), axis=0)) == n, f"rows lie on one another: {plane}"


def test_the_same_rows_are_laid_out_alike_again():
    X, _ = clusters()
    assert (lay_out(X) == lay_out(X)).all()


def test_rows_of_one_class_lie_nearest_to_each_other():
    X, numbers = clusters()
    plane = lay_out(X)
    away = np.linalg.norm(plane[:, None] - plane, axis=2)
    np.fill_diagonal(away, np.inf)
    same = numbers[away.argmin(axis=1)] == numbers
    assert same.all(), f"{(~same).sum()} rows have a stranger for a neighbour"


def test_scale_of_a_column_and_columns_that_say_nothing_do_not_matter():
    X, _ = clusters(each=1, classes=5)
    scaled = np.hstack([X * np.linspace(0.01, 100, X.shape[1]), np.full((5, 3), 7.1)])
    assert lay_out(scaled) == pytest.approx(lay_out(X), abs=1e-6)


def test_equal_rows_lie_on_one_place():
    assert (lay_out(np.full((9, 4), 0.1, np.float32)) == 0).all()


def test_a_value_that_is_not_finite_moves_nothing_far():
    X, numbers = clusters()
    X[2, 4], X[30, 5] = np.nan, np.inf
    plane = lay_out(X)
    assert np.isfinite(plane).all()
    middles = np.array([np.median(plane[numbers == number], axis=0) for number in range(4)])
    for row in (2, 30):
        away = np.linalg.norm(middles - plane[row], axis=1)
        assert away.argmin() == numbers[row]


def test_rows_so_wide_that_they_are_read_in_pieces_are_laid_out_alike():
    X, _ = clusters(each=1, classes=5, width=50)
    wide = np.tile(X.astype(np.float32), 40_000)  # two million columns, each as often as others
    assert lay_out(wide) == pytest.approx(lay_out(X), abs=1e-6)


def test_a_sample_takes_its_share_of_every_class_and_leaves_none_out():
    labels = ["a"] * 900 + ["b"] * 99 + ["c"]
    rows = sample_rows(labels, 100)
    assert (np.diff(rows) > 0).all()
    counts = {name: sum(labels[row] == name for row in rows) for name in "abc"}
    assert counts == {"a": 90, "b": 9, "c": 1}
    assert rows.tolist() == sample_rows(labels, 100).tolist()
    assert sample_rows(labels, 100, seed=1).tolist() != rows.tolist()


def test_few_rows_are_all_taken():
    assert sample_rows(["a", "b", "a"], 3).tolist() == [0, 1, 2]


def judged(classes, wrong=()):
    """Return features of five images of each class, and predictions of them."""
    X, numbers = clusters(each=5, classes=len(classes))
    labels = np.array(classes)[numbers]
    paths = as_paths([f"{label}/{row}.jpg" for row, label in enumerate(labels)])
    predicted = labels.copy()
    predicted[list(wrong)] = classes[-1]
    features = Features(X.astype(np.float32), as_labels(labels.tolist()), paths)
    return features, Evaluation(paths, labels, predicted, tuple(classes))


def test_points_carry_what_was_predicted_and_the_wrong_ones_are_on_top():
    features, evaluation = judged(["ant", "bee"], wrong=[1, 3])
    album = Album()
    made = map_of(features, evaluation, album, str.upper)
    points = made["points"]
    assert [(p["path"], p["true"], p["predicted"]) for p in points[-2:]] == [
        ("ANT/1.JPG", "ant", "bee"),
        ("ANT/3.JPG", "ant", "bee"),
    ]
    assert len({p["thumb"] for p in points}) == len(points) == len(album) == made["total"] == 10
    for point in points:
        assert 0 <= float(point["x"]) <= made["width"]
        assert 0 <= float(point["y"]) <= made["height"]


def test_classes_differ_in_hue_first_and_then_in_their_marker():
    made = map_of(*judged([f"c{i:02d}" for i in range(20)]), Album(), str)
    looks = [look for _, look in made["classes"]]
    assert len(set(looks)) == 20
    assert {marker for _, marker in looks[:8]} == {0}
    assert {marker for _, marker in looks[8:16]} == {1}
    assert not made["repeated"]
    assert len(set(made["markers"])) == len(made["markers"])


def test_only_images_that_were_judged_are_on_the_map():
    features, evaluation = judged(["ant", "bee"])
    assert map_of(features.select([0, 7]), evaluation, Album(), str)["total"] == 2
    assert map_of(features.select([0]), evaluation, Album(), str) is None
