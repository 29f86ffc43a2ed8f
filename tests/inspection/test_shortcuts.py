"""What tells classes apart without a look at the pictures is warned of."""

from __future__ import annotations

import numpy as np
import pytest

from featx.inspection.shortcuts import find_shortcuts

TELLS = {
    "the image sizes": lambda number: {"width": 300 + 100 * number},
    "the files (format, bytes)": lambda number: {"format": ("JPEG", "PNG", "WEBP")[number]},
    "the camera": lambda number: {"camera": ("", "Acme Snap", "Other 5")[number]},
    "the colours of the edges": lambda number: {"edges": (80.0 * number,) * 12},
}


def measured(features, measures_like, changed=lambda number: {}):
    classes = list(features.classes)
    return {
        path: measures_like(row, **changed(classes.index(features.labels[row])))
        for row, path in enumerate(features.paths)
    }


def test_pictures_that_differ_in_what_they_show_alone_have_no_shortcut(cloud, measures_like):
    features = cloud(each=15)
    assert find_shortcuts(features, np.arange(45), measured(features, measures_like)) == []


@pytest.mark.parametrize("cue", TELLS)
def test_what_tells_all_classes_is_named_with_its_accuracy(cloud, measures_like, cue):
    features = cloud(each=15)
    made = measured(features, measures_like, TELLS[cue])
    found = find_shortcuts(features, np.arange(45), made)
    assert [finding.detail for finding in found] == [
        f"a classifier on {cue} alone is right for 100 % of each class on the average, 33 % by "
        "chance"
    ]


def test_what_tells_one_class_of_many_names_it(cloud, measures_like):
    features = cloud(each=12, classes=("ant", "bee", "cat", "dog", "elk", "fox"))
    made = measured(features, measures_like, lambda number: {"height": 200 + 90 * (number == 3)})
    (found,) = find_shortcuts(features, np.arange(72), made)
    assert found.detail == "a classifier on the image sizes alone finds dog (12 of 12)"


def test_too_few_pictures_tell_nothing(cloud, measures_like):
    features = cloud(each=[1, 20, 20])
    made = measured(features, measures_like, TELLS["the camera"])
    assert find_shortcuts(features, np.arange(41), made) == []
    assert find_shortcuts(features, np.arange(41), {}) == []
