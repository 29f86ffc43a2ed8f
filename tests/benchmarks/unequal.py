"""Whether pictures of small classes are found as well as those of large ones.

    python -m tests.benchmarks.unequal FOLDER... [--backbones A B] [--sizes 16 4] [--classes 2]
        [--splits 20] [--test FOLDER...]

Some classes of a folder for training are drawn at random; every other one has the larger and the
smaller number of photographs to learn from, and the others of the folder are predicted, or those of
a folder to test with, once everything is chosen. The table is in Markdown.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

import featx
from featx.learning.learner import make_classifier

from .classifiers import markdown


def classifiers() -> dict[str, Any]:
    """Name what is compared."""
    weights = LogisticRegression(max_iter=1000, class_weight="balanced")
    return {
        "as it is": make_classifier(),
        "weights alone": make_classifier().set_params(logistic=weights),
        "balanced": make_classifier(class_weight="balanced"),
        "svm, as it is": make_classifier("svm", smallest=4),
        "svm, balanced": make_classifier("svm", smallest=4, class_weight="balanced"),
    }


def drawn(y: np.ndarray, sizes: list[int], classes: int, seed: int) -> tuple[list[int], ...]:
    """Draw the classes that are large, those that are small, rows to learn from, and others."""
    random = np.random.default_rng(seed)
    names = random.permutation(np.unique(y))[:classes]
    train: list[int] = []
    test: list[int] = []
    for number, name in enumerate(names):
        rows = random.permutation(np.flatnonzero(y == name))
        train += rows[: sizes[number % 2]].tolist()
        test += rows[max(sizes) :].tolist()
    return names[::2], names[1::2], train, test


def recalls(options: argparse.Namespace, folder: str, test: str | None) -> pd.DataFrame:
    """Return the recall of large and of small classes for every classifier and split."""
    rows = []
    for backbone in options.backbones:
        features = featx.embed(folder, backbone, progress=False)
        new = featx.embed(test, backbone, progress=False) if test else features
        y, y_new = np.array(features.labels), np.array(new.labels)
        for split in range(options.splits):
            large, small, train, others = drawn(y, options.sizes, options.classes, split)
            rows_new = np.flatnonzero(np.isin(y_new, [*large, *small])) if test else others
            for name, classifier in classifiers().items():
                fitted = classifier.fit(features.matrix[train], y[train])
                hits = fitted.predict(new.matrix[rows_new]) == y_new[rows_new]
                found = {
                    kind: float(np.mean([hits[y_new[rows_new] == each].mean() for each in names]))
                    for kind, names in (("large", large), ("small", small))
                }
                rows.append({"classifier": name} | found)
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print a table for each folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--test", nargs="+", default=[], help="a folder for each, to test with")
    parser.add_argument("--backbones", nargs="+", default=["efficientnet_lite0"])
    parser.add_argument("--sizes", nargs=2, type=int, default=[16, 4])
    parser.add_argument("--classes", type=int, default=2)
    parser.add_argument("--splits", type=int, default=20)
    options = parser.parse_args()
    for number, folder in enumerate(options.folders):
        test = options.test[number] if options.test else None
        means = recalls(options, folder, test).groupby("classifier", sort=False).mean()
        means["balanced accuracy"] = means.mean(axis=1)
        print(f"{'/'.join(Path(folder).parts[-2:])}, {options.classes} classes")
        print(f"\n{markdown((100 * means).map('{:.1f} %'.format))}\n", flush=True)


if __name__ == "__main__":
    main()
