"""A file is written whole or not at all, and what is in the way is said."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from featx.errors import OptionError, StorageError
from featx.files import PICTURES, check_writable, storage_errors, written


def write_half(target: Path, error: BaseException) -> None:
    with written(target) as file:
        file.write_text("half")
        raise error


def test_a_file_takes_its_place_when_it_is_complete(tmp_path):
    target = tmp_path / "x.csv"
    target.write_text("old")
    with written(target) as file:
        assert (file.parent, file.suffix) == (tmp_path, ".csv")
        assert file.name.startswith(".x-")
        file.write_text("new")
        assert target.read_text() == "old"
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x.csv", "new")]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError, OptionError])
@pytest.mark.parametrize("old", [None, "old"])
def test_an_error_leaves_what_was_there_and_nothing_else(tmp_path, error, old):
    target = tmp_path / "x.csv"
    if old is not None:
        target.write_text(old)
    with pytest.raises(error, match="interrupted"):
        write_half(target, error("interrupted"))
    assert [path.read_text() for path in tmp_path.iterdir()] == ([] if old is None else [old])


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    with written(tmp_path / "x") as one, written(tmp_path / "x") as other:
        one.write_text("one")
        other.write_text("other")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x", "one")]


def test_a_file_may_be_read_by_whom_the_system_lets(tmp_path):
    (tmp_path / "plain").write_text("")
    with written(tmp_path / "x") as file:
        file.write_text("")
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "x")]
    assert modes[0] == modes[1]


@pytest.mark.parametrize("letter", ["x", "é", "猫", "🐈"])
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path, letter):
    name = letter * (250 // len(letter.encode())) + ".npz"
    with written(tmp_path / name) as file:
        file.write_text("there")
    assert (tmp_path / name).read_text() == "there"


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "the disk is full; make room or choose another folder"),
        (errno.EDQUOT, "the disk quota is used up; make room or choose another folder"),
        (errno.EACCES, "permission denied; choose a folder that you may write to"),
        (errno.EROFS, "the file system is read-only; choose another folder"),
        (errno.ENOENT, "there is no such folder; create it first"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_an_error_of_the_system_says_what_to_do(tmp_path, number, advice):
    with pytest.raises(StorageError) as caught:
        write_half(tmp_path / "x", OSError(number, os.strerror(number)))
    assert str(caught.value) == f"cannot write {tmp_path / 'x'}: {advice}"
    assert caught.value.__cause__.errno == number
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("free", "advice"), [(0, "the disk is full"), (1 << 30, "8 of 9 written")])
def test_a_short_write_without_a_number_is_a_full_disk_where_it_is_full(
    tmp_path, monkeypatch, free, advice
):
    usage = type("Usage", (), {"free": free})
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    with pytest.raises(StorageError, match=f"cannot write .*x: {advice}"), storage_errors("x"):
        raise OSError("8 of 9 written")  # as numpy says it


def test_errors_of_ours_pass_unchanged():
    error = StorageError("ours")
    with pytest.raises(StorageError) as caught, storage_errors("x"):
        raise error
    assert caught.value is error


def obstacles(root: Path) -> dict[str, tuple[Path, str]]:
    (root / "file").write_text("")
    (root / "folder").mkdir()
    return {
        "no folder": (root / "nowhere" / "x", "there is no such folder; create it first"),
        "below a file": (root / "file" / "x", "a part of the path is a file, not a folder"),
        "a folder": (root / "folder", "it is a folder; name a file"),
    }


@pytest.mark.parametrize("kind", ["no folder", "below a file", "a folder"])
def test_an_obstacle_is_known_before_the_work_and_after_it(tmp_path, kind):
    path, advice = obstacles(tmp_path)[kind]
    with pytest.raises(StorageError, match=f"cannot write {path}: {advice}"):
        check_writable(path)
    with pytest.raises(StorageError, match=f"cannot write {path}: {advice}"), written(path) as file:
        file.write_text("")
    assert sorted(each.name for each in tmp_path.rglob("*")) == ["file", "folder"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
def test_a_pipe_is_not_replaced(tmp_path):
    path = tmp_path / "x"
    os.mkfifo(path)
    message = f"cannot write {path}: it is a pipe or a device; name a file"
    with pytest.raises(StorageError, match=message):
        check_writable(path)
    with pytest.raises(StorageError, match=message), written(path) as file:
        file.write_text("")
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_takes_no_files_is_known_before_the_work(tmp_path, monkeypatch):
    def forbidden(**_):  # to root nothing is forbidden
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", forbidden)
    with pytest.raises(StorageError, match="permission denied; choose a folder that you may"):
        check_writable(tmp_path / "x")


@pytest.mark.parametrize("name", ["x.txt", "x", ".png", "x.png.bmp"])
def test_a_name_that_ends_in_another_way_is_told(tmp_path, name):
    with pytest.raises(OptionError, match=r"expected a name that ends in \.png, \.jpg, \.pdf, \.s"):
        check_writable(tmp_path / name, PICTURES)
    assert check_writable(tmp_path / "x.PNG", PICTURES) is None


def test_the_check_leaves_no_trace(tmp_path):
    (tmp_path / "x").write_text("old")
    for name in ("x", "y"):
        assert check_writable(tmp_path / name) is None
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("x", "old")]


def test_writing_through_a_link_replaces_what_it_leads_to(tmp_path):
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "target.txt"
    target.write_text("old")
    link = tmp_path / "link.txt"
    link.symlink_to(target)
    with written(link) as file:
        file.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"
