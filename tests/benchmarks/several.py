"""Several backbones in one pass over the images, against a pass for each."""

from __future__ import annotations

from typing import Any

from featx.cli.output import table

from .bench import Bench, recipe_of, weights_of
from .report import Asked
from .turns import in_turns

TITLE = "Several backbones in one pass, 12 megapixels"


def run(bench: Bench, results: dict[str, Any]) -> dict[str, Any]:
    """Measure one pass, separate passes, and the decoding that one pass saves.

    One pass still resizes for each size of input, so resizing is not in what it saves.
    """
    chosen = bench.chosen if len(bench.chosen) > 1 else bench.plan.several_backbones
    bench.say(f"one pass over {', '.join(chosen)}")
    recipes = [recipe_of(name, weights=weights_of(*chosen)) for name in chosen]
    together = recipe_of(*chosen)
    bench.warm(together)
    n = len(bench.large.images) // 2
    folder = bench.large.take(n)
    with bench.worker("featx") as featx:

        def embed(recipe: dict[str, Any]) -> float:
            return featx.ask("embed", folder=folder, recipe=recipe)

        def decode() -> float:
            return n / featx.ask("decoding_unresized", folder=folder)

        turns = {
            "one_pass": lambda: embed(together),
            "separate_passes": lambda: sum(embed(recipe) for recipe in recipes),
            "decoding_saved": lambda: sum(decode() for _ in recipes[1:]),
        }
        in_turns(turns, 1)  # to warm up
        seconds = {name: min(each) for name, each in in_turns(turns, bench.plan.rounds).items()}
    return {"backbones": list(chosen), "images": n, **seconds}


def show(figures: dict[str, Any]) -> str:
    """Return a table."""
    others = len(figures["backbones"]) - 1
    rows = [
        [f"one pass over {', '.join(figures['backbones'])}", f"{figures['one_pass']:.2f} s"],
        [f"{others + 1} passes", f"{figures['separate_passes']:.2f} s"],
        [f"decoding alone, {others}x", f"{figures['decoding_saved']:.2f} s"],
    ]
    return table([f"{figures['images']} images", "time"], rows, right=["time"])


def asked(figures: dict[str, Any]) -> list[Asked]:
    """Say what is asked of one pass."""
    saved = figures["separate_passes"] - figures["one_pass"]
    others = len(figures["backbones"]) - 1
    what = f"time saved by one pass / decoding {others}x more"
    return [Asked(what, 1, saved / figures["decoding_saved"])]
