"""Preprocessing: what the five kinds do to a pixel."""

from __future__ import annotations

import numpy as np
import pytest

from featx.backbones.preprocessing import PREPROCESSINGS
from featx.errors import OptionError

PIXEL = np.array([[[[255, 0, 51]]]], np.uint8)  # one pixel: red, green, blue


@pytest.fixture
def pixels():
    return np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("caffe", [51 - 103.939, -116.779, 255 - 123.68]),
        ("tf", [1, -1, -0.6]),
        ("torch", [(1 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225]),
        ("none", [255, 0, 51]),
        ("lite", [1, -127 / 128, -76 / 128]),
    ],
)
def test_a_pixel_comes_out_as_the_networks_were_trained_on(name, expected):
    out = PREPROCESSINGS[name](PIXEL)
    np.testing.assert_allclose(out[0, 0, 0], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", PREPROCESSINGS)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_the_result_is_a_fresh_contiguous_float32_array(name, dtype, pixels):
    images = pixels.astype(dtype)
    out = PREPROCESSINGS[name](images)
    assert out.dtype == np.float32
    assert out.shape == images.shape
    assert out.flags.c_contiguous
    assert not np.shares_memory(out, images)
    np.testing.assert_array_equal(images, pixels)


@pytest.mark.parametrize("name", PREPROCESSINGS)
def test_the_numbers_say_all_that_a_graph_needs_to_do_the_same(name, pixels):
    kind = PREPROCESSINGS[name]
    ordered = pixels[..., [2, 1, 0]] if kind.bgr else pixels
    expected = (ordered - np.array(kind.mean)) / np.array(kind.scale)
    np.testing.assert_allclose(kind(pixels), expected, rtol=1e-6, atol=1e-5)


def test_images_without_three_channels_are_refused():
    with pytest.raises(OptionError, match=r"\(2, 5, 4\): expected \(n, height, width, 3\)"):
        PREPROCESSINGS["tf"](np.zeros((2, 5, 4)))


@pytest.mark.keras
@pytest.mark.parametrize("name", ["caffe", "tf", "torch"])
def test_the_modes_of_keras_give_the_same(name, pixels):
    from keras.applications import imagenet_utils

    expected = imagenet_utils.preprocess_input(pixels.astype(np.float32), mode=name)
    np.testing.assert_allclose(PREPROCESSINGS[name](pixels), expected, rtol=1e-5, atol=1e-5)
