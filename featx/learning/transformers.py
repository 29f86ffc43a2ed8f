"""Transformers that classifiers begin with, where scikit-learn has none of the kind."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    OneToOneFeatureMixin,
    TransformerMixin,
)
from sklearn.utils.validation import check_is_fitted, validate_data

from featx.learning.moments import Moments

_LEAST_SPREAD = 0.01  # of the whole: what pictures of a class differ by, where they are all alike
_RANK = 1e-6  # of the largest singular value: what is smaller is rounding


class SignedRoot(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """The square root of each feature, with its sign.

    A few features of a network are many times larger than the others and decide every distance;
    roots let the others have their say.
    """

    def fit(self, X: Any, y: Any = None) -> SignedRoot:
        """Check the features, of shape (n, columns); nothing is learned."""
        validate_data(self, X, dtype=[np.float64, np.float32])
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the roots, of the shape of X; float32 stays float32."""
        values = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        roots: np.ndarray = np.copysign(np.sqrt(np.abs(values)), values)
        return roots

    def __sklearn_is_fitted__(self) -> bool:
        return True


class Discriminants(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]  # untyped bases
    TransformerMixin,  # type: ignore[misc]
    BaseEstimator,  # type: ignore[misc]
):
    """Fisher's linear discriminants: the directions in which classes differ.

    They are measured in units of how far pictures of the same class differ. This within-class
    covariance is shrunk towards a sphere, since it is estimated from fewer pictures than features.
    scikit-learn's `LinearDiscriminantAnalysis` finds much the same directions, but none where all
    pictures of a class are alike or single, and slowly where there are more columns than pictures.

    Parameters
    ----------
    shrinkage : float, default=0.3
        The sphere's part of the covariance, more than 0 and up to 1.

    Attributes
    ----------
    mean_ : ndarray of shape (columns,)
        The mean of the features.
    scalings_ : ndarray of shape (columns, n_discriminants)
        What the features are multiplied by; one discriminant less than classes, or fewer.
    """

    def __init__(self, shrinkage: float = 0.3) -> None:
        self.shrinkage = shrinkage

    def fit(self, X: Any, y: Any) -> Discriminants:
        """Find the discriminants of features of shape (n, columns) and their n classes."""
        self._check_shrinkage()
        X, y = validate_data(self, X, y, dtype=[np.float64, np.float32])
        mean = X.mean(axis=0, dtype=np.float64)
        centred = X - mean
        if len(X) < X.shape[1]:  # the space that the rows span is as wide as there are rows
            axes, rows = np.linalg.qr(centred.T)
            scalings = axes @ self._scalings(rows.T, y)
        else:
            scalings = self._scalings(centred, y)
        return self._found(mean, scalings, X.dtype)

    def fit_moments(self, moments: Moments, dtype: Any = np.float32) -> Discriminants:
        """Find the discriminants of rows of which the moments are known, not the rows themselves.

        They are those that `fit` finds, as far as sums in another order are the same; there are to
        be as many rows as columns. `dtype` is the type of the rows.
        """
        self._check_shrinkage()
        self.n_features_in_ = moments.columns
        mean = moments.mean
        scalings = self._directions(moments.means - mean, moments.within, moments.spread)
        return self._found(mean, scalings, dtype)

    def _check_shrinkage(self) -> None:
        if not 0 < self.shrinkage <= 1:
            raise ValueError(f"shrinkage is {self.shrinkage!r}: expected more than 0, and up to 1")

    def _found(self, mean: np.ndarray, scalings: np.ndarray, dtype: Any) -> Discriminants:
        self.mean_, self.scalings_ = mean.astype(dtype), scalings.astype(dtype)
        self._n_features_out = self.scalings_.shape[1]
        return self

    def _scalings(self, rows: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return the scalings of centred rows of shape (n, columns), float64."""
        classes, of_class, counts = np.unique(y, return_inverse=True, return_counts=True)
        means = np.zeros((len(classes), rows.shape[1]))
        np.add.at(means, of_class, rows)
        means /= counts[:, None]
        within = rows - means[of_class]
        covariance = within.T @ within / len(rows)
        return self._directions(means, covariance, (rows**2).sum() / len(rows))

    def _directions(self, means: np.ndarray, covariance: np.ndarray, spread: float) -> np.ndarray:
        """Return the scalings, given what rows are like; the covariance is written over.

        `means` are those of the classes, centred, of shape (n_classes, columns), `covariance` is
        that within classes, and `spread` the trace of that of the whole. Classes are single
        pictures, or copies of one, where nothing is within: then the sphere is as wide as a part of
        the whole.
        """
        sphere = max(np.trace(covariance), _LEAST_SPREAD * spread) / len(covariance) or 1.0
        covariance *= 1 - self.shrinkage
        covariance.flat[:: len(covariance) + 1] += self.shrinkage * sphere
        factor = np.linalg.cholesky(covariance)
        whitened = solve_triangular(factor, means.T, lower=True)
        axes, lengths, _ = np.linalg.svd(whitened, full_matrices=False)
        kept = np.count_nonzero(lengths[: len(means) - 1] > _RANK * lengths[0])
        scalings: np.ndarray = solve_triangular(factor.T, axes[:, : max(1, kept)])
        return scalings

    def transform(self, X: Any) -> np.ndarray:
        """Return the discriminants of features, of shape (n, n_discriminants)."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        discriminants: np.ndarray = (X - self.mean_) @ self.scalings_
        return discriminants
