"""The Keras engine, the reference: the network itself, on whatever backend Keras runs."""

from __future__ import annotations

import numpy as np

from featx.backbones.engines.engine import BatchEngine, EngineRequest
from featx.backbones.framework import has_gpu
from featx.backbones.keras_settings import usual_settings
from featx.backbones.network import cut_network

_CPU_BATCH_SIZE = 8  # larger batches gain nothing there, and one picture costs a whole batch
_GPU_BATCH_SIZE = 64


class KerasEngine(BatchEngine):
    """A Keras network that runs as it is.

    Pixels travel to the device as bytes and are scaled there. On a GPU two batches are under way,
    so that one travels while the other is computed; the cores of a CPU share one.
    """

    def __init__(self, request: EngineRequest) -> None:
        self._model = cut_network(
            request.backbone, request.cut, request.poolings, request.input_size
        )
        gpu = has_gpu()
        super().__init__(
            request.backbone,
            shape=tuple(self._model.output_shape[1:]),
            batch_size=request.batch_size or (_GPU_BATCH_SIZE if gpu else _CPU_BATCH_SIZE),
            streams=2 if gpu else 1,
        )

    def _compute(self, pixels: np.ndarray, n: int) -> np.ndarray:
        with usual_settings():
            return np.asarray(self._model.predict_on_batch(pixels)[:n], dtype=np.float32)
