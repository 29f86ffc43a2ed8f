"""Presets of KerasHub are read without it, and none makes Keras build what runs Python."""

from __future__ import annotations

import json

import pytest
from keras_hub_presets import OFFSET, SCALE, backbone, built, converter, write_preset

from featx.backbones.keras_hub_preset import read_preset
from featx.backbones.preprocessing import preprocessing_of, written_name
from featx.errors import FeatxError, OptionError, WeightsError


def refusal(folder):
    with pytest.raises(FeatxError) as caught:
        read_preset(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    assert str(folder) in message
    return message


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"scale": SCALE, "offset": OFFSET}, "torch/1"),
        ({"scale": 1 / 127.5, "offset": -1.0}, "tf/1"),
        ({"scale": 1 / 255}, "unit/1"),
        ({}, "none/1"),
        ({"scale": [1 / 127.5] * 3, "offset": [-1, -1, -1]}, "tf/1"),
        ({"scale": 1 / 255, "mean": [0.5] * 3, "variance": [0.25] * 3}, "tf/1"),
        ({"scale": 1 / 51, "offset": -1}, "0.2,0.2,0.2/0.2,0.2,0.2/1"),
    ],
)
def test_what_pixels_go_through_has_a_name(tmp_path, settings, name):
    preset = read_preset(write_preset(tmp_path / "p", prepares=converter(**settings)))
    assert written_name(preprocessing_of(preset.scaling)) == name


@pytest.mark.parametrize(
    "settings",
    [
        {"scale": 0},
        {"scale": -1},
        {"scale": [1, 2]},
        {"scale": "a"},
        {"scale": float("nan")},
        {"offset": [1, 2, {}]},
        {"scale": 1, "mean": [0, 0, 0], "variance": [0, 1, 1]},
        {"scale": 1e400},
    ],
)
def test_numbers_that_scale_nothing_are_refused(tmp_path, settings):
    folder = write_preset(tmp_path / "p", prepares=converter(**settings))
    assert "no sensible scaling" in refusal(folder)


def test_the_scaling_of_a_classifier_s_preprocessor_serves(tmp_path):
    folder = write_preset(tmp_path / "p", prepares={})
    inner = converter(image_size=[48, 48], scale=1 / 255)
    whole = built("ImageClassifierPreprocessor", "resnet.preprocessor", image_converter=inner)
    (folder / "preprocessor.json").write_text(json.dumps(whole))
    preset = read_preset(folder)
    assert preset.input_size == 48
    assert preprocessing_of(preset.scaling).name == "unit"


@pytest.mark.parametrize(
    ("size", "shape", "expected"),
    [([64, 64], [None, None, 3], 64), (None, [96, 96, 3], 96), (None, [None, None, 3], 224)],
)
def test_the_size_of_pictures_is_that_of_the_converter_or_of_the_network(
    tmp_path, size, shape, expected
):
    about = backbone(image_shape=shape)
    folder = write_preset(tmp_path / "p", about, converter(image_size=size, scale=1.0))
    assert read_preset(folder).input_size == expected


@pytest.mark.parametrize("shape", [[64, 96, 3], [0, 0, 3], [-1, -1, 3], [1e9, 1e9, 3], ["a", "a"]])
def test_sides_that_cannot_be_are_refused(tmp_path, shape):
    refusal(write_preset(tmp_path / "p", backbone(image_shape=shape), {}))


@pytest.mark.parametrize(
    ("kind", "config", "prefix", "one_size"),
    [
        ("ResNetBackbone", {}, None, False),
        ("ViTBackbone", {}, 1, True),
        ("ViTBackbone", {"use_class_token": False}, 0, True),
        ("DeiTBackbone", {}, 2, True),
        ("DINOV2Backbone", {"num_register_tokens": 4}, 5, False),
        ("DINOV3Backbone", {}, 1, False),
        ("SwinTransformerBackbone", {}, 0, True),
    ],
)
def test_tokens_before_those_of_patches_are_counted(tmp_path, kind, config, prefix, one_size):
    about = backbone(kind, image_shape=[32, 32, 3], **config)
    preset = read_preset(write_preset(tmp_path / "p", about))
    assert (preset.prefix_tokens, preset.takes_one_size) == (prefix, one_size)


def test_a_network_of_pictures_and_texts_has_the_size_of_its_pictures(tmp_path):
    vision = built("CLIPVisionEncoder", "clip.clip_vision_encoder", image_shape=[48, 48, 3])
    text = built("CLIPTextEncoder", "clip.clip_text_encoder", vocabulary_size=9)
    about = backbone("CLIPBackbone", vision_encoder=vision, text_encoder=text)
    preset = read_preset(write_preset(tmp_path / "p", about, {}))
    assert (preset.input_size, preset.network, preset.scaling) == (48, "CLIP", None)


def test_a_network_of_texts_is_refused(tmp_path):
    about = backbone("BertBackbone", "bert.bert_backbone", vocabulary_size=30522)
    with pytest.raises(OptionError, match="takes text"):
        read_preset(write_preset(tmp_path / "p", about))


def test_the_digest_is_that_of_what_the_network_computes(tmp_path):
    def digest(width=4, **names):
        about = backbone(image_shape=[None, None, 3], width=width)
        about["config"].update(names)
        return read_preset(write_preset(tmp_path / "p", about)).digest("weights")

    assert digest() == digest(name="other", trainable=False)
    assert digest() != digest(width=5)
    preset = read_preset(tmp_path / "p")
    assert preset.digest("weights") != preset.digest("others")
    first = preset.weights_digest()
    preset.weights.write_bytes(b"others")
    assert preset.weights_digest() != first
    preset.weights.unlink()
    with pytest.raises(WeightsError, match=r"no weights: expected model\.weights\.h5"):
        preset.weights_digest()


def test_what_runs_python_is_refused_wherever_it_stands(tmp_path):
    layers = [
        built("Lambda", "keras.layers", function="x"),
        built("TorchModuleWrapper", "keras.layers"),
        built("system", "os"),
        built("Functional", "keras"),
        {"class_name": "__lambda__", "config": {"value": "4w"}},
        {"class_name": "function", "module": "builtins", "config": "eval"},
        built("Dense", "keras_hub.src.models.resnet.resnet_backbone"),
        built("XBackbone", "keras_hub.src.utils.x.y"),
    ]
    for layer in layers:
        for place in ({"activation": layer}, {"deep": [{"deeper": [layer]}]}, {"dtype": layer}):
            about = backbone(image_shape=[32, 32, 3])
            about["config"].update(place)
            folder = write_preset(tmp_path / "p", about)
            assert "is refused: its network would be built with" in refusal(folder)
    about = backbone()
    about["module"] = "antigravity"
    assert "antigravity" in refusal(write_preset(tmp_path / "p", about))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"config": ' + b"9" * 5000 + b"}",
        b" " * (1 << 21),
        b"{}",
        b'{"class_name": 7, "registered_name": null}',
        b'{"class_name": "ResNetImageClassifier", "registered_name": null}',
    ],
)
def test_what_is_no_preset_is_refused_in_a_line(tmp_path, content):
    folder = write_preset(tmp_path / "p")
    (folder / "config.json").write_bytes(content)
    refusal(folder)


def test_a_folder_of_timm_is_told_as_such(tmp_path):
    folder = write_preset(tmp_path / "p", {"architecture": "resnet50"})
    assert "expected timm:NAME" in refusal(folder)


def test_deep_settings_do_no_harm(tmp_path):
    folder = write_preset(tmp_path / "p")
    deep = b'{"a":' * 900 + b"1" + b"}" * 900
    text = json.dumps(backbone(image_shape=[32, 32, 3])).encode()
    (folder / "config.json").write_bytes(text[:-1] + b',"x":' + deep + b"}")
    assert read_preset(folder).network == "ResNet"
