"""The members of a zip file lie in it, apart from each other, or it is refused."""

from __future__ import annotations

import struct
import zipfile
import zlib

import numpy as np
import pytest
from tensor_files import dictionary, tensor, write_zip

from featx.errors import WeightsError
from featx.tensors.tensor_file import read_tensors

PROGRAM = dictionary(("w", tensor()))
PICKLE = b"\x80\x02" + PROGRAM + b"."
DATA = np.arange(6, dtype="<f4").tobytes()


def refusal(path):
    with pytest.raises(WeightsError) as caught:
        read_tensors(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def save(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def entry(name, header, size):
    """An entry of the directory, for a member that is stored."""
    sizes = struct.pack("<I2I", zlib.crc32(DATA), size, size)
    fixed = b"PK\1\2" + struct.pack("<6H", 20, 20, 0, 0, 0, 0) + sizes
    return fixed + struct.pack("<5H2I", len(name), 0, 0, 0, 0, 0, header) + name


def end(entries, start, size=None, count=1):
    size = len(entries) if size is None else size
    return entries + b"PK\5\6" + struct.pack("<4H2IH", 0, 0, count, count, size, start, 0)


def test_compressed_members_are_refused(tmp_path):
    """So that no file can hold more than its size, as a zip bomb does."""
    members = [("archive/data.pkl", PICKLE), ("archive/data/k", DATA)]
    path = save(tmp_path / "a.pth", members, compression=zipfile.ZIP_DEFLATED)
    assert "is compressed or encrypted" in refusal(path)


def test_members_that_lie_across_each_other_are_refused(tmp_path):
    path = write_zip(tmp_path / "a.pth", PROGRAM)
    whole = path.read_bytes()
    start = struct.unpack("<I", whole[-6:-2])[0]
    header = whole.index(b"archive/data/k") - 30
    entries = entry(b"archive/data.pkl", 0, start) + entry(b"archive/data/k", header, 24)
    path.write_bytes(whole[:start] + end(entries, start, count=2))
    assert "lies across others" in refusal(path)


def test_the_same_bytes_as_two_members_are_refused(tmp_path):
    local = b"PK\3\4" + struct.pack("<5H3I2H", 20, 0, 0, 0, 0, 0, 24, 24, 3, 0) + b"a/b" + DATA
    path = tmp_path / "a.pth"
    path.write_bytes(local + end(entry(b"a/b", 0, 24) * 2, len(local), count=2))
    assert "twice" in refusal(path)


@pytest.mark.parametrize("name", ["../data/k", "archive/../k", "/data/k", "archive//k"])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    members = [("archive/data.pkl", PICKLE), ("archive/data/k", DATA), (name, b"")]
    assert f"has a member named {name!r}" in refusal(save(tmp_path / "a.pth", members))


@pytest.mark.parametrize(
    "members",
    [
        [("a.txt", b"text")],
        [("archive/data/k", DATA)],
        [("archive/data.pkl", PICKLE), ("other/data.pkl", PICKLE)],
        [("archive/data.pkl", PICKLE), ("word/document.xml", b"")],
        [("data.pkl", PICKLE), ("data/k", DATA)],
    ],
)
def test_other_zip_files_are_refused(tmp_path, members):
    assert "a zip file that PyTorch did not write" in refusal(save(tmp_path / "a.pth", members))


def test_a_torchscript_program_is_named(tmp_path):
    members = [("net/data.pkl", PICKLE), ("net/code/__torch__.py", b"pass")]
    assert "a TorchScript program" in refusal(save(tmp_path / "a.pt", members))


@pytest.mark.parametrize(
    ("data", "words"),
    [(None, "is missing"), (DATA[:-4], "is 20 bytes long"), (DATA + b"\0" * 4, "is 28 bytes long")],
)
def test_a_storage_that_does_not_fit_its_tensors_is_refused(tmp_path, data, words):
    members = [("archive/data.pkl", PICKLE), ("archive/data/k", data)][: 1 + (data is not None)]
    assert words in refusal(save(tmp_path / "a.pth", members))


def test_a_file_of_no_name_but_its_own_is_read(tmp_path):
    members = [("x/data.pkl", PICKLE), ("x/data/k", DATA)]
    assert read_tensors(save(tmp_path / "a.pth", members))["w"].shape == (2, 3)


def test_sizes_in_64_bits_are_read_and_checked(tmp_path):
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (("a/data.pkl", PICKLE), ("a/data/k", DATA)):
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(data)
    whole = path.read_bytes()
    assert read_tensors(path)["w"].shape == (2, 3)

    # The numbers of both entries, and of the directory, in 64 bits.
    start = struct.unpack("<I", whole[-6:-2])[0]
    entries, none = b"", 0xFFFFFFFF
    for name, data in ((b"a/data.pkl", PICKLE), (b"a/data/k", DATA)):
        header = whole.index(b"PK\3\4", len(entries))
        header = whole.index(name) - 30
        longer = struct.pack("<2H3Q", 1, 24, len(data), len(data), header)
        fixed = entry(name, none, none)
        fixed = fixed[:30] + struct.pack("<H", len(longer)) + fixed[32:]
        entries += fixed + longer
    far = len(entries) + start
    sizes = struct.pack("<QQ", len(entries), start)
    record = b"PK\6\6" + struct.pack("<Q2H2I2Q", 44, 45, 45, 0, 0, 2, 2) + sizes
    locator = b"PK\6\7" + struct.pack("<IQI", 0, far, 1)
    path.write_bytes(whole[:start] + entries + record + locator + end(b"", none, none, 0xFFFF))
    assert read_tensors(path)["w"].shape == (2, 3)

    for number in (2**63, 2**64 - 1, 0):
        torn = struct.pack("<QQ", number, start)
        path.write_bytes(path.read_bytes().replace(sizes, torn))
        refusal(path)
        sizes = torn


def test_a_directory_of_endless_entries_is_refused(tmp_path):
    path = tmp_path / "a.pth"
    path.write_bytes(b"PK\3\4" + end(entry(b"", 0, 0) * 400_000, 4, count=1))
    assert "its list of members cannot take" in refusal(path)
