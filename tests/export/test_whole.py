"""A whole exported model: from pixels to the probabilities that featx gives."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from fakes import as_features

from featx.backbones.backbone import Backbone
from featx.backbones.engines.choice import open_engine
from featx.backbones.engines.engine import EngineRequest
from featx.errors import OptionError
from featx.export.whole import keras_whole, pixel_inputs
from featx.features.options import settle
from featx.features.request import Request
from featx.learning.learner import Learner
from featx.models.inference import infer

pytestmark = [pytest.mark.keras, pytest.mark.filterwarnings("ignore:the weights of")]

PLAIN = """
import sys
import numpy as np
import keras

assert "featx" not in sys.modules
given = np.load(sys.argv[2])
model = keras.saving.load_model(sys.argv[1], safe_mode=True)
shares = model([given[each.name] for each in model.inputs])
np.testing.assert_allclose(np.asarray(shares), given["expected"], atol=1e-5)
"""


def requested(backbone, **options):
    return Request.of(backbone, settle({"weights": "random", **options}))


def drawn(parts, n=6):
    """Pictures of a few coloured fields, for each input."""
    fields = np.random.default_rng(0).integers(0, 256, (n, 4, 4, 3), dtype=np.uint8)
    return {
        name: np.kron(fields, np.ones((1, square.size // 4, square.size // 4, 1), np.uint8))
        for name, square in pixel_inputs(parts).items()
    }


def embedded(parts, pictures, cache):
    """What featx makes of the pictures, on the engine that it takes here."""
    by_square = dict(zip(pixel_inputs(parts).values(), pictures.values(), strict=True))
    vectors = []
    for backbone, part in parts:
        asked = EngineRequest(backbone, part.cut, (part.cut.pooling,), part.square.size, cache)
        engine = open_engine(asked, "auto")
        rows = [engine.embed_batch(picture[None]) for picture in by_square[part.square]]
        vectors.append(np.concatenate(rows).reshape(len(rows), -1))
    return np.concatenate(vectors, axis=1)


@pytest.mark.parametrize(
    ("backbone", "options", "inputs"),
    [
        ("efficientnet_lite0", {"input_size": 64}, ["pixels"]),
        ("efficientnet_lite0", {"input_size": 64, "pooling": "flatten"}, ["pixels"]),
        ("mobilenet", {"input_size": 64, "pooling": "max", "layer": "conv_pw_3"}, ["pixels"]),
        ("efficientnet_lite0+mobilenet", {"input_size": 64}, ["pixels"]),
        ("pixels", {"input_size": 32, "weights": "imagenet"}, ["pixels"]),
    ],
)
def test_a_whole_model_gives_the_probabilities_of_featx(backbone, options, inputs, tmp_path):
    parts = requested(backbone, **options).of_view(0)
    pictures = drawn(parts)
    features = embedded(parts, pictures, tmp_path)
    labels = list("aabbcc")
    pipeline = Learner.of("logistic").build_for(np.array(labels), features.shape[1])
    pipeline.fit(features, labels)
    model = keras_whole(parts, pipeline)
    expected = infer(pipeline, as_features(features, labels)).probabilities
    assert [each.name for each in model.inputs] == inputs
    np.testing.assert_allclose(model(list(pictures.values())), expected, atol=1e-5)


def test_networks_of_several_sizes_have_an_input_each():
    small, large = (requested("mobilenet", input_size=size).of_view(0)[0] for size in (64, 96))
    assert list(pixel_inputs([small, large])) == ["pixels_64", "pixels_96"]
    pictures = drawn([small, large])
    features = np.random.default_rng(0).normal(size=(6, 2048)).astype(np.float32)
    pipeline = Learner.of("centroid").build_for(np.array(list("aabbcc")), 2048)
    pipeline.fit(features, list("aabbcc"))
    model = keras_whole([small, large], pipeline, temperature=2.0)
    assert model(list(pictures.values())).shape == (6, 3)


def test_a_keras_file_is_read_without_featx(tmp_path):
    parts = requested("efficientnet_lite0", input_size=64, precision="bfloat16").of_view(0)
    features = np.random.default_rng(0).normal(size=(9, 1280)).astype(np.float32)
    pipeline = Learner.of("knn").build_for(np.array(list("abc") * 3), 1280)
    pipeline.fit(features, list("abc") * 3)
    model, pictures = keras_whole(parts, pipeline), drawn(parts)
    model.save(tmp_path / "model.keras")
    expected = np.asarray(model(list(pictures.values())))
    np.savez(tmp_path / "given.npz", expected=expected, **pictures)
    subprocess.run(
        [sys.executable, "-c", PLAIN, tmp_path / "model.keras", tmp_path / "given.npz"],
        check=True,
        cwd=tmp_path,
    )


def test_pixels_prepared_by_a_function_are_refused():
    import keras

    network = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.GlobalAveragePooling2D()])
    parts = Request.of(Backbone.from_keras(network, lambda pixels: pixels / 2), settle({})).of_view(
        0
    )
    with pytest.raises(OptionError, match="prepares pixels with a function"):
        keras_whole(parts, None)
