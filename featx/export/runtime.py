"""The runtime of each format: a file run where it is meant to run."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featx.backbones.framework import import_keras, import_openvino, imported, quiet_stderr

#: From pixels by the names of the inputs, each (n, size, size, 3) uint8, to probabilities,
#: (n, n_classes) float32.
Computed = Callable[[Mapping[str, np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Runtime:
    """What runs the files of a format.

    Attributes
    ----------
    name : str
        What people call it.
    package : str
        The module that is imported.
    opener : str
        What opens a file, "module:callable"; it gives a `Computed`.
    """

    name: str
    package: str
    opener: str

    def open(self, path: Path) -> Computed:
        """Open a file that was exported."""
        opened: Computed = imported(self.opener)(path)
        return opened


RUNTIMES = {
    "onnx": Runtime("ONNX Runtime", "onnxruntime", "featx.export.runtime:onnx_runtime"),
    "openvino": Runtime("OpenVINO", "openvino", "featx.export.runtime:openvino_runtime"),
    "litert": Runtime("LiteRT", "ai_edge_litert", "featx.export.runtime:litert_runtime"),
    "keras": Runtime("Keras", "keras", "featx.export.runtime:keras_runtime"),
}


def onnx_runtime(path: Path) -> Computed:
    """Open an ONNX file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda pixels: np.asarray(session.run(None, dict(pixels))[0])


def openvino_runtime(path: Path) -> Computed:
    """Open a file in OpenVINO's form, to compute in float32 what it does not in int8."""
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = import_openvino().Core().compile_model(path, "CPU", hints)
    return lambda pixels: np.array(compiled(dict(pixels))[0])


def litert_runtime(path: Path) -> Computed:
    """Open a LiteRT file."""
    with quiet_stderr():  # LiteRT names what it computes by
        interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter(str(path))
        interpreter.allocate_tensors()
    run = interpreter.get_signature_runner()
    return lambda pixels: np.asarray(next(iter(run(**pixels).values())))


def keras_runtime(path: Path) -> Computed:
    """Open a Keras file."""
    model = import_keras().saving.load_model(path)
    names = [each.name for each in model.inputs]

    def computed(pixels: Mapping[str, np.ndarray]) -> np.ndarray:
        taken = [pixels[name] for name in names]
        return np.asarray(model(taken if len(taken) > 1 else taken[0], training=False))

    return computed
