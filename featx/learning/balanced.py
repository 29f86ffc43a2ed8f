"""Balanced estimators, for which each class counts alike however many pictures it has."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from sklearn.utils.class_weight import compute_sample_weight

# Of the logits; chosen by `tests/benchmarks/unequal.py`: with less, pictures of small classes are
# missed, with more those of large ones; two further pictures, and single ones are not favoured.
_BONUS, _FURTHER = 8.0, 2


class BalancedLogisticRegression(LogisticRegression):  # type: ignore[misc]  # untyped base
    """Logistic regression on discriminants, with a bonus for classes of few pictures.

    Weights of classes alone do little: discriminants tell all pictures that they have seen apart,
    and the fewer pictures a class has, the further from its mean are new ones. So the logit of a
    class of n pictures has 8 / sqrt(n + 2) added.

    Parameters
    ----------
    views : int, default=0
        Views that go along with each picture, and are no pictures of their own.
    C, max_iter : float, int
        As for scikit-learn's `LogisticRegression`.
    """

    def __init__(self, *, views: int = 0, C: float = 1.0, max_iter: int = 1000) -> None:
        super().__init__(C=C, max_iter=max_iter, class_weight="balanced")
        self.views = views

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> BalancedLogisticRegression:
        """Fit to rows of shape (n, columns) and their n classes."""
        super().fit(X, y, sample_weight)
        counts = np.unique(np.asarray(y), return_counts=True)[1] / (1 + self.views)
        bonus = _BONUS / np.sqrt(counts + _FURTHER)
        logits = bonus[1:] - bonus[:1] if len(bonus) == 2 else bonus  # of two classes one has one
        self.intercept_: np.ndarray = self.intercept_ + logits
        return self


class BalancedCalibration(CalibratedClassifierCV):  # type: ignore[misc]  # untyped base
    """A classifier and its calibration, both fitted with the same total weight for each class."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> BalancedCalibration:
        """Fit to rows of shape (n, columns) and their n classes."""
        weight = compute_sample_weight("balanced", y)
        super().fit(X, y, weight if sample_weight is None else weight * sample_weight)
        return self


def balanced_logistic(pipeline: Any, views: int) -> Any:
    """Return "logistic" with a balanced regression; see `BalancedLogisticRegression`."""
    return pipeline.set_params(logistic=BalancedLogisticRegression(views=views))


def balanced_machine(pipeline: Any, views: int) -> Any:
    """Return a pipeline that ends with a support vector machine, calibrated or not, balanced."""
    name, machine = pipeline.steps[-1]
    if isinstance(machine, SVC):
        return pipeline.set_params(**{f"{name}__class_weight": "balanced"})
    return pipeline.set_params(**{name: BalancedCalibration(**machine.get_params(deep=False))})
