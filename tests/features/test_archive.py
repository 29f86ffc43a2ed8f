"""Saved archives are plain arrays, which numpy reads without featx and without pickle."""

import json
from pathlib import Path

import numpy as np
import pytest
from fakes import RECIPE

from featx.errors import StorageError
from featx.features.matrix import Features


def saved(tmp_path, y, **more) -> Path:
    paths = [f"photos/{name}.jpg" for name in ("a/1", "a/2", "b/3")][: len(y)]
    X = np.arange(3 * len(y), dtype=np.float32).reshape(-1, 3)
    Features(X, y, paths, **more).save(tmp_path / "x.npz")
    return tmp_path / "x.npz"


def arrays(path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


@pytest.mark.parametrize(
    ("y", "plain"),
    [
        (["cat", "dog", "Bär"], np.array(["cat", "dog", "Bär"])),
        ([7, 3, 7], np.array([7, 3, 7])),
        ([True, False, True], np.array([True, False, True])),
        (["cat", None, "dog"], np.array(["cat", "", "dog"])),
        ([7, None, 3], np.array(["7", "", "3"])),
    ],
    ids=str,
)
def test_labels_and_paths_are_plain_arrays(tmp_path, y, plain):
    path = saved(tmp_path, y, recipe=RECIPE)
    held = arrays(path)
    assert held["y"].dtype == plain.dtype
    assert held["y"].tolist() == plain.tolist()
    assert held["paths"].tolist() == [f"photos/{name}.jpg" for name in ("a/1", "a/2", "b/3")]
    assert held["relative_paths"].tolist() == ["a/1.jpg", "a/2.jpg", "b/3.jpg"]
    assert held["X"].shape == (3, 3)
    assert Features.load(path).y.tolist() == y


def test_views_have_their_own_array(tmp_path):
    views = (np.ones((3, 3), np.float32), np.zeros((3, 3), np.float32))
    held = arrays(saved(tmp_path, ["a", "a", "b"], views=views))
    assert held["X"].shape == (3, 3)
    assert held["views"].shape == (2, 3, 3)
    found = Features.load(tmp_path / "x.npz")
    assert [view.tolist() for view in found.views] == [view.tolist() for view in views]


def test_features_without_labels_have_no_array_of_them(tmp_path):
    Features(np.zeros((2, 3), np.float32), None, ["1.jpg", "2.jpg"]).save(tmp_path / "x.npz")
    assert "y" not in arrays(tmp_path / "x.npz")
    assert Features.load(tmp_path / "x.npz").y is None


@pytest.mark.parametrize("odd", ["\udcff.jpg", "a\0", "", "x" * 3000, "\U0001f431.jpg"])
def test_odd_names_come_back_as_they_were(tmp_path, odd):
    Features(np.zeros((2, 3), np.float32), [odd or None, "b"], [odd, "b.jpg"]).save(
        tmp_path / "x.npz"
    )
    found = Features.load(tmp_path / "x.npz")
    assert found.paths.tolist() == [odd, "b.jpg"]
    assert (tmp_path / "x.npz").stat().st_size < 4000, "names of one length each take no room"


def test_what_was_changed_in_an_archive_is_noticed(tmp_path):
    path = saved(tmp_path, ["a", "a", "b"])
    held = arrays(path)
    for name, value in (("y", np.array(["a", "b", "b"])), ("X", held["X"] + 1)):
        np.savez(path, **(held | {name: value}))
        with pytest.raises(StorageError, match="do not match their checksum"):
            Features.load(path)
    np.savez(path, **held)
    assert len(Features.load(path)) == 3
    assert json.loads(held["about"].tobytes())["format"] == 2
