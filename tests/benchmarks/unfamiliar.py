"""How well unfamiliar pictures are told: `python -m tests.benchmarks.unfamiliar --help`.

What is familiar are training pictures that were held out (5 folds), what is not are pictures of
other sets, or, which is hard, of the other half of the classes of the same set. Beside prototypes
stand the other ways of judging by features: the nearest picture, the nearest mean of a class, and
Mahalanobis distances with a shrunk covariance that classes share, all of the same vectors.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

import featx
from featx.models.familiarity import learn_familiarity

FAMILIAR = ("grocery20", "fruit_pair")
STRANGE = ("cifar10", "mnist", "imagenet20")
HALVED = ("grocery20", "caltech15")
Score = Callable[[np.ndarray], np.ndarray]  # features to how strange each is


def main() -> None:
    """Print areas under the curve, and how many are refused, for each network and set."""
    options = _options()
    print(f"{'network':20} {'familiar':12} {'strange':14} {'AUROC':>7} {'refused':>8} {'told':>6}")
    for name in options.backbones:
        sets = {one: _embedded(options.data / one, name) for one in {*FAMILIAR, *STRANGE, *HALVED}}
        for one in FAMILIAR:
            tested = _tested(options.data / one, name) if options.test else None
            _print_far(name, one, sets, tested)
        _print_near(name, sets, options.seeds)


def _print_far(
    name: str, one: str, sets: dict[str, featx.Features], tested: featx.Features | None
) -> None:
    """Print how a set is told from others: pictures held out of it, or those of its test folder."""
    learned = sets[one]
    familiarity, _ = learn_familiarity(learned)
    if tested is None:
        held_out = np.concatenate([score(X) for score, X in _folds(learned, _prototypes)])
    else:
        held_out = familiarity.unfamiliarity(tested.matrix)
    for other in STRANGE:
        strange = familiarity.unfamiliarity(sets[other].matrix)
        print(f"{name:20} {one:12} {other:14} {_figures(held_out, strange)}", flush=True)
    print(f"{name:20} {one:12} {familiarity.prototypes.nbytes / 1000:.0f} kB in memory")


def _print_near(name: str, sets: dict[str, featx.Features], seeds: int) -> None:
    """Print how half of the classes of a set are told from the other half, by each way."""
    areas = defaultdict(list)
    for one in HALVED:
        for seed in range(seeds):
            features = sets[one]
            own = np.random.default_rng(seed).permutation(features.classes)
            mine = np.isin(features.y, own[: len(own) // 2])
            learned = features.select(np.flatnonzero(mine))
            strange = features.matrix[~mine]
            for way, learn in WAYS.items():
                held_out = np.concatenate([score(X) for score, X in _folds(learned, learn)])
                areas[one, way].append((held_out, learn(learned)(strange)))
    for (one, way), pairs in areas.items():
        held_out, strange = (np.concatenate(each) for each in zip(*pairs, strict=True))
        figures = [roc_auc_score(*_ranked(*pair)) for pair in pairs]
        told = _figures(held_out, strange) if way == "prototypes" else ""
        area = f"{np.mean(figures):7.3f} {told[8:]}"
        print(f"{name:20} {one:12} {'its half, ' + way:24} {area}", flush=True)


def _folds(features: featx.Features, learn: Callable[[featx.Features], Score]) -> Iterator:
    """Yield a score learned from four fifths, and the features of the fifth."""
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    for train, test in folds.split(features.matrix, features.y):
        yield learn(features.select(train)), features.matrix[test]


def _figures(familiar: np.ndarray, strange: np.ndarray) -> str:
    area = roc_auc_score(*_ranked(familiar, strange))
    return f"{area:7.3f} {np.mean(familiar > 1):8.1%} {np.mean(strange > 1):6.1%}"


def _ranked(familiar: np.ndarray, strange: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    truth = np.repeat([0, 1], [len(familiar), len(strange)])
    return truth, np.concatenate([familiar, strange])


# ---------------------------------------------------------------- ways to judge


def _prototypes(features: featx.Features) -> Score:
    return learn_familiarity(features)[0].unfamiliarity


def _pictures(features: featx.Features) -> Score:
    return _to_nearest(_roots(features.matrix))


def _means(features: featx.Features) -> Score:
    return _to_nearest(_class_means(features))


def _mahalanobis(features: featx.Features) -> Score:
    means = _class_means(features)
    rows = _roots(features.matrix)
    places = np.searchsorted(np.array(features.classes), features.y)
    precision = LedoitWolf(assume_centered=True).fit(rows - means[places]).precision_

    def score(X: np.ndarray) -> np.ndarray:
        away = _roots(X)[:, None] - means
        return np.einsum("ijk,kl,ijl->ij", away, precision, away, optimize=True).min(axis=1)

    return score


def _to_nearest(vectors: np.ndarray) -> Score:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return lambda X: 1 - (_roots(X) @ unit.T).max(axis=1)


def _class_means(features: featx.Features) -> np.ndarray:
    rows = _roots(features.matrix)
    return np.stack([rows[features.y == name].mean(axis=0) for name in features.classes])


def _roots(X: np.ndarray) -> np.ndarray:
    roots = np.sign(X) * np.sqrt(np.abs(X))
    return roots / np.linalg.norm(roots, axis=1, keepdims=True)


WAYS: dict[str, Callable[[featx.Features], Score]] = {
    "prototypes": _prototypes,
    "pictures": _pictures,
    "means": _means,
    "mahalanobis": _mahalanobis,
}


def _embedded(folder: Path, name: str) -> featx.Features:
    train = folder / "train"
    return featx.embed(train if train.is_dir() else folder, name, progress=False)


def _tested(folder: Path, name: str) -> featx.Features:
    return featx.embed(folder / "test", name, progress=False)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    shared = Path(os.environ.get("FEATX_SHARED", "../shared")) / "data"
    parser.add_argument("--data", type=Path, default=shared, help="the folder of the sets")
    parser.add_argument("--backbones", nargs="+", default=["efficientnet_lite0"])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument(
        "--test", action="store_true", help="let the test folders be what is familiar, at the end"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
