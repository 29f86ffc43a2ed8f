"""Learning curves of several candidates, on the same photographs and splits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from featx.errors import OptionError
from featx.evaluation.candidates import names_of, paired
from featx.evaluation.comparison import Comparison
from featx.evaluation.curve import SHARES, LearningCurve, check_shares, curve_of
from featx.evaluation.groups import Grouping, Groups
from featx.evaluation.splits import FOLDS, REPEATS, check_counts, split
from featx.features.duplicates import find_duplicates, narrowest
from featx.features.matrix import Features
from featx.features.several import same_images
from featx.learning.classes import labels_to_learn
from featx.learning.classifiers import DEFAULT_CLASSIFIER
from featx.learning.learner import Classifier, Learner, learners_of
from featx.text import listed, printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


@dataclass(frozen=True, eq=False)
class LearningCurves:
    """Learning curves of several candidates.

    Attributes
    ----------
    names : tuple of str
        The candidates.
    curves : tuple of LearningCurve
        The curve of each.
    """

    names: tuple[str, ...]
    curves: tuple[LearningCurve, ...]

    def __len__(self) -> int:
        return len(self.curves)

    def __getitem__(self, name: str) -> LearningCurve:
        """Return the curve of a candidate."""
        if name not in self.names:
            raise OptionError(
                f"unknown candidate {name!r}: expected one of {listed(self.names, 40)}"
            )
        return self.curves[self.names.index(name)]

    def to_frame(self) -> pd.DataFrame:
        """Return a table of one row per candidate and size.

        Columns are `candidate` and those of `LearningCurve.to_frame`.
        """
        import pandas as pd

        frames = []
        for name, curve in zip(self.names, self.curves, strict=True):
            frames.append(curve.to_frame())
            frames[-1].insert(0, "candidate", name)
        return pd.concat(frames, ignore_index=True)

    @property
    def summary(self) -> str:
        """What more photographs would give each candidate, a line each."""
        pairs = zip(self.names, self.curves, strict=True)
        return "\n".join(f"{printable(name)}: {curve.verdict}" for name, curve in pairs)

    def plot(self, ax: Axes | None = None, *, width: float = 6.6) -> Axes:
        """Draw all curves in one figure; see `featx.plot_learning_curves`."""
        from featx.charts.curve import plot_learning_curves

        curves = list(zip(self.names, self.curves, strict=True))
        return plot_learning_curves(curves, ax, width=width)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures of each candidate as plain values."""
        pairs = zip(self.names, self.curves, strict=True)
        return {"curves": [{"candidate": name, **curve.to_dict()} for name, curve in pairs]}

    def __repr__(self) -> str:
        return self.summary

    def _repr_html_(self) -> str:
        return f"<p>{escape(self.summary)}</p>".replace("\n", "<br>")


def learning_curves(
    source: Comparison | Sequence[Features],
    classifiers: Classifier = DEFAULT_CLASSIFIER,
    *,
    groups: Groups = None,
    class_weight: str | None = None,
    shares: Sequence[float] = SHARES,
    folds: int = FOLDS,
    repeats: int = REPEATS,
    seed: int = 0,
    n_jobs: int | None = None,
    progress: bool = True,
) -> LearningCurves:
    """Measure the learning curves of several candidates on the same photographs and splits.

    Parameters
    ----------
    source : Comparison, or sequence of Features
        Candidates that were compared, with their classifiers and splits; or features of the same
        images, each with each of the classifiers.
    classifiers : str, estimator, sequence or mapping of them, default="logistic"
        As for `compare`, for features.
    groups : sequence, str or mapping, optional
        As for `cross_validate`, for features.
    class_weight : str, optional
        As for `train`, for features.
    shares : sequence of float, default=(1, 0.7, 0.5, 0.35, 0.25)
        As for `learning_curve`.
    folds, repeats, seed : int
        As for `cross_validate`, for features.
    n_jobs : int, optional
        Processes; by default one per core where the work is long.
    progress : bool, default=True
        Show a progress bar on stderr for work of more than a second.

    Returns
    -------
    LearningCurves

    Raises
    ------
    ImageSourceError
        There are no classes, features of different images, or too few photographs.
    OptionError
        An option has a value that it cannot have.
    """
    check_shares(shares)
    if isinstance(source, Comparison):
        known = [(each.name, each.features, each.learner) for each in source.candidates]
        splits = source.best.validation.splits
    else:
        check_counts(folds, repeats, seed)
        known = _candidates(source, learners_of(classifiers, class_weight))
        first = known[0][1]
        copies = find_duplicates(narrowest([features for _, features, _ in known])).groups
        grouping, y = Grouping.of(groups, first), labels_to_learn(first)
        splits = split(y, copies, grouping, folds=folds, repeats=repeats, seed=seed)
    curves = [
        curve_of(
            features,
            splits,
            learner,
            shares,
            seed=seed,
            n_jobs=n_jobs,
            progress=f"learning curve of {name}" if progress else None,
        )
        for name, features, learner in known
    ]
    return LearningCurves(tuple(name for name, *_ in known), tuple(curves))


def _candidates(
    source: object, learners: dict[str, Learner]
) -> list[tuple[str, Features, Learner]]:
    """Name each of several features with each of the classifiers."""
    several = list(source) if isinstance(source, Iterable) else []
    given = [source] if isinstance(source, Features) else several
    if not given or not all(isinstance(each, Features) for each in given):
        raise OptionError(
            "learning curves need a comparison or features: expected "
            "featx.compare(...) or several of featx.embed(...)"
        )
    pairs = paired(same_images(given), learners)
    names = names_of(pairs, learners)
    return [
        (name, features, learners[own]) for name, (features, own) in zip(names, pairs, strict=True)
    ]
