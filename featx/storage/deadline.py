"""The deadline of requests to stores, each of which ends whatever becomes of the store."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from featx.errors import one_line
from featx.storage.address import bucket_of, scheme_of
from featx.storage.entry import check_size

if TYPE_CHECKING:
    import asyncio

SECONDS = 60.0  # of a request, however often a library tries it again
CONNECT_SECONDS = 15.0
SILENT_SECONDS = 30.0  # within an answer
_SLOWEST = 250_000  # bytes a second of what is sent; whatever is received may be slower:
_PIECE = 64 << 10  # so many bytes within `SECONDS`
_LONG = 1 / 6  # of `SECONDS`: a failure after them is one of the store, not of an object

T = TypeVar("T")

_answered: dict[str, float] = {}  # when each store did so last
_silent: dict[str, tuple[float, str]] = {}  # until when each is held for silent, and why
_of_thread = threading.local()  # its `requests`


class _Requests:
    """The requests of some threads, which can be ended at once."""

    def __init__(self) -> None:
        self._ended = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[Any]] = set()  # in the thread of the loop alone

    @contextmanager
    def task(self) -> Iterator[None]:
        """Count the task that runs as one of the requests."""
        import asyncio

        self._loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if self._ended or task is None:
            raise InterruptedError("interrupted")
        self._tasks.add(task)
        try:
            yield
        except asyncio.CancelledError:
            raise InterruptedError("interrupted") from None
        finally:
            self._tasks.discard(task)

    def end(self) -> None:
        """End all of them, and let none begin."""
        self._ended = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()


@contextmanager
def request_threads(n: int, name: str) -> Iterator[ThreadPoolExecutor]:
    """Give threads, of which nobody waits for a store once the block is interrupted or fails."""
    requests = _Requests()
    pool = ThreadPoolExecutor(n, name, _note, (requests,))
    try:
        yield pool
    except BaseException:
        requests.end()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _note(requests: _Requests) -> None:
    _of_thread.requests = requests


def ask(system: Any, method: str, *arguments: Any, n_bytes: int = 0, **named: Any) -> Any:
    """Call a method of a file system of fsspec by its name.

    It may take `SECONDS` and what so many bytes take; then it is a `ConnectionError`.
    """
    if not system.async_impl:  # that of the memory
        return getattr(system, method)(*arguments, **named)

    import asyncio

    async def answer() -> Any:
        asked = getattr(system, f"_{method}")(*arguments, **named)
        return await asyncio.wait_for(asked, SECONDS + n_bytes / _SLOWEST)

    return wait_for(system, answer)


def wait_for(system: Any, function: Callable[..., Coroutine[Any, Any, T]], *arguments: Any) -> T:
    """Run in the thread of fsspec what ends in time by itself."""
    import fsspec.asyn

    requests = getattr(_of_thread, "requests", None) or _Requests()

    async def ended() -> T:
        with requests.task():
            try:
                return await function(*arguments)
            except TimeoutError as error:
                reason = one_line(error) if str(error) else f"no answer within {SECONDS:.0f} s"
                raise ConnectionError(reason) from error

    result: T = fsspec.asyn.sync(system.loop, ended)
    return result


async def begun(answer: Awaitable[T]) -> T:
    """Wait until an answer begins."""
    import asyncio

    return await asyncio.wait_for(answer, SECONDS)


async def body_of(chunks: AsyncIterable[bytes], most: int | None) -> bytes:
    """Read a body, which may be slow, but no more than `most` bytes, and none that only drips."""
    import asyncio

    clock = asyncio.get_running_loop().time
    data, due = bytearray(), _PIECE
    async with asyncio.timeout(SECONDS) as limit:
        async for chunk in chunks:
            data += chunk
            check_size(len(data), most)
            if len(data) >= due:
                due = len(data) + _PIECE
                limit.reschedule(clock() + SECONDS)
    return bytes(data)


def check_silent(address: str) -> None:
    """Raise a `ConnectionError` if the store of an address has just been silent for long.

    So of many pictures in a store that is gone only the first ones are waited for.
    """
    until, why = _silent.get(_store_of(address), (0.0, ""))
    if time.monotonic() < until:
        raise ConnectionError(why)


def note_answer(address: str) -> None:
    """Note that a store answers, whatever it says."""
    _answered[_store_of(address)] = time.monotonic()


def note_failure(address: str, began: float, error: Exception) -> None:
    """Note that a request failed; its store is silent if it answered no other since that began."""
    store, now = _store_of(address), time.monotonic()
    if now - began >= _LONG * SECONDS and _answered.get(store, 0.0) < began:
        _silent[store] = now + SECONDS / 2, one_line(error)


def forget_silence() -> None:
    """Ask all stores again."""
    _silent.clear()


def _store_of(address: str) -> str:
    return f"{scheme_of(address)}://{bucket_of(address)}"
