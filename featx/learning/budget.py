"""Embedding with as many networks as a time allows, the cheapest first."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from featx.backbones.table import BACKBONES
from featx.errors import ImageSourceError, OptionError
from featx.features.matrix import Features
from featx.features.plan import Plan, plan
from featx.features.recipe import Recipe
from featx.features.running import embed_plans
from featx.features.store import FeatureStore, cache_folder
from featx.images.digests import DigestMemo
from featx.images.folder import ImageFolder

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_PROBE = 32  # images at most that tell how long a network takes for all
_FEW = 17  # images from which up it is worth to open a network for that


def seconds_of(budget: str | float) -> float:
    """Read a time: "90s", "5m", "1h", or seconds.

    Raises
    ------
    OptionError
        It is none, or not above 0.
    """
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
    """The networks that images are embedded with, one after the other until the time is up.

    Attributes
    ----------
    images : ImageFolder
        The images.
    deadline : float
        When `time.monotonic` says so, no network is started any more.
    options : dict
        Of `plan`, such as `weights` and `fast`.
    run : dict
        Of `embed_plans`: `engine`, `cache`, `on_error`, `batch_size` and `progress`.
    skipped : dict of str to str
        Networks, views and the like that there was no time for, and why.
    """

    images: ImageFolder
    deadline: float
    options: dict[str, Any]
    run: dict[str, Any]
    skipped: dict[str, str] = field(default_factory=dict)
    _unreadable: set[str] = field(default_factory=set, init=False)

    def embed(self, names: Sequence[str], poolings: Sequence[str]) -> dict[str, list[Features]]:
        """Embed with each network and every pooling, in one run of the network.

        What the cache has comes first, then small networks. The first is finished whatever it
        takes. Of any other whose speed is not known a few images are embedded to see it.

        Returns
        -------
        dict of str to list of Features
            By network, in the order of `names`, a matrix for each pooling.
        """
        plans = {
            name: [plan(name, pooling=pooling, **self.options) for pooling in poolings]
            for name in names
        }
        missing = {name: len(self._work(plans[name])[0]) for name in names}
        done: dict[str, list[Features]] = {}
        start_up = 0.0  # of the slowest network so far: it is read, perhaps converted, compiled
        for name in sorted(names, key=lambda name: (missing[name], BACKBONES[name].parameters)):
            began = time.monotonic()
            rows, seconds = self._work(plans[name])
            if done and rows:
                left = self.deadline - began
                if left <= start_up:
                    self.skipped[name] = f"{max(left, 0):.0f} s were left, too few to start it"
                    continue
                needed = self._foretold(plans[name], rows, seconds)
                left = self.deadline - time.monotonic()
                if needed > left:
                    self.skipped[name] = (
                        f"{max(left, 0):.0f} s were left of the {needed:.0f} it needs"
                    )
                    continue
            done[name] = embed_plans(self.images, plans[name], **self.run)
            self._unreadable |= {outcome.path for outcome in done[name][0].failed}
            busy = max(each.seconds for each in done[name])
            start_up = max(start_up, time.monotonic() - began - busy)
        return {name: done[name] for name in names if name in done}

    def joined(self, backbone: str, features: Features, views: int = 0) -> Features | None:
        """Embed with networks that were run before, joined by "+", perhaps with views.

        Parameters
        ----------
        backbone : str
            Such as "resnet50+xception".
        features : Features
            Those of one of them, whose pooling is taken.
        views : int, default=0
            Augmented views to go along.

        Returns
        -------
        Features, or None
            None where the time left would not do for the views.
        """
        assert features.recipe is not None
        made_by = plan(backbone, pooling=features.recipe.pooling, views=views, **self.options)
        rows, seconds = self._work([made_by]) if views else ([], 0.0)
        if rows:
            left = self.deadline - time.monotonic()
            needed = self._foretold([made_by], rows, seconds) if left > 0 else 0.0
            left = self.deadline - time.monotonic()
            if needed > left or left <= 0:
                self.skipped[f"{backbone} views"] = f"{max(left, 0):.0f} s were left"
                return None
        return embed_plans(self.images, [made_by], **self.run)[0]

    def _work(self, plans: Sequence[Plan]) -> tuple[list[int], float]:
        """Say which images some network has yet to see, and for how long; NaN if unknown.

        Files that could not be read are no work.
        """
        folder = cache_folder(self.run.get("cache"))
        with DigestMemo(folder / "digests.sqlite") as memo:
            digests = memo.known(self.images.paths)
        rows: set[int] = set()
        seconds: dict[Recipe, float] = {}
        for recipe in _recipes(plans):
            store = FeatureStore(folder, recipe)
            missing = {
                row
                for row, path in enumerate(self.images.paths)
                if path not in self._unreadable
                and (path not in digests or digests[path] not in store)
            }
            if missing:
                plain = store if recipe.view is None else FeatureStore(folder, recipe.of_view(0))
                rate = plain.images_per_second
                run = replace(recipe, pooling="avg")  # one run of a network gives every pooling
                more = np.maximum(seconds.get(run, 0.0), len(missing) / rate)  # NaN stays NaN
                seconds[run] = float(more)
                rows |= missing
        return sorted(rows), sum(seconds.values())

    def _foretold(self, plans: Sequence[Plan], rows: Sequence[int], seconds: float) -> float:
        """Foretell the seconds of `_work`, if need be by a few images, which the cache keeps."""
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
            made = embed_plans(some, plans, **self.run)
            return max(each.seconds for each in made) * (len(rows) - count) / count
        return 0.0


def _recipes(plans: Sequence[Plan]) -> list[Recipe]:
    """List what plans embed by, views and parts one by one."""
    return [
        recipe
        for each in plans
        for view in range(each.views + 1)
        for _, recipe in each.of_view(view)
    ]
