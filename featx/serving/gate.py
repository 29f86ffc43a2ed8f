"""The gate of a service: who may ask what, from where; headers and counts of every answer."""

from __future__ import annotations

import asyncio
import hmac
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from featx.errors import get_logger, one_line
from featx.serving.limits import RefusedRequestError
from featx.serving.metrics import Metrics

AWAITED = "featx.awaited"  # in the scope of a request that was told to come again later
LOOPBACK = ("localhost", "127.0.0.1", "::1")
OPEN = ("/", "/healthz", "/openapi.json")  # without the token: nothing of the model is in them
_OPEN_FOLDER = "/static/"
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]
_POLICY = (  # a page has its own
    b"content-security-policy",
    b"default-src 'none'; frame-ancestors 'none'",
)

_CLIENT_GONE = 499  # the status that it is counted by, as nginx does

log = get_logger(__name__)


@dataclass(frozen=True)
class Access:
    """Who may use a service.

    Parameters
    ----------
    token : str, optional
        What every request has to bring along, but for those of the page and of the health.
    hosts : tuple of str
        Names by which the service may be called, without a port, beside those of this machine. It
        may have any name where there is a token: a page that gets at the service under a name of
        its own (DNS rebinding) does not know that.
    origins : tuple of str
        Other sites whose pages may use the service, such as "https://example.com".
    """

    token: str | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def check(self, method: str, path: str, headers: dict[bytes, bytes]) -> None:
        """Raise a `RefusedRequestError` if a request may not be answered."""
        host = headers.get(b"host", b"").decode("latin-1")
        if self.token is None and _name_of(host) not in (*LOOPBACK, *self.hosts):
            raise RefusedRequestError(
                421, "the service is not known by this name: start it with --allow-host NAME"
            )
        origin = headers.get(b"origin")
        if origin is not None and method not in ("GET", "HEAD"):
            self._check_origin(origin.decode("latin-1"), host)
        if self.token is not None and not is_open(path):
            self._check_token(headers.get(b"authorization", b""))

    def _check_origin(self, origin: str, host: str) -> None:
        """Refuse what a page of another site sends: browsers send it without asking."""
        if origin not in self.origins and _place_of(origin) != host.lower():
            raise RefusedRequestError(
                403, "pages of other sites may not ask: start the service with --allow-origin URL"
            )

    def _check_token(self, given: bytes) -> None:
        scheme, _, token = given.partition(b" ")
        expected = (self.token or "").encode()
        if scheme.lower() != b"bearer" or not hmac.compare_digest(token.strip(), expected):
            raise RefusedRequestError(401, "expected the header Authorization: Bearer TOKEN")


def is_open(path: str) -> bool:
    """Whether a path is answered without a token."""
    return path in OPEN or path.startswith(_OPEN_FOLDER)


def _name_of(host: str) -> str:
    """Return the name in a Host header, without the port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _place_of(origin: str) -> str | None:
    """Return host and port in an Origin header; None where it is no address."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


class _ClientGoneError(Exception):
    """An answer cannot be sent: the client has ended the connection, or it was no HTTP."""


class Gate:
    """An ASGI application around that of a service: checks requests, and answers what they raise.

    `routes` are the paths to count requests by; others are counted together.
    """

    def __init__(
        self, app: ASGIApp, access: Access, metrics: Metrics, routes: Sequence[str]
    ) -> None:
        self._app = app
        self._access = access
        self._metrics = metrics
        self._routes = frozenset(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; other kinds of connections are those of the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _with_headers(message["headers"])
            try:
                await send(message)
            except Exception as error:
                raise _ClientGoneError from error

        self._metrics.in_flight += 1
        try:
            self._access.check(scope["method"], scope["path"], dict(scope["headers"]))
            await self._app(scope, receive, sent)
        except RefusedRequestError as refusal:
            scope[AWAITED] = refusal.retry_after is not None
            if not status:
                with suppress(_ClientGoneError):
                    await _refuse(refusal, sent)
        except _ClientGoneError:
            status = _CLIENT_GONE
        except asyncio.CancelledError:  # at the end of the service, of what takes too long
            if not status:
                with suppress(_ClientGoneError):
                    await _refuse(RefusedRequestError(503, "the service ends"), sent)
            raise
        except Exception as error:
            log.error("a request failed: %s: %s", type(error).__name__, one_line(error))
            log.debug("where it happened", exc_info=error)
            if not status:
                mistake = RefusedRequestError(500, "the service has made a mistake")
                with suppress(_ClientGoneError):
                    await _refuse(mistake, sent)
        finally:
            self._metrics.in_flight -= 1
            route = scope["path"] if scope["path"] in self._routes else "other"
            self._metrics.add_request(route, status, time.perf_counter() - start)


def _with_headers(headers: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Add what every answer says to browsers, unless it says that itself."""
    named = {name.lower() for name, _ in headers}
    added = [each for each in (*_HEADERS, _POLICY) if each[0] not in named]
    return [*headers, *added]


async def _refuse(refusal: RefusedRequestError, send: Any) -> None:
    """Answer with a reason, and in which time to come again."""
    body = json.dumps({"error": refusal.reason}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    if refusal.retry_after is not None:
        headers.append((b"retry-after", str(refusal.retry_after).encode()))
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if refusal.status in (408, 413):
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
