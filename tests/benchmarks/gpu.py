"""On a GPU: featx on Keras with JAX and with PyTorch, against timm with mixed precision.

    python -m tests.benchmarks.gpu

All embed the same drawn photographs of 450x375 with ResNet50 and random weights, which are as
fast; processes, networks and compilations are there before the clock starts. timm computes in
float16, in channels_last, behind its own loader with a process for each core; featx in float32
and with `fast`. It needs PyTorch, timm and JAX for the GPU beside featx.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from featx.cli.output import table

from .images import drawn, linked
from .report import Asked
from .turns import in_turns
from .worker import Worker

_PHOTO = (450, 375)  # px
_BACKENDS = ("jax", "torch")
_NETWORK = "resnet50"
_TIMM_BATCH = 256
_ASKED = 1.2
_VARIANTS = 8  # files of one drawn picture


def main() -> None:
    """Measure in turns, print images/s, and keep all figures as JSON."""
    options = _options()
    with ExitStack() as stack:
        beside = tempfile.TemporaryDirectory(prefix="featx-gpu-", dir=options.work)
        work = Path(stack.enter_context(beside))
        scene = drawn(work / "drawn", max(8, options.photos // _VARIANTS), _PHOTO)
        photos = _variants(work / "photos", scene, options.photos)
        turns = _contestants(stack, options, work, photos)
        figures = in_turns(turns, options.rounds)
    numbers = [str(number + 1) for number in range(options.rounds)]
    rows = [[name, *(f"{rate:,.0f}" for rate in rates)] for name, rates in figures.items()]
    print(table(["images/s, by turn", *numbers], rows, right=numbers))
    best = max(max(figures[f"featx fast, {backend}"]) for backend in options.backends)
    asked = Asked(
        "ResNet50, featx fast / timm with mixed precision", _ASKED, best / max(figures["timm"])
    )
    print(asked)
    if options.json:
        results = {"figures": figures, "asked": asked.to_dict()}
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def _variants(folder: Path, scene: Path, n: int) -> Path:
    """Write `n` different files: JPEG readers pass over what stands behind the picture."""
    folder.mkdir()
    paths = sorted(scene.iterdir())
    for number in range(n):
        data = paths[number % len(paths)].read_bytes()
        (folder / f"{number:06d}.jpg").write_bytes(data + number.to_bytes(4, "big"))
    return folder


def _contestants(
    stack: ExitStack, options: argparse.Namespace, work: Path, photos: Path
) -> dict[str, Callable[[], float]]:
    """Open a process for each, warm, and return what gives its images/s by name."""
    turns: dict[str, Callable[[], float]] = {}
    folder, n = str(photos), options.photos
    few = str(linked(work / "few", sorted(photos.iterdir())[:512]))

    timm = stack.enter_context(Worker("timm", dict(os.environ)))
    timm.ask("open", name=_NETWORK, workers=os.cpu_count(), batch_size=_TIMM_BATCH)
    timm.ask("embed", folder=folder)
    turns["timm"] = lambda: n / timm.ask("embed", folder=folder)
    turns["timm, its loader alone"] = lambda: timm.ask("loading", folder=folder)
    turns["timm, its network alone"] = lambda: timm.ask("network", n=n)

    for backend in options.backends:
        settings = {"FEATX_CACHE": str(work / backend), "KERAS_BACKEND": backend}
        featx = stack.enter_context(Worker("featx", {**os.environ, **settings}))
        for name, fast in (("featx", {}), ("featx fast", {"fast": True})):
            recipe = {"backbone": _NETWORK, "weights": "random", **fast}
            featx.ask("embed", folder=few, recipe=recipe)

            def embed(featx: Worker = featx, recipe: dict[str, Any] = recipe) -> float:
                return n / featx.ask("embed", folder=folder, recipe=recipe)

            def network(featx: Worker = featx, recipe: dict[str, Any] = recipe) -> float:
                return float(featx.ask("network", folder=few, n=n, recipe=recipe))

            turns[f"{name}, {backend}"] = embed
            turns[f"{name}, {backend}, its network alone"] = network
    return turns


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gpu", description=__doc__)
    parser.add_argument("--photos", type=int, default=16384, metavar="N", help="how many")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--backends", nargs="+", choices=_BACKENDS, default=_BACKENDS)
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="where photographs are drawn")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all figures")
    return parser.parse_args()


if __name__ == "__main__":
    main()
