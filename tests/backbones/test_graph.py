"""A layer can be read wherever it is in a network, and is never taken for another one."""

from __future__ import annotations

import numpy as np
import pytest

from featx.backbones.backbone import Backbone
from featx.backbones.framework import import_keras
from featx.backbones.graph import output_of
from featx.backbones.network import FLOATS, Cut, cut_network
from featx.errors import OptionError, UnknownLayerError

pytestmark = pytest.mark.keras


def read(network, layer, pixels, pooling="none", **cut):
    """Return what a layer gives for some pixels."""
    model = cut_network(Backbone.from_keras(network), Cut(layer=layer, **cut), (pooling,), 16)
    return model.predict_on_batch(pixels)


def branches(keras):
    """Return the input and the outputs of two branches, which share their first layer."""
    pixels = keras.Input((16, 16, 3))
    stem = keras.layers.Conv2D(4, 3, name="stem")(pixels)
    return pixels, [keras.layers.Conv2D(n, 3, name=f"head_{n}")(stem) for n in (2, 5)]


@pytest.mark.parametrize("precision", FLOATS)
def test_a_layer_of_a_network_inside_a_network_has_a_name(precision, small_network, small_pictures):
    keras = import_keras()
    inner = small_network()
    outer = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Rescaling(1 / 255), inner, keras.layers.Flatten()]
    )
    deep = keras.Sequential([keras.Input((16, 16, 3)), outer], name="deep")
    expected = np.asarray(inner.layers[0](small_pictures / np.float32(255)))
    for network, name in ((outer, "mine/first"), (deep, f"{outer.name}/mine/first")):
        found = read(network, name, small_pictures, precision=precision)
        tolerance = 1e-5 if precision == "float32" else 0.02
        np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("name", ["first", "mine/frist", "mine/first/first", "first/mine"])
def test_an_unknown_layer_is_answered_by_those_inside_of_networks(name, small_network):
    keras = import_keras()
    outer = keras.Sequential([keras.Input((16, 16, 3)), small_network()], name="outer")
    with pytest.raises(UnknownLayerError) as caught:
        read(outer, name, None)
    assert str(caught.value).startswith(f"outer has no layer {name!r}: expected one of its 3 lay")
    assert "mine/first" in str(caught.value)


def test_the_beginning_of_a_name_is_answered_by_the_last_layer_that_has_it():
    layers = dict.fromkeys(["conv4_block1_out", "conv4_block6_out", "conv5_block1_out", "pool"])
    with pytest.raises(UnknownLayerError, match="such as conv4_block6_out"):
        output_of(None, layers, "conv4", "resnet50")


@pytest.mark.parametrize("named", [False, True])
def test_a_network_of_several_outputs_is_read_only_where_one_is_named(named, small_pictures):
    keras = import_keras()
    pixels, (two, five) = branches(keras)
    network = keras.Model(pixels, {"a": two, "b": five} if named else [two, five], name="both")
    with pytest.raises(OptionError, match=r"both has 2 outputs.* layer='head_2'.*head_2, head_5"):
        read(network, None, small_pictures)
    assert read(network, "head_5", small_pictures).shape[-1] == 5


def test_a_layer_that_is_called_elsewhere_is_read_inside_the_network(small_pictures):
    keras = import_keras()
    pixels, shared = keras.Input((16, 16, 3)), keras.layers.ReLU(100.0, name="shared")
    shared(pixels)  # the first call, which is of no network
    network = keras.Model(pixels, shared(keras.layers.Rescaling(0.5)(pixels)))
    expected = np.minimum(small_pictures * np.float32(0.5), 100)
    np.testing.assert_array_equal(read(network, "shared", small_pictures), expected)


def test_a_layer_that_is_called_twice_is_not_read(small_pictures):
    keras = import_keras()
    pixels, twice = keras.Input((16, 16, 3)), keras.layers.ReLU(name="twice")
    network = keras.Model(pixels, twice(twice(pixels)), name="mine")
    with pytest.raises(OptionError, match="mine calls its layer 'twice' 2 times: expected one"):
        read(network, "twice", small_pictures)


def test_maps_with_their_channels_first_are_pooled_over_their_places(small_pictures):
    keras = import_keras()
    pixels = keras.Input((16, 16, 3))
    turned = keras.layers.Permute((3, 1, 2))(pixels)
    first = keras.layers.ZeroPadding2D(1, data_format="channels_first")(turned)
    again = keras.layers.Permute((2, 3, 1))(first)
    expected = small_pictures.max(axis=(1, 2))
    for output in (keras.layers.ReLU()(first), again):
        found = read(keras.Model(pixels, output), None, small_pictures, "max")
        np.testing.assert_array_equal(found, expected)
