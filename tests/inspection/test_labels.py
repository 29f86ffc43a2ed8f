"""Wrong labels are found, and where a classifier is weak nobody is accused."""

from __future__ import annotations

import numpy as np
import pytest

from featx.inspection.labels import find_mislabelled


def wronged(features, rows, label):
    labels = features.y.copy()
    labels[rows] = label
    return type(features)(X=features.X, y=labels, paths=features.paths)


@pytest.mark.parametrize("each", [12, 60])  # wider than long, and longer than wide
def test_wrong_labels_are_found_the_clearest_first(cloud, each):
    features = cloud(each=each, width=64, distance=2.0)
    found = find_mislabelled(wronged(features, [2, 5], "cat"), np.arange(3 * each))
    assert {finding.path for finding in found} == {features.paths[2], features.paths[5]}
    assert {(finding.label, finding.other_label) for finding in found} == {("cat", "ant")}
    assert {finding.leave_out for finding in found} == {()}


def test_right_labels_are_not(cloud):
    assert find_mislabelled(cloud(each=12, width=64, distance=2.0), np.arange(36)) == []


def test_where_nothing_tells_the_classes_apart_no_label_is_doubted(cloud):
    assert find_mislabelled(cloud(each=30, width=20, distance=0.0), np.arange(90)) == []


def test_a_copy_with_the_same_wrong_label_does_not_vouch_for_it(cloud):
    features = wronged(cloud(each=20, width=64, distance=2.0), [2, 3], "cat")
    X = features.X.copy()
    X[3] = X[2]
    features = type(features)(X=X, y=features.y, paths=features.paths)
    groups = np.arange(60)
    groups[3] = 2
    found = {finding.path for finding in find_mislabelled(features, groups)}
    assert found == {features.paths[2], features.paths[3]}


def test_without_classes_there_are_no_wrong_labels(cloud):
    features = cloud(each=6)
    unlabelled = type(features)(X=features.X, y=None, paths=features.paths)
    assert find_mislabelled(unlabelled, np.arange(18)) == []
    assert find_mislabelled(cloud(each=6, classes=("ant",)), np.arange(6)) == []
