"""Learning from augmented views without learning by heart, and predicting by several of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from featx.learning.classifiers import Folds, make_classifier, network_of, probabilities_of
from featx.learning.duplicates import groups_of


def classifier_for(classifier: str | Any, y: np.ndarray, columns: int, views: int = 0) -> Any:
    """Build an unfitted classifier for images of these classes; see `make_classifier`.

    Parameters
    ----------
    classifier : str or estimator
        As for `make_classifier`.
    y : ndarray of shape (n,), str
        The classes of the images to learn from.
    columns : int
        Columns of their features.
    views : int, default=0
        Views that go along with each: a search inside the classifier, also one of your own in its
        `cv`, has all views of an image on one side of each split, so that it is not judged on
        what it has seen.
    """
    smallest = min(Counter(y.tolist()).values())
    folds: Folds = None
    if views and smallest > 1:
        folds = _with_views(min(5, smallest), y, views)
    made = make_classifier(classifier, smallest, columns, folds)
    if views and not isinstance(classifier, str):
        _let_search(made, y, views)
    return made


def _let_search(estimator: Any, y: np.ndarray, views: int) -> None:
    """Give the searches of an estimator of a user's own splits that keep views together."""
    from sklearn.pipeline import Pipeline

    if isinstance(estimator, Pipeline):
        for _, step in estimator.steps:
            _let_search(step, y, views)
    elif hasattr(estimator, "cv") and estimator.cv != "prefit":
        estimator.set_params(cv=_with_views(estimator.cv, y, views))


def _with_views(cv: Any, y: np.ndarray, views: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Split images by what scikit-learn takes as `cv`, and let their views follow them."""
    from sklearn.model_selection import check_cv

    later = len(y) * np.arange(views + 1)[:, None]
    return [
        ((train + later).ravel(), (test + later).ravel())
        for train, test in check_cv(cv, y, classifier=True).split(y, y)
    ]


def fit(classifier: Any, X: np.ndarray, y: np.ndarray, views: Sequence[np.ndarray] = ()) -> Any:
    """Fit a classifier to images and their views, which are rows of the same classes.

    Parameters
    ----------
    classifier : estimator
        What `classifier_for` gave.
    X : ndarray of shape (n, columns), float32
        Features of the images.
    y : ndarray of shape (n,), str
        Their classes.
    views : sequence of ndarray of the shape of X
        Features of their views.
    """
    rows, labels = (np.concatenate([X, *views]), np.tile(y, 1 + len(views))) if views else (X, y)
    if network_of(classifier):  # judges itself on pictures that it holds out, copies together
        return classifier.fit(rows, labels, groups=np.tile(groups_of(X), 1 + len(views)))
    return classifier.fit(rows, labels)


def predict(
    classifier: Any, X: np.ndarray, views: Sequence[np.ndarray], classes: Sequence[str]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Predict images; where there are views, by the mean probability of image and views.

    Parameters
    ----------
    classifier : estimator
        A fitted classifier of some of these classes.
    X : ndarray of shape (n, columns), float32
        Features of the images.
    views : sequence of ndarray of the shape of X
        Features of their views, or nothing.
    classes : sequence of str
        Sorted.

    Returns
    -------
    predicted : ndarray of shape (n,), str
        Where there are views and no probabilities, what is predicted most often; the image itself
        decides where several are.
    probabilities : ndarray of shape (n, len(classes)), float, or None
    """
    probabilities = probabilities_of(classifier, X, classes)
    if not len(views):
        return np.asarray(classifier.predict(X)), probabilities
    names = np.array(classes)
    if probabilities is None:
        votes = 0.5 * (np.asarray(classifier.predict(X))[:, None] == names)
        for each in (X, *views):
            votes += np.asarray(classifier.predict(each))[:, None] == names
        return names[votes.argmax(axis=1)], None
    for each in views:
        probabilities += probabilities_of(classifier, each, classes)
    return names[probabilities.argmax(axis=1)], probabilities / (1 + len(views))
