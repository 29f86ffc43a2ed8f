"""Images/s: the plain Keras loop, predict on a dataset, featx, featx --fast, and their bounds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from featx.cli.output import table

from .bench import Bench, Folder, recipe_of, weights_of
from .report import Asked, machine
from .turns import Racer, race
from .worker import Worker

TITLE = "Images per second"
MODES = ("default", "fast")
# What --fast is asked to gain on ResNet50, by the quickest unit and by what it computes in.
_GAINS = {
    ("AMX", "int8"): 8,
    ("AVX512-BF16", "int8"): 4,
    ("AVX512-BF16", "bfloat16"): 2.4,
    ("AVX512-VNNI", "int8"): 4,
}
_COLUMNS = {
    "loop": "Keras loop",
    "dataset": "predict(dataset)",
    "default": "featx",
    "default_bound": "its bound",
    "fast": "featx --fast",
    "fast_bound": "its bound",
}


def run(bench: Bench, results: dict[str, Any]) -> dict[str, Any]:
    """Measure each backbone on photographs of about 450x375, or the user's images."""
    return measure(bench, bench.photos, bench.backbones(bench.plan.backbones))


def show(figures: dict[str, Any]) -> str:
    """Return a table of images/s, and one of ratios."""
    rates = [[name, *(f"{each[key]:.1f}" for key in _COLUMNS)] for name, each in figures.items()]
    header = ["images/s", *_COLUMNS.values()]
    names = list(next(iter(figures.values()))["ratios"])
    ratios = [
        [name, *(f"{each['ratios'][ratio]:.2f}x" for ratio in names)]
        for name, each in figures.items()
    ]
    text = table(header, rates, right=header[1:])
    text += "\n\n" + table(["ratio", *names], ratios, right=names)
    precisions = [
        f"{name} {each['engines']['fast']['precision']}" for name, each in figures.items()
    ]
    text += f"\n(--fast computes in: {', '.join(precisions)})"
    if drawn := [name for name, each in figures.items() if each["weights"] == "random"]:
        text += f"\n(random weights, which are as fast: {', '.join(drawn)})"
    return text


def asked(figures: dict[str, Any]) -> list[Asked]:
    """Say what is asked of ResNet50."""
    if "resnet50" not in figures:
        return []
    ratios = figures["resnet50"]["ratios"]
    precision = figures["resnet50"]["engines"]["fast"]["precision"]
    units = machine()["units"]
    gain = gain_asked(units, precision)
    what = f"ResNet50, --fast / predict(dataset), {units[0] if units else ''}, {precision}"
    return [
        *([Asked(what, gain, ratios["fast/dataset"])] if gain else []),
        Asked("ResNet50, --fast / its bound", 0.85, ratios["fast/bound"]),
        Asked("ResNet50, default / predict(dataset)", 1.35, ratios["featx/dataset"]),
        Asked("ResNet50, default / its bound", 0.85, ratios["featx/bound"]),
        Asked("ResNet50, default / Keras loop", 1.8, ratios["featx/loop"]),
    ]


def gain_asked(units: Sequence[str], precision: str) -> float | None:
    """Return what --fast is asked to gain with such units; None where nothing is."""
    return _GAINS.get((units[0], precision)) if units else None


def measure(bench: Bench, folder: Folder, backbones: tuple[str, ...]) -> dict[str, Any]:
    """Measure all contestants on some images.

    Returns
    -------
    dict
        For each backbone: images/s of all contestants, of the network and of decoding alone, the
        bounds and the ratios.
    """
    figures = {}
    bench.say(f"converting {', '.join(backbones)}")
    recipes_of = {
        backbone: {mode: recipe_of(backbone, fast=mode == "fast") for mode in MODES}
        for backbone in backbones
    }
    bench.warm(*(recipe for recipes in recipes_of.values() for recipe in recipes.values()))
    with bench.worker("keras") as keras:
        for backbone, recipes in recipes_of.items():
            bench.say(f"images/s: {backbone}, {len(folder.images)} images at hand")
            with bench.worker("featx") as featx:
                keras.ask("open", backbone=backbone, weights=weights_of(backbone))
                engines = {
                    mode: featx.ask("engine", recipe=recipe) for mode, recipe in recipes.items()
                }
                racers = _keras_racers(bench, keras, folder)
                for mode, recipe in recipes.items():
                    at_once = engines[mode]["at_once"]
                    racers |= _featx_racers(bench, featx, folder, mode, recipe, at_once)
                measured = race(
                    racers,
                    rounds=bench.plan.rounds,
                    seconds=bench.plan.seconds,
                    most=len(folder.images),
                )
            about = {"weights": weights_of(backbone), "engines": engines}
            figures[backbone] = {**about, **summary(measured)}
    return figures


def _keras_racers(bench: Bench, keras: Worker, folder: Folder) -> dict[str, Racer]:
    def embed(question: str, n: int) -> float:
        return bench.rate(keras, n, keras.ask(question, folder=folder.take(n)))

    return {
        "loop": Racer(partial(embed, "loop"), share=0.5),
        "dataset": Racer(partial(embed, "dataset"), least=24),
    }


def _featx_racers(
    bench: Bench, featx: Worker, folder: Folder, mode: str, recipe: dict[str, Any], at_once: int
) -> dict[str, Racer]:
    """Return featx, its network alone and its decoding alone.

    A turn is of whole batches, as many for each stream: what remains is lost in a short turn, and
    is nothing in a folder of thousands.
    """

    def embed(n: int) -> float:
        seconds = featx.ask("embed", folder=folder.take(n), recipe=recipe)
        return bench.rate(featx, n, n / seconds)

    def network(n: int) -> float:
        return bench.rate(featx, n, featx.ask("network", folder=folder.take(n), n=n, recipe=recipe))

    def decoding(n: int) -> float:
        return bench.rate(featx, n, featx.ask("decoding", folder=folder.take(n), recipe=recipe))

    return {
        mode: Racer(embed, step=at_once),
        f"{mode}_network": Racer(network, share=0.6, step=at_once),
        f"{mode}_decoding": Racer(decoding, share=0.2),
    }


def summary(measured: dict[str, dict[str, float]]) -> dict[str, Any]:
    """Return images/s by contestant, with bounds, ratios and numbers of images."""
    figures: dict[str, Any] = {name: each["rate"] for name, each in measured.items()}
    for mode in MODES:
        figures[f"{mode}_bound"] = bound(figures[f"{mode}_network"], figures[f"{mode}_decoding"])
    figures["ratios"] = {
        "featx/loop": figures["default"] / figures["loop"],
        "featx/dataset": figures["default"] / figures["dataset"],
        "fast/dataset": figures["fast"] / figures["dataset"],
        "fast/featx": figures["fast"] / figures["default"],
        "featx/bound": figures["default"] / figures["default_bound"],
        "fast/bound": figures["fast"] / figures["fast_bound"],
    }
    figures["images"] = {name: each["n"] for name, each in measured.items()}
    return figures


def bound(network: float, decoding: float) -> float:
    """Return the images/s of cores that do nothing but decode and compute, and never wait."""
    return 1 / (1 / network + 1 / decoding)
