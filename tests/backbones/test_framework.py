"""Frameworks start without printing or reporting, in processes of their own as for a user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from featx.backbones import framework
from featx.backbones.framework import has_gpu, keras_backend

START = """
from featx.backbones.framework import import_keras
keras = import_keras()
network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
print(network.predict_on_batch(keras.ops.ones((1, 4))).shape)
"""

IMPORT = """
import sys
from featx.backbones.framework import import_openvino
openvino = import_openvino()
assert import_openvino() is openvino
print(sorted(name for name in sys.modules if "telemetry" in name and "." not in name))
print("CPU" in openvino.Core().available_devices)
"""

CONVERT = """
from featx.backbones.framework import import_keras, import_openvino
keras = import_keras()
pixels = keras.Input((8, 8, 3))
model = keras.Model(pixels, keras.layers.Conv2D(2, 3)(pixels))
network = import_openvino().convert_model(model)
print(network.output(0).partial_shape)
"""


def run(code, **variables):
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment | variables
    )


@pytest.mark.keras
def test_starting_keras_prints_nothing_on_stderr():
    ended = run(START)
    assert ended.stdout == "(1, 2)\n", ended.stdout
    assert ended.stderr == ""


def test_openvino_works_without_the_package_that_reports_its_use():
    ended = run(IMPORT)
    assert ended.stdout == "[]\nTrue\n", ended.stdout + ended.stderr
    assert ended.stderr == ""


@pytest.mark.keras
def test_a_conversion_leaves_nothing_in_the_users_home(tmp_path):
    """The reports' first step is an identity of the user, in a folder named intel."""
    ended = run(CONVERT, HOME=str(tmp_path), USERPROFILE=str(tmp_path))
    assert "2" in ended.stdout, ended.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name.strip(".") == "intel"] == []


# -- What Keras runs on --------------------------------------------------------------------------


@pytest.fixture
def not_imported(monkeypatch):
    """Let Keras count as not imported, and no backend as chosen."""
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)


@pytest.fixture
def settings(not_imported, tmp_path, monkeypatch):
    """Keras's file of settings."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path / "keras.json"


@pytest.mark.usefixtures("settings")
def test_keras_runs_on_tensorflow_where_nothing_else_is_chosen():
    assert keras_backend() == "tensorflow"


@pytest.mark.parametrize("backend", ["jax", "torch", "tensorflow"])
def test_the_backend_is_that_of_keras_settings(backend, settings):
    settings.write_text(json.dumps({"floatx": "float32", "backend": backend}))
    assert keras_backend() == backend


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '{"floatx": "float32"}'])
def test_settings_of_keras_that_name_no_backend_mean_tensorflow(text, settings):
    settings.write_text(text)
    assert keras_backend() == "tensorflow"


def test_the_environment_wins_over_the_settings_of_keras(settings, monkeypatch):
    settings.write_text(json.dumps({"backend": "jax"}))
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert keras_backend() == "torch"


def test_an_imported_keras_says_itself_what_it_runs_on(monkeypatch):
    keras = SimpleNamespace(config=SimpleNamespace(backend=lambda: "jax"))
    monkeypatch.setitem(sys.modules, "keras", keras)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert keras_backend() == "jax"


def test_there_is_no_gpu_where_no_driver_is_loaded(tmp_path, monkeypatch):
    def imported():
        raise AssertionError("Keras was imported to look for a GPU")

    monkeypatch.setattr(framework, "GPU_DEVICES", (str(tmp_path / "nvidia0"),))
    monkeypatch.setattr(framework, "import_keras", imported)
    assert has_gpu() is False


@pytest.mark.parametrize(
    ("backend", "module", "double", "expected"),
    [
        ("jax", "jax", {"default_backend": lambda: "gpu"}, True),
        ("jax", "jax", {"default_backend": lambda: "cpu"}, False),
        ("torch", "torch", {"cuda": SimpleNamespace(is_available=lambda: True)}, True),
        ("torch", "torch", {"cuda": SimpleNamespace(is_available=lambda: False)}, False),
        (
            "tensorflow",
            "tensorflow",
            {"config": SimpleNamespace(list_physical_devices=lambda kind: [kind])},
            True,
        ),
        (
            "tensorflow",
            "tensorflow",
            {"config": SimpleNamespace(list_physical_devices=lambda _: [])},
            False,
        ),
    ],
)
def test_where_a_driver_is_loaded_the_backend_of_keras_is_asked(
    backend, module, double, expected, tmp_path, monkeypatch
):
    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(framework, "GPU_DEVICES", (str(tmp_path / "nvidia0"),))
    monkeypatch.setattr(framework, "import_keras", lambda: None)
    monkeypatch.setattr(framework, "keras_backend", lambda: backend)
    monkeypatch.setitem(sys.modules, module, SimpleNamespace(**double))
    assert has_gpu() is expected
