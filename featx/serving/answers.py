"""Answers to pictures: what a model says of each, as plain values for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from featx.errors import NoImagesError
from featx.features.matrix import Features
from featx.models.inference import features_of_nothing, infer
from featx.models.model import ImageClassifier
from featx.models.predictions import Predictions

Answer = dict[str, Any]


class Answerer:
    """Says what a model says of features, a row each, and what it says of a picture that failed.

    `columns` are the names of what an answer has, in order, but for "top".
    """

    def __init__(self, model: ImageClassifier) -> None:
        self._model = model
        nothing = features_of_nothing(NoImagesError("no picture"))
        self.columns = [name for name in self._predictions(nothing).columns if name != "path"]

    def answers(self, features: Features, tops: Sequence[int]) -> list[Answer]:
        """Return an answer for each row: the keys of `Predictions.rows`, but the path, and "top".

        "top" has as many classes with their probabilities as `tops` says, the best guess first.
        """
        predictions = self._predictions(features)
        answers = []
        for number, (row, top) in enumerate(zip(predictions.rows, tops, strict=True)):
            ranked = predictions.ranked(number, top)
            answer = {name: _plain(row[name]) for name in self.columns}
            answers.append(answer | {"top": [[label, _plain(share)] for label, share in ranked]})
        return answers

    def failed(self, reason: str) -> Answer:
        """Return the answer to a picture that cannot be read."""
        answer: Answer = dict.fromkeys(self.columns)
        return answer | {"outcome": "failed", "reason": reason, "top": []}

    def _predictions(self, features: Features) -> Predictions:
        model = self._model
        inferred = infer(model.pipeline, features, model.rejection, model.familiarity)
        return Predictions.of(features, inferred)


def outcome_of(answer: Answer) -> str:
    """Name what became of a picture, for a count of them."""
    if answer["outcome"] == "failed":
        return "failed"
    if answer["label"] is not None:
        return "answered"
    return "unfamiliar" if answer.get("unfamiliar") else "unsure"


def _plain(value: Any) -> Any:
    """Return a value that JSON has: None for a number that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
