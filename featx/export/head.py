"""The head of an exported model: a fitted pipeline as layers of Keras, from features to shares."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from sklearn.base import is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import Pipeline

from featx.backbones.framework import import_keras
from featx.backbones.keras_settings import usual_settings
from featx.errors import FeatxError, OptionError, one_line
from featx.export.affine import Stage, folded
from featx.export.calibration import calibration
from featx.export.classifiers import DECISIONS, PROBABILITIES
from featx.export.transformers import TRANSFORMERS
from featx.learning.balanced import BalancedCalibration

if TYPE_CHECKING:
    import keras

_LEAST = 1e-6  # probability that a class keeps where a temperature is applied


@usual_settings()
def keras_head(pipeline: Any, columns: int, temperature: float | None = None) -> keras.Model:
    """Return a fitted pipeline as a Keras model of built-in layers and operations.

    Parameters
    ----------
    pipeline : estimator
        A fitted scikit-learn classifier, or a pipeline that ends in one.
    columns : int
        Columns of its features.
    temperature : float, optional
        That of a model that rejects, `Rejection.temperature`; by default probabilities stay as the
        pipeline gives them.

    Returns
    -------
    keras.Model
        From "features" of shape (n, columns), float32, to "probabilities" of shape (n, n_classes),
        float32, in the order of `pipeline.classes_`.

    Raises
    ------
    OptionError
        A step is not one that can be written as matrix arithmetic; the message names it, and those
        that can. Or the numbers of a step do not fit those of the next.
    """
    keras = import_keras()
    try:
        return _head(keras, pipeline, columns, temperature)
    except FeatxError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise OptionError(
            f"this pipeline cannot be exported: it is not fitted, or damaged ({one_line(error)}); "
            "train it again"
        ) from error


def _head(keras: Any, pipeline: Any, columns: int, temperature: float | None) -> keras.Model:
    stages = _probabilities(pipeline)
    if temperature is not None:
        stages.append(partial(_tempered, temperature=float(temperature)))
    features = keras.Input((columns,), dtype="float32", name="features")
    shares = keras.layers.Identity(name="probabilities")(_applied(stages, features))
    return keras.Model(features, shares, name="head")


def label_note(pipeline: Any) -> str | None:
    """Say where the label of a pipeline is not always the class that is most probable to it.

    scikit-learn takes the nearest mean for the label, if all classes are as frequent, and measures
    in other units for the probability. None for all other classifiers.
    """
    fitted = _found(pipeline)
    while isinstance(fitted, Pipeline):
        fitted = _found(fitted.steps[-1][1])
    if type(fitted) is not NearestCentroid:
        return None
    return (
        "featx names the class of the nearest mean, which for a few pictures is not the most "
        "probable class: NearestCentroid measures probabilities in other units"
    )


def _applied(stages: Sequence[Stage], x: Any) -> Any:
    for stage in folded(stages):
        x = stage(x)
    return x


def _tempered(x: Any, temperature: float) -> Any:
    ops = import_keras().ops
    return ops.softmax(ops.log(ops.maximum(x, _LEAST)) / temperature, axis=-1)


def _probabilities(fitted: Any) -> list[Stage]:
    """Return the stages from features to probabilities."""
    fitted = _found(fitted)
    if isinstance(fitted, Pipeline):
        return [*_transformed(fitted), *_probabilities(fitted.steps[-1][1])]
    if type(fitted) in (CalibratedClassifierCV, BalancedCalibration):
        members = [
            [*_decisions(each.estimator), calibration(each)]
            for each in fitted.calibrated_classifiers_
        ]
        return members[0] if len(members) == 1 else [partial(_mean, members=members)]
    if type(fitted) in PROBABILITIES:
        return PROBABILITIES[type(fitted)](fitted)
    if type(fitted) in DECISIONS:
        raise OptionError(
            f"{_name(fitted)} gives no probabilities, which are what an exported file gives: "
            "put a CalibratedClassifierCV around it"
        )
    raise _refusal(fitted, {*PROBABILITIES, CalibratedClassifierCV})


def _mean(x: Any, members: Sequence[Sequence[Stage]]) -> Any:
    return sum(_applied(stages, x) for stages in members) / len(members)


def _decisions(fitted: Any) -> list[Stage]:
    """Return the stages from features to what is calibrated."""
    fitted = _found(fitted)
    if isinstance(fitted, Pipeline):
        return [*_transformed(fitted), *_decisions(fitted.steps[-1][1])]
    if type(fitted) in DECISIONS:
        return DECISIONS[type(fitted)](fitted)
    raise _refusal(fitted, set(DECISIONS), "a calibrated classifier")


def _transformed(pipeline: Pipeline) -> list[Stage]:
    """Return the stages of all steps of a pipeline but the last."""
    stages: list[Stage] = []
    for _, step in pipeline.steps[:-1]:
        step = _found(step)
        if isinstance(step, Pipeline):
            stages += [*_transformed(step), *_transformed_by(step.steps[-1][1])]
        else:
            stages += _transformed_by(step)
    return stages


def _transformed_by(step: Any) -> list[Stage]:
    if step is None or isinstance(step, str):  # "passthrough"
        return []
    if type(step) not in TRANSFORMERS:
        raise _refusal(step, set(TRANSFORMERS))
    return TRANSFORMERS[type(step)](step)


def _found(fitted: Any) -> Any:
    """Return what a search found, and what is frozen."""
    if type(fitted) in (GridSearchCV, RandomizedSearchCV):
        return _found(fitted.best_estimator_)
    return _found(fitted.estimator) if type(fitted) is FrozenEstimator else fitted


def _refusal(step: Any, known: set[type], what: str = "") -> OptionError:
    what = what or ("a classifier" if is_classifier(step) else "a step before the classifier")
    names = ", ".join(sorted(each.__name__ for each in known))
    return OptionError(
        f"{_name(step)} cannot be exported: expected {what} that is matrix arithmetic, one of "
        f"{names}"
    )


def _name(step: Any) -> str:
    return type(step).__name__
