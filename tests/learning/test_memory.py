"""Memory is read as people write it, and decides how features are learned from."""

import math

import numpy as np
import pytest

import featx
from featx.errors import OptionError
from featx.learning.learner import Learner
from featx.learning.memory import bytes_of, plan_of


def features(n=6000, columns=600, classes=3):
    """Return features of which no value is looked at: they are zeros that take no memory."""
    y = np.repeat([f"class {number}" for number in range(classes)], n // classes)
    paths = np.array([f"{row}.jpg" for row in range(n)], object)
    return featx.Features(np.zeros((n, columns), np.float32), y, paths)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2GB", 2 * 10**9),
        ("1.5 gb", 1_500_000_000),
        ("500MB", 500_000_000),
        ("1GiB", 1 << 30),
        ("4096", 4096),
        ("1e9", 10**9),
        ("2G", 2 * 10**9),
        ("400m", 400_000_000),
        ("2Gi", 2 << 30),
        (10**9, 10**9),
        (1e9, 10**9),
    ],
)
def test_memory_is_a_number_with_or_without_a_unit(text, number):
    assert bytes_of(text) == number


@pytest.mark.parametrize(
    "text", ["", "much", "GB", "-1GB", "1 2GB", "3 bananas", "2i", 0, 1.5, True, math.nan, math.inf]
)
def test_what_is_no_memory_is_told_with_what_is(text):
    with pytest.raises(OptionError) as caught:
        bytes_of(text)
    assert str(caught.value) == (
        f"memory is {text!r}: expected a number of bytes, or a text such as '2GB' or '500MB'"
    )


def test_features_that_fit_are_learned_from_as_ever():
    given = features()
    plan = plan_of(given, Learner.of("logistic"), "2GB")
    assert plan.features is given
    assert not plan.by_blocks
    assert plan.note == "within 2.0 GB: as ever, since all features fit"


def test_features_that_do_not_fit_are_read_in_blocks_or_sampled():
    given = features(60_000)
    assert plan_of(given, Learner.of("logistic"), "600MB").by_blocks
    plan = plan_of(given, Learner.of("knn"), "600MB")
    assert not plan.by_blocks
    assert 3_000 < len(plan.features) < 60_000
    counts = np.unique(plan.features.y, return_counts=True)[1]
    assert counts.max() - counts.min() <= 1
    assert plan.note == (
        f"within 600.0 MB: from a sample of {len(plan.features):,} of 60,000 images"
    )


def test_as_many_processes_fit_at_once_as_there_is_room_for(monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    given = features(6000, 100)  # 24 MB, and a fit takes 100 more than that of buffers
    jobs = [plan_of(given, Learner.of("mlp"), asked).jobs for asked in ("150MB", "400MB", "4GB")]
    assert jobs == [1, 2, 8]


def test_features_wider_than_they_are_many_are_sampled():
    plan = plan_of(features(3000, 2000), Learner.of("logistic"), "200MB")
    assert not plan.by_blocks
    assert len(plan.features) < 3000


def test_too_little_memory_is_told_with_what_is_enough():
    given = features(6000)
    with pytest.raises(OptionError) as caught:
        plan_of(given, Learner.of("knn"), "50MB")
    said = str(caught.value)
    assert said.startswith(
        "memory of 50.0 MB is too little to learn 3 classes from 6,000 images of 600 columns: "
        "expected at least "
    )
    assert plan_of(given, Learner.of("knn"), said.rpartition("least ")[2])


def test_what_is_enough_for_many_classes_is_what_blocks_take():
    given, learner = features(40_000, 100, classes=4000), Learner.of("centroid")
    with pytest.raises(OptionError) as caught:
        plan_of(given, learner, "50MB")
    enough = str(caught.value).rpartition("least ")[2]
    assert bytes_of(enough) < 10**9
    assert plan_of(given, learner, enough).by_blocks


def test_pixels_are_all_in_memory():
    with pytest.raises(OptionError, match=r"cnn learns from pixels, .* and memory is 50\.0 MB"):
        plan_of(features(6000), Learner.of("cnn"), "50MB")
