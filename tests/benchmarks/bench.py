"""What the parts of a run share: images, a warm cache of networks, workers, weights."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from featx.backbones import table
from featx.backbones.weights import at_hand

from . import images
from .plan import CORES, Plan
from .worker import ROOT, Worker

_PHOTO = (450, 375)  # px
_SMALL = (224, 224)
_TINY = (64, 64)
CALIBRATING = 128  # pictures that int8 is calibrated on, where featx brings no calibration along


@dataclass(frozen=True)
class Folder:
    """Images to measure on.

    Attributes
    ----------
    path : Path
        Where links to some of them are put.
    images : list of Path
        All of them, in order.
    """

    path: Path
    images: list[Path]

    def take(self, n: int) -> str:
        """Return a folder with the first `n` images."""
        return str(images.linked(self.path / str(n), self.images[:n]))


@dataclass(frozen=True)
class Bench:
    """A run of the benchmark.

    Attributes
    ----------
    plan : Plan
        Its numbers.
    work : Path
        Folder for images, converted networks and whatever else is written.
    own : Path or None
        The user's images, in place of drawn ones of about 450x375.
    chosen : tuple of str
        The user's choice of backbones; empty for those of the plan.
    busy : bool
        Whether others use the machine, so that processor time is measured, not the clock.
    """

    plan: Plan
    work: Path
    own: Path | None = None
    chosen: tuple[str, ...] = ()
    busy: bool = False

    @cached_property
    def photos(self) -> Folder:
        """Photographs of about 450x375, or the user's own images."""
        if self.own is not None:
            return Folder(self.work / "links" / "own", images.own(self.own)[: self.plan.photos])
        return self._draw("photos", self.plan.photos, _PHOTO)

    @property
    def about_photos(self) -> str:
        """What `photos` are, in words."""
        n = len(self.photos.images)
        if self.own is not None:
            return f"{n:,} photographs of {self.own.name}"
        return f"{n:,} drawn photographs of {_PHOTO[0]}x{_PHOTO[1]}"

    @cached_property
    def large(self) -> Folder:
        """Photographs of 12 megapixels."""
        return self._draw("large", self.plan.large, self.plan.large_size)

    @cached_property
    def small(self) -> Folder:
        """Many photographs of 224 px."""
        return self._draw("small", self.plan.small, _SMALL)

    @cached_property
    def tiny(self) -> Folder:
        """Very many photographs of 64 px."""
        return self._draw("tiny", self.plan.tiny, _TINY)

    def _draw(self, name: str, n: int, size: tuple[int, int]) -> Folder:
        name = f"{name}-{n}-{size[0]}x{size[1]}"
        self.say(f"images: {name}")
        folder = images.drawn(self.work / "images" / name, n, size)
        return Folder(self.work / "links" / name, sorted(folder.iterdir()))

    @cached_property
    def environment(self) -> dict[str, str]:
        """Environment of the workers: converted networks and temporary files are below `work`."""
        folders = {"FEATX_CACHE": self.work / "cache", "TMPDIR": self.work / "temporary"}
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        return {**os.environ, **{name: str(folder) for name, folder in folders.items()}}

    def worker(self, side: str) -> Worker:
        """Start a process for one side, "keras" or "featx"."""
        return Worker(side, self.environment)

    def shell(self, *arguments: str) -> float:
        """Run a Python of its own from the root of the checkout; return its seconds."""
        start = time.perf_counter()
        run = subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        seconds = time.perf_counter() - start
        if run.returncode:
            raise RuntimeError(f"{' '.join(arguments)} ended with {run.returncode}: {run.stderr}")
        return seconds

    def backbones(self, planned: Sequence[str]) -> tuple[str, ...]:
        """Return the user's choice of backbones, or else those planned."""
        return self.chosen or tuple(planned)

    def warm(self, *recipes: dict[str, Any]) -> None:
        """Convert, calibrate and compile networks, in a process that may import TensorFlow."""
        with self.worker("featx") as featx:
            for recipe in recipes:
                n = CALIBRATING if recipe.get("fast") else 1
                featx.ask("embed", folder=self.photos.take(n), recipe=recipe)

    def rate(self, worker: Worker, n: int, rate: float) -> float:
        """Return the images/s of an answer about n images; of a busy machine, by processor time.

        That is what it would do alone on the machine, if it kept all cores at work: featx does
        nearly, and Keras less, so its rate is flattered.
        """
        return n * CORES / worker.processor_seconds if self.busy else rate

    def say(self, text: str) -> None:
        """Tell on stderr what goes on."""
        print(f"{time.strftime('%X')} {text}", file=sys.stderr, flush=True)


def recipe_of(*backbones: str, **options: Any) -> dict[str, Any]:
    """Return options of `featx.embed`, with the weights of `weights_of`."""
    named = backbones[0] if len(backbones) == 1 else list(backbones)
    return {"backbone": named, "weights": weights_of(*backbones), **options}


def weights_of(*backbones: str) -> str:
    """Return "imagenet" where these weights are on this machine for all of them, else "random"."""
    return "imagenet" if all(at_hand(table.find(name)) for name in backbones) else "random"
