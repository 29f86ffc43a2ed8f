"""Connections of a service: few enough, and none that is slow keeps its place for long."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from featx.serving.gate import AWAITED
from featx.serving.limits import ServeLimits

_PAUSE_S = 0.5
_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Length: 0\r\n\r\n"
)


class Connection(H11Protocol):
    """A connection whose client has so much time for the head of a request, and to take an answer.

    The body is awaited by whoever reads it.
    """

    def __init__(self, limits: ServeLimits, **known: Any) -> None:
        super().__init__(**known)
        self._limits = limits
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request, unless there are too many connections."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            transport.write(_TOO_MANY)
            transport.close()
        else:
            self._hurry()

    def connection_lost(self, exc: Exception | None) -> None:
        """End what waits for the client."""
        self._relax()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the time for a request goes on until its head is whole."""
        super().data_received(data)
        left_over = self.conn.our_state is h11.DONE  # of a body that nobody wanted
        if self.conn.their_state is h11.IDLE or left_over:
            self._hurry()
        else:
            self._relax()

    def on_response_complete(self) -> None:
        """Go on to the next request, which waits where it comes in spite of a Retry-After."""
        super().on_response_complete()
        if self.scope.get(AWAITED) and not self.transport.is_closing():
            self.flow.pause_reading()
            self.loop.call_later(_PAUSE_S, self.flow.resume_reading)

    def pause_writing(self) -> None:
        """Begin to wait until the client takes what was written."""
        super().pause_writing()
        self._hurry()

    def resume_writing(self) -> None:
        """Go on writing."""
        super().resume_writing()
        self._relax()

    def timeout_keep_alive_handler(self) -> None:
        """End a connection on which nothing comes any more."""
        super().timeout_keep_alive_handler()
        self._hurry()

    def _hurry(self) -> None:
        """Give the client a last moment, unless it has one already."""
        if self._deadline is None:
            seconds = self._limits.receive_seconds
            self._deadline = self.loop.call_later(seconds, self.transport.abort)

    def _relax(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
