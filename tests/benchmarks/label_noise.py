"""How well wrong labels are found: `python -m tests.benchmarks.label_noise --help`.

Labels of the training parts of the shared sets are changed at random, and `suspects` of a
cross-validation should list these and no others. Beside it stand the images that confident
learning alone would list (an image that is surer of another class than that class usually is).
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import featx

SETS = ("grocery20", "caltech15", "cifar10", "mnist", "fruit_pair")
NOISE = (0.0, 0.0125, 0.05)


def main() -> None:
    """Print precision, recall and false alarms for each network, size and share of wrong labels."""
    options = _options()
    sums: dict[tuple[str, ...], np.ndarray] = defaultdict(lambda: np.zeros(5))
    for name in options.backbones:
        for one in options.sets:
            features = featx.embed(options.data / one / "train", name, progress=False)
            for case, figures in _trials(features, options.classifier, options.seeds):
                for key in ((name, *case), ("all", *case)):
                    sums[key] += figures
    print(f"{'':46} {'wrong':>6} {'listed':>7} {'found':>6} {'said':>6} {'false per 100':>14}")
    for key, (n, wrong, listed, found, said) in sorted(sums.items()):
        false = 100 * (listed - found) / n
        row = f"{wrong:6.0f} {listed:7.0f} {found:6.0f} {said:6.1f} {false:14.2f}"
        print(f"{' '.join(key):46} {row}")


def _trials(
    features: featx.Features, classifier: str, seeds: int
) -> Iterator[tuple[tuple[str, str, str], np.ndarray]]:
    """Yield for each case images, wrong labels, those listed, found, and said to be found."""
    assert features.y is not None
    for each, noise, seed in ((a, b, c) for a in (5, 99) for b in NOISE for c in range(seeds)):
        random = np.random.default_rng(seed)
        rows = [
            random.permutation(np.flatnonzero(features.y == name))[:each]
            for name in features.classes
        ]
        some = features.select(np.sort(np.concatenate(rows)))
        wrong = _spoil(some, noise, random)
        validation = featx.cross_validate(some, classifier, n_jobs=1, progress=False)
        table = validation.suspects
        listed = np.isin(some.paths, table.path)
        case = ("five per class" if each == 5 else "whole", f"{100 * noise:g} %")
        said = float(table.probability_wrong.sum())
        counts = [len(some), wrong.sum(), listed.sum(), (listed & wrong).sum(), said]
        yield (*case, "featx"), np.array(counts)
        joint = _confident_joint(validation)
        counts = [len(some), wrong.sum(), joint.sum(), (joint & wrong).sum(), np.nan]
        yield (*case, "joint"), np.array(counts)


def _spoil(features: featx.Features, share: float, random: np.random.Generator) -> np.ndarray:
    """Change the labels of a share of the images, at least one, and return which."""
    assert features.y is not None
    n = max(1, round(share * len(features))) if share else 0
    bad = random.choice(len(features), n, replace=False)
    for row in bad:
        others = [name for name in features.classes if name != features.y[row]]
        features.y[row] = random.choice(others)
    return np.isin(np.arange(len(features)), bad)


def _confident_joint(validation: featx.CrossValidation) -> np.ndarray:
    """Return what is off the diagonal of the confident joint (Northcutt and others, 2021)."""
    shares = validation.probabilities
    assert shares is not None
    own = np.searchsorted(np.array(validation.classes), validation.y_true)
    mine = shares[np.arange(len(own)), own]
    usual = np.array([mine[own == number].mean() for number in range(shares.shape[1])])
    return np.asarray(np.where(shares >= usual, shares, -1.0).max(axis=1) > mine)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    shared = Path(os.environ.get("FEATX_SHARED", "../shared")) / "data"
    parser.add_argument("--data", type=Path, default=shared, help="the folder of the sets")
    parser.add_argument("--sets", nargs="+", default=SETS, choices=SETS)
    parser.add_argument("--backbones", nargs="+", default=["efficientnet_lite0", "pixels"])
    parser.add_argument("--classifier", default="logistic")
    parser.add_argument("--seeds", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
