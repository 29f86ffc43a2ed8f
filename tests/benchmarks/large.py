"""Images/s on photographs of 12 megapixels, where decoding weighs most.

The entropy coding (Huffman) of a JPEG has to be undone bit by bit, whatever size is wanted, so it
bounds all that embeds such photographs. `--fast` leaves out what else it can of decoding.
"""

from __future__ import annotations

from typing import Any

from . import throughput
from .bench import Bench, recipe_of
from .report import Asked
from .throughput import bound, measure
from .turns import Racer, race

TITLE = "Images per second, 12 megapixels"


def run(bench: Bench, results: dict[str, Any]) -> dict[str, Any]:
    """Measure each backbone on large photographs, and the entropy coding alone."""
    figures = measure(bench, bench.large, bench.backbones(bench.plan.large_backbones))
    bench.say("12 megapixels: the entropy coding alone")
    for backbone, each in figures.items():
        each |= _entropy(bench, recipe_of(backbone, fast=True))
        each["entropy_bound"] = bound(each["fast_network"], each["entropy"])
        each["ratios"]["fast/entropy bound"] = each["fast"] / each["entropy_bound"]
    return figures


def _entropy(bench: Bench, recipe: dict[str, Any]) -> dict[str, float]:
    """Return the images/s of undoing the entropy coding, and its share of the time to decode."""
    folder = bench.large
    with bench.worker("featx") as featx:

        def alone(n: int) -> float:
            rate = featx.ask("entropy_decoding", folder=folder.take(n))
            return bench.rate(featx, n, rate)

        def decoding(n: int) -> float:
            rate = featx.ask("decoding", folder=folder.take(n), recipe=recipe)
            return bench.rate(featx, n, rate)

        rates = race(
            {"entropy": Racer(alone, share=0.5), "decoding": Racer(decoding, share=0.5)},
            rounds=bench.plan.rounds,
            seconds=bench.plan.seconds,
            most=len(folder.images),
        )
    entropy, whole = rates["entropy"]["rate"], rates["decoding"]["rate"]
    return {"entropy": entropy, "entropy_share": whole / entropy}


def show(figures: dict[str, Any]) -> str:
    """Return the tables of `throughput`, and what the entropy coding takes."""
    first = next(iter(figures.values()))
    return throughput.show(figures) + (
        f"\n(undoing the entropy coding of the JPEGs alone: {first['entropy']:.1f} images/s, "
        f"{100 * first['entropy_share']:.0f} % of the time of scaled decoding)"
    )


def asked(figures: dict[str, Any]) -> list[Asked]:
    """Say what is asked of --fast."""
    bounds = {"its bound": "fast/bound", "the bound of entropy coding": "fast/entropy bound"}
    return [
        Asked(f"{name}, 12 megapixels: --fast / {what}", 0.9, each["ratios"][ratio])
        for name, each in figures.items()
        for what, ratio in bounds.items()
    ]
