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
from featx.features.running import embed_plans
from featx.features.store import FeatureStore, cache_folder
from featx.images.folder import ImageFolder

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_PROBE = 32  # images that tell how long a network takes for all


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

    def embed(self, names: Sequence[str], poolings: Sequence[str]) -> dict[str, list[Features]]:
        """Embed with each network and every pooling, in one run of the network.

        What the cache has comes first, then small networks. The first is finished whatever it
        takes. Of any other a few images are embedded to see how long all would take.

        Returns
        -------
        dict of str to list of Features
            By network, a matrix for each pooling.
        """
        plans = {
            name: [plan(name, pooling=pooling, **self.options) for pooling in poolings]
            for name in names
        }
        missing = {name: self._missing(plans[name]) for name in names}
        done: dict[str, list[Features]] = {}
        start_up = 0.0  # of the slowest network so far: it is read, perhaps converted, compiled
        for name in sorted(names, key=lambda name: (missing[name], BACKBONES[name].parameters)):
            began = time.monotonic()
            if done and missing[name]:
                left = self.deadline - began
                if left <= start_up:
                    self.skipped[name] = f"{max(left, 0):.0f} s were left, too few to start it"
                    continue
                needed = self._foretold(plans[name])
                left = self.deadline - time.monotonic()
                if needed > left:
                    self.skipped[name] = (
                        f"{max(left, 0):.0f} s were left of the {needed:.0f} it needs"
                    )
                    continue
            done[name] = embed_plans(self.images, plans[name], **self.run)
            busy = max(each.seconds for each in done[name])
            start_up = max(start_up, time.monotonic() - began - busy)
        return done

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
        if views:
            left = self.deadline - time.monotonic()
            needed = self._foretold(made_by) if left > 0 else 0.0
            left = self.deadline - time.monotonic()
            if needed > left or left <= 0:
                self.skipped[f"{backbone} views"] = f"{max(left, 0):.0f} s were left"
                return None
        return embed_plans(self.images, [made_by], **self.run)[0]

    def _missing(self, plans: Sequence[Plan]) -> bool:
        """Whether the cache lacks vectors, going by their number."""
        folder = cache_folder(self.run.get("cache"))
        stored = [len(FeatureStore(folder, part)) for each in plans for part in each.recipe.parts]
        return min(stored) < len(self.images)

    def _foretold(self, plans: Plan | Sequence[Plan]) -> float:
        """Embed a few images, which the cache keeps, and return the seconds for the others."""
        plans = [plans] if isinstance(plans, Plan) else list(plans)
        total = len(self.images)
        if total <= 2 * _PROBE:
            return 0.0
        rows = np.linspace(0, total - 1, _PROBE).astype(int)
        some = replace(
            self.images,
            paths=tuple(self.images.paths[row] for row in rows),
            labels=tuple(self.images.labels[row] for row in rows),
        )
        with suppress(ImageSourceError):  # none of these can be read
            made = embed_plans(some, plans, **self.run)
            return max(each.seconds for each in made) * (total - _PROBE) / _PROBE
        return 0.0
