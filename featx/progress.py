"""Progress of long work on stderr: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from featx.forks import in_child
from featx.text import printable

if TYPE_CHECKING:
    from tqdm import tqdm

LINE_SECONDS = 10.0  # between two lines; in long work a tenth of its time so far


class Progress(AbstractContextManager[Any], Protocol):
    """Something that counts steps of work, within its block."""

    def update(self) -> Any:
        """Count a step."""
        ...

    def unpause(self) -> Any:
        """Begin to measure the time anew: what was before was no step."""
        ...


def progress_bar(name: str, total: int, unit: str, *, shown: bool) -> Progress:
    """Return a bar that appears after a second; lines after ten where stderr is no terminal.

    It stands beside `name` and counts to `total` in steps called `unit`, such as "images".
    """
    name = printable(name)
    if not shown or sys.stderr is None:
        return _Nothing()
    if not sys.stderr.isatty():
        return _Lines(name, total, unit)
    bar: Progress = _bar_class()(
        total=total, desc=name, unit=f" {unit}", delay=1, miniters=1, dynamic_ncols=True
    )
    return bar


class _Nothing:
    """Progress that is not shown."""

    def update(self) -> None:
        pass

    def unpause(self) -> None:
        pass

    def __enter__(self) -> _Nothing:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class _Lines(_Nothing):
    """Progress in lines, for log files."""

    def __init__(self, name: str, total: int, unit: str) -> None:
        self._name, self._total, self._unit = name, total, unit
        self._count = self._written = 0
        self._start = time.monotonic()
        self._next = self._start + LINE_SECONDS

    def update(self) -> None:
        self._count += 1
        now = time.monotonic()
        if now >= self._next:
            self._write()
            self._next = now + max(LINE_SECONDS, (now - self._start) / 10)

    def __exit__(self, *error: object) -> None:
        if self._written and self._written < self._count:
            self._write()

    def _write(self) -> None:
        self._written = self._count
        print(f"{self._name}: {self._count} of {self._total} {self._unit}", file=sys.stderr)


@lru_cache(maxsize=1)
def _bar_class() -> type[tqdm[Any]]:
    """Return tqdm with a lock of its own, and without its thread."""
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[misc]  # it says nothing of its types
        monitor_interval = 0

    Bar.set_lock(threading.RLock())
    return Bar


in_child(_bar_class.cache_clear)  # its lock may be held by a thread that the child lacks
