"""A model in OpenVINO's form: its networks, whatever they are, with the head behind them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.backbones.engines.conversion import converted, keras_converted
from featx.backbones.engines.engine import EngineRequest
from featx.backbones.engines.quantization import quantized
from featx.backbones.engines.reversal import quicken_reversals
from featx.backbones.framework import import_openvino
from featx.errors import one_line
from featx.export.head import keras_head
from featx.export.whole import LEAST_LENGTH, Part, as_float, check_parts, pixel_inputs

if TYPE_CHECKING:
    import openvino


def openvino_whole(
    parts: Sequence[Part], pipeline: Any, temperature: float | None, cache: Path
) -> openvino.Model:
    """Return networks and the fitted pipeline behind them as one model in OpenVINO's form.

    It goes from pixels to probabilities as that of `featx.export.whole.keras_whole` does, and its
    networks may be of any kind: those of Keras are converted, or taken from the cache, where
    embedding keeps them. One that takes a single picture at a time lets the whole do so.

    Raises
    ------
    OptionError
        A step of the pipeline, or the preparation of pixels, cannot be exported.
    ConversionError
        A network cannot be converted.
    """
    openvino = import_openvino()
    ops = openvino.opset13
    check_parts(parts)
    networks = [_network(part, cache) for part in parts]
    takes_several = all(each.input(0).partial_shape[0].is_dynamic for each in networks)
    n = -1 if takes_several else 1
    names = pixel_inputs(parts)
    entries = {
        square: ops.parameter([n, square.size, square.size, 3], np.uint8, name=name)
        for name, square in names.items()
    }
    features = [
        _behind(network, entries[part.square])
        for network, (_, part) in zip(networks, parts, strict=True)
    ]
    joined = features[0]
    if len(features) > 1:
        joined = ops.concat([_unit_rows(each) for each in features], -1).output(0)
    columns = joined.get_partial_shape()[1].get_length()
    head = keras_converted(keras_head(pipeline, columns, temperature), "the pipeline")
    shares = _behind(head, joined.get_node(), joined.get_index())
    whole = openvino.Model([shares], list(entries.values()), "featx")
    for name, entry in zip(names, whole.inputs, strict=True):
        entry.set_names({name})
    whole.output(0).set_names({"probabilities"})
    return whole


def write_openvino(model: openvino.Model, path: Path) -> None:
    """Write a model in float32: the .xml at a path, and the weights beside it (.bin)."""
    try:
        import_openvino().save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:  # a full disk, in OpenVINO's words
        raise OSError(one_line(error)) from error


def _network(part: Part, cache: Path) -> openvino.Model:
    """Return a network as embedding has it, without what takes OpenVINO long.

    It is in float32, or in int8 where it has a calibration.
    """
    backbone, written = part
    size, cut = written.square.size, as_float(written.cut)
    if backbone.is_pixels:
        return _pixels(size)
    network, _ = converted(EngineRequest(backbone, cut, (cut.pooling,), size, cache))
    if backbone.calibration is not None:
        network = quantized(network, backbone.calibration)
    number = network.input(0).partial_shape[0]
    network.reshape([1, size, size, 3])
    quicken_reversals(network)
    network.reshape([number, size, size, 3])
    return network


def _unit_rows(rows: openvino.Output) -> openvino.Output:
    """Bring vectors to length 1, as `featx.features.recipe.join` does; zeros stay zeros."""
    ops = import_openvino().opset13
    squares = ops.reduce_sum(ops.multiply(rows, rows), np.array([1]), keep_dims=True)
    lengths = ops.maximum(ops.sqrt(squares), np.float32(LEAST_LENGTH))
    return ops.divide(rows, lengths).output(0)


def _pixels(size: int) -> openvino.Model:
    """Return the network that gives pictures as they are."""
    openvino = import_openvino()
    pixels = openvino.opset13.parameter([-1, size, size, 3], np.uint8)
    return openvino.Model([openvino.opset13.convert(pixels, np.float32)], [pixels])


def _behind(model: openvino.Model, node: Any, port: int = 0) -> openvino.Output:
    """Let a model take what a node gives, and return what it gives, a row a picture."""
    ops = import_openvino().opset13
    (entry,), (result,) = model.get_parameters(), model.get_results()
    output = result.input_value(0)
    entry.output(0).replace(node.output(port))
    if len(output.get_partial_shape()) > 2:
        output = ops.reshape(output, np.array([0, -1]), special_zero=True).output(0)
    return output
