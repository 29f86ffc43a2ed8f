"""Explaining of a model's answers: pictures read, predicted and explained, a few at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from featx.errors import ImageError, NoImagesError, OptionError, check_choice, warn_of_images
from featx.explanation.class_map import class_maps
from featx.explanation.explanation import METHODS, Explanation
from featx.explanation.linear import LinearHead
from featx.explanation.masks import mask_heat
from featx.explanation.scores import scores_of
from featx.features.matrix import Features
from featx.features.options import EmbedOptions, RunOptions, SourceOptions, options_in, settle
from featx.features.session import Picture, Session
from featx.images.bucket import may_be_there
from featx.images.decode import Outcome
from featx.images.folder import ImageFolder
from featx.images.labels import Label, in_terms_of
from featx.images.memory import MemoryImage
from featx.images.source import ImageSource, is_folder
from featx.images.table import is_table
from featx.models.inference import Inference
from featx.storage.address import local_path
from featx.text import count, listed, printable

MOST_MASKS = 10_000
_FEWEST_MASKS = 32
_AT_ONCE = 16  # pictures whose maps are in memory


@dataclass(frozen=True, eq=False)
class Explainer:
    """What explains the answers of a model.

    `infer` says what the model says of features. The session has the views of the model; pictures
    are explained as they are.
    """

    pipeline: Any
    infer: Callable[[Features], Inference]
    session: Session
    method: str
    budget: int

    def __post_init__(self) -> None:
        check_choice("method", self.method, METHODS)
        if not _FEWEST_MASKS <= self.budget <= MOST_MASKS:
            raise OptionError(
                f"budget {self.budget!r}: expected from {_FEWEST_MASKS} to {MOST_MASKS:,} masks"
            )

    def of_source(
        self,
        source: Any,
        label: Label | Sequence[Label | None] | None,
        classes: Sequence[Label],
        options: RunOptions,
    ) -> Explanation | list[Explanation]:
        """Explain what a source names: one picture, or a list of them."""
        settled = settle(options)
        pictures = _read(self.session, source, settled)
        found = self.explained(pictures, _labels_for(label, classes, len(pictures)))
        return found[0] if _names_one(source) else found

    def explained(
        self, pictures: Sequence[Picture], labels: Sequence[Label | None]
    ) -> list[Explanation]:
        """Explain pictures, each for a class; None stands for the one that is predicted."""
        head = self._head()
        made: list[Explanation] = []
        for start in range(0, len(pictures), _AT_ONCE):
            some = pictures[start : start + _AT_ONCE]
            inferred = self.infer(self.session.features(some))
            columns = _columns(inferred, labels[start : start + _AT_ONCE])
            if head is None:
                made += self._by_masks(some, inferred, columns)
            else:
                made += self._by_class_maps(head, some, inferred, columns)
        return made

    def _head(self) -> LinearHead | None:
        """Return what decides where a class map is asked for and exact; None for masks."""
        if self.method == "masks":
            return None
        head = LinearHead.of(self.pipeline)
        try:
            self._check_exact(head)
        except OptionError as error:
            if self.method == "class-map":
                raise OptionError(f"{error}; use method='masks'") from error
            return None
        return head

    def _check_exact(self, head: LinearHead | None) -> None:
        """Raise an `OptionError` unless the decision is a sum over means of maps.

        What takes long, to open the networks for their maps, comes last.
        """
        if head is None:
            raise OptionError(
                "there is no exact class map: the classifier is no weighted sum of features"
            )
        if self.session.request.recipe.pooling == "max":
            raise OptionError("there is no exact class map: the pooling is 'max', not 'avg'")
        self.session.check_maps()

    def _by_class_maps(
        self,
        head: LinearHead,
        pictures: Sequence[Picture],
        inferred: Inference,
        columns: Sequence[int],
    ) -> list[Explanation]:
        made = []
        maps = self.session.maps(pictures)
        for row, (picture, column) in enumerate(zip(pictures, columns, strict=True)):
            (found,) = class_maps(head, [each[row] for each in maps], [column])
            made.append(
                self._explanation(
                    picture,
                    inferred,
                    (row, column),
                    decision=found.decision,
                    heat=found.heat.astype(np.float32),
                    method="class-map",
                    exact=True,
                    budget=0,
                    constant=found.constant,
                    parts=tuple(part.astype(np.float32) for part in found.parts),
                )
            )
        return made

    def _by_masks(
        self, pictures: Sequence[Picture], inferred: Inference, columns: Sequence[int]
    ) -> list[Explanation]:
        made, plain = [], self.session.without_views
        for row, (picture, column) in enumerate(zip(pictures, columns, strict=True)):
            score = partial(scores_of, self.pipeline, inferred.classes, column)
            (whole,) = score(plain.features([picture]).matrix)
            made.append(
                self._explanation(
                    picture,
                    inferred,
                    (row, column),
                    decision=float(whole),
                    heat=mask_heat(plain, picture, score, self.budget).astype(np.float32),
                    method="masks",
                    exact=False,
                    budget=self.budget,
                    constant=0.0,
                )
            )
        return made

    def _explanation(
        self, picture: Picture, inferred: Inference, place: tuple[int, int], **found: Any
    ) -> Explanation:
        """Put together what was found about a picture, of a row and for the class of a column."""
        row, column = place
        shares = inferred.probabilities
        square = self.session.request.recipe.parts[0].square
        return Explanation(
            path=picture.outcome.path,
            label=inferred.classes[column],
            predicted=inferred.classes[inferred.columns[row]],
            probability=None if shares is None else float(shares[row, column]),
            picture=picture.squares[square],
            square=square,
            classes=inferred.classes,
            size=picture.size,
            **found,
        )


def _read(session: Session, source: ImageSource, settled: EmbedOptions) -> list[Picture]:
    """Read the pictures of a source; those that cannot be read are told and left out.

    Raises an `ImageError` for the first one where `on_error` is "raise", and a `NoImagesError`
    where none can be read.
    """
    given = _pictures_in(source)
    if given is not None:
        return given
    of_one = isinstance(source, np.ndarray) and _names_one(source)
    reading = options_in(SourceOptions, settled)
    images = ImageFolder.of([source] if of_one else source, **reading)
    pictures, failed = [], list[Outcome]()
    for path in images.paths:
        picture, outcome = session.read(path)
        if picture is not None:
            pictures.append(picture)
        elif settled["on_error"] == "raise":
            raise ImageError(f"cannot read {printable(path)}: {printable(outcome.reason)}")
        else:
            failed.append(outcome)
    if failed and not pictures:
        reason = f"{printable(failed[0].path)}: {printable(failed[0].reason)}"
        raise NoImagesError(f"no picture can be read: {reason}", outcomes=tuple(failed))
    if failed:
        named = listed([f"{each.path}: {each.reason}" for each in failed], 3)
        warn_of_images([f"{count(len(failed), 'picture')} cannot be read, left out: {named}"])
    return pictures


def _names_one(source: ImageSource) -> bool:
    """Whether a source names one picture, and no number of them that may be one."""
    if isinstance(source, Picture | MemoryImage | bytes | bytearray | memoryview):
        return True
    if isinstance(source, np.ndarray):
        return source.ndim == 2 or (source.ndim == 3 and source.shape[2] in (3, 4))
    if isinstance(source, str | os.PathLike):
        path = os.path.expanduser(local_path(os.fspath(source)))
        return may_be_there(path) and not is_table(path) and not is_folder(path)
    return not hasattr(source, "__len__")  # an open file, an image of Pillow


def _labels_for(
    label: Label | Sequence[Label | None] | None, classes: Sequence[Label], n: int
) -> list[Label | None]:
    """Return the class to explain for each of n pictures, of the type of the classes."""
    several = label is not None and not isinstance(label, str | int | np.generic)
    labels: list[Any] = list(label) if several else [label] * n  # type: ignore[arg-type]
    if len(labels) != n:
        raise OptionError(
            f"{count(len(labels), 'label')} for {count(n, 'picture')}: expected one for each"
        )
    own = list(in_terms_of(classes, labels))
    for each in own:
        if each is not None and each not in classes:
            raise OptionError(
                f"label {printable(repr(each))} is no class of the model: expected one of "
                f"{listed(list(classes), 20)}"
            )
    return own


def _pictures_in(source: Any) -> list[Picture] | None:
    """Return pictures that a session has decoded already; None for anything else."""
    if isinstance(source, Picture):
        return [source]
    if isinstance(source, list | tuple) and any(isinstance(each, Picture) for each in source):
        return list(source)
    return None


def _columns(inferred: Inference, labels: Sequence[Label | None]) -> list[int]:
    return [
        int(column) if label is None else inferred.classes.index(label)
        for column, label in zip(inferred.columns, labels, strict=True)
    ]
