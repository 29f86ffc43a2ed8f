"""Filling a store: batches side by side, a bounded queue, and nothing lost in an accident."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path

import fakes
import numpy as np
import pytest
import waits
from fakes import alone, assert_rows
from PIL import Image

import featx
from featx import files as files_module
from featx.backbones.backbone import Backbone
from featx.errors import StorageError
from featx.features import reader
from featx.features import run as run_module
from featx.features.store.cache import contents
from featx.features.store.store import FeatureStore
from featx.files import cache_folder

TESTS = Path(__file__).parents[1]


def own(name: str) -> Backbone:
    return Backbone(name, "ab" * 32, 16, 8, "none/1", preprocess=None)


def assert_threads_end() -> None:
    """Check that featx's threads are over."""
    deadline = time.monotonic() + 10
    while (names := threads_of_featx()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert names == []


def threads_of_featx() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("featx-")]


# -- Several batches at once ---------------------------------------------------------------------


@pytest.fixture
def slow_first(monkeypatch, fake_engine):
    """Let the first batch end only after the second; the numbers of batches as they end."""
    embed_batch = fake_engine.embed_batch
    lock, second = threading.Lock(), threading.Event()
    begun, ended = [], []

    def embed(engine, images):
        with lock:
            number = len(begun)
            begun.append(number)
        if number == 0:
            assert second.wait(waits.SECONDS), "no second batch was begun beside the first"
        vectors = embed_batch(engine, images)
        ended.append(number)
        if number == 1:
            second.set()
        return vectors

    monkeypatch.setattr(fake_engine, "embed_batch", embed)
    return ended


def test_rows_keep_their_order_though_batches_end_in_another(run, photos, slow_first):
    features, embedded = run(photos, batch_size=4)
    assert slow_first.index(1) < slow_first.index(0), slow_first
    assert sorted(slow_first) == [0, 1, 2, 3, 4]
    assert (len(features), embedded) == (18, 18)
    assert [o.status for o in features.outcomes] == ["embedded"] * 18
    assert_rows(features)
    again, embedded = run(photos, batch_size=4)
    assert embedded == 0
    assert again.X.tobytes() == features.X.tobytes()


@pytest.mark.parametrize("networks", [1, 3])
@pytest.mark.parametrize("streams", [1, 2, 5])
def test_no_more_batches_run_at_once_than_the_engine_has_streams(
    photos, fake_engine, monkeypatch, streams, networks
):
    embed_batch = fake_engine.embed_batch
    lock = threading.Lock()
    at_once, most = [0], [0]

    def count(engine, images):
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.01)
        try:
            return embed_batch(engine, images)
        finally:
            with lock:
                at_once[0] -= 1

    monkeypatch.setattr(fake_engine, "embed_batch", count)
    monkeypatch.setattr(fake_engine, "streams", streams)
    backbones = [own(name) for name in ("fox", "owl", "cat")][:networks]
    for features in featx.embed(photos, backbones, batch_size=2, progress=False):
        assert_rows(features)
    assert most[0] <= streams, most


def test_a_run_leaves_no_threads_behind(run, photos):
    features, _ = run(photos, batch_size=4)
    assert len(features) == 18
    assert_threads_end()


def test_an_error_of_the_network_ends_the_run_and_keeps_what_was_done(run, photos, monkeypatch):
    with monkeypatch.context() as patch:
        fakes.fail_from_batch(patch, 2, MemoryError("no room"))
        with pytest.raises(MemoryError, match="no room"):
            run(photos, batch_size=4)
    assert_threads_end()
    features, embedded = run(photos)
    assert embedded == 18 - 2 * 4
    assert_rows(features)


# -- How far decoding runs ahead -----------------------------------------------------------------


@pytest.mark.parametrize("larger", ["fox", "owl"])
def test_decoding_runs_ahead_by_batches_of_the_network_that_takes_most_at_once(
    tmp_path, touched, monkeypatch, larger
):
    """Until the networks, which wait, have taken all that they can: 12 pictures, and 12 ahead."""
    goes_on = threading.Event()

    class Waiting(fakes.FakeEngine):
        streams = 1

        def __init__(self, request):
            super().__init__(request)
            self.batch_size = 12 if request.backbone.name == larger else 4

        def embed_batch(self, images):
            assert goes_on.wait(waits.SECONDS)
            return super().embed_batch(images)

    monkeypatch.setattr(reader, "DECODED_AHEAD", 1)
    monkeypatch.setattr(reader, "BATCHES_AHEAD", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    photos = fakes.draw_folder(tmp_path / "photos", each=12)
    pair = [own("fox"), own("owl")]
    with fakes.install(Waiting), ThreadPoolExecutor(1) as pool:
        features = pool.submit(featx.embed, photos, pair, progress=False)
        try:
            waits.until(lambda: decoded(touched) >= 12 + 12, "24 pictures are decoded")
            time.sleep(0.1)
            assert decoded(touched) == 12 + 12
        finally:
            goes_on.set()
        for each in features.result():
            assert_rows(each)


def decoded(touched) -> int:
    return sum(what == "decoded" for what, _ in list(touched))


@pytest.mark.parametrize("streams", [1, 2])
def test_few_pictures_are_decoded_and_not_embedded_however_slow_the_network(
    run, tmp_path, fake_engine, monkeypatch, streams
):
    photos = fakes.draw_folder(tmp_path / "photos", each=30)
    batch_size, ahead = 2, 6
    monkeypatch.setattr(reader, "DECODED_AHEAD", ahead)
    monkeypatch.setattr(reader, "BATCHES_AHEAD", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(fake_engine, "streams", streams)
    open_image, embed_batch = Image.open, fake_engine.embed_batch
    lock = threading.Lock()
    waiting, seen = [0], []

    def change(by):
        with lock:
            waiting[0] += by
            seen.append(waiting[0])

    def decode(*args, **kwargs):
        change(1)
        return open_image(*args, **kwargs)

    def embed(engine, images):
        time.sleep(0.01)
        vectors = embed_batch(engine, images)
        change(-len(images))
        return vectors

    monkeypatch.setattr(Image, "open", decode)
    monkeypatch.setattr(fake_engine, "embed_batch", embed)
    features, embedded = run(photos, batch_size=batch_size)
    assert (len(features), embedded) == (90, 90)
    # Those that wait, the one in hand, and the batches that are computed or stand ready.
    most = ahead + 1 + (streams + 2) * batch_size
    assert ahead < max(seen) <= most, f"{max(seen)} of at most {most}"
    assert waiting == [0]


# -- Accidents -----------------------------------------------------------------------------------


def script(photos, cache, seconds_per_batch=0.0) -> list[str]:
    """Embed in another process, of which each batch becomes a shard of its own."""
    code = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
import fakes, featx
from featx.backbones.backbone import Backbone
from featx.features import writer
writer.SHARD_SECONDS = 0.001
backbone = Backbone("fake", "ab" * 32, 16, 8, "none/1", preprocess=None)
print("ready", flush=True)
sys.stdin.readline()
with fakes.install(seconds_per_batch={seconds_per_batch}):
    features = featx.embed({str(photos)!r}, backbone, cache={str(cache)!r}, progress=False)
print(fakes.FakeEngine.embedded, features.X.tobytes().hex())
"""
    return [sys.executable, "-c", code]


def start(*args) -> subprocess.Popen:
    return subprocess.Popen(script(*args), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def rows_in(cache: Path) -> int:
    return sum(recipe.rows for recipe in contents(cache))


def test_a_run_that_was_killed_goes_on_where_it_was(run, tmp_path):
    photos = fakes.draw_folder(tmp_path / "photos", each=20)
    whole, _ = run(photos, cache=tmp_path / "whole")
    killed = start(photos, tmp_path / "cache", 0.3)
    killed.stdin.write("go\n")
    killed.stdin.flush()
    waits.until(lambda: rows_in(tmp_path / "cache") >= 16 or killed.poll() is not None, "a shard")
    assert killed.poll() is None, "it ended before it was killed"
    killed.kill()
    killed.communicate()
    there = rows_in(tmp_path / "cache")
    assert 0 < there < 60
    again, embedded = run(photos, cache=tmp_path / "cache")
    assert embedded == 60 - there
    assert again.X.tobytes() == whole.X.tobytes()
    assert [outcome.status for outcome in again.outcomes].count("cached") == there


def test_an_interrupt_keeps_what_was_done_and_leaves_no_threads(run, photos, monkeypatch):
    with monkeypatch.context() as patch:
        fakes.fail_from_batch(patch, 2, KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            run(photos, batch_size=4)
    assert_threads_end()
    features, embedded = run(photos)
    assert embedded == 10
    assert_rows(features)


def test_two_processes_at_once_lose_nothing(run, tmp_path):
    photos = fakes.draw_folder(tmp_path / "photos", each=15)
    whole, _ = run(photos, cache=tmp_path / "whole")
    cache = tmp_path / "cache"
    pair = [start(photos, cache, 0.02) for _ in range(2)]
    for process in pair:
        assert process.stdout.readline() == "ready\n"
    for process in pair:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0].split() for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    assert [answer[1] == whole.X.tobytes().hex() for answer in answers] == [True, True]
    assert [recipe.damages for recipe in contents(cache)] == [()]
    again, embedded = run(photos, cache=cache)
    assert embedded == 0
    assert again.X.tobytes() == whole.X.tobytes()


@pytest.mark.parametrize("part", ["key", "vector", "end"])
def test_a_damaged_shard_is_reported_is_a_miss_and_heals(run, photos, part, caplog):
    first, _ = run(photos)
    cache = Path(os.environ["FEATX_CACHE"])
    (shard,) = cache.glob("features/*/*.arrow")
    damaged = bytearray(shard.read_bytes())
    if part == "end":
        damaged = damaged[:-300]
    else:
        vector = damaged.index(first.X[5].tobytes())
        damaged[vector if part == "vector" else vector - 800] ^= 1
    shard.write_bytes(damaged)
    second, embedded = run(photos)
    assert embedded == 18
    assert second.X.tobytes() == first.X.tobytes()
    assert [f"{shard} is damaged" in record.message for record in caplog.records] == [True]
    caplog.clear()
    third, embedded = run(photos)
    assert (embedded, caplog.records) == (0, [])
    assert third.X.tobytes() == first.X.tobytes()
    (recipe,) = contents(cache)
    assert (recipe.rows, recipe.damages) == (18, ())


def test_a_file_that_changes_while_it_is_embedded_leaves_no_wrong_vector(run, photos, monkeypatch):
    """Every file is replaced right after it was read: before its digest, before its decoding."""
    new = {
        path: fakes.draw(photos.parent / "new" / path.name, (250, 250, 9))
        for path in photos.glob("*/*.png")
    }

    class Replaced(FileIO):
        def read(self, size=-1):
            data = super().read(size)
            Path(self.name).write_bytes(new[Path(self.name)].read_bytes())
            return data

    old = [alone(path) for path in sorted(photos.glob("*/*.png"))]
    with monkeypatch.context() as patch:
        fakes.open_pictures(patch, Replaced)
        features, _ = run(photos)
    assert np.array_equal(features.X, np.stack(old)), "not the vectors of what was read"
    features, embedded = run(photos)
    assert embedded == 1, "all files have one content now"
    assert_rows(features)


def test_a_file_in_place_of_the_cache_is_known_before_the_work(run, photos, fake_engine, tmp_path):
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(StorageError, match=r"cannot write .*cache.*: a part of the path is a file"):
        run(photos, cache=tmp_path / "cache")
    assert fake_engine.opened == []


NOT_WRITABLE = (
    "the cache {} cannot be written (permission denied): what it holds is used, and nothing is "
    "added; --cache or FEATX_CACHE names another folder, --no-cache none"
)


@pytest.mark.skipif(not hasattr(os, "setuid") or os.getuid() != 0, reason="root only")
@pytest.mark.parametrize("held", ["nothing", "some", "everything"])
def test_a_cache_that_may_only_be_read_is_used_and_the_rest_is_embedded(
    run, photos, tmp_path, monkeypatch, caplog, held
):
    monkeypatch.setattr(files_module, "MEMORY_MAP_BYTES", 100)
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    cache = tmp_path / "cache"
    cache.mkdir()
    folders = {"some": photos / "red", "everything": photos}
    if held in folders:
        run(folders[held], cache=cache)
    files = sorted(cache.rglob("*"))
    run(photos, cache=False)  # imports are done by root, who can read them

    def embed_all():
        caplog.clear()
        for _ in range(2):
            features, embedded = run(photos, cache=cache)
            assert embedded == {"nothing": 18, "some": 12, "everything": 0}[held]
            assert_rows(features)
        messages = [each.message for each in caplog.records if each.levelname == "WARNING"]
        assert messages == ([] if held == "everything" else [NOT_WRITABLE.format(cache)])

    fakes.as_another_user(embed_all, cache, photos)
    assert sorted(cache.rglob("*")) == files


@pytest.mark.skipif(not hasattr(os, "setuid") or os.getuid() != 0, reason="root only")
def test_a_user_without_a_home_has_a_cache_as_long_as_the_process_lives(
    run, photos, monkeypatch, caplog
):
    for name in ("HOME", "FEATX_CACHE", "XDG_CACHE_HOME", "KERAS_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    run(photos, cache=False)  # imports are done by root, who can read them

    def embed_twice():
        assert (run(photos)[1], run(photos)[1]) == (18, 0)
        shutil.rmtree(cache_folder())
        (message,) = [each.message for each in caplog.records]
        assert message.startswith("there is no home folder to keep a cache in: features are kept ")
        assert "--cache or FEATX_CACHE names a folder" in message

    fakes.as_another_user(embed_twice, photos)


def test_a_cache_that_keeps_nothing_is_an_error_and_no_endless_loop(run, photos, monkeypatch):
    monkeypatch.setattr(FeatureStore, "append", lambda *args: None)
    with pytest.raises(StorageError, match="does not keep what is written to it; choose another"):
        run(photos)


def test_a_run_leaves_nothing_for_the_garbage_collector(run, photos):
    """A server that embeds picture by picture would hold the files of a thousand runs."""

    def stores():
        return [each for each in gc.get_objects() if isinstance(each, FeatureStore)]

    gc.collect()
    before = stores()  # which errors of other tests may still hold
    gc.disable()
    try:
        run(photos)
        left = [each for each in stores() if each not in before]
    finally:
        gc.enable()
    assert left == []


def test_no_machine_is_asked_whether_few_pictures_could_be_faster(run, photos, monkeypatch):
    """It may import Keras, where there is a GPU."""
    asked = []
    monkeypatch.setattr(run_module, "quickest_precision", lambda *_, **__: asked.append(""))
    run(photos)
    assert asked == []


# -- A run that fails ----------------------------------------------------------------------------


class BrokenEngine(fakes.FakeEngine):
    """An engine that cannot be opened."""

    def __init__(self, request):
        raise StorageError("there is no such layer")


def test_a_run_that_fails_leaves_no_empty_recipe_in_the_cache(photos):
    with fakes.install(BrokenEngine), pytest.raises(StorageError):
        featx.embed(photos)
    assert contents(cache_folder()) == []
    assert list((cache_folder() / "features").iterdir()) == []


def test_a_run_that_fails_leaves_what_was_there(photos, new_photos, fake_engine):
    featx.embed(photos)
    (before,) = contents(cache_folder())
    with fakes.install(BrokenEngine), pytest.raises(StorageError):
        featx.embed(new_photos)
    (after,) = contents(cache_folder())
    assert (after.fingerprint, after.rows) == (before.fingerprint, 18)
