"""The lines that make a picture square without featx, held against featx's own."""

from __future__ import annotations

import io

import fakes
import numpy as np
import pytest
from PIL import Image, ImageOps

from featx.export.reference import reference, square_code
from featx.export.runtime import RUNTIMES
from featx.images.square import INTERPOLATIONS, RESIZES, Square

SIDES = [(640, 480), (333, 500), (50, 1000), (31, 17), (224, 224)]


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_the_square_of_a_reference_is_that_of_featx(resize, interpolation):
    for size in (224, 97):
        square = Square(size, resize, interpolation)
        for width, height in SIDES:
            picture = fakes.photo(width, height)
            names = {"picture": picture, "Image": Image}
            exec(square_code(square), names)
            assert np.array_equal(np.asarray(names["square"]), np.asarray(square.of(picture)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_featx_turns_it(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    fakes.photo(64, 48).save(file, "JPEG", exif=exif)
    square = Square(32)
    names = {
        "picture": ImageOps.exif_transpose(Image.open(file)).convert("RGB"),
        "Image": Image,
    }
    exec(square_code(square), names)
    expected, _ = fakes.decode(file.getvalue(), square)
    assert np.array_equal(np.asarray(names["square"]), expected)


@pytest.mark.parametrize("kind", RUNTIMES)
@pytest.mark.parametrize("resize", RESIZES)
def test_a_reference_is_a_short_program(kind, resize, tmp_path):
    text = reference(kind, tmp_path / "a 'b'.x", {"pixels": Square(32, resize)})
    compile(text, "reference", "exec")
    lines = [line for line in text.splitlines() if line and "import" not in line]
    assert len(lines) <= (8 if resize == "squash" else 13)
    assert "featx." not in text.replace("featx.json", "")
