"""Training beyond memory: peak, time and accuracy; `python -m tests.benchmarks.out_of_core --help`.

Vectors are made from real ones of several sets (their folders for training): a class is a mixture
of its own pictures, varied by how other pictures differ from the mean of their class, and by
factors with long tails. Each classifier is fitted in a process of its own, and judged on further
vectors, beside the ordinary fit on a sample that takes about as much memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import featx
from tests.benchmarks.peak import peak_bytes

SETS = ("caltech15", "grocery20", "cifar10", "mnist")
_BLOCK = 4096
_TESTED = 20_000  # further vectors
_APART = 0.35  # of the real distances between means: as real ones are, classes are too easy
_RUN = "import sys; from tests.benchmarks.out_of_core import child; child(sys.argv[1:])"


def main() -> None:
    """Make the vectors unless they are there, fit each classifier and print a line for it."""
    options = _options()
    learned, tested = options.work / "learned.npy", options.work / "tested.npy"
    if not learned.is_file():
        options.work.mkdir(parents=True, exist_ok=True)
        made = Mixture([options.data / name / "train" for name in SETS], options.backbone)
        made.save(tested, _TESTED, seed=1)
        made.save(learned, options.rows, seed=0)
    print(f"{'classifier':12} {'memory':>8} {'peak':>8} {'accuracy':>9} {'seconds':>8}  fit")
    for name in options.classifiers:
        for memory in (options.memory, None):
            found = _measured(name, learned, tested, memory, options)
            print(
                f"{name:12} {memory or 'sample':>8} {found['peak'] / 1e6:>6.0f}MB "
                f"{100 * found['accuracy']:>7.2f} % {found['seconds']:>8.1f}  {found['fit']}",
                flush=True,
            )


class Mixture:
    """Vectors that are distributed as those of photographs are."""

    def __init__(self, folders: list[Path], backbone: str) -> None:
        embedded = [
            featx.embed(folder, backbone, pooling="avg", progress=False) for folder in folders
        ]
        self.recipe, self.weights = embedded[0].recipe, embedded[0].weights
        self.vectors = np.concatenate([each.X for each in embedded])
        names = [f"{n} {label}" for n, each in enumerate(embedded) for label in each.labels]
        self.classes, self.of_class = np.unique(names, return_inverse=True)
        self.means = np.array(
            [self.vectors[self.of_class == one].mean(0) for one in range(len(self.classes))]
        )
        self.residuals = self.vectors - self.means[self.of_class]
        centre = self.means.mean(axis=0)
        self.means = centre + _APART * (self.means - centre)

    def save(self, path: Path, rows: int, seed: int) -> None:
        """Write so many vectors, sorted by class as a folder is."""
        random = np.random.default_rng(seed)
        y = np.sort(random.integers(len(self.classes), size=rows))
        X = np.lib.format.open_memmap(path, "w+", np.float32, (rows, self.vectors.shape[1]))
        for start in range(0, rows, _BLOCK):
            X[start : start + _BLOCK] = self._drawn(y[start : start + _BLOCK], random)
        X.flush()
        paths = [f"photos/{self.classes[name]}/{row:07d}.jpg" for row, name in enumerate(y)]
        features = featx.Features(
            np.load(path, mmap_mode="r"),
            self.classes[y],
            np.array(paths, object),
            recipe=self.recipe,
            weights=self.weights,
        )
        features.save(path)

    def _drawn(self, y: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Draw a vector of each class."""
        own = [np.flatnonzero(self.of_class == name) for name in range(len(self.classes))]
        values = self.means[y]
        for weight in (0.7, 0.5):
            picked = np.array([random.choice(own[name]) for name in y])
            values = values + weight * self.residuals[picked]
        for weight in random.normal(0, 0.6, size=(4, len(y), 1)).astype(np.float32):
            values += weight * self.residuals[random.integers(len(self.vectors), size=len(y))]
        values *= random.lognormal(0, 0.3, values.shape).astype(np.float32)
        return np.maximum(values, 0)


def child(arguments: list[str]) -> None:
    """Fit and judge one classifier, and print what it took as JSON."""
    name, learned, tested, memory, validated = arguments
    import pandas as pd  # noqa: F401
    import sklearn.calibration
    import sklearn.cluster
    import sklearn.decomposition
    import sklearn.linear_model
    import sklearn.metrics
    import sklearn.neighbors
    import sklearn.neural_network
    import sklearn.svm  # noqa: F401

    import featx.learning.out_of_core
    import featx.models.train

    before, start = peak_bytes(), time.perf_counter()
    features: Any = learned
    if not memory:
        features = featx.Features.load(learned)
        step = max(1, len(features) // 10_000)
        features = features.select(np.arange(0, len(features), step))
    options: dict[str, Any] = {"memory": memory} if memory else {}
    model = featx.train(features, name, validation=validated == "True", progress=False, **options)
    peak, seconds = peak_bytes() - before, time.perf_counter() - start
    training = model.training
    assert training is not None
    found = {
        "peak": peak,
        "seconds": seconds,
        "accuracy": model.evaluate(tested, progress=False).accuracy,
        "fit": getattr(training, "fit", None),
        "validation": training.validation and training.validation.accuracy,
    }
    print(json.dumps(found))


def _measured(
    name: str, learned: Path, tested: Path, memory: str | None, options: argparse.Namespace
) -> dict[str, Any]:
    words = [name, learned, tested, memory or "", options.validate]
    command = [sys.executable, "-c", _RUN, *map(str, words)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(ended.stderr)
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("classifiers", nargs="*", default=["logistic"])
    parser.add_argument("--data", type=Path, required=True, help="the folder of the sets")
    parser.add_argument("--work", type=Path, required=True, help="a folder for the vectors")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--memory", default="1GB")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--validate", action="store_true", help="cross-validate, too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
