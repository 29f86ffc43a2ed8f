"""A training says in lines, and in plain values, what was learned from and how good that is."""

import dataclasses

import pytest

import featx
from featx.images.decode import Outcome
from featx.models.rejection import choose_rejection
from featx.models.training import Training


@pytest.fixture
def features(cloud):
    """Features of thirty images, of which one more could not be read."""
    features = cloud(distance=0.5)
    read = tuple(Outcome("cached", path=path) for path in features.paths)
    lost = Outcome("failed", reason="empty file", path="photos/ant/x.jpg")
    return dataclasses.replace(features, outcomes=(*read, lost), elapsed=2.0)


@pytest.fixture
def validation(features):
    return featx.cross_validate(features, "centroid")


@pytest.fixture
def tested(cloud, features):
    return featx.train(features, "centroid").evaluate(cloud(each=4, distance=0.5, seed=1))


def test_the_summary_has_every_file_that_was_lost_and_every_figure(features, validation, tested):
    rejection = choose_rejection(validation, 0.6)
    training = Training(features, "centroid", rejection, validation, tested)
    assert training.summary.splitlines() == [
        "31 images: 30 from the cache, 1 failed, in 2.0 s",
        f"features 30 x 30 ({features.recipe})",
        "failed: photos/ant/x.jpg: empty file",
        "3 classes (ant, bee, cat), classifier centroid: cross-validated accuracy "
        f"{validation.interval}, 5 folds, 2 times",
        str(rejection),
        f"test accuracy {tested.interval}: {int(tested.accuracy * 12)} of 12 images right",
        *(f"next: {step}" for step in training.next_steps),
    ]


def test_what_was_not_measured_is_not_in_the_summary(features):
    lines = Training(features, "knn").summary.splitlines()
    assert lines[-2:] == [
        "failed: photos/ant/x.jpg: empty file",
        "3 classes (ant, bee, cat), classifier knn",
    ]


@pytest.mark.parametrize("missing", ["validation", "rejection", "test"])
def test_what_was_not_measured_is_none_in_plain_values(features, validation, tested, missing):
    measured = {
        "validation": validation,
        "rejection": choose_rejection(validation, 0.6),
        "test": tested,
    }
    training = Training(features, "centroid", **measured | {missing: None}, seconds=1.23456)
    written = training.to_dict()
    assert written.pop(missing) is None
    assert written == {
        "classifier": "centroid",
        "classes": ["ant", "bee", "cat"],
        "features": features.to_dict(),
        "dataset_shift": None,
        "familiarity": None,
        "next_steps": list(training.next_steps),
        "seconds": 1.235,
        **{name: each.to_dict() for name, each in measured.items() if name != missing},
    }


def test_a_training_shows_its_summary(features):
    training = Training(features, "a < b")
    assert repr(training) == training.summary
    assert training._repr_html_() == f"<pre>{training.summary.replace('<', '&lt;')}</pre>"


@pytest.mark.parametrize(("distance", "word"), [(0.1, "harder"), (2.0, "easier")])
def test_a_test_that_is_harder_or_easier_than_the_training_images_is_told(cloud, distance, word):
    features = cloud(each=30, distance=0.45)
    training = featx.train(
        features,
        "centroid",
        validation=True,
        test=cloud(each=30, distance=distance, seed=1),
    ).training
    here, there = training.validation.interval, training.test.interval
    assert not here.low <= there.value <= here.high
    assert not there.low <= here.value <= there.high
    told = training.dataset_shift
    assert told == (
        f"the two sets differ, the test images are {word} than the training images: expect "
        f"{there.range} % on photographs like the test ones, and {here.range} % on photographs "
        "like the training ones"
    )
    assert training.summary.splitlines().count(told) == 1
    assert training.to_dict()["dataset_shift"] == told


def test_sets_that_agree_but_for_copies_and_unknown_classes_are_not_said_to_differ(
    features, validation, tested
):
    assert Training(features, "centroid", None, validation, tested).dataset_shift is None
    wrong = dataclasses.replace(tested, y_pred=tested.y_true[::-1].copy())
    assert validation.shift_to(wrong) is not None
    missed = wrong.paths[wrong.y_pred != wrong.y_true]
    copies = dataclasses.replace(wrong, leaks=dict.fromkeys(missed, "photos/ant/1.jpg"))
    assert validation.shift_to(copies) is None
    every = dataclasses.replace(wrong, leaks=dict.fromkeys(wrong.paths, "photos/ant/1.jpg"))
    assert validation.shift_to(every) is None
    unknown = dataclasses.replace(wrong, known=())
    assert validation.shift_to(unknown) is None
