"""Vectors on their way into stores: each is claimed once, and shards are written in time."""

from __future__ import annotations

import numpy as np
import pytest
from fakes import recipe

from featx.features import writer as module
from featx.features.store.folder import shard_paths
from featx.features.store.store import FeatureStore
from featx.features.writer import Picture, Writer
from featx.images.digests import digest_bytes

DIGESTS = [digest_bytes(b"%d" % number) for number in range(8)]


def pictures(*numbers) -> list[Picture]:
    return [
        Picture(number, DIGESTS[number], (f"note {number}",), np.zeros((1, 1, 3), np.uint8))
        for number in numbers
    ]


def rows(*numbers, width=4) -> np.ndarray:
    return np.array([np.arange(width) + 10 * number for number in numbers], np.float32)


def read(store, numbers) -> list[list[float]]:
    out = np.empty((len(numbers), *store.shape), np.float32)
    store.read([DIGESTS[number] for number in numbers], out)
    return out.tolist()


@pytest.fixture
def stores(tmp_path):
    return [FeatureStore(tmp_path, recipe(pooling=pooling).parts[0]) for pooling in ("avg", "max")]


def test_a_vector_is_claimed_once_until_the_next_pass(stores):
    writer = Writer(stores[:1])
    writer.begin()
    assert [writer.claim(DIGESTS[0]) for _ in range(3)] == [True, False, False]
    writer.begin()
    assert writer.claim(DIGESTS[0]), "what was claimed and not stored is open again"
    stores[0].append(DIGESTS[:1], rows(0))
    writer.begin()
    assert [writer.claim(digest) for digest in DIGESTS[:2]] == [False, True]


def test_a_vector_is_claimed_as_long_as_one_of_the_stores_lacks_it(stores):
    stores[0].append(DIGESTS[:1], rows(0))
    writer = Writer(stores)
    assert writer.claim(DIGESTS[0])
    stores[1].append(DIGESTS[1:2], rows(1))
    stores[0].append(DIGESTS[1:2], rows(1))
    assert not writer.claim(DIGESTS[1])


def test_stores_share_the_columns_and_get_what_they_lack(stores):
    stores[0].append(DIGESTS[:1], rows(0, width=2))
    writer = Writer(stores)
    writer.begin()
    writer.keep(pictures(0, 1), rows(0, 1))
    writer.write()
    assert [len(store) for store in stores] == [2, 2]
    assert read(stores[0], [0, 1]) == [[0, 1], [10, 11]]
    assert read(stores[1], [0, 1]) == [[2, 3], [12, 13]]
    assert stores[1].notes([DIGESTS[1]])[0] == ("note 1",)
    assert writer.embedded == ({1}, {0, 1})


def test_nothing_kept_writes_nothing(stores):
    writer = Writer(stores)
    writer.begin()
    writer.write()
    assert [shard_paths(store.folder) for store in stores] == [[], []]


def test_a_shard_is_written_when_it_is_time(stores, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: now[0])
    writer = Writer(stores[:1])
    writer.begin()
    written = []
    for number, seconds in enumerate([1.9, 0.2, 1.9, 200.0, 3.9, 0.3]):
        now[0] += seconds
        writer.keep(pictures(number), rows(number))
        written.append(len(shard_paths(stores[0].folder)))
    assert written == [0, 1, 1, 2, 2, 3], "every two seconds, and from 100 on every 2 % of the run"
    assert len(stores[0]) == 6


def test_a_shard_is_written_when_it_is_large(stores):
    writer = Writer(stores[:1])
    writer.begin()
    large = np.zeros((1, 3 << 20), np.float32)  # 12 MiB of at most 16
    writer.keep(pictures(0), large)
    assert shard_paths(stores[0].folder) == []
    writer.keep(pictures(1), large)
    assert len(shard_paths(stores[0].folder)) == 1


def test_the_speed_is_noted_in_every_store(stores):
    writer = Writer(stores)
    writer.begin()
    writer.note_speed(25.0, 100)
    assert [store.images_per_second for store in stores] == [25.0, 25.0]
