"""Candidates made up for charts, and the points that stand for them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd

FIVE = [
    *("resnet50 avg knn", "resnet50 max knn", "vgg16 avg knn", "vgg16 max knn", "xception avg knn"),
]
NETWORKS = ["resnet50", "resnet50", "vgg16", "vgg16", "xception"]


def comparison(accuracy, speed, seconds=None, names=None, backbones=None, recommended=0):
    """Stand in for a comparison: what is drawn comes from its frame."""
    accuracy = np.array(accuracy, float)
    value = np.nan_to_num(np.array(speed, float))
    beaten = [
        ((accuracy >= a) & (value >= v) & ((accuracy > a) | (value > v))).any()
        for a, v in zip(accuracy, value, strict=True)
    ]
    names = names or [f"candidate {i}" for i in range(len(accuracy))]
    frame = pd.DataFrame(
        {
            "candidate": names,
            "backbone": backbones or names,
            "classifier": "knn",
            "accuracy": accuracy,
            "accuracy_low": accuracy - 0.05,
            "accuracy_high": np.minimum(accuracy + 0.02, 1),
            "images_per_second": np.array(speed, float),
            "fit_seconds": seconds or [0.5] * len(accuracy),
            "unbeaten": ~np.array(beaten),
            "recommended": [row == recommended for row in range(len(accuracy))],
        }
    )
    return SimpleNamespace(to_frame=lambda: frame, within=0.02)


def points(ax):
    """Return the lines that are one point each, by the row of the candidate."""
    single = [line for line in ax.lines if len(line.get_xdata()) == 1]
    return [line for line in single if line.get_markersize() == 6]
