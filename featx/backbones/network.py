"""The network of a backbone, cut at a layer: from pixels to features, as one Keras model."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from featx.backbones.backbone import CLASSIFIER_LAYERS, Backbone
from featx.backbones.framework import import_keras
from featx.backbones.loading import load
from featx.backbones.preprocessing import Preprocessing
from featx.backbones.table import BackboneSpec
from featx.errors import OptionError, UnknownLayerError

if TYPE_CHECKING:
    import keras


def cut(
    backbone: Backbone,
    *,
    layer: str | None,
    pooling: str,
    input_size: int,
    precision: str = "float32",
) -> keras.Model:
    """Build a network, load its weights, cut it at a layer and put a pooling behind it.

    Parameters
    ----------
    backbone, layer, pooling, input_size, precision
        As for `featx.backbones.engine.open_engine`.

    Returns
    -------
    keras.Model
        From RGB pixels of shape (n, input_size, input_size, 3), uint8, to features, float32. Where
        the backbone has a preprocessing function of its own, from what that gives, float32.

    Raises
    ------
    UnknownLayerError
        The network has no such layer.
    OptionError
        The features would vary in shape with the picture, or cannot be pooled so.
    WeightsError
        The weights cannot be read or belong to another network.
    """
    keras = import_keras()
    if backbone.model is not None:
        network = backbone.model
        layers = {each.name: each for each in network.layers}
    else:
        assert backbone.spec is not None
        assert backbone.weights is not None
        own_pooling = pooling if layer is None and pooling in ("avg", "max") else None
        top = layer in CLASSIFIER_LAYERS
        network = build(backbone.spec, input_size, top=top, pooling=own_pooling)
        load(network, backbone.spec, backbone.weights)
        layers = named_layers(network)
    output = _output(network, layers, layer, backbone.name)
    network = keras.Model(network.inputs, _pooled(keras, output, pooling))
    if precision == "bfloat16":
        network = _in_bfloat16(keras, network)

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


def build(spec: BackboneSpec, input_size: int, *, top: bool, pooling: str | None) -> keras.Model:
    """Build a network of the table without weights.

    Parameters
    ----------
    spec : BackboneSpec
        The network.
    input_size : int
        Side of the pictures, in pixels; with the classifier, its own size.
    top : bool
        Whether to build the classifier too.
    pooling : {"avg", "max"} or None
        The pooling of the network itself: some, such as ConvNeXt, normalise after it.

    Returns
    -------
    keras.Model

    Raises
    ------
    OptionError
        The classifier does not take pictures of this size.
    """
    if top and input_size != spec.input_size:
        raise OptionError(
            f"the classifier of {spec.name} takes {spec.input_size} px: got {input_size}; "
            "leave the input size out"
        )
    shape = (input_size, input_size, 3)
    return spec.build(include_top=top, input_shape=shape, pooling=pooling)


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


def _output(network, layers, name: str | None, backbone: str):
    if name is None or (name == "predictions" and name not in layers):
        return network.outputs[0]
    if name not in layers:
        near = difflib.get_close_matches(name, layers, n=3, cutoff=0.5) or list(layers)[-3:]
        raise UnknownLayerError(
            f"{backbone} has no layer {name!r}: expected one of its {len(layers)} layers, "
            f"such as {', '.join(near)}"
        )
    return layers[name].output


def _pooled(keras, output, pooling: str):
    """Pool over everything between the first axis and the last."""
    rank = len(output.shape)
    if "+" in pooling:
        return keras.layers.Concatenate()(
            [_pooled(keras, output, each) for each in pooling.split("+")]
        )
    if pooling == "none" or rank == 2:
        return output
    if pooling == "flatten":
        return keras.layers.Flatten()(output)
    pools = {
        ("avg", 3): keras.layers.GlobalAveragePooling1D,
        ("avg", 4): keras.layers.GlobalAveragePooling2D,
        ("max", 3): keras.layers.GlobalMaxPooling1D,
        ("max", 4): keras.layers.GlobalMaxPooling2D,
    }
    if (pooling, rank) not in pools:
        raise OptionError(
            f"{pooling} pooling takes a map: got a layer of shape {tuple(output.shape[1:])}; "
            "use pooling='flatten' or 'none'"
        )
    return pools[pooling, rank]()(output)


def _preprocessed(keras, pixels, preprocessing: Preprocessing):
    """Do inside the network what `Preprocessing.__call__` does to an array."""
    pixels = keras.ops.cast(pixels, "float32")
    if preprocessing.bgr:
        pixels = keras.ops.flip(pixels, axis=-1)  # OpenVINO 2026.4 loses `take` before a Flatten
    if any(preprocessing.mean):
        pixels = pixels - np.asarray(preprocessing.mean, np.float32)
    if set(preprocessing.scale) != {1.0}:
        pixels = pixels / np.asarray(preprocessing.scale, np.float32)
    return pixels


def _in_bfloat16(keras, network: keras.Model) -> keras.Model:
    """Copy a network to one that computes in bfloat16; its weights stay float32."""

    def copy(layer):
        config = layer.get_config()
        if isinstance(layer, keras.layers.Layer):  # else a bare operation, such as x + 3
            config["dtype"] = "mixed_bfloat16"
        return type(layer).from_config(config)

    mixed = keras.models.clone_model(network, clone_function=copy, recursive=True)
    mixed.set_weights(network.get_weights())
    for layer in mixed._flatten_layers():
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it keeps a copy of its weights
    return mixed
