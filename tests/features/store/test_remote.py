"""A cache at an address is looked at and cleared as a whole, as one on the disk is."""

from __future__ import annotations

import time

import numpy as np
import pytest

from featx.errors import OptionError, StorageError
from featx.features.recipe import RecipePart
from featx.features.store import cache as local
from featx.features.store.remote import clear, contents
from featx.features.store.store import FeatureStore
from featx.files import cache_folder
from featx.images.digests import digest_bytes

VGG = RecipePart.of("vgg16", "0123456789abcdef" * 4, 224)
RESNET = RecipePart.of("resnet50", "0123456789abcdef" * 4, 224)


def fill(place: str, recipe: RecipePart, count: int, **named: str) -> None:
    digests = [digest_bytes(b"%d %d" % (number, len(named))) for number in range(count)]
    vectors = np.random.default_rng(0).normal(size=(count, 400)).astype(np.float32)
    FeatureStore(place, recipe).append(digests, vectors, **named)


@pytest.fixture
def place(bucket):
    place = f"{bucket}/featx"
    fill(place, VGG, 3)
    fill(place, RESNET, 1000)  # a large shard
    fill(place, RESNET, 2, name="block-1")
    return place


def rows(place: str) -> dict[str, int]:
    return {each.settings["backbone"]: each.rows for each in contents(place)}


def test_contents_say_what_each_recipe_has(place, bucket):
    bucket.put("featx/features/notes.txt", b"mine")
    found = {each.fingerprint: each for each in contents(place)}
    assert found.keys() == {VGG.fingerprint, RESNET.fingerprint}
    assert rows(place) == {"vgg16": 3, "resnet50": 1002}
    large = found[RESNET.fingerprint]
    assert large.settings == RESNET.to_dict()
    assert large.bytes > 1000 * 1600
    assert time.time() - 60 < large.newest < time.time() + 1
    assert contents(f"{place}/elsewhere") == []
    with pytest.raises(StorageError, match="there is no bucket"):
        contents("s3://no-such-bucket")


def test_damaged_vectors_are_found_by_whoever_reads_them_all(place, bucket, monkeypatch, tmp_path):
    (key, _) = sorted(bucket.keys(), key=lambda each: -len(bucket.get(each)))[:2]
    data = bucket.get(key)
    middle = len(data) // 2
    bucket.put(key, data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :])
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "another-machine"))
    assert not any(each.damages for each in contents(place))
    (damage,) = (damage for each in contents(place, thorough=True) for damage in each.damages)
    assert damage.path.name == key.rpartition("/")[2]
    assert damage.reason == "1 of 1000 vectors do not match their checksums"


def test_recipes_are_cleared_by_name_or_all(place, bucket):
    assert clear(place, ("resnet50",)) > 1000 * 1600
    assert rows(place) == {"vgg16": 3}
    with pytest.raises(OptionError, match="nothing of 'resnet50' in the cache s3://"):
        clear(place, ("resnet50",))
    assert clear(place, (VGG.fingerprint[:8],)) > 0
    fill(place, VGG, 2)
    bucket.put("featx/other.txt", b"mine")
    assert clear(place) > 0
    assert bucket.keys() == ["featx/other.txt"]
    assert FeatureStore(place, VGG).shape is None


def test_only_what_is_older_is_cleared_and_no_block_of_a_runner(place, monkeypatch):
    assert clear(place, older_than=1) == 0
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 2 * 86_400)
    assert clear(place, ("resnet50",), older_than=1) > 0
    assert rows(place) == {"vgg16": 3, "resnet50": 2}


def test_clearing_the_cache_of_a_machine_clears_its_copies(place, bucket):
    there = bucket.keys()
    assert any(path.is_file() for path in (cache_folder() / "mirror").rglob("*"))
    assert local.clear(cache_folder(), older_than=1) == 0
    assert local.clear(cache_folder()) > 1000 * 1600
    assert not (cache_folder() / "mirror").exists() or not any(
        (cache_folder() / "mirror").iterdir()
    )
    assert bucket.keys() == there
    assert rows(place) == {"vgg16": 3, "resnet50": 1002}
