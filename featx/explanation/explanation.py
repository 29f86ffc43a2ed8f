"""The explanation of an answer: what each part of a picture says for a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.images.labels import Label
from featx.images.square import Square
from featx.text import percent, printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = ("auto", "class-map", "masks")


@dataclass(frozen=True, eq=False)
class Explanation:
    """What each part of a picture says for a class.

    Attributes
    ----------
    path : str
        The file of the picture, or what it was called.
    label : str, int or bool
        The class that is explained.
    predicted : str, int or bool
        The class that the model predicts.
    probability : float or None
        That of the class that is explained, as the model gives it; None where it gives none.
    decision : float
        What the classifier computes for this class before any probability. Of a class map, the mean
        of `heat`; of masks, the score of the whole picture.
    heat : ndarray of shape (height, width), float32
        What each part of the square that the network sees says for the class: more than 0 for it,
        less than 0 against it.
    method : {"class-map", "masks"}
        How it was found.
    exact : bool
        Whether the mean of `heat` is the decision; else it is an estimate.
    budget : int
        How many times pictures with parts hidden went through the networks.
    constant : float
        The part of the decision that no place says, such as intercepts; `heat` has it in every
        place alike. 0 of masks.
    picture : ndarray of shape (size, size, 3), uint8
        The square that the first network sees.
    square : Square
        How it was made of the picture.
    classes : tuple of (str, int or bool)
        The classes of the model.
    size : tuple of (int, int), or None
        Width and height of the photograph, upright, in pixels; None where that is not known.
    parts : tuple of ndarray of shape (height, width), float32
        Of a class map, what each network says, without the constant.
    """

    path: str
    label: Label
    predicted: Label
    probability: float | None
    decision: float
    heat: np.ndarray
    method: str
    exact: bool
    budget: int
    constant: float
    picture: np.ndarray
    square: Square
    classes: tuple[Label, ...]
    size: tuple[int, int] | None = None
    parts: tuple[np.ndarray, ...] = ()

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.heat.shape))
        return printable(f"Explanation({self.path}: why {self.label}, {self.method}, {shape})")

    @property
    def summary(self) -> str:
        """What is explained and how, in a line."""
        chance = "" if self.probability is None else f" ({percent(self.probability)})"
        own = "" if self.label == self.predicted else f"; the model says {self.predicted}"
        way = "its exact class map" if self.exact else f"an estimate by {self.budget} masks"
        return printable(f"{self.path}: why {self.label}{chance}, by {way}{own}")

    def to_dict(self) -> dict[str, Any]:
        """Return the explanation as plain values, ready for JSON; without the pixels."""
        return {
            "path": self.path,
            "label": self.label,
            "predicted": self.predicted,
            "probability": self.probability,
            "decision": self.decision,
            "method": self.method,
            "exact": self.exact,
            "budget": self.budget,
            "constant": self.constant,
            "heat": self.heat.tolist(),
        }

    def overlay(self, side: int = 384) -> np.ndarray:
        """Draw the photograph in grey, coloured by what speaks for the class and against it.

        Parameters
        ----------
        side : int, default=384
            Pixels of the longer side.

        Returns
        -------
        ndarray of shape (height, width, 3), uint8
        """
        from featx.charts.overlay import overlay

        return overlay(self, side)

    def plot(self) -> Figure:
        """Draw the photograph beside its overlay."""
        from featx.charts.explanation import plot_explanations

        return plot_explanations([self])
