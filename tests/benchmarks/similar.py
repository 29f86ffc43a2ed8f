"""Retrieval of pictures of the same class, by the ways to compare features that were considered.

`python -m tests.benchmarks.similar FOLDER...` looks, by five networks, for pictures of the class of
each among all others of its folder, and prints the mean average precision and the share of the
same class among the first ten: plain cosine, that of signed roots, and both without the mean.
"""

from __future__ import annotations

import argparse

import numpy as np

import featx

NETWORKS = ("efficientnet_lite0", "resnet50", "xception", "inception_v3", "vgg16")
MOST = 5000  # pictures of a folder


def unit(vectors: np.ndarray) -> np.ndarray:
    """Bring vectors to length 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def ways(X: np.ndarray) -> dict[str, np.ndarray]:
    """Return features in each space that was considered."""
    roots = np.copysign(np.sqrt(np.abs(X)), X)
    return {
        "plain": unit(X),
        "roots": unit(roots),
        "centred": unit(X - X.mean(axis=0)),
        "centred roots": unit(roots - roots.mean(axis=0)),
    }


def retrieval(units: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return the mean average precision, and the mean share of the class in the first ten."""
    precisions, shares = [], []
    for row, vector in enumerate(units):
        products = units @ vector
        products[row] = -np.inf
        same = (y[np.argsort(-products, kind="stable")[:-1]] == y[row]).astype(float)
        if same.any():
            precision = np.cumsum(same) / np.arange(1, len(same) + 1)
            precisions.append((precision * same).sum() / same.sum())
            shares.append(same[:10].mean())
    return float(np.mean(precisions)), float(np.mean(shares))


def main() -> None:
    """Measure the folders that are named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    found: dict[str, list[tuple[float, float]]] = {}
    for folder in parser.parse_args().folders:
        for network in NETWORKS:
            features = featx.embed(folder, network, progress=False)
            rows = np.random.default_rng(0).permutation(len(features))[:MOST]
            for way, units in ways(features.matrix[rows]).items():
                figures = retrieval(units, features.y[rows])
                found.setdefault(way, []).append(figures)
                print(f"{folder}  {network}  {way}  {figures[0]:.4f}  {figures[1]:.4f}", flush=True)
    for way, figures in found.items():
        precision, share = np.mean(figures, axis=0)
        print(f"{way}: mean average precision {precision:.4f}, of the first ten {share:.4f}")


if __name__ == "__main__":
    main()
