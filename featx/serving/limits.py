"""Limits of a service, and the refusals of requests that go beyond them."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from featx.errors import OptionError


@dataclass(frozen=True)
class ServeLimits:
    """What one request, and all of them together, may take of a service.

    Parameters
    ----------
    picture_bytes : int
        Bytes of a picture's file.
    request_bytes : int
        Bytes of a request.
    pictures : int
        Pictures of a request.
    pixels : int
        Pixels of a picture, told from its header before it is decoded.
    queue : int
        Pictures of all clients that wait or are worked on. Who comes then is told to come again.
    memory_bytes : int
        Bytes of the requests that are being received and worked on, all together.
    connections : int
        Connections that are open at once.
    receive_seconds : float
        Time to receive a request in.
    answer_seconds : float
        Time from then to the answer.
    """

    picture_bytes: int = 20_000_000
    request_bytes: int = 64_000_000
    pictures: int = 32
    pixels: int = 100_000_000
    queue: int = 64
    memory_bytes: int = 256_000_000
    connections: int = 500
    receive_seconds: float = 30.0
    answer_seconds: float = 30.0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            whole = each.name.endswith("_seconds") or isinstance(value, int)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not whole or not 0 < value < math.inf:
                kind = "seconds" if each.name.endswith("_seconds") else "a whole number"
                raise OptionError(f"{each.name} {value!r}: expected {kind} above 0")


class RefusedRequestError(Exception):
    """A request is refused; the message is the reason, in one line.

    Parameters
    ----------
    status : int
        The status of the answer.
    reason : str
        What was got, what was expected.
    retry_after : int, optional
        The seconds after which the client may come again.
    """

    def __init__(self, status: int, reason: str, *, retry_after: int | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after
