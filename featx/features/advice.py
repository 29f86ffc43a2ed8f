"""A word in the middle of a slow run about how much faster it could be."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from featx.features.lane import Lane
from featx.images.decode import decode_all
from featx.images.digests import read_file

_SLOW_SECONDS = 60.0  # a run that takes longer is worth a word,
_FIRST_SECONDS = 5.0  # once it can be foretold
_WORTH = 1.3


class Advice:
    """Say once, in a run that is slow, by what factor `fast=True` would shorten it.

    The network's share of the factor was measured when the network was compiled, that of decoding
    is measured on one of the files.

    Parameters
    ----------
    paths : sequence of str
        The files of the run.
    lanes : sequence of Lane
        The networks of the run.
    """

    def __init__(self, paths: Sequence[str], lanes: Sequence[Lane]) -> None:
        self._paths = paths
        self._lanes = lanes
        self._given = False

    def __call__(self, seconds: float, done: int, total: int) -> str | None:
        """Return the advice, or None where there is none to give (yet, any more, or at all).

        Parameters
        ----------
        seconds : float
            What the run took so far.
        done, total : int
            Files that are finished, and all of them.
        """
        if self._given or seconds < _FIRST_SECONDS or seconds / done * total < _SLOW_SECONDS:
            return None
        self._given = True
        factor = self._factor(seconds / done)
        if factor < _WORTH:
            return None
        return (
            f"--fast (in Python fast=True) would be about {factor:.1f} times as fast: bfloat16 and "
            "scaled decoding, for nearly the same features"
        )

    def _factor(self, seconds_per_image: float) -> float:
        """Compare the seconds of processor time that an image takes, as it is and fast."""
        speedups = [(lane.engine and lane.engine.bfloat16_speedup) or 1.0 for lane in self._lanes]
        fits = [lane.fit for lane in self._lanes]
        if min(speedups) == 1.0 and all(fit.decode == "scaled" for fit in fits):
            return 1.0
        full = scaled = 0.0
        with suppress(OSError):
            data, _ = read_file(self._paths[len(self._paths) // 2])
            decode_all(data, fits)  # the first time is slower
            start = time.thread_time()
            decode_all(data, fits)
            middle = time.thread_time()
            decode_all(data, [replace(fit, decode="scaled") for fit in fits])
            full, scaled = middle - start, time.thread_time() - middle
        busy = seconds_per_image * (os.cpu_count() or 1)
        network = max(busy - full, 0.0)
        fast = network / min(speedups) + min(full, scaled)
        return (network + full) / fast if fast else 1.0
