"""Whatever a user has set in Keras, networks give the same features, and the settings stay."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import waits

from featx.backbones.backbone import Backbone
from featx.backbones.engines.engine import EngineRequest
from featx.backbones.engines.keras import KerasEngine
from featx.backbones.engines.openvino import OpenVINOEngine
from featx.backbones.framework import import_keras
from featx.backbones.keras_settings import usual_settings
from featx.backbones.network import Cut

pytestmark = [pytest.mark.keras, pytest.mark.filterwarnings("ignore:the weights of")]

SETTINGS = {
    "floatx": "float16",
    "image_data_format": "channels_first",
    "dtype_policy": "mixed_float16",
    "epsilon": 0.5,
}


@pytest.fixture
def set_in_keras():
    """Return a function that changes a setting of Keras until the test ends."""
    config = import_keras().config
    found = {name: getattr(config, name)() for name in SETTINGS}
    yield lambda name: getattr(config, f"set_{name}")(SETTINGS[name])
    for name, value in found.items():
        getattr(config, f"set_{name}")(value)


def told() -> dict:
    """Return what Keras says of its settings."""
    config = import_keras().config
    settings = {name: getattr(config, name)() for name in SETTINGS}
    return settings | {"dtype_policy": settings["dtype_policy"].name}


@pytest.fixture(scope="session")
def features(pictures_of_noise, tmp_path_factory):
    """Return a function that gives the features of an engine, opened anew."""

    def computed(engine):
        backbone = Backbone.load("mobilenet_v3_small", "random")
        cache = tmp_path_factory.mktemp("engines")
        opened = engine(EngineRequest(backbone, Cut(), ("avg",), 32, cache, 2))
        return opened.embed_batch(pictures_of_noise)

    return computed


@pytest.fixture(scope="session")
def pictures_of_noise():
    return np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def expected(features):
    """The features of each engine where nothing is set."""
    return {engine: features(engine) for engine in (KerasEngine, OpenVINOEngine)}


@pytest.mark.parametrize("engine", [KerasEngine, OpenVINOEngine])
@pytest.mark.parametrize("name", ["floatx", "image_data_format", "dtype_policy"])
def test_features_do_not_depend_on_the_settings_of_keras(
    name, engine, set_in_keras, features, expected
):
    set_in_keras(name)
    before = told()
    np.testing.assert_array_equal(features(engine), expected[engine])
    assert told() == before


def test_a_network_from_scratch_does_not_depend_on_the_settings_of_keras(set_in_keras, monkeypatch):
    from featx.learning.scratch import ScratchNetwork

    monkeypatch.setattr("featx.learning.scratch.baseline.FILTERS", (4, 8))
    X = np.random.default_rng(0).integers(0, 256, (12, 16 * 16 * 3)).astype(np.float32)
    y = np.arange(12) % 2

    def learned():
        return ScratchNetwork(epochs=2).fit(X, y).predict_proba(X)

    usual = learned()
    set_in_keras("floatx")
    set_in_keras("image_data_format")
    np.testing.assert_array_equal(learned(), usual)


def test_a_users_settings_come_back_when_the_last_thread_is_done(set_in_keras):
    for name in SETTINGS:
        set_in_keras(name)
    before, inside = told(), []
    first_in, second_out = threading.Event(), threading.Event()

    def first():
        with usual_settings():
            first_in.set()
            assert second_out.wait(waits.SECONDS)
            inside.append(told())

    thread = threading.Thread(target=first)
    thread.start()
    assert first_in.wait(waits.SECONDS)
    with pytest.raises(ZeroDivisionError), usual_settings():
        raise ZeroDivisionError
    second_out.set()
    waits.for_threads(thread)
    usual = {
        "floatx": "float32",
        "image_data_format": "channels_last",
        "dtype_policy": "float32",
        "epsilon": 1e-7,
    }
    assert inside == [usual]
    assert told() == before


def test_a_policy_that_was_never_set_still_follows_floatx(set_in_keras):
    """Keras settles on a policy where it is first asked for one, thread by thread."""
    found = []

    def work():
        with usual_settings():
            import_keras().layers.Dense(1)
        set_in_keras("floatx")
        found.append(told()["dtype_policy"])

    thread = threading.Thread(target=work)
    thread.start()
    waits.for_threads(thread)
    assert found == ["float16"]
