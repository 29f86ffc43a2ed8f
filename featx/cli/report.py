"""The report that a command writes beside its results."""

from __future__ import annotations

import shlex
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from featx.errors import FeatxError, ImageSourceError
from featx.text import count

if TYPE_CHECKING:
    from featx.evaluation.curve import LearningCurve
    from featx.evaluation.evaluation import Evaluation
    from featx.evaluation.validation import CrossValidation
    from featx.features.matrix import Features
    from featx.learning.learner import Classifier
    from featx.models.model import ImageClassifier

Result = TypeVar("Result", bound="Evaluation")

_MOST_EXPLAINED = 8  # mistakes of an evaluation: some hundred kilobytes


def write_report(path: str | None, title: str, features: Features, **parts: Any) -> None:
    """Write a report, if one was asked for, with the command that makes it again.

    `parts` are as for `featx.write_report`.
    """
    if path is None:
        return
    import featx

    featx.write_report(path, title=title, features=features, command=own_command(), **parts)


def explained(
    path: str | None, model: ImageClassifier, evaluation: Result, **options: Any
) -> Result:
    """Explain some mistakes for a report, if one was asked for and the model does it in a moment.

    It does by class maps: one run of the network for each picture.
    """
    if path is None or evaluation.explanations:
        return evaluation
    import featx

    with suppress(FeatxError):  # such as no class map, or a network that is not at hand
        return cast(
            "Result",
            featx.explain_mistakes(
                model, evaluation, most=_MOST_EXPLAINED, method="class-map", **options
            ),
        )
    return evaluation


def own_command() -> str:
    """Return the command that runs, as it was typed."""
    return shlex.join(["featx", *click.get_current_context().find_root().obj])


def curve_for(
    path: str | None, features: Features, classifier: Classifier, validation: CrossValidation
) -> LearningCurve | None:
    """Measure the learning curve of a report, if one was asked for and there are pictures enough.

    It is divided as the cross-validation was.
    """
    if path is None:
        return None
    import featx

    with suppress(ImageSourceError):  # too few pictures for a curve
        return featx.learning_curve(features, classifier, groups=validation.splits.grouping)
    return None


def short_name(source: str | list[str]) -> str:
    """Name a folder by its last two parts, fruit/train, and several by the first."""
    if isinstance(source, list):
        more = f" and {count(len(source) - 1, 'path')} more" if len(source) > 1 else ""
        return f"{short_name(source[0])}{more}"
    folder = source
    parts = [part for part in Path(folder).parts if part != ".." and part != Path(folder).anchor]
    return "/".join(parts[-2:]) or Path(folder).resolve().name
