"""What int8 costs each classifier: the same splits of the same photographs, in float32 and in int8.

    python -m tests.benchmarks.int8 FOLDER... [--backbones A B] [--per-class 8] [--splits 10]
        [--precision int8] [--test] [--kept FILE.csv]

FOLDERs have a sub-folder for each class. So many photographs of each class are learned from (two
fewer than there are, if need be), the others are predicted; with `--test`, all are learned from and
those of the folder `test` beside FOLDER predicted, once. Tables are in Markdown: differences in
points, with the interval that holds 95 % of means, by Student's t over the splits.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

import featx
from featx.learning.classifiers import CLASSIFIERS
from tests.benchmarks.classifiers import markdown, parts

NAMES = tuple(name for name, spec in CLASSIFIERS.items() if not spec.pixels)


def pairs(
    folder: Path, options: argparse.Namespace, backbone: str
) -> Iterator[tuple[int, tuple[Any, ...], tuple[Any, ...]]]:
    """Yield the number of each split, and (train, test) in float32 and in the other precision."""

    def embedded(path: Path, precision: str) -> featx.Features:
        return featx.embed(path, backbone, precision=precision, progress=False)

    exact, rounded = (embedded(folder, each) for each in ("float32", options.precision))
    y = np.array(exact.labels)
    if options.test:
        beside = folder.with_name("test")
        tests = [embedded(beside, each) for each in ("float32", options.precision)]
        labels = np.array(tests[0].labels)
        both = [
            ((one.matrix, y), (other.matrix, labels))
            for one, other in zip((exact, rounded), tests, strict=True)
        ]
        yield 0, both[0], both[1]
        return
    for split in range(options.splits):
        train, test = parts(y, options.per_class, split)
        both = [
            ((one.matrix[train], y[train]), (one.matrix[test], y[test])) for one in (exact, rounded)
        ]
        yield split, both[0], both[1]


def study(options: argparse.Namespace, known: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the accuracies of every classifier on every split that are not known yet."""
    keys = ["backbone", "set", "split", "classifier"]
    done = set(known[keys].itertuples(index=False, name=None)) if len(known) else set()
    for backbone in options.backbones:
        for folder in options.folders:
            for split, exact, rounded in pairs(folder, options, backbone):
                for name in options.classifiers:
                    key = (backbone, folder.parent.name, split, name)
                    if key not in done:
                        accuracies = {
                            "float32": accuracy(name, *exact),
                            "other": accuracy(name, *rounded),
                            "tested": len(exact[1][1]),
                        }
                        yield dict(zip(keys, key, strict=True)) | accuracies


def accuracy(name: str, train: tuple[Any, Any], test: tuple[Any, Any]) -> float:
    """Fit a classifier by its name, and return its accuracy on other photographs."""
    X, y = train
    smallest = min(np.unique(y, return_counts=True)[1])
    classifier = featx.make_classifier(name, smallest, X.shape[1]).fit(X, y)
    return float(np.mean(classifier.predict(test[0]) == test[1]))


def told(differences: np.ndarray) -> str:
    """Write the mean of differences in points, with its interval."""
    mean = 100 * differences.mean()
    if len(differences) < 2:
        return f"{mean:+.1f}"
    half = 100 * stats.sem(differences) * stats.t.ppf(0.975, len(differences) - 1)
    return f"{mean:+.1f} ({mean - half:+.1f} to {mean + half:+.1f})"


def differences_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Show the differences of each classifier, for each network and over all of them."""
    rows = rows.assign(difference=rows["other"] - rows["float32"])
    means = rows.groupby(["classifier", "backbone", "split"])["difference"].mean()
    cells = means.groupby(["classifier", "backbone"]).apply(lambda each: told(each.to_numpy()))
    table = cells.unstack("backbone")
    over = means.groupby(["classifier", "split"]).mean()
    table["all"] = over.groupby("classifier").apply(lambda each: told(each.to_numpy()))
    exact = 100 * rows.groupby("classifier")["float32"].mean()
    table.insert(0, "float32", exact.map("{:.1f} %".format))
    return table.loc[[name for name in NAMES if name in table.index]]


def main() -> None:
    """Measure, keep the figures and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, help="a sub-folder for each class")
    parser.add_argument("--backbones", nargs="+", default=["efficientnet_lite0"])
    parser.add_argument("--classifiers", nargs="+", default=NAMES, choices=NAMES)
    parser.add_argument("--per-class", type=int, default=8)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--test", action="store_true", help="predict the folder test beside each")
    parser.add_argument("--kept", type=Path, help="a table of all figures, to go on with")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    known = pd.DataFrame()
    if options.kept and options.kept.exists():
        known = pd.read_csv(options.kept)
    found, since = [], time.monotonic()
    for figures in study(options, known):
        found.append(figures)
        if options.kept and time.monotonic() - since > 60:
            pd.concat([known, pd.DataFrame(found)]).to_csv(options.kept, index=False)
            since = time.monotonic()
    rows = pd.concat([known, pd.DataFrame(found)])
    if options.kept:
        rows.to_csv(options.kept, index=False)
    print(markdown(differences_table(rows)))


if __name__ == "__main__":
    main()
