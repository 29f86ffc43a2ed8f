"""A Keras model of a user's own is a backbone, which its digest tells from every other."""

from __future__ import annotations

import pytest

import featx
from featx.backbones.backbone import Backbone
from featx.backbones.framework import import_keras
from featx.errors import OptionError

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
