"""Safetensors files are read by numpy alone; a header that does not fit is refused."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensor_files import save_safetensors, write_safetensors

from featx.errors import WeightsError
from featx.tensors.tensor_file import read_tensors

reuse_tmp_path = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
ARRAYS = st.dictionaries(
    st.text(max_size=20).filter(lambda name: name != "__metadata__"),
    hnp.arrays(
        st.sampled_from(["float64", "float32", "float16", "int64", "uint8"]),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4),
    ),
    max_size=4,
)


def refusal(path):
    with pytest.raises(WeightsError) as caught:
        read_tensors(path)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    assert "expected a dictionary of tensors" in message
    return message


def about(dtype="F32", shape=(2, 3), place=(0, 24)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(place)}


@reuse_tmp_path
@given(ARRAYS)
def test_what_was_written_is_read(tmp_path, arrays):
    tensors = read_tensors(save_safetensors(tmp_path / "a.safetensors", arrays))
    assert list(tensors) == list(arrays)
    for name, array in arrays.items():
        assert tensors[name].dtype == array.dtype
        np.testing.assert_array_equal(tensors[name], array)
        assert not tensors[name].flags.writeable


@reuse_tmp_path
@given(ARRAYS)
def test_what_the_library_writes_is_read(tmp_path, arrays):
    library = pytest.importorskip("safetensors.numpy")
    library.save_file(arrays, tmp_path / "a.safetensors", metadata={"format": "np"})
    tensors = read_tensors(tmp_path / "a.safetensors")
    assert set(tensors) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(tensors[name], array)


def test_formats_that_numpy_lacks_become_float32(tmp_path):
    codes = np.array([0x00, 0x01, 0x38, 0xB8, 0x7E, 0x7F], "u1")
    header = {
        "e4m3": about("F8_E4M3", [6], (0, 6)),
        "e5m2": about("F8_E5M2", [6], (6, 12)),
        "bf16": about("BF16", [3], (12, 18)),
        "bool": about("BOOL", [2], (18, 20)),
    }
    data = codes.tobytes() * 2 + struct.pack("<3H", 0x3F80, 0xC020, 0x7F80) + b"\x00\x07"
    tensors = read_tensors(write_safetensors(tmp_path / "a.safetensors", header, data))
    np.testing.assert_array_equal(tensors["e4m3"], np.float32([0, 2**-9, 1, -1, 448, np.nan]))
    np.testing.assert_array_equal(
        tensors["e5m2"], np.float32([0, 2**-16, 0.5, -0.5, np.nan, np.nan])
    )
    np.testing.assert_array_equal(tensors["bf16"], np.float32([1, -2.5, np.inf]))
    np.testing.assert_array_equal(tensors["bool"], [False, True])


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"w": about(place=(0, 20))}, "does not fit its shape"),
        ({"w": about(place=(4, 28))}, "does not fit its shape or its neighbour"),
        ({"w": about(place=(24, 0))}, "does not fit"),
        ({"w": about(), "v": about()}, "does not fit"),
        ({"w": about(shape=(2, 2**62))}, "does not fit"),
        ({"w": about(shape=(2**40, 2**40), place=(0, 4 * 2**80))}, "ends within 'w'"),
        ({"w": about(shape=(-2, -3))}, "the shape of 'w' is damaged"),
        ({"w": about(shape=(2.0, 3))}, "the shape of 'w' is damaged"),
        ({"w": about(shape=(True, 6))}, "the shape of 'w' is damaged"),
        ({"w": about(shape=(1,) * 40, place=(0, 4))}, "the shape of 'w' is damaged"),
        ({"w": about(shape=(0, 2**62), place=(0, 0)), "v": about()}, "'w'"),
        ({"w": about(dtype="F4")}, "has the number format 'F4'"),
        ({"w": about(dtype=7)}, "has a int where a str belongs"),
        ({"w": about(place=(0,))}, "the header of 'w' is damaged"),
        ({"w": about(place=(0, "24"))}, "has a str where a int belongs"),
        ({"w": 3}, "the header of 'w' is damaged"),
        ({"w": None}, "the header of 'w' is damaged"),
        ({"w": {"dtype": "F32"}}, "the header of 'w' is damaged"),
        ({"\x1b[2J" * 99: None}, "the header of '\\x1b[2J"),
        ({}, "24 bytes too many"),
        (b'{"w": 1, "w": 2}', "its header is damaged"),
        (b'{"w": [' + b"[" * 200_000, "its header is damaged"),
        (b'{"w": ' + b"1" * 5000 + b"}", "its header is damaged"),
        (b"{\xff}", "its header is damaged"),
        (b"{", "its header is damaged"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(tmp_path, header, words):
    path = write_safetensors(tmp_path / "a.safetensors", header, b"\0" * 24)
    assert words in refusal(path)


@pytest.mark.parametrize("size", [2**64 - 1, 2**40, 10**6])
def test_a_header_longer_than_the_file_is_refused(tmp_path, size):
    path = write_safetensors(tmp_path / "a.safetensors", {"w": about()}, b"\0" * 24, size)
    assert f"its header cannot take {size} bytes" in refusal(path)


def test_a_file_cut_anywhere_or_with_a_tail_is_refused(tmp_path):
    data = save_safetensors(tmp_path / "a.safetensors", {"w": np.ones((2, 3))}).read_bytes()
    path = tmp_path / "b.safetensors"
    for cut in (*range(len(data)), None):
        path.write_bytes(data[:cut] if cut is not None else data + b"\0")
        refusal(path)


@reuse_tmp_path
@given(st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path, data):
    arrays = {"w": np.ones((2, 3)), "v": np.arange(5)}
    good = save_safetensors(tmp_path / "a.safetensors", arrays).read_bytes()
    start = data.draw(st.integers(0, len(good) - 1))
    patch = data.draw(st.binary(min_size=1, max_size=6))
    path = tmp_path / "b.safetensors"
    path.write_bytes(good[:start] + patch + good[start + len(patch) :])
    try:
        tensors = read_tensors(path)
    except WeightsError:
        return
    assert sum(array.nbytes for array in tensors.values()) <= 4 * len(good)


def test_the_description_of_a_file_is_left_out(tmp_path):
    header = {"__metadata__": {"format": "pt"}, "w": about()}
    path = write_safetensors(tmp_path / "a.safetensors", header, b"\0" * 24)
    assert list(read_tensors(path)) == ["w"]
    assert json.loads(path.read_bytes()[8:-24])["__metadata__"]
