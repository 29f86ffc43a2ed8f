"""Weights files in HDF5 that would fill memory or reach into other files are refused."""

from __future__ import annotations

import zipfile

import h5py
import numpy as np
import pytest

from featx.errors import WeightsError
from featx.tensors.hdf5_file import check_weights_file, opened

HUGE = 1 << 40  # elements


def save(path, write):
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/dense/vars")
        group.create_dataset("0", data=np.ones((20, 30), "f4"))
        write(group)
    return path


def compressed(group):
    group.create_dataset("1", data=np.zeros(1 << 24, "f4"), compression="gzip")


WAYS = {
    "an array that nothing fills": lambda group: group.create_dataset(
        "1", (HUGE,), "f4", chunks=(1 << 10,)
    ),
    "an array of zeros, compressed": compressed,
    "many names of one array": lambda group: [
        group.__setitem__(str(n), group["0"]) for n in range(1, 1000)
    ],
    "a link to another file": lambda group: group.__setitem__(
        "1", h5py.ExternalLink("/etc/hostname", "/layers")
    ),
    "a link that leads to itself": lambda group: group.__setitem__(
        "1", h5py.SoftLink("/layers/dense/vars/1")
    ),
    "elements in another file": lambda group: group.create_dataset(
        "1", (4,), "u1", external=[("/etc/hostname", 0, 4)]
    ),
    "elements of another array": lambda group: group.create_virtual_dataset(
        "1", h5py.VirtualLayout((4,), "f4")
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_what_weights_do_not_need_is_refused(tmp_path, way, suffix):
    path = save(tmp_path / "a.h5", WAYS[way])
    if suffix == ".keras":
        with zipfile.ZipFile(tmp_path / "a.keras", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(path, "model.weights.h5")
        path = tmp_path / "a.keras"
    with pytest.raises(WeightsError) as caught:
        check_weights_file(path)
    message = str(caught.value)
    assert f"{path} is refused as weights" in message
    assert "\n" not in message


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", b"\0" * (1 << 26))
    with pytest.raises(WeightsError, match=r"would take 67\.1 MB"):
        check_weights_file(path)


def test_weights_as_keras_writes_them_pass(tmp_path):
    for options in ({}, {"compression": "gzip"}, {"chunks": (5, 5)}):
        data = np.random.default_rng(0).normal(size=(200, 300)).astype("f4")
        path = save(
            tmp_path / "a.h5",
            lambda group, data=data, options=options: group.create_dataset(
                "1", data=data, **options
            ),
        )
        check_weights_file(path)
        with opened(path) as file:
            np.testing.assert_array_equal(file["layers/dense/vars/1"], data)


def test_a_group_that_holds_itself_comes_to_an_end(tmp_path):
    check_weights_file(save(tmp_path / "a.h5", lambda group: group.__setitem__("1", group)))


@pytest.mark.parametrize("content", [b"", b"text", b"\x89HDF\r\n\x1a\n" + b"\0" * 500])
def test_what_is_no_hdf5_is_a_plain_error(tmp_path, content):
    path = tmp_path / "a.h5"
    path.write_bytes(content)
    with pytest.raises(OSError, match="open"):
        check_weights_file(path)


def test_damaged_files_pass_or_are_refused_and_nothing_else(tmp_path):
    good = save(tmp_path / "a.h5", lambda group: None).read_bytes()
    random = np.random.default_rng(0)
    path = tmp_path / "b.h5"
    refused = 0
    for _ in range(200):
        data = bytearray(good)
        for place in random.integers(0, len(data), 4):
            data[place] = random.integers(0, 256)
        path.write_bytes(data)
        try:
            check_weights_file(path)
        except (OSError, KeyError, WeightsError):
            refused += 1
    assert 0 < refused < 200
