"""`featx export`."""

from __future__ import annotations

import subprocess
import sys

import fakes
import pytest

import featx

pytestmark = [pytest.mark.keras, pytest.mark.filterwarnings("ignore:the weights of")]


@pytest.fixture(scope="module")
def real_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    photos, path = fakes.draw_folder(folder / "photos"), folder / "m.featx"
    options = {"weights": "random", "input_size": 32, "cache": folder / "cache"}
    featx.train(photos, backbone="mobilenet", layer="conv_pw_1", **options).save(path)
    return path


def test_export_prints_what_was_written_and_a_program_that_uses_it(featx_run, real_model, tmp_path):
    out = tmp_path / "m.xml"
    lines = featx_run("export", real_model, "--to", "openvino", "--out", out).out.splitlines()
    assert lines[0].startswith(f"OpenVINO file {out} and {out.with_suffix('.bin')}: ")
    assert lines[0].endswith("B, 3 classes, float32")
    assert lines[1].startswith("probabilities differ from featx by ")
    assert lines[1].endswith(" at most, on 8 drawn pictures")
    assert lines[3] == "A program that labels photo.jpg with it, without featx:"
    program = lines[5:-1]
    compile("\n".join(program), "program", "exec")
    assert any(f"{str(out)!r}" in line for line in program)
    assert lines[-1] == f"wrote {out}"


def test_export_gives_one_json_document(featx_run, real_model, tmp_path):
    out = tmp_path / "m.keras"
    said = featx_run("export", real_model, "--out", out, "--json").json
    assert said["format"] == "keras"
    assert said["size"] == out.stat().st_size
    assert said["difference"] < 1e-3
    assert said["metadata"]["classes"] == ["blue", "green", "red"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--out", "m.pt"], "expected a name that ends in .onnx, .xml, .tflite, .keras"),
        (["--out", "m.onnx", "--to", "keras"], "expected a name that ends in .keras for keras"),
        (["--out", "m.xml", "--quantize"], "--calibrate FOLDER"),
        ([], "Missing option '--out'"),
    ],
)
def test_a_mistake_is_one_line(featx_ends, real_model, tmp_path, monkeypatch, words, line):
    monkeypatch.chdir(tmp_path)
    ended = featx_ends("export", real_model, *words)
    assert ended.status == 2
    assert ended.out == ""
    assert line in ended.err
    assert len(ended.err.splitlines()) == 1


def test_export_to_litert_leaves_the_screen_alone(real_model, tmp_path, monkeypatch):
    """In a process of its own, since TensorFlow speaks when it is imported."""
    pytest.importorskip("ai_edge_litert")
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    photos = fakes.draw_folder(tmp_path / "photos", each=14)
    words = ["export", real_model, "--out", tmp_path / "m.tflite", "--quantize", "-q"]
    command = [sys.executable, "-m", "featx", *words, "--calibrate", photos]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
