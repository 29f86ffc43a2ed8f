"""Waits with an end, which busy machines do not reach; a failure says what was waited for."""

from __future__ import annotations

import faulthandler
import threading
import time
from collections.abc import Callable

SECONDS = 120


def until(holds: Callable[[], object], what: str) -> None:
    """Wait until something holds, which `what` says."""
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, f"not within {SECONDS} seconds: {what}"
        time.sleep(0.01)


def for_threads(*threads: threading.Thread) -> None:
    """Wait until threads have ended, and show where they are if they have not."""
    for each in threads:
        each.join(SECONDS)
        if each.is_alive():
            faulthandler.dump_traceback(file=2)  # which pytest shows with the failure
            raise AssertionError(f"not ended within {SECONDS} seconds: {each.name}")
