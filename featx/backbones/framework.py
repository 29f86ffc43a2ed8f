"""Keras, imported quietly: it starts TensorFlow, which takes seconds and prints on the way."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


def import_keras():
    """Import Keras and start its backend, without the lines that TensorFlow prints meanwhile.

    Whoever wants to see these lines sets TF_CPP_MIN_LOG_LEVEL, as TensorFlow's documentation says.
    """
    if "keras" in sys.modules:
        return sys.modules["keras"]
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        import keras

        return keras
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    with _silent_stderr():
        import keras

        keras.ops.zeros((1,))  # looks for devices, and complains where there is no GPU
    return keras


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Hold back what native code writes to the error stream, where that stream is a real one."""
    try:
        stream = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        yield
        return
    sys.stderr.flush()
    saved = os.dup(stream)
    try:
        with tempfile.TemporaryFile() as sink:
            os.dup2(sink.fileno(), stream)
            yield
    finally:
        os.dup2(saved, stream)
        os.close(saved)
