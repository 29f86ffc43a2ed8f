"""The first pictures of a process may be embedded by many threads, and by a forked child."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import fakes
import pytest

import featx

TESTS = Path(fakes.__file__).parent

# Each way to let eight threads work at once, on the pictures that are named.
MANY = """
import asyncio, sys, threading
from concurrent.futures import ThreadPoolExecutor

barrier = threading.Barrier(8)

def embed(path):
    barrier.wait()
    import featx
    return featx.embed([path], input_size=32, progress=False).X[0].tobytes().hex()

def by_threads(paths):
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(embed, paths))

def by_asyncio(paths):
    async def work():
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(8))
        return await asyncio.gather(*(asyncio.to_thread(embed, path) for path in paths))
    return asyncio.run(work())

def by_joblib(paths):
    from joblib import Parallel, delayed
    return Parallel(8, backend="threading")(delayed(embed)(path) for path in paths)

print(*globals()[sys.argv[1]](sys.argv[2:]))
"""

# A process that embeds or imports something, and forks a child that embeds.
FORK = """
import os, sys
import featx
before, after, first, second = sys.argv[1:]

def embed(path, engine):
    return featx.embed([path], input_size=32, progress=False, engine=engine).X[0].tobytes().hex()

if before == "import":
    import keras, openvino
else:
    embed(first, before)
child = os.fork()
if child == 0:
    try:
        print(embed(second, after), flush=True)
    except featx.FeatxError as error:
        print(error, flush=True)
    sys.exit()
ended = os.waitpid(child, 0)[1]
embed(second, "openvino")
sys.exit(os.waitstatus_to_exitcode(ended))
"""

# A child is forked while a thread opens an engine, and opens one itself.
WHILE_OPENING = """
import os, sys, threading, time
import fakes, featx

opening = threading.Event()

class Slow(fakes.FakeEngine):
    def __init__(self, request):
        opening.set()
        time.sleep(0.5)
        super().__init__(request)

with fakes.install(Slow):
    embed = lambda: featx.embed(sys.argv[1:], progress=False).X.shape
    thread = threading.Thread(target=embed)
    thread.start()
    opening.wait()
    child = os.fork()
    if child == 0:
        print(*embed(), flush=True)
        sys.exit()
    thread.join()
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def run(code: str, *arguments: object) -> subprocess.CompletedProcess:
    """Run a script that must end; the time limit is for one that waits for ever."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])},
    )


@pytest.fixture(scope="module")
def engines(tmp_path_factory):
    """A folder with the default network, converted once for all tests."""
    cache = tmp_path_factory.mktemp("converted")
    photos = fakes.draw_folder(tmp_path_factory.mktemp("photos"), each=1)
    featx.embed(photos, input_size=32, progress=False, cache=cache, engine="openvino")
    return cache / "engines"


@pytest.fixture
def pictures(tmp_path) -> list[Path]:
    """Eight pictures."""
    return sorted(fakes.draw_folder(tmp_path / "photos", each=3).rglob("*.png"))[:8]


@pytest.fixture
def cache(tmp_path, engines, monkeypatch) -> Path:
    """A cache that holds the converted network alone."""
    folder = tmp_path / "cache"
    folder.mkdir()
    (folder / "engines").symlink_to(engines)
    monkeypatch.setenv("FEATX_CACHE", str(folder))
    return folder


def vectors(pictures, tmp_path) -> list[str]:
    features = featx.embed(pictures, input_size=32, progress=False, cache=tmp_path / "other")
    return [vector.tobytes().hex() for vector in features.X]


@pytest.mark.keras
@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("way", ["by_threads", "by_asyncio", "by_joblib"])
def test_eight_threads_may_embed_the_first_pictures_of_a_process(way, pictures, tmp_path):
    ended = run(MANY, way, *pictures)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == vectors(pictures, tmp_path)


@pytest.mark.keras
@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(("before", "after"), [("openvino", "openvino"), ("import", "keras")])
def test_a_forked_child_embeds_by_an_engine_of_its_own(before, after, pictures, tmp_path):
    ended = run(FORK, before, after, *pictures[:2])
    assert ended.returncode == 0, ended.stderr
    if after == "openvino":
        assert ended.stdout.split() == vectors(pictures[1:2], tmp_path)
    else:
        assert len(ended.stdout.split()) == 1


@pytest.mark.keras
@pytest.mark.usefixtures("cache")
def test_a_child_of_a_process_in_which_tensorflow_ran_is_told_to_be_spawned(pictures):
    ended = run(FORK, "keras", "keras", *pictures[:2])
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("TensorFlow ran before this process was forked")
    assert 'get_context("spawn")' in ended.stdout


def test_a_child_forked_while_a_thread_opens_an_engine_opens_one_too(pictures):
    ended = run(WHILE_OPENING, *pictures)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == ["8", "9"]


NEIGHBOURS = """
import os, sys
import numpy as np
from featx.learning.learner import Learner, predict
X = np.random.default_rng(0).random((3000, 50), np.float32)
y = np.where(X[:, 0] > 0.5, "a", "b")
learner = Learner.of("knn")
model = learner.fit(learner.build_for(y, 50, 0), X, y)
labels = lambda: predict(model, X, [], ["a", "b"])[0]
expected = labels()
child = os.fork()
if child == 0:
    sys.exit(int((labels() != expected).any()))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_predicts_by_a_classifier_that_computes_in_threads():
    ended = run(NEIGHBOURS)
    assert ended.returncode == 0, ended.stderr
