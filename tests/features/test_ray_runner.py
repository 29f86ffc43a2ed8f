"""Embedding on a Ray cluster gives what embedding in this process gives."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import threading

import fakes
import numpy as np
import pytest

import featx
from featx.errors import (
    ImageError,
    MissingPackageError,
    OptionError,
    StorageError,
)
from featx.features import ray_runner

pytest.importorskip("ray.data")
import ray_fakes

pytestmark = pytest.mark.filterwarnings("ignore:.* is deprecated.*:DeprecationWarning")

ON_RAY = {"runner": "ray", "num_workers": 1, "progress": False}


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A cluster of this module, and the folder where its workers write what they compute."""
    folder = tmp_path_factory.mktemp("record")
    with ray_fakes.connected(folder):
        yield folder


@pytest.fixture
def computed(record, fake_engine):
    """A function that returns how many vectors were computed since it was asked last."""
    known = [len(ray_fakes.computed(record))]

    def count():
        now = len(ray_fakes.computed(record))
        since, known[0] = now - known[0], now
        return since

    return count


@pytest.fixture
def many(tmp_path):
    """A folder of 90 pictures, two of them the same, and three files that cannot be read."""
    folder = fakes.draw_folder(tmp_path / "many", each=29)
    shutil.copy(folder / "blue" / "000.png", folder / "red" / "copy.png")
    (folder / "red" / "empty.png").write_bytes(b"")
    (folder / "green" / "text.png").write_bytes(b"no picture")
    (folder / "green" / "text_too.png").write_bytes(b"no picture")
    return folder


def assert_same(made, expected):
    assert made.X.tobytes() == expected.X.tobytes()
    assert made.paths.tolist() == expected.paths.tolist()
    assert made.y.tolist() == expected.y.tolist()
    assert made.outcomes == expected.outcomes
    assert made.recipe == expected.recipe


@pytest.mark.filterwarnings("ignore::featx.errors.ImageSourceWarning")
def test_rows_outcomes_and_order_are_those_of_one_machine(many, tmp_path, computed, monkeypatch):
    monkeypatch.setattr(ray_runner, "BLOCK_FILES", 30)
    local = featx.embed(many, cache=tmp_path / "local")
    on_ray = ON_RAY | {"num_workers": 2}
    made = featx.embed(many, cache=tmp_path / "cache", **on_ray)
    assert_same(made, local)
    assert [each.status for each in made.outcomes].count("failed") == 3
    assert computed() == 87, "a copy in another block is computed, too"
    assert made.images_per_second > 0
    again = featx.embed(many, cache=tmp_path / "cache")
    assert again.X.tobytes() == local.X.tobytes()
    assert {each.status for each in again.outcomes} == {"cached", "failed"}


@pytest.mark.filterwarnings("ignore::featx.errors.ImageSourceWarning")
def test_a_process_that_dies_which_says_what_blocks_bring_is_replaced(
    many, tmp_path, record, computed
):
    local = featx.embed(many, cache=tmp_path / "local")
    (record / ray_fakes.DIE).touch()
    assert_same(featx.embed(many, cache=tmp_path / "cache", **ON_RAY), local)
    assert not (record / ray_fakes.DIE).exists()
    assert computed() == 87


def test_what_is_stored_under_another_name_is_not_computed_again(photos, tmp_path, computed):
    featx.embed(photos)
    moved = tmp_path / "moved"
    shutil.copytree(photos, moved)
    fakes.draw(moved / "red" / "new.png", (1, 2, 3))
    again = featx.embed(moved, **ON_RAY)
    assert computed() == 1
    assert [each.status for each in again.outcomes].count("cached") == 18
    assert again.X.tobytes() == featx.embed(moved, cache=tmp_path / "local").X.tobytes()


@pytest.mark.filterwarnings("ignore:the weights of")
def test_views_and_several_networks_are_filled_at_once(photos, computed, tmp_path):
    networks = ["efficientnet_lite0", "resnet50+xception"]
    asked = {"views": 2, "weights": "random", "input_size": 80}
    local = featx.embed(photos, networks, cache=tmp_path / "local", **asked)
    made = featx.embed(photos, networks, cache=tmp_path / "cache", **asked, **ON_RAY)
    for each, expected in zip(made, local, strict=True):
        assert_same(each, expected)
        assert [view.tobytes() for view in each.views] == [
            view.tobytes() for view in expected.views
        ]
    assert computed() == 18 * 3 * 3, "pictures, networks, views"


def test_pictures_in_memory_travel_along(computed, tmp_path):
    pictures, labels = fakes.draw_array()
    local = featx.embed(pictures, labels=labels, cache=tmp_path / "local")
    made = featx.embed(pictures, labels=labels, cache=tmp_path / "cache", **ON_RAY)
    assert_same(made, local)


def test_a_model_is_trained_on_features_of_a_cluster(photos, computed):
    model = featx.train(photos, **ON_RAY)
    assert computed() == 18
    assert model.predict(photos).tolist() == ["blue"] * 6 + ["green"] * 6 + ["red"] * 6


def test_the_first_file_that_cannot_be_read_ends_the_run_where_that_is_asked(many, computed):
    with pytest.raises(ImageError, match=r"cannot read .*(text|empty).*\.png: "):
        featx.embed(many, on_error="raise", **ON_RAY)


def test_a_folder_of_features_is_filled_by_a_cluster_and_read_here(photos, tmp_path, computed):
    made = featx.embed(photos, out=tmp_path / "photos.features", **ON_RAY)
    assert computed() == 18
    local = featx.embed(photos, cache=tmp_path / "local")
    assert np.array_equal(made.X, local.X)
    assert made.paths.tolist() == local.paths.tolist()


def test_a_cache_that_cannot_be_written_is_one_line(photos, tmp_path, computed):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot write .*file"):
        featx.embed(photos, cache=tmp_path / "file" / "cache", **ON_RAY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_workers": 2}, "num workers 2 is for many machines: leave it out, or ask"),
        ({"num_gpus": 1}, "num gpus 1 is for many machines"),
        ({"address": "head:6379"}, "address 'head:6379' is for many machines"),
        ({"runner": "ray", "cache": False}, "runner 'ray' needs a cache"),
        ({"runner": "spark"}, "unknown runner 'spark': expected one of local, ray"),
        ({"runner": "ray", "num_workers": 0}, "num workers 0: expected a whole number from 1 up"),
    ],
)
def test_options_that_cannot_be_are_said_before_any_work(photos, fake_engine, options, message):
    with pytest.raises(OptionError, match=message):
        featx.embed(photos, **options)


def test_more_gpus_than_there_are_is_one_line(photos, computed):
    with pytest.raises(OptionError, match="num gpus 3 for 2 workers: the Ray cluster has 0"):
        featx.embed(photos, num_gpus=3, **ON_RAY | {"num_workers": 2})


def test_a_worker_takes_gpus_of_one_machine(photos, computed, monkeypatch):
    import ray

    nodes = [{"Alive": True, "Resources": {"CPU": 8.0, "GPU": 2.0}}] * 2
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    with pytest.raises(OptionError, match=r"num gpus 3 for 1 worker: the Ray cluster has 2 \+ 2"):
        featx.embed(photos, num_gpus=3, **ON_RAY)


@pytest.mark.parametrize("num_workers", [1, 2, 60])
def test_workers_leave_cores_for_decoding_however_many_they_are(record, num_workers):
    asked = num_workers * ray_runner.embedder_cpus(num_workers, threads=1)
    assert 0 < asked <= 2 - ray_runner.DECODER_CPUS


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:10001", "nonsense"])
def test_an_address_where_no_cluster_is_answers_at_once(address, monkeypatch):
    import ray

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(OptionError, match=rf"no Ray cluster at address '{address}' \(.+\): exp"):
        ray_runner.connect(address)


def test_what_keeps_ray_from_starting_here_is_said(monkeypatch):
    import ray

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "/home/.ray")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(OptionError, match=r"on this machine \(.*'/home/\.ray'\): mend that, or"):
        ray_runner.connect(None)


def test_relative_paths_lead_to_the_same_files_on_workers_in_other_folders(
    photos, tmp_path, computed, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # the workers stay where they were started
    paths = ["photos/red/000.png", "photos/green/000.png", "photos/red/none.png"]
    with pytest.warns(featx.ImageSourceWarning, match="1 of 3 images"):
        local = featx.embed(paths, cache=tmp_path / "local")
    with pytest.warns(featx.ImageSourceWarning, match="1 of 3 images"):
        made = featx.embed(paths, cache="cache", **ON_RAY)
    assert computed() == 2
    assert made.X.tobytes() == local.X.tobytes()
    assert made.outcomes == local.outcomes


def test_a_cluster_that_asks_for_a_token_is_said_to_and_nothing_is_reported(monkeypatch):
    import ray

    reports, before = [], signal.getsignal(signal.SIGTERM)

    def refuse(*_, **__):
        signal.signal(signal.SIGTERM, lambda *_: None)  # as Ray does
        reports.append(os.environ["RAY_USAGE_STATS_ENABLED"])
        raise ConnectionError("Failed to connect")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(OptionError, match="takes RAY_AUTH_MODE=token, and its token in"):
            ray_runner.connect(f"127.0.0.1:{port}")
    assert reports == ["0"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_to_install_is_said_where_ray_is_not(photos, fake_engine, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    with pytest.raises(MissingPackageError, match=r"pip install \"featx\[ray\]\"") as raised:
        featx.embed(photos, runner="ray")
    assert "\n" not in str(raised.value)


def test_a_run_that_waits_for_a_busy_cluster_says_so(photos, tmp_path, computed, monkeypatch):
    import ray

    class Other:
        def is_there(self):
            return True

    said, words = threading.Event(), []

    def warning(message, *values):
        words.append(message % values)
        said.set()

    monkeypatch.setattr(ray_runner, "WAITED_SECONDS", 0.2)
    monkeypatch.setattr(ray_runner.log, "warning", warning)
    n = int(ray.cluster_resources()["CPU"])
    other = ray.remote(num_cpus=n)(Other).remote()
    ray.get(other.is_there.remote())
    ending = threading.Thread(target=lambda: (said.wait(60), ray.kill(other)), daemon=True)
    ending.start()
    features = featx.embed(photos, cache=tmp_path / "cache", **ON_RAY)
    assert len(features) == 18
    assert words[0].startswith(
        f"no pictures are embedded yet: 0 of the {n} CPUs of the Ray cluster"
    )
