"""A network in an ONNX file with a head behind it, as one ONNX model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.framework import import_keras
from featx.backbones.network import Cut
from featx.backbones.network_file import NetworkFile
from featx.backbones.openvino_graph import source_of
from featx.backbones.openvino_network import (
    channels_first,
    has_channels_last,
    network_up_to,
    token_grid,
)
from featx.backbones.preprocessing import Preprocessing
from featx.errors import OptionError
from featx.export.onnx_file import composed

if TYPE_CHECKING:
    import keras
    import onnx
    import openvino


def is_onnx_network(backbone: Backbone) -> bool:
    """Whether a network is one in an ONNX file."""
    source = backbone.source
    return isinstance(source, NetworkFile) and source.path.suffix.lower() == ".onnx"


def onnx_with_head(
    backbone: Backbone, cut: Cut, input_size: int, head: keras.Model
) -> onnx.ModelProto:
    """Return the whole of a network in an ONNX file, from pixels to probabilities.

    Parameters
    ----------
    backbone : Backbone
        Of which `is_onnx_network`.
    cut : Cut
        The layer that is read, and its pooling.
    input_size : int
        Side of the pictures, in pixels.
    head : keras.Model
        From features to probabilities.

    Raises
    ------
    OptionError
        A function of a user's own prepares its pixels, or its layer is none of the file's.
    ConversionError
        The parts cannot be put together.
    """
    import onnx

    if not isinstance(backbone.preprocess, Preprocessing):
        raise OptionError(
            f"pixels of {backbone.name} go through a function of your own, which no file can "
            "hold: give preprocess as numbers, and train again"
        )
    network = onnx.load(cast(NetworkFile, backbone.source).path)
    cut_off = network_up_to(backbone, cut.layer, input_size)
    (entry,), output = cut_off.inputs, source_of(cut_off.output(0))
    tensors = {name for node in network.graph.node for name in node.output}
    found = sorted(tensors & output.get_names())
    taken = sorted({each.name for each in network.graph.input} & entry.get_names())
    if not found or not taken:
        raise OptionError(
            f"the layer {cut.layer} is none that {backbone.name} names itself: export to "
            "openvino, or read another layer"
        )
    before = _prepared(backbone.preprocess, input_size, channels_first(entry.get_partial_shape()))
    after = _pooled(backbone, cut.pooling, output, head)
    return composed(before, network, (taken[0], found[0]), after)


def _prepared(preprocessing: Preprocessing, size: int, channels_first: bool) -> keras.Model:
    """Return what goes from pixels to the input of the network."""
    keras = import_keras()
    pixels = keras.Input((size, size, 3), dtype="uint8", name="pixels")
    x = keras.ops.cast(pixels, "float32")
    if preprocessing.bgr:
        x = keras.ops.take(x, np.array([2, 1, 0]), axis=-1)
    if any(preprocessing.mean):
        x = x - np.asarray(preprocessing.mean, np.float32)
    if set(preprocessing.scale) != {1.0}:
        x = x / np.asarray(preprocessing.scale, np.float32)
    if channels_first:
        x = keras.ops.transpose(x, (0, 3, 1, 2))
    return keras.Model(pixels, x, name="prepared")


def _pooled(
    backbone: Backbone, pooling: str, output: openvino.Output, head: keras.Model
) -> keras.Model:
    """Return what goes from the layer that is read to probabilities."""
    keras = import_keras()
    shape = tuple(output.get_partial_shape().to_shape())[1:]
    layer = keras.Input(shape, dtype="float32", name="layer")
    x: Any = layer
    axes: tuple[int, ...] = ()
    if len(shape) == 2 and pooling == "token":
        x = x[:, 0]
    elif len(shape) == 2:
        _, prefix = token_grid(output, cast(NetworkFile, backbone.source).prefix_tokens, "")
        x, axes = x[:, prefix:], (1,)
    elif len(shape) == 3 and has_channels_last(output):
        axes = (1, 2)
    elif len(shape) == 3:
        x, axes = keras.ops.transpose(x, (0, 2, 3, 1)), (1, 2)
    if axes and pooling in ("avg", "max"):
        x = (keras.ops.mean if pooling == "avg" else keras.ops.max)(x, axis=axes)
    elif axes:
        x = keras.layers.Flatten()(x)
    return keras.Model(layer, head(x), name="pooled")
