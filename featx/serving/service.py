"""The service: an ASGI application that answers what a model says of pictures."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Unpack

from starlette.applications import Starlette
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from featx.features.options import EngineOptions
from featx.features.session import Session
from featx.images.quiet import quiet_pillow
from featx.models.model import ImageClassifier
from featx.serving import metrics
from featx.serving.answers import Answerer
from featx.serving.body import Bodies, is_form, pictures_in
from featx.serving.collect import STATUSES, Collection, CorrectionError
from featx.serving.extras import extras_of
from featx.serving.gate import Access, Gate
from featx.serving.limits import RefusedRequestError, ServeLimits
from featx.serving.openapi import document_of
from featx.serving.page import PageSettings, page_routes
from featx.serving.queue import Extra, Queue, Wish

_PIXEL = b"P6 1 1 255\n\x7f\x7f\x7f"  # a picture to warm up with
_LARGE_FORM = 1_000_000  # bytes from which up a form is taken apart in a thread
_DEFAULT_TOP = 5


class Json(Response):
    """An answer in JSON, of ASCII alone, so that any name of a class can be in it."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Write plain values."""
        return json.dumps(content, allow_nan=False).encode()


class Service:
    """A model that is served, from its warming up to its end.

    Attributes
    ----------
    model : ImageClassifier
        The model.
    session : Session or None
        Its networks, once they are open.
    queue : Queue or None
        Where pictures are answered, once the networks are warm.
    metrics : Metrics
        What it has done.
    limits : ServeLimits
        What requests may take.
    """

    def __init__(
        self,
        model: ImageClassifier,
        limits: ServeLimits,
        options: EngineOptions,
        ended: Callable[[Exception | None], object],
        collection: Collection | None = None,
    ) -> None:
        self.model = model
        self.limits = limits
        self.metrics = metrics.Metrics()
        self.metrics.queued = lambda: 0 if self.queue is None else self.queue.size
        self.session: Session | None = None
        self.queue: Queue | None = None
        self._answerer = Answerer(model)
        self._extras: dict[str, Extra] = {}
        self._options = options
        self._ended = ended
        self._bodies = Bodies(limits)
        self._collection = collection

    # From warming up to the end ----------------------------------------------------------------

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Open the networks while the first requests are told to wait; end them with the block."""
        opening = asyncio.create_task(self._open())
        with quiet_pillow():
            try:
                yield
            finally:
                await opening
                if self.queue is not None and self.session is not None:
                    await asyncio.to_thread(self.queue.close)
                    await asyncio.to_thread(self.session.close)

    async def _open(self) -> None:
        """Make the service ready, and say so, or why it cannot be."""
        try:
            session = await asyncio.to_thread(self._warm_session)
        except Exception as error:
            self._ended(error)
            return
        self.session = session
        self._extras = {each.name: each for each in extras_of(self.model, session)}
        self.queue = Queue(self._answerer, session, self.limits, self.metrics)
        self._ended(None)

    def _warm_session(self) -> Session:
        """Open the networks, and let one picture go all the way."""
        session = self.model.session(**self._options)
        picture, _ = session.decode(_PIXEL)
        assert picture is not None
        self._answerer.answers(session.features([picture]), [1])
        return session

    # Routes ------------------------------------------------------------------------------------

    async def predict(self, request: Request) -> Response:
        """Answer the pictures of a request, a row each."""
        queue = self._ready_queue()
        wish = self._wish(request.query_params)
        queue.check_room()
        content_type = request.headers.get("content-type", "")
        async with self._bodies.received(request) as body:
            if is_form(content_type) and len(body) > _LARGE_FORM:
                pictures = await asyncio.to_thread(pictures_in, body, content_type, self.limits)
            else:
                pictures = pictures_in(body, content_type, self.limits)
            answers = await queue.answers(pictures, wish)
        reasons = [each["reason"] for each in answers if each["outcome"] == "failed"]
        if len(reasons) < len(answers):
            return Json({"predictions": answers})
        return Json({"predictions": answers, "error": reasons[0]}, 422)

    def _ready_queue(self) -> Queue:
        if self.queue is None:
            raise RefusedRequestError(503, "the network is being opened", retry_after=2)
        return self.queue

    def _wish(self, parameters: QueryParams) -> Wish:
        """Read what is asked for, such as ?top=3."""
        top, extras = _DEFAULT_TOP, []
        for name, text in parameters.multi_items():
            if name == "top":
                top = _whole_number(name, text, len(self.model.classes))
            elif name in self._extras:
                extras.append((self._extras[name], _parsed(self._extras[name], text)))
            else:
                known = ", ".join(("top", *self._extras))
                raise RefusedRequestError(400, f"a parameter is unknown: expected {known}")
        return Wish(top, tuple(extras))

    async def about(self, request: Request) -> Response:
        """Say what the model is."""
        return Json(about_model(self.model))

    async def health(self, request: Request) -> Response:
        """Say whether the service is ready."""
        if self.queue is None:
            return Json({"status": "starting"}, 503, {"retry-after": "2"})
        return Json({"status": "ready"})

    async def counts(self, request: Request) -> Response:
        """Say what the service has done, as Prometheus reads it."""
        return Response(str(self.metrics), media_type=metrics.CONTENT_TYPE)

    async def description(self, request: Request) -> Response:
        """Describe the service itself, as OpenAPI has it."""
        return Json(
            document_of(
                self._answerer.columns,
                has_examples=self.model.examples is not None,
                collects=self._collection is not None,
            )
        )

    async def correct(self, request: Request) -> Response:
        """Keep a picture with its right class."""
        assert self._collection is not None
        label, predicted = (request.query_params.get(key, "") for key in ("label", "predicted"))
        async with self._bodies.received(request) as body:
            pictures = pictures_in(body, request.headers.get("content-type", ""), self.limits)
            if len(pictures) > 1:
                raise RefusedRequestError(400, "several pictures: expected one for a correction")
            try:
                kept = await asyncio.to_thread(
                    self._collection.add, pictures[0], label, predicted, self.limits.pixels
                )
            except CorrectionError as error:
                return Json({"error": str(error), "code": error.code}, STATUSES[error.code])
        return Json({"label": kept.label, "replaced": kept.replaced})

    @property
    def routes(self) -> list[Route]:
        """The paths, and what answers them."""
        settings = PageSettings(
            collects=self._collection is not None,
            shows_nearest=self.model.examples is not None,
            most_bytes=self.limits.picture_bytes,
        )
        correcting = Route("/corrections", self.correct, methods=["POST"])
        return [
            *page_routes(settings),
            *([correcting] if settings.collects else []),
            Route("/predict", self.predict, methods=["POST"]),
            Route("/model", self.about),
            Route("/healthz", self.health),
            Route("/metrics", self.counts),
            Route("/openapi.json", self.description),
        ]


def application(
    model: ImageClassifier,
    *,
    access: Access | None = None,
    limits: ServeLimits | None = None,
    ended: Callable[[Exception | None], object] = lambda error: None,
    collection: Collection | None = None,
    **options: Unpack[EngineOptions],
) -> Starlette:
    """Make the ASGI application of a model.

    Parameters
    ----------
    model : ImageClassifier
        The model.
    access : Access, optional
        Who may use it; without one whoever is on this machine.
    limits : ServeLimits, optional
        What requests may take.
    ended : callable, optional
        Called when warming up has ended, with None or the error that it ended in.
    collection : Collection, optional
        Where corrections are kept; without one the page offers none.
    **options
        `engine`, `cache` and `batch_size`, as for `embed`.
    """
    access = access or Access()
    service = Service(model, limits or ServeLimits(), options, ended, collection)
    routes = service.routes
    paths = [each.path for each in routes]
    layers = [Middleware(Gate, access=access, metrics=service.metrics, routes=paths)]
    if access.origins:
        pages = Middleware(
            CORSMiddleware,
            allow_origins=access.origins,
            allow_methods=["GET", "POST"],
            allow_headers=["Authorization"],
        )
        layers.insert(0, pages)
    app = Starlette(
        routes=routes,
        middleware=layers,
        exception_handlers={HTTPException: _no_such_thing},
        lifespan=service.lifespan,
    )
    app.router.redirect_slashes = False  # a path that is unknown is nothing else
    app.state.service = service
    return app


def about_model(model: ImageClassifier) -> dict[str, Any]:
    """Return what a client should know of a model, as plain values: no path of this machine."""
    return {
        "classes": list(model.classes),
        "recipe": str(model.recipe),
        "rejects": model.rejection is not None,
        "knows_familiarity": model.familiarity is not None,
        "card": model.card.to_dict(),
    }


def _no_such_thing(request: Request, error: Exception) -> Response:
    """Answer to what Starlette refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    return Json({"error": error.detail}, error.status_code, error.headers)


def _parsed(extra: Extra, text: str) -> Any:
    try:
        return extra.parse(text)
    except ValueError as error:
        raise RefusedRequestError(400, f"{extra.name}: {error}") from error


def _whole_number(name: str, text: str, most: int) -> int:
    number = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0
    if number < 1:
        raise RefusedRequestError(400, f"{name}: expected a whole number from 1")
    return min(number, most)
