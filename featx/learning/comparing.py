"""Comparing backbones, poolings and classifiers on the same images and splits."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from featx.backbones.table import BACKBONES
from featx.backbones.weights import at_hand
from featx.errors import ImageSourceError, OptionError
from featx.features.matrix import Features
from featx.features.plan import prepare
from featx.features.recipe import Recipe
from featx.features.running import embed_recipes
from featx.images.folder import ImageFolder
from featx.learning.classifiers import DEFAULT_CLASSIFIER, make_classifier
from featx.learning.comparison import Candidate, Comparison
from featx.learning.duplicates import find_duplicates
from featx.learning.fitting import fit_all
from featx.learning.labels import labels_to_learn, refuse_labels, require_learnable
from featx.learning.splits import FOLDS, REPEATS, split
from featx.learning.validation import tasks_of, validation_of

_RUN_OPTIONS = ("engine", "cache", "on_error", "batch_size")
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
    labels : sequence or array, optional
        As for `embed`, where the images have none.
    folds, repeats, seed : int
        As for `cross_validate`.
    n_jobs : int, optional
        Processes; by default one per core where the work is long.
    progress : bool, default=True
        Show progress bars on stderr for work of more than a second.
    **embedding
        Further options of `embed`, where `source` is images.

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
    estimators = _named(classifiers)
    for estimator in estimators.values():
        make_classifier(estimator)
    given = [source] if isinstance(source, Features) else source
    if isinstance(given, list | tuple) and given and isinstance(given[0], Features):
        refuse_labels(labels)
        if embedding:
            raise OptionError(
                f"features are embedded already: {', '.join(embedding)} would change nothing"
            )
        features = list(given)
    else:
        images = ImageFolder.of(source, labels)
        features = _embedded(images, backbones, poolings, progress=progress, **embedding)
    features = _same_images(features)
    y = labels_to_learn(features[0])
    groups = find_duplicates(features[0]).groups
    splits = split(y, groups, folds=folds, repeats=repeats, seed=seed)
    with tempfile.TemporaryDirectory(prefix="featx-") as place:
        from joblib import Memory

        memory = Memory(place, verbose=0)
        tasks = [
            task
            for each in features
            for estimator in estimators.values()
            for task in tasks_of(each, splits, estimator, memory)
        ]
        fitted = fit_all(tasks, n_jobs=n_jobs, progress="fitting" if progress else None)
    recipes = _names_of([each.recipe for each in features])
    candidates = []
    for number, (recipe, each) in enumerate(zip(recipes, features, strict=True)):
        for position, (name, estimator) in enumerate(estimators.items()):
            first = (number * len(estimators) + position) * len(splits.parts)
            results = fitted[first : first + len(splits.parts)]
            parts = [recipe] if len(features) > 1 or len(estimators) == 1 else []
            parts += [name] if len(estimators) > 1 else []
            validation = validation_of(each, splits, results)
            candidates.append(Candidate(" ".join(parts), each, name, estimator, validation))
    candidates.sort(
        key=lambda each: (
            -each.validation.accuracy,
            -np.nan_to_num(each.features.images_per_second),
        )
    )
    return Comparison(tuple(candidates))


def _embedded(
    images: ImageFolder, backbones: Any, poolings: Any, *, progress: bool, **embedding: Any
) -> list[Features]:
    """Embed images with every backbone and pooling, each network once."""
    require_learnable(images.paths, images.labels)
    run = {key: embedding.pop(key) for key in _RUN_OPTIONS if key in embedding}
    if "engine" in run:
        embedding["engine"] = run["engine"]
    prepared = []
    for backbone in _networks(backbones):
        for pooling in [poolings] if isinstance(poolings, str) else poolings:
            prepared.append(prepare(backbone, pooling=pooling, **embedding))
    if not prepared:
        raise OptionError("poolings is empty: expected at least one, such as 'avg'")
    return embed_recipes(images, prepared, progress=progress, **run)


def _networks(backbones: Any) -> list[Any]:
    if backbones == "all":
        found = [name for name, spec in BACKBONES.items() if at_hand(spec)]
        if not found:
            raise OptionError("no weights are on this machine; name the backbones to fetch")
        return found
    names = list(backbones) if isinstance(backbones, list | tuple) else [backbones]
    if not names:
        raise OptionError("backbones is empty: expected names of `featx backbones`, or 'all'")
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
    if hasattr(estimator, "named_steps"):
        return "+".join(estimator.named_steps)
    return type(estimator).__name__


def _names_of(recipes: Sequence[Recipe | None]) -> list[str]:
    """Name recipes by the backbone and the settings in which those of one backbone differ."""
    values: dict[str, dict[str, set[object]]] = defaultdict(lambda: defaultdict(set))
    for each in filter(None, recipes):
        for key in _TOLD:
            values[key][each.backbone].add(getattr(each, key))
    told = [key for key in _TOLD if any(len(own) > 1 for own in values[key].values())]
    names = []
    for number, recipe in enumerate(recipes, 1):
        if recipe is None:
            names.append(f"features {number}")
        else:
            parts = [recipe.backbone, *(getattr(recipe, key) for key in told)]
            names.append(" ".join(str(part) for part in parts if part is not None))
    return names


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
