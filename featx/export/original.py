"""The original of an exported file: a model as plain values, with its networks in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from featx.export.head import label_note
from featx.export.metadata import inputs_of
from featx.export.whole import as_float
from featx.features.matrix import Features
from featx.features.recipe import Recipe
from featx.features.request import Request
from featx.features.session import Picture, Session
from featx.images.decode import Outcome
from featx.images.labels import Label
from featx.images.square import Square
from featx.text import count


@dataclass(frozen=True, eq=False)
class Original:
    """A model to export, as plain values.

    Attributes
    ----------
    pipeline : estimator
        The fitted pipeline.
    request : Request
        Its networks and its recipe.
    probabilities : callable
        What the model makes of Features: its probabilities, of shape (n, n_classes).
    temperature, threshold : float or None
        Of a model that may be unsure.
    weights : sequence of mapping
        What to say of the weights of each network.
    cache : str, path or bool, optional
        Where converted networks are kept; see `featx.embed`.
    """

    pipeline: Any
    request: Request
    probabilities: Callable[[Features], np.ndarray | None]
    temperature: float | None = None
    threshold: float | None = None
    weights: Sequence[Mapping[str, Any]] = ()
    cache: Any = None

    @property
    def classes(self) -> tuple[Label, ...]:
        """The classes, in the order of the probabilities."""
        return tuple(np.asarray(self.pipeline.classes_).tolist())

    @property
    def columns(self) -> int:
        """How many features the pipeline takes."""
        return int(self.pipeline.n_features_in_)

    @cached_property
    def exported(self) -> Request:
        """The networks as they are exported: in float32, for the picture as it is."""
        backbones, parts = zip(*self.request.of_view(0), strict=True)
        recipe = Recipe(tuple(replace(part, cut=as_float(part.cut)) for part in parts))
        return Request(tuple(replace(each, calibration=None) for each in backbones), recipe)

    @property
    def inputs(self) -> dict[str, Square]:
        """The inputs of the file by name, each with what a picture is made into for it."""
        return inputs_of([part.square for part in self.exported.recipe.parts])

    @property
    def differences(self) -> list[str]:
        """What the model does and no file of it, a line each."""
        lines = []
        if self.request.views:
            lines.append(
                f"the model takes the mean of {count(self.request.views + 1, 'view')} of a "
                "picture, the file the picture as it is"
            )
        if "int8" in {part.cut.precision for part in self.request.recipe.parts}:
            lines.append("the model computes in int8, the file in float32")
        if (note := label_note(self.pipeline)) is not None:
            lines.append(note)
        if self.threshold is not None:
            lines.append(
                f"the model is unsure below a probability of {self.threshold:.3f}, the file never "
                "says so; the threshold is in its metadata"
            )
        return lines

    def computed(self, pixels: Mapping[str, np.ndarray]) -> np.ndarray:
        """Compute in featx what a file has to give for pixels by the names of its inputs."""
        squares = {self.inputs[name]: each for name, each in pixels.items()}
        n = len(next(iter(pixels.values())))
        pictures = [
            Picture({square: each[row] for square, each in squares.items()}, Outcome("decoded"))
            for row in range(n)
        ]
        with Session(self.exported, cache=self.cache) as session:
            return np.asarray(self.probabilities(session.features(pictures)))
