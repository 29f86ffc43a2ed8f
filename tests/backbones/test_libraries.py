"""Networks of timm and torchvision that were converted before need neither, nor PyTorch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib import metadata

import numpy as np
import pytest

from featx.backbones.backbone import Backbone
from featx.backbones.framework import import_openvino
from featx.backbones.libraries import Description, description_path
from featx.backbones.network_store import networks_folder, whole_network
from featx.backbones.torch_library import classes_in
from featx.errors import OptionError, WeightsError
from featx.features.embed import embed

NAME = "timm:small"
openvino = import_openvino()
ops = openvino.opset13
PATCH = 8  # px


def transformer(size: int) -> openvino.Model:
    """Make a network of one class token and square patches, each the mean colour of its pixels."""
    pictures = ops.parameter([-1, 3, size, size], np.float32)
    side = size // PATCH
    patches = ops.avg_pool(pictures, [PATCH, PATCH], [0, 0], [0, 0], [PATCH, PATCH], False).output(
        0
    )
    patches.set_names({"patch_embed"})
    flat = ops.reshape(patches, np.array([0, 3, side * side]), special_zero=True)
    tokens = ops.transpose(flat, np.array([0, 2, 1]))
    first = ops.reduce_max(tokens, np.array([1]), keep_dims=True)
    joined = ops.concat([first, tokens], 1).output(0)
    joined.set_names({"features", "blocks.0"})
    return openvino.Model([joined, patches], [pictures], "small")


@pytest.fixture
def about():
    """What an earlier run has written down of a network."""
    return Description(
        name=NAME,
        weights="imagenet",
        file=None,
        version=installed("timm"),
        digest="d" * 64,
        input_size=32,
        mean=(0.5, 0.25, 0.125),
        std=(0.5, 0.5, 0.5),
        prefix_tokens=1,
        evaluated="center crop of 87.5%, bicubic",
    )


@pytest.fixture
def kept(about):
    """Keep the network and its description as an earlier run did, and return the description."""
    keep(about)
    whole_network(about.settings(32), lambda: transformer(32))
    return about


@pytest.fixture
def missing(monkeypatch):
    """Let neither PyTorch nor its libraries be installed."""
    for name in ("timm", "torchvision"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def fake_timm(tmp_path, monkeypatch):
    """Install a timm that cannot be imported, as beside a torchvision for another PyTorch."""
    folder = tmp_path / "packages"
    for name, code in (
        ("torch", ""),
        ("timm", "raise RuntimeError('operator torchvision::nms does not exist')"),
    ):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text(code)
        monkeypatch.delitem(sys.modules, name, raising=False)
    about = folder / "timm-0.0.1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: timm\nVersion: 0.0.1\n")
    monkeypatch.syspath_prepend(folder)
    yield
    sys.modules.pop("torch", None)


def keep(about):
    path = description_path(about.name, about.weights)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(about.to_json())
    return path


def installed(library):
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "1.0.0"


def pixels():
    return np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)


def test_a_network_that_was_converted_before_is_loaded_by_its_name(kept):
    backbone = Backbone.load(NAME)
    assert (backbone.name, backbone.digest) == (NAME, kept.digest)
    assert (backbone.input_size, backbone.preprocessing) == (32, "0.5,0.25,0.125/0.5,0.5,0.5/1")
    assert backbone == Backbone.from_timm("small")


@pytest.mark.parametrize("pooling", ["avg", "max", "token", "flatten", "none"])
def test_its_tokens_are_pooled(kept, pooling):
    images = pixels()
    scaled = (images / 255 - kept.mean) / kept.std
    patches = scaled.reshape(2, 4, PATCH, 4, PATCH, 3).mean(axis=(2, 4))
    expected = {
        "avg": patches.mean(axis=(1, 2)),
        "max": patches.max(axis=(1, 2)),
        "token": patches.max(axis=(1, 2)),
        "flatten": patches.reshape(2, -1),
        "none": patches,
    }[pooling]
    features = embed(images, NAME, pooling=pooling, cache=False)
    np.testing.assert_allclose(features.X, expected, atol=1e-5)


def test_its_layers_go_by_the_names_of_its_modules(kept):
    images = pixels()
    maps = embed(images, NAME, layer="patch_embed", pooling="none", cache=False).X
    assert maps.shape == (2, 4, 4, 3)
    assert np.array_equal(
        embed(images, NAME, layer="blocks.0", cache=False).X, embed(images, NAME, cache=False).X
    )
    with pytest.raises(OptionError, match=r"no layer 'blocks\.1'.*blocks\.0"):
        embed(images, NAME, layer="blocks.1", cache=False)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[: len(text) // 2],
        lambda text: "[1, 2]",
        lambda text: text.replace("0.25", "0.75"),
        lambda text: json.dumps({"format": 1, "crc32": 0}),
        lambda text: text.replace('"format": 1', '"format": 2'),
    ],
)
def test_a_damaged_description_is_made_again(kept, damage, missing, caplog):
    path = description_path(NAME, "imagenet")
    path.write_text(damage(path.read_text()))
    with pytest.raises(OptionError, match=r'need timm.*pip install "featx\[timm\]"'):
        Backbone.load(NAME)
    (record,) = caplog.records
    assert "is damaged" in record.getMessage()
    assert "\n" not in record.getMessage()


def test_a_network_that_is_not_kept_needs_the_library(about, missing):
    keep(about)
    images = pixels()
    with pytest.raises(OptionError, match=r'need timm.*pip install "featx\[timm\]"'):
        embed(images, NAME, cache=False)
    with pytest.raises(OptionError, match="networks of torchvision need torchvision"):
        Backbone.load("torchvision:resnet18")


def test_a_damaged_network_is_converted_again(kept, missing, caplog):
    (path,) = networks_folder().glob("*/network.bin")
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(OptionError, match="need timm"):
        embed(pixels(), NAME, cache=False)
    assert "is damaged; it is converted again" in caplog.text


def test_what_was_written_by_another_version_of_the_library_is_asked_for_again(about, fake_timm):
    keep(about)
    with pytest.raises(OptionError, match="timm cannot be imported"):
        Backbone.load(NAME)


def test_weights_of_a_file_count_as_long_as_the_file_is_the_same(about, tmp_path, missing):
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"weights")
    state = file.stat()
    kept = replace(about, weights=str(file), file=(state.st_size, state.st_mtime_ns))
    keep(kept)
    backbone = Backbone.load(NAME, file)
    assert (backbone.digest, backbone.weights.path) == (kept.digest, file)
    os.utime(file, ns=(0, state.st_mtime_ns + 1))
    with pytest.raises(OptionError, match="need timm"):
        Backbone.load(NAME, file)
    file.unlink()
    with pytest.raises(WeightsError, match=f"no weights at {file}: expected 'imagenet', 'random'"):
        Backbone.load(NAME, file)


def test_a_folder_stands_for_its_file_of_the_name(about, tmp_path, missing, monkeypatch):
    file = tmp_path / "small.safetensors"
    file.write_bytes(b"tensors")
    state = file.stat()
    keep(replace(about, weights=str(file), file=(state.st_size, state.st_mtime_ns)))
    for weights in (file, tmp_path):
        assert Backbone.load(NAME, weights).weights.path == file
    monkeypatch.setenv("FEATX_WEIGHTS", str(tmp_path))
    assert Backbone.load(NAME).weights.path == file
    words = f"no weights of timm:other in {tmp_path}: expected a file named other.safetensors or"
    with pytest.raises(WeightsError, match=words):
        Backbone.load("timm:other", tmp_path)


def test_random_weights_are_told_and_are_another_network(about, missing):
    keep(replace(about, weights="random", digest="e" * 64))
    with pytest.warns(UserWarning, match="the weights of timm:small are random"):
        assert Backbone.load(NAME, "random").digest == "e" * 64
    with pytest.raises(OptionError, match="need timm"):
        Backbone.load(NAME)


def test_a_torchvision_that_does_not_belong_to_torch_is_told_in_a_line(fake_timm):
    with pytest.raises(OptionError) as caught:
        Backbone.load("timm:resnet18")
    message = str(caught.value)
    assert "operator torchvision::nms does not exist" in message
    assert "install both anew from PyTorch's CPU index, see pytorch.org" in message
    assert "\n" not in message


def test_nothing_but_openvino_is_imported_for_a_network_that_is_kept(kept):
    code = f"""
import sys
from dataclasses import replace
import numpy as np
import featx
features = featx.embed(np.zeros((2, 32, 32, 3), np.uint8), {NAME!r}, cache=False)
assert features.X.shape == (2, 3)
print(sorted({{"torch", "timm", "torchvision", "tensorflow", "keras"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("shape", "classes"),
    [
        ((5, 8), 5),
        ((5, 8, 1, 1), 5),
        ((), None),
        ((5,), None),
        ((0, 8), None),
        ((1 << 30, 0), None),
    ],
)
def test_a_network_is_built_for_no_odd_number_of_classes(shape, classes):
    tensors = {"head.weight": np.empty(shape, np.float32), "other": np.empty(3)}
    assert classes_in(tensors, "head") == classes
    assert classes_in(tensors, "fc") is None
