"""Saved features find their pictures, wherever both have gone."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import featx
from featx.errors import OptionError
from featx.features.matrix import Features
from featx.features.several import same_images

NAMES = ["a/1.jpg", "a/2.jpg", "b/3.jpg"]
SUFFIXES = ["npz", "npy", "parquet", "csv"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with pictures, which is the current one."""
    for name in NAMES:
        path = tmp_path / "home" / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "home" / "out").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    return tmp_path / "home"


def of(paths, **more) -> Features:
    return Features(np.zeros((len(paths), 4), np.float32), None, list(map(str, paths)), **more)


def all_there(features: Features) -> bool:
    names = [Path(path).as_posix()[-7:] for path in features.paths]
    return names == NAMES and all(Path(path).is_file() for path in features.paths)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("absolute", [True, False], ids=["absolute", "relative"])
def test_pictures_are_found_from_anywhere(place, tmp_path, monkeypatch, suffix, absolute):
    paths = [Path("photos") / name for name in NAMES]
    of([path.absolute() if absolute else path for path in paths]).save(f"out/x.{suffix}")
    before = Features.load(f"out/x.{suffix}")
    assert Path(before.paths[0]).is_absolute() == absolute, "what is there stays as it is"
    monkeypatch.chdir(tmp_path)
    assert all_there(Features.load(f"home/out/x.{suffix}"))
    for name in (f"x.{suffix}", f"x.{suffix}.json"):
        if (place / "out" / name).exists():
            shutil.copy(place / "out" / name, tmp_path / name)
    assert all_there(Features.load(tmp_path / f"x.{suffix}")), "the file alone has moved"
    shutil.move(place, tmp_path / "away")
    moved = Features.load(f"away/out/x.{suffix}")
    assert all_there(moved), "both have moved"
    assert Path(moved.root) == Path("away/photos")
    shutil.move(tmp_path / "away" / "photos", tmp_path / "pictures")
    lost = Features.load(f"away/out/x.{suffix}")
    assert lost.paths.tolist() == before.paths.tolist(), "paths of pictures that are nowhere stay"
    assert all_there(Features.load(f"away/out/x.{suffix}", root=tmp_path / "pictures"))


def test_outcomes_go_along_also_those_of_files_that_failed(place, tmp_path):
    outcomes = tuple(
        featx.Outcome(status, path=f"photos/{name}")
        for status, name in (*(("cached", name) for name in NAMES), ("failed", "b/bad.jpg"))
    )
    of([f"photos/{name}" for name in NAMES], outcomes=outcomes).save("x.npz")
    shutil.move("photos", tmp_path / "pictures")
    found = Features.load("x.npz", root=tmp_path / "pictures")
    assert [each.path for each in found.outcomes] == [
        str(tmp_path / "pictures" / name) for name in (*NAMES, "b/bad.jpg")
    ]
    assert found.failed[0].path == str(tmp_path / "pictures" / "b" / "bad.jpg")


def test_a_root_without_the_pictures_is_a_mistake(place):
    of([f"photos/{name}" for name in NAMES]).save("x.npz")
    with pytest.raises(OptionError, match=r"root 'out' holds no picture of x.npz: expected"):
        Features.load("x.npz", root="out")


def test_files_of_format_1_are_found_by_a_root(place, tmp_path):
    released = Path(__file__).parents[1] / "released" / "features"
    pictures = tmp_path / "pictures"
    for path in Features.load(released / "one.npz").paths:
        (pictures / Path(path).relative_to("photos")).parent.mkdir(parents=True, exist_ok=True)
        (pictures / Path(path).relative_to("photos")).touch()
    found = Features.load(released / "one.npz", root=pictures)
    assert all(Path(path).is_file() for path in found.paths)


@pytest.mark.parametrize(
    ("paths", "root"),
    [
        (["photos/a/1.jpg", "photos/b/2.jpg"], "photos"),
        (["1.jpg", "a/2.jpg"], "."),
        (["/data/1.jpg", "a/2.jpg"], None),
        ([], None),
    ],
)
def test_the_root_is_the_folder_that_all_pictures_are_in(paths, root):
    assert of(paths).root == root
    assert of(paths).select(range(len(paths))).root == root


def test_features_of_pictures_that_were_named_otherwise_are_of_the_same_pictures(place):
    one = of([f"photos/{name}" for name in NAMES], name="one")
    other = of([place / "photos" / name for name in NAMES], name="other")
    first, second = same_images([one, other.select([2, 0, 1])])
    assert [Path(path).name for path in second.paths] == [Path(path).name for path in first.paths]
