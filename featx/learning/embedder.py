"""The embedder: image features as a scikit-learn transformer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Unpack

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from featx.backbones.backbone import Backbone
from featx.backbones.engines.choice import settle_precision
from featx.backbones.table import DEFAULT_BACKBONE
from featx.errors import ImageSourceError, OptionError
from featx.features.calibration import calibrated
from featx.features.columns import feature_names
from featx.features.options import EmbedderOptions, EmbedOptions, Option, options_of, settle, takes
from featx.features.recipe import Recipe
from featx.features.request import Request, calibration_of, check_preprocess
from featx.features.run import run
from featx.images.folder import ImageFolder
from featx.learning.classes import per_file

_OPTIONS = options_of(EmbedderOptions) | {
    "on_error": Option(
        "raise",
        "Stop at a file that cannot be read, or give it a row of NaN. A transformer may not leave "
        "rows out.",
        choices=("raise", "nan"),
    )
}


@takes(EmbedderOptions, on_error=_OPTIONS["on_error"])
class ImageEmbedder(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Turn paths or pictures into feature vectors, inside a scikit-learn pipeline.

    A map that is not pooled is flattened, as scikit-learn expects a table.

    Parameters
    ----------
    backbone : str or Backbone, default="efficientnet_lite0"
        As for `featx.embed`, and so is all of the following but `on_error`.
    **options : expanded
        See `featx.features.options.EmbedderOptions`.

    Attributes
    ----------
    recipe_ : Recipe
        What makes the features.
    n_features_out_ : int
        Columns of the output.
    calibrations_ : tuple of Calibration
        Of the networks that compute in int8, from the pictures of the first `fit` where they are
        not known.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> pipeline = make_pipeline(ImageEmbedder("resnet50"), LogisticRegression())
    """

    def __init__(
        self,
        backbone: str | Backbone = DEFAULT_BACKBONE,
        *,
        on_error: str = "raise",
        **options: Unpack[EmbedderOptions],
    ) -> None:
        self.backbone = backbone
        self.on_error = on_error
        for name, option in _OPTIONS.items():
            if name != "on_error":
                setattr(self, name, options.get(name, option.default))

    def fit(self, X: Any, y: Any = None) -> ImageEmbedder:
        """Settle the recipe; the network is pretrained, so nothing is learned.

        Parameters
        ----------
        X : sequence of paths or pictures, table of one column of these, or array of pictures
            At least one image that can be read. Pictures are as for `featx.embed`.
        y : ignored

        Returns
        -------
        ImageEmbedder
            itself
        """
        _OPTIONS["on_error"].check("on_error", self.on_error)
        images, settled = _images(X), self._settled()
        check_preprocess([self.backbone], settled["preprocess"])
        (request,) = calibrated([Request.of(self.backbone, settled)], images, settled)
        for path in images.paths:
            try:
                features = run(ImageFolder((path,), (None,)), [request], settled)[0]
                break
            except ImageSourceError as error:  # not readable, and on_error is "nan": try the next
                unreadable = error
        else:
            raise unreadable
        self.recipe_, self.calibrations_ = request.recipe, features.calibrations
        self.n_features_out_ = features.matrix.shape[1]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Embed images.

        Parameters
        ----------
        X : sequence of paths or pictures, table of one column of these, or array of pictures
            The images.

        Returns
        -------
        ndarray of shape (n, n_features_out_), float32
            Row i belongs to X[i]. After `set_output(transform="pandas")`, a DataFrame.

        Raises
        ------
        ImageError
            A file cannot be read and `on_error` is "raise".
        RecipeMismatchError
            The parameters or the weights are others than those of `fit`.
        """
        check_is_fitted(self)
        images, settled = _images(X), self._settled()
        request = self._as_fitted(Request.of(self.backbone, settled), settled)
        self.recipe_.require(request.recipe, "with these parameters features")
        try:
            features = run(images, [request], settled)[0]
        except ImageSourceError:  # not one can be read, and on_error is "nan"
            return np.full((len(images), self.n_features_out_), np.nan, np.float32)
        return per_file(features, features.matrix, np.nan)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Name the columns of the output, such as resnet50_0, resnet50_1."""
        check_is_fitted(self)
        return np.array(feature_names(self.recipe_, self.n_features_out_), dtype=object)

    def _as_fitted(self, request: Request, settled: EmbedOptions) -> Request:
        """Take the precision and calibrations of `fit`, which depend on its pictures for int8."""
        fitted, asked = self.recipe_.parts, request.recipe.parts
        chosen = settled["fast"] or any(part.cut.precision == "int8" for part in asked)
        if not chosen or len(fitted) != len(asked):
            return request
        parts = []
        for backbone, part, own in zip(request.backbones, asked, fitted, strict=True):
            precision = settle_precision(own.cut.precision, settled["engine"])
            cut = replace(part.cut, precision=precision, calibration=own.cut.calibration)
            calibration = calibration_of(own, self.calibrations_)
            parts.append((replace(backbone, calibration=calibration), replace(part, cut=cut)))
        backbones, recipes = zip(*parts, strict=True)
        return replace(request, backbones=backbones, recipe=Recipe(recipes))

    def _settled(self) -> EmbedOptions:
        options: Any = {name: getattr(self, name) for name in options_of(EmbedderOptions)}
        on_error = "raise" if self.on_error == "raise" else "skip"
        return settle(options | {"on_error": on_error, "progress": False})

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = []
        tags.no_validation = True
        return tags


def _images(X: Any) -> ImageFolder:
    """Return the images of a list, a column, or an array of paths or of pictures, row by row."""
    if isinstance(X, np.ndarray) and X.ndim > 2:
        return ImageFolder.of(X)
    rows = X
    if not isinstance(X, list | tuple) or any(isinstance(row, list | tuple) for row in X):
        rows = np.asarray(X, dtype=object)  # not of a list of pictures, which it takes apart
        if rows.ndim == 2 and rows.shape[1] == 1:
            rows = rows[:, 0]
        if rows.ndim != 1:
            raise OptionError(
                f"X has shape {rows.shape}: expected a sequence of paths or pictures, "
                "a table of one column of these, or an array of pictures"
            )
    return ImageFolder.of_rows(rows, "row {} of X")
