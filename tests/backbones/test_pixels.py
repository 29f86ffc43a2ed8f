"""The backbone "pixels" has no weights, no layers and no options of a network."""

from __future__ import annotations

import pytest

from featx.backbones.backbone import Backbone
from featx.backbones.network import POOLINGS, PRECISIONS
from featx.errors import OptionError, UnknownLayerError
from featx.features.options import settle
from featx.features.request import Request


def recipe(**options):
    return Request.of("pixels", settle(options)).recipe


@pytest.mark.parametrize(
    "options",
    [
        *({"pooling": each} for each in POOLINGS),
        *({"precision": each} for each in PRECISIONS),
        {"weights": "random"},
    ],
    ids=str,
)
def test_no_option_of_a_network_changes_the_recipe(options):
    assert recipe(**options) == recipe()


def test_the_recipe_keeps_the_map_in_float32_and_knows_the_size():
    plain = recipe()
    assert (plain.pooling, plain.parts[0].cut.precision) == ("none", "float32")
    assert plain != recipe(input_size=64)


def test_pixels_have_no_layers_and_are_not_smaller_than_eight():
    with pytest.raises(UnknownLayerError, match="pixels have no layer 'conv1': leave"):
        Backbone.load("pixels", layer="conv1")
    with pytest.raises(OptionError, match="input size 4 does not fit pixels: expected 8 to"):
        recipe(input_size=4)


def test_a_network_of_ones_own_of_that_name_is_not_mistaken_for_it():
    assert Backbone.load("pixels").is_pixels
    other = Backbone("pixels", "f" * 64, 32, 8, "custom", preprocess=lambda pixels: pixels)
    assert not other.is_pixels
