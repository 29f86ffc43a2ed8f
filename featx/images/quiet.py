"""Quiet around decoding: what Pillow and its libraries print of damaged files."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache

from featx.forks import free_in_child

# Not the pattern that somebody else would write: it is taken out again by what it says.
_PILLOW = r"PIL\.\w+"
_LIBTIFF_HANDLERS = ("TIFFSetErrorHandler", "TIFFSetWarningHandler")

_lock = threading.Lock()
_inside = 0  # how many are in `quiet_pillow` now, in all threads
_undo = ExitStack()
free_in_child(_lock)


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keep what Pillow and libtiff say of damaged files off the screen.

    What matters in it is in the outcomes. Warnings, logging and libtiff belong to the whole
    process: the first to enter makes them quiet and the last to leave puts them back, in whatever
    order threads do so. A handler of logging that somebody has set up still gets its records.
    """
    global _inside
    with _lock:
        _inside += 1
        if _inside == 1:
            _silence()
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _undo.close()


def _silence() -> None:
    warnings.filterwarnings("ignore", module=_PILLOW)
    _undo.callback(_hear_warnings)
    # Records that no handler takes are printed by `logging.lastResort`.
    logger, handler = logging.getLogger("PIL"), logging.NullHandler()
    logger.addHandler(handler)
    _undo.callback(logger.removeHandler, handler)
    _silence_libtiff()


def _hear_warnings() -> None:
    """Take out the filter alone: others may have been set or taken back meanwhile."""
    for each in list(warnings.filters):
        if getattr(each[3], "pattern", None) == _PILLOW:
            warnings.filters.remove(each)  # type: ignore[attr-defined]


def _silence_libtiff() -> None:
    """Take away what prints libtiff's errors, where Pillow's own copy of it can be reached."""
    for setter in _libtiff_setters():
        _undo.callback(setter, setter(None))


@cache
def _libtiff_setters() -> list[Callable[[int | None], int | None]]:
    """Return the functions that set what prints libtiff's errors; empty where out of reach."""
    import ctypes

    from PIL import _imaging

    try:
        pillow = ctypes.CDLL(_imaging.__file__)  # it looks in the libraries of that, too
        setters = [getattr(pillow, name) for name in _LIBTIFF_HANDLERS]
    except (AttributeError, OSError, TypeError):  # built without it, or into Pillow
        return []
    for setter in setters:
        setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
    return setters
