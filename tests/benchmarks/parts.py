"""How quickly a large folder of features is opened, searched and read by row.

    python -m tests.benchmarks.parts FOLDER --rows 1000000 --width 2048

writes synthetic features into FOLDER (8 GB), measures, and removes them. "Cold" is after the kernel
was asked to forget the pages of the files; the disk may remember them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import time
from importlib import import_module
from pathlib import Path

import numpy as np

from featx import Features
from featx.features.parts.writing import PART_ROWS, FolderWriter
from featx.images.decode import Outcome
from tests.benchmarks.peak import peak_bytes


def import_arrow() -> None:
    """Import what reads the files, which is not to be counted."""
    import_module("pyarrow.compute")
    import_module("pyarrow.parquet")


def write(folder: Path, rows: int, width: int) -> None:
    """Write random vectors, part by part, under the digests of their numbers."""
    writer = FolderWriter(folder, None)
    writer.start()
    random = np.random.default_rng(0)
    for start in range(0, rows, PART_ROWS):
        numbers = range(start, min(start + PART_ROWS, rows))
        paths = [f"photos/{number // 1000:04d}/{number:07d}.jpg" for number in numbers]
        writer.add(
            random.random((len(numbers), width), np.float32),
            paths,
            [f"class {number % 100}" for number in numbers],
            [Outcome("embedded", path=path) for path in paths],
            [key(number) for number in numbers],
        )
    writer.finish(
        {
            "recipe": None,
            "n_other": 0,
            "weights": "imagenet",
            "notes": (),
            "name": None,
            "calibrations": (),
            "images_per_second": float("nan"),
        },
        (width,),
    )


def key(number: int) -> str:
    """Return the digest that the picture of a number would have."""
    return hashlib.sha256(b"%d" % number).hexdigest()


def forget(folder: Path) -> None:
    """Ask the kernel to forget the pages of the files."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def peak() -> float:
    """Return the most memory that this process had, in MB."""
    return peak_bytes() / 1e6


def timed(what: str, function):
    """Call a function, and say how long it took."""
    start, own = time.perf_counter(), time.process_time()
    result = function()
    wall, processor = time.perf_counter() - start, time.process_time() - own
    print(
        f"{what:40} {wall:8.3f} s, processor {processor:7.3f} s, peak {peak():7.0f} MB", flush=True
    )
    return result


def measure(folder: Path, rows: int, count: int, seed: int) -> None:
    """Open a folder, look keys up, and read random rows."""
    random = np.random.default_rng(seed)
    asked = [key(number) for number in random.integers(0, 2 * rows, count)]
    chosen = random.integers(0, rows, count)
    features = timed("open", lambda: Features.load(folder))
    found = timed(f"which of {count:,} keys", lambda: features.find(asked))
    print(f"{'':40} {(found >= 0).sum():,} are there")
    X = timed(f"{count:,} random rows", lambda: features.X[chosen])
    assert X.shape == (count, features.width)
    timed(f"{count:,} random rows again", lambda: features.X[chosen])


def main() -> None:
    """Write, measure and remove."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=2048)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--keep", action="store_true", help="do not remove what was written")
    options = parser.parse_args()
    folder = options.folder / "synthetic.features"
    if not folder.exists():
        timed("written", lambda: write(folder, options.rows, options.width))
    try:
        forget(folder)
        print("cold")
        measure(folder, options.rows, options.count, 1)
        timed("all rows, batch by batch", lambda: read_all(folder))
        print("warm")
        measure(folder, options.rows, options.count, 2)
    finally:
        if not options.keep:
            shutil.rmtree(folder)


def read_all(folder: Path) -> None:
    """Go through all batches."""
    for batch in Features.load(folder).batches():
        batch.X.sum()


if __name__ == "__main__":
    main()
