"""Forks: what a child process does with the locks, engines and frameworks of its parent.

Threads do not outlive a fork, and locks that they held stay locked for ever. So locks are taken
before a fork or made anew in the child, and no process is forked while an engine is opened; a child
opens engines of its own, and never touches those of its parent.
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401  # its own lock is to be taken after `starting`
import ctypes
import os
import sys
import threading
from collections.abc import Callable

from featx.errors import ForkError


def in_child(action: Callable[[], None]) -> Callable[[], None]:
    """Let each forked child begin with an action, where processes can be forked."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=action)
    return action


def free_in_child(lock: threading.Lock | threading.RLock) -> None:
    """Let a process be forked only while no other thread has a lock, so that a child finds it free.

    Otherwise it could be locked there for ever.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )


#: Held by the one thread that imports a framework or opens an engine: frameworks are not made for
#: being imported, and networks not for being built, by several threads at once.
starting = threading.RLock()
free_in_child(starting)

_lost: list[str] = []  # backends of Keras that ran in the parent, and cannot run in this process
_unlimited = threading.Event()  # set in a child as long as its OpenMP would start many threads


def never_free(value: object) -> None:
    """Keep an object as long as the process lives, and beyond.

    Engines wait in their end for threads of theirs; in a forked child there are none.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(value))


def refuse_lost_backend() -> None:
    """Raise a `ForkError` in a child whose parent had run networks on Keras before the fork."""
    if _lost:
        raise ForkError(
            f"{_lost[0]} ran before this process was forked and cannot go on in it: start "
            'processes by "spawn", multiprocessing.get_context("spawn"), or fork them before '
            "the first picture is embedded"
        )


def limit_openmp() -> None:
    """Let OpenMP, with which some classifiers compute, start no threads in a forked child.

    GNU's waits there for those of the parent.
    """
    if _unlimited.is_set():
        import sklearn.neighbors  # noqa: F401  # loads the library
        from threadpoolctl import threadpool_limits

        threadpool_limits(1, user_api="openmp")
        _unlimited.clear()


in_child(_unlimited.set)


@in_child
def _note_lost_backend() -> None:
    """Note which backend has threads that this child lacks; merely imported, it has none yet."""
    begun = getattr(sys.modules.get("tensorflow.python.eager.context"), "context_safe", None)
    context = begun and begun()
    if context is not None and getattr(context, "_context_handle", None) is not None:
        _lost.append("TensorFlow")
    bridge = sys.modules.get("jax._src.xla_bridge")
    if getattr(bridge, "_backends", None):
        _lost.append("JAX")
