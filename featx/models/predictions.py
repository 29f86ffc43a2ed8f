"""The predictions of a model: a label for each image, with its probability."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import OptionError
from featx.features.matrix import Features
from featx.images.decode import Outcome
from featx.images.labels import Label, in_terms_of
from featx.learning.classes import per_file
from featx.models.inference import Inference
from featx.models.label_folders import FAILED, UNFAMILIAR, UNSURE, copy_all, folder_names
from featx.models.prediction_table import FileState, read_rows, write_rows
from featx.models.tally import Tally
from featx.text import count, percent, printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a model says of images, one for each input file.

    Attributes
    ----------
    outcomes : tuple of Outcome
        The files, and what became of them.
    best_guess : ndarray of shape (n,), object
        The most probable class of each; None for a file that cannot be read.
    probability : ndarray of shape (n,), float
        Its probability, 0 to 1; NaN for a file that cannot be read, and where the classifier
        gives none.
    answered : ndarray of shape (n,), bool, or None
        Which images a model that rejects answers; None for one that never does.
    unfamiliarity : ndarray of shape (n,), float, or None
        How unlike the training pictures each image is: above 1 it is unfamiliar, as one in twenty
        of pictures like those is; NaN for a file that cannot be read. None where the model does not
        know.
    true : list of (str, int, bool or None), or None
        The class that each image is known to have, None for a file that cannot be read; None where
        no image has a class of the model.
    classes : tuple of (str, int or bool)
        The classes of the model.
    probabilities : ndarray of shape (n, n_classes), float, or None
        The probability of each class, columns in the order of `classes`; NaN for a file that cannot
        be read. None where the classifier gives none.
    top : int
        How many classes the rows name for each image, the best guess first.
    with_probabilities : bool
        Whether the rows have the probability of every class.
    answer_all : bool
        Whether a label was asked for even where the model is unsure, or the image unfamiliar.
    states : tuple of (FileState or None), or None
        Size and time of each file, where only new ones were asked for.
    notes : tuple of str
        What a reader should know of the images, a line each.
    """

    outcomes: tuple[Outcome, ...]
    best_guess: np.ndarray
    probability: np.ndarray
    answered: np.ndarray | None = None
    unfamiliarity: np.ndarray | None = None
    true: list[Label | None] | None = None
    classes: tuple[Label, ...] = ()
    probabilities: np.ndarray | None = None
    top: int = 1
    with_probabilities: bool = False
    answer_all: bool = False
    states: tuple[FileState | None, ...] | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        features: Features,
        inferred: Inference,
        *,
        answer_all: bool = False,
        top: int = 1,
        with_probabilities: bool = False,
        states: tuple[FileState | None, ...] | None = None,
    ) -> Predictions:
        """Put together what a model says of features, a row for each file.

        Raises an `OptionError` where probabilities are asked for and there are none.
        """
        if inferred.probabilities is None and (top > 1 or with_probabilities):
            raise OptionError(
                "this classifier gives no probabilities: leave out top and probabilities, or train "
                "with another one, such as 'logistic'"
            )
        answered, shares = inferred.answered, inferred.probabilities
        strange = inferred.unfamiliarity
        given = in_terms_of(inferred.classes, features.labels)
        truth = np.array([*given, None], dtype=object)[:-1]
        known = set(given) & set(inferred.classes)
        return cls(
            outcomes=features.outcomes
            or tuple(Outcome("cached", path=path) for path in features.paths),
            best_guess=per_file(features, inferred.labels.astype(object), None),
            probability=per_file(features, inferred.certainty, np.nan),
            answered=None if answered is None else per_file(features, answered | answer_all, False),
            unfamiliarity=None if strange is None else per_file(features, strange, np.nan),
            true=per_file(features, truth, None).tolist() if known else None,
            classes=inferred.classes,
            probabilities=None if shares is None else per_file(features, shares, np.nan),
            top=top,
            with_probabilities=with_probabilities,
            answer_all=answer_all,
            states=states,
            notes=features.notes,
        )

    def __len__(self) -> int:
        return len(self.outcomes)

    @property
    def columns(self) -> list[str]:
        """The names of the columns of `rows`, also where there is no row."""
        names = ["path", "label"]
        if self.answered is not None:
            names.append("best_guess")
        names.append("probability")
        if self.unfamiliarity is not None:
            names += ["unfamiliar", "unfamiliarity"]
        for place in range(2, self.top + 1):
            names += [f"top_{place}", f"top_{place}_probability"]
        if self.with_probabilities:
            names += [f"probability_{name}" for name in self.classes]
        names += ["outcome", "reason"]
        return names + (["bytes", "modified"] if self.states is not None else [])

    @property
    def rows(self) -> list[dict[str, Any]]:
        """A row for each file, as plain values.

        Keys are `path`, `label` (None where the file cannot be read or the model is unsure),
        `best_guess` where the model rejects, `probability`, `unfamiliar` (whether the picture is
        unlike those of training) and `unfamiliarity` (by how much: above 1), `outcome` and
        `reason`. Where several
        classes were asked for, `top_2` and `top_2_probability` are the second one and so on;
        `probability_cat` is that of the class cat, where all probabilities were. `bytes` and
        `modified` are of the file, where only new ones were asked for.
        """
        columns = self.columns
        return [self._row(number, columns) for number in range(len(self))]

    def _row(self, number: int, columns: Sequence[str]) -> dict[str, Any]:
        outcome, sure = self.outcomes[number], self._answers(number)
        ranked = self.ranked(number, self.top)
        guess, share = ranked[0]
        row: dict[str, Any] = dict.fromkeys(columns)
        row |= {"path": outcome.path, "label": guess if sure else None, "probability": share}
        if self.answered is not None:
            row["best_guess"] = guess
        if self.unfamiliarity is not None and outcome.ok:
            row["unfamiliar"] = bool(self.unfamiliarity[number] > 1)
            row["unfamiliarity"] = float(self.unfamiliarity[number])
        for place, (label, each) in enumerate(ranked[1:], start=2):
            row |= {f"top_{place}": label, f"top_{place}_probability": each}
        if self.with_probabilities and self.probabilities is not None:
            row |= {
                f"probability_{name}": _plain(each)
                for name, each in zip(self.classes, self.probabilities[number], strict=True)
            }
        row |= {"outcome": outcome.status, "reason": outcome.reason or None}
        state = None if self.states is None else self.states[number]
        return row if state is None else row | state.to_dict()

    def _answers(self, number: int) -> bool:
        return self.answered is None or bool(self.answered[number])

    @property
    def unfamiliar(self) -> np.ndarray | None:
        """Which images are unlike the training pictures, of shape (n,), bool; None if unknown."""
        return None if self.unfamiliarity is None else np.asarray(self.unfamiliarity > 1)

    def _label(self, number: int) -> str:
        """Write the label of an image that could be read, with what is to be said of it."""
        guess, unfamiliar = self.best_guess[number], self.unfamiliar
        strange = unfamiliar is not None and bool(unfamiliar[number])
        if self._answers(number):
            return printable(f"{guess} (unfamiliar)" if strange else guess)
        return printable(f"{'unfamiliar' if strange else 'unsure'} ({guess}?)")

    def ranked(self, number: int, top: int) -> list[tuple[Label | None, float | None]]:
        """Return classes of an image with their probabilities, the best guess first.

        Parameters
        ----------
        number : int
            The place of the image.
        top : int
            How many classes, at most.

        Returns
        -------
        list of tuple
            The class, and its probability or None. It is one alone where the classifier gives no
            probabilities, or where the file cannot be read: None.
        """
        guess = self.best_guess[number]
        guess = guess.item() if isinstance(guess, np.generic) else guess
        best = [(guess, _plain(self.probability[number]))]
        if guess is None or top == 1 or self.probabilities is None:
            return best
        shares = self.probabilities[number]
        order = [each for each in np.argsort(-shares, kind="stable") if self.classes[each] != guess]
        return best + [(self.classes[each], _plain(shares[each])) for each in order[: top - 1]]

    @property
    def header(self) -> list[str]:
        """The names of the columns of `cells`."""
        return ["path", "label", "probability", *(["then"] if self.top > 1 else [])]

    @property
    def cells(self) -> list[list[str]]:
        """A row for each file as people read it: path, label, probability."""
        cells = []
        for number, outcome in enumerate(self.outcomes):
            path = printable(outcome.path)
            (guess, share), *others = self.ranked(number, self.top)
            if guess is None:
                row = [path, "-", f"failed: {printable(outcome.reason)}"]
            else:
                row = [path, self._label(number), percent(math.nan if share is None else share)]
            if self.top > 1:
                row.append(
                    ", ".join(f"{printable(name)} {percent(each or 0)}" for name, each in others)
                )
            cells.append(row)
        return cells

    @property
    def counts(self) -> dict[Label, int]:
        """How many images each class was given, the most frequent first; 0 is left out."""
        given = self.best_guess if self.answered is None else self.best_guess[self.answered]
        return dict(Counter(each for each in given.tolist() if each is not None).most_common())

    @property
    def n_failed(self) -> int:
        """The number of files that could not be read."""
        return sum(not outcome.ok for outcome in self.outcomes)

    @property
    def n_read(self) -> int:
        """The number of files that could be read."""
        return len(self) - self.n_failed

    @property
    def n_unfamiliar(self) -> int:
        """The number of images that are unlike the training pictures."""
        return 0 if self.unfamiliar is None else int(self.unfamiliar.sum())

    @property
    def n_unsure(self) -> int:
        """The number of images that the model is unsure of, but for unfamiliar ones."""
        return self.n_read - sum(self.counts.values()) - self._n_refused

    @property
    def _n_refused(self) -> int:
        """The number of images that are not labelled since they are unfamiliar."""
        if self.answered is None or self.unfamiliar is None:
            return 0
        return int((self.unfamiliar & ~self.answered).sum())

    @property
    def summary(self) -> str:
        """How many images were given which label, and the notes, a line each."""
        return "\n".join([self.tally.summary, *self.notes])

    @property
    def tally(self) -> Tally:
        """How many images were given which label, and what became of the others."""
        return Tally(
            n_images=len(self),
            labels=self.counts,
            n_unsure=self.n_unsure,
            n_refused=self._n_refused,
            n_failed=self.n_failed,
            n_unfamiliar=self.n_unfamiliar,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the rows and the counts as plain values."""
        return {
            "n_images": len(self),
            "n_failed": self.n_failed,
            "n_unsure": self.n_unsure,
            "n_unfamiliar": self.n_unfamiliar,
            "labels": [{"label": name, "n_images": n} for name, n in self.counts.items()],
            "notes": list(self.notes),
            "predictions": self.rows,
        }

    def to_frame(self) -> pd.DataFrame:
        """Return a table of one row per file, with the columns of `rows`."""
        import pandas as pd

        return pd.DataFrame(self.rows, columns=self.columns)

    def save(self, path: str | PathLike[str], *, add: bool = False) -> None:
        """Write the rows as a table, whole or not at all.

        Parameters
        ----------
        path : str or path
            A name that ends in ".csv", or in ".xlsx" for Excel.
        add : bool, default=False
            Keep the rows that the table has already, but for those of the same paths.

        Raises
        ------
        StorageError
            The file cannot be written; an older one at `path` is left as it was.
        OptionError
            The name ends otherwise, there is no openpyxl for Excel, or the file to add to is no
            table.
        """
        columns, rows = self.columns, self.rows
        if add:
            earlier, known = read_rows(path)
            new = {row["path"] for row in rows}
            columns = [*earlier, *(name for name in columns if name not in earlier)]
            rows = [*(row for row in known if row.get("path") not in new), *rows]
        write_rows(path, columns, rows)

    def copy_to(self, folder: str | PathLike[str]) -> dict[str, str]:
        """Copy the files into a folder for each label; nothing is moved or removed.

        Files without a label go to `_unsure` and `_failed`, unfamiliar ones to `_unfamiliar` unless
        all were to be answered. A file that was copied before is not copied again, and of two
        different files of one name the second gets a number, so that nothing is lost.

        Parameters
        ----------
        folder : str or path
            Where the folders are; it is made if it does not exist.

        Returns
        -------
        dict of str to str
            The copy of each file. Pictures in memory, and files that are gone, have none.

        Raises
        ------
        StorageError
            A file cannot be written.
        """
        names = folder_names(self.classes)
        places = {
            outcome.path: self._folder(number, names)
            for number, outcome in enumerate(self.outcomes)
        }
        return copy_all(places, folder)

    def _folder(self, number: int, names: Mapping[Label, str]) -> str:
        """Return the name of the folder that a file belongs into."""
        guess, unfamiliar = self.best_guess[number], self.unfamiliar
        if guess is None:
            return FAILED
        if unfamiliar is not None and unfamiliar[number] and not self.answer_all:
            return UNFAMILIAR
        return names[guess] if self._answers(number) else UNSURE

    def plot(self, *, columns: int | None = None) -> Figure:
        """Draw the pictures with their labels; see `featx.plot_gallery`."""
        from featx.charts.gallery import plot_gallery

        read = [number for number, guess in enumerate(self.best_guess) if guess is not None]
        return plot_gallery(
            [self.outcomes[number].path for number in read],
            [self.best_guess[number] for number in read],
            true=None if self.true is None else [self.true[number] for number in read],
            probabilities=[float(self.probability[number]) for number in read],
            answered=None if self.answered is None else self.answered[read].tolist(),
            unfamiliar=None if self.unfamiliar is None else self.unfamiliar[read].tolist(),
            columns=columns,
        )

    def __repr__(self) -> str:
        return f"Predictions({count(len(self), 'image')})"

    def _repr_html_(self) -> str:
        table = self.to_frame().map(lambda cell: printable(cell) if isinstance(cell, str) else cell)
        return f"<p>{escape(printable(self.summary))}</p>{table.to_html(index=False)}"


def check_top(top: int) -> None:
    """Raise an `OptionError` if so many classes cannot be named."""
    if isinstance(top, bool) or not isinstance(top, int | np.integer) or top < 1:
        raise OptionError(f"top {top!r}: expected how many classes to name, a whole number from 1")


def _plain(share: float) -> float | None:
    """Return a probability as a plain number, None for NaN."""
    return None if math.isnan(share) else float(share)
