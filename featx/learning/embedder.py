"""Image features as a scikit-learn transformer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from featx.backbones.table import DEFAULT_BACKBONE
from featx.errors import ImageSourceError, OptionError, check_choice
from featx.features.matrix import Features, feature_names
from featx.features.plan import Plan, plan
from featx.features.running import embed_plans
from featx.images.folder import ImageFolder

ON_ERROR = ("raise", "nan")


class ImageEmbedder(TransformerMixin, BaseEstimator):
    """Turn paths or arrays of images into feature vectors, inside a scikit-learn pipeline.

    Parameters
    ----------
    backbone : str or Backbone, default="efficientnet_lite0"
    pooling : {"avg", "max", "flatten", "none"}, default="avg"
        A map that is not pooled is flattened, as scikit-learn expects a table.
    layer : str, optional
    input_size : int, optional
    resize : {"squash", "crop", "pad"}, default="squash"
    interpolation : {"bilinear", "nearest", "bicubic", "lanczos"}, default="bilinear"
    decode : {"full", "scaled"}, default="full"
    precision : {"float32", "bfloat16"}, default="float32"
    fast : bool, default=False
    weights : str or path, default="imagenet"
    engine : {"auto", "openvino", "keras"}, default="auto"
    cache : str, path or bool, optional
    batch_size : int, optional
        All as for `featx.embed`.
    on_error : {"raise", "nan"}, default="raise"
        Stop at a file that cannot be read, or give it a row of NaN: a transformer may not leave
        rows out.

    Attributes
    ----------
    recipe_ : Recipe or Fusion
        What makes the features.
    n_features_out_ : int
        Columns of the output.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> pipeline = make_pipeline(ImageEmbedder("resnet50"), LogisticRegression())
    """

    def __init__(
        self,
        backbone=DEFAULT_BACKBONE,
        *,
        pooling="avg",
        layer=None,
        input_size=None,
        resize="squash",
        interpolation="bilinear",
        decode="full",
        precision="float32",
        fast=False,
        weights="imagenet",
        engine="auto",
        cache=None,
        batch_size=None,
        on_error="raise",
    ):
        self.backbone = backbone
        self.pooling = pooling
        self.layer = layer
        self.input_size = input_size
        self.resize = resize
        self.interpolation = interpolation
        self.decode = decode
        self.precision = precision
        self.fast = fast
        self.weights = weights
        self.engine = engine
        self.cache = cache
        self.batch_size = batch_size
        self.on_error = on_error

    def fit(self, X: Any, y: Any = None) -> ImageEmbedder:
        """Settle the recipe; the network is pretrained, so nothing is learned.

        Parameters
        ----------
        X : sequence of paths, table of one column of paths, or array of pictures
            At least one image that can be read. An array is as for `featx.embed`.
        y : ignored

        Returns
        -------
        ImageEmbedder
            itself
        """
        check_choice("on_error", self.on_error, ON_ERROR)
        images = _images(X)
        made_by = self._plan()
        for path in images.paths:
            try:
                features = self._embed(ImageFolder((path,), (None,)), made_by)
                break
            except ImageSourceError as error:  # not readable, and on_error is "nan": try the next
                unreadable = error
        else:
            raise unreadable
        self.recipe_ = made_by.recipe
        self.n_features_out_ = features.matrix.shape[1]
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Embed images.

        Parameters
        ----------
        X : sequence of paths, table of one column of paths, or array of pictures
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
        images = _images(X)
        made_by = self._plan()
        self.recipe_.require(made_by.recipe, "with these parameters features")
        try:
            features = self._embed(images, made_by)
        except ImageSourceError:  # not one can be read, and on_error is "nan"
            return self._unknown(len(images))
        if not features.failed:
            return features.matrix
        table = self._unknown(len(images))
        table[[outcome.ok for outcome in features.outcomes]] = features.matrix
        return table

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Name the columns of the output, such as resnet50_0, resnet50_1."""
        check_is_fitted(self)
        return np.array(feature_names(self.recipe_, self.n_features_out_), dtype=object)

    def _plan(self) -> Plan:
        return plan(
            self.backbone,
            pooling=self.pooling,
            layer=self.layer,
            input_size=self.input_size,
            resize=self.resize,
            interpolation=self.interpolation,
            decode=self.decode,
            precision=self.precision,
            fast=self.fast,
            weights=self.weights,
            engine=self.engine,
        )

    def _embed(self, images: ImageFolder, made_by: Plan) -> Features:
        return embed_plans(
            images,
            [made_by],
            engine=self.engine,
            cache=self.cache,
            on_error="raise" if self.on_error == "raise" else "skip",
            batch_size=self.batch_size,
            progress=False,
        )[0]

    def _unknown(self, rows: int) -> np.ndarray:
        return np.full((rows, self.n_features_out_), np.nan, np.float32)

    def __sklearn_tags__(self):
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
    values = np.asarray(X, dtype=object)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise OptionError(
            f"X has shape {values.shape}: expected a sequence of paths of images, "
            "a table of one column of paths, or an array of pictures"
        )
    return ImageFolder.of(pd.DataFrame({"path": values}, dtype=object))
