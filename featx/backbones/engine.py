"""What turns pixels into vectors, and the choice of one."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from featx.backbones.backbone import Backbone

POOLINGS = ("avg", "max", "flatten", "none")
DEFAULT_BATCH_SIZE = 8  # on a CPU larger batches gain nothing, and one picture costs a whole batch


class Engine(Protocol):
    """Something that computes the features of a batch of pictures.

    Attributes
    ----------
    shape : tuple of int
        Shape of the feature of one picture: (width,), or (height, width, channels) unpooled.
    batch_size : int
        The most pictures that `embed_batch` takes at once.
    """

    shape: tuple[int, ...]
    batch_size: int

    def embed_batch(self, images: np.ndarray) -> np.ndarray:
        """Embed a batch of decoded pictures.

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


@lru_cache(maxsize=2)
def open_engine(
    backbone: Backbone,
    *,
    layer: str | None,
    pooling: str,
    input_size: int,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> Engine:
    """Build a network, load its weights and make it ready to run.

    The last two engines stay open, so that a session which embeds picture by picture builds its
    network once.

    Parameters
    ----------
    backbone : Backbone
        The network and its weights.
    layer : str or None
        The layer to read; None for the last one before the classifier.
    pooling : {"avg", "max", "flatten", "none"}
        How its map becomes a vector. A layer that gives vectors already is taken as it is.
    input_size : int
        Side of the pictures, in pixels.
    batch_size : int
        Pictures at once.

    Returns
    -------
    Engine

    Raises
    ------
    UnknownLayerError
        The network has no such layer.
    WeightsError
        The weights cannot be read or belong to another network.
    """
    from featx.backbones.keras_engine import KerasEngine

    return KerasEngine(
        backbone, layer=layer, pooling=pooling, input_size=input_size, batch_size=batch_size
    )
