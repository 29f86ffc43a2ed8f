"""EfficientNet-Lite0, -Lite1 and -Lite2, which Keras does not define.

The networks are those of the TensorFlow TPU repository (`efficientnet/lite`): EfficientNet-B0 to
-B2 without squeeze-and-excitation, with ReLU6 for swish. The published weights are a PyTorch port
of them that keeps TensorFlow's "SAME" padding (uneven where the stride is 2) and its batch-norm
epsilon. The caller prepares the pixels: (x - 127) / 128.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import OptionError, WeightsError
from featx.tensors.tensor_file import read_tensors

if TYPE_CHECKING:
    import keras

CLASSES = 1000
_BN_EPSILON = 1e-3
_BN_PARTS = ("weight", "bias", "running_mean", "running_var")  # in Keras's order
_STEM, _HEAD = 32, 1280  # channels, in each of the networks
_WIDTH_STEP = 8  # channels of a widened stage are a multiple of this
# For each stage of Lite0: blocks, kernel size, stride of its first block, expansion, channels out.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class _Block:
    """An inverted residual block: expand, filter each channel, project."""

    name: str
    kernel: int
    stride: int
    expansion: int
    width_in: int
    width_out: int


def _list_blocks(width_factor: float, depth_factor: float) -> list[_Block]:
    """List the blocks of a network that is so many times as wide and as deep as Lite0.

    Unlike the larger EfficientNets, these keep the stem, the head, and the number of blocks of the
    first and the last stage (`fix_head_stem`).
    """
    blocks = []
    width = _STEM
    for stage, (repeats, kernel, stride, expansion, channels) in enumerate(_STAGES, start=1):
        if 1 < stage < len(_STAGES):
            repeats = math.ceil(repeats * depth_factor)
        width_out = _widened(channels, width_factor)
        for letter in "abcdefgh"[:repeats]:
            name = f"block{stage}{letter}"
            blocks.append(_Block(name, kernel, stride, expansion, width, width_out))
            stride, width = 1, width_out
    return blocks


def _widened(channels: int, factor: float) -> int:
    """Round to the nearest multiple of the step, never down by more than a tenth."""
    wide = channels * factor
    rounded = max(_WIDTH_STEP, int(wide + _WIDTH_STEP / 2) // _WIDTH_STEP * _WIDTH_STEP)
    return rounded if rounded >= 0.9 * wide else rounded + _WIDTH_STEP


def EfficientNetLite0(  # noqa: N802 - named as in keras.applications
    weights: None = None,
    include_top: bool = True,
    input_shape: tuple[int | None, int | None, int] = (224, 224, 3),
    pooling: str | None = None,
    name: str = "efficientnet_lite0",
) -> keras.Model:
    """Build EfficientNet-Lite0 with random weights; the parameters are as in `keras.applications`.

    Its layers are `stem_conv`, `block1a_dwconv` ... `block7a_project_bn`, `top_conv`, `top_bn`,
    `top_activation` (the last map, of 1280 channels), `avg_pool` or `max_pool`, `predictions`.
    """
    return _build(_list_blocks(1.0, 1.0), weights, include_top, input_shape, pooling, name)


def EfficientNetLite1(  # noqa: N802 - named as in keras.applications
    weights: None = None,
    include_top: bool = True,
    input_shape: tuple[int | None, int | None, int] = (240, 240, 3),
    pooling: str | None = None,
    name: str = "efficientnet_lite1",
) -> keras.Model:
    """Build EfficientNet-Lite1, which is 1.1 times as deep; see `EfficientNetLite0`."""
    return _build(_list_blocks(1.0, 1.1), weights, include_top, input_shape, pooling, name)


def EfficientNetLite2(  # noqa: N802 - named as in keras.applications
    weights: None = None,
    include_top: bool = True,
    input_shape: tuple[int | None, int | None, int] = (260, 260, 3),
    pooling: str | None = None,
    name: str = "efficientnet_lite2",
) -> keras.Model:
    """Build EfficientNet-Lite2, 1.1 times as wide, 1.2 times as deep; see `EfficientNetLite0`."""
    return _build(_list_blocks(1.1, 1.2), weights, include_top, input_shape, pooling, name)


def _build(
    blocks: list[_Block],
    weights: None,
    include_top: bool,
    input_shape: tuple[int | None, int | None, int],
    pooling: str | None,
    name: str,
) -> keras.Model:
    if weights is not None:
        raise OptionError(
            f"weights={weights!r}: expected None (`load_pytorch_weights` reads trained ones)"
        )
    if pooling not in (None, "avg", "max"):
        raise OptionError(f"unknown pooling {pooling!r}: expected None, 'avg' or 'max'")
    import keras
    from keras import layers

    inputs = x = keras.Input(shape=input_shape, name="input")
    x = layers.Conv2D(_STEM, 3, 2, "same", use_bias=False, name="stem_conv")(x)
    x = _normalize(x, "stem_")
    for block in blocks:
        x = _add_block(x, block)
    x = layers.Conv2D(_HEAD, 1, use_bias=False, name="top_conv")(x)
    x = _normalize(x, "top_")
    if include_top or pooling == "avg":
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    elif pooling == "max":
        x = layers.GlobalMaxPooling2D(name="max_pool")(x)
    if include_top:
        x = layers.Dense(CLASSES, activation="softmax", name="predictions")(x)
    return keras.Model(inputs, x, name=name)


def _normalize(x: Any, prefix: str) -> Any:
    from keras import layers

    x = layers.BatchNormalization(epsilon=_BN_EPSILON, name=f"{prefix}bn")(x)
    return layers.ReLU(max_value=6.0, name=f"{prefix}activation")(x)


def _add_block(x: Any, block: _Block) -> Any:
    from keras import layers

    shortcut, name = x, block.name
    if block.expansion > 1:
        width = block.width_in * block.expansion
        x = layers.Conv2D(width, 1, use_bias=False, name=f"{name}_expand_conv")(x)
        x = _normalize(x, f"{name}_expand_")
    x = layers.DepthwiseConv2D(
        block.kernel, block.stride, "same", use_bias=False, name=f"{name}_dwconv"
    )(x)
    x = _normalize(x, f"{name}_")
    x = layers.Conv2D(block.width_out, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = layers.BatchNormalization(epsilon=_BN_EPSILON, name=f"{name}_project_bn")(x)
    if block.stride == 1 and block.width_in == block.width_out:
        x = layers.Add(name=f"{name}_add")([x, shortcut])
    return x


def load_pytorch_weights(model: keras.Model, path: str | Path) -> None:
    """Load a file of the PyTorch port into a model of `EfficientNetLite0`, `1` or `2`.

    The model may lack the classifier. It is left as it was where the file raises `WeightsError`:
    it cannot be read, or its tensors are not those of this network.
    """
    tensors = read_tensors(path)
    layers = {layer.name: layer for layer in model.layers}
    arrays = {}
    for prefix, name, kind in _list_sources(layers):
        parts = _take(tensors, prefix, kind, path, model.name)
        if name == "predictions" and name not in layers:
            continue
        if name not in layers:
            raise WeightsError(f"{model.name} has no layer {name!r}: expected an EfficientNet-Lite")
        expected = [tuple(weight.shape) for weight in layers[name].weights]
        found = [part.shape for part in parts]
        if found != expected:
            raise WeightsError(
                f"{path}: {prefix} gives shapes {found}, expected {expected} for layer {name!r} "
                f"of {model.name}"
            )
        arrays[name] = parts
    if tensors:
        raise WeightsError(
            f"{path}: {len(tensors)} tensors that {model.name} does not have, such as "
            f"{next(iter(tensors))!r}: expected the weights of {model.name}"
        )
    for name, parts in arrays.items():
        layers[name].set_weights(parts)


def _list_sources(layers: Iterable[str]) -> list[tuple[str, str, str]]:
    """List (prefix in the file, layer, kind) for every layer that has weights.

    Which blocks there are follows from the names of the layers.
    """
    names = list(layers)
    blocks = [match[1] for name in names if (match := re.fullmatch(r"(block\d\w)_dwconv", name))]
    sources = [("_conv_stem", "stem_conv", "conv"), ("_bn0", "stem_bn", "bn")]
    for number, name in enumerate(blocks):
        prefix = f"_blocks.{number}."
        if f"{name}_expand_conv" in names:
            sources.append((f"{prefix}_expand_conv", f"{name}_expand_conv", "conv"))
            sources.append((f"{prefix}_bn0", f"{name}_expand_bn", "bn"))
        sources.append((f"{prefix}_depthwise_conv", f"{name}_dwconv", "dwconv"))
        sources.append((f"{prefix}_bn1", f"{name}_bn", "bn"))
        sources.append((f"{prefix}_project_conv", f"{name}_project_conv", "conv"))
        sources.append((f"{prefix}_bn2", f"{name}_project_bn", "bn"))
    sources += [("_conv_head", "top_conv", "conv"), ("_bn1", "top_bn", "bn")]
    return [*sources, ("_fc", "predictions", "dense")]


def _take(
    tensors: dict[str, np.ndarray], prefix: str, kind: str, path: str | Path, network: str
) -> list[np.ndarray]:
    """Remove a layer's tensors from `tensors`; return them in Keras's order and axes."""
    suffixes = {"bn": _BN_PARTS, "dense": ("weight", "bias")}.get(kind, ("weight",))
    names = [f"{prefix}.{suffix}" for suffix in suffixes]
    missing = [name for name in names if name not in tensors]
    if missing:
        raise WeightsError(f"{path}: no tensor {missing[0]!r}: expected the weights of {network}")
    parts = [tensors.pop(name) for name in names]
    if kind == "bn":
        tensors.pop(f"{prefix}.num_batches_tracked", None)  # only training needs it
    elif kind == "dense":
        parts[0] = parts[0].T
    elif parts[0].ndim == 4:
        # From (out, in, height, width); a depthwise kernel has the channels in `out`.
        parts[0] = parts[0].transpose((2, 3, 0, 1) if kind == "dwconv" else (2, 3, 1, 0))
    return parts
