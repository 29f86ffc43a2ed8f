"""A network is cut at a layer, pooled, and computes in the numbers that are asked for."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from featx.backbones.applications import build
from featx.backbones.backbone import Backbone
from featx.backbones.framework import import_keras
from featx.backbones.network import JOINT_POOLINGS, Cut, cut_network, named_layers
from featx.backbones.table import find
from featx.errors import OptionError, UnknownLayerError

# -- Layers and poolings -------------------------------------------------------------------------


@pytest.mark.keras
def test_the_second_network_of_a_session_has_the_layer_names_of_the_first():
    names = [
        list(named_layers(build(find("xception"), 96, top=False, pooling=None))) for _ in range(2)
    ]
    assert names[0] == names[1]
    assert {"conv2d", "conv2d_3", "batch_normalization", "block14_sepconv2_act"} <= set(names[0])


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore:the weights of")
def test_an_unknown_layer_is_named_together_with_those_that_are_near():
    backbone = Backbone.load("resnet50", "random")
    with pytest.raises(UnknownLayerError, match=r"no layer 'conv5_block3_outt'.*conv5_block3_out"):
        cut_network(backbone, Cut(layer="conv5_block3_outt"), ("avg",), 64)


@pytest.mark.keras
def test_joint_poolings_are_side_by_side_what_each_is_alone(small_network, small_pictures):
    backbone = Backbone.from_keras(small_network())
    for order in (JOINT_POOLINGS, JOINT_POOLINGS[::-1]):
        joint = cut_network(backbone, Cut(), order, 16).predict_on_batch(small_pictures)
        alone = [
            cut_network(backbone, Cut(), (pooling,), 16).predict_on_batch(small_pictures)
            for pooling in order
        ]
        np.testing.assert_array_equal(joint, np.concatenate(alone, axis=1), err_msg=str(order))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"pooling": "mean"},
            "unknown pooling 'mean': expected one of avg, max, token, flatten, none",
        ),
        ({"precision": "float16"}, "unknown precision 'float16': expected one of float32, bf"),
    ],
)
def test_a_cut_that_cannot_be_made_is_told_the_known_ones(options, message):
    with pytest.raises(OptionError, match=message):
        Cut(**options)


# -- bfloat16 ------------------------------------------------------------------------------------


def cosines(one, other):
    dots = (one * other).sum(axis=1)
    return dots / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def assert_rounded(backbone, pixels):
    """Check that a network in bfloat16 gives nearly what it gives in float32, but not the same."""
    precise, rounded = (
        cut_network(backbone, Cut(precision=precision), ("avg",), pixels.shape[1])
        for precision in ("float32", "bfloat16")
    )
    expected, features = (each.predict_on_batch(pixels) for each in (precise, rounded))
    assert features.dtype == np.float32
    assert features.shape == expected.shape
    near = cosines(features, expected)
    assert near.min() > 0.999, near
    assert not np.array_equal(features, expected), "it did not compute in bfloat16"


@pytest.mark.keras
@pytest.mark.filterwarnings("ignore:the weights of")
@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenet_v3_small", "convnext_tiny"])
def test_bfloat16_gives_nearly_the_features_of_float32(name, pictures):
    assert_rounded(Backbone.load(name, "random"), pictures)


@pytest.mark.keras
def test_bfloat16_gives_nearly_the_features_of_the_real_resnet50(weights_dir, shared):
    files = sorted((shared / "data" / "imagenet20").glob("*.jpg"))[:4]
    images = [Image.open(file).convert("RGB").resize((224, 224)) for file in files]
    assert_rounded(Backbone.load("resnet50", weights_dir), np.stack(images))


@pytest.mark.keras
def test_bfloat16_reaches_into_networks_inside_a_network(small_pictures):
    """Bare operations, nested networks, and normalisation, which keeps a copy of its weights."""
    keras = import_keras()
    normalization = keras.layers.Normalization(mean=None, variance=None)
    normalization.adapt(small_pictures.astype(np.float32))
    convolution = keras.layers.Conv2D(64, 3, activation="relu")
    inner = keras.Sequential([keras.Input((16, 16, 3)), normalization, convolution])
    pixels = keras.Input((16, 16, 3))
    network = keras.Model(pixels, inner(pixels * 0.5 + 10.0))
    assert_rounded(Backbone.from_keras(network), small_pictures)


@pytest.mark.keras
def test_bfloat16_leaves_a_network_of_the_users_own_as_it_is(small_network, small_pictures):
    network = small_network()
    before = np.asarray(network(small_pictures))
    assert_rounded(Backbone.from_keras(network), small_pictures)
    policies = {layer.dtype_policy.name for layer in network.layers}
    assert policies == {"float32"}
    assert np.array_equal(np.asarray(network(small_pictures)), before)
