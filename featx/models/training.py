"""The training of a model: what it learned from, and how good that made it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from html import escape
from typing import Any

from featx.backbones.table import BACKBONES
from featx.backbones.weights import at_hand
from featx.evaluation.curve import LearningCurve, quick_curve
from featx.evaluation.evaluation import Evaluation
from featx.evaluation.next_steps import next_steps
from featx.evaluation.validation import CrossValidation
from featx.features.duplicates import Contradiction, notes_on
from featx.features.matrix import Features
from featx.features.summary import failures_of
from featx.learning.learner import Learner
from featx.models.examples import Examples
from featx.models.familiarity import Familiarity
from featx.models.rejection import Rejection
from featx.text import count, listed

_CURVE_SECONDS = 3.0  # that a learning curve may take which nobody asked for


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
    learner : Learner or None
        The classifier with the settings that its searches found.
    curve : LearningCurve or None
        What more photographs would give, where that was measured.
    familiarity : Familiarity or None
        What tells pictures that are unlike these; None where that cannot be told.
    examples : Examples or None
        Which of these pictures the model keeps to show; None where that was not asked for.
    fit : str or None
        What was done to stay within the memory, in a line; None where none was named.
    """

    features: Features
    classifier: str
    rejection: Rejection | None = None
    validation: CrossValidation | None = None
    test: Evaluation | None = None
    seconds: float = 0.0
    contradictions: tuple[Contradiction, ...] = ()
    learner: Learner | None = None
    curve: LearningCurve | None = None
    familiarity: Familiarity | None = None
    examples: Examples | None = None
    fit: str | None = None

    @property
    def dataset_shift(self) -> str | None:
        """Whether test and training images differ, in a sentence; None where nothing shows it."""
        return self.validation.shift_to(self.test) if self.validation and self.test else None

    @cached_property
    def next_steps(self) -> tuple[str, ...]:
        """What would make the model better, in up to three sentences; none if not validated.

        Whether to let small classes count alike, which labels to look at, which classes need more
        photographs since they are taken for each other, what twice as many would give (where a
        learning curve takes seconds), and which other networks are at hand. Nothing where the
        figures ask for nothing.
        """
        if self.validation is None:
            return ()
        used = self.features.recipe.backbone if self.features.recipe else ""
        others = [name for name, spec in BACKBONES.items() if name not in used and at_hand(spec)]
        return next_steps(
            self.validation,
            self.curve or self._quick_curve(),
            others,
            takes_class_weight=self.learner is not None and self.learner.takes_class_weight,
        )

    def _quick_curve(self) -> LearningCurve | None:
        """Measure a learning curve where that takes a moment and something is wrong."""
        validation, learner = self.validation, self.learner
        if learner is None or validation is None or validation.accuracy == 1 or self.fit:
            return None
        if validation.splits.folds * validation.fit_seconds > _CURVE_SECONDS:
            return None
        return quick_curve(self.features, validation, learner)

    @property
    def summary(self) -> str:
        """What became of the images, and every measured figure, a line each."""
        features = self.features
        named = f"{count(len(features.classes), 'class')} ({listed(features.classes)})"
        classes = f"{named}, classifier {self.classifier}"
        validated = f": {self.validation.summary}" if self.validation else ""
        lines = [features.summary, f"{classes}{validated}"]
        if self.fit:
            lines.append(f"learned {self.fit}")
        if not self.validation:
            lines += notes_on(self.contradictions)
        if self.rejection:
            lines.append(str(self.rejection))
        if self.examples:
            lines.append(f"keeps {self.examples.summary}: whoever has the model can see them")
        if self.test:
            lines += [f"test {self.test.summary}", *failures_of(self.test.failed)]
        if self.dataset_shift:
            lines.append(self.dataset_shift)
        lines += [f"next: {step}" for step in self.next_steps]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {
            "classifier": self.classifier,
            "classes": list(self.features.classes),
            "features": self.features.to_dict(),
            "validation": self.validation.to_dict() if self.validation else None,
            "rejection": self.rejection.to_dict() if self.rejection else None,
            "familiarity": self.familiarity.to_dict() if self.familiarity else None,
            "test": self.test.to_dict() if self.test else None,
            "dataset_shift": self.dataset_shift,
            "next_steps": list(self.next_steps),
            "seconds": round(self.seconds, 3),
            **({"fit": self.fit} if self.fit else {}),
            **({"examples": self.examples.to_dict()} if self.examples else {}),
        }

    def __repr__(self) -> str:
        return self.summary

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.summary)}</pre>"
