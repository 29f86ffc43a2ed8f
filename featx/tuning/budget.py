"""The budget of a search: a time, and the networks that it is enough for, the cheapest first."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np

from featx.backbones.table import BACKBONES
from featx.errors import ImageSourceError, OptionError
from featx.features.matrix import Features
from featx.features.options import EmbedOptions
from featx.features.recipe import RecipePart
from featx.features.request import Request
from featx.features.run import run
from featx.features.store.store import FeatureStore, cache_folder
from featx.images.digests import DigestMemo
from featx.images.folder import ImageFolder

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_PROBE = 32  # images at most that tell how long a network takes for all
_FEW = 17  # images from which up it is worth to open a network for that


def seconds_of(budget: str | float) -> float:
    """Read a time: "90s", "5m", "1h", or seconds; an `OptionError` if it is not above 0."""
    seconds = 0.0
    if isinstance(budget, str):
        found = re.fullmatch(r"\s*(\d+\.?\d*|\.\d+)\s*([smh]?)\s*", budget.lower())
        seconds = float(found[1]) * _UNITS[found[2] or "s"] if found else 0.0
    elif isinstance(budget, int | float) and not isinstance(budget, bool):
        seconds = float(budget)
    if not 0 < seconds < math.inf:
        raise OptionError(
            f"budget {budget!r}: expected a time above 0, such as '90s', '5m', '1h' or seconds"
        )
    return seconds


@dataclass
class Networks:
    """The networks that images are embedded with, one after the other until the time is up."""

    images: ImageFolder
    deadline: float  # when `time.monotonic` says so, no network is started any more
    settled: EmbedOptions
    skipped: dict[str, str] = field(default_factory=dict)  # what there was no time for, and why
    _unreadable: set[str] = field(default_factory=set, init=False)

    def embed(self, names: Sequence[str], poolings: Sequence[str]) -> dict[str, list[Features]]:
        """Embed with each network and every pooling, in one run of the network.

        What the cache has comes first, then small networks. The first is finished whatever it
        takes. Of any other whose speed is not known a few images are embedded to see it. Returned
        is, by network in the order of `names`, a matrix for each pooling.
        """
        requests = {
            name: [Request.of(name, {**self.settled, "pooling": each}) for each in poolings]
            for name in names
        }
        missing = {name: len(self._work(requests[name])[0]) for name in names}
        done: dict[str, list[Features]] = {}
        start_up = 0.0  # of the slowest network so far: it is read, perhaps converted, compiled
        for name in sorted(names, key=lambda name: (missing[name], BACKBONES[name].parameters)):
            began = time.monotonic()
            if done and not self._time_for(name, requests[name], start_up):
                continue
            done[name] = run(self.images, requests[name], self.settled)
            self._unreadable |= {outcome.path for outcome in done[name][0].failed}
            busy = max(each.seconds for each in done[name])
            start_up = max(start_up, time.monotonic() - began - busy)
        return {name: done[name] for name in names if name in done}

    def joined(self, names: Sequence[str], features: Features, views: int = 0) -> Features | None:
        """Embed with networks that were run before, joined, perhaps with augmented views.

        The pooling is that of the features. None where the time left would not do for the views.
        """
        assert features.recipe is not None
        pooling = features.recipe.pooling
        request = Request.of("+".join(names), {**self.settled, "pooling": pooling, "views": views})
        if views and not self._time_for(f"{request.recipe.backbone} views", [request]):
            return None
        return run(self.images, [request], self.settled)[0]

    def _time_for(self, name: str, requests: Sequence[Request], start_up: float = 0.0) -> bool:
        """Whether the time left will do for what is missing; if not, `skipped` says so."""
        rows, seconds = self._work(requests)
        if not rows:
            return True
        left = self.deadline - time.monotonic()
        if left <= start_up:
            self.skipped[name] = f"{max(left, 0):.0f} s were left, too few to start it"
            return False
        needed = self._predicted(requests, rows, seconds)
        left = self.deadline - time.monotonic()
        if needed > left:
            self.skipped[name] = f"{max(left, 0):.0f} s were left of the {needed:.0f} it needs"
        return needed <= left

    def _work(self, requests: Sequence[Request]) -> tuple[list[int], float]:
        """Say which images some network has yet to see, and for how long; NaN if unknown.

        Files that could not be read are no work.
        """
        folder = cache_folder(self.settled["cache"])
        with DigestMemo(folder / "digests.sqlite") as memo:
            digests = memo.known(self.images.paths)
        rows: set[int] = set()
        seconds: dict[RecipePart, float] = {}
        for part in (part for request in requests for _, part in request.parts):
            store = FeatureStore(folder, part)
            missing = {
                row
                for row, path in enumerate(self.images.paths)
                if path not in self._unreadable
                and (path not in digests or digests[path] not in store)
            }
            if missing:
                plain = FeatureStore(folder, part.of_view(0)) if part.square.view else store
                rate = plain.images_per_second
                once = replace(part, cut=replace(part.cut, pooling="avg"))  # gives every pooling
                more = np.maximum(seconds.get(once, 0.0), len(missing) / rate)  # NaN stays NaN
                seconds[once] = float(more)
                rows |= missing
        return sorted(rows), sum(seconds.values())

    def _predicted(self, requests: Sequence[Request], rows: Sequence[int], seconds: float) -> float:
        """Predict the seconds of `_work`, if need be by a few images, which the cache keeps."""
        if not math.isnan(seconds) or len(rows) < _FEW:
            return 0.0 if math.isnan(seconds) else seconds
        count = min(_PROBE, -(-len(rows) // 4))
        probed = [rows[place] for place in np.linspace(0, len(rows) - 1, count).astype(int)]
        some = replace(
            self.images,
            paths=tuple(self.images.paths[row] for row in probed),
            labels=tuple(self.images.labels[row] for row in probed),
        )
        with suppress(ImageSourceError):  # none of these can be read
            made = run(some, requests, self.settled)
            return max(each.seconds for each in made) * (len(rows) - count) / count
        return 0.0
