"""Files are read in order, once, and no further ahead than the memory allows."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import fakes
import numpy as np
import pytest
from packed import zip_of
from PIL import Image

from featx.features import reader
from featx.features.reader import Reader, ReadFile, read_chunk
from featx.images.arrays import array_images
from featx.images.decode import Outcome
from featx.images.digests import digest_bytes
from featx.images.folder import ImageFolder
from featx.images.square import Square


@pytest.mark.parametrize(
    ("sizes", "batch_size", "threads", "ahead"),
    [
        ([224], None, 2, 32),
        ([224], None, 40, 80),
        ([224], 8, 2, 32),
        ([224], 64, 2, 256),
        ([224, 224], 64, 2, 256),
        ([4096], 64, 2, 5),
        ([4096], 64, 16, 16),
        ([2048, 2048], 64, 2, 10),
    ],
)
def test_it_reads_ahead_by_some_batches_but_not_beyond_the_memory(
    monkeypatch, sizes, batch_size, threads, ahead
):
    read = []

    def claim(digest):  # nobody lacks its vector: it is read, and not decoded
        read.append(digest)
        return []

    monkeypatch.setattr(os, "cpu_count", lambda: threads)
    paths = array_images(np.arange(300, dtype=np.uint16).view(np.uint8).reshape(300, 1, 2))
    reader = Reader(paths, [Square(size) for size in sizes], claim)
    if batch_size:
        reader.batch_size = batch_size
    files = reader.files(range(300))
    for taken in (1, 2):
        next(files)
        deadline = time.monotonic() + 10
        while len(read) < taken + ahead and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(0.01)
        assert len(read) == taken + ahead
    assert [file.index for file in files] == list(range(2, 300))
    assert len(read) == 300


def test_the_bytes_of_all_files_being_read_are_bounded(photos, monkeypatch):
    """Of two large files one is read when the other is done, and nothing waits for ever."""
    paths = sorted(map(str, photos.glob("red/*.png")))
    sizes = {path: 400_000_000 for path in paths[:2]}
    at_work, most = set(), []
    real_stat = os.stat

    def status(path, *args, **kwargs):
        real = real_stat(path, *args, **kwargs)
        return SimpleNamespace(st_size=sizes.get(path, real.st_size), st_mode=real.st_mode)

    def read(path):
        at_work.add(path)
        time.sleep(0.02)
        most.append(len(at_work & sizes.keys()))
        data = Path(path).read_bytes()
        at_work.discard(path)
        return data, None

    monkeypatch.setattr(os, "stat", status)
    monkeypatch.setattr(reader, "read_file", read)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    files = list(reader.Reader(paths, [fakes.SQUARE], lambda digest: [0]).files(range(len(paths))))
    assert [file.outcome.status for file in files] == ["decoded"] * len(paths)
    assert max(most) == 1


def test_a_file_is_decoded_to_the_squares_that_are_claimed(tmp_path):
    paths = [str(fakes.draw(tmp_path / f"{color}.png", (color, 9, 9))) for color in (1, 2, 3)]
    digests = [digest_bytes((tmp_path / f"{color}.png").read_bytes()) for color in (1, 2, 3)]
    claims = dict(zip(digests, ([0, 2], [], [1]), strict=True))
    reader = Reader(paths, [Square(8), Square(12), Square(10)], claims.get)
    files = list(reader.files([2, 0, 1]))
    assert [file.index for file in files] == [2, 0, 1]
    assert [file.digest for file in files] == [digests[2], digests[0], digests[1]]
    assert [file.outcome.status for file in files] == ["decoded", "decoded", "cached"]
    shapes = [{number: each.shape for number, each in file.pixels.items()} for file in files]
    assert shapes == [{1: (12, 12, 3)}, {0: (8, 8, 3), 2: (10, 10, 3)}, {}]
    assert files[0].pixels[1][0, 0].tolist() == [3, 9, 9]
    assert sorted(path for path, *_ in reader.read) == sorted(paths)


def test_a_file_that_cannot_be_opened_has_no_digest_and_one_that_is_no_picture_has_one(tmp_path):
    (tmp_path / "empty.png").touch()
    paths = [str(tmp_path / name) for name in ("gone.png", "empty.png")]
    reader = Reader(paths, [Square(8)], lambda digest: [0])
    gone, empty = reader.files(range(2))
    assert gone == ReadFile(0, None, Outcome("failed", "no such file or directory"))
    assert empty == ReadFile(1, digest_bytes(b""), Outcome("failed", "empty file"))
    assert [path for path, *_ in reader.read] == paths[1:]


@pytest.mark.parametrize(
    ("squares", "time", "measured"),
    [
        ([Square(224)], True, True),
        ([Square(224, view=1), Square(224, "crop"), Square(224)], True, True),
        ([Square(224)], False, False),
        ([Square(224, "crop")], True, False),
        ([Square(224, "pad")], True, False),
        ([Square(64)], True, False),
    ],
)
def test_a_picture_is_measured_on_the_way_where_there_is_time_and_all_of_it_is_seen(
    photos, squares, time, measured
):
    paths = sorted(str(path) for path in photos.rglob("*.png"))
    reader = Reader(paths, squares, lambda digest: [*range(len(squares))], lambda: time)
    digests = {file.digest for file in reader.files(range(len(paths)))}
    assert set(reader.measured) == (digests if measured else set())


@pytest.fixture
def mixed(fruit, tmp_path):
    """Pictures, some in an archive, a damaged and an empty one, and no pictures; ten times."""
    sound = sorted(str(path) for path in fruit.rglob("*.jpg"))
    (tmp_path / "cut.jpg").write_bytes(Path(sound[0]).read_bytes()[:2000])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("no picture")
    odd = [str(tmp_path / name) for name in ("cut.jpg", "empty.jpg", "text.png", "missing.jpg")]
    packed = zip_of(fruit / "test", tmp_path / "fruit.zip")
    members = ImageFolder.of(packed).paths[:3]
    return [*sound, *members, f"zip://missing.jpg::{packed}", *odd] * 10


@pytest.fixture
def by_processes(monkeypatch):
    """Let processes take over from the first file on; lists what the log says of them."""
    for name, value in {"PROCESSES_FROM": 1, "WORTH_PROCESSES": 1, "WATCHED": 0}.items():
        monkeypatch.setattr(reader, name, value)
    said = []
    monkeypatch.setattr(reader.log, "info", lambda text, *values: said.append(text % values))
    return said


def _read(paths, noticed=lambda: None, taken=lambda: None):
    """Read files for two networks, which lack some vectors; return the files, and the reader."""

    def claim(digest):
        noticed()
        return [[], [0], [1], [0, 1]][int(digest, 16) % 4]

    squares = [Square(64, decode="scaled"), Square(32, resize="crop")]
    made = Reader(paths, squares, claim, lambda: True)
    files = []
    for file in made.files(range(len(paths))):
        files.append(file)
        taken()
    return files, made


def _wait_for(said):
    """Take files slowly until processes are there."""
    return lambda: said or time.sleep(0.3)


def _assert_same(actual, expected):
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected, strict=True):
        assert (one.index, one.digest, one.outcome) == (other.index, other.digest, other.outcome)
        assert one.pixels.keys() == other.pixels.keys()
        assert all(np.array_equal(one.pixels[each], other.pixels[each]) for each in one.pixels)


def test_processes_read_what_threads_do(mixed, monkeypatch, request):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    expected, by_threads = _read(mixed)
    said = request.getfixturevalue("by_processes")
    actual, by_processes = _read(mixed, taken=_wait_for(said))
    assert said == ["2 processes decode from here on"]
    _assert_same(actual, expected)
    old = [each for each in by_threads.read if each[2] is not None]  # stamps of new files settle
    assert set(old) <= set(by_processes.read)
    assert sorted(each[:2] for each in by_processes.read) == sorted(
        each[:2] for each in by_threads.read
    )
    assert by_processes.measured == by_threads.measured
    assert not _children(), "they are gone when the last file is read"


def test_processes_that_are_killed_cost_time_alone(mixed, monkeypatch, request):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    expected, _ = _read(mixed)
    said = request.getfixturevalue("by_processes")

    def kill():
        for child in _children() if said else ():
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(child, signal.SIGKILL)

    actual, _ = _read(mixed, noticed=kill, taken=_wait_for(said))
    _assert_same(actual, expected)
    assert any("has ended" in text for text in said), said


def test_pictures_in_memory_are_read_by_threads(by_processes):
    images = array_images(np.zeros((40, 8, 8, 3), np.uint8))
    files, _ = _read(images)
    assert len(files) == 40
    assert by_processes == []


def _children():
    """Return the processes of featx that are at work for this one."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            pid, _, rest = status.read_text().partition(" (")
            parent = int(rest.rpartition(") ")[2].split()[1])
            command = status.with_name("cmdline").read_bytes()
            if parent == os.getpid() and b"featx.processes" in command:
                found.add(int(pid))
    return found


def test_a_chunk_in_a_bucket_is_read_as_one_on_the_disk(bucket, photos):
    address = bucket.put_folder(photos, "photos")
    names = [path.relative_to(photos).as_posix() for path in sorted(photos.rglob("*.png"))]
    names.append("gone.png")
    ours = read_chunk([f"{address}/{name}" for name in names], [fakes.SQUARE])
    known = read_chunk([str(photos / name) for name in names], [fakes.SQUARE])
    assert [each.digest for each, _, _ in ours] == [each.digest for each, _, _ in known]
    assert [each.outcome.status for each, _, _ in ours] == ["decoded"] * 18 + ["failed"]
    for (one, _, _), (other, _, _) in zip(ours[:18], known, strict=False):
        assert (one.pixels[0] == other.pixels[0]).all()


def test_a_large_object_waits_until_nothing_else_is_read(bucket):
    large = fakes.encoded(Image.effect_noise((3000, 2400), 90), "BMP").ljust(17_000_000, b"\0")
    small = fakes.encoded(fakes.photo())
    paths = [bucket.put("large.bmp", large), bucket.put("small.png", small)]
    with bucket.requests() as asked:
        read = read_chunk(paths, [fakes.SQUARE])
    assert [each.outcome.status for each, _, _ in read] == ["decoded", "decoded"]
    assert [each.digest for each, _, _ in read] == [digest_bytes(large), digest_bytes(small)]
    assert asked.count("GetObject") == 3  # the large one's answer was left at its first line
