"""Interrupts: Ctrl-C and the signal to terminate, which end a command in order."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType

_USUAL = (signal.SIG_DFL, signal.default_int_handler)
_PATIENCE_S = 3.0  # for what an interrupted command still writes and removes
_MOMENT_S = 0.05


class Interrupts:
    """A block that signals interrupt as Ctrl-C does: by a `KeyboardInterrupt`, once.

    What a command writes and removes when it is interrupted is not interrupted again by an
    impatient user, unless it takes long. Signals that the process ignores (`nohup`, `&` in a
    script) stay ignored. With `ends_process`, nothing interrupts it after the block.
    """

    def __init__(self, *, ends_process: bool) -> None:
        self.number = 0  # of the first signal
        self._ends_process = ends_process
        self._raised = -_PATIENCE_S  # when, in seconds of the clock
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    @property
    def terminated(self) -> bool:
        """Whether it was a signal to terminate, not Ctrl-C."""
        return self.number not in (0, signal.SIGINT)

    @property
    def status(self) -> int:
        """The status to end with, as shells have it."""
        return 128 + (self.number or signal.SIGINT)

    def __enter__(self) -> Interrupts:
        self._unraisable = sys.unraisablehook
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) in _USUAL:
                try:
                    self._before[number] = signal.signal(number, self._interrupt)
                except ValueError:  # not the main thread, which alone gets signals
                    break
        sys.unraisablehook = self._raise_later
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        sys.unraisablehook = self._unraisable
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_IGN if self._ends_process else handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        now = time.monotonic()
        if now - self._raised >= _PATIENCE_S:
            self._raised = now
            raise KeyboardInterrupt

    def _raise_later(self, unraisable: sys.UnraisableHookArgs) -> None:
        """Interrupt again where that came while nothing could be raised, such as in `__del__`."""
        if self.number and issubclass(unraisable.exc_type, KeyboardInterrupt):
            self._raised = -_PATIENCE_S
            again = threading.Timer(_MOMENT_S, _thread.interrupt_main, (self.number,))
            again.daemon = True
            again.start()
        else:
            self._unraisable(unraisable)
