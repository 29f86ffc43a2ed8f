"""Peak memory of embedding with `flatten`, for few and for many images."""

from __future__ import annotations

from typing import Any

from featx.cli.output import table

from .bench import Bench, recipe_of
from .report import Asked

TITLE = "Peak memory with flatten"
_MB = 1e6


def run(bench: Bench, results: dict[str, Any]) -> dict[str, Any]:
    """Embed two numbers of images, each in a fresh process, and take the peaks of RssAnon."""
    plan = bench.plan
    recipe = recipe_of(*bench.chosen[:1] or [plan.memory_backbone], pooling="flatten")
    if not bench.chosen:
        recipe["input_size"] = plan.memory_input_size
    bench.warm(recipe)
    runs = []
    for n in plan.memory_images:
        bench.say(f"memory: {n} images")
        with bench.worker("featx") as featx:
            measured = featx.ask("peak_memory", folder=bench.small.take(n), recipe=recipe)
        runs.append({"images": n, **measured})
    return {"backbone": recipe["backbone"], "runs": runs}


def show(figures: dict[str, Any]) -> str:
    """Return a table."""
    header = [figures["backbone"], "peak of anonymous memory", "matrix"]
    rows = [
        [f"{each['images']:,} images", *(f"{each[key] / _MB:.0f} MB" for key in ("peak", "matrix"))]
        for each in figures["runs"]
    ]
    return table(header, rows, right=header[1:])


def asked(figures: dict[str, Any]) -> list[Asked]:
    """Say what is asked of memory."""
    few, many = figures["runs"]
    what = f"peak at {many['images']:,} images / at {few['images']:,}"
    return [Asked(what, 1.1, many["peak"] / few["peak"], at_most=True)]
