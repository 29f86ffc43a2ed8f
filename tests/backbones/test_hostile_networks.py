"""Damaged and hostile networks in files are refused in a line; `tests.fuzz_networks` tries more."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise

import fuzz_networks
import numpy as np
import onnx_networks
import pytest

import featx
from featx.backbones.backbone import Backbone
from featx.backbones.network import Cut
from featx.backbones.network_child import cut_file
from featx.errors import FeatxError, OptionError, WeightsError

onnx = pytest.importorskip("onnx")

WHOLE = onnx_networks.convolutional().SerializeToString()
LETTERS = "abcdefghijklmnopqrstuvwxyz"
ENTITIES = (f'<!ENTITY {name} "{f"&{before};" * 12}">' for before, name in pairwise(LETTERS))
BOMB = f'<!DOCTYPE net [<!ENTITY a "{"a" * 40}">{"".join(ENTITIES)}]><net>&z;</net>'


def changed(change) -> bytes:
    """Return the bytes of a network after a change of its model."""
    model = onnx_networks.convolutional()
    change(model.graph)
    return model.SerializeToString()


def in_another_file(location, **said):
    """Return a network whose first weights lie in a file."""

    def change(graph):
        weights = graph.initializer[0]
        size = len(weights.raw_data)
        weights.ClearField("raw_data")
        weights.data_location = 1
        entries = {"location": location, "offset": 0, "length": size, **said}
        for key, value in entries.items():
            weights.external_data.add(key=key, value=str(value))

    return changed(change)


def of_huge_dims(graph):
    graph.initializer[0].dims[0] = 2**40


def of_too_few_numbers(graph):
    graph.initializer[0].raw_data = b"1234"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"no network", "damaged one"),
        (b"\n" * 1000, "damaged one"),
        (WHOLE[: len(WHOLE) // 2], "cut off"),
        (b"\x3a" * 5000, "damaged one"),
        (b"\xff" * 100, "damaged one"),
        (b"\x08\x01" * 10, "it has no graph"),
        (changed(of_huge_dims), "a tensor of shape"),
        (changed(of_too_few_numbers), "4 bytes of a tensor instead of 864"),
        (in_another_file("/etc/passwd"), "not in its folder"),
        (in_another_file("../other.bin"), "not in its folder"),
        (in_another_file(""), "not in its folder"),
        (in_another_file("missing.bin"), "are not beside it"),
        (in_another_file("short.bin"), "are cut off"),
        (in_another_file("long.bin", offset=-1), "are cut off"),
        (in_another_file("long.bin", length=10**15), "are cut off"),
        (in_another_file("long.bin", offset="x"), "invalid literal"),
    ],
)
def test_a_file_that_is_no_network_or_reaches_out_is_refused_before_it_is_read(tmp_path, data, why):
    (tmp_path / "other.bin").write_bytes(bytes(10_000))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "short.bin").write_bytes(bytes(10))
    (folder / "long.bin").write_bytes(bytes(10_000))
    path = folder / "net.onnx"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=rf"net\.onnx is no network in ONNX.*{why}") as refused:
        Backbone.from_onnx(path, "torch")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no element found"),
        ("<html/>", "not net"),
        ("<net>", "damaged one"),
        ("<net/>", "no net.bin beside it"),
        (BOMB, "amplification"),
    ],
)
def test_an_xml_that_is_no_network_is_refused(tmp_path, text, why):
    path = tmp_path / "net.xml"
    path.write_text(text)
    with pytest.raises(WeightsError, match=f"is no network in OpenVINO's .xml.*{why}"):
        Backbone.from_openvino(path, "torch")


def test_weights_beside_a_file_are_read_and_are_part_of_its_digest(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(in_another_file("weights.bin"))
    weights = onnx_networks.convolutional().graph.initializer[0].raw_data
    (tmp_path / "weights.bin").write_bytes(weights)
    whole = onnx_networks.write(tmp_path / "whole.onnx", onnx_networks.convolutional())
    first = Backbone.from_onnx(path, "torch")
    outputs = [
        cut_file(each, Cut(), ("avg",), 32).outputs[0].get_partial_shape()
        for each in (first, Backbone.from_onnx(whole, "torch"))
    ]
    assert outputs[0] == outputs[1]
    (tmp_path / "weights.bin").write_bytes(weights[::-1])
    assert Backbone.from_onnx(path, "torch").digest != first.digest
    assert first.current().digest != first.digest
    with pytest.raises(WeightsError, match="was replaced by another file"):
        cut_file(first, Cut(), ("avg",), 32)


def cyclic(graph):
    graph.node[0].input[0] = graph.node[1].output[0]


def of_an_unknown_operation(graph):
    graph.node[1].op_type = "Unknown"
    graph.node[1].domain = "somebody"


def of_gigabytes(graph):
    numbers = onnx.helper.make_tensor("wanted", 7, [2], [10**6, 10**6])
    graph.initializer.append(numbers)
    graph.node[-1].output[0] = "few"
    graph.node.append(onnx.helper.make_node("Tile", ["few", "wanted"], ["logits"]))


@pytest.mark.parametrize("change", [cyclic, of_an_unknown_operation, of_gigabytes])
def test_a_network_that_cannot_be_run_is_refused_in_a_line(tmp_path, photos, change):
    path = tmp_path / "net.onnx"
    path.write_bytes(changed(change))
    with pytest.raises(FeatxError) as refused:
        featx.embed(photos, str(path), preprocess="torch", input_size=32, progress=False)
    assert "net.onnx" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_damaged_network_is_embedded_or_refused(tmp_path, number):
    found = fuzz_networks.outcome(fuzz_networks.mutated(fuzz_networks.seeds(), number), tmp_path)
    assert found == "embedded" or "network.onnx" in found


def test_a_folder_and_a_missing_file_are_told(tmp_path):
    (tmp_path / "folder.onnx").mkdir()
    for name in ("folder.onnx", "missing.onnx"):
        with pytest.raises(WeightsError, match=f"no network at .*{name}"):
            Backbone.from_onnx(tmp_path / name, "torch")
    (tmp_path / "net.pb").touch()
    with pytest.raises(OptionError, match=r"expected a file that ends in \.onnx or \.xml"):
        Backbone.from_onnx(tmp_path / "net.pb", "torch")


def test_neither_onnx_nor_tensorflow_nor_torch_is_imported(tmp_path):
    onnx_networks.write(tmp_path / "net.onnx", onnx_networks.transformer())
    (tmp_path / "photo.png").write_bytes(b"")
    code = """
import sys, featx, numpy as np
X = featx.embed(np.zeros((2, 40, 40, 3), np.uint8), "net.onnx", preprocess="torch", input_size=32).X
print(X.shape, sorted({"onnx", "onnxruntime", "tensorflow", "keras", "torch"} & sys.modules.keys()))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    printed = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed == "(2, 12) []\n"


def test_rows_are_the_same_whatever_goes_along(tmp_path):
    """A network exported for one picture at a time takes them one by one."""
    onnx_networks.write(tmp_path / "one.onnx", onnx_networks.convolutional(32, 1))
    pictures = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    options = {"preprocess": "torch", "progress": False, "cache": False}
    several = featx.embed(pictures, str(tmp_path / "one.onnx"), batch_size=4, **options).X
    alone = featx.embed(pictures[3:4], str(tmp_path / "one.onnx"), **options).X
    np.testing.assert_allclose(several[3:4], alone, rtol=1e-5)
