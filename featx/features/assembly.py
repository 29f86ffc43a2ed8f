"""The matrix of a filled store: rows in the order of the images, in memory or mapped."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from featx.backbones.backbone import Backbone
from featx.errors import ImageSourceError
from featx.features.matrix import Features, as_labels, as_paths
from featx.features.store import FeatureStore
from featx.files import storage_errors
from featx.images.decode import Outcome
from featx.images.folder import ImageFolder

_MEMORY_MAP_BYTES = 192 << 20  # a larger matrix comes back as a memory map


def assemble(
    images: ImageFolder,
    backbone: Backbone,
    store: FeatureStore,
    embedded: set[int],
    digests: Mapping[str, str],
    failures: Mapping[int, Outcome],
) -> Features:
    """Read the matrix of a filled store, in the order of the images.

    Parameters
    ----------
    images : ImageFolder
        The images that were asked for.
    backbone : Backbone
        The network.
    store : FeatureStore
        Has a vector of every image that could be read.
    embedded : set of int
        Places of the images whose vectors were computed now.
    digests : mapping
        The digest of each image that could be read, by path.
    failures : mapping
        The outcome of each image that could not, by place.

    Returns
    -------
    Features

    Raises
    ------
    ImageSourceError
        None of the images could be read.
    StorageError
        There is no room for the matrix.
    """
    outcomes = []
    for index, path in enumerate(images.paths):
        if index in failures:
            outcomes.append(replace(failures[index], path=path))
            continue
        note = store.note(digests[path])
        outcomes.append(
            Outcome(
                status="embedded" if index in embedded else "cached",
                notes=tuple(note.split("; ")) if note else (),
                path=path,
            )
        )
    rows = [index for index, outcome in enumerate(outcomes) if outcome.ok]
    if not rows:
        first = outcomes[0]
        raise ImageSourceError(
            f"none of {len(outcomes)} images can be read ({first.path}: {first.reason})"
        )
    assert store.shape is not None
    X = _allocate(len(rows), int(np.prod(store.shape)), store.folder)
    store.read([digests[images.paths[index]] for index in rows], out=X)
    return Features(
        X=X.reshape(len(rows), *store.shape),
        y=as_labels([images.labels[index] for index in rows]),
        paths=as_paths([images.paths[index] for index in rows]),
        outcomes=tuple(outcomes),
        recipe=store.recipe,
        n_other=images.n_other,
        weights=backbone.weights.source if backbone.weights else "imagenet",
        images_per_second=store.images_per_second,
    )


def _allocate(rows: int, width: int, folder: Path) -> np.ndarray:
    """Make room for a matrix: in memory, or where it is very large in a nameless file."""
    if rows * width * 4 <= _MEMORY_MAP_BYTES:
        return np.empty((rows, width), np.float32)
    with storage_errors(folder), tempfile.TemporaryFile(prefix=".matrix-", dir=folder) as file:
        if hasattr(os, "posix_fallocate"):  # writing to a map on a full disk ends the process
            os.posix_fallocate(file.fileno(), 0, rows * width * 4)
        return np.memmap(file, np.float32, "w+", shape=(rows, width))
