"""The engine protocol, and what engines of whole batches share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.network import Cut
from featx.backbones.preprocessing import Preprocessing


@dataclass(frozen=True)
class EngineRequest:
    """What an engine is opened for.

    Several poolings give their vectors one behind the other; see `Backbone.joins_poolings`.
    """

    backbone: Backbone
    cut: Cut  # the layer to read, and the precision, which `settle_precision` gave
    poolings: tuple[str, ...]  # how the map of the layer becomes a vector
    input_size: int  # side of the pictures, in pixels
    cache: Path  # the cache folder, where converted networks are kept
    batch_size: int | None = None  # pictures at once; None for what suits the engine
    progress: bool = False  # whether to say on stderr what takes long
    threads: int | None = None  # of the processor; None for as many as suit it


class Engine(Protocol):
    """Something that computes the features of a batch of pictures."""

    shape: tuple[int, ...]  # of one feature: (width,), or (height, width, channels) unpooled
    batch_size: int  # the most pictures that `embed_batch` takes at once
    streams: int  # how many threads may usefully call `embed_batch` at the same time

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


def network_input(backbone: Backbone, images: np.ndarray) -> np.ndarray:
    """Return what the network of a backbone takes of decoded pictures, uint8.

    A `Preprocessing` is part of the network; any other function is called here.
    """
    if isinstance(backbone.preprocess, Preprocessing):
        return images
    return backbone.preprocess(images.astype(np.float32))


class BatchEngine(ABC):
    """An engine whose batches all have one size.

    A short batch is filled up, so that the vector of a picture does not depend on how many are
    beside it, and the network is compiled once.
    """

    def __init__(
        self, backbone: Backbone, shape: tuple[int, ...], batch_size: int, streams: int
    ) -> None:
        self.shape = shape
        self.batch_size = batch_size
        self.streams = streams
        self._backbone = backbone

    def embed_batch(self, images: np.ndarray) -> np.ndarray:
        """Embed a batch of decoded pictures; see `Engine`."""
        n = len(images)
        if n < self.batch_size:
            blank = np.zeros((self.batch_size - n, *images.shape[1:]), images.dtype)
            images = np.concatenate([images, blank])
        return self._compute(network_input(self._backbone, images), n)

    @abstractmethod
    def _compute(self, pixels: np.ndarray, n: int) -> np.ndarray:
        """Return the features of the first n of a whole batch of pixels, float32."""
