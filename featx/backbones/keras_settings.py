"""Settings of Keras that featx builds, reads and runs networks with, whatever a user has set."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from featx.backbones.framework import import_keras
from featx.forks import in_child

# Those of a fresh Keras, which the networks of the table and their weights were made with.
_USUAL = {"floatx": "float32", "image_data_format": "channels_last", "epsilon": 1e-7}
_POLICY = "dtype_policy"


class _Pinned:
    """The settings that a user has, and how many blocks of all threads need the usual ones."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.blocks = 0
        self.found: dict[str, Any] = {}


_pinned = _Pinned()


@contextmanager
def usual_settings() -> Iterator[None]:
    """Let Keras have its usual settings in the block: float32, channels last.

    A layer takes its number format and the order of its axes from these settings where it is
    built. They belong to the whole process, so the first block of several threads sets them and
    the last gives back what a user had set. The policy of number formats belongs to the thread.
    """
    if "keras" not in sys.modules:
        import_keras()
    import keras  # without waiting for an engine that another thread opens
    from keras.src.backend.common import global_state  # alone tells a policy that was never set

    _enter(keras)
    policy = global_state.get_global_attribute(_POLICY)
    global_state.set_global_attribute(_POLICY, keras.DTypePolicy(_USUAL["floatx"]))
    try:
        yield
    finally:
        global_state.set_global_attribute(_POLICY, policy)
        _leave(keras)


def _enter(keras: Any) -> None:
    with _pinned.lock:
        if not _pinned.blocks:
            _pinned.found = {name: getattr(keras.config, name)() for name in _USUAL}
            _set(keras, _USUAL)
        _pinned.blocks += 1


def _leave(keras: Any) -> None:
    with _pinned.lock:
        _pinned.blocks -= 1
        if not _pinned.blocks:
            _set(keras, _pinned.found)


def _set(keras: Any, settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        getattr(keras.config, f"set_{name}")(value)


@in_child
def _start_anew() -> None:
    """Give back a user's settings in a forked child, which has none of the other threads."""
    global _pinned
    blocks, found = _pinned.blocks, _pinned.found
    _pinned = _Pinned()
    if blocks:
        _set(sys.modules["keras"], found)
