"""The model, a classifier of images: a recipe and a fitted pipeline, safe to save and load."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.calibration import Calibration
from featx.backbones.weights import sources_of
from featx.errors import NoImagesError, OptionError, warn_of_images
from featx.evaluation.evaluation import Evaluation
from featx.explanation.masks import BUDGET
from featx.features.duplicates import notes_on
from featx.features.matrix import Features
from featx.features.options import (
    EngineOptions,
    RunOptions,
    SourceOptions,
    options_in,
    settle,
    takes,
)
from featx.features.recipe import Recipe, RecipePart
from featx.features.request import Request
from featx.features.run import run
from featx.features.saved import saved_features
from featx.features.session import Picture, Session
from featx.images.exclusion import is_of_exclusion
from featx.images.folder import ImageFolder
from featx.images.labels import Label, Labels
from featx.images.source import ImageSource
from featx.images.table import check_no_source
from featx.learning.classes import per_file, require_known
from featx.models import model_file
from featx.models.card import Card
from featx.models.examples import Examples
from featx.models.explaining import Explainer
from featx.models.exportable import Exportable
from featx.models.familiarity import Familiarity
from featx.models.inference import Inference, features_of_nothing, fitting, infer
from featx.models.judgement import evaluation_of, source_to_judge
from featx.models.networks import find_network, trained_network
from featx.models.prediction_table import new_files
from featx.models.predictions import Predictions, check_top
from featx.models.rejection import UNSURE, Rejection
from featx.models.training import Training
from featx.text import listed

if TYPE_CHECKING:
    import pandas as pd


class ImageClassifier(Exportable):
    """A trained classifier: images in, labels out.

    `featx.train` makes one and `load` reads one from a file.

    Parameters
    ----------
    pipeline : estimator
        A fitted scikit-learn pipeline over feature vectors.
    recipe : Recipe
        How images become these vectors.
    weights : str, default="imagenet"
        Where to find the weights of the recipe again: "imagenet", "random" or a path.
    backbone : Backbone, optional
        The network, where it is one of your own.
    views : int, default=0
        Augmented views of each image that were learned from; predictions are the mean of those of
        the image and of as many views.
    rejection : Rejection, optional
        What calibrates the probabilities, and from which certainty up the model answers.
    familiarity : Familiarity, optional
        What tells pictures that are unlike those of training.
    calibrations : sequence of Calibration, default=()
        Of the networks that compute in int8.
    examples : Examples, optional
        Training pictures that it keeps, small, to show; None unless that was asked for.
    training : Training, optional
        What it was trained on and how good it is; a model file does not hold it.

    Attributes
    ----------
    classes : tuple of str, int or bool
        The classes, in the order of the columns of `predict_proba`, of the type of the labels that
        it was trained on.
    """

    def __init__(
        self,
        pipeline: Any,
        recipe: Recipe,
        *,
        weights: str = "imagenet",
        backbone: Backbone | None = None,
        views: int = 0,
        rejection: Rejection | None = None,
        familiarity: Familiarity | None = None,
        calibrations: Sequence[Calibration] = (),
        examples: Examples | None = None,
        training: Training | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.recipe = recipe
        self.weights = weights
        self.views = views
        self.rejection = rejection
        self.familiarity = familiarity
        self.calibrations = tuple(calibrations)
        self.examples = examples
        self.training = training
        self._card: Card | None = None
        self._path: str | PathLike[str] | None = None  # of the file that it was loaded from
        self._backbones = {} if backbone is None else {recipe.parts[0]: backbone}

    @property
    def classes(self) -> tuple[Label, ...]:
        return tuple(np.asarray(self.pipeline.classes_).tolist())

    @property
    def card(self) -> Card:
        """What it learned from, how good it is, and what made it; a model file holds it.

        Of a model that featx did not train, or an older one, it says what can be known.
        """
        return self._card or Card.known(self.pipeline, self.recipe, self.weights)

    @card.setter
    def card(self, card: Card) -> None:
        self._card = card

    def __repr__(self) -> str:
        return f"ImageClassifier({len(self.classes)} classes; {self.recipe})"

    def _repr_html_(self) -> str:
        draw = getattr(self.pipeline, "_repr_html_", None)
        drawn = draw() if draw else f"<pre>{escape(repr(self.pipeline))}</pre>"
        return f"<p>{escape(repr(self))}: {escape(listed(self.classes, 20))}</p>{drawn}"

    @property
    def backbones(self) -> tuple[Backbone, ...]:
        """The networks, with weights of the very digests that the model was trained on.

        One for each part of the recipe.

        Raises
        ------
        RecipeMismatchError
            The weights found have another digest, and the message names both; or a calibration is
            not there.
        UnknownBackboneError
            The model was trained on a network of your own, and loaded without it.
        WeightsError
            There are no weights.
        """
        return tuple(self._backbone_of(part) for part in self.recipe.parts)

    def _backbone_of(self, part: RecipePart) -> Backbone:
        if (backbone := self._backbones.get(part)) is None:
            sources = sources_of(self.weights, len(self.recipe.parts))
            source = sources[self.recipe.parts.index(part)]
            backbone = find_network(part, source, self._path)
        found = trained_network(part, backbone, self.calibrations)
        self._backbones.setdefault(part, backbone)
        return found

    @property
    def history(self) -> pd.DataFrame:
        """How the training of a network went, a row an epoch; see `ScratchNetwork.history`.

        Raises
        ------
        OptionError
            The classifier was not trained in epochs.
        """
        if not hasattr(self.pipeline, "history"):
            raise OptionError(f"{self!r} was not trained in epochs: only 'cnn' has a history")
        history: pd.DataFrame = self.pipeline.history
        return history

    @takes(RunOptions)
    def features(self, source: ImageSource, **options: Unpack[RunOptions]) -> Features:
        """Embed images by the recipe of the model, or check features that are given.

        Parameters
        ----------
        source
            What `embed` takes, or Features.
        **options
            `engine`, `cache`, `on_error`, `batch_size` and `progress`, as for `embed`.

        Raises
        ------
        RecipeMismatchError
            The features or the weights are not those that the model was trained on, or the
            features have fewer views.
        """
        source = saved_features(source, options.get("root"))
        if isinstance(source, Features):
            return fitting(source, self.recipe, self.views)
        settled = settle(options)
        request = Request.again(self.backbones, self.recipe, self.views, settled["engine"])
        images = ImageFolder.of(source, **options_in(SourceOptions, settled))
        if images is not source:
            warn_of_images(filter(is_of_exclusion, images.notes))
        return run(images, [request], settled, sparing=True)[0]

    @takes(EngineOptions)
    def session(self, **options: Unpack[EngineOptions]) -> Session:
        """Open the networks of the model for pictures that come one after the other.

        No features are cached, only converted networks.

        Parameters
        ----------
        **options : expanded

        Returns
        -------
        Session

        Raises
        ------
        RecipeMismatchError
            The weights are not those that the model was trained on.
        """
        engine = settle(options)["engine"]
        request = Request.again(self.backbones, self.recipe, self.views, engine)
        return Session(request, **options)

    @takes(RunOptions)
    def labelled_features(
        self, source: ImageSource, labels: Labels = None, **options: Unpack[RunOptions]
    ) -> Features:
        """Return the `features` of images that the model can be judged by; as for `evaluate`."""
        source = source_to_judge(source, labels, self.classes, options)
        features = self.features(source, **options)
        if source is not features:
            warn_of_images(features.losses)
        require_known(features.paths.tolist(), features.labels, self.classes)
        return features

    @takes(RunOptions)
    def predict(
        self, source: ImageSource, *, answer_all: bool = False, **options: Unpack[RunOptions]
    ) -> np.ndarray:
        """Predict the class of each image.

        Parameters
        ----------
        source, **options
            As for `features`.
        answer_all : bool, default=False
            Give the class of every image, also of those that a model trained with `reject` is
            unsure of, or that are unfamiliar to it.

        Returns
        -------
        ndarray of shape (n,)
            One label per input file, of the type of the labels that the model was trained on: str,
            int64 or bool. It is an array of objects where one is None, for a file that cannot be
            read, and from a model that rejects, which gives `featx.UNSURE` for an image that it is
            unsure of, or that is unlike its training pictures.
        """
        features = self.features(source, **options)
        inferred = self._inferred(features)
        labels = inferred.labels
        if inferred.answered is not None and not answer_all:
            labels = labels.astype(object)
            labels[~inferred.answered] = UNSURE
        return per_file(features, labels, None)

    @takes(RunOptions)
    def predict_proba(self, source: ImageSource, **options: Unpack[RunOptions]) -> np.ndarray:
        """Predict the probability of each class, calibrated if the model was trained to reject.

        Parameters
        ----------
        source, **options
            As for `predict`.

        Returns
        -------
        ndarray of shape (n, n_classes), float
            One row per input file, columns in the order of `classes`; NaN for a file that cannot
            be read.

        Raises
        ------
        OptionError
            The pipeline gives no probabilities.
        """
        probabilities = None
        if hasattr(self.pipeline, "predict_proba"):
            features = self.features(source, **options)
            probabilities = self._inferred(features).probabilities
        if probabilities is None:
            raise OptionError(
                "this classifier gives no probabilities; train with another one, such as 'logistic'"
            )
        return per_file(features, probabilities, np.nan)

    @takes(RunOptions)
    def predictions(
        self,
        source: ImageSource,
        *,
        answer_all: bool = False,
        top: int = 1,
        probabilities: bool = False,
        only_new: str | PathLike[str] | None = None,
        **options: Unpack[RunOptions],
    ) -> Predictions:
        """Predict images: labels and probabilities together, to print, tabulate or draw.

        A folder or a list without images, or of files that cannot be read, is no error here.

        Parameters
        ----------
        source, answer_all, **options
            As for `predict`.
        top : int, default=1
            How many classes to name for each image, the best guess first.
        probabilities : bool, default=False
            Let the rows have the probability of every class.
        only_new : str or path, optional
            A table that `Predictions.save` wrote, or will write: images that it has already are
            left out, unless the file has another size or time since.

        Returns
        -------
        Predictions
            One for each input file.

        Raises
        ------
        ImageSourceError
            Nothing of what was named exists.
        OptionError
            More than one class or all probabilities are asked for, and the classifier gives no
            probabilities; or the table cannot be read.
        """
        check_top(top)
        states = None
        try:
            if only_new is not None:
                images = ImageFolder.of(source, **options_in(SourceOptions, options))
                source, states = new_files(images, only_new)
            features = self.features(source, **options)
        except NoImagesError as error:
            features = features_of_nothing(error)
        return Predictions.of(
            features,
            self._inferred(features),
            answer_all=answer_all,
            top=top,
            with_probabilities=probabilities,
            states=states,
        )

    @takes(RunOptions)
    def evaluate(
        self,
        source: ImageSource,
        labels: Labels = None,
        *,
        training: Features | None = None,
        **options: Unpack[RunOptions],
    ) -> Evaluation:
        """Predict labelled images and count what is right.

        Parameters
        ----------
        source, **options
            As for `predict`; the images need labels.
        labels : sequence, array, DataFrame or path of a table, optional
            As for `embed`, where the source has none.
        training : Features, optional
            What the model was trained on: images that are copies of these are named.

        Returns
        -------
        Evaluation

        Raises
        ------
        ImageSourceError
            The images have no classes, or none that the model knows.
        OptionError
            The labels do not fit the images, or these have labels already.
        """
        features = self.labelled_features(source, labels, **options)
        evaluation = evaluation_of(
            features,
            self._inferred(features),
            target=self.rejection.target if self.rejection else None,
            training=training,
        )
        warn_of_images([*evaluation.about_unknown, *notes_on(evaluation.contradictions)])
        return evaluation

    @takes(RunOptions)
    def explain(
        self,
        source: ImageSource | Picture | Sequence[Picture],
        *,
        label: Label | Sequence[Label | None] | None = None,
        method: str = "auto",
        budget: int = BUDGET,
        session: Session | None = None,
        **options: Unpack[RunOptions],
    ) -> Any:
        """Say which parts of pictures speak for a class, and which against it.

        Parameters
        ----------
        source
            What `embed` takes; an array of one picture, too, or what a session decoded.
        label : str, int, bool or a sequence of these, optional
            The class to explain, or one for each picture; by default the one that is predicted.
        method : {"auto", "class-map", "masks"}, default="auto"
            "class-map" divides the decision over the places of the picture, exactly: for mean
            pooling and a linear classifier. "masks" hides parts of the picture and compares what
            the model then says: an estimate, for every model. "auto" is the first where it can be.
        budget : int, default=256
            How many times a picture with parts hidden goes through the networks, by masks.
        session : Session, optional
            Open networks of this model, in place of those that `engine`, `cache` and `batch_size`
            name.
        **options
            As for `features`; nothing is cached.

        Returns
        -------
        Explanation or list of Explanation
            One for a file, an array or another source of a single picture; else a list, in which
            pictures that cannot be read are left out.

        Raises
        ------
        ImageError
            A picture cannot be read, and `on_error` is "raise".
        NoImagesError
            None can be read.
        OptionError
            The model has no such class, or there is no exact class map where one is asked for.
        """
        session = session or self.session(**options_in(EngineOptions, options))
        explainer = Explainer(self.pipeline, self._inferred, session, method, budget)
        return explainer.of_source(source, label, self.classes, options)

    def _inferred(self, features: Features) -> Inference:
        return infer(self.pipeline, features, self.rejection, self.familiarity, self._path)

    def save(self, path: str | PathLike[str], *, trusted: Sequence[str] = ()) -> None:
        """Save the model to one file, without pickle.

        What is saved can be loaded: the file is read once before it takes its place.

        Parameters
        ----------
        path : str or path
            By custom its name ends in ".featx".
        trusted : sequence of str, default=()
            Types of steps of your own that are not on the list of those known to be safe. Such a
            file is loaded with the same names, `load(path, trusted=[...])`, and not at the shell.

        Raises
        ------
        StorageError
            The file cannot be written; an older one at `path` is left as it was.
        OptionError
            The name is one of a picture or a table, which could be lost; or a step of a pipeline
            of your own cannot be saved without pickle, or its type is not on the list and not
            named; the message names it.
        """
        check_no_source(path, "a model")
        stored = model_file.StoredModel(
            self.pipeline,
            self.recipe,
            self.weights,
            self.views,
            self.rejection,
            self.familiarity,
            self.calibrations,
            self._card,
            self.examples,
        )
        model_file.write(Path(path), stored, trusted)
