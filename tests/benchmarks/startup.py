"""`featx predict` from a cold shell, against importing TensorFlow."""

from __future__ import annotations

from typing import Any

from featx.cli.output import table

from .bench import Bench
from .report import Asked
from .turns import in_turns
from .worker import ROOT

TITLE = "Start-up"
_FRUIT = ROOT / "data" / "fruit"


def run(bench: Bench, results: dict[str, Any]) -> dict[str, Any]:
    """Train a small model, and measure how soon it answers about one picture."""
    bench.say("start-up")
    model = str(bench.work / "fruit.featx")
    picture = str(next((_FRUIT / "test").rglob("*.jpg")))

    bench.shell("-m", "featx", "train", str(_FRUIT / "train"), "--out", model)
    turns = {
        "predict_cached": lambda: bench.shell("-m", "featx", "predict", model, picture),
        "predict": lambda: bench.shell("-m", "featx", "predict", model, picture, "--no-cache"),
        "import_tensorflow": lambda: bench.shell("-c", "import tensorflow"),
    }
    in_turns(turns, 1)  # to warm up
    return {name: min(each) for name, each in in_turns(turns, bench.plan.rounds).items()}


def show(figures: dict[str, Any]) -> str:
    """Return a table."""
    rows = [
        ["featx predict MODEL one.jpg --no-cache", f"{figures['predict']:.2f} s"],
        ["featx predict MODEL one.jpg, from the cache", f"{figures['predict_cached']:.2f} s"],
        ['python -c "import tensorflow"', f"{figures['import_tensorflow']:.2f} s"],
    ]
    return table(["from a cold shell, for the second time", "time"], rows, right=["time"])


def asked(figures: dict[str, Any]) -> list[Asked]:
    """Say what is asked of the start."""
    whole = figures["import_tensorflow"]
    return [
        Asked("predict / importing TensorFlow", 1, figures["predict"] / whole, at_most=True),
        Asked(
            "predict from the cache / importing TensorFlow",
            1,
            figures["predict_cached"] / whole,
            at_most=True,
        ),
    ]
