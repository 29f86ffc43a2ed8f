"""A cache of a million rows: seconds to open it, to look keys up and to read rows.

Run it by itself, as it needs as much room on the disk as it has rows:

    python -m tests.benchmarks.store FOLDER [--rows 1000000] [--width 2048]

A cold turn has dropped the files from the memory of the system before, and a warm one has not.
What is said of processor time is of all threads together. The vectors are synthetic.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from featx.features.recipe import RecipePart
from featx.features.store.folder import shard_paths
from featx.features.store.store import FeatureStore

RECIPE = RecipePart.of("resnet50", "0123456789abcdef" * 4, 224)
SHARD_ROWS = 2000  # of 2048 numbers: 16 MB
ASKED = {"open": 1.0, "look up": 1.0, "read": 2.0}  # seconds
SAMPLE = 10_000


def digests(rows: Iterator[int] | range | list[int]) -> list[str]:
    """Name rows by digests, as those of pictures are named."""
    return [hashlib.sha256(b"%d" % row).hexdigest() for row in rows]


def fill(folder: Path, rows: int, width: int) -> FeatureStore:
    """Write a store of many rows, shard by shard."""
    store = FeatureStore(folder, RECIPE, listed=False)
    random = np.random.default_rng(0)
    block = random.random((SHARD_ROWS, width), dtype=np.float32)
    for start in range(0, rows, SHARD_ROWS):
        count = min(SHARD_ROWS, rows - start)
        block[:, 0] = np.arange(start, start + SHARD_ROWS)
        store.append(digests(range(start, start + count)), block[:count], name=f"block-{start:09d}")
    return store


def drop(folder: Path) -> None:
    """Let the system forget the files of a folder."""
    for path in shard_paths(folder):
        file = os.open(path, os.O_RDONLY)
        os.fsync(file)
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(file)


def resident() -> float:
    """Return the memory of this process that is no file of the disk, in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(folder: Path, rows: int, width: int, seed: int) -> dict[str, tuple[float, float]]:
    """Return seconds and processor seconds of each step."""
    random = np.random.default_rng(seed)
    wanted = digests(random.permutation(2 * rows)[:SAMPLE].tolist())  # half of them are there
    chosen = random.permutation(rows)[:SAMPLE]
    present = digests(chosen.tolist())
    out = np.empty((SAMPLE, width), np.float32)
    out[:] = 0  # the memory is there before it is measured
    took = {}

    def timed(step: str, function):
        wall, processor = time.perf_counter(), time.process_time()
        made = function()
        took[step] = (time.perf_counter() - wall, time.process_time() - processor)
        return made

    store = timed("open", lambda: FeatureStore(folder, RECIPE))
    before = resident()
    there = timed("look up", lambda: store.stored(wanted))
    assert 0.4 * SAMPLE < there.sum() < 0.6 * SAMPLE or rows < SAMPLE
    assert len(timed("check", lambda: store.sound(present))) == SAMPLE
    timed("read", lambda: store.read(present, out))
    assert (out[:, 0] == chosen).all()
    print(f"  memory of its own: {resident() - before:+.0f} MB since it was opened")
    return took


def main() -> None:
    """Fill a store, and print what each step takes."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("folder", type=Path)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--width", type=int, default=2048)
    options.add_argument("--keep", action="store_true", help="leave the store there")
    chosen = options.parse_args()
    folder = chosen.folder
    store = FeatureStore(folder, RECIPE, listed=False)
    if not shard_paths(store.folder):
        began = time.perf_counter()
        fill(folder, chosen.rows, chosen.width)
        print(f"filled in {time.perf_counter() - began:.0f} s")
    for turn, cold in enumerate([True, False, False, True]):
        if cold:
            drop(store.folder)
        print(f"{'cold' if cold else 'warm'}:")
        for step, (wall, own) in measure(folder, chosen.rows, chosen.width, turn).items():
            asked = f", asked: {ASKED[step]:g} s" if step in ASKED else ""
            print(f"  {step}: {wall:.2f} s ({own:.2f} s of processor time{asked})")
    if not chosen.keep:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
