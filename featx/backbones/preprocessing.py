"""Preprocessing of pixels by each family of networks, as numbers that an engine can fold in.

The modes "caffe", "tf" and "torch" are those of `keras.applications.imagenet_utils`; "none" is
for networks that hold their own preprocessing, "lite" is that of EfficientNet-Lite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from featx.errors import OptionError

PREPROCESSING_VERSION = 1  # raise it where a change below changes a value


@dataclass(frozen=True)
class Preprocessing:
    """A linear scaling of each channel: (channel - mean) / scale."""

    name: str
    bgr: bool  # whether the channels are turned around, before all else
    mean: tuple[float, float, float]  # of each channel that comes out, in 0 to 255
    scale: tuple[float, float, float]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Scale RGB images, 0 to 255, of shape (..., 3): a fresh float32 array of that shape.

        Its channels are in the network's order.
        """
        images = np.asarray(images)
        if images.shape[-1:] != (3,):
            raise OptionError(
                f"images have shape {images.shape}: expected (n, height, width, 3), RGB"
            )
        scaled = images[..., :: -1 if self.bgr else 1].astype(np.float32, order="C")
        scaled -= np.asarray(self.mean, np.float32)
        scaled /= np.asarray(self.scale, np.float32)
        return scaled


PREPROCESSINGS = {
    each.name: each
    for each in (
        Preprocessing("caffe", True, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
        Preprocessing("tf", False, (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
        Preprocessing("torch", False, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
        Preprocessing("none", False, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
        Preprocessing("lite", False, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
    )
}
