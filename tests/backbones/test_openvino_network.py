"""Networks in OpenVINO's form give what their originals give, for every layer and pooling."""

from __future__ import annotations

import numpy as np
import onnx_networks
import pytest

import featx
from featx.backbones import onnx_original
from featx.backbones.backbone import Backbone
from featx.backbones.engines.choice import open_engine
from featx.backbones.engines.engine import EngineRequest
from featx.backbones.network import POOLINGS, Cut
from featx.backbones.onnx_original import check_original
from featx.backbones.preprocessing import PREPROCESSINGS
from featx.errors import ConversionError, OptionError, UnknownLayerError

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


@pytest.fixture
def embed(tmp_path):
    """Return a function that embeds pictures by a network in a file."""

    def embedded(model, pictures, *poolings, layer=None, preprocess="torch", **settings):
        path = onnx_networks.write(tmp_path / "network.onnx", model)
        backbone = Backbone.from_onnx(path, preprocess)
        size = pictures.shape[1]
        cut = Cut(layer=layer, **settings)
        request = EngineRequest(backbone, cut, poolings, size, tmp_path / "cache")
        engine = open_engine(request)
        rows = [engine.embed_batch(picture[None]) for picture in pictures]
        assert rows[0].shape == (1, *engine.shape)
        return np.concatenate(rows)

    return embedded


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


def prepared(pictures, name="torch"):
    return PREPROCESSINGS[name](pictures).transpose(0, 3, 1, 2)


def cosines(some, others):
    some, others = (each.reshape(len(each), -1) for each in (some, others))
    assert some.shape == others.shape
    lengths = np.linalg.norm(some, axis=1) * np.linalg.norm(others, axis=1)
    return (some * others).sum(axis=1) / lengths


def pooled_tokens(tokens, pooling, prefix, side):
    """Pool tokens as the documentation says."""
    patches = tokens[:, prefix:]
    return {
        "avg": patches.mean(axis=1),
        "max": patches.max(axis=1),
        "token": tokens[:, 0],
        "flatten": patches.reshape(len(tokens), -1),
        "none": patches.reshape(len(tokens), side, side, -1),
    }[pooling]


def pooled_map(maps, pooling):
    """Pool maps with their channels first as the documentation says."""
    last = maps.transpose(0, 2, 3, 1)
    return {
        "avg": maps.mean(axis=(2, 3)),
        "max": maps.max(axis=(2, 3)),
        "flatten": last.reshape(len(maps), -1),
        "none": last,
    }[pooling]


@pytest.mark.parametrize(
    ("pooling", "preprocess"),
    [
        *((each, "torch") for each in POOLINGS if each != "token"),
        *(("avg", each) for each in ("caffe", "none")),
    ],
)
def test_a_convolutional_network_gives_what_the_original_gives(
    embed, pictures, pooling, preprocess
):
    model = onnx_networks.convolutional()
    actual = embed(model, pictures, pooling, layer="map", preprocess=preprocess)
    maps = onnx_networks.computed(model, "map", prepared(pictures, preprocess))
    expected = pooled_map(maps, pooling)
    assert actual.shape == expected.shape
    assert cosines(actual, expected).min() > 0.9999


@pytest.mark.parametrize("registers", [0, 4])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_transformer_gives_what_the_original_gives(embed, pictures, pooling, registers):
    model = onnx_networks.transformer(registers=registers)
    actual = embed(model, pictures, pooling)
    tokens = onnx_networks.computed(model, "last_hidden_state", prepared(pictures))
    expected = pooled_tokens(tokens, pooling, 1 + registers, 4)
    assert actual.shape == expected.shape
    assert cosines(actual, expected).min() > 0.9999


def test_a_network_with_its_channels_last_gives_what_the_original_gives(embed, pictures):
    model = onnx_networks.channels_last()
    maps = onnx_networks.computed(model, "map", PREPROCESSINGS["torch"](pictures))
    for pooling in ("avg", "max", "flatten", "none"):
        expected = pooled_map(maps.transpose(0, 3, 1, 2), pooling)
        assert cosines(embed(model, pictures, pooling), expected).min() > 0.9999, pooling


def test_vectors_are_taken_as_they_are(embed, pictures):
    model = onnx_networks.transformer()
    expected = onnx_networks.computed(model, "pooler_output", prepared(pictures))
    for pooling in POOLINGS:
        actual = embed(model, pictures, pooling, layer="pooler_output")
        assert cosines(actual, expected).min() > 0.9999, pooling


def test_joint_poolings_are_side_by_side_what_each_is_alone(embed, pictures):
    model = onnx_networks.transformer()
    alone = [embed(model, pictures, each) for each in ("avg", "max")]
    np.testing.assert_array_equal(
        embed(model, pictures, "avg", "max"), np.concatenate(alone, axis=1)
    )


def test_an_unknown_layer_is_named_together_with_those_that_are_near(embed, pictures):
    with pytest.raises(UnknownLayerError, match=r"has no layer 'stemm': .* \d+ layers.* stem"):
        embed(onnx_networks.convolutional(), pictures, "avg", layer="stemm")


def test_a_network_of_one_size_refuses_another(embed, pictures):
    with pytest.raises(OptionError, match="does not take pictures of 32 px"):
        embed(onnx_networks.convolutional(48), pictures, "avg", layer="map")


def test_a_map_has_no_class_token(embed, pictures):
    with pytest.raises(OptionError, match=r"token pooling takes tokens: .*use pooling='avg'"):
        embed(onnx_networks.convolutional(), pictures, "token", layer="map")


# -- The trial -----------------------------------------------------------------------------------


def test_a_network_that_gives_other_features_than_the_original_is_refused(tmp_path, monkeypatch):
    path = onnx_networks.write(tmp_path / "net.onnx", onnx_networks.convolutional(32))
    backbone = Backbone.from_onnx(path, "torch")
    check_original(backbone, path, None, 32)
    check_original(backbone, path, "map", 32)  # no output: there is nothing to compare with
    monkeypatch.setattr(onnx_original, "computed", lambda network, pictures: -pictures[0, 0, 0, :5])
    with pytest.raises(ConversionError, match=r"net\.onnx gives other features on OpenVINO than"):
        check_original(backbone, path, None, 32)


@pytest.mark.parametrize(("kind", "why"), [("Log", "no finite numbers"), ("RandomNormalLike", "")])
def test_a_network_without_features_of_its_pictures_is_refused(embed, pictures, kind, why):
    model = onnx_networks.convolutional()
    node = model.graph.node[-1]
    node.output[0] = "before"
    model.graph.node.add(op_type=kind, input=["before"], output=["logits"], name="last")
    with pytest.raises(ConversionError, match=why):
        embed(model, pictures, "avg")


@pytest.mark.parametrize("pooling", ["avg", "token"])
def test_int8_is_near_to_float32(tmp_path, pooling):
    pytest.importorskip("nncf")
    path = onnx_networks.write(tmp_path / "net.onnx", onnx_networks.transformer())
    photos = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    exact, rounded = (
        featx.embed(
            photos,
            str(path),
            preprocess="torch",
            input_size=32,
            pooling=pooling,
            precision=precision,
            cache=tmp_path / "cache",
            progress=False,
        ).X
        for precision in ("float32", "int8")
    )
    assert 0.99 < cosines(exact, rounded).mean() < 1
