"""The reference engine: layers, poolings, batches, networks of the user's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import featx
from featx.backbones.backbone import Backbone
from featx.backbones.engine import open_engine
from featx.backbones.framework import import_keras
from featx.backbones.network import build, cut, named_layers
from featx.backbones.table import find
from featx.errors import OptionError, UnknownLayerError

pytestmark = pytest.mark.keras


def open_keras(backbone, **options):
    options = {"layer": None, "pooling": "avg", "input_size": 64} | options
    return open_engine(backbone, engine="keras", cache=Path("never used"), **options)


def random_engine(name, **options):
    return open_keras(Backbone.load(name, "random"), **options)


@pytest.mark.filterwarnings("ignore:the weights of")
@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet50", "mobilenet_v2"])
def test_a_vector_depends_neither_on_its_neighbours_nor_on_its_place(name, pictures):
    engine = random_engine(name)
    together = engine.embed_batch(pictures)
    reversed_ = engine.embed_batch(pictures[::-1])[::-1]
    alone = np.concatenate([engine.embed_batch(pictures[i : i + 1]) for i in range(len(pictures))])
    assert np.array_equal(together, reversed_)
    assert np.array_equal(together, alone)
    assert together.std(axis=0).max() > 0, "all pictures have the same features"


def test_the_second_network_of_a_session_has_the_layer_names_of_the_first():
    names = [
        list(named_layers(build(find("xception"), 96, top=False, pooling=None))) for _ in range(2)
    ]
    assert names[0] == names[1]
    assert {"conv2d", "conv2d_3", "batch_normalization", "block14_sepconv2_act"} <= set(names[0])


@pytest.mark.filterwarnings("ignore:the weights of")
def test_an_unknown_layer_is_named_together_with_those_that_are_near():
    with pytest.raises(UnknownLayerError, match=r"no layer 'conv5_block3_outt'.*conv5_block3_out"):
        random_engine("resnet50", layer="conv5_block3_outt")


@pytest.mark.filterwarnings("ignore:the weights of")
def test_the_classifier_takes_only_its_own_input_size():
    with pytest.raises(OptionError, match="takes 224 px: got 64"):
        random_engine("vgg16", layer="fc2")


def test_a_network_of_the_users_own_gives_what_it_gives_in_keras(fruit, small_network):
    network = small_network()
    backbone = Backbone.from_keras(network, preprocess="tf")
    folder = fruit / "test"
    options = {"engine": "keras", "progress": False}
    features = featx.embed(folder, backbone, pooling="none", **options)
    assert features.X.shape == (8, 12, 12, 5)
    import keras

    image = keras.utils.load_img(features.paths[3], target_size=(16, 16), interpolation="bilinear")
    pixels = keras.utils.img_to_array(image)[None] / 127.5 - 1
    assert np.allclose(features.X[3], np.asarray(network(pixels))[0], rtol=1e-4, atol=1e-4)
    inner = Backbone.from_keras(network, preprocess="tf", layer="first")
    assert featx.embed(folder, inner, pooling="max", **options).X.shape == (8, 4)


def test_the_digest_of_an_own_network_covers_weights_architecture_and_preprocessing(small_network):
    keras = import_keras()
    digests = {
        "same": Backbone.from_keras(small_network()).digest,
        "weights": Backbone.from_keras(small_network(seed=1)).digest,
        "named preprocessing": Backbone.from_keras(small_network(), preprocess="tf").digest,
        "own preprocessing": Backbone.from_keras(
            small_network(), preprocess=lambda x: x + 1
        ).digest,
    }
    relu = small_network()
    relu.layers[0].activation = keras.activations.relu
    digests["architecture"] = Backbone.from_keras(relu).digest
    assert len(set(digests.values())) == len(digests), digests
    assert Backbone.from_keras(small_network()).digest == digests["same"]
    identity = Backbone.from_keras(small_network(), preprocess=lambda x: x).digest
    assert identity == digests["same"], "a function that does the same has the same digest"


def test_cloning_an_embedder_does_not_copy_an_own_network(small_network):
    from sklearn.base import clone

    embedder = featx.ImageEmbedder(Backbone.from_keras(small_network()))
    assert clone(embedder).backbone.model is embedder.backbone.model


@pytest.mark.parametrize(
    ("shape", "message"),
    [((16, 16, 1), "RGB picture"), ((16, 8, 3), "square pictures"), ((7,), "RGB picture")],
)
def test_a_network_that_takes_no_square_rgb_picture_is_refused(shape, message):
    keras = import_keras()
    network = keras.Sequential([keras.Input(shape), keras.layers.Flatten()])
    with pytest.raises(OptionError, match=message):
        Backbone.from_keras(network)


def test_a_vector_layer_is_taken_as_it_is_whatever_the_pooling():
    keras = import_keras()
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    backbone = Backbone.from_keras(network)
    shapes = {
        pooling: open_keras(backbone, pooling=pooling, input_size=8).shape
        for pooling in ("avg", "max", "flatten", "none")
    }
    assert set(shapes.values()) == {(192,)}, shapes


@pytest.mark.filterwarnings("ignore:the weights of")
@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_convnext_normalises_after_pooling_as_keras_does(pooling, pictures):
    keras = import_keras()
    network = keras.applications.ConvNeXtTiny(
        weights=None, include_top=False, input_shape=(64, 64, 3), pooling=pooling
    )
    engine = random_engine("convnext_tiny", pooling=pooling)
    network.set_weights(engine._model.get_weights())
    expected = network.predict_on_batch(pictures.astype(np.float32))
    assert np.abs(engine.embed_batch(pictures) - expected).max() < 1e-4 * np.abs(expected).max()


def test_the_batches_of_the_keras_engine_suit_the_device(monkeypatch, small_network):
    backbone = Backbone.from_keras(small_network())
    cpu = open_keras(backbone, input_size=16)
    assert (cpu.batch_size, cpu.streams) == (8, 1)
    monkeypatch.setattr("featx.backbones.keras_engine.has_gpu", lambda: True)
    gpu = open_keras(backbone, input_size=16, pooling="max")
    assert (gpu.batch_size, gpu.streams) == (64, 2)
    assert open_keras(backbone, input_size=16, batch_size=3).batch_size == 3


# -- bfloat16 ------------------------------------------------------------------------------------


def cosines(one, other):
    dots = (one * other).sum(axis=1)
    return dots / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def assert_rounded(network, pixels):
    """Check that a network in bfloat16 gives nearly what it gives in float32, but not the same."""
    precise, rounded = (
        cut(network, layer=None, pooling="avg", input_size=pixels.shape[1], precision=precision)
        for precision in ("float32", "bfloat16")
    )
    expected, features = (each.predict_on_batch(pixels) for each in (precise, rounded))
    assert features.dtype == np.float32
    assert features.shape == expected.shape
    near = cosines(features, expected)
    assert near.min() > 0.999, near
    assert not np.array_equal(features, expected), "it did not compute in bfloat16"


@pytest.mark.filterwarnings("ignore:the weights of")
@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenet_v3_small", "convnext_tiny"])
def test_bfloat16_gives_nearly_the_features_of_float32(name, pictures):
    assert_rounded(Backbone.load(name, "random"), pictures)


def test_bfloat16_gives_nearly_the_features_of_the_real_resnet50(weights_dir, shared):
    files = sorted((shared / "data" / "imagenet20").glob("*.jpg"))[:4]
    images = [Image.open(file).convert("RGB").resize((224, 224)) for file in files]
    assert_rounded(Backbone.load("resnet50", weights_dir), np.stack(images))


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


def test_bfloat16_leaves_a_network_of_the_users_own_as_it_is(small_network, small_pictures):
    network = small_network()
    before = np.asarray(network(small_pictures))
    assert_rounded(Backbone.from_keras(network), small_pictures)
    policies = {layer.dtype_policy.name for layer in network.layers}
    assert policies == {"float32"}
    assert np.array_equal(np.asarray(network(small_pictures)), before)
