"""A Ray cluster of several nodes, of which one dies, and a run whose process is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

import featx
from featx.images.digests import digest_bytes

pytest.importorskip("ray.data")
import ray_fakes

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.* is deprecated.*:DeprecationWarning"),
]

N = 2000
RUN = """
import sys
import fakes, featx, ray_fakes
with fakes.install(), ray_fakes.connected(sys.argv[2], seconds=0.01):
    featx.embed(sys.argv[1], runner="ray", num_workers=2, cache=sys.argv[3])
"""


@pytest.fixture(scope="module")
def photographs(shared, tmp_path_factory):
    """2,000 photographs of different bytes: parts of those that are shared."""
    sources = sorted((shared / "data" / "caltech15" / "train").glob("*/*.jpg"))
    root = tmp_path_factory.mktemp("photographs")
    for number in range(N):
        source = sources[number % len(sources)]
        with Image.open(source) as image:
            image = image.convert("RGB").resize((160, 120))
        left, top = divmod(number // len(sources), 4)
        folder = root / source.parent.name
        folder.mkdir(exist_ok=True)
        image.crop((left, top, left + 140, top + 100)).save(folder / f"{number:04d}.jpg")
    digests = {digest_bytes(path.read_bytes()) for path in root.glob("*/*.jpg")}
    assert len(digests) == N
    return root


@pytest.fixture
def cluster():
    """A cluster of three nodes on this machine; yields it and a node beside the first."""
    from ray.cluster_utils import Cluster

    memory = {"object_store_memory": 150 << 20}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, **memory})
    nodes = [made.add_node(num_cpus=2, **memory) for _ in range(2)]
    made.wait_for_nodes()
    yield made, nodes[1]
    made.shutdown()


def assert_none_computed_again(record, features):
    """Check that nothing was computed once it had been stored."""
    digests = {
        vector.tobytes().hex(): digest_bytes(Path(path).read_bytes())
        for vector, path in zip(features.X, features.paths, strict=True)
    }
    assert len(digests) == N, "vectors that cannot be told apart"
    stored: dict[str, float] = {}
    for event in ray_fakes.events(record):
        if event.what == "stored":
            stored.setdefault(event.of, event.time)
        else:
            assert digests[event.of] not in stored, "computed after it was stored"
    assert stored.keys() == set(digests.values())


def test_a_node_that_dies_costs_no_row_and_nothing_stored(
    photographs, bucket, cluster, tmp_path, fake_engine
):
    import ray

    nodes, victim = cluster
    local = featx.embed(photographs, cache=tmp_path / "local")
    photos = bucket.put_folder(photographs, "photos")
    record = tmp_path / "record"
    record.mkdir()
    at_death: list[int] = []

    def kill():
        while len(ray_fakes.computed(record)) < N // 3:
            time.sleep(0.2)
        nodes.remove_node(victim, allow_graceful=False)
        at_death.append(len(ray_fakes.computed(record)))

    killer = threading.Thread(target=kill, daemon=True)
    settings = {name: os.environ[name] for name in os.environ if name.startswith("AWS_")}
    with ray_fakes.connected(record, nodes.address, seconds=0.01, **settings):
        killer.start()
        made = featx.embed(
            photos, cache=f"{bucket}/cache", runner="ray", num_workers=3, progress=False
        )
        assert sum(node["Alive"] for node in ray.nodes()) == 2
    assert at_death, "the run was over before a node died"
    assert at_death[0] < 0.9 * N, at_death
    assert made.X.tobytes() == local.X.tobytes()
    assert [path.split("/photos/")[1] for path in made.paths] == [
        str(Path(path).relative_to(photographs)) for path in local.paths
    ]
    assert made.y.tolist() == local.y.tolist()
    assert [each.status for each in made.outcomes] == ["embedded"] * N
    times = Counter(ray_fakes.computed(record))
    print(f"killed after {at_death[0]} vectors; {sum(times.values()) - N} computed twice")
    assert_none_computed_again(record, local)


def test_a_run_that_is_killed_goes_on_where_it_was(photographs, tmp_path, fake_engine):
    record, cache = tmp_path / "record", tmp_path / "cache"
    record.mkdir()
    script = tmp_path / "run.py"
    script.write_text(RUN)
    variables = os.environ | {"PYTHONPATH": f"{ray_fakes.TESTS.parent}:{ray_fakes.TESTS}"}
    words = [sys.executable, str(script), str(photographs), str(record), str(cache)]
    run = subprocess.Popen(words, env=variables, start_new_session=True)
    while len(ray_fakes.computed(record)) < N // 2:
        assert run.poll() is None, "the run has ended"
        time.sleep(0.2)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    before, deadline = -1, time.monotonic() + 60
    while before != len(ray_fakes.events(record)) and time.monotonic() < deadline:
        before = len(ray_fakes.events(record))  # workers end a little later
        time.sleep(3)
    first = len(set(ray_fakes.computed(record)))
    with ray_fakes.connected(record):
        made = featx.embed(photographs, cache=cache, runner="ray", num_workers=2, progress=False)
    assert made.X.tobytes() == featx.embed(photographs, cache=tmp_path / "local").X.tobytes()
    statuses = Counter(each.status for each in made.outcomes)
    assert statuses["cached"] >= N // 3, statuses
    print(f"{first} vectors computed before, {statuses}")
    assert_none_computed_again(record, made)
