"""Labels beside images: whatever way they are written, one for each image, of the type given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from featx.errors import OptionError
from featx.images.folder import ImageFolder
from featx.images.labels import class_names, in_terms_of, labels_of

PATHS = ["a.png", "b.png", "c.png"]
NUMBERS = {
    "list": [2, 0, 10],
    "bytes": np.array([2, 0, 10], np.uint8),
    "column": np.array([[2], [0], [10]]),
    "whole floats": np.array([2.0, 0.0, 10.0], np.float32),
    "one-hot floats": np.eye(11, dtype=np.float32)[[2, 0, 10]],
    "one-hot bytes": np.eye(11, dtype=np.uint8)[[2, 0, 10]],
    "one-hot bool": np.eye(11, dtype=bool)[[2, 0, 10]],
    "one-hot lists": np.eye(11, dtype=int)[[2, 0, 10]].tolist(),
    "whole floats in objects": np.array([2.0, 0.0, 10], dtype=object),
    "series": pd.Series([2, 0, 10], index=[5, 6, 7]),
    "column of a table": pd.DataFrame({"y": [2, 0, 10]}),
}
NAMES = {
    "list": ["dog", "cat", "dog"],
    "tuple": ("dog", "cat", "dog"),
    "array": np.array(["dog", "cat", "dog"]),
    "objects": np.array(["dog", "cat", "dog"], dtype=object),
    "bytes": np.array([b"dog", b"cat", b"dog"]),
    "bytes in objects": np.array([b"dog", "cat", b"dog"], dtype=object),
    "category": pd.Series(["dog", "cat", "dog"], dtype="category"),
    "one-hot table": pd.get_dummies(["dog", "cat", "dog"]),
}


@pytest.mark.parametrize("labels", NUMBERS.values(), ids=NUMBERS)
def test_numbers_of_classes_stay_numbers(labels):
    images = ImageFolder.of(PATHS, labels)
    assert images.labels == (2, 0, 10)
    assert [type(label) for label in images.labels] == [int] * 3
    assert images.classes == (0, 2, 10)


@pytest.mark.parametrize("labels", [[True, False, True], np.array([True, False, True])])
def test_truth_values_stay_truth_values(labels):
    images = ImageFolder.of(PATHS, labels)
    assert [label is True for label in images.labels] == [True, False, True]
    assert images.classes == (False, True)


@pytest.mark.parametrize("labels", [["2", "0", "10"], [2, "0", 10], [10**30, 0, 1]])
def test_digits_and_labels_of_several_types_are_texts(labels):
    assert ImageFolder.of(PATHS, labels).labels == tuple(map(str, labels))


def test_labels_are_found_among_classes_that_are_written_alike():
    assert in_terms_of((0, 7, 10), ["7", "12", "zebra", None]) == (7, 12, "zebra", None)
    assert in_terms_of(("0", "7"), [7, 12]) == ("7", 12)
    assert in_terms_of((False, True), ["True", "1"]) == (True, "1")
    assert in_terms_of((0, 7), ["07", "٧", "9" * 400]) == ("07", "٧", "9" * 400)


@pytest.mark.parametrize("labels", NAMES.values(), ids=NAMES)
def test_names_of_classes_stay_what_they_are(labels):
    images = ImageFolder.of(PATHS, labels=labels)
    assert images.labels == ("dog", "cat", "dog")
    assert [type(label) for label in images.labels] == [str] * 3
    assert images.paths == tuple(PATHS)


@pytest.mark.parametrize(
    "labels",
    [
        ["dog", None, "7"],
        ["dog", float("nan"), 7],
        pd.Series(["dog", pd.NA, 7], dtype=object),
        pd.Series(["dog", None, "7"], dtype="string"),
    ],
)
def test_a_missing_label_is_none(labels):
    assert labels_of(labels, 3) == ("dog", None, "7")
    assert labels_of([1.0, float("nan")], 2) == (1, None)


MISTAKES = {
    "too few": ([1, 2], "there are 2 labels for 3 images: expected one for each"),
    "too many one-hot rows": (np.eye(4), "there are 4 labels for 3 images"),
    "probabilities": (
        [[0.9, 0.1], [0.2, 0.8], [1, 0]],
        r"shape \(3, 2\), but row 0 is not one-hot: .*labels.argmax\(axis=1\)",
    ),
    "two ones": ([[1, 0], [1, 1], [0, 1]], "row 1 is not one-hot"),
    "no one": ([[1, 0], [0, 1], [0, 0]], "row 2 is not one-hot"),
    "minus one": ([[1, 0], [-1, 1], [0, 1]], "row 1 is not one-hot"),
    "missing in a row": ([[1, 0], [0, 1], [np.nan, 1]], "row 2 is not one-hot"),
    "rows of names": (np.array([["a", "b"]] * 3), "row 0 is not one-hot"),
    "rows of different lengths": ([[1, 0], [1], [0, 1]], "the labels are no array"),
    "fractions": ([0.0, 1.5, 2.0], "there is a label 1.5: expected a class number or name"),
    "infinity": ([0.0, np.inf, 2.0], "there is a label inf: expected a class number"),
    "one name": ("cat", "labels 'cat' does not exist: expected a class number or name for each"),
    "a picture": (np.zeros((3, 2, 2)), r"the labels have the shape \(3, 2, 2\)"),
}


@pytest.mark.parametrize(("labels", "message"), MISTAKES.values(), ids=MISTAKES)
def test_labels_that_do_not_fit_are_told(labels, message):
    with pytest.raises(OptionError, match=message) as error:
        ImageFolder.of(PATHS, labels)
    assert "\n" not in str(error.value)


def test_images_that_have_labels_take_no_others():
    frame = pd.DataFrame({"path": PATHS, "label": ["x", None, "y"]})
    for source in (frame, ImageFolder.of(PATHS, [1, 2, 3])):
        with pytest.raises(OptionError, match="have labels already: leave out labels="):
            ImageFolder.of(source, [1, 2, 3])
    assert ImageFolder.of(frame.drop(columns="label"), [1, 2, 3]).labels == (1, 2, 3)


def test_a_column_of_a_table_and_labels_beside_it_make_the_same_names():
    given = [1.0, 2.0, None]
    frame = pd.DataFrame({"path": PATHS, "label": given})
    assert ImageFolder.of(frame).labels == ImageFolder.of(PATHS, given).labels == (1, 2, None)


def test_truth_values_and_the_numbers_0_and_1_are_the_same_classes():
    assert in_terms_of((False, True), [1, 0, 1]) == (True, False, True)
    assert [type(each) for each in in_terms_of((False, True), [1, 0])] == [bool, bool]
    assert [type(each) for each in in_terms_of((0, 1), [True, False])] == [int, int]
    assert in_terms_of((False, True), [2]) == (2,)
    assert in_terms_of((0, 2), [True]) == (True,)


def test_a_name_that_numpy_would_shorten_is_the_short_one():
    assert class_names(["cat\0", "cat"]) == ("cat", "cat")
