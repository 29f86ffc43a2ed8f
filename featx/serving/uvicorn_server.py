"""The server of uvicorn that carries a service: its settings, and its end by signals."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from featx.serving.connection import Connection
from featx.serving.limits import ServeLimits

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # of which a system has some
_HEAD_BYTES = 16_384  # of a request
_KEEP_ALIVE_S = 5  # for the next request of a connection
_PATIENCE_S = 10  # at the end, for what is under way


class Server(uvicorn.Server):
    """A server that signals end in order; `signals` are those that came, for whoever ran it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.signals: list[int] = []

    def stop(self) -> None:
        """Take no more requests, answer those that are under way, and end."""
        self.should_exit = True

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Let signals stop the server within the block, but for those that the process ignores."""
        before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for name in _SIGNALS:
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    before[number] = signal.signal(number, self.handle_exit)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop in order at the first signal, at once at the second."""
        self.force_exit = bool(self.signals)
        self.signals.append(sig)
        self.stop()


def server_of(app: Any, limits: ServeLimits) -> Server:
    """Make the server of an ASGI application."""
    return Server(
        uvicorn.Config(
            app,
            loop="asyncio",
            http=partial(Connection, limits),  # type: ignore[arg-type]
            ws="none",
            lifespan="on",
            interface="asgi3",
            log_config=None,
            log_level="critical",  # of bad requests it would warn by the thousand
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_PATIENCE_S,
            h11_max_incomplete_event_size=_HEAD_BYTES,
        )
    )
