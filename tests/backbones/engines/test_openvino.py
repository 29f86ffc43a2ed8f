"""The OpenVINO engine: rows, threads, precision, and the features of the Keras engine."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Barrier

import numpy as np
import pytest

from featx.backbones.applications import Application, build
from featx.backbones.backbone import Backbone
from featx.backbones.engines.choice import ENGINES, close_engines, open_engine
from featx.backbones.engines.openvino import computes_in_bfloat16
from featx.backbones.framework import import_keras
from featx.backbones.keras_weights import draw
from featx.backbones.network import FLOATS, POOLINGS, named_layers
from featx.backbones.preprocessing import PREPROCESSINGS
from featx.backbones.table import BACKBONES
from featx.errors import OptionError, UnknownLayerError

pytestmark = [pytest.mark.keras, pytest.mark.filterwarnings("ignore:the weights of")]


def assert_parity(features, expected):
    """Check that features are those of Keras: 1e-3 of their scale, and a cosine above 0.99999."""
    assert features.shape == expected.shape
    assert features.dtype == np.float32
    error = np.abs(features - expected).max() / np.abs(expected).max()
    assert error < 1e-3, f"differs by {error:.1e} of the feature scale"
    one, other = (each.reshape(len(each), -1).astype(np.float64) for each in (features, expected))
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosines = (one * other).sum(axis=1) / norms
    assert cosines.min() > 0.99999, cosines


# -- Rows ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", FLOATS)
@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet50"])
def test_a_vector_depends_neither_on_its_neighbours_nor_place_nor_batch_size(
    name, precision, pictures, engines, open_openvino
):
    if precision == "bfloat16" and not computes_in_bfloat16():
        pytest.skip("this processor does not compute in bfloat16")
    backbone = Backbone.load(name, "random")
    options = {"input_size": 64, "precision": precision}
    by_size = {}
    for size in (1, 3, 8):
        engine = open_openvino(backbone, engines, batch_size=size, **options)

        def embed(images, engine=engine, size=size):
            batches = [images[i : i + size] for i in range(0, len(images), size)]
            return np.concatenate([engine.embed_batch(batch) for batch in batches])

        by_size[size] = together = embed(pictures)
        assert np.array_equal(together, embed(pictures[::-1])[::-1]), f"batches of {size}"
        alone = [engine.embed_batch(pictures[i : i + 1]) for i in range(len(pictures))]
        assert np.array_equal(together, np.concatenate(alone)), f"batches of {size}"
    differing = [size for size, vectors in by_size.items() if not np.array_equal(vectors, together)]
    assert differing == [], "features differ from those in batches of 8"
    assert together.std(axis=0).max() > 0, "all pictures have the same features"


@pytest.fixture
def small(small_network, tmp_path, open_openvino):
    """Return a function that opens the small network of a user's own."""
    backbone = Backbone.from_keras(small_network())

    def opened(**options):
        return open_openvino(backbone, tmp_path, **options)

    return opened


def test_threads_that_embed_at_once_get_their_own_rows(small):
    engine = small(pooling="none", batch_size=2)
    pictures = np.random.default_rng(1).integers(0, 256, (128, 16, 16, 3), dtype=np.uint8)
    batches = np.split(pictures, 64)
    expected = [engine.embed_batch(batch) for batch in batches]
    threads = 4 * engine.streams
    start = Barrier(threads)

    def embed(first):
        start.wait(30)
        return [engine.embed_batch(batches[(first + i) % 64]) for i in range(64)]

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(embed, range(threads)))
    for first, result in enumerate(results):
        wrong = [i for i in range(64) if not np.array_equal(result[i], expected[(first + i) % 64])]
        assert wrong == [], f"thread {first} got other rows for its batches {wrong}"


def test_a_short_batch_gives_as_many_rows_as_it_has_pictures(small, small_pictures):
    engine = small(pooling="max", batch_size=8)
    whole = engine.embed_batch(small_pictures)
    assert whole.shape == (8, 5)
    for n in (1, 3, 7):
        rows = engine.embed_batch(small_pictures[:n])
        np.testing.assert_array_equal(rows, whole[:n])


def test_rows_stay_as_they_are_when_the_next_batch_is_embedded(small, small_pictures):
    engine = small(batch_size=4)
    first = engine.embed_batch(small_pictures[:4])
    before = first.copy()
    for _ in range(2 * engine.streams):
        engine.embed_batch(small_pictures[4:])
    np.testing.assert_array_equal(first, before)


def test_the_pictures_are_left_as_they_are(small_network, tmp_path, small_pictures, open_openvino):
    def preprocess(pixels):
        pixels /= 255.0
        return pixels

    backbone = Backbone.from_keras(small_network(), preprocess=preprocess)
    engine = open_openvino(backbone, tmp_path, batch_size=8)
    before = small_pictures.copy()
    engine.embed_batch(small_pictures)
    np.testing.assert_array_equal(small_pictures, before)


@pytest.mark.parametrize("given", [None, 3])
@pytest.mark.parametrize(("precision", "default"), [("float32", 1), ("bfloat16", 8)])
def test_the_batch_size_suits_the_precision_unless_one_is_given(small, precision, default, given):
    engine = small(precision=precision, batch_size=given)
    assert engine.batch_size == (given or default)
    assert engine.streams >= 1


# -- The features of the Keras engine ------------------------------------------------------------


@pytest.mark.parametrize("preprocess", [*PREPROCESSINGS, "function"])
def test_a_network_of_the_users_own_gives_what_it_gives_with_keras(
    preprocess, small_network, small_pictures, tmp_path, open_openvino, open_keras
):
    if preprocess == "function":

        def preprocess(pixels):
            return np.sqrt(pixels[..., ::-1]) - 3.0

    backbone = Backbone.from_keras(small_network(), preprocess=preprocess)
    options = {"pooling": "none", "batch_size": 8}
    features = open_openvino(backbone, tmp_path, **options).embed_batch(small_pictures)
    assert_parity(features, open_keras(backbone, **options).embed_batch(small_pictures))


def test_an_inner_layer_of_an_own_network_is_read_as_with_keras(
    small_network, small_pictures, tmp_path, open_openvino, open_keras
):
    backbone = Backbone.from_keras(small_network(), preprocess="tf")
    options = {"layer": "first", "pooling": "max", "batch_size": 8}
    engine = open_openvino(backbone, tmp_path, **options)
    assert engine.shape == (4,)
    expected = open_keras(backbone, **options).embed_batch(small_pictures)
    assert_parity(engine.embed_batch(small_pictures), expected)


def test_a_vector_layer_is_taken_as_it_is_whatever_the_pooling(tmp_path, open_openvino):
    keras = import_keras()
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    backbone = Backbone.from_keras(network)
    shapes = {
        pooling: open_openvino(backbone, tmp_path, pooling=pooling).shape for pooling in POOLINGS
    }
    assert set(shapes.values()) == {(192,)}, shapes


def test_bfloat16_gives_nearly_the_features_of_float32(pictures, engines, open_openvino):
    if not computes_in_bfloat16():
        pytest.skip("this processor does not compute in bfloat16")
    backbone = Backbone.load("efficientnet_lite0", "random")
    precise, rounded = (
        open_openvino(
            backbone, engines, input_size=64, precision=precision, batch_size=8
        ).embed_batch(pictures)
        for precision in ("float32", "bfloat16")
    )
    assert rounded.dtype == np.float32
    norms = np.linalg.norm(precise, axis=1) * np.linalg.norm(rounded, axis=1)
    cosines = (precise * rounded).sum(axis=1) / norms
    assert cosines.min() > 0.999, cosines
    assert not np.array_equal(precise, rounded), "it did not compute in bfloat16"


def pooled(maps, pooling):
    """Pool unpooled features in numpy."""
    if pooling == "flatten":
        return maps.reshape(len(maps), -1)
    return {
        "none": lambda: maps,
        "avg": lambda: maps.mean((1, 2)),
        "max": lambda: maps.max((1, 2)),
    }[pooling]()


@pytest.fixture
def room():
    """Give back the memory of large networks, which Keras remembers."""
    yield
    close_engines()
    import_keras().backend.clear_session()
    gc.collect()


@dataclass(frozen=True)
class GentlyDrawn(Application):
    """A network with random weights that are smaller than `Backbone.load` draws them.

    At the usual gain the deepest two grow so that rounding alone changes every feature, with Keras
    too.
    """

    def network(self, layer, pooling, input_size):
        network = build(self.spec, input_size, top=False, pooling=pooling)
        draw(network, gain=1.3)
        return network, named_layers(network)


@pytest.mark.slow
@pytest.mark.usefixtures("room")
@pytest.mark.parametrize(  # the largest first, while the process is small: it takes 13 GB
    "name", sorted(BACKBONES, key=lambda name: BACKBONES[name].parameters, reverse=True)
)
def test_every_network_of_the_table_gives_what_it_gives_with_keras(
    name, tmp_path, open_openvino, open_keras
):
    backbone = Backbone.load(name, "random")
    source = GentlyDrawn(BACKBONES[name], backbone.weights)
    backbone = replace(backbone, source=source, digest="gently drawn")
    size = max(backbone.min_size, 64)
    pictures = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    options = {"input_size": size, "batch_size": 3}
    maps = open_keras(backbone, pooling="none", **options).embed_batch(pictures)
    for pooling in POOLINGS:
        # ConvNeXt normalises after these, as Keras builds it; a test of its own is about that.
        if not backbone.joins_poolings(None) and pooling in ("avg", "max"):
            keras_engine = open_keras(backbone, pooling=pooling, **options)
            expected = keras_engine.embed_batch(pictures)
        else:
            expected = pooled(maps, pooling)
        close_engines()
        engine = open_openvino(backbone, tmp_path, pooling=pooling, **options)
        assert_parity(engine.embed_batch(pictures), expected)
        shutil.rmtree(tmp_path / "engines")


# -- Mistakes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_features_that_vary_in_shape_are_refused(engine, tmp_path, request_for):
    keras = import_keras()

    class Unsettled(keras.layers.Layer):
        def call(self, x):
            return x[:, : keras.ops.shape(x)[1] // 2]

        def compute_output_spec(self, x):
            return keras.KerasTensor((x.shape[0], None, *x.shape[2:]), x.dtype)

    pixels = keras.Input((16, 16, 3))
    backbone = Backbone.from_keras(keras.Model(pixels, Unsettled()(pixels), name="mine"))
    with pytest.raises(OptionError) as caught:
        open_engine(request_for(backbone, tmp_path, pooling="none"), engine)
    assert str(caught.value) == (
        "mine gives features of shape (None, 16, 3), which varies with the picture; "
        "choose another layer or pooling"
    )


def test_an_unknown_layer_is_the_same_mistake_with_every_engine(tmp_path, request_for):
    backbone = Backbone.load("efficientnet_lite0", "random")
    request = request_for(backbone, tmp_path, layer="block5c_project_bm", input_size=64)
    messages = {}
    for engine in ENGINES:
        with pytest.raises(UnknownLayerError) as caught:
            open_engine(request, engine)
        messages[engine] = str(caught.value)
    assert len(set(messages.values())) == 1, messages
    assert "no layer 'block5c_project_bm'" in messages["auto"]
    assert "block5c_project_bn" in messages["auto"]
    assert list(tmp_path.iterdir()) == []


# -- Threads --------------------------------------------------------------------------------------


# Two threads that embed first of all, at the same moment, in a process that switches all the time.
AT_ONCE = """
import sys, threading
from pathlib import Path
import numpy as np
from featx.backbones.backbone import Backbone
from featx.backbones.engines.engine import EngineRequest
from featx.backbones.engines.choice import open_engine
from featx.backbones.network import Cut
backbone = Backbone.load("efficientnet_lite0")
engine = open_engine(EngineRequest(backbone, Cut(), ("avg",), 32, Path(sys.argv[1])), "openvino")
sys.setswitchinterval(1e-6)
pixels = np.zeros((1, 32, 32, 3), np.uint8)
barrier = threading.Barrier(4)
found = []

def embed():
    barrier.wait()
    found.append(engine.embed_batch(pixels))

threads = [threading.Thread(target=embed, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join(timeout=60)
print(len(found), flush=True)
import os
os._exit(0)
"""


def test_the_first_batches_of_a_process_may_be_embedded_at_once(engines):
    """OpenVINO hangs in about half of such processes unless one thread was there before."""
    ends = [
        subprocess.run(
            [sys.executable, "-c", AT_ONCE, str(engines)], capture_output=True, text=True
        ).stdout.split()[-1:]
        for _ in range(6)
    ]
    assert ends == [["4"]] * 6, "the threads that came back, of four"
