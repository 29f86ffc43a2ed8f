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
        As for `require_learnable`.
    """
    require_learnable(features.paths.tolist(), labels_of(features))
    assert features.y is not None
    return features.y


def labels_of(features: Features) -> list[str | None]:
    """Return the label of each row, None where there is none."""
    return [None] * len(features) if features.y is None else features.y.tolist()


def require_learnable(paths: Sequence[str], labels: Sequence[str | None]) -> None:
    """Check that a classifier can learn these labels, which may be done before embedding.

    Raises
    ------
    ImageSourceError
        There are no labels, some are missing, there is one class only, or a class has one image.
    """
    unlabelled = [path for path, label in zip(paths, labels, strict=True) if label is None]
    if len(unlabelled) == len(labels):
        raise ImageSourceError(
            "the images have no classes: expected a sub-folder for each class, such as "
            "photos/cat and photos/dog, or a table with a column `label`"
        )
    if unlabelled:
        raise ImageSourceError(
            f"{len(unlabelled)} of {len(labels)} images are in no class folder, such as "
            f"{unlabelled[0]}; move them into one, or out of the folder"
        )
    counts = Counter(map(str, labels))
    if len(counts) < 2:
        raise ImageSourceError(
            f"all images are of one class, {next(iter(counts))!r}: expected at least two classes"
        )
    single = [label for label, count in sorted(counts.items()) if count == 1]
    if single:
        has = "class {} has" if len(single) == 1 else "classes {} have"
        raise ImageSourceError(
            f"{has.format(_some(single))} only one readable image: expected at least two of each "
            "class; add images or remove the class"
        )


def require_known(labels: Sequence[str | None], classes: Sequence[str]) -> None:
    """Check that a classifier of `classes` can be judged by these labels.

    Raises
    ------
    ImageSourceError
        Labels are missing, or none of them is one of the classes.
    """
    if any(label is None for label in labels):
        raise ImageSourceError(
            "some images have no class: expected a sub-folder for each class, named as in "
            f"training ({_some(classes)})"
        )
    if not set(labels) & set(classes):
        found = sorted({str(label) for label in labels})
        raise ImageSourceError(
            f"the model knows none of the classes {_some(found)}: expected {_some(classes)}"
        )


def _some(names: Sequence[str], most: int = 12) -> str:
    """List names, not more than fit a message."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
