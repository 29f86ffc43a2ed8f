"""Networks in files: where their preprocessing and size come from, and how they are told apart."""

from __future__ import annotations

import json
import os
import sys

import numpy as np
import onnx_networks
import pytest

import featx
from featx.backbones import network_file
from featx.backbones.backbone import Backbone
from featx.backbones.framework import import_openvino
from featx.backbones.network_file import NetworkFile
from featx.backbones.preprocessing import PREPROCESSINGS
from featx.backbones.weights import sources_of, written_sources
from featx.errors import OptionError, WeightsError
from featx.models.networks import moved_sources

pytest.importorskip("onnx")

CLIP = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 32},
    "crop_size": {"height": 32, "width": 32},
}
OPTIONS = {"progress": False, "cache": False}


@pytest.fixture
def network(tmp_path):
    """A small network in a file, which takes pictures of any size."""
    return onnx_networks.write(tmp_path / "net.onnx", onnx_networks.convolutional())


def test_the_json_beside_a_file_says_preprocessing_and_size(network):
    network.with_name("preprocessor_config.json").write_text(json.dumps(CLIP))
    backbone = Backbone.load(str(network))
    assert (backbone.name, backbone.kind) == ("net.onnx", "openvino")
    assert (backbone.preprocessing, backbone.input_size) == ("clip/1", 32)
    network.with_suffix(".json").write_text(json.dumps({"do_normalize": False, "size": 48}))
    backbone = Backbone.load(str(network))
    assert (backbone.preprocessing, backbone.input_size) == ("unit/1", 48)
    assert Backbone.load(str(network), preprocess="torch").preprocessing == "torch/1"


def test_the_json_of_an_export_is_in_the_folder_above(tmp_path):
    path = onnx_networks.write(tmp_path / "onnx" / "model.onnx", onnx_networks.convolutional())
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(CLIP))
    assert Backbone.load(str(path)).preprocessing == "clip/1"


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "[]",
        '"x"',
        "{}",
        '{"image_mean": 1, "image_std": 0}',
        '{"image_mean": "x", "image_std": [1, 2]}',
        '{"image_mean": 1, "image_std": 1, "rescale_factor": "x"}',
        '{"image_mean": 1, "image_std": 1e-300}',
        '{"image_mean": 1, "image_std": 1, "rescale_factor": 1e-300}',
        '{"image_mean": 1e300, "image_std": 1}',
        f'{{"image_mean": 1{"0" * 400}, "image_std": 1}}',
        "[" * 100_000,
        " " * (1 << 20) + "{}",
    ],
)
def test_a_json_that_says_nothing_is_told_in_a_line(network, text):
    network.with_suffix(".json").write_text(text)
    with pytest.raises(WeightsError, match=r"net\.json does not say how pictures are prepared"):
        Backbone.load(str(network))


def test_without_a_word_on_preprocessing_there_is_no_guess(network):
    with pytest.raises(OptionError, match=r"net\.onnx does not say what .*: give preprocess"):
        Backbone.load(str(network))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ((0.5, 0.5), "tf/1"),
        ("0.5/0.5", "tf/1"),
        (((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), "torch/1"),
        ((0, 1, 1), "none/1"),
        ("0.1,0.2,0.3/0.4", "0.1,0.2,0.3/0.4/1"),
        ((0.25, 0.5, 0.125), "0.25/0.5/0.125/1"),
    ],
)
def test_a_recipe_names_the_numbers(network, given, name):
    backbone = Backbone.from_onnx(network, given)
    assert backbone.preprocessing == name
    pixels = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    if isinstance(given, tuple):
        mean, std, scale = (*given, 1 / 255)[:3]
        expected = (pixels * scale - np.array(mean)) / np.array(std)
        np.testing.assert_allclose(backbone.preprocess(pixels), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("given", ["torchvision", "1/0", "1,2/1", "a/b", (1,), (1, 2, 3, 4), 5])
def test_a_preprocessing_that_is_none_is_told_with_what_there_is(network, given):
    with pytest.raises(OptionError, match=r"preprocess .*: expected one of caffe, tf, torch"):
        Backbone.from_onnx(network, given)


def test_a_file_is_embedded_by_its_path_wherever_a_name_goes(network, photos, tmp_path):
    path = str(network)
    alone = featx.embed(photos, path, preprocess="torch", input_size=32, **OPTIONS)
    assert alone.X.shape == (18, onnx_networks.CLASSES)
    assert alone.recipe.parts[0].preprocessing == "torch/1"
    plus = onnx_networks.write(tmp_path / "a+b.onnx", onnx_networks.transformer())
    joined = featx.embed(photos, f"{plus}+{path}", preprocess="torch", input_size=32, **OPTIONS)
    assert joined.recipe.backbone == "a+b.onnx+net.onnx"
    assert joined.X.shape == (18, 12 + onnx_networks.CLASSES)
    assert "keras" not in sys.modules or "tensorflow" in sys.modules


def test_a_network_with_its_own_preprocessing_is_given_no_other(photos):
    with pytest.raises(OptionError, match="preprocess 'tf' is for networks in files"):
        featx.embed(photos, "resnet50", preprocess="tf", **OPTIONS)
    with pytest.raises(OptionError, match="resnet50 has its own preprocessing"):
        Backbone.load("resnet50", preprocess="tf")


def test_the_digest_is_that_of_the_file_and_of_a_function(network):
    torch = Backbone.from_onnx(network, "torch")
    assert torch.digest == Backbone.from_onnx(network, "clip", name="other").digest
    halved = Backbone.from_onnx(network, lambda pixels: pixels / 2)
    assert halved.preprocessing == "custom"
    assert len({torch.digest, halved.digest, Backbone.from_onnx(network, np.sqrt).digest}) == 3


def test_a_function_of_pixels_prepares_them(network, photos):
    torch = featx.embed(photos, Backbone.from_onnx(network, "torch"), input_size=32, **OPTIONS)
    backbone = Backbone.from_onnx(network, lambda pixels: PREPROCESSINGS["torch"](pixels))
    own = featx.embed(photos, backbone, input_size=32, **OPTIONS)
    np.testing.assert_allclose(own.X, torch.X, rtol=1e-4, atol=1e-5)


def test_a_network_of_one_size_says_so(tmp_path, photos):
    path = onnx_networks.write(tmp_path / "net.onnx", onnx_networks.convolutional(48))
    backbone = Backbone.from_onnx(path, "torch")
    assert (backbone.input_size, backbone.min_size, backbone.max_size) == (48, 48, 48)
    with pytest.raises(
        OptionError, match=r"input size 64 does not fit net\.onnx: expected 48 pixels"
    ):
        featx.embed(photos, backbone, input_size=64, **OPTIONS)


def test_a_model_finds_its_network_where_it_was_beside_it_or_where_it_is_told(
    network, photos, tmp_path
):
    options = {"input_size": 32, "progress": False}
    model = featx.train(photos, backbone=str(network), preprocess="torch", **options)
    saved = tmp_path / "models" / "model.featx"
    saved.parent.mkdir()
    model.save(saved)
    expected = model.predict_proba(photos)
    np.testing.assert_array_equal(featx.load(saved).predict_proba(photos), expected)
    moved = network.rename(tmp_path / "moved.onnx")
    with pytest.raises(WeightsError, match=r"trained on the network in .*net\.onnx, which is"):
        featx.load(saved).predict(photos)
    np.testing.assert_array_equal(featx.load(saved, weights=moved).predict_proba(photos), expected)
    moved.rename(saved.with_name("net.onnx"))
    np.testing.assert_array_equal(featx.load(saved).predict_proba(photos), expected)
    onnx_networks.write(saved.with_name("net.onnx"), onnx_networks.convolutional(32))
    with pytest.raises(featx.errors.RecipeMismatchError, match="weights found"):
        featx.load(saved).predict(photos)


def test_a_file_that_is_no_network_is_refused_where_that_of_a_model_belongs(
    network, photos, tmp_path
):
    model = featx.train(
        photos, backbone=str(network), preprocess="torch", input_size=32, progress=False
    )
    model.save(tmp_path / "model.featx")
    (tmp_path / "notes.md").write_text("no network")
    with pytest.raises(OptionError, match=r"notes\.md is no network: expected the file of "):
        featx.load(tmp_path / "model.featx", weights=tmp_path / "notes.md")


def test_weights_of_one_of_joined_networks_leave_the_file_of_the_other(network, tmp_path):
    weights = tmp_path / "weights.h5"
    weights.write_bytes(b"weights")
    written = written_sources([str(network), "imagenet"])
    sources = moved_sources(written, str(weights), [None, None])
    assert sources_of(sources, 2) == [str(network), str(weights)]


def test_one_folder_of_weights_with_a_plus_in_its_name_stays_one(tmp_path):
    folder = tmp_path / "a+b"
    folder.mkdir()
    moved = moved_sources("imagenet", str(folder), [None, None])
    assert sources_of(moved, 2) == [str(folder)] * 2
    for sources in (["/a+b"] * 2, ["/a+b"], ["/a%2B+b"] * 3, ["/a"] * 2, ["/a+b", "/a"]):
        assert sources_of(written_sources(sources), len(sources)) == sources


def test_a_model_of_joined_networks_finds_each(network, photos, tmp_path):
    other = onnx_networks.write(tmp_path / "other.onnx", onnx_networks.transformer())
    options = {"input_size": 32, "progress": False, "preprocess": "0.4/0.3"}
    model = featx.train(photos, backbone=f"{network}+{other}", **options)
    model.save(tmp_path / "model.featx")
    expected = model.predict_proba(photos)
    elsewhere = other.rename(tmp_path / "elsewhere.onnx")
    (tmp_path / "sub").mkdir()
    sub = elsewhere.rename(tmp_path / "sub" / "other.onnx")
    again = featx.load(tmp_path / "model.featx", weights=sub)
    np.testing.assert_array_equal(again.predict_proba(photos), expected)


@pytest.mark.parametrize("same_disk", [True, False])
def test_weights_that_a_link_leads_to_are_read_as_in_the_cache_of_a_hub(
    network, photos, tmp_path, monkeypatch, same_disk
):
    import onnx

    hub, blobs = tmp_path / "snapshot", tmp_path / "blobs"
    for folder in (hub, blobs):
        folder.mkdir()
    monkeypatch.chdir(hub)  # where `location` begins
    model = onnx_networks.convolutional()
    onnx.save(model, "net.onnx", save_as_external_data=True, location="net.data", size_threshold=0)
    for name in ("net.onnx", "net.data"):
        (hub / name).rename(blobs / name[-4:])
        (hub / name).symlink_to(blobs / name[-4:])
    if not same_disk:
        monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError("no")))
    linked = NetworkFile(hub / "net.onnx", "", np.sqrt, 32)
    monkeypatch.setattr(network_file, "digest_of_files", lambda *_: "")
    same = NetworkFile(network, "", np.sqrt, 32)
    pixels = np.random.default_rng(0).normal(size=(1, 3, 32, 32)).astype(np.float32)
    compile_model = import_openvino().compile_model
    given = [compile_model(each.model(32), "CPU")([pixels])[0] for each in (linked, same)]
    np.testing.assert_array_equal(*given)


def test_a_file_whose_name_is_not_utf_8_is_a_network_like_others(network, photos, tmp_path):
    name = os.fsdecode(b"n\xff\n\x1b.onnx")
    try:
        (tmp_path / name).write_bytes(network.read_bytes())
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    options = {"preprocess": "torch", "input_size": 32, "progress": False}
    same = [
        featx.train(photos, backbone=str(each), **options) for each in (network, tmp_path / name)
    ]
    same[1].save(tmp_path / "model.featx")
    same.append(featx.load(tmp_path / "model.featx"))
    first, *others = [each.predict_proba(photos) for each in same]
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_another_file_is_no_weights_of_a_network_in_a_file(network, photos):
    with pytest.raises(OptionError, match=r"leave weights='other\.onnx' out"):
        featx.embed(photos, str(network), weights="other.onnx", preprocess="torch")


# -- OpenVINO's own form -------------------------------------------------------------------------


@pytest.fixture
def read(network):
    """The small network in OpenVINO's form, named as this session of OpenVINO counts."""
    return NetworkFile(network, Backbone.from_onnx(network, "torch").digest, np.sqrt, 32).model(32)


def test_a_network_of_openvino_gives_what_it_gives_in_onnx(network, read, photos, tmp_path):
    openvino = import_openvino()
    openvino.save_model(read, tmp_path / "net.xml", compress_to_fp16=False)
    made = [
        Backbone.from_onnx(network, "torch"),
        Backbone.from_openvino(tmp_path / "net.xml", "torch"),
        Backbone.from_openvino(read, "torch", name="mine"),
        Backbone.load(str(tmp_path / "net.xml"), preprocess="torch"),
    ]
    first, *others = featx.embed(photos, made, input_size=32, layer="map", **OPTIONS)
    assert [each.recipe.backbone for each in others] == ["net.xml", "mine", "net.xml"]
    for each in others:
        np.testing.assert_allclose(each.X, first.X, rtol=1e-5, atol=1e-6)


def test_the_digest_of_openvinos_files_is_of_both(read, tmp_path):
    openvino, path = import_openvino(), tmp_path / "net.xml"
    openvino.save_model(read, path, compress_to_fp16=False)
    backbone = Backbone.from_openvino(path, "torch")
    weights = path.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[::-1])
    assert backbone.current().digest != backbone.digest


def test_the_digest_of_a_network_in_memory_is_the_same_in_another_session(network, read):
    openvino = import_openvino()
    first = Backbone.from_openvino(read, "torch")
    assert first.is_own
    again = openvino.Core().read_model(network)
    for node in again.get_ordered_ops():
        node.set_friendly_name(f"{node.get_friendly_name()}_777")
    assert Backbone.from_openvino(again, "torch").digest == first.digest
    assert Backbone.from_openvino(again, "clip").digest == first.digest
    assert Backbone.from_openvino(again, np.sqrt).digest != first.digest


def test_a_network_in_memory_needs_its_preprocessing_said(read):
    with pytest.raises(OptionError, match="give preprocess"):
        Backbone.from_openvino(read)
    with pytest.raises(OptionError, match="a dict is no network in OpenVINO's form"):
        Backbone.from_openvino({}, "torch")
