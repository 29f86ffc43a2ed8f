"""The nodes of decision trees that come out of a model file.

Compiled code follows the children of a node and takes a column of the features by its number, both
unchecked: what is no tree crashes the process or never ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_LEAF = -1
_MOST = 1 << 24  # features, classes


def check_tree(sizes: tuple[Any, Any, Any], state: Mapping[str, Any]) -> None:
    """Check what scikit-learn builds a tree from: its constructor's arguments and its state.

    The sizes are the number of features, an array of the number of classes, and the number of
    outputs. Raises a `ValueError` for what no fit makes.
    """
    n_features, n_classes, n_outputs = sizes
    _require(_is_count(n_features) and type(n_outputs) is int and n_outputs == 1, "sizes")
    _require(isinstance(n_classes, np.ndarray) and n_classes.shape == (1,), "classes")
    _require(n_classes.dtype.kind == "i" and 1 <= n_classes[0] <= _MOST, "classes")
    nodes, values = state["nodes"], state["values"]
    _require(isinstance(nodes, np.ndarray) and nodes.ndim == 1 and len(nodes) > 0, "nodes")
    _require(nodes.dtype.names is not None, "nodes")
    _require(state["node_count"] == len(nodes), "number of nodes")
    depth = state["max_depth"]
    _require(type(depth) is int and 0 <= depth < len(nodes), "depth")
    _require(isinstance(values, np.ndarray) and values.dtype == np.float64, "values")
    _require(values.shape == (len(nodes), 1, n_classes[0]), "values")
    _require(bool(np.isfinite(values).all()), "values")
    left, right = nodes["left_child"], nodes["right_child"]
    leaf = left == _LEAF
    _require(bool((leaf == (right == _LEAF)).all()), "leaves")
    check_nodes(left, right, leaf, nodes["feature"], n_features)
    inner = ~leaf
    _require(not np.isnan(nodes["threshold"][inner]).any(), "thresholds")
    samples = nodes["n_node_samples"]
    _require(bool((samples > 0).all()), "numbers of samples")
    _require(
        bool((samples[inner] == samples[left[inner]] + samples[right[inner]]).all()),
        "numbers of samples",
    )


def check_nodes(
    left: np.ndarray, right: np.ndarray, leaf: np.ndarray, feature: np.ndarray, n_features: int
) -> None:
    """Check that nodes are one tree, whose root is the first, on so many features.

    All arrays have an entry a node; those of leaves are not looked at, but for `leaf`, which is
    bool. Each other node has two children, which come after it and are no one else's.
    """
    for each in (left, right, feature):
        _require(each.dtype.kind in "iu", "numbers")
    inner = np.flatnonzero(~leaf)
    children = np.concatenate([left[inner], right[inner]]).astype(np.int64)
    _require(bool((children > np.tile(inner, 2)).all()), "order of children")
    _require(np.array_equal(np.sort(children), np.arange(1, len(leaf))), "parents")
    split = feature[inner].astype(np.int64)
    _require(bool(((split >= 0) & (split < n_features)).all()), "features")


def _is_count(value: object) -> bool:
    return type(value) is int and 1 <= value <= _MOST


def _require(right: bool, what: str) -> None:
    if not right:
        raise ValueError(f"a decision tree with invalid {what}")
