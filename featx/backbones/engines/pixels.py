"""The engine of pixels: pictures as they are."""

from __future__ import annotations

import numpy as np

from featx.backbones.engines.engine import EngineRequest

_BATCH_SIZE = 32


class PixelEngine:
    """Gives pictures as they are: red, green and blue, 0 to 255."""

    streams = 1

    def __init__(self, request: EngineRequest) -> None:
        self.shape: tuple[int, ...] = (request.input_size, request.input_size, 3)
        self.batch_size = request.batch_size or _BATCH_SIZE

    def embed_batch(self, images: np.ndarray) -> np.ndarray:
        """Return the pictures as float32; see `featx.backbones.engines.engine.Engine`."""
        return images.astype(np.float32)
