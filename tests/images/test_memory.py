"""Pictures in memory are the images of their files, and of their pixels."""

from __future__ import annotations

import copy
import gzip
import io
import pickle
import tempfile

import numpy as np
import pandas as pd
import pytest
from fakes import SQUARE, decode, encoded, photo
from PIL import Image, ImageOps

from featx.errors import ImageSourceError
from featx.images.arrays import array_images
from featx.images.digests import read_file
from featx.images.folder import ImageFolder
from featx.images.memory import MemoryImage

PICTURE = photo(31, 20)
SIDEWAYS = Image.Exif()
SIDEWAYS[0x0112] = 6
JPEG = encoded(PICTURE, "JPEG", exif=SIDEWAYS)
PIXELS = np.asarray(PICTURE)


def only(source) -> str:
    (path,) = ImageFolder.of(source).paths
    return path


def read(source) -> bytes:
    return read_file(only(source))[0]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sideways.jpg"
    path.write_bytes(JPEG)
    return path


# -- Bytes and open files --------------------------------------------------------------------------


def at_its_end() -> io.BytesIO:
    stream = io.BytesIO(JPEG)
    stream.seek(0, io.SEEK_END)
    return stream


@pytest.mark.parametrize(
    "make", [bytes, bytearray, memoryview, io.BytesIO], ids=lambda x: x.__name__
)
def test_bytes_are_the_file_that_they_are_of(make):
    assert read(make(JPEG)) == read([make(JPEG)]) == JPEG


def test_an_open_file_is_read_from_its_beginning_and_left_where_it_was():
    stream = at_its_end()
    assert read(stream) == JPEG
    assert stream.tell() == len(JPEG)


def test_a_file_open_for_reading_is_its_path_and_is_read_only_in_time(file):
    with open(file, "rb") as stream:
        assert only(stream) == str(file)
        assert only([stream]) == str(file)

    def streams():
        with open(file, "rb") as stream:
            yield stream

    assert ImageFolder.of(streams()).paths == (str(file),)


def test_what_is_not_the_file_on_the_disk_is_read_at_once(file, tmp_path):
    with gzip.open(tmp_path / "packed.gz", "wb") as stream:
        stream.write(JPEG)
    with gzip.open(tmp_path / "packed.gz", "rb") as stream:
        assert read(stream) == JPEG
    with tempfile.TemporaryFile() as stream:
        stream.write(JPEG)
        assert read(stream) == JPEG
    with open(file, "rb") as stream:
        file.unlink()
        assert read(stream) == JPEG
    with open(tmp_path / "new.jpg", "w+b") as stream:
        stream.write(JPEG)  # still in the buffer
        image = only(stream)
    (tmp_path / "new.jpg").unlink()
    assert read(image) == JPEG


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (
            lambda file: file.open(encoding="latin-1"),
            r'item 1 .*TextIOWrapper .*open\(path, "rb"\)',
        ),
        (lambda file: io.StringIO("text"), "item 1 of the images is a StringIO whose read"),
    ],
    ids=["a file of text", "text"],
)
def test_an_open_file_of_text_is_told_with_what_to_do(file, stream, message):
    with stream(file) as opened, pytest.raises(ImageSourceError, match=message):
        ImageFolder.of([JPEG, opened])


def test_a_closed_file_is_told_with_its_place():
    stream = io.BytesIO(JPEG)
    stream.close()
    with pytest.raises(ImageSourceError, match=r"item 1 of the images cannot be read \(I/O oper"):
        ImageFolder.of([JPEG, stream])


# -- Images of Pillow ------------------------------------------------------------------------------


def test_pixels_have_the_bytes_of_the_same_array_and_of_a_netpbm_file():
    assert read(PICTURE) == read(PIXELS[np.newaxis]) == encoded(PICTURE, "PPM")
    grey = PICTURE.convert("L")
    assert read(grey) == read(np.asarray(grey)[np.newaxis]) == encoded(grey, "PPM")


def test_an_image_that_is_opened_and_not_decoded_is_its_file(file):
    with Image.open(file) as image:
        assert only(image) == str(file)
    with Image.open(io.BytesIO(JPEG)) as image:
        assert read(image) == JPEG
        assert image.tile, "it was decoded"
        assert np.array_equal(image, Image.open(file)), "it cannot be decoded any more"


def test_what_was_done_to_an_image_counts_not_its_file(file):
    large = Image.open(io.BytesIO(encoded(PICTURE.resize((310, 200)), "JPEG")))
    large.draft("L", (31, 20))
    assert read(large).startswith(b"P5\n39 25\n")
    turned = Image.open(file)
    turned.thumbnail((10, 10))
    assert read(turned).startswith(b"P6\n6 10\n")
    pages = io.BytesIO()
    PICTURE.save(pages, "PNG", save_all=True, append_images=[PICTURE.convert("L").convert("RGB")])
    second = Image.open(pages)
    second.seek(1)
    assert read(second) == encoded(PICTURE.convert("L").convert("RGB"), "PPM")


def test_an_image_is_turned_upright_once_as_its_file_is(file):
    image = Image.open(file)
    upright = ImageOps.exif_transpose(image)
    image.load()
    assert upright.size == (20, 31)
    assert read(image) == read(upright) == encoded(upright, "PPM")


MODES = {
    "1": PICTURE.convert("1"),
    "P": PICTURE.quantize(8),
    "LA": PICTURE.convert("LA"),
    "RGBA": Image.merge("RGBA", [*PICTURE.split(), PICTURE.convert("L")]),
    "CMYK": PICTURE.convert("CMYK"),
    "LAB": Image.frombytes("LAB", PICTURE.size, PICTURE.tobytes()),
    "I;16": Image.fromarray(np.asarray(PICTURE.convert("L"), np.uint16) * 257),
    "F": Image.fromarray(np.asarray(PICTURE.convert("L"), np.float32) / 255),
}


@pytest.mark.parametrize("mode", MODES)
def test_any_mode_gives_the_pixels_of_the_same_picture_in_a_file(mode):
    assert MODES[mode].mode == mode
    expected, _ = decode(encoded(MODES[mode], "TIFF"), SQUARE)
    pixels, outcome = decode(read(MODES[mode]), SQUARE)
    assert outcome.ok, outcome
    assert np.array_equal(pixels, expected)


def test_an_image_that_cannot_be_decoded_cannot_be_read():
    image = Image.open(io.BytesIO(encoded(PICTURE, "BMP")[:-40]))
    with pytest.raises(OSError, match="truncated"):
        read(image)


# -- Arrays ----------------------------------------------------------------------------------------


def test_arrays_of_several_sizes_shapes_and_dtypes_are_as_each_is_alone():
    arrays = [PIXELS, PIXELS[:7, :5], PIXELS[..., 0], PIXELS[..., :1], PIXELS / 255, PIXELS > 99]
    arrays.append(np.dstack([PIXELS, PIXELS[..., 0]]))
    expected = [array_images(array[np.newaxis])[0].read() for array in arrays]
    as_objects = np.empty(len(arrays), object)
    for row, array in enumerate(arrays):
        as_objects[row] = array
    for source in (arrays, tuple(arrays), iter(arrays), as_objects, pd.Series(arrays)):
        images = ImageFolder.of(source)
        assert images.paths == tuple(f"image[{row}]" for row in range(len(arrays)))
        assert [read_file(image)[0] for image in images.paths] == expected


def test_an_array_of_objects_that_are_numbers_is_taken_row_by_row():
    images = ImageFolder.of(np.array([PIXELS, PIXELS[::-1]], dtype=object))
    assert [read_file(image)[0] for image in images.paths] == [read([PIXELS]), read([PIXELS[::-1]])]


BAD = {
    "floats up to 255": (
        PIXELS.astype(np.float32),
        r'is float32 with values from 0.0 to 25.\.0: expected 0 to 1; give array.astype\("uint8"\)',
    ),
    "16 bits": (PIXELS * np.uint16(257), "is uint16 .* divide by the highest value"),
    "texts": (np.array([["a", "b"]]), "is of <U1: expected numbers"),
    "channels first": (
        np.moveaxis(PIXELS, -1, 0),
        r"shape \(3, 20, 31\).*moveaxis\(array, 0, -1\)",
    ),
    "several pictures": (np.stack([PIXELS] * 2), r"shape \(2, 20, 31, 3\).*one by one, \[\*array"),
    "a row": (PIXELS[0, :, 0], r"shape \(31,\): expected \(height, width\) or"),
    "nothing": (PIXELS[:0], "so it is empty"),
    "uneven rows": (np.array([[1, 2], [3]], dtype=object), r"cannot be taken \(.*inhomogeneous"),
}


@pytest.mark.parametrize(("array", "message"), BAD.values(), ids=BAD)
def test_a_wrong_array_in_a_list_is_told_with_its_place_and_what_to_do(array, message):
    with pytest.raises(ImageSourceError, match=f"item 1 of the images .*{message}") as error:
        ImageFolder.of([PIXELS, array])
    assert "\n" not in str(error.value)


# -- All together ----------------------------------------------------------------------------------


def test_a_list_mixes_whatever_is_an_image(file):
    items = [file, JPEG, PICTURE, PIXELS, io.BytesIO(JPEG), str(file)]
    expected = (str(file), "image[1]", "image[2]", "image[3]", "image[4]", str(file))
    assert ImageFolder.of(items).paths == expected
    assert ImageFolder.of(each for each in items).paths == expected
    assert ImageFolder.of(dict(enumerate(items)).values()).paths == expected
    table = ImageFolder.of(pd.DataFrame({"path": items, "label": list("ababab")}))
    assert (table.paths, table.classes) == (expected, ("a", "b"))


def test_what_is_no_image_in_a_table_is_told_with_its_row():
    with pytest.raises(ImageSourceError, match="row 1 of the column `path` is float64 with values"):
        ImageFolder.of(pd.DataFrame({"path": [JPEG, PIXELS * 1.0]}))


def test_pictures_of_one_name_are_told_apart_by_content_and_survive_pickling():
    for source, other in ((JPEG, JPEG[:-1]), (PICTURE, PICTURE.convert("L")), (PIXELS, PIXELS + 1)):
        image, different = only([source]), only([other])
        assert image == "image[0]" == different
        assert image != different
        assert len({image, different, only([source])}) == 2
        for again in (pickle.loads(pickle.dumps(image)), copy.deepcopy(image)):
            assert isinstance(again, MemoryImage)
            assert again == image
            assert again.read() == image.read()
        assert only(image) is image
