"""What an exported file says of itself, read back without any runtime."""

from __future__ import annotations

import json
import zipfile
from contextlib import suppress
from dataclasses import replace

import pytest

from featx.errors import ModelFileError
from featx.export.metadata import ExportMetadata, attach, read_metadata
from featx.features.recipe import Recipe, RecipePart

RECIPE = Recipe((RecipePart.of("net", "ab" * 32, 32, resize="pad"),))
WRITTEN = ExportMetadata(
    ("é\u202e", 'a "b" <&>', "'c'"),
    RECIPE,
    ({"name": "net", "licence": "Apache-2.0"},),
    featx="0.1.0",
    date="2026-01-31",
    precision="float32",
    threshold=0.75,
)


def in_zip(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    return path


def in_xml(path):
    path.write_text('<?xml version="1.0"?>\n<net name="x">\n<layers />\n</net>\n')
    return path


def in_onnx(path):
    onnx = pytest.importorskip("onnx")
    graph = onnx.helper.make_graph([], "g", [], [])
    path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
    return path


def behind_litert(path):
    path.write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    return path


FILES = {".keras": in_zip, ".tflite": behind_litert, ".xml": in_xml, ".onnx": in_onnx}


@pytest.fixture(params=FILES)
def file(request, tmp_path):
    return FILES[request.param](tmp_path / f"net{request.param}")


def test_metadata_come_back_from_a_file(file):
    attach(file, WRITTEN)
    assert read_metadata(file) == WRITTEN
    assert read_metadata(file).recipe.fingerprint == RECIPE.fingerprint


@pytest.mark.parametrize("classes", [(1, 2), (False, True), ("a",)])
def test_classes_keep_their_type(file, classes):
    attach(file, replace(WRITTEN, classes=classes))
    assert repr(read_metadata(file).classes) == repr(classes)


def test_a_file_of_another_program_is_told(file):
    with pytest.raises(ModelFileError, match=r"is no file that `featx export` wrote"):
        read_metadata(file)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ModelFileError, match="no file"):
        read_metadata(tmp_path / "a.onnx")


def test_a_damaged_file_is_told(file):
    attach(file, WRITTEN)
    whole = file.read_bytes()
    for at in range(0, len(whole), 7):
        for damaged in (whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :], whole[:at]):
            file.write_bytes(damaged)
            with suppress(ModelFileError):
                assert read_metadata(file).recipe


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"classes": [{}]},
        {"classes": "ab"},
        {"weights": 1},
        {"threshold": "1"},
        {"recipe": {}},
        {"featx": 1},
    ],
)
def test_values_that_cannot_be_are_told(tmp_path, change):
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("featx.json", json.dumps({**WRITTEN.to_dict(), **change}))
    with pytest.raises(ModelFileError):
        read_metadata(path)


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("featx.json", b" " * (64 << 20))
    with pytest.raises(ModelFileError, match="too much"):
        read_metadata(path)
