"""Pixels in place of a network: a picture stands for itself, as a baseline learns from it."""

from __future__ import annotations

from pathlib import Path

from featx.backbones.backbone import Backbone
from featx.backbones.kinds import PIXELS
from featx.backbones.preprocessing import PREPROCESSING_VERSION, PREPROCESSINGS
from featx.errors import UnknownLayerError

PIXELS_DIGEST = "pixels-1"  # raise the number where `engines.pixels` changes a value
PIXELS_SIZE = 32  # px; see `featx.learning.scratch`
SMALLEST_SIZE = 8  # px


def load(name: str, weights: str | Path, layer: str | None) -> Backbone:
    """Take pictures as they are; see `Backbone.load`."""
    if layer is not None:
        raise UnknownLayerError(f"pixels have no layer {layer!r}: leave the layer out")
    return Backbone(
        name=PIXELS,
        digest=PIXELS_DIGEST,
        input_size=PIXELS_SIZE,
        min_size=SMALLEST_SIZE,
        preprocessing=f"none/{PREPROCESSING_VERSION}",
        preprocess=PREPROCESSINGS["none"],
        kind=PIXELS,
    )
