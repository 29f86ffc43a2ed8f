"""A survey measures each file once."""

from __future__ import annotations

import pytest
from fakes import draw, open_pictures

import featx
from featx.files import cache_folder
from featx.images.folder import ImageFolder
from featx.images.survey import survey


@pytest.fixture
def opened(monkeypatch):
    """The pictures that are read from here on."""
    paths = []
    real = open

    def note(path):
        paths.append(path)
        return real(path, "rb")

    open_pictures(monkeypatch, note)
    return paths


def test_files_are_measured_once(photos, tmp_path, later, opened):
    paths = ImageFolder.of(photos).paths
    first = survey(paths, tmp_path / "cache")
    assert list(first) == list(paths)
    assert {(each.width, each.height) for each in first.values()} == {(32, 24)}
    opened.clear()
    assert survey(paths, tmp_path / "cache") == first
    assert opened == []


def test_a_file_that_changed_is_measured_again(photos, tmp_path):
    paths = ImageFolder.of(photos).paths
    survey(paths, tmp_path / "cache")
    draw(photos / "red" / "000.png", (0, 0, 0), size=(64, 48))
    found = survey(paths, tmp_path / "cache")
    assert found[str(photos / "red" / "000.png")].width == 64


def test_what_cannot_be_read_is_not_there(photos, tmp_path):
    (photos / "red" / "bad.png").write_text("no picture")
    paths = [*ImageFolder.of(photos).paths, str(photos / "red" / "missing.png")]
    found = survey(paths, tmp_path / "cache")
    assert len(found) == 18
    assert survey(paths, None) == found


def test_a_damaged_memory_costs_the_time_alone(photos, tmp_path, caplog):
    paths = ImageFolder.of(photos).paths
    first = survey(paths, tmp_path / "cache")
    memo = tmp_path / "cache" / "measures.sqlite"
    data = bytearray(memo.read_bytes())
    data[2048:] = bytes(len(data) - 2048)
    memo.write_bytes(data)
    assert survey(paths, tmp_path / "cache") == first


def test_pictures_that_were_embedded_need_not_be_decoded_again(
    photos, later, opened, fake_engine, monkeypatch
):
    monkeypatch.setattr(fake_engine, "seconds_per_batch", 0.1)  # as long as a network takes on CPUs
    featx.embed(photos, progress=False)
    opened.clear()
    paths = ImageFolder.of(photos).paths
    measured = survey(paths, cache_folder())
    assert opened == []
    for path, each in survey(paths, None).items():
        assert (each.width, each.height, each.format) == (32, 24, "PNG")
        assert abs(each.contrast - measured[path].contrast) < 4  # of noise
        assert (each.n_bytes, each.camera) == (measured[path].n_bytes, measured[path].camera)
