"""The backbone that is none: a picture stands for itself, as what a baseline learns from."""

from __future__ import annotations

import numpy as np

PIXELS = "pixels"
PIXELS_DIGEST = "pixels-1"  # raise the number where a change below changes a value
PIXELS_SIZE = 32  # px; see `featx.learning.scratch`
SMALLEST_SIZE = 8  # px
_BATCH_SIZE = 32


class PixelEngine:
    """Gives pictures as they are: red, green and blue, 0 to 255.

    Parameters
    ----------
    input_size : int
        Side of the pictures, in pixels.
    batch_size : int, optional
        Pictures at once.

    Attributes
    ----------
    shape : tuple of int
        (input_size, input_size, 3).
    batch_size, streams : int
        As for `featx.backbones.engine.Engine`.
    bfloat16_speedup : None
        There is nothing to compute.
    """

    streams = 1
    bfloat16_speedup: float | None = None

    def __init__(self, input_size: int, batch_size: int | None = None) -> None:
        self.shape: tuple[int, ...] = (input_size, input_size, 3)
        self.batch_size = batch_size or _BATCH_SIZE

    def embed_batch(self, images: np.ndarray) -> np.ndarray:
        """Return the pictures as float32; see `featx.backbones.engine.Engine`."""
        return images.astype(np.float32)
