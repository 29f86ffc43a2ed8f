"""The classifier from scratch: a network that learns from the pixels alone, the baseline.

Three convolutions with batch normalisation, pooling and dropout, trained until a held-out part of
the pictures is predicted no better: what tutorials train on MNIST and CIFAR-10. Keras is imported
where it is fitted or predicts.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from featx.backbones.framework import import_keras
from featx.backbones.keras_settings import usual_settings
from featx.backbones.kinds import PIXELS
from featx.backbones.pixels import PIXELS_SIZE
from featx.errors import ModelFileError, OptionError, warn
from featx.learning.scratch.architecture import (
    ArchitectureError,
    check,
    describe,
    rebuild,
    weights_of,
)
from featx.learning.scratch.baseline import baseline_network
from featx.learning.scratch.own_model import OwnModel

if TYPE_CHECKING:
    import keras
    import pandas as pd

_PREDICTED = 256  # pictures at once
_PROBED = 16  # pictures
_LUCK = 0.02  # share of pictures: who guesses may be so much better than by the largest class
_LEARNED_NOTHING = (
    "the network {!r} cannot tell even its training pictures apart: it is given pixels from 0 to "
    "255, so it should begin with keras.layers.Rescaling(1 / 255); if it does, train it longer"
)


class ScratchNetwork(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """A small convolutional network on pixels, as a scikit-learn classifier.

    Part of every class is held out. The rate of learning is halved where the loss on this part
    stands still, and in the end the weights of the epoch with the least such loss are taken. Same
    data, same `random_state`: same network on the same machine; no global generator is touched.

    Parameters
    ----------
    network : OwnModel, optional
        A compiled Keras model in place of the small network, as `OwnModel(model)`.
    epochs : int, default=100
        At most so many times through the pictures.
    patience : int, default=20
        Epochs without a lower loss after which training ends.
    batch_size : int, default=16
        Pictures for one step.
    validation : float, default=0.2
        Share of each class that is held out; none of a class of one or two pictures.
    learning_rate : float, default=0.001
        Of Adam, to begin with; a network of your own has its own optimizer.
    random_state : int, RandomState or None, default=0
        Of the first weights, the dropout, the order of the pictures and the part held out.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes, sorted.
    best_epoch_ : int
        The epoch, from 1, whose weights were taken.
    """

    __module__ = "featx.learning.scratch"  # where model files look for it

    def __init__(
        self,
        network: OwnModel | None = None,
        *,
        epochs: int = 100,
        patience: int = 20,
        batch_size: int = 16,
        validation: float = 0.2,
        learning_rate: float = 1e-3,
        random_state: Any = 0,
    ) -> None:
        self.network = network
        self.epochs = epochs
        self.patience = patience
        self.batch_size = batch_size
        self.validation = validation
        self.learning_rate = learning_rate
        self.random_state = random_state

    @property
    def input_size(self) -> int:
        """Side of the pictures that it takes by default, in pixels."""
        return (isinstance(self.network, OwnModel) and self.network.size) or PIXELS_SIZE

    @property
    def history(self) -> pd.DataFrame:
        """How training went: one row an epoch, from 1.

        Columns are `loss` and `accuracy` (while training, so with dropout), `val_loss` and
        `val_accuracy` (of the pictures held out; missing where there are none).
        """
        import pandas as pd

        check_is_fitted(self)
        frame = pd.DataFrame(self.history_)
        frame.index = pd.RangeIndex(1, len(frame) + 1, name="epoch")
        return frame

    @property
    def network_(self) -> keras.Model:
        """The fitted network, as a Keras model."""
        check_is_fitted(self)
        live = vars(self).get("_live")
        if not isinstance(live, import_keras().Model):
            try:
                live = rebuild(json.loads(self.architecture_), self.weights_)
                _require_shapes(live, self._channels, len(self.classes_))
                self._live = live
            except (ArchitectureError, ValueError, TypeError) as error:
                raise ModelFileError(f"a model file holds {error}; train it again") from error
        return live

    def require(self, backbone: str | None, classes: int) -> None:
        """Check that the network can learn so many classes from a backbone; see `Learner`."""
        if backbone not in (None, PIXELS):
            raise OptionError(
                f"a network from scratch learns from pixels: got the features of {backbone}; "
                "use the backbone 'pixels'"
            )
        if isinstance(self.network, OwnModel):
            self.network.require(classes)

    def fit(self, X: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> ScratchNetwork:
        """Train the network.

        Parameters
        ----------
        X : ndarray of shape (n, 3 * size * size), float32
            Pixels, RGB, 0 to 255, row by row: `matrix` of features of "pixels".
        y : ndarray of shape (n,)
            Their classes, at least two.
        groups : ndarray of shape (n,), optional
            Rows of one group, such as a picture and its views, are held out together or not at all;
            by default each row by itself.
        """
        size = _side(X.shape[1])
        self.classes_, target = np.unique(np.asarray(y), return_inverse=True)
        if len(self.classes_) < 2:
            raise OptionError(f"all pictures are of one class: expected two, got {self.classes_}")
        for learned in ("_live", "architecture_", "weights_"):
            self.__dict__.pop(learned, None)
        seed = int(check_random_state(self.random_state).randint(1 << 30))
        generator = np.random.default_rng(seed)
        groups = np.arange(len(target)) if groups is None else np.asarray(groups)
        held = hold_out(target, groups, self.validation, generator)
        learned_from = np.setdiff1d(np.arange(len(target)), held)
        keras = import_keras()
        with usual_settings(), _own_random_state():
            if self.network is None:
                model = baseline_network(keras, size, len(self.classes_), seed)
                model.compile(
                    keras.optimizers.Adam(self.learning_rate),
                    "sparse_categorical_crossentropy",
                    metrics=["accuracy"],
                )
                self.logits_, one_hot = False, False
            elif isinstance(self.network, OwnModel):
                model = self.network.copy(size, len(self.classes_), seed)
                self.logits_, one_hot = self.network.logits, self.network.one_hot
            else:
                raise OptionError(
                    f"the network {self.network!r} of your own was not saved with the model, only "
                    "what it learned: give it again to train it again"
                )
            self._channels = int(model.input_shape[3])
            self._live = model
            self.predict_proba(X[:_PROBED])  # outputs that are none are told before training
            labels = np.eye(model.output_shape[-1])[target] if one_hot else target
            self._train(model, X, labels, learned_from, held, generator)
        most = np.bincount(target).max() / len(target)
        if self.network is not None and max(self.history_["accuracy"]) < most + _LUCK:
            warn(_LEARNED_NOTHING.format(self.network.name))
        return self

    def _train(
        self,
        model: keras.Model,
        X: np.ndarray,
        labels: np.ndarray,
        rows: np.ndarray,
        held: np.ndarray,
        generator: np.random.Generator,
    ) -> None:
        """Train until the part held out is predicted no better; take the best weights.

        `model.fit` does the same in its own time: for a hundred pictures an epoch of it is mostly
        the making of iterators.
        """
        history: dict[str, list[float]] = {"loss": [], "accuracy": []}
        if len(held):
            history |= {"val_loss": [], "val_accuracy": []}
        watched = history["val_loss" if len(held) else "loss"]
        best, weights = 0, model.get_weights()
        for epoch in range(self.epochs):
            logs = self._epoch(model.train_on_batch, model, X, labels, generator.permutation(rows))
            if len(held):
                told = self._epoch(model.test_on_batch, model, X, labels, held)
                logs |= {f"val_{name}": value for name, value in told.items()}
            for name, values in history.items():
                values.append(logs[name])
            if not math.isfinite(watched[-1] + logs["loss"]):
                raise OptionError(
                    f"the loss is {watched[-1]} after epoch {epoch + 1}: lower the learning rate, "
                    "or let the network begin with keras.layers.Rescaling(1 / 255)"
                )
            if epoch == 0 or watched[-1] < watched[best]:
                best, weights = epoch, model.get_weights()
            waited = epoch - best
            if waited >= self.patience:
                break
            if self.network is None and waited and waited % max(1, self.patience // 3) == 0:
                model.optimizer.learning_rate = float(model.optimizer.learning_rate) / 2
        model.set_weights(weights)
        self.history_, self.best_epoch_ = history, best + 1

    def _epoch(
        self, step: Any, model: keras.Model, X: np.ndarray, labels: np.ndarray, rows: np.ndarray
    ) -> dict[str, float]:
        """Go through rows in batches, of nearly the same size, and return the mean metrics."""
        means = {"loss": 0.0, "accuracy": 0.0}
        for batch in np.array_split(rows, -(-len(rows) // self.batch_size)):
            model.reset_metrics()
            logs = step(self._pictures(X[batch]), labels[batch], return_dict=True)
            for name in means:
                means[name] += float(logs[name]) * len(batch) / len(rows)
        return means

    @usual_settings()
    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Predict the probability of each class, of shape (n, n_classes), float64."""
        model = self.network_
        shares = np.empty((len(X), len(self.classes_)))
        convert = import_keras().ops.convert_to_numpy
        for start in range(0, len(X), _PREDICTED):
            rows = slice(start, start + _PREDICTED)
            outputs = np.asarray(convert(model(self._pictures(X[rows]), training=False)), float)
            shares[rows] = outputs[:, : len(self.classes_)]
        if self.logits_:
            shares = np.exp(shares - shares.max(axis=1, keepdims=True))
        elif shares.min(initial=0) < -1e-6:
            raise OptionError(
                f"the network gives {shares.min():.3g} where probabilities are expected: let it "
                "end in a softmax, or compile it with a loss that has from_logits=True"
            )
        return np.asarray(shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-30))

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Predict the class of each picture."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def check_file(self) -> None:
        """Check what came out of a model file, without building anything.

        Raises
        ------
        ArchitectureError
            The network is not one that `featx.learning.scratch.architecture` knows to be safe.
        """
        if "_live" in vars(self) or not isinstance(self.architecture_, str):
            raise ArchitectureError("a network that is no description")
        check(json.loads(self.architecture_))
        if not isinstance(self.weights_, list):
            raise ArchitectureError("weights that are no list")
        if type(self.logits_) is not bool or self._channels not in (1, 3):
            raise ArchitectureError("invalid outputs or channels")
        if not isinstance(self.history_, dict) or len(self.history_) > 4:
            raise ArchitectureError("an invalid history")

    def __getstate__(self) -> dict[str, Any]:
        """Return plain values: the live network as its description and its weights."""
        state = dict(super().__getstate__())
        live = state.pop("_live", None)
        if isinstance(self.network, OwnModel):
            state["network"] = self.network.name
        if live is not None:
            try:
                description = describe(live)
                weights = weights_of(live, description)
                _require_same(live, rebuild(description, weights))
            except ArchitectureError as error:
                raise OptionError(
                    f"this network cannot be saved without pickle: it holds {error}; replace it"
                ) from error
            state |= {"architecture_": json.dumps(description), "weights_": weights}
        return state

    def _pictures(self, X: np.ndarray) -> np.ndarray:
        """Return rows of pixels as pictures, grey where the network takes one channel."""
        size = _side(X.shape[1])
        pictures = np.asarray(X, np.float32).reshape(len(X), size, size, 3)
        if self._channels == 1:
            return pictures @ np.array([[0.299], [0.587], [0.114]], np.float32)  # as Pillow's "L"
        return pictures


def hold_out(
    y: np.ndarray, groups: np.ndarray, share: float, random: np.random.Generator
) -> np.ndarray:
    """Draw images of each class to judge a network by while it learns; return their rows, in order.

    Drawn is a share of the groups of each class, at least one of three; none of one or two. Images
    of one group are all of one class.
    """
    held = [np.empty(0, int)]
    for label in np.unique(y):
        drawn = random.permutation(np.unique(groups[y == label]))
        held.append(drawn[: max(1, round(share * len(drawn))) if share and len(drawn) > 2 else 0])
    return np.flatnonzero(np.isin(groups, np.concatenate(held)))


def _side(columns: int) -> int:
    """Return the side of the pictures that have so many numbers."""
    side = math.isqrt(columns // 3)
    if columns < 3 or 3 * side * side != columns:
        raise OptionError(
            f"a network from scratch learns from pixels: got {columns} columns, expected those of "
            "square RGB pictures; use featx.embed(photos, 'pixels')"
        )
    return side


def _require_shapes(model: keras.Model, channels: int, classes: int) -> None:
    """Check that a network out of a file takes square pictures and tells so many classes apart."""
    outputs = model.output_shape
    taken = len(model.input_shape) == 4 and model.input_shape[3] == channels
    if not taken or len(outputs) != 2 or (outputs[1] or 0) < classes:
        raise ArchitectureError(f"a network from {model.input_shape} to {outputs}")


@usual_settings()
def _require_same(model: keras.Model, again: keras.Model) -> None:
    """Check that a network and its copy give the same numbers."""
    shape = [each or PIXELS_SIZE for each in model.input_shape[1:]]
    noise = np.random.default_rng(0).integers(0, 256, (2, *shape)).astype(np.float32)
    convert = import_keras().ops.convert_to_numpy
    one, other = (convert(each(noise, training=False)) for each in (model, again))
    if not np.allclose(one, other, rtol=1e-4, atol=1e-5):
        raise ArchitectureError("a layer whose description says too little")


@contextmanager
def _own_random_state() -> Iterator[None]:
    """Leave Python's generator as it was: Keras draws from it what has no seed."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
