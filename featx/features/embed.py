"""From images to a feature matrix: composes all below it, and alone writes the store."""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from featx.backbones.backbone import CLASSIFIER_LAYERS, Backbone
from featx.backbones.engine import DEFAULT_BATCH_SIZE, open_engine
from featx.backbones.table import DEFAULT_BACKBONE
from featx.errors import ImageSourceError, OptionError, check_choice
from featx.features.filling import Filling
from featx.features.matrix import Features, as_labels, as_paths
from featx.features.recipe import Recipe
from featx.features.store import FeatureStore, cache_folder
from featx.files import storage_errors
from featx.images.decode import Outcome, decode
from featx.images.digests import DigestMemo
from featx.images.folder import ImageFolder

ON_ERROR = ("skip", "raise")
_MAX_INPUT_SIZE = 4096  # px
_MEMORY_MAP_BYTES = 4 << 30  # a larger matrix comes back as a memory map


def embed(
    source: Any,
    backbone: str | Backbone = DEFAULT_BACKBONE,
    *,
    pooling: str = "avg",
    layer: str | None = None,
    input_size: int | None = None,
    resize: str = "squash",
    interpolation: str = "bilinear",
    weights: str | PathLike[str] = "imagenet",
    cache: str | PathLike[str] | bool | None = None,
    on_error: str = "skip",
    batch_size: int = DEFAULT_BATCH_SIZE,
    progress: bool = True,
) -> Features:
    """Embed images: one feature vector per picture, from the cache where it is there already.

    Parameters
    ----------
    source : str, path, sequence of paths, pandas.DataFrame or ImageFolder
        A folder (its sub-folders are the classes), one picture, a list of pictures, or a table
        with a column `path` and perhaps a column `label`.
    backbone : str or Backbone, default="efficientnet_lite0"
        A network of the table (`featx backbones`), or one of your own (`Backbone.from_keras`).
    pooling : {"avg", "max", "flatten", "none"}, default="avg"
        How the last map becomes a vector; "none" keeps it, of shape (height, width, channels).
    layer : str, optional
        An inner layer to read instead of the last one before the classifier.
    input_size : int, optional
        Side of the square picture that the network sees, in pixels; by default its own.
    resize : {"squash", "crop", "pad"}, default="squash"
        Make a picture square by changing its proportions, by cutting out its centre (7/8 of the
        shorter side, as ImageNet is evaluated), or with black bars.
    interpolation : {"bilinear", "nearest", "bicubic", "lanczos"}, default="bilinear"
        The filter of the resizing, as Pillow defines it.
    weights : str or path, default="imagenet"
        "imagenet", "random", a file, or a folder of files under Keras's names.
    cache : str, path or bool, optional
        A folder; by default FEATX_CACHE or the user's cache folder; False for none.
    on_error : {"skip", "raise"}, default="skip"
        Leave a file that cannot be read out of `X` and list it in `outcomes`, or stop there.
    batch_size : int, default=8
        Pictures that go through the network at once; no feature depends on it.
    progress : bool, default=True
        Show a progress bar on stderr for work of more than a second.

    Returns
    -------
    Features
        Rows follow the sorted relative paths of a folder, or the order of a list.

    Raises
    ------
    ImageSourceError
        There are no images, or none that can be read.
    ImageError
        An image cannot be read and `on_error` is "raise".
    OptionError
        An option has a value that it cannot have.
    WeightsError, UnknownBackboneError, UnknownLayerError, StorageError
        What their names say.
    """
    images = ImageFolder.of(source)
    network, recipe = prepare(
        backbone,
        pooling=pooling,
        layer=layer,
        input_size=input_size,
        resize=resize,
        interpolation=interpolation,
        weights=weights,
    )
    return embed_images(
        images,
        network,
        recipe,
        cache=cache,
        on_error=on_error,
        batch_size=batch_size,
        progress=progress,
    )


def prepare(
    backbone: str | Backbone = DEFAULT_BACKBONE,
    *,
    pooling: str = "avg",
    layer: str | None = None,
    input_size: int | None = None,
    resize: str = "squash",
    interpolation: str = "bilinear",
    weights: str | PathLike[str] = "imagenet",
) -> tuple[Backbone, Recipe]:
    """Settle what `embed` would do, without doing it: find the weights and write the recipe.

    Parameters and errors are those of `embed`.

    Returns
    -------
    backbone : Backbone
    recipe : Recipe
    """
    if isinstance(backbone, str):
        backbone = Backbone.load(backbone, os.fspath(weights), layer=layer)
    elif not isinstance(backbone, Backbone):
        raise OptionError(
            f"backbone is a {type(backbone).__name__}: expected a name of `featx backbones`, or "
            "Backbone.from_keras(model) for a network of your own"
        )
    elif weights != "imagenet":
        raise OptionError("weights go with the name of a backbone; this Backbone has its own")
    layer = layer or backbone.layer
    size = backbone.input_size if input_size is None else input_size
    if not isinstance(size, int | np.integer) or not backbone.min_size <= size <= _MAX_INPUT_SIZE:
        raise OptionError(
            f"input size {size!r} does not fit {backbone.name}: "
            f"expected {backbone.min_size} to {_MAX_INPUT_SIZE} pixels"
        )
    recipe = Recipe(
        backbone=backbone.name,
        weights=backbone.digest,
        input_size=int(size),
        layer=layer,
        pooling=pooling,
        resize=resize,
        interpolation=interpolation,
        preprocessing=backbone.preprocessing,
    )
    if layer in CLASSIFIER_LAYERS:  # vectors already: no pooling changes them
        recipe = replace(recipe, pooling="none")
    return backbone, recipe


def embed_images(
    images: ImageFolder,
    backbone: Backbone,
    recipe: Recipe,
    *,
    cache: str | PathLike[str] | bool | None = None,
    on_error: str = "skip",
    batch_size: int = DEFAULT_BATCH_SIZE,
    progress: bool = True,
) -> Features:
    """Embed images by a recipe that `prepare` has settled; see `embed`."""
    check_choice("on_error", on_error, ON_ERROR)
    if not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise OptionError(f"batch size {batch_size!r}: expected a whole number from 1 up")
    with ExitStack() as stack:
        if cache is False:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="featx-")))
        else:
            folder = cache_folder(None if cache is True else cache)
        memo = stack.enter_context(
            DigestMemo(None if cache is False else folder / "digests.sqlite")
        )
        store = FeatureStore(folder, recipe)
        filling = Filling(
            images.paths,
            store,
            decode=partial(
                decode,
                size=recipe.input_size,
                resize=recipe.resize,
                interpolation=recipe.interpolation,
            ),
            engine=partial(
                open_engine,
                backbone,
                layer=recipe.layer,
                pooling=recipe.pooling,
                input_size=recipe.input_size,
                batch_size=int(batch_size),
            ),
            digests=memo.known(images.paths),
            raise_errors=on_error == "raise",
            progress=backbone.name if progress else None,
        )
        try:
            filling.run()
        finally:
            memo.remember(filling.read)
        return _assemble(images, backbone, recipe, store, filling)


def _assemble(
    images: ImageFolder, backbone: Backbone, recipe: Recipe, store: FeatureStore, filling: Filling
) -> Features:
    """Read the matrix of a filled store, in the order of the images."""
    outcomes = []
    for index, path in enumerate(images.paths):
        if index in filling.failures:
            outcomes.append(replace(filling.failures[index], path=path))
            continue
        note = store.note(filling.digests[path])
        outcomes.append(
            Outcome(
                status="embedded" if index in filling.embedded else "cached",
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
    store.read([filling.digests[images.paths[index]] for index in rows], out=X)
    return Features(
        X=X.reshape(len(rows), *store.shape),
        y=as_labels([images.labels[index] for index in rows]),
        paths=as_paths([images.paths[index] for index in rows]),
        outcomes=tuple(outcomes),
        recipe=recipe,
        n_other=images.n_other,
        weights=backbone.weights.source if backbone.weights else "imagenet",
        seconds=filling.seconds,
    )


def _allocate(rows: int, width: int, folder: Path) -> np.ndarray:
    """Make room for a matrix: in memory, or where it is very large in a nameless file."""
    if rows * width * 4 <= _MEMORY_MAP_BYTES:
        return np.empty((rows, width), np.float32)
    with storage_errors(folder), tempfile.TemporaryFile(prefix=".matrix-", dir=folder) as file:
        if hasattr(os, "posix_fallocate"):  # writing to a map on a full disk ends the process
            os.posix_fallocate(file.fileno(), 0, rows * width * 4)
        return np.memmap(file, np.float32, "w+", shape=(rows, width))
