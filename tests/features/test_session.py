"""A session gives the vectors of `run` for pictures that come one after the other."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx_networks
import pytest
import waits

import featx
from featx.backbones.backbone import Backbone
from featx.errors import OptionError
from featx.features.options import settle
from featx.features.request import Request
from featx.features.run import run
from featx.features.session import Session
from featx.images.folder import ImageFolder

pytestmark = pytest.mark.filterwarnings("ignore:the weights of")
SETTINGS = [
    {},
    {"pooling": "max"},
    {"pooling": "none"},
    {"resize": "crop", "interpolation": "bicubic"},
    {"views": 3},
    {"backbone": "resnet50+vgg16", "views": 1},
    {"layer": "conv2_block1_out+conv3_block1_out", "pooling": "max"},
]


def request_for(backbone="resnet50", **options) -> Request:
    return Request.of(backbone, settle({"weights": "random", **options}))


def decoded(session, paths):
    return [session.decode(Path(path).read_bytes(), str(path))[0] for path in paths]


def assert_same(own, other) -> None:
    """Check that features are the same bytes, those of views as well."""
    assert own.X.tobytes() == other.X.tobytes()
    assert own.X.shape == other.X.shape
    assert [each.tobytes() for each in own.views] == [each.tobytes() for each in other.views]
    assert own.recipe == other.recipe
    assert own.paths.tolist() == other.paths.tolist()


@pytest.mark.parametrize("options", SETTINGS, ids=str)
def test_its_vectors_are_those_of_a_run(photos, fake_engine, options):
    request, images = request_for(**options), ImageFolder.of(photos)
    (expected,) = run(images, [request], settle({"progress": False}))
    with Session(request) as session:
        assert_same(session.features(decoded(session, images.paths)), expected)


def test_several_poolings_of_a_network_take_one_pass(photos, fake_engine):
    request = Request.joined([request_for(pooling=each) for each in ("max", "avg")])
    images = ImageFolder.of(photos)
    (expected,) = run(images, [request], settle({"progress": False, "cache": False}))
    fake_engine.embedded = 0
    with Session(request) as session:
        assert_same(session.features(decoded(session, images.paths)), expected)
    assert fake_engine.embedded == len(images)


def test_nothing_is_cached(photos, fake_engine, tmp_path):
    with Session(request_for(), cache=tmp_path / "cache") as session:
        for _ in range(2):
            session.features(decoded(session, ImageFolder.of(photos).paths))
    assert fake_engine.embedded == 36
    assert len(fake_engine.opened) == 1
    assert not (tmp_path / "cache").exists()


def test_what_is_no_picture_is_an_outcome_and_no_error(fake_engine):
    picture, outcome = Session(request_for()).decode(b"no picture", "a.jpg")
    assert picture is None
    assert (outcome.status, outcome.path) == ("failed", "a.jpg")
    assert outcome.reason == "not an image that Pillow can read"


def test_threads_share_a_session(photos, fake_engine):
    paths = ImageFolder.of(photos).paths
    with Session(request_for(views=1), batch_size=4) as session, ThreadPoolExecutor(8) as pool:
        expected = session.features(decoded(session, paths))
        rows = list(pool.map(lambda path: session.features(decoded(session, [path])).X[0], paths))
    np.testing.assert_array_equal(np.stack(rows), expected.X)
    assert len(fake_engine.opened) == 1


def test_a_model_opens_its_session(photos, fake_engine):
    model = featx.train(photos, backbone="resnet50", weights="random", views=1, progress=False)
    with model.session(batch_size=2) as session:
        pictures = decoded(session, ImageFolder.of(photos).paths)
        assert_same(session.features(pictures), model.features(photos, progress=False))


def test_a_forked_child_opens_engines_of_its_own(photos, fake_engine):
    paths = ImageFolder.of(photos).paths
    session = Session(request_for())
    expected = session.features(decoded(session, paths)).X

    def embed_again():
        again = session.features(decoded(session, paths)).X
        os._exit(0 if again.tobytes() == expected.tobytes() and len(fake_engine.opened) == 2 else 1)

    child = multiprocessing.get_context("fork").Process(target=embed_again, daemon=True)
    child.start()
    child.join(waits.SECONDS)
    assert child.exitcode == 0
    session.close()


# -- Maps, of real networks ----------------------------------------------------------------------


@pytest.fixture
def network(tmp_path) -> Backbone:
    """A small convolutional network in a file, which OpenVINO runs."""
    pytest.importorskip("onnx")
    path = onnx_networks.write(tmp_path / "net.onnx", onnx_networks.convolutional())
    return Backbone.from_onnx(path, "torch", layer="map")


@pytest.mark.parametrize("pooling", ["avg", "max"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_mean_or_maximum_of_a_map_is_the_vector(network, photos, tmp_path, pooling, precision):
    options = {"pooling": pooling, "input_size": 64, "precision": precision, "progress": False}
    request = Request.of(network, settle(options))
    (expected,) = run(ImageFolder.of(photos), [request], settle({"progress": False}))
    with Session(request) as session:
        pictures = decoded(session, expected.paths)
        assert_same(session.features(pictures), expected)
        (maps,) = session.maps(pictures)
    assert maps.shape == (18, 16, 16, 16)
    pooled = maps.mean(axis=(1, 2)) if pooling == "avg" else maps.max(axis=(1, 2))
    tolerance = 1e-5 if precision == "float32" else 1e-2
    np.testing.assert_allclose(pooled, expected.X, atol=tolerance * np.abs(expected.X).max())


def test_patches_of_a_transformer_are_a_map(photos, tmp_path):
    pytest.importorskip("onnx")
    path = onnx_networks.write(tmp_path / "vit.onnx", onnx_networks.transformer())
    network = Backbone.from_onnx(path, "torch", layer="last_hidden_state")
    request = Request.of(network, settle({"input_size": 32}))
    with Session(request) as session:
        pictures = decoded(session, ImageFolder.of(photos).paths)
        (maps,) = session.maps(pictures)
        vectors = session.features(pictures).X
    assert maps.shape == (18, 4, 4, 12)
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), vectors, atol=1e-5)


@pytest.mark.parametrize(
    "options", [{"backbone": "convnext_tiny"}, {"pooling": "flatten"}, {"layer": "predictions"}]
)
def test_where_there_is_no_map_it_is_said(photos, fake_engine, options):
    session = Session(request_for(**options))
    pictures = decoded(session, ImageFolder.of(photos).paths[:1])
    with pytest.raises(OptionError, match="there is no map of"):
        session.maps(pictures)
