"""Measures of pictures, from their files."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import encoded, photo
from PIL import Image

from featx.images.decode import measure
from featx.images.measures import Measures


def flat(color, size=(40, 30)):
    return encoded(Image.new("RGB", size, color))


def test_a_picture_of_one_colour_has_no_contrast():
    for color, level in {(0, 0, 0): 0, (255, 255, 255): 255, (200, 30, 30): 80}.items():
        found = measure(flat(color))
        assert (found.contrast, found.one_colour) == (0, 1), color
        assert found.dark == found.light == level


def test_sizes_are_those_of_the_file_and_upright():
    data = encoded(photo(600, 400), "JPEG")
    found = measure(data)
    assert (found.width, found.height, found.format) == (600, 400, "JPEG")
    assert found.n_bytes == len(data)
    turned = photo(600, 400)
    exif = turned.getexif()
    exif[0x0112] = 6
    found = measure(encoded(turned, "JPEG", exif=exif))
    assert (found.width, found.height) == (400, 600)


def test_a_jpeg_that_is_decoded_scaled_down_measures_like_the_whole():
    image = photo(1200, 900)
    scaled, whole = measure(encoded(image, "JPEG", quality=95)), measure(encoded(image))
    assert abs(scaled.contrast - whole.contrast) < 1
    assert np.allclose(scaled.edges, whole.edges, atol=3)
    assert np.corrcoef(list(scaled.miniature), list(whole.miniature))[0, 1] > 0.999


def test_a_blurred_picture_has_less_fine_detail():
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    sharp = Image.fromarray(noise).resize((280, 280))
    blurred = sharp.resize((30, 30)).resize((280, 280))
    fine = [
        each.detail[0] / each.detail[2] for each in map(measure, map(encoded, (sharp, blurred)))
    ]
    assert fine[1] < fine[0] / 10


def test_the_camera_is_that_of_the_exif_block():
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Acme", "Snap 3\0"
    assert measure(encoded(photo(), "JPEG", exif=exif)).camera == "Acme Snap 3"
    assert measure(encoded(photo(), "JPEG")).camera == ""


@pytest.mark.parametrize("data", [b"", b"no picture", encoded(photo(400, 300), "JPEG")[:2000]])
def test_what_cannot_be_decoded_has_no_measures(data):
    assert measure(data) is None


def test_measures_are_written_down_and_read_again():
    found = measure(encoded(photo(), "JPEG"))
    assert Measures.from_bytes(found.to_bytes()) == found
