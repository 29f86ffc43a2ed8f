"""Run the benchmark: `python -m tests.benchmarks --help`."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from . import cached, large, memory, several, single, startup, throughput
from .bench import Bench
from .plan import FULL, QUICK
from .report import headline, machine

PARTS = {
    "throughput": throughput,
    "large": large,
    "several": several,
    "cached": cached,
    "startup": startup,
    "single": single,
    "memory": memory,
}


def main() -> None:
    """Run the parts, print a table for each, and keep all figures as JSON."""
    options = _options()
    start = time.perf_counter()
    results: dict[str, Any] = {"machine": machine()}
    print(headline(results["machine"]))
    asked = []
    with ExitStack() as stack:
        work = options.work or stack.enter_context(
            tempfile.TemporaryDirectory(prefix="featx-benchmark-")
        )
        bench = Bench(
            plan=QUICK if options.quick else FULL,
            work=Path(work).resolve(),
            own=options.images,
            chosen=tuple(options.backbones or ()),
            busy=options.busy,
        )
        results["images"] = bench.about_photos
        print(f"{bench.about_photos}; best of {bench.plan.rounds} turns, contestants interleaved")
        if options.busy:
            print("--busy: images/s by processor time, as if each kept all cores at work")
        if options.quick:
            print("--quick: too few images for the figures to mean anything")
        for name in options.only or PARTS:
            part = PARTS[name]
            figures = results[name] = part.run(bench, results)
            print(f"\n{part.TITLE}\n\n{part.show(figures)}", flush=True)
            for each in part.asked(figures):
                print(each)
                asked.append(each.to_dict())
    results["asked"] = asked
    results["seconds"] = time.perf_counter() - start
    print(f"\n{results['seconds']:.0f} s in all", file=sys.stderr)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "--images", type=Path, metavar="FOLDER", help="your photographs, in place of drawn ones"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep all figures")
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--backbones", nargs="+", metavar="NAME", help="see `featx backbones`")
    parser.add_argument(
        "--work", type=Path, metavar="FOLDER", help="keep images and converted networks there"
    )
    parser.add_argument(
        "--busy", action="store_true", help="measure processor time, as others use the machine"
    )
    parser.add_argument("--quick", action="store_true", help="tiny numbers: only to see it run")
    return parser.parse_args()


if __name__ == "__main__":
    main()
