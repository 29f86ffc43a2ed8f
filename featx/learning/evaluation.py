"""How good a classifier is: on held-out images, and by cross-validation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import ImageSourceError
from featx.features.matrix import Features
from featx.learning.classifiers import DEFAULT_CLASSIFIER, make_classifier

if TYPE_CHECKING:
    import pandas as pd

_MOST_FOLDS = 5


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions on labelled images, and what they amount to.

    Attributes
    ----------
    paths : ndarray of shape (n,), object
        The images that could be read.
    y_true, y_pred : ndarray of shape (n,)
        Their classes, and the predicted ones.
    classes : tuple of str
        The classes of the classifier and of the images, sorted.
    n_failed : int
        Images that could not be read; they count nowhere.
    """

    paths: np.ndarray
    y_true: np.ndarray
    y_pred: np.ndarray
    classes: tuple[str, ...]
    n_failed: int = 0

    @property
    def accuracy(self) -> float:
        """Share of the images that were predicted right, 0 to 1."""
        return float(np.mean(self.y_true == self.y_pred))

    @property
    def report(self) -> pd.DataFrame:
        """Precision, recall and F1 (0 to 1) and support (images) of each class."""
        import pandas as pd
        from sklearn.metrics import precision_recall_fscore_support

        columns = precision_recall_fscore_support(
            self.y_true, self.y_pred, labels=list(self.classes), zero_division=0
        )
        names = ["precision", "recall", "f1", "support"]
        frame = pd.DataFrame(
            dict(zip(names, columns, strict=True)), index=pd.Index(self.classes, name="class")
        )
        return frame

    @property
    def confusion(self) -> pd.DataFrame:
        """Counts of images: a row for each true class, a column for each predicted one."""
        import pandas as pd
        from sklearn.metrics import confusion_matrix

        counts = confusion_matrix(self.y_true, self.y_pred, labels=list(self.classes))
        index = pd.Index(self.classes, name="true")
        return pd.DataFrame(counts, index=index, columns=pd.Index(self.classes, name="predicted"))

    def __repr__(self) -> str:
        right = int(np.sum(self.y_true == self.y_pred))
        return f"Evaluation(accuracy {self.accuracy:.3f}, {right} of {len(self.y_true)} right)"


@dataclass(frozen=True)
class CrossValidation:
    """Accuracies of a classifier on parts of the images that it was not trained on.

    Attributes
    ----------
    scores : tuple of float
        Accuracy on each fold, 0 to 1.
    """

    scores: tuple[float, ...]

    @property
    def accuracy(self) -> float:
        """Mean accuracy over the folds."""
        return float(np.mean(self.scores))

    @property
    def std(self) -> float:
        """Standard deviation of the accuracy between folds."""
        return float(np.std(self.scores))

    def __repr__(self) -> str:
        return f"CrossValidation({self.accuracy:.3f} ± {self.std:.3f}, {len(self.scores)} folds)"


def cross_validate(
    features: Features, classifier: str | Any = DEFAULT_CLASSIFIER, *, seed: int = 0
) -> CrossValidation:
    """Measure a classifier by stratified cross-validation.

    Parameters
    ----------
    features : Features
        Labelled features.
    classifier : str or estimator, default="logistic"
        As for `train`.
    seed : int, default=0
        Of the shuffling.

    Returns
    -------
    CrossValidation
        Of five folds, or of as many as the smallest class has images.

    Raises
    ------
    ImageSourceError
        There are no classes, or one has a single image.
    """
    from sklearn.model_selection import StratifiedKFold

    y = labels_to_learn(features)
    smallest = min(Counter(y.tolist()).values())
    folds = min(_MOST_FOLDS, smallest)
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed)
    scores = []
    X = features.matrix
    for train, test in splits.split(X, y):
        model = make_classifier(classifier, min(Counter(y[train].tolist()).values()))
        model.fit(X[train], y[train])
        scores.append(float(np.mean(model.predict(X[test]) == y[test])))
    return CrossValidation(tuple(scores))


def labels_to_learn(features: Features) -> np.ndarray:
    """Return the labels of features if a classifier can learn from them.

    Raises
    ------
    ImageSourceError
        There are no labels, some are missing, there is one class only, or a class has one image.
    """
    if features.y is None:
        raise ImageSourceError(
            "the images have no classes: expected a sub-folder for each class, such as "
            "photos/cat and photos/dog, or a table with a column `label`"
        )
    unlabelled = [path for path, y in zip(features.paths, features.y, strict=True) if y is None]
    if unlabelled:
        raise ImageSourceError(
            f"{len(unlabelled)} of {len(features)} images are in no class folder, such as "
            f"{unlabelled[0]}; move them into one, or out of the folder"
        )
    counts = Counter(features.y.tolist())
    if len(counts) < 2:
        raise ImageSourceError(
            f"all images are of one class, {next(iter(counts))!r}: expected at least two classes"
        )
    single = [label for label, count in sorted(counts.items()) if count == 1]
    if single:
        raise ImageSourceError(
            f"{_classes(single)} only one readable image: expected at least two of each class; "
            "add images or remove the class"
        )
    return features.y


def _classes(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"class {names[0]!r} has"
    return f"classes {', '.join(map(repr, names))} have"
