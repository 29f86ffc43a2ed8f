"""The card of a model: what it learned from, how good it is, and what made it."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any

from featx.backbones.kinds import KINDS, is_network_file
from featx.backbones.table import BACKBONES
from featx.backbones.weights import sources_of
from featx.errors import warn
from featx.evaluation.intervals import Estimate
from featx.text import count, listed, percent, printable

if TYPE_CHECKING:
    from featx.evaluation.evaluation import Evaluation
    from featx.evaluation.validation import CrossValidation
    from featx.features.recipe import Recipe
    from featx.models.training import Training

DATE_VARIABLE = "SOURCE_DATE_EPOCH"  # seconds since 1970, for builds that shall come out the same
_LIBRARIES = ("featx", "scikit-learn", "keras", "openvino")
_LITE_LICENCE = "Apache-2.0"  # of what comes in the packages of the EfficientNet-Lites
_LONGEST = 1000  # characters of a text
_MOST = 100_000  # classes
_LARGEST = 1 << 53  # pictures


@dataclass(frozen=True)
class Measurement:
    """An accuracy, and how it was measured.

    Attributes
    ----------
    accuracy : Estimate
        Share of the pictures that were predicted right, with its 95 % interval.
    n_images : int
        Pictures that were predicted.
    folds, repeats : int or None
        Of a cross-validation; None where it was measured on pictures apart.
    n_groups : int or None
        Groups of pictures that were kept together; None where none were declared.
    n_candidates : int or None
        Candidates of a search, whose luck the accuracy of the chosen one is without; None where
        nothing was searched.
    """

    accuracy: Estimate
    n_images: int
    folds: int | None = None
    repeats: int | None = None
    n_groups: int | None = None
    n_candidates: int | None = None

    @classmethod
    def of(cls, validation: CrossValidation) -> Measurement:
        """Take what a cross-validation measured."""
        splits = validation.splits
        groups = None if splits.grouping is None else int(splits.grouping.n_groups)
        n_images = len(validation.paths)
        return cls(validation.interval, n_images, int(splits.folds), int(splits.repeats), groups)

    @classmethod
    def of_test(cls, evaluation: Evaluation) -> Measurement:
        """Take what was measured on pictures that were not learned from."""
        return cls(evaluation.interval, len(evaluation.paths))

    @property
    def method(self) -> str:
        """How it was measured, in a few words."""
        if self.folds is None:
            return f"tested on {count(self.n_images, 'other picture')}"
        images = count(self.n_images, "picture")
        repeats = count(self.repeats or 1, "time")
        groups = f", {count(self.n_groups, 'group')} kept together" if self.n_groups else ""
        text = f"cross-validated on {images}: {count(self.folds, 'fold')}, {repeats}{groups}"
        if self.n_candidates:
            text += f"; without the luck of the best of {count(self.n_candidates, 'candidate')}"
        return text

    def __str__(self) -> str:
        interval = f"95 % interval {self.accuracy.range}"
        return f"{percent(self.accuracy.value)} ({interval}), {self.method}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            **self.accuracy.to_dict("accuracy"),
            "n_images": self.n_images,
            "folds": self.folds,
            "repeats": self.repeats,
            "n_groups": self.n_groups,
            "n_candidates": self.n_candidates,
            "method": self.method,
        }

    @classmethod
    def from_file(cls, values: Mapping[str, Any]) -> Measurement:
        """Build one from what a model file holds of it.

        Raises
        ------
        ValueError, TypeError, KeyError
            A value is missing or cannot be.
        """
        shares = [values[name] for name in ("accuracy_low", "accuracy", "accuracy_high")]
        if not all(type(each) in (int, float) and 0 <= each <= 1 for each in shares):
            raise ValueError("an accuracy that is no number from 0 to 1")
        low, accuracy, high = map(float, shares)
        if not low <= accuracy <= high:
            raise ValueError("an accuracy outside its own interval")
        names = ("folds", "repeats", "n_groups", "n_candidates")
        counts = {name: _number(values.get(name), name, optional=True) for name in names}
        n_images = _number(values["n_images"], "n_images")
        assert n_images is not None
        return cls(Estimate(accuracy, low, high), n_images, **counts)


@dataclass(frozen=True)
class WeightsOrigin:
    """Where the weights of a network come from.

    Attributes
    ----------
    network : str
        Name of the network.
    source : str
        Where they were, in a few words; never a path.
    licence : str or None
        Their licence as an SPDX identifier; None where featx does not know it: look at the page of
        the network.
    """

    network: str
    source: str
    licence: str | None = None

    def __str__(self) -> str:
        licence = self.licence or "licence unknown to featx: see the page of the network"
        return f"{self.network}: {self.source}; {licence}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"network": self.network, "source": self.source, "licence": self.licence}

    @classmethod
    def from_file(cls, values: Mapping[str, Any]) -> WeightsOrigin:
        """Build one from what a model file holds of it; see `Measurement.from_file`."""
        licence = values.get("licence")
        return cls(
            _text(values["network"], "network"),
            _text(values["source"], "source"),
            None if licence is None else _text(licence, "licence"),
        )


@dataclass(frozen=True)
class Card:
    """What a model learned from, how good it is, and what made it.

    Training writes it into the model file. Of a model that was saved by an older featx, it says
    what can be known.

    Attributes
    ----------
    classifier : str
        Name of the classifier; of one of your own, the names of its steps.
    counts : mapping of str to int, or None
        How many pictures of each class it learned from; None where that is not known.
    validation : Measurement or None
        Its accuracy by cross-validation; None where it was not measured.
    test : Measurement or None
        Its accuracy on pictures that it did not learn from; None where it was not measured.
    versions : mapping of str to str
        Versions of featx and of the libraries below it at training.
    date : str or None
        The day of the training by UTC, such as "2026-11-27"; None where nothing is known of it.
    weights : tuple of WeightsOrigin
        Where the weights of each network come from.
    """

    classifier: str
    counts: Mapping[str, int] | None = None
    validation: Measurement | None = None
    test: Measurement | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    date: str | None = None
    weights: tuple[WeightsOrigin, ...] = ()

    @classmethod
    def of(cls, training: Training) -> Card:
        """Write the card of a training that ends now.

        The environment variable SOURCE_DATE_EPOCH, seconds since 1970, takes the place of the time.
        """
        features = training.features
        labels = Counter(map(str, features.labels))
        assert features.recipe is not None
        return cls(
            classifier=training.classifier,
            counts={str(name): labels[str(name)] for name in features.classes},
            validation=Measurement.of(training.validation) if training.validation else None,
            test=Measurement.of_test(training.test) if training.test else None,
            versions=installed_versions(),
            date=_today(),
            weights=origins_of(features.recipe, features.weights),
        )

    @classmethod
    def known(
        cls, pipeline: Any, recipe: Recipe, weights: str, versions: Mapping[str, str] | None = None
    ) -> Card:
        """Write the card of a model whose training is not known; it has no date."""
        steps = getattr(pipeline, "named_steps", None)
        name = "+".join(steps) if steps else type(pipeline).__name__
        return cls(name, versions=versions or {}, weights=origins_of(recipe, weights))

    @property
    def measured(self) -> Measurement | None:
        """The accuracy to go by: on pictures apart where there were some, else cross-validated."""
        return self.test or self.validation

    @property
    def accuracy(self) -> Estimate | None:
        """The accuracy of `measured`, with its 95 % interval; None where nothing was measured."""
        return self.measured.accuracy if self.measured else None

    @property
    def accuracies(self) -> tuple[str, ...]:
        """Every accuracy and how it was measured, a sentence each."""
        found = [each for each in (self.test, self.validation) if each is not None]
        return tuple(map(str, found)) or ("not measured",)

    @property
    def summary(self) -> str:
        """Classifier, date, versions, accuracies and networks, a line each."""
        versions = listed([f"{name} {version}" for name, version in self.versions.items()])
        when = f", trained on {self.date}" if self.date else ""
        lines = [
            f"classifier {printable(self.classifier)}{when}{f' by {versions}' * bool(versions)}"
        ]
        lines += [f"accuracy: {each}" for each in self.accuracies]
        return "\n".join([*lines, *(f"network {printable(each)}" for each in self.weights)])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "classifier": self.classifier,
            "counts": None if self.counts is None else dict(self.counts),
            "validation": self.validation.to_dict() if self.validation else None,
            "test": self.test.to_dict() if self.test else None,
            "versions": dict(self.versions),
            "date": self.date,
            "weights": [each.to_dict() for each in self.weights],
        }

    @classmethod
    def from_file(cls, values: Mapping[str, Any]) -> Card:
        """Build a card from what a model file holds of it.

        Raises
        ------
        ValueError, TypeError, KeyError
            A value is missing or cannot be.
        """
        counts, date = values["counts"], values["date"]
        if counts is not None:
            counts = {key: _number(counts[key], "count") for key in _named(counts)}
        if date is not None and not re.fullmatch(r"\d{4}-\d\d-\d\d", _text(date, "date"), re.ASCII):
            raise ValueError("a date that is none")
        weights = values["weights"]
        if not isinstance(weights, list) or len(weights) > _LONGEST:
            raise ValueError("weights that are no list of origins")
        measured = (values["validation"], values["test"])
        validation, test = (each and Measurement.from_file(each) for each in measured)
        versions = values["versions"]
        return cls(
            classifier=_text(values["classifier"], "classifier"),
            counts=counts,
            validation=validation or None,
            test=test or None,
            versions={
                _text(key, "library"): _text(versions[key], "version") for key in _named(versions)
            },
            date=date,
            weights=tuple(WeightsOrigin.from_file(each) for each in weights),
        )


def installed_versions() -> dict[str, str]:
    """Return the versions of featx and of the libraries below it; none of them is imported."""
    versions = {}
    for name in _LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def origins_of(recipe: Recipe, weights: str) -> tuple[WeightsOrigin, ...]:
    """Say where the weights of each network of a recipe come from.

    `weights` is what to ask for to get them again, as a model file holds it.
    """
    sources: Sequence[str] = sources_of(weights, len(recipe.parts))
    found = [
        _origin(part.backbone, part.weights, source)
        for part, source in zip(recipe.parts, sources, strict=True)
    ]
    return tuple(dict.fromkeys(found))


def _origin(network: str, digest: str, source: str) -> WeightsOrigin:
    kind = next(kind for kind in KINDS if kind.claims(network))
    if kind.name == "pixels":
        return WeightsOrigin(network, "the pictures themselves, without a network")
    if source == "random":
        return WeightsOrigin(network, "random, for trying out")
    if is_network_file(network) or is_network_file(source):
        return WeightsOrigin(network, "a network in a file")
    spec = BACKBONES.get(network)
    if spec is None and kind is KINDS[-1]:
        return WeightsOrigin(network, "a network of its user's own")
    if spec is not None and spec.package:
        named = re.search(r"-([0-9a-f]{8})\.", spec.with_top.name)  # its digest begins so
        if named and digest.startswith(named[1]):
            package = spec.package.replace("_", "-")
            return WeightsOrigin(network, f"ImageNet, of the package {package}", _LITE_LICENCE)
    if source != "imagenet":
        return WeightsOrigin(network, "a file of weights of its user's own")
    publisher = "Keras" if spec is not None else kind.name
    return WeightsOrigin(network, f"as {publisher} publishes them")


def _today() -> str:
    """Return the day by UTC; the one that SOURCE_DATE_EPOCH says, if it is set."""
    now = datetime.now(UTC)
    if text := os.environ.get(DATE_VARIABLE):
        try:
            now = datetime.fromtimestamp(int(text), UTC)
        except (ValueError, OverflowError, OSError):
            warn(f"{DATE_VARIABLE} is {text!r}: expected seconds since 1970; today is taken")
    return now.date().isoformat()


def _named(values: Any) -> Mapping[str, Any]:
    if not isinstance(values, dict) or len(values) > _MOST:
        raise ValueError("values that are not given by name")
    return values


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError(f"a {what} that is no text of up to {_LONGEST} characters")
    return value


def _number(value: Any, what: str, *, optional: bool = False) -> int | None:
    if value is None and optional:
        return None
    if type(value) is not int or not 0 <= value <= _LARGEST:
        raise ValueError(f"{what} is no whole number")
    return value
