"""The learning curve: accuracy against photographs per class, and what more would give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ImageSourceError, OptionError
from featx.evaluation.fits import Task, fit_all
from featx.evaluation.groups import Grouping, Groups
from featx.evaluation.intervals import Estimate, accuracy_interval, bootstraps, effective_size
from featx.evaluation.splits import FOLDS, REPEATS, Splits, split
from featx.evaluation.validation import CrossValidation
from featx.features.duplicates import find_duplicates
from featx.features.matrix import Features
from featx.images.decode import Outcome
from featx.learning.classes import labels_to_learn
from featx.learning.classifiers import DEFAULT_CLASSIFIER
from featx.learning.learner import Classifier, Learner
from featx.text import percent

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

SHARES = (1.0, 0.7, 0.5, 0.35, 0.25)  # of the photographs of a class
_QUICK = (0.25, 0.5)  # shares of a quick curve
_APART = 0.4  # photographs per class between two sizes
_EXPONENTS = np.linspace(0.1, 2.0, 39)


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """Accuracy of a classifier that was trained on fewer photographs, and on all.

    Attributes
    ----------
    sizes : ndarray of shape (s,), float
        Photographs per class that were trained on, on average over the classes, rising.
    hits : ndarray of shape (s, n), float
        For each size, the share of the repeats in which each photograph was predicted right.
    splits : Splits
        What was predicted by what was trained on the rest, or on a part of the rest.
    per_class : float
        Photographs per class that there are.
    failed : tuple of Outcome
        The files that could not be read; they count nowhere.
    """

    sizes: np.ndarray
    hits: np.ndarray
    splits: Splits
    per_class: float
    failed: tuple[Outcome, ...] = ()

    @property
    def size(self) -> float:
        """How many independent photographs an accuracy stands on."""
        return effective_size(self.splits.groups, self.splits.folds)

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """Accuracy at each size with its 95 % interval."""
        return tuple(accuracy_interval(float(row.mean()), self.size) for row in self.hits)

    def to_frame(self) -> pd.DataFrame:
        """Return a table of one row per size.

        Columns are `per_class` (photographs of each class trained on), `accuracy`, `accuracy_low`
        and `accuracy_high`, 0 to 1.
        """
        import pandas as pd

        pairs = zip(self.sizes, self.estimates, strict=True)
        return pd.DataFrame(
            [{"per_class": size, **each.to_dict("accuracy")} for size, each in pairs]
        )

    def forecast(self, per_class: float) -> Estimate:
        """Predict the accuracy with another number of photographs.

        The error is taken to fall as a power of the number, down to a floor: accuracy =
        a - b * per_class ** -c (Figueroa, Zeng-Treitler, Kandula and Ngo, Predicting sample size
        required for classification performance, BMC Medical Informatics 12, 2012).

        Parameters
        ----------
        per_class : float
            Photographs of each class to train on.

        Returns
        -------
        Estimate
            With the interval of a bootstrap over the photographs.
        """
        if not per_class > 0:
            raise OptionError(f"{per_class} photographs per class: expected more than 0")
        fitted = self._estimate(self._at(per_class))
        measured = accuracy_interval(fitted.value, self.size)  # a forecast is no surer than that
        return Estimate(
            fitted.value, min(fitted.low, measured.low), max(fitted.high, measured.high)
        )

    @property
    def doubled(self) -> float:
        """Twice the photographs per class that the last point was trained on."""
        return 2 * float(self.sizes[-1])

    @property
    def gain(self) -> Estimate:
        """How much more accurate a classifier of twice the photographs would be.

        From the largest of `sizes` to `doubled`; at most what is wrong today.
        """
        gain = self._estimate(self._at(self.doubled) - self._at(self.doubled / 2))
        most = 1 - float(self.hits[-1].mean())
        return Estimate(min(gain.value, most), min(gain.low, most), min(gain.high, most))

    @property
    def verdict(self) -> str:
        """What more photographs would give, in a sentence."""
        gain = self.gain
        now = (
            f"trained on {self.doubled / 2:.0f} photographs per class, of the "
            f"{self.per_class:.0f} that there are"
        )
        if gain.high <= 0:
            return f"{now}, nothing is wrong: more photographs would only make that surer"
        if round(100 * gain.value) < 1:
            return (
                f"{now}, the curve is nearly flat: twice as many would give less than a point "
                f"(95 % interval 0 to {100 * gain.high:.1f})"
            )
        word = "point" if round(100 * gain.value) == 1 else "points"
        return (
            f"{now}, it scores {percent(self.estimates[-1].value)}; twice as many would give about "
            f"{100 * gain.value:.0f} {word} more (95 % interval {gain.range})"
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the curve and its forecast; see `featx.plot_learning_curve`."""
        from featx.charts.curve import plot_learning_curve

        return plot_learning_curve(self, ax)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {
            "per_class": self.per_class,
            "n_failed": len(self.failed),
            "sizes": self.to_frame().to_dict("records"),
            "forecast": {
                "per_class": self.doubled,
                **self.forecast(self.doubled).to_dict("accuracy"),
            },
            **self.gain.to_dict("gain"),
            "verdict": self.verdict,
        }

    def __repr__(self) -> str:
        return f"LearningCurve({self.verdict})"

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(index=False, float_format="{:.3f}".format)
        return f"{table}<p>{self.verdict}</p>"

    def _estimate(self, values: np.ndarray) -> Estimate:
        """Return the first value with the interval of the others, which are bootstraps of it."""
        value = float(np.clip(values[0], 0, 1))
        # Bootstraps see the photographs, not the training on them: widened as the accuracy is.
        independent = effective_size(self.splits.groups)
        spread = np.sqrt(independent / self.size)
        low, high = np.quantile(values[1:], [0.025, 0.975]) - values[0]
        return Estimate(
            value,
            float(np.clip(value + spread * min(low, 0.0), 0, 1)),
            float(np.clip(value + spread * max(high, 0.0), 0, 1)),
        )

    def _at(self, per_class: float) -> np.ndarray:
        """Return the fitted curve at a size: of all photographs, then of each bootstrap."""
        a, b, c = self._fits
        return a - b * per_class**-c

    @cached_property
    def _fits(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Coefficients of the curve for all photographs, then for each bootstrap of them."""
        drawn = [self.hits @ each / each.sum() for each in bootstraps(self.splits.groups)]
        return _fit_power_law(self.sizes, np.array([self.hits.mean(axis=1), *drawn]))


def learning_curve(
    features: Features,
    classifier: Classifier = DEFAULT_CLASSIFIER,
    *,
    groups: Groups = None,
    class_weight: str | None = None,
    shares: Sequence[float] = SHARES,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    seed: int = 0,
    n_jobs: int | None = None,
    progress: bool = True,
) -> LearningCurve:
    """Measure accuracy against the number of photographs.

    Parameters
    ----------
    features : Features
        Labelled features.
    classifier : str or estimator, default="logistic"
        As for `train`.
    groups : sequence, str or mapping, optional
        As for `cross_validate`; whole groups are added then.
    class_weight : str, optional
        As for `train`.
    shares : sequence of float, default=(1, 0.7, 0.5, 0.35, 0.25)
        Parts of each class to train on, above 0 to 1; those that come down to the same number
        of photographs, or to fewer than one a class, are left out.
    folds, repeats, seed : int
        As for `cross_validate`.
    n_jobs : int, optional
        Processes; by default one per core where the work is long.
    progress : bool, default=True
        Show a progress bar on stderr for work of more than a second.

    Returns
    -------
    LearningCurve

    Raises
    ------
    ImageSourceError
        There are no classes, or too few photographs for two sizes.
    """
    learner = Learner.of(classifier, class_weight)
    check_shares(shares)
    y = labels_to_learn(features)
    learner.require_features(features)
    grouping, copies = Grouping.of(groups, features), find_duplicates(features).groups
    splits = split(y, copies, grouping, folds=folds, repeats=repeats, seed=seed)
    told = "learning curve" if progress else None
    return curve_of(features, splits, learner, shares, seed=seed, n_jobs=n_jobs, progress=told)


def check_shares(shares: Sequence[float]) -> None:
    """Raise an `OptionError` for shares of photographs that cannot be."""
    if not shares or not all(0 < share <= 1 for share in shares):
        raise OptionError(f"shares {tuple(shares)}: expected numbers above 0, up to 1")


def curve_of(
    features: Features,
    splits: Splits,
    learner: Learner,
    shares: Sequence[float],
    *,
    seed: int,
    n_jobs: int | None,
    progress: str | None,
) -> LearningCurve:
    """Measure a learning curve on splits that are known; see `learning_curve`."""
    y = labels_to_learn(features)
    kept = sorted({share for share in (1.0, *shares) if share * _smallest(splits, y) >= 1})
    sizes, hits = _learned(features, splits, splits.parts, kept, learner, seed, n_jobs, progress)
    curve = _through(features, splits, sizes, hits)
    if curve is None:
        raise ImageSourceError(
            f"{len(y)} photographs of {len(features.classes)} classes are too few for a learning "
            "curve: expected at least three of each class; add photographs"
        )
    return curve


def quick_curve(
    features: Features, validation: CrossValidation, learner: Learner
) -> LearningCurve | None:
    """Measure a learning curve at a third of the cost of the cross-validation that it goes on from.

    What that found of all photographs is the last point; a half and a quarter of them are learned
    from once. None where there are too few photographs.
    """
    y, splits = labels_to_learn(features), validation.splits
    kept = [share for share in _QUICK if share * _smallest(splits, y) >= 1]
    if not kept:
        return None
    parts = splits.parts[: splits.folds]
    sizes, hits = _learned(features, splits, parts, kept, learner, 0, 1, None)
    whole = np.mean([len(train) for train, _ in splits.parts]) / len(features.classes)
    sizes, hits = np.append(sizes, whole), np.vstack([hits, validation.hits.mean(axis=0)])
    return _through(features, splits, sizes, hits)


def _through(
    features: Features, splits: Splits, sizes: np.ndarray, hits: np.ndarray
) -> LearningCurve | None:
    """Return the curve through what was measured, or None of fewer than two sizes."""
    distinct = np.flatnonzero(np.diff(sizes, prepend=0) > _APART)
    if len(distinct) < 2:
        return None
    per_class = len(features) / len(features.classes)
    return LearningCurve(sizes[distinct], hits[distinct], splits, per_class, features.failed)


def _smallest(splits: Splits, y: np.ndarray) -> int:
    """Return the fewest photographs of a class that are ever trained on, none of it apart."""
    return min(int(np.unique(y[train], return_counts=True)[1].min()) for train, _ in splits.parts)


def _learned(
    features: Features,
    splits: Splits,
    parts: Sequence[tuple[np.ndarray, np.ndarray]],
    shares: Sequence[float],
    learner: Learner,
    seed: int,
    n_jobs: int | None,
    progress: str | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Learn from shares of each class in parts of splits.

    Returns the photographs per class trained on, of shape (s,), and how often each photograph was
    predicted right, of shape (s, n), from 0 to 1.
    """
    X, y, views = features.matrix, labels_to_learn(features), features.view_matrices
    alone = np.arange(len(y)) if splits.grouping is None else splits.groups
    random, tasks, counts = np.random.default_rng(seed), [], []
    for train, test in parts:
        order = random.permutation(train)
        for share in shares:
            rows = _part(order, y, alone, share)
            counts.append(len(rows) / len(features.classes))
            tasks.append(Task(X, y, rows, test, learner, None, views, splits.declared))
    hits = np.zeros((len(shares), len(y)))
    fitted = fit_all(tasks, n_jobs=n_jobs, progress=progress)
    for number, each in enumerate(fitted):
        _, test = parts[number // len(shares)]
        hits[number % len(shares), test] += (each.predicted == y[test]) * splits.folds / len(parts)
    return np.array(counts).reshape(len(parts), len(shares)).mean(axis=0), hits


def _part(order: np.ndarray, y: np.ndarray, groups: np.ndarray, share: float) -> np.ndarray:
    """Take the first share of the groups of each class, at least one, of rows in a random order."""
    rows = []
    for name in np.unique(y[order]):
        own = order[y[order] == name]
        firsts = np.sort(np.unique(groups[own], return_index=True)[1])
        taken = groups[own[firsts[: max(1, round(share * len(firsts)))]]]
        rows.append(own[np.isin(groups[own], taken)])
    return np.sort(np.concatenate(rows))


def _fit_power_law(
    sizes: np.ndarray, accuracy: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit accuracy = a - b * size ** -c by least squares, with b at least 0 and a at most 1.

    `sizes` is of shape (s,), `accuracy`, m curves, of shape (m, s), and each of a, b and c of (m,).
    """
    x = sizes ** -_EXPONENTS[:, None]
    mean, centred = accuracy.mean(axis=1, keepdims=True), x - x.mean(axis=1, keepdims=True)
    b = (-(accuracy - mean) @ centred.T / (centred**2).sum(axis=1)).clip(0)  # a row for each curve
    a = (mean + b * x.mean(axis=1)).clip(max=1.0)
    # Where the error falls to nothing, only its scale is left to fit.
    b = np.where(a >= 1.0, (1.0 - accuracy) @ x.T / (x**2).sum(axis=1), b)
    errors = ((a[..., None] - b[..., None] * x - accuracy[:, None]) ** 2).sum(axis=-1)
    best = np.arange(len(accuracy)), errors.argmin(axis=1)
    return a[best], b[best], _EXPONENTS[best[1]]
