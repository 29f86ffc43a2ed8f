"""How much memory it takes to embed many pictures into a folder of features.

    python -m tests.benchmarks.piecewise FOLDER

draws 20,000 pictures into FOLDER, embeds 1,000 and all of them in processes of their own, on an
engine that only gives vectors of 1,280 numbers, and says the most memory that each had.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tests.benchmarks.peak import peak_bytes


def draw(folder: Path, count: int) -> Path:
    """Draw small pictures, all different, a thousand a class."""
    random = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"class {number // 1000:02d}" / f"{number:05d}.png"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(path)
    return folder


def embed(folder: Path, out: Path, count: int) -> None:
    """Embed the first pictures, and say the most memory that this process had."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import fakes

    import featx
    from featx.features import matrix

    class Engine(fakes.FakeEngine):
        """The fake engine with as many columns as the default network has."""

        def __init__(self, request) -> None:
            super().__init__(request)
            self.shape = (1280,)

        def embed_batch(self, images):
            return np.resize(fakes.colours(images), (1280, len(images))).T.copy()

    paths = sorted(map(str, folder.rglob("*.png")))[:count]
    matrix.MEMORY_MAP_BYTES = 0  # as of a folder of more than 192 MB
    before = peak()
    with fakes.install(Engine):
        featx.embed(paths, out=out, cache=False, progress=False)
    print(f"{count:6,} pictures: {before:5.0f} MB before, {peak():5.0f} MB at most")


def peak() -> float:
    """Return the most memory that this process had, in MB."""
    return peak_bytes() / 1e6


def main() -> None:
    """Draw, and embed in processes of their own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, help="embed so many in this process")
    options = parser.parse_args()
    if options.count:
        embed(options.folder / "photos", options.folder / "out.features", options.count)
        return
    draw(options.folder / "photos", 20_000)
    for count in (1_000, 8_000, 20_000):
        words = [sys.executable, "-m", "tests.benchmarks.piecewise", str(options.folder)]
        subprocess.run([*words, "--count", str(count)], check=True)


if __name__ == "__main__":
    main()
