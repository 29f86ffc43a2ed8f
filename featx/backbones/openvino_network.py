"""The network of a backbone in OpenVINO's form, cut at a layer: from pixels to features."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from featx.backbones.backbone import Backbone, OpenVINOSource
from featx.backbones.framework import import_openvino
from featx.backbones.network import Cut
from featx.backbones.openvino_graph import (
    ancestors_of,
    channel_axis,
    layers_of,
    output_of,
    source_of,
)
from featx.backbones.preprocessing import Preprocessing
from featx.errors import OptionError, one_line
from featx.text import listed, printable

if TYPE_CHECKING:
    import openvino

_MOST_PREFIX_TOKENS = 16  # class token, distillation token, registers


def cut_openvino_network(
    backbone: Backbone, cut: Cut, poolings: tuple[str, ...], input_size: int
) -> openvino.Model:
    """Cut a network at a layer, put its preprocessing before it and poolings behind it.

    The model goes from pixels to features as that of `featx.backbones.network.cut_network` does. It
    takes any number of pictures at once, where the network does, else one.
    """
    network = network_up_to(backbone, cut.layer, input_size)
    (entry,), output = network.get_parameters(), source_of(network.output(0))
    tokens = cast(OpenVINOSource, backbone.source).prefix_tokens
    features = [_pooled(output, each, tokens, backbone.name) for each in poolings]
    return _with_pixels(entry, features, backbone, input_size)


def network_up_to(backbone: Backbone, layer: str | None, input_size: int) -> openvino.Model:
    """Return a network up to a layer, for one prepared picture of a size."""
    whole = cast(OpenVINOSource, backbone.source).model(input_size)
    output = output_of(whole, layer, backbone.name)
    entry = _entry(output, backbone.name)
    network: openvino.Model = import_openvino().Model([output], [entry])
    _set_size(network, entry, backbone.name, input_size)
    return network


def layer_shapes(backbone: Backbone) -> dict[str, tuple[int, ...]]:
    """Return the shape of what each layer of a network gives, as the network has it.

    Layers go by the names of the tensors that they give; those of which the shape varies, or that
    give no numbers of 1 to 3 axes for a picture, are left out.
    """
    network = network_up_to(backbone, None, backbone.input_size)
    shapes = {}
    for each in dict.fromkeys(layers_of(network).values()):
        shape, names = each.get_partial_shape(), each.get_names()
        if names and each.get_element_type().is_real() and shape.is_static and 2 <= len(shape) <= 4:
            shapes[min(names, key=lambda name: (len(name), name))] = tuple(shape.to_shape())[1:]
    return shapes


def channels_first(shape: openvino.PartialShape) -> bool:
    """Whether pictures of a shape have their channels before their rows, as nearly all of ONNX."""
    channels_last = shape[3].is_static and shape[3].get_length() == 3
    return not channels_last or (shape[1].is_static and shape[1].get_length() == 3)


def _entry(output: openvino.Output, name: str) -> Any:
    """Return the one input that a layer is computed from, which takes pictures."""
    entries = [node for node in ancestors_of(output) if node.get_type_name() == "Parameter"]
    if len(entries) != 1:
        names = sorted(each.get_friendly_name() for each in entries)
        raise OptionError(
            f"{name} computes this layer from {len(entries)} inputs ({listed(names) or 'none'}): "
            "expected one picture; choose another layer"
        )
    shape = entries[0].get_partial_shape()
    if shape.rank.is_dynamic or len(shape) != 4 or not _may_be(shape[1], 3) | _may_be(shape[3], 3):
        raise OptionError(
            f"a backbone takes one RGB picture, input shape (n, 3, size, size): {name} has input "
            f"shape {shape}"
        )
    return entries[0]


def _may_be(dimension: openvino.Dimension, length: int) -> bool:
    return bool(dimension.is_dynamic or dimension.get_length() == length)


def _set_size(network: openvino.Model, entry: Any, name: str, size: int) -> None:
    """Let a network take one picture of a size, for the shapes of all that it gives."""
    shape = entry.get_partial_shape()
    sides = (shape[2], shape[3]) if channels_first(shape) else (shape[1], shape[2])
    if not all(_may_be(side, size) for side in sides):
        raise OptionError(
            f"{name} does not take pictures of {size} px: its input has shape {shape}; leave the "
            "input size out"
        )
    try:
        network.reshape([1, 3, size, size] if channels_first(shape) else [1, size, size, 3])
    except RuntimeError as error:
        raise OptionError(
            f"{name} does not take pictures of {size} px ({one_line(error)}); choose another "
            "input size"
        ) from error


def _with_pixels(
    entry: Any, features: list[openvino.Output], backbone: Backbone, size: int
) -> openvino.Model:
    """Put pixels and their preprocessing in the place of the input of a network."""
    openvino = import_openvino()
    ops = openvino.opset13
    folded = isinstance(backbone.preprocess, Preprocessing)
    pixels = ops.parameter([1, size, size, 3], np.uint8 if folded else np.float32, name="pixels")
    prepared = pixels
    if isinstance(backbone.preprocess, Preprocessing):
        prepared = _preprocessed(ops.convert(pixels, np.float32), backbone.preprocess)
    if channels_first(entry.get_partial_shape()):
        prepared = ops.transpose(prepared, np.array([0, 3, 1, 2]))
    if entry.get_element_type() != openvino.Type.f32:
        prepared = ops.convert(prepared, entry.get_element_type())
    entry.output(0).replace(prepared.output(0))
    joined = features[0] if len(features) == 1 else ops.concat(features, -1).output(0)
    name = printable(backbone.name)  # which may be that of a file, and no UTF-8
    model = openvino.Model([ops.convert(joined, np.float32).output(0)], [pixels], name)
    shape = _feature_shape(model, backbone.name)
    _let_batches_vary(model, size, shape)
    return model


def _preprocessed(pixels: Any, preprocessing: Preprocessing) -> Any:
    """Do inside the network what `Preprocessing.__call__` does to an array."""
    ops = import_openvino().opset13
    if preprocessing.bgr:
        pixels = ops.gather(pixels, np.array([2, 1, 0]), np.array(3))
    if any(preprocessing.mean):
        pixels = ops.subtract(pixels, np.array(preprocessing.mean, np.float32))
    if set(preprocessing.scale) != {1.0}:
        pixels = ops.divide(pixels, np.array(preprocessing.scale, np.float32))
    return pixels


def _feature_shape(model: openvino.Model, name: str) -> tuple[int, ...]:
    """Return the shape of what a network gives for one picture."""
    shape = model.output(0).get_partial_shape()
    if shape.is_dynamic or len(shape) < 2 or shape[0].get_length() != 1:
        raise OptionError(
            f"{name} gives features of shape {shape} for one picture: expected one row of a shape "
            "that does not vary; choose another layer"
        )
    return tuple(shape.to_shape())[1:]


def _let_batches_vary(model: openvino.Model, size: int, shape: tuple[int, ...]) -> None:
    """Let a network take any number of pictures, unless it is made for one at a time."""
    try:
        model.reshape([2, size, size, 3])
        varies = tuple(model.output(0).get_partial_shape().to_shape()) == (2, *shape)
        model.reshape([-1 if varies else 1, size, size, 3])
    except (RuntimeError, ValueError):
        model.reshape([1, size, size, 3])


def _pooled(
    output: openvino.Output, pooling: str, prefix_tokens: int | None, name: str
) -> openvino.Output:
    """Make a vector of what a layer gives for one picture, or its map with the channels last."""
    shape = output.get_partial_shape()
    if shape.is_dynamic:
        raise OptionError(
            f"{name} gives features of shape {shape}, which varies with the picture; choose "
            "another layer"
        )
    axes = tuple(shape.to_shape())
    if len(axes) == 2:
        return output
    if len(axes) == 3:
        return _pooled_tokens(output, pooling, prefix_tokens, name)
    if len(axes) == 4 and pooling != "token":
        return _pooled_map(output, pooling)
    advice = "pooling='avg'" if pooling == "token" else "another layer"
    raise OptionError(
        f"{pooling} pooling takes {'tokens' if pooling == 'token' else 'a map'}: got a layer of "
        f"shape {axes[1:]} of {name}; use {advice}"
    )


def _pooled_map(output: openvino.Output, pooling: str) -> openvino.Output:
    """Pool a map over its rows and columns, or bring its channels to the end."""
    ops = import_openvino().opset13
    channels_last = has_channels_last(output)
    if pooling in ("avg", "max"):
        reduce = ops.reduce_mean if pooling == "avg" else ops.reduce_max
        axes = np.array([1, 2] if channels_last else [2, 3])
        return reduce(output, axes, keep_dims=False).output(0)
    if not channels_last:
        output = ops.transpose(output, np.array([0, 2, 3, 1])).output(0)
    return _flat(output) if pooling == "flatten" else output


def has_channels_last(output: openvino.Output) -> bool:
    """Whether a map has its channels behind its rows and columns."""
    _, first, second, third = output.get_partial_shape().to_shape()
    # Pictures are square, so the channels are the axis that differs, if one does.
    return bool(first == second and (second != third or channel_axis(output) == 3))


def _pooled_tokens(
    output: openvino.Output, pooling: str, prefix_tokens: int | None, name: str
) -> openvino.Output:
    """Take the class token, which is the first, or pool those of patches."""
    ops = import_openvino().opset13
    _, tokens, channels = output.get_partial_shape().to_shape()
    grid, prefix = token_grid(output, prefix_tokens, name)
    if pooling == "token":
        if not prefix:
            raise OptionError(
                f"{name} has no class token: its {tokens} tokens are those of {grid} x {grid} "
                "patches; use pooling='avg'"
            )
        return ops.gather(output, np.array(0), np.array(1)).output(0)
    if prefix:
        first, last, step, axis = (np.array([each]) for each in (prefix, tokens, 1, 1))
        output = ops.slice(output, first, last, step, axis).output(0)
    if pooling in ("avg", "max"):
        reduce = ops.reduce_mean if pooling == "avg" else ops.reduce_max
        return reduce(output, np.array([1]), keep_dims=False).output(0)
    if pooling == "flatten":
        return _flat(output)
    shape = np.array([0, grid, grid, channels])  # 0 keeps the number of pictures
    return ops.reshape(output, shape, special_zero=True).output(0)


def token_grid(output: openvino.Output, prefix_tokens: int | None, name: str) -> tuple[int, int]:
    """Return the side of the grid of patches, and how many tokens stand before theirs."""
    tokens = output.get_partial_shape().to_shape()[1]
    side = math.isqrt(tokens - (prefix_tokens or 0))
    if prefix_tokens is None:
        prefix_tokens = tokens - side * side
        if prefix_tokens and not _has_map(output, side):
            side = 0
    if side * side + prefix_tokens != tokens or prefix_tokens > _MOST_PREFIX_TOKENS or not side:
        raise OptionError(
            f"{name} gives {tokens} tokens, which are no square grid of patches with a few tokens "
            "before it; choose another layer or input size"
        )
    return side, prefix_tokens


def _has_map(output: openvino.Output, side: int) -> bool:
    """Whether a layer is computed from a map of so many rows and columns."""
    shapes = [
        tuple(each.get_partial_shape().to_shape())
        for node in ancestors_of(output)
        for each in node.outputs()
        if each.get_partial_shape().is_static
    ]
    return any(len(shape) == 4 and (side, side) in (shape[1:3], shape[2:4]) for shape in shapes)


def _flat(output: openvino.Output) -> openvino.Output:
    ops = import_openvino().opset13
    return ops.reshape(output, np.array([0, -1]), special_zero=True).output(0)
