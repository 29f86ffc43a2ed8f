"""Presets of KerasHub as folders, and a stand-in for KerasHub that builds a network of them."""

from __future__ import annotations

import importlib.machinery
import json
import types
from pathlib import Path

import numpy as np

SIDE = 32
SCALE = [1 / (255 * each) for each in (0.229, 0.224, 0.225)]
OFFSET = [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225]


def built(kind, package, **config):
    """What Keras writes of an object."""
    module = f"keras_hub.src.models.{package}" if "." in package else package
    name = f"keras_hub>{kind}" if "." in package else None
    return {"module": module, "class_name": kind, "config": config, "registered_name": name}


def backbone(kind="ResNetBackbone", package="resnet.resnet_backbone", **config):
    """The settings of a network."""
    policy = built("DTypePolicy", "keras", name="float32")
    return built(kind, package, name="network", trainable=True, dtype=policy, **config)


def converter(**config):
    """The settings of what prepares pictures."""
    return built("ImageConverter", "resnet.resnet_image_converter", **config)


def write_preset(folder, about=None, prepares=None, weights=b"weights"):
    """Write a preset, with any bytes as weights."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    about = backbone(image_shape=[None, None, 3], width=4) if about is None else about
    (folder / "config.json").write_text(json.dumps(about))
    if prepares is None:
        prepares = converter(image_size=[SIDE, SIDE], scale=SCALE, offset=OFFSET)
    if prepares:
        (folder / "image_converter.json").write_text(json.dumps(prepares))
    if weights is not None:
        (folder / "model.weights.h5").write_bytes(weights)
    return folder


def network_of(folder, load_weights=True, dtype=None, image_shape=None):
    """Build the network of a preset: a convolutional one, or with class_name ViTBackbone tokens."""
    import keras

    about = json.loads((Path(folder) / "config.json").read_text())
    config = about["config"]
    pictures = keras.Input(image_shape or config["image_shape"], name="images")
    width = config["width"]
    x = keras.layers.Conv2D(width, 3, 8, "same", activation="relu", name="stem")(pictures)
    if about["class_name"] == "ViTBackbone":
        x = keras.layers.Reshape((-1, width), name="patches")(x)
        x = keras.layers.ZeroPadding1D((1, 0), name="class_token")(x)
        x = keras.layers.MultiHeadAttention(1, width, name="attention")(x, x) + x
        x = keras.layers.LayerNormalization(name="encoder")(x)
    return keras.Model(pictures, x)


def save_network(folder, **options):
    """Write a preset with weights of its network, and return the network."""
    folder = write_preset(folder, weights=None, **options)
    network = network_of(folder)
    random = np.random.default_rng(0)
    network.set_weights([random.normal(0, 0.2, each.shape) for each in network.get_weights()])
    network.save_weights(folder / "model.weights.h5")
    return network


def keras_hub_stand_in():
    """Return a module in the place of KerasHub."""
    module = types.ModuleType("keras_hub")
    module.__spec__ = importlib.machinery.ModuleSpec("keras_hub", None)
    presets = {"resnet_50_imagenet": {}, "vit_base_patch16_224_imagenet": {}}
    models = types.SimpleNamespace(from_preset=network_of, presets=presets)
    module.models = types.SimpleNamespace(Backbone=models)
    return module
