"""The networks of the table are built as Keras builds them, and pooled as Keras pools them."""

from __future__ import annotations

import numpy as np
import pytest

from featx.backbones.backbone import Backbone
from featx.backbones.framework import import_keras
from featx.backbones.network import Cut, cut_network
from featx.backbones.table import find
from featx.errors import OptionError, WeightsError

pytestmark = [pytest.mark.keras, pytest.mark.filterwarnings("ignore:the weights of")]


def test_the_classifier_takes_only_its_own_input_size():
    with pytest.raises(OptionError, match="takes 224 px: got 64"):
        cut_network(Backbone.load("vgg16", "random", layer="fc2"), Cut(layer="fc2"), ("avg",), 64)


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_convnext_normalises_after_pooling_as_keras_does(pooling, pictures):
    keras = import_keras()
    network = keras.applications.ConvNeXtTiny(
        weights=None, include_top=False, input_shape=(64, 64, 3), pooling=pooling
    )
    backbone = Backbone.load("convnext_tiny", "random")
    ours = cut_network(backbone, Cut(pooling=pooling), (pooling,), 64)
    network.set_weights(ours.get_weights())
    expected = network.predict_on_batch(pictures.astype(np.float32))
    difference = np.abs(ours.predict_on_batch(pictures) - expected).max()
    assert difference < 1e-4 * np.abs(expected).max()


def test_a_weights_file_that_was_replaced_is_not_read_under_the_digest_of_the_former(tmp_path):
    network, path = find("mobilenet_v3_small").build(include_top=False), tmp_path / "a.weights.h5"
    network.save_weights(path)
    backbone = Backbone.load("mobilenet_v3_small", path)
    network.set_weights([each + 1 for each in network.get_weights()])
    network.save_weights(path)
    with pytest.raises(WeightsError, match="was replaced by another file after mobilenet_v3_small"):
        cut_network(backbone, Cut(), ("avg",), 32)
    cut_network(Backbone.load("mobilenet_v3_small", path), Cut(), ("avg",), 32)
