"""The learner, one door for all that learns: a classifier's name, an estimator, a Keras model."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.kinds import PIXELS
from featx.backbones.table import DEFAULT_BACKBONE
from featx.errors import OptionError, UnknownClassifierError, check_choice
from featx.features.duplicates import duplicates_in
from featx.features.matrix import Features
from featx.features.options import EmbedOptions
from featx.forks import limit_openmp
from featx.images.labels import Label
from featx.learning.classifiers import CLASS_WEIGHTS, CLASSIFIERS, DEFAULT_CLASSIFIER, Folds
from featx.learning.folds import inner_folds, let_search
from featx.learning.scratch.own_model import OwnModel, is_keras_model

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from featx.learning.scratch.classifier import ScratchNetwork

#: A name of `CLASSIFIERS`, a scikit-learn classifier or pipeline, or a compiled Keras model. Any
#: object, since these have no base class in common.
Classifier: TypeAlias = Any

_FOLDS = 5  # of a search inside a classifier


@dataclass(frozen=True, eq=False)
class Learner:
    """Something that learns classes from features or from pixels.

    Make one with `Learner.of`.

    Attributes
    ----------
    given : str, estimator or keras.Model
        What was asked for.
    name : str
        What to call it.
    pixels : bool
        Whether it learns from pixels: the backbone is "pixels" then.
    class_weight : str or None
        "balanced": each class counts alike, however many images it has.
    """

    given: Classifier
    name: str
    pixels: bool = False
    class_weight: str | None = None

    @classmethod
    def of(cls, classifier: Classifier, class_weight: str | None = None) -> Learner:
        """Take a classifier's name, an estimator or a compiled Keras model.

        Parameters
        ----------
        classifier : str, estimator, keras.Model or Learner
            What is to learn.
        class_weight : str, optional
            "balanced": each class counts alike. By default as many as its images, or for a learner
            as before.

        Raises
        ------
        UnknownClassifierError
            No classifier has this name.
        OptionError
            It is neither a name nor a scikit-learn classifier, or a Keras model that does not fit;
            it takes no weights of classes.
        """
        if class_weight is not None:
            learner = cls.of(classifier)
            _require_balance(learner, class_weight)
            name = f"{learner.given} {class_weight}"
            return replace(learner, name=name, class_weight=class_weight)
        if isinstance(classifier, Learner):
            return classifier
        if isinstance(classifier, str):
            if classifier not in CLASSIFIERS:
                raise UnknownClassifierError(
                    f"unknown classifier {classifier!r}: expected one of {', '.join(CLASSIFIERS)}, "
                    "or a scikit-learn classifier"
                )
            return cls(classifier, classifier, CLASSIFIERS[classifier].pixels)
        if is_keras_model(classifier):
            OwnModel(classifier)  # one that does not fit is told
            return cls(classifier, str(classifier.name), pixels=True)
        _require_classifier(classifier)
        from featx.learning.scratch.classifier import ScratchNetwork

        steps = getattr(classifier, "named_steps", None)
        name = "+".join(steps) if steps else type(classifier).__name__
        return cls(classifier, name, isinstance(classifier, ScratchNetwork))

    def build(
        self, smallest: int = 5, columns: int = 2048, folds: Folds = None, views: int = 0
    ) -> Any:
        """Build an unfitted estimator; see `make_classifier` and `build_for`."""
        if isinstance(self.given, str):
            if folds is None and smallest > 1:
                folds = min(_FOLDS, smallest)
            spec = CLASSIFIERS[self.given]
            made = spec.build(smallest, columns, folds)
            return spec.balance(made, views) if self.class_weight and spec.balance else made
        if is_keras_model(self.given):
            from featx.learning.scratch.classifier import ScratchNetwork

            return ScratchNetwork(OwnModel(self.given))
        return _seeded_clone(self.given)

    def build_for(
        self, y: np.ndarray, columns: int, views: int = 0, groups: np.ndarray | None = None
    ) -> Any:
        """Build an unfitted estimator for images of these classes.

        Parameters
        ----------
        y : ndarray of shape (n,)
            The classes of the images to learn from.
        columns : int
            Columns of their features.
        views : int, default=0
            Views that go along with each: a search inside the classifier, also one of your own in
            its `cv`, has all views of an image on one side of each split, so that it is not judged
            on what it has seen.
        groups : ndarray of shape (n,), int, optional
            Images of one group are on one side, too.
        """
        smallest = min(Counter(y.tolist()).values())
        together = views > 0 or groups is not None
        named = isinstance(self.given, str)
        folds: Folds = None
        if together and named and smallest > 1:
            folds = inner_folds(min(_FOLDS, smallest), y, views, groups)
        made = self.build(smallest, columns, folds, views)
        if together and not named:
            let_search(made, y, views, groups)
        return made

    def fit(
        self,
        estimator: Any,
        X: np.ndarray,
        y: np.ndarray,
        views: Sequence[np.ndarray] = (),
        groups: np.ndarray | None = None,
    ) -> Any:
        """Fit an estimator to images and their views, which are rows of the same classes.

        Parameters
        ----------
        estimator : estimator
            What `build_for` gave.
        X : ndarray of shape (n, columns), float32
            Features of the images.
        y : ndarray of shape (n,)
            Their classes.
        views : sequence of ndarray of the shape of X
            Features of their views.
        groups : ndarray of shape (n,), int, optional
            Images that a network from scratch keeps together where it holds some out; by default
            copies of one photograph.
        """
        limit_openmp()
        rows = np.concatenate([X, *views]) if views else X
        labels = np.tile(y, 1 + len(views))
        if self.pixels:  # judges itself on pictures that it holds out, copies together
            groups = duplicates_in(X).groups if groups is None else groups
            return estimator.fit(rows, labels, groups=np.tile(groups, 1 + len(views)))
        return fit_estimator(estimator, rows, labels)

    @cached_property
    def _network(self) -> ScratchNetwork:
        network: ScratchNetwork = self.build()
        return network

    @property
    def input_size(self) -> int | None:
        """Side of the pictures that it takes by default, in pixels; None if it takes features."""
        return self._network.input_size if self.pixels else None

    @property
    def gives_probabilities(self) -> bool:
        """Whether it can say how probable each class is."""
        return hasattr(self.build(), "predict_proba")

    @property
    def takes_class_weight(self) -> bool:
        """Whether `class_weight` could be given for it, and was not."""
        spec = CLASSIFIERS.get(self.given) if isinstance(self.given, str) else None
        return spec is not None and spec.balance is not None and self.class_weight is None

    def require(self, backbone: str | None, classes: int) -> None:
        """Check that it can learn so many classes from what a backbone gives.

        Parameters
        ----------
        backbone : str or None
            The name in the recipe; None where there is no recipe.
        classes : int
            How many classes there are.

        Raises
        ------
        OptionError
            It learns from pixels and gets something else, or has not as many outputs.
        """
        if self.pixels:
            self._network.require(backbone, classes)

    def embedding(
        self, backbone: str | Backbone | None, options: EmbedOptions
    ) -> tuple[str | Backbone, EmbedOptions]:
        """Say what to embed images with, so that it can learn from that.

        Parameters
        ----------
        backbone : str, Backbone or None
            What was asked for; None for the default.
        options : EmbedOptions
            What was asked for beside it.

        Returns
        -------
        backbone : str or Backbone
            By default "pixels", where it learns from pixels.
        options : EmbedOptions
            With the size of its pictures.

        Raises
        ------
        OptionError
            It learns from pixels, and an option of networks is asked for.
        """
        if not self.pixels:
            return backbone or DEFAULT_BACKBONE, options
        for name in ("weights", "pooling", "layer"):
            if name in options:
                raise OptionError(
                    f"{self.name} learns from pixels, not from the features of a network: leave "
                    f"{name} out"
                )
        sized: Any = {"input_size": self.input_size} | options
        return backbone or PIXELS, sized

    def require_features(self, features: Features) -> None:
        """Check that it can learn from features; see `require`."""
        self.require(features.recipe.backbone if features.recipe else None, len(features.classes))

    def without_search(self, fitted: Any) -> Learner:
        """Return the learner whose searches are replaced by what they found, or itself without any.

        In cross-validation a search may settle elsewhere in every fold, so that certainties of the
        folds would not be those of the final classifier.

        Parameters
        ----------
        fitted : estimator
            What became of it.
        """
        found = _without_search(fitted)
        return self if found is fitted else Learner.of(found)


def make_classifier(
    classifier: Classifier = DEFAULT_CLASSIFIER,
    smallest: int = 5,
    columns: int = 2048,
    folds: Folds = None,
    class_weight: str | None = None,
) -> BaseEstimator:
    """Build an unfitted classifier.

    Parameters
    ----------
    classifier : str or estimator, default="logistic"
        A name of `CLASSIFIERS`, or a scikit-learn classifier or pipeline of your own, which is
        cloned, with 0 in place of each `random_state` that is None; or a compiled Keras model,
        which learns from pixels (float32, 0 to 255, so let it begin with a Rescaling layer) and is
        copied.
    smallest : int, default=5
        Images in the smallest class.
    columns : int, default=2048
        Columns of the features; a truncated SVD keeps no more.
    folds : int or sequence of (train, test), optional
        Of the search inside some classifiers: a number, or rows; by default 5, or as many as the
        smallest class has images.
    class_weight : str, optional
        "balanced": each class counts alike, however many images it has, so that small ones are
        found as well as large ones; "logistic", "svm" and "svd-svm" take it.

    Returns
    -------
    sklearn.pipeline.Pipeline, ScratchNetwork for "cnn" and Keras models, or the clone

    Raises
    ------
    UnknownClassifierError
        No classifier has this name.
    OptionError
        It is neither a name nor a scikit-learn classifier, or a Keras model that does not fit; or
        it takes no weights of classes.
    """
    return Learner.of(classifier, class_weight).build(smallest, columns, folds)


def learners_of(classifiers: Classifier, class_weight: str | None = None) -> dict[str, Learner]:
    """Take one classifier, several, or a mapping that names them, and give each its own name."""
    if isinstance(classifiers, Mapping):
        learners = {name: Learner.of(each, class_weight) for name, each in classifiers.items()}
    else:
        several = classifiers if isinstance(classifiers, list | tuple) else [classifiers]
        learners = {}
        for each in several:
            learner = Learner.of(each, class_weight)
            name = learner.name
            same = sum(other == name or other.startswith(f"{name} #") for other in learners)
            learners[f"{name} #{same + 1}" if same else name] = learner
    if not learners:
        raise OptionError("classifiers is empty: expected names, such as 'logistic'")
    return learners


def fit_estimator(estimator: Any, X: np.ndarray, y: np.ndarray) -> Any:
    """Fit a scikit-learn estimator, which an interrupt ends.

    A perceptron of scikit-learn warns of the interrupt, and is what it has learned until then.
    """
    said = "Training interrupted by user"
    with warnings.catch_warnings():
        warnings.filterwarnings("error", said, UserWarning)
        try:
            return estimator.fit(X, y)
        except UserWarning as warning:
            if said in str(warning):
                raise KeyboardInterrupt from warning
            raise


def probabilities_of(fitted: Any, X: np.ndarray, classes: Sequence[Label]) -> np.ndarray | None:
    """Predict probabilities in columns for given classes, which are sorted: (n, n_classes), float.

    A class that the fitted classifier does not know has the probability 0. None where it gives no
    probabilities, as the nearest centroid of a single image of each class, which has no spread.
    """
    limit_openmp()
    if not hasattr(fitted, "predict_proba"):
        return None
    probabilities = np.zeros((len(X), len(classes)))
    columns = np.searchsorted(np.array(classes), np.asarray(fitted.classes_))
    try:
        probabilities[:, columns] = fitted.predict_proba(X)
    except ValueError:
        return None
    return probabilities


def predict(
    fitted: Any, X: np.ndarray, views: Sequence[np.ndarray], classes: Sequence[Label]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Predict the classes of images, of shape (n,), and their `probabilities_of`.

    Where there are views, each of the shape of X, both go by the mean probability of image and
    views; without probabilities by what is predicted most often, and the image itself decides where
    several are.
    """
    probabilities = probabilities_of(fitted, X, classes)
    if not len(views):
        return np.asarray(fitted.predict(X)), probabilities
    names = np.array(classes)
    if probabilities is None:
        votes = 0.5 * (np.asarray(fitted.predict(X))[:, None] == names)
        for each in (X, *views):
            votes += np.asarray(fitted.predict(each))[:, None] == names
        return names[votes.argmax(axis=1)], None
    for each in views:
        probabilities += probabilities_of(fitted, each, classes)
    return names[probabilities.argmax(axis=1)], probabilities / (1 + len(views))


def _require_balance(learner: Learner, class_weight: str) -> None:
    check_choice("class_weight", class_weight, CLASS_WEIGHTS)
    able = [name for name, spec in CLASSIFIERS.items() if spec.balance]
    if not isinstance(learner.given, str):
        raise OptionError(
            f"class_weight is for classifiers by name ({', '.join(able)}): set that of the "
            f"{learner.name} of your own itself"
        )
    if learner.given not in able:
        raise OptionError(
            f"classifier {learner.given!r} takes no class_weight: expected one of {', '.join(able)}"
        )


def _require_classifier(classifier: Any) -> None:
    from sklearn.base import BaseEstimator, is_classifier

    if not isinstance(classifier, BaseEstimator) or not is_classifier(classifier):
        what = (
            f"the class {classifier.__name__}, not an object of it"
            if isinstance(classifier, type)
            else f"a {type(classifier).__name__}"
        )
        raise OptionError(
            f"classifier is {what}: expected one of {', '.join(CLASSIFIERS)}, "
            "or a scikit-learn classifier"
        )


def _seeded_clone(estimator: Any) -> Any:
    """Clone an estimator, with 0 for every `random_state` that is None, also of what is inside it.

    Else the same data would give other results each time: by a PCA that draws at random, a
    perceptron, or the splits of a search.
    """
    from sklearn.base import clone

    made = clone(estimator)
    given = made.get_params()
    for value in given.values():
        shuffles = hasattr(value, "split") and getattr(value, "shuffle", True)
        if shuffles and getattr(value, "random_state", 0) is None:
            value.random_state = 0  # of a splitter, which was cloned with the rest
    unseeded = [
        name
        for name, value in given.items()
        if value is None and name.rpartition("__")[2] == "random_state"
    ]
    return made.set_params(**dict.fromkeys(unseeded, 0))


def _without_search(fitted: Any) -> Any:
    """Return an unfitted estimator with what the searches of a fitted one found; else that one."""
    from sklearn.base import clone
    from sklearn.pipeline import Pipeline

    if hasattr(fitted, "best_estimator_"):
        return clone(fitted.best_estimator_)
    if isinstance(fitted, Pipeline):
        steps = [(name, _without_search(step)) for name, step in fitted.steps]
        if any(new is not old for (_, new), (_, old) in zip(steps, fitted.steps, strict=True)):
            return clone(fitted).set_params(steps=steps)
    return fitted
