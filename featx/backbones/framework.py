"""The frameworks below the engines, imported when needed, and quietly."""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from featx.forks import refuse_lost_backend, starting

GPU_DEVICES = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def imported(place: str) -> Any:
    """Import what a row of a table names: "module:callable"."""
    module, name = place.split(":")
    return getattr(importlib.import_module(module), name)


def import_keras() -> Any:
    """Import Keras and start its backend, without what TensorFlow prints in these seconds.

    Whoever wants to see these lines sets TF_CPP_MIN_LOG_LEVEL, as TensorFlow's documentation says.
    Raises `ForkError` in a forked child whose parent had started the backend.
    """
    refuse_lost_backend()
    with starting:
        if "keras" in sys.modules or "TF_CPP_MIN_LOG_LEVEL" in os.environ:
            import keras

            return keras
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
        with quiet_stderr():
            import keras

            keras.ops.zeros((1,))  # looks for devices, and complains where there is no GPU
        return keras


def import_openvino() -> Any:
    """Import OpenVINO, without the report of its use that it would send to its makers."""
    with starting:
        with without_reports():
            import openvino
        return openvino


@contextmanager
def without_reports() -> Iterator[None]:
    """Keep libraries of OpenVINO that are imported in the block from reports to their makers."""
    reporter = "openvino_telemetry"
    known = reporter in sys.modules
    if not known:
        sys.modules[reporter] = None  # type: ignore[assignment]  # "there is no such module"
    try:
        yield
    finally:
        if not known:
            del sys.modules[reporter]


def keras_backend() -> str:
    """Return what Keras runs on, or would once imported: "tensorflow", "jax", "torch", ..."""
    if "keras" in sys.modules:
        import keras  # waits where another thread has only begun to

        return str(keras.config.backend())
    if chosen := os.environ.get("KERAS_BACKEND"):
        return chosen
    home = Path(os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras"))
    try:
        return str(json.loads((home / "keras.json").read_text())["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow"


def has_gpu() -> bool:
    """Whether Keras would run on a GPU; frameworks are asked only where a driver is loaded."""
    if not any(Path(device).exists() for device in GPU_DEVICES):
        return False
    import_keras()
    backend = keras_backend()
    if backend == "jax":
        import jax

        return bool(jax.default_backend() == "gpu")
    if backend == "torch":
        import torch

        return bool(torch.cuda.is_available())
    import tensorflow

    return bool(tensorflow.config.list_physical_devices("GPU"))


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what native code writes to the error stream, where that stream is a real one.

    That is the one which the process began with: in a notebook `sys.stderr` is another.
    """
    if sys.__stderr__ is None:
        yield
        return
    try:
        stream = sys.__stderr__.fileno()
    except (OSError, ValueError):
        yield
        return
    sys.__stderr__.flush()
    saved = os.dup(stream)
    try:
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), stream)
            yield
    finally:
        os.dup2(saved, stream)
        os.close(saved)
