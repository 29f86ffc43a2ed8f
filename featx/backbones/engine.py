"""What turns pixels into vectors, and the choice of one."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from featx.backbones.framework import has_gpu, keras_backend
from featx.backbones.pixels import PixelEngine
from featx.errors import ConversionError, check_choice

if TYPE_CHECKING:
    from featx.backbones.backbone import Backbone

POOLINGS = ("avg", "max", "flatten", "none")
JOINT_POOLINGS = ("avg", "max")  # what one engine gives side by side as "avg+max"
PRECISIONS = ("float32", "bfloat16")
ENGINES = ("auto", "openvino", "keras")

log = logging.getLogger(__name__)


class Engine(Protocol):
    """Something that computes the features of a batch of pictures.

    Attributes
    ----------
    shape : tuple of int
        Shape of the feature of one picture: (width,), or (height, width, channels) unpooled.
    batch_size : int
        The most pictures that `embed_batch` takes at once.
    streams : int
        How many threads may usefully call `embed_batch` at the same time.
    bfloat16_speedup : float or None
        How many times faster it would be in bfloat16; None where that is not known.
    """

    shape: tuple[int, ...]
    batch_size: int
    streams: int
    bfloat16_speedup: float | None

    def embed_batch(self, images: np.ndarray) -> np.ndarray:
        """Embed a batch of decoded pictures; any number of threads may call it.

        Parameters
        ----------
        images : ndarray of shape (n, size, size, 3), uint8
            RGB, 0 to 255, with n at most `batch_size`.

        Returns
        -------
        ndarray of shape (n, *shape), float32
            Row i belongs to images[i] and depends on no other picture.
        """
        ...


def choose_engine(engine: str = "auto") -> str:
    """Choose the engine of this machine.

    Parameters
    ----------
    engine : {"auto", "openvino", "keras"}
        "auto" is Keras on a GPU, and where Keras was told to run on JAX or PyTorch; else OpenVINO.

    Returns
    -------
    str
        "openvino" or "keras".
    """
    check_choice("engine", engine, ENGINES)
    if engine != "auto":
        return engine
    return "keras" if keras_backend() != "tensorflow" or has_gpu() else "openvino"


def settle_precision(precision: str, engine: str) -> str:
    """Return the precision that this machine computes in when asked for `precision`.

    Parameters
    ----------
    precision : {"float32", "bfloat16"}
        "bfloat16" needs a processor that computes in it natively; elsewhere a warning is logged
        and "float32" returned.
    engine : {"openvino", "keras"}
        What `choose_engine` gave.

    Returns
    -------
    str
        "float32" or "bfloat16".
    """
    check_choice("precision", precision, PRECISIONS)
    if precision == "float32":
        return precision
    from featx.backbones.openvino_engine import computes_in_bfloat16

    if (engine == "keras" and has_gpu()) or computes_in_bfloat16():
        return precision
    log.warning("this processor does not compute in bfloat16: float32 is used instead")
    return "float32"


def joins_poolings(backbone: Backbone, layer: str | None) -> bool:
    """Whether one run of a network can give several poolings of a layer.

    ConvNeXt cannot at its end, where it normalises after a pooling of its own.
    """
    return layer is not None or not backbone.name.startswith("convnext")


@lru_cache(maxsize=4)
def open_engine(
    backbone: Backbone,
    *,
    layer: str | None,
    pooling: str,
    input_size: int,
    precision: str = "float32",
    engine: str = "auto",
    batch_size: int | None = None,
    cache: Path,
) -> Engine:
    """Make a network ready to run.

    The last few engines stay open, so that a session which embeds picture by picture does this
    once.

    Parameters
    ----------
    backbone : Backbone
        The network and its weights.
    layer : str or None
        The layer to read; None for the last one before the classifier.
    pooling : {"avg", "max", "flatten", "none", "avg+max"}
        How its map becomes a vector. A layer that gives vectors already is taken as it is.
        "avg+max" gives both vectors, one behind the other; see `joins_poolings`.
    input_size : int
        Side of the pictures, in pixels.
    precision : {"float32", "bfloat16"}, default="float32"
        What `settle_precision` gave.
    engine : {"auto", "openvino", "keras"}, default="auto"
        "auto" turns to Keras, too, where a network of your own has an operation that OpenVINO
        does not know.
    batch_size : int, optional
        Pictures at once; by default what suits the engine.
    cache : Path
        Where converted networks are kept.

    Returns
    -------
    Engine

    Raises
    ------
    UnknownLayerError
        The network has no such layer.
    WeightsError
        The weights cannot be read or belong to another network.
    ConversionError
        `engine` is "openvino", and the network cannot be converted.
    """
    if backbone.is_pixels:
        return PixelEngine(input_size, batch_size)
    if choose_engine(engine) == "openvino":
        from featx.backbones.openvino_engine import OpenVINOEngine

        try:
            return OpenVINOEngine(
                backbone,
                layer=layer,
                pooling=pooling,
                input_size=input_size,
                precision=precision,
                batch_size=batch_size,
                cache=cache,
            )
        except ConversionError as error:
            if engine == "openvino":
                raise
            log.warning("%s; Keras runs it instead, which is slower", error)
    from featx.backbones.keras_engine import KerasEngine

    return KerasEngine(
        backbone,
        layer=layer,
        pooling=pooling,
        input_size=input_size,
        precision=precision,
        batch_size=batch_size,
    )
