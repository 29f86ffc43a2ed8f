"""Damage every kind of file at many places: `python -m tests.damage --places 1000`."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does

from .targets import TARGETS
from .trial import try_places


def main() -> None:
    """Try each target, or those that are named, and print how often damage was noticed."""
    names = [target.name for target in TARGETS]
    parser = argparse.ArgumentParser(prog="python -m tests.damage", description=__doc__)
    parser.add_argument("--places", type=int, default=1000, metavar="N", help="of each target")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="for other places")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    options = parser.parse_args()
    logging.getLogger("featx").setLevel(logging.ERROR)  # each damage is a warning
    for target in TARGETS:
        if target.name in (options.only or names):
            start = time.perf_counter()
            with tempfile.TemporaryDirectory(prefix="featx-damage-") as work:
                noticed = try_places(target, options.places, Path(work), options.seed)
            seconds = time.perf_counter() - start
            print(f"{target.name}: {options.places} places, noticed {noticed}, {seconds:.0f} s")


if __name__ == "__main__":
    main()
