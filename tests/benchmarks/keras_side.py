"""What most people write today: Keras, as its tutorials use it."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from featx.backbones import table
from featx.backbones.framework import import_keras
from featx.backbones.keras_weights import load_weights
from featx.backbones.preprocessing import PREPROCESSINGS
from featx.backbones.table import BackboneSpec
from featx.backbones.weights import locate

_BATCH_SIZE = 32


class KerasSide:
    """One Keras network at a time."""

    def open(self, backbone: str, weights: str) -> None:
        """Build a network with average pooling and load its weights."""
        keras = import_keras()
        keras.backend.clear_session()
        spec = table.find(backbone)
        self._size = (spec.input_size, spec.input_size)
        self._model = spec.build(include_top=False, input_shape=(*self._size, 3), pooling="avg")
        load_weights(self._model, spec, locate(spec, weights))
        self._preprocess_input = _preprocess_input(spec)

    def loop(self, folder: str) -> float:
        """Embed one image at a time; return images/s."""
        keras = import_keras()
        paths = sorted(Path(folder).iterdir())
        start = time.perf_counter()
        for path in paths:
            image = keras.utils.load_img(path, target_size=self._size)
            x = keras.utils.img_to_array(image)
            x = np.expand_dims(x, axis=0)
            x = self._preprocess_input(x)
            self._model.predict(x, verbose=0)
        return len(paths) / (time.perf_counter() - start)

    def dataset(self, folder: str) -> float:
        """Embed a folder through tf.data; return images/s, from the first file to the last."""
        import tensorflow as tf

        keras = import_keras()
        dataset = keras.utils.image_dataset_from_directory(
            folder,
            labels=None,
            batch_size=_BATCH_SIZE,
            image_size=self._size,
            interpolation="bilinear",
            shuffle=False,
            verbose=False,
        )
        dataset = dataset.map(self._preprocess_input, num_parallel_calls=tf.data.AUTOTUNE)
        dataset = dataset.prefetch(tf.data.AUTOTUNE)
        start = time.perf_counter()
        features = self._model.predict(dataset, verbose=0)
        return len(features) / (time.perf_counter() - start)


def _preprocess_input(spec: BackboneSpec) -> Any:
    """Return the function of that name that Keras has beside the network.

    EfficientNet-Lite has none there; its scaling takes arrays and tensors alike.
    """
    module, name = spec.builder.split(":")
    home = import_module(getattr(import_module(module), name).__module__)
    if hasattr(home, "preprocess_input"):
        return home.preprocess_input
    scaling = PREPROCESSINGS[spec.preprocessing]
    return lambda x: (x - np.float32(scaling.mean)) / np.float32(scaling.scale)
