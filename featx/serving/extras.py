"""Extras of a service: what clients may ask for beside the prediction of a picture."""

from __future__ import annotations

from featx.features.session import Session
from featx.models.model import ImageClassifier
from featx.serving.queue import Extra


def extras_of(model: ImageClassifier, session: Session) -> tuple[Extra, ...]:
    """List what a service of a model offers, in the order in which it is added to answers."""
    return ()
