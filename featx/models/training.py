"""The training of a model: what it learned from, and how good that made it."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

from featx.evaluation.evaluation import Evaluation
from featx.evaluation.validation import CrossValidation
from featx.features.duplicates import Contradiction, notes_on
from featx.features.matrix import Features
from featx.models.rejection import Rejection
from featx.text import count, listed


@dataclass(frozen=True, eq=False)
class Training:
    """What a model learned from, and how good it is.

    Attributes
    ----------
    features : Features
        What it learned from.
    classifier : str
        The name of the classifier.
    rejection : Rejection or None
        From which certainty up it answers.
    validation : CrossValidation or None
        How good the classifier is on images like these, where that was asked for.
    test : Evaluation or None
        How good the model is on images that it never saw, where some were given.
    seconds : float
        Time of embedding, training and measuring.
    contradictions : tuple of tuple of (str, str)
        Pictures that lie in several classes: path and class of each copy. Exact copies, unless it
        was validated.
    """

    features: Features
    classifier: str
    rejection: Rejection | None = None
    validation: CrossValidation | None = None
    test: Evaluation | None = None
    seconds: float = 0.0
    contradictions: tuple[Contradiction, ...] = ()

    @property
    def dataset_shift(self) -> str | None:
        """Whether test and training images differ, in a sentence; None where nothing shows it."""
        return self.validation.shift_to(self.test) if self.validation and self.test else None

    @property
    def summary(self) -> str:
        """What became of the images, and every measured figure, a line each."""
        features = self.features
        named = f"{count(len(features.classes), 'class')} ({listed(features.classes)})"
        classes = f"{named}, classifier {self.classifier}"
        validated = f": {self.validation.summary}" if self.validation else ""
        lines = [features.summary, f"{classes}{validated}"]
        if not self.validation:
            lines += notes_on(self.contradictions)
        if self.rejection:
            lines.append(str(self.rejection))
        if self.test:
            lines += [f"test {self.test.summary}", *(each.failure for each in self.test.failed)]
        if self.dataset_shift:
            lines.append(self.dataset_shift)
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {
            "classifier": self.classifier,
            "classes": list(self.features.classes),
            "features": self.features.to_dict(),
            "validation": self.validation.to_dict() if self.validation else None,
            "rejection": self.rejection.to_dict() if self.rejection else None,
            "test": self.test.to_dict() if self.test else None,
            "dataset_shift": self.dataset_shift,
            "seconds": round(self.seconds, 3),
        }

    def __repr__(self) -> str:
        return self.summary

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.summary)}</pre>"
