"""An ONNX file of a model: of its Keras network, or of a network in ONNX with a head behind it."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from featx.backbones.framework import import_keras, keras_backend, quiet_stderr
from featx.backbones.keras_settings import usual_settings
from featx.errors import ConversionError, one_line
from featx.text import listed, printable

if TYPE_CHECKING:
    import keras
    import onnx

OPSET = 15  # what every runtime of the last years knows
_HIGHEST = 18  # that tf2onnx writes
_INPUT, _OUTPUT = "pixels", "probabilities"


def onnx_of(model: keras.Model, opset: int = OPSET) -> onnx.ModelProto:
    """Convert a Keras model to probabilities, from one input or several that keep their names.

    Its weights become constants first: `keras.Model.export` would make inputs of the numbers that
    a layer of the kind Normalization has, as those of EfficientNetV2 (Keras 3.15). Raises a
    `ConversionError` where an operation is none that tf2onnx knows.
    """
    import onnx
    import tf2onnx

    name = printable(model.name)
    if keras_backend() != "tensorflow":
        raise ConversionError(
            f"ONNX files are written with TensorFlow: Keras runs on {keras_backend()} here; unset "
            "KERAS_BACKEND"
        )
    try:
        with _quiet():
            frozen = _frozen(model)
            converted, _ = tf2onnx.convert.from_graph_def(
                frozen.graph.as_graph_def(),
                input_names=[each.name for each in frozen.inputs],
                output_names=[each.name for each in frozen.outputs],
                opset=opset,
                tensors_to_rename={
                    each.name: each.name.removesuffix(":0") for each in frozen.inputs
                },
            )
    except Exception as error:  # whatever tf2onnx meets in a network of the user's own
        raise ConversionError(f"{name} cannot be converted: {one_line(error)}") from error
    strange = sorted(
        {
            each.op_type
            for each in converted.graph.node
            if not each.domain and not onnx.defs.has(each.op_type)
        }
    )
    if strange:
        raise ConversionError(
            f"{name} has operations that ONNX files have not ({listed(strange)}): export to "
            "openvino (.xml) or litert (.tflite)"
        )
    _name_ends(converted.graph)
    return cast("onnx.ModelProto", converted)


@usual_settings()
def _frozen(model: keras.Model) -> Any:
    """Return a function of TensorFlow in which the weights of a model are constants."""
    import tensorflow
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    entries = [
        tensorflow.TensorSpec(each.shape, each.dtype, name=each.name) for each in model.inputs
    ]

    def called(*pixels: Any) -> Any:
        return model(list(pixels) if len(pixels) > 1 else pixels[0], training=False)

    return convert_variables_to_constants_v2(
        tensorflow.function(called).get_concrete_function(*entries)
    )


def write_onnx(model: onnx.ModelProto, path: Path) -> None:
    """Check a model and write it, in one file, with names and sizes that people expect."""
    import onnx

    _name_ends(model.graph)
    try:
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, path)
    except ValueError as error:  # of protobuf
        raise ConversionError(
            f"an ONNX file holds 2 GB at most ({one_line(error)}): export to openvino"
        ) from error
    except onnx.checker.ValidationError as error:
        raise ConversionError(f"the ONNX file made is not valid: {one_line(error)}") from error


def composed(
    before: keras.Model, network: onnx.ModelProto, layer: tuple[str, str], after: keras.Model
) -> onnx.ModelProto:
    """Put a network in ONNX between what prepares pixels and what makes probabilities.

    Parameters
    ----------
    before : keras.Model
        From pixels to what the network takes.
    network : onnx.ModelProto
        With all its weights.
    layer : (str, str)
        The names of its input, and of the tensor to take from it.
    after : keras.Model
        From that tensor to probabilities.
    """
    import onnx
    from onnx.compose import merge_models

    entry, tensor = layer
    network = onnx.ModelProto.FromString(network.SerializeToString())
    opset = next(each.version for each in network.opset_import if each.domain in ("", "ai.onnx"))
    if tensor not in {each.name for each in network.graph.output}:
        shape = ["n", *after.inputs[0].shape[1:]]
        known = onnx.helper.make_tensor_value_info(tensor, onnx.TensorProto.FLOAT, shape)
        network.graph.output.append(known)
    ends = [_in_opset(onnx_of(each, min(opset, _HIGHEST)), opset) for each in (before, after)]
    newest = max(network.ir_version, 8)
    for each in (network, *ends):
        each.ir_version = newest
        del each.metadata_props[:]
        each.graph.ClearField("doc_string")
    prepared, head = ends
    # Each has names of its own: two networks may both have a tensor "x".
    whole = merge_models(
        onnx.compose.add_prefix(prepared, "prepared/"),
        onnx.compose.add_prefix(network, "network/"),
        io_map=[(f"prepared/{prepared.graph.output[0].name}", f"network/{entry}")],
        outputs=[f"network/{tensor}"],
    )
    merged: onnx.ModelProto = merge_models(
        whole,
        onnx.compose.add_prefix(head, "head/"),
        io_map=[(f"network/{tensor}", f"head/{head.graph.input[0].name}")],
        name="featx",
    )
    domains = {each.domain: each for each in merged.opset_import}
    del merged.opset_import[:]
    merged.opset_import.extend(domains.values())
    _name_ends(merged.graph)
    return merged


def _in_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """Return a model in an opset, as all parts of one file have to have the same."""
    from onnx.version_converter import convert_version

    written = next(each.version for each in model.opset_import if not each.domain)
    others = [each for each in model.opset_import if each.domain]
    for each in others:  # which tf2onnx names without using them
        model.opset_import.remove(each)
    if written == opset:
        return model
    converted: onnx.ModelProto = convert_version(model, opset)
    return converted


def _name_ends(graph: Any) -> None:
    """Name a single input, and the output of a graph, and the number of pictures "n"."""
    names = {graph.output[0].name: _OUTPUT}
    if len(graph.input) == 1:
        names[graph.input[0].name] = _INPUT
    for node in graph.node:
        for tensors in (node.input, node.output):
            for place, name in enumerate(tensors):
                tensors[place] = names.get(name, name)
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)
        batch = value.type.tensor_type.shape.dim
        if batch and not batch[0].dim_value:
            batch[0].dim_param = "n"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what tf2onnx and TensorFlow log off the screen."""
    import_keras()
    loggers = [logging.getLogger(name) for name in ("tf2onnx", "tensorflow")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL)
    try:
        with quiet_stderr(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
