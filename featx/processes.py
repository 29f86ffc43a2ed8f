"""Processes that compute for this one.

Each is asked and answers through pipes of its own, so one that is killed is noticed at once, even
in the middle of an answer; a pool whose processes share a queue would wait for the rest of that
answer for ever. They run no script of the user's, do not hear of Ctrl-C, and end with this process.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

_T = TypeVar("_T")


def python_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of featx by the Python that runs this process.

    The folder in which it is called may hold a `numpy.py` of whoever made it: nothing is imported
    from there.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


def python_environment(**variables: str) -> dict[str, str]:
    """Return the environment of `python_command`: modules are found where this process does."""
    package = str(Path(__file__).parents[1])
    paths = os.pathsep.join([package, *filter(None, sys.path)])
    return {**os.environ, "PYTHONPATH": paths, **variables}


class Processes:
    """Processes that do what can be pickled, a piece of work at a time each.

    Each is started with its first piece of work, and anew with the next one after it has ended.
    `begin` is what it does first.
    """

    def __init__(self, n: int, begin: Callable[[], object]) -> None:
        self._n = n
        self._begin = begin
        self._lock = threading.Lock()
        self._closed = False
        self._all: set[_Process] = set()
        self._own = threading.local()  # the process of each thread
        self._threads = ThreadPoolExecutor(n, thread_name_prefix="featx-process")

    def start(self) -> list[Future[object]]:
        """Start the processes; each future is done once one of them is there."""
        return [self._threads.submit(self._do, int) for _ in range(self._n)]

    def submit(self, work: Callable[[], _T]) -> Future[_T]:
        """Let a process do something.

        The future raises what the work raised, a `ChildProcessError` where the process has ended,
        or an `OSError` where none could be started.
        """
        return self._threads.submit(self._do, work)

    def close(self) -> None:
        """End the processes, whatever they are at."""
        with self._lock:
            self._closed = True
            for each in self._all:
                each.kill()
        self._threads.shutdown(cancel_futures=True)
        for each in self._all:
            each.end()

    def _do(self, work: Callable[[], _T]) -> _T:
        process = getattr(self._own, "process", None) or self._started()
        try:
            return process.do(work)
        except ChildProcessError:
            self._own.process = None
            with self._lock:
                self._all.discard(process)
            raise

    def _started(self) -> _Process:
        with self._lock:
            if self._closed:
                raise ChildProcessError("no process is started any more")
            process = self._own.process = _Process()
            self._all.add(process)
        process.do(self._begin)
        return process


class _Process:
    """One process, and the pipes to it."""

    def __init__(self) -> None:
        with _uninterrupted():
            self._process = subprocess.Popen(
                python_command(__name__),
                env=python_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )

    def do(self, work: Callable[[], _T]) -> _T:
        """Let it do something, and return or raise what comes of it."""
        asked, answers = self._process.stdin, self._process.stdout
        assert asked
        assert answers
        data = pickle.dumps(work)
        try:
            asked.write(data)
            asked.flush()
            value: _T
            value, error = pickle.load(answers)
        except Exception as reason:  # such as the half of an answer
            raise ChildProcessError(f"it ended with status {self.end()}") from reason
        if error is not None:
            raise error
        return value

    def kill(self) -> None:
        """Let it end; whoever waits for its answer is told."""
        self._process.kill()

    def end(self) -> int:
        """Let it end, wait for that, and return how it did."""
        self.kill()
        with suppress(OSError):  # what it was not told any more
            self._process.__exit__(None, None, None)
        return self._process.wait()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let processes that are started here never hear of Ctrl-C: this one ends them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve() -> None:
    """Do what is asked until nobody asks any more."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what a library prints is no answer
    with suppress(EOFError, BrokenPipeError):
        while True:
            work = pickle.load(sys.stdin.buffer)
            answers.write(pickle.dumps(_answer(work)))
            answers.flush()


def _answer(work: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return work(), None
    except Exception as error:
        return None, error


if __name__ == "__main__":
    _serve()
