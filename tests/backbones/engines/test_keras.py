"""The reference engine: batches, poolings, networks of the user's own."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import featx
from featx.backbones.backbone import Backbone
from featx.backbones.framework import import_keras
from featx.backbones.network import POOLINGS

pytestmark = pytest.mark.keras


@pytest.mark.filterwarnings("ignore:the weights of")
@pytest.mark.parametrize("name", ["efficientnet_lite0", "resnet50", "mobilenet_v2"])
def test_a_vector_depends_neither_on_its_neighbours_nor_on_its_place(name, pictures, open_keras):
    engine = open_keras(Backbone.load(name, "random"), input_size=64)
    together = engine.embed_batch(pictures)
    reversed_ = engine.embed_batch(pictures[::-1])[::-1]
    alone = np.concatenate([engine.embed_batch(pictures[i : i + 1]) for i in range(len(pictures))])
    assert np.array_equal(together, reversed_)
    assert np.array_equal(together, alone)
    assert together.std(axis=0).max() > 0, "all pictures have the same features"


def test_a_network_of_the_users_own_gives_what_it_gives_in_keras(fruit, small_network):
    network = small_network()
    backbone = Backbone.from_keras(network, preprocess="tf")
    folder = fruit / "test"
    options = {"engine": "keras", "progress": False}
    features = featx.embed(folder, backbone, pooling="none", **options)
    assert features.X.shape == (8, 12, 12, 5)
    import keras

    image = keras.utils.load_img(features.paths[3], target_size=(16, 16), interpolation="bilinear")
    pixels = keras.utils.img_to_array(image)[None] / 127.5 - 1
    assert np.allclose(features.X[3], np.asarray(network(pixels))[0], rtol=1e-4, atol=1e-4)
    inner = Backbone.from_keras(network, preprocess="tf", layer="first")
    assert featx.embed(folder, inner, pooling="max", **options).X.shape == (8, 4)


def test_a_vector_layer_is_taken_as_it_is_whatever_the_pooling(open_keras):
    keras = import_keras()
    network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    backbone = Backbone.from_keras(network)
    shapes = {pooling: open_keras(backbone, pooling=pooling).shape for pooling in POOLINGS}
    assert set(shapes.values()) == {(192,)}, shapes


def test_the_batches_of_the_keras_engine_suit_the_device(monkeypatch, small_network, open_keras):
    backbone = Backbone.from_keras(small_network())
    cpu = open_keras(backbone)
    assert (cpu.batch_size, cpu.streams) == (8, 1)
    monkeypatch.setattr("featx.backbones.engines.keras.has_gpu", lambda: True)
    gpu = open_keras(backbone, pooling="max")
    assert (gpu.batch_size, gpu.streams) == (256, 2)
    assert open_keras(backbone, batch_size=3).batch_size == 3


TOGETHER = """
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import featx

warnings.simplefilter("ignore")
pixels = np.random.default_rng(0).integers(0, 256, (16, 32, 32, 3), dtype=np.uint8)
options = {"backbone": "mobilenet_v3_small", "weights": "random", "input_size": 32}


def embed(images):
    return featx.embed(images, cache=False, progress=False, **options).X


together = embed(pixels)
with ThreadPoolExecutor(8) as pool:
    pairs = list(pool.map(embed, [pixels[i : i + 2] for i in range(14)]))
assert all(np.allclose(pair, together[i : i + 2], rtol=1e-5) for i, pair in enumerate(pairs))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_threads_embed_together_on_every_backend(backend, tmp_path):
    pytest.importorskip(backend)
    environment = {**os.environ, "KERAS_BACKEND": backend, "FEATX_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", TOGETHER]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
