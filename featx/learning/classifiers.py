"""Classifiers by name: plain scikit-learn pipelines, tuned for few images and wide features.

One is the baseline: "cnn", a network that learns from pixels, to hold the others against.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from featx.learning.scratch.classifier import ScratchNetwork

Folds = int | Sequence[tuple[np.ndarray, np.ndarray]] | None  # of a search inside a classifier

DEFAULT_CLASSIFIER = "logistic"
TUNED = ("logistic", "svm", "knn", "centroid")  # what `featx.tune` tries by default
CLASS_WEIGHTS = ("balanced",)
SHRINKAGES = (0.3, 0.1, 0.7)  # of the discriminants before the regression, the default first


@dataclass(frozen=True)
class ClassifierSpec:
    """A classifier by name: what it does, and how to build it.

    Attributes
    ----------
    name : str
        What to call it.
    description : str
        What it does, in a line.
    build : callable
        Makes one from the images in the smallest class, the columns and the folds, as
        `make_classifier` takes them.
    pixels : bool
        Whether it learns from pixels, not from the features of a network.
    balance : callable or None
        Lets what `build` gave count classes alike, however many images they have, given the views
        that go along with each; None where it cannot.
    """

    name: str
    description: str
    build: Callable[[int, int, Folds], Any]
    pixels: bool = False
    balance: Callable[[Any, int], Any] | None = None


def _logistic(smallest: int, columns: int, folds: Folds) -> Pipeline:
    """Take roots and discriminants, and regress.

    Among the recipes tried (`tests/benchmarks/classifiers.py`) it is the best on the mean over sets
    of photographs and networks. It needs no search: more or less shrinkage and penalty change
    little, and with ten images of a class a search follows chance.
    """
    from sklearn.linear_model import LogisticRegression

    from featx.learning.transformers import Discriminants, SignedRoot

    return _pipeline(
        root=SignedRoot(),
        discriminants=Discriminants(shrinkage=SHRINKAGES[0]),
        logistic=LogisticRegression(max_iter=1000),
    )


def _mlp(smallest: int, columns: int, folds: Folds) -> Pipeline:
    """Standardise and learn: unscaled, the maxima of a map (hundreds in VGG16) kill the units."""
    from sklearn.feature_selection import VarianceThreshold
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    return _pipeline(
        variance=VarianceThreshold(),
        scale=StandardScaler(),
        mlp=MLPClassifier((100,), max_iter=1000, random_state=0),
    )


def _pca_mlp(smallest: int, columns: int, folds: Folds) -> Pipeline:
    from sklearn.decomposition import PCA
    from sklearn.feature_selection import VarianceThreshold
    from sklearn.neural_network import MLPClassifier

    return _pipeline(
        variance=VarianceThreshold(),
        pca=PCA(0.95, svd_solver="full"),
        mlp=MLPClassifier((100, 10), max_iter=1000, random_state=0),
    )


def _svm(smallest: int, columns: int, folds: Folds) -> Pipeline:
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    machine = _calibrated(SVC(kernel="linear", C=0.01), folds)
    return _pipeline(scale=StandardScaler(), rotate=PCA(svd_solver="full"), svm=machine)


def _svd_svm(smallest: int, columns: int, folds: Folds) -> Pipeline:
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import Normalizer
    from sklearn.svm import SVC

    return _pipeline(
        normalize=Normalizer(),
        svd=TruncatedSVD(min(100, columns), random_state=0),
        svm=_calibrated(SVC(kernel="rbf", C=10.0), folds),
    )


def _calibrated(machine: Any, folds: Folds) -> Any:
    """Give a machine probabilities, which need images held out of its training."""
    from sklearn.calibration import CalibratedClassifierCV

    if folds is None:
        return machine
    return CalibratedClassifierCV(machine, cv=folds, ensemble=False)


def _knn(smallest: int, columns: int, folds: Folds) -> Pipeline:
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.preprocessing import Normalizer

    neighbors = KNeighborsClassifier(
        n_neighbors=max(1, min(5, smallest)),
        weights="distance",
        algorithm="brute",  # a tree helps in few dimensions only, and would not load safely
    )
    return _pipeline(normalize=Normalizer(), knn=neighbors)


def _centroid(smallest: int, columns: int, folds: Folds) -> Pipeline:
    from sklearn.feature_selection import VarianceThreshold
    from sklearn.neighbors import NearestCentroid
    from sklearn.preprocessing import Normalizer

    return _pipeline(
        variance=VarianceThreshold(), normalize=Normalizer(), centroid=NearestCentroid()
    )


def _balanced_logistic(pipeline: Pipeline, views: int) -> Any:
    from featx.learning.balanced import balanced_logistic

    return balanced_logistic(pipeline, views)


def _balanced_machine(pipeline: Pipeline, views: int) -> Any:
    from featx.learning.balanced import balanced_machine

    return balanced_machine(pipeline, views)


def _cnn(smallest: int, columns: int, folds: Folds) -> ScratchNetwork:
    from featx.learning.scratch.classifier import ScratchNetwork

    return ScratchNetwork()


def _pipeline(**steps: Any) -> Pipeline:
    from sklearn.pipeline import Pipeline

    return Pipeline(list(steps.items()))


#: The classifiers, each a `ClassifierSpec`, by name.
CLASSIFIERS = {
    spec.name: spec
    for spec in (
        ClassifierSpec(
            "logistic",
            "roots, linear discriminants and logistic regression",
            _logistic,
            balance=_balanced_logistic,
        ),
        ClassifierSpec("mlp", "variance threshold, scaling and a perceptron of 100 units", _mlp),
        ClassifierSpec(
            "pca-mlp", "95 % of the variance by PCA, and a perceptron of 100 and 10 units", _pca_mlp
        ),
        ClassifierSpec(
            "svm",
            "scaling and a linear support vector machine, calibrated",
            _svm,
            balance=_balanced_machine,
        ),
        ClassifierSpec(
            "svd-svm",
            "angle, a truncated SVD to 100 columns, and a support vector machine (RBF)",
            _svd_svm,
            balance=_balanced_machine,
        ),
        ClassifierSpec("knn", "the nearest pictures by angle, weighted by distance", _knn),
        ClassifierSpec("centroid", "the nearest class mean by angle", _centroid),
        ClassifierSpec(
            "cnn", "the baseline: a small network from scratch, on pixels", _cnn, pixels=True
        ),
    )
}
