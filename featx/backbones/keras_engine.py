"""The reference engine: the Keras network itself, on whatever backend Keras runs."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from featx.backbones.backbone import CLASSIFIER_LAYERS, Backbone
from featx.backbones.framework import import_keras
from featx.backbones.loading import load
from featx.backbones.table import BackboneSpec
from featx.errors import OptionError, UnknownLayerError

if TYPE_CHECKING:
    import keras


class KerasEngine:
    """A Keras network cut at a layer, with a pooling behind it.

    Every batch has the same shape (a short one is filled up), so that the vector of a picture
    does not depend on the pictures beside it.

    Parameters
    ----------
    backbone, layer, pooling, input_size, batch_size
        As for `featx.backbones.engine.open_engine`.

    Attributes
    ----------
    shape : tuple of int
        Shape of one feature.
    batch_size : int
        Pictures at once.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        layer: str | None,
        pooling: str,
        input_size: int,
        batch_size: int,
    ) -> None:
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
        output = _pooled(keras, output, pooling)
        self._model = keras.Model(network.inputs, output)
        self._preprocess = backbone.preprocess
        self.shape = tuple(self._model.output_shape[1:])
        if None in self.shape:
            raise OptionError(
                f"{backbone.name} gives features of shape {self.shape}, which varies with the "
                "picture; choose another layer or pooling"
            )
        self.batch_size = batch_size

    def embed_batch(self, images: np.ndarray) -> np.ndarray:
        """Embed a batch of decoded pictures; see `featx.backbones.engine.Engine`."""
        n = len(images)
        if n < self.batch_size:
            blank = np.zeros((self.batch_size - n, *images.shape[1:]), images.dtype)
            images = np.concatenate([images, blank])
        pixels = self._preprocess(images.astype(np.float32))
        return np.asarray(self._model.predict_on_batch(pixels)[:n], dtype=np.float32)


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
