"""The reference engine: the Keras network itself, on whatever backend Keras runs."""

from __future__ import annotations

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.framework import has_gpu
from featx.backbones.network import cut
from featx.backbones.preprocessing import Preprocessing

_CPU_BATCH_SIZE = 8  # larger batches gain nothing there, and one picture costs a whole batch
_GPU_BATCH_SIZE = 64


class KerasEngine:
    """A Keras network that runs as it is.

    Every batch has the same shape (a short one is filled up), so that the vector of a picture
    does not depend on the pictures beside it, and the network is compiled once. Pixels travel to
    the device as bytes and are scaled there.

    Parameters
    ----------
    backbone, layer, pooling, input_size, precision, batch_size
        As for `featx.backbones.engine.open_engine`.

    Attributes
    ----------
    shape : tuple of int
        Shape of one feature.
    batch_size : int
        Pictures at once.
    streams : int
        Two on a GPU, so that one batch travels while the other is computed; one on a CPU, whose
        cores share a batch.
    bfloat16_speedup : None
        Not measured.
    """

    bfloat16_speedup: float | None = None

    def __init__(
        self,
        backbone: Backbone,
        *,
        layer: str | None,
        pooling: str,
        input_size: int,
        precision: str,
        batch_size: int | None,
    ) -> None:
        self._model = cut(
            backbone, layer=layer, pooling=pooling, input_size=input_size, precision=precision
        )
        folded = isinstance(backbone.preprocess, Preprocessing)
        self._preprocess = None if folded else backbone.preprocess
        self.shape = tuple(self._model.output_shape[1:])
        gpu = has_gpu()
        self.batch_size = batch_size or (_GPU_BATCH_SIZE if gpu else _CPU_BATCH_SIZE)
        self.streams = 2 if gpu else 1

    def embed_batch(self, images: np.ndarray) -> np.ndarray:
        """Embed a batch of decoded pictures; see `featx.backbones.engine.Engine`."""
        n = len(images)
        if n < self.batch_size:
            blank = np.zeros((self.batch_size - n, *images.shape[1:]), images.dtype)
            images = np.concatenate([images, blank])
        pixels = self._preprocess(images.astype(np.float32)) if self._preprocess else images
        return np.asarray(self._model.predict_on_batch(pixels)[:n], dtype=np.float32)
