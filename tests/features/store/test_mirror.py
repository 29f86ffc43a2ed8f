"""A cache at an address is copied as far as it is wanted, and the copy is never mistaken for it."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import numpy as np
import pytest

import featx
from featx.errors import OptionError, StorageError
from featx.features.recipe import RecipePart
from featx.features.store import mirror
from featx.features.store.folder import shard_paths
from featx.features.store.store import FeatureStore
from featx.images.digests import digest_bytes
from featx.storage import objects
from featx.storage.filesystem import filesystem

RECIPE = RecipePart.of("resnet50", "0123456789abcdef" * 4, 224)
ROWS, WIDTH = 500, 2000  # 4 MB
TRUTH = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype(np.float32)


def keys(count: int, start: int = 0) -> list[str]:
    return [digest_bytes(b"%d" % number) for number in range(start, start + count)]


def read(store: FeatureStore, digests: list[str]) -> np.ndarray:
    out = np.full((len(digests), *store.shape), np.nan, np.float32)
    store.read(digests, out)
    return out


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Go to another machine, by its number: what it has on its own disk is there."""

    def go(number):
        monkeypatch.setenv("FEATX_CACHE", str(tmp_path / f"machine-{number}"))

    go(0)
    return go


@pytest.fixture
def place(bucket, machine):
    """A cache in a bucket with one large shard, seen from a machine that has none of it."""
    place = f"{bucket}/featx"
    FeatureStore(place, RECIPE).append(keys(ROWS), TRUTH)
    machine(1)
    return place


@pytest.fixture
def asked(monkeypatch):
    """The bytes of each reading from an address."""
    sizes = []
    real = objects.read

    def reading(*args):
        data = real(*args)
        sizes.append(len(data))
        return data

    monkeypatch.setattr(objects, "read", reading)
    return sizes


def told(caplog) -> list[str]:
    """Return what featx logged."""
    return [each.message for each in caplog.records if each.name.startswith("featx")]


def disk_bytes(folder: Path) -> int:
    return sum(512 * path.stat().st_blocks for path in folder.rglob("*"))


def test_opening_reads_the_keys_and_reading_a_row_that_row(place, asked):
    store = FeatureStore(place, RECIPE)
    assert store.stored(keys(ROWS + 1)).tolist() == [True] * ROWS + [False]
    assert sum(asked) < TRUTH.nbytes / 8
    del asked[:]
    assert store.sound(keys(1, 7)) == set(keys(1, 7))
    assert (read(store, keys(1, 7)) == TRUTH[7:8]).all()
    assert asked == [4 * WIDTH]
    chosen = [499, 3, 250, 100, 400, 20]
    wanted = [keys(ROWS)[row] for row in chosen]
    assert store.sound(wanted) == set(wanted)
    assert asked[1:] == [TRUTH.nbytes], "many rows are read with all that is between them"
    assert (read(store, wanted) == TRUTH[chosen]).all()
    del asked[:]
    later = FeatureStore(place, RECIPE)
    assert later.sound(keys(ROWS)) == set(keys(ROWS))
    assert read(later, keys(ROWS)).tobytes() == TRUTH.tobytes()
    assert asked == [], "nothing is read twice"


def test_what_a_machine_wrote_it_does_not_read(bucket, machine, asked):
    store = FeatureStore(str(bucket), RECIPE)
    store.append(keys(ROWS), TRUTH)
    store.append(keys(2, ROWS), TRUTH[:2], name="block")
    for each in (store, FeatureStore(str(bucket), RECIPE)):
        each.refresh()
        assert each.sound(keys(ROWS + 2)) == set(keys(ROWS + 2))
    assert asked == []


def test_a_worker_appends_and_asks_without_a_listing(bucket, machine, monkeypatch):
    def no_listing(address):
        raise AssertionError(address)

    with monkeypatch.context() as patch:
        patch.setattr(objects, "entries", no_listing)
        worker = FeatureStore(str(bucket), RECIPE, listed=False)
        assert not worker.has("block")
        worker.append(keys(2), TRUTH[:2], name="block")
        assert worker.has("block")
    machine(1)
    assert FeatureStore(str(bucket), RECIPE, listed=False).has("block")


def test_copies_that_have_no_room_are_made_again(place, monkeypatch):
    store = FeatureStore(place, RECIPE)
    assert len(store.sound(keys(ROWS))) == ROWS
    assert disk_bytes(store.folder) > TRUTH.nbytes
    monkeypatch.setattr(mirror, "MIRROR_BYTES", TRUTH.nbytes // 2)
    later = FeatureStore(place, RECIPE)
    assert disk_bytes(store.folder) < TRUTH.nbytes / 4
    assert read(store, keys(ROWS)).tobytes() == TRUTH.tobytes(), "who had it open has it still"
    assert len(later.sound(keys(ROWS))) == ROWS
    assert read(later, keys(ROWS)).tobytes() == TRUTH.tobytes()


def test_copies_that_another_process_removed_are_made_again(place):
    store = FeatureStore(place, RECIPE)
    shutil.rmtree(store.folder)
    assert store.sound(keys(1, 7)) == set(keys(1, 7))
    assert (read(store, keys(1, 7)) == TRUTH[7:8]).all()


def test_a_shard_that_is_gone_when_it_is_read_is_passed_over(place, machine, monkeypatch):
    listed = list(objects.entries(str(FeatureStore(place, RECIPE).files)))
    for each in listed:
        objects.remove(each.address)
    machine(2)
    monkeypatch.setattr(objects, "entries", lambda address: iter(listed))
    assert len(FeatureStore(place, RECIPE)) == 0


def test_a_folder_of_copies_that_cannot_be_made_is_one_line(place):
    folder = FeatureStore(place, RECIPE).folder
    shutil.rmtree(folder.parent)
    folder.parent.touch()
    with pytest.raises(StorageError, match=r"cannot write .*: a part of the path is a file"):
        FeatureStore(place, RECIPE)


@pytest.mark.parametrize("change", ["cut off", "emptied", "filled with zeros"])
def test_a_damaged_copy_harms_nothing(place, change, caplog):
    store = FeatureStore(place, RECIPE)
    assert len(store.sound(keys(ROWS))) == ROWS
    (path,) = shard_paths(store.folder)
    whole = path.read_bytes()
    path.write_bytes({"cut off": whole[:-99], "emptied": b""}.get(change, bytes(len(whole))))
    later = FeatureStore(place, RECIPE)
    assert later.sound(keys(ROWS)) == set(keys(ROWS))
    assert told(caplog) == []


def test_a_vector_that_is_damaged_in_the_copy_alone_stays_at_the_address(place, caplog):
    store = FeatureStore(place, RECIPE)
    assert len(store.sound(keys(ROWS))) == ROWS
    (path,) = shard_paths(store.folder)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(TRUTH[7].tobytes(), TRUTH[8].tobytes()))
    assert TRUTH[7].tobytes() in whole
    later = FeatureStore(place, RECIPE)
    assert keys(1, 7)[0] not in later.sound(keys(ROWS))
    later.discard_damaged()
    assert FeatureStore(place, RECIPE).sound(keys(ROWS)) == set(keys(ROWS))


def test_a_shard_that_is_damaged_at_the_address_is_reported_and_removed(bucket, place, caplog):
    key, _ = bucket.keys()  # and recipe.json
    bucket.put(key, bucket.get(key).replace(TRUTH[7].tobytes(), TRUTH[8].tobytes()))
    store = FeatureStore(place, RECIPE)
    assert store.sound(keys(ROWS)) == set()
    assert "a vector does not match its checksum" in caplog.text
    store.discard_damaged()
    (left,) = bucket.keys()
    assert left.endswith("recipe.json")
    assert len(FeatureStore(place, RECIPE)) == 0


def test_what_another_machine_merges_meanwhile_is_found(bucket, machine):
    place = str(bucket)
    writer = FeatureStore(place, RECIPE, listed=False)
    truth = np.repeat(TRUTH[:40], 80, axis=1)  # shards of 1.3 MB
    for number in range(20):
        rows = slice(2 * number, 2 * number + 2)
        writer.append(keys(40)[rows], truth[rows], name=f"block-{number}")
    machine(1)
    reader = FeatureStore(place, RECIPE)
    machine(2)
    merging = FeatureStore(place, RECIPE)
    merging.merge()
    assert not merging.has("block-0")
    machine(1)
    assert reader.sound(keys(40)) == set(keys(40))
    assert (read(reader, keys(40)) == truth).all()
    assert reader.damages == []


def test_a_bucket_that_may_only_be_read_is_used(bucket, place, monkeypatch, caplog):
    async def denied(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Access Denied")

    before = bucket.keys()
    with monkeypatch.context() as patch:
        patch.setattr(filesystem(place), "_put_file", denied)
        store = FeatureStore(place, RECIPE)
        for number in (ROWS, ROWS + 1):
            store.append(keys(1, number), TRUTH[:1])
    assert store.sound(keys(ROWS + 2)) == set(keys(ROWS + 2))
    assert bucket.keys() == before
    (message,) = told(caplog)
    assert message.startswith(f"the cache {place} cannot be written (permission denied)")


def test_a_bucket_that_is_not_there_and_no_address_of_ours_are_told(bucket):
    with pytest.raises(StorageError, match=r"there is no bucket 'no-such-bucket'"):
        FeatureStore("s3://no-such-bucket/featx", RECIPE)
    with pytest.raises(OptionError, match="unknown address 'ftp://host/featx'"):
        FeatureStore("ftp://host/featx", RECIPE)
    with pytest.raises(OptionError, match="the cache 's3://' names no bucket"):
        FeatureStore("s3://", RECIPE)


@pytest.mark.parametrize("by", ["option", "environment"])
def test_features_that_one_machine_cached_in_a_bucket_another_one_has(
    by, bucket, tmp_path, fake_engine, photos, monkeypatch
):
    options = {"weights": "random"}

    def embed(number):
        if by == "option":
            monkeypatch.setenv("FEATX_CACHE", str(tmp_path / f"machine-{number}"))
            return featx.embed(photos, cache=f"{bucket}/featx", **options)
        monkeypatch.setenv("FEATX_CACHE", f"{bucket}/featx")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"machine-{number}"))
        return featx.embed(photos, **options)

    first = embed(0)
    again = embed(1)
    assert {outcome.status for outcome in first.outcomes} == {"embedded"}
    assert {outcome.status for outcome in again.outcomes} == {"cached"}
    assert again.X.tobytes() == first.X.tobytes()
    there = bucket.keys()
    assert {name.rpartition(".")[2] for name in there} == {"json", "arrow"}
    assert all(name.startswith("featx/features/") for name in there)
