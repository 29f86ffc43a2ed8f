"""A Keras model of a user's own is a backbone, which its digest tells from every other."""

from __future__ import annotations

import fakes
import numpy as np
import pytest

import featx
from featx.backbones.backbone import Backbone
from featx.backbones.framework import import_keras
from featx.errors import OptionError, RecipeMismatchError

pytestmark = pytest.mark.keras


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


def test_the_digest_of_an_own_network_covers_what_its_layers_take(tmp_path):
    keras = import_keras()

    def joined(join):
        keras.utils.set_random_seed(0)
        pixels = keras.Input((8, 8, 3), name="pixels")
        first = keras.layers.Conv2D(3, 3, padding="same", name="first")(pixels)
        second = keras.layers.Conv2D(3, 3, padding="same", name="second")(first)
        return keras.Model(pixels, join(keras, pixels, first, second))

    def subtract(keras, one, other):
        return keras.layers.Subtract(name="less")([one, other])

    networks = [
        joined(lambda keras, _, first, second: subtract(keras, first, second)),
        joined(lambda keras, _, first, second: subtract(keras, second, first)),
        joined(lambda keras, _, first, second: keras.ops.multiply(second, 0.5)),
        joined(lambda keras, _, first, second: keras.ops.multiply(second, 0.7)),
        joined(lambda keras, _, first, second: keras.ops.mean(second, axis=(1, 2))),
        joined(lambda keras, _, first, second: keras.ops.mean(second, axis=(1, 3))),
    ]
    digests = [Backbone.from_keras(network).digest for network in networks]
    assert len(set(digests)) == len(digests), digests
    for number, network in enumerate(networks):
        network.save(tmp_path / f"{number}.keras")
        again = keras.models.load_model(tmp_path / f"{number}.keras")
        assert Backbone.from_keras(again).digest == digests[number], "it was only saved and loaded"


def assert_as_in_keras(photos, backbone, network, **options):
    """Check that features of a network are those that Keras gives now."""
    pictures = featx.embed(photos, "pixels", input_size=16, progress=False).X
    expected = np.asarray(network(pictures)).mean(axis=(1, 2))
    features = featx.embed(photos, backbone, progress=False, **options)
    np.testing.assert_allclose(features.X, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("engine", ["keras", "openvino"])
@pytest.mark.parametrize("cache", [None, False])
def test_an_own_network_that_was_trained_on_gives_its_new_features(
    photos, small_network, engine, cache
):
    network, other = small_network(), small_network()
    backbone, same = Backbone.from_keras(network), Backbone.from_keras(other)
    options = {"engine": engine, "cache": cache}
    assert_as_in_keras(photos, backbone, network, **options)
    before = network.get_weights()
    network.set_weights([each + 1 for each in before])
    assert_as_in_keras(photos, backbone, network, **options)
    assert_as_in_keras(
        photos, same, other, **options
    )  # the same digest as the first had, and still has
    network.set_weights(before)
    assert_as_in_keras(photos, backbone, network, **options)


def test_a_model_does_not_predict_by_an_own_network_that_was_trained_on(small_network, photos):
    network = small_network()
    backbone = Backbone.from_keras(network)
    model = featx.train(photos, "knn", backbone=backbone, progress=False)
    expected = model.predict(photos, progress=False)
    before = network.get_weights()
    network.set_weights([each + 1 for each in before])
    with pytest.raises(RecipeMismatchError, match="it was trained or changed since, or is another"):
        model.predict(photos, progress=False)
    network.set_weights(before)
    np.testing.assert_array_equal(model.predict(photos, progress=False), expected)


def test_a_model_of_an_earlier_version_knows_a_branched_network_by_its_digest_of_then(
    photos, tmp_path
):
    keras = import_keras()
    pixels = keras.Input((8, 8, 3))
    backbone = Backbone.from_keras(keras.Model(pixels, keras.layers.ReLU()(pixels) * 0.5))
    now, then = backbone.source.digests()
    assert backbone.digest == now
    model = featx.train(photos, "knn", backbone=backbone, progress=False)
    model.save(tmp_path / "own.featx")
    document = fakes.about(tmp_path / "own.featx")
    document["recipe"]["weights"] = then
    fakes.rewrite(tmp_path / "own.featx", document)
    loaded = featx.load(tmp_path / "own.featx", backbone=backbone)
    found = loaded.predict(photos, progress=False)
    np.testing.assert_array_equal(found, model.predict(photos, progress=False))


def test_cloning_an_embedder_does_not_copy_an_own_network(small_network):
    from sklearn.base import clone

    network = small_network()
    embedder = featx.ImageEmbedder(Backbone.from_keras(network))
    assert clone(embedder).backbone.source.model is network


@pytest.mark.parametrize(
    ("shape", "message"),
    [((16, 16, 1), "RGB picture"), ((16, 8, 3), "square pictures"), ((7,), "RGB picture")],
)
def test_a_network_that_takes_no_square_rgb_picture_is_refused(shape, message):
    keras = import_keras()
    network = keras.Sequential([keras.Input(shape), keras.layers.Flatten()])
    with pytest.raises(OptionError, match=message):
        Backbone.from_keras(network)
