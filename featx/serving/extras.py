"""Extras of a service: what clients may ask for beside the prediction of a picture."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from featx.charts.overlay import overlay_png
from featx.errors import get_logger, one_line
from featx.explanation.masks import BUDGET
from featx.features.session import Picture, Session
from featx.models.examples import Examples
from featx.models.model import ImageClassifier
from featx.serving.queue import Extra, Predicted

_MOST_NEAREST = 12
_SECONDS_OF_MASKS = 8.0
_FEWEST_MASKS = 32  # that `explain` takes
_TIMED = 16  # pictures

log = get_logger(__name__)


def extras_of(model: ImageClassifier, session: Session) -> tuple[Extra, ...]:
    """List what a service of a model offers, in the order in which it is added to answers."""
    extras = [Extra("explain", _yes, _Drawer(model, session))]
    if model.examples is not None:
        extras.append(Extra("nearest", _number, partial(_nearest, model.examples)))
    return tuple(extras)


class _Drawer:
    """Draws what in pictures spoke for the best guess.

    Where masks are tried, they are as many as go through the networks in some seconds.
    """

    def __init__(self, model: ImageClassifier, session: Session) -> None:
        self._model = model
        self._session = session
        self._budget = 0  # not known yet

    def __call__(self, predicted: Predicted, wanted: bool) -> Mapping[str, Any]:
        """Return the drawing as a data URL; None where what decided cannot be found."""
        if not wanted:
            return {}
        picture = predicted.picture
        self._budget = self._budget or self._affordable(picture)
        try:
            found = self._model.explain(picture, session=self._session, budget=self._budget)
            shown = replace(found, path="")  # what the network saw, and no file of this machine
            png = base64.b64encode(overlay_png(shown)).decode()
        except Exception as error:  # the label is there all the same
            reason = f"{type(error).__name__}: {one_line(error)}"
            log.warning("an answer cannot be explained: %s", reason)
            return {"heat": None}
        return {"heat": f"data:image/png;base64,{png}"}

    def _affordable(self, picture: Picture) -> int:
        """Return how many masks can be tried in time, by that of a few pictures."""
        start = time.perf_counter()
        self._session.features([picture] * _TIMED)
        seconds = (time.perf_counter() - start) / _TIMED
        return max(_FEWEST_MASKS, min(BUDGET, int(_SECONDS_OF_MASKS / seconds)))


def _nearest(examples: Examples, predicted: Predicted, n: int) -> Mapping[str, Any]:
    """Find the training pictures that are most like a picture."""
    (found,) = examples.nearest(predicted.features, n)
    return {"nearest": [each.to_dict() for each in found]}


def _yes(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("expected 1, or 0 for no")
    return text == "1"


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:3]) <= _MOST_NEAREST):
        raise ValueError(f"expected a whole number from 1 to {_MOST_NEAREST}")
    return int(text)
