"""Metrics of a service: counts and times, as Prometheus reads them."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Histogram:
    """Counts of values up to some bounds, with their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.sum = 0.0
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def lines(self, name: str) -> list[str]:
        """Write the counts, each with those before it."""
        total, lines = 0, []
        for bound, n in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += n
            lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
        return [*lines, f"{name}_sum {self.sum:.6f}", f"{name}_count {total}"]


class Metrics:
    """What a service has done since it began; any thread may add to it.

    No label comes from a client: there are as many series after a million requests as after ten.
    """

    def __init__(self) -> None:
        self.in_flight = 0  # requests
        self.queued: Callable[[], int] = lambda: 0  # pictures
        self._requests: Counter[tuple[str, int]] = Counter()
        self._pictures: Counter[str] = Counter()
        self._seconds = Histogram(_SECONDS)
        self._batches = Histogram(_BATCHES)
        self._lock = threading.Lock()

    def add_request(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered; times are those of answered predictions."""
        with self._lock:
            self._requests[route, status] += 1
            if (route, status) == ("/predict", 200):
                self._seconds.add(seconds)

    def add_pictures(self, outcome: str, n: int = 1) -> None:
        """Count pictures by what became of them."""
        with self._lock:
            self._pictures[outcome] += n

    def add_batch(self, n: int) -> None:
        """Count a batch of so many pictures."""
        with self._lock:
            self._batches.add(n)

    def __str__(self) -> str:
        with self._lock:
            requests = [
                f'featx_requests_total{{route="{route}",status="{status}"}} {n}'
                for (route, status), n in sorted(self._requests.items())
            ]
            pictures = [
                f'featx_pictures_total{{outcome="{outcome}"}} {n}'
                for outcome, n in sorted(self._pictures.items())
            ]
            groups = [
                ("featx_requests_total", "counter", "Requests answered.", requests),
                ("featx_pictures_total", "counter", "Pictures by what became of them.", pictures),
                _gauge("featx_in_flight_requests", "Requests under way.", self.in_flight),
                _gauge("featx_queued_pictures", "Pictures waiting or worked on.", self.queued()),
                _histogram("featx_predict_seconds", "Time of predictions.", self._seconds),
                _histogram("featx_batch_pictures", "Pictures predicted together.", self._batches),
            ]
        lines = []
        for name, kind, text, values in groups:
            lines += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *values]
        return "\n".join(lines) + "\n"


def _gauge(name: str, text: str, value: int) -> tuple[str, str, str, list[str]]:
    return name, "gauge", text, [f"{name} {value}"]


def _histogram(name: str, text: str, values: Histogram) -> tuple[str, str, str, list[str]]:
    return name, "histogram", text, values.lines(name)
