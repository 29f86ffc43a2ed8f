"""The Keras engine, the reference: the network itself, on whatever backend Keras runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.engines.engine import BatchEngine
from featx.backbones.framework import has_gpu
from featx.backbones.network import Cut, cut_network

_CPU_BATCH_SIZE = 8  # larger batches gain nothing there, and one picture costs a whole batch
_GPU_BATCH_SIZE = 64


class KerasEngine(BatchEngine):
    """A Keras network that runs as it is.

    Pixels travel to the device as bytes and are scaled there. On a GPU two batches are under way,
    so that one travels while the other is computed; the cores of a CPU share one.

    Parameters
    ----------
    backbone, cut, poolings, input_size, batch_size, cache
        As for `featx.backbones.engines.table.open_engine`; nothing is cached.
    """

    def __init__(
        self,
        backbone: Backbone,
        cut: Cut,
        poolings: tuple[str, ...],
        *,
        input_size: int,
        batch_size: int | None,
        cache: Path,
    ) -> None:
        self._model = cut_network(backbone, cut, poolings, input_size)
        gpu = has_gpu()
        super().__init__(
            backbone,
            shape=tuple(self._model.output_shape[1:]),
            batch_size=batch_size or (_GPU_BATCH_SIZE if gpu else _CPU_BATCH_SIZE),
            streams=2 if gpu else 1,
        )

    def _compute(self, pixels: np.ndarray, n: int) -> np.ndarray:
        return np.asarray(self._model.predict_on_batch(pixels)[:n], dtype=np.float32)
