"""The table of backbones, held against Keras's own source."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from featx.backbones import table
from featx.backbones.preprocessing import PREPROCESSINGS
from featx.errors import UnknownBackboneError

KERAS_NETWORKS = [spec for spec in table.BACKBONES.values() if spec.package is None]
CLASSICS = ("vgg16", "vgg19", "inception_v3", "resnet50", "xception")
BIG = 10_000_000  # parameters


def _each(specs):
    """Parametrize by network; the many others that take long run with the slow tests."""
    return [
        pytest.param(
            spec,
            id=spec.name,
            marks=[pytest.mark.slow] if spec.parameters > BIG and spec.name not in CLASSICS else [],
        )
        for spec in specs
    ]


def _multiplications(model):
    """Count those of convolutions and dense layers, for one picture."""
    total = 0
    for layer in model.layers:
        if hasattr(layer, "layers"):
            total += _multiplications(layer)
        if type(layer).__name__ in ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Dense"):
            places = math.prod(layer.output.shape[1:-1])
            kernels = [each for each in layer.weights if "bias" not in each.name]
            total += places * sum(math.prod(each.shape) for each in kernels)
    return total


@pytest.fixture
def no_values():
    """Build networks without values for their weights, which takes a fraction of the time."""
    import keras
    from keras.src.backend.common import global_state

    with keras.StatelessScope(initialize_variables=False):
        yield
    # Else the next such scope of the session draws them all: 20 GB after the slow tests.
    global_state.set_global_attribute("uninitialized_variables", [])


def _builder(spec):
    import keras

    return getattr(keras.applications, spec.builder.removeprefix("keras.applications:"))


def test_the_table_is_keyed_by_names_in_snake_case():
    assert [name for name, spec in table.BACKBONES.items() if spec.name != name] == []
    assert [
        name for name in table.BACKBONES if not name.isidentifier() or name.lower() != name
    ] == []


def test_the_five_classics_and_the_default_are_there():
    assert {*CLASSICS, table.DEFAULT_BACKBONE} <= set(table.BACKBONES)


@pytest.mark.parametrize("name", ["resnet50", "ResNet50", "RESNET50", "resnet-50", "Res_Net 50"])
def test_case_and_hyphens_do_not_matter(name):
    assert table.find(name).name == "resnet50"


def test_an_unknown_name_gets_the_nearest_and_the_whole_list():
    with pytest.raises(UnknownBackboneError) as caught:
        table.find("resnet5")
    message = str(caught.value)
    assert message.startswith(
        "unknown backbone 'resnet5': did you mean 'resnet50'? expected one of"
    )
    assert [name for name in table.BACKBONES if name not in message] == []
    assert "`featx backbones`" in message
    assert "\n" not in message


def test_a_name_that_is_near_to_none_gets_no_guess():
    with pytest.raises(UnknownBackboneError, match="unknown backbone 'qqq': expected one of"):
        table.find("qqq")


@pytest.mark.parametrize("name", [None, 50, ""])
def test_what_is_no_name_is_an_unknown_backbone(name):
    with pytest.raises(UnknownBackboneError, match="unknown backbone"):
        table.find(name)


def test_no_two_files_of_weights_share_a_name_or_an_address():
    files = [file for spec in KERAS_NETWORKS for file in (spec.with_top, spec.without_top)]
    for key in ("name", "address"):
        values = sorted(getattr(file, key) for file in files)
        assert [a for a, b in pairwise(values) if a == b] == []


def test_importing_any_module_of_backbones_loads_no_framework():
    room = Path(table.__file__).parent
    files = sorted(room.rglob("*.py"))
    names = [".".join(file.relative_to(room.parents[1]).with_suffix("").parts) for file in files]
    assert {"featx.backbones.weights", "featx.backbones.engines.keras"} <= set(names)
    heavy = {"keras", "tensorflow", "openvino", "h5py", "pandas"}
    script = "".join(f"import {name}\n" for name in names)
    script += f"import sys; print(*{heavy} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


@pytest.mark.keras
def test_every_classification_network_of_keras_is_in_the_table():
    import keras

    public = {name for name in dir(keras.applications) if name[0].isupper()}
    ours = {spec.builder.removeprefix("keras.applications:") for spec in KERAS_NETWORKS}
    assert public - ours == set()
    assert [name for name in public if _builder(table.find(name)).__name__ != name] == []


@pytest.mark.keras
@pytest.mark.parametrize("top", [False, True], ids=["notop", "top"])
@pytest.mark.parametrize("spec", _each(KERAS_NETWORKS))
def test_the_weights_file_is_the_one_that_keras_would_fetch(spec, top, no_values, monkeypatch):
    from keras.src.utils import file_utils

    class CaughtError(Exception):
        pass

    def catch(name, origin, cache_subdir=None, file_hash=None):
        raise CaughtError(name, origin, cache_subdir, file_hash)

    monkeypatch.setattr(file_utils, "get_file", catch)
    with pytest.raises(CaughtError) as caught:
        _builder(spec)(
            weights="imagenet", include_top=top, input_shape=(spec.input_size,) * 2 + (3,)
        )
    file = spec.with_top if top else spec.without_top
    assert caught.value.args == (file.name, file.address, "models", file.checksum)


@pytest.mark.keras
@pytest.mark.parametrize("spec", _each(table.BACKBONES.values()))
def test_the_network_has_the_width_and_the_parameters_of_the_table(spec, no_values):
    model = spec.build(include_top=False, pooling="avg", input_shape=(spec.input_size,) * 2 + (3,))
    assert model.output_shape == (None, spec.width)
    assert model.count_params() == spec.parameters
    assert _multiplications(model) / 1e9 == pytest.approx(spec.multiplications, rel=0.01)


@pytest.mark.keras
@pytest.mark.parametrize("spec", KERAS_NETWORKS, ids=lambda spec: spec.name)
def test_the_network_takes_nothing_smaller_than_its_smallest_size(spec):
    with pytest.raises(ValueError, match=f"at least {spec.min_size}"):
        spec.build(include_top=False, input_shape=(spec.min_size - 1,) * 2 + (3,))


@pytest.mark.keras
@pytest.mark.parametrize("spec", KERAS_NETWORKS, ids=lambda spec: spec.name)
def test_the_input_size_is_the_default_of_keras(spec, monkeypatch):
    from keras.src.applications import imagenet_utils

    class CaughtError(Exception):
        pass

    def catch(input_shape, default_size, **_):
        raise CaughtError(default_size)

    if spec.name.startswith("mobilenet_v3"):  # takes any size; its weights are for this one
        assert f"_{spec.input_size}_" in spec.with_top.name
        return
    monkeypatch.setattr(imagenet_utils, "obtain_input_shape", catch)
    with pytest.raises(CaughtError) as caught:
        spec.build()
    assert caught.value.args == (spec.input_size,)


@pytest.mark.keras
@pytest.mark.parametrize("spec", KERAS_NETWORKS, ids=lambda spec: spec.name)
def test_the_preprocessing_is_that_of_the_networks_own_module(spec):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    module = sys.modules[_builder(spec).__module__]
    expected = module.preprocess_input(pixels.astype(np.float32))
    ours = PREPROCESSINGS[spec.preprocessing](pixels)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.keras
def test_building_a_network_leaves_the_callers_random_numbers_alone():
    random.seed(7)
    expected = random.random()
    random.seed(7)
    table.find("mobilenet_v3_small").build(include_top=False)
    assert random.random() == expected
