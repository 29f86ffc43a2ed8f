"""Waits with an end, which busy machines do not reach; a failure says what was waited for."""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable

SECONDS = 120


def until(holds: Callable[[], object], what: str) -> None:
    """Wait until something holds, which `what` says."""
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, f"not within {SECONDS} seconds: {what}"
        time.sleep(0.01)


def for_threads(*threads: threading.Thread) -> None:
    """Wait until threads have ended."""
    for each in threads:
        each.join(SECONDS)
        if each.is_alive():
            stack = "".join(traceback.format_stack(sys._current_frames()[each.ident]))
            raise AssertionError(f"not ended within {SECONDS} seconds: {each.name}, in\n{stack}")
