"""Features are saved to addresses and loaded from them as from files of this machine."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import featx
from featx.errors import OptionError, StorageError
from featx.features.formats import SUFFIXES
from featx.features.saved import is_saved, saved_features
from featx.files import check_writable
from featx.storage import objects


@pytest.fixture
def features(photos, fake_engine):
    with warnings.catch_warnings(action="ignore"):
        return featx.embed(photos, weights="random")


def assert_same(one: featx.Features, other: featx.Features) -> None:
    assert one.X.tobytes() == other.X.tobytes()
    assert (one.paths == other.paths).all()
    assert (one.y == other.y).all()
    assert (one.recipe, one.outcomes) == (other.recipe, other.outcomes)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_features_at_an_address_are_what_was_saved(suffix, features, bucket, tmp_path, monkeypatch):
    address = f"{bucket}/mine/photos{suffix}"
    features.save(address)
    sidecar = [f"mine/photos{suffix}.json"] if suffix in (".npy", ".csv") else []
    assert bucket.keys() == [f"mine/photos{suffix}", *sidecar]
    monkeypatch.chdir(tmp_path)
    assert is_saved(address)
    assert_same(featx.Features.load(address), features)


def test_the_name_of_features_at_an_address_may_be_longer_than_that_of_a_file(features, bucket):
    address = f"{bucket}/{'é' * 400}.csv"
    features.save(address)
    assert_same(featx.Features.load(address), features)


def test_pieces_of_a_large_file_are_put_together(features, bucket, monkeypatch):
    features.save(f"{bucket}/photos.npz")
    monkeypatch.setattr(objects, "PIECE_BYTES", 100)
    assert_same(featx.Features.load(f"{bucket}/photos.npz"), features)


def test_a_table_at_an_address_that_was_made_elsewhere_is_loaded(bucket):
    table = "path,a_0,a_1\n" + "".join(f"{row}.jpg,{row},1\n" for row in range(3))
    bucket.put("mine.csv", table.encode())
    assert is_saved(f"{bucket}/mine.csv")
    with pytest.warns(UserWarning, match="has lost its recipe"):
        loaded = featx.Features.load(f"{bucket}/mine.csv")
    assert (loaded.name, loaded.X.tolist()) == ("mine", [[0, 1], [1, 1], [2, 1]])


def test_a_table_of_pictures_at_an_address_is_none_of_features(bucket):
    bucket.put("photos.csv", b"path,label\na.jpg,red\n")
    assert not is_saved(f"{bucket}/photos.csv")
    assert not is_saved(f"{bucket}/nothing.csv")
    assert not is_saved(f"{bucket}/photos")


def test_an_address_of_features_stands_in_place_of_pictures(features, bucket):
    features.save(f"{bucket}/photos.npz")
    assert_same(saved_features(f"{bucket}/photos.npz"), features)
    assert saved_features(f"{bucket}/photos") == f"{bucket}/photos"


def test_what_is_wrong_names_the_address(features, bucket):
    with pytest.raises(StorageError, match=f"no features file {bucket}/none.npz: expected one"):
        featx.Features.load(f"{bucket}/none.npz")
    bucket.put("bad.npz", b"no archive")
    with pytest.raises(StorageError, match=f"^{bucket}/bad.npz is damaged or holds no features"):
        featx.Features.load(f"{bucket}/bad.npz")
    bucket.put("alone.npy", b"")
    with pytest.raises(StorageError, match=r"alone.npy lacks the file alone.npy.json beside it"):
        featx.Features.load(f"{bucket}/alone.npy")
    for method in (features.save, featx.Features.load):
        with pytest.raises(StorageError, match="there is no bucket 'no-such-bucket'"):
            method("s3://no-such-bucket/photos.npz")
        with pytest.raises(OptionError, match=r"expected a name that ends in \.npz"):
            method(f"{bucket}/photos.txt")


def test_a_file_that_changes_while_it_is_read_is_told(features, bucket, monkeypatch):
    features.save(f"{bucket}/photos.npz")
    entry = objects.entry
    changes = iter([b"", b"another"])

    def changed(address):
        if data := next(changes):
            bucket.put("photos.npz", data)
        return entry(address)

    monkeypatch.setattr(objects, "entry", changed)
    with pytest.raises(StorageError, match="it was changed meanwhile; try again"):
        featx.Features.load(f"{bucket}/photos.npz")


def test_that_an_address_can_be_written_is_checked_without_writing_it(bucket):
    check_writable(f"{bucket}/photos.npz", SUFFIXES, anywhere=True)
    assert bucket.keys() == []
    with pytest.raises(StorageError, match=r"cannot write .* there is no bucket"):
        check_writable("s3://no-such-bucket/photos.npz", anywhere=True)
    with pytest.raises(StorageError, match="a web server only gives"):
        check_writable("https://host/photos.npz", anywhere=True)
    with pytest.raises(StorageError, match="expected a path of this machine"):
        check_writable(f"{bucket}/model.featx")


def test_features_in_memory_of_fsspec_are_addresses_too(features):
    features.save("memory://mine/photos.npy")
    loaded = featx.Features.load("memory://mine/photos.npy")
    assert_same(loaded, features)
    assert isinstance(loaded.X, np.memmap)
    for name in ("photos.npy", "photos.npy.json"):
        objects.remove(f"memory://mine/{name}")
