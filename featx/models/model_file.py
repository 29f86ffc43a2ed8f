"""The model file: a recipe and a fitted pipeline in one zip file, without pickle."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from featx.errors import ModelFileError, OptionError, StorageError, one_line
from featx.features.options import MAX_VIEWS
from featx.features.recipe import Recipe
from featx.files import written
from featx.learning.scratch.architecture import ArchitectureError
from featx.models.rejection import Rejection

FORMATS = (1, 2)  # 2 rejects or has views: a featx that knows only 1 would pass over them
ABOUT = "model.json"  # format, recipe, weights, classes and so on: readable by a person
PIPELINE = "pipeline.skops"

# What the named classifiers hold beyond the types that skops itself trusts. Each was read: it is
# a class in Python, without a __new__, __reduce__ or __setstate__ but that of BaseEstimator, which
# copies attributes (skops makes the object without __init__, then fills it in); calling it with
# values of a file's choice does no harm. No function is among them, and no compiled type such as
# sklearn.neighbors._kd_tree.KDTree, whose code would take the numbers of a file for addresses.
TRUSTED_TYPES = (
    "featx.learning.scratch.ScratchNetwork",  # cnn; what it describes is checked on top
    "sklearn.calibration._CalibratedClassifier",  # svm
    "sklearn.calibration._SigmoidCalibration",  # svm
    "sklearn.metrics._scorer._PassthroughScorer",  # logistic, whose search scores by accuracy
    "sklearn.model_selection._split._CVIterableWrapper",  # the same with views: rows of each fold
    "sklearn.model_selection._split.StratifiedKFold",  # logistic: the folds of its search
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",  # mlp, pca-mlp
)


@dataclass(frozen=True)
class StoredModel:
    """What a model file holds: what `ImageClassifier` is made of."""

    pipeline: Any
    recipe: Recipe
    weights: str
    views: int = 0
    rejection: Rejection | None = None


def write(path: Path, model: StoredModel) -> None:
    """Write a model file; for the errors see `ImageClassifier.save`."""
    import sklearn
    import skops.io

    about: dict[str, Any] = {
        "format": FORMATS[0],
        "recipe": model.recipe.to_dict(),
        "weights": model.weights,
        "classes": [str(label) for label in model.pipeline.classes_],
        "scikit-learn": sklearn.__version__,
    }
    if model.views:
        about |= {"format": FORMATS[1], "views": model.views}
    if model.rejection is not None:
        about |= {"format": FORMATS[1], "rejection": asdict(model.rejection)}
    try:
        pipeline = skops.io.dumps(model.pipeline)
    except TypeError as error:  # skops's UnsupportedTypeException is one
        raise OptionError(
            f"this pipeline cannot be saved without pickle ({one_line(error)}); replace the step"
        ) from error
    with written(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(ABOUT, json.dumps(about, indent=2))
        archive.writestr(PIPELINE, pipeline)


def read(path: Path, trusted: tuple[str, ...] = ()) -> StoredModel:
    """Read a model file, running nothing that it holds.

    Trusted types are accepted beyond `TRUSTED_TYPES` and those that skops itself trusts. Raises a
    `ModelFileError` if the file is missing, is no model, is damaged, or holds types that are not
    trusted, and a `StorageError` if it cannot be read.
    """
    if not path.is_file():
        raise ModelFileError(f"no model file {path}: expected one that `featx train` wrote")
    try:
        with zipfile.ZipFile(path) as archive:
            about = json.loads(archive.read(ABOUT))
            data = archive.read(PIPELINE)
        if about["format"] not in FORMATS:
            raise ModelFileError(
                f"{path} is a model of format {about['format']}, expected {FORMATS[-1]} or less; "
                "update featx or train again"
            )
        recipe, weights = Recipe.from_dict(about["recipe"]), about["weights"]
        if not isinstance(weights, str):
            raise ValueError(f"weights is {weights!r}")
        views = about.get("views", 0)
        if not isinstance(views, int) or not 0 <= views <= MAX_VIEWS:
            raise ValueError(f"views {views!r}")
        rejection = Rejection.from_file(about["rejection"]) if "rejection" in about else None
        if about["format"] == FORMATS[1] and rejection is None and not views:
            raise ValueError("it neither rejects nor has views")
        pipeline = _rebuild(path, data, {*TRUSTED_TYPES, *trusted})
        if rejection is not None and not hasattr(pipeline, "predict_proba"):
            raise ValueError("it rejects, but gives no probabilities")
    except (ModelFileError, MemoryError):
        raise
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # whatever zip, JSON and skops make of another or a damaged file
        raise ModelFileError(
            f"{path} is no featx model, or a damaged one ({one_line(error)}); train it again"
        ) from error
    return StoredModel(pipeline, recipe, weights, views, rejection)


def _rebuild(path: Path, data: bytes, trusted: set[str]) -> Any:
    import skops.io

    strange = sorted(set(skops.io.get_untrusted_types(data=data)) - trusted)
    if strange:
        raise ModelFileError(
            f"{path} holds types that are not known to be safe: {', '.join(strange)}; "
            "if you trust its source, load it with trusted=[these names]"
        )
    pipeline = skops.io.loads(data, trusted=sorted(trusted))
    if not (hasattr(pipeline, "predict") and hasattr(pipeline, "classes_")):
        raise ValueError(f"a {type(pipeline).__name__}, not a fitted classifier")
    for step in (pipeline, *(step for _, step in getattr(pipeline, "steps", ()))):
        if hasattr(step, "check_file"):
            try:
                step.check_file()
            except ArchitectureError as error:
                raise ModelFileError(
                    f"{path} holds a network with what is not known to be safe: {error}; "
                    "nothing of it was run"
                ) from error
    return pipeline
