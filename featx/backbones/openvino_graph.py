"""Graph of a network in OpenVINO's form: its layers by name, and what a layer is made of."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from featx.errors import OptionError, UnknownLayerError
from featx.text import count, listed

if TYPE_CHECKING:
    import openvino

_NO_LAYERS = ("Parameter", "Constant", "Result")
# OpenVINO has these with the channels before rows and columns only.
_CHANNELS_FIRST = ("Convolution", "GroupConvolution", "MaxPool", "AvgPool")
# Of several outputs, the one that others build on: vectors made to be compared (CLIP), the tokens.
USUAL_OUTPUTS = ("features", "image_embeds", "last_hidden_state", "pooler_output")


def layers_of(model: openvino.Model) -> dict[str, openvino.Output]:
    """Map names of layers to what they give, in the order in which they are computed.

    A layer goes by the name of its operation, where that has one output, and by the names of the
    tensors that it gives, as ONNX has them; an output of the network by its own.
    """
    layers = {}
    for node in model.get_ordered_ops():
        if node.get_type_name() in _NO_LAYERS:
            continue
        if node.get_output_size() == 1:
            layers[node.get_friendly_name()] = node.output(0)
        for output in node.outputs():
            layers |= dict.fromkeys(sorted(output.get_names()), output)
    return layers


def output_of(model: openvino.Model, name: str | None, backbone: str) -> openvino.Output:
    """Return what a layer of a network gives; None is the output of the network.

    Raises
    ------
    UnknownLayerError
        The network has no such layer.
    OptionError
        The network has several outputs, and none of them is the usual one.
    """
    if name is None:
        return _only_output(model, backbone)
    layers = layers_of(model)
    if name not in layers:
        raise _unknown_layer(layers, name, backbone)
    return layers[name]


def source_of(end: openvino.Output) -> openvino.Output:
    """Return what an output of a network is made of: its layer."""
    return end.get_node().input(0).get_source_output()


def ancestors_of(output: openvino.Output) -> list[openvino.Node]:
    """List the operations that a layer is computed from, its own first."""
    found: dict[str, Any] = {}
    waiting = [output.get_node()]
    while waiting:
        node = waiting.pop()
        if node.get_name() not in found:  # which is unique, other than the friendly name
            found[node.get_name()] = node
            waiting += [each.get_source_output().get_node() for each in node.inputs()]
    return list(found.values())


def channel_axis(output: openvino.Output) -> int:
    """Return the axis of the channels of a map, by the nearest operation that knows it."""
    node, orders = output.get_node(), []
    while node.get_type_name() not in _CHANNELS_FIRST:
        before = [each.get_source_output() for each in node.inputs()]
        kept = [each for each in before if each.get_partial_shape().rank.get_length() == 4]
        kept = [each for each in kept if each.get_node().get_type_name() != "Constant"]
        if node.get_type_name() == "MatMul" or not kept:
            axis = 3 if node.get_type_name() == "MatMul" else 1
            break
        if node.get_type_name() == "Transpose":
            order = before[1].get_node()
            if order.get_type_name() != "Constant":
                return 1
            orders.append(order.get_data().tolist())
        node = kept[0].get_node()
    else:
        axis = 1
    for order in reversed(orders):
        axis = order.index(axis)
    return int(axis)


def _only_output(model: openvino.Model, backbone: str) -> openvino.Output:
    """Return what the output of a network gives, or the usual one of several."""
    ends = {tuple(sorted(each.get_names())): each for each in model.outputs}
    wanted = [end for usual in USUAL_OUTPUTS for names, end in ends.items() if usual in names]
    if len(model.outputs) > 1 and not wanted:
        names = [names[0] for names in ends if names]
        raise OptionError(
            f"{backbone} has {len(model.outputs)} outputs: expected one; name the layer to read, "
            f"such as layer={names[0]!r} (of {listed(names)})"
        )
    return source_of(wanted[0] if wanted else model.outputs[0])


def _unknown_layer(layers: Mapping[str, Any], name: str, backbone: str) -> UnknownLayerError:
    places = {
        known: (each.get_node().get_name(), each.get_index()) for known, each in layers.items()
    }
    inside = [each for each in layers if name in each]  # ONNX writes whole paths: /layer4/conv/Conv
    close = difflib.get_close_matches(name, layers, cutoff=0.5)
    near = [*inside[-2:], *close] or list(layers)[-3:]
    near = list({places[each]: each for each in reversed(near)}.values())[::-1][:3]
    number = count(len(set(places.values())), "layer")
    return UnknownLayerError(
        f"{backbone} has no layer {name!r}: expected one of its {number}, such as {listed(near, 3)}"
    )
