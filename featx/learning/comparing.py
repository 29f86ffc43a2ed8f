"""Comparing backbones, poolings and classifiers on the same images and splits."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.backbones.pixels import PIXELS
from featx.backbones.table import BACKBONES
from featx.backbones.weights import at_hand
from featx.errors import ImageSourceError, OptionError
from featx.features.matrix import Features
from featx.features.plan import plan
from featx.features.running import embed_plans, take_run_options
from featx.images.folder import ImageFolder
from featx.learning.classifiers import DEFAULT_CLASSIFIER, make_classifier, network_of
from featx.learning.comparison import Candidate, Comparison
from featx.learning.duplicates import find_duplicates, narrowest
from featx.learning.fitting import fit_all
from featx.learning.labels import (
    labels_to_learn,
    refuse_labels,
    require_every_class,
    require_learnable,
)
from featx.learning.own_network import is_keras_model
from featx.learning.splits import FOLDS, REPEATS, check_counts, split
from featx.learning.validation import tasks_of, validation_of

if TYPE_CHECKING:
    from featx.learning.scratch import ScratchNetwork

_TOLD = ("layer", "pooling", "input_size", "resize", "interpolation", "decode", "precision")


def compare(
    source: Any,
    backbones: str | Sequence[Any] = "all",
    poolings: str | Sequence[str] = "avg",
    classifiers: Any = DEFAULT_CLASSIFIER,
    *,
    labels: Any = None,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    seed: int = 0,
    n_jobs: int | None = None,
    progress: bool = True,
    **embedding: Any,
) -> Comparison:
    """Compare backbones, poolings and classifiers on labelled images.

    Every candidate is cross-validated on the same splits. Each picture is decoded once, each
    network runs once, and nothing runs at all where the cache has the features.

    Parameters
    ----------
    source : Features, sequence of Features, or what `embed` takes
        Labelled images, or several features of the same images.
    backbones : str, Backbone or sequence of them, default="all"
        The networks; "all" means those whose weights are on this machine.
    poolings : str or sequence of str, default="avg"
        As for `embed`.
    classifiers : str, estimator, sequence or mapping of them, default="logistic"
        Names of `featx.CLASSIFIERS`, or classifiers of your own; the keys of a mapping name them.
        "cnn" and compiled Keras models are networks from scratch: each is one candidate, on
        pixels, whatever the backbones.
    labels : sequence or array, optional
        As for `embed`, where the images have none.
    folds, repeats, seed : int
        As for `cross_validate`.
    n_jobs : int, optional
        Processes; by default one per core where the work is long.
    progress : bool, default=True
        Show progress bars on stderr for work of more than a second.
    **embedding
        Further options of `embed`, where `source` is images. `input_size` is that of the
        backbones; it is that of networks from scratch where nothing else is compared.

    Returns
    -------
    Comparison

    Raises
    ------
    ImageSourceError
        There are no classes, or features of different images are given.
    OptionError, UnknownBackboneError, UnknownClassifierError, WeightsError
        What their names say.
    """
    check_counts(folds, repeats, seed)
    estimators = _named(classifiers)
    for estimator in estimators.values():
        make_classifier(estimator)
    networks = {
        name: network
        for name, estimator in estimators.items()
        if (network := network_of(estimator)) is not None
    }
    others = [name for name in estimators if name not in networks]
    given = [source] if isinstance(source, Features) else source
    if isinstance(given, list | tuple) and given and isinstance(given[0], Features):
        refuse_labels(labels)
        if embedding:
            raise OptionError(
                f"features are embedded already: {', '.join(embedding)} would change nothing"
            )
        features = list(given) if others else []
        pixels = [_pixels_of(given, network) for network in networks.values()]
    else:
        images = ImageFolder.of(source, labels)
        require_learnable(images.paths, images.labels)
        for network in networks.values():
            network.require(None, len(images.classes))
        alone = None if others else embedding.get("input_size")
        features, pixels = _embedded(
            images,
            named_networks(backbones, embedding.get("weights", "imagenet")) if others else [],
            poolings,
            [alone or network.input_size for network in networks.values()],
            progress=progress,
            **embedding,
        )
        require_every_class(images, (features or pixels)[0])
    every = _same_images([*features, *pixels])
    features, pixels = every[: len(features)], every[len(features) :]
    y = labels_to_learn(every[0])
    groups = find_duplicates(narrowest(every)).groups
    splits = split(y, groups, folds=folds, repeats=repeats, seed=seed)
    pairs = [(each, name) for each in features for name in others]
    pairs += zip(pixels, networks, strict=True)
    with tempfile.TemporaryDirectory(prefix="featx-") as place:
        from joblib import Memory

        memory = Memory(place, verbose=0)
        tasks = [
            task
            for each, name in pairs
            for task in tasks_of(each, splits, estimators[name], memory)
        ]
        fitted = fit_all(tasks, n_jobs=n_jobs, progress="fitting" if progress else None)
    recipes = _names_of(features)
    named = dict(zip(map(id, features), recipes, strict=True))
    candidates = []
    for number, (each, name) in enumerate(pairs):
        results = fitted[number * len(splits.parts) : (number + 1) * len(splits.parts)]
        parts = []
        if name not in networks and (len(features) > 1 or len(others) == 1):
            parts.append(named[id(each)])
        if len(estimators) > 1 or name in networks:
            parts.append(name)
        validation = validation_of(each, splits, results)
        candidates.append(Candidate(" ".join(parts), each, name, estimators[name], validation))
    candidates.sort(
        key=lambda each: (-each.validation.accuracy, -np.nan_to_num(each.images_per_second))
    )
    return Comparison(tuple(candidates))


def _embedded(
    images: ImageFolder,
    backbones: Sequence[Any],
    poolings: Any,
    pixel_sizes: Sequence[int],
    *,
    progress: bool,
    **embedding: Any,
) -> tuple[list[Features], list[Features]]:
    """Embed images with every backbone and pooling, each network once, and as pixels."""
    run = take_run_options(embedding)
    plans = []
    for backbone in backbones:
        for pooling in [poolings] if isinstance(poolings, str) else poolings:
            plans.append(plan(backbone, pooling=pooling, **embedding))
    if backbones and not plans:
        raise OptionError("poolings is empty: expected at least one, such as 'avg'")
    options = embedding | {"layer": None, "weights": "imagenet"}
    for size in pixel_sizes:
        plans.append(plan(PIXELS, **options | {"input_size": size}))
    features = embed_plans(images, plans, progress=progress, **run)
    count = len(features) - len(pixel_sizes)
    return features[:count], features[count:]


def _pixels_of(features: Sequence[Features], network: ScratchNetwork) -> Features:
    """Return the features that a network can learn from."""
    pixels = [each for each in features if each.recipe and each.recipe.backbone == PIXELS]
    fitting = [each for each in pixels if each.X.shape[1] == network.input_size]
    if not pixels:
        raise OptionError(
            "a network from scratch learns from pixels, and none of the features are: add "
            f"featx.embed(photos, 'pixels', input_size={network.input_size}) to them"
        )
    return (fitting or pixels)[0]


def named_networks(backbones: Any, weights: Any = "imagenet") -> list[Any]:
    """Return the networks that are named; for "all", those whose weights are there.

    Parameters
    ----------
    backbones : str or sequence
        As for `compare`.
    weights : str or path, default="imagenet"
        As for `embed`; in a folder of weights, "all" means those whose file is in it.

    Raises
    ------
    OptionError
        No network is named, none has its weights, or several are to have one file.
    """
    place = None if str(weights) in ("imagenet", "random") else Path(weights).expanduser()
    one_file = place is not None and place.is_file()
    if backbones == "all":
        folder = place if place and place.is_dir() else None
        names = [name for name, spec in BACKBONES.items() if at_hand(spec, folder)]
        if not names:
            where = f"in {folder}" if folder else "on this machine"
            raise OptionError(f"there are no weights of any network {where}; name backbones")
    else:
        names = list(backbones) if isinstance(backbones, list | tuple) else [backbones]
    if not names:
        raise OptionError("backbones is empty: expected names of `featx backbones`, or 'all'")
    if one_file and (backbones == "all" or len(names) > 1):
        raise OptionError(
            f"{place} holds the weights of one network: name that one backbone, or a folder of "
            "files under Keras's names"
        )
    return names


def _named(classifiers: Any) -> dict[str, Any]:
    """Give every classifier a name of its own."""
    if isinstance(classifiers, Mapping):
        named = dict(classifiers)
    else:
        each = list(classifiers) if isinstance(classifiers, list | tuple) else [classifiers]
        named = {}
        for estimator in each:
            name = _name_of(estimator)
            same = sum(other == name or other.startswith(f"{name} #") for other in named)
            named[f"{name} #{same + 1}" if same else name] = estimator
    if not named:
        raise OptionError("classifiers is empty: expected names, such as 'logistic'")
    return named


def _name_of(estimator: Any) -> str:
    if isinstance(estimator, str):
        return estimator
    if is_keras_model(estimator):
        return str(estimator.name)
    if hasattr(estimator, "named_steps"):
        return "+".join(estimator.named_steps)
    return type(estimator).__name__


def _names_of(features: Sequence[Features]) -> list[str]:
    """Name features by the backbone and the settings in which those of one backbone differ."""
    settings = [_settings_of(each) for each in features]
    values: dict[str, dict[str, set[object]]] = defaultdict(lambda: defaultdict(set))
    for own in settings:
        for key in own:
            values[key][own["backbone"]].add(own[key])
    told = [key for key in values if any(len(own) > 1 for own in values[key].values())]
    names = []
    for number, own in enumerate(settings, 1):
        parts = [own.get("backbone", f"features {number}"), *(own.get(key) for key in told)]
        names.append(" ".join(str(part) for part in parts if part is not None))
    return names


def _settings_of(features: Features) -> dict[str, Any]:
    recipe = features.recipe
    if recipe is None:
        return {}
    views = f"{len(features.views)} views" if features.views else None
    told = {key: getattr(recipe, key) for key in _TOLD}
    return {"backbone": recipe.backbone, **told, "views": views}


def _same_images(features: list[Features]) -> list[Features]:
    """Reduce features to the images that all of them have, in the same order."""
    common = set(features[0].paths)
    for each in features[1:]:
        common &= set(each.paths)
    if not common:
        raise ImageSourceError(
            "the features are of different images: expected features of the same paths"
        )
    order = [path for path in features[0].paths if path in common]
    same = []
    for each in features:
        if each.paths.tolist() == order:
            same.append(each)
        else:
            rows = {path: row for row, path in enumerate(each.paths)}
            same.append(each.select([rows[path] for path in order]))
    labels = [None if each.y is None else each.y.tolist() for each in same]
    if any(each != labels[0] for each in labels[1:]):
        raise ImageSourceError("the features give the same images different labels")
    return same
