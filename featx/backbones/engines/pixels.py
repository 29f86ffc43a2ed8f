"""The engine of pixels: pictures as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.network import Cut

_BATCH_SIZE = 32


class PixelEngine:
    """Gives pictures as they are: red, green and blue, 0 to 255.

    Parameters
    ----------
    backbone, cut, poolings, input_size, batch_size, cache
        As for `featx.backbones.engines.table.open_engine`; all but the sizes are ignored.
    """

    streams = 1

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
        self.shape: tuple[int, ...] = (input_size, input_size, 3)
        self.batch_size = batch_size or _BATCH_SIZE

    def embed_batch(self, images: np.ndarray) -> np.ndarray:
        """Return the pictures as float32; see `featx.backbones.engines.engine.Engine`."""
        return images.astype(np.float32)
