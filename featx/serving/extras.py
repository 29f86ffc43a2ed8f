"""Extras of a service: what clients may ask for beside the prediction of a picture."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from featx.charts.overlay import overlay_png
from featx.errors import get_logger, one_line
from featx.features.session import Session
from featx.models.examples import Examples
from featx.models.model import ImageClassifier
from featx.serving.queue import Extra, Predicted

_MOST_NEAREST = 12

log = get_logger(__name__)


def extras_of(model: ImageClassifier, session: Session) -> tuple[Extra, ...]:
    """List what a service of a model offers, in the order in which it is added to answers."""
    extras = [Extra("explain", _yes, partial(_explained, model, session))]
    if model.examples is not None:
        extras.append(Extra("nearest", _number, partial(_nearest, model.examples)))
    return tuple(extras)


def _explained(
    model: ImageClassifier, session: Session, predicted: Predicted, wanted: bool
) -> Mapping[str, Any]:
    """Draw what in a picture spoke for the best guess; None where that cannot be found."""
    if not wanted:
        return {}
    try:
        explanation = model.explain(predicted.picture, session=session)
        shown = replace(explanation, path="")  # the square that the network saw, and no file
        png = base64.b64encode(overlay_png(shown)).decode()
    except Exception as error:  # the label is there all the same
        log.warning("an answer cannot be explained: %s: %s", type(error).__name__, one_line(error))
        return {"heat": None}
    return {"heat": f"data:image/png;base64,{png}"}


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
