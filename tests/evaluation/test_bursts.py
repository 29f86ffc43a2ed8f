"""Times of photographs come from their EXIF blocks, and make bursts."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from PIL import Image

import featx
from featx.errors import OptionError
from featx.evaluation.groups import Grouping
from featx.evaluation.series import find_series
from featx.features.matrix import Features, as_paths
from featx.images.folder import ImageFolder
from featx.images.times import taken_at

START = datetime(2024, 5, 6, 7, 8, 9)
EXIF_BLOCK, TAKEN = 0x8769, 0x9003


def photograph(path, seconds):
    """Write a small JPEG that was taken so many seconds after the start, or does not say when."""
    exif = Image.Exif()
    if seconds is not None:
        time = START + timedelta(seconds=seconds)
        exif.get_ifd(EXIF_BLOCK)[TAKEN] = time.strftime("%Y:%m:%d %H:%M:%S")
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (9, 9)).save(path, exif=exif)
    return str(path)


def test_the_time_is_that_of_the_exif_block(tmp_path):
    paths = [photograph(tmp_path / f"{i}.jpg", i) for i in range(4)]
    paths += [photograph(tmp_path / "x.jpg", None), str(tmp_path / "gone.jpg")]
    times = taken_at(paths)
    assert times == [*(START + timedelta(seconds=i) for i in range(4)), None, None]


def test_damaged_files_and_other_kinds_say_nothing(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe1\x00\x10Exif\0\0II*\0\xff\xff\xff\xff")
    (tmp_path / "b.png").write_bytes(b"")
    assert taken_at([str(tmp_path / "a.jpg"), str(tmp_path / "b.png")]) == [None, None]


@pytest.fixture
def bursts(tmp_path):
    """Six shots of each of two classes: three within seconds, a minute later three more."""
    for number, label in enumerate("ab"):
        for i in range(6):
            seconds = 1000 * number + 60 * (i // 3) + 2 * (i % 3)
            photograph(tmp_path / label / f"IMG_{6 * number + i:04d}.jpg", seconds)
    return ImageFolder.scan(tmp_path)


def test_shots_of_a_class_within_seconds_are_a_burst(bursts):
    grouping = Grouping.of("burst", bursts)
    assert grouping.numbers.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert grouping.rule == "the times they were taken at"


def test_bursts_that_nobody_declared_are_noticed(bursts):
    X = np.zeros((12, 2), np.float32)
    found = find_series(Features(X, np.array(bursts.labels), as_paths(bursts.paths)))
    assert (found.groups, found.grouping.n_groups) == ("burst", 4)
    assert "taken within seconds of each other may belong together, in 4 groups" in found.note(
        "", ""
    )


def test_shots_a_minute_apart_are_none(tmp_path):
    for label in "ab":
        for i in range(6):
            photograph(tmp_path / label / f"{i}.jpg", 60 * i)
    images = ImageFolder.scan(tmp_path)
    X = np.zeros((12, 2), np.float32)
    assert find_series(Features(X, np.array(images.labels), as_paths(images.paths))) is None


def test_photographs_that_do_not_say_their_time_have_no_bursts(photos):
    with pytest.raises(OptionError, match="the times they were taken at gives none of 18 images"):
        Grouping.of("burst", featx.ImageFolder.of(photos))
