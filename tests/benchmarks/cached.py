"""A second run over a folder that the cache holds, and loading its matrix."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from featx.cli.output import table
from featx.features.writer import SHARD_BYTES

from .bench import Bench, recipe_of, weights_of
from .report import Asked
from .turns import in_turns

TITLE = "A cached folder"
_SAMPLE = 64  # images that tell the rate of a first run, where it was not measured yet


def run(bench: Bench, results: dict[str, Any]) -> dict[str, Any]:
    """Measure second runs and loading; the first run is predicted from measured images/s."""
    backbone = bench.plan.cached_backbone
    recipe = recipe_of(backbone)
    rate = _rate(bench, results, recipe)
    images = bench.tiny
    folder = images.take(len(images.images))
    bench.say(f"a cache of {len(images.images)} images")
    with (
        tempfile.TemporaryDirectory(dir=bench.work) as place,
        bench.worker("featx") as featx,
    ):
        file = Path(place) / "X.npy"
        asks = {"folder": folder, "cache": place, "recipe": recipe}
        featx.ask("fill", shard_bytes=SHARD_BYTES, **asks)
        options = ["--backbone", backbone, "--weights", weights_of(backbone)]
        options += ["--cache", place, "--out", str(file)]
        turns = {
            "shell": lambda: bench.shell("-m", "featx", "embed", folder, *options),
            "second_run": lambda: featx.ask("embed_cached", **asks),
            "read_cache": lambda: featx.ask("read_cached", **asks),
            "load_features": lambda: featx.ask("load_features", file=str(file)),
            "numpy_load": lambda: featx.ask("load_npy", file=str(file)),
        }
        in_turns(turns, 1)  # to warm up
        seconds = {name: min(each) for name, each in in_turns(turns, bench.plan.rounds).items()}
        matrix_bytes = file.stat().st_size
    return {
        "backbone": backbone,
        "images": len(images.images),
        "matrix_bytes": matrix_bytes,
        "first_run_rate": rate,
        "first_run": len(images.images) / rate,
        **seconds,
    }


def _rate(bench: Bench, results: dict[str, Any], recipe: dict[str, Any]) -> float:
    """Return the images/s of a first run."""
    measured = results.get("throughput", {}).get(recipe["backbone"])
    if measured:
        return measured["default"]
    bench.warm(recipe)
    n = min(_SAMPLE, len(bench.photos.images))
    with bench.worker("featx") as featx:
        folder = bench.photos.take(n)
        return n / min(featx.ask("embed", folder=folder, recipe=recipe) for _ in range(2))


def show(figures: dict[str, Any]) -> str:
    """Return a table."""
    megabytes = figures["matrix_bytes"] / 1e6
    rate = figures["first_run_rate"]
    rows = [
        [f"first run, predicted from {rate:.1f} images/s", f"{figures['first_run']:.1f} s"],
        ["second run, featx.embed", f"{figures['second_run']:.3f} s"],
        ["second run, `featx embed --out X.npy` from the shell", f"{figures['shell']:.3f} s"],
        ["its matrix out of the cache, checked", f"{figures['read_cache']:.3f} s"],
        [
            "featx.Features.load of X.npy, checked, a memory map",
            f"{figures['load_features']:.3f} s",
        ],
        ["numpy.load of the same matrix", f"{figures['numpy_load']:.3f} s"],
    ]
    header = f"{figures['images']:,} images, {figures['backbone']}, {megabytes:.0f} MB"
    return table([header, "time"], rows, right=["time"])


def asked(figures: dict[str, Any]) -> list[Asked]:
    """Say what is asked of a cache."""
    return [
        Asked("first run / second run", 100, figures["first_run"] / figures["second_run"]),
        Asked(
            "first run / second run, from the shell", 100, figures["first_run"] / figures["shell"]
        ),
        Asked(
            "matrix out of the cache / numpy.load",
            3,
            figures["read_cache"] / figures["numpy_load"],
            at_most=True,
        ),
    ]
