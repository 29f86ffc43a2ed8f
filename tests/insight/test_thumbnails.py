"""Thumbnails are small, upright and all of a picture, and a page has each of them once."""

import base64
import re
from io import BytesIO

import fakes
import numpy as np
import pytest
from PIL import Image

from featx.images.arrays import array_images
from featx.insight.thumbnails import Album, side_for, thumbnail


def decoded(uri) -> Image.Image:
    head, _, data = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize(("size", "expected"), [((900, 600), (96, 64)), ((20, 40), (20, 40))])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_thumbnail_is_all_of_a_picture_upright_and_not_enlarged(tmp_path, size, expected, suffix):
    picture = fakes.photo(*size)
    path = tmp_path / f"photo.{suffix}"
    picture.save(path)
    made = decoded(thumbnail(str(path), 96))
    assert made.size == expected
    away = np.asarray(made, int) - np.asarray(picture.resize(expected), int)
    assert np.median(np.abs(away[..., :2])) < 8  # of red and green, which are smooth


def test_a_thumbnail_of_a_turned_photograph_is_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    fakes.photo(90, 60).save(tmp_path / "turned.jpg", exif=exif)
    assert decoded(thumbnail(str(tmp_path / "turned.jpg"), 90)).size == (60, 90)


@pytest.mark.parametrize("name", ["gone.jpg", "broken.jpg", "nul\0.jpg"])
def test_a_thumbnail_of_what_cannot_be_read_is_grey(tmp_path, name):
    (tmp_path / "broken.jpg").write_text("no picture")
    colors = np.unique(np.asarray(decoded(thumbnail(str(tmp_path / name), 96))))
    assert colors.tolist() == [208]


def test_an_album_keeps_the_largest_size_asked_for_and_joins_copies(tmp_path):
    paths = [
        str(fakes.draw(tmp_path / name, (9, 99, 9), (200, 100))) for name in ["a.png", "b.png"]
    ]
    album = Album()
    first = album.place(paths[0], 32)
    assert album.place(paths[0], 64) == first
    assert album.place(paths[1], 64) != first
    sheet = album.style_sheet()
    assert sheet.count("data:") == 1
    assert sheet.startswith(".t0,.t1{background-image:url(data:")
    assert decoded(re.search(r"url\((.*?)\)", sheet)[1]).size == (64, 32)


def test_pictures_of_two_arrays_have_thumbnails_of_their_own_under_the_same_names(tmp_path):
    (one, *_), (other, *_) = (array_images(fakes.draw_array(start=seed)[0]) for seed in (0, 1))
    assert decoded(thumbnail(one, 96)).size == (32, 24)
    album = Album()
    assert album.place(one, 96) != album.place(other, 96)
    assert album.style_sheet().count("url(") == 2


def test_thumbnails_of_many_pictures_are_small():
    assert [side_for(n) for n in (10, 100, 500, 2000)] == [160, 112, 80, 48]
