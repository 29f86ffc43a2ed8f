"""Networks of KerasHub give what they give there, and need it once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from keras_hub_presets import (
    OFFSET,
    SCALE,
    SIDE,
    backbone,
    keras_hub_stand_in,
    save_network,
    write_preset,
)

import featx
from featx.backbones import keras_hub_network
from featx.errors import OptionError, UnknownBackboneError, WeightsError

VIT = {"about": backbone("ViTBackbone", image_shape=[SIDE, SIDE, 3], width=8)}


@pytest.fixture
def hub(monkeypatch):
    """Put a stand-in in the place of KerasHub."""
    module = keras_hub_stand_in()
    monkeypatch.setitem(sys.modules, "keras_hub", module)
    return module


@pytest.fixture
def without_hub(monkeypatch):
    """Let KerasHub not be installed."""
    monkeypatch.setitem(sys.modules, "keras_hub", None)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    from PIL import Image

    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    arrays = random.integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    for number, array in enumerate(arrays):
        Image.fromarray(array).save(folder / f"{number}.png")
    return folder, arrays


def prepared(arrays):
    return (arrays * np.array(SCALE) + np.array(OFFSET)).astype(np.float32)


def expected_of(output, pooling, prefix):
    """Pool what a network gives in numpy; None where that cannot be."""
    if output.ndim == 3 and prefix is not None:
        if pooling == "token":
            return output[:, 0] if prefix else None
        side = int((output.shape[1] - prefix) ** 0.5)
        output = output[:, prefix:].reshape(len(output), side, side, -1)
    if pooling == "token" and output.ndim > 2:
        return None
    if pooling == "none" or output.ndim == 2:
        return output
    if pooling == "flatten":
        return output.reshape(len(output), -1)
    return output.mean((1, 2)) if pooling == "avg" else output.max((1, 2))


def assert_gives(pictures, network, pooling, expected, cache):
    """Assert that the features of pictures are those expected, or that there are none."""
    embed = {"pooling": pooling, "cache": cache, "progress": False}
    if expected is None:
        with pytest.raises(OptionError, match="token"):
            featx.embed(pictures[0], network, **embed)
        return
    X = featx.embed(pictures[0], network, **embed).X
    assert X.shape == expected.shape
    rows, others = (each.reshape(len(X), -1).astype(float) for each in (X, expected))
    cosines = (rows * others).sum(1) / np.linalg.norm(rows, axis=1) / np.linalg.norm(others, axis=1)
    assert cosines.min() > 0.99999
    np.testing.assert_allclose(X, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.keras
@pytest.mark.parametrize("options", [{}, VIT], ids=["convolutional", "transformer"])
def test_every_pooling_is_that_of_the_network(hub, tmp_path, pictures, options):
    output = np.asarray(save_network(tmp_path / "net", **options)(prepared(pictures[1])))
    network = featx.Backbone.load(f"keras_hub:{tmp_path / 'net'}")
    assert network.name == "keras_hub:net"
    assert network.preprocessing == "torch/1"
    for pooling in ("avg", "max", "token", "none", "flatten"):
        expected = expected_of(output, pooling, 1 if options else None)
        assert_gives(pictures, network, pooling, expected, tmp_path / "cache")


@pytest.mark.keras
def test_the_second_time_neither_keras_hub_nor_tensorflow_is_imported(hub, tmp_path, pictures):
    save_network(tmp_path / "net", **VIT)
    name = f"keras_hub:{tmp_path / 'net'}"
    first = featx.embed(pictures[0], name, cache=tmp_path / "cache", progress=False).X
    shutil.rmtree(tmp_path / "cache" / "features", ignore_errors=True)
    code = (
        "import sys, featx, numpy\n"
        f"X = featx.embed({str(pictures[0])!r}, {name!r}, cache={str(tmp_path / 'cache')!r}, "
        "progress=False).X\n"
        f"numpy.save({str(tmp_path / 'X.npy')!r}, X)\n"
        "print([each for each in ('keras', 'tensorflow', 'keras_hub') if each in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), first)


@pytest.mark.keras
def test_another_size_is_built_anew_or_refused(hub, tmp_path, pictures):
    save_network(tmp_path / "net")
    options = {"input_size": 64, "pooling": "none", "cache": tmp_path / "cache", "progress": False}
    assert featx.embed(pictures[0], f"keras_hub:{tmp_path / 'net'}", **options).X.shape[1] == 8
    save_network(tmp_path / "vit", **VIT)
    with pytest.raises(OptionError, match="input size 64 does not fit keras_hub:vit: expected 32"):
        featx.embed(pictures[0], f"keras_hub:{tmp_path / 'vit'}", **options)


@pytest.mark.keras
def test_a_layer_is_read_by_its_name(hub, tmp_path, pictures):
    save_network(tmp_path / "net", **VIT)
    network = featx.Backbone.from_keras_hub(tmp_path / "net", layer="stem")
    X = featx.embed(pictures[0], network, pooling="none", cache=False, progress=False).X
    assert X.shape == (3, 4, 4, 8)


@pytest.mark.keras
@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n" + b"\0" * 500, b"text"])
def test_damaged_weights_are_refused_in_a_line(hub, tmp_path, pictures, content):
    write_preset(tmp_path / "net", weights=content)
    with pytest.raises(WeightsError, match="does not fit keras_hub:net") as caught:
        featx.embed(pictures[0], f"keras_hub:{tmp_path / 'net'}", cache=False, progress=False)
    assert "\n" not in str(caught.value)


@pytest.mark.keras
def test_weights_that_were_replaced_since_are_told(hub, tmp_path, pictures):
    network = save_network(tmp_path / "net")
    loaded = featx.Backbone.load(f"keras_hub:{tmp_path / 'net'}")
    network.set_weights([each + 1 for each in network.get_weights()])
    network.save_weights(tmp_path / "net" / "model.weights.h5")
    assert loaded.current().digest != loaded.digest
    with pytest.raises(WeightsError, match="was replaced by another file"):
        loaded.source.network(None, None, SIDE)


def test_weights_are_those_of_the_preset_a_file_or_another_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))
    folder = write_preset(tmp_path / "net")
    keras_hub_network.remember("resnet_50_imagenet", folder)
    name = "keras_hub:resnet_50_imagenet"
    own = featx.Backbone.load(name)
    assert own.weights.source == "imagenet"
    file = tmp_path / "new.weights.h5"
    file.write_bytes(b"new")
    write_preset(tmp_path / "new", weights=b"new")
    others = featx.Backbone.load(name, file), featx.Backbone.load(name, tmp_path / "new")
    assert [other.weights.source for other in others] == [str(file), str(tmp_path / "new")]
    assert others[0] == others[1] != own
    with pytest.warns(UserWarning, match="random"):
        assert featx.Backbone.load(name, "random").digest not in (own.digest, others[0].digest)
    for wrong in ("nowhere", folder / "config.json"):
        with pytest.raises(WeightsError, match=r"expected .* a file that ends in \.weights\.h5"):
            featx.Backbone.load(name, wrong)
    with pytest.raises(WeightsError, match="is a preset with weights of its own: leave out"):
        featx.Backbone.load(f"keras_hub:{folder}", file)


def test_a_model_finds_the_folder_of_its_network_again(tmp_path):
    """By the name of the folder in the recipe, and the place in `weights`."""
    write_preset(tmp_path / "net")
    first = featx.Backbone.load(f"keras_hub:{tmp_path / 'net'}")
    assert featx.Backbone.load(first.name, first.weights.source) == first
    shutil.move(tmp_path / "net", tmp_path / "moved")
    assert featx.Backbone.load(first.name, tmp_path / "moved") == first


@pytest.mark.keras
def test_a_model_predicts_with_the_scaling_that_it_was_trained_with(hub, tmp_path):
    save_network(tmp_path / "net", prepares={})
    name = f"keras_hub:{tmp_path / 'net'}"
    options = {"preprocess": "0.2/0.3", "cache": tmp_path / "cache", "progress": False}
    model = featx.train("data/fruit/train", backbone=name, validation=False, **options)
    model.save(tmp_path / "m.featx")
    again = featx.load(tmp_path / "m.featx")
    expected = model.predict_proba("data/fruit/test", progress=False)
    actual = again.predict_proba("data/fruit/test", cache=tmp_path / "cache", progress=False)
    np.testing.assert_allclose(actual, expected, atol=1e-6)
    assert again.backbones[0].preprocessing == "0.2/0.3/1"


def test_a_preset_that_says_no_scaling_needs_one(tmp_path):
    write_preset(tmp_path / "net", prepares={})
    with pytest.raises(OptionError, match=r"needs an image_converter\.json"):
        featx.Backbone.load(f"keras_hub:{tmp_path / 'net'}")
    network = featx.Backbone.from_keras_hub(tmp_path / "net", preprocess="clip")
    assert network.preprocessing == "clip/1"


@pytest.mark.parametrize("name", ["keras_hub:", "keras_hub:/no/such/folder", "keras_hub:./none"])
def test_what_is_no_preset_is_told_in_a_line(name):
    with pytest.raises((OptionError, WeightsError)) as caught:
        featx.Backbone.load(name)
    assert "\n" not in str(caught.value)
    assert "expected" in str(caught.value)


@pytest.mark.usefixtures("without_hub")
def test_without_keras_hub_what_to_install_is_said():
    with pytest.raises(OptionError, match=r'pip install "featx\[hub\]"'):
        featx.Backbone.load("keras_hub:resnet_50_imagenet")


@pytest.mark.usefixtures("without_hub")
def test_a_name_is_found_again_without_keras_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "cache"))
    folder = write_preset(tmp_path / "net")
    keras_hub_network.remember("resnet_50_imagenet", folder)
    network = featx.Backbone.load("keras_hub:resnet_50_imagenet")
    assert (network.name, network.weights.source) == ("keras_hub:resnet_50_imagenet", "imagenet")
    assert network.weights.path == folder / "model.weights.h5"
    (note,) = (tmp_path / "cache" / "networks").iterdir()
    for damaged in ("", "{}", "[]", json.dumps({"preset": 3, "folder": [], "version": None})):
        note.write_text(damaged)
        with pytest.raises(OptionError, match="not installed"):
            featx.Backbone.load("keras_hub:resnet_50_imagenet")
    keras_hub_network.remember("resnet_50_imagenet", folder)
    shutil.rmtree(folder)
    with pytest.raises(OptionError, match="not installed"):
        featx.Backbone.load("keras_hub:resnet_50_imagenet")


@pytest.mark.keras
def test_an_unknown_name_is_answered_with_those_that_are_near(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path))
    for name in ("keras_hub.src", "keras_hub.src.utils"):
        monkeypatch.setitem(sys.modules, name, keras_hub_stand_in())
    utils = keras_hub_stand_in()
    utils.get_file = lambda preset, file: pytest.fail("asked")
    monkeypatch.setitem(sys.modules, "keras_hub.src.utils.preset_utils", utils)
    with pytest.raises(UnknownBackboneError, match="did you mean resnet_50_imagenet"):
        featx.Backbone.load("keras_hub:resnet_50_imagenett")

    def unreachable(preset, file):
        raise OSError("no route\nto the hub")

    utils.get_file = unreachable
    with pytest.raises(WeightsError, match=r"cannot fetch keras_hub:resnet_50_imagenet \("):
        featx.Backbone.load("keras_hub:resnet_50_imagenet")

    folder = write_preset(tmp_path / "hub" / "3")

    def fetched(preset, file):
        if not (folder / file).is_file():
            raise FileNotFoundError(file)
        return str(folder / file)

    utils.get_file = fetched
    assert featx.Backbone.load("keras_hub:resnet_50_imagenet").input_size == SIDE
    utils.get_file = unreachable
    assert featx.Backbone.load("keras_hub:resnet_50_imagenet").input_size == SIDE


def real_networks():
    """Small networks of KerasHub itself, and how many tokens stand before those of patches."""
    sides = (SIDE, SIDE, 3)
    small = {"num_layers": 2, "num_heads": 2, "hidden_dim": 16}
    transformer = {"patch_size": 8, "image_shape": sides, **small}
    encoder = {**transformer, "intermediate_dim": 32}
    texts = {"vocabulary_size": 99, "embedding_dim": 16, "intermediate_dim": 32, **small}
    return {
        "ResNet": (
            lambda models: models.ResNetBackbone(
                [64], [7], [64, 64], [1, 1], [1, 2], "basic_block"
            ),
            None,
        ),
        "ViT": (lambda models: models.ViTBackbone(mlp_dim=32, **transformer), 1),
        "DeiT": (lambda models: models.DeiTBackbone(**encoder), 2),
        "DINOV2": (lambda models: models.DINOV2Backbone(num_register_tokens=4, **encoder), 5),
        "DINOV3": (lambda models: models.DINOV3Backbone(num_register_tokens=4, **encoder), 5),
        "CLIP": (
            lambda models: models.CLIPBackbone(
                models.CLIPVisionEncoder(**encoder),
                models.CLIPTextEncoder(max_sequence_length=8, **texts),
                projection_dim=8,
            ),
            1,
        ),
    }


@pytest.mark.slow
@pytest.mark.keras
@pytest.mark.parametrize("kind", real_networks())
def test_networks_of_keras_hub_give_what_they_give_there(kind, tmp_path, pictures):
    keras_hub = pytest.importorskip("keras_hub")
    import keras

    keras.utils.set_random_seed(0)
    make, prefix = real_networks()[kind]
    original = make(keras_hub.models)
    original.save_to_preset(tmp_path / "net")
    prepares = getattr(keras_hub.layers, f"{kind}ImageConverter")
    prepares = prepares(image_size=(SIDE, SIDE), scale=SCALE, offset=OFFSET)
    prepares.save_to_preset(tmp_path / "net")

    given = prepares(pictures[1].astype(np.float32))
    if kind == "CLIP":
        output = original.get_vision_embeddings(given)
    else:
        output = original({"pixel_values": given} if kind == "DINOV3" else given)
    output = np.asarray(output)
    network = featx.Backbone.from_keras_hub(tmp_path / "net")
    assert network.preprocessing == "torch/1"
    for pooling in ("avg", "max", "token", "none", "flatten"):
        expected = expected_of(output, pooling, prefix)
        assert_gives(pictures, network, pooling, expected, tmp_path / "cache")

    if kind == "CLIP":
        tokens = np.asarray(original.vision_encoder(given))
        network = featx.Backbone.from_keras_hub(tmp_path / "net", layer="clip_vision_encoder")
        for pooling in ("avg", "token", "none"):
            expected = expected_of(tokens, pooling, prefix)
            assert_gives(pictures, network, pooling, expected, tmp_path / "cache")
