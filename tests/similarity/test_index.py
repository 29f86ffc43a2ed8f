"""Many rows are searched by an index, which is kept, added to, and made again when damaged."""

from __future__ import annotations

import logging
import os
import struct
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import fakes
import numpy as np
import pyarrow.parquet as pq
import pytest

import featx
from featx import progress
from featx.errors import MissingPackageError
from featx.features import matrix
from featx.features.columns import as_paths
from featx.features.parts import writing
from featx.features.parts.rows import LazyRows
from featx.features.store.cache import clear
from featx.similarity import index, index_file, similar
from featx.similarity.index import open_index
from featx.similarity.search import nearest
from featx.similarity.space import Space

N, COLUMNS = 600, 40


def rows(n=N, seed=0) -> np.ndarray:
    """Make features up: each a mixture of three of a hundred, with noise."""
    base = np.random.default_rng(0).gamma(0.5, size=(100, COLUMNS))
    random = np.random.default_rng(seed)
    mixed = random.dirichlet([1, 1, 1], n)[..., None] * base[random.integers(0, 100, (n, 3))]
    return (mixed.sum(axis=1) * np.exp(0.3 * random.normal(size=(n, COLUMNS)))).astype(np.float32)


def made(X: np.ndarray, seed=0) -> featx.Features:
    features = fakes.as_features(X, ["a"] * len(X))
    return replace(features, paths=as_paths([f"{seed}/{path}" for path in features.paths]))


@pytest.fixture(autouse=True)
def _many(monkeypatch):
    """Let five hundred rows be many."""
    pytest.importorskip("usearch")
    monkeypatch.setattr(similar, "EXACT_ROWS", 500)


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "similar"


@pytest.fixture
def added(monkeypatch) -> list[int]:
    """The numbers of rows that were added to indices, in order."""
    from usearch.index import Index

    numbers, add = [], Index.add

    def counted(self, keys, vectors, **known):
        numbers.append(len(keys))
        return add(self, keys, vectors, **known)

    monkeypatch.setattr(Index, "add", counted)
    return numbers


def test_an_index_finds_nearly_all_that_a_comparison_with_all_does(cache):
    features, query = made(rows()), made(rows(50, seed=1), seed=1)
    found = featx.similar(query, features)
    exact = featx.similar(query, features, exact=True)
    assert (found.exact, exact.exact) == (False, True)
    assert "approximate" in found.summary
    shared = [len(set(a) & set(b)) for a, b in zip(found.found, exact.found, strict=True)]
    assert np.mean(shared) > 9.8, shared
    same = found.found == exact.found
    np.testing.assert_allclose(found.similarity[same], exact.similarity[same], atol=1e-5)


def test_a_row_is_left_out_of_its_own_answer(cache):
    features = made(rows())
    found = featx.similar(features.select(range(20)), features, 5)
    assert found.found.shape == (20, 5)
    assert (found.found != np.arange(20)[:, None]).all()


def test_an_index_is_kept_and_opened_again(cache, added):
    X, query = rows(), made(rows(5, seed=1), seed=1)
    first = featx.similar(query, made(X))
    assert sum(added) == N
    again = featx.similar(query, made(X.copy()))
    assert sum(added) == N
    assert (again.found == first.found).all()
    assert len(list(cache.iterdir())) == 1
    featx.similar(query, made(X + 1))
    assert sum(added) == 2 * N
    assert len(list(cache.iterdir())) == 2


def test_clearing_the_cache_removes_indices(cache):
    open_index(rows(), cache, progress=False)
    [path] = cache.iterdir()
    size = path.stat().st_size
    assert clear(cache.parent, older_than=1) == 0
    assert clear(cache.parent) == size
    assert list(cache.iterdir()) == []


def test_without_a_cache_nothing_is_kept(cache, added):
    features, query = made(rows()), made(rows(5, seed=1), seed=1)
    featx.similar(query, features, cache=False)
    featx.similar(query, features, cache=False)
    assert sum(added) == N  # one for the features, as long as they are there
    assert not cache.exists()


def test_rows_at_the_end_are_added(cache, added):
    X = rows(1300)
    before = open_index(X[:1200], cache, progress=False)
    added.clear()
    after = open_index(X, cache, progress=False)
    assert (sum(added), len(after.graph)) == (100, 1300)
    assert (after.sketch.axes == before.sketch.axes).all()
    found = after.nearest(X, Space.of(X), X[1290:1291], np.array([-1]), 1)
    assert found.rows.tolist() == [[1290]]


def test_rows_in_front_make_another_index(cache, added):
    X = rows()
    open_index(X, cache, progress=False)
    added.clear()
    open_index(np.concatenate([X[-1:], X]), cache, progress=False)
    assert sum(added) == N + 1


class Interrupted:
    """A matrix whose rows cannot be added beyond one."""

    def __init__(self, X: np.ndarray, until: int) -> None:
        self.X, self.until, self.shape = X, until, X.shape

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, rows):
        if isinstance(rows, slice) and rows.stop - rows.start == 200 and rows.stop > self.until:
            raise KeyboardInterrupt
        return self.X[rows]


def test_an_interrupted_index_is_gone_on_with_and_it_is_said(cache, added, monkeypatch, capsys):
    monkeypatch.setattr(index, "SAVED_EVERY", 0.0)
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    monkeypatch.setattr(index, "ELEMENTS", 200 * COLUMNS)  # that are added at once
    X = rows()
    with pytest.raises(KeyboardInterrupt):
        open_index(Interrupted(X, 500), cache, progress=False)
    assert added == [200, 200]
    added.clear()
    capsys.readouterr()
    assert len(open_index(X, cache, progress=True).graph) == N
    assert added == [200]
    assert "index (400 rows were there): 200 of 200 rows" in capsys.readouterr().err


def test_an_index_is_the_same_whenever_it_is_made(tmp_path):
    X = rows(3000)
    for folder in (tmp_path / "a", tmp_path / "b"):
        open_index(X, folder, progress=False)
    first, second = (path.read_bytes() for path in sorted(tmp_path.glob("*/*")))
    assert first == second


def test_what_is_opened_is_what_was_checked(cache, added, monkeypatch):
    X, check = rows(), index_file.read
    open_index(X, cache, progress=False)
    added.clear()

    def replaced(path):
        found = check(path)
        other = path.with_name("other")
        other.write_bytes(b"of another process")
        other.replace(path)
        return found

    monkeypatch.setattr(index_file, "read", replaced)
    opened = open_index(X, cache, progress=False)
    assert added == []
    found = opened.nearest(X, Space.of(X), X[:1], np.array([-1]), 1)
    assert found.rows.tolist() == [[0]]


@pytest.fixture
def opened(monkeypatch):
    """Return a function that saves rows into a folder of parts, and opens it lazily."""
    monkeypatch.setattr(writing, "PART_ROWS", 250)
    monkeypatch.setattr(matrix, "MEMORY_MAP_BYTES", 0)

    def save(X: np.ndarray, folder: Path | str) -> featx.Features:
        made(X).save(folder)
        features = featx.Features.load(folder)
        assert isinstance(features.X, LazyRows)
        return features

    return save


def test_what_a_killed_process_left_of_an_index_is_removed(added, opened, tmp_path):
    folder = tmp_path / "x.features"
    features = opened(rows(), folder)
    old, new, other = (
        folder / f".{name}.usearch"
        for name in ("_index-0123456789ab", "_index-ba9876543210", "_index-x")
    )
    for path in (old, new, other):
        path.write_bytes(b"a part")
    for path in (old, other):
        os.utime(path, (0, 0))
    featx.similar(made(rows(2, seed=1), seed=1), features, 1)
    assert [path.exists() for path in (old, new, other)] == [False, True, True]


def test_the_index_of_a_folder_is_kept_in_it_and_grows_with_it(cache, added, opened, tmp_path):
    X, folder = rows(700), tmp_path / "x.features"
    query = made(rows(3, seed=1), seed=1)
    first = featx.similar(query, opened(X[:510], folder))
    assert sum(added) == 510
    assert (folder / "_index.usearch").exists()
    assert not cache.exists()
    exact = featx.similar(query, folder, exact=True)
    assert (first.found[:, 0] == exact.found[:, 0]).all()
    assert len(featx.similar(query, folder)) == 3
    assert sum(added) == 510
    features = opened(X, folder)  # its last part has more rows now
    assert len(features.X.parts) == 3
    found = featx.similar(features.select([690]), features)
    assert sum(added) == 700
    assert (found.exact, 690 in found.found) == (False, False)
    assert len(pq.read_table(folder)) == 700
    opened(X[::-1], folder)
    featx.similar(query, folder)
    assert sum(added) == 1400


def test_a_folder_that_may_only_be_read_has_its_index_in_the_cache(
    cache, added, opened, tmp_path, monkeypatch
):
    features = opened(rows(), tmp_path / "x.features")
    monkeypatch.setattr("os.access", lambda path, mode: False)
    for _ in range(2):
        open_index(features.X, cache, progress=False)
    assert sum(added) == N
    assert len(list(cache.iterdir())) == 1
    assert not (tmp_path / "x.features" / "_index.usearch").exists()


def test_the_index_of_a_folder_at_an_address_is_kept_in_the_cache(cache, added, opened):
    pytest.importorskip("fsspec")
    features = opened(rows(), "memory://similar/x.features")
    query = made(rows(3, seed=1), seed=1)
    found = featx.similar(query, features)
    again = featx.similar(query, "memory://similar/x.features")
    assert (found.found == again.found).all()
    assert sum(added) == N
    assert len(list(cache.iterdir())) == 1


def test_a_mapped_file_is_known_by_its_name_size_and_time(cache, added, tmp_path):
    np.save(tmp_path / "x.npy", rows())
    for _ in range(2):
        open_index(np.load(tmp_path / "x.npy", mmap_mode="r"), cache, progress=False)
    assert sum(added) == N
    np.save(tmp_path / "x.npy", rows(seed=3))
    open_index(np.load(tmp_path / "x.npy", mmap_mode="r"), cache, progress=False)
    assert sum(added) == 2 * N
    assert len(list(cache.iterdir())) == 1


def test_rows_of_a_mapped_file_are_known_by_where_they_are(cache, added, tmp_path):
    np.save(tmp_path / "x.npy", rows(2 * N))
    X = np.load(tmp_path / "x.npy", mmap_mode="r")
    for some in (X[:N], X[N:], X[::2]):
        added.clear()
        found = open_index(some, cache, progress=False)
        assert sum(added) == N
        own = found.nearest(some, Space.of(some), some[:3], np.full(3, -1), 1)
        assert own.rows.tolist() == [[0], [1], [2]]


def damages(data: bytes) -> dict[str, bytes]:
    """Damage an index in many ways."""
    behind = struct.unpack("<QI", data[-28:-16])[0]
    end = len(data) - 28 - behind
    graph = 8 + N * 2 * COLUMNS
    first = graph + 64 + 40 + 2 * N  # node

    def changed(at: int, value: bytes) -> bytes:
        return data[:at] + value + data[at + len(value) :]

    return {
        "empty": b"",
        "cut": data[: len(data) // 2],
        "other": b"no index" * 100,
        "without its end": data[:end],
        "axes": changed(end + 8, b"\xff" * 8),
        "length": changed(len(data) - 28, b"\xff" * 8),
        "rows": changed(0, struct.pack("<I", 2**31)),
        "kind": changed(graph + 13, b"\x01"),
        "count": changed(graph + 17, struct.pack("<Q", 2**40)),
        "nodes": changed(graph + 64, struct.pack("<Q", 2**50)),
        "connectivity": changed(graph + 72, struct.pack("<Q", 2**20)),
        "top": changed(graph + 64 + 24, struct.pack("<Q", 2**20)),
        "entry": changed(graph + 64 + 32, struct.pack("<Q", N)),
        "level": changed(graph + 104, struct.pack("<h", 30000)),
        "key": changed(first, struct.pack("<Q", 2**60)),
        "level of a node": changed(first + 8, struct.pack("<h", 9)),
        "neighbours": changed(first + 10, struct.pack("<I", 2**31)),
        "neighbour": changed(first + 14, struct.pack("<I", 2**31)),
    }


def test_a_damaged_index_is_made_again_and_it_is_said(cache, added, caplog):
    X = rows()
    open_index(X, cache, progress=False)
    [path] = cache.iterdir()
    data = path.read_bytes()
    for name, damaged in damages(data).items():
        path.write_bytes(damaged)
        added.clear()
        caplog.clear()
        with caplog.at_level(logging.WARNING, "featx"):
            assert len(open_index(X, cache, progress=False).graph) == N
        assert sum(added) == N, name
        assert "made again" in caplog.text, name
        assert index_file.read(path) is not None


def test_an_index_that_was_damaged_at_random_never_ends_the_process(cache):
    X = rows()
    kept = open_index(X, cache, progress=False)
    [path] = cache.iterdir()
    data, random = path.read_bytes(), np.random.default_rng(0)
    space = Space.of(X)
    for _ in range(200):
        damaged = bytearray(data)
        start = 8 + N * 2 * COLUMNS  # behind the vectors
        for at in random.integers(start, len(data), random.integers(1, 4)):
            damaged[at] = random.integers(256)
        path.write_bytes(bytes(damaged))
        if index_file.read(path) is not None:
            found = open_index(X, cache, progress=False)
            found.nearest(X, space, X[:5], np.full(5, -1), 3)
    exact = nearest(X, space, X[:5], np.full(5, -1), 3)
    assert (kept.nearest(X, space, X[:5], np.full(5, -1), 3).rows == exact.rows).all()


def test_a_cache_that_cannot_be_written_is_told_and_the_search_goes_on(tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with caplog.at_level(logging.WARNING, "featx"):
        found = featx.similar(
            made(rows(2, seed=1), seed=1), made(rows()), 3, cache=blocked / "cache"
        )
    assert found.found.shape == (2, 3)
    assert "the index is not kept" in caplog.text


def test_a_full_disk_is_told_once_and_the_search_goes_on(cache, monkeypatch, caplog):
    from usearch.index import Index

    def failed(self, path):
        Path(path).write_bytes(b"part of it")
        raise RuntimeError("Failed to serialize into stream")

    monkeypatch.setattr(Index, "save", failed)
    full = namedtuple("usage", "total used free")(1 << 40, 1 << 40, 0)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: full)
    monkeypatch.setattr(index, "SAVED_EVERY", 0.0)
    monkeypatch.setattr(index, "ELEMENTS", 100 * COLUMNS)
    with caplog.at_level(logging.WARNING, "featx"):
        found = featx.similar(made(rows(2, seed=1), seed=1), made(rows()), 3)
    assert found.found.shape == (2, 3)
    assert caplog.text.count("the index is not kept: cannot write") == 2  # then, and at the end
    assert "the disk is full; make room" in caplog.text
    assert list(cache.iterdir()) == []


def test_without_usearch_many_rows_are_compared_on_request_alone(monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    features, query = made(rows()), made(rows(2, seed=1), seed=1)
    with pytest.raises(MissingPackageError, match=r'pip install "featx\[similar\]", or .*--exact'):
        featx.similar(query, features, cache=False)
    assert featx.similar(query, features, exact=True).exact
