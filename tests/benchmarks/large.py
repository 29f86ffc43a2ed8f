"""Images/s on photographs of 12 megapixels, where decoding weighs most."""

from __future__ import annotations

from typing import Any

from .bench import Bench
from .report import Asked
from .throughput import measure, show

__all__ = ["TITLE", "asked", "run", "show"]

TITLE = "Images per second, 12 megapixels"


def run(bench: Bench, results: dict[str, Any]) -> dict[str, Any]:
    """Measure each backbone on large photographs."""
    return measure(bench, bench.large, bench.backbones(bench.plan.large_backbones))


def asked(figures: dict[str, Any]) -> list[Asked]:
    """Say what is asked of --fast."""
    return [
        Asked(f"{name}, 12 megapixels: --fast / default", 5, each["ratios"]["fast/featx"])
        for name, each in figures.items()
    ]
