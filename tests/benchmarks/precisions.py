"""Networks alone, without decoding, in each precision that this processor computes in.

    python -m tests.benchmarks.precisions [--backbones resnet50 vgg16] [--pictures 64]

Milliseconds of one core for a picture, by processor time, so that it may be run on a machine that
others use. With `ONEDNN_MAX_CPU_ISA` (AVX512_CORE_VNNI, AVX2_VNNI, ...) a processor passes for a
lesser one.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from featx.backbones.engines.choice import engines_for
from featx.backbones.network import PRECISIONS
from featx.cli.output import table

from .bench import CALIBRATING, Bench, recipe_of
from .plan import FULL
from .report import headline, machine
from .turns import in_turns
from .worker import Worker

_ROUNDS = 5


def main() -> None:
    """Measure in turns and print a table."""
    options = _options()
    print(headline(machine()))
    computes_in = engines_for()[0].computes_in
    precisions = [each for each in PRECISIONS if computes_in(each)]
    rows = []
    with tempfile.TemporaryDirectory(prefix="featx-precisions-") as beside:
        bench = Bench(FULL, options.work or Path(beside), chosen=tuple(options.backbones or ()))
        for backbone in bench.backbones(FULL.backbones):
            bench.say(backbone)
            with bench.worker("featx") as featx:
                for precision in precisions:
                    recipe = recipe_of(backbone, precision=precision)
                    featx.ask("embed", folder=bench.photos.take(CALIBRATING), recipe=recipe)
                turns = {
                    precision: partial(
                        milliseconds, bench, featx, backbone, precision, options.pictures
                    )
                    for precision in precisions
                }
                said = in_turns(turns, _ROUNDS + 1)  # the first warms up
            rows.append([backbone, *(f"{np.median(each[1:]):.1f}" for each in said.values())])
    print(table(["ms", *precisions], rows, right=precisions))


def milliseconds(bench: Bench, featx: Worker, backbone: str, precision: str, n: int) -> float:
    recipe = recipe_of(backbone, precision=precision)
    featx.ask("network", folder=bench.photos.take(CALIBRATING), n=n, recipe=recipe)
    return 1000 * featx.processor_seconds / n


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", metavar="NAME", help="see `featx backbones`")
    parser.add_argument("--pictures", type=int, default=64, help="in a turn, a multiple of 16")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="keep converted networks there")
    return parser.parse_args()


if __name__ == "__main__":
    main()
