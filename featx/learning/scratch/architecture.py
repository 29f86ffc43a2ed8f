"""Architecture of Keras networks as plain values, and back, running nothing that a file names.

Keras rebuilds a network by importing whatever module and calling whatever function its JSON names
(a Lambda layer holds bytecode, an activation may be `os.system`). So featx writes a description of
its own, and builds from it the layers of the table below, with plain values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.backbones.framework import import_keras
from featx.backbones.keras_settings import usual_settings

if TYPE_CHECKING:
    import keras

_CONVOLUTION = (
    *("kernel_size", "strides", "padding", "data_format", "dilation_rate", "activation"),
    "use_bias",
)
_POOLING = ("pool_size", "strides", "padding", "data_format")
_GLOBAL = ("data_format", "keepdims")
_NORMALIZATION = ("axis", "epsilon", "center", "scale")

# The layers that a model file may name, with the options that change a prediction. The constructor
# and `call` of each were read: with numbers, words and lists of them, they compute and no more.
LAYERS: Mapping[str, tuple[str, ...]] = {
    "Activation": ("activation",),
    "Add": (),
    "Average": (),
    "AveragePooling2D": _POOLING,
    "BatchNormalization": _NORMALIZATION,
    "Concatenate": ("axis",),
    "Conv2D": ("filters", "groups", *_CONVOLUTION),
    "Cropping2D": ("cropping", "data_format"),
    "Dense": ("units", "activation", "use_bias"),
    "DepthwiseConv2D": ("depth_multiplier", *_CONVOLUTION),
    "ELU": ("alpha",),
    "Flatten": ("data_format",),
    "GlobalAveragePooling2D": _GLOBAL,
    "GlobalMaxPooling2D": _GLOBAL,
    "GroupNormalization": ("groups", *_NORMALIZATION),
    "Identity": (),
    "LayerNormalization": _NORMALIZATION,
    "LeakyReLU": ("negative_slope",),
    "MaxPooling2D": _POOLING,
    "Maximum": (),
    "Multiply": (),
    "PReLU": ("shared_axes",),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "Rescaling": ("scale", "offset"),
    "Reshape": ("target_shape",),
    "SeparableConv2D": ("filters", "depth_multiplier", *_CONVOLUTION),
    "Softmax": ("axis",),
    "UpSampling2D": ("size", "data_format", "interpolation"),
    "ZeroPadding2D": ("padding", "data_format"),
}
# These do something in training only, and stand in a file as the Identity.
_TRAINING_ONLY = (
    *("ActivityRegularization", "Dropout", "GaussianDropout", "GaussianNoise", "RandomBrightness"),
    *("RandomContrast", "RandomCrop", "RandomFlip", "RandomRotation", "RandomTranslation"),
    *("RandomZoom", "SpatialDropout2D"),
)
_WORDS = frozenset(  # every value that is text
    (
        *("same", "valid", "channels_last", "nearest", "bilinear", "bicubic"),
        *("linear", "relu", "relu6", "leaky_relu", "elu", "selu", "gelu", "silu", "swish", "mish"),
        *("sigmoid", "hard_sigmoid", "hard_silu", "hard_swish", "tanh", "softplus", "softsign"),
        *("softmax", "log_softmax", "exponential"),
    )
)
_MOST_LAYERS = 1000
_LARGEST = 1 << 20  # of the whole numbers in a description
_LARGEST_MAP = 1 << 26  # numbers of the output of a layer, for one picture
_SOME_SIDE = 64  # pixels
_KERNELS = {  # the initialisers of what may be large
    "Conv2D": ("kernel_initializer",),
    "Dense": ("kernel_initializer",),
    "DepthwiseConv2D": ("depthwise_initializer",),
    "PReLU": ("alpha_initializer",),
    "SeparableConv2D": ("depthwise_initializer", "pointwise_initializer"),
}


class ArchitectureError(ValueError):
    """A network holds what is not in the table, or a description is none."""


def describe(model: keras.Model) -> dict[str, Any]:
    """Describe a sequential or functional network, perhaps of networks, in plain values for JSON.

    These are `input`, the shape of one picture; `layers`, each with its name, its class, its
    options and the names of the layers that it takes; `output`, the name of the last. Raises an
    `ArchitectureError` if a layer is not in the table, or is wired in a way that has no
    description, such as to a second input.
    """
    keras = import_keras()
    sequential = isinstance(model, keras.Sequential)
    config = model.get_config()
    if sequential:
        names = [layer.name for layer in model.layers]
        inputs = {name: [before] for before, name in pairwise(["input", *names])}
        output = names[-1]
    elif "input_layers" in config:
        first, output = _end(config["input_layers"]), _end(config["output_layers"])
        inputs = {
            entry["name"]: ["input" if name == first else name for name in _taken(entry)]
            for entry in config["layers"]
            if entry["name"] != first
        }
    else:
        raise ArchitectureError(f"a {type(model).__name__}, not a sequential or functional network")
    known = {each.name: each for each in (model.layers if sequential else model.operations)}
    layers = [
        {"name": name, "inputs": taken, **_described(keras, known[name])}
        for name, taken in inputs.items()
    ]
    return {"input": list(model.input_shape[1:]), "layers": layers, "output": output}


def _described(keras: Any, layer: Any) -> dict[str, Any]:
    if isinstance(layer, keras.Sequential) or type(layer).__name__ == "Functional":
        return {"network": describe(layer)}
    name = type(layer).__name__
    if getattr(keras.layers, name, None) is not type(layer):
        raise ArchitectureError(f"the layer {layer.name!r} of the class {name}")
    if name in _TRAINING_ONLY:
        return {"layer": "Identity", "options": {}}
    if name not in LAYERS:
        raise ArchitectureError(f"the layer {layer.name!r} of the class {name}")
    config = layer.get_config()
    options = {key: _plain(config[key]) for key in LAYERS[name] if config.get(key) is not None}
    for value in options.values():
        if not _is_plain(value):
            raise ArchitectureError(f"the layer {layer.name!r} with an option {value!r}")
    return {"layer": name, "options": options}


def _end(tensors: Any) -> str:
    """Return the name of the layer at one end of a functional network."""
    if tensors and isinstance(tensors[0], str):  # Keras writes one tensor in this way or in a list
        tensors = [tensors]
    if len(tensors) != 1:
        raise ArchitectureError(f"{len(tensors)} inputs or outputs instead of one")
    return str(tensors[0][0])


def _taken(entry: Mapping[str, Any]) -> list[str]:
    """Return the names of the layers whose outputs a layer takes."""
    nodes = entry["inbound_nodes"]
    if len(nodes) != 1:
        raise ArchitectureError(f"the layer {entry['name']!r}, which is used {len(nodes)} times")
    for key, value in nodes[0]["kwargs"].items():
        if not (value is None or isinstance(value, bool)):
            raise ArchitectureError(f"the layer {entry['name']!r} with an argument {key}")
    found: list[str] = []

    def collect(value: Any) -> None:
        if isinstance(value, list | tuple):
            for each in value:
                collect(each)
        elif isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
            found.append(str(value["config"]["keras_history"][0]))
        else:
            raise ArchitectureError(f"the layer {entry['name']!r} with an argument {value!r}")

    collect(nodes[0]["args"])
    return found


def check(description: Any) -> None:
    """Check that a description names layers of the table with plain options, and no more.

    The message of an `ArchitectureError` names the first thing that is not known to be safe.
    """
    _keys(description, {"input", "layers", "output"})
    shape, layers = description["input"], description["layers"]
    if not (isinstance(shape, list) and 0 < len(shape) < 5 and all(map(_is_size, shape))):
        raise ArchitectureError(f"an input of shape {shape!r}")
    if not isinstance(layers, list) or not 0 < len(layers) <= _MOST_LAYERS:
        raise ArchitectureError("no list of layers")
    known = {"input"}
    for each in layers:
        nested = isinstance(each, Mapping) and "network" in each
        _keys(each, {"name", "inputs", *(("network",) if nested else ("layer", "options"))})
        name, inputs = each["name"], each["inputs"]
        if not isinstance(name, str) or name in known:
            raise ArchitectureError(f"a layer with the name {name!r}")
        if (
            not isinstance(inputs, list)
            or not inputs
            or not all(isinstance(taken, str) and taken in known for taken in inputs)
        ):
            raise ArchitectureError(f"the layer {name!r}, which takes {inputs!r}")
        known.add(name)
        if nested:
            check(each["network"])
            continue
        kind, options = each["layer"], each["options"]
        if not isinstance(kind, str) or kind not in LAYERS:
            raise ArchitectureError(f"the layer {name!r} of the class {kind!r}")
        _keys(options, set(LAYERS[kind]), all_of_them=False)
        for key, value in options.items():
            if not _is_plain(value):
                raise ArchitectureError(f"the layer {name!r} with {key} = {value!r}")
    if description["output"] not in known - {"input"}:
        raise ArchitectureError(f"the output {description['output']!r}")


@usual_settings()
def rebuild(description: Mapping[str, Any], weights: Sequence[np.ndarray]) -> keras.Model:
    """Build a network from what `describe` and `weights_of` gave, after `check`.

    Raises an `ArchitectureError` if the description is not safe or means no network, or the weights
    are not its own.
    """
    check(description)
    if not all(isinstance(each, np.ndarray) and each.dtype.kind == "f" for each in weights):
        raise ArchitectureError("weights that are no numbers")
    keras = import_keras()
    try:
        numbers = sum(each.size for each in weights)
        if None in description["input"]:  # for a picture of some size all maps have a size
            _built(keras, _of_some_size(description), _Zeros(numbers))
        model = _built(keras, description, _Zeros(numbers))
        variables = _variables(model, description)
        if [tuple(each.shape) for each in variables] != [each.shape for each in weights]:
            raise ArchitectureError("weights of another network")
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value)
    except ArchitectureError:
        raise
    except Exception as error:  # whatever Keras makes of options that do not fit together
        text = " ".join(str(error).split())[:120]
        raise ArchitectureError(f"layers that do not fit together ({text})") from error
    return model


def weights_of(model: keras.Model, description: Mapping[str, Any]) -> list[np.ndarray]:
    """Return the weights of a network in the order of the layers of its description."""
    keras = import_keras()
    return [np.asarray(keras.ops.convert_to_numpy(each)) for each in _variables(model, description)]


def _variables(model: Any, description: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = []
    for each in description["layers"]:
        layer = model.get_layer(each["name"])
        found += _variables(layer, each["network"]) if "network" in each else layer.weights
    return found


class _Zeros:
    """An initialiser of kernels that makes no more numbers than the file holds."""

    def __init__(self, left: int) -> None:
        self._left = left

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        self._left -= math.prod(shape)
        if self._left < 0:
            raise ArchitectureError("weights of another network")
        return import_keras().ops.zeros(shape, dtype)

    def get_config(self) -> dict[str, Any]:
        return {}


def _built(
    keras: Any, description: Mapping[str, Any], zeros: _Zeros, name: str | None = None
) -> keras.Model:
    picture = keras.Input(description["input"])
    outputs = {"input": picture}
    for each in description["layers"]:
        if "network" in each:
            layer = _built(keras, each["network"], zeros, each["name"])
        else:
            initializers = dict.fromkeys(_KERNELS.get(each["layer"], ()), zeros)
            kind = getattr(keras.layers, each["layer"])
            layer = kind(name=each["name"], **each["options"], **initializers)
        taken = [outputs[name] for name in each["inputs"]]
        made = layer(taken if len(taken) > 1 else taken[0])
        if math.prod(side or 1 for side in made.shape) > _LARGEST_MAP:
            raise ArchitectureError(f"a map of shape {tuple(made.shape[1:])}")
        outputs[each["name"]] = made
    return keras.Model(picture, outputs[description["output"]], name=name)


def _of_some_size(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description of a network that takes pictures of any size, for one size."""
    layers = [
        each | {"network": _of_some_size(each["network"])} if "network" in each else each
        for each in description["layers"]
    ]
    sides = [side or _SOME_SIDE for side in description["input"]]
    return {**description, "input": sides, "layers": layers}


def _keys(given: Any, known: set[str], *, all_of_them: bool = True) -> None:
    if not isinstance(given, Mapping):
        raise ArchitectureError(f"{given!r} in the place of a description"[:120])
    odd = set(given) ^ known if all_of_them else set(given) - known
    if odd:
        raise ArchitectureError(f"{', '.join(sorted(map(repr, odd)))} missing or unknown")


def _plain(value: Any) -> Any:
    """Return tuples as lists, as JSON has them."""
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= 8 and all(map(_is_plain, value))
    if isinstance(value, str):
        return value in _WORDS
    if isinstance(value, int):  # and bool
        return abs(value) <= _LARGEST
    return value is None or (isinstance(value, float) and math.isfinite(value))


def _is_size(value: Any) -> bool:
    return value is None or (type(value) is int and 0 < value <= _LARGEST)
