"""Tests that hang: each is ended with the stacks of all threads, and the others go on."""

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Iterator

import pytest

SECONDS = pytest.StashKey[float]()
STDERR = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the limit be set: ``-o hang_seconds=20``."""
    parser.addini("hang_seconds", "after how long a test hangs, if it is not slow", default="300")


def pytest_configure(config: pytest.Config) -> None:
    """Remember where stderr goes while nothing is captured."""
    config.stash[SECONDS] = float(config.getini("hang_seconds"))
    config.stash[STDERR] = os.dup(2)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def ended(item: pytest.Item) -> Iterator[None]:
    """Let a test, or what sets it up or tears it down, fail when it hangs.

    What waits while it is being ended, as a pool does for its workers, is ended likewise. Compiled
    code lets nothing be raised: then the process ends, and with it the run.
    """
    seconds = item.config.stash[SECONDS]
    if item.get_closest_marker("slow"):
        return (yield)

    def fail(*_: object) -> None:
        faulthandler.dump_traceback(file=2)  # which pytest shows with the failure
        pytest.fail(f"not done after {seconds:g} seconds")

    faulthandler.dump_traceback_later(2 * seconds, exit=True, file=item.config.stash[STDERR])
    before = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds / 10)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()


pytest_runtest_setup = pytest_runtest_call = pytest_runtest_teardown = ended


def pytest_enter_pdb() -> None:
    """Give whoever looks for a mistake all the time there is; pytest does so for the stacks."""
    signal.setitimer(signal.ITIMER_REAL, 0)
