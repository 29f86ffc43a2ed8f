"""From images to a feature matrix: composes all below it, and alone writes the store."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, overload

import numpy as np

from featx.backbones.backbone import CLASSIFIER_LAYERS, Backbone
from featx.backbones.engine import (
    JOINT_POOLINGS,
    PRECISIONS,
    choose_engine,
    joins_poolings,
    open_engine,
    settle_precision,
)
from featx.backbones.table import DEFAULT_BACKBONE
from featx.errors import OptionError, check_choice
from featx.features.advice import Advice
from featx.features.assembly import assemble
from featx.features.filling import Filling
from featx.features.lane import Lane
from featx.features.matrix import Features
from featx.features.recipe import Recipe
from featx.features.store import FeatureStore, cache_folder
from featx.images.decode import DECODE_VERSION
from featx.images.digests import DigestMemo
from featx.images.fit import DECODES
from featx.images.folder import ImageFolder

ON_ERROR = ("skip", "raise")
_MAX_INPUT_SIZE = 4096  # px


@overload
def embed(source: Any, backbone: str | Backbone = ..., **options: Any) -> Features: ...
@overload
def embed(source: Any, backbone: Sequence[str | Backbone], **options: Any) -> list[Features]: ...
def embed(  # type: ignore[misc]  # the options of the overloads are those named here
    source: Any,
    backbone: str | Backbone | Sequence[str | Backbone] = DEFAULT_BACKBONE,
    *,
    pooling: str = "avg",
    layer: str | None = None,
    input_size: int | None = None,
    resize: str = "squash",
    interpolation: str = "bilinear",
    decode: str = "full",
    precision: str = "float32",
    fast: bool = False,
    weights: str | PathLike[str] = "imagenet",
    engine: str = "auto",
    cache: str | PathLike[str] | bool | None = None,
    on_error: str = "skip",
    batch_size: int | None = None,
    progress: bool = True,
) -> Features | list[Features]:
    """Embed images: one feature vector per picture, from the cache where it is there already.

    Parameters
    ----------
    source : str, path, sequence of paths, pandas.DataFrame or ImageFolder
        A folder (its sub-folders are the classes), one picture, a list of pictures, or a table
        with a column `path` and perhaps a column `label`.
    backbone : str or Backbone, or a sequence of them, default="efficientnet_lite0"
        A network of the table (`featx backbones`), or one of your own (`Backbone.from_keras`);
        "pixels" gives the pictures themselves, of shape (size, size, 3), 0 to 255. For several of
        them each picture is read and decoded once.
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
    decode : {"full", "scaled"}, default="full"
        "scaled" decodes a JPEG to 1/2, 1/4 or 1/8 of its size, and at least twice that of the
        square: several times faster for large photographs, at a feature cosine of about 0.9995.
    precision : {"float32", "bfloat16"}, default="float32"
        The numbers that the network computes in. "bfloat16" is two to six times faster on
        processors that have it (AVX512-BF16, AMX), at a feature cosine of about 0.9998; others
        use float32 and log a warning.
    fast : bool, default=False
        Both: decode="scaled" and precision="bfloat16".
    weights : str or path, default="imagenet"
        "imagenet", "random", a file, or a folder of files under Keras's names.
    engine : {"auto", "openvino", "keras"}, default="auto"
        What runs the network; the features are the same to 1e-5. "auto" is OpenVINO on CPUs,
        and Keras on a GPU or where KERAS_BACKEND names another backend than TensorFlow.
    cache : str, path or bool, optional
        A folder; by default FEATX_CACHE or the user's cache folder; False to keep no features
        (networks that were converted for OpenVINO are kept all the same).
    on_error : {"skip", "raise"}, default="skip"
        Leave a file that cannot be read out of `X` and list it in `outcomes`, or stop there.
    batch_size : int, optional
        Pictures that go through the network at once, by default what suits the engine; no
        feature depends on it.
    progress : bool, default=True
        Show a progress bar on stderr for work of more than a second.

    Returns
    -------
    Features
        Rows follow the sorted relative paths of a folder, or the order of a list. A list of
        Features, one for each backbone, if a sequence of backbones was given.

    Raises
    ------
    ImageSourceError
        There are no images, or none that can be read.
    ImageError
        An image cannot be read and `on_error` is "raise".
    OptionError
        An option has a value that it cannot have.
    WeightsError, UnknownBackboneError, UnknownLayerError, ConversionError, StorageError
        What their names say.
    """
    images = ImageFolder.of(source)
    single = isinstance(backbone, str | Backbone)
    backbones: Any = [backbone] if single else _checked(backbone)
    check_choice("precision", precision, PRECISIONS)
    precision = settle_precision("bfloat16" if fast else precision, choose_engine(engine))
    prepared = [
        prepare(
            each,
            pooling=pooling,
            layer=layer,
            input_size=input_size,
            resize=resize,
            interpolation=interpolation,
            decode="scaled" if fast and decode in DECODES else decode,
            precision=precision,
            weights=weights,
            engine=engine,
        )
        for each in backbones
    ]
    features = embed_recipes(
        images,
        prepared,
        engine=engine,
        cache=cache,
        on_error=on_error,
        batch_size=batch_size,
        progress=progress,
    )
    return features[0] if single else features


def _checked(given: Any) -> list[str | Backbone]:
    if isinstance(given, list | tuple) and given:
        return list(given)
    raise OptionError(
        f"backbone is {given!r}: expected a name of `featx backbones`, "
        "Backbone.from_keras(model) for a network of your own, or a list of them"
    )


def prepare(
    backbone: str | Backbone = DEFAULT_BACKBONE,
    *,
    pooling: str = "avg",
    layer: str | None = None,
    input_size: int | None = None,
    resize: str = "squash",
    interpolation: str = "bilinear",
    decode: str = "full",
    precision: str = "float32",
    fast: bool = False,
    weights: str | PathLike[str] = "imagenet",
    engine: str = "auto",
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
    elif weights != "imagenet" and not backbone.is_pixels:
        raise OptionError("weights go with the name of a backbone; this Backbone has its own")
    layer = layer or backbone.layer
    size = backbone.input_size if input_size is None else input_size
    if not isinstance(size, int | np.integer) or not backbone.min_size <= size <= _MAX_INPUT_SIZE:
        raise OptionError(
            f"input size {size!r} does not fit {backbone.name}: "
            f"expected {backbone.min_size} to {_MAX_INPUT_SIZE} pixels"
        )
    check_choice("decode", decode, DECODES)
    check_choice("precision", precision, PRECISIONS)
    recipe = Recipe(
        backbone=backbone.name,
        weights=backbone.digest,
        input_size=int(size),
        layer=layer,
        pooling=pooling,
        resize=resize,
        interpolation=interpolation,
        preprocessing=backbone.preprocessing,
        decode=f"{'scaled' if fast else decode}/{DECODE_VERSION}",
        precision=settle_precision("bfloat16" if fast else precision, choose_engine(engine)),
    )
    if layer in CLASSIFIER_LAYERS:  # vectors already: no pooling changes them
        recipe = replace(recipe, pooling="none")
    if backbone.is_pixels:
        recipe = replace(recipe, pooling="none", precision="float32")
    return backbone, recipe


def embed_images(
    images: ImageFolder, backbone: Backbone, recipe: Recipe, **options: Any
) -> Features:
    """Embed images by a recipe that `prepare` has settled, here or on another machine.

    `options` are `engine`, `cache`, `on_error`, `batch_size` and `progress` of `embed`.
    """
    return embed_recipes(images, [(backbone, recipe)], **options)[0]


def embed_recipes(
    images: ImageFolder,
    prepared: Sequence[tuple[Backbone, Recipe]],
    *,
    engine: str = "auto",
    cache: str | PathLike[str] | bool | None = None,
    on_error: str = "skip",
    batch_size: int | None = None,
    progress: bool = True,
) -> list[Features]:
    """Embed images by several recipes that `prepare` has settled, each picture decoded once.

    A network runs once for recipes that differ by the pooling alone, "avg" and "max". The options
    are those of `embed`.
    """
    check_choice("on_error", on_error, ON_ERROR)
    if batch_size is not None and (not isinstance(batch_size, int | np.integer) or batch_size < 1):
        raise OptionError(f"batch size {batch_size!r}: expected a whole number from 1 up")
    chosen = choose_engine(engine)
    prepared = [
        (backbone, replace(recipe, precision=settle_precision(recipe.precision, chosen)))
        for backbone, recipe in prepared
    ]
    kept = cache_folder(None if isinstance(cache, bool) else cache)  # converted networks always are
    with ExitStack() as stack:
        folder = kept
        if cache is False:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="featx-")))
        memo = stack.enter_context(
            DigestMemo(None if cache is False else folder / "digests.sqlite")
        )
        joined = _joined(prepared)
        lanes = [
            Lane(
                [FeatureStore(folder, replace(recipe, pooling=each)) for each in poolings],
                recipe.fit,
                partial(
                    open_engine,
                    backbone,
                    layer=recipe.layer,
                    pooling="+".join(poolings),
                    input_size=recipe.input_size,
                    precision=recipe.precision,
                    engine=engine,
                    batch_size=None if batch_size is None else int(batch_size),
                    cache=kept,
                ),
            )
            for backbone, recipe, poolings in joined
        ]
        filling = Filling(
            images.paths,
            lanes,
            digests=memo.known(images.paths),
            raise_errors=on_error == "raise",
            progress=", ".join(backbone.name for backbone, *_ in joined) if progress else None,
            advise=Advice(images.paths, lanes),
        )
        try:
            filling.run()
        finally:
            for lane in lanes:
                lane.close()
            memo.remember(filling.read)
        filled = {
            (backbone, store.recipe): (store, embedded)
            for (backbone, *_), lane in zip(joined, lanes, strict=True)
            for store, embedded in zip(lane.stores, lane.embedded, strict=True)
        }
        return [
            replace(
                assemble(images, each[0], *filled[each], filling.digests, filling.failures),
                seconds=filling.seconds,
            )
            for each in prepared
        ]


def _joined(
    prepared: Sequence[tuple[Backbone, Recipe]],
) -> list[tuple[Backbone, Recipe, tuple[str, ...]]]:
    """List each network once, with the poolings that one run of it gives."""
    runs: dict[tuple[Backbone, Recipe], list[str]] = {}
    for backbone, recipe in prepared:
        joins = recipe.pooling in JOINT_POOLINGS and joins_poolings(backbone, recipe.layer)
        run = replace(recipe, pooling=JOINT_POOLINGS[0]) if joins else recipe
        runs.setdefault((backbone, run), []).append(recipe.pooling)
    return [
        (backbone, recipe, tuple(sorted(set(poolings))))
        for (backbone, recipe), poolings in runs.items()
    ]
