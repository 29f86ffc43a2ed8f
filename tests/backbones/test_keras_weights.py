"""Weights files are read into the networks that they belong to, and into no others."""

from __future__ import annotations

import hashlib
import random
import warnings

import numpy as np
import pytest

from featx.backbones import table, weights
from featx.backbones.keras_weights import RANDOM_GAIN, draw, load_weights
from featx.backbones.preprocessing import PREPROCESSINGS
from featx.errors import WeightsError

pytestmark = pytest.mark.keras

RESNET = table.find("resnet50")
SMALL = table.find("mobilenet_v3_small")


def _one_line(caught):
    message = str(caught.value)
    assert "\n" not in message
    return message


FAST = ("efficientnet_lite0", "resnet50", "mobilenet_v3_small", "efficientnet_b0")
FAMILIES = ("mobilenet", "mobilenet_v2", "efficientnet_v2_b0", "convnext_tiny")
SLOW = (
    "vgg16",
    "resnet50_v2",
    "inception_v3",
    "xception",
    "inception_resnet_v2",
    "densenet121",
    "nasnet_mobile",
)


def _slow(*names):
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


def _images(spec, size, n=2):
    images = np.random.default_rng(1).integers(0, 256, (n, size, size, 3))
    images[0] //= 3
    return PREPROCESSINGS[spec.preprocessing](images)


def _run(model, images):
    import keras

    inputs = images if isinstance(model.input, keras.KerasTensor) else [images]
    return keras.ops.convert_to_numpy(model(inputs, training=False))


def _assert_same(got, expected):
    """Hold features together, and see that they tell one image from the other."""
    scale = np.abs(expected).mean()
    assert np.abs(expected[0] - expected[1]).mean() > 1e-3 * scale
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5 * scale)


def _train(model):
    """Give every weight a value of its own, as training would.

    Larger kernels would make the networks chaotic: rounding alone then changes a feature.
    """
    generator = np.random.default_rng(3)
    values = []
    for variable in model.weights:
        shape = tuple(variable.shape)
        if len(shape) > 1:
            fan_in = np.prod(shape[:2] if shape[-1] == 1 else shape[:-1])
            values.append(generator.normal(0, np.sqrt(2 / fan_in), shape))
        elif variable.name in ("gamma", "variance", "moving_variance"):
            values.append(generator.uniform(0.8, 1.2, shape))
        else:
            values.append(generator.uniform(-0.1, 0.1, shape))
    model.set_weights(values)
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return model


def _save_legacy(model, path):
    """Write a file in the format of those that Keras publishes."""
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


def _load(spec, path, **options):
    model = spec.build(**options)
    load_weights(model, spec, weights.locate(spec, path))
    return model


@pytest.mark.parametrize("name", [*FAST[1:], *FAMILIES, *_slow(*SLOW)])
def test_imagenet_weights_give_what_keras_own_way_gives(name, named_folder, monkeypatch):
    import keras
    from keras.src.utils import file_utils

    spec = table.find(name)
    options = {"include_top": False, "pooling": "avg", "input_shape": (96, 96, 3)}
    path = named_folder / spec.without_top.name
    ours = _train(spec.build(**options))
    _save_legacy(ours, path)
    monkeypatch.setattr(file_utils, "get_file", lambda *_, **__: str(path))
    builder = getattr(keras.applications, spec.builder.partition(":")[2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "weights for 224 px are loaded"
        theirs = builder(weights="imagenet", **options)
    load_weights(ours, spec, weights.locate(spec))
    images = _images(spec, 96)
    _assert_same(_run(ours, images), _run(theirs, images))


@pytest.mark.parametrize("name", [*FAST, *_slow(*FAMILIES, *SLOW)])
def test_a_file_with_the_classifier_gives_the_features_before_it(name, tmp_path):
    import keras

    spec = table.find(name)
    shape = (spec.input_size, spec.input_size, 3)
    whole = _train(spec.build(include_top=True, input_shape=shape))
    _save_legacy(whole, tmp_path / "whole.h5")
    # ConvNeXt normalises its features after pooling.
    pooling = "avg" if name.startswith("convnext") else None
    ours = _load(spec, tmp_path / "whole.h5", include_top=False, pooling=pooling, input_shape=shape)
    last = whole.layers[len(ours.layers) - 1]
    assert type(last) is type(ours.layers[-1])
    images = _images(spec, spec.input_size)
    _assert_same(_run(ours, images), _run(keras.Model(whole.inputs, last.output), images))


@pytest.mark.parametrize("top", [False, True], ids=["notop", "top"])
@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras"])
def test_every_format_serves_a_network_of_another_size(suffix, top, tmp_path):
    saved = _train(SMALL.build(include_top=top, input_shape=(224, 224, 3)))
    path = tmp_path / f"mine{suffix}"
    saved.save_weights(path) if suffix == ".weights.h5" else saved.save(path)
    ours = _load(SMALL, path, include_top=False, input_shape=(64, 64, 3))
    for got, expected in zip(ours.get_weights(), saved.get_weights(), strict=not top):
        np.testing.assert_array_equal(got, expected)


def test_efficientnet_is_rescaled_for_published_files_only(tmp_path):
    spec = table.find("efficientnet_b0")
    options = {"include_top": False, "pooling": "avg", "input_shape": (64, 64, 3)}
    trained = _train(spec.build(**options))
    _save_legacy(trained, tmp_path / "mine.h5")
    _save_legacy(trained, tmp_path / spec.without_top.name)
    mine = _load(spec, tmp_path / "mine.h5", **options)
    published = _load(spec, tmp_path / spec.without_top.name, **options)
    images = _images(spec, 64)
    expected = _run(trained, images)
    _assert_same(_run(mine, images), expected)
    difference = np.abs(_run(published, images) - expected).mean() / np.abs(expected).mean()
    assert difference > 1e-3


def test_efficientnet_takes_its_statistics_from_a_file_with_the_classifier(tmp_path):
    spec = table.find("efficientnet_b0")
    trained = _train(spec.build(include_top=True))
    for name in (spec.with_top.name, "mine.h5"):
        _save_legacy(trained, tmp_path / name)
    ours, mine = (
        _load(spec, tmp_path / name, include_top=False, input_shape=(64, 64, 3)).layers[2]
        for name in (spec.with_top.name, "mine.h5")
    )
    mean, variance, _ = trained.layers[2].get_weights()
    x = np.array([[[[0.2, 0.4, 0.6]]]], np.float32)
    np.testing.assert_allclose(
        _run(mine, x)[0, 0, 0], (x[0, 0, 0] - mean) / variance**0.5, rtol=1e-5
    )
    expected = (x[0, 0, 0] - mean) / variance**0.5 / np.array([0.229, 0.224, 0.225]) ** 0.5
    np.testing.assert_allclose(_run(ours, x)[0, 0, 0], expected, rtol=1e-5)


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras"])
@pytest.mark.parametrize("damage", ["cut", "text", "empty"])
def test_a_damaged_file_is_one_line_that_names_it(suffix, damage, tmp_path):
    model = SMALL.build(include_top=False, input_shape=(64, 64, 3))
    path = tmp_path / f"mine{suffix}"
    model.save_weights(path) if suffix == ".weights.h5" else model.save(path)
    content = path.read_bytes()
    path.write_bytes({"cut": content[: len(content) // 2], "text": b"<html>", "empty": b""}[damage])
    with pytest.raises(WeightsError, match=r"is cut off or no weights file .*delete it") as caught:
        load_weights(model, SMALL, weights.locate(SMALL, path))
    assert str(path) in _one_line(caught)


@pytest.mark.parametrize("other", ["mobilenet", "mobilenet_v2", "mobilenet_v3_large"])
@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras"])
def test_the_file_of_another_network_does_not_pass(suffix, other, tmp_path):
    stranger = table.find(other).build(include_top=False, input_shape=(64, 64, 3))
    path = tmp_path / f"mine{suffix}"
    stranger.save_weights(path) if suffix == ".weights.h5" else stranger.save(path)
    model = SMALL.build(include_top=False, input_shape=(64, 64, 3))
    with pytest.raises(WeightsError, match="does not fit mobilenet_v3_small") as caught:
        load_weights(model, SMALL, weights.locate(SMALL, path))
    message = _one_line(caught)
    assert str(path) in message
    assert SMALL.without_top.name in message


def test_a_deeper_network_of_the_same_family_does_not_pass(tmp_path):
    deeper = table.find("vgg19").build(include_top=False, input_shape=(32, 32, 3))
    deeper.save_weights(tmp_path / "mine.weights.h5")
    with pytest.raises(WeightsError, match="does not fit vgg16"):
        _load(table.find("vgg16"), tmp_path / "mine.weights.h5", include_top=False)


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras"])
def test_a_file_that_holds_more_than_the_network_does_not_pass(suffix, tmp_path):
    import keras

    body = SMALL.build(include_top=False, pooling="avg", input_shape=(64, 64, 3))
    longer = keras.Model(body.inputs, keras.layers.Dense(5)(body.output))
    path = tmp_path / f"mine{suffix}"
    longer.save_weights(path) if suffix == ".weights.h5" else longer.save(path)
    with pytest.raises(WeightsError, match="does not fit mobilenet_v3_small"):
        load_weights(body, SMALL, weights.locate(SMALL, path))


def test_a_file_without_the_classifier_does_not_pass_for_one_with_it(tmp_path):
    _save_legacy(SMALL.build(include_top=False), tmp_path / "mine.h5")
    with pytest.raises(WeightsError, match="does not fit mobilenet_v3_small") as caught:
        _load(SMALL, tmp_path / "mine.h5", include_top=True, input_shape=(224, 224, 3))
    message = _one_line(caught)
    assert SMALL.with_top.name in message
    assert SMALL.without_top.name not in message


def test_the_default_takes_the_weights_of_its_package():
    spec = table.find(table.DEFAULT_BACKBONE)
    model = spec.build(include_top=False, pooling="avg", input_shape=(96, 96, 3))
    before = model.get_weights()
    load_weights(model, spec, weights.locate(spec))
    same = [np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert not any(same)
    assert _run(model, _images(spec, 96)).std(axis=0).max() > 0.1


# Random


def test_random_values_are_the_same_everywhere():
    model = SMALL.build(include_top=False, input_shape=(64, 64, 3))
    load_weights(model, SMALL, weights.Weights("random", None, "random-0"))
    total = hashlib.sha256()
    for array in model.get_weights():
        total.update(array.tobytes())
    assert total.hexdigest() == "3ffbc239d7f963a23431c6e93efc09e33fd9305a32593e98dcf48e4af27f7991"


def test_random_values_depend_on_no_name_size_or_classifier():
    chosen = weights.Weights("random", None, "random-0")
    one = SMALL.build(include_top=False, input_shape=(64, 64, 3))
    two = SMALL.build(include_top=True, input_shape=(224, 224, 3))
    for model in (one, two):
        load_weights(model, SMALL, chosen)
    for got, expected in zip(one.get_weights(), two.get_weights(), strict=False):
        np.testing.assert_array_equal(got, expected)


def test_random_weights_leave_the_callers_random_numbers_alone():
    model = SMALL.build(include_top=False)
    expected = []
    for _ in range(2):
        np.random.seed(5)
        random.seed(5)
        expected.append((np.random.random(), random.random()))
        np.random.seed(5)
        random.seed(5)
        load_weights(model, SMALL, weights.Weights("random", None, "random-0"))
    assert (np.random.random(), random.random()) == expected[0]


def test_kernels_are_larger_at_a_larger_gain_and_nothing_else_is():
    import keras

    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()]
    model = keras.Sequential(layers)
    drawn = []
    for gain in (RANDOM_GAIN, 4 * RANDOM_GAIN):
        draw(model, gain)
        drawn.append(model.get_weights())
    kernel, *others = zip(*drawn, strict=True)
    np.testing.assert_allclose(kernel[1], 2 * kernel[0], rtol=1e-6)
    for before, after in others:
        np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("name", [*FAST, *FAMILIES, *_slow(*SLOW)])
def test_random_features_are_finite_and_tell_pictures_apart(name):
    spec = table.find(name)
    size = 96
    model = spec.build(include_top=False, pooling="avg", input_shape=(size, size, 3))
    load_weights(model, spec, weights.Weights("random", None, "random-0"))
    features = _run(model, _images(spec, size, 4))
    assert np.isfinite(features).all()
    assert 1e-7 < np.abs(features).mean() < 1e8
    assert (features.std(axis=0) > 0).mean() > 0.5


# Real weights


def test_the_real_resnet50_with_its_classifier_serves_for_features(weights_dir, monkeypatch):
    import keras

    monkeypatch.setenv("FEATX_WEIGHTS", str(weights_dir))
    found = weights.locate(RESNET)
    assert found.path.name == RESNET.with_top.name
    ours = RESNET.build(include_top=False, pooling="avg", input_shape=(96, 96, 3))
    load_weights(ours, RESNET, found)
    whole = keras.applications.ResNet50(weights=str(found.path))
    for got, expected in zip(ours.get_weights(), whole.get_weights(), strict=False):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("name", ["vgg16", *_slow("vgg19", "inception_v3", "xception")])
def test_real_weights_are_read_as_keras_reads_them(name, weights_dir, monkeypatch):
    import keras

    monkeypatch.setenv("FEATX_WEIGHTS", str(weights_dir))
    spec = table.find(name)
    found = weights.locate(spec)
    options = {"include_top": False, "input_shape": (96, 96, 3)}
    ours = spec.build(**options)
    load_weights(ours, spec, found)
    builder = getattr(keras.applications, spec.builder.partition(":")[2])
    theirs = builder(weights=str(found.path), **options)
    for got, expected in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_the_real_vgg16_does_not_pass_for_resnet50(weights_dir):
    path = weights_dir / table.find("vgg16").without_top.name
    with pytest.raises(WeightsError, match="does not fit resnet50") as caught:
        _load(RESNET, path, include_top=False, input_shape=(64, 64, 3))
    assert RESNET.without_top.name in _one_line(caught)


def test_a_file_that_would_fill_memory_is_refused_in_a_line(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "a.weights.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("layers/conv/vars/0", (1 << 40,), "f4", chunks=(1 << 10,))
    with pytest.raises(WeightsError, match=r"would take 4\.4 TB, far more than the file has"):
        load_weights(SMALL.build(include_top=False), SMALL, weights.Weights("a", path, "0"))
