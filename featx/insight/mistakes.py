"""Mistakes of an evaluation, explained: what spoke for the wrong class, what for the true one."""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

import numpy as np

from featx.evaluation.evaluation import Evaluation
from featx.explanation.explanation import Explanation
from featx.explanation.masks import BUDGET
from featx.features.options import EngineOptions, takes
from featx.images.bucket import may_be_there
from featx.models.model import ImageClassifier

_MOST = 40


@takes(EngineOptions)
def explain_mistakes(
    model: ImageClassifier,
    evaluation: Evaluation,
    *,
    most: int = _MOST,
    method: str = "auto",
    budget: int = BUDGET,
    **options: Unpack[EngineOptions],
) -> Evaluation:
    """Explain the mistakes of an evaluation: what spoke for the wrong class, what for the true one.

    Parameters
    ----------
    model : ImageClassifier
        The model that was evaluated.
    evaluation : Evaluation
        What `model.evaluate` gave, of pictures that are still there. One of a cross-validation is
        of other models, each of a part of the pictures: then it is explained what in a picture
        speaks for either class to this model, which may have learned from it.
    most : int, default=40
        How many mistakes to explain, the surest first.
    method, budget, **options
        As for `ImageClassifier.explain`; of its options `engine`, `cache` and `batch_size`.

    Returns
    -------
    Evaluation
        With `explanations` of its mistakes; `featx.write_explanation_report` makes a page of it,
        and `featx.write_report` shows some of them.

    Raises
    ------
    OptionError
        Class maps are asked for of a model that has none.
    """
    rows = [row for row in _surest_first(evaluation) if may_be_there(evaluation.paths[row])][:most]
    paths = [evaluation.paths[row] for row in rows]
    known = [row for row in rows if evaluation.y_true[row] in model.classes]
    found: dict[str, list[Explanation]] = {path: [] for path in paths}
    with model.session(**options) as session:
        for of, labels in ((rows, evaluation.y_pred), (known, evaluation.y_true)):
            if not of:
                continue
            some, asked = [evaluation.paths[row] for row in of], labels[of].tolist()
            for each in model.explain(
                some, label=asked, method=method, budget=budget, session=session
            ):
                found[each.path].append(each)
    explanations = {path: tuple(each) for path, each in found.items() if each}
    return replace(evaluation, explanations=explanations)


def _surest_first(evaluation: Evaluation) -> list[int]:
    """List the rows of mistakes: those of every repeat first, then the surest."""
    wrong = np.flatnonzero(evaluation.y_true != evaluation.y_pred)
    certainty = np.nan_to_num(evaluation.certainty[wrong])
    order = np.lexsort((-certainty, -(~evaluation.hits[:, wrong]).mean(axis=0)))
    return [int(row) for row in wrong[order]]
