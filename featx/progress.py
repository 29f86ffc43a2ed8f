"""Progress of long work on stderr: a bar on a terminal or in a notebook, else a line at its end."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from featx.forks import in_child
from featx.text import printable

if TYPE_CHECKING:
    from tqdm import tqdm

LINE_SECONDS = 10.0  # of work that is worth a line in a log
WAIT_SECONDS = 2.0  # of waiting at a terminal before it is said what for
FIRST_SECONDS = 60.0  # until a line before the end; the next ones whenever the time has doubled
_TICK = 0.2  # seconds between two looks at the clock
_OF_TIME = "{desc} {percentage:3.0f}%|{bar}| {n_fmt} of {total_fmt} s"


class Progress(AbstractContextManager[Any], Protocol):
    """Something that counts steps of work, within its block."""

    def update(self) -> Any:
        """Count a step."""
        ...

    def rename(self, name: str) -> Any:
        """Put another name beside it, of what is done now."""
        ...

    def unpause(self) -> Any:
        """Begin to measure the time anew: what was before was no step."""
        ...


def progress_bar(name: str, total: int, unit: str, *, shown: bool, **look: Any) -> Progress:
    """Return a bar that appears after a second; in a log file it is a line at the end.

    Work of more than a minute has a few lines on the way, too, and such of less than ten seconds
    none.

    It stands beside `name` and counts to `total` in steps called `unit`, such as "images". `look`
    goes to tqdm, which draws it.
    """
    name = printable(name)
    if not shown or sys.stderr is None:
        return _Nothing()
    if not _is_watched(sys.stderr):
        return _Lines(name, total, unit)
    look = {"delay": 1, "miniters": 1, "dynamic_ncols": True} | look
    bar: Progress = _bar_class()(total=total, desc=name, unit=f" {unit}", **look)
    return bar


@contextmanager
def time_bar(name: str, seconds: float, *, shown: bool) -> Iterator[Callable[[str], None]]:
    """Show how much of a time has passed, as one bar for work of many steps.

    Yields a function that takes the name of the step at hand, which then stands beside the bar.
    """
    total, over = math.ceil(seconds), threading.Event()
    with progress_bar(name, total, "s", shown=shown, bar_format=_OF_TIME, leave=False) as bar:

        def tick() -> None:
            start, passed = time.monotonic(), 0
            while not over.wait(_TICK):
                while passed < min(int(time.monotonic() - start), total):
                    bar.update()
                    passed += 1

        clock = threading.Thread(target=tick, name="featx-clock", daemon=True)
        if shown:
            clock.start()
        try:
            yield lambda step: bar.rename(printable(f"{name}, {step}"))
        finally:
            over.set()
            if shown:
                clock.join()


@contextmanager
def waiting(reason: str, *, shown: bool) -> Iterator[None]:
    """Say in a line what is waited for, once that takes seconds; in a log file a little later."""
    if not shown or sys.stderr is None:
        yield
        return
    patience = WAIT_SECONDS if _is_watched(sys.stderr) else LINE_SECONDS
    timer = threading.Timer(patience, _say, [printable(reason), sys.stderr])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _is_watched(stream: TextIO) -> bool:
    """Whether somebody looks on: at a terminal, or in a notebook, which goes back in a line too."""
    return stream.isatty() or type(stream).__module__.startswith("ipykernel")


def _say(line: str, stream: TextIO) -> None:
    _bar_class().write(line, stream)  # above the bars that are there
    stream.flush()


class _Nothing:
    """Progress that is not shown."""

    def update(self) -> None:
        pass

    def rename(self, name: str) -> None:
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
        self._next = FIRST_SECONDS

    def update(self) -> None:
        self._count += 1
        seconds = time.monotonic() - self._start
        if seconds >= self._next:
            self._write(seconds)
            self._next = 2 * seconds

    def rename(self, name: str) -> None:
        self._name = name

    def __exit__(self, *error: object) -> None:
        seconds = time.monotonic() - self._start
        if self._written < self._count and seconds >= LINE_SECONDS:
            self._write(seconds)

    def _write(self, seconds: float) -> None:
        self._written = self._count
        done = f"{self._count:,} of {self._total:,} {self._unit}"
        took = "" if self._unit == "s" else f", in {seconds:.0f} s"
        print(f"{self._name}: {done}{took}", file=sys.stderr)


@lru_cache(maxsize=1)
def _bar_class() -> type[tqdm[Any]]:
    """Return tqdm with a lock of its own, and without its thread."""
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[misc]  # it says nothing of its types
        monitor_interval = 0

        def rename(self, name: str) -> None:
            self.set_description(name, refresh=False)  # not before its time

    Bar.set_lock(threading.RLock())
    return Bar


in_child(_bar_class.cache_clear)  # its lock may be held by a thread that the child lacks
