"""Graph of a Keras network: the calls of its layers, and where a layer can be read."""

from __future__ import annotations

import difflib
import hashlib
import numbers
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.backbones.framework import import_keras
from featx.errors import OptionError, UnknownLayerError
from featx.text import count, listed

if TYPE_CHECKING:
    import keras

# Between the name of a network and that of a layer inside it; Keras allows it in no name.
_INSIDE = "/"


def calls(network: keras.Model) -> list[Any]:
    """List the calls of a network's layers and operations, from its input to its outputs.

    A layer may have been called elsewhere, too: its `output` is that of its first call anywhere.
    """
    graph = getattr(network, "_functional", None) or network
    by_depth = graph._nodes_by_depth
    return [call for depth in sorted(by_depth, reverse=True) for call in by_depth[depth]]


def shapes_of(network: keras.Model, layers: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Return the shape of what each of some named layers gives for a picture, as they follow.

    Layers that are called twice or give several outputs, which cannot be read, are left out.
    """
    made = calls(network)
    names = {id(layer): name for name, layer in layers.items()}
    often = Counter(id(call.operation) for call in made)
    return {
        names[id(call.operation)]: tuple(call.output_tensors[0].shape[1:])
        for call in made
        if call.input_tensors  # not the pixels themselves
        and often[id(call.operation)] == len(call.output_tensors) == 1
        and id(call.operation) in names
    }


def output_of(
    network: keras.Model, layers: Mapping[str, Any], name: str | None, backbone: str
) -> Any:
    """Return what a layer of a network gives, as a symbolic tensor.

    Parameters
    ----------
    network : keras.Model
        A sequential or functional network.
    layers : mapping of str to layer
        Its layers by name.
    name : str or None
        The layer, "inner/name" for one of a network that is a layer; None for the output.
    backbone : str
        What errors call the network.

    Raises
    ------
    UnknownLayerError
        The network has no such layer.
    OptionError
        The network or the layer has several outputs.
    """
    if name is None:
        return _only_output(network, layers, backbone)
    first, _, inside = name.partition(_INSIDE)
    layer = layers.get(first)
    if layer is None or (inside and not _is_network(layer)):
        raise _unknown_layer(layers, name, backbone)
    made = [call for call in calls(network) if call.operation is layer]
    if len(made) != 1:
        raise OptionError(
            f"{backbone} calls its layer {name!r} {len(made)} times: expected one that is called "
            "once; choose another layer"
        )
    if inside:
        inner = {each.name: each for each in layer.layers}
        try:
            output = output_of(layer, inner, inside, f"{backbone}/{first}")
        except UnknownLayerError:
            raise _unknown_layer(layers, name, backbone) from None
        taken = made[0].input_tensors
        cut = import_keras().Model(layer.inputs, output)
        return cut(taken if len(taken) > 1 else taken[0])
    if len(made[0].output_tensors) != 1:
        raise OptionError(
            f"the layer {name!r} of {backbone} has {len(made[0].output_tensors)} outputs: expected "
            "one; choose another layer"
        )
    return made[0].output_tensors[0]


def data_format_of(output: Any) -> str:
    """Return the order of the axes of a map, by the nearest layer that has one.

    "channels_last" where there is none, or the axes change places on the way.
    """
    made = _call_of(output)
    while made.input_tensors and type(made.operation).__name__ not in ("Permute", "Transpose"):
        if found := getattr(made.operation, "data_format", None):
            return str(found)
        made = _call_of(made.input_tensors[0])
    return "channels_last"


def wiring(network: keras.Model) -> str | None:
    """Describe what the layers of a network take, and its bare operations, such as `x * 0.5`.

    The text is the same for a network that was saved and loaded again. None for a chain of layers,
    of which their order says everything.
    """
    made = calls(network)
    if _is_chain(network, made):
        return None
    labels: dict[int, str] = {}  # of calls, by their id
    described = []
    for call in made:
        about = repr((type(call.operation).__name__, _arguments(call, labels)))
        if isinstance(call.operation, import_keras().layers.Layer):
            number = sum(earlier.operation is call.operation for earlier in made[: len(labels)])
            labels[id(call)] = f"{call.operation.name} {number}"
        else:  # a file need not keep its name
            labels[id(call)] = hashlib.sha256(about.encode()).hexdigest()
        described.append((labels[id(call)], about))
    return repr((sorted(described), [_plain(each, labels) for each in network.outputs]))


def _is_chain(network: keras.Model, made: list[Any]) -> bool:
    """Whether every call is one of a layer, with what the call before gave and nothing else."""
    layer_type = import_keras().layers.Layer
    before: list[Any] = []
    for call in made:
        given = _flat([call.arguments.args, call.arguments.kwargs])
        if not isinstance(call.operation, layer_type) or not _same(call.input_tensors, before):
            return False
        if not all(_is_tensor(each) or each is None or each is False for each in given):
            return False
        before = call.output_tensors
    return len(before) == 1 and _same(network.outputs, before)


def _same(some: list[Any], others: list[Any]) -> bool:
    return [id(each) for each in some] == [id(each) for each in others]


def _arguments(call: Any, labels: Mapping[int, str]) -> list[Any]:
    """Return what an operation is called with, and was made with where it is no layer."""
    given = {"": call.arguments.args, **call.arguments.kwargs}
    if not isinstance(call.operation, import_keras().layers.Layer):
        config = call.operation.get_config()
        given |= {f"its {name}": config[name] for name in config if name != "name"}
    return [
        (name, [_plain(each, labels) for each in _flat(value)])
        for name, value in sorted(given.items())
    ]


def _plain(value: Any, labels: Mapping[int, str]) -> str:
    """Describe a tensor by the call that it comes from, and any other value by itself."""
    if _is_tensor(value):
        return f"{labels[id(_call_of(value))]} {value._keras_history.tensor_index}"
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return repr(float(value))  # numpy's numbers come back from a file as Python's
    if hasattr(value, "shape"):
        array = np.ascontiguousarray(value)
        return f"{array.shape} {array.dtype} {hashlib.sha256(array.tobytes()).hexdigest()}"
    return repr(value)


def _call_of(tensor: Any) -> Any:
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "_keras_history")


def _flat(value: Any) -> list[Any]:
    flat: list[Any] = import_keras().tree.flatten(value)
    return flat


def _is_network(layer: Any) -> bool:
    """Whether a layer is a network whose layers can be read."""
    return bool(getattr(layer, "layers", None)) and bool(getattr(layer, "inputs", None))


def _names(layers: Mapping[str, Any]) -> Iterator[str]:
    """Give the names of layers, and behind that of a network those of its layers."""
    for name, layer in layers.items():
        yield name
        if _is_network(layer):
            inner = {each.name: each for each in layer.layers}
            yield from (f"{name}{_INSIDE}{each}" for each in _names(inner))


def _unknown_layer(layers: Mapping[str, Any], name: str, backbone: str) -> UnknownLayerError:
    names = list(_names(layers))
    inside = [each for each in names if each.endswith(_INSIDE + name)]
    last = [each for each in names if each.startswith(name)][-1:]  # conv4 is conv4_block6_out
    close = [
        each for each in difflib.get_close_matches(name, names, cutoff=0.5) if each not in last
    ]
    near = inside or (last + close)[:3] or names[-3:]
    return UnknownLayerError(
        f"{backbone} has no layer {name!r}: expected one of its {count(len(names), 'layer')}, "
        f"such as {listed(near, 3)}"
    )


def _only_output(network: keras.Model, layers: Mapping[str, Any], backbone: str) -> Any:
    if len(network.outputs) == 1:
        return network.outputs[0]
    ends = [each._keras_history.operation for each in network.outputs]
    names = [name for name, layer in layers.items() if layer in ends] or list(layers)[-3:]
    raise OptionError(
        f"{backbone} has {len(network.outputs)} outputs: expected one; name the layer to read, "
        f"such as layer={names[0]!r} (of {listed(names)})"
    )
