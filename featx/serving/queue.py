"""The queue of a service: pictures of all clients, decoded in threads and predicted in batches."""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from featx.errors import get_logger, one_line
from featx.features.matrix import Features
from featx.features.session import Picture, Session
from featx.images.decode import picture_size
from featx.serving.answers import Answer, Answerer, outcome_of
from featx.serving.limits import RefusedRequestError, ServeLimits
from featx.serving.metrics import Metrics

_BATCHES = 2  # for each stream of an engine at a time; with more, cores wait for the answers
_MOST_TOGETHER = 32  # pictures
_PREDICTORS = 2  # threads: one writes answers while the other one's pictures are in the network

log = get_logger(__name__)


@dataclass(frozen=True)
class Predicted:
    """A picture that was predicted, for whatever is to be added to its answer."""

    picture: Picture
    features: Features  # of one row
    answer: Answer


@dataclass(frozen=True)
class Extra:
    """Something that a client may ask for beside the prediction of a picture.

    Parameters
    ----------
    name : str
        The parameter of the request, such as "explain" in `?explain=1`.
    parse : callable
        Makes a value of the text of that parameter; a `ValueError` says what was expected.
    of : callable
        Given a `Predicted` picture and that value, returns what is added to the answer, by name:
        plain values. One picture at a time, in a thread of its own.
    """

    name: str
    parse: Callable[[str], Any]
    of: Callable[[Predicted, Any], Mapping[str, Any]]


@dataclass(frozen=True)
class Wish:
    """What a request asks for, of each of its pictures."""

    top: int = 5  # classes to name
    extras: tuple[tuple[Extra, Any], ...] = ()


@dataclass(eq=False)
class _Ticket:
    """A picture in the queue."""

    data: bytes
    wish: Wish
    answered: asyncio.Future[Answer]
    picture: Picture | None = field(default=None, init=False)

    @property
    def unwanted(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.answered.done()


class Queue:
    """Answers pictures, those of all clients in common batches.

    No more than `limits.queue` pictures are in it. Nothing is kept of any of them.
    """

    def __init__(
        self, answerer: Answerer, session: Session, limits: ServeLimits, metrics: Metrics
    ) -> None:
        self.size = 0  # pictures; changed in the thread of the event loop alone
        self._answerer = answerer
        self._session = session
        self._limits = limits
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._rate = 1.0  # pictures a second
        self._changed = threading.Condition()
        self._decoded: deque[_Ticket] = deque()
        self._ended = False
        self._decoders = ThreadPoolExecutor(os.cpu_count() or 1, "featx-decode")
        self._adders = ThreadPoolExecutor(1, "featx-extras")
        self._together = min(_MOST_TOGETHER, _BATCHES * session.streams * session.batch_size)
        self._predictors = [
            threading.Thread(target=self._predict_on, name=f"featx-predict-{number}", daemon=True)
            for number in range(_PREDICTORS)
        ]
        for each in self._predictors:
            each.start()

    def close(self) -> None:
        """End the threads; what is in the queue is not answered any more."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._decoders.shutdown(cancel_futures=True)
        for each in self._predictors:
            each.join()
        self._adders.shutdown(cancel_futures=True)

    def check_room(self, n: int = 1) -> None:
        """Raise a `RefusedRequestError` if so many pictures find no room."""
        if n > self._limits.queue:
            raise RefusedRequestError(
                413, f"too many pictures in a request: at most {self._limits.queue} are taken"
            )
        if self.size + n > self._limits.queue:
            seconds = math.ceil(self.size / self._rate)
            raise RefusedRequestError(
                503, "too many pictures wait: come again later", retry_after=min(60, seconds)
            )

    async def answers(self, pictures: Sequence[bytes], wish: Wish) -> list[Answer]:
        """Answer pictures, in their order.

        Raises
        ------
        RefusedRequestError
            There is no room for them now, or it takes too long (503).
        """
        self.check_room(len(pictures))
        tickets = [_Ticket(data, wish, self._loop.create_future()) for data in pictures]
        self.size += len(tickets)
        for each in tickets:
            self._decoders.submit(self._decode, each)
        try:
            async with asyncio.timeout(self._limits.answer_seconds):
                return [await each.answered for each in tickets]
        except TimeoutError:
            raise RefusedRequestError(
                503, f"no answer within {self._limits.answer_seconds:g} s", retry_after=1
            ) from None
        finally:
            for each in tickets:
                each.answered.cancel()

    # In threads --------------------------------------------------------------------------------

    def _decode(self, ticket: _Ticket) -> None:
        """Decode a picture, and hand it to those that predict."""
        data, ticket.data = ticket.data, b""
        if ticket.unwanted:
            self._settle([ticket])
            return
        try:
            if reason := self._too_many_pixels(data):
                answer = self._answerer.failed(reason)
            else:
                ticket.picture, outcome = self._session.decode(data)
                answer = self._answerer.failed(outcome.reason)
        except Exception as error:
            self._fail([ticket], error)
            return
        if ticket.picture is None:
            self._settle([ticket], [answer])
            return
        with self._changed:
            self._decoded.append(ticket)
            self._changed.notify()

    def _too_many_pixels(self, data: bytes) -> str:
        """Say that a picture has too many pixels, which its header tells; empty if not."""
        size = picture_size(data)
        if size is None or size[0] * size[1] <= self._limits.pixels:  # decoding says what is wrong
            return ""
        return f"too many pixels: {size[0]}x{size[1]}, at most {self._limits.pixels:,}"

    def _predict_on(self) -> None:
        """Predict what is decoded, in batches, until the queue is closed."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._decoded or self._ended)
                if self._ended:
                    return
                n = min(len(self._decoded), self._together)
                tickets = [self._decoded.popleft() for _ in range(n)]
            gone = [each for each in tickets if each.unwanted]
            wanted = [each for each in tickets if not each.unwanted]
            self._settle(gone)
            if wanted:
                try:
                    self._predict(wanted)
                except Exception as error:
                    self._fail(wanted, error)

    def _predict(self, tickets: list[_Ticket]) -> None:
        start = time.perf_counter()
        pictures = [each.picture for each in tickets if each.picture is not None]
        features = self._session.features(pictures)
        answers = self._answerer.answers(features, [each.wish.top for each in tickets])
        self._metrics.add_batch(len(tickets))
        self._rate = max(0.1, len(tickets) / (time.perf_counter() - start))
        plain: list[tuple[_Ticket, Answer]] = []
        for row, (ticket, answer) in enumerate(zip(tickets, answers, strict=True)):
            if ticket.wish.extras:
                predicted = Predicted(pictures[row], features.select([row]), answer)
                self._adders.submit(self._add, ticket, predicted)
            else:
                plain.append((ticket, answer))
        self._settle([each for each, _ in plain], [answer for _, answer in plain])

    def _add(self, ticket: _Ticket, predicted: Predicted) -> None:
        """Add to an answer what was asked for beside it."""
        answer = dict(predicted.answer)
        if ticket.unwanted:
            self._settle([ticket])
            return
        try:
            for extra, value in ticket.wish.extras:
                answer |= extra.of(predicted, value)
        except Exception as error:
            self._fail([ticket], error)
        else:
            self._settle([ticket], [answer])

    def _fail(self, tickets: list[_Ticket], error: Exception) -> None:
        """Note an error that is no fault of a client, and let those who wait know."""
        log.error("a picture could not be predicted: %s: %s", type(error).__name__, one_line(error))
        log.debug("where it happened", exc_info=error)
        self._settle(tickets, [error] * len(tickets))

    def _settle(
        self, tickets: list[_Ticket], answers: Sequence[Answer | Exception] | None = None
    ) -> None:
        """Give tickets their answers, in the thread of the event loop."""
        if tickets:
            self._loop.call_soon_threadsafe(self._settled, tickets, answers)

    def _settled(
        self, tickets: list[_Ticket], answers: Sequence[Answer | Exception] | None
    ) -> None:
        self.size -= len(tickets)
        for number, ticket in enumerate(tickets):
            answer = None if answers is None else answers[number]
            if answer is None or ticket.unwanted:
                self._metrics.add_pictures("abandoned")
            elif isinstance(answer, Exception):
                self._metrics.add_pictures("error")
                ticket.answered.set_exception(answer)
            else:
                self._metrics.add_pictures(outcome_of(answer))
                ticket.answered.set_result(answer)
