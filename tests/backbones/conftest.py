"""Small networks and pictures, a folder of weights, and a cache of converted networks."""

from __future__ import annotations

import numpy as np
import pytest

from featx.backbones.framework import import_keras


@pytest.fixture
def pictures():
    """Eight pictures of noise, 64 pixels wide."""
    return np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)


@pytest.fixture
def small_pictures(pictures):
    """The same for `small_network`, 16 pixels wide."""
    return np.ascontiguousarray(pictures[:, :16, :16])


@pytest.fixture(scope="session")
def small_network():
    """Return a function that builds a network of a user's own: two layers, the same every time."""

    def build(seed=0):
        keras = import_keras()
        rng = np.random.default_rng(seed)
        network = keras.Sequential(
            [
                keras.Input((16, 16, 3)),
                keras.layers.Conv2D(4, 3, name="first"),
                keras.layers.Conv2D(5, 3, name="second"),
            ],
            name="mine",
        )
        network.set_weights([rng.normal(size=each.shape) for each in network.get_weights()])
        return network

    return build


@pytest.fixture(scope="session")
def engines(tmp_path_factory):
    """A cache folder for whole networks, so that each is converted once for all tests."""
    return tmp_path_factory.mktemp("engines")


@pytest.fixture
def named_folder(tmp_path, monkeypatch):
    """The folder that `FEATX_WEIGHTS` names, still empty."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("FEATX_WEIGHTS", str(folder))
    return folder
