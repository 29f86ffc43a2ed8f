"""Keras, imported quietly: it loads TensorFlow, which takes seconds and prints on the way."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


def import_keras():
    """Import Keras without the lines that TensorFlow prints on the way."""
    if "keras" in sys.modules:
        return sys.modules["keras"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _silent_stderr():
        import keras
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
