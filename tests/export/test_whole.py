"""A whole exported model: from pixels to the probabilities that featx gives."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import onnx_networks
import pytest
from fakes import as_features

from featx.backbones.backbone import Backbone
from featx.backbones.framework import import_openvino
from featx.errors import OptionError
from featx.export.litert_file import write_litert
from featx.export.openvino_file import openvino_whole, write_openvino
from featx.export.whole import keras_whole, pixel_inputs
from featx.features.options import settle
from featx.features.recipe import Recipe
from featx.features.request import Request
from featx.features.session import Picture, Session
from featx.images.decode import Outcome
from featx.learning.learner import Learner
from featx.models.inference import infer

pytestmark = [pytest.mark.keras, pytest.mark.filterwarnings("ignore:the weights of")]

# Programs that run a file without featx, in another process; the pictures are in a second file.
PROGRAM = """
import sys
import numpy as np

given = np.load(sys.argv[2])
expected = given["expected"]
pixels = {{name: given[name] for name in given.files if name != "expected"}}
{}
np.testing.assert_allclose(np.asarray(shares), expected, atol=1e-5)
assert not {{"featx", *{}}} & set(sys.modules)
"""
RUNS = {
    "keras": (
        "import keras\n"
        "model = keras.saving.load_model(sys.argv[1], safe_mode=True)\n"
        "shares = model(pixels['pixels'])",
        [],
    ),
    "openvino": (
        "sys.modules['openvino_telemetry'] = None\n"
        "import openvino\n"
        "hints = {'INFERENCE_PRECISION_HINT': 'f32'}\n"
        "model = openvino.compile_model(sys.argv[1], 'CPU', hints)\n"
        "shares = model(pixels)[0]",
        ["keras", "tensorflow"],
    ),
    "litert": (
        "from ai_edge_litert.interpreter import Interpreter\n"
        "run = Interpreter(sys.argv[1]).get_signature_runner()\n"
        "shares = next(iter(run(**pixels).values()))",
        ["keras", "tensorflow"],
    ),
}


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
    backbones, recipes = zip(*parts, strict=True)
    seen = [
        Picture({square: each[row] for square, each in by_square.items()}, Outcome("decoded"))
        for row in range(len(next(iter(pictures.values()))))
    ]
    with Session(Request(backbones, Recipe(recipes)), cache=cache) as session:
        return session.features(seen).matrix


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
    np.testing.assert_allclose(computed(model, pictures), expected, atol=1e-5)


def test_networks_of_several_sizes_have_an_input_each():
    small, large = (requested("mobilenet", input_size=size).of_view(0)[0] for size in (64, 96))
    assert list(pixel_inputs([small, large])) == ["pixels_64", "pixels_96"]
    pictures = drawn([small, large])
    features = np.random.default_rng(0).normal(size=(6, 2048)).astype(np.float32)
    pipeline = Learner.of("centroid").build_for(np.array(list("aabbcc")), 2048)
    pipeline.fit(features, list("aabbcc"))
    model = keras_whole([small, large], pipeline, temperature=2.0)
    assert computed(model, pictures).shape == (6, 3)


def computed(model, pictures):
    """Run a Keras model as people do: one input is given as it is."""
    import keras

    given = list(pictures.values())
    return keras.ops.convert_to_numpy(model(given if len(given) > 1 else given[0]))


def fitted_to(features, name="logistic"):
    labels = (list("abc") * len(features))[: len(features)]
    return Learner.of(name).build_for(np.array(labels), features.shape[1]).fit(features, labels)


def run_alone(kind, path, pictures, expected):
    """Run a file in its runtime, in a process without featx."""
    np.savez(path.with_suffix(".npz"), expected=expected, **pictures)
    code, unknown = RUNS[kind]
    program = [sys.executable, "-c", PROGRAM.format(code, unknown)]
    environment = {name: each for name, each in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [*program, path, path.with_suffix(".npz")], check=True, cwd=path.parent, env=environment
    )


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A network with two heads behind it, and what featx makes of pictures with these."""
    cache = tmp_path_factory.mktemp("cache")
    parts = requested("efficientnet_lite0", input_size=64).of_view(0)
    pictures = drawn(parts)
    features = embedded(parts, pictures, cache)
    knn = fitted_to(features, "knn")
    return parts, pictures, knn, infer(knn, as_features(features, list("abcabc"))).probabilities


def test_a_keras_file_is_run_by_keras_alone(small, tmp_path):
    parts, pictures, pipeline, expected = small
    keras_whole(parts, pipeline).save(tmp_path / "model.keras")
    run_alone("keras", tmp_path / "model.keras", pictures, expected)


def test_an_openvino_file_is_run_by_openvino_alone(small, tmp_path):
    parts, pictures, pipeline, expected = small
    write_openvino(openvino_whole(parts, pipeline, None, tmp_path), tmp_path / "model.xml")
    run_alone("openvino", tmp_path / "model.xml", pictures, expected)


def test_a_litert_file_is_run_by_litert_alone(small, tmp_path, capfd):
    pytest.importorskip("ai_edge_litert")
    parts, pictures, pipeline, expected = small
    write_litert(keras_whole(parts, pipeline), tmp_path / "model.tflite")
    assert capfd.readouterr() == ("", "")
    run_alone("litert", tmp_path / "model.tflite", pictures, expected)


NETWORKS = {
    "map": (lambda: onnx_networks.convolutional(32), "map", "flatten"),
    "one at a time": (lambda: onnx_networks.convolutional(32, batch=1), "map", "avg"),
    "tokens": (onnx_networks.transformer, "last_hidden_state", "token"),
}


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("map", None),
        ("map", ("mobilenet", 64)),
        ("one at a time", None),
        ("tokens", None),
        ("tokens", ("pixels", 16)),
    ],
)
def test_any_networks_are_joined_for_openvino(name, beside, tmp_path):
    make, layer, pooling = NETWORKS[name]
    path = onnx_networks.write(tmp_path / "net.onnx", make())
    of_file = Backbone.from_onnx(path, "caffe")
    options = {"input_size": 32, "layer": layer, "pooling": pooling, "weights": "imagenet"}
    parts = requested(of_file, **options).of_view(0)
    if beside:
        weights = {"weights": "imagenet"} if beside[0] == "pixels" else {}
        parts += requested(beside[0], input_size=beside[1], **weights).of_view(0)
    pictures = drawn(parts)
    features = embedded(parts, pictures, tmp_path)
    pipeline = fitted_to(features, "svd-svm")
    expected = infer(pipeline, as_features(features, list("abcabc"))).probabilities
    write_openvino(openvino_whole(parts, pipeline, None, tmp_path), tmp_path / "model.xml")
    openvino = import_openvino()
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.compile_model(tmp_path / "model.xml", "CPU", hints)
    assert [each.get_names() for each in compiled.inputs] == [{name} for name in pictures]
    for row, said in enumerate(expected):
        given = {name: each[[row]] for name, each in pictures.items()}
        np.testing.assert_allclose(compiled(given)[0], [said], atol=1e-5)
    with pytest.raises(OptionError, match="no network of Keras: export to OpenVINO"):
        keras_whole(parts, pipeline)


def test_pixels_prepared_by_a_function_are_refused():
    import keras

    network = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.GlobalAveragePooling2D()])
    parts = Request.of(Backbone.from_keras(network, lambda pixels: pixels / 2), settle({})).of_view(
        0
    )
    with pytest.raises(OptionError, match="prepares pixels with a function"):
        keras_whole(parts, None)
