"""The network of a backbone, cut at a layer: from pixels to features, as one Keras model."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from featx.backbones.backbone import Backbone, Source
from featx.backbones.framework import import_keras
from featx.backbones.graph import data_format_of, output_of
from featx.backbones.keras_settings import usual_settings
from featx.backbones.preprocessing import Preprocessing
from featx.errors import OptionError, check_choice, one_line

if TYPE_CHECKING:
    import keras

POOLINGS = ("avg", "max", "token", "flatten", "none")
JOINT_POOLINGS = ("avg", "max")  # what one run of a network gives side by side
FLOATS = ("float32", "bfloat16")
PRECISIONS = (*FLOATS, "int8")  # int8 takes a calibration
CLASSIFIER_LAYERS = ("predictions", "fc1", "fc2")


@dataclass(frozen=True)
class Cut:
    """Where a network is cut, and what it makes of that.

    The layer is the one whose output is taken; None is the last one before the classifier. Pooling
    makes a vector of a map of shape (height, width, channels), or of the tokens of a transformer,
    of which "token" is the class token; vectors are taken as they are.
    """

    layer: str | None = None
    pooling: str = "avg"
    precision: str = "float32"  # the number format that the network computes in
    calibration: str | None = None  # in int8, the digest of its calibration; None before it is made

    def __post_init__(self) -> None:
        check_choice("pooling", self.pooling, POOLINGS)
        check_choice("precision", self.precision, PRECISIONS)
        if self.calibration is not None and self.precision != "int8":
            raise OptionError(
                f"a calibration goes with int8, and the precision is {self.precision}"
            )


@usual_settings()
def cut_network(
    backbone: Backbone, cut: Cut, poolings: tuple[str, ...], input_size: int
) -> keras.Model:
    """Build a network, load its weights, cut it at a layer and put poolings behind it.

    The model goes from RGB pixels of shape (n, input_size, input_size, 3), uint8, to features,
    float32. Where the backbone has a preprocessing function of its own, it goes from what that
    gives, float32. For int8 it is that of float32, which is quantized later. See
    `featx.backbones.engines.engine.EngineRequest` for the parameters.
    """
    keras = import_keras()
    source = cast(Source, backbone.source)
    own = poolings[0] if cut.layer is None and poolings in (("avg",), ("max",)) else None
    network, layers = source.network(cut.layer, own, input_size)
    output = output_of(network, layers, cut.layer, backbone.name)
    prefix = source.prefix_tokens if len(output.shape) == 3 else None
    pooled = [
        _pooled(keras, output, each)
        if prefix is None
        else _pooled_tokens(keras, output, each, prefix)
        for each in poolings
    ]
    network = keras.Model(
        network.inputs, pooled[0] if len(pooled) == 1 else keras.layers.Concatenate()(pooled)
    )
    if cut.precision == "bfloat16":
        network = _in_bfloat16(keras, network, backbone.name)

    shape = (input_size, input_size, 3)
    if isinstance(backbone.preprocess, Preprocessing):
        pixels = keras.Input(shape, dtype="uint8", name="pixels")
        prepared = _preprocessed(keras, pixels, backbone.preprocess)
    else:
        prepared = pixels = keras.Input(shape, dtype="float32", name="pixels")
    features = keras.ops.cast(network(prepared), "float32")
    if None in features.shape[1:]:
        raise OptionError(
            f"{backbone.name} gives features of shape {tuple(features.shape[1:])}, which varies "
            "with the picture; choose another layer or pooling"
        )
    return keras.Model(pixels, features)


def named_layers(network: keras.Model) -> dict[str, keras.layers.Layer]:
    """Map the names of layers, as a fresh session gives them, to the layers.

    Keras numbers layers without a name of their own through the whole session (conv2d_94), so
    the second network of a session would answer to other names than the first.
    """
    numbered: dict[str, list[tuple[int, keras.layers.Layer]]] = defaultdict(list)
    names = {}
    for layer in network.layers:
        kind = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", type(layer).__name__)
        kind = re.sub(r"([a-z])([A-Z])", r"\1_\2", kind).lower()
        match = re.fullmatch(rf"{kind}(?:_(\d+))?", layer.name)
        if match:
            numbered[kind].append((int(match[1] or 0), layer))
        else:
            names[layer.name] = layer
    for kind, group in numbered.items():
        first = min(number for number, _ in group)
        for number, layer in group:
            names[kind if number == first else f"{kind}_{number - first}"] = layer
    return names


def _pooled(keras: Any, output: Any, pooling: str) -> Any:
    """Pool over all axes but the first and that of the channels."""
    rank = len(output.shape)
    if pooling == "none" or rank == 2:
        return output
    if pooling == "token" and rank == 3:
        return output[:, 0]
    if pooling == "flatten":
        return keras.layers.Flatten()(output)
    pools = {
        ("avg", 3): keras.layers.GlobalAveragePooling1D,
        ("avg", 4): keras.layers.GlobalAveragePooling2D,
        ("max", 3): keras.layers.GlobalMaxPooling1D,
        ("max", 4): keras.layers.GlobalMaxPooling2D,
    }
    if (pooling, rank) not in pools:
        taken, advice = (
            ("tokens", "'avg'") if pooling == "token" else ("a map", "'flatten' or 'none'")
        )
        raise OptionError(
            f"{pooling} pooling takes {taken}: got a layer of shape {tuple(output.shape[1:])}; "
            f"use pooling={advice}"
        )
    return pools[pooling, rank](data_format=data_format_of(output))(output)


def _pooled_tokens(keras: Any, output: Any, pooling: str, prefix: int) -> Any:
    """Take the class token, which is the first, or pool those of patches behind the prefix."""
    tokens, channels = output.shape[1:]
    side = math.isqrt(max((tokens or 0) - prefix, 0))
    if side * side + prefix != tokens:
        raise OptionError(
            f"a layer gives {tokens} tokens, which are no square grid of patches with {prefix} "
            "before it; choose another layer"
        )
    if pooling == "token":
        if not prefix:
            raise OptionError(
                f"there is no class token: the {tokens} tokens are those of {side} x {side} "
                "patches; use pooling='avg'"
            )
        return output[:, 0]
    patches = output[:, prefix:]
    if pooling == "none":
        return keras.layers.Reshape((side, side, channels))(patches)
    return _pooled(keras, patches, pooling)


def _preprocessed(keras: Any, pixels: Any, preprocessing: Preprocessing) -> Any:
    """Do inside the network what `Preprocessing.__call__` does to an array."""
    pixels = keras.ops.cast(pixels, "float32")
    if preprocessing.bgr:
        pixels = keras.ops.flip(pixels, axis=-1)  # OpenVINO 2026.4 loses `take` before a Flatten
    if any(preprocessing.mean):
        pixels = pixels - np.asarray(preprocessing.mean, np.float32)
    if set(preprocessing.scale) != {1.0}:
        pixels = pixels / np.asarray(preprocessing.scale, np.float32)
    return pixels


def _in_bfloat16(keras: Any, network: keras.Model, name: str) -> keras.Model:
    """Copy a network to one that computes in bfloat16; its weights stay float32."""

    def copy(layer: Any) -> Any:
        config = layer.get_config()
        if isinstance(layer, keras.layers.Layer):  # else a bare operation, such as x + 3
            config["dtype"] = "mixed_bfloat16"
        return type(layer).from_config(config)

    try:
        mixed = keras.models.clone_model(network, clone_function=copy, recursive=True)
        mixed.set_weights(network.get_weights())
    except (TypeError, ValueError) as error:  # a layer that does not say how it was made
        raise OptionError(
            f"{name} cannot compute in bfloat16 on Keras ({one_line(error)}): use float32, or the "
            "engine openvino"
        ) from error
    for layer in mixed._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it keeps a copy of its weights
    return mixed
