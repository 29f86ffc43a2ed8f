"""The engine of pixels gives pictures as they are, from the cache like all features."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import fakes
import numpy as np
import pytest
from PIL import Image

import featx
from featx.features.matrix import Features


@pytest.fixture
def photos(tmp_path):
    return fakes.draw_folder(tmp_path / "photos", each=2)


def test_a_picture_of_the_right_size_is_its_own_feature(tmp_path):
    path = fakes.draw(tmp_path / "a.png", (200, 40, 90), size=(16, 16), seed=1)
    features = featx.embed(path, "pixels", input_size=16)
    with Image.open(path) as image:
        assert np.array_equal(features.X[0], np.asarray(image))
    assert features.X.dtype == np.float32
    assert features.feature_names[-1] == "pixels_767"


def test_pixels_go_through_the_cache_and_a_file_like_any_features(photos, tmp_path):
    first, second = featx.embed(photos, "pixels"), featx.embed(photos, "pixels")
    assert {outcome.status for outcome in second.outcomes} == {"cached"}
    assert np.array_equal(first.X, second.X)
    first.save(tmp_path / "pixels.npz")
    loaded = Features.load(tmp_path / "pixels.npz")
    assert loaded.recipe == first.recipe
    assert np.array_equal(loaded.X, first.X)


@pytest.mark.filterwarnings("ignore:the weights of")
def test_pixels_and_a_network_are_embedded_together(photos, fake_engine):
    pixels, features = featx.embed(photos, ["pixels", "resnet50"], weights="random")
    assert pixels.X.shape[1:] == (32, 32, 3)
    assert features.X.shape[1:] == (9,)
    assert pixels.paths.tolist() == features.paths.tolist()


def test_pixels_need_neither_weights_nor_a_framework(photos):
    code = (
        "import featx, sys; featx.embed(sys.argv[1], 'pixels'); "
        "print(*{'keras', 'openvino', 'tensorflow'} & set(sys.modules))"
    )
    root = Path(featx.__file__).parents[1]
    run = subprocess.run(
        [sys.executable, "-c", code, photos],
        env={"PATH": "", "PYTHONPATH": str(root), "FEATX_CACHE": f"{photos}.cache"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == []
