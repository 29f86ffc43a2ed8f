"""Copies are contradictions, leaks or mere copies, and other shots of a scene are none of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import as_features

from featx.features.matrix import Features, as_labels, as_paths
from featx.inspection.copies import find_copies


def features(X, labels, start=0):
    paths = [f"{label}/{start + row}.jpg" for row, label in enumerate(labels)]
    return Features(X=np.asarray(X, np.float32), y=as_labels(labels), paths=as_paths(paths))


def vectors(n, seed=0):
    return np.abs(np.random.default_rng(seed).normal(size=(n, 64))).astype(np.float32)


def like(X, strength=0.03):
    return X * 1.02 + np.random.default_rng(9).normal(size=X.shape) * strength


@pytest.fixture
def measured(measures_like):
    def measure(*several, alike=None):
        paths = [path for each in several for path in each.paths]
        made = {path: measures_like(row) for row, path in enumerate(paths)}
        for path, original in (alike or {}).items():
            made[path] = made[original]
        return made

    return measure


LABELS = ["ant"] * 20 + ["bee"] * 20


def test_strangers_are_no_copies(measured):
    some = features(vectors(40), LABELS)
    found, groups = find_copies(some, None, measured(some))
    assert found == []
    assert len(set(groups.tolist())) == 40


def test_copies_of_two_classes_are_a_contradiction_whoever_is_right(measured):
    X = vectors(40)
    X[25] = X[3]
    some = features(X, LABELS)
    ((found,), groups) = find_copies(some, None, measured(some, alike={"bee/25.jpg": "ant/3.jpg"}))
    assert (found.kind, found.label, found.other_label) == ("contradiction", "bee", "ant")
    assert set(found.leave_out) == {"ant/3.jpg", "bee/25.jpg"}
    assert groups[3] == groups[25]


def test_of_copies_in_one_class_the_largest_stays(measured, measures_like):
    X = vectors(40)
    X[5], X[8] = X[2], like(X[7])
    some = features(X, LABELS)
    made = measured(some, alike={"ant/5.jpg": "ant/2.jpg"})
    made["ant/8.jpg"] = measures_like(7, width=600, height=450)
    found, _ = find_copies(some, None, made)
    assert [(each.kind, each.path, each.other) for each in found] == [
        ("duplicate", "ant/5.jpg", "ant/2.jpg"),
        ("near-duplicate", "ant/7.jpg", "ant/8.jpg"),
    ]
    assert found[1].detail == "300 x 225, nearly the same as one of 600 x 450:"
    assert [each.leave_out for each in found] == [("ant/5.jpg",), ("ant/7.jpg",)]


def test_another_shot_of_a_scene_is_no_copy_but_stays_on_its_side(measured):
    X = vectors(40)
    X[8] = like(X[7])
    some = features(X, LABELS)
    found, groups = find_copies(some, None, measured(some))
    assert found == []
    assert groups[7] == groups[8]


def test_a_copy_that_features_do_not_tell_is_told_by_its_pixels(measured):
    some = features(vectors(40), LABELS)
    found, _ = find_copies(some, None, measured(some, alike={"ant/9.jpg": "ant/1.jpg"}))
    assert [(each.kind, each.path) for each in found] == [("near-duplicate", "ant/9.jpg")]


def test_digits_that_look_alike_when_small_are_no_copies(measured):
    some = features(vectors(40), LABELS)
    twins = {f"bee/{row}.jpg": f"ant/{row - 20}.jpg" for row in range(20, 40)}
    assert find_copies(some, None, measured(some, alike=twins))[0] == []


def test_a_test_picture_among_the_others_is_a_leak_and_the_other_is_left_out(measured):
    some, X = features(vectors(40), LABELS), vectors(10, seed=5)
    X[4] = some.X[6]
    test = features(X, ["ant"] * 5 + ["bee"] * 5, start=100)
    X[7] = some.X[8]  # of another class
    alike = {"ant/104.jpg": "ant/6.jpg", "bee/107.jpg": "ant/8.jpg"}
    test = features(X, ["ant"] * 5 + ["bee"] * 5, start=100)
    found, groups = find_copies(some, test, measured(some, test, alike=alike))
    assert [(each.kind, each.path, each.other) for each in found] == [
        ("leak", "ant/6.jpg", "ant/104.jpg"),
        ("contradiction", "ant/8.jpg", "bee/107.jpg"),
    ]
    assert found[0].leave_out == ("ant/6.jpg",)
    assert len(groups) == 40


def test_without_classes_copies_are_copies(measured):
    X = vectors(20)
    X[5] = X[2]
    some = as_features(X, [None] * 20)
    ((found,), _) = find_copies(some, None, {})
    assert (found.kind, found.label) == ("duplicate", None)


def test_a_file_that_was_named_twice_is_not_left_out():
    X = vectors(20)
    X[5] = X[2]
    some = as_features(X, [None] * 20)
    paths = some.paths.copy()
    paths[5] = f"./{paths[2]}"
    ((found,), _) = find_copies(replace(some, paths=paths), None, {})
    assert (found.kind, found.detail) == ("duplicate", "the same file as")
    assert found.leave_out == ()
