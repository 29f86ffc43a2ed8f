"""One run of a network serves several poolings, each as if it had been alone."""

from __future__ import annotations

import dataclasses
import math

import fakes
import numpy as np
import pytest

import featx
from featx.features.formats import SUFFIXES
from featx.features.matrix import Features
from featx.features.options import settle
from featx.features.request import Request
from featx.features.run import run
from featx.features.store.store import FeatureStore
from featx.images.folder import ImageFolder


def together(source, backbone, poolings, **options) -> list[Features]:
    """Embed with several poolings in one run."""
    settled = [settle({"pooling": each, "progress": False, **options}) for each in poolings]
    requests = [Request.of(backbone, each) for each in settled]
    return run(ImageFolder.of(source), requests, settled[0])


def both(photos, backbone="resnet50") -> list[Features]:
    return together(photos, backbone, ("max", "avg"), weights="random")


@pytest.mark.filterwarnings("ignore:the weights of")
class TestOnTheFakeEngine:
    def test_pictures_go_through_the_network_once(self, photos, fake_engine):
        by_max, by_avg = both(photos)
        assert (fake_engine.embedded, len(fake_engine.opened)) == (18, 1)
        assert (by_max.recipe.pooling, by_avg.recipe.pooling) == ("max", "avg")
        fakes.assert_rows(by_max, fit=by_max.recipe.parts[0].square)
        fakes.assert_rows(by_avg, fit=by_avg.recipe.parts[0].square)

    def test_each_is_found_alone_afterwards(self, photos, fake_engine):
        both(photos)
        for pooling in ("avg", "max"):
            featx.embed(photos, "resnet50", weights="random", pooling=pooling, progress=False)
        assert fake_engine.embedded == 18

    def test_what_one_lacks_is_embedded_and_the_other_keeps_what_it_has(self, photos, fake_engine):
        options = {"weights": "random", "pooling": "avg", "progress": False}
        alone = featx.embed(photos / "red", "resnet50", **options)
        by_max, by_avg = both(photos)
        assert [each.status for each in by_avg.outcomes].count("cached") == len(alone)
        assert [each.status for each in by_max.outcomes].count("cached") == 0
        fakes.assert_rows(by_max, fit=by_max.recipe.parts[0].square)
        fakes.assert_rows(by_avg, fit=by_avg.recipe.parts[0].square)

    def test_convnext_runs_for_each_as_it_normalises_after_pooling(self, photos, fake_engine):
        both(photos, "convnext_tiny")
        assert (fake_engine.embedded, len(fake_engine.opened)) == (36, 2)

    def test_how_fast_the_network_was_is_remembered(self, photos, fake_engine, tmp_path):
        fake_engine.seconds_per_batch = 0.05
        first = both(photos)[0]
        again = both(photos)[0]
        assert 18 / 1.0 < first.images_per_second <= 2 * 8 / 0.05
        assert again.images_per_second == first.images_per_second
        again.save(tmp_path / "x.npz")
        assert Features.load(tmp_path / "x.npz").images_per_second == first.images_per_second


def test_a_few_pictures_do_not_replace_the_speed_that_many_told(tmp_path):
    store = FeatureStore(tmp_path, fakes.RECIPE.parts[0])
    store.create()
    assert math.isnan(store.images_per_second)
    store.note_speed(5.0, 1)
    assert store.images_per_second == 5.0
    store.note_speed(30.0, 100)
    store.note_speed(6.0, 1)
    assert store.images_per_second == 30.0
    next(store.folder.glob("speed.json")).write_text("{")
    assert math.isnan(store.images_per_second)


def test_features_of_unknown_speed_are_saved_and_loaded(tmp_path):
    features = fakes.as_features(np.zeros((2, 3)), ["a", "b"])
    for name in (f"x{suffix}" for suffix in SUFFIXES):
        features.save(tmp_path / name)
        assert math.isnan(Features.load(tmp_path / name).images_per_second)
        known = dataclasses.replace(features, images_per_second=12.5)
        known.save(tmp_path / name)
        assert Features.load(tmp_path / name).images_per_second == 12.5


@pytest.mark.keras
@pytest.mark.parametrize("engine", ["openvino", "keras"])
@pytest.mark.parametrize(
    "name",
    [
        "efficientnet_lite0",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("vgg16", "resnet50")),
    ],
)
def test_the_vectors_are_bit_for_bit_those_of_a_run_of_its_own(
    name, engine, fruit, tmp_path, monkeypatch, request
):
    if name != "efficientnet_lite0":
        monkeypatch.setenv("FEATX_WEIGHTS", str(request.getfixturevalue("weights_dir")))
    options = {"engine": engine, "progress": False}
    poolings = ("avg", "max")
    made = together(fruit / "test", name, poolings, cache=tmp_path / "together", **options)
    for each, pooling in zip(made, poolings, strict=True):
        alone = featx.embed(
            fruit / "test", name, pooling=pooling, cache=tmp_path / "alone", **options
        )
        assert alone.recipe == each.recipe
        assert alone.X.tobytes() == each.X.tobytes()
