"""Keras models as ONNX files: names, layers that hold numbers, and operations that ONNX has not."""

from __future__ import annotations

import numpy as np
import pytest

from featx.errors import ConversionError
from featx.export.onnx_file import onnx_of, write_onnx
from featx.export.runtime import RUNTIMES

pytestmark = [pytest.mark.keras, pytest.mark.usefixtures("tf2onnx")]


def test_layers_that_hold_numbers_are_no_inputs_and_several_inputs_keep_their_names(tmp_path):
    import keras

    random = np.random.default_rng(0)
    entries = [keras.Input((8, 8, 3), dtype="uint8", name=name) for name in ("small", "large")]
    rows = [keras.layers.Flatten()(keras.ops.cast(each, "float32")) for each in entries]
    normal = keras.layers.Normalization()
    normal.adapt(random.normal(100, 50, size=(50, 384)).astype(np.float32))
    head = keras.layers.Dense(3, activation="softmax", kernel_initializer="orthogonal")
    model = keras.Model(entries, head(normal(keras.layers.Concatenate()(rows)) / 20))
    pixels = {
        name: random.integers(0, 256, (5, 8, 8, 3), dtype=np.uint8) for name in ("small", "large")
    }
    write_onnx(onnx_of(model), tmp_path / "model.onnx")
    actual = RUNTIMES["onnx"].open(tmp_path / "model.onnx")(pixels)
    np.testing.assert_allclose(actual, model(list(pixels.values())), atol=1e-5)


def test_an_operation_that_onnx_has_not_is_named(capfd):
    import keras

    pixels = keras.Input((4,), name="pixels")
    model = keras.Model(pixels, keras.layers.Dense(3, activation="gelu")(pixels), name="mine")
    capfd.readouterr()  # what TensorFlow said when it began
    said = r"mine has operations that ONNX files have not \(Erfc\): export to openvino"
    with pytest.raises(ConversionError, match=said):
        onnx_of(model)
    assert capfd.readouterr() == ("", "")
