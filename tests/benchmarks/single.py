"""Thousands of calls of one picture each, to predict and to embed: neither slows down."""

from __future__ import annotations

import tempfile
from typing import Any

from featx.cli.output import table

from .bench import Bench
from .report import Asked

TITLE = "One picture a call"


def run(bench: Bench, results: dict[str, Any]) -> dict[str, Any]:
    """Call again and again on pictures that the cache does not know, without a network."""
    figures = {}
    for call in ("predict", "embed"):
        bench.say(f"one picture a call: {call}")
        with tempfile.TemporaryDirectory(dir=bench.work) as cache, bench.worker("featx") as featx:
            figures[call] = featx.ask("one_by_one", call=call, n=bench.plan.calls, cache=cache)
    return figures


def show(figures: dict[str, Any]) -> str:
    """Return a table."""
    rows = [
        [
            call,
            f"{each['calls']:,}",
            f"{1000 * each['start']:.1f} ms",
            f"{1000 * each['end']:.1f} ms",
            f"{each['files']}",
            f"{each['cache_bytes'] / 1e6:.1f} MB",
            f"{each['memory_bytes'] / 1e6:.1f} MB",
        ]
        for call, each in figures.items()
    ]
    header = ["", "calls", "a call at first", "at last", "files", "cache", "memory grew by"]
    return table(header, rows, right=header[1:])


def asked(figures: dict[str, Any]) -> list[Asked]:
    """Say what is asked of a server."""
    return [
        Asked(f"{call}, last calls / first calls", 1.5, each["end"] / each["start"], at_most=True)
        for call, each in figures.items()
    ]
