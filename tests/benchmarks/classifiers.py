"""Which recipe for `logistic` is best with few photographs: every recipe on the same splits.

    python -m tests.benchmarks.classifiers FOLDER... [--backbones A B] [--per-class 3 5 10]
        [--splits 10] [--recipes A B] [--kept FILE.csv]

FOLDERs have a sub-folder for each class and are for training: recipes are chosen by this, so no
picture to test with may be in them. So many photographs of each class are learned from (two fewer
than there are, if need be), the others are predicted. Tables are in Markdown. What FILE.csv has is
not computed again.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler

import featx
from featx.learning.transformers import Discriminants, SignedRoot

BEFORE, NOW = "scaling, penalty by search (before)", "roots, discriminants (now)"
_BINS = 10


def _logistic(C: float, *steps: Any) -> Any:
    rotation = PCA(svd_solver="full")  # changes no prediction, and takes less time
    return make_pipeline(*steps, rotation, LogisticRegression(C=C, max_iter=1000, tol=1e-3))


def _discriminants(*steps: Any, shrinkage: float = 0.3, C: float = 1.0) -> Any:
    regression = LogisticRegression(C=C, max_iter=1000)
    return make_pipeline(*steps, Discriminants(shrinkage), regression)


def _before(smallest: int) -> Any:
    search = GridSearchCV(
        LogisticRegression(max_iter=300, tol=1e-2),
        {"C": [1e-2, 1e-1, 1e-3, 1.0]},
        cv=min(5, smallest),
    )
    return make_pipeline(StandardScaler(), PCA(svd_solver="full"), search)


def _shrunk() -> Any:
    return LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3)


def _mean_of_two() -> Any:
    regression = LogisticRegression(C=100, max_iter=1000, tol=1e-3)
    both = VotingClassifier([("logistic", regression), ("lda", _shrunk())], voting="soft")
    return make_pipeline(SignedRoot(), Normalizer(), PCA(svd_solver="full"), both)


#: What builds each recipe, from the photographs in the smallest class.
RECIPES: dict[str, Callable[[int], Any]] = {
    BEFORE: _before,
    "scaling, C = 0.01": lambda _: _logistic(0.01, StandardScaler()),
    "length, C = 100": lambda _: _logistic(100, Normalizer()),
    "roots, scaling, C = 0.1": lambda _: _logistic(0.1, SignedRoot(), StandardScaler()),
    "roots, length, C = 10": lambda _: _logistic(10, SignedRoot(), Normalizer()),
    "roots, length, C = 100": lambda _: _logistic(100, SignedRoot(), Normalizer()),
    "roots, length, C = 300": lambda _: _logistic(300, SignedRoot(), Normalizer()),
    "cube roots, length, C = 100": lambda _: _logistic(
        100, FunctionTransformer(np.cbrt), Normalizer()
    ),
    "roots, length, ridge 0.1": lambda _: make_pipeline(
        SignedRoot(), Normalizer(), PCA(svd_solver="full"), RidgeClassifier(0.1)
    ),
    "roots, length, shrunken LDA": lambda _: make_pipeline(
        SignedRoot(), Normalizer(), PCA(svd_solver="full"), _shrunk()
    ),
    "mean of the LDA and C = 100": lambda _: _mean_of_two(),
    "discriminants without roots": lambda _: _discriminants(),
    "scaling, discriminants": lambda _: _discriminants(StandardScaler()),
    "cube roots, discriminants": lambda _: _discriminants(FunctionTransformer(np.cbrt)),
    "roots, length, discriminants": lambda _: _discriminants(SignedRoot(), Normalizer()),
    NOW: lambda _: _discriminants(SignedRoot()),
    "now with shrinkage 0.1": lambda _: _discriminants(SignedRoot(), shrinkage=0.1),
    "now with shrinkage 0.7": lambda _: _discriminants(SignedRoot(), shrinkage=0.7),
    "now with C = 3": lambda _: _discriminants(SignedRoot(), C=3.0),
}


def parts(y: np.ndarray, per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Divide rows at random into so many of each class, but for two, and the others."""
    random = np.random.default_rng(seed)
    train, test = [], []
    for name in np.unique(y):
        rows = random.permutation(np.flatnonzero(y == name))
        n = min(per_class, len(rows) - 2)
        train.append(rows[:n])
        test.append(rows[n:])
    return np.concatenate(train), np.concatenate(test)


def judged(recipe: Any, X: np.ndarray, y: np.ndarray, train: Any, test: Any) -> dict[str, float]:
    """Fit a recipe to rows and judge it on others: accuracy, probabilities, seconds."""
    start = time.process_time()
    recipe.fit(X[train], y[train])
    figures = {"seconds": time.process_time() - start}
    if not hasattr(recipe, "predict_proba"):
        return figures | {"accuracy": float(np.mean(recipe.predict(X[test]) == y[test]))}
    shares = recipe.predict_proba(X[test])
    rows, columns = np.arange(len(test)), np.searchsorted(recipe.classes_, y[test])
    hits, certainty = shares.argmax(axis=1) == columns, shares.max(axis=1)
    bins = np.minimum((certainty * _BINS).astype(int), _BINS - 1)
    errors = [abs((hits - certainty)[bins == each].sum()) for each in range(_BINS)]
    return figures | {
        "accuracy": float(hits.mean()),
        "log_loss": float(-np.log(np.maximum(shares[rows, columns], 1e-6)).mean()),
        "calibration": sum(errors) / len(test),
    }


def study(options: argparse.Namespace, known: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the figures of every fit that is not known yet."""
    keys = ["backbone", "set", "per_class", "split", "recipe"]
    done = set(known[keys].itertuples(index=False, name=None)) if len(known) else set()
    for backbone in options.backbones:
        for folder in options.folders:
            features = featx.embed(folder, backbone, progress=False)
            X, y = features.matrix, np.array(features.labels)
            name = "/".join(Path(folder).parts[-2:]).removesuffix("/train")
            for per_class in options.per_class:
                for split in range(options.splits):
                    train, test = parts(y, per_class, split)
                    for recipe in options.recipes:
                        key = (backbone, name, per_class, split, recipe)
                        if key not in done:
                            smallest = min(np.unique(y[train], return_counts=True)[1])
                            figures = judged(RECIPES[recipe](smallest), X, y, train, test)
                            yield dict(zip(keys, key, strict=True)) | figures


def recipes_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare recipes: means over sets and networks, and the gain against the first."""
    sets = rows.groupby(["recipe", "per_class", "set"]).mean(numeric_only=True)
    means = sets.groupby(["recipe", "per_class"]).mean(numeric_only=True)
    accuracy = 100 * means["accuracy"].unstack()
    gains = (accuracy - accuracy.loc[BEFORE]).map("{:+.1f}".format)
    gains.columns = [f"{n} per class" for n in gains.columns]
    by_set = 100 * sets["accuracy"].unstack(["per_class", "set"])
    gains["worst set"] = (by_set - by_set.loc[BEFORE]).min(axis=1).map("{:+.1f}".format)
    over = means.groupby("recipe").mean()
    gains["log loss"] = over["log_loss"].map("{:.2f}".format)
    gains["calibration error"] = over["calibration"].map("{:.2f}".format)
    gains["ms"] = (1000 * over["seconds"]).map("{:.0f}".format)
    return gains.loc[[name for name in RECIPES if name in gains.index]].replace("nan", "")


def gains_table(rows: pd.DataFrame, by: str) -> pd.DataFrame:
    """Show accuracies before and now, and the paired gain, by set or by network."""
    keys = ["set", "backbone", "per_class", "split"]
    both = rows.pivot_table(index=keys, columns="recipe", values="accuracy")[[BEFORE, NOW]] * 100
    means = both.groupby(["set", "backbone", "per_class"]).mean().groupby([by, "per_class"]).mean()
    cells = means.apply(lambda row: f"{row[BEFORE]:.1f} → {row[NOW]:.1f} %", axis=1).unstack()
    total = means.groupby("per_class").mean()
    cells.loc["mean"] = [f"{a:.1f} → {b:.1f} %" for a, b in total.to_numpy()]
    return cells.rename(columns=lambda n: f"{n} per class")


def markdown(table: pd.DataFrame) -> str:
    """Write a table in Markdown."""
    lines = [
        [str(table.index.name), *map(str, table.columns)],
        ["---", *["---:"] * len(table.columns)],
    ]
    lines += [
        [str(name), *map(str, row)] for name, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Measure, keep the figures and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", help="each has a sub-folder for each class")
    parser.add_argument("--backbones", nargs="+", default=["efficientnet_lite0"])
    parser.add_argument("--per-class", nargs="+", type=int, default=[3, 5, 10])
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=RECIPES)
    parser.add_argument("--kept", type=Path, help="a table of all figures, to go on with")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    known = pd.DataFrame()
    if options.kept and options.kept.exists():
        known = pd.read_csv(options.kept)
    found = []
    for figures in study(options, known):
        found.append(figures)
        if options.kept and len(found) % 500 == 0:
            pd.concat([known, pd.DataFrame(found)]).to_csv(options.kept, index=False)
    rows = pd.concat([known, pd.DataFrame(found)])
    if options.kept:
        rows.to_csv(options.kept, index=False)
    for by in ("set", "backbone"):
        print(f"{markdown(gains_table(rows, by))}\n")
    print(markdown(recipes_table(rows)))


if __name__ == "__main__":
    main()
