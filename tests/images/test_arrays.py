"""A picture in memory is the same image as the file that it would be saved to."""

from __future__ import annotations

import copy
import pickle
import tracemalloc

import numpy as np
import pytest
from fakes import SQUARE, decode
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from featx.errors import ImageSourceError
from featx.images.arrays import ArrayImage, array_images
from featx.images.digests import DigestMemo, digest_bytes, read_file
from featx.images.folder import ImageFolder

SHAPES = {"grey": (4, 9, 6), "one channel": (4, 9, 6, 1), "RGB": (4, 9, 6, 3), "RGBA": (4, 9, 6, 4)}


def noise(shape, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def pixels_of(array: np.ndarray) -> np.ndarray:
    return np.stack([image.pixels for image in array_images(array)])


# -- The image -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_an_array_decodes_like_the_same_picture_in_a_png(shape, tmp_path):
    array = noise(shape)
    for image, row in zip(array_images(array), array, strict=True):
        Image.fromarray(row.squeeze()).save(tmp_path / "same.png")
        expected, _ = decode((tmp_path / "same.png").read_bytes(), SQUARE)
        pixels, outcome = decode(read_file(image)[0], SQUARE)
        assert outcome.ok, outcome
        assert np.array_equal(pixels, expected)


@pytest.mark.parametrize(("shape", "suffix"), [((1, 9, 6), "pgm"), ((1, 9, 6, 3), "ppm")])
def test_a_saved_netpbm_file_has_the_digest_of_the_array(shape, suffix, tmp_path):
    (image,) = array_images(noise(shape))
    Image.fromarray(image.pixels).save(tmp_path / f"same.{suffix}")
    data, stamp = read_file(image)
    assert digest_bytes(data) == digest_bytes((tmp_path / f"same.{suffix}").read_bytes())
    assert stamp is None


@given(arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 3, st.sampled_from([1, 3, 4]))))
def test_whatever_the_pixels_they_come_out_of_the_bytes_again(array):
    from io import BytesIO

    for image, row in zip(array_images(array), array, strict=True):
        with Image.open(BytesIO(image.read()), formats=["PPM"]) as opened:
            assert np.array_equal(
                np.asarray(opened), row.squeeze(axis=2) if row.shape[2] == 1 else row
            )


def test_views_in_another_order_of_memory_are_read_row_by_row():
    first = noise((5, 3, 8, 7))
    channels_last = np.moveaxis(first, 1, -1)[::-2]
    copied = [image.read() for image in array_images(np.ascontiguousarray(channels_last))]
    assert [image.read() for image in array_images(channels_last)] == copied


def test_an_array_of_bytes_is_not_copied(tmp_path):
    array = noise((500, 32, 32, 3))
    tracemalloc.start()
    images = array_images(array)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert all(np.shares_memory(image.pixels, array) for image in images)
    assert peak < array.nbytes / 4
    np.save(tmp_path / "x.npy", array)
    mapped = array_images(np.load(tmp_path / "x.npy", mmap_mode="r"))
    assert mapped == images


def test_names_are_texts_and_tell_the_same_row_of_two_arrays_apart():
    one, other = array_images(noise((12, 4, 5), 1)), array_images(noise((12, 4, 5), 2))
    assert one[11] == "array[11]"
    assert f"{one[11]}" == str(one[11]) == "array[11]"
    assert type(str(one[11])) is str
    assert one[11] == array_images(noise((12, 4, 5), 1))[11]
    assert one[11] != other[11]
    assert len({*one, *other, *array_images(noise((12, 4, 5), 1))}) == 24


def test_a_pickled_picture_carries_its_own_pixels_and_no_others():
    image = array_images(noise((1000, 10, 10)))[7]
    data = pickle.dumps(image)
    assert len(data) < 1000
    for again in (pickle.loads(data), copy.deepcopy(image)):
        assert isinstance(again, ArrayImage)
        assert again == image
        assert again.read() == image.read()


# -- Values --------------------------------------------------------------------------------------


def test_floats_from_0_to_1_give_the_bytes_that_they_were():
    array = noise((3, 40, 50))
    for dtype in (np.float16, np.float32, np.float64):
        assert np.array_equal(pixels_of((array / 255).astype(dtype)), array), dtype
    assert pixels_of(np.array([[[0.0, 0.5, 1.0, 0.002, 0.0019]]])).tolist() == [
        [[0, 128, 255, 1, 0]]
    ]


def test_a_large_array_of_floats_is_converted_block_by_block():
    array = noise((76, 300, 300, 3))
    floats = (array / 255).astype(np.float32)
    tracemalloc.start()
    images = array_images(floats)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal([image.pixels for image in images], array)
    assert peak - array.nbytes < floats.nbytes, "the whole array was converted at once"


@pytest.mark.parametrize("dtype", [np.int64, np.int16, np.uint16, np.uint32])
def test_other_integers_are_bytes_if_they_fit(dtype):
    array = noise((2, 6, 5, 3))
    assert np.array_equal(pixels_of(array.astype(dtype)), array)


def test_true_is_white():
    assert (
        pixels_of(np.eye(5, dtype=bool)[None]).tolist()
        == (255 * np.eye(5, dtype=int))[None].tolist()
    )


def high(value, dtype=np.float32) -> np.ndarray:
    array = np.zeros((2, 5, 5), dtype)
    array[1, 2, 3] = value
    return array


BAD_VALUES = {
    "bytes as floats": (
        high(255),
        r'float32 with values from 0.0 to 255.0: expected 0 to 1; give array.astype\("uint8"\) if',
    ),
    "negative floats": (high(-1), "from -1.0 to 0.0: expected 0 to 1; shift and scale"),
    "a little too much": (
        high(1.001),
        r"from 0.0 to 1.001\d*: expected 0 to 1; give np.clip\(array, 0, 1\)",
    ),
    "NaN": (high(np.nan), "from nan to nan: expected 0 to 1; replace what is not finite"),
    "infinity": (high(np.inf), "from 0.0 to inf: expected 0 to 1; replace what is not finite"),
    "16-bit integers": (
        high(65535, np.uint16),
        "uint16 with values from 0 to 65535: expected 0 to 255; divide by the highest",
    ),
    "negative integers": (high(-3, np.int8), "from -3 to 0: expected 0 to 255; shift and scale"),
    "complex": (high(1j, complex), "is of complex128: expected numbers"),
}
BAD_SHAPES = {
    "one picture": ((28, 28, 3), r"\(28, 28, 3\), which looks like one .*array\[np.newaxis\]"),
    "grey or one picture": ((9, 28, 1), r"looks like one .*array\[..., np.newaxis\] for many grey"),
    "a table": ((10, 784), r"shape \(10, 784\): expected \(n, height, width\).*; reshape"),
    "channels first": ((2, 3, 8, 8), r"the channels come first, give np.moveaxis\(array, 1, -1\)"),
    "two channels": ((2, 8, 8, 2), r"with 1, 3 or 4 channels$"),
    "five axes": ((2, 2, 8, 8, 3), r"\(2, 2, 8, 8, 3\): expected"),
    "no picture": ((0, 28, 28), "so it is empty"),
    "no pixels": ((3, 0, 28), "so it is empty"),
}


@pytest.mark.parametrize(("array", "message"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_values_out_of_range_are_told_with_what_to_do(array, message):
    with pytest.raises(ImageSourceError, match=message) as error:
        ImageFolder.of(array)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("shape", "message"), BAD_SHAPES.values(), ids=BAD_SHAPES)
def test_an_array_of_another_shape_is_told_with_what_to_do(shape, message):
    with pytest.raises(ImageSourceError, match=message):
        ImageFolder.of(np.zeros(shape, np.uint8))


# -- Where paths go ------------------------------------------------------------------------------


def test_selected_pictures_are_images_again_beside_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "array[1]").mkdir()  # no picture in memory is looked for on the disk
    images = array_images(noise((5, 4, 6)))
    again = ImageFolder.of([images[1], "a.jpg", images[0]])
    assert [type(path) for path in again.paths] == [ArrayImage, str, ArrayImage]
    assert again.paths[0].pixels is images[1].pixels


def test_a_memo_digests_pictures_in_memory_and_does_not_remember_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "array[0]").write_bytes(b"a file of this name")
    images = array_images(noise((2, 4, 6)))
    digests = {image: digest_bytes(image.read()) for image in images}
    with DigestMemo(tmp_path / "digests.sqlite") as memo:
        assert memo.known(images) == digests
        memo.remember((image, digests[image], read_file(image)[1]) for image in images)
        assert memo.known(["array[0]", "array[1]"]) == {}
