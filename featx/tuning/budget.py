"""The budget of a search: a time, and the networks that it is enough for, the cheapest first."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import median

from featx.backbones.backbone import Backbone
from featx.backbones.network import JOINT_POOLINGS
from featx.backbones.table import BACKBONES
from featx.errors import OptionError
from featx.features.matrix import Features
from featx.features.options import EmbedOptions
from featx.features.recipe import RecipePart
from featx.features.request import Request
from featx.features.run import run
from featx.features.store.store import FeatureStore
from featx.files import cache_folder, cache_place
from featx.images.digests import DigestMemo, digest_bytes, read_file
from featx.images.folder import ImageFolder

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_PACE = 5e10  # multiplications a second, where no network was timed yet: two slow cores
_PARAMETERS = 25e6  # of a network of which nothing is known: those of a ResNet50
_FEWEST_PARAMETERS = 1e6
_USES = 196  # of each parameter in a picture of 224 px: by a transformer, once for every patch


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
    """The networks that images are embedded with: what the cache has, then others in turn.

    Attributes
    ----------
    images : ImageFolder
        What to embed.
    asked : mapping of str to str
        The networks: what recipes call each, and the name by which `embed` takes it.
    deadline : float
        When `time.monotonic` says so, no network is started any more.
    settled : EmbedOptions
        The options, as `settle` gave them.
    step : callable
        Told what is embedded.
    skipped : dict of str to str
        What there was no time for, and why.
    """

    images: ImageFolder
    asked: Mapping[str, str]
    deadline: float
    settled: EmbedOptions
    step: Callable[[str], None] = lambda _: None
    skipped: dict[str, str] = field(default_factory=dict)
    _unreadable: set[str] = field(default_factory=set, init=False)
    _known: dict[str, list[Request]] = field(default_factory=dict, init=False)
    _start_up: float = field(default=0.0, init=False)  # of the slowest: read, converted, compiled

    def features(self) -> Iterator[list[Features]]:
        """Yield features as they come, first all that the cache has, whatever the pooling.

        Then the network that needs least time for what is missing is run, and so on; each gives
        every pooling that one run of it can. One that lacks only the maximum is not run for that.
        The first features are made whatever it takes, the others only if the time is enough.
        """
        requests = {name: self._requests(name) for name in self.asked}
        made = False
        while requests:
            free = [each for several in requests.values() for each in several if self._has(each)]
            if free:
                yield run(self.images, free, self.settled)
                made = True
            requests = {
                name: [each for each in several if each not in free]
                for name, several in requests.items()
                if several[0] not in free
            }
            if not requests:
                return
            name = min(requests, key=lambda name: self._seconds(requests[name]))
            several = requests.pop(name)
            if not made or self._time_for(name, several):
                yield self._embed(name, several)
                made = True

    def joined(self, names: Sequence[str], pooling: str) -> Features:
        """Join the features of networks that were run before."""
        settled: EmbedOptions = {**self.settled, "pooling": pooling}
        request = Request.joined([Request.of(self.asked[name], settled) for name in names])
        return run(self.images, [request], self.settled)[0]

    def _requests(self, name: str) -> list[Request]:
        """Return the request for the average, then those for other poolings of the same run."""
        if name not in self._known:
            asked, first_pooling, *others = self.asked[name], *JOINT_POOLINGS
            first = Request.of(asked, {**self.settled, "pooling": first_pooling})
            if not first.backbones[0].joins_poolings(first.recipe.parts[0].cut.layer):
                others = []
            more = [Request.of(asked, {**self.settled, "pooling": each}) for each in others]
            self._known[name] = [first, *more]
        return self._known[name]

    def _embed(self, name: str, requests: Sequence[Request]) -> list[Features]:
        self.step(name)
        began = time.monotonic()
        made = run(self.images, requests, self.settled)
        self._unreadable |= {outcome.path for outcome in made[0].failed}
        busy = max(each.seconds for each in made)
        self._start_up = max(self._start_up, time.monotonic() - began - busy)
        return made

    def _time_for(self, name: str, requests: Sequence[Request]) -> bool:
        """Whether the time left will do for what is missing; if not, `skipped` says so."""
        needed = self._start_up + self._seconds(requests)
        left = max(self.deadline - time.monotonic(), 0)
        if needed > left:
            self.skipped[name] = f"{left:.0f} s were left of the {math.ceil(needed)} it needs"
        return needed <= left

    def _has(self, request: Request) -> bool:
        """Whether the cache has all of it."""
        return not any(self._missing(part) for _, part in request.parts)

    def _missing(self, part: RecipePart) -> int:
        """Return of how many images the cache lacks a part; those that cannot be read are none."""
        store = FeatureStore(self._place, part, shared=True)
        paths = [path for path in self.images.paths if path not in self._unreadable]
        digests = [self._digests[path] for path in paths if path in self._digests]
        return len(paths) - int(store.stored(digests).sum())

    def _seconds(self, requests: Sequence[Request]) -> float:
        """Predict how long networks take for what is missing."""
        seconds: dict[RecipePart, float] = {}
        for backbone, part in (pair for request in requests for pair in request.parts):
            once = replace(part, cut=replace(part.cut, pooling=JOINT_POOLINGS[0]))
            needed = self._missing(part) / self._images_per_second(backbone, part)
            seconds[once] = max(seconds.get(once, 0.0), needed)  # one run gives every pooling
        return sum(seconds.values())

    def _images_per_second(self, backbone: Backbone, part: RecipePart) -> float:
        """Return the speed of a network on this machine; unknown, by its multiplications."""
        noted = self._noted_speed(part)
        if not math.isnan(noted):
            return noted
        return self._pace() / _multiplications(backbone, part.square.size)

    def _pace(self) -> float:
        """Return the multiplications in a second of networks of the table whose speed is noted."""
        pairs = [self._requests(name)[0].parts[0] for name in self.asked]
        speeds = [(pair, self._noted_speed(pair[1])) for pair in pairs]
        known = [
            speed * _multiplications(backbone, part.square.size)
            for (backbone, part), speed in speeds
            if backbone.name in BACKBONES and not math.isnan(speed)
        ]
        return median(known) if known else _PACE

    def _noted_speed(self, part: RecipePart) -> float:
        """Return the images/s of a network in whatever pooling it was timed; NaN if never."""
        plain = part.of_view(0)
        poolings = dict.fromkeys((plain.cut.pooling, *JOINT_POOLINGS))
        parts = [replace(plain, cut=replace(plain.cut, pooling=each)) for each in poolings]
        speeds = (FeatureStore(self._place, each, shared=True).images_per_second for each in parts)
        return next((speed for speed in speeds if not math.isnan(speed)), math.nan)

    @cached_property
    def _folder(self) -> Path:
        return cache_folder(self.settled["cache"])

    @cached_property
    def _place(self) -> str | Path:
        return cache_place(self.settled["cache"])

    @cached_property
    def _digests(self) -> dict[str, str]:
        """The digest of each image that can be read, so that the cache can be asked for it."""
        with DigestMemo(self._folder / "digests.sqlite") as memo:
            digests = memo.known(self.images.paths)
            read = []
            for path in self.images.paths:
                if path not in digests:
                    with suppress(OSError):  # the run says what is wrong with it
                        data, stamp = read_file(path)
                        digests[path] = digest_bytes(data)
                        read.append((path, digests[path], stamp))
            memo.remember(read)
        return digests


def _multiplications(backbone: Backbone, size: int) -> float:
    """Return how many a network takes for a picture; not of the table, about how many."""
    if spec := BACKBONES.get(backbone.name):
        return 1e9 * spec.multiplications * (size / spec.input_size) ** 2
    return _USES * _parameters(backbone) * (size / 224) ** 2


def _parameters(backbone: Backbone) -> float:
    """Return how many parameters a network has by the size of its file, four bytes for each."""
    path = backbone.weights.path if backbone.weights else None
    if path is None:
        return _PARAMETERS
    beside = path.with_suffix(".bin")  # of OpenVINO's .xml
    with suppress(OSError):
        size = (beside if path.suffix == ".xml" else path).stat().st_size
        return max(size / 4, _FEWEST_PARAMETERS)
    return _PARAMETERS
